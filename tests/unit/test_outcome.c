/* proto/outcome.h: names there and back, and a row of the table of reasons for each that is not done. */
#include "check_main.h"

#include "proto/outcome.h"

START_TEST(names_there_and_back)
{
	for (unsigned o = OUTCOME_NONE + 1; o < OUTCOMES; o++) {
		ck_assert_ptr_nonnull(outcome_name((enum outcome)o));
		ck_assert_uint_eq(outcome_of(view_of(outcome_name((enum outcome)o))), o);
	}
}
END_TEST

START_TEST(what_is_not_done_has_a_reason)
{
	for (unsigned o = OUTCOME_NONE + 1; o < OUTCOMES; o++)
		ck_assert_str_eq(outcome_reason((enum outcome)o)->name, outcome_is_fine((enum outcome)o) ? "internal" : outcome_name((enum outcome)o));
}
END_TEST

static const struct { const char *word; enum outcome outcome; bool fine; } words[] = {
	{"posted", OUTCOME_POSTED, true}, {"late", OUTCOME_LATE, true}, {"duplicate", OUTCOME_DUPLICATE, true}, {"done", OUTCOME_DONE, true},
	{"repeated", OUTCOME_REPEATED, true}, {"replayed", OUTCOME_REPLAYED, true}, {"held", OUTCOME_HELD, false}, {"conflict", OUTCOME_CONFLICT, false},
	{"quarantine_unknown", OUTCOME_QUARANTINE_UNKNOWN, false}, {"unavailable", OUTCOME_UNAVAILABLE, false}, {"internal", OUTCOME_INTERNAL, false},
	{"", OUTCOME_INTERNAL, false}, {"NULL", OUTCOME_INTERNAL, false}, {"poste", OUTCOME_INTERNAL, false}, {"posted ", OUTCOME_INTERNAL, false},
};

START_TEST(words_are_read)
{
	ck_assert_int_eq(outcome_of(view_of(words[_i].word)), words[_i].outcome);
	ck_assert_int_eq(outcome_is_fine(words[_i].outcome), words[_i].fine);
}
END_TEST

START_TEST(nothing_said_is_not_fine)
{
	ck_assert(!outcome_is_fine(OUTCOME_NONE));
	ck_assert_int_eq(outcome_of(VIEW_NONE), OUTCOME_INTERNAL);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("outcome");

	tcase_add_test(run.tcase, names_there_and_back);
	tcase_add_test(run.tcase, what_is_not_done_has_a_reason);
	tcase_add_test(run.tcase, nothing_said_is_not_fine);
	check_add_rows(run, words_are_read, words);
	return check_end(run);
}
