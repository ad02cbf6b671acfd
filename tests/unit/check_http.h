/* A HTTP connection on a pair of bufferevents, a handler that a test tells what to do, and the peer. */
#ifndef VB_TESTS_CHECK_HTTP_H
#define VB_TESTS_CHECK_HTTP_H

#include <event2/buffer.h>

#include "check_net.h"
#include "net/http_conn.h"

enum { SEEN = 64 };

struct http_end {
	struct world w;
	struct bufferevent *peer;
	struct http_conn *c;		/* NULL: gone */
	bool gone, named;
	const char *reason;
	/* what the handler does */
	int64_t most;			/* of on_header */
	bool later;			/* keeps requests for http_reply by the test */
	int64_t slow_us;		/* a request takes so long, by the test's clock */
	int tells;			/* a descriptor that it writes to; 0: none */
	int status;
	struct view answer;
	/* what it saw */
	struct http_request *kept[SEEN];
	size_t n_kept, headers, requests, freed, ends;
	char path[SEEN][64], body[64], malformed[64], value[1200];
	size_t body_n;
	int statuses[SEEN];
	size_t n_statuses;
	char text[65536];		/* what the peer heard */
};

static struct http_limits http_test_limits = {.conn = {.input_bytes = 8192, .output_bytes = 4000, .first_byte_ms = 5000, .part_ms = 5000, .idle_ms = 5000,
    .io_ms = 5000}, .header_bytes = 1000};

static void
http_end_on_free(struct http_request *r)
{
	((struct http_end *)r->user)->freed++;
}

static int64_t
http_end_on_header(void *ctx, struct http_request *r)
{
	struct http_end *h = ctx;

	r->user = h;
	r->on_free = http_end_on_free;
	h->headers++;
	if (h->named) {
		conn_name(http_conn_base(h->c));
		account_name(&r->account);
	}
	return h->most;
}

static void
http_end_on_request(void *ctx, struct http_request *r)
{
	struct http_end *h = ctx;
	struct view x = http_header(r, "x");

	ck_assert_uint_lt(h->requests, SEEN);
	snprintf(h->path[h->requests++], sizeof(h->path[0]), "%.*s %.*s?%.*s", (int)r->method.n, r->method.p, (int)r->path.n, r->path.p, (int)r->query.n,
	    r->query.n > 0 ? r->query.p : "");
	snprintf(h->value, sizeof(h->value), "%.*s", (int)x.n, x.n > 0 ? x.p : "");
	h->body_n = r->body.n;
	snprintf(h->body, sizeof(h->body), "%.*s", (int)r->body.n, r->body.n > 0 ? r->body.p : "");
	if (h->tells > 0)
		ck_assert_int_eq(write(h->tells, "x", 1), 1);
	if (h->slow_us > 0)
		clock_set_for_tests(clock_monotonic() + h->slow_us);
	if (h->later)
		h->kept[h->n_kept++] = r;
	else
		http_reply(r, h->status, "text/plain", NULL, h->answer);
}

static void
http_end_on_malformed(void *ctx, struct http_request *r, const char *reason, const char *detail)
{
	struct http_end *h = ctx;

	ck_assert_ptr_nonnull(detail);
	snprintf(h->malformed, sizeof(h->malformed), "%s", reason);
	http_reply(r, 400, "text/plain", NULL, VIEW_LITERAL("bad"));
}

static void
http_end_on_replied(void *ctx, const struct http_request *r, int status)
{
	struct http_end *h = ctx;

	(void)r;
	h->statuses[h->n_statuses++] = status;
}

static void
http_end_on_close(void *ctx, const char *reason)
{
	struct http_end *h = ctx;

	h->gone = true;
	h->reason = reason;
	h->c = NULL;
}

static const struct http_ops http_end_ops = {http_end_on_header, http_end_on_request, http_end_on_malformed, http_end_on_replied, http_end_on_close};

static inline void
http_end_open(struct http_end *h)
{
	struct bufferevent *pair[2];

	memset(h, 0, sizeof(*h));
	world_open(&h->w);
	h->most = 100;
	h->status = 200;
	h->answer = VIEW_LITERAL("ok");
	ck_assert_int_eq(bufferevent_pair_new(h->w.base, 0, pair), 0);
	h->peer = pair[1];
	bufferevent_enable(h->peer, EV_READ | EV_WRITE);
	h->c = http_conn_new_on(&h->w.shared, pair[0], &http_test_limits, &http_end_ops, h);
}

static inline void
http_end_close(struct http_end *h)
{
	if (h->c != NULL)
		conn_die(http_conn_base(h->c), "the test's end");
	world_turns(&h->w, 3);
	ck_assert_ptr_null(h->c);
	bufferevent_free(h->peer);
	world_turns(&h->w, 3);
	world_close(&h->w);
}

static inline void
http_end_send(struct http_end *h, const char *text)
{
	bufferevent_write(h->peer, text, strlen(text));
	world_turns(&h->w, 6);
}

/* All that the peer has heard so far. */
static inline const char *
http_end_heard(struct http_end *h)
{
	struct evbuffer *in = bufferevent_get_input(h->peer);
	ev_ssize_t n = evbuffer_copyout(in, h->text, sizeof(h->text) - 1);

	h->text[n > 0 ? n : 0] = '\0';
	return h->text;
}

static inline int
times_in(const char *text, const char *what)
{
	int n = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
		n++;
	return n;
}

#define HEAD(line, fields) line " HTTP/1.1\r\nHost: h\r\n" fields "\r\n"

#endif
