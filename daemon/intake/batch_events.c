/* Visit events as the arrays of visit_events, and quarantine_put. */
#include "batch_events.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "db/column.h"
#include "db/words.h"
#include "proto/reason.h"
#include "proto/utf8.h"

enum event_column {
	E_KIND, E_FEED, E_FACILITY, E_VISIT_NO, E_MESSAGE, E_SENT, E_AT, E_PATIENT_NO, E_PATIENT_NAME, E_BIRTH, E_SEX, E_CLASS, E_DEPARTMENT,
	E_LOCATION, E_OTHER_VISIT, E_OTHER_PATIENT, E_AMOUNT, E_SOURCE, E_DIGEST, E_NUMBER_KIND, E_OTHER_KIND, E_ACCOUNT, E_ALTERNATE, E_COLUMNS
};

static const enum pg_type types[E_COLUMNS] = {
	PG_TEXT, PG_INT4, PG_INT4, PG_TEXT, PG_TEXT, PG_TIMESTAMPTZ, PG_TIMESTAMPTZ, PG_TEXT, PG_TEXT, PG_DATE, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT,
	PG_TEXT, PG_TEXT, PG_INT8, PG_TEXT, PG_UUID, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT,
};

struct event_slot {
	struct charge_line *payment;	/* NULL: it is an event */
	struct visit_event *event;
};

struct event_step {
	struct column columns[E_COLUMNS];
	struct event_slot *slots;
	size_t n, room;
};

struct event_step *
event_step_new(void)
{
	return memory_new(sizeof(struct event_step));
}

void
event_step_free(struct event_step *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < E_COLUMNS; i++)
		column_free(&s->columns[i]);
	free(s->slots);
	free(s);
}

void
event_step_reset(struct event_step *s)
{
	for (unsigned i = 0; i < E_COLUMNS; i++)
		column_reset(&s->columns[i]);
	s->n = 0;
}

/* Null leaves the value, an empty text deletes it. */
static void
column_value_of(struct column *c, struct value v)
{
	if (v.deleted)
		column_text(c, VIEW_LITERAL(""));
	else
		column_text_or_null(c, v.text);
}

static void
add_common(struct event_step *s, const struct booking_job *job, const struct visit_ref *v, const char *kind, int64_t at, struct event_slot slot)
{
	struct column *c = s->columns;

	if (s->n == s->room) {
		s->room = s->room > 0 ? s->room * 2 : 64;
		s->slots = memory_resize(s->slots, s->room * sizeof(*s->slots));
	}
	s->slots[s->n++] = slot;
	column_text(&c[E_KIND], view_of(kind));
	column_int4(&c[E_FEED], job->feed->feed_id);
	column_int4(&c[E_FACILITY], v->facility_id);
	column_text_or_null(&c[E_VISIT_NO], v->visit_no);
	column_text_or_null(&c[E_MESSAGE], job->intake.message_id);
	column_timestamp(&c[E_SENT], job->intake.has_sent_at ? job->intake.sent_at : clock_now());
	column_timestamp(&c[E_AT], at);
	column_value_of(&c[E_PATIENT_NO], v->patient_no);
	column_value_of(&c[E_PATIENT_NAME], v->patient_name);
	column_text_or_null(&c[E_CLASS], view_of(v->visit_class));
	column_text_or_null(&c[E_NUMBER_KIND], view_of(v->number_kind));
	column_text_or_null(&c[E_ACCOUNT], v->account_no);
	column_text_or_null(&c[E_ALTERNATE], v->alternate_no);
}

void
event_step_add_event(struct event_step *s, const struct booking_job *job, struct visit_event *e)
{
	static const char *const kinds[] = {NULL, "open", "update", "discharge", "cancel", "reopen", "merge", "move"};
	struct column *c = s->columns;

	add_common(s, job, &job->intake.visits[e->visit], kinds[e->kind], e->at, (struct event_slot){NULL, e});
	if (e->has_birth_date)
		column_date(&c[E_BIRTH], e->birth_date);
	else
		column_null(&c[E_BIRTH]);
	column_value_of(&c[E_SEX], e->sex);
	column_value_of(&c[E_DEPARTMENT], e->department);
	column_value_of(&c[E_LOCATION], e->location);
	column_text_or_null(&c[E_OTHER_VISIT], e->other_visit_no);
	column_text_or_null(&c[E_OTHER_PATIENT], e->other_patient_no);
	column_text_or_null(&c[E_OTHER_KIND], view_of(e->other_kind));
	column_null(&c[E_AMOUNT]);
	column_null(&c[E_SOURCE]);
	column_null(&c[E_DIGEST]);
}

void
event_step_add_payment(struct event_step *s, const struct booking_job *job, const struct visit_ref *v, struct charge_line *l)
{
	static const enum event_column unused[] = {E_BIRTH, E_SEX, E_DEPARTMENT, E_LOCATION, E_OTHER_VISIT, E_OTHER_PATIENT, E_OTHER_KIND};

	add_common(s, job, v, "payment", l->charged_at, (struct event_slot){l, NULL});
	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++)
		column_null(&s->columns[unused[i]]);
	column_int8(&s->columns[E_AMOUNT], l->amount);
	column_text(&s->columns[E_SOURCE], l->source_line);
	column_uuid(&s->columns[E_DIGEST], l->digest);
}

static void
event_step_result(void *arg, const PGresult *result)
{
	struct event_step *s = arg;
	struct words outcomes = words_of(result, "outcomes");
	enum outcome outcome;

	for (size_t i = 0; i < s->n && words_next_outcome(&outcomes, &outcome); i++)
		if (s->slots[i].payment != NULL)
			s->slots[i].payment->outcome = outcome;
		else
			s->slots[i].event->outcome = outcome;
}

int
event_step_send(struct event_step *s, struct pg *pg)
{
	struct pg_param params[E_COLUMNS];

	if (s->n == 0)
		return 0;
	for (unsigned i = 0; i < E_COLUMNS; i++)
		params[i] = (struct pg_param){column_value(&s->columns[i], types[i]), true};
	return pg_call(pg, SQL_VISIT_EVENTS, params, E_COLUMNS, event_step_result, s);
}

enum park_column { Q_ORDINAL, Q_REASON, Q_DETAIL, Q_LOCATION, Q_FACILITY, Q_VISIT_NO, Q_SOURCE, Q_AWAITS, Q_COLUMNS };

static void
park_row(struct column *c, int ordinal, const struct refusal *r, const struct visit_ref *v, const struct charge_line *l)
{
	bool held = l != NULL && strcmp(r->reason, "held") == 0;

	column_int4(&c[Q_ORDINAL], ordinal);
	column_text(&c[Q_REASON], held ? VIEW_LITERAL("original_unknown") : view_of(r->reason));
	struct view detail = view_of(r->detail != NULL ? r->detail : r->reason);
	/* a detail quotes what was sent, and may cut a character in two */
	column_text(&c[Q_DETAIL], utf8_is_valid(detail) ? detail : view_of(reason_of(r->reason)->title));
	column_text_or_null(&c[Q_LOCATION], view_of(r->location));
	column_text_or_null(&c[Q_FACILITY], v != NULL ? v->facility : VIEW_NONE);
	column_text_or_null(&c[Q_VISIT_NO], v != NULL && !visit_is_by_patient(v) ? v->visit_no : VIEW_NONE);
	column_text_or_null(&c[Q_SOURCE], l != NULL ? l->source_line : VIEW_NONE);
	column_text_or_null(&c[Q_AWAITS], held ? l->reverses : VIEW_NONE);
}

int
park_send(const struct booking_job *job, struct pg *pg)
{
	const struct intake *in = &job->intake;
	struct column c[Q_COLUMNS] = {0};
	char feed[16], lines[16];
	int n = 0;

	for (unsigned i = 0; i < Q_COLUMNS; i++)
		column_reset(&c[i]);
	for (size_t i = 0; i < in->n_lines; i++)
		if (in->lines[i].refused.reason != NULL) {
			park_row(c, in->lines[i].ordinal, &in->lines[i].refused, in->n_visits > 0 ? &in->visits[in->lines[i].visit] : NULL, &in->lines[i]);
			n++;
		}
	if (n == 0)
		park_row(c, 0, &in->refused, in->n_visits > 0 ? &in->visits[0] : NULL, NULL);
	if (job->also.reason != NULL)
		park_row(c, 0, &job->also, in->n_visits > 0 ? &in->visits[0] : NULL, NULL);
	snprintf(feed, sizeof(feed), "%d", job->feed != NULL ? job->feed->feed_id : 0);
	snprintf(lines, sizeof(lines), "%d", n);
	struct pg_param params[] = {
		{job->feed != NULL ? view_of(feed) : VIEW_NONE, false}, {view_of(job->content_type), false}, {view_of(job->peer), false},
		{job->bytes, true}, {column_value(&c[Q_ORDINAL], PG_INT4), true}, {column_value(&c[Q_REASON], PG_TEXT), true},
		{column_value(&c[Q_DETAIL], PG_TEXT), true}, {column_value(&c[Q_LOCATION], PG_TEXT), true},
		{column_value(&c[Q_FACILITY], PG_TEXT), true}, {column_value(&c[Q_VISIT_NO], PG_TEXT), true},
		{column_value(&c[Q_SOURCE], PG_TEXT), true}, {column_value(&c[Q_AWAITS], PG_TEXT), true}, {view_of(lines), false},
		{job->operation, false},
	};
	int result = pg_call(pg, SQL_QUARANTINE_PUT, params, sizeof(params) / sizeof(params[0]), NULL, NULL);
	for (unsigned i = 0; i < Q_COLUMNS; i++)
		column_free(&c[i]);
	return result;
}
