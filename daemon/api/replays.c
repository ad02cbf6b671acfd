/* POST /v1/quarantine/{id}/replay, and of all that a filter means. */
#include <stdlib.h>

#include "api/api.h"
#include "intake/booking.h"
#include "intake/replay.h"
#include "proto/json/quarantine.h"
#include "proto/text.h"

/* ------- one */

static void
reply_one(struct call *c, struct view outcome, bool resolved)
{
	struct text t = text_begin(c->arena, 128);

	text_string(&t, "{\"id\":");
	text_put(&t, c->params[0]);
	text_string(&t, ",\"outcome\":");
	text_quoted(&t, outcome);
	text_string(&t, resolved ? ",\"state\":\"resolved\"}" : ",\"state\":\"waiting\"}");
	api_reply_json(c, 200, text_view(&t));
}

static void
on_replayed(void *arg, const struct replay_result *const *results, size_t n)
{
	struct call *c = arg;

	if (n == 1 && strcmp(results[0]->outcome, "unavailable") == 0)
		api_problem(c, "unavailable", NULL, NULL);
	else
		reply_one(c, view_of(results[0]->outcome), results[0]->resolved);
}

static void
on_bytes(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct call *c = arg;

	if (outcome->verdict != PG_DONE) {
		api_reply_database(c, outcome);
	} else if (PQntuples(result) == 0) {
		api_problem(c, "quarantine_unknown", NULL, NULL);
	} else if (pool_value(result, "ended").p != NULL) {	/* how it ended stays */
		reply_one(c, pool_value(result, "ended"), true);
	} else {
		replay_message(c->core, result, 0, 1, c->who.name, c->who.scope, true, on_replayed, c);
	}
}

void
api_post_replay(struct call *c)
{
	struct view id = c->params[0];

	if (!api_is_id(id)) {
		api_problem(c, "quarantine_unknown", NULL, NULL);
		return;
	}
	struct pg_param params[] = {api_text(id), api_facilities(c)};
	if (pool_call(c->core->pool, SQL_QUARANTINE_BYTES, params, 2, on_bytes, c) != 0)
		api_problem(c, "unavailable", NULL, NULL);
}

/* ------- many */

enum { OUTCOMES_SHOWN = 64 };		/* told apart in an answer; the table of reasons has some more, which one call does not meet */

struct replays {
	struct call *call;
	int messages;			/* in work */
	size_t entries, resolved, unavailable;
	struct { char name[40]; size_t n; } outcomes[OUTCOMES_SHOWN];
	struct view next;		/* empty: all were looked at */
};

static void
count(struct replays *r, const char *outcome)
{
	size_t i = 0;

	while (i < OUTCOMES_SHOWN - 1 && r->outcomes[i].n > 0 && strcmp(r->outcomes[i].name, outcome) != 0)
		i++;
	if (r->outcomes[i].n == 0)
		snprintf(r->outcomes[i].name, sizeof(r->outcomes[i].name), "%s", outcome);
	r->outcomes[i].n++;
}

static void
reply_many(struct replays *r)
{
	struct call *c = r->call;
	struct text t = text_begin(c->arena, 256);

	if (r->unavailable > 0) {
		api_problem(c, "unavailable", arena_printf(c->arena, "%zu of %zu entries could not be booked now; what was booked is resolved; send again",
		    r->unavailable, r->entries), NULL);
		return;
	}
	text_string(&t, "{\"replayed\":");
	text_number(&t, (int64_t)r->entries);
	text_string(&t, ",\"resolved\":");
	text_number(&t, (int64_t)r->resolved);
	text_string(&t, ",\"outcomes\":{");
	for (size_t i = 0; i < OUTCOMES_SHOWN && r->outcomes[i].n > 0; i++) {
		text_string(&t, i > 0 ? ",\"" : "\"");
		text_string(&t, r->outcomes[i].name);
		text_string(&t, "\":");
		text_number(&t, (int64_t)r->outcomes[i].n);
	}
	text_string(&t, "},\"next\":");
	text_put(&t, r->next.n > 0 ? r->next : VIEW_LITERAL("null"));
	text_char(&t, '}');
	api_reply_json(c, 200, text_view(&t));
}

static void
on_message_replayed(void *arg, const struct replay_result *const *results, size_t n)
{
	struct replays *r = arg;

	for (size_t i = 0; i < n; i++) {
		r->entries++;
		r->resolved += results[i]->resolved;
		r->unavailable += strcmp(results[i]->outcome, "unavailable") == 0;
		count(r, results[i]->outcome);
	}
	if (--r->messages == 0)
		reply_many(r);
}

static void
on_replayable(void *arg, const struct pg_outcome *outcome, const PGresult *rows)
{
	struct replays *r = arg;
	struct call *c = r->call;

	if (outcome->verdict != PG_DONE) {
		api_reply_database(c, outcome);
		return;
	}
	int n = PQntuples(rows), of_one;
	if (n > 0) {
		struct view next = pool_value(rows, "next");
		r->next = arena_copy(c->arena, next.p, next.n);
	}
	if (pool_value(rows, "quarantine_id").p == NULL) {
		reply_many(r);
		return;
	}
	for (int row = 0; row < n; row += replay_rows_of(rows, row))
		r->messages++;
	for (int row = 0; row < n; row += of_one) {
		of_one = replay_rows_of(rows, row);
		replay_message(c->core, rows, row, of_one, c->who.name, c->who.scope, true, on_message_replayed, r);
	}
}

void
api_post_replays(struct call *c)
{
	struct quarantine_request q;
	struct replays *r = arena_alloc(c->arena, sizeof(*r));

	if (!api_quarantine_request(c, &q))
		return;
	if (!booking_is_available(c->core->booking) || booking_weight(c->core->booking) >= (size_t)c->settings->mllp.queue_lines) {
		api_problem(c, booking_is_available(c->core->booking) ? "busy" : "unavailable", NULL, NULL);
		return;
	}
	r->call = c;
	struct pg_param params[] = {{q.filter, false}, {view_of(arena_printf(c->arena, "%lld", (long long)q.limit)), false},
	    {view_of(arena_printf(c->arena, "%lld", (long long)q.after)), false}, api_facilities(c)};
	if (pool_call(c->core->pool, SQL_QUARANTINE_REPLAYABLE, params, 4, on_replayable, r) != 0)
		api_problem(c, "unavailable", NULL, NULL);
}
