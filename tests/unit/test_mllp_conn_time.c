/* MLLP: pauses, back-pressure, slices of the turn, and the deadline of a frame. */
#include "check_mllp.h"

/* ------- pauses */

START_TEST(test_pause_in_mid_buffer)
{
	e.pauses = true;
	send_text("\x0b" "a");			/* gathered, with what comes behind it */
	send_text("\x1c\r" FRAME("b") FRAME("c") FRAME("d"));
	ck_assert_uint_eq(e.n, 1);
	for (size_t i = 2; i <= 4; i++) {
		mllp_conn_resume(e.c);
		ck_assert_uint_eq(e.n, i - 1);
		world_turns(&e.w, 3);
		ck_assert_uint_eq(e.n, i);
	}
	ck_assert(e.first[0] == 'a' && e.first[1] == 'b' && e.first[2] == 'c' && e.first[3] == 'd');
}
END_TEST

/* A buffer that is full of junk, with a frame's beginning at its end: what had no room there is taken once there is, before the peer's end is told. */
START_TEST(test_more_than_the_buffer_holds)
{
	static char junk[20000];

	memset(junk, 'j', sizeof(junk));
	send_text("\x0b" "b");			/* gathered, as is what comes behind it */
	bufferevent_write(e.peer, "\x1c\r", 2);
	for (int i = 0; i < 7; i++)
		bufferevent_write(e.peer, FRAME("s"), 4);
	bufferevent_write(e.peer, junk, sizeof(junk));
	e.pauses_at = 8;
	send_frame('c', 8000, 1 << 20);
	ck_assert_uint_eq(e.n, 8);
	ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_output(e.peer)), 0);
	ck_assert_uint_gt(evbuffer_get_length(conn_input(mllp_conn_base(e.c))), 1000);
	bufferevent_flush(e.peer, EV_WRITE, BEV_FINISHED);
	world_turns(&e.w, 3);
	mllp_conn_resume(e.c);
	world_turns(&e.w, 3);
	ck_assert_uint_eq(e.n, 9);
	ck_assert_uint_eq(e.frames[8], 8000);
	ck_assert_uint_eq(e.junk, sizeof(junk));
	ck_assert(e.gone);
}
END_TEST

START_TEST(test_eof_waits_for_a_pause)
{
	e.pauses = true;
	send_text(FRAME("a") FRAME("b"));
	bufferevent_flush(e.peer, EV_WRITE, BEV_FINISHED);
	world_turns(&e.w, 4);
	ck_assert_uint_eq(e.eofs, 0);
	e.pauses = false;
	mllp_conn_resume(e.c);
	world_turns(&e.w, 4);
	ck_assert_uint_eq(e.n, 2);
	ck_assert_uint_eq(e.eofs, 1);
	ck_assert(e.gone);
}
END_TEST

/* Whose answers are not taken, gets no more work done. */
START_TEST(test_clogged)
{
	e.answers = true;
	bufferevent_disable(e.peer, EV_READ);
	for (int i = 0; i < 30; i++)
		bufferevent_write(e.peer, FRAME("a"), 4);
	world_turns(&e.w, 20);
	ck_assert_uint_eq(e.n, 3);
	bufferevent_enable(e.peer, EV_READ);
	world_turns(&e.w, 60);
	ck_assert_uint_eq(e.n, 30);
	ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_input(e.peer)), 30 * 1503);
}
END_TEST

START_TEST(test_long_turns_are_cut)
{
	conn_name(mllp_conn_base(e.c));		/* a stranger's bytes wait for another turn as it is */
	clock_set_for_tests(1000000000);
	e.slow_us = TURN_US + 1;
	bufferevent_write(e.peer, FRAME("a") FRAME("b") FRAME("c"), 12);
	event_base_loop(e.w.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	ck_assert_uint_eq(e.n, 1);
	world_turns(&e.w, 6);
	ck_assert_uint_eq(e.n, 3);
}
END_TEST

/* ------- deadlines */

/* From the frame's first byte, whatever comes in between. */
START_TEST(test_deadline_of_a_frame)
{
	limits.conn.part_ms = 150;
	teardown();
	setup();
	conn_name(mllp_conn_base(e.c));		/* idleness is long */
	send_text("\x0b" "a");
	int64_t began = clock_monotonic();
	while (!e.gone && clock_monotonic() - began < 3000000) {
		send_text("a");
		world_run(&e.w, 5);
	}
	ck_assert(e.gone);
	ck_assert_str_eq(e.reason, "what had begun did not end in time");
}
END_TEST

START_TEST(test_deadline_of_the_next_frame_is_its_own)
{
	limits.conn.part_ms = 300;
	teardown();
	setup();
	conn_name(mllp_conn_base(e.c));
	for (int i = 0; i < 20; i++) {
		send_text("\x0b" "a");
		world_run(&e.w, 20);
		send_text("\x1c\r");
	}
	ck_assert(!e.gone);
	ck_assert_uint_eq(e.n, 20);
}
END_TEST

/* What is in work here is not the peer's idleness; after it, it is. */
START_TEST(test_idle_only_without_work)
{
	limits.conn.idle_ms = 100;
	teardown();
	setup();
	conn_name(mllp_conn_base(e.c));
	send_text(FRAME("a"));
	mllp_conn_work(e.c, true);
	world_run(&e.w, 250);
	ck_assert(!e.gone);
	mllp_conn_work(e.c, false);
	world_until(&e.w, &e.gone);
	ck_assert_str_eq(e.reason, "idle for too long");
}
END_TEST

START_TEST(test_paused_is_not_late)
{
	limits.conn.part_ms = 100;
	teardown();
	setup();
	conn_name(mllp_conn_base(e.c));
	send_text("\x0b" "a");
	mllp_conn_pause(e.c);
	world_run(&e.w, 250);
	ck_assert(!e.gone);
	mllp_conn_resume(e.c);
	world_until(&e.w, &e.gone);
	ck_assert_str_eq(e.reason, "what had begun did not end in time");
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("mllp_conn_time");
	const TTest *const tests[] = {
		test_pause_in_mid_buffer,
		test_more_than_the_buffer_holds,
		test_eof_waits_for_a_pause,
		test_clogged,
		test_long_turns_are_cut,
		test_deadline_of_a_frame,
		test_deadline_of_the_next_frame_is_its_own,
		test_idle_only_without_work,
		test_paused_is_not_late,
	};

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(run.tcase, tests[i]);
	return check_end(run);
}
