/* HL7 v2 as views: delimiters, segments, fields, parts, escapes. */
#include "check_main.h"

#include <time.h>

#include <stdio.h>

#include "proto/hl7/segments.h"

static const struct hl7_delimiters usual = {'|', '^', '~', '\\', '&', 0};

static const struct {
	const char *line;
	struct hl7_delimiters d;
} delimiters[] = {
	{"MSH|^~\\&|APP|FAC", {'|', '^', '~', '\\', '&', 0}},
	{"MSH|^~\\&", {'|', '^', '~', '\\', '&', 0}},
	{"MSH|^~\\&#|APP", {'|', '^', '~', '\\', '&', '#'}},		/* v2.7: truncation */
	{"MSH@~&#\\@APP@FAC", {'@', '~', '&', '#', '\\', 0}},
	{"MSH|@~&#\\|APP", {'|', '@', '~', '&', '#', '\\'}},		/* @ component, \ truncation */
	{"MSH|^~\\|APP", {'|', '^', '~', '\\', 0, 0}},			/* no subcomponents */
	{"BHS|^~\\&|APP", {'|', '^', '~', '\\', '&', 0}},
	{"FHS|^~\\&|APP", {'|', '^', '~', '\\', '&', 0}},
	{"MSH$%:;,$APP", {'$', '%', ':', ';', ',', 0}},
};

START_TEST(delimiters_come_from_the_header)
{
	struct hl7_delimiters d;
	const struct hl7_delimiters *e = &delimiters[_i].d;

	ck_assert_int_eq(hl7_delimiters_of(view_of(delimiters[_i].line), &d), 0);
	ck_assert_int_eq(d.field, e->field);
	ck_assert_int_eq(d.component, e->component);
	ck_assert_int_eq(d.repetition, e->repetition);
	ck_assert_int_eq(d.escape, e->escape);
	ck_assert_int_eq(d.subcomponent, e->subcomponent);
	ck_assert_int_eq(d.truncation, e->truncation);
}
END_TEST

static const struct view no_delimiters[] = {
	{NULL, 0}, VIEW_LITERAL(""), VIEW_LITERAL("MSH"), VIEW_LITERAL("MSH|"), VIEW_LITERAL("MSH|^"), VIEW_LITERAL("MSH||APP"),
	VIEW_LITERAL("MSH|^|APP"), VIEW_LITERAL("MSH|^~|APP"), VIEW_LITERAL("MSH|^~\\&#!|APP"), VIEW_LITERAL("MSH|^^\\&|APP"),
	VIEW_LITERAL("MSH|^~~&|APP"), VIEW_LITERAL("MSH|^~\\^|APP"), VIEW_LITERAL("MSH|^~\\\\|APP"),
	VIEW_LITERAL("MSH|^~\\ |APP"), VIEW_LITERAL("MSH ^~\\& APP"), VIEW_LITERAL("MSHA^~\\&AAPP"), VIEW_LITERAL("MSH|a~\\&|APP"),
	VIEW_LITERAL("MSH|^~\\1|APP"), VIEW_LITERAL("MSH|^~\x01&|APP"), VIEW_LITERAL("MSH\0^~\\&\0APP"), VIEW_LITERAL("MSH|^~\0&|APP"), VIEW_LITERAL("MSH|^~\\\0#|APP"), VIEW_LITERAL("MSH|^~\\\0|APP"),
	VIEW_LITERAL("MSH|\xE7\x8E\x8B&|APP"), VIEW_LITERAL("MSH|^~\\\xFF|APP"),
};

START_TEST(other_headers_have_no_delimiters)
{
	struct hl7_delimiters d = {.field = 'x'};

	ck_assert_msg(hl7_delimiters_of(no_delimiters[_i], &d) == -1, "row %d: \"%.*s\"", _i, (int)no_delimiters[_i].n,
	    no_delimiters[_i].n > 0 ? no_delimiters[_i].p : "");
	ck_assert_int_eq(d.field, 'x');
}
END_TEST

static const char *const bad_fifth[] = {"MSH|^~\\&&|APP", "MSH|^~\\&^|APP", "MSH|^~\\&a|APP", "MSH|^~\\& |APP", "MSH|^~\\&\x01|APP"};

/* Refusing the header is fine, and so is going without: but \P\ must not become one of these. */
START_TEST(a_fifth_character_that_cannot_delimit_is_not_taken)
{
	struct hl7_delimiters d = {0};

	if (hl7_delimiters_of(view_of(bad_fifth[_i]), &d) == 0)
		ck_assert_msg(d.truncation == '\0', "truncation character %d", d.truncation);
}
END_TEST

static const struct {
	const char *message;
	const char *segments[5][2];	/* id and line */
} messages[] = {
	{"", {{NULL}}}, {"\r", {{NULL}}}, {" \r\n\t\r", {{NULL}}},
	{"MSH|a\rPID|b\r", {{"MSH", "MSH|a"}, {"PID", "PID|b"}}},
	{"MSH|a\rPID|b", {{"MSH", "MSH|a"}, {"PID", "PID|b"}}},
	{"MSH|a\nPID|b\n", {{"MSH", "MSH|a"}, {"PID", "PID|b"}}},
	{"MSH|a\r\nPID|b\r\n", {{"MSH", "MSH|a"}, {"PID", "PID|b"}}},
	{"MSH|a\n\rPID|b", {{"MSH", "MSH|a"}, {"PID", "PID|b"}}},
	{"\r\n\r\nMSH|a\r\r\r\nPID|b\r\r", {{"MSH", "MSH|a"}, {"PID", "PID|b"}}},
	{"  MSH|a \r\t PID|b\t\r", {{"MSH", "MSH|a "}, {"PID", "PID|b\t"}}},
	{"msh|a\rPid|b\rft1|c", {{"MSH", "msh|a"}, {"PID", "Pid|b"}, {"FT1", "ft1|c"}}},
	{"MSH|a\rZRV\rZ\rZRVX|a\rPV|1", {{"MSH", "MSH|a"}, {"ZRV", "ZRV"}, {"", "Z"}, {"", "ZRVX|a"}, {"", "PV|1"}}},
	{"P|D|x\r|||\r\xE7\x8E\x8B|x\rPID@x", {{"", "P|D|x"}, {"", "|||"}, {"", "\xE7\x8E\x8B|x"}, {"PID", "PID@x"}}},
};

START_TEST(segments_end_with_cr_lf_or_both)
{
	struct view rest = view_of(messages[_i].message);
	struct hl7_segment s;
	size_t n = 0;

	for (; hl7_next_segment(&rest, &s); n++) {
		ck_assert_msg(n < 5 && messages[_i].segments[n][0] != NULL, "more segments: %.*s", (int)s.line.n, s.line.p);
		ck_assert_str_eq(s.id, messages[_i].segments[n][0]);
		ck_assert_view(s.line, messages[_i].segments[n][1]);
	}
	ck_assert(n == 5 || messages[_i].segments[n][0] == NULL);
	ck_assert_uint_eq(rest.n, 0);
	ck_assert(!hl7_next_segment(&rest, &s));
}
END_TEST

static void
split(const char *line, const struct hl7_delimiters *d, struct hl7_fields *ret)
{
	struct view rest = view_of(line);
	struct hl7_segment s;

	ck_assert(hl7_next_segment(&rest, &s));
	hl7_split(&s, d, ret);
}

START_TEST(fields_are_numbered_as_in_the_standard)
{
	struct hl7_fields f;

	split("PID|1||P7^^^H", &usual, &f);
	ck_assert_uint_eq(f.n, 3);
	ck_assert_view(hl7_field(&f, 0), "PID");
	ck_assert_view(hl7_field(&f, 1), "1");
	ck_assert_view(hl7_field(&f, 2), "");
	ck_assert_view(hl7_field(&f, 3), "P7^^^H");
	ck_assert_view(hl7_field(&f, 4), "");
	ck_assert_view(hl7_field(&f, HL7_FIELDS), "");
	ck_assert_view(hl7_field(&f, 1000), "");

	split("msh|^~\\&|APP||RECV|", &usual, &f);	/* MSH-1 is the delimiter itself */
	ck_assert_uint_eq(f.n, 6);
	ck_assert_view(hl7_field(&f, 0), "msh");
	ck_assert_view(hl7_field(&f, 1), "|");
	ck_assert_view(hl7_field(&f, 2), "^~\\&");
	ck_assert_view(hl7_field(&f, 3), "APP");
	ck_assert_view(hl7_field(&f, 4), "");
	ck_assert_view(hl7_field(&f, 5), "RECV");
	ck_assert_view(hl7_field(&f, 6), "");

	split("ZRV", &usual, &f);
	ck_assert_uint_eq(f.n, 0);
	ck_assert_view(hl7_field(&f, 0), "ZRV");
	split("MSH", &usual, &f);
	ck_assert_view(hl7_field(&f, 0), "MSH");
	ck_assert_view(hl7_field(&f, 1), "");
	split("BHS|^~\\&|B", &usual, &f);
	ck_assert_view(hl7_field(&f, 3), "B");
}
END_TEST

START_TEST(fields_beyond_the_limit_are_dropped)
{
	struct hl7_fields f;
	char line[1000] = "ZZZ";

	for (int i = 1; i <= 200; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "|%d", i);
	split(line, &usual, &f);
	ck_assert_uint_eq(f.n, HL7_FIELDS - 1);
	ck_assert_view(hl7_field(&f, 63), "63");
	ck_assert_view(hl7_field(&f, 64), "");
	memcpy(line, "MSH", 3);
	split(line, &usual, &f);
	ck_assert_uint_eq(f.n, HL7_FIELDS - 1);
	ck_assert_view(hl7_field(&f, 63), "62");
}
END_TEST

static const struct {
	const char *whole;
	char delimiter;
	size_t n;
	const char *part;
} parts[] = {
	{"a^b^c", '^', 1, "a"}, {"a^b^c", '^', 3, "c"}, {"a^b^c", '^', 4, ""}, {"a^b^c", '^', 400, ""}, {"", '^', 1, ""}, {"", '^', 2, ""},
	{"^^", '^', 1, ""}, {"^^c", '^', 3, "c"}, {"^b", '^', 1, ""}, {"^b", '^', 2, "b"}, {"a~b", '^', 1, "a~b"}, {"a&b", '\0', 1, "a&b"},
	{"a&b", '\0', 2, ""}, {"a^", '^', 2, ""},
};

START_TEST(parts_are_counted_from_one)
{
	ck_assert_view(hl7_part(view_of(parts[_i].whole), parts[_i].delimiter, parts[_i].n), parts[_i].part);
}
END_TEST

START_TEST(a_component_is_of_the_first_repetition_and_subcomponent)
{
	struct hl7_delimiters none = usual;

	ck_assert_view(hl7_component(view_of("P7&x^y^^H01&z~P8^w"), &usual, 1), "P7");
	ck_assert_view(hl7_component(view_of("P7&x^y^^H01&z~P8^w"), &usual, 2), "y");
	ck_assert_view(hl7_component(view_of("P7&x^y^^H01&z~P8^w"), &usual, 4), "H01");
	ck_assert_view(hl7_component(view_of("P7&x^y^^H01&z~P8^w"), &usual, 5), "");
	ck_assert_view(hl7_component(view_of("~P8"), &usual, 1), "");
	ck_assert_view(hl7_component(VIEW_NONE, &usual, 1), "");
	ck_assert_view(hl7_component(VIEW_NONE, &usual, 3), "");
	none.subcomponent = '\0';
	ck_assert_view(hl7_component(view_of("a&b^c"), &none, 1), "a&b");
	ck_assert(hl7_is_null(view_of("\"\"")));
	ck_assert(!hl7_is_null(view_of("\"")) && !hl7_is_null(view_of("\"\"\"")) && !hl7_is_null(VIEW_NONE));
}
END_TEST

static const struct {
	const char *text, *plain;
} escapes[] = {
	{"", ""}, {"plain", "plain"}, {"\\F\\", "|"}, {"\\S\\", "^"}, {"\\T\\", "&"}, {"\\R\\", "~"}, {"\\E\\", "\\"},
	{"a\\F\\b\\S\\c", "a|b^c"}, {"\\F\\\\S\\\\T\\", "|^&"}, {"\\E\\F\\E\\", "\\F\\"},	/* not decoded twice */
	{"x\\.br\\y", "x\ny"}, {"\\X41\\", "A"}, {"\\X414243\\", "ABC"}, {"\\X0D\\", "\r"}, {"\\X0D0A\\", "\r\n"}, {"\\X7c\\", "|"},
	{"\\XE78E8B\\", "\xE7\x8E\x8B"}, {"\\XE7\\\\X8E8B\\", "\xE7\x8E\x8B"},
	/* presentation, other character sets, and what nobody knows stay as they are */
	{"\\H\\bold\\N\\", "\\H\\bold\\N\\"}, {"\\C2842\\", "\\C2842\\"}, {"\\M244221\\", "\\M244221\\"}, {"\\.sp3\\", "\\.sp3\\"},
	{"\\.in+4\\", "\\.in+4\\"}, {"\\.ce\\", "\\.ce\\"}, {"\\Zvendor\\", "\\Zvendor\\"}, {"\\Q\\", "\\Q\\"}, {"\\f\\", "\\f\\"},
	{"\\FF\\", "\\FF\\"}, {"\\\\", "\\\\"}, {"\\ \\", "\\ \\"}, {"\\P\\", "\\P\\"},		/* no truncation character here */
	{"\\X\\", "\\X\\"}, {"\\X4\\", "\\X4\\"}, {"\\X414\\", "\\X414\\"}, {"\\X4G\\", "\\X4G\\"}, {"\\X41 42\\", "\\X41 42\\"},
	{"\\X00\\", "\\X00\\"}, {"\\X410042\\", "\\X410042\\"},				/* NUL has no place in a text */
	/* an escape that does not end */
	{"C:\\temp", "C:\\temp"}, {"\\", "\\"}, {"a\\", "a\\"}, {"\\F", "\\F"}, {"\\F\\\\", "|\\"}, {"C:\\Q\\F\\x", "C:\\Q\\F\\x"},
	{"\\X41\\\\X4", "A\\X4"},
	{"\xE7\x8E\x8B\\F\\\xE8\x8A\xB3", "\xE7\x8E\x8B|\xE8\x8A\xB3"},
	/* texts are UTF-8: bytes that are not stay as they were written */
	{"\\XFF\\", "\\XFF\\"}, {"a\\XCDF5\\b", "a\\XCDF5\\b"}, {"\\XE78E\\", "\\XE78E\\"}, {"\\XC080\\", "\\XC080\\"},
};

START_TEST(escapes_are_replaced_once)
{
	struct arena a;
	const char *text = escapes[_i].text;

	arena_init(&a, 0);
	struct view v = view_of(text), plain = hl7_text(v, &usual, &a);
	ck_assert_view(plain, escapes[_i].plain);
	if (strchr(text, '\\') == NULL)
		ck_assert_ptr_eq(plain.p, text);	/* no copy */
	arena_free(&a);
}
END_TEST

START_TEST(escapes_follow_the_senders_delimiters)
{
	const struct hl7_delimiters d = {'@', '~', '&', '#', '\\', 0}, truncating = {'|', '^', '~', '\\', '&', '#'}, none = {'|', '^', '~', '\\', 0, 0};
	struct arena a;

	arena_init(&a, 0);
	ck_assert_view(hl7_text(view_of("#F##S##T##R##E#"), &d, &a), "@~\\&#");
	ck_assert_view(hl7_text(view_of("\\F\\ #X41# #Q#"), &d, &a), "\\F\\ A #Q#");
	ck_assert_view(hl7_text(view_of("\\P\\1"), &truncating, &a), "#1");
	ck_assert_view(hl7_text(view_of("\\T\\"), &none, &a), "\\T\\");
	ck_assert_uint_eq(hl7_text(VIEW_NONE, &usual, &a).n, 0);
	arena_free(&a);
}
END_TEST

/* 2 MB of short segments: walked once, whatever ends them. Looking for the other kind of end each time took 40 s. */
static const char *const ends[] = {"\r", "\n", "\r\n", "\n\r"};

START_TEST(segments_take_one_walk)
{
	enum { SIZE = 2000000 };
	char *text = malloc(SIZE);
	size_t n = 0, found = 0, length = 4 + strlen(ends[_i]);
	struct hl7_segment s;

	ck_assert_ptr_nonnull(text);
	for (; n + length < SIZE; n += length) {
		memcpy(text + n, "NTE|", 4);
		memcpy(text + n + 4, ends[_i], length - 4);
	}
	text[n++] = '\r';	/* the only one, at the far end */
	struct view rest = {text, n};
	clock_t from = clock();
	while (hl7_next_segment(&rest, &s))
		found += view_is(s.line, "NTE|");
	ck_assert_int_lt((clock() - from) / CLOCKS_PER_SEC, 3);
	ck_assert_uint_eq(found, (n - 1) / length);
	free(text);
}
END_TEST

START_TEST(a_segment_of_any_length_ends_where_it_ends)
{
	char *text = malloc(10000);

	ck_assert_ptr_nonnull(text);
	for (size_t n = 3; n < 4000; n += n < 1100 ? 1 : 97)
		for (size_t end = 0; end < 3; end++) {
			struct hl7_segment s;
			struct view rest = {text, n + end};
			memset(text, 'x', n);
			memcpy(text + n, end == 1 ? "\n" : "\r\n", end);
			ck_assert(hl7_next_segment(&rest, &s));
			ck_assert_uint_eq(s.line.n, n);
			ck_assert_uint_eq(rest.n, end);
		}
	free(text);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7");

	check_add_rows(run, delimiters_come_from_the_header, delimiters);
	check_add_rows(run, other_headers_have_no_delimiters, no_delimiters);
	check_add_rows(run, a_fifth_character_that_cannot_delimit_is_not_taken, bad_fifth);
	check_add_rows(run, segments_end_with_cr_lf_or_both, messages);
	tcase_add_test(run.tcase, fields_are_numbered_as_in_the_standard);
	tcase_add_test(run.tcase, fields_beyond_the_limit_are_dropped);
	check_add_rows(run, parts_are_counted_from_one, parts);
	tcase_add_test(run.tcase, a_component_is_of_the_first_repetition_and_subcomponent);
	check_add_rows(run, escapes_are_replaced_once, escapes);
	tcase_add_test(run.tcase, escapes_follow_the_senders_delimiters);
	check_add_rows(run, segments_take_one_walk, ends);
	tcase_add_test(run.tcase, a_segment_of_any_length_ends_where_it_ends);
	return check_end(run);
}
