/* What the database said became of something: of a line, an event, an entry of a price list, a capture, a request. The SQL function outcomes() lists the same
 * names, and no function gives another one (scripts/outcomes.py). What is not done by its outcome has a row in reason.h's table. */
#ifndef VB_PROTO_OUTCOME_H
#define VB_PROTO_OUTCOME_H

#include <stdbool.h>

#include "reason.h"
#include "view.h"

enum outcome {
	OUTCOME_NONE,			/* nothing was said */
	/* it is done, or was done before */
	OUTCOME_POSTED, OUTCOME_LATE, OUTCOME_DUPLICATE, OUTCOME_DONE, OUTCOME_REPEATED, OUTCOME_REPLAYED,
	/* it is not: of lines */
	OUTCOME_HELD, OUTCOME_CONFLICT, OUTCOME_REVERSAL_EXCEEDS, OUTCOME_REVERSAL_OF_REVERSAL, OUTCOME_PRICE_UNKNOWN, OUTCOME_AMOUNT_NEGATIVE,
	OUTCOME_AMOUNT_TOO_LARGE, OUTCOME_IMPLAUSIBLE_VISIT, OUTCOME_IMPLAUSIBLE_DAY, OUTCOME_TOTAL_NEGATIVE,
	/* of visits, for lines and events */
	OUTCOME_VISIT_UNKNOWN, OUTCOME_VISIT_AMBIGUOUS, OUTCOME_VISIT_CANCELLED, OUTCOME_PATIENT_MISMATCH, OUTCOME_VISIT_MERGED, OUTCOME_VISIT_CLOSED,
	OUTCOME_VISIT_ARCHIVED, OUTCOME_VISIT_HAS_CHARGES, OUTCOME_VISIT_PAID, OUTCOME_MERGE_OTHER, OUTCOME_MERGE_SELF,
	/* of a price list's entries */
	OUTCOME_ITEM_UNKNOWN, OUTCOME_ITEM_INCOMPLETE,
	/* of bills, attempts and captures */
	OUTCOME_BILL_UNKNOWN, OUTCOME_BILL_VOID, OUTCOME_BILL_SETTLED, OUTCOME_BILL_CHANGED, OUTCOME_AMOUNT_EXCEEDS, OUTCOME_IDEMPOTENCY_MISMATCH,
	OUTCOME_PAYMENT_IN_PROGRESS, OUTCOME_PAYMENT_UNKNOWN, OUTCOME_PAYMENT_SUCCEEDED, OUTCOME_ORDER_UNKNOWN, OUTCOME_MERCHANT_MISMATCH,
	OUTCOME_AMOUNT_MISMATCH,
	/* of the quarantine */
	OUTCOME_QUARANTINE_UNKNOWN,
	/* of charges that look like duplicates */
	OUTCOME_LOOKALIKE_UNKNOWN,
	/* no word of the database's: it said nothing, or what no function of ours says; and an attempt that never got to it */
	OUTCOME_UNAVAILABLE, OUTCOME_INTERNAL, OUTCOME_CHANNEL_UNKNOWN,
	OUTCOMES
};

/* Its name, as SQL, the API and quarantine have it. Not of OUTCOME_NONE. */
const char *outcome_name(enum outcome o);

/* Of a word; OUTCOME_INTERNAL where there is no such outcome. */
enum outcome outcome_of(struct view word);

/* Is it done, now or before? */
bool outcome_is_fine(enum outcome o);

/* The row of the table of reasons; of one that is fine, "internal". */
const struct reason *outcome_reason(enum outcome o);

#endif
