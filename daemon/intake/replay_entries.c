/* Outcomes, line by line. A message as a whole is booked when nothing of it was refused. */
#include "replay_entries.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "db/column.h"
#include "proto/reason.h"

static int
by_ordinal(const void *a, const void *b)
{
	const struct replay_entry *x = a, *y = b;

	return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

void
entries_read(struct replay_entries *e, const PGresult *rows, int first, int n)
{
	int id = PQfnumber(rows, "quarantine_id"), ordinal = PQfnumber(rows, "ordinal");

	e->n = (size_t)n;
	e->list = memory_new(e->n * sizeof(*e->list));
	for (int i = 0; i < n; i++) {
		struct replay_entry *entry = &e->list[i];
		entry->result.id = strtoll(PQgetvalue(rows, first + i, id), NULL, 10);
		entry->ordinal = atoi(PQgetvalue(rows, first + i, ordinal));
	}
	qsort(e->list, e->n, sizeof(*e->list), by_ordinal);
}

void
entries_free(struct replay_entries *e)
{
	free(e->list);
	*e = (struct replay_entries){0};
}

static struct replay_entry *
find(const struct replay_entries *e, int ordinal)
{
	const struct replay_entry key = {.ordinal = ordinal};

	return bsearch(&key, e->list, e->n, sizeof(*e->list), by_ordinal);
}

/* Those of a whole message come alone. */
static bool
are_of_the_whole(const struct replay_entries *e)
{
	return e->list[0].ordinal == 0;
}

void
entries_keep_lines(const struct replay_entries *e, struct intake *in)
{
	size_t kept = 0;

	if (are_of_the_whole(e))
		return;
	for (size_t i = 0; i < in->n_lines; i++)
		if (find(e, in->lines[i].ordinal) != NULL)
			in->lines[kept++] = in->lines[i];
	in->n_lines = kept;
}

static void
set_name(struct replay_entry *e, const char *name, bool resolved)
{
	snprintf(e->result.outcome, sizeof(e->result.outcome), "%s", name);
	e->result.resolved = resolved;
}

static void
set_outcome(struct replay_entry *e, enum outcome outcome)
{
	set_name(e, outcome_name(outcome), outcome_is_fine(outcome));
}

static void
set_refused(struct replay_entry *e, const struct refusal *r)
{
	e->refused = *r;
	set_name(e, r->reason, false);
}

static void
judge_whole(struct replay_entry *e, const struct intake *in)
{
	if (in->refused.reason != NULL) {
		set_refused(e, &in->refused);
		return;
	}
	for (size_t i = 0; i < in->n_lines; i++)
		if (in->lines[i].refused.reason != NULL) {
			set_refused(e, &in->lines[i].refused);
			return;
		}
	set_outcome(e, in->n_lines > 0 ? in->lines[0].outcome : in->n_events > 0 ? in->events[0].outcome : OUTCOME_DONE);
}

/* All entries of the line: it may wait for several reasons. */
static void
judge_line(const struct replay_entries *e, const struct charge_line *l, const struct refusal *of_message)
{
	const struct refusal *refused = l->refused.reason == NULL && l->outcome == OUTCOME_NONE ? of_message : &l->refused;
	struct replay_entry *entry = find(e, l->ordinal);

	if (entry == NULL)
		return;
	while (entry > e->list && entry[-1].ordinal == l->ordinal)
		entry--;
	for (; entry < e->list + e->n && entry->ordinal == l->ordinal; entry++) {
		if (refused->reason != NULL)
			set_refused(entry, refused);
		else
			set_outcome(entry, l->outcome);
	}
}

bool
entries_judge(struct replay_entries *e, const struct intake *in)
{
	static const struct refusal gone = {"no_lines", "the message has no such line", NULL};
	const struct refusal *missing = in->refused.reason != NULL ? &in->refused : &gone;
	bool anything = false;

	for (size_t i = 0; i < e->n; i++) {
		if (e->list[i].ordinal == 0)
			judge_whole(&e->list[i], in);
		else
			set_refused(&e->list[i], missing);	/* unless it is found */
	}
	for (size_t i = 0; i < in->n_lines && !are_of_the_whole(e); i++)
		judge_line(e, &in->lines[i], missing);
	for (size_t i = 0; i < e->n; i++)
		anything = anything || strcmp(e->list[i].result.outcome, "held") != 0;
	return anything;
}

void
entries_unavailable(struct replay_entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		set_outcome(&e->list[i], OUTCOME_UNAVAILABLE);
}

int
entries_tell(const struct replay_entries *e, struct pool *pool, const char *by, const char *scope, pool_fn fn, void *arg)
{
	struct column ids = {0}, outcomes = {0}, details = {0}, locations = {0};

	column_reset(&ids);
	column_reset(&outcomes);
	column_reset(&details);
	column_reset(&locations);
	for (size_t i = 0; i < e->n; i++) {
		const struct replay_entry *entry = &e->list[i];
		if (strcmp(entry->result.outcome, "held") == 0)		/* it waits on as it did */
			continue;
		const char *detail = entry->refused.detail != NULL ? entry->refused.detail : reason_of(entry->result.outcome)->title;
		column_int8(&ids, entry->result.id);
		column_text(&outcomes, view_of(entry->result.outcome));
		column_text(&details, view_of(detail));
		column_text_or_null(&locations, view_of(entry->refused.location));
	}
	struct pg_param params[] = {
		{column_value(&ids, PG_INT8), true}, {column_value(&outcomes, PG_TEXT), true}, {column_value(&details, PG_TEXT), true},
		{column_value(&locations, PG_TEXT), true}, {view_of(by), false}, {view_of(scope), false},
	};
	int result = pool_call(pool, SQL_QUARANTINE_REPLAYED, params, sizeof(params) / sizeof(params[0]), fn, arg);
	column_free(&ids);
	column_free(&outcomes);
	column_free(&details);
	column_free(&locations);
	return result;
}
