/* MLLP: frames in pieces, at their limit, paused, and what they cost; commit blocks; the deadline of a frame. */
#include "check_net.h"

#include <event2/buffer.h>

#include "net/mllp_conn.h"

enum { FRAME_BYTES = 20000, SEEN = 64 };

struct end {
	struct world w;
	struct bufferevent *peer;
	struct mllp_conn *c;		/* NULL: gone */
	bool gone;
	const char *reason;
	bool names, pauses, answers;	/* what the handlers do: on_begin names; on_frame pauses, answers with 1500 bytes */
	int64_t slow_us;
	size_t pauses_at;		/* or at this frame alone */
	size_t n, frames[SEEN], junk, acks, naks, begins, eofs;
	char first[SEEN];
	char begin[64];
};

static struct end e;
static struct mllp_limits limits = {.conn = {.input_bytes = 4096, .output_bytes = 4000, .first_byte_ms = 5000, .part_ms = 5000, .idle_ms = 5000,
    .io_ms = 5000}, .frame_bytes = FRAME_BYTES};

static void
on_frame(void *ctx, struct view content)
{
	static char answer[1500];
	struct end *end = ctx;

	ck_assert_uint_lt(end->n, SEEN);
	end->first[end->n] = content.n > 0 ? content.p[0] : '-';
	end->frames[end->n++] = content.n;
	for (size_t i = 1; i < content.n; i++)
		ck_assert_int_eq(content.p[i], content.p[0]);	/* bytes of this frame alone */
	if (end->slow_us > 0)
		clock_set_for_tests(clock_monotonic() + end->slow_us);
	if (end->answers)
		mllp_conn_send(end->c, (struct view){answer, sizeof(answer)});
	if (end->pauses || end->n == end->pauses_at)
		mllp_conn_pause(end->c);
}

static void
on_begin(void *ctx, struct view bytes)
{
	struct end *end = ctx;

	end->begins++;
	ck_assert_int_eq(bytes.p[0], 0x0B);
	snprintf(end->begin, sizeof(end->begin), "%.*s", (int)bytes.n - 1, bytes.p + 1);
	if (end->names)
		conn_name(mllp_conn_base(end->c));
}

static void
on_commit(void *ctx, bool accepted)
{
	struct end *end = ctx;

	end->acks += accepted;
	end->naks += !accepted;
}

static void
on_junk(void *ctx, size_t bytes)
{
	((struct end *)ctx)->junk += bytes;
}

static void
on_eof(void *ctx)
{
	struct end *end = ctx;

	end->eofs++;
	mllp_conn_close(end->c, "closed by peer");
}

static void
on_close(void *ctx, const char *reason)
{
	struct end *end = ctx;

	end->gone = true;
	end->reason = reason;
	end->c = NULL;
}

static const struct mllp_ops ops = {on_frame, on_begin, on_commit, on_junk, on_eof, on_close};

static void
setup(void)
{
	struct bufferevent *pair[2];

	memset(&e, 0, sizeof(e));
	world_open(&e.w);
	ck_assert_int_eq(bufferevent_pair_new(e.w.base, 0, pair), 0);
	e.peer = pair[1];
	bufferevent_enable(e.peer, EV_READ | EV_WRITE);
	e.c = mllp_conn_new_on(&e.w.shared, pair[0], &limits, &ops, &e);
}

static void
teardown(void)
{
	if (e.c != NULL)
		conn_die(mllp_conn_base(e.c), "the test's end");
	world_turns(&e.w, 3);
	ck_assert_ptr_null(e.c);
	bufferevent_free(e.peer);
	world_turns(&e.w, 3);
	world_close(&e.w);
	clock_set_for_tests(0);
}

static void
send_bytes(const char *p, size_t n)
{
	bufferevent_write(e.peer, p, n);
	world_turns(&e.w, 12);
}

static void
send_text(const char *text)
{
	send_bytes(text, strlen(text));
}

/* A frame of n times one letter, in reads of `piece` bytes. */
static void
send_frame(char letter, size_t n, size_t piece)
{
	static char bytes[100000];

	bytes[0] = 0x0B;
	memset(bytes + 1, letter, n);
	bytes[n + 1] = 0x1C;
	bytes[n + 2] = 0x0D;
	for (size_t at = 0; at < n + 3 && !e.gone; at += piece)
		send_bytes(bytes + at, n + 3 - at < piece ? n + 3 - at : piece);
}

#define FRAME(text) "\x0b" text "\x1c\r"

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
		send_text(FRAME("a"));
	ck_assert_uint_eq(e.n, 3);
	bufferevent_enable(e.peer, EV_READ);
	world_turns(&e.w, 60);
	ck_assert_uint_eq(e.n, 30);
	ck_assert_uint_eq(evbuffer_get_length(bufferevent_get_input(e.peer)), 30 * 1503);
}
END_TEST

START_TEST(test_long_turns_are_cut)
{
	clock_set_for_tests(1000000000);
	e.slow_us = TURN_SLICE_US + 1;
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
	struct check_run run = check_begin("mllp_conn");
	const TTest *const tests[] = {
		test_frames_of_one_read, test_junk_and_restarts, test_frame_that_does_not_end, test_commit_blocks, test_what_a_frame_costs,
		test_idle_holds_no_large_buffer, test_a_strangers_frame_without_memory, test_a_named_frame_has_the_whole_budget,
		test_begin_is_told_with_more, test_pause_in_mid_buffer, test_more_than_the_buffer_holds, test_eof_waits_for_a_pause, test_clogged, test_long_turns_are_cut,
		test_deadline_of_a_frame, test_deadline_of_the_next_frame_is_its_own, test_idle_only_without_work, test_paused_is_not_late,
	};

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(run.tcase, tests[i]);
	tcase_add_loop_test(run.tcase, test_frames_in_pieces, 0, 8);
	tcase_add_loop_test(run.tcase, test_frame_at_its_limit, 0, 5);
	return check_end(run);
}
