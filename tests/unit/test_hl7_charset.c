/* MSH-18 to UTF-8: names of the table, byte order marks, and characters whose trail bytes look like delimiters. */
#include "check_main.h"

#include <stdio.h>

#include "proto/hl7/segments.h"
#include "proto/hl7/charset.h"
#include "proto/utf8.h"

/* Converted at once; in small steps it is the same. */
static enum charset_result
to_utf8(struct view message, const char *fallback, struct arena *a, struct view *ret)
{
	enum charset_result result = hl7_to_utf8(message, hl7_charset_of(message, fallback), a, ret), stepped;
	struct hl7_charset c;
	struct view text = VIEW_NONE;

	hl7_charset_begin(&c, message, hl7_charset_of(message, fallback), a);
	while ((stepped = hl7_charset_step(&c, 1, &text)) == CHARSET_MORE)
		continue;
	ck_assert_int_eq(stepped, result);
	ck_assert_ptr_null(c.converter);
	if (result == CHARSET_OK)
		ck_assert(view_equal(text, *ret));
	return result;
}

/* A message with this MSH-18 and this PID-5. */
static struct view
message_of(const char *charset, const char *name)
{
	static char text[512];

	snprintf(text, sizeof(text), "MSH|^~\\&|CLINIC|H01|VISITBILL|H01|20260115143000||ADT^A01|1|P|2.5.1||||||%s\rPID|1||P1||%s||19900131|F\r",
	    charset, name);
	return view_of(text);
}

/* PID-5 of a message. */
static struct view
name_in(struct view message, size_t component)
{
	static const struct hl7_delimiters d = {'|', '^', '~', '\\', '&', 0};
	struct hl7_segment s;
	struct hl7_fields f;

	while (hl7_next_segment(&message, &s))
		if (strcmp(s.id, "PID") == 0) {
			hl7_split(&s, &d, &f);
			ck_assert_view(hl7_field(&f, 8), "F");	/* nothing was split in the wrong place */
			return hl7_component(hl7_field(&f, 5), &d, component);
		}
	ck_abort_msg("no PID");
}

static const struct {
	const char *charset, *fallback, *sent, *utf8;
	enum charset_result result;
} rows[] = {
	{"", NULL, "Wang", "Wang", CHARSET_OK},
	{"", NULL, "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},		/* blank: UTF-8 is accepted */
	{"UNICODE UTF-8", NULL, "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},
	{"unicode utf-8", NULL, "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},
	{"UTF-8", NULL, "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},
	{"UNICODE", NULL, "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},
	{"ASCII", NULL, "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},
	{"UNICODE UTF-8^x~ASCII", NULL, "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},	/* the first repetition is the default one */
	{" UNICODE UTF-8 ", NULL, "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},
	/* GB 18030: 王芳; 珅 AB 7C, 玘 AB 5E, 焴 9F 7E and 玕 AB 5C end in the bytes of | ^ ~ \ */
	{"GB 18030-2000", NULL, "\xCD\xF5\xB7\xBC", "\xE7\x8E\x8B\xE8\x8A\xB3", CHARSET_OK},
	{"GB 18030-2000", NULL, "\xAB\x7C", "\xE7\x8F\x85", CHARSET_OK},
	{"GB 18030-2000", NULL, "\xAB\x5E", "\xE7\x8E\x98", CHARSET_OK},
	{"GB 18030-2000", NULL, "\x9F\x7E", "\xE7\x84\xB4", CHARSET_OK},
	{"GB 18030-2000", NULL, "\xAB\x5C", "\xE7\x8E\x95", CHARSET_OK},
	{"GB 18030-2000", NULL, "\xAB\x7C\xAB\x5E\x9F\x7E\xAB\x5C", "\xE7\x8F\x85\xE7\x8E\x98\xE7\x84\xB4\xE7\x8E\x95", CHARSET_OK},
	{"GB 18030-2000", NULL, "\x95\x34\xB2\x35", "\xF0\xA0\xAE\xB7", CHARSET_OK},	/* 𠮷: four bytes */
	{"gb18030", NULL, "\xAB\x7C", "\xE7\x8F\x85", CHARSET_OK},
	{"GB2312", NULL, "\xCD\xF5", "\xE7\x8E\x8B", CHARSET_OK},
	{"GBK", NULL, "\xAB\x5E", "\xE7\x8E\x98", CHARSET_OK},
	{"GB 18030-2022", NULL, "\xAB\x5E", "\xE7\x8E\x98", CHARSET_OK}, {"CP936", NULL, "\xAB\x5E", "\xE7\x8E\x98", CHARSET_OK},
	{"~GB 18030-2000", NULL, "\xAB\x5E", "\xE7\x8E\x98", CHARSET_OK}, {"ASCII~GB 18030-2000", NULL, "\xAB\x5E", "\xE7\x8E\x98", CHARSET_OK},
	{"~GB 18030-2000", "BIG-5", "\xCD\xF5", "\xE7\x8E\x8B", CHARSET_OK},
	{"", "GB 18030-2000", "\xAB\x7C", "\xE7\x8F\x85", CHARSET_OK},
	{"UNICODE UTF-8", "GB 18030-2000", "\xE7\x8E\x8B", "\xE7\x8E\x8B", CHARSET_OK},	/* the message knows better than the feed */
	{"GB 18030-2000", "UNICODE UTF-8", "\xCD\xF5", "\xE7\x8E\x8B", CHARSET_OK},
	/* BIG-5: 功 A5 5C, 許 B3 5C, 育 A8 7C, 怡 A9 C9 */
	{"BIG-5", NULL, "\xA5\x5C\xB3\x5C\xA8\x7C\xA9\xC9", "\xE5\x8A\x9F\xE8\xA8\xB1\xE8\x82\xB2\xE6\x80\xA1", CHARSET_OK},
	{"", "BIG-5", "\xA8\x7C", "\xE8\x82\xB2", CHARSET_OK},
	{"8859/1", NULL, "M\xFCller", "M\xC3\xBCller", CHARSET_OK},
	{"8859/2", NULL, "\xA3uk", "\xC5\x81uk", CHARSET_OK},
	{"8859/5", NULL, "\xB8", "\xD0\x98", CHARSET_OK},
	{"8859/15", NULL, "\xA4", "\xE2\x82\xAC", CHARSET_OK},
	/* not known, and not needed as long as all is ASCII */
	{"KS X 1001", NULL, "Kim", "Kim", CHARSET_OK},
	{"8859/0", NULL, "Kim", "Kim", CHARSET_OK},
	{"ISO IR87", NULL, "\x1B$B2&\x1B(B", NULL, CHARSET_UNKNOWN},		/* seven bits, but no ASCII */
	{"ISO IR159", NULL, "a\x0E" "b", NULL, CHARSET_UNKNOWN}, {"ISO IR14", NULL, "\x0F", NULL, CHARSET_UNKNOWN},
	{"KS X 1001", NULL, "\xB1\xE8", NULL, CHARSET_UNKNOWN},
	{"KS X 1001", NULL, "\xE7\x8E\x8B", NULL, CHARSET_UNKNOWN},	/* looks like UTF-8, but they say otherwise */
	{"UNICODE UTF-16", NULL, "\xB1\xE8", NULL, CHARSET_UNKNOWN},
	{"8859/16", NULL, "\xB1", NULL, CHARSET_UNKNOWN},
	{"nonsense", "GB 18030-2000", "\xCD\xF5", NULL, CHARSET_UNKNOWN},
	{"", "nonsense", "\xCD\xF5", NULL, CHARSET_UNKNOWN},
	/* not text of what they say */
	{"", NULL, "\xCD\xF5", NULL, CHARSET_INVALID},
	{"UNICODE UTF-8", NULL, "\xCD\xF5", NULL, CHARSET_INVALID},
	{"UNICODE UTF-8", "GB 18030-2000", "\xCD\xF5", NULL, CHARSET_INVALID},
	{"ASCII", NULL, "\xFF", NULL, CHARSET_INVALID},
	{"GB 18030-2000", NULL, "\xFF\xFF", NULL, CHARSET_INVALID},
	{"GB 18030-2000", NULL, "\x81\x30\x81", NULL, CHARSET_INVALID},	/* three bytes of four, then | */
	{"BIG-5", NULL, "\xFF\xFF", NULL, CHARSET_INVALID},
	{"8859/7", NULL, "\xFF", NULL, CHARSET_INVALID},		/* not assigned */
};

START_TEST(names_come_out_in_utf8)
{
	struct arena a;
	struct view message = message_of(rows[_i].charset, rows[_i].sent), text = VIEW_LITERAL("untouched");

	arena_init(&a, 0);
	enum charset_result r = to_utf8(message, rows[_i].fallback, &a, &text);
	ck_assert_msg(r == rows[_i].result, "row %d: MSH-18 \"%s\" gives %d", _i, rows[_i].charset, (int)r);
	if (r == CHARSET_OK) {
		ck_assert_view(name_in(text, 1), rows[_i].utf8);
		ck_assert(utf8_is_valid(text));
	} else {
		ck_assert_view(text, "untouched");
	}
	arena_free(&a);
}
END_TEST

START_TEST(components_are_split_after_the_conversion)
{
	struct arena a;
	struct view text;

	arena_init(&a, 0);
	ck_assert_int_eq(to_utf8(message_of("GB 18030-2000", "\xAB\x7C^\xAB\x5E~\xAB\x5C"), NULL, &a, &text), CHARSET_OK);
	ck_assert_view(name_in(text, 1), "\xE7\x8F\x85");
	ck_assert_view(name_in(text, 2), "\xE7\x8E\x98");
	ck_assert_view(name_in(text, 3), "");
	arena_free(&a);
}
END_TEST

START_TEST(a_byte_order_mark_is_dropped)
{
	struct arena a;
	struct view text;
	char marked[600];
	static const char *const charsets[] = {"", "UNICODE UTF-8", "KS X 1001"};

	arena_init(&a, 0);
	for (size_t i = 0; i < 3; i++) {
		struct view plain = message_of(charsets[i], "Wang");
		snprintf(marked, sizeof(marked), "\xEF\xBB\xBF%s", plain.p);
		ck_assert_int_eq(to_utf8(view_of(marked), NULL, &a, &text), CHARSET_OK);
		ck_assert_view(text, plain.p);
	}
	ck_assert_int_eq(to_utf8(view_of("\xEF\xBB\xBF"), NULL, &a, &text), CHARSET_OK);
	ck_assert_uint_eq(text.n, 0);
	arena_free(&a);
}
END_TEST

START_TEST(utf8_is_not_copied)
{
	struct arena a;
	struct view message = message_of("UNICODE UTF-8", "\xE7\x8E\x8B"), text;

	arena_init(&a, 0);
	ck_assert_int_eq(to_utf8(message, NULL, &a, &text), CHARSET_OK);
	ck_assert_ptr_eq(text.p, message.p);
	ck_assert_uint_eq(text.n, message.n);
	arena_free(&a);
}
END_TEST

START_TEST(nul_is_refused_in_any_character_set)
{
	static const char *const charsets[] = {"", "UNICODE UTF-8", "GB 18030-2000", "8859/1", "BIG-5"};
	struct arena a;
	struct view text;

	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(charsets) / sizeof(charsets[0]); i++) {
		struct view message = message_of(charsets[i], "a?b");
		*(char *)(size_t)strchr(message.p, '?') = '\0';
		ck_assert_int_eq(to_utf8(message, NULL, &a, &text), CHARSET_INVALID);
	}
	arena_free(&a);
}
END_TEST

START_TEST(what_has_no_header_has_no_name)
{
	struct arena a;
	struct view text;

	arena_init(&a, 0);
	ck_assert_uint_eq(hl7_charset_name(VIEW_NONE).n, 0);
	ck_assert_uint_eq(hl7_charset_name(view_of("PID|1\r")).n, 0);
	ck_assert_uint_eq(hl7_charset_name(view_of("MSH|^^^^|\r")).n, 0);
	ck_assert_uint_eq(hl7_charset_name(view_of("MSH|^~\\&|A\r")).n, 0);
	ck_assert_view(hl7_charset_name(message_of("GB 18030-2000", "x")), "GB 18030-2000");
	ck_assert_view(hl7_charset_name(message_of(" 8859/1~ASCII ", "x")), "8859/1");
	ck_assert_view(hl7_charset_name(view_of("MSH@~&#\\@@@@@@@@@@@@@@@@UNICODE UTF-8&x\r")), "UNICODE UTF-8");
	ck_assert_int_eq(to_utf8(view_of("hello"), NULL, &a, &text), CHARSET_OK);
	ck_assert_view(text, "hello");
	ck_assert_int_eq(to_utf8(view_of(""), "GB 18030-2000", &a, &text), CHARSET_OK);
	ck_assert_uint_eq(text.n, 0);
	arena_free(&a);
}
END_TEST

static const struct {
	const char *text, *charset, *fallback, *sent;
} replies[] = {
	{"plain", "GB 18030-2000", NULL, "plain"}, {"\xE7\x8F\x85", "GB 18030-2000", NULL, "\xAB\x7C"},
	{"\xE7\x8F\x85", "", "GB 18030-2000", "\xAB\x7C"}, {"\xE7\x8F\x85", "", NULL, "\xE7\x8F\x85"},
	{"\xE7\x8F\x85", "UNICODE UTF-8", "GB 18030-2000", "\xE7\x8F\x85"}, {"M\xC3\xBCller", "8859/1", NULL, "M\xFCller"},
	{"\xE5\x8A\x9F", "BIG-5", NULL, "\xA5\x5C"},
	{"\xE7\x8F\x85", "8859/1", NULL, "\xE7\x8F\x85"},	/* cannot be said in it */
	{"\xE7\x8F\x85", "nonsense", NULL, "\xE7\x8F\x85"},
};

START_TEST(an_acknowledgement_goes_back_in_the_senders_set)
{
	struct arena a;

	arena_init(&a, 0);
	ck_assert_view(hl7_from_utf8(view_of(replies[_i].text), view_of(replies[_i].charset), replies[_i].fallback, &a), replies[_i].sent);
	arena_free(&a);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7_charset");

	check_add_rows(run, names_come_out_in_utf8, rows);
	tcase_add_test(run.tcase, components_are_split_after_the_conversion);
	tcase_add_test(run.tcase, a_byte_order_mark_is_dropped);
	tcase_add_test(run.tcase, utf8_is_not_copied);
	tcase_add_test(run.tcase, nul_is_refused_in_any_character_set);
	tcase_add_test(run.tcase, what_has_no_header_has_no_name);
	check_add_rows(run, an_acknowledgement_goes_back_in_the_senders_set, replies);
	return check_end(run);
}
