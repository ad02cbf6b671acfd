/* What a connection writes: gathered in a turn of the loop, flushed to the socket at once where that can be, counted against its marks; and how it closes
 * once all is written. */
#include <assert.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/conn_inside.h"

size_t
conn_pending(const struct conn *c)
{
	return evbuffer_get_length(c->out) + evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* The system's send queue may hold megabytes and asks for more only once a third of them is gone: what lies there is not taken, but what leaves it is.
 * With TLS it holds records, which are a little longer than what they carry. */
int64_t
conn_taken(const struct conn *c)
{
	int queued = 0;

	if (bufferevent_getfd(c->bev) < 0 || ioctl(bufferevent_getfd(c->bev), SIOCOUTQ, &queued) != 0)
		queued = 0;
	return c->given - (int64_t)conn_pending(c) - queued;
}

void
conn_output_changed(struct conn *c)
{
	size_t pending = conn_pending(c);
	bool was_clogged = c->clogged;

	c->clogged = pending > (was_clogged ? c->limits.output_bytes / 2 : c->limits.output_bytes);
	if (pending == 0) {
		c->io_check = 0;
	} else if (c->io_check == 0) {
		int64_t now = clock_monotonic();
		c->io_check = now + c->limits.io_ms * INT64_C(1000);
		c->taken_before = conn_taken(c);
		conn_arm(c, c->io_check, now);
	}
	conn_count(c);
	if (c->state == STATE_DEAD || was_clogged == c->clogged)
		return;
	conn_update_reading(c);
	if (was_clogged)
		conn_again(c);
}

static void
conn_written(struct conn *c)
{
	if (c->state != STATE_CLOSING || conn_pending(c) > 0)
		return;
	if (!c->lingers || c->eof || bufferevent_getfd(c->bev) < 0) {
		conn_die(c, c->reason);
		return;
	}
	c->state = STATE_LINGERING;
	if (c->ssl != NULL) {	/* the farewell of TLS goes before the socket's */
		SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
	c->deadline = clock_monotonic() + LINGER_US;
	conn_arm(c, c->deadline, clock_monotonic());
	conn_update_reading(c);
	conn_read_away(c);
}

void
conn_on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	assert(c->magic == CONN_MAGIC);
	turn_begin(c->shared->turn);
	if (c->state == STATE_DEAD)
		return;
	conn_output_changed(c);
	if (c->state != STATE_DEAD)
		conn_written(c);
}

/* The bufferevent tells only when all is written; a connection that is clogged goes on at its low mark. */
void
conn_on_taken(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	(void)buffer;
	if (info->n_deleted > 0 && c->clogged && c->state != STATE_DEAD)
		conn_output_changed(c);
}

/* Tried at once: arming the write event first would cost two more system calls. What the socket does not take, and what TLS has to seal, goes the
 * bufferevent's way. */
void
conn_flush(struct conn *c)
{
	assert(c->magic == CONN_MAGIC);
	if (c->state == STATE_DEAD || evbuffer_get_length(c->out) == 0)
		return;
	if (c->ssl == NULL && bufferevent_getfd(c->bev) >= 0 && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		evbuffer_write(c->out, bufferevent_getfd(c->bev));
	if (evbuffer_get_length(c->out) > 0)
		bufferevent_write_buffer(c->bev, c->out);
	conn_output_changed(c);
	if (c->state != STATE_DEAD)
		conn_written(c);
}

void
conn_write(struct conn *c, struct view bytes)
{
	assert(c->magic == CONN_MAGIC);
	if (c->state == STATE_DEAD || c->state == STATE_LINGERING || bytes.n == 0)
		return;
	evbuffer_add(c->out, bytes.p, bytes.n);
	c->given += (int64_t)bytes.n;
	if (evbuffer_get_length(c->out) > c->limits.output_bytes)
		conn_output_changed(c);		/* clogged within the turn already */
	if (c->state != STATE_DEAD)
		event_active(c->soon, EV_TIMEOUT, 0);
}

static void
close_with(struct conn *c, const char *reason, bool lingers)
{
	assert(c->magic == CONN_MAGIC);
	if (c->state == STATE_HANDSHAKE) {
		conn_die(c, reason);
		return;
	}
	if (c->state != STATE_OPEN)
		return;
	c->state = STATE_CLOSING;
	c->reason = reason;
	c->lingers = lingers;
	c->deadline = 0;
	conn_update_reading(c);
	if (evbuffer_get_length(c->out) > 0)
		event_active(c->soon, EV_TIMEOUT, 0);
	else
		conn_written(c);
}

void
conn_close(struct conn *c, const char *reason)
{
	close_with(c, reason, false);
}

void
conn_close_lingering(struct conn *c, const char *reason)
{
	close_with(c, reason, true);
}

void
conn_read_away(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	c->lingered += evbuffer_get_length(in);
	evbuffer_drain(in, evbuffer_get_length(in));
	if (c->lingered > LINGER_BYTES)
		conn_die(c, c->reason);
}
