/* The connection base on a socket: every deadline, the floor of bytes a second, and lingering. */
#include "check_net.h"

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>

struct end {
	struct conn *c;			/* NULL: gone */
	bool gone, late;
	int goes;
	bool leaves;			/* what came is not taken */
	const char *reason;
};

static struct world w;
static struct end e;
static int peer;

static const struct conn_limits short_limits = {.input_bytes = 65536, .output_bytes = 1 << 20, .first_byte_ms = 100, .part_ms = 200, .idle_ms = 1200,
    .io_ms = 150, .floor = 20000};

static void
on_go(void *ctx)
{
	struct end *end = ctx;
	struct evbuffer *in = conn_input(end->c);

	end->goes++;
	if (!end->leaves)
		evbuffer_drain(in, evbuffer_get_length(in));
}

static void
on_late(void *ctx)
{
	((struct end *)ctx)->late = true;
}

static void
on_close(void *ctx, const char *reason)
{
	struct end *end = ctx;

	end->gone = true;
	end->reason = reason;
	end->c = NULL;
}

static const struct conn_ops ops = {on_go, NULL, on_close}, ops_late = {on_go, on_late, on_close};

static void
open_with(const struct conn_limits *limits, const struct conn_ops *with)
{
	int fds[2], small = 4096;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	peer = fds[1];
	e = (struct end){0};
	e.c = conn_new_on(&w.shared, bufferevent_socket_new(w.base, fds[0], BEV_OPT_CLOSE_ON_FREE), limits, with, &e);
}

static void
setup(void)
{
	world_open(&w);
	w.budget.strangers_limit = w.budget.limit;
	peer = -1;
	e = (struct end){0};
}

static void
teardown(void)
{
	if (e.c != NULL)
		conn_die(e.c, "the test's end");
	world_turns(&w, 3);
	if (peer >= 0)
		close(peer);
	world_close(&w);
}

static void
write_bytes(size_t n)
{
	static const char bytes[1 << 19];

	conn_write(e.c, (struct view){bytes, n});
	conn_flush(e.c);
}

#define BETWEEN(ms, least, most) ck_assert_msg((ms) >= (least) && (ms) <= (most), "after %d ms, not %d to %d", (ms), (least), (most))

/* ------- deadlines */

START_TEST(test_first_byte)
{
	open_with(&short_limits, &ops);
	int ms = world_until(&w, &e.gone);
	BETWEEN(ms, 95, 2000);
	ck_assert_str_eq(e.reason, "nothing was sent");
}
END_TEST

/* From the beginning of what is waited for; bytes in between do not move it. */
START_TEST(test_part)
{
	open_with(&short_limits, &ops);
	conn_wait_for(e.c, CONN_PART);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(write(peer, "x", 1), 1);
		world_run(&w, 10);
	}
	ck_assert(!e.gone);
	int ms = world_until(&w, &e.gone);
	BETWEEN(ms, 20, 2000);
	ck_assert_str_eq(e.reason, "what had begun did not end in time");
}
END_TEST

START_TEST(test_part_is_told)
{
	open_with(&short_limits, &ops_late);
	conn_wait_for(e.c, CONN_PART);
	world_until(&w, &e.late);
	ck_assert(!e.gone && conn_is_open(e.c));
	world_run(&w, 250);
	ck_assert(!e.gone);		/* once; what comes next is the protocol's to say */
}
END_TEST

START_TEST(test_idle_of_the_named)
{
	open_with(&short_limits, &ops_late);
	conn_name(e.c);
	conn_wait_for(e.c, CONN_IDLE);
	int ms = world_until(&w, &e.gone);
	BETWEEN(ms, 1195, 5000);
	ck_assert_str_eq(e.reason, "idle for too long");
	ck_assert(!e.late);
}
END_TEST

START_TEST(test_idle_of_a_stranger_is_short)
{
	open_with(&short_limits, &ops);
	conn_wait_for(e.c, CONN_IDLE);
	int ms = world_until(&w, &e.gone);
	BETWEEN(ms, 195, 1100);
	ck_assert_str_eq(e.reason, "idle for too long");
}
END_TEST

START_TEST(test_work_has_no_deadline)
{
	open_with(&short_limits, &ops);
	conn_wait_for(e.c, CONN_WORK);
	world_run(&w, 400);
	ck_assert(!e.gone);
}
END_TEST

/* A deadline that is moved ahead is kept, though the timer is set for a later one. */
START_TEST(test_an_earlier_deadline)
{
	static const struct conn_limits far = {.input_bytes = 100, .output_bytes = 100, .first_byte_ms = 60000, .part_ms = 100, .idle_ms = 60000, .io_ms = 60000};

	open_with(&far, &ops);
	world_run(&w, 5);
	conn_wait_for(e.c, CONN_PART);
	BETWEEN(world_until(&w, &e.gone), 90, 5000);
}
END_TEST

/* ------- a peer that takes too little */

START_TEST(test_a_peer_that_does_not_read)
{
	open_with(&short_limits, &ops);
	conn_wait_for(e.c, CONN_WORK);
	write_bytes(300000);
	int ms = world_until(&w, &e.gone);
	BETWEEN(ms, 145, 2000);
	ck_assert_str_eq(e.reason, "the peer does not read");
}
END_TEST

/* Also where no other deadline has set the timer. */
START_TEST(test_a_peer_that_does_not_read_alone)
{
	static const struct conn_limits only = {.input_bytes = 1000, .output_bytes = 1 << 20, .io_ms = 150};

	open_with(&only, &ops);
	write_bytes(300000);
	BETWEEN(world_until(&w, &e.gone), 145, 2000);
	ck_assert_str_eq(e.reason, "the peer does not read");
}
END_TEST

static void
read_for(int ms, size_t bytes_each)
{
	char bytes[65536];

	for (int i = 0; i < ms / 10 && !e.gone; i++) {
		if (read(peer, bytes, bytes_each) < 0)
			ck_assert_int_eq(errno, EAGAIN);
		world_run(&w, 10);
	}
}

START_TEST(test_below_the_floor)
{
	struct conn_limits slow = short_limits;

	slow.floor = 1000000;
	open_with(&slow, &ops);
	conn_wait_for(e.c, CONN_WORK);
	write_bytes(300000);
	read_for(600, 3000);
	ck_assert(e.gone);
	ck_assert_str_eq(e.reason, "the peer reads too slowly");
}
END_TEST

START_TEST(test_above_the_floor)
{
	open_with(&short_limits, &ops);
	conn_wait_for(e.c, CONN_WORK);
	write_bytes(300000);
	read_for(600, 4000);
	ck_assert(!e.gone);
}
END_TEST

/* Nothing waits: nobody is looked at. */
START_TEST(test_a_reader_that_has_all)
{
	open_with(&short_limits, &ops);
	conn_wait_for(e.c, CONN_WORK);
	write_bytes(1000);
	world_run(&w, 500);
	ck_assert(!e.gone);
}
END_TEST

/* ------- lingering */

static ssize_t
read_all(void)
{
	char bytes[65536];
	ssize_t all = 0;

	for (int i = 0; i < 200; i++) {
		ssize_t n = read(peer, bytes, sizeof(bytes));
		if (n == 0)
			return all;
		if (n < 0 && errno != EAGAIN)
			return -1;	/* reset */
		all += n > 0 ? n : 0;
		world_run(&w, 2);
	}
	return -2;			/* no end */
}

START_TEST(test_lingering_answer_is_seen)
{
	char bytes[30000] = {0};

	open_with(&short_limits, &ops);
	conn_pause(e.c);
	ck_assert_int_gt(write(peer, bytes, sizeof(bytes)), 0);		/* a body that nobody takes */
	conn_write(e.c, VIEW_LITERAL("answer"));
	conn_close_lingering(e.c, "refused");
	world_turns(&w, 5);
	ck_assert(!e.gone);
	ck_assert_int_gt(write(peer, bytes, sizeof(bytes)), 0);		/* read away */
	ck_assert_int_eq(read_all(), 6);
	ck_assert(!e.gone);
	close(peer);
	peer = -1;
	world_until(&w, &e.gone);
	ck_assert_str_eq(e.reason, "refused");
	ck_assert_int_eq(e.goes, 0);
}
END_TEST

START_TEST(test_lingering_ends)
{
	open_with(&short_limits, &ops);
	conn_close_lingering(e.c, "refused");
	int ms = world_until(&w, &e.gone);
	BETWEEN(ms, 1900, 4000);
}
END_TEST

START_TEST(test_lingering_takes_so_much)
{
	char bytes[32768] = {0};
	size_t sent = 0;

	open_with(&short_limits, &ops);
	conn_close_lingering(e.c, "refused");
	for (int i = 0; i < 200 && !e.gone; i++) {
		ssize_t n = write(peer, bytes, sizeof(bytes));
		sent += n > 0 ? (size_t)n : 0;
		world_run(&w, 2);
	}
	ck_assert(e.gone);
	ck_assert_uint_gt(sent, 262144);
	ck_assert_uint_lt(sent, 1 << 20);
}
END_TEST

/* ------- input at its mark */

/* As much as may be read ahead waits for the protocol, which is busy: the loop sleeps meanwhile, and goes on when it is taken. */
START_TEST(test_full_input_does_not_spin)
{
	static const char bytes[100000];
	ssize_t sent;

	open_with(&short_limits, &ops);
	conn_wait_for(e.c, CONN_WORK);
	e.leaves = true;
	sent = write(peer, bytes, sizeof(bytes));
	ck_assert_int_gt(sent, 65536);
	world_run(&w, 100);
	ck_assert_uint_eq(evbuffer_get_length(conn_input(e.c)), 65536);
	ck_assert_int_le(e.goes, 20);
	e.leaves = false;
	conn_again(e.c);
	world_run(&w, 20);
	ck_assert_uint_eq(evbuffer_get_length(conn_input(e.c)), 0);
	ck_assert_int_eq(write(peer, "x", 1), 1);
	int before = e.goes;
	world_run(&w, 20);
	ck_assert_int_eq(e.goes, before + 1);
}
END_TEST

/* ------- the peer's end */

START_TEST(test_peer_breaks_off)
{
	open_with(&short_limits, &ops);
	conn_wait_for(e.c, CONN_WORK);
	write_bytes(300000);
	close(peer);
	peer = -1;
	world_until(&w, &e.gone);
	ck_assert(strcmp(e.reason, "connection error") == 0 || strcmp(e.reason, "closed by peer") == 0);
}
END_TEST

START_TEST(test_half_closed_peer_gets_its_answer)
{
	open_with(&short_limits, &ops);
	ck_assert_int_eq(write(peer, "abc", 3), 3);
	shutdown(peer, SHUT_WR);
	world_run(&w, 20);
	ck_assert(!e.gone && conn_has_ended(e.c));
	conn_write(e.c, VIEW_LITERAL("answer"));
	conn_close_lingering(e.c, "answered");		/* there is nothing to read away */
	ck_assert_int_eq(read_all(), 6);
	ck_assert(e.gone);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("conn_time");
	const TTest *const tests[] = {
		test_first_byte, test_part, test_part_is_told, test_idle_of_the_named, test_idle_of_a_stranger_is_short, test_work_has_no_deadline,
		test_an_earlier_deadline, test_a_peer_that_does_not_read, test_a_peer_that_does_not_read_alone, test_below_the_floor, test_above_the_floor, test_a_reader_that_has_all,
		test_lingering_answer_is_seen, test_lingering_ends, test_lingering_takes_so_much, test_peer_breaks_off,
		test_half_closed_peer_gets_its_answer, test_full_input_does_not_spin,
	};

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(run.tcase, tests[i]);
	return check_end(run);
}
