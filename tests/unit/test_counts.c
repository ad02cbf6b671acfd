/* What of a feed's messages is counted, and what of it is told when a call goes well, is rolled back, or is lost. The pool's call is led here by the linker
 * (--wrap): it keeps what it was given, and answers when a test says so. */
#include "check_access.h"

#include "base/log.h"
#include "intake/counts.h"

enum { ROWS_MOST = 1100 };

static struct core core;
static struct feed *feed;

static struct {
	bool away;
	int calls, over;
	unsigned ranges;
	char told[32768];	/* "TYPE OUTCOME N; … FIRST-UNTIL[?UNKNOWN] …" */
	pool_fn fn;
	void *arg;
} db;

int __wrap_pool_call(struct pool *pool, enum statement s, const struct pg_param *params, int n, pool_fn fn, void *arg);

static uint32_t
number_of(const char **at)
{
	const unsigned char *p = (const unsigned char *)*at;

	*at += 4;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The elements of an array parameter. */
static unsigned
elements(const struct pg_param *param, struct view ret[ROWS_MOST])
{
	const char *at = param->v.p;
	unsigned n = 0;

	if (number_of(&at) == 0)
		return 0;
	at += 8;
	uint32_t count = number_of(&at);
	at += 4;
	for (; n < count; n++) {
		ck_assert_uint_lt(n, ROWS_MOST);
		int32_t size = (int32_t)number_of(&at);
		ret[n] = (struct view){at, size > 0 ? (size_t)size : 0};
		at += ret[n].n;
	}
	return n;
}

static long long
long_of(struct view v)
{
	const char *at = v.p;
	uint64_t high = number_of(&at);

	return (long long)(high << 32 | number_of(&at));
}

int
__wrap_pool_call(struct pool *pool, enum statement s, const struct pg_param *params, int n, pool_fn fn, void *arg)
{
	static struct view types[ROWS_MOST], outcomes[ROWS_MOST], counts[ROWS_MOST], firsts[ROWS_MOST], untils[ROWS_MOST], unknowns[ROWS_MOST];
	char *at = db.told, *end = db.told + sizeof(db.told);

	(void)pool;
	ck_assert(s == SQL_FEED_COUNTS && n == 13);
	if (db.away)
		return -1;
	db.calls++;
	db.fn = fn;
	db.arg = arg;
	*at = '\0';
	unsigned rows = elements(&params[1], types);
	ck_assert_uint_eq(elements(&params[2], outcomes), rows);
	ck_assert_uint_eq(elements(&params[3], counts), rows);
	for (unsigned i = 0; i < rows; i++)
		at += snprintf(at, (size_t)(end - at), "%.*s %.*s %lld; ", (int)types[i].n, types[i].p, (int)outcomes[i].n, outcomes[i].p, long_of(counts[i]));
	if (elements(&params[6], types) > 0) {
		ck_assert_uint_eq(elements(&params[7], counts) + elements(&params[8], firsts), 2);
		at += snprintf(at, (size_t)(end - at), "warned %lld %lld; ", long_of(counts[0]), long_of(firsts[0]));
	}
	rows = elements(&params[10], firsts);
	ck_assert_uint_eq(elements(&params[11], untils), rows);
	ck_assert_uint_eq(elements(&params[12], unknowns), rows);
	db.ranges = rows;
	for (unsigned i = 0; i < rows; i++) {
		at += snprintf(at, (size_t)(end - at), "%lld-%lld", long_of(firsts[i]), long_of(untils[i]));
		if (long_of(unknowns[i]) > 0)
			at += snprintf(at, (size_t)(end - at), "?%lld", long_of(unknowns[i]));
		at += snprintf(at, (size_t)(end - at), " ");
	}
	return 0;
}

static void
over(void *job, bool more)
{
	ck_assert(job == &db && !more);
	db.over++;
}

static void
answer(enum pg_verdict verdict)
{
	const struct pg_outcome outcome = {.verdict = verdict, .message = "x"};

	db.fn(db.arg, &outcome, NULL);
}

/* What a run tells; "" where it calls nobody. */
static const char *
run(void)
{
	int calls = db.calls;

	counts_run(&core, over, &db);
	return db.calls > calls ? db.told : "";
}

static void
setup(void)
{
	struct config *c = house_settings(house);

	log_set_level("error");
	memset(&core, 0, sizeof(core));
	core.metrics = metrics_new();
	core.directory = directory_new(core.metrics);
	ck_assert_int_eq(directory_apply(core.directory, c, IDS), 0);
	config_release(c);
	feed = directory_feed_named(core.directory, "lab");
	ck_assert_ptr_nonnull(feed);
	memset(&db, 0, sizeof(db));
}

static void
teardown(void)
{
	directory_free(core.directory);
	metrics_free(core.metrics);
}

static void
came(const char *msh9, const char *number, const char *reason, enum booking_result result)
{
	struct message m = {.job = {.feed = feed}, .result = result};
	const char *caret = strchr(msh9, '^');

	m.header.type = (struct view){msh9, caret != NULL ? (size_t)(caret - msh9) : strlen(msh9)};
	m.header.event = caret != NULL ? view_of(caret + 1) : VIEW_NONE;
	m.header.control_id = VIEW_LITERAL("M1");
	m.header.sequence_number = view_of(number);
	m.ignored = reason != NULL && strcmp(reason, "ignored") == 0;
	if (reason != NULL && !m.ignored)
		m.job.intake.refused.reason = reason;
	counts_note_message(&m);
}

static void good(const char *msh9, const char *number) { came(msh9, number, NULL, BOOKING_DONE); }

START_TEST(test_by_type_and_outcome)
{
	ck_assert(!counts_pending(&core));
	ck_assert_str_eq(run(), "");
	ck_assert_int_eq(db.over, 1);
	good("DFT^P03", NULL);
	good("ADT^A01", NULL);
	good("DFT^P03", NULL);
	came("DFT^P03", NULL, "visit_missing", BOOKING_DONE);
	came("DFT^P03", "5", NULL, BOOKING_UNAVAILABLE);
	ck_assert(counts_pending(&core));
	ck_assert_str_eq(run(), "DFT^P03 accepted 2; ADT^A01 accepted 1; DFT^P03 visit_missing 1; DFT^P03 unavailable 1; ");
	ck_assert(!counts_pending(&core));
	answer(PG_DONE);
	ck_assert_int_eq(db.over, 2);
	ck_assert_str_eq(run(), "");
}
END_TEST

/* A name is one that we know; what is ignored is its type, whatever its event. */
START_TEST(test_names_that_nobody_knows)
{
	for (int i = 0; i < 300; i++) {
		char name[16];
		snprintf(name, sizeof(name), "X%02d^%03d", i % 100, i);
		came(name, NULL, "message_type", BOOKING_DONE);
		snprintf(name, sizeof(name), "ORU^%03d", i);
		came(name, NULL, "ignored", BOOKING_DONE);
	}
	came("", NULL, "message_type", BOOKING_DONE);
	came("DFT", NULL, "event_code", BOOKING_DONE);
	ck_assert_str_eq(run(), "other message_type 301; ORU ignored 300; other event_code 1; ");
	answer(PG_DONE);
}
END_TEST

START_TEST(test_the_first_reason)
{
	struct charge_line lines[3] = {{.refused = {.reason = "held"}}, {.outcome = OUTCOME_POSTED}, {.refused = {.reason = "conflict"}}};
	struct booking_job job = {.feed = feed, .intake = {.lines = lines, .n_lines = 2}};

	counts_note_request(&job, "POST /v1/charges", BOOKING_DONE);	/* what is held is fine */
	job.intake.n_lines = 3;
	counts_note_request(&job, "POST /v1/charges", BOOKING_DONE);
	counts_note_request(&job, "POST /v1/charges", BOOKING_UNAVAILABLE);
	ck_assert_str_eq(run(), "POST /v1/charges accepted 1; POST /v1/charges conflict 1; POST /v1/charges unavailable 1; ");
	answer(PG_DONE);
}
END_TEST

START_TEST(test_payments_by_patient_are_apart)
{
	struct charge_line line = {.kind = LINE_PAYMENT, .refused = {.reason = "visit_missing"}};
	struct booking_job job = {.feed = feed, .intake = {.lines = &line, .n_lines = 1}};

	counts_note_request(&job, "x", BOOKING_DONE);
	line.kind = LINE_CHARGE;
	counts_note_request(&job, "x", BOOKING_DONE);
	ck_assert_str_eq(run(), "x payment_visit_missing 1; x visit_missing 1; ");
	answer(PG_DONE);
}
END_TEST

/* Beyond the most kinds the sums of accepted and refused stay right. */
START_TEST(test_too_many_kinds)
{
	struct booking_job job = {.feed = feed}, refused = {.feed = feed, .intake = {.refused = {.reason = "conflict"}}};

	for (int i = 0; i < 260; i++) {
		char type[8];
		snprintf(type, sizeof(type), "T%d", i);
		counts_note_request(&job, type, BOOKING_DONE);
	}
	counts_note_request(&refused, "U", BOOKING_DONE);
	counts_note_request(&refused, "U", BOOKING_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(run(), "T255 accepted 1; other accepted 4; other other 1; other unavailable 1; "));
	answer(PG_DONE);
}
END_TEST

START_TEST(test_warned_lines)
{
	struct charge_line lines[4] = {{.warning = WARN_UNLISTED}, {.outcome = OUTCOME_POSTED}, {.warning = WARN_PRICE_DIFFERS}, {.warning = WARN_UNLISTED}};
	struct booking_job job = {.feed = feed, .intake = {.lines = lines, .n_lines = 4}};

	counts_note_request(&job, "POST /v1/charges", BOOKING_DONE);
	ck_assert_str_eq(run(), "POST /v1/charges accepted 1; warned 2 1; ");
	answer(PG_FAILED);
	job.intake.n_lines = 1;
	counts_note_request(&job, "POST /v1/charges", BOOKING_DONE);
	ck_assert_str_eq(run(), "POST /v1/charges accepted 2; warned 3 1; ");
	answer(PG_DONE);
	counts_note_request(&job, "POST /v1/visits", BOOKING_DONE);
	ck_assert_str_eq(run(), "POST /v1/visits accepted 1; warned 1 0; ");
	answer(PG_DONE);
}
END_TEST

/* What was rolled back is told again, with what came meanwhile; what may have been committed is not, but for numbers. */
START_TEST(test_told_once)
{
	good("DFT^P03", "1");
	ck_assert_str_eq(run(), "DFT^P03 accepted 1; 1-1 ");
	good("DFT^P03", "2");
	good("ADT^A08", "3");
	answer(PG_FAILED);
	ck_assert_str_eq(run(), "DFT^P03 accepted 2; ADT^A08 accepted 1; 1-3 ");
	good("DFT^P03", "4");
	answer(PG_LOST);
	ck_assert_str_eq(run(), "DFT^P03 accepted 1; 1-4 ");
	answer(PG_DONE);
	good("DFT^P03", "5");
	db.away = true;
	ck_assert_str_eq(run(), "");
	ck_assert(counts_pending(&core));
	good("DFT^P03", "6");
	db.away = false;
	ck_assert_str_eq(run(), "DFT^P03 accepted 2; 5-6 ");
	answer(PG_DONE);
}
END_TEST

START_TEST(test_sequence_numbers)
{
	static const char *const numbers[] = {"007", "8", "8", "9", "12", "11", "-1", "x", "", "1234567890123456", "13 "};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		good("DFT^P03", numbers[i]);
	ck_assert_str_eq(run(), "DFT^P03 accepted 11; 7-9 11-12 ");
	answer(PG_DONE);
	for (int i = 0; i < 3000; i++) {	/* by turns over two connections, one of them ahead */
		char text[16];
		snprintf(text, sizeof(text), "%d", 101 + (i % 2 == 0 ? i : i - 100 > 0 ? i - 100 : 0));
		good("DFT^P03", text);
	}
	ck_assert_ptr_nonnull(strstr(run(), "3099-3099 "));
	ck_assert_uint_lt(db.ranges, 60);
	answer(PG_DONE);
	ck_assert(!counts_pending(&core));
}
END_TEST

static void
every_other(int from, int n)
{
	for (int i = 0; i < n; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", from + i * 2);
		good("DFT^P03", text);
	}
}

/* As many ranges as there is room for; of what is beyond it is not known whether it came. */
START_TEST(test_ranges_have_a_bound)
{
	every_other(100, 1024);
	ck_assert_ptr_null(strchr(run(), '?'));
	ck_assert_uint_eq(db.ranges, 1024);
	every_other(2148, 10);		/* while the call is under way */
	answer(PG_LOST);
	ck_assert_ptr_nonnull(strstr(run(), "2144-2144 2146-2166?10 "));
	ck_assert_uint_eq(db.ranges, 1024);
	answer(PG_DONE);
	ck_assert(!counts_pending(&core));
}
END_TEST

START_TEST(test_counting_anew_keeps_its_order)
{
	static const char *const numbers[] = {"900", "901", "1", "2", "20000", "5", "4"};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		good("DFT^P03", numbers[i]);
	ck_assert_str_eq(run(), "DFT^P03 accepted 7; 900-901 1-2 20000-20000 4-5 ");
	answer(PG_DONE);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("counts");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_by_type_and_outcome);
	tcase_add_test(run.tcase, test_names_that_nobody_knows);
	tcase_add_test(run.tcase, test_the_first_reason);
	tcase_add_test(run.tcase, test_payments_by_patient_are_apart);
	tcase_add_test(run.tcase, test_too_many_kinds);
	tcase_add_test(run.tcase, test_warned_lines);
	tcase_add_test(run.tcase, test_told_once);
	tcase_add_test(run.tcase, test_sequence_numbers);
	tcase_add_test(run.tcase, test_ranges_have_a_bound);
	tcase_add_test(run.tcase, test_counting_anew_keeps_its_order);
	return check_end(run);
}
