/* MSH: who sent what to whom, and which acknowledgement they want (HL7 v2.8 chapter 2, sections 2.9 and 2.14.9). */
#ifndef VB_PROTO_HL7_HEADER
#define VB_PROTO_HL7_HEADER

#include "segments.h"
#include "proto/intake.h"

struct hl7_header {
	struct hl7_delimiters delimiters;
	struct view sending_application, sending_facility;	/* MSH-3 and 4 as sent */
	struct view receiving_application, receiving_facility;
	struct view application, facility;			/* their first components, decoded */
	struct view time;					/* MSH-7 */
	struct view type, event;				/* MSH-9.1 and 9.2, or EVN-1 */
	struct view control_id;					/* MSH-10, as sent */
	struct view processing_id, version;			/* as sent */
	struct view sequence_number;				/* MSH-13 */
	struct view accept_ack, application_ack;		/* MSH-15 and 16 */
	struct view charset;					/* MSH-18, as sent */
};

/* Reads the header of a message in UTF-8. `processing` lists the processing ids that are taken ("PTD"). What is wrong is put in
 * *ret_refused, the rest of the header is filled in as far as it goes. */
void hl7_header_parse(struct view message, const char *processing, struct arena *a, struct hl7_header *ret, struct refusal *ret_refused);

#endif
