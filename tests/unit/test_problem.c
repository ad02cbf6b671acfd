/* problem+json: what json-c reads back of it, for every reason and for hostile details. */
#include "check_main.h"

#include <json-c/json.h>

#include "proto/problem.h"
#include "proto/reason.h"

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

/* The text as strict JSON. Give back with json_object_put. */
static struct json_object *
read_json(struct view text)
{
	struct json_tokener *t = json_tokener_new();

	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *o = json_tokener_parse_ex(t, text.p, (int)text.n);
	ck_assert_msg(json_tokener_get_error(t) == json_tokener_success || json_tokener_get_error(t) == json_tokener_continue, "%.*s", (int)text.n, text.p);
	ck_assert_uint_eq(json_tokener_get_parse_end(t), text.n);
	json_tokener_free(t);
	return o;
}

static const char *
text_in(struct json_object *o, const char *key)
{
	struct json_object *v;

	ck_assert_msg(json_object_object_get_ex(o, key, &v), "no %s", key);
	ck_assert(json_object_is_type(v, json_type_string));
	return json_object_get_string(v);
}

START_TEST(every_reason_makes_a_problem)
{
	const struct reason *r;

	for (unsigned n = 0; (r = reason_nth(n)) != NULL; n++) {
		const struct refusal refusal = {r->name, NULL, NULL};
		int status = 0;
		struct json_object *o = read_json(problem_json(&arena, &refusal, &status)), *v;
		ck_assert_int_eq(status, r->http_status);
		ck_assert_str_eq(text_in(o, "title"), r->title);
		ck_assert_str_eq(text_in(o, "detail"), r->title);
		ck_assert_str_eq(text_in(o, "reason"), r->name);
		ck_assert_ptr_nonnull(strstr(text_in(o, "type"), r->name));
		ck_assert(json_object_object_get_ex(o, "status", &v));
		ck_assert_int_eq(json_object_get_int(v), r->http_status);
		ck_assert(json_object_object_get_ex(o, "retry", &v) && json_object_is_type(v, json_type_boolean));
		ck_assert_int_eq(json_object_get_boolean(v), r->retry);
		ck_assert(!json_object_object_get_ex(o, "pointer", &v));
		json_object_put(o);
	}
}
END_TEST

START_TEST(details_and_pointers_are_quoted)
{
	const struct refusal refusal = {"field_invalid", "\"1,5\" \\ \x01\x1F\r\n\t \x7F \xE7\x8E\x8B", "/lines/0/a\"b"};
	int status;
	struct json_object *o = read_json(problem_json(&arena, &refusal, &status));

	ck_assert_str_eq(text_in(o, "detail"), refusal.detail);
	ck_assert_str_eq(text_in(o, "pointer"), refusal.location);
	ck_assert_int_eq(status, 422);
	json_object_put(o);
}
END_TEST

START_TEST(an_unknown_reason_is_internal)
{
	const struct refusal refusal = {"no such reason", "x", ""};
	int status;
	struct json_object *o = read_json(problem_json(&arena, &refusal, &status));

	ck_assert_int_eq(status, 500);
	ck_assert_str_eq(text_in(o, "reason"), "internal");
	ck_assert_str_eq(text_in(o, "pointer"), "");		/* the whole document, RFC 6901 */
	json_object_put(o);
}
END_TEST

START_TEST(any_text_comes_back_from_quotes)
{
	char text[256];

	for (int first = 1; first < 128; first++) {
		for (int i = 0; i < 127; i++)
			text[i] = (char)((first + i) % 127 + 1);
		struct view quoted = json_quote(&arena, (struct view){text, 127});
		struct json_object *array = read_json(view_of(arena_printf(&arena, "[%.*s]", (int)quoted.n, quoted.p)));
		struct json_object *back = json_object_array_get_idx(array, 0);
		ck_assert_int_eq(json_object_get_string_len(back), 127);
		ck_assert_mem_eq(json_object_get_string(back), text, 127);
		json_object_put(array);
	}
	ck_assert_view(json_quote(&arena, VIEW_NONE), "\"\"");
	ck_assert_view(json_quote(&arena, (struct view){"\0", 1}), "\"\\u0000\"");
	ck_assert_view(json_quote(&arena, view_of("\xE7\x8E\x8B/")), "\"\xE7\x8E\x8B/\"");
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("problem");

	tcase_add_checked_fixture(run.tcase, set_up, tear_down);
	tcase_add_test(run.tcase, every_reason_makes_a_problem);
	tcase_add_test(run.tcase, details_and_pointers_are_quoted);
	tcase_add_test(run.tcase, an_unknown_reason_is_internal);
	tcase_add_test(run.tcase, any_text_comes_back_from_quotes);
	return check_end(run);
}
