/* Percent-decoding: what it gives, and what it does not take. */
#include "check_main.h"

#include "proto/percent.h"

static const struct {
	struct view text;
	bool plus;
	struct view decoded;	/* without bytes at all: refused */
} rows[] = {
	{VIEW_LITERAL(""), false, VIEW_LITERAL("")}, {VIEW_LITERAL("V1"), false, VIEW_LITERAL("V1")}, {VIEW_LITERAL("%41%4a%4A"), false, VIEW_LITERAL("AJJ")},
	{VIEW_LITERAL("a%2Fb"), false, VIEW_LITERAL("a/b")}, {VIEW_LITERAL("%25"), false, VIEW_LITERAL("%")}, {VIEW_LITERAL("%2541"), false, VIEW_LITERAL("%41")},
	{VIEW_LITERAL("%e7%8E%8b"), false, VIEW_LITERAL("王")}, {VIEW_LITERAL("%ff"), false, VIEW_LITERAL("\xFF")}, {VIEW_LITERAL("%0a"), false, VIEW_LITERAL("\n")},
	{VIEW_LITERAL("%01%10"), false, VIEW_LITERAL("\x01\x10")},
	{VIEW_LITERAL("a+b%2B"), false, VIEW_LITERAL("a+b+")}, {VIEW_LITERAL("a+b%2B"), true, VIEW_LITERAL("a b+")}, {VIEW_LITERAL("王"), true, VIEW_LITERAL("王")},
	{VIEW_LITERAL("%00"), false, {NULL, 0}}, {VIEW_LITERAL("V%00"), false, {NULL, 0}}, {VIEW_LITERAL("%00"), true, {NULL, 0}}, {VIEW_LITERAL("a\0b"), false, {NULL, 0}},
	{VIEW_LITERAL("%"), false, {NULL, 0}}, {VIEW_LITERAL("%4"), false, {NULL, 0}}, {VIEW_LITERAL("a%"), false, {NULL, 0}}, {VIEW_LITERAL("a%4"), false, {NULL, 0}},
	{VIEW_LITERAL("%zz"), false, {NULL, 0}}, {VIEW_LITERAL("%4g"), false, {NULL, 0}}, {VIEW_LITERAL("%g4"), false, {NULL, 0}}, {VIEW_LITERAL("%%41"), false, {NULL, 0}},
	{VIEW_LITERAL("%+1"), false, {NULL, 0}}, {VIEW_LITERAL("% 1"), false, {NULL, 0}},
};

START_TEST(escapes_are_decoded_or_refused)
{
	struct arena a;
	struct view ret = VIEW_LITERAL("untouched");

	arena_init(&a, 0);
	char *text = malloc(rows[_i].text.n > 0 ? rows[_i].text.n : 1);	/* ends where it ends */
	ck_assert_ptr_nonnull(text);
	memcpy(text, rows[_i].text.p, rows[_i].text.n);
	bool taken = percent_decode(&a, (struct view){text, rows[_i].text.n}, rows[_i].plus, &ret);
	ck_assert_msg(taken == (rows[_i].decoded.p != NULL), "%s", rows[_i].text.p);
	if (taken) {
		ck_assert_msg(view_equal(ret, rows[_i].decoded), "%s is %.*s", rows[_i].text.p, (int)ret.n, ret.p);
		ck_assert_int_eq(ret.p[ret.n], '\0');
	} else {
		ck_assert_view(ret, "untouched");
	}
	free(text);
	arena_free(&a);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("percent");

	check_add_rows(run, escapes_are_decoded_or_refused, rows);
	return check_end(run);
}
