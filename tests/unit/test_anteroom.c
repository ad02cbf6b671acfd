/* daemon/net/anteroom.h on real sockets: who is silent never gets in, who speaks does in its order, a few a turn; who is evicted is closed. */
#include "check_net.h"

#include <unistd.h>

#include "net/anteroom.h"

enum { GUESTS = 20 };

static struct world w;
static struct peers *peers;
static struct listener *l;
static struct anteroom *room;
static unsigned entered;
static evutil_socket_t order[GUESTS];

static void
on_enter(void *arg, evutil_socket_t fd, struct place *place)
{
	(void)arg;
	order[entered++] = fd;
	place_leave(place);
}

static void
on_connection(void *arg, evutil_socket_t fd, struct place *place)
{
	(void)arg;
	anteroom_enter(room, fd, place);
}

static void
open_room(int first_byte_ms, unsigned most)
{
	const struct listener_config config = {"tls", "127.0.0.1:0", most, most, NULL, 0};

	world_open(&w);
	entered = 0;
	peers = peers_new(w.base, 1000000);
	room = anteroom_new(w.base, first_byte_ms, on_enter, NULL);
	l = listener_new(w.base, &config, -1, peers, w.metrics, on_connection, NULL);
	ck_assert_ptr_nonnull(l);
	listener_begin(l);
}

static void
close_room(void)
{
	anteroom_free(room);
	ck_assert_uint_eq(listener_count(l), 0);
	listener_free(l);
	peers_free(peers);
	world_close(&w);
}

static int
visit(void)
{
	struct sockaddr_storage sa;
	int len = sizeof(sa), fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(evutil_parse_sockaddr_port(listener_address(l), (struct sockaddr *)&sa, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, (socklen_t)len), 0);
	return fd;
}

static bool
is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

START_TEST(test_who_speaks_goes_in)
{
	int fds[GUESTS];

	open_room(5000, 100);
	for (int i = 0; i < GUESTS; i++)
		fds[i] = visit();
	world_run(&w, 30);
	ck_assert_uint_eq(entered, 0);
	ck_assert_uint_eq(listener_count(l), GUESTS);
	for (int i = 1; i < GUESTS; i++)
		ck_assert_int_eq(write(fds[i], "x", 1), 1);
	for (int turn = 0; turn < 50 && entered == 0; turn++)
		event_base_loop(w.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	ck_assert_uint_ge(entered, 1);
	ck_assert_uint_le(entered, 8);		/* not all in one turn */
	world_run(&w, 50);
	ck_assert_uint_eq(entered, GUESTS - 1);
	ck_assert_uint_eq(listener_count(l), 1);
	for (unsigned i = 0; i < entered; i++)
		close(order[i]);
	close_room();
	ck_assert(is_closed(fds[0]));
	for (int i = 0; i < GUESTS; i++)
		close(fds[i]);
}
END_TEST

START_TEST(test_who_is_silent_is_sent_away)
{
	open_room(40, 100);
	int fd = visit();
	world_run(&w, 200);
	ck_assert_uint_eq(entered, 0);
	ck_assert_uint_eq(listener_count(l), 0);
	ck_assert(is_closed(fd));
	close(fd);
	close_room();
}
END_TEST

START_TEST(test_who_is_evicted_is_closed)
{
	open_room(5000, 2);
	int first = visit(), second = visit();
	world_run(&w, 20);
	int third = visit();
	world_run(&w, 20);
	ck_assert(is_closed(first));
	ck_assert(!is_closed(second) && !is_closed(third));
	ck_assert_uint_eq(listener_count(l), 2);
	ck_assert_int_eq(write(third, "x", 1), 1);
	world_run(&w, 20);
	ck_assert_uint_eq(entered, 1);
	close(order[0]);
	close_room();
	close(first);
	close(second);
	close(third);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("anteroom");

	tcase_add_test(run.tcase, test_who_speaks_goes_in);
	tcase_add_test(run.tcase, test_who_is_silent_is_sent_away);
	tcase_add_test(run.tcase, test_who_is_evicted_is_closed);
	return check_end(run);
}
