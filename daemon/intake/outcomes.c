/* From outcomes to refusals, and to what is counted. */
#include "outcomes.h"

#include <stdio.h>
#include <string.h>

#include "intake/batch.h"
#include "intake/patient_visits.h"
#include "intake/plausible.h"

bool
charge_line_is_fine(const struct charge_line *l)
{
	return l->refused.reason == NULL || strcmp(l->refused.reason, "held") == 0;
}

/* An outcome that is not a booking becomes the line's refusal. The database says one of each line: of which it said nothing, nothing is promised. */
static void
line_apply(struct charge_line *l, const struct visit_ref *v, const struct feed *f, struct arena *a)
{
	const char *detail;

	if (l->refused.reason != NULL)
		return;
	if (l->outcome == OUTCOME_NONE)
		l->outcome = OUTCOME_INTERNAL;
	if (outcome_is_fine(l->outcome))
		return;
	if (visit_is_by_patient(v) && l->outcome != OUTCOME_INTERNAL) {	/* none was found */
		l->refused = patient_visit_refusal(v, a);
		return;
	}
	l->refused = (struct refusal){outcome_name(l->outcome), outcome_reason(l->outcome)->title, NULL};
	if ((detail = plausible_detail(l, f, a)) != NULL)
		l->refused.detail = detail;
	else if (l->outcome == OUTCOME_PRICE_UNKNOWN && l->code.n > 0)
		l->refused.detail = arena_printf(a, "no amount, no unit price, and %.*s is not in the price list on that day", (int)l->code.n, l->code.p);
}

/* An event that was not done is the refusal of its message: what else is in it was done, and is done once. */
static void
event_apply(struct intake *in, struct visit_event *e)
{
	if (e->outcome == OUTCOME_NONE)
		e->outcome = OUTCOME_INTERNAL;
	if (outcome_is_fine(e->outcome) || in->refused.reason != NULL)
		return;
	in->refused = (struct refusal){outcome_name(e->outcome), outcome_reason(e->outcome)->title, in->visits[e->visit].location};
}

void
outcomes_apply(struct part *p)
{
	struct intake *in = &p->job->intake;

	if (p->kind == PART_LINES) {
		struct visit_ref *v = &in->visits[in->lines[p->first].visit];
		patient_visit_apply(v);
		for (size_t i = 0; i < p->n; i++)
			line_apply(&in->lines[p->first + i], v, p->job->feed, &in->arena);
	} else if (p->kind == PART_EVENT) {
		event_apply(in, &in->events[p->first]);
	}
}

bool
outcomes_have_refusals(const struct booking_job *job)
{
	if (job->intake.refused.reason != NULL)
		return true;
	for (size_t i = 0; i < job->intake.n_lines; i++)
		if (job->intake.lines[i].refused.reason != NULL)
			return true;
	return false;
}

/* A line's own refusal, or what the database said. */
static const char *
ending_of(const struct charge_line *l)
{
	return l->refused.reason != NULL ? l->refused.reason : l->outcome != OUTCOME_NONE ? outcome_name(l->outcome) : "none";
}

void
outcomes_count(struct metrics *metrics, const struct booking_job *job)
{
	const char *feed = job->feed != NULL ? job->feed->name : "unknown";
	char labels[160];

	for (size_t i = 0; i < job->intake.n_lines;) {
		const struct charge_line *first = &job->intake.lines[i];
		const char *ending = ending_of(first);
		size_t n = 0;
		for (; i < job->intake.n_lines; i++, n++) {	/* runs of one outcome: one look-up */
			const char *other = ending_of(&job->intake.lines[i]);
			if (other != ending && strcmp(other, ending) != 0)
				break;
		}
		if (job->feed != NULL && first->refused.reason == NULL && first->outcome == OUTCOME_POSTED) {
			metric_add(job->feed->lines_posted, (int64_t)n);	/* nearly all of them: no look-up */
			continue;
		}
		snprintf(labels, sizeof(labels), "feed=\"%s\",outcome=\"%s\"", feed, ending);
		metric_add(metrics_series(metrics, "visitbill_lines_total", METRIC_COUNTER, "Charge lines by feed and outcome.", labels), (int64_t)n);
	}
}
