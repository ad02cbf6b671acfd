/* The loop. A connection answers in the order of its requests, so what is in flight is a ring of serials; see engine.h. */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { READ_BYTES = 65536, EVENTS = 256 };
static const int64_t drain_ns = INT64_C(15000000000);

struct pending {
	uint64_t serial;
	int64_t due_ns;
};

struct conn {
	struct wire wire;
	struct buffer in, out;
	struct pending *ring;
	size_t head, n, room;
	bool wants_write, touched, closed;
};

struct engine {
	const struct engine_options *o;
	struct engine_result *r;
	struct conn *conns;
	int epoll, timer;
	uint64_t issued, in_flight, limit;
	bool stopped;
};

static void
pending_push(struct conn *c, uint64_t serial, int64_t due_ns)
{
	if (c->n == c->room) {
		size_t room = c->room > 0 ? c->room * 2 : 16;
		struct pending *ring = need(room * sizeof(*ring));
		for (size_t i = 0; i < c->n; i++)
			ring[i] = c->ring[(c->head + i) % c->room];
		free(c->ring);
		c->ring = ring;
		c->head = 0;
		c->room = room;
	}
	c->ring[(c->head + c->n++) % c->room] = (struct pending){serial, due_ns};
}

static void
conn_watch(struct engine *e, struct conn *c, bool write)
{
	struct epoll_event ev = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};

	if (c->wants_write == write)
		return;
	c->wants_write = write;
	epoll_ctl(e->epoll, EPOLL_CTL_MOD, c->wire.fd, &ev);
}

static void
conn_lose(struct engine *e, struct conn *c, const char *why)
{
	if (c->closed)
		return;
	if (e->r->complaint[0] == '\0')
		snprintf(e->r->complaint, sizeof(e->r->complaint), "connection lost: %s", why);
	e->r->lost += c->n;
	e->in_flight -= c->n;
	c->n = 0;
	c->closed = true;
	wire_close(&c->wire);
}

static void
conn_flush(struct engine *e, struct conn *c)
{
	while (!c->closed && c->out.done < c->out.used) {
		ssize_t n = wire_send(&c->wire, c->out.p + c->out.done, c->out.used - c->out.done);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			conn_lose(e, c, strerror(errno));
		else
			buffer_consume(&c->out, (size_t)n);
	}
	if (!c->closed)
		conn_watch(e, c, c->out.done < c->out.used);
}

static void
conn_request(struct engine *e, struct conn *c, int64_t due_ns)
{
	uint64_t serial = e->o->serial + e->issued * e->o->stride;

	e->o->render(e->o->ctx, &c->out, serial);
	pending_push(c, serial, due_ns);
	e->issued++;
	e->in_flight++;
	e->r->sent++;
}

/* Closed loop: fills the connection's window. */
static void
conn_fill(struct engine *e, struct conn *c, int64_t now)
{
	if (e->o->rate > 0)
		return;
	while (!e->stopped && !c->closed && c->n < e->o->window && e->issued < e->limit)
		conn_request(e, c, now);
}

static void
reply_count(struct engine *e, const struct pending *p, bool good, const char *text, size_t n, int64_t now)
{
	struct engine_result *r = e->r;

	e->in_flight--;
	if (!good) {
		r->bad++;
		if (r->complaint[0] == '\0')
			snprintf(r->complaint, sizeof(r->complaint), "%.*s", (int)(n < 280 ? n : 280), text);
		return;
	}
	r->good++;
	/* an open loop measures the requests that were due in its time, the closed one the replies that came in it */
	int64_t at = e->o->rate > 0 ? p->due_ns : now;
	if (at >= r->from_ns && at < r->to_ns) {
		r->measured++;
		histogram_add(&r->latency, now - p->due_ns);
	}
}

static void
conn_read(struct engine *e, struct conn *c)
{
	for (;;) {
		ssize_t n = wire_recv(&c->wire, buffer_room(&c->in, READ_BYTES), READ_BYTES);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			conn_lose(e, c, n == 0 ? "closed by the peer" : strerror(errno));
			return;
		}
		c->in.used += (size_t)n;
		int64_t now = now_ns();
		while (c->n > 0) {
			struct pending p = c->ring[c->head];
			const char *at = c->in.p + c->in.done;
			size_t left = c->in.used - c->in.done, used = 0;
			enum reply_result result = e->o->judge(e->o->ctx, at, left, p.serial, &used);
			if (result == REPLY_MORE)
				break;
			c->head = (c->head + 1) % c->room;
			c->n--;
			reply_count(e, &p, result == REPLY_GOOD, at, left, now);
			buffer_consume(&c->in, used);
			if (used == 0) {
				conn_lose(e, c, "not a reply");
				return;
			}
		}
		conn_fill(e, c, now);
		if (n < READ_BYTES)
			return;
	}
}

/* ------- open loop */

static int64_t
due_at(const struct engine *e, uint64_t nth)
{
	return e->o->start_ns + (int64_t)((double)nth * 1e9 / e->o->rate);
}

static void
timer_set(struct engine *e)
{
	int64_t due = due_at(e, e->issued);
	struct itimerspec t = {.it_value = {due / 1000000000, due % 1000000000}};

	timerfd_settime(e->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* All that is due leaves now, spread over the connections in turn. */
static void
open_loop_send(struct engine *e)
{
	int64_t now = now_ns();
	uint64_t first = e->issued;

	while (!e->stopped && e->issued < e->limit && due_at(e, e->issued) <= now) {
		struct conn *c = &e->conns[e->issued % e->o->connections];
		if (c->closed) {
			e->issued++;
			e->r->sent++;
			e->r->lost++;
			continue;
		}
		conn_request(e, c, due_at(e, e->issued));
	}
	for (uint64_t i = first; i < e->issued && i < first + e->o->connections; i++)
		conn_flush(e, &e->conns[i % e->o->connections]);
	timer_set(e);
}

/* ------- the run */

static void
engine_open(struct engine *e)
{
	struct epoll_event ev = {.events = EPOLLIN};

	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	e->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	e->conns = need(e->o->connections * sizeof(*e->conns));
	if (epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->timer, &ev) != 0)
		die("epoll: %s", strerror(errno));
	for (unsigned i = 0; i < e->o->connections; i++) {
		struct conn *c = &e->conns[i];
		wire_open(&c->wire, e->o->address, e->o->tls);
		ev.data.ptr = c;
		epoll_ctl(e->epoll, EPOLL_CTL_ADD, c->wire.fd, &ev);
	}
}

static void
engine_close(struct engine *e)
{
	for (unsigned i = 0; i < e->o->connections; i++) {
		struct conn *c = &e->conns[i];
		e->r->lost += c->n;
		if (!c->closed)
			wire_close(&c->wire);
		buffer_free(&c->in);
		buffer_free(&c->out);
		free(c->ring);
	}
	free(e->conns);
	close(e->epoll);
	close(e->timer);
}

static void
engine_turn(struct engine *e)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(e->epoll, events, EVENTS, 20);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;
		if (c == NULL) {
			uint64_t ticks;
			if (read(e->timer, &ticks, sizeof(ticks)) > 0)
				open_loop_send(e);
			continue;
		}
		if (!c->closed && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
			conn_read(e, c);
		if (!c->closed)
			conn_flush(e, c);
	}
}

void
engine_run(const struct engine_options *o, struct engine_result *r)
{
	struct engine e = {.o = o, .r = r, .limit = o->count > 0 ? o->count : UINT64_MAX};
	int64_t end;

	engine_open(&e);
	r->from_ns = o->count > 0 ? o->start_ns : o->start_ns + o->warm_ns;
	r->to_ns = o->count > 0 ? INT64_MAX : r->from_ns + o->measure_ns;
	if (o->rate > 0)
		timer_set(&e);
	for (unsigned i = 0; i < o->connections && o->rate <= 0; i++) {
		conn_fill(&e, &e.conns[i], now_ns());
		conn_flush(&e, &e.conns[i]);
	}
	for (end = INT64_MAX; now_ns() < end;) {
		engine_turn(&e);
		if (!e.stopped && (now_ns() >= r->to_ns || e.issued >= e.limit)) {
			e.stopped = true;
			end = now_ns() + drain_ns;
		}
		if (e.stopped && e.in_flight == 0)
			break;
		if (e.in_flight == 0 && r->lost > 0 && o->rate <= 0)
			break;
	}
	if (o->count > 0)
		r->to_ns = now_ns();
	engine_close(&e);
}
