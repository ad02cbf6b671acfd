/* Answers: JSON, problems, and what an SQL function said. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/log.h"
#include "base/memory.h"
#include "proto/problem.h"

enum { NUMBER_DIGITS = 18 };	/* what a bigint holds, whatever they are */

void
api_reply_json(struct call *c, int status, struct view body)
{
	http_reply(c->request, status, "application/json", NULL, body);
}

void
api_refuse(struct call *c, const struct refusal *r)
{
	int status;
	struct view body = problem_json(c->arena, r, &status);
	const char *extra = status == 401 ? "WWW-Authenticate: Bearer\r\n" : status == 503 ? "Retry-After: 2\r\n"
	    : status == 429 ? "Retry-After: 60\r\n" : NULL;

	http_reply(c->request, status, "application/problem+json", extra, body);
}

void
api_problem(struct call *c, const char *reason, const char *detail, const char *pointer)
{
	struct refusal r = {reason, detail, pointer};

	api_refuse(c, &r);
}

void
api_reply_database(struct call *c, const struct pg_outcome *outcome)
{
	enum pg_cause cause = pg_cause_of(outcome);
	bool took_too_long = strcmp(outcome->sqlstate, "57014") == 0;	/* the server was slow: asked again, it may not be */

	if ((cause == PG_CAUSE_DATA || cause == PG_CAUSE_OTHER) && !took_too_long) {
		log_error("api.database", "sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
		api_problem(c, "internal", NULL, NULL);
	} else {
		api_problem(c, "unavailable", NULL, NULL);
	}
}

void
api_reply_outcome(struct call *c, enum outcome outcome, struct view doc, int status)
{
	if (outcome_is_fine(outcome))
		api_reply_json(c, outcome == OUTCOME_DONE ? status : 200, doc);
	else
		api_problem(c, outcome_reason(outcome)->name, doc.n > 0 ? doc.p : NULL, NULL);	/* the document of a refusal is a sentence */
}

struct sql_reply {
	struct call *call;
	int status;
	const char *missing;
};

static void
on_sql(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct sql_reply *r = arg;

	if (outcome->verdict != PG_DONE)
		api_reply_database(r->call, outcome);
	else if (PQntuples(result) == 0)
		api_problem(r->call, r->missing, NULL, NULL);
	else
		api_reply_outcome(r->call, outcome_of(pool_value(result, "outcome")), pool_value(result, "doc"), r->status);
}

void
api_reply_sql(struct call *c, enum statement s, const struct pg_param *params, int n, int status, const char *missing)
{
	struct sql_reply *r = arena_alloc(c->arena, sizeof(*r));

	*r = (struct sql_reply){c, status, missing};
	if (pool_call(c->core->pool, s, params, n, on_sql, r) != 0)
		api_problem(c, "unavailable", NULL, NULL);
}

bool
api_is_id(struct view v)
{
	return v.n > 0 && v.n <= NUMBER_DIGITS && strspn(v.p, "0123456789") == v.n;
}

int64_t
api_query_number(struct call *c, const char *name, int64_t fallback)
{
	struct view v = api_query(c, name);

	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return -1;
	return v.n == 0 ? fallback : v.n > NUMBER_DIGITS ? -1 : strtoll(arena_printf(c->arena, "%.*s", (int)v.n, v.p), NULL, 10);
}

struct pg_param
api_number(struct call *c, int64_t n)
{
	return (struct pg_param){view_of(arena_printf(c->arena, "%lld", (long long)n)), false};
}

struct pg_param
api_text(struct view v)
{
	return (struct pg_param){v.n > 0 ? v : VIEW_NONE, false};
}

struct pg_param
api_facilities(const struct call *c)
{
	return (struct pg_param){view_of(c->who.scope), false};
}

bool
api_wants_json(struct call *c)
{
	struct view type = http_header(c->request, "content-type");

	if (c->request->body.n == 0 || (type.n >= 16 && strncasecmp(type.p, "application/json", 16) == 0
	    && (type.n == 16 || type.p[16] == ';' || type.p[16] == ' ')))
		return true;
	api_problem(c, "media_type", NULL, NULL);
	return false;
}
