/* The listener on loopback ports: places, who makes room for whom, limits of an address, no descriptors, and draining. */
#include "check_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include "net/listener.h"

enum { MOST = 64 };

struct held {
	struct place *place;		/* NULL: left */
	int fd;
	int evicted;
};

static struct world w;
static struct peers *peers;
static struct listener *l;
static struct held held[MOST];
static size_t n_held;
static int clients[MOST];
static size_t n_clients;

static void
evict(void *arg)
{
	struct held *h = arg;

	h->evicted++;
}

static void
on_connection(void *arg, evutil_socket_t fd, struct place *place)
{
	struct held *h = &held[n_held++];

	(void)arg;
	ck_assert_uint_lt(n_held, MOST);
	*h = (struct held){place, fd, 0};
	place_hold(place, evict, h);
}

static void
leave(struct held *h)
{
	place_leave(h->place);
	close(h->fd);
	h->place = NULL;
}

static void
open_listener(unsigned most, unsigned most_of_address)
{
	const struct listener_config config = {"feeds", "127.0.0.1:0", most, most_of_address, NULL, 0};

	l = listener_new(w.base, &config, -1, peers, w.metrics, on_connection, NULL);
	ck_assert_ptr_nonnull(l);
	listener_begin(l);
	ck_assert_ptr_nonnull(l);
}

static void
setup(void)
{
	world_open(&w);
	peers = peers_new(w.base, 1000000);
	n_held = n_clients = 0;
	l = NULL;
}

static void
teardown(void)
{
	for (size_t i = 0; i < n_held; i++)
		if (held[i].place != NULL)
			leave(&held[i]);
	for (size_t i = 0; i < n_clients; i++)
		close(clients[i]);
	if (l != NULL)
		ck_assert_uint_eq(listener_count(l), 0);
	listener_free(l);
	peers_free(peers);
	world_close(&w);
}

/* Connects from an address of loopback; false when it is refused. */
static bool
try_connect(const char *from)
{
	struct sockaddr_storage to;
	struct sockaddr_in me = {.sin_family = AF_INET};
	int len = sizeof(to), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(inet_pton(AF_INET, from, &me.sin_addr), 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&me, sizeof(me)), 0);
	ck_assert_int_eq(evutil_parse_sockaddr_port(listener_address(l), (struct sockaddr *)&to, &len), 0);
	clients[n_clients++] = fd;
	if (connect(fd, (struct sockaddr *)&to, (socklen_t)len) != 0) {
		ck_assert_int_eq(errno, ECONNREFUSED);
		return false;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	world_run(&w, 10);
	return true;
}

/* Has the daemon's side closed the client's connection? */
static bool
is_closed(size_t client)
{
	char byte;
	ssize_t n = recv(clients[client], &byte, 1, 0);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static int64_t
refused(const char *reason)
{
	char labels[100];

	snprintf(labels, sizeof(labels), "listener=\"feeds\",reason=\"%s\"", reason);
	return metric_value(metrics_series(w.metrics, "visitbill_refused_connections_total", METRIC_COUNTER, "", labels));
}

static int64_t
evicted(void)
{
	return metric_value(metrics_series(w.metrics, "visitbill_evicted_connections_total", METRIC_COUNTER, "", "listener=\"feeds\""));
}

START_TEST(test_places)
{
	open_listener(10, 10);
	ck_assert_int_eq(strncmp(listener_address(l), "127.0.0.1:", 10), 0);
	ck_assert_str_ne(listener_address(l), "127.0.0.1:0");
	try_connect("127.0.0.1");
	try_connect("127.0.0.2");
	ck_assert_uint_eq(n_held, 2);
	ck_assert_uint_eq(listener_count(l), 2);
	ck_assert_int_eq(strncmp(place_text(held[1].place), "127.0.0.2:", 10), 0);
	ck_assert_ptr_eq(place_listener(held[0].place), l);
	ck_assert_uint_eq(peer_connections(place_peer(held[0].place), 0), 1);
	leave(&held[0]);
	ck_assert_uint_eq(listener_count(l), 1);
}
END_TEST

/* At the limit the stranger that came first makes room, each once; who is known stays. */
START_TEST(test_strangers_make_room)
{
	open_listener(3, 10);
	for (int i = 0; i < 3; i++)
		try_connect("127.0.0.1");
	place_name(held[0].place);
	ck_assert_int_eq(evicted(), 0);
	try_connect("127.0.0.2");
	ck_assert_uint_eq(n_held, 4);
	ck_assert(held[0].evicted == 0 && held[1].evicted == 1 && held[2].evicted == 0);
	try_connect("127.0.0.2");		/* the one that was told has not gone yet */
	ck_assert(held[1].evicted == 1 && held[2].evicted == 1 && held[3].evicted == 0);
	leave(&held[1]);
	leave(&held[2]);
	ck_assert_int_eq(evicted(), 2);
	ck_assert_uint_eq(listener_count(l), 3);
}
END_TEST

START_TEST(test_no_room_among_the_known)
{
	struct log_file log;

	open_listener(2, 10);
	for (size_t i = 0; i < 2; i++) {
		try_connect("127.0.0.1");
		place_name(held[i].place);
		place_name(held[i].place);	/* once is enough */
	}
	log_file_open(&log);
	try_connect("127.0.0.9");
	ck_assert_ptr_nonnull(strstr(log_file_text(&log), "listener.full listener=feeds peer=127.0.0.9:"));
	log_file_close(&log);
	ck_assert_uint_eq(n_held, 2);
	ck_assert(is_closed(2));
	ck_assert_uint_eq(listener_count(l), 2);
	ck_assert_int_eq(refused("places"), 1);
	leave(&held[0]);
	try_connect("127.0.0.9");
	ck_assert_uint_eq(n_held, 3);
}
END_TEST

/* An address at its limit makes room by its own strangers alone. */
START_TEST(test_limit_of_an_address)
{
	open_listener(20, 2);
	try_connect("127.0.0.3");
	try_connect("127.0.0.1");
	try_connect("127.0.0.1");
	try_connect("127.0.0.1");
	ck_assert_uint_eq(n_held, 4);
	ck_assert(held[0].evicted == 0 && held[1].evicted == 1 && held[2].evicted == 0);
	leave(&held[1]);
	place_name(held[2].place);
	place_name(held[3].place);
	struct log_file log;
	log_file_open(&log);
	try_connect("127.0.0.1");
	log_file_close(&log);
	ck_assert_uint_eq(n_held, 4);
	ck_assert(is_closed(4));
	ck_assert_int_eq(held[0].evicted, 0);
	ck_assert_int_eq(refused("address"), 1);
	try_connect("127.0.0.3");		/* others are not concerned */
	ck_assert_uint_eq(n_held, 5);
}
END_TEST

START_TEST(test_new_limits)
{
	open_listener(10, 10);
	for (int i = 0; i < 3; i++)
		try_connect("127.0.0.1");
	listener_update(l, 3, 10, NULL);
	try_connect("127.0.0.2");
	ck_assert_int_eq(held[0].evicted, 1);
	ck_assert_int_eq(held[1].evicted, 0);
}
END_TEST

/* Out of descriptors: the first that waits is told by a close, the loop does not spin, and all is well once there are some. */
START_TEST(test_no_descriptors)
{
	struct rlimit before, low;
	struct log_file log;

	open_listener(20, 20);
	try_connect("127.0.0.1");
	place_name(held[0].place);
	log_file_open(&log);
	/* the clients' sockets are made before there are no more */
	struct sockaddr_storage to;
	int len = sizeof(to), turns = 0;
	ck_assert_int_eq(evutil_parse_sockaddr_port(listener_address(l), (struct sockaddr *)&to, &len), 0);
	for (int i = 0; i < 6; i++)
		clients[n_clients++] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int next = dup(clients[n_clients - 1]);
	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)next;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (size_t i = 1; i < n_clients; i++)
		ck_assert(connect(clients[i], (struct sockaddr *)&to, (socklen_t)len) == 0 || errno == EINPROGRESS);
	int64_t began = clock_monotonic();
	while (clock_monotonic() - began < 60000 && turns < 1000) {
		event_base_loop(w.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		usleep(1000);
		turns++;
	}
	ck_assert_uint_eq(n_held, 1);
	ck_assert(is_closed(1));
	ck_assert_int_ge(refused("descriptors"), 1);
	ck_assert_int_le(refused("descriptors"), 2);	/* not once a turn */
	ck_assert_int_eq(lines_of(log_file_text(&log)), 1);
	ck_assert_int_eq(held[0].evicted, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	log_file_close(&log);
	try_connect("127.0.0.1");
	world_run(&w, 200);
	ck_assert_uint_eq(n_held, 8 - (size_t)refused("descriptors"));	/* all others of the eight */
}
END_TEST

START_TEST(test_drain)
{
	open_listener(10, 10);
	try_connect("127.0.0.1");
	listener_drain(l);
	listener_drain(l);
	ck_assert(!listener_is_closed(l));	/* who waits already is accepted */
	try_connect("127.0.0.1");
	ck_assert_uint_eq(n_held, 2);
	struct log_file log;
	log_file_open(&log);
	world_run(&w, 200);
	log_file_close(&log);
	ck_assert(listener_is_closed(l));
	ck_assert(!try_connect("127.0.0.1"));
	ck_assert_uint_eq(listener_count(l), 2);
}
END_TEST

START_TEST(test_cannot_listen)
{
	static const char *const addresses[] = {"127.0.0.1:x", "nowhere:80", "192.0.2.1:9"};
	const struct listener_config config = {"feeds", addresses[_i], 10, 10, NULL, 0};
	struct log_file log;

	log_file_open(&log);
	ck_assert_ptr_null(listener_new(w.base, &config, -1, peers, w.metrics, on_connection, NULL));
	ck_assert_ptr_nonnull(strstr(log_file_text(&log), addresses[_i]));
	log_file_close(&log);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("listener");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_places);
	tcase_add_test(run.tcase, test_strangers_make_room);
	tcase_add_test(run.tcase, test_no_room_among_the_known);
	tcase_add_test(run.tcase, test_limit_of_an_address);
	tcase_add_test(run.tcase, test_new_limits);
	tcase_add_test(run.tcase, test_no_descriptors);
	tcase_add_test(run.tcase, test_drain);
	tcase_add_loop_test(run.tcase, test_cannot_listen, 0, 3);
	return check_end(run);
}
