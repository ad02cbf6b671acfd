/* Every visit by its numbers, the visits that a merge takes from, those of a patient where that is all an event names, and what his lines may go to. */
#include "batch_locks.h"

#include "db/column.h"

enum {
	K_FACILITY, K_VISIT_NO, K_OWN_NO, K_PATIENT_NO,
	K_OF_FACILITY, K_OF_PATIENT,					/* patients that lines name */
	K_LINE_OF, K_FEED, K_SOURCE, K_DIGEST, K_REVERSES, K_COLUMNS	/* the lines */
};

enum { LINES_LOOKED_AT = 100 };		/* of a message, as by visits_of_patients of sql/functions/10_visits.sql */

static const enum pg_type types[K_COLUMNS] = {
	PG_INT4, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT4, PG_TEXT, PG_INT4, PG_INT4, PG_TEXT, PG_UUID, PG_TEXT,
};

static void
add(struct column *c, int facility_id, struct view visit_no, struct view own_no, struct view patient_no)
{
	column_int4(&c[K_FACILITY], facility_id);
	column_text_or_null(&c[K_VISIT_NO], visit_no);
	column_text_or_null(&c[K_OWN_NO], own_no);
	column_text_or_null(&c[K_PATIENT_NO], patient_no);
}

static void
add_event(struct column *c, const struct visit_event *e, const struct visit_ref *v)
{
	add(c, v->facility_id, v->visit_no, v->account_no, v->visit_no.n == 0 ? v->patient_no.text : VIEW_NONE);
	if (v->alternate_no.n > 0)
		add(c, v->facility_id, VIEW_NONE, v->alternate_no, VIEW_NONE);
	if (e->kind == EVENT_MERGE)
		add(c, v->facility_id, e->other_visit_no, VIEW_NONE, e->other_patient_no);
}

static void
add_lines_by_patient(struct column *c, const struct part *p, const struct visit_ref *v)
{
	const struct charge_line *l = &p->job->intake.lines[p->first], *end = l + p->n;

	column_int4(&c[K_OF_FACILITY], v->facility_id);
	column_text(&c[K_OF_PATIENT], v->visit_no);
	for (int n = 0; l < end && n < LINES_LOOKED_AT; l++) {
		if (l->refused.reason != NULL)
			continue;
		n++;
		column_int4(&c[K_LINE_OF], (int32_t)c[K_OF_FACILITY].count);
		column_int4(&c[K_FEED], p->job->feed->feed_id);
		column_text(&c[K_SOURCE], l->source_line);
		column_uuid(&c[K_DIGEST], l->digest);
		column_text_or_null(&c[K_REVERSES], l->reverses);
	}
}

int
batch_hold_visits(const struct lane_list *parts, struct pg *pg)
{
	struct column c[K_COLUMNS] = {0};
	struct pg_param params[K_COLUMNS];
	const struct lane_item *item;

	for (unsigned i = 0; i < K_COLUMNS; i++)
		column_reset(&c[i]);
	STAILQ_FOREACH(item, parts, link) {
		const struct part *p = (const struct part *)item;
		const struct intake *in = &p->job->intake;
		if (p->kind == PART_LINES) {
			const struct visit_ref *v = &in->visits[in->lines[p->first].visit];
			if (visit_is_by_patient(v))
				add_lines_by_patient(c, p, v);
			else
				add(c, v->facility_id, v->visit_no, VIEW_NONE, VIEW_NONE);
		} else if (p->kind == PART_EVENT) {
			const struct visit_event *e = &in->events[p->first];
			add_event(c, e, &in->visits[e->visit]);
		}
	}
	for (unsigned i = 0; i < K_COLUMNS; i++)
		params[i] = (struct pg_param){column_value(&c[i], types[i]), true};
	int result = pg_call(pg, SQL_VISITS_HOLD, params, K_COLUMNS, NULL, NULL);
	for (unsigned i = 0; i < K_COLUMNS; i++)
		column_free(&c[i]);
	return result;
}
