/* JSON as RFC 8259 has it: what is taken, what it is then, and where the reader stopped at what is not taken. */
#include "check_main.h"

#include <stdio.h>

#include "proto/json/reader.h"

static struct arena arena;
static char *bytes;

static void
set_up(void)
{
	arena_init(&arena, 0);
	bytes = NULL;
}

static void
tear_down(void)
{
	free(bytes);
	arena_free(&arena);
}

/* The text, in memory that ends where it ends. */
static const struct json *
parse(struct view text, struct json_error *ret_error)
{
	free(bytes);
	bytes = malloc(text.n > 0 ? text.n : 1);
	ck_assert_ptr_nonnull(bytes);
	if (text.n > 0)
		memcpy(bytes, text.p, text.n);
	const struct json *at_once = json_parse((struct view){bytes, text.n}, &arena, ret_error), *stepped = NULL;

	/* in small steps it is the same */
	struct json_reading r;
	struct json_error error = {NULL, 0, false};
	enum json_result result;
	json_begin(&r, (struct view){bytes, text.n}, &arena);
	while ((result = json_step(&r, 1, &stepped, &error)) == JSON_MORE)
		continue;
	ck_assert_int_eq(result == JSON_DONE, at_once != NULL);
	if (result == JSON_WRONG) {
		ck_assert_str_eq(error.complaint, ret_error->complaint);
		ck_assert_uint_eq(error.at, ret_error->at);
	}
	return stepped;
}

/* A value as text again, without blanks and escapes: what was understood. */
static void
print(const struct json *v, char **to)
{
	static const char *const words[] = {"null", "false", "true"};

	if (v->name.p != NULL)
		*to += sprintf(*to, "%.*s=", (int)v->name.n, v->name.p);
	if (v->kind < JSON_NUMBER)
		*to += sprintf(*to, "%s", words[v->kind]);
	else if (v->kind == JSON_NUMBER || v->kind == JSON_STRING)
		*to += sprintf(*to, v->kind == JSON_STRING ? "<%.*s>" : "%.*s", (int)v->text.n, v->text.n > 0 ? v->text.p : "");
	if (v->kind < JSON_ARRAY)
		return;
	*to += sprintf(*to, "%c", v->kind == JSON_ARRAY ? '[' : '{');
	size_t n = 0;
	for (const struct json *m = v->first; m != NULL; m = m->next, n++) {
		if (n > 0)
			*to += sprintf(*to, " ");
		print(m, to);
	}
	ck_assert_uint_eq(n, v->count);
	*to += sprintf(*to, "%c", v->kind == JSON_ARRAY ? ']' : '}');
}

static const struct { const char *json, *understood; } taken[] = {
	{"{}", "{}"}, {"[]", "[]"}, {" \t\r\n{ } ", "{}"}, {"null", "null"}, {"[null,true , false]", "[null true false]"},
	{"{\"a\":1,\"b\":[{},[],{\"c\":\"d\"}]}", "{a=1 b=[{} [] {c=<d>}]}"}, {"{\"\":0}", "{=0}"},
	{"[[],[[]],[]]", "[[] [[]] []]"}, {"[{},{},1]", "[{} {} 1]"},
	{"[0,-0,-1,10,1.5,-0.25,1e5,1E+5,2.5e-3,0e0]", "[0 -0 -1 10 1.5 -0.25 1e5 1E+5 2.5e-3 0e0]"},
	{"[123456789012345678901234567890.123456789]", "[123456789012345678901234567890.123456789]"},
	{"\"\"", "<>"}, {"\"a b\"", "<a b>"}, {"\"王芳\"", "<王芳>"}, {"\"'N/\x7F\"", "<'N/\x7F>"},
	{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "<\"\\/\b\f\n\r\t>"}, {"\"x\\u0041y\\u738b\\u00e9\\uFFFF\"", "<xAy王é\xEF\xBF\xBF>"},
	{"\"\\ud83d\\ude00!\"", "<😀!>"}, {"\"\\uDBFF\\uDFFF\"", "<\xF4\x8F\xBF\xBF>"}, {"{\"\\u0061\":1}", "{a=1}"},
	{"[[[[[[[[1]]]]]]]]", "[[[[[[[[1]]]]]]]]"}, {"{\"a\":1,\"A\":2}", "{a=1 A=2}"},
};

START_TEST(what_is_taken)
{
	struct json_error e = {"", 0, false};
	char text[400], *to = text;
	const struct json *v = parse(view_of(taken[_i].json), &e);

	ck_assert_msg(v != NULL, "%s: %s at %zu", taken[_i].json, e.complaint, e.at);
	print(v, &to);
	ck_assert_str_eq(text, taken[_i].understood);
}
END_TEST

static const char early[] = "the text ends too early";
static const struct { struct view json; size_t at; const char *complaint; } refused[] = {
	{VIEW_LITERAL(""), 0, early}, {VIEW_LITERAL("  "), 2, early}, {VIEW_LITERAL("{"), 1, early}, {VIEW_LITERAL("{\"a"), 3, early},
	{VIEW_LITERAL("{\"a\""), 4, early}, {VIEW_LITERAL("{\"a\":"), 5, early}, {VIEW_LITERAL("{\"a\":1"), 6, early}, {VIEW_LITERAL("{\"a\":1,"), 7, early},
	{VIEW_LITERAL("[1,"), 3, early}, {VIEW_LITERAL("\"a\\"), 3, early}, {VIEW_LITERAL("-"), 1, early}, {VIEW_LITERAL("1."), 2, early},
	{VIEW_LITERAL("1e"), 2, early}, {VIEW_LITERAL("1e+"), 3, early},
	{VIEW_LITERAL("{}}"), 2, "something follows the value"}, {VIEW_LITERAL("1 2"), 2, "something follows the value"},
	{VIEW_LITERAL("01"), 1, "something follows the value"}, {VIEW_LITERAL("{}\0"), 2, "something follows the value"},
	{VIEW_LITERAL("x"), 0, "not a value"}, {VIEW_LITERAL("[1,]"), 3, "not a value"}, {VIEW_LITERAL("[,1]"), 1, "not a value"}, {VIEW_LITERAL("[+1]"), 1, "not a value"},
	{VIEW_LITERAL("[.5]"), 1, "not a value"}, {VIEW_LITERAL("[-x]"), 2, "not a value"}, {VIEW_LITERAL("[nul]"), 1, "not a value"}, {VIEW_LITERAL("[True]"), 1, "not a value"},
	{VIEW_LITERAL("[NaN]"), 1, "not a value"}, {VIEW_LITERAL("['a']"), 1, "not a value"}, {VIEW_LITERAL("[1./*x*/]"), 3, "a number without digits after its point"},
	{VIEW_LITERAL("[1e,2]"), 3, "a number without digits in its exponent"}, {VIEW_LITERAL("[1 2]"), 3, "no comma between two values"},
	{VIEW_LITERAL("[1}"), 2, "no comma between two values"}, {VIEW_LITERAL("{\"a\":1]"), 6, "no comma between two values"}, {VIEW_LITERAL("[tru]x"), 1, "not a value"},
	{VIEW_LITERAL("{\"a\":1,}"), 7, "not a name in double quotes"}, {VIEW_LITERAL("{a:1}"), 1, "not a name in double quotes"},
	{VIEW_LITERAL("{1:1}"), 1, "not a name in double quotes"}, {VIEW_LITERAL("{\"a\" 1}"), 5, "no colon after a name"},
	{VIEW_LITERAL("{\"a\":1,\"a\":1}"), 7, "a name that stands twice in its object"}, {VIEW_LITERAL("{\"a\":1,\"\\u0061\":1}"), 7, "a name that stands twice in its object"},
	{VIEW_LITERAL("[\"\\x\"]"), 3, "an escape that is none"}, {VIEW_LITERAL("[\"\\u12g4\"]"), 3, "an escape that is none"}, {VIEW_LITERAL("[\"\\u12"), 3, "an escape that is none"},
	{VIEW_LITERAL("[\"\\ud83d\"]"), 8, "half of a surrogate pair"}, {VIEW_LITERAL("[\"\\ude00\"]"), 8, "half of a surrogate pair"},
	{VIEW_LITERAL("[\"\\ud83d\\u0041\"]"), 8, "half of a surrogate pair"}, {VIEW_LITERAL("[\"\\ud83d\\ud83d\"]"), 8, "half of a surrogate pair"},
	{VIEW_LITERAL("[\"\n\"]"), 2, "a control character in a string"}, {VIEW_LITERAL("[\"\\n\t\"]"), 4, "a control character in a string"},
	{VIEW_LITERAL("[\"a\0b\"]"), 3, "a control character in a string"}, {VIEW_LITERAL("[[[[[[[[[1]]]]]]]]]"), 9, "nested too deeply"},
	{VIEW_LITERAL("{\"a\":[[[[[[[[[]]]]]]]]]}"), 13, "nested too deeply"},
#define NAME_25 "abcdefghijklmnopqrstuvwxy"
	{VIEW_LITERAL("{\"" NAME_25 NAME_25 NAME_25 NAME_25 "\":1,\"z" NAME_25 NAME_25 NAME_25 NAME_25 "\":1}"), 106, "a name longer than 100 bytes"},
};

START_TEST(what_is_refused_and_where)
{
	struct json_error e = {"", 0, false};

	ck_assert_msg(parse(refused[_i].json, &e) == NULL, "row %d is taken", _i);
	ck_assert_str_eq(e.complaint, refused[_i].complaint);
	ck_assert_uint_eq(e.at, refused[_i].at);
	ck_assert(!e.too_many);
}
END_TEST

/* One object of n members with names of their own. */
static const struct json *
parse_members(int n, struct json_error *ret_error)
{
	char *text = arena_alloc(&arena, (size_t)n * 16 + 16), *to = text;

	*to++ = '{';
	for (int i = 0; i < n; i++)
		to += sprintf(to, "%s\"m%d\":%d", i > 0 ? "," : "", i, i);
	*to++ = '}';
	return parse((struct view){text, (size_t)(to - text)}, ret_error);
}

START_TEST(members_are_found_and_bounded)
{
	struct json_error e = {"", 0, false};
	const struct json *o = parse_members(JSON_MEMBERS, &e);

	ck_assert_ptr_nonnull(o);
	ck_assert_uint_eq(o->count, JSON_MEMBERS);
	ck_assert_view(json_member(o, view_of("m0"))->text, "0");
	ck_assert_view(json_member(o, view_of("m63"))->text, "63");
	ck_assert_ptr_null(json_member(o, view_of("m64")));
	ck_assert_ptr_null(json_member(o, view_of("m")));
	ck_assert_ptr_null(parse_members(JSON_MEMBERS + 1, &e));
	ck_assert_str_eq(e.complaint, "too many members in one object");
}
END_TEST

START_TEST(plain_strings_are_not_copied)
{
	struct json_error e;
	const struct json *v = parse(view_of("[\"abc\",\"a\\u0000b\"]"), &e);

	ck_assert_ptr_eq(v->first->text.p, bytes + 2);
	ck_assert_uint_eq(v->first->next->text.n, 3);
	ck_assert_int_eq(memcmp(v->first->next->text.p, "a\0b", 3), 0);
}
END_TEST

/* Values of two bytes in a text of many: the tree is not allowed to be forty times as large. */
static const char *const dense[] = {"0,", "[],", "{},", "\"\",", "null,", "[[[1]]],", "{\"a\":0},", "\"\\n\","};

START_TEST(a_tree_is_bounded_by_its_text)
{
	enum { SIZE = 1000000 };
	size_t n = 1, length = strlen(dense[_i]);
	char *text = malloc(SIZE);
	struct json_error e = {"", 0, false};

	ck_assert_ptr_nonnull(text);
	text[0] = '[';
	for (; n + length < SIZE; n += length)
		memcpy(text + n, dense[_i], length);
	text[n - 1] = ']';
	ck_assert_ptr_null(json_parse((struct view){text, n}, &arena, &e));
	ck_assert(e.too_many);
	ck_assert_str_eq(e.complaint, "too many values for its length");
	ck_assert_uint_lt(arena.total, n * 10);
	/* as many as a short text may have are taken */
	n = 1 + JSON_VALUES / 4 * length;
	text[n - 1] = ']';
	ck_assert_ptr_nonnull(json_parse((struct view){text, n}, &arena, &e));
	free(text);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("json");

	tcase_add_checked_fixture(run.tcase, set_up, tear_down);
	check_add_rows(run, what_is_taken, taken);
	check_add_rows(run, what_is_refused_and_where, refused);
	check_add_rows(run, a_tree_is_bounded_by_its_text, dense);
	tcase_add_test(run.tcase, members_are_found_and_bounded);
	tcase_add_test(run.tcase, plain_strings_are_not_copied);
	return check_end(run);
}
