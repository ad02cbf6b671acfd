/* Server-sent events (WHATWG HTML, section 9.2): a waiting kiosk hears of its bill the moment that something changes. */
#include "api/api.h"
#include "base/memory.h"
#include "core/watch.h"

enum { KEEPALIVE_SECONDS = 5 };

struct stream {
	struct call *call;
	struct watcher *watcher;
	struct event *keepalive;
};

static void
on_keepalive(evutil_socket_t fd, short events, void *arg)
{
	struct stream *s = arg;

	(void)fd, (void)events;
	if (api_still_known(s->call))
		http_stream_send(s->call->request, VIEW_LITERAL(": still here\n\n"));
	else
		conn_die(http_conn_base(s->call->request->conn), "its token or certificate is no longer good");
}

/* The peer is gone. */
static void
on_end(struct http_request *r)
{
	struct call *c = r->user;
	struct stream *s = c->own;

	watch_remove(s->call->core->watch, s->watcher);
	event_free(s->keepalive);
	http_request_free(r);
}

static void
on_change(void *arg, struct view doc)
{
	struct stream *s = arg;
	struct arena a;

	if (doc.n == 0 || !api_still_known(s->call))	/* the keepalive ends it */
		return;
	arena_init(&a, doc.n + 64);
	http_stream_send(s->call->request, view_of(arena_printf(&a, "event: bill\ndata: %.*s\n\n", (int)doc.n, doc.p)));
	arena_free(&a);
}

static void
on_bill(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct call *c = arg;

	if (outcome->verdict != PG_DONE) {
		api_reply_database(c, outcome);
		return;
	}
	if (PQntuples(result) == 0 || c->request->conn == NULL) {
		api_problem(c, "bill_unknown", NULL, NULL);
		return;
	}
	struct stream *s = arena_alloc(c->arena, sizeof(*s));
	struct timeval every = {KEEPALIVE_SECONDS, 0};
	s->call = c;
	c->own = s;
	if (!http_stream_begin(c->request, "text/event-stream; charset=utf-8", on_end))
		return;		/* HEAD: answered */
	s->keepalive = event_new(c->core->base, -1, EV_PERSIST, on_keepalive, s);
	event_add(s->keepalive, &every);
	s->watcher = watch_add(c->core->watch, c->params[0], on_change, s);
}

void
api_get_bill_events(struct call *c)
{
	/* may this caller see the bill? the first event then comes from the watch itself */
	struct pg_param params[] = {api_text(c->params[0]), api_text(VIEW_LITERAL("f")), api_facilities(c)};

	if (pool_call(c->core->pool, SQL_BILL_DOC, params, 3, on_bill, c) != 0)
		api_problem(c, "unavailable", NULL, NULL);
}
