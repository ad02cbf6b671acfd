/* The connection base, on a bufferevent: its beginning, reading, and end. It is freed by a deferred event, never inside one of its own callbacks. */
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "net/conn_inside.h"

void
conn_update_reading(struct conn *c)
{
	bool open = c->state == STATE_OPEN && !c->paused && !c->clogged && !c->starved && !c->full;
	bool wanted = (open || c->state == STATE_LINGERING || c->state == STATE_HANDSHAKE) && !c->eof;

	if (wanted == c->reading)
		return;
	c->reading = wanted;
	if (wanted)
		bufferevent_enable(c->bev, EV_READ);
	else
		bufferevent_disable(c->bev, EV_READ);
}

bool
conn_may_go(const struct conn *c)
{
	return c->state == STATE_OPEN && !c->paused && !c->clogged && !c->starved;
}

/* ------- the end */

static void
conn_bury(struct conn *c)
{
	c->ops->on_close(c->ctx, c->reason);
	if (c->ssl != NULL) {	/* a farewell, where the socket still takes it; nobody waits for the peer's */
		SSL_set_shutdown(c->ssl, SSL_RECEIVED_SHUTDOWN);
		SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	bufferevent_free(c->bev);
	event_free(c->soon);
	turn_forget(c->shared->turn, &c->again);
	event_free(c->timer);
	evbuffer_free(c->out);
	account_close(&c->account);
	tls_identity_free(c->identity);
	if (c->place != NULL)
		place_leave(c->place);
	c->magic = 0;
	free(c);
}

static void
conn_on_soon(evutil_socket_t fd, short events, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)events;
	assert(c->magic == CONN_MAGIC);
	turn_begin(c->shared->turn);
	if (c->state == STATE_DEAD)
		conn_bury(c);
	else
		conn_flush(c);
}

void
conn_leave(struct conn *c, const char *reason)
{
	assert(c->magic == CONN_MAGIC);
	if (c->state == STATE_DEAD)
		return;
	if (c->state == STATE_HANDSHAKE && c->place != NULL)
		peer_log(place_peer(c->place), "tls.refused", "listener=%s peer=%s why=\"%s\"", listener_name(place_listener(c->place)), place_text(c->place),
		    reason);
	c->state = STATE_DEAD;
	if (c->reason == NULL)
		c->reason = reason;
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	event_active(c->soon, EV_TIMEOUT, 0);
}

void
conn_die(struct conn *c, const char *reason)
{
	if (c->state != STATE_DEAD)
		c->cut = true;
	conn_leave(c, reason);
}

static void
conn_evict(void *arg)
{
	conn_die(arg, "its place is needed for another peer");
}

/* ------- memory and marks */

bool
conn_count(struct conn *c)
{
	size_t bytes = evbuffer_get_length(bufferevent_get_input(c->bev)) + conn_pending(c) + c->held;

	if (account_set(&c->account, bytes)) {
		if (c->starved) {	/* whoever made room, and wherever it is noticed: the peer is read again */
			c->starved = false;
			conn_update_reading(c);
			conn_again(c);
		}
		return true;
	}
	if (!c->named) {
		conn_die(c, "the memory for peers without a name is used up");
	} else if (c->state == STATE_OPEN) {
		int64_t now = clock_monotonic();
		c->starved = true;
		conn_arm(c, now + STARVED_US, now);
		conn_update_reading(c);
	}
	return false;
}

/* ------- reading */

/* At its mark libevent would call again and again: what the protocol leaves there is not read on until some of it is taken. */
static void
conn_mind_full(struct conn *c)
{
	if (c->state != STATE_OPEN || evbuffer_get_length(bufferevent_get_input(c->bev)) < c->limits.input_bytes)
		return;
	c->full = true;
	conn_update_reading(c);
}

static void
conn_on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (!c->full || info->n_deleted == 0 || evbuffer_get_length(buffer) >= c->limits.input_bytes)
		return;
	c->full = false;
	if (c->state != STATE_DEAD)
		conn_update_reading(c);
}

static void
conn_on_read(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	assert(c->magic == CONN_MAGIC);
	turn_begin(c->shared->turn);
	if (c->state == STATE_LINGERING) {
		conn_read_away(c);
		return;
	}
	if (!conn_count(c))
		return;
	if (!c->named)
		conn_again(c);	/* after who has a name, and in line with the other strangers */
	else if (conn_may_go(c))
		c->ops->on_go(c->ctx);
	conn_mind_full(c);
}

static void
conn_on_again(void *arg)
{
	struct conn *c = arg;

	assert(c->magic == CONN_MAGIC);
	if (conn_may_go(c))
		c->ops->on_go(c->ctx);
}

static void
conn_handshake_done(struct conn *c)
{
	const struct tls *now = c->place != NULL ? listener_tls(place_listener(c->place)) : NULL;

	/* a resumed session has skipped the verification (it has no chain to do it again, and its ticket is of this certificate and these lists), and a
	 * handshake that began before a reload was judged by the old lists */
	bool accepted = now == NULL || tls_made(now, c->ssl) ? SSL_session_reused(c->ssl) != 1 || tls_is_in_time(c->ssl) : tls_still_accepts(now, c->ssl);
	if (!accepted) {
		conn_die(c, "the client's certificate is no longer valid");
		return;
	}
	c->identity = tls_identity_of(c->ssl);
	c->state = STATE_OPEN;
	conn_update_reading(c);
}

static void
conn_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;

	assert(c->magic == CONN_MAGIC);
	turn_begin(c->shared->turn);
	/* at the end of the peer's stream libevent stops the writing of a TLS one, too; but who sends no more may still wait for answers */
	if ((what & BEV_EVENT_EOF) != 0 && c->ssl != NULL && c->state != STATE_HANDSHAKE)
		bufferevent_enable(bev, EV_WRITE);
	if ((what & BEV_EVENT_CONNECTED) != 0) {
		conn_handshake_done(c);
	} else if ((what & BEV_EVENT_EOF) != 0 && c->state == STATE_OPEN) {
		c->eof = true;
		conn_update_reading(c);
		if (conn_may_go(c))
			c->ops->on_go(c->ctx);
	} else if ((what & BEV_EVENT_EOF) != 0 && c->state == STATE_CLOSING) {
		c->eof = true;
	} else if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
		unsigned long e = c->ssl != NULL ? bufferevent_get_openssl_error(bev) : 0;
		ERR_clear_error();
		if (e != 0)
			conn_die(c, tls_reason(e));
		else
			conn_leave(c, c->state == STATE_HANDSHAKE ? "the peer broke off the TLS handshake"
			    : (what & BEV_EVENT_EOF) != 0 ? "closed by peer" : "connection error");
	}
}

/* ------- the beginning */

struct conn *
conn_new_on(const struct conn_shared *shared, struct bufferevent *bev, const struct conn_limits *limits, const struct conn_ops *ops, void *ctx)
{
	struct conn *c = memory_new(sizeof(*c));

	c->magic = CONN_MAGIC;
	c->state = STATE_OPEN;
	c->shared = shared;
	c->bev = bev;
	c->limits = *limits;
	c->ops = ops;
	c->ctx = ctx;
	c->out = evbuffer_new();
	c->soon = event_new(shared->base, -1, 0, conn_on_soon, c);
	c->again = (struct turn_task){.run = conn_on_again, .arg = c};
	c->timer = evtimer_new(shared->base, conn_on_timer, c);
	account_open(&c->account, shared->budget, false);
	bufferevent_setcb(bev, conn_on_read, conn_on_written, conn_on_event, c);
	bufferevent_setwatermark(bev, EV_READ, 0, limits->input_bytes);
	evbuffer_add_cb(bufferevent_get_output(bev), conn_on_taken, c);
	evbuffer_add_cb(bufferevent_get_input(bev), conn_on_input, c);
	bufferevent_enable(bev, EV_WRITE);
	conn_wait_for(c, CONN_FIRST);
	conn_update_reading(c);
	return c;
}

struct conn *
conn_new(const struct conn_shared *shared, evutil_socket_t fd, struct place *place, const struct conn_limits *limits, const struct conn_ops *ops, void *ctx)
{
	struct tls *tls = listener_tls(place_listener(place));
	SSL *ssl = tls != NULL ? tls_accept(tls) : NULL;
	struct bufferevent *bev = tls == NULL ? bufferevent_socket_new(shared->base, fd, BEV_OPT_CLOSE_ON_FREE)
	    : ssl == NULL ? NULL : bufferevent_openssl_socket_new(shared->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);

	if (bev == NULL) {	/* libevent has freed the SSL, where there was one */
		ERR_clear_error();
		evutil_closesocket(fd);
		place_leave(place);
		return NULL;
	}
	struct conn *c = conn_new_on(shared, bev, limits, ops, ctx);
	c->ssl = ssl;
	if (ssl != NULL)	/* stopped at a mark in mid-record, libevent would not look again at what OpenSSL has left: `full` alone stops it */
		bufferevent_setwatermark(bev, EV_READ, 0, 0);
	c->place = place;
	place_hold(place, conn_evict, c);
	if (ssl != NULL) {
		c->state = STATE_HANDSHAKE;
		conn_update_reading(c);
	}
	return c;
}
