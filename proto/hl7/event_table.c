/* The table of events. One that a feed sends and that is not here is refused, unless the feed's setting says that it is not for billing. */
#include "event_table.h"

static const struct event_row events[] = {
	{"ADT", "A01", EVENT_OPEN, OF_VISIT, REPEAT_NONE, NULL}, {"ADT", "A04", EVENT_OPEN, OF_VISIT, REPEAT_NONE, NULL},
	{"ADT", "A05", EVENT_OPEN, OF_VISIT, REPEAT_NONE, NULL},
	{"ADT", "A02", EVENT_UPDATE, OF_VISIT, REPEAT_NONE, NULL}, {"ADT", "A12", EVENT_UPDATE, OF_VISIT, REPEAT_NONE, NULL},
	{"ADT", "A06", EVENT_UPDATE, OF_VISIT, REPEAT_NONE, "inpatient"}, {"ADT", "A07", EVENT_UPDATE, OF_VISIT, REPEAT_NONE, "outpatient"},
	{"ADT", "A08", EVENT_UPDATE, OF_VISIT_OR_PATIENT, REPEAT_NONE, NULL},
	{"ADT", "A28", EVENT_UPDATE, OF_PATIENT, REPEAT_NONE, NULL}, {"ADT", "A31", EVENT_UPDATE, OF_PATIENT, REPEAT_NONE, NULL},
	{"ADT", "A03", EVENT_DISCHARGE, OF_VISIT, REPEAT_NONE, NULL}, {"ADT", "A13", EVENT_REOPEN, OF_VISIT, REPEAT_NONE, NULL},
	{"ADT", "A11", EVENT_CANCEL, OF_VISIT, REPEAT_NONE, NULL}, {"ADT", "A27", EVENT_CANCEL, OF_VISIT, REPEAT_NONE, NULL},
	{"ADT", "A38", EVENT_CANCEL, OF_VISIT, REPEAT_NONE, NULL},
	{"ADT", "A34", EVENT_MERGE, OF_PATIENT, REPEAT_NONE, NULL}, {"ADT", "A40", EVENT_MERGE, OF_PATIENT, REPEAT_PATIENT, NULL},
	{"ADT", "A43", EVENT_MERGE, OF_PATIENT, REPEAT_PATIENT, NULL}, {"ADT", "A47", EVENT_MERGE, OF_PATIENT, REPEAT_NONE, NULL},
	{"ADT", "A35", EVENT_MERGE, OF_ACCOUNT, REPEAT_NONE, NULL}, {"ADT", "A41", EVENT_MERGE, OF_ACCOUNT, REPEAT_PATIENT, NULL},
	{"ADT", "A49", EVENT_MERGE, OF_ACCOUNT, REPEAT_NONE, NULL},
	{"ADT", "A18", EVENT_MERGE, OF_ACCOUNT_AND_PATIENT, REPEAT_NONE, NULL}, {"ADT", "A36", EVENT_MERGE, OF_ACCOUNT_AND_PATIENT, REPEAT_NONE, NULL},
	{"ADT", "A42", EVENT_MERGE, OF_MERGED_VISIT, REPEAT_PATIENT, NULL}, {"ADT", "A50", EVENT_MERGE, OF_MERGED_VISIT, REPEAT_NONE, NULL},
	{"ADT", "A44", EVENT_MOVE, OF_MOVED_ACCOUNT, REPEAT_PATIENT, NULL}, {"ADT", "A45", EVENT_MOVE, OF_MOVED_VISIT, REPEAT_MERGE, NULL},
	{"ADT", "A51", EVENT_NONE, OF_PATIENT, REPEAT_NONE, NULL},
	{"BAR", "P01", EVENT_OPEN, OF_VISIT, REPEAT_VISIT, NULL}, {"BAR", "P05", EVENT_UPDATE, OF_VISIT, REPEAT_VISIT, NULL},
	{"BAR", "P06", EVENT_DISCHARGE, OF_VISIT, REPEAT_PATIENT, NULL}, {"BAR", "P02", EVENT_CANCEL, OF_VISIT, REPEAT_PATIENT, NULL},
	{"BAR", "P12", EVENT_NONE, OF_VISIT, REPEAT_NONE, NULL},
	{"MFN", "M04", EVENT_NONE, OF_PATIENT, REPEAT_NONE, NULL}, {"MFN", "M02", EVENT_NONE, OF_PATIENT, REPEAT_NONE, NULL},
	{"DFT", "P03", EVENT_NONE, OF_VISIT, REPEAT_NONE, NULL}, {"DFT", "P11", EVENT_NONE, OF_VISIT, REPEAT_NONE, NULL},
};

/* A40 of a feed that means visits by it. */
static const struct event_row a40_of_visits = {"ADT", "A40", EVENT_MERGE, OF_VISIT_OR_PATIENT, REPEAT_PATIENT, NULL};

const struct event_row *
hl7_event_of(const struct hl7_header *h, bool a40_visits, struct refusal *refused)
{
	bool type_known = false;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (view_is(h->type, events[i].type)) {
			type_known = true;
			if (view_is(h->event, events[i].event))
				return a40_visits && strcmp(events[i].event, "A40") == 0 ? &a40_of_visits : &events[i];
		}
	*refused = type_known ? (struct refusal){"event_code", "the event is not one that billing takes", "MSH^1^9^1^2"}
	    : (struct refusal){"message_type", "the message type is not one that billing takes", "MSH^1^9^1^1"};
	return NULL;
}
