/* daemon/base/turn.h: work that goes on for ever keeps neither other work nor the sockets waiting, and who has a name comes first. */
#include <event2/event.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/turn.h"
#include "check_main.h"

enum { WORKERS = 8 };

struct worker {
	struct turn *turn;
	struct turn_task task;
	enum turn_rank rank;
	unsigned slices, *order;	/* order: counts all slices; where it was at this worker's first */
	unsigned first;
};

static int64_t now;
static struct event_base *base;
static struct metrics *metrics;
static struct turn *turn;

static void
setup(void)
{
	now = 1000000000;
	clock_set_for_tests(now);
	base = turn_base_new();
	metrics = metrics_new();
	turn = turn_new(base, metrics);
}

static void
teardown(void)
{
	turn_free(turn);
	metrics_free(metrics);
	event_base_free(base);
}

/* Uses its slice up and wants another. */
static void
work(void *arg)
{
	struct worker *w = arg;

	if (w->slices++ == 0)
		w->first = *w->order;
	++*w->order;
	for (; !turn_is_long(w->turn); clock_set_for_tests(now))	/* a slice is as long on a busy machine */
		now += 200;
	turn_later(w->turn, &w->task, w->rank);
}

static void
employ(struct worker *w, unsigned n, enum turn_rank rank, unsigned *order)
{
	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct worker){.turn = turn, .task = {.run = work, .arg = &w[i]}, .rank = rank, .order = order};
		turn_later(turn, &w[i].task, rank);
	}
}

static void
dismiss(struct worker *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		turn_forget(turn, &w[i].task);
}

START_TEST(test_all_in_order)
{
	struct worker w[WORKERS];
	unsigned order = 0;

	employ(w, WORKERS, TURN_STRANGER, &order);
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_ONCE);
	for (unsigned i = 0; i < WORKERS; i++) {
		ck_assert_uint_eq(w[i].first, i);
		ck_assert_uint_ge(w[i].slices + 1, w[0].slices);	/* nobody has had two more than another */
	}
	ck_assert_uint_ge(w[0].slices, 2);
	dismiss(w, WORKERS);
}
END_TEST

START_TEST(test_known_first_strangers_too)
{
	struct worker strangers[WORKERS], known[WORKERS];
	unsigned order = 0;

	employ(strangers, WORKERS, TURN_STRANGER, &order);
	employ(known, WORKERS, TURN_KNOWN, &order);
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(known[0].first, 0);
	ck_assert_uint_lt(known[1].first, strangers[0].first);
	for (unsigned i = 0; i < WORKERS; i++) {
		ck_assert_uint_ge(known[i].slices, 2);
		ck_assert_uint_ge(strangers[i].slices, 2);
	}
	dismiss(known, WORKERS);
	dismiss(strangers, WORKERS);
}
END_TEST

static void
on_readable(evutil_socket_t fd, short events, void *arg)
{
	char byte;

	(void)events;
	ck_assert_int_eq(read(fd, &byte, 1), 1);
	event_base_loopbreak(arg);
}

/* Activates itself, as a callback that makes work for itself does. */
static void
on_restless(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	event_active(*(struct event **)arg, EV_TIMEOUT, 0);
}

START_TEST(test_sockets_are_looked_at)
{
	struct worker w[WORKERS];
	struct event *restless, *readable;
	unsigned order = 0;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	readable = event_new(base, ends[0], EV_READ, on_readable, base);
	event_add(readable, NULL);
	restless = event_new(base, -1, 0, on_restless, &restless);
	event_active(restless, EV_TIMEOUT, 0);
	employ(w, WORKERS, TURN_KNOWN, &order);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	int64_t began = clock_monotonic();
	event_base_dispatch(base);
	ck_assert_int_lt(clock_monotonic() - began, 2000000);
	dismiss(w, WORKERS);
	event_free(restless);
	event_free(readable);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static void
count(void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(test_once_and_never)
{
	unsigned runs = 0, never = 0;
	struct turn_task twice = {.run = count, .arg = &runs}, forgotten = {.run = count, .arg = &never};

	turn_later(turn, &twice, TURN_KNOWN);
	turn_later(turn, &twice, TURN_STRANGER);
	turn_later(turn, &forgotten, TURN_STRANGER);
	turn_forget(turn, &forgotten);
	turn_forget(turn, &forgotten);
	ck_assert_uint_eq(runs, 0);	/* never from inside */
	event_base_dispatch(base);	/* until nothing is left */
	ck_assert_uint_eq(runs, 1);
	ck_assert_uint_eq(never, 0);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("turn_tasks");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_all_in_order);
	tcase_add_test(run.tcase, test_known_first_strangers_too);
	tcase_add_test(run.tcase, test_sockets_are_looked_at);
	tcase_add_test(run.tcase, test_once_and_never);
	return check_end(run);
}
