/* Filters of the quarantine: from texts to the JSON that SQL takes, and what is refused before it gets there. */
#include "check_main.h"

#include "proto/arena.h"
#include "proto/json/quarantine.h"

enum { CHINA = 8 * 3600 };

static struct arena arena;

static void
set_up(void)
{
	arena_init(&arena, 0);
}

static void
tear_down(void)
{
	arena_free(&arena);
}

/* A text that ends where it ends. */
static struct view
exact(const char *text)
{
	return arena_copy(&arena, text, strlen(text));
}

static const struct { struct quarantine_filter f; const char *json; } filters[] = {
	{{.id = VIEW_NONE}, "{}"},
	{{.id = VIEW_LITERAL("7")}, "{\"id\":\"7\"}"},
	{{.state = VIEW_LITERAL("all"), .feed = VIEW_LITERAL("lab"), .reason = VIEW_LITERAL("conflict"), .order = VIEW_LITERAL("newest")},
	    "{\"state\":\"all\",\"feed\":\"lab\",\"reason\":\"conflict\",\"order\":\"newest\"}"},
	{{.visit = VIEW_LITERAL("V\"1"), .text = VIEW_LITERAL("a\\b")}, "{\"visit\":\"V\\\"1\",\"text\":\"a\\\\b\"}"},
	{{.day = VIEW_LITERAL("2026-01-15")}, "{\"from\":\"2026-01-14T16:00:00+00:00\",\"until\":\"2026-01-15T16:00:00+00:00\"}"},
	{{.from = VIEW_LITERAL("2026-01-15T08:00:00"), .until = VIEW_LITERAL("2026-01-15T08:00:00Z")},
	    "{\"from\":\"2026-01-15T00:00:00+00:00\",\"until\":\"2026-01-15T08:00:00+00:00\"}"},
	{{.until = VIEW_LITERAL("20260115"), .feed = VIEW_LITERAL("x")}, "{\"feed\":\"x\",\"until\":\"2026-01-14T16:00:00+00:00\"}"},
};

START_TEST(filters_become_json)
{
	struct view json;
	const char *member;

	ck_assert_ptr_null(quarantine_filter_json(&filters[_i].f, CHINA, &arena, &json, &member));
	ck_assert_view(json, filters[_i].json);
	ck_assert_int_eq(json.p[json.n], '\0');
}
END_TEST

static const struct { struct quarantine_filter f; const char *member; } wrong_filters[] = {
	{{.id = VIEW_LITERAL("1x")}, "id"}, {{.id = VIEW_LITERAL("1234567890123456789")}, "id"}, {{.id = VIEW_LITERAL("-1")}, "id"},
	{{.state = VIEW_LITERAL("open")}, "state"}, {{.order = VIEW_LITERAL("old")}, "order"},
	{{.feed = VIEW_LITERAL("\xff")}, "feed"}, {{.text = VIEW_LITERAL("a\0b")}, "text"}, {{.visit = VIEW_LITERAL(" V")}, "visit"},
	{{.day = VIEW_LITERAL("2026-02-30")}, "day"}, {{.day = VIEW_LITERAL("soon")}, "day"}, {{.from = VIEW_LITERAL("x")}, "from"},
	{{.until = VIEW_LITERAL("2026-13-01")}, "until"}, {{.day = VIEW_LITERAL("2026-01-15"), .until = VIEW_LITERAL("2026-01-15")}, "day"},
	{{.reason = VIEW_LITERAL("a reason that is longer than any reason is, by far")}, "reason"},
};

START_TEST(what_no_row_has_is_refused)
{
	struct view json;
	const char *member = NULL;

	ck_assert_ptr_nonnull(quarantine_filter_json(&wrong_filters[_i].f, CHINA, &arena, &json, &member));
	ck_assert_str_eq(member, wrong_filters[_i].member);
}
END_TEST

START_TEST(narrow_is_more_than_a_state)
{
	struct quarantine_filter f = {.state = VIEW_LITERAL("waiting"), .order = VIEW_LITERAL("newest")};

	ck_assert(!quarantine_filter_is_narrow(&f));
	for (size_t i = 0; i < quarantine_n_members; i++) {
		struct quarantine_filter one = {0};
		struct view x = VIEW_LITERAL("x");
		memcpy((char *)&one + quarantine_members[i].offset, &x, sizeof(x));
		bool narrow = strcmp(quarantine_members[i].name, "state") != 0 && strcmp(quarantine_members[i].name, "order") != 0;
		ck_assert_int_eq(quarantine_filter_is_narrow(&one), narrow);
	}
}
END_TEST

START_TEST(requests_are_read)
{
	struct quarantine_request q;
	struct refusal refused = {0};
	struct view body = exact("{\"filter\":{\"id\":12,\"reason\":\"conflict\"},\"dry_run\":true,\"why\":\" so \",\"limit\":5,\"after\":\"9\"}");

	ck_assert_int_eq(quarantine_request_parse(body, CHINA, &arena, &q, &refused), 0);
	ck_assert_view(q.filter, "{\"id\":\"12\",\"reason\":\"conflict\"}");
	ck_assert_view(q.why, "so");
	ck_assert_int_eq(q.why.p[q.why.n], '\0');
	ck_assert(q.dry_run && q.limit == 5 && q.after == 9);
	ck_assert_int_eq(quarantine_request_parse(exact("{\"filter\":{\"feed\":\"lab\"}}"), CHINA, &arena, &q, &refused), 0);
	ck_assert(!q.dry_run && q.limit == 0 && q.after == 0 && q.why.n == 0);
}
END_TEST

static const struct { const char *body, *pointer; } wrong_requests[] = {
	{"", ""}, {"[]", ""}, {"{}", "/filter"}, {"{\"filter\":[]}", "/filter"}, {"{\"filter\":{}}", "/filter"}, {"{\"filter\":{\"order\":\"newest\"}}", "/filter"},
	{"{\"filter\":{\"feed\":\"a\"},\"limit\":0}", "/limit"}, {"{\"filter\":{\"feed\":\"a\"},\"limit\":1001}", "/limit"},
	{"{\"filter\":{\"feed\":\"a\"},\"after\":-1}", "/after"}, {"{\"filter\":{\"feed\":\"a\"},\"dry_run\":1}", "/dry_run"},
	{"{\"filter\":{\"feed\":\"a\"},\"dryrun\":true}", "/dryrun"}, {"{\"filter\":{\"feeds\":\"a\"}}", "/filter/feeds"},
	{"{\"filter\":{\"feed\":1}}", "/filter/feed"}, {"{\"filter\":{\"id\":\"x\"}}", "/filter/id"}, {"{\"filter\":{\"id\":1.5}}", "/filter/id"},
	{"{\"filter\":{\"feed\":\"a\",\"state\":\"resolved\"}}", "/filter/state"}, {"{\"filter\":{\"day\":\"2026-02-30\"}}", "/filter/day"},
	{"{\"filter\":{\"feed\":\"a\\u0000b\"}}", "/filter/feed"},
};

START_TEST(requests_are_refused_with_their_place)
{
	struct quarantine_request q;
	struct refusal refused = {0};

	ck_assert_int_eq(quarantine_request_parse(exact(wrong_requests[_i].body), CHINA, &arena, &q, &refused), -1);
	ck_assert_str_eq(refused.location, wrong_requests[_i].pointer);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("quarantine_filter");

	tcase_add_checked_fixture(run.tcase, set_up, tear_down);
	check_add_rows(run, filters_become_json, filters);
	check_add_rows(run, what_no_row_has_is_refused, wrong_filters);
	tcase_add_test(run.tcase, narrow_is_more_than_a_state);
	tcase_add_test(run.tcase, requests_are_read);
	check_add_rows(run, requests_are_refused_with_their_place, wrong_requests);
	return check_end(run);
}
