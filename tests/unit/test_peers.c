/* What is known of each address: connections, failures a minute that time forgives, and refusals that are one line a while. By a clock that a test sets. */
#include "check_net.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/peers.h"

enum { NOON = 1000000000, SECOND = 1000000, REPEAT_US = 10 * SECOND };

static int64_t now = NOON;
static struct event_base *base;
static struct peers *peers;

static void
setup(void)
{
	clock_set_for_tests(now);
	base = event_base_new();
	peers = peers_new(base, REPEAT_US);
}

static void
teardown(void)
{
	peers_free(peers);
	event_base_free(base);
}

static void
clock_go(int64_t us)
{
	clock_set_for_tests(now += us);
}

static struct peer *
enter(const char *address)
{
	struct sockaddr_storage sa;
	int len = sizeof(sa);

	ck_assert_int_eq(evutil_parse_sockaddr_port(address, (struct sockaddr *)&sa, &len), 0);
	return peer_enter(peers, (struct sockaddr *)&sa, 0);
}

START_TEST(test_connections_of_an_address)
{
	struct peer *a = enter("127.0.0.1:1000"), *b = enter("127.0.0.1:2000"), *c = enter("127.0.0.2:1000");

	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, c);
	ck_assert_uint_eq(peer_connections(a, 0), 2);
	ck_assert_uint_eq(peer_connections(c, 0), 1);
	peer_leave(a, 0);
	ck_assert_uint_eq(peer_connections(a, 0), 1);
	ck_assert_ptr_eq(enter("[::ffff:127.0.0.1]:5"), a);	/* the same machine */
}
END_TEST

START_TEST(test_ipv6_counts_by_its_network)
{
	struct peer *a = enter("[2001:db8:1:2::1]:1000");

	ck_assert_ptr_eq(enter("[2001:db8:1:2:ffff::9]:1"), a);
	ck_assert_ptr_ne(enter("[2001:db8:1:3::1]:1"), a);
}
END_TEST

START_TEST(test_address_text)
{
	struct sockaddr_storage sa;
	int len = sizeof(sa);
	char text[PEER_TEXT];

	ck_assert_int_eq(evutil_parse_sockaddr_port("[2001:db8::1]:4711", (struct sockaddr *)&sa, &len), 0);
	peer_address_text((struct sockaddr *)&sa, text);
	ck_assert_str_eq(text, "[2001:db8::1]:4711");
	len = sizeof(sa);
	ck_assert_int_eq(evutil_parse_sockaddr_port("127.0.0.1:80", (struct sockaddr *)&sa, &len), 0);
	peer_address_text((struct sockaddr *)&sa, text);
	ck_assert_str_eq(text, "127.0.0.1:80");
}
END_TEST

START_TEST(test_so_many_failures_a_minute)
{
	struct peer *p = enter("127.0.0.1:1"), *other = enter("127.0.0.2:1");

	for (int i = 0; i < 3; i++) {
		ck_assert(peer_may_fail(p, PEER_LOGINS, 3));
		peer_failed(p, PEER_LOGINS, 3);
	}
	ck_assert(!peer_may_fail(p, PEER_LOGINS, 3));
	ck_assert(peer_may_fail(p, PEER_NOTIFICATIONS, 3));	/* kinds are counted apart */
	ck_assert(peer_may_fail(other, PEER_LOGINS, 3));
}
END_TEST

START_TEST(test_time_forgives)
{
	struct peer *p = enter("127.0.0.1:1");

	for (int i = 0; i < 3; i++)
		peer_failed(p, PEER_LOGINS, 3);
	clock_go(20 * SECOND - 1);
	ck_assert(!peer_may_fail(p, PEER_LOGINS, 3));
	clock_go(1);
	ck_assert(peer_may_fail(p, PEER_LOGINS, 3));	/* one, after a third of a minute */
	peer_failed(p, PEER_LOGINS, 3);
	ck_assert(!peer_may_fail(p, PEER_LOGINS, 3));
	clock_go(60 * SECOND);
	for (int i = 0; i < 3; i++) {			/* nothing is saved up beyond a minute's worth */
		ck_assert(peer_may_fail(p, PEER_LOGINS, 3));
		peer_failed(p, PEER_LOGINS, 3);
	}
	ck_assert(!peer_may_fail(p, PEER_LOGINS, 3));
}
END_TEST

START_TEST(test_refusals_are_one_line_a_while)
{
	struct log_file l;
	struct peer *p = enter("127.0.0.1:1"), *other = enter("127.0.0.2:1");

	log_file_open(&l);
	for (int i = 0; i < 1000; i++)
		peer_log(p, "login.failed", "peer=%s n=%d", "127.0.0.1:1", i);
	ck_assert_int_eq(lines_of(log_file_text(&l)), 1);
	ck_assert_ptr_nonnull(strstr(l.text, "warn login.failed peer=127.0.0.1:1 n=0\n"));
	peer_log(other, "login.failed", "peer=other");
	ck_assert_int_eq(lines_of(log_file_text(&l)), 2);
	peer_log(p, "feed.cut", "why=large");		/* the first of another kind is not lost among them */
	peer_note(p, "feed.connected", "feed=clinic");
	ck_assert_int_eq(lines_of(log_file_text(&l)), 4);
	peer_note(p, "feed.connected", "feed=clinic");
	clock_go(REPEAT_US - 1);
	peer_log(p, "login.failed", "n=%d", 1000);
	ck_assert_int_eq(lines_of(log_file_text(&l)), 4);
	clock_go(1);
	peer_log(p, "login.failed", "n=%d", 1001);
	ck_assert_ptr_nonnull(strstr(log_file_text(&l), "login.failed n=1001 repeated=1000\n"));
	clock_go(REPEAT_US);
	peer_log(p, "login.failed", "n=%d", 1002);
	ck_assert_ptr_nonnull(strstr(log_file_text(&l), "login.failed n=1002\n"));
	peers_set_repeat(peers, 0);
	peer_log(p, "login.failed", "n=%d", 1003);
	ck_assert_ptr_nonnull(strstr(log_file_text(&l), "login.failed n=1003\n"));
	log_file_close(&l);
}
END_TEST

/* What was counted is logged without a further refusal, too, and what is over is forgotten. */
START_TEST(test_sweep)
{
	struct log_file l;
	struct peer *p = enter("127.0.0.1:1"), *b = enter("127.0.0.9:1");
	struct timeval wait = {5, 100000};

	log_file_open(&l);
	peer_log(p, "login.failed", "n=1");
	peer_log(p, "login.failed", "n=2");
	peer_log(p, "login.failed", "n=3");
	peer_failed(b, PEER_LOGINS, 1);
	peer_leave(p, 0);
	peer_leave(b, 0);
	clock_go(REPEAT_US);
	event_base_loopexit(base, &wait);
	event_base_dispatch(base);
	ck_assert_ptr_nonnull(strstr(log_file_text(&l), "warn login.failed address=127.0.0.1 repeated=2\n"));
	ck_assert(!peer_may_fail(enter("127.0.0.9:1"), PEER_LOGINS, 1));	/* not forgotten before its minute is over */
	log_file_close(&l);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("peers");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_connections_of_an_address);
	tcase_add_test(run.tcase, test_ipv6_counts_by_its_network);
	tcase_add_test(run.tcase, test_address_text);
	tcase_add_test(run.tcase, test_so_many_failures_a_minute);
	tcase_add_test(run.tcase, test_time_forgives);
	tcase_add_test(run.tcase, test_refusals_are_one_line_a_while);
	tcase_add_test(run.tcase, test_sweep);
	return check_end(run);
}
