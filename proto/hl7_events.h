/* ADT, DFT and BAR messages to visit events and charge lines: the HL7 profile of visitbill (HL7 v2.8 chapters 3 and 6).
 *
 *   ADT A01 A04 A05, BAR P01   open a visit           visit: PV1-19.1, else PID-18.1
 *   ADT A02 A08, BAR P05       update it              patient: PID-3.1, name PID-5
 *   ADT A03, BAR P06           discharge it           at PV1-45, else EVN-2, else MSH-7
 *   ADT A11, A13, A40          cancel, reopen, merge  loser of a merge: MRG-5.1, else MRG-3.1; its patient MRG-1.1
 *   ADT A28 A31                update the patient
 *   DFT P03 P11                charge lines, one an FT1; a ZRV after it names the line that a CD takes back
 */
#ifndef VB_PROTO_HL7_EVENTS_H
#define VB_PROTO_HL7_EVENTS_H

#include "hl7_header.h"
#include "intake.h"

struct hl7_context {
	int64_t now;			/* microseconds */
	int offset;			/* of times without one, seconds east */
	size_t max_lines;		/* FT1 segments a message may have */
};

/* Reads the body of a message whose header is fine. Fills everything of *intake but the arena and the facility ids; a refusal of the
 * whole message also stands in each of its lines, so that no line is lost from sight. */
void hl7_events_parse(struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *intake);

/* The same in steps, of a message that may be large. What is begun with must outlive the reading. */
struct hl7_events;
struct hl7_events *hl7_events_begin(struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *intake);
/* Goes on for about so many bytes of the message. True at its end. */
bool hl7_events_step(struct hl7_events *e, size_t bytes);

#endif
