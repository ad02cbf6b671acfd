/* An event that is made active by the first callback of a turn runs after the others that are ready: its time is the turn's. */
#include "turn.h"

#include <stdlib.h>

#include "clock.h"
#include "memory.h"

enum { WINDOW_US = 30000000 };

struct turn {
	struct event *end, *go;
	TAILQ_HEAD(turn_tasks, turn_task) tasks[TURN_RANKS];
	int64_t began;		/* monotonic, microseconds; 0: none is going on */
	int64_t phase, slice;	/* when what may take TURN_US began, and what may take TURN_SLICE_US */
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

static void
turn_arm(struct turn *t)
{
	static const struct timeval at_once = {0, 0};

	if (!evtimer_pending(t->go, NULL))
		evtimer_add(t->go, &at_once);
}

/* The tasks that wait, as far as the time goes. It is their own: sockets that took all of a turn's do not keep them from going on. */
static void
turn_on_go(evutil_socket_t fd, short events, void *arg)
{
	static const int64_t until[TURN_RANKS] = {[TURN_KNOWN] = TURN_US / 2, [TURN_STRANGER] = TURN_US};
	struct turn *t = arg;
	struct turn_task *task;

	(void)fd, (void)events;
	turn_begin(t);
	t->phase = t->slice;
	for (int rank = 0; rank < TURN_RANKS; rank++)
		for (; (task = TAILQ_FIRST(&t->tasks[rank])) != NULL && t->slice - t->phase < until[rank]; t->slice = clock_monotonic()) {
			TAILQ_REMOVE(&t->tasks[rank], task, link);
			task->waits = false;
			task->run(task->arg);
		}
	if (!TAILQ_EMPTY(&t->tasks[TURN_KNOWN]) || !TAILQ_EMPTY(&t->tasks[TURN_STRANGER]))
		turn_arm(t);
}

struct event_base *
turn_base_new(void)
{
	static const struct timeval most = {0, TURN_US};
	struct event_config *config = event_config_new();

	if (config == NULL)
		return NULL;
	event_config_set_max_dispatch_interval(config, &most, -1, 0);
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct turn *
turn_new(struct event_base *base, struct metrics *metrics)
{
	struct turn *t = memory_new(sizeof(*t));

	t->end = event_new(base, -1, 0, turn_on_end, t);
	t->go = evtimer_new(base, turn_on_go, t);
	TAILQ_INIT(&t->tasks[TURN_KNOWN]);
	TAILQ_INIT(&t->tasks[TURN_STRANGER]);
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
	event_free(t->go);
	free(t);
}

void
turn_begin(struct turn *t)
{
	t->slice = clock_monotonic();
	if (t->began != 0)
		return;
	t->began = t->phase = t->slice;
	event_active(t->end, EV_TIMEOUT, 0);
}

bool
turn_is_long(const struct turn *t)
{
	int64_t now = clock_monotonic();

	return t->began != 0 && (now - t->slice > TURN_SLICE_US || now - t->phase > TURN_US);
}

void
turn_report(struct turn *t)
{
	turn_move_window(t);
	metric_set(t->gauge, t->longest > t->longest_before ? t->longest : t->longest_before);
}

void
turn_later(struct turn *t, struct turn_task *task, enum turn_rank rank)
{
	if (task->waits)
		return;
	task->waits = true;
	task->rank = rank;
	TAILQ_INSERT_TAIL(&t->tasks[rank], task, link);
	turn_arm(t);
}

void
turn_forget(struct turn *t, struct turn_task *task)
{
	if (task->waits)
		TAILQ_REMOVE(&t->tasks[task->rank], task, link);
	task->waits = false;
}
