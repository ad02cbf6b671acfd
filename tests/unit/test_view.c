/* Views: comparing and trimming, also of nothing. */
#include "check_main.h"

START_TEST(nothing_is_like_an_empty_text)
{
	ck_assert_uint_eq(view_of(NULL).n, 0);
	ck_assert_uint_eq(view_of("").n, 0);
	ck_assert(view_is(VIEW_NONE, ""));
	ck_assert(!view_is(VIEW_NONE, "x"));
	ck_assert(view_equal(VIEW_NONE, view_of("")));
	ck_assert(view_equal(view_of(""), VIEW_NONE));
	ck_assert(!view_equal(VIEW_NONE, view_of("x")));
	ck_assert_uint_eq(view_trim(VIEW_NONE).n, 0);
}
END_TEST

START_TEST(comparing_looks_at_every_byte)
{
	const struct view with_nul = VIEW_LITERAL("a\0b"), other = VIEW_LITERAL("a\0c");

	ck_assert(view_is(view_of("AA"), "AA"));
	ck_assert(!view_is(view_of("AA"), "AAA"));
	ck_assert(!view_is(view_of("AAA"), "AA"));
	ck_assert(!view_is(view_of("aa"), "AA"));
	ck_assert(!view_is(with_nul, "a"));
	ck_assert(!view_equal(with_nul, other));
	ck_assert(view_equal(with_nul, with_nul));
}
END_TEST

static const struct {
	const char *text, *trimmed;
} trims[] = {
	{"", ""}, {" ", ""}, {" \t ", ""}, {"a", "a"}, {" a", "a"}, {"a\t", "a"}, {"  a b  ", "a b"}, {"\r a", "\r a"},
};

START_TEST(trim_takes_blanks_off_both_ends)
{
	ck_assert_view(view_trim(view_of(trims[_i].text)), trims[_i].trimmed);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("view");

	tcase_add_test(run.tcase, nothing_is_like_an_empty_text);
	tcase_add_test(run.tcase, comparing_looks_at_every_byte);
	check_add_rows(run, trim_takes_blanks_off_both_ends, trims);
	return check_end(run);
}
