/* The table of fields: what each may hold, at its limit and one byte beyond, and bytes that PostgreSQL would refuse. */
#include "check_main.h"

#include <stdio.h>

#include "proto/fields.h"

static const struct {
	enum field field;
	struct view text;
	const char *complaint;
} texts[] = {
	{FIELD_VISIT_NO, VIEW_LITERAL("V1"), NULL}, {FIELD_VISIT_NO, VIEW_LITERAL("V-1/a b@c"), NULL}, {FIELD_VISIT_NO, VIEW_LITERAL("住院号1"), NULL},
	{FIELD_VISIT_NO, VIEW_LITERAL("\xF0\x9F\x98\x80"), NULL}, {FIELD_VISIT_NO, VIEW_LITERAL("~"), NULL}, {FIELD_VISIT_NO, VIEW_LITERAL("é"), NULL},
	{FIELD_VISIT_NO, VIEW_LITERAL("1\xC2\xA0" "2"), NULL}, {FIELD_VISIT_NO, VIEW_LITERAL("\xE2\x80\xA7"), NULL},
	{FIELD_VISIT_NO, VIEW_LITERAL(""), "is empty"}, {FIELD_VISIT_NO, VIEW_LITERAL(" "), "is empty"}, {FIELD_VISIT_NO, VIEW_LITERAL("   "), "is empty"},
	{FIELD_VISIT_NO, VIEW_LITERAL(" V1"), "has blanks around it"}, {FIELD_VISIT_NO, VIEW_LITERAL("V1 "), "has blanks around it"},
	{FIELD_VISIT_NO, VIEW_LITERAL("\xFF"), "is not UTF-8 text"}, {FIELD_VISIT_NO, VIEW_LITERAL("V\xE7\x8E"), "is not UTF-8 text"},
	{FIELD_VISIT_NO, VIEW_LITERAL("\xED\xA0\x80"), "is not UTF-8 text"}, {FIELD_VISIT_NO, VIEW_LITERAL("\xC0\x80"), "is not UTF-8 text"},
	{FIELD_VISIT_NO, VIEW_LITERAL("V\0"), "holds a NUL"}, {FIELD_VISIT_NO, VIEW_LITERAL("\0"), "holds a NUL"},
	{FIELD_VISIT_NO, VIEW_LITERAL("a long enough\0one"), "holds a NUL"},
	{FIELD_VISIT_NO, VIEW_LITERAL("V\n1"), "holds a control character"}, {FIELD_VISIT_NO, VIEW_LITERAL("V1\r"), "holds a control character"},
	{FIELD_VISIT_NO, VIEW_LITERAL("\tV1"), "holds a control character"}, {FIELD_VISIT_NO, VIEW_LITERAL("V\x7F"), "holds a control character"},
	{FIELD_VISIT_NO, VIEW_LITERAL("V\x1F"), "holds a control character"}, {FIELD_VISIT_NO, VIEW_LITERAL("住\n"), "holds a control character"},
	{FIELD_VISIT_NO, VIEW_LITERAL("V\xC2\x85"), "holds a control character"}, {FIELD_VISIT_NO, VIEW_LITERAL("V\xC2\x9F"), "holds a control character"},
	{FIELD_VISIT_NO, VIEW_LITERAL("V\xE2\x80\xA8"), "holds a control character"}, {FIELD_VISIT_NO, VIEW_LITERAL("V\xE2\x80\xA9"), "holds a control character"},
	{FIELD_IDEMPOTENCY_KEY, VIEW_LITERAL("k"), NULL}, {FIELD_IDEMPOTENCY_KEY, VIEW_LITERAL("k\xFF"), "is not UTF-8 text"}, {FIELD_BILL, VIEW_LITERAL(""), "is empty"},
	/* ids that begin with MSH-10, which is kept as sent */
	{FIELD_SOURCE_LINE, VIEW_LITERAL(" 7 /1"), NULL}, {FIELD_SOURCE_LINE, VIEW_LITERAL("7\n/1"), "holds a control character"},
	{FIELD_MESSAGE_ID, VIEW_LITERAL(" 7 "), NULL}, {FIELD_MESSAGE_ID, VIEW_LITERAL(""), NULL}, {FIELD_MESSAGE_ID, VIEW_LITERAL("7\t"), "holds a control character"},
	/* texts for people may have lines */
	{FIELD_NAME, VIEW_LITERAL("two\nlines"), NULL}, {FIELD_NAME, VIEW_LITERAL(" 血常规 "), NULL}, {FIELD_NAME, VIEW_LITERAL(""), NULL},
	{FIELD_NAME, VIEW_LITERAL("a\0b"), "holds a NUL"}, {FIELD_NAME, VIEW_LITERAL("a\xCD"), "is not UTF-8 text"},
};

START_TEST(a_text_is_judged)
{
	char *copy = malloc(texts[_i].text.n + 1);	/* ends where it ends, for AddressSanitizer */
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, texts[_i].text.p, texts[_i].text.n);
	copy = realloc(copy, texts[_i].text.n > 0 ? texts[_i].text.n : 1);
	const char *complaint = field_complaint(texts[_i].field, (struct view){copy, texts[_i].text.n});

	ck_assert_msg((complaint == NULL) == (texts[_i].complaint == NULL) && (complaint == NULL || strcmp(complaint, texts[_i].complaint) == 0), "row %d: %s", _i,
	    complaint != NULL ? complaint : "nothing");
	free(copy);
}
END_TEST

START_TEST(every_control_character_is_found_wherever_it_stands)
{
	char text[40];

	for (size_t n = 1; n <= sizeof(text); n++)
		for (size_t at = 0; at < n; at++)
			for (int c = 0; c < 0x80; c++) {
				memset(text, 'x', n);
				text[at] = (char)c;
				const char *complaint = field_complaint(FIELD_CODE, (struct view){text, n});
				bool bad = c < 0x20 || c == 0x7F || (c == ' ' && (at == 0 || at == n - 1));
				ck_assert_msg((complaint != NULL) == bad, "%zu bytes, %02x at %zu: %s", n, (unsigned)c, at, complaint != NULL ? complaint : "fine");
			}
}
END_TEST

START_TEST(every_field_has_a_limit_that_an_index_takes)
{
	char text[3000], complaint[60];

	memset(text, 'x', sizeof(text));
	for (int f = 0; f < FIELDS; f++) {
		const struct field_limit *l = field_limit_of((enum field)f);
		ck_assert_msg(l->name != NULL && l->most > 0 && l->most < 2700, "field %d", f);
		ck_assert(!l->id || l->one_line);
		snprintf(complaint, sizeof(complaint), "is longer than %zu bytes", l->most);
		ck_assert_ptr_null(field_complaint((enum field)f, (struct view){text, l->most}));
		ck_assert_str_eq(field_complaint((enum field)f, (struct view){text, l->most + 1}), complaint);
		ck_assert_str_eq(field_text_complaint((enum field)f, (struct view){text, sizeof(text)}), complaint);
	}
}
END_TEST

/* PostgreSQL takes none, in a field of several lines neither. */
START_TEST(no_field_takes_a_nul)
{
	for (int f = 0; f < FIELDS; f++) {
		ck_assert_str_eq(field_text_complaint((enum field)f, (struct view){"a\0b", 3}), "holds a NUL");
		ck_assert_str_eq(field_complaint((enum field)f, (struct view){"a\0b", 3}), "holds a NUL");
	}
}
END_TEST

START_TEST(lengths_are_those_of_the_contract)
{
	static const struct { enum field field; size_t most; } contract[] = {
		{FIELD_FACILITY, 100}, {FIELD_VISIT_NO, 100}, {FIELD_PATIENT_NO, 200}, {FIELD_PATIENT_NAME, 500}, {FIELD_SOURCE_LINE, 200}, {FIELD_REVERSES, 200},
		{FIELD_CODE, 150}, {FIELD_NAME, 500}, {FIELD_NATIONAL_CODE, 50}, {FIELD_ORDER_NO, 200}, {FIELD_MESSAGE_ID, 199}, {FIELD_IDEMPOTENCY_KEY, 200},
	};

	for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++)
		ck_assert_uint_eq(field_limit_of(contract[i].field)->most, contract[i].most);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("fields");

	check_add_rows(run, a_text_is_judged, texts);
	tcase_add_test(run.tcase, every_control_character_is_found_wherever_it_stands);
	tcase_add_test(run.tcase, every_field_has_a_limit_that_an_index_takes);
	tcase_add_test(run.tcase, no_field_takes_a_nul);
	tcase_add_test(run.tcase, lengths_are_those_of_the_contract);
	return check_end(run);
}
