/* The runner of a unit test: one suite, reported in TAP on standard output for `meson test`. Each test is a process of its own, so a
 * crash fails that test alone; CK_FORK=no in the environment keeps them together for a debugger. */
#ifndef VB_TESTS_CHECK_MAIN_H
#define VB_TESTS_CHECK_MAIN_H

#include <check.h>
#include <stdlib.h>

#include "proto/view.h"

struct check_run {
	Suite *suite;
	TCase *tcase;
};

static inline struct check_run
check_begin(const char *name)
{
	struct check_run run = {suite_create(name), tcase_create(name)};

	tcase_set_timeout(run.tcase, 60);	/* sanitizers are slow */
	suite_add_tcase(run.suite, run.tcase);
	return run;
}

static inline int
check_end(struct check_run run)
{
	SRunner *runner = srunner_create(run.suite);

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A test that is run once a row of a table, with _i the row: one wrong row does not hide the others. */
#define check_add_rows(run, test, rows) tcase_add_loop_test((run).tcase, test, 0, (int)(sizeof(rows) / sizeof((rows)[0])))

/* The view's bytes are this text. */
#define ck_assert_view(actual, expected) do { \
	struct view ck_view = (actual); \
	const char *ck_text = (expected); \
	ck_assert_msg(ck_view.n == strlen(ck_text) && (ck_view.n == 0 || memcmp(ck_view.p, ck_text, ck_view.n) == 0), \
	    "%s is \"%.*s\", not \"%s\"", #actual, (int)ck_view.n, ck_view.n > 0 ? ck_view.p : "", ck_text); \
} while (0)

#endif
