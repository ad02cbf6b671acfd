/* The names of outcomes. */
#include "outcome.h"

#include <assert.h>
#include <stddef.h>

static const char *const names[OUTCOMES] = {
	[OUTCOME_POSTED] = "posted", [OUTCOME_LATE] = "late", [OUTCOME_DUPLICATE] = "duplicate", [OUTCOME_DONE] = "done",
	[OUTCOME_REPEATED] = "repeated", [OUTCOME_REPLAYED] = "replayed", [OUTCOME_HELD] = "held", [OUTCOME_CONFLICT] = "conflict",
	[OUTCOME_REVERSAL_EXCEEDS] = "reversal_exceeds", [OUTCOME_REVERSAL_OF_REVERSAL] = "reversal_of_reversal",
	[OUTCOME_PRICE_UNKNOWN] = "price_unknown", [OUTCOME_AMOUNT_NEGATIVE] = "amount_negative", [OUTCOME_AMOUNT_TOO_LARGE] = "amount_too_large",
	[OUTCOME_IMPLAUSIBLE_VISIT] = "implausible_visit", [OUTCOME_IMPLAUSIBLE_DAY] = "implausible_day",
	[OUTCOME_TOTAL_NEGATIVE] = "total_negative", [OUTCOME_VISIT_UNKNOWN] = "visit_unknown", [OUTCOME_VISIT_AMBIGUOUS] = "visit_ambiguous",
	[OUTCOME_VISIT_CANCELLED] = "visit_cancelled", [OUTCOME_PATIENT_MISMATCH] = "patient_mismatch", [OUTCOME_VISIT_MERGED] = "visit_merged",
	[OUTCOME_VISIT_CLOSED] = "visit_closed", [OUTCOME_VISIT_ARCHIVED] = "visit_archived", [OUTCOME_VISIT_HAS_CHARGES] = "visit_has_charges",
	[OUTCOME_VISIT_PAID] = "visit_paid", [OUTCOME_MERGE_OTHER] = "merge_other", [OUTCOME_MERGE_SELF] = "merge_self",
	[OUTCOME_ITEM_UNKNOWN] = "item_unknown", [OUTCOME_ITEM_INCOMPLETE] = "item_incomplete", [OUTCOME_BILL_UNKNOWN] = "bill_unknown",
	[OUTCOME_BILL_VOID] = "bill_void", [OUTCOME_BILL_SETTLED] = "bill_settled", [OUTCOME_BILL_CHANGED] = "bill_changed",
	[OUTCOME_AMOUNT_EXCEEDS] = "amount_exceeds", [OUTCOME_IDEMPOTENCY_MISMATCH] = "idempotency_mismatch",
	[OUTCOME_PAYMENT_IN_PROGRESS] = "payment_in_progress", [OUTCOME_PAYMENT_UNKNOWN] = "payment_unknown",
	[OUTCOME_PAYMENT_SUCCEEDED] = "payment_succeeded", [OUTCOME_ORDER_UNKNOWN] = "order_unknown",
	[OUTCOME_MERCHANT_MISMATCH] = "merchant_mismatch", [OUTCOME_AMOUNT_MISMATCH] = "amount_mismatch",
	[OUTCOME_LOOKALIKE_UNKNOWN] = "lookalike_unknown", [OUTCOME_QUARANTINE_UNKNOWN] = "quarantine_unknown", [OUTCOME_UNAVAILABLE] = "unavailable", [OUTCOME_INTERNAL] = "internal",
	[OUTCOME_CHANNEL_UNKNOWN] = "channel_unknown",
};

const char *
outcome_name(enum outcome o)
{
	assert(o > OUTCOME_NONE && o < OUTCOMES);
	return names[o];
}

enum outcome
outcome_of(struct view word)
{
	for (unsigned o = OUTCOME_NONE + 1; o < OUTCOMES; o++)
		if (view_is(word, names[o]))
			return (enum outcome)o;
	return OUTCOME_INTERNAL;
}

bool
outcome_is_fine(enum outcome o)
{
	return o >= OUTCOME_POSTED && o <= OUTCOME_REPLAYED;
}

const struct reason *
outcome_reason(enum outcome o)
{
	return reason_of(outcome_is_fine(o) ? "internal" : outcome_name(o));
}
