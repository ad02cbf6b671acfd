/* Connections to no database, in the place of db/pg.c: a program that includes this is linked with them instead. What is called is kept until the test says
 * what became of it; the clock is the test's. As the real ones they call nobody before the function that was given the callback has returned. */
#ifndef VB_TESTS_CHECK_PG_H
#define VB_TESTS_CHECK_PG_H

#include <endian.h>
#include <event2/event.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/turn.h"
#include "check_main.h"
#include "db/column.h"
#include "db/pg.h"

enum { FAKE_PGS = 8, FAKE_CALLS = 32, FAKE_PARAMS = 40 };

struct fake_call {
	enum statement statement;
	int n;
	struct { char *p; size_t n; bool is_null, binary; } params[FAKE_PARAMS];
	pg_result_fn fn;
	void *arg;
};

struct pg {
	pg_state_fn on_state;
	void *arg;
	bool ready;
	struct fake_call calls[FAKE_CALLS];	/* of the segment */
	int n_calls;
	pg_done_fn done;			/* NULL: nothing is in flight */
	void *done_arg;
	unsigned segments;			/* sent so far */
	int64_t sent_at;			/* the last one of them */
	int tried, refuses;			/* calls of the segment; which of them it does not take, from 1 */
};

/* In the order in which they were made. */
static struct pg *fake_pgs[FAKE_PGS];
static int n_fake_pgs;
static int64_t fake_now;

/* ------- pg.h */

struct pg *
pg_new(struct event_base *base, const struct pg_config *config, const char *name, pg_state_fn on_state, void *arg)
{
	struct pg *pg = memory_new(sizeof(*pg));

	(void)base, (void)config, (void)name;
	pg->on_state = on_state;
	pg->arg = arg;
	ck_assert_int_lt(n_fake_pgs, FAKE_PGS);
	fake_pgs[n_fake_pgs++] = pg;
	return pg;
}

static void
fake_forget(struct pg *pg)
{
	for (int i = 0; i < pg->n_calls; i++)
		for (int k = 0; k < pg->calls[i].n; k++)
			free(pg->calls[i].params[k].p);
	pg->n_calls = pg->tried = 0;
}

void
pg_free(struct pg *pg)
{
	if (pg != NULL)
		fake_forget(pg);
	free(pg);
}

bool
pg_is_ready(const struct pg *pg)
{
	return pg->ready;
}

int
pg_call(struct pg *pg, enum statement s, const struct pg_param *params, int n, pg_result_fn fn, void *arg)
{
	if (!pg->ready || ++pg->tried == pg->refuses)
		return -1;
	ck_assert_ptr_null(pg->done);		/* nothing is sent behind a batch in flight */
	ck_assert_int_lt(pg->n_calls, FAKE_CALLS);
	ck_assert_int_le(n, FAKE_PARAMS);
	struct fake_call *c = &pg->calls[pg->n_calls++];
	*c = (struct fake_call){.statement = s, .n = n, .fn = fn, .arg = arg};
	for (int i = 0; i < n; i++) {
		c->params[i].n = params[i].v.n;
		c->params[i].is_null = params[i].v.p == NULL;
		c->params[i].binary = params[i].binary;
		if (!params[i].v.p)
			continue;
		c->params[i].p = memory_new(params[i].v.n + 1);
		memcpy(c->params[i].p, params[i].v.p, params[i].v.n);
		if (!params[i].binary)		/* libpq takes a text up to its NUL */
			ck_assert_uint_eq(strlen(params[i].v.p), params[i].v.n);
	}
	return 0;
}

void
pg_commit(struct pg *pg, pg_done_fn done, void *arg)
{
	ck_assert_ptr_null(pg->done);		/* one batch in flight */
	pg->done = done;
	pg->done_arg = arg;
	pg->segments++;
	pg->sent_at = fake_now;
}

static void fake_loses(struct pg *pg);

bool
pg_give_up(struct pg *pg, int64_t after_us)
{
	if (pg->done == NULL || fake_now - pg->sent_at <= after_us)
		return false;
	fake_loses(pg);
	return true;
}

/* ------- what a test says */

static inline void
fake_turns(struct event_base *base)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static inline void
fake_is_ready(struct pg *pg, bool ready)
{
	pg->ready = ready;
	pg->on_state(pg->arg, ready);
}

/* Time passes, and everybody looks at what is to be done by now. */
static inline void
fake_pass(struct event_base *base, int64_t us)
{
	clock_set_for_tests(fake_now += us);
	for (int i = 0; i < n_fake_pgs; i++)
		if (fake_pgs[i]->ready)
			fake_pgs[i]->on_state(fake_pgs[i]->arg, true);
	fake_turns(base);
}

static inline void
fake_end(struct pg *pg, enum pg_verdict verdict, const char *sqlstate)
{
	struct pg_outcome outcome = {.verdict = verdict, .message = verdict == PG_DONE ? "" : "the test says so"};
	pg_done_fn done = pg->done;

	ck_assert_ptr_nonnull(done);
	snprintf(outcome.sqlstate, sizeof(outcome.sqlstate), "%s", sqlstate);
	pg->done = NULL;
	fake_forget(pg);
	done(pg->done_arg, &outcome);
}

static inline void
fake_fails(struct pg *pg, const char *sqlstate)
{
	fake_end(pg, PG_FAILED, sqlstate);
}

/* The connection breaks: what was in flight is lost. */
static void
fake_loses(struct pg *pg)
{
	pg->ready = false;
	if (pg->done != NULL)
		fake_end(pg, PG_LOST, "");
	pg->on_state(pg->arg, false);
}

/* What the calls say comes; whether it is committed, not yet. answer makes the result of a call, for those that want one. */
static inline void
fake_answers(struct pg *pg, PGresult *(*answer)(const struct fake_call *call))
{
	ck_assert_ptr_nonnull(pg->done);
	for (int i = 0; i < pg->n_calls; i++)
		if (pg->calls[i].fn != NULL) {
			PGresult *r = answer(&pg->calls[i]);
			pg->calls[i].fn(pg->calls[i].arg, r);
			PQclear(r);
		}
}

static inline void
fake_commits(struct pg *pg, PGresult *(*answer)(const struct fake_call *call))
{
	fake_answers(pg, answer);
	fake_end(pg, PG_DONE, "");
}

/* A result of one row: names and values by turns, NULL after the last; a value of NULL is a null. */
static inline PGresult *
fake_row(const char *const *names_values, int columns)
{
	PGresAttDesc descriptions[8];
	PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	memset(descriptions, 0, sizeof(descriptions));
	ck_assert_int_le(columns, 8);
	for (int i = 0; i < columns; i++)
		descriptions[i].name = (char *)(uintptr_t)names_values[2 * i];
	ck_assert(PQsetResultAttrs(r, columns, descriptions));
	for (int i = 0; i < columns; i++) {
		const char *v = names_values[2 * i + 1];
		ck_assert(PQsetvalue(r, 0, i, (char *)(uintptr_t)v, v != NULL ? (int)strlen(v) : -1));
	}
	return r;
}

/* ------- what was said */

static inline uint32_t
fake_word(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return be32toh(v);
}

/* How many elements an array parameter has. */
static inline uint32_t
fake_count(const struct fake_call *c, int param)
{
	ck_assert_int_lt(param, c->n);
	ck_assert(c->params[param].binary && c->params[param].n >= 12);
	return fake_word(c->params[param].p) == 0 ? 0 : fake_word(c->params[param].p + 12);
}

/* A parameter as text: as it is, or an array's elements with commas between them, "-" for null. Static, of the last four calls. */
static inline const char *
fake_text(const struct fake_call *c, int param)
{
	static char texts[4][2000];
	static unsigned next;
	char *text = texts[next++ % 4];
	size_t used = 0;

	ck_assert_int_lt(param, c->n);
	text[0] = '\0';
	if (c->params[param].is_null)
		return "-";
	if (!c->params[param].binary) {
		snprintf(text, sizeof(texts[0]), "%s", c->params[param].p);
		return text;
	}
	const char *p = c->params[param].p, *end = p + c->params[param].n;
	uint32_t type = fake_word(p + 8);
	for (p += 20; p < end;) {
		int32_t n = (int32_t)fake_word(p);
		uint64_t eight;
		p += 4;
		used += (size_t)snprintf(text + used, sizeof(texts[0]) - used, "%s", used > 0 ? "," : "");
		if (n < 0)
			used += (size_t)snprintf(text + used, sizeof(texts[0]) - used, "-");
		else if (type == PG_INT4 || type == PG_DATE)
			used += (size_t)snprintf(text + used, sizeof(texts[0]) - used, "%d", (int)fake_word(p));
		else if (type == PG_INT8) {
			memcpy(&eight, p, 8);
			used += (size_t)snprintf(text + used, sizeof(texts[0]) - used, "%lld", (long long)be64toh(eight));
		} else
			used += (size_t)snprintf(text + used, sizeof(texts[0]) - used, "%.*s", n, p);
		p += n > 0 ? n : 0;
		ck_assert_uint_lt(used, sizeof(texts[0]) - 200);
	}
	return text;
}

/* A parameter's bytes: a binary value that is no array. */
static inline struct view
fake_bytes(const struct fake_call *c, int param)
{
	ck_assert_int_lt(param, c->n);
	return (struct view){c->params[param].p, c->params[param].is_null ? 0 : c->params[param].n};
}

static inline void
fake_begin(void)
{
	n_fake_pgs = 0;
	clock_set_for_tests(fake_now = INT64_C(1700000000) * 1000000);
}

#endif
