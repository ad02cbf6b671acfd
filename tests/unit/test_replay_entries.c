/* What becomes of the entries of a replay: each by its own line, a message as a whole by all of them. */
#include "check_main.h"

#include <libpq-fe.h>
#include <stdio.h>

#include "intake/replay_entries.h"

static PGresult *rows;
static struct replay_entries entries;
static struct charge_line lines[3];
static struct visit_event event;
static struct intake in;

/* Entries 101, 102, … of these lines of a message. */
static void
read_entries(const int *ordinals, int n)
{
	static char id[] = "quarantine_id", ordinal[] = "ordinal", bytes[] = "bytes";
	PGresAttDesc columns[] = {{.name = id}, {.name = ordinal}, {.name = bytes}};
	char text[16];

	rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	ck_assert(PQsetResultAttrs(rows, 3, columns));
	for (int i = 0; i < n; i++) {
		ck_assert(PQsetvalue(rows, i, 0, text, snprintf(text, sizeof(text), "%d", 101 + i)));
		ck_assert(PQsetvalue(rows, i, 1, text, snprintf(text, sizeof(text), "%d", ordinals[i])));
		ck_assert(PQsetvalue(rows, i, 2, i == 0 ? text : NULL, i == 0 ? 1 : -1));
	}
	entries_read(&entries, rows, 0, n);
}

static void
set_up(void)
{
	in = (struct intake){.lines = lines, .n_lines = 3};
	for (int i = 0; i < 3; i++)
		lines[i] = (struct charge_line){.ordinal = 3 - i, .outcome = OUTCOME_POSTED};
	event = (struct visit_event){0};
}

static void
tear_down(void)
{
	entries_free(&entries);
	PQclear(rows);
}

static const struct replay_result *
result_of(int64_t id)
{
	for (size_t i = 0; i < entries.n; i++)
		if (entries.list[i].result.id == id)
			return &entries.list[i].result;
	ck_abort_msg("there is no entry %lld", (long long)id);
}

#define ck_assert_result(id, said, ended) do { \
	ck_assert_str_eq(result_of(id)->outcome, said); \
	ck_assert_int_eq(result_of(id)->resolved, ended); \
} while (0)

START_TEST(only_their_lines_are_replayed)
{
	read_entries((const int[]){3, 1}, 2);
	ck_assert_int_eq(replay_rows_of(rows, 0), 2);
	entries_keep_lines(&entries, &in);
	ck_assert_uint_eq(in.n_lines, 2);
	ck_assert_int_eq(in.lines[0].ordinal, 3);
	ck_assert_int_eq(in.lines[1].ordinal, 1);
	in.lines[1].refused = (struct refusal){"price_unknown", "d", NULL};
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(101, "posted", true);
	ck_assert_result(102, "price_unknown", false);
}
END_TEST

/* None of the other lines is booked instead. */
START_TEST(a_line_that_is_gone)
{
	read_entries((const int[]){7}, 1);
	entries_keep_lines(&entries, &in);
	ck_assert_uint_eq(in.n_lines, 0);
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(101, "no_lines", false);
	in.refused = (struct refusal){"segment_order", NULL, NULL};
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(101, "segment_order", false);
}
END_TEST

START_TEST(two_reasons_of_one_line)
{
	read_entries((const int[]){2, 1, 2}, 3);
	entries_keep_lines(&entries, &in);
	in.lines[0].outcome = OUTCOME_DUPLICATE;
	in.lines[1].refused = (struct refusal){"held", NULL, NULL};
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(101, "duplicate", true);
	ck_assert_result(102, "held", false);
	ck_assert_result(103, "duplicate", true);
}
END_TEST

/* What is held waits on as it did: there is nothing to say. */
START_TEST(all_held)
{
	read_entries((const int[]){1}, 1);
	entries_keep_lines(&entries, &in);
	in.lines[0].refused = (struct refusal){"held", NULL, NULL};
	ck_assert(!entries_judge(&entries, &in));
	entries_unavailable(&entries);
	ck_assert_result(101, "unavailable", false);
}
END_TEST

START_TEST(a_message_as_a_whole)
{
	read_entries((const int[]){0, 0}, 2);
	entries_keep_lines(&entries, &in);
	ck_assert_uint_eq(in.n_lines, 3);
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(101, "posted", true);
	ck_assert_result(102, "posted", true);
	lines[2].refused = (struct refusal){"conflict", "d", NULL};	/* one line short is not booked */
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(101, "conflict", false);
	in.refused = (struct refusal){"visit_unknown", "d", NULL};
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(102, "visit_unknown", false);
}
END_TEST

START_TEST(a_message_of_events_and_one_of_nothing)
{
	read_entries((const int[]){0}, 1);
	in = (struct intake){.events = &event, .n_events = 1};
	event.outcome = OUTCOME_REPEATED;
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(101, "repeated", true);
	in = (struct intake){.n_events = 0};
	ck_assert(entries_judge(&entries, &in));
	ck_assert_result(101, "done", true);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("replay_entries");

	tcase_add_checked_fixture(run.tcase, set_up, tear_down);
	tcase_add_test(run.tcase, only_their_lines_are_replayed);
	tcase_add_test(run.tcase, a_line_that_is_gone);
	tcase_add_test(run.tcase, two_reasons_of_one_line);
	tcase_add_test(run.tcase, all_held);
	tcase_add_test(run.tcase, a_message_as_a_whole);
	tcase_add_test(run.tcase, a_message_of_events_and_one_of_nothing);
	return check_end(run);
}
