/* From outcomes to refusals, and to what is counted. */
#include "settle.h"

#include <stdio.h>
#include <string.h>

#include "intake/batch.h"
#include "proto/reason.h"

bool
charge_line_is_fine(const struct charge_line *l)
{
	return l->refused.reason == NULL || strcmp(l->refused.reason, "held") == 0;
}

/* An outcome that is not a booking becomes the line's refusal. */
static void
line_settle(struct charge_line *l, struct arena *a)
{
	if (l->refused.reason != NULL || l->outcome == NULL || strcmp(l->outcome, "posted") == 0 || strcmp(l->outcome, "late") == 0
	    || strcmp(l->outcome, "duplicate") == 0)
		return;
	l->refused = (struct refusal){reason_of(l->outcome)->name, reason_of(l->outcome)->title, NULL};
	if (strcmp(l->outcome, "price_unknown") == 0 && l->code.n > 0)
		l->refused.detail = arena_printf(a, "no amount, no unit price, and %.*s is not in the price list on that day", (int)l->code.n, l->code.p);
}

/* An event that was not done is the refusal of its message: what else is in it was done, and is done once. */
static void
event_settle(struct intake *in, const struct visit_event *e)
{
	if (e->outcome == NULL || strcmp(e->outcome, "done") == 0 || strcmp(e->outcome, "repeated") == 0 || in->refused.reason != NULL)
		return;
	in->refused = (struct refusal){reason_of(e->outcome)->name, reason_of(e->outcome)->title, in->visits[e->visit].location};
}

void
settle_posting(struct posting *p)
{
	struct intake *in = &p->job->intake;

	if (p->kind == POSTING_LINES)
		for (size_t i = 0; i < p->n; i++)
			line_settle(&in->lines[p->first + i], &in->arena);
	else if (p->kind == POSTING_EVENT)
		event_settle(in, &in->events[p->first]);
}

bool
settle_has_refusals(const struct booking_job *job)
{
	if (job->intake.refused.reason != NULL)
		return true;
	for (size_t i = 0; i < job->intake.n_lines; i++)
		if (job->intake.lines[i].refused.reason != NULL)
			return true;
	return false;
}

void
settle_count(struct metrics *metrics, const struct booking_job *job)
{
	const char *feed = job->feed != NULL ? job->feed->name : "unknown";
	char labels[160];

	for (size_t i = 0; i < job->intake.n_lines;) {
		const struct charge_line *l = &job->intake.lines[i];
		const char *outcome = l->refused.reason != NULL ? l->refused.reason : l->outcome;
		size_t n = 0;
		for (; i < job->intake.n_lines; i++, n++) {	/* runs of one outcome: one look-up */
			const struct charge_line *k = &job->intake.lines[i];
			const char *other = k->refused.reason != NULL ? k->refused.reason : k->outcome;
			if (other != outcome && (other == NULL || outcome == NULL || strcmp(other, outcome) != 0))
				break;
		}
		if (job->feed != NULL && outcome != NULL && strcmp(outcome, "posted") == 0) {
			metric_add(job->feed->lines_posted, (int64_t)n);	/* nearly all of them: no look-up */
			continue;
		}
		snprintf(labels, sizeof(labels), "feed=\"%s\",outcome=\"%s\"", feed, outcome != NULL ? outcome : "none");
		metric_add(metrics_series(metrics, "visitbill_lines_total", METRIC_COUNTER, "Charge lines by feed and outcome.", labels), (int64_t)n);
	}
}
