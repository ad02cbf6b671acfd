/* Problem details. */
#include "problem.h"

#include <stdio.h>

#include "reason.h"

struct view
json_quote(struct arena *a, struct view text)
{
	char *out = arena_alloc(a, text.n * 6 + 3);
	size_t n = 0;

	out[n++] = '"';
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c < 0x20) {
			n += (size_t)snprintf(out + n, 7, "\\u%04x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n++] = '"';
	return (struct view){out, n};
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
