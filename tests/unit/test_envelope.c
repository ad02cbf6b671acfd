/* Batches taken apart: every envelope segment optional, counts compared, and where it ends. */
#include "check_main.h"

#include "proto/hl7/envelope.h"
#include "proto/arena.h"

#define MSH "MSH|^~\\&|A|B|\r"

static struct arena arena;

static void setup(void) { arena_init(&arena, 1024); }
static void teardown(void) { arena_free(&arena); }

static const struct {
	const char *text;
	size_t most, n;
	const char *messages[4];
	const char *header, *mismatch;
	bool overflow;
} rows[] = {
	{MSH "PID|1\r" MSH "PID|2\r", 9, 2, {MSH "PID|1", MSH "PID|2"}, "", NULL, false},
	{"FHS|^~\\&|F\rBHS|^~\\&|B\r" MSH "PID|1\r" MSH "BTS|2\rFTS|1\r", 9, 2, {MSH "PID|1", "MSH|^~\\&|A|B|"}, "BHS|^~\\&|B", NULL, false},
	{"FHS|^~\\&|F\r" MSH "FTS|0\r", 9, 1, {"MSH|^~\\&|A|B|"}, "FHS|^~\\&|F", NULL, false},
	{"BHS|^~\\&|1\r" MSH "BTS|1\rBHS|^~\\&|2\r" MSH MSH "BTS|2\r", 9, 3, {"MSH|^~\\&|A|B|", "MSH|^~\\&|A|B|", "MSH|^~\\&|A|B|"}, "BHS|^~\\&|1", NULL, false},
	/* counts */
	{"BHS|^~\\&\r" MSH "BTS|3\r", 9, 1, {"MSH|^~\\&|A|B|"}, "BHS|^~\\&", "BTS-1 says 3, 1 came", false},
	{"BHS|^~\\&\r" MSH "BTS|0\r", 9, 1, {"MSH|^~\\&|A|B|"}, "BHS|^~\\&", "BTS-1 says 0, 1 came", false},
	{"BHS|^~\\&\r" MSH "BTS|\r", 9, 1, {"MSH|^~\\&|A|B|"}, "BHS|^~\\&", NULL, false},
	{"BHS|^~\\&\r" MSH "BTS|one\r", 9, 1, {"MSH|^~\\&|A|B|"}, "BHS|^~\\&", NULL, false},
	{"BHS|^~\\&\r" MSH "BTS| 1 \r", 9, 1, {"MSH|^~\\&|A|B|"}, "BHS|^~\\&", NULL, false},
	{"BHS|^~\\&\r" MSH "BTS|9999999999\r", 9, 1, {"MSH|^~\\&|A|B|"}, "BHS|^~\\&", NULL, false},
	{"BHS|^~\\&\r" MSH "BTS|1\rFTS|2\r", 9, 1, {"MSH|^~\\&|A|B|"}, "BHS|^~\\&", "FTS-1 says 2, 1 came", false},
	{"BHS|^~\\&\r" MSH "BTS|7\rBHS|^~\\&\rBTS|8\r", 9, 1, {"MSH|^~\\&|A|B|"}, "BHS|^~\\&", "BTS-1 says 7, 1 came", false},	/* the first */
	/* a message ends with its batch: what stands after that is of nobody */
	{MSH "PID|1\rBTS|1\rPID|2\r", 9, 1, {MSH "PID|1"}, "", NULL, false},
	/* nothing in it */
	{"BHS|^~\\&\rBTS|0\r", 9, 0, {NULL}, "BHS|^~\\&", NULL, false},
	{"BTS|0\r", 9, 0, {NULL}, "", NULL, false},
	{"BTS|2\r", 9, 0, {NULL}, "", "BTS-1 says 2, 0 came", false},
	/* what stands before the first message is of nobody */
	{"ZZZ|1\r" MSH "PID|1\r" MSH, 9, 2, {MSH "PID|1", "MSH|^~\\&|A|B|"}, "", NULL, false},
	/* the first one beyond the most takes the rest */
	{MSH MSH "PID|2\r" MSH, 2, 3, {"MSH|^~\\&|A|B|", MSH "PID|2", MSH}, "", NULL, true},
	{MSH MSH, 2, 2, {"MSH|^~\\&|A|B|", "MSH|^~\\&|A|B|"}, "", NULL, false},
	{MSH MSH MSH MSH "BTS|9\r", 1, 2, {"MSH|^~\\&|A|B|", MSH MSH MSH "BTS|9\r"}, "", NULL, true},
	/* so does a header that cannot be read */
	{MSH "MSH|\r" MSH "BTS|9\r", 9, 2, {"MSH|^~\\&|A|B|", "MSH|\r" MSH "BTS|9\r"}, "", NULL, false},
};

/* In steps of one byte, and all at once. */
static void
take_apart(size_t step, int _i)
{
	struct envelope e;
	struct view message;
	enum envelope_result result;
	size_t n = 0;

	envelope_open(view_of(rows[_i].text), rows[_i].most, &e);
	while ((result = envelope_next(&e, &arena, step, &message)) != ENVELOPE_END) {
		if (result == ENVELOPE_MORE) {
			ck_assert_uint_eq(step, 1);
			continue;
		}
		ck_assert_uint_lt(n, 4);
		ck_assert_ptr_nonnull(rows[_i].messages[n]);
		ck_assert_view(message, rows[_i].messages[n]);
		n++;
	}
	ck_assert_uint_eq(n, rows[_i].n);
	ck_assert_uint_eq(e.n_messages, rows[_i].n);
	ck_assert_view(e.header, rows[_i].header);
	ck_assert_int_eq(e.overflow, rows[_i].overflow);
	if (rows[_i].mismatch != NULL)
		ck_assert_str_eq(e.mismatch, rows[_i].mismatch);
	else
		ck_assert_ptr_null(e.mismatch);
}

START_TEST(test_taken_apart)
{
	take_apart(SIZE_MAX, _i);
	take_apart(1, _i);
}
END_TEST

/* A step ends soon after its bytes, whatever stands there. */
START_TEST(test_steps_are_short)
{
	static const char *const kinds[] = {"NTE|\r", "BTS|\r", "Z\n"};
	enum { STEP = 1000, N = 20000 };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i]);
		struct envelope e;
		struct view message;
		char *text = arena_alloc(&arena, N);
		for (size_t k = 0; k + n <= N; k += n)
			memcpy(text + k, kinds[i], n);
		envelope_open((struct view){text, N}, 9, &e);
		for (size_t left = N; envelope_next(&e, &arena, STEP, &message) == ENVELOPE_MORE; left = e.rest.n)
			ck_assert_uint_le(left - e.rest.n, STEP + 2 * n);
		ck_assert_uint_eq(e.rest.n, 0);
	}
}
END_TEST

START_TEST(test_single)
{
	static const struct { const char *text; bool single; } singles[] = {
		{MSH "PID|1\r", true}, {MSH, true}, {"", true}, {"nothing", true}, {"PID|1\r" MSH, true}, {MSH "ZMSH|\r", true},
		{MSH "PID|1\r\r", true}, {MSH "MSH|\r" MSH, false}, {MSH MSH, false}, {"BHS|^~\\&\r" MSH "BTS|1\r", false}, {"BTS|0\r", false}, {MSH "FTS|1\r", false}, {"FHS|^~\\&\r", false},
	};

	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++)
	{
		struct envelope e;
		struct view message;
		envelope_open(view_of(singles[i].text), 9, &e);
		envelope_next(&e, &arena, SIZE_MAX, &message);
		ck_assert_msg(envelope_is_single(&e) == singles[i].single, "row %zu", i);
	}
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("envelope");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	check_add_rows(run, test_taken_apart, rows);
	tcase_add_test(run.tcase, test_steps_are_short);
	tcase_add_test(run.tcase, test_single);
	return check_end(run);
}
