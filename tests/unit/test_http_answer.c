/* HTTP: answers in order, whole or as a stream, to peers that read, do not read, talk or leave. */
#include "check_http.h"

static struct http_end h;

static void setup(void) { http_end_open(&h); }
static void teardown(void) { http_end_close(&h); }

START_TEST(test_one_at_a_time)
{
	h.later = true;
	http_end_send(&h, HEAD("GET /1", "") HEAD("GET /2", "") HEAD("GET /3", ""));
	ck_assert_uint_eq(h.headers, 1);
	ck_assert_str_eq(http_end_heard(&h), "");
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(h.n_kept, (size_t)i + 1);
		char body[2] = {(char)('a' + i), '\0'};
		http_reply(h.kept[i], 200, "text/plain", NULL, view_of(body));
		world_turns(&h.w, 4);
	}
	const char *a = strstr(http_end_heard(&h), "\r\n\r\na"), *b = strstr(h.text, "\r\n\r\nb"), *c = strstr(h.text, "\r\n\r\nc");
	ck_assert(a != NULL && b > a && c > b);
	ck_assert_str_eq(h.path[2], "GET /3?");
}
END_TEST

/* A peer that does not read gets no more work done than its output's mark has room for. */
START_TEST(test_pipelining_under_clog)
{
	static char body[1500];

	memset(body, 'x', sizeof(body));
	h.answer = (struct view){body, sizeof(body)};
	bufferevent_disable(h.peer, EV_READ);
	for (int i = 0; i < 40; i++)
		bufferevent_write(h.peer, HEAD("GET /a", ""), strlen(HEAD("GET /a", "")));
	world_turns(&h.w, 20);
	ck_assert_uint_eq(h.requests, 3);	/* three answers pass 4000 bytes */
	ck_assert(conn_is_clogged(http_conn_base(h.c)));
	ck_assert_uint_lt(h.w.budget.used, 20000);
	bufferevent_enable(h.peer, EV_READ);
	world_turns(&h.w, 60);
	ck_assert_uint_eq(h.requests, 40);
	ck_assert_int_eq(times_in(http_end_heard(&h), "HTTP/1.1 200 OK"), 40);
}
END_TEST

/* Long work lets others of the loop come between: here each request takes more than a slice, and another socket has become readable during the first. */
static size_t requests_before_other;

static void
on_other(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events, (void)arg;
	requests_before_other = h.requests;
}

START_TEST(test_long_turns_are_cut)
{
	int other[2];

	ck_assert_int_eq(pipe(other), 0);
	struct event *ev = event_new(h.w.base, other[0], EV_READ, on_other, NULL);
	event_add(ev, NULL);
	h.slow_us = TURN_SLICE_US + 1;
	h.tells = other[1];
	clock_set_for_tests(1000000000);
	for (int i = 0; i < 20; i++)
		bufferevent_write(h.peer, HEAD("GET /a", ""), strlen(HEAD("GET /a", "")));
	world_turns(&h.w, 100);
	ck_assert_uint_eq(h.requests, 20);
	ck_assert_uint_ge(requests_before_other, 1);
	ck_assert_uint_le(requests_before_other, TURN_US / TURN_SLICE_US + 1);	/* a turn's time of them */
	clock_set_for_tests(0);
	event_free(ev);
	close(other[0]);
	close(other[1]);
}
END_TEST

START_TEST(test_head)
{
	http_end_send(&h, HEAD("HEAD /a", "") HEAD("GET /b", ""));
	const char *first = http_end_heard(&h), *second = strstr(first + 1, "HTTP/1.1 200 OK");
	ck_assert_ptr_nonnull(second);
	const char *end = strstr(first, "\r\n\r\n");
	ck_assert_ptr_eq(end + 4, second);		/* no body */
	ck_assert_ptr_nonnull(strstr(first, "Content-Length: 2\r\n"));
}
END_TEST

START_TEST(test_no_content_has_no_length)
{
	h.status = 204;
	h.answer = VIEW_NONE;
	http_end_send(&h, HEAD("DELETE /a", ""));
	ck_assert_ptr_nonnull(strstr(http_end_heard(&h), "HTTP/1.1 204 No Content\r\n"));
	ck_assert_ptr_null(strstr(h.text, "Content-Length"));
	ck_assert_ptr_null(strstr(h.text, "Content-Type"));
	h.status = 200;
	http_end_send(&h, HEAD("GET /a", ""));
	ck_assert_ptr_nonnull(strstr(http_end_heard(&h), "Content-Length: 0\r\n"));
}
END_TEST

START_TEST(test_close_is_said)
{
	http_end_send(&h, HEAD("GET /a", "Connection: close\r\n") HEAD("GET /b", ""));
	ck_assert_uint_eq(h.requests, 1);
	ck_assert_ptr_nonnull(strstr(http_end_heard(&h), "Connection: close\r\n"));
	ck_assert(h.gone);
	ck_assert_str_eq(h.reason, "answered");
}
END_TEST

START_TEST(test_the_peer_leaves_before_its_answer)
{
	h.later = true;
	http_end_send(&h, HEAD("POST /a", "Content-Length: 2\r\n") "hi");
	conn_die(http_conn_base(h.c), "closed by peer");
	world_turns(&h.w, 3);
	ck_assert(h.gone);
	ck_assert_uint_eq(h.freed, 0);
	ck_assert_ptr_null(h.kept[0]->conn);
	ck_assert_int_eq(memcmp(h.kept[0]->body.p, "hi", 2), 0);	/* views live as long as the request */
	http_reply(h.kept[0], 200, "text/plain", NULL, VIEW_LITERAL("ok"));
	ck_assert_uint_eq(h.freed, 1);
	ck_assert_uint_eq(h.n_statuses, 0);
}
END_TEST

START_TEST(test_the_peer_leaves_in_mid_request)
{
	http_end_send(&h, HEAD("POST /a", "Content-Length: 50\r\n") "hi");
	bufferevent_flush(h.peer, EV_WRITE, BEV_FINISHED);
	world_turns(&h.w, 4);
	ck_assert(h.gone);
	ck_assert_str_eq(h.reason, "closed by peer");
	ck_assert_uint_eq(h.requests, 0);
	ck_assert_uint_eq(h.freed, 1);
}
END_TEST

/* A half-closed peer gets all its answers. */
START_TEST(test_the_peer_sends_no_more)
{
	h.later = true;
	http_end_send(&h, HEAD("GET /1", "") HEAD("GET /2", ""));
	bufferevent_flush(h.peer, EV_WRITE, BEV_FINISHED);
	world_turns(&h.w, 4);
	ck_assert(!h.gone);
	http_reply(h.kept[0], 200, "text/plain", NULL, VIEW_LITERAL("a"));
	world_turns(&h.w, 4);
	http_reply(h.kept[1], 200, "text/plain", NULL, VIEW_LITERAL("b"));
	world_turns(&h.w, 4);
	ck_assert_int_eq(times_in(http_end_heard(&h), "HTTP/1.1 200 OK"), 2);
	ck_assert(h.gone);
}
END_TEST

START_TEST(test_late_request)
{
	http_test_limits.conn.part_ms = 60;
	http_end_close(&h);
	http_end_open(&h);
	http_end_send(&h, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
	world_run(&h.w, 20);
	http_end_send(&h, "d");
	world_until(&h.w, &h.gone);
	ck_assert_str_eq(h.malformed, "request_timeout");
	ck_assert_ptr_nonnull(strstr(http_end_heard(&h), "Connection: close\r\n"));
	ck_assert_uint_eq(h.freed, 1);
}
END_TEST

/* ------- draining */

START_TEST(test_drain)
{
	h.later = _i == 1;
	if (_i <= 1)
		http_end_send(&h, HEAD("GET /a", ""));
	http_conn_drain(h.c);
	world_turns(&h.w, 3);
	if (_i == 2) {		/* its first request may be on its way */
		ck_assert(!h.gone);
		http_end_send(&h, HEAD("GET /a", ""));
		ck_assert_int_eq(times_in(http_end_heard(&h), "Connection: close"), 1);
		world_turns(&h.w, 3);
	}
	if (_i == 1) {
		ck_assert(!h.gone);
		http_reply(h.kept[0], 200, "text/plain", NULL, VIEW_LITERAL("a"));
		world_turns(&h.w, 3);
		ck_assert_int_eq(times_in(http_end_heard(&h), "HTTP/1.1 200 OK"), 1);
	}
	ck_assert(h.gone);
	ck_assert_str_eq(h.reason, "draining");
}
END_TEST

/* ------- streams */

static void
on_stream_end(struct http_request *r)
{
	struct http_end *end = r->user;

	end->ends++;
	http_request_free(r);
}

static struct http_request *
begin_stream(void)
{
	h.later = true;
	http_end_send(&h, HEAD("GET /s", ""));
	ck_assert(http_stream_begin(h.kept[0], "text/event-stream", on_stream_end));
	world_turns(&h.w, 3);
	return h.kept[0];
}

START_TEST(test_stream)
{
	struct http_request *r = begin_stream();

	http_stream_send(r, VIEW_LITERAL("data: 1\n\n"));
	world_turns(&h.w, 3);
	ck_assert_ptr_nonnull(strstr(http_end_heard(&h), "Connection: close\r\n\r\ndata: 1\n\n"));
	ck_assert_ptr_null(strstr(h.text, "Content-Length"));
	http_stream_end(r);
	world_turns(&h.w, 3);
	ck_assert(h.gone);
	ck_assert_uint_eq(h.ends, 0);
	ck_assert_uint_eq(h.freed, 1);
}
END_TEST

START_TEST(test_streams_peer_leaves)
{
	begin_stream();
	bufferevent_flush(h.peer, EV_WRITE, BEV_FINISHED);
	world_turns(&h.w, 4);
	ck_assert(h.gone);
	ck_assert_uint_eq(h.ends, 1);
	ck_assert_uint_eq(h.freed, 1);
}
END_TEST

/* What a stream's peer says is read away and not kept; who talks on is cut. */
START_TEST(test_streams_peer_talks)
{
	char text[1025] = "";

	memset(text, 'x', sizeof(text) - 1);
	begin_stream();
	for (int i = 0; i < 60; i++)
		http_end_send(&h, text);
	ck_assert(!h.gone);
	ck_assert_uint_lt(h.w.budget.used, 20000);
	for (int i = 0; i < 5; i++)
		http_end_send(&h, text);
	ck_assert(h.gone);
	ck_assert_str_eq(h.reason, "the peer of a stream talks");
	ck_assert_uint_eq(h.ends, 1);
}
END_TEST

START_TEST(test_streams_peer_does_not_read)
{
	static char event[1500];
	struct http_request *r = begin_stream();

	bufferevent_disable(h.peer, EV_READ);
	for (int i = 0; i < 10 && h.ends == 0; i++) {
		http_stream_send(r, (struct view){event, sizeof(event)});
		world_turns(&h.w, 3);
	}
	ck_assert_uint_eq(h.ends, 1);
	ck_assert_str_eq(h.reason, "the peer does not read");
}
END_TEST

START_TEST(test_stream_for_head)
{
	h.later = true;
	http_end_send(&h, HEAD("HEAD /s", ""));
	ck_assert(!http_stream_begin(h.kept[0], "text/event-stream", on_stream_end));
	world_turns(&h.w, 3);
	ck_assert(h.gone);
	ck_assert_uint_eq(h.freed, 1);
	ck_assert_uint_eq(h.ends, 0);
	const char *end = strstr(http_end_heard(&h), "\r\n\r\n");
	ck_assert_str_eq(end, "\r\n\r\n");
}
END_TEST

START_TEST(test_drain_ends_streams)
{
	begin_stream();
	http_conn_drain(h.c);
	world_turns(&h.w, 3);
	ck_assert(h.gone);
	ck_assert_uint_eq(h.ends, 1);
}
END_TEST

START_TEST(test_an_idle_connection_holds_no_buffer)
{
	char text[1200], lengthy[901] = "";

	http_test_limits.header_bytes = 5000;
	memset(lengthy, 'v', sizeof(lengthy) - 1);
	snprintf(text, sizeof(text), "%s: x\r\n", lengthy);
	bufferevent_write(h.peer, "GET /a HTTP/1.1\r\nHost: h\r\n", 26);
	for (int i = 0; i < 4; i++)
		http_end_send(&h, text);
	ck_assert_uint_gt(h.w.budget.used, 3600);
	http_end_send(&h, "\r\n");
	ck_assert_uint_eq(h.requests, 1);
	ck_assert_uint_eq(h.w.budget.used, 0);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("http_answer");
	const TTest *const tests[] = {
		test_one_at_a_time, test_pipelining_under_clog, test_long_turns_are_cut, test_head, test_no_content_has_no_length, test_close_is_said,
		test_the_peer_leaves_before_its_answer, test_the_peer_leaves_in_mid_request, test_the_peer_sends_no_more, test_late_request, test_stream,
		test_streams_peer_leaves, test_streams_peer_talks, test_streams_peer_does_not_read, test_stream_for_head, test_drain_ends_streams,
		test_an_idle_connection_holds_no_buffer,
	};

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(run.tcase, tests[i]);
	tcase_add_loop_test(run.tcase, test_drain, 0, 3);
	return check_end(run);
}
