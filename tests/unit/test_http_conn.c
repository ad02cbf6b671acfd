/* HTTP: what a request becomes, what is refused, and when a body is taken. */
#include "check_http.h"

static struct http_end h;

static void setup(void) { http_end_open(&h); }
static void teardown(void) { http_end_close(&h); }

START_TEST(test_a_request_and_its_answer)
{
	http_end_send(&h, HEAD("GET /v1/bills/B1?from=2", "X:  a b \r\n"));
	ck_assert_str_eq(h.path[0], "GET /v1/bills/B1?from=2");
	ck_assert_str_eq(h.value, "a b");
	const char *text = http_end_heard(&h);
	ck_assert_int_eq(strncmp(text, "HTTP/1.1 200 OK\r\nDate: ", 23), 0);
	ck_assert_ptr_nonnull(strstr(text, "\r\nContent-Type: text/plain\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\nContent-Length: 2\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\n\r\nok"));
	ck_assert_ptr_null(strstr(text, "Connection: close"));
	ck_assert_uint_eq(h.freed, 1);
	ck_assert_ptr_nonnull(h.c);
}
END_TEST

/* Cut anywhere, it is the same request. */
START_TEST(test_in_pieces)
{
	const char *text = HEAD("POST /a?b", "X: value\r\nContent-Length: 5\r\n") "hello";
	char piece[2] = {0};

	for (; *text != '\0'; text++) {
		piece[0] = *text;
		http_end_send(&h, piece);
	}
	ck_assert_str_eq(h.path[0], "POST /a?b");
	ck_assert_str_eq(h.value, "value");
	ck_assert_str_eq(h.body, "hello");
	ck_assert_uint_eq(h.headers, 1);
}
END_TEST

static const struct { const char *target, *seen; } targets[] = {
	{"http://example.com:8080/v1/bills?x=1", "GET /v1/bills?x=1"},
	{"HTTPS://example.com/a", "GET /a?"},
	{"http://example.com", "GET /?"},
	{"http://example.com?x=/y", "GET /?"},
	{"/a//b", "GET /a//b?"},
	{"/a?b?c", "GET /a?b?c"},
};

START_TEST(test_targets)
{
	char text[200];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", targets[_i].target);
	http_end_send(&h, text);
	ck_assert_str_eq(h.path[0], targets[_i].seen);
}
END_TEST

/* ------- what is no request */

static const struct { const char *text, *reason; } malformed[] = {
	{"\x16\x03\x01\x02", "bad_request"},
	{"GET /a HTTP/1.1\r\n\r\n", "bad_request"},				/* no Host */
	{"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "bad_request"},
	{HEAD("POST /a", "Content-Length: 2\r\nContent-Length: 3\r\n"), "bad_request"},
	{HEAD("POST /a", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), "bad_request"},
	{HEAD("POST /a", "Transfer-Encoding: chunked\r\n") "zz\r\n", "bad_request"},
	{"GET /a HTTP/2.0\r\nHost: h\r\n\r\n", "bad_request"},
	{HEAD("POST /a", "Content-Length: 101\r\n"), "too_large"},
	{HEAD("POST /a", "Content-Length: 5\r\nExpect: tea\r\n"), "expectation"},
	{HEAD("POST /a", "Content-Length: 18446744073709551615\r\n"), "too_large"},
};

START_TEST(test_malformed)
{
	http_end_send(&h, malformed[_i].text);
	ck_assert_str_eq(h.malformed, malformed[_i].reason);
	ck_assert_ptr_nonnull(strstr(http_end_heard(&h), "HTTP/1.1 400 "));
	ck_assert_ptr_nonnull(strstr(h.text, "\r\nConnection: close\r\n"));
	ck_assert(h.gone);
	ck_assert_uint_eq(h.requests, 0);
}
END_TEST

START_TEST(test_nul_in_a_value)
{
	static const char text[] = "GET /a HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n";

	bufferevent_write(h.peer, text, sizeof(text) - 1);
	world_turns(&h.w, 6);
	ck_assert_str_eq(h.malformed, "bad_request");
}
END_TEST

START_TEST(test_old_version)
{
	http_end_send(&h, "GET /a HTTP/1.0\r\n\r\n");
	ck_assert_uint_eq(h.requests, 1);
	ck_assert(h.gone);
	ck_assert_str_eq(h.reason, "answered");
}
END_TEST

START_TEST(test_upgrade_is_ignored)
{
	http_end_send(&h, HEAD("GET /a", "Connection: Upgrade\r\nUpgrade: h2c\r\n") HEAD("GET /b", ""));
	ck_assert_uint_eq(h.requests, 2);
	ck_assert(!h.gone);
}
END_TEST

/* ------- the header's limit */

/* A value, a name or a target longer than the limit leaves no view of a wild length behind: the answer has its request. */
START_TEST(test_header_too_large)
{
	char text[3000], lengthy[1200];

	memset(lengthy, 'v', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	if (_i == 0)
		snprintf(text, sizeof(text), HEAD("GET /a", "X: %s\r\n"), lengthy);
	else if (_i == 1)
		snprintf(text, sizeof(text), HEAD("GET /a", "%s: x\r\n"), lengthy);
	else
		snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: h\r\n\r\n", lengthy);
	http_end_send(&h, text);
	ck_assert_str_eq(h.malformed, "header_too_large");
	ck_assert(h.gone);
}
END_TEST

/* Line and fields together: 1000 bytes are taken, 1001 are not. */
START_TEST(test_header_at_its_limit)
{
	char text[2000], lengthy[1001] = "";
	size_t others = strlen("/a") + strlen("Host") + strlen("h") + strlen("X");
	int n = (int)(1000 - others) + _i;

	memset(lengthy, 'v', sizeof(lengthy) - 1);
	snprintf(text, sizeof(text), HEAD("GET /a", "X: %.*s\r\n"), n, lengthy);
	http_end_send(&h, text);
	ck_assert_uint_eq(h.requests, _i == 0 ? 1 : 0);
	ck_assert_uint_eq(strlen(h.value), _i == 0 ? (size_t)n : 0);
	ck_assert_str_eq(h.malformed, _i == 0 ? "" : "header_too_large");
}
END_TEST

START_TEST(test_so_many_fields)
{
	char text[2000] = "GET /a HTTP/1.1\r\nHost: h\r\n";

	for (int i = 1; i < HTTP_HEADERS + _i; i++)
		strcat(text, "a: b\r\n");
	strcat(text, "\r\n");
	http_end_send(&h, text);
	ck_assert_uint_eq(h.requests, _i == 0 ? 1 : 0);
	ck_assert_str_eq(h.malformed, _i == 0 ? "" : "header_too_large");
}
END_TEST

/* ------- bodies */

START_TEST(test_body_at_its_limit)
{
	char text[400], body[102];

	memset(body, 'b', sizeof(body));
	snprintf(text, sizeof(text), HEAD("POST /a", "Transfer-Encoding: chunked\r\n") "%x\r\n%.*s\r\n0\r\n\r\n", 100 + _i, 100 + _i, body);
	http_end_send(&h, text);
	ck_assert_uint_eq(h.body_n, _i == 0 ? 100 : 0);
	ck_assert_str_eq(h.malformed, _i == 0 ? "" : "too_large");
}
END_TEST

START_TEST(test_chunks_are_one_body)
{
	http_end_send(&h, HEAD("POST /a", "Transfer-Encoding: chunked\r\n") "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: x\r\n\r\n" HEAD("GET /b", ""));
	ck_assert_str_eq(h.path[1], "GET /b?");
	ck_assert_str_eq(h.malformed, "");
	ck_assert_uint_eq(h.requests, 2);
}
END_TEST

/* Judged by the header: the answer comes before the body, and the connection ends with it. */
START_TEST(test_refused_before_its_body)
{
	h.most = -1;
	h.status = 404;
	http_end_send(&h, HEAD("POST /a", "Content-Length: 8000000\r\n"));
	ck_assert_uint_eq(h.requests, 1);
	ck_assert_ptr_nonnull(strstr(http_end_heard(&h), "HTTP/1.1 404 "));
	ck_assert_ptr_nonnull(strstr(h.text, "\r\nConnection: close\r\n"));
	ck_assert(h.gone);
	ck_assert_uint_eq(h.body_n, 0);
}
END_TEST

START_TEST(test_refused_without_a_body)
{
	h.most = -1;
	http_end_send(&h, HEAD("GET /a", "") HEAD("GET /b", ""));
	ck_assert_uint_eq(h.requests, 2);	/* there is nothing to close for */
	ck_assert(!h.gone);
}
END_TEST

START_TEST(test_continue)
{
	http_end_send(&h, HEAD("POST /a", "Content-Length: 5\r\nExpect: 100-Continue\r\n"));
	ck_assert_str_eq(http_end_heard(&h), "HTTP/1.1 100 Continue\r\n\r\n");
	http_end_send(&h, "hello");
	ck_assert_str_eq(h.body, "hello");
	ck_assert_ptr_nonnull(strstr(http_end_heard(&h), "HTTP/1.1 200 OK\r\n"));
}
END_TEST

START_TEST(test_no_continue)
{
	if (_i == 0)
		h.most = -1;
	http_end_send(&h, _i == 0 ? HEAD("POST /a", "Content-Length: 5\r\nExpect: 100-continue\r\n")	/* refused */
	    : _i == 1 ? HEAD("POST /a", "Content-Length: 101\r\nExpect: 100-continue\r\n")		/* too large */
	    : _i == 2 ? HEAD("GET /a", "Expect: 100-continue\r\n")					/* nothing to wait for */
	    : "POST /a HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");		/* which 1.0 cannot ask */
	ck_assert_ptr_null(strstr(http_end_heard(&h), "100 Continue"));
	ck_assert_int_eq(times_in(h.text, "HTTP/1.1 "), 1);
}
END_TEST

/* A lack of memory is told before the body is sent, and nothing of it stays counted. */
START_TEST(test_body_without_memory)
{
	struct account other;

	h.named = true;
	h.most = 100000;
	account_open(&other, &h.w.budget, true);
	ck_assert(account_set(&other, h.w.budget.limit - 20000));
	http_end_send(&h, _i == 0 ? HEAD("POST /a", "Content-Length: 50000\r\nExpect: 100-continue\r\n")
	    : HEAD("POST /a", "Content-Length: 10000\r\nExpect: 100-continue\r\n"));
	ck_assert_str_eq(h.malformed, _i == 0 ? "busy" : "");
	ck_assert_int_eq(times_in(http_end_heard(&h), "100 Continue"), _i);
	account_close(&other);
}
END_TEST

START_TEST(test_body_is_counted)
{
	h.later = true;
	h.most = 50000;
	http_end_send(&h, HEAD("POST /a", "Content-Length: 20000\r\n"));
	ck_assert_uint_ge(h.w.budget.strangers_used, 20000);
	ck_assert_uint_lt(h.w.budget.strangers_used, 30000);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("http_conn");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_a_request_and_its_answer);
	tcase_add_test(run.tcase, test_in_pieces);
	check_add_rows(run, test_targets, targets);
	check_add_rows(run, test_malformed, malformed);
	tcase_add_test(run.tcase, test_nul_in_a_value);
	tcase_add_test(run.tcase, test_old_version);
	tcase_add_test(run.tcase, test_upgrade_is_ignored);
	tcase_add_loop_test(run.tcase, test_header_too_large, 0, 3);
	tcase_add_loop_test(run.tcase, test_header_at_its_limit, 0, 2);
	tcase_add_loop_test(run.tcase, test_so_many_fields, 0, 2);
	tcase_add_loop_test(run.tcase, test_body_at_its_limit, 0, 2);
	tcase_add_test(run.tcase, test_chunks_are_one_body);
	tcase_add_test(run.tcase, test_refused_before_its_body);
	tcase_add_test(run.tcase, test_refused_without_a_body);
	tcase_add_test(run.tcase, test_continue);
	tcase_add_loop_test(run.tcase, test_no_continue, 0, 4);
	tcase_add_loop_test(run.tcase, test_body_without_memory, 0, 2);
	tcase_add_test(run.tcase, test_body_is_counted);
	return check_end(run);
}
