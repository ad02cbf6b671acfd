/* db/words.h: arrays of words as PostgreSQL writes them, and outcomes in them. */
#include "check_main.h"

#include "db/words.h"

static PGresult *
result_of(const char *value)
{
	static char before[] = "states", name[] = "outcomes";
	PGresAttDesc columns[] = {{.name = before}, {.name = name}};
	PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	char other[] = "{other}", text[200];

	ck_assert(PQsetResultAttrs(r, 2, columns));
	ck_assert(PQsetvalue(r, 0, 0, other, (int)strlen(other)));
	ck_assert(PQsetvalue(r, 0, 1, value != NULL ? strcpy(text, value) : NULL, value != NULL ? (int)strlen(value) : -1));
	return r;
}

static const struct { const char *array, *words[5]; } arrays[] = {
	{"{posted,duplicate,NULL}", {"posted", "duplicate", "NULL"}}, {"{posted}", {"posted"}}, {"{}", {NULL}}, {NULL, {NULL}}, {"", {NULL}},
	{"{1200,-5,0}", {"1200", "-5", "0"}},
};

START_TEST(words_in_their_order)
{
	PGresult *r = result_of(arrays[_i].array);
	struct words w = words_of(r, "outcomes");
	struct view word;

	ck_assert_int_eq(words_are_null(r, "outcomes"), arrays[_i].array == NULL);
	ck_assert(!words_are_null(r, "states"));
	for (int i = 0; arrays[_i].words[i] != NULL; i++) {
		ck_assert(words_next(&w, &word));
		ck_assert_view(word, arrays[_i].words[i]);
	}
	ck_assert(!words_next(&w, &word));
	ck_assert(!words_next(&w, &word));
	PQclear(r);
}
END_TEST

START_TEST(outcomes_in_their_order)
{
	static const enum outcome expected[] = {
		OUTCOME_POSTED, OUTCOME_POSTED, OUTCOME_POSTED, OUTCOME_LATE, OUTCOME_POSTED, OUTCOME_INTERNAL, OUTCOME_INTERNAL, OUTCOME_VISIT_CANCELLED,
	};
	PGresult *r = result_of("{posted,posted,posted,late,posted,post,NULL,visit_cancelled}");
	struct words w = words_of(r, "outcomes");
	enum outcome outcome = OUTCOME_NONE;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		ck_assert(words_next_outcome(&w, &outcome));
		ck_assert_int_eq(outcome, expected[i]);
	}
	ck_assert(!words_next_outcome(&w, &outcome));
	ck_assert_int_eq(outcome, OUTCOME_VISIT_CANCELLED);	/* untouched */
	PQclear(r);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("words");

	check_add_rows(run, words_in_their_order, arrays);
	tcase_add_test(run.tcase, outcomes_in_their_order);
	return check_end(run);
}
