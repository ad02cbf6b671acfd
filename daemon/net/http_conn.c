/* The HTTP connection. States: waiting for a request, reading one, answering one, streaming, closing. What llhttp finds
 * becomes a request in http_parse.c. It does not know any route. */
#include "http_conn.h"

#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "net/http_parse.h"

/* ------- the end of a connection */

static void
conn_die(struct http_conn *c, const char *reason)
{
	if (c->dead)
		return;
	c->dead = true;
	if (c->closing == NULL)
		c->closing = reason;
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	event_active(c->bury, EV_TIMEOUT, 0);
}

static void
conn_bury(evutil_socket_t fd, short events, void *arg)
{
	struct http_conn *c = arg;
	struct http_request *r = c->request;

	(void)fd, (void)events;
	c->request = NULL;
	if (r != NULL) {
		r->conn = NULL;
		if (c->state == CONN_STREAMING)
			c->on_stream_end(r);
		else if (c->state != CONN_ANSWERING)
			http_request_free(r);
		else {		/* the handler still has it, and views into the body; its answer goes nowhere */
			r->owned_body = c->body;
			c->body = NULL;
		}
	}
	c->ops->on_close(c->ctx, c->closing);
	bufferevent_free(c->bev);
	event_free(c->bury);
	event_free(c->again);
	event_free(c->deadline);
	evbuffer_free(c->out);
	free(c->text);
	free(c->body);
	free(c);
}

static void
conn_close(struct http_conn *c, const char *reason)
{
	if (c->closing != NULL)
		return;
	c->closing = reason;
	c->state = CONN_CLOSING;
	bufferevent_disable(c->bev, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		conn_die(c, reason);
}

void
http_request_free(struct http_request *r)
{
	struct arena arena = r->arena;

	free(r->owned_body);
	arena_free(&arena);	/* the request lies in it */
}

/* ------- reading */

static void
request_deliver(struct http_conn *c, bool keep_alive)
{
	struct http_request *r = c->request;

	event_del(c->deadline);
	r->keep_alive = keep_alive && !c->draining;
	r->body = (struct view){c->body, c->body_used};
	c->state = CONN_ANSWERING;
	bufferevent_disable(c->bev, EV_READ);	/* what comes meanwhile waits in the socket */
	c->ops->on_request(c->ctx, r);
}

static void
request_refuse(struct http_conn *c, const char *reason, const char *detail)
{
	event_del(c->deadline);
	if (c->request == NULL)
		http_parse_request(c);
	c->request->keep_alive = false;
	c->state = CONN_ANSWERING;
	bufferevent_disable(c->bev, EV_READ);
	c->ops->on_malformed(c->ctx, c->request, reason, detail);
}

static void
conn_parse(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	if (c->in_parser)
		return;
	c->in_parser = true;
	while (!c->dead && (c->state == CONN_IDLE || c->state == CONN_READING)) {
		struct evbuffer_iovec v;
		if (evbuffer_peek(in, -1, NULL, &v, 1) < 1 || v.iov_len == 0)
			break;
		if (c->state == CONN_IDLE) {
			struct timeval whole = {c->limits->request_seconds, 0};
			c->state = CONN_READING;
			evtimer_add(c->deadline, &whole);
		}
		llhttp_errno_t e = llhttp_execute(&c->parser, v.iov_base, v.iov_len);
		if (e == HPE_OK) {
			evbuffer_drain(in, v.iov_len);
			continue;
		}
		size_t used = (size_t)(llhttp_get_error_pos(&c->parser) - (const char *)v.iov_base);
		if (e == HPE_PAUSED) {
			bool keep = llhttp_should_keep_alive(&c->parser) == 1;
			evbuffer_drain(in, used);
			llhttp_resume(&c->parser);
			request_deliver(c, keep);
		} else if (e == HPE_PAUSED_UPGRADE) {
			request_refuse(c, "bad_request", "upgrades are not offered");
		} else if (c->refused != NULL) {
			request_refuse(c, c->refused, c->refused_detail);
		} else {
			request_refuse(c, "bad_request", llhttp_get_error_reason(&c->parser));
		}
	}
	c->in_parser = false;
}

static void
conn_on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_parse(arg);
}

static void
conn_on_again(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	conn_parse(arg);
}

static void
conn_on_written(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	if (c->closing != NULL)
		conn_die(c, c->closing);
}

static void
conn_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	if ((what & BEV_EVENT_TIMEOUT) != 0 && (what & BEV_EVENT_READING) != 0 && c->state == CONN_IDLE)
		conn_close(c, "idle");
	else if ((what & BEV_EVENT_TIMEOUT) != 0 && (what & BEV_EVENT_READING) != 0)
		bufferevent_enable(bev, EV_READ);	/* the request has a deadline of its own */
	else if ((what & BEV_EVENT_TIMEOUT) != 0)
		conn_die(c, "peer does not read");
	else if ((what & BEV_EVENT_EOF) != 0 && c->state == CONN_STREAMING)
		conn_die(c, "closed by peer");
	else if ((what & BEV_EVENT_EOF) != 0)
		conn_close(c, "closed by peer");	/* answers that are queued are still written */
	else if ((what & BEV_EVENT_ERROR) != 0)
		conn_die(c, "connection error");
}

static void
conn_on_deadline(evutil_socket_t fd, short events, void *arg)
{
	struct http_conn *c = arg;

	(void)fd, (void)events;
	if (c->state == CONN_READING && !c->dead)
		request_refuse(c, "request_timeout", "the whole request must arrive within the deadline");
}

struct http_conn *
http_conn_new(struct event_base *base, evutil_socket_t fd, const char *peer, const struct http_limits *limits, const struct http_ops *ops, void *ctx)
{
	struct http_conn *c = memory_new(sizeof(*c));
	struct timeval idle = {limits->idle_seconds, 0}, io = {limits->io_seconds, 0};

	http_parse_init(c);
	c->limits = limits;
	c->ops = ops;
	c->ctx = ctx;
	snprintf(c->peer, sizeof(c->peer), "%s", peer);
	c->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->out = evbuffer_new();
	c->bury = event_new(base, -1, 0, conn_bury, c);
	c->again = event_new(base, -1, 0, conn_on_again, c);
	c->deadline = evtimer_new(base, conn_on_deadline, c);
	bufferevent_setcb(c->bev, conn_on_read, conn_on_written, conn_on_event, c);
	bufferevent_set_timeouts(c->bev, &idle, &io);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return c;
}

/* ------- answering */

const char *
http_status_text(int status)
{
	static const struct { int status; const char *text; } texts[] = {
		{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {400, "Bad Request"}, {401, "Unauthorized"},
		{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"}, {409, "Conflict"},
		{413, "Content Too Large"}, {415, "Unsupported Media Type"}, {422, "Unprocessable Content"},
		{431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

/* RFC 9110 section 5.6.7, made once a second. */
static const char *
http_date(void)
{
	static char text[40];
	static time_t made;
	time_t now = time(NULL);
	struct tm tm;

	if (now != made) {
		made = now;
		gmtime_r(&now, &tm);
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return text;
}

static void
conn_answered(struct http_conn *c, bool keep_alive)
{
	c->request = NULL;
	llhttp_reset(&c->parser);
	if (!keep_alive || c->draining) {
		conn_close(c, c->draining ? "draining" : "answered");
		return;
	}
	c->state = CONN_IDLE;
	if (c->body_room > 65536) {	/* an idle connection holds no large buffer */
		free(c->body);
		c->body = NULL;
		c->body_room = 0;
	}
	bufferevent_enable(c->bev, EV_READ);
	if (!c->in_parser && evbuffer_get_length(bufferevent_get_input(c->bev)) > 0)
		event_active(c->again, EV_TIMEOUT, 0);
}

/* Writes the answer at once: arming the write event first would cost two more system calls a request. What the socket does not take goes
 * the bufferevent's way, with its deadline. */
static void
conn_flush(struct http_conn *c)
{
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		evbuffer_write(c->out, bufferevent_getfd(c->bev));
	if (evbuffer_get_length(c->out) > 0)
		bufferevent_write_buffer(c->bev, c->out);
}

static void
reply_head(struct http_conn *c, const struct http_request *r, int status, const char *content_type, const char *extra, size_t n)
{
	char head[1024];
	int used;

	used = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%sContent-Length: %zu\r\nCache-Control: no-store\r\n%s%s\r\n",
	    status, http_status_text(status), http_date(), n > 0 ? "Content-Type: " : "", n > 0 ? content_type : "", n > 0 ? "\r\n" : "", n,
	    r->keep_alive ? "" : "Connection: close\r\n", extra != NULL ? extra : "");
	evbuffer_add(c->out, head, (size_t)used < sizeof(head) ? (size_t)used : sizeof(head) - 1);
}

void
http_reply(struct http_request *r, int status, const char *content_type, const char *extra, struct view body)
{
	struct http_conn *c = r->conn;

	if (c != NULL && !c->dead) {
		reply_head(c, r, status, content_type, extra, body.n);
		if (body.n > 0 && !r->head_only)
			evbuffer_add(c->out, body.p, body.n);
		conn_flush(c);
		c->ops->on_replied(c->ctx, r, status);
		conn_answered(c, r->keep_alive);
	} else if (c != NULL) {
		c->request = NULL;	/* dying: the burial must not see it again */
	}
	http_request_free(r);
}

void
http_stream_begin(struct http_request *r, const char *content_type, void (*on_end)(struct http_request *r))
{
	struct http_conn *c = r->conn;

	if (c == NULL)
		return;		/* the caller looks at conn */
	c->state = CONN_STREAMING;
	c->on_stream_end = on_end;
	if (c->draining)
		conn_die(c, "draining");
	if (c->dead)
		return;		/* the burial ends the stream */
	evbuffer_add_printf(bufferevent_get_output(c->bev),
	    "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n", http_date(), content_type);
	c->ops->on_replied(c->ctx, r, 200);
	/* reading goes on only to see the peer leave */
	bufferevent_set_timeouts(c->bev, NULL, &(struct timeval){c->limits->io_seconds, 0});
	bufferevent_enable(c->bev, EV_READ);
}

void
http_stream_send(struct http_request *r, struct view bytes)
{
	struct http_conn *c = r->conn;

	if (c == NULL || c->dead)
		return;
	struct evbuffer *out = bufferevent_get_output(c->bev);
	if (evbuffer_get_length(out) > 65536)
		conn_die(c, "peer does not read");
	else
		evbuffer_add(out, bytes.p, bytes.n);
}

void
http_stream_end(struct http_request *r)
{
	struct http_conn *c = r->conn;

	if (c != NULL) {
		c->request = NULL;
		if (!c->dead)
			conn_close(c, "stream ended");
	}
	http_request_free(r);
}

void
http_conn_drain(struct http_conn *c)
{
	c->draining = true;
	if (c->dead)
		return;
	if (c->state == CONN_STREAMING)
		conn_die(c, "draining");
	else if (c->state == CONN_IDLE)
		conn_close(c, "draining");
}
