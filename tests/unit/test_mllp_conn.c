/* MLLP: frames in pieces, at their limit, and what they cost; commit blocks. */
#include "check_mllp.h"

/* ------- frames */

START_TEST(test_frames_of_one_read)
{
	send_text(FRAME("aa") FRAME("b") FRAME("") FRAME("cccc"));
	ck_assert_uint_eq(e.n, 4);
	ck_assert(e.frames[0] == 2 && e.frames[1] == 1 && e.frames[2] == 0 && e.frames[3] == 4);
	ck_assert_uint_eq(e.junk, 0);
	ck_assert_uint_eq(e.begins, 0);		/* nothing came in pieces */
}
END_TEST

START_TEST(test_frames_in_pieces)
{
	static const size_t pieces[] = {1, 2, 3, 7, 100, 4095, 4096, 4097};

	send_frame('a', 300, pieces[_i]);
	send_frame('b', 9000, pieces[_i] < 100 ? 100 : pieces[_i]);
	send_frame('c', 3, pieces[_i]);
	ck_assert_uint_eq(e.n, 3);
	ck_assert(e.frames[0] == 300 && e.frames[1] == 9000 && e.frames[2] == 3);
	ck_assert(e.first[0] == 'a' && e.first[1] == 'b' && e.first[2] == 'c');
}
END_TEST

START_TEST(test_junk_and_restarts)
{
	send_text("\r\n" FRAME("a") "xyz" FRAME("b") "\x0b" "given up" FRAME("c") "\x1c\r");
	ck_assert_uint_eq(e.n, 3);
	ck_assert_uint_eq(e.junk, 2 + 3 + 9 + 2);
}
END_TEST

/* Exactly the limit is taken, whatever the cuts; one byte more is not. */
START_TEST(test_frame_at_its_limit)
{
	static const size_t cuts[] = {FRAME_BYTES, FRAME_BYTES + 1, FRAME_BYTES + 2, 1000, 1 << 20};

	send_frame('a', FRAME_BYTES, cuts[_i]);
	ck_assert_uint_eq(e.n, 1);
	ck_assert_uint_eq(e.frames[0], FRAME_BYTES);
	send_frame('b', FRAME_BYTES + 1, cuts[_i]);
	ck_assert(e.gone);
	ck_assert_str_eq(e.reason, "frame too large");
	ck_assert_uint_eq(e.n, 1);
}
END_TEST

/* It is not waited for the end of what is too large already. */
START_TEST(test_frame_that_does_not_end)
{
	static char bytes[FRAME_BYTES + 10];

	memset(bytes, 'x', sizeof(bytes));
	bytes[0] = 0x0B;
	for (size_t at = 0; at < sizeof(bytes) && !e.gone; at += 1000)
		send_bytes(bytes + at, sizeof(bytes) - at < 1000 ? sizeof(bytes) - at : 1000);
	ck_assert(e.gone);
	ck_assert_str_eq(e.reason, "frame too large");
}
END_TEST

START_TEST(test_commit_blocks)
{
	send_text(FRAME("\x06") FRAME("\x15") FRAME("\x06") FRAME("\x06\x06"));
	ck_assert_uint_eq(e.acks, 2);
	ck_assert_uint_eq(e.naks, 1);
	ck_assert_uint_eq(e.n, 1);
	mllp_conn_send_commit(e.c, true);
	mllp_conn_send_commit(e.c, false);
	mllp_conn_send(e.c, VIEW_LITERAL("ack"));
	world_turns(&e.w, 3);
	char text[32] = "";
	evbuffer_copyout(bufferevent_get_input(e.peer), text, sizeof(text) - 1);
	ck_assert_str_eq(text, FRAME("\x06") FRAME("\x15") FRAME("ack"));
}
END_TEST

/* ------- memory */

/* A large frame is counted while it is gathered, in a buffer that doubles, and nothing of it after. */
START_TEST(test_what_a_frame_costs)
{
	send_bytes("\x0b", 1);
	for (int i = 0; i < 15; i++) {
		char bytes[1000];
		memset(bytes, 'a', sizeof(bytes));
		send_bytes(bytes, sizeof(bytes));
	}
	ck_assert_uint_ge(e.w.budget.strangers_used, 15001);
	ck_assert_uint_le(e.w.budget.strangers_used, 2 * 15001);
	send_text("\x1c\r");
	ck_assert_uint_eq(e.n, 1);
	ck_assert_uint_le(e.w.budget.used, 65536);
}
END_TEST

START_TEST(test_idle_holds_no_large_buffer)
{
	limits.frame_bytes = 90000;
	send_frame('a', 80000, 4000);
	ck_assert_uint_eq(e.n, 1);
	ck_assert_uint_eq(e.w.budget.used, 0);
}
END_TEST

START_TEST(test_a_strangers_frame_without_memory)
{
	e.w.budget.strangers_limit = 10000;
	send_frame('a', 15000, 1000);
	ck_assert(e.gone);
	ck_assert_str_eq(e.reason, "the memory for peers without a name is used up");
}
END_TEST

/* Whose frame it is can be told from its first bytes: a known sender's does not need the strangers' memory. */
START_TEST(test_a_named_frame_has_the_whole_budget)
{
	e.w.budget.strangers_limit = 10000;
	e.names = true;
	send_frame('a', 15000, 1000);
	ck_assert_uint_eq(e.n, 1);
	ck_assert_uint_eq(e.begins, 1);		/* who is known is not asked again */
	ck_assert_int_eq(e.begin[0], 'a');
}
END_TEST

START_TEST(test_begin_is_told_with_more)
{
	send_text("\x0b" "M");
	ck_assert_str_eq(e.begin, "M");
	send_text("MM");
	ck_assert_uint_eq(e.begins, 2);
	ck_assert_str_eq(e.begin, "MMM");
	send_text("\x1c\r");
	ck_assert_uint_eq(e.n, 1);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("mllp_conn");
	const TTest *const tests[] = {
		test_frames_of_one_read,
		test_junk_and_restarts,
		test_frame_that_does_not_end,
		test_commit_blocks,
		test_what_a_frame_costs,
		test_idle_holds_no_large_buffer,
		test_a_strangers_frame_without_memory,
		test_a_named_frame_has_the_whole_budget,
		test_begin_is_told_with_more,
	};

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(run.tcase, tests[i]);
	tcase_add_loop_test(run.tcase, test_frames_in_pieces, 0, 8);
	tcase_add_loop_test(run.tcase, test_frame_at_its_limit, 0, 5);
	return check_end(run);
}
