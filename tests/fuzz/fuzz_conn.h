/* What the fuzzers of connections share: a loop without sockets, a pair of bufferevents of which one end is the connection's and the other the peer's, and
 * the peer. An input is a byte n, n bytes that say how the stream is cut, when the loop runs and what the peer does between, then the stream. The clock
 * stands still, so that the length of a turn is the input's to say. */
#ifndef VB_TESTS_FUZZ_CONN_H
#define VB_TESTS_FUZZ_CONN_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/clock.h"
#include "fuzz.h"
#include "net/conn.h"

enum { FUZZ_CONTROLS = 31, FUZZ_MOST = 16384, FUZZ_NOON = 1000000000 };

/* What a control byte says beside the length of the piece (its three lowest bits). */
enum fuzz_step {
	STEP_LOOP = 8,		/* the loop runs before the next piece */
	STEP_READ = 16,		/* the peer starts or stops to read */
	STEP_ANSWER = 32,	/* what waits in a handler goes on */
	STEP_OTHER = 64, STEP_RARE = 128,	/* the protocol's own */
};

struct fuzz_world {
	struct event_base *base;
	struct turn *turn;
	struct budget budget;
	struct conn_shared shared;
	struct bufferevent *peer;
	struct evbuffer *heard;		/* what the peer has read */
	bool peer_reads, ended;
	int64_t now;
	const uint8_t *controls, *stream;
	size_t n_controls, at_control, n_stream;
};

static void
fuzz_on_heard(struct bufferevent *bev, void *arg)
{
	struct fuzz_world *w = arg;

	evbuffer_add_buffer(w->heard, bufferevent_get_input(bev));
}

/* Takes an input apart and makes a pair. Returns the connection's end, NULL when the input is too short. */
static struct bufferevent *
fuzz_begin(struct fuzz_world *w, const uint8_t *data, size_t size, size_t budget, size_t strangers)
{
	static struct event_base *base;		/* one for all inputs: making it takes longer than most of them */
	static struct metrics *metrics;
	static struct turn *turn;
	struct bufferevent *pair[2];

	if (size < 2 || size > FUZZ_MOST || data[0] == 0 || data[0] > FUZZ_CONTROLS || size < 1u + data[0])
		return NULL;
	if (base == NULL) {
		base = event_base_new();
		metrics = metrics_new();
		turn = turn_new(base, metrics);
	}
	*w = (struct fuzz_world){.base = base, .turn = turn, .budget = {.limit = budget, .strangers_limit = strangers}, .peer_reads = true,
	    .now = FUZZ_NOON, .controls = data + 1, .n_controls = data[0], .stream = data + 1 + data[0], .n_stream = size - 1 - data[0]};
	clock_set_for_tests(w->now);
	FUZZ_CHECK(bufferevent_pair_new(base, 0, pair) == 0);
	w->peer = pair[1];
	w->heard = evbuffer_new();
	bufferevent_setcb(w->peer, fuzz_on_heard, NULL, NULL, w);
	bufferevent_enable(w->peer, EV_READ | EV_WRITE);
	return pair[0];
}

/* shared points into the world, which must have found its place. */
static const struct conn_shared *
fuzz_shared(struct fuzz_world *w)
{
	w->shared = (struct conn_shared){w->base, &w->budget, w->turn};
	return &w->shared;
}

static uint8_t
fuzz_control(struct fuzz_world *w)
{
	return w->controls[w->at_control++ % w->n_controls];
}

static void
fuzz_loop(struct fuzz_world *w, int turns)
{
	while (turns-- > 0) {
		event_base_loop(w->base, EVLOOP_NONBLOCK);
		FUZZ_CHECK(w->budget.used <= w->budget.limit && w->budget.strangers_used <= w->budget.strangers_limit);
		FUZZ_CHECK(w->budget.strangers_used <= w->budget.used);
	}
}

static void
fuzz_peer_reads(struct fuzz_world *w, bool reads)
{
	w->peer_reads = reads;
	if (reads)
		bufferevent_enable(w->peer, EV_READ);
	else
		bufferevent_disable(w->peer, EV_READ);
}

/* Sends the next piece, as long as the control byte says. False when nothing is left. */
static bool
fuzz_send(struct fuzz_world *w, uint8_t control)
{
	static const size_t pieces[8] = {1, 2, 3, 7, 20, 100, 1000, SIZE_MAX};
	size_t n = pieces[control & 7];

	if (n > w->n_stream)
		n = w->n_stream;
	if (n == 0)
		return false;
	bufferevent_write(w->peer, w->stream, n);
	w->stream += n;
	w->n_stream -= n;
	return true;
}

/* The peer sends no more, once all that it sent is taken. */
static void
fuzz_peer_ends(struct fuzz_world *w)
{
	if (w->ended || evbuffer_get_length(bufferevent_get_output(w->peer)) > 0)
		return;
	w->ended = true;
	bufferevent_flush(w->peer, EV_WRITE, BEV_FINISHED);
}

/* The connection is gone: nothing may be counted any more. */
static void
fuzz_end(struct fuzz_world *w)
{
	FUZZ_CHECK(w->budget.used == 0 && w->budget.strangers_used == 0);
	bufferevent_free(w->peer);
	evbuffer_free(w->heard);
	fuzz_loop(w, 2);
	clock_set_for_tests(0);
}

/* Looks at every byte: AddressSanitizer sees what is not the view's. */
static void
fuzz_touch(struct view v)
{
	static volatile unsigned char sink;

	for (size_t i = 0; i < v.n; i++)
		sink = (unsigned char)(sink ^ (unsigned char)v.p[i]);
}

#endif
