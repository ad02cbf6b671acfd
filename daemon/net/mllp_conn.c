/* The MLLP connection, on a bufferevent. It is freed by a deferred event, never inside one of its own callbacks. */
#include "mllp_conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>

#include "base/memory.h"
#include "proto/mllp.h"

struct mllp_conn {
	struct bufferevent *bev;
	struct event *bury;		/* frees the connection at the end of the loop's turn */
	struct event *again;		/* goes on with bytes that wait since a pause */
	struct event *flush;		/* writes what a turn of the loop has gathered */
	struct evbuffer *out;
	struct mllp_limits limits;
	const struct mllp_ops *ops;
	void *ctx;
	struct mllp_scan scan;
	const char *closing;		/* why, once it is */
	bool paused, dead, eof;
};

static void
conn_die(struct mllp_conn *c, const char *reason)
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
	struct mllp_conn *c = arg;

	(void)fd, (void)events;
	c->ops->on_close(c->ctx, c->closing);
	bufferevent_free(c->bev);
	event_free(c->bury);
	event_free(c->again);
	event_free(c->flush);
	evbuffer_free(c->out);
	free(c);
}

static void
conn_read_frames(struct mllp_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	while (!c->paused && !c->dead && c->closing == NULL) {
		size_t n = evbuffer_get_length(in), junk, used;
		struct view content, bytes = {n > 0 ? (const char *)evbuffer_pullup(in, -1) : "", n};
		enum mllp_result r = mllp_next(&c->scan, bytes, &content, &junk, &used);

		if (junk > 0)
			c->ops->on_junk(c->ctx, junk);
		if (r == MLLP_FRAME)
			c->ops->on_frame(c->ctx, content);
		evbuffer_drain(in, used);
		if (r == MLLP_MORE) {
			if (evbuffer_get_length(in) > c->limits.frame_bytes)
				conn_die(c, "frame too large");
			break;
		}
	}
	if (c->eof && !c->paused && !c->dead)
		c->ops->on_eof(c->ctx);
}

static void
conn_on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_read_frames(arg);
}

static void
conn_on_again(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	conn_read_frames(arg);
}

/* One write for all that a turn of the loop answered, tried at once: arming the write event first would cost two more system calls a
 * message. What the socket does not take goes the bufferevent's way, with its deadline. */
static void
conn_on_flush(evutil_socket_t fd, short events, void *arg)
{
	struct mllp_conn *c = arg;

	(void)fd, (void)events;
	if (c->dead)
		return;
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		evbuffer_write(c->out, bufferevent_getfd(c->bev));
	if (evbuffer_get_length(c->out) > 0)
		bufferevent_write_buffer(c->bev, c->out);
	else if (c->closing != NULL)
		conn_die(c, c->closing);
}

static void
conn_on_written(struct bufferevent *bev, void *arg)
{
	struct mllp_conn *c = arg;

	(void)bev;
	if (c->closing != NULL && evbuffer_get_length(c->out) == 0)
		conn_die(c, c->closing);
}

static void
conn_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct mllp_conn *c = arg;

	if ((what & BEV_EVENT_TIMEOUT) != 0) {
		conn_die(c, (what & BEV_EVENT_READING) != 0 ? "idle for too long" : "peer does not read");
	} else if ((what & BEV_EVENT_EOF) != 0) {
		c->eof = true;
		bufferevent_disable(bev, EV_READ);
		if (!c->paused)		/* else once it reads again */
			c->ops->on_eof(c->ctx);
	} else if ((what & BEV_EVENT_ERROR) != 0) {
		conn_die(c, "connection error");
	}
}

static void
conn_set_timeouts(struct mllp_conn *c)
{
	struct timeval idle = {c->limits.idle_seconds, 0}, io = {c->limits.io_seconds, 0};

	bufferevent_set_timeouts(c->bev, c->limits.idle_seconds > 0 ? &idle : NULL, c->limits.io_seconds > 0 ? &io : NULL);
}

struct mllp_conn *
mllp_conn_new(struct event_base *base, evutil_socket_t fd, const struct mllp_limits *limits, const struct mllp_ops *ops, void *ctx)
{
	struct mllp_conn *c = memory_new(sizeof(*c));

	c->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->limits = *limits;
	c->ops = ops;
	c->ctx = ctx;
	c->bury = event_new(base, -1, 0, conn_bury, c);
	c->again = event_new(base, -1, 0, conn_on_again, c);
	c->flush = event_new(base, -1, 0, conn_on_flush, c);
	c->out = evbuffer_new();
	bufferevent_setcb(c->bev, conn_on_read, conn_on_written, conn_on_event, c);
	conn_set_timeouts(c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return c;
}

void
mllp_conn_send(struct mllp_conn *c, struct view content)
{
	static const char sb[] = {MLLP_SB}, eb[] = {MLLP_EB, MLLP_CR};

	if (c->dead)
		return;
	evbuffer_add(c->out, sb, 1);
	evbuffer_add(c->out, content.p, content.n);
	evbuffer_add(c->out, eb, 2);
	event_active(c->flush, EV_TIMEOUT, 0);
}

void
mllp_conn_send_commit(struct mllp_conn *c, bool accepted)
{
	char block[] = {MLLP_SB, accepted ? MLLP_ACK : MLLP_NAK, MLLP_EB, MLLP_CR};

	if (c->dead)
		return;
	evbuffer_add(c->out, block, sizeof(block));
	event_active(c->flush, EV_TIMEOUT, 0);
}

void
mllp_conn_pause(struct mllp_conn *c)
{
	if (c->paused || c->dead)
		return;
	c->paused = true;
	bufferevent_disable(c->bev, EV_READ);
}

void
mllp_conn_resume(struct mllp_conn *c)
{
	if (!c->paused || c->dead)
		return;
	c->paused = false;
	if (!c->eof)
		bufferevent_enable(c->bev, EV_READ);
	event_active(c->again, EV_TIMEOUT, 0);
}

void
mllp_conn_close(struct mllp_conn *c, const char *reason)
{
	if (c->closing != NULL)
		return;
	c->closing = reason;
	bufferevent_disable(c->bev, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) + evbuffer_get_length(c->out) == 0)
		conn_die(c, reason);
}
