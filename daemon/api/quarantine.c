/* The quarantine for people: lists, what a replay or a dismissal would be of, dismissals. (Replays are in replays.c.) */
#include <string.h>

#include "api/api.h"
#include "proto/json/quarantine.h"

enum { LIMIT = 100, LIMIT_MOST = 10000 };

void
api_get_quarantine(struct call *c)
{
	struct quarantine_filter f = {0};
	struct view filter;
	const char *member, *complaint;
	int64_t limit = api_query_number(c, "limit", LIMIT), after = api_query_number(c, "after", 0);

	for (size_t i = 0; i < quarantine_n_members; i++) {
		struct view v = api_query(c, quarantine_members[i].name);
		memcpy((char *)&f + quarantine_members[i].offset, &v, sizeof(v));
	}
	if ((complaint = quarantine_filter_json(&f, (int)c->settings->hospital.utc_offset, c->arena, &filter, &member)) != NULL) {
		api_problem(c, "field_invalid", arena_printf(c->arena, "%s %s", member, complaint), arena_printf(c->arena, "?%s", member));
	} else if (limit < 1 || limit > LIMIT_MOST) {
		api_problem(c, "field_invalid", "limit is 1 to 10000", "?limit");
	} else if (after < 0) {
		api_problem(c, "field_invalid", "after is the id of an entry", "?after");
	} else {
		struct pg_param params[] = {{filter, false}, api_number(c, limit), api_number(c, after), api_facilities(c)};
		api_reply_sql(c, SQL_QUARANTINE_LIST, params, 4, 200, "not_found");
	}
}

bool
api_quarantine_request(struct call *c, struct quarantine_request *ret)
{
	struct refusal refused = {0};

	if (!api_wants_json(c))
		return false;
	if (quarantine_request_parse(c->request->body, (int)c->settings->hospital.utc_offset, c->arena, ret, &refused) != 0) {
		api_refuse(c, &refused);
		return false;
	}
	if (ret->limit == 0)
		ret->limit = LIMIT;
	if (!ret->dry_run)
		return true;
	struct pg_param params[] = {{ret->filter, false}, api_number(c, ret->after), api_facilities(c)};
	api_reply_sql(c, SQL_QUARANTINE_SUMMARY, params, 3, 200, "not_found");
	return false;
}

void
api_post_dismissals(struct call *c)
{
	struct quarantine_request q;

	if (!api_quarantine_request(c, &q))
		return;
	if (q.why.n == 0) {
		api_problem(c, "field_missing", "why it needs no booking stays in the books", "/why");
		return;
	}
	struct pg_param params[] = {{q.filter, false}, api_number(c, q.limit), api_number(c, q.after), api_text(view_of(c->who.name)), {q.why, false},
	    api_facilities(c)};
	api_reply_sql(c, SQL_QUARANTINE_DISMISS, params, 6, 200, "not_found");
}
