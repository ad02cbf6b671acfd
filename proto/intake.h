/* What a feed delivered, whatever its wire format: visit events and charge lines of one message or request, each with room for its
 * outcome. hl7/events.h and json/requests.h fill it; daemon/intake books it. All texts are UTF-8 views into the message's bytes or
 * its arena. A text field that is empty means "not said", unless `deleted` marks it. */
#ifndef VB_PROTO_INTAKE_H
#define VB_PROTO_INTAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"
#include "outcome.h"
#include "view.h"

/* Values of HL7's || (not said), |""| (delete) and everything else. */
struct value {
	struct view text;
	bool deleted;
};

/* The visit that a line or event is of. */
struct visit_ref {
	struct view facility;		/* the sender's code */
	int facility_id;		/* filled in once the feed is known */
	struct view visit_no;		/* empty only for events of a patient */
	const char *number_kind;	/* what visit_no is: account, alternate; NULL: the visit's own number; of lines also PATIENT_KIND */
	struct view found_no;		/* of a PATIENT_KIND: the own number that was found in a batch which may not be committed yet; empty: none */
	int open_visits;		/* of a PATIENT_KIND: how many there are, once it was looked for and is not one */
	struct view account_no, alternate_no;	/* further numbers of the visit, which an event tells of */
	struct value patient_no, patient_name;
	const char *visit_class;	/* outpatient, emergency, inpatient; NULL not said */
	const char *location;		/* where its number stands, as in a refusal; NULL: not said */
};

/* A number_kind that begins so: visit_no is a patient's number, and means his one open visit; behind a slash the class that it has to be of. */
#define PATIENT_KIND "patient"

static inline bool
visit_is_by_patient(const struct visit_ref *v)
{
	return v->number_kind != NULL && strncmp(v->number_kind, PATIENT_KIND, strlen(PATIENT_KIND)) == 0;
}

/* The class that the feed's setting names; NULL: any. */
static inline const char *
visit_class_by_patient(const struct visit_ref *v)
{
	const char *slash = strchr(v->number_kind, '/');

	return slash != NULL ? slash + 1 : NULL;
}

enum line_kind { LINE_CHARGE, LINE_CREDIT, LINE_ADJUSTMENT, LINE_PAYMENT };

/* Why something cannot be booked, and where that stands. */
struct refusal {
	const char *reason;		/* a name of the table in reason.h; NULL: nothing is wrong */
	const char *detail;		/* for people */
	const char *location;		/* HL7 ERR-2 "FT1^2^10", or a JSON pointer */
};

struct charge_line {
	enum line_kind kind;
	int ordinal;			/* which line of the message, from 1 */
	size_t visit;			/* index into the intake's visits */
	struct view source_line, code, name, national_code, department, performer, orderer, order_no;
	struct view reverses;		/* source_line of the original; empty: none */
	int64_t charged_at;		/* microseconds since 1970 UTC */
	bool has_quantity, has_price, has_amount;
	int64_t quantity;		/* 4 decimals */
	int64_t price;			/* 6 decimals */
	int64_t amount;			/* fen; of a credit its size, without a sign */
	int category;			/* 1 to 14, 0: not said */
	unsigned char digest[16];	/* over the content */
	struct refusal refused;		/* set by the parser, or from the outcome */
	enum outcome outcome;		/* what the database said */
	enum line_warning { WARN_NONE, WARN_UNLISTED, WARN_PRICE_DIFFERS } warning;	/* of a booked one */
	int64_t sum;			/* fen: where the outcome is of a limit, what would be beyond it */
	int64_t visit_total;		/* fen, after the batch, where outcome is set */
	const char *visit_state;	/* a constant; NULL: nothing is known of the visit */
};

enum event_kind { EVENT_NONE, EVENT_OPEN, EVENT_UPDATE, EVENT_DISCHARGE, EVENT_CANCEL, EVENT_REOPEN, EVENT_MERGE, EVENT_MOVE };

struct visit_event {
	enum event_kind kind;
	size_t visit;			/* index into the intake's visits */
	int64_t at;			/* admitted or discharged */
	bool has_birth_date;
	int32_t birth_date;		/* days since 1970-01-01 */
	struct value sex, department, location;
	struct view other_visit_no, other_patient_no;	/* the losers of a merge */
	const char *other_kind;		/* of other_visit_no, as visit_ref.number_kind */
	enum outcome outcome;
	struct refusal refused;
};

/* An entry of a price list. Empty and has_ false: as it was before that day. */
enum item_action { ITEM_PUT, ITEM_END };

struct price_item {
	enum item_action action;
	int ordinal;			/* which entry of the message, from 1 */
	struct view record_event, entry_id, key, key_type;	/* as sent, for the answer: MFE-1, 2, 4, 5 */
	struct view code, name, unit, national_code, item_class;
	int category;			/* 1 to 14, 0: not said */
	bool has_price, has_self_pay, has_day;
	int64_t price;			/* 6 decimals */
	int self_pay;			/* 4 decimals, 0 to 1 */
	int32_t day;			/* from then on: days since 1970-01-01 */
	struct refusal refused;		/* set by the parser, or from the outcome */
};

struct intake {
	struct arena arena;
	struct view message_id;		/* MSH-10, or the request's id */
	bool has_sent_at;
	int64_t sent_at;		/* MSH-7 or as_of */
	struct visit_ref *visits;
	size_t n_visits;
	struct visit_event *events;	/* in the message's order */
	size_t n_events;
	struct charge_line *lines;	/* grouped by visit, in the message's order within one */
	size_t n_lines;
	struct price_item *items;	/* in the message's order */
	size_t n_items;
	struct view items_head;		/* the MFI segment, for the answer */
	struct refusal refused;		/* of the message as a whole */
};

/* The line's digest over everything that is stored of it, by SHA-256 cut to 16 bytes: equal content, equal digest, on any feed. */
void charge_line_digest(struct charge_line *line);

/* Checks what every source has in common: the texts by the table of fields.h, signs, quantity × price against amount (within 0.01), ranges, the date.
 * The texts are UTF-8. Sets line->refused with the location that `where(field)` gives; a text that breaks its limit is emptied, so that nothing of
 * the line is long, refused or not. now: microseconds, the latest time that makes sense is a day after it. */
enum line_field {
	LINE_FIELD_SOURCE_LINE, LINE_FIELD_REVERSES, LINE_FIELD_CODE, LINE_FIELD_NAME, LINE_FIELD_NATIONAL_CODE, LINE_FIELD_DEPARTMENT, LINE_FIELD_PERFORMER,
	LINE_FIELD_ORDERER, LINE_FIELD_ORDER_NO, LINE_FIELD_QUANTITY, LINE_FIELD_PRICE, LINE_FIELD_AMOUNT, LINE_FIELD_CHARGED_AT,
};
typedef const char *(*line_where_fn)(void *arg, enum line_field field);
void charge_line_check(struct charge_line *line, int64_t now, struct arena *a, line_where_fn where, void *arg);

/* A time between 1990 and a day from now. */
bool intake_time_is_sane(int64_t at, int64_t now);

#endif
