/* What is most likely a slip, by the limits of a feed's facility. A line is judged here; its visit and the day where their sums are known, in the database. */
#include "plausible.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/money.h"

void
plausible_judge(const struct feed *feed, struct intake *in)
{
	char amount[MONEY_TEXT], limit[MONEY_TEXT];

	for (size_t i = 0; i < in->n_lines; i++) {
		struct charge_line *l = &in->lines[i];
		if (l->refused.reason != NULL)
			continue;
		if (l->has_quantity && llabs(l->quantity) > feed->line_quantity * 10000)
			l->refused = (struct refusal){"implausible", arena_printf(&in->arena,
			    "the quantity is beyond line_quantity %" PRId64 "; a person releases it by a replay", feed->line_quantity), NULL};
		else if (l->has_amount && llabs(l->amount) > feed->line_amount)
			l->refused = (struct refusal){"implausible", arena_printf(&in->arena, "the amount %s is beyond line_amount %s; a person releases it by a replay",
			    money_format(l->amount, amount), money_format(feed->line_amount, limit)), NULL};
	}
}

int64_t
plausible_visit_most(const struct feed *f)
{
	return f->visit_amount == 0 || (f->visit_day_amount > 0 && f->visit_day_amount < f->visit_amount) ? f->visit_day_amount : f->visit_amount;
}

const char *
plausible_detail(const struct charge_line *l, const struct feed *f, struct arena *a)
{
	char sum[MONEY_TEXT], limit[MONEY_TEXT];

	money_format(l->sum, sum);
	if (l->outcome == OUTCOME_IMPLAUSIBLE_VISIT)
		return arena_printf(a, "the visit's total would be %s, beyond visit_amount %s; a person releases it by a replay", sum,
		    money_format(f->visit_amount, limit));
	if (l->outcome == OUTCOME_IMPLAUSIBLE_DAY)
		return arena_printf(a, "the visit's day would be %s, beyond visit_day_amount %s; a person releases it by a replay", sum,
		    money_format(f->visit_day_amount, limit));
	if (l->outcome == OUTCOME_TOTAL_NEGATIVE)
		return arena_printf(a, "the visit's total would be %s; a person releases it by a replay", sum);
	return NULL;
}
