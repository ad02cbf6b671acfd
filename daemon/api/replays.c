/* POST /v1/quarantine/{id}/replay. */
#include <stdlib.h>

#include "api/api.h"
#include "intake/replay.h"

static void
on_replayed(void *arg, struct view outcome, bool resolved)
{
	struct call *c = arg;

	if (view_is(outcome, "unavailable")) {
		api_problem(c, "unavailable", NULL, NULL);
		return;
	}
	api_reply_json(c, 200, view_of(arena_printf(c->arena, "{\"id\":%.*s,\"outcome\":\"%.*s\",\"state\":\"%s\"}", (int)c->params[0].n, c->params[0].p,
	    (int)outcome.n, outcome.p, resolved ? "resolved" : "waiting")));
}

static void
on_bytes(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct call *c = arg;

	if (outcome->verdict != PG_DONE)
		api_reply_database(c, outcome);
	else if (PQntuples(result) == 0)
		api_problem(c, "quarantine_unknown", NULL, NULL);
	else
		replay_row(c->core, result, 0, c->who.name, c->who.scope, on_replayed, c);
}

void
api_post_replay(struct call *c)
{
	struct view id = c->params[0];

	if (id.n == 0 || id.n > 18 || strspn(id.p, "0123456789") != id.n) {
		api_problem(c, "quarantine_unknown", NULL, NULL);
		return;
	}
	struct pg_param params[] = {api_text(id), api_facilities(c)};
	if (pool_call(c->core->pool, SQL_QUARANTINE_BYTES, params, 2, on_bytes, c) != 0)
		api_problem(c, "unavailable", NULL, NULL);
}
