/* Problem details. */
#include "problem.h"

#include "reason.h"
#include "text.h"

struct view
json_quote(struct arena *a, struct view text)
{
	struct text t = text_begin(a, text.n + 16);

	text_quoted(&t, text);
	return text_view(&t);
}

struct view
problem_json(struct arena *a, const struct refusal *r, int *ret_status)
{
	const struct reason *reason = reason_of(r->reason);
	struct view detail = json_quote(a, view_of(r->detail != NULL ? r->detail : reason->title));
	struct view pointer = r->location != NULL ? json_quote(a, view_of(r->location)) : VIEW_NONE;

	*ret_status = reason->http_status;
	return view_of(arena_printf(a, "{\"type\":\"urn:visitbill:problem:%s\",\"title\":\"%s\",\"status\":%d,\"detail\":%.*s,\"reason\":\"%s\",\"retry\":%s%s%.*s}",
	    reason->name, reason->title, reason->http_status, (int)detail.n, detail.p, reason->name, reason->retry ? "true" : "false",
	    pointer.n > 0 ? ",\"pointer\":" : "", (int)pointer.n, pointer.n > 0 ? pointer.p : ""));
}
