/* Bodies and fields of JSON requests: bounded, strict, exact. */
#include "check_main.h"

#include <stdio.h>

#include "proto/json/members.h"
#include "proto/money.h"

static struct arena arena;
static struct refusal refused;
static const struct json *body;
static char *bytes;		/* of the body */

static void
set_up(void)
{
	arena_init(&arena, 0);
	refused = (struct refusal){0};
	body = NULL;
	bytes = NULL;
}

static void
tear_down(void)
{
	free(bytes);
	arena_free(&arena);
}

/* The body, in memory that ends where it ends. */
static const struct json *
parse(struct view text)
{
	free(bytes);
	bytes = malloc(text.n > 0 ? text.n : 1);
	ck_assert_ptr_nonnull(bytes);
	if (text.n > 0)
		memcpy(bytes, text.p, text.n);
	body = json_in_body((struct view){bytes, text.n}, &arena, &refused);
	return body;
}

static struct json_in
in_body(const char *text)
{
	ck_assert_msg(parse(view_of(text)) != NULL, "%s: %s", text, refused.detail);
	return (struct json_in){body, "/lines", 3, &arena, &refused, 0};
}

static const char *const bodies[] = {"{}", " {} ", "\r\n\t{\"a\":1}\r\n", "{\"a\":{\"b\":[{}]}}", "{\"\":\"\"}", "{\"a\":\"\\u738b\"}"};

START_TEST(an_object_is_a_body)
{
	ck_assert_msg(parse(view_of(bodies[_i])) != NULL, "%s: %s", bodies[_i], refused.detail);
	ck_assert_ptr_null(refused.reason);
}
END_TEST

static const struct view no_bodies[] = {
	{NULL, 0}, VIEW_LITERAL(""), VIEW_LITERAL(" "), VIEW_LITERAL("{"), VIEW_LITERAL("}"), VIEW_LITERAL("[]"), VIEW_LITERAL("[{}]"), VIEW_LITERAL("null"),
	VIEW_LITERAL("1"), VIEW_LITERAL("\"a\""), VIEW_LITERAL("true"), VIEW_LITERAL("{} {}"), VIEW_LITERAL("{}x"), VIEW_LITERAL("{\"a\":1,}"),
	VIEW_LITERAL("{a:1}"), VIEW_LITERAL("{\"a\":01}"), VIEW_LITERAL("{\"a\":+1}"),
	VIEW_LITERAL("{'a':1}"), VIEW_LITERAL("{\"a\":'b'}"), VIEW_LITERAL("{\"a\":1.}"), VIEW_LITERAL("{\"a\":NaN}"), VIEW_LITERAL("{\"a\":1,\"a\":2}"),
	/* bytes that PostgreSQL would not take must not get by */
	VIEW_LITERAL("{\"a\":\"\xCD\xF5\"}"), VIEW_LITERAL("{\"a\":\"\xED\xA0\x80\"}"), VIEW_LITERAL("{\"a\":\"\xF5\x80\x80\x80\"}"), VIEW_LITERAL("{\"\xC0\x80\":1}"), VIEW_LITERAL("{\"a\":\"\xC0\x80\"}"),
	VIEW_LITERAL("{\"a\":1} /* x */"), VIEW_LITERAL("/* x */{\"a\":1}"), VIEW_LITERAL("{\"a\":\"x\0y\"}"),
	VIEW_LITERAL("{}\0"), VIEW_LITERAL("{}\0\0x"), VIEW_LITERAL("\0{}"), VIEW_LITERAL("{\"a\""), VIEW_LITERAL("{\"a\":\"b"), VIEW_LITERAL("hello"),
	VIEW_LITERAL("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}"), VIEW_LITERAL("{\"a\":[[[[[[[[[[1]]]]]]]]]]}"),
};

START_TEST(anything_else_is_not)
{
	ck_assert_msg(parse(no_bodies[_i]) == NULL, "row %d: %.*s is taken", _i, (int)no_bodies[_i].n, no_bodies[_i].n > 0 ? no_bodies[_i].p : "");
	ck_assert_ptr_nonnull(refused.reason);
	ck_assert_str_eq(refused.reason, "json_invalid");
	ck_assert_str_eq(refused.location, "");
	ck_assert_uint_gt(strlen(refused.detail), 5);
}
END_TEST

START_TEST(a_body_with_too_many_values_is_too_large)
{
	enum { SIZE = 100000 };
	char *text = malloc(SIZE + 1);
	size_t n = (size_t)sprintf(text, "{\"lines\":[0");

	for (; n + 4 < SIZE; n += 2)
		memcpy(text + n, ",0", 2);
	n += (size_t)sprintf(text + n, "]}");
	ck_assert_ptr_null(parse((struct view){text, n}));
	ck_assert_str_eq(refused.reason, "too_large");
	ck_assert_str_eq(refused.location, "");
	free(text);
}
END_TEST

static const struct {
	const char *json, *text;
	bool deleted, refused;
} texts[] = {
	{"{\"k\":\"x\"}", "x", false, false}, {"{\"k\":\" x y \"}", "x y", false, false}, {"{\"k\":\"\\u738b\"}", "\xE7\x8E\x8B", false, false},
	{"{\"k\":\"01234567890123456789\"}", "01234567890123456789", false, false}, {"{}", "", false, false}, {"{\"K\":\"x\"}", "", false, false},
	{"{\"k\":null}", "", true, false}, {"{\"k\":\"\"}", "", true, false}, {"{\"k\":\"  \"}", "", true, false},
	{"{\"k\":\"012345678901234567890\"}", "", false, true}, {"{\"k\":1}", "", false, true}, {"{\"k\":true}", "", false, true}, {"{\"k\":[]}", "", false, true},
	{"{\"k\":{}}", "", false, true}, {"{\"k\":\"a\\u0000b\"}", "", false, true}, {"{\"k\":\"\\u0000\"}", "", false, true},
};

START_TEST(a_text_is_a_string_within_its_limit)
{
	struct json_in in = in_body(texts[_i].json);
	struct value v = json_in_value(&in, "k", FIELD_WORD);

	ck_assert_view(v.text, texts[_i].text);
	ck_assert_int_eq(v.deleted, texts[_i].deleted);
	ck_assert_int_eq(refused.reason != NULL, texts[_i].refused);
	if (texts[_i].refused) {
		ck_assert_str_eq(refused.reason, "field_invalid");
		ck_assert_str_eq(refused.location, "/lines/3/k");
	}
	ck_assert_view(json_in_text(&in, "k", FIELD_WORD), texts[_i].text);
}
END_TEST

static const struct {
	const char *json;
	int64_t fen;
	const char *reason;
} decimals[] = {
	{"\"12.50\"", 1250, NULL}, {"12.50", 1250, NULL}, {"12.5", 1250, NULL}, {"12", 1200, NULL}, {"-3", -300, NULL}, {"0", 0, NULL},
	{"0.1", 10, NULL}, {"0.29", 29, NULL}, {"1.10", 110, NULL}, {"4.35", 435, NULL},			/* each of which binary floating point gets wrong */
	{"9999999999999999.99", 999999999999999999, NULL}, {"\"9999999999999999.99\"", 999999999999999999, NULL}, {"1.000000000000000000000000", 100, NULL},
	{"12.505", 0, "field_invalid"}, {"0.30000000000000004", 0, "field_invalid"}, {"1e2", 0, "field_invalid"}, {"1E-2", 0, "field_invalid"},
	{"\"1e2\"", 0, "field_invalid"}, {"\"\"", 0, "field_invalid"}, {"\"abc\"", 0, "field_invalid"}, {"\"1,50\"", 0, "field_invalid"},
	{"\"1\\u0000\"", 0, "field_invalid"}, {"true", 0, "field_invalid"}, {"[]", 0, "field_invalid"}, {"{}", 0, "field_invalid"},
	{"10000000000000000", 0, "amount_too_large"}, {"9223372036854775808", 0, "amount_too_large"}, {"18446744073709551617", 0, "amount_too_large"},
	{"-99999999999999999999999999", 0, "amount_too_large"}, {"100000000000000000000.00", 0, "amount_too_large"},
};

START_TEST(a_decimal_is_exact)
{
	int64_t fen = 4711;
	struct json_in in = in_body(arena_printf(&arena, "{\"k\":%s}", decimals[_i].json));
	bool has = json_in_decimal(&in, "k", AMOUNT_DIGITS, &fen);

	ck_assert_msg(has == (decimals[_i].reason == NULL), "%s", decimals[_i].json);
	ck_assert_msg(fen == (has ? decimals[_i].fen : 4711), "%s is %lld", decimals[_i].json, (long long)fen);
	if (!has) {
		ck_assert_str_eq(refused.reason, decimals[_i].reason);
		ck_assert_str_eq(refused.location, "/lines/3/k");
	}
}
END_TEST

START_TEST(absent_and_null_say_nothing)
{
	struct json_in in = in_body("{\"n\":null}");
	int64_t v = 4711;

	ck_assert(!json_in_decimal(&in, "n", 2, &v) && !json_in_decimal(&in, "k", 2, &v));
	ck_assert(!json_in_time(&in, "n", 0, &v) && !json_in_time(&in, "k", 0, &v));
	ck_assert_ptr_null(json_in_child(&in, "n", JSON_ARRAY));
	ck_assert_ptr_null(json_in_child(&in, "k", JSON_OBJECT));
	ck_assert_int_eq(v, 4711);
	ck_assert_ptr_null(refused.reason);
}
END_TEST

START_TEST(times_and_children)
{
	struct json_in in = in_body("{\"t\":\"2026-01-15T08:00:00+08:00\",\"l\":\"20260115080000\",\"a\":[1],\"o\":{},\"bad\":\"soon\"}");
	int64_t t, l;

	ck_assert(json_in_time(&in, "t", 0, &t));
	ck_assert(json_in_time(&in, "l", 8 * 3600, &l));
	ck_assert_int_eq(t, l);
	ck_assert_ptr_nonnull(json_in_child(&in, "a", JSON_ARRAY));
	ck_assert_ptr_nonnull(json_in_child(&in, "o", JSON_OBJECT));
	ck_assert_ptr_null(refused.reason);
	ck_assert(!json_in_time(&in, "bad", 0, &t));
	ck_assert_str_eq(refused.reason, "date_absurd");
	ck_assert_int_eq(t, l);
	ck_assert_ptr_null(json_in_child(&in, "o", JSON_ARRAY));
	ck_assert_str_eq(refused.reason, "date_absurd");	/* the first thing that is wrong stays */
	refused = (struct refusal){0};
	ck_assert_ptr_null(json_in_child(&in, "a", JSON_OBJECT));
	ck_assert_str_eq(refused.location, "/lines/3/a");
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("json_in");

	tcase_add_checked_fixture(run.tcase, set_up, tear_down);
	check_add_rows(run, an_object_is_a_body, bodies);
	check_add_rows(run, anything_else_is_not, no_bodies);
	check_add_rows(run, a_text_is_a_string_within_its_limit, texts);
	check_add_rows(run, a_decimal_is_exact, decimals);
	tcase_add_test(run.tcase, absent_and_null_say_nothing);
	tcase_add_test(run.tcase, times_and_children);
	tcase_add_test(run.tcase, a_body_with_too_many_values_is_too_large);
	return check_end(run);
}
