/* The length of the loop's turns, by a clock that a test sets. */
#include "check_net.h"

enum { NOON = 1000000000 };

static int64_t now = NOON;

static void
clock_go(int64_t us)
{
	clock_set_for_tests(now += us);
}

static int64_t
gauge(struct world *w)
{
	turn_report(w->shared.turn);
	return metric_value(metrics_series(w->metrics, "visitbill_loop_turn_longest_seconds", METRIC_GAUGE, "", ""));
}

static void
turn_of(struct world *w, int64_t us)
{
	turn_begin(w->shared.turn);
	clock_go(us);
	world_turns(w, 1);
}

/* An entrance has a slice; all entrances of a turn together have the turn's time. */
START_TEST(test_a_turn_is_long_after_a_slice)
{
	struct world w;

	clock_go(0);
	world_open(&w);
	ck_assert(!turn_is_long(w.shared.turn));	/* none is going on */
	turn_begin(w.shared.turn);
	clock_go(TURN_SLICE_US);
	ck_assert(!turn_is_long(w.shared.turn));
	clock_go(1);
	ck_assert(turn_is_long(w.shared.turn));
	turn_begin(w.shared.turn);			/* another entrance of the same turn */
	ck_assert(!turn_is_long(w.shared.turn));
	clock_go(TURN_US - TURN_SLICE_US);
	turn_begin(w.shared.turn);
	ck_assert(turn_is_long(w.shared.turn));
	world_turns(&w, 1);
	ck_assert(!turn_is_long(w.shared.turn));
	turn_begin(w.shared.turn);
	ck_assert(!turn_is_long(w.shared.turn));
	world_turns(&w, 1);
	world_close(&w);
}
END_TEST

START_TEST(test_longest_is_of_the_last_minute)
{
	struct world w;

	clock_go(0);
	world_open(&w);
	clock_go(31000000);
	turn_of(&w, 7000);
	turn_of(&w, 3000);
	ck_assert_int_eq(gauge(&w), 7000);
	clock_go(30000000);
	turn_of(&w, 4000);
	ck_assert_int_eq(gauge(&w), 7000);	/* of the half minute before */
	clock_go(30000000);
	ck_assert_int_eq(gauge(&w), 4000);
	clock_go(30000000);
	ck_assert_int_eq(gauge(&w), 0);
	turn_of(&w, 9000);
	clock_go(90000000);			/* nobody looked for long */
	ck_assert_int_eq(gauge(&w), 0);
	world_close(&w);
}
END_TEST

START_TEST(test_turns_are_counted)
{
	struct world w;
	struct metric_series *s;

	clock_go(0);
	world_open(&w);
	turn_of(&w, 7000);
	turn_of(&w, 100);
	s = metrics_series(w.metrics, "visitbill_loop_turn_seconds", METRIC_HISTOGRAM, "", "");
	ck_assert_int_eq(metric_value(s), 7100);
	world_close(&w);
}
END_TEST

START_TEST(test_the_real_clock_comes_back)
{
	clock_set_for_tests(5);
	ck_assert_int_eq(clock_now(), 5);
	ck_assert_int_eq(clock_monotonic(), 5);
	clock_set_for_tests(0);
	ck_assert_int_gt(clock_now(), INT64_C(1500000000000000));
	int64_t before = clock_monotonic();
	usleep(2000);
	ck_assert_int_ge(clock_monotonic() - before, 2000);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("turn");

	tcase_add_test(run.tcase, test_a_turn_is_long_after_a_slice);
	tcase_add_test(run.tcase, test_longest_is_of_the_last_minute);
	tcase_add_test(run.tcase, test_turns_are_counted);
	tcase_add_test(run.tcase, test_the_real_clock_comes_back);
	return check_end(run);
}
