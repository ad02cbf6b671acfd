/* Charges that look like duplicates: the list, and a person's word that one is none. */
#include "api/api.h"
#include "proto/json/requests.h"

enum { LIMIT = 100, LIMIT_MOST = 1000 };

void
api_get_lookalikes(struct call *c)
{
	struct view state = api_query(c, "state");
	int64_t limit = api_query_number(c, "limit", LIMIT), after = api_query_number(c, "after", 0);

	if (state.n > 0 && !view_is(state, "waiting") && !view_is(state, "all")) {
		api_problem(c, "field_invalid", "state is waiting or all", "?state");
	} else if (limit < 1 || limit > LIMIT_MOST) {
		api_problem(c, "field_invalid", "limit is 1 to 1000", "?limit");
	} else if (after < 0) {
		api_problem(c, "field_invalid", "after is the id of one of them", "?after");
	} else {
		struct pg_param params[] = {{view_of(view_is(state, "all") ? "all" : "waiting"), false}, api_number(c, limit), api_number(c, after), api_facilities(c)};
		api_reply_sql(c, SQL_LOOKALIKE_LIST, params, 4, 200, "not_found");
	}
}

void
api_post_lookalike_dismiss(struct call *c)
{
	struct view id = c->params[0], why;
	struct refusal refused = {0};

	if (!api_wants_json(c))
		return;
	if (!api_is_id(id)) {
		api_problem(c, "lookalike_unknown", NULL, NULL);
	} else if (api_why_parse(c->request->body, c->arena, &why, &refused) != 0) {
		api_refuse(c, &refused);
	} else {
		struct pg_param params[] = {api_text(id), api_text(view_of(c->who.name)), api_text(why), api_facilities(c)};
		api_reply_sql(c, SQL_LOOKALIKE_DISMISS, params, 4, 200, "lookalike_unknown");
	}
}
