/* An event that is made active by the first callback of a turn runs behind the others that are ready: its time is the turn's. */
#include "turn.h"

#include <stdlib.h>

#include "clock.h"
#include "memory.h"

enum { WINDOW_US = 30000000 };

struct turn {
	struct event *end;
	int64_t began;		/* monotonic, microseconds; 0: none is going on */
	int64_t longest, longest_before, window_at;	/* of this half minute, and of the one before */
	struct metric_series *seconds, *gauge;
};

static void
turn_move_window(struct turn *t)
{
	int64_t now = clock_monotonic(), age = now - t->window_at;

	if (age < WINDOW_US)
		return;
	t->longest_before = age < 2 * WINDOW_US ? t->longest : 0;
	t->longest = 0;
	t->window_at = now;
}

static void
turn_on_end(evutil_socket_t fd, short events, void *arg)
{
	struct turn *t = arg;
	int64_t took = clock_monotonic() - t->began;

	(void)fd, (void)events;
	t->began = 0;
	turn_move_window(t);
	if (took > t->longest)
		t->longest = took;
	metric_observe(t->seconds, took);
}

struct turn *
turn_new(struct event_base *base, struct metrics *metrics)
{
	struct turn *t = memory_new(sizeof(*t));

	t->end = event_new(base, -1, 0, turn_on_end, t);
	t->seconds = metrics_series(metrics, "visitbill_loop_turn_seconds", METRIC_HISTOGRAM, "Turns of the event loop.", "");
	t->gauge = metrics_series(metrics, "visitbill_loop_turn_longest_seconds", METRIC_GAUGE, "The longest turn of the last half minute to minute.", "");
	return t;
}

void
turn_free(struct turn *t)
{
	if (t == NULL)
		return;
	event_free(t->end);
	free(t);
}

void
turn_begin(struct turn *t)
{
	if (t->began != 0)
		return;
	t->began = clock_monotonic();
	event_active(t->end, EV_TIMEOUT, 0);
}

bool
turn_is_long(const struct turn *t)
{
	return t->began != 0 && clock_monotonic() - t->began > TURN_SLICE_US;
}

void
turn_report(struct turn *t)
{
	turn_move_window(t);
	metric_set(t->gauge, t->longest > t->longest_before ? t->longest : t->longest_before);
}
