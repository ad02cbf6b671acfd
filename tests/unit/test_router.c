/* The API's entrance: routes, who may, what is judged before a body, and how many failed logins an address has. The database is not there: a request that
 * would reach it is answered 503, so that 503 says "it may". */
#include "check_core.h"

#include "access/principal.h"
#include "api/api.h"

#define KIOSK "Authorization: Bearer kiosk-token-12345\r\n"
#define DESK "Authorization: Bearer desk-token-123456\r\n"
#define FEED "Authorization: Bearer feed-token-of-the-api\r\n"
#define JSON "Content-Type: application/json\r\n"

static struct core_world w;
static struct api *api;
static unsigned serves;

static void
on_connection(void *arg, evutil_socket_t fd, struct place *place)
{
	(void)arg;
	api_accept(api, fd, place, serves);
}

static void
setup(void)
{
	char with_limits[sizeof(house) + 200];

	snprintf(with_limits, sizeof(with_limits), "%s[limits]\nfailed_logins = 3\n", house);
	core_world_open(&w, with_limits);
	api = api_new(&w.core);
	serves = MAY_FEED | MAY_KIOSK | MAY_DESK | MAY_OPS | MAY_NOTIFY;
	core_world_listen(&w, on_connection, NULL);
	core_world_connect(&w);
}

static void
teardown(void)
{
	core_world_close(&w);
	api_free(api);
}

/* One request on a new connection; returns its status. */
static int
ask(const char *line, const char *fields, const char *body)
{
	char text[8192];

	core_world_connect(&w);
	int n = snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n%s", line, fields, body);
	ck_assert_int_eq(write(w.fd, text, (size_t)n), n);
	core_world_await(&w, NULL);
	ck_assert_int_eq(strncmp(w.text, "HTTP/1.1 ", 9), 0);
	return atoi(w.text + 9);
}

static const struct { const char *line, *fields; int status; } rows[] = {
	{"GET /healthz", "", 200},
	{"HEAD /healthz", "", 200},
	{"GET /nothing", "", 404},
	{"GET /healthz/", "", 404},
	{"GET /v1/bills/", KIOSK, 404},
	{"GET /v1/bills/B1/x", KIOSK, 404},
	{"POST /healthz", "", 405},
	{"GET /v1/bills/B1", "", 401},
	{"GET /v1/bills/B1", "Authorization: Basic a2lvc2s6eA==\r\n", 401},
	{"GET /v1/bills/B1", KIOSK, 503},
	{"HEAD /v1/bills/B1", KIOSK, 503},
	{"GET /v1/bills/B1", DESK, 503},
	{"GET /v1/bills/B1", FEED, 403},
	{"GET /v1/visits/H01/V1", FEED, 503},
	{"GET /v1/quarantine", KIOSK, 403},
	{"GET /v1/quarantine", DESK, 503},
	{"POST /v1/charges", KIOSK, 403},
	{"POST /v1/charges", FEED, 503},
	{"POST /v1/visits/H01/V1/discharge", KIOSK, 403},
	{"DELETE /v1/visits/H01/V1/discharge", DESK, 403},
	{"GET /v1/feeds/lab", KIOSK, 403},
	{"GET /v1/feeds/lab", FEED, 403},
	{"GET /v1/feeds/lab?days=0", DESK, 422},
	{"GET /v1/feeds/lab?days=32", DESK, 422},
	{"GET /v1/feeds/lab?days=x", DESK, 422},
	{"POST /v1/feeds/lab/try", KIOSK, 403},
	{"POST /v1/feeds/lab/try", FEED, 403},
	{"POST /v1/feeds/lab/try", DESK, 422},		/* no body */
	{"POST /v1/feeds/*/try", DESK, 422},
	{"POST /v1/feeds/xray/try", DESK, 404},
	{"POST /v1/feeds//try", DESK, 404},
	/* what PostgreSQL could only refuse is not asked */
	{"POST /v1/visits/H01/%ff/discharge", FEED, 404},
	{"POST /v1/visits/H01/%00/discharge", FEED, 404},
	{"GET /v1/visits/H01/a%0Ab", FEED, 404},
	{"GET /v1/visits/H01/%20V1", FEED, 404},
	{"GET /v1/bills/%E4%B8", KIOSK, 404},
	{"POST /v1/bills/B1/payments", KIOSK JSON "Idempotency-Key: a\x01" "b\r\n", 400},
};

START_TEST(test_routes)
{
	ck_assert_int_eq(ask(rows[_i].line, rows[_i].fields, ""), rows[_i].status);
}
END_TEST

START_TEST(test_a_long_parameter)
{
	char line[400], lengthy[300];

	memset(lengthy, 'v', sizeof(lengthy));
	snprintf(line, sizeof(line), "GET /v1/visits/H01/%.*s", 100 + _i, lengthy);
	ck_assert_int_eq(ask(line, FEED, ""), _i == 0 ? 503 : 404);
}
END_TEST

START_TEST(test_an_idempotency_key)
{
	static const struct { const char *key; bool fine; } keys[] = {{"k-1", true}, {"\xff", false}, {"\xe5\xb9\xb4", true}};
	char fields[600], lengthy[202];

	for (size_t i = 0; i < 3; i++) {
		snprintf(fields, sizeof(fields), "%s%sIdempotency-Key: %s\r\nContent-Length: 2\r\n", KIOSK, JSON, keys[i].key);
		int status = ask("POST /v1/bills/B1/payments", fields, "[]");
		ck_assert_int_eq(strstr(w.text, "Idempotency-Key") != NULL, !keys[i].fine);
		ck_assert(status >= 400);
	}
	memset(lengthy, 'k', sizeof(lengthy) - 1);
	lengthy[201] = '\0';
	snprintf(fields, sizeof(fields), "%s%sIdempotency-Key: %s\r\nContent-Length: 2\r\n", KIOSK, JSON, lengthy);
	ask("POST /v1/bills/B1/payments", fields, "[]");
	ck_assert_ptr_nonnull(strstr(w.text, "is longer than 200 bytes"));
}
END_TEST

/* 405 says what would be allowed; 401 how; 503 when. */
START_TEST(test_what_a_refusal_says)
{
	ck_assert_int_eq(ask("PUT /v1/visits/H01/V1/discharge", FEED, ""), 405);
	ck_assert_ptr_nonnull(strstr(w.text, "\r\nAllow: POST, DELETE\r\n"));
	ck_assert_int_eq(ask("PUT /healthz", "", ""), 405);
	ck_assert_ptr_nonnull(strstr(w.text, "\r\nAllow: GET, HEAD\r\n"));
	ask("GET /v1/bills/B1", "", "");
	ck_assert_ptr_nonnull(strstr(w.text, "\r\nWWW-Authenticate: Bearer\r\n"));
	ask("GET /v1/bills/B1", KIOSK, "");
	ck_assert_ptr_nonnull(strstr(w.text, "\r\nRetry-After: 2\r\n"));
	ck_assert_ptr_nonnull(strstr(w.text, "\r\nContent-Type: application/problem+json\r\n"));
}
END_TEST

/* A listener serves what it says: another route is not there, and a caller of another kind is not taken. */
START_TEST(test_what_a_listener_serves)
{
	serves = MAY_KIOSK;
	ck_assert_int_eq(ask("GET /v1/bills/B1", KIOSK, ""), 503);
	ck_assert_int_eq(ask("GET /v1/bills/B1", DESK, ""), 403);	/* a desk's token at the kiosks' door */
	ck_assert_int_eq(ask("GET /healthz", "", ""), 404);
	ck_assert_int_eq(ask("POST /v1/charges", FEED, ""), 404);
	ck_assert_int_eq(ask("DELETE /v1/bills/B1", KIOSK, ""), 405);
}
END_TEST

/* ------- bodies */

START_TEST(test_a_body_is_judged_by_its_header)
{
	/* without anybody's name, of any length, nothing of it is waited for */
	ck_assert_int_eq(ask("POST /v1/charges", "Content-Length: 8000000\r\n", ""), 401);
	ck_assert_int_eq(ask("POST /nothing", "Content-Length: 8000000\r\n", ""), 404);
	ck_assert_int_eq(ask("POST /v1/charges", FEED JSON "Content-Length: 9000000\r\n", ""), 413);
	ck_assert_int_eq(ask("POST /v1/visits", FEED JSON "Content-Length: 65537\r\n", ""), 413);
	ck_assert_int_eq(ask("GET /v1/bills/B1", KIOSK "Content-Length: 1\r\n", ""), 413);
	ask("POST /v1/charges", "Content-Length: 8\r\nExpect: 100-continue\r\n", "");
	ck_assert_ptr_null(strstr(w.text, "100 Continue"));
}
END_TEST

START_TEST(test_continue_for_who_may)
{
	static const char head[] = "POST /v1/charges HTTP/1.1\r\nHost: h\r\n" FEED JSON "Content-Length: 8\r\nExpect: 100-continue\r\n\r\n";

	core_world_connect(&w);
	ck_assert_int_gt(write(w.fd, head, sizeof(head) - 1), 0);
	core_world_await(&w, "HTTP/1.1 100 Continue\r\n\r\n");
	ck_assert_int_eq(write(w.fd, "nonsense", 8), 8);
	core_world_await(&w, "HTTP/1.1 503 ");
}
END_TEST

START_TEST(test_media_types)
{
	static const struct { const char *type; bool fine; } types[] = {
		{"application/json", true}, {"Application/JSON; charset=utf-8", true}, {"application/jsonp", false}, {"text/plain", false}, {"", false},
	};
	char fields[300];

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		snprintf(fields, sizeof(fields), "%sIdempotency-Key: k\r\nContent-Type: %s\r\nContent-Length: 2\r\n", KIOSK, types[i].type);
		ck_assert_int_eq(ask("POST /v1/bills/B1/payments", fields, "[[") == 415, !types[i].fine);
	}
}
END_TEST

/* ------- messages that are only read */

static int
try(const char *path, const char *who, const char *message)
{
	char line[100], fields[200];

	snprintf(line, sizeof(line), "POST /v1/feeds/%s/try", path);
	snprintf(fields, sizeof(fields), "%sContent-Length: %zu\r\n", who, strlen(message));
	return ask(line, fields, message);
}

START_TEST(test_reading_needs_no_database)
{
	static const char dft[] = "MSH|^~\\&|LAB|LABS|||20260115||DFT^P03|M1|P|2.5\rPID|1||P7\rPV1|1|O|||||||||||||||||V7\rFT1|1|L1||20260115||CG|A01|||2|12.50\r";

	ck_assert_int_eq(try("lab", DESK, dft), 200);
	ck_assert_ptr_nonnull(strstr(w.text, "\"visit_no\":\"V7\""));
	ck_assert_ptr_nonnull(strstr(w.text, "\\u000dMSA|AA|M1\\u000d"));
	ck_assert_int_eq(try("*", DESK, dft), 200);
	ck_assert_ptr_nonnull(strstr(w.text, "\"feed\":\"lab\""));
	ck_assert_int_eq(directory_feed_named(w.core.directory, "lab")->mark, 0);
}
END_TEST

START_TEST(test_reading_stays_in_the_scope)
{
	static const char house_of_two[] = "[database]\nconninfo = x\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n[facility H01]\n[facility H02]\n"
	    "[feed lab]\nfacility = H02\napplication = LAB\n[token desk]\nsecret = desk-token-123456\nrole = desk\nfacilities = H01\n";
	static const char dft[] = "MSH|^~\\&|LAB|H02|||20260115||DFT^P03|M1|P|2.5\rPID|1||P7\rPV1|1|O|||||||||||||||||V7\rFT1|1|L1||20260115||CG|A01|||2|12.50\r";
	struct config *before = (struct config *)(uintptr_t)w.core.config;

	w.core.config = house_settings(house_of_two);
	ck_assert_int_eq(directory_apply(w.core.directory, w.core.config, IDS), 0);
	ck_assert_int_eq(try("lab", DESK, dft), 404);
	ck_assert_int_eq(try("*", DESK, dft), 200);
	ck_assert_ptr_nonnull(strstr(w.text, "feed_unknown"));
	ck_assert_ptr_null(strstr(w.text, "\"feed\":"));
	config_release(before);
}
END_TEST

/* ------- who fails */

START_TEST(test_failed_logins_of_an_address)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ask("GET /v1/bills/B1", "Authorization: Bearer nobody\r\n", ""), 401);
	ck_assert_int_eq(ask("GET /v1/bills/B1", "Authorization: Bearer nobody\r\n", ""), 429);
	ck_assert_ptr_nonnull(strstr(w.text, "\r\nRetry-After: 60\r\n"));
	ck_assert_int_eq(ask("GET /v1/bills/B1", KIOSK, ""), 503);	/* a neighbour who is known is not refused for it */
	ck_assert_int_eq(ask("GET /v1/bills/B1", "", ""), 401);		/* nor is who shows nothing counted */
	ck_assert_int_eq(ask("GET /healthz", "", ""), 200);
}
END_TEST

START_TEST(test_nothing_shown_is_no_failure)
{
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ask("GET /v1/bills/B1", "", ""), 401);
}
END_TEST

/* The database has not said its tokens yet: who shows one that the settings do not have may have one there, and comes again. It is no failure. */
START_TEST(test_tokens_not_yet_known)
{
	tokens_free(w.core.tokens);
	w.core.tokens = tokens_new();
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ask("GET /v1/bills/B1", "Authorization: Bearer nobody\r\n", ""), 503);
	ck_assert_int_eq(ask("GET /v1/bills/B1", "", ""), 401);
	ck_assert_int_eq(ask("GET /v1/quarantine", KIOSK, ""), 403);
	tokens_set_known(w.core.tokens);
	ck_assert_int_eq(ask("GET /v1/bills/B1", "Authorization: Bearer nobody\r\n", ""), 401);
}
END_TEST

START_TEST(test_not_yet_configured)
{
	w.core.configured = false;
	ck_assert_int_eq(ask("GET /v1/bills/B1", KIOSK, ""), 503);
	ck_assert_int_eq(ask("GET /v1/bills/B1", "Authorization: Bearer nobody\r\n", ""), 503);
	ck_assert_int_eq(ask("GET /healthz", "", ""), 200);
	ck_assert_int_eq(ask("GET /readyz", "", ""), 503);
}
END_TEST

START_TEST(test_in_work)
{
	core_world_connect(&w);
	ck_assert_int_gt(write(w.fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 35), 0);
	core_world_await(&w, "ok\n");
	ck_assert_uint_eq(api_in_work(api), 0);		/* the connection is kept */
	ck_assert_uint_eq(api_connections(api), 1);
}
END_TEST

START_TEST(test_malformed)
{
	core_world_connect(&w);
	ck_assert_int_eq(write(w.fd, "\x16\x03\x01\r\n\r\n", 7), 7);
	core_world_await(&w, NULL);
	ck_assert_ptr_nonnull(strstr(w.text, "HTTP/1.1 400 "));
	ck_assert_ptr_nonnull(strstr(w.text, "application/problem+json"));
	close(w.fd);
	w.fd = -1;
	core_world_run(&w, 30);
	ck_assert_uint_eq(api_in_work(api), 0);
	ck_assert_uint_eq(api_connections(api), 0);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("router");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	check_add_rows(run, test_routes, rows);
	tcase_add_loop_test(run.tcase, test_a_long_parameter, 0, 2);
	tcase_add_test(run.tcase, test_an_idempotency_key);
	tcase_add_test(run.tcase, test_what_a_refusal_says);
	tcase_add_test(run.tcase, test_what_a_listener_serves);
	tcase_add_test(run.tcase, test_a_body_is_judged_by_its_header);
	tcase_add_test(run.tcase, test_continue_for_who_may);
	tcase_add_test(run.tcase, test_media_types);
	tcase_add_test(run.tcase, test_reading_needs_no_database);
	tcase_add_test(run.tcase, test_reading_stays_in_the_scope);
	tcase_add_test(run.tcase, test_failed_logins_of_an_address);
	tcase_add_test(run.tcase, test_tokens_not_yet_known);
	tcase_add_test(run.tcase, test_nothing_shown_is_no_failure);
	tcase_add_test(run.tcase, test_not_yet_configured);
	tcase_add_test(run.tcase, test_in_work);
	tcase_add_test(run.tcase, test_malformed);
	return check_end(run);
}
