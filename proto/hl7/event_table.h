/* The events that billing takes, and what each is about (HL7 v2.8 chapters 3 and 6). */
#ifndef VB_PROTO_HL7_EVENT_TABLE
#define VB_PROTO_HL7_EVENT_TABLE

#include "groups.h"
#include "header.h"

/* What an event is about, and by which numbers. */
enum subject {
	OF_VISIT,		/* PV1-19, else PID-18 */
	OF_VISIT_OR_PATIENT,	/* the same; without a number, the patient */
	OF_PATIENT,		/* PID-3; a merge's loser MRG-1 */
	OF_ACCOUNT,		/* PID-18; MRG-3 */
	OF_ACCOUNT_AND_PATIENT,
	OF_MERGED_VISIT,	/* PV1-19; MRG-5 */
	OF_MOVED_ACCOUNT,	/* PID-18, else MRG-3, which is PID-3's from now on */
	OF_MOVED_VISIT,		/* PV1-19, else MRG-5 */
};

struct event_row {
	const char *type, *event;
	enum event_kind kind;	/* EVENT_NONE of an ADT or BAR: nothing that billing keeps */
	enum subject subject;
	enum hl7_repeat repeat;
	const char *visit_class;	/* where PV1-2 does not say it */
};

/* The row of a header's type and event; NULL and *ret_refused where billing does not take it. a40_visits: the feed means visits by A40. */
const struct event_row *hl7_event_of(const struct hl7_header *h, bool a40_visits, struct refusal *ret_refused);

#endif
