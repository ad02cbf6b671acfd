/* The connection base on a pair of bufferevents: marks, memory, closing, and what its callbacks may do. Sockets and deadlines are test_conn_time.c's. */
#include "check_net.h"

#include <event2/buffer.h>

struct end {
	struct conn *c;			/* NULL: gone */
	int goes, lates, closes;
	size_t took, take;		/* bytes taken so far; how many a call takes */
	const char *reason;
	void (*in_go)(struct end *e);
};

static struct world w;
static struct end e;
static struct bufferevent *peer;

static struct conn_limits limits = {.input_bytes = 1000, .output_bytes = 1000, .first_byte_ms = 5000, .part_ms = 5000, .idle_ms = 5000, .io_ms = 5000};

static void
on_go(void *ctx)
{
	struct end *end = ctx;
	struct evbuffer *in = conn_input(end->c);
	size_t n = evbuffer_get_length(in);

	ck_assert(conn_is_open(end->c) && !conn_is_clogged(end->c));
	end->goes++;
	if (n > end->take)
		n = end->take;
	evbuffer_drain(in, n);
	end->took += n;
	if (end->in_go != NULL)
		end->in_go(end);
}

static void
on_late(void *ctx)
{
	((struct end *)ctx)->lates++;
}

static void
on_close(void *ctx, const char *reason)
{
	struct end *end = ctx;

	end->closes++;
	end->reason = reason;
	end->c = NULL;
}

static const struct conn_ops ops = {on_go, on_late, on_close};

static void
setup(void)
{
	struct bufferevent *pair[2];

	world_open(&w);
	ck_assert_int_eq(bufferevent_pair_new(w.base, 0, pair), 0);
	peer = pair[1];
	e = (struct end){.take = SIZE_MAX};
	e.c = conn_new_on(&w.shared, pair[0], &limits, &ops, &e);
	bufferevent_enable(peer, EV_WRITE);
}

static void
teardown(void)
{
	if (e.c != NULL)
		conn_die(e.c, "the test's end");
	world_turns(&w, 3);
	ck_assert_ptr_null(e.c);
	ck_assert_int_eq(e.closes, 1);
	bufferevent_free(peer);
	world_turns(&w, 3);
	world_close(&w);
}

static void
send_bytes(size_t n)
{
	static const char bytes[100000];

	bufferevent_write(peer, bytes, n);
	world_turns(&w, 5);
}

static void
write_bytes(size_t n)
{
	static const char bytes[1 << 20];

	conn_write(e.c, (struct view){bytes, n});
}

static size_t
heard(void)
{
	return evbuffer_get_length(bufferevent_get_input(peer));
}

/* ------- reading */

START_TEST(test_input_has_a_mark)
{
	e.take = 0;
	send_bytes(5000);
	ck_assert_uint_eq(evbuffer_get_length(conn_input(e.c)), 1000);
	ck_assert_uint_eq(w.budget.used, 1000);
	ck_assert_uint_eq(w.budget.strangers_used, 1000);
}
END_TEST

START_TEST(test_paused_is_not_read)
{
	conn_pause(e.c);
	send_bytes(100);
	ck_assert_int_eq(e.goes, 0);
	ck_assert_uint_eq(evbuffer_get_length(conn_input(e.c)), 0);
	conn_resume(e.c);
	ck_assert_int_eq(e.goes, 0);	/* in another turn, never from inside */
	world_turns(&w, 5);
	ck_assert_int_ge(e.goes, 1);
	ck_assert_uint_eq(e.took, 100);
}
END_TEST

START_TEST(test_again)
{
	conn_again(e.c);
	ck_assert_int_eq(e.goes, 0);
	world_turns(&w, 1);
	ck_assert_int_eq(e.goes, 1);
	conn_pause(e.c);
	conn_again(e.c);
	world_turns(&w, 1);
	ck_assert_int_eq(e.goes, 1);
}
END_TEST

START_TEST(test_the_peers_end_comes_behind_its_bytes)
{
	conn_pause(e.c);
	e.take = 0;
	bufferevent_write(peer, "xyz", 3);
	bufferevent_flush(peer, EV_WRITE, BEV_FINISHED);
	world_turns(&w, 5);
	ck_assert_int_eq(e.goes, 0);
	conn_resume(e.c);
	world_turns(&w, 5);
	ck_assert_int_ge(e.goes, 1);
	ck_assert(conn_has_ended(e.c) && conn_is_open(e.c));
	ck_assert_uint_eq(evbuffer_get_length(conn_input(e.c)), 3);
	conn_write(e.c, VIEW_LITERAL("answer"));	/* it may still read */
	bufferevent_enable(peer, EV_READ);
	conn_close(e.c, "closed by peer");
	world_turns(&w, 5);
	ck_assert_uint_eq(heard(), 6);
	ck_assert_str_eq(e.reason, "closed by peer");
}
END_TEST

/* ------- output */

START_TEST(test_clogged_beyond_the_mark)
{
	write_bytes(1000);
	world_turns(&w, 3);
	ck_assert(!conn_is_clogged(e.c));
	write_bytes(1);
	world_turns(&w, 3);
	ck_assert(conn_is_clogged(e.c));
	send_bytes(10);
	ck_assert_int_eq(e.goes, 0);
	ck_assert_uint_eq(w.budget.used, 1001);
}
END_TEST

START_TEST(test_clogged_within_the_turn)
{
	write_bytes(1000);
	ck_assert(!conn_is_clogged(e.c));
	write_bytes(1);
	ck_assert(conn_is_clogged(e.c));
}
END_TEST

START_TEST(test_goes_on_at_the_low_mark)
{
	write_bytes(3000);
	send_bytes(10);
	ck_assert_int_eq(e.goes, 0);
	bufferevent_setwatermark(peer, EV_READ, 0, 2400);	/* 600 are left: more than half of the mark */
	bufferevent_enable(peer, EV_READ);
	world_turns(&w, 5);
	ck_assert_uint_eq(heard(), 2400);
	ck_assert(conn_is_clogged(e.c));
	ck_assert_int_eq(e.goes, 0);
	bufferevent_setwatermark(peer, EV_READ, 0, 2500);
	world_turns(&w, 5);
	ck_assert_uint_eq(heard(), 2500);
	ck_assert(!conn_is_clogged(e.c));
	ck_assert_int_ge(e.goes, 1);
	ck_assert_uint_eq(e.took, 10);
}
END_TEST

START_TEST(test_close_writes_what_is_queued)
{
	write_bytes(700);
	conn_close(e.c, "answered");
	conn_close(e.c, "another reason");
	ck_assert(!conn_is_open(e.c) && !conn_is_dead(e.c));
	world_turns(&w, 3);
	ck_assert_ptr_nonnull(e.c);	/* nobody reads yet */
	bufferevent_enable(peer, EV_READ);
	world_turns(&w, 5);
	ck_assert_uint_eq(heard(), 700);
	ck_assert_ptr_null(e.c);
	ck_assert_str_eq(e.reason, "answered");
}
END_TEST

START_TEST(test_closing_reads_nothing)
{
	write_bytes(700);
	conn_close(e.c, "answered");
	send_bytes(100);
	ck_assert_int_eq(e.goes, 0);
	ck_assert_uint_eq(evbuffer_get_length(conn_input(e.c)), 0);
}
END_TEST

START_TEST(test_die_at_once)
{
	write_bytes(700);
	conn_die(e.c, "first");
	conn_die(e.c, "second");
	ck_assert(conn_is_dead(e.c));
	ck_assert_int_eq(e.closes, 0);
	write_bytes(10);
	conn_flush(e.c);
	conn_pause(e.c);
	conn_resume(e.c);
	conn_again(e.c);
	conn_close(e.c, "third");
	world_turns(&w, 2);
	ck_assert_str_eq(e.reason, "first");
	ck_assert_int_eq(e.goes, 0);
	ck_assert_uint_eq(w.budget.used, 0);
}
END_TEST

static void
die_inside(struct end *end)
{
	conn_write(end->c, VIEW_LITERAL("x"));
	conn_die(end->c, "inside");
	ck_assert_int_eq(end->closes, 0);
	conn_write(end->c, VIEW_LITERAL("y"));
}

static void
close_inside(struct end *end)
{
	conn_write(end->c, VIEW_LITERAL("bye"));
	conn_close(end->c, "inside");
	ck_assert_int_eq(end->closes, 0);
}

START_TEST(test_end_inside_a_callback)
{
	bufferevent_enable(peer, EV_READ);
	e.in_go = _i == 0 ? die_inside : close_inside;
	send_bytes(10);
	world_turns(&w, 3);
	ck_assert_str_eq(e.reason, "inside");
	ck_assert_uint_eq(heard(), _i == 0 ? 0 : 3);
	ck_assert_int_eq(e.goes, 1);
}
END_TEST

/* ------- memory */

START_TEST(test_strangers_share_kills)
{
	w.budget.strangers_limit = 500;
	e.take = 0;
	send_bytes(501);
	ck_assert_str_eq(e.reason, "the memory for peers without a name is used up");
	ck_assert_int_eq(e.goes, 0);
	ck_assert_uint_eq(w.budget.used, 0);
}
END_TEST

START_TEST(test_stranger_may_not_hold_more)
{
	w.budget.strangers_limit = 500;
	ck_assert(conn_hold(e.c, 500));
	ck_assert(!conn_hold(e.c, 501));
	ck_assert(conn_is_dead(e.c));
	ck_assert_uint_eq(w.budget.used, 500);	/* as before, until it is buried */
}
END_TEST

START_TEST(test_named_starves_and_goes_on)
{
	struct account other;

	conn_name(e.c);
	ck_assert(conn_is_named(e.c));
	ck_assert_uint_eq(w.budget.strangers_used, 0);
	account_open(&other, &w.budget, true);
	ck_assert(account_set(&other, w.budget.limit - 50));
	send_bytes(100);
	ck_assert_int_eq(e.goes, 0);		/* what came is not looked at */
	ck_assert(conn_is_open(e.c));
	world_run(&w, 120);
	ck_assert_int_eq(e.goes, 0);
	account_close(&other);
	world_run(&w, 120);
	ck_assert_int_ge(e.goes, 1);
	ck_assert_uint_eq(e.took, 100);
	send_bytes(100);			/* and reads as before */
	ck_assert_uint_eq(e.took, 200);
}
END_TEST

START_TEST(test_named_hold_waits)
{
	conn_name(e.c);
	ck_assert(conn_hold(e.c, 1000));
	ck_assert(!conn_hold(e.c, w.budget.limit + 1));
	ck_assert(conn_is_open(e.c));
	ck_assert_uint_eq(w.budget.used, 1000);
	world_run(&w, 120);
	ck_assert_int_ge(e.goes, 1);		/* to try again */
	ck_assert(conn_hold(e.c, 0));
}
END_TEST

/* An answer that goes out in between must not make it forget that the peer waits to be read. */
START_TEST(test_named_hold_waits_while_it_answers)
{
	conn_name(e.c);
	ck_assert(!conn_hold(e.c, w.budget.limit + 1));
	write_bytes(100);
	conn_flush(e.c);
	world_run(&w, 120);
	ck_assert_int_ge(e.goes, 1);
	int before = (int)e.goes;
	send_bytes(10);
	world_run(&w, 20);
	ck_assert_int_gt(e.goes, before);
}
END_TEST

START_TEST(test_output_is_counted)
{
	w.budget.strangers_limit = 4000;
	write_bytes(3000);
	ck_assert_uint_eq(w.budget.used, 3000);
	write_bytes(1001);
	ck_assert(conn_is_dead(e.c));
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("conn");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_input_has_a_mark);
	tcase_add_test(run.tcase, test_paused_is_not_read);
	tcase_add_test(run.tcase, test_again);
	tcase_add_test(run.tcase, test_the_peers_end_comes_behind_its_bytes);
	tcase_add_test(run.tcase, test_clogged_beyond_the_mark);
	tcase_add_test(run.tcase, test_clogged_within_the_turn);
	tcase_add_test(run.tcase, test_goes_on_at_the_low_mark);
	tcase_add_test(run.tcase, test_close_writes_what_is_queued);
	tcase_add_test(run.tcase, test_closing_reads_nothing);
	tcase_add_test(run.tcase, test_die_at_once);
	tcase_add_loop_test(run.tcase, test_end_inside_a_callback, 0, 2);
	tcase_add_test(run.tcase, test_strangers_share_kills);
	tcase_add_test(run.tcase, test_stranger_may_not_hold_more);
	tcase_add_test(run.tcase, test_named_starves_and_goes_on);
	tcase_add_test(run.tcase, test_named_hold_waits);
	tcase_add_test(run.tcase, test_named_hold_waits_while_it_answers);
	tcase_add_test(run.tcase, test_output_is_counted);
	return check_end(run);
}
