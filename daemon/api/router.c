/* From a request's header to its handler: the table of routes, who is asking, and whether they may. All of it before a body is taken. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "proto/fields.h"
#include "proto/percent.h"
#include "proto/problem.h"

enum body { NO_BODY, SMALL_BODY, LARGE_BODY };

enum { SMALL_BYTES = 65536 };

struct route {
	const char *method, *pattern;	/* {} stands for one segment */
	unsigned roles;			/* of callers; also what a listener must serve */
	enum body body;
	bool open;			/* no caller has to be known */
	void (*handle)(struct call *c);
	enum field params[CALL_PARAMS];	/* what the segments are */
};

static const struct route routes[] = {
	{"POST", "/v1/charges", MAY_FEED, LARGE_BODY, false, api_post_charges, {0}},
	{"POST", "/v1/visits", MAY_FEED, SMALL_BODY, false, api_post_visit, {0}},
	{"POST", "/v1/visits/{}/{}/discharge", MAY_FEED, SMALL_BODY, false, api_post_discharge, {FIELD_FACILITY, FIELD_VISIT_NO}},
	{"DELETE", "/v1/visits/{}/{}/discharge", MAY_FEED, SMALL_BODY, false, api_delete_discharge, {FIELD_FACILITY, FIELD_VISIT_NO}},
	{"GET", "/v1/visits/{}/{}", MAY_FEED | MAY_KIOSK | MAY_DESK, NO_BODY, false, api_get_visit, {FIELD_FACILITY, FIELD_VISIT_NO}},
	{"GET", "/v1/visits/{}/{}/bills", MAY_FEED | MAY_KIOSK | MAY_DESK, NO_BODY, false, api_get_visit_bills, {FIELD_FACILITY, FIELD_VISIT_NO}},
	{"POST", "/v1/visits/{}/{}/settle", MAY_KIOSK | MAY_DESK, SMALL_BODY, false, api_post_settle, {FIELD_FACILITY, FIELD_VISIT_NO}},
	{"GET", "/v1/visits/{}/{}/statement", MAY_FEED | MAY_KIOSK | MAY_DESK, NO_BODY, false, api_get_statement, {FIELD_FACILITY, FIELD_VISIT_NO}},
	{"GET", "/v1/bills/{}", MAY_KIOSK | MAY_DESK, NO_BODY, false, api_get_bill, {FIELD_BILL}},
	{"GET", "/v1/bills/{}/events", MAY_KIOSK | MAY_DESK, NO_BODY, false, api_get_bill_events, {FIELD_BILL}},
	{"POST", "/v1/bills/{}/payments", MAY_KIOSK | MAY_DESK, SMALL_BODY, false, api_post_payment, {FIELD_BILL}},
	{"GET", "/v1/payments/{}", MAY_KIOSK | MAY_DESK, NO_BODY, false, api_get_payment, {FIELD_PAYMENT}},
	{"POST", "/v1/payments/{}/cancel", MAY_KIOSK | MAY_DESK, SMALL_BODY, false, api_post_payment_cancel, {FIELD_PAYMENT}},
	{"GET", "/v1/receipts/{}", MAY_KIOSK | MAY_DESK, NO_BODY, false, api_get_receipt, {FIELD_RECEIPT}},
	{"GET", "/v1/quarantine", MAY_DESK | MAY_OPS, NO_BODY, false, api_get_quarantine, {0}},
	{"POST", "/v1/quarantine/replay", MAY_DESK | MAY_OPS, SMALL_BODY, false, api_post_replays, {0}},
	{"POST", "/v1/quarantine/dismiss", MAY_DESK | MAY_OPS, SMALL_BODY, false, api_post_dismissals, {0}},
	{"POST", "/v1/quarantine/{}/replay", MAY_DESK | MAY_OPS, SMALL_BODY, false, api_post_replay, {FIELD_QUARANTINE}},
	{"GET", "/v1/feeds/{}", MAY_DESK | MAY_OPS, NO_BODY, false, api_get_feed, {FIELD_FEED}},
	{"GET", "/v1/lookalikes", MAY_DESK | MAY_OPS, NO_BODY, false, api_get_lookalikes, {0}},
	{"POST", "/v1/lookalikes/{}/dismiss", MAY_DESK | MAY_OPS, SMALL_BODY, false, api_post_lookalike_dismiss, {FIELD_LOOKALIKE}},
	{"POST", "/v1/feeds/{}/try", MAY_DESK | MAY_OPS, LARGE_BODY, false, api_post_feed_try, {FIELD_FEED}},
	{"POST", "/notify/wechatpay/{}", MAY_NOTIFY, SMALL_BODY, true, api_post_wechatpay_notification, {FIELD_MERCHANT}},
	{"GET", "/healthz", MAY_OPS, NO_BODY, true, api_get_healthz, {0}},
	{"GET", "/readyz", MAY_OPS, NO_BODY, true, api_get_readyz, {0}},
	{"GET", "/metrics", MAY_OPS, NO_BODY, true, api_get_metrics, {0}},
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

struct view
api_query(struct call *c, const char *name)
{
	struct view rest = c->request->query, decoded;

	while (rest.n > 0) {
		const char *amp = memchr(rest.p, '&', rest.n);
		struct view pair = {rest.p, amp != NULL ? (size_t)(amp - rest.p) : rest.n};
		rest = amp != NULL ? (struct view){amp + 1, rest.n - pair.n - 1} : VIEW_NONE;
		const char *equal = memchr(pair.p, '=', pair.n);
		struct view key = {pair.p, equal != NULL ? (size_t)(equal - pair.p) : pair.n};
		if (equal != NULL && view_is(key, name)
		    && percent_decode(c->arena, (struct view){equal + 1, pair.n - key.n - 1}, true, &decoded))
			return decoded;
	}
	return VIEW_NONE;
}

bool
api_idempotency_key(struct call *c, struct view *ret)
{
	struct view key = http_header(c->request, "idempotency-key");
	const char *complaint = key.n > 0 ? field_complaint(FIELD_IDEMPOTENCY_KEY, key) : NULL;

	if (complaint != NULL) {
		api_problem(c, "field_invalid", arena_printf(c->arena, "Idempotency-Key %s", complaint), NULL);
		return false;
	}
	*ret = key.n > 0 ? arena_copy(c->arena, key.p, key.n) : VIEW_NONE;
	return true;
}

/* ------- the route */

/* Does the path fit the pattern? Parameters are decoded on the way. */
static bool
route_matches(const struct route *r, struct call *c)
{
	struct view path = c->request->path;
	const char *p = r->pattern;
	unsigned params = 0;

	while (*p != '\0') {
		if (p[0] == '{') {
			size_t n = 0;
			while (n < path.n && path.p[n] != '/')
				n++;
			if (n == 0 || params == CALL_PARAMS || !percent_decode(c->arena, (struct view){path.p, n}, false, &c->params[params++]))
				return false;
			path = (struct view){path.p + n, path.n - n};
			p += 2;
		} else if (path.n == 0 || *path.p != *p) {
			return false;
		} else {
			path.p++, path.n--, p++;
		}
	}
	return path.n == 0;
}

static bool
method_fits(const struct route *r, const struct http_request *request)
{
	return view_is(request->method, r->method) || (request->head_only && strcmp(r->method, "GET") == 0);
}

/* The route, of those that the connection serves; NULL, and whether another method would have one. */
static const struct route *
find_route(struct call *c, unsigned serves, bool *ret_path_known)
{
	const struct route *found = NULL;

	*ret_path_known = false;
	for (size_t i = 0; i < ROUTES && found == NULL; i++) {
		if ((routes[i].roles & serves) == 0 || !route_matches(&routes[i], c))
			continue;
		*ret_path_known = true;
		if (method_fits(&routes[i], c->request))
			found = &routes[i];
	}
	return found;
}

/* A parameter that no row can have is not looked for: PostgreSQL would refuse the text, not the row. */
static const char *
params_complaint(struct call *c)
{
	unsigned n = 0;

	for (const char *p = c->route->pattern; *p != '\0'; p++) {
		if (*p != '{')
			continue;
		const char *complaint = field_complaint(c->route->params[n], c->params[n]);
		n++;
		if (complaint != NULL)
			return arena_printf(c->arena, "segment %u of the path that names something %s", n, complaint);
	}
	return NULL;
}

/* ------- who is asking */

static void
refuse(struct call *c, const char *reason, const char *detail)
{
	if (c->refused.reason == NULL)
		c->refused = (struct refusal){reason, detail, NULL};
}

/* What fails is counted for the address. A caller who is known is never refused for what a neighbour behind the same address does. */
static void
login_failed(struct call *c, const char *detail)
{
	int64_t most = c->settings->limits.failed_logins;

	if (c->peer == NULL) {
		refuse(c, "unauthorized", detail);
		return;
	}
	peer_log(c->peer, "login.failed", "peer=%s why=\"%s\"", c->request->peer, detail);
	if (!peer_may_fail(c->peer, PEER_LOGINS, most)) {
		refuse(c, "too_many_requests", NULL);
		return;
	}
	peer_failed(c->peer, PEER_LOGINS, most);
	refuse(c, "unauthorized", detail);
}

static void
identify(struct call *c, unsigned serves)
{
	struct http_request *r = c->request;
	struct conn *conn = http_conn_base(r->conn);
	const struct principal_sources sources = {c->settings, c->core->directory, c->core->tokens, clock_now()};

	switch (principal_of(&sources, http_header(r, "authorization"), conn_identity(conn), r->peer, c->arena, &c->who)) {
	case PRINCIPAL_NONE:
		refuse(c, "unauthorized", NULL);
		return;
	case PRINCIPAL_FAILED:
		if (!tokens_are_known(c->core->tokens)) {	/* it may be one of the database's, which did not say them yet */
			refuse(c, "unavailable", NULL);
			return;
		}
		login_failed(c, "the token or certificate is nobody's, or has expired");
		return;
	case PRINCIPAL_AMBIGUOUS:
		refuse(c, "unauthorized", "the certificate is of several; a bearer token must say which is meant");
		return;
	case PRINCIPAL_KNOWN:
		conn_name(conn);
		account_name(&r->account);
	}
	if ((c->route->roles & c->who.role) == 0)
		refuse(c, "forbidden", NULL);
	else if ((serves & c->who.role) == 0)
		refuse(c, "forbidden", "callers of this role are not served at this address");
}

bool
api_still_known(struct call *c)
{
	const struct principal_sources sources = {c->core->config, c->core->directory, c->core->tokens, clock_now()};
	struct principal who;
	struct arena arena;

	if (c->request->conn == NULL)
		return true;		/* it ends by itself */
	arena_init(&arena, 512);
	bool known = principal_of(&sources, http_header(c->request, "authorization"), conn_identity(http_conn_base(c->request->conn)), c->request->peer, &arena,
	    &who) == PRINCIPAL_KNOWN && who.role == c->who.role && strcmp(who.scope, c->who.scope) == 0;
	arena_free(&arena);
	return known;
}

static void
on_free(struct http_request *r)
{
	struct call *c = r->user;

	config_release(c->settings);
}

static struct call *
call_new(struct core *core, struct http_request *r)
{
	struct call *c = arena_alloc(&r->arena, sizeof(*c));

	c->request = r;
	c->core = core;
	c->settings = config_hold(core->config);
	c->peer = conn_peer(http_conn_base(r->conn));
	c->arena = &r->arena;
	r->user = c;
	r->on_free = on_free;
	return c;
}

int64_t
api_judge(struct core *core, struct http_request *r, unsigned serves)
{
	struct call *c = call_new(core, r);
	bool path_known;
	const char *complaint;

	c->route = find_route(c, serves, &path_known);
	if (c->route == NULL)
		refuse(c, path_known ? "method_not_allowed" : "not_found", NULL);
	else if ((complaint = params_complaint(c)) != NULL)
		refuse(c, "not_found", complaint);
	else if (!c->route->open && !core->configured)
		refuse(c, "unavailable", NULL);
	else if (!c->route->open)
		identify(c, serves);
	if (c->refused.reason != NULL)
		return -1;
	return c->route->body == LARGE_BODY ? c->settings->http.body_bytes : c->route->body == SMALL_BODY ? SMALL_BYTES : 0;
}

/* 405 says what would be allowed (RFC 9110 section 15.5.6). */
static void
refuse_method(struct call *c)
{
	const char *allow = "Allow: ", *separator = "";
	int status;

	for (size_t i = 0; i < ROUTES; i++) {
		if (!route_matches(&routes[i], c))
			continue;
		allow = arena_printf(c->arena, "%s%s%s%s", allow, separator, routes[i].method, strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
		separator = ", ";
	}
	struct view body = problem_json(c->arena, &c->refused, &status);
	http_reply(c->request, status, "application/problem+json", arena_printf(c->arena, "%s\r\n", allow), body);
}

void
api_handle(struct http_request *r)
{
	struct call *c = r->user;

	if (c->refused.reason == NULL)
		c->route->handle(c);
	else if (strcmp(c->refused.reason, "method_not_allowed") == 0)
		refuse_method(c);
	else
		api_refuse(c, &c->refused);
}

void
api_malformed(struct core *core, struct http_request *r, const char *reason, const char *detail)
{
	struct call *c = r->user != NULL ? r->user : call_new(core, r);

	if (c->peer != NULL)
		peer_log(c->peer, "http.malformed", "peer=%s why=\"%s\"", r->peer, detail);
	api_problem(c, reason, detail, NULL);
}
