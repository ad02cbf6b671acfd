/* From a request to its handler: connections, who is asking, and the table of routes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/listener.h"
#include "proto/problem.h"

struct route {
	const char *method, *pattern;	/* {} stands for one segment */
	unsigned roles;
	void (*handle)(struct call *c);
};

static const struct route routes[] = {
	{"POST", "/v1/charges", MAY_FEED, api_post_charges},
	{"POST", "/v1/visits", MAY_FEED, api_post_visit},
	{"POST", "/v1/visits/{}/{}/discharge", MAY_FEED, api_post_discharge},
	{"DELETE", "/v1/visits/{}/{}/discharge", MAY_FEED, api_delete_discharge},
	{"GET", "/v1/visits/{}/{}", MAY_FEED | MAY_KIOSK | MAY_DESK, api_get_visit},
	{"GET", "/v1/visits/{}/{}/bills", MAY_FEED | MAY_KIOSK | MAY_DESK, api_get_visit_bills},
	{"GET", "/v1/bills/{}", MAY_KIOSK | MAY_DESK, api_get_bill},
	{"GET", "/v1/bills/{}/events", MAY_KIOSK | MAY_DESK, api_get_bill_events},
	{"POST", "/v1/bills/{}/payments", MAY_KIOSK | MAY_DESK, api_post_payment},
	{"GET", "/v1/payments/{}", MAY_KIOSK | MAY_DESK, api_get_payment},
	{"POST", "/v1/payments/{}/cancel", MAY_KIOSK | MAY_DESK, api_post_payment_cancel},
	{"GET", "/v1/receipts/{}", MAY_KIOSK | MAY_DESK, api_get_receipt},
	{"GET", "/v1/quarantine", MAY_DESK | MAY_OPS, api_get_quarantine},
	{"POST", "/v1/quarantine/{}/replay", MAY_DESK | MAY_OPS, api_post_replay},
	{"POST", "/notify/wechatpay/{}", MAY_ANYONE, api_post_wechatpay_notification},
	{"GET", "/healthz", MAY_ANYONE, api_get_healthz},
	{"GET", "/readyz", MAY_ANYONE, api_get_readyz},
	{"GET", "/metrics", MAY_ANYONE, api_get_metrics},
};

struct client {
	TAILQ_ENTRY(client) link;
	struct api *api;
	struct http_conn *conn;
	bool busy;
};

struct api {
	struct core *core;
	struct listener *listener;
	struct http_limits limits;
	TAILQ_HEAD(, client) clients;
	size_t in_work;
	struct metric_series *connections, *seconds;
};

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decoding (RFC 3986 section 2.1); plus means blank in a query only. False when it is malformed, or decodes to NUL. */
static bool
percent_decode(struct arena *a, struct view v, bool plus, struct view *ret)
{
	char *out = arena_alloc(a, v.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '%') {
			int high = i + 2 < v.n ? hex(v.p[i + 1]) : -1, low = i + 2 < v.n ? hex(v.p[i + 2]) : -1;
			if (high < 0 || low < 0 || high + low == 0)
				return false;
			out[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[n++] = plus && v.p[i] == '+' ? ' ' : v.p[i];
		}
	}
	*ret = (struct view){out, n};
	return true;
}

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

static const char *
facilities_literal(struct arena *a, const char *codes)
{
	const char *text = "{";

	if (strcmp(codes, "*") == 0)
		return SCOPE_ALL;
	while (*codes != '\0') {
		size_t n = strcspn(codes, " ");
		if (n > 0)
			text = arena_printf(a, "%s%s\"%.*s\"", text, text[1] != '\0' ? "," : "", (int)n, codes);
		codes += n + (codes[n] == ' ');
	}
	return arena_printf(a, "%s}", text);
}

/* Who is asking: a feed's token or one of the roles'. Every secret is compared, in constant time. */
static bool
identify(struct call *c)
{
	static const unsigned bits[] = {[ROLE_KIOSK] = MAY_KIOSK, [ROLE_DESK] = MAY_DESK, [ROLE_OPS] = MAY_OPS, [ROLE_FEED] = MAY_FEED};
	struct view header = http_header(c->request, "authorization"), token;
	bool found = false;

	if (header.n < 7 || strncasecmp(header.p, "Bearer ", 7) != 0)
		return false;
	token = view_trim((struct view){header.p + 7, header.n - 7});
	for (size_t i = 0; i < c->core->config->n_tokens; i++) {
		const struct config_token *t = &c->core->config->tokens[i];
		if (secret_equal(token, &t->secret)) {
			c->who = (struct principal){bits[t->role], t->name, NULL, facilities_literal(c->arena, t->facilities)};
			found = true;
		}
	}
	struct feed *feed = directory_feed_by_token(c->core->directory, token);
	if (feed != NULL) {
		c->who = (struct principal){MAY_FEED, feed->name, feed, facilities_literal(c->arena, feed->facility)};
		found = true;
	}
	return found;
}

/* 405 says what would be allowed (RFC 9110 section 15.5.6). */
static void
refuse_method(struct call *c)
{
	static const struct refusal r = {"method_not_allowed", NULL, NULL};
	const char *allow = "Allow: ", *separator = "";
	int status;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!route_matches(&routes[i], c))
			continue;
		allow = arena_printf(c->arena, "%s%s%s%s", allow, separator, routes[i].method, strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
		separator = ", ";
	}
	struct view body = problem_json(c->arena, &r, &status);
	http_reply(c->request, status, "application/problem+json", arena_printf(c->arena, "%s\r\n", allow), body);
}

static void
on_request(void *ctx, struct http_request *r)
{
	struct client *client = ctx;
	struct call *c = arena_alloc(&r->arena, sizeof(*c));
	bool path_known = false;
	const struct route *found = NULL;

	client->busy = true;
	client->api->in_work++;
	r->user = client;
	c->request = r;
	c->core = client->api->core;
	c->arena = &r->arena;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]) && found == NULL; i++) {
		if (!route_matches(&routes[i], c))
			continue;
		path_known = true;
		if (view_is(r->method, routes[i].method) || (r->head_only && strcmp(routes[i].method, "GET") == 0))
			found = &routes[i];
	}
	if (found == NULL && path_known)
		refuse_method(c);
	else if (found == NULL)
		api_problem(c, "not_found", NULL, NULL);
	else if ((found->roles & MAY_ANYONE) != 0)
		found->handle(c);
	else if (!c->core->configured)
		api_problem(c, "unavailable", NULL, NULL);
	else if (!identify(c))
		api_problem(c, "unauthorized", NULL, NULL);
	else if ((found->roles & c->who.role) == 0)
		api_problem(c, "forbidden", NULL, NULL);
	else
		found->handle(c);
}

static void
on_malformed(void *ctx, struct http_request *r, const char *reason, const char *detail)
{
	struct client *client = ctx;
	struct call *c = arena_alloc(&r->arena, sizeof(*c));

	client->busy = true;
	client->api->in_work++;
	c->request = r;
	c->core = client->api->core;
	c->arena = &r->arena;
	api_problem(c, reason, detail, NULL);
}

static void
client_idle(struct client *client)
{
	if (client->busy)
		client->api->in_work--;
	client->busy = false;
}

static void
on_replied(void *ctx, const struct http_request *r, int status)
{
	struct client *client = ctx;
	char labels[40];
	int64_t took = clock_monotonic() - r->started;

	client_idle(client);
	snprintf(labels, sizeof(labels), "status=\"%d\"", status);
	metric_add(metrics_series(client->api->core->metrics, "visitbill_http_requests_total", METRIC_COUNTER, "HTTP requests by status.", labels), 1);
	metric_observe(client->api->seconds, took);
	/* no path: it holds visit numbers */
	log_debug("http", "peer=%s method=%.*s status=%d us=%lld", r->peer, (int)r->method.n, r->method.p, status, (long long)took);
}

static void
on_close(void *ctx, const char *reason)
{
	struct client *client = ctx;

	(void)reason;
	client_idle(client);
	TAILQ_REMOVE(&client->api->clients, client, link);
	listener_closed(client->api->listener);
	metric_add(client->api->connections, -1);
	free(client);
}

static const struct http_ops client_ops = {on_request, on_malformed, on_replied, on_close};

static void
on_accept(void *arg, evutil_socket_t fd, const char *peer)
{
	struct api *api = arg;
	struct client *client = memory_new(sizeof(*client));

	client->api = api;
	TAILQ_INSERT_TAIL(&api->clients, client, link);
	metric_add(api->connections, 1);
	client->conn = http_conn_new(api->core->base, fd, peer, &api->limits, &client_ops, client);
}

struct api *
api_new(struct core *core)
{
	struct api *api = memory_new(sizeof(*api));
	const struct config *c = core->config;

	api->core = core;
	TAILQ_INIT(&api->clients);
	api->limits = (struct http_limits){(size_t)c->http.header_bytes, (size_t)c->http.body_bytes, (int)(c->http.request_ms / 1000),
	    (int)(c->http.idle_ms / 1000), (int)(c->http.io_ms / 1000)};
	api->connections = metrics_series(core->metrics, "visitbill_connections", METRIC_GAUGE, "Open connections.", "kind=\"http\"");
	api->seconds = metrics_series(core->metrics, "visitbill_http_seconds", METRIC_HISTOGRAM, "From a request's header to its answer.", "");
	for (size_t i = 0; i < c->n_listens && api->listener == NULL; i++)
		if (!c->listens[i].tls && (c->listens[i].serves & SERVES_HTTP) != 0)
			api->listener = listener_new(core->base, c->listens[i].address, (unsigned)c->listens[i].connections, on_accept, api);
	if (api->listener == NULL) {
		free(api);
		return NULL;
	}
	return api;
}

void
api_free(struct api *api)
{
	if (api == NULL)
		return;
	listener_free(api->listener);
	free(api);
}

void
api_drain(struct api *api)
{
	struct client *client, *next;

	listener_stop(api->listener);
	for (client = TAILQ_FIRST(&api->clients); client != NULL; client = next) {
		next = TAILQ_NEXT(client, link);
		http_conn_drain(client->conn);
	}
}

size_t
api_in_work(const struct api *api)
{
	return api->in_work;
}

unsigned
api_connections(const struct api *api)
{
	return listener_count(api->listener);
}

const char *
api_address(const struct api *api)
{
	return listener_address(api->listener);
}
