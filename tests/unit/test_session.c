/* The feed's side of a connection: frames to messages to acknowledgements, in order, with nothing promised: the database is not there, so that every message
 * is answered "send again" (AR). What is told apart here is who is answered what, how often and how much. */
#include "check_core.h"

#include "feed/server.h"
#include "feed/session.h"

#define SB "\x0b"
#define EB "\x1c\r"
#define MSH(id) "MSH|^~\\&|LAB|LABS|BILL|H01|20260101120000||DFT^P03|" id "|P|2.5\r"
#define STRANGER(id) "MSH|^~\\&|NOBODY|NOWHERE|BILL|H01|20260101120000||DFT^P03|" id "|P|2.5\r"

static struct core_world w;
static struct feed_server *server;
static bool release2;

static void
on_connection(void *arg, evutil_socket_t fd, struct place *place)
{
	(void)arg;
	feed_server_accept(server, fd, place, release2, true);
}

static void
open_with(const char *more)
{
	char settings_text[sizeof(house) + 300];

	/* without the feed that takes everybody */
	snprintf(settings_text, sizeof(settings_text), "[database]\nconninfo = host=/nonexistent\nhold = 1s\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n"
	    "[facility H01]\n[facility H02]\n[feed lab]\nfacility = H02\napplication = LAB\nsending_facility = LABS\n[mllp]\n%s", more);
	core_world_open(&w, settings_text);
	w.core.configured = false;
	server = feed_server_new(&w.core);
	core_world_listen(&w, on_connection, NULL);
	core_world_connect(&w);
	release2 = false;
}

static void setup(void) { open_with("frame_messages = 3\n"); }

static void
teardown(void)
{
	if (w.fd >= 0)
		close(w.fd);
	w.fd = -1;
	for (int i = 0; i < 200 && feed_server_connections(server) > 0; i++)
		core_world_run(&w, 10);
	ck_assert_uint_eq(feed_server_in_work(server), 0);
	ck_assert_uint_eq(feed_server_connections(server), 0);
	core_world_close(&w);
	feed_server_free(server);
}

static void
send_text(const char *text)
{
	size_t n = strlen(text);

	for (size_t at = 0; at < n;) {
		ssize_t sent = write(w.fd, text + at, n - at);
		at += sent > 0 ? (size_t)sent : 0;
		core_world_run(&w, 5);
	}
}

static int
count(const char *what)
{
	int n = 0;

	for (const char *at = w.text; (at = memmem(at, w.n - (size_t)(at - w.text), what, strlen(what))) != NULL; at++)
		n++;
	return n;
}

START_TEST(test_one_message)
{
	send_text(SB MSH("M1") EB);
	core_world_await(&w, EB);
	ck_assert_ptr_nonnull(strstr(w.text, "|BILL|H01|LAB|LABS|"));
	ck_assert_ptr_nonnull(strstr(w.text, "\rMSA|AR|M1"));
	ck_assert_int_eq(count(SB), 1);
}
END_TEST

START_TEST(test_in_order)
{
	char text[6000] = "", id[16];

	for (int i = 0; i < 30; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), SB "MSH|^~\\&|LAB|LABS|BILL|H01|20260101120000||DFT^P03|N%02d|P|2.5\r" EB, i);
	send_text(text);
	core_world_await(&w, "MSA|AR|N29");
	const char *before = w.text;
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof(id), "MSA|AR|N%02d", i);
		const char *at = strstr(w.text, id);
		ck_assert(at != NULL && at > before);
		before = at;
	}
	ck_assert_int_eq(count("MSA|"), 30);
}
END_TEST

/* ------- batches */

static const struct { const char *content; int acks; const char *trailer; } batches[] = {
	{"BHS|^~\\&|A|B|C|D|||||77\r" MSH("M1") MSH("M2") MSH("M3") "BTS|3\r", 3, "\rBTS|3|\r"},
	{MSH("M1") MSH("M2"), 2, "\rBTS|2|\r"},
	{"BHS|^~\\&\rBTS|0\r", 0, "\rBTS|0|\r"},
	{"BTS|2\r", 0, "\rBTS|0|BTS-1 says 2, 0 came\r"},
	{"BHS|^~\\&\r" MSH("M1") "BTS|3\r", 1, "\rBTS|1|BTS-1 says 3, 1 came\r"},
	{"BHS$^~\\&\r" MSH("M1") "BTS$1\r", 1, "\rBTS$1$\r"},		/* in their delimiters */
	{MSH("M1") MSH("M2") MSH("M3") MSH("M4") MSH("M5"), 4, "\rBTS|4|\r"},	/* three are taken, the rest is one */
};

START_TEST(test_batches)
{
	char text[2000];

	snprintf(text, sizeof(text), SB "%s" EB, batches[_i].content);
	send_text(text);
	core_world_await(&w, EB);
	ck_assert_int_eq(count("\rMSA|AR|"), batches[_i].acks);
	ck_assert_ptr_nonnull(strstr(w.text, batches[_i].trailer));
	ck_assert_int_eq(strncmp(w.text, SB "BHS", 4), 0);
	ck_assert_int_eq(count(SB), 1);
}
END_TEST

START_TEST(test_batch_header)
{
	send_text(SB "BHS|^~\\&|APP|FAC|TOAPP|TOFAC|||||77\r" MSH("M1") "BTS|1\r" EB);
	core_world_await(&w, EB);
	ck_assert_int_eq(strncmp(w.text, SB "BHS|^~\\&|TOAPP|TOFAC|APP|FAC|", 29), 0);
	ck_assert_ptr_nonnull(strstr(w.text, "|77\rMSH|"));
}
END_TEST

/* What a frame of many short messages is answered grows with what was sent: 10 bytes each must not make 400 each. */
START_TEST(test_answers_are_bounded)
{
	static char text[40000];
	enum { N = 2000 };

	teardown();
	open_with("frame_messages = 10000\n");
	strcpy(text, SB);
	for (int i = 0; i < N; i++)
		strcat(text + (i > 0 ? strlen(text) - 1 : 0), "MSH|^~\\&|A\r");
	strcat(text, EB);
	send_text(text);
	core_world_await(&w, "\rBTS|2000|");
	ck_assert_int_eq(count("\rMSA|AR|"), N);
	ck_assert_uint_le(w.n, 2 * strlen(text) + 4096 + N * 110);
	send_text(SB MSH("M1") EB);		/* and the peer is read again */
	core_world_await(&w, "MSA|AR|M1");
}
END_TEST

/* ------- acknowledgements, commit blocks */

START_TEST(test_acknowledgements_are_not_answered)
{
	release2 = _i == 1;
	send_text(SB "MSH|^~\\&|LAB|LABS|BILL|H01|20260101120000||ACK^P03^ACK|A1|P|2.5\rMSA|AA|X\r" EB
	    SB "MSH|^~\\&|LAB|LABS|BILL|H01|20260101120000||ACK|A2|P|2.3\rMSA|AA|X\r" EB SB "\x06" EB SB MSH("M1") EB);
	core_world_await(&w, "MSA|AR|M1");
	core_world_await(&w, "\r" EB);
	ck_assert_int_eq(count(SB), release2 ? 2 : 1);
	ck_assert_int_eq(metric_value(server->acks_in), 3);
}
END_TEST

START_TEST(test_release_2)
{
	release2 = true;
	send_text(SB MSH("M1") EB);
	core_world_await(&w, "MSA|AR|M1");
	ck_assert_int_eq(strncmp(w.text, SB "\x15" EB SB "MSH|", 9), 0);	/* not stored */
	core_world_await(&w, "\r" EB);
	w.n = 0;
	send_text(SB MSH("M2") MSH("M3") EB);
	core_world_await(&w, "MSA|AR|M3");
	ck_assert_int_eq(strncmp(w.text, SB "\x15" EB SB "BHS|", 9), 0);
	ck_assert_int_eq(count(SB), 2);
}
END_TEST

/* ------- names and memory */

START_TEST(test_the_known_have_a_name)
{
	w.core.configured = true;
	send_text(SB "MSH|^~\\&|LAB|LABS|BILL|H01|20260101120000||DFT^P03|");	/* a beginning of it */
	core_world_run(&w, 20);
	ck_assert_int_eq(metric_value(server->open), 1);
	ck_assert_uint_gt(w.core.budget.strangers_used, 0);
	send_text("M1|P|2.5\rEVN|P03\r");
	core_world_run(&w, 20);
	ck_assert_uint_eq(w.core.budget.strangers_used, 0);
	ck_assert_uint_gt(w.core.budget.used, 0);
	send_text(EB);
	core_world_await(&w, "MSA|AR|M1");
}
END_TEST

/* Where there is no memory for a message, its header is enough to say so, at once. */
START_TEST(test_no_memory)
{
	static const struct { const char *begins, *answer, *why; } kinds[] = {
		{SB STRANGER("M1"), "MSA|AE|M1", "MSH-4 is not a facility here"},	/* it would be refused whenever it came */
		{SB MSH("M2"), "MSA|AR|M2", "there is no memory for a message of this size now"},
	};
	char text[3000];

	w.core.configured = true;
	w.core.budget.limit = w.core.budget.strangers_limit = 7000;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int64_t began = clock_monotonic();
		memset(text, 'x', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		memcpy(text, kinds[i].begins, strlen(kinds[i].begins));
		memcpy(text + sizeof(text) - 4, "\r" EB, 3);
		send_text(text);
		core_world_await(&w, kinds[i].answer);
		ck_assert_ptr_nonnull(strstr(w.text, kinds[i].why));
		ck_assert_int_lt(clock_monotonic() - began, 900000);	/* it did not wait for the database */
	}
}
END_TEST

/* ------- the end */

START_TEST(test_what_was_sent_is_answered_at_the_end)
{
	w.core.configured = true;	/* so that it is in work for the hold of one second */
	send_text(SB MSH("M1") EB SB MSH("M2") EB);
	shutdown(w.fd, SHUT_WR);
	core_world_await(&w, NULL);
	ck_assert_int_eq(count("MSA|AR|"), 2);
	ck_assert_uint_eq(feed_server_connections(server), 0);
}
END_TEST

START_TEST(test_work_outlives_its_peer)
{
	w.core.configured = true;
	send_text(SB MSH("M1") EB SB MSH("M2") MSH("M3") EB);
	core_world_run(&w, 20);
	ck_assert_uint_ge(feed_server_in_work(server), 1);
	const struct linger reset = {1, 0};
	setsockopt(w.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(w.fd);
	w.fd = -1;
	for (int i = 0; i < 50 && feed_server_connections(server) > 0; i++)
		core_world_run(&w, 5);
	ck_assert_uint_eq(feed_server_connections(server), 0);
	ck_assert_uint_ge(feed_server_in_work(server), 1);
	for (int i = 0; i < 300 && feed_server_in_work(server) > 0; i++)
		core_world_run(&w, 10);		/* the hold of one second */
	ck_assert_uint_eq(feed_server_in_work(server), 0);
}
END_TEST

START_TEST(test_drain)
{
	send_text(SB MSH("M1") EB);
	core_world_await(&w, "\r" EB);
	feed_server_drain(server);
	core_world_await(&w, NULL);
	ck_assert_uint_eq(feed_server_connections(server), 0);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("session");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_one_message);
	tcase_add_test(run.tcase, test_in_order);
	check_add_rows(run, test_batches, batches);
	tcase_add_test(run.tcase, test_batch_header);
	tcase_add_test(run.tcase, test_answers_are_bounded);
	tcase_add_loop_test(run.tcase, test_acknowledgements_are_not_answered, 0, 2);
	tcase_add_test(run.tcase, test_release_2);
	tcase_add_test(run.tcase, test_the_known_have_a_name);
	tcase_add_test(run.tcase, test_no_memory);
	tcase_add_test(run.tcase, test_what_was_sent_is_answered_at_the_end);
	tcase_add_test(run.tcase, test_work_outlives_its_peer);
	tcase_add_test(run.tcase, test_drain);
	return check_end(run);
}
