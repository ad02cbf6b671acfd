/* The HTTP connection. States: waiting for a request, reading one, answering one, streaming, closing. What llhttp finds becomes a request in
 * http_parse.c; answers are made in http_answer.c. */
#include "http_conn.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/http_parse.h"

enum {
	TEXT_KEPT = 4096,
	STREAM_TALK = 65536,	/* a stream's peer has nothing to say; this much is read away */
	LAST_REQUEST_MS = 500,
};

static void
http_close(struct http_conn *c, const char *reason)
{
	c->state = HTTP_CLOSING;
	/* with bytes on their way that nobody takes, a plain close would reset the answer, too */
	if (c->early || c->refused != NULL || evbuffer_get_length(conn_input(c->conn)) > 0)
		conn_close_lingering(c->conn, reason);
	else
		conn_close(c->conn, reason);
}

void
http_request_free(struct http_request *r)
{
	if (r->on_free != NULL)
		r->on_free(r);
	struct arena arena = r->arena;
	free(r->body_bytes);
	account_close(&r->account);
	arena_free(&arena);	/* the request lies in it */
}

static void
http_on_close(void *ctx, const char *reason)
{
	struct http_conn *c = ctx;
	struct http_request *r = c->request;

	assert(c->magic == HTTP_MAGIC);
	c->request = NULL;
	if (r != NULL) {
		r->conn = NULL;
		if (c->state == HTTP_STREAMING)
			c->on_stream_end(r);
		else if (c->state != HTTP_ANSWERING)
			http_request_free(r);
		/* else the handler still has it; its answer goes nowhere */
	}
	c->ops->on_close(c->ctx, reason);
	free(c->text);
	c->magic = 0;
	free(c);
}

/* ------- reading */

static void
request_deliver(struct http_conn *c, bool keep_alive)
{
	struct http_request *r = c->request;

	conn_wait_for(c->conn, CONN_WORK);
	r->keep_alive = keep_alive && !c->draining && !c->early;
	c->state = HTTP_ANSWERING;
	c->asked = true;
	c->ops->on_request(c->ctx, r);
}

static void
request_refuse(struct http_conn *c, const char *reason, const char *detail)
{
	conn_wait_for(c->conn, CONN_WORK);
	c->refused = reason;
	if (c->request == NULL)
		http_parse_request(c);
	c->request->keep_alive = false;
	c->state = HTTP_ANSWERING;
	c->ops->on_malformed(c->ctx, c->request, reason, detail);
}

/* Gives llhttp one piece of what came. */
static void
http_parse_piece(struct http_conn *c, struct evbuffer *in, const struct evbuffer_iovec *v)
{
	llhttp_errno_t e = llhttp_execute(&c->parser, v->iov_base, v->iov_len);

	if (e == HPE_OK) {
		evbuffer_drain(in, v->iov_len);
		return;
	}
	size_t used = (size_t)(llhttp_get_error_pos(&c->parser) - (const char *)v->iov_base);
	if (e == HPE_PAUSED) {
		bool keep = llhttp_should_keep_alive(&c->parser) == 1;
		evbuffer_drain(in, used);
		llhttp_resume(&c->parser);
		request_deliver(c, keep);
	} else if (e == HPE_PAUSED_UPGRADE) {
		request_refuse(c, "bad_request", "upgrades are not offered");
	} else if (c->early) {
		request_deliver(c, false);
	} else if (c->refused != NULL) {
		request_refuse(c, c->refused, c->refused_detail);
	} else {
		request_refuse(c, "bad_request", llhttp_get_error_reason(&c->parser));
	}
}

/* A stream's peer may leave; what it says is read away, for a while. */
static void
http_read_away(struct http_conn *c, struct evbuffer *in)
{
	c->text_used += evbuffer_get_length(in);
	evbuffer_drain(in, evbuffer_get_length(in));
	if (conn_has_ended(c->conn))
		conn_leave(c->conn, "closed by peer");
	else if (c->text_used > STREAM_TALK)
		conn_die(c->conn, "the peer of a stream talks");
}

static void
http_on_go(void *ctx)
{
	struct http_conn *c = ctx;
	struct evbuffer *in = conn_input(c->conn);
	struct evbuffer_iovec v;

	assert(c->magic == HTTP_MAGIC);
	if (c->in_parser)
		return;
	if (c->state == HTTP_STREAMING) {
		http_read_away(c, in);
		return;
	}
	c->in_parser = true;
	while (conn_is_open(c->conn) && !conn_is_clogged(c->conn) && (c->state == HTTP_IDLE || c->state == HTTP_READING)) {
		if (evbuffer_peek(in, -1, NULL, &v, 1) < 1 || v.iov_len == 0)
			break;
		if (turn_is_long(conn_turn(c->conn))) {	/* others come first */
			conn_again(c->conn);
			break;
		}
		if (c->state == HTTP_IDLE) {
			c->state = HTTP_READING;
			conn_wait_for(c->conn, CONN_PART);
		}
		http_parse_piece(c, in, &v);
	}
	c->in_parser = false;
	if (conn_has_ended(c->conn) && conn_is_open(c->conn) && evbuffer_get_length(in) == 0 && (c->state == HTTP_IDLE || c->state == HTTP_READING))
		http_close(c, "closed by peer");
}

static void
http_on_late(void *ctx)
{
	struct http_conn *c = ctx;

	if (c->state == HTTP_READING)
		request_refuse(c, "request_timeout", "the whole request must arrive within the deadline");
	else
		conn_die(c->conn, "idle for too long");
}

void
http_conn_answered(struct http_conn *c, bool keep_alive)
{
	c->request = NULL;
	llhttp_reset(&c->parser);
	if (!keep_alive || c->draining) {
		http_close(c, c->draining ? "draining" : "answered");
		return;
	}
	c->state = HTTP_IDLE;
	conn_wait_for(c->conn, CONN_IDLE);
	if (c->text_room > TEXT_KEPT) {	/* an idle connection holds no large buffer */
		free(c->text);
		c->text = NULL;
		c->text_room = 0;
		if (!conn_hold(c->conn, 0))
			return;
	}
	if (!c->in_parser && !conn_is_clogged(c->conn) && (evbuffer_get_length(conn_input(c->conn)) > 0 || conn_has_ended(c->conn)))
		conn_again(c->conn);
}

/* ------- the beginning, and the end from above */

static const struct conn_ops http_conn_ops = {.on_go = http_on_go, .on_late = http_on_late, .on_close = http_on_close};

static struct http_conn *
http_conn_begin(const struct http_limits *limits, const struct http_ops *ops, void *ctx)
{
	struct http_conn *c = memory_new(sizeof(*c));

	c->magic = HTTP_MAGIC;
	c->limits = limits;
	c->ops = ops;
	c->ctx = ctx;
	http_parse_init(c);
	return c;
}

struct http_conn *
http_conn_new(const struct conn_shared *shared, evutil_socket_t fd, struct place *place, const struct http_limits *limits, const struct http_ops *ops,
    void *ctx)
{
	struct http_conn *c = http_conn_begin(limits, ops, ctx);

	c->conn = conn_new(shared, fd, place, &limits->conn, &http_conn_ops, c);
	if (c->conn == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

struct http_conn *
http_conn_new_on(const struct conn_shared *shared, struct bufferevent *bev, const struct http_limits *limits, const struct http_ops *ops, void *ctx)
{
	struct http_conn *c = http_conn_begin(limits, ops, ctx);

	c->conn = conn_new_on(shared, bev, &limits->conn, &http_conn_ops, c);
	return c;
}

struct conn *
http_conn_base(struct http_conn *c)
{
	assert(c->magic == HTTP_MAGIC);
	return c->conn;
}

void
http_conn_drain(struct http_conn *c)
{
	assert(c->magic == HTTP_MAGIC);
	c->draining = true;
	if (c->state == HTTP_STREAMING)
		conn_leave(c->conn, "draining");
	else if (c->state == HTTP_IDLE && !c->asked)
		conn_hurry(c->conn, LAST_REQUEST_MS);	/* it has just come, and its request may be on its way */
	else if (c->state == HTTP_IDLE)
		http_close(c, "draining");
}
