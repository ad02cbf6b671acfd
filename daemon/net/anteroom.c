/* Two lists: who has said nothing yet, and who waits to go in. A guest is only ever freed by the timer that lets guests in, or at the end. */
#include "anteroom.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/memory.h"

enum { A_TURN = 8, MAGIC = 0x616e7465 };

enum guest_state { GUEST_SILENT, GUEST_READY, GUEST_GONE };

struct guest {
	TAILQ_ENTRY(guest) link;	/* of the list of its state; gone ones are among the ready */
	unsigned magic;
	enum guest_state state;
	struct anteroom *room;
	evutil_socket_t fd;
	struct place *place;
	struct event *readable;
};

TAILQ_HEAD(guest_list, guest);

struct anteroom {
	struct event_base *base;
	struct timeval first_byte;
	listener_fn fn;
	void *arg;
	struct guest_list silent, ready;
	struct event *admit;
};

/* Out of the room: to the handshake, or away. */
static void
guest_leave(struct guest *g, bool goes_in)
{
	struct anteroom *a = g->room;

	TAILQ_REMOVE(g->state == GUEST_SILENT ? &a->silent : &a->ready, g, link);
	event_free(g->readable);
	if (goes_in) {
		a->fn(a->arg, g->fd, g->place);
	} else {
		evutil_closesocket(g->fd);
		place_leave(g->place);
	}
	g->magic = 0;
	free(g);
}

static void
guest_wait_for_timer(struct guest *g, enum guest_state state)
{
	static const struct timeval at_once = {0, 0};
	struct anteroom *a = g->room;

	if (g->state == GUEST_SILENT) {
		TAILQ_REMOVE(&a->silent, g, link);
		TAILQ_INSERT_TAIL(&a->ready, g, link);
	}
	g->state = state;
	if (!evtimer_pending(a->admit, NULL))
		evtimer_add(a->admit, &at_once);
}

static void
on_readable(evutil_socket_t fd, short events, void *arg)
{
	struct guest *g = arg;

	(void)fd;
	assert(g->magic == MAGIC);
	guest_wait_for_timer(g, (events & EV_READ) != 0 ? GUEST_READY : GUEST_GONE);
}

static void
guest_evict(void *arg)
{
	struct guest *g = arg;

	assert(g->magic == MAGIC);
	guest_wait_for_timer(g, GUEST_GONE);
}

/* A timer of no time comes once a turn of the loop, after the sockets that are ready in it. */
static void
on_admit(evutil_socket_t fd, short events, void *arg)
{
	static const struct timeval at_once = {0, 0};
	struct anteroom *a = arg;
	struct guest *g;

	(void)fd, (void)events;
	for (int in = 0; in < A_TURN && (g = TAILQ_FIRST(&a->ready)) != NULL;) {
		in += g->state == GUEST_READY;
		guest_leave(g, g->state == GUEST_READY);
	}
	if (!TAILQ_EMPTY(&a->ready))
		evtimer_add(a->admit, &at_once);
}

struct anteroom *
anteroom_new(struct event_base *base, int first_byte_ms, listener_fn fn, void *arg)
{
	struct anteroom *a = memory_new(sizeof(*a));

	a->base = base;
	a->first_byte = (struct timeval){first_byte_ms / 1000, first_byte_ms % 1000 * 1000};
	a->fn = fn;
	a->arg = arg;
	TAILQ_INIT(&a->silent);
	TAILQ_INIT(&a->ready);
	a->admit = evtimer_new(base, on_admit, a);
	return a;
}

void
anteroom_free(struct anteroom *a)
{
	struct guest *g;

	if (a == NULL)
		return;
	while ((g = TAILQ_FIRST(&a->silent)) != NULL || (g = TAILQ_FIRST(&a->ready)) != NULL)
		guest_leave(g, false);
	event_free(a->admit);
	free(a);
}

void
anteroom_enter(struct anteroom *a, evutil_socket_t fd, struct place *place)
{
	struct guest *g = memory_new(sizeof(*g));

	g->magic = MAGIC;
	g->room = a;
	g->fd = fd;
	g->place = place;
	g->readable = event_new(a->base, fd, EV_READ, on_readable, g);
	TAILQ_INSERT_TAIL(&a->silent, g, link);
	place_hold(place, guest_evict, g);
	event_add(g->readable, &a->first_byte);
}
