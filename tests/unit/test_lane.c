/* daemon/db/lane.h over connections to no database: what is sent when, what becomes of a batch that failed, and who is told what. */
#include "check_pg.h"

#include "db/lane.h"

enum { BATCH = 10, HOLD_US = 2000000, ANSWER_US = 2 * HOLD_US, LOG = 4000 };

/* Nobody else gives a batch up in these tests, unless one says so. */
static const struct pg_config config = {.answer_ms = ANSWER_US / 1000};

struct item {
	struct lane_item item;
	int number;
};

static struct event_base *base;
static struct lane *lane;
static struct pg *pg;
static char batch[LOG];		/* the last one that was sent: "1 2 3" */
static char told[LOG];		/* done, refused, unavailable, in the order in which it was said */
static const char *sent_when_done;	/* NULL, or what was in flight when a batch was done */
static int64_t took;

static void
note(char *log, const char *text)
{
	size_t used = strlen(log);

	ck_assert_uint_lt(used + strlen(text) + 2, LOG);
	snprintf(log + used, LOG - used, "%s%s", used > 0 ? " " : "", text);
}

static void
note_number(char *log, const char *before, const struct lane_item *i)
{
	char text[32];

	snprintf(text, sizeof(text), "%s%d", before, ((const struct item *)i)->number);
	note(log, text);
}

static int
send_batch(void *ctx, struct pg *to, struct lane_list *list)
{
	struct lane_item *i;

	ck_assert_ptr_eq(ctx, &base);
	batch[0] = '\0';
	STAILQ_FOREACH(i, list, link)
		note_number(batch, "", i);
	return pg_call(to, SQL_CHARGES_POST, NULL, 0, NULL, NULL);
}

static void
done(void *ctx, struct lane_list *list, int64_t took_us)
{
	struct lane_item *i;

	(void)ctx;
	took = took_us;
	sent_when_done = pg->done != NULL ? batch : NULL;
	while ((i = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		note_number(told, "", i);
		free(i);
	}
}

static void
failed(void *ctx, struct lane_item *i, enum lane_failure why, const char *message)
{
	(void)ctx;
	ck_assert_uint_gt(strlen(message), 0);
	note_number(told, why == LANE_REFUSED ? "refused:" : "unavailable:", i);
	free(i);
}

static unsigned slow_calls;

static void
slow(void *ctx)
{
	ck_assert_ptr_eq(ctx, &base);
	slow_calls++;
}

static const struct lane_ops ops = {send_batch, done, failed, slow};

static void
setup(void)
{
	static const struct lane_limits limits = {BATCH, HOLD_US};

	fake_begin();
	base = turn_base_new();
	batch[0] = told[0] = '\0';
	lane = lane_new(base, &config, "test", &limits, &ops, &base);
	pg = fake_pgs[0];
	fake_is_ready(pg, true);
}

static void
teardown(void)
{
	lane_free(lane);
	event_base_free(base);
}

static void
push_heavy(int number, uint64_t key, size_t weight)
{
	struct item *i = memory_new(sizeof(*i));

	i->number = number;
	i->item.key = key;
	i->item.weight = weight;
	lane_push(lane, &i->item);
}

/* Each of a key of its own. */
static void
push(int first, int last)
{
	for (int n = first; n <= last; n++)
		push_heavy(n, (uint64_t)n, 1);
}

static bool
is_brief(void)
{
	return pg->n_calls > 0 && pg->calls[0].statement == SQL_LOCK_BRIEFLY;
}

/* In flight now: these; "": nothing. */
static void
expect_sent(const char *items)
{
	fake_turns(base);
	ck_assert_str_eq(pg->done != NULL ? batch : "", items);
}

static void
commits(void)
{
	fake_commits(pg, NULL);
	fake_turns(base);
}

static void
fails(const char *sqlstate)
{
	fake_fails(pg, sqlstate);
	fake_turns(base);
}

/* Is the item in the batch in flight? */
static bool
has(int number)
{
	char text[LOG + 2], word[16];

	snprintf(text, sizeof(text), " %s ", batch);
	snprintf(word, sizeof(word), " %d ", number);
	return strstr(text, word) != NULL;
}

/* Batches with this item fail, all others are done, until nothing is in flight. Returns how many were sent. */
static int
serve(int bad, const char *sqlstate)
{
	int n = 0;

	fake_turns(base);
	for (; pg->done != NULL; n++) {
		ck_assert_int_lt(n, 500);
		if (has(bad))
			fails(sqlstate);
		else
			commits();
	}
	return n;
}

/* The lane looks at its watch, and what is due is done. */
static void
watch(void)
{
	struct timeval once = {0, 120000};

	event_base_loopexit(base, &once);
	event_base_dispatch(base);
	fake_turns(base);
}

static void
passes(int64_t us)
{
	clock_set_for_tests(fake_now += us);
	watch();
}

/* ------- one batch in flight */

START_TEST(what_comes_meanwhile_is_the_next_batch)
{
	push(1, 1);
	ck_assert_ptr_null(pg->done);		/* not before the turn is over */
	expect_sent("1");
	push(2, 3);
	expect_sent("1");
	push(4, 4);
	expect_sent("1");
	commits();
	ck_assert_str_eq(told, "1");
	expect_sent("2 3 4");
	commits();
	ck_assert_str_eq(told, "1 2 3 4");
	expect_sent("");
	ck_assert_uint_eq(lane_weight(lane), 0);
	ck_assert_uint_eq(pg->segments, 2);
}
END_TEST

START_TEST(a_burst_is_one_batch)
{
	push(1, 9);
	expect_sent("1 2 3 4 5 6 7 8 9");
	ck_assert(!is_brief());
	ck_assert_uint_eq(lane_weight(lane), 9);
	fake_pass(base, 700);
	commits();
	ck_assert_int_eq(took, 700);
}
END_TEST

START_TEST(a_batch_has_its_weight)
{
	push_heavy(1, 1, 4);
	push_heavy(2, 2, 6);
	push_heavy(3, 3, 1);
	push_heavy(4, 4, 25);
	push_heavy(5, 5, 10);
	expect_sent("1 2");
	commits();
	expect_sent("3");
	commits();
	expect_sent("4");			/* heavier than a batch: alone */
	ck_assert_uint_eq(lane_weight(lane), 35);
	commits();
	expect_sent("5");
	commits();
	ck_assert_str_eq(told, "1 2 3 4 5");
}
END_TEST

/* The database works while we answer; a few wait for what the answers bring. */
START_TEST(much_is_sent_before_the_answers)
{
	push(1, 4);
	expect_sent("1 2 3 4");
	push(5, 6);
	fake_commits(pg, NULL);
	ck_assert_str_eq(told, "1 2 3 4");
	ck_assert_ptr_nonnull(sent_when_done);
	expect_sent("5 6");
	push(7, 7);
	commits();
	expect_sent("7");
	push(8, 8);
	commits();
	push(9, 11);
	expect_sent("8");
	commits();
	expect_sent("9 10 11");
	push(12, 12);
	fake_commits(pg, NULL);
	ck_assert_ptr_null(sent_when_done);	/* a third of what came back */
	expect_sent("12");
	commits();
}
END_TEST

START_TEST(nothing_is_sent_without_a_connection)
{
	fake_is_ready(pg, false);
	ck_assert(!lane_is_ready(lane));
	push(1, 2);
	expect_sent("");
	fake_is_ready(pg, true);
	ck_assert(lane_is_ready(lane));
	expect_sent("1 2");
	commits();
	ck_assert_str_eq(told, "1 2");
}
END_TEST

/* ------- the data of one */

START_TEST(the_one_is_found)
{
	char others[LOG] = "";

	push(1, 8);
	expect_sent("1 2 3 4 5 6 7 8");
	int n = serve(_i, "22003");
	ck_assert_int_le(n, 11);		/* by halves */
	for (int i = 1; i <= 8; i++) {
		char word[16];
		snprintf(word, sizeof(word), i == _i ? "refused:%d" : "%d", i);
		note(others, word);
	}
	ck_assert_str_eq(told, others);		/* in their order */
	ck_assert_uint_eq(lane_weight(lane), 0);
	push(21, 24);
	expect_sent("21 22 23 24");		/* and it is over */
	ck_assert(!is_brief());
	commits();
}
END_TEST

static const int places[] = {1, 2, 64, 127, 128, 129, 133, 200, 255, 256};

/* What is good is not sent one by one because of it: some batches, and not as many as there are lines. */
START_TEST(one_of_many_is_found)
{
	static const struct lane_limits many = {1000, HOLD_US};

	lane_free(lane);
	n_fake_pgs = 0;
	lane = lane_new(base, &config, "test", &many, &ops, &base);
	pg = fake_pgs[0];
	push(1, 256);
	fake_is_ready(pg, true);
	ck_assert_int_le(serve(places[_i], "22003"), 32);
	char refused[32];
	snprintf(refused, sizeof(refused), "refused:%d", places[_i]);
	ck_assert_ptr_nonnull(strstr(told, refused));
	ck_assert_uint_eq(lane_weight(lane), 0);
}
END_TEST

START_TEST(what_is_behind_the_failed_batch_is_not_taken_apart)
{
	push(1, 4);
	expect_sent("1 2 3 4");
	push(5, 8);
	fails("23514");
	expect_sent("1 2");
	commits();
	expect_sent("3 4");
	fails("23514");
	expect_sent("3");
	fails("23514");
	ck_assert_str_eq(told, "1 2 refused:3");
	expect_sent("4");
	commits();
	expect_sent("5 6 7 8");
	commits();
	ck_assert_str_eq(told, "1 2 refused:3 4 5 6 7 8");
}
END_TEST

static const char *const data_states[] = {"22003", "22P05", "22021", "23505", "23514", "54000", "P0001"};

START_TEST(data_is_refused_and_the_next_goes_on)
{
	push(1, 1);
	expect_sent("1");
	push(2, 2);
	fails(data_states[_i]);
	char expected[32];
	snprintf(expected, sizeof(expected), "refused:1");
	ck_assert_str_eq(told, expected);
	expect_sent("2");
	commits();
}
END_TEST

/* ------- what passes */

static const char *const passing[] = {
	"40001", "40P01", "55P03", "57014", "08006", "08003", "25006", "53100", "53200", "53300", "57P01", "57P03", "58030", "XX000", "42501",
};

/* Sent again, and never a verdict on what was sent. */
START_TEST(what_passes_is_no_verdict)
{
	push(1, 3);
	expect_sent("1 2 3");
	fails(passing[_i]);
	ck_assert_str_eq(told, "");
	for (int i = 0; i < 10 && lane_weight(lane) > 0; i++) {
		if (pg->done != NULL)
			commits();
		fake_pass(base, 100000);
	}
	ck_assert_str_eq(told, "1 2 3");
	push(4, 6);
	expect_sent("4 5 6");
	ck_assert(!is_brief());
	commits();
}
END_TEST

/* However long it lasts: who waited for too long is told so, and not that it was refused. */
START_TEST(what_does_not_pass_is_unavailable)
{
	push(1, 3);
	for (int64_t waited = 0; lane_weight(lane) > 0; waited += 50000) {
		ck_assert_int_lt(waited, 2 * HOLD_US);
		fake_turns(base);
		if (pg->done != NULL)
			fails(passing[_i]);
		fake_pass(base, 50000);
	}
	ck_assert_ptr_null(strstr(told, "refused"));
	ck_assert_uint_eq(strlen(told), strlen("unavailable:1 unavailable:2 unavailable:3"));
	push(4, 6);
	fake_pass(base, 1000000);
	expect_sent("4 5 6");
	commits();
	ck_assert_str_eq(told + strlen(told) - 5, "4 5 6");
}
END_TEST

/* The same batch, first, and with what has come meanwhile. */
START_TEST(a_deadlock_is_tried_at_once)
{
	push(1, 2);
	expect_sent("1 2");
	push(3, 3);
	fails("40P01");
	expect_sent("1 2 3");
	ck_assert(!is_brief());
	for (int i = 0; i < 19; i++) {
		ck_assert_ptr_nonnull(pg->done);
		fails("40P01");
	}
	ck_assert(!is_brief());
	expect_sent("1 2 3");
	fails("40P01");
	expect_sent("1");			/* again and again: each alone */
	ck_assert(is_brief());
	commits();
	expect_sent("2");
	commits();
	expect_sent("3");
	commits();
	push(4, 5);
	expect_sent("4 5");
	ck_assert(!is_brief());
	commits();
	ck_assert_str_eq(told, "1 2 3 4 5");
}
END_TEST

/* A server that cannot now is given time, more each time, up to a second. */
START_TEST(a_server_is_given_time)
{
	static const int64_t pauses[] = {100000, 200000, 400000, 800000, 1000000, 1000000};

	push(1, 1);
	expect_sent("1");
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		int64_t began = fake_now;
		fails("53100");
		while (fake_now - began < pauses[i] - 1000) {
			fake_pass(base, 1000);
			ck_assert_ptr_null(pg->done);
		}
		fake_pass(base, 1000);
		if (fake_now - began >= HOLD_US || pg->done == NULL)
			break;
		expect_sent("1");
	}
	ck_assert_int_ge(fake_now, INT64_C(1700000000) * 1000000 + HOLD_US);	/* the hold ended it */
	fake_pass(base, 1000000);
	ck_assert_str_eq(told, "unavailable:1");
	push(2, 2);
	expect_sent("2");
	commits();
	push(3, 3);
	expect_sent("3");
	fails("53100");				/* and it begins anew */
	fake_pass(base, 100000);
	expect_sent("3");
	commits();
}
END_TEST

/* A fault that nobody knows: a few times as it was, then each alone, and the one is found. */
START_TEST(a_fault_of_one)
{
	static const int64_t pauses[] = {0, 100000, 200000, 400000};

	push(1, 3);
	for (int i = 0; i < 4; i++) {
		fake_pass(base, pauses[i]);
		expect_sent("1 2 3");
		ck_assert(!is_brief());
		fails("XX000");
	}
	expect_sent("1");
	ck_assert(is_brief());
	commits();
	for (int i = 0; i < 4; i++) {
		fake_pass(base, pauses[i]);
		expect_sent("2");
		fails("XX000");
	}
	expect_sent("3");
	commits();
	ck_assert_str_eq(told, "1 3");
	fake_pass(base, 250000);
	expect_sent("2");
	ck_assert(is_brief());
	commits();
	ck_assert_str_eq(told, "1 3 2");
}
END_TEST

/* ------- who is stuck */

START_TEST(the_stuck_one_waits_alone)
{
	push(1, 4);
	expect_sent("1 2 3 4");
	fails("55P03");
	ck_assert(lane_is_slow(lane));
	expect_sent("1");
	ck_assert(is_brief());
	commits();
	expect_sent("2");
	fails("55P03");				/* it is this one */
	expect_sent("3");
	commits();
	expect_sent("4");
	commits();
	ck_assert_str_eq(told, "1 3 4");
	ck_assert(!lane_is_slow(lane));
	push(5, 7);
	expect_sent("5 6 7");			/* the others go on, together */
	ck_assert(!is_brief());
	push_heavy(8, 2, 1);			/* of the same visit as the stuck one: behind it */
	push(9, 9);
	commits();
	expect_sent("9");
	commits();
	ck_assert_str_eq(told, "1 3 4 5 6 7 9");
	ck_assert_uint_eq(lane_weight(lane), 2);
	expect_sent("");
	fake_pass(base, 240000);
	expect_sent("");			/* not all the time */
	fake_pass(base, 10000);
	expect_sent("2 8");			/* in their order */
	ck_assert(is_brief());
	push_heavy(10, 2, 1);			/* while it is tried */
	fails("55P03");
	expect_sent("");
	fake_pass(base, 250000);
	commits();
	ck_assert_str_eq(told, "1 3 4 5 6 7 9 2 8 10");
	ck_assert_uint_eq(lane_weight(lane), 0);
}
END_TEST

/* What of its visit had come before anybody knew that it is stuck waits behind it, too. */
START_TEST(what_was_queued_behind_the_stuck_one)
{
	push(1, 2);
	expect_sent("1 2");
	push_heavy(3, 2, 1);
	push(4, 4);
	push_heavy(5, 2, 1);
	fails("55P03");
	expect_sent("1");
	commits();
	expect_sent("2");
	fails("55P03");
	expect_sent("4");
	ck_assert(!is_brief());			/* nobody else is to be found */
	commits();
	expect_sent("");
	fake_pass(base, 250000);
	expect_sent("2 3 5");
	commits();
	ck_assert_str_eq(told, "1 4 2 3 5");
}
END_TEST

START_TEST(the_stuck_one_is_told_so)
{
	push(1, 2);
	expect_sent("1 2");
	fails("55P03");
	expect_sent("1");
	fails("55P03");
	expect_sent("2");
	commits();
	ck_assert_str_eq(told, "2");
	for (int i = 3; fake_now < INT64_C(1700000000) * 1000000 + HOLD_US; i++) {
		push(i, i);			/* the lane is not idle */
		serve(1, "55P03");
		fake_pass(base, 100000);
		serve(1, "55P03");
	}
	fake_pass(base, 1000);
	serve(1, "55P03");
	ck_assert_ptr_nonnull(strstr(told, "unavailable:1"));
	ck_assert_ptr_null(strstr(told, "refused"));
	ck_assert_uint_eq(lane_weight(lane), 0);
}
END_TEST

/* Two visits are locked: each is tried by itself, by turns. */
START_TEST(two_are_stuck)
{
	push(1, 2);
	expect_sent("1 2");
	fails("55P03");
	expect_sent("1");
	fails("55P03");
	expect_sent("2");
	fails("55P03");
	expect_sent("");
	fake_pass(base, 250000);
	expect_sent("1");
	fails("55P03");
	expect_sent("");
	fake_pass(base, 250000);
	expect_sent("2");
	commits();
	expect_sent("1");			/* where one could be done, the other may be, at once */
	commits();
	ck_assert_str_eq(told, "2 1");
}
END_TEST

/* What is set aside is one visit's: its items are told apart by the data, too. */
START_TEST(a_refused_one_among_the_stuck)
{
	push_heavy(1, 7, 1);
	expect_sent("1");
	fails("55P03");
	for (int i = 2; i <= 4; i++)
		push_heavy(i, 7, 1);
	expect_sent("");
	fake_pass(base, 250000);
	expect_sent("1 2 3 4");
	serve(3, "22003");
	for (int i = 0; i < 8 && lane_weight(lane) > 0; i++) {
		fake_pass(base, 250000);
		serve(3, "22003");
	}
	ck_assert_str_eq(told, "1 2 refused:3 4");
}
END_TEST

START_TEST(what_is_stuck_has_a_batch_its_weight)
{
	push_heavy(1, 7, 6);
	expect_sent("1");
	fails("55P03");
	push_heavy(2, 7, 6);
	push_heavy(3, 7, 4);
	fake_pass(base, 250000);
	expect_sent("1");
	commits();
	expect_sent("2 3");
	commits();
	ck_assert_str_eq(told, "1 2 3");
}
END_TEST

/* It was told to come again, and does: nobody waits with it for what is known. */
START_TEST(who_was_stuck_is_remembered)
{
	push(1, 2);
	expect_sent("1 2");
	fake_pass(base, 1000);
	fails("55P03");
	expect_sent("1");
	fails("55P03");
	expect_sent("2");
	commits();
	for (int i = 0; i < 12 && lane_weight(lane) > 0; i++) {
		fake_pass(base, HOLD_US / 8);
		serve(1, "55P03");
	}
	ck_assert_str_eq(told, "2 unavailable:1");
	ck_assert(lane_is_locked(lane, 1) && !lane_is_locked(lane, 2));
	ck_assert_int_ge(lane_locked_us(lane), HOLD_US);	/* also while it is not there */
	fake_pass(base, 30000000);
	push_heavy(11, 1, 1);			/* it comes again, and others with it */
	push(3, 4);
	expect_sent("11");
	ck_assert(is_brief());
	fails("55P03");
	expect_sent("3 4");
	ck_assert(!is_brief());
	commits();
	fake_pass(base, 250000);
	expect_sent("11");
	commits();
	ck_assert(!lane_is_locked(lane, 1));
	ck_assert_int_eq(lane_locked_us(lane), 0);
	push_heavy(21, 1, 1);
	push(5, 5);
	expect_sent("21 5");			/* as all others */
	commits();
	ck_assert_str_eq(told, "2 unavailable:1 3 4 11 21 5");
}
END_TEST

START_TEST(who_was_stuck_is_forgotten)
{
	push(1, 1);
	expect_sent("1");
	fails("55P03");
	fake_pass(base, HOLD_US + 1);
	ck_assert_str_eq(told, "unavailable:1");
	fake_pass(base, 60000000 - HOLD_US - 2);
	ck_assert(lane_is_locked(lane, 1));
	ck_assert_int_eq(lane_locked_us(lane), 60000000 - 1);
	fake_pass(base, 1);
	ck_assert(!lane_is_locked(lane, 1));
	ck_assert_int_eq(lane_locked_us(lane), 0);
}
END_TEST

/* As many as there is room for: whoever failed longest ago is forgotten first. */
START_TEST(only_so_many_are_remembered)
{
	for (int i = 1; i <= 65; i++) {
		push(i, i);
		fake_turns(base);
		while (pg->done != NULL)
			fails("55P03");
		fake_pass(base, 1);
	}
	ck_assert(!lane_is_locked(lane, 1));
	for (uint64_t key = 2; key <= 65; key++)
		ck_assert(lane_is_locked(lane, key));
	push(101, 101);
	expect_sent("101");
	commits();
	fake_pass(base, HOLD_US + 1);
	ck_assert_uint_eq(lane_weight(lane), 0);
}
END_TEST

/* What is queued after a slow batch can be taken elsewhere; what is left of a failed one is sent here. */
START_TEST(who_waits_after_a_slow_batch)
{
	slow_calls = 0;
	push(1, 1);
	expect_sent("1");
	passes(300001);
	ck_assert_uint_eq(slow_calls, 0);	/* nobody waits */
	push(2, 3);
	passes(1);
	ck_assert_uint_gt(slow_calls, 0);
	int64_t waited = lane_oldest(lane);
	struct lane_list queue = lane_take_queue(lane);
	ck_assert_uint_eq(lane_weight(lane), 1);
	struct lane_item *i;
	while ((i = STAILQ_FIRST(&queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&queue, link);
		fake_pass(base, 1000);
		lane_put(lane, i);
	}
	ck_assert_uint_eq(lane_weight(lane), 3);
	ck_assert_int_eq(lane_oldest(lane), waited + 2000);	/* it has waited all the time */
	commits();
	expect_sent("2 3");
	fails("55P03");
	expect_sent("2");
	push(4, 4);
	slow_calls = 0;
	passes(400000);
	ck_assert_uint_eq(slow_calls, 0);
	commits();
	expect_sent("3");
	commits();
	expect_sent("4");
	passes(300000);
	push(5, 5);
	ck_assert_uint_eq(slow_calls, 0);	/* not yet slow */
	commits();
	commits();
}
END_TEST

/* ------- a connection that breaks */

START_TEST(what_was_in_flight_is_sent_again_first)
{
	push(1, 3);
	expect_sent("1 2 3");
	push(4, 4);
	fake_loses(pg);
	expect_sent("");
	ck_assert_str_eq(told, "");		/* nobody knows */
	ck_assert_uint_eq(lane_weight(lane), 4);
	push(5, 5);
	fake_pass(base, 300000);
	expect_sent("");
	fake_is_ready(pg, true);
	expect_sent("1 2 3 4 5");
	commits();
	ck_assert_str_eq(told, "1 2 3 4 5");
}
END_TEST

START_TEST(what_is_stuck_survives_the_connection)
{
	push(1, 1);
	expect_sent("1");
	fails("55P03");
	fake_pass(base, 250000);
	expect_sent("1");
	push(2, 2);
	fake_loses(pg);
	fake_is_ready(pg, true);
	fake_pass(base, 250000);
	serve(0, "");
	ck_assert_uint_eq(lane_weight(lane), 0);
	ck_assert_ptr_null(strstr(told, "unavailable"));
}
END_TEST

START_TEST(nobody_waits_for_ever)
{
	push(1, 1);
	expect_sent("1");
	fake_loses(pg);
	fake_pass(base, HOLD_US / 2);
	push(2, 2);
	fake_turns(base);
	ck_assert_int_eq(lane_oldest(lane), HOLD_US / 2);
	struct timeval once = {0, 150000};	/* the lane looks by itself, also where no connection comes and nothing is pushed */
	clock_set_for_tests(fake_now += HOLD_US / 2 + 1);
	event_base_loopexit(base, &once);
	event_base_dispatch(base);
	ck_assert_str_eq(told, "unavailable:1");	/* and not who came later */
	ck_assert_uint_eq(lane_weight(lane), 1);
	fake_is_ready(pg, true);
	expect_sent("2");
	commits();
	ck_assert_str_eq(told, "unavailable:1 2");
}
END_TEST

/* A long queue that moves is no outage. */
START_TEST(who_waits_in_a_queue_that_moves_is_not_told)
{
	push(1, 40);
	for (int i = 0; i < 4; i++) {
		fake_turns(base);
		ck_assert_ptr_nonnull(pg->done);
		fake_pass(base, HOLD_US - 1000);
		commits();
	}
	ck_assert_ptr_null(strstr(told, "unavailable"));
	ck_assert_uint_eq(lane_weight(lane), 0);
}
END_TEST

/* ------- a server that does not answer */

/* Who waits behind a batch that does not come back is told at the hold, and not when it comes back. */
START_TEST(who_is_behind_a_stuck_batch_is_told)
{
	push(1, 1);
	expect_sent("1");
	passes(100000);
	push(2, 2);
	passes(HOLD_US / 2);
	push(3, 3);
	passes(HOLD_US / 2);
	ck_assert_str_eq(told, "");		/* to the moment */
	passes(1);
	ck_assert_str_eq(told, "unavailable:2");
	expect_sent("1");
	commits();
	expect_sent("3");
	commits();
	ck_assert_str_eq(told, "unavailable:2 1 3");
	ck_assert_uint_eq(lane_weight(lane), 0);
}
END_TEST

/* A batch that is no slower than usual is none that is stuck, however short the hold. */
START_TEST(without_a_hold_a_batch_is_waited_for)
{
	static const struct lane_limits none = {BATCH, 0};

	lane_free(lane);
	n_fake_pgs = 0;
	lane = lane_new(base, &config, "test", &none, &ops, &base);
	pg = fake_pgs[0];
	fake_is_ready(pg, true);
	push(1, 1);
	expect_sent("1");
	push(2, 2);
	passes(300000);
	ck_assert_str_eq(told, "");
	commits();
	expect_sent("2");
	commits();
	ck_assert_str_eq(told, "1 2");
}
END_TEST

/* hold and answer time as they come, 5 s each, here by the second. */
static void
setup_equal_times(void)
{
	static const struct lane_limits limits = {100, 5000000};
	static const struct pg_config brisk = {.answer_ms = 5000};

	lane_free(lane);
	n_fake_pgs = 0;
	lane = lane_new(base, &brisk, "test", &limits, &ops, &base);
	pg = fake_pgs[0];
	fake_is_ready(pg, true);
}

static void
reconnects(void)
{
	ck_assert(!lane_is_ready(lane));
	fake_is_ready(pg, true);
	fake_turns(base);
}

/* Commits hang. No try of a line takes longer than the hold, but for the second that a batch has at least. */
START_TEST(a_batch_after_one_that_was_given_up_has_less_time)
{
	setup_equal_times();
	push(1, 1);
	expect_sent("1");
	passes(2000000);
	push(2, 2);
	passes(3000000);
	expect_sent("1");
	passes(1);				/* its time is over */
	ck_assert_str_eq(told, "unavailable:1");
	reconnects();
	expect_sent("2");			/* it has waited for 3 s */
	passes(2000000 - 2);
	expect_sent("2");
	push(3, 3);
	passes(3);
	ck_assert_str_eq(told, "unavailable:1 unavailable:2");
	reconnects();
	expect_sent("3");
	passes(500000);
	commits();				/* it is over */
	ck_assert_str_eq(told, "unavailable:1 unavailable:2 3");
	push(4, 4);
	expect_sent("4");
	passes(1000);
	push(5, 5);
	passes(5000000 - 1000);
	expect_sent("4");			/* and a batch has all of its time again */
	passes(1);
	reconnects();
	expect_sent("5");
	passes(1000000);
	expect_sent("5");			/* a second at least */
	passes(1);
	ck_assert_str_eq(told, "unavailable:1 unavailable:2 3 unavailable:4 unavailable:5");
}
END_TEST

/* Given up again and again, only what has just come is sent: a server that takes 3 s a batch by now is found to be back. */
START_TEST(what_is_slow_is_not_given_up_for_ever)
{
	int n = 0;

	setup_equal_times();
	for (int ms = 0; ms < 12000; ms += 250) {	/* a line four times a second, and nothing is done */
		push(n + 1, n + 1);
		n++;
		passes(250000);
		if (!lane_is_ready(lane))
			reconnects();
		ck_assert_int_le(lane_oldest(lane), 6000000);
	}
	ck_assert_uint_gt(strlen(told), 0);
	told[0] = '\0';
	for (int ms = 0; ms < 9000; ms += 250) {
		push(n + 1, n + 1);
		n++;
		passes(250000);
		if (!lane_is_ready(lane))
			reconnects();
		if (pg->done != NULL && fake_now - pg->sent_at >= 3000000)
			commits();
		ck_assert_int_le(lane_oldest(lane), 6250000);	/* behind a batch, and in one */
	}
	fake_turns(base);
	ck_assert_str_ne(told, "");
	char last[32];
	snprintf(last, sizeof(last), " %d", n - 16);
	ck_assert_ptr_nonnull(strstr(told, last));
	for (; lane_weight(lane) > 0; fake_turns(base))
		if (pg->done != NULL)
			commits();
}
END_TEST

/* A connection that breaks by itself is no server that does not answer. */
START_TEST(what_breaks_soon_was_not_given_up)
{
	setup_equal_times();
	push(1, 1);
	expect_sent("1");
	fake_loses(pg);
	reconnects();
	passes(2000000);
	push(2, 2);
	passes(3000000);
	expect_sent("1");
	passes(1);
	ck_assert_str_eq(told, "unavailable:1");
	reconnects();
	commits();
	ck_assert_str_eq(told, "unavailable:1 2");
}
END_TEST

/* ------- since when nothing is done */

static void
expect_trouble(int64_t locked, int64_t stopped)
{
	ck_assert_int_eq(lane_locked_us(lane), locked);
	ck_assert_int_eq(lane_trouble(lane).lasts_us, stopped);
}

/* Since the first batch that failed was sent, until one is done. */
START_TEST(since_when_nothing_is_done)
{
	push(1, 1);
	expect_sent("1");
	expect_trouble(0, 0);
	fake_pass(base, 1000);
	fails("22003");				/* its own fault */
	expect_trouble(0, 0);
	push(2, 2);
	expect_sent("2");
	fake_pass(base, 1000);
	fails("53100");
	expect_trouble(0, 1000);
	ck_assert_str_eq(lane_trouble(lane).why, "the test says so");
	fake_pass(base, 400000);
	expect_trouble(0, 401000);
	ck_assert_int_eq(lane_trouble(lane).quiet_us, 400000);
	fails("55P03");
	expect_trouble(0, 401000);
	fake_pass(base, 250000);
	expect_sent("2");
	expect_trouble(250000, 651000);
	commits();
	expect_trouble(0, 0);
	ck_assert_str_eq(lane_trouble(lane).why, "");
}
END_TEST

START_TEST(nothing_is_done_without_a_connection)
{
	fake_is_ready(pg, false);
	push(1, 1);
	passes(HOLD_US + 1);
	ck_assert_str_eq(told, "unavailable:1");
	expect_trouble(0, HOLD_US);
	push(2, 2);
	passes(HOLD_US + 1);
	expect_trouble(0, 2 * HOLD_US + 1);
	passes(60000000);
	expect_trouble(0, 62000000 + HOLD_US + 1);
	passes(1);
	expect_trouble(0, 0);			/* nobody asks any more */
	push(3, 3);
	passes(HOLD_US + 1);
	expect_trouble(0, HOLD_US);		/* anew */
}
END_TEST

START_TEST(a_connection_that_breaks_does_nothing)
{
	push(1, 1);
	expect_sent("1");
	fake_pass(base, 5000);
	fake_loses(pg);
	expect_trouble(0, 5000);
	fake_is_ready(pg, true);
	expect_sent("1");
	commits();
	expect_trouble(0, 0);
}
END_TEST

/* ------- figures */

START_TEST(how_slow_it_is)
{
	ck_assert(!lane_is_slow(lane));
	ck_assert_int_eq(lane_oldest(lane), 0);
	push(1, 1);
	expect_sent("1");
	fake_pass(base, 300000);
	ck_assert(!lane_is_slow(lane));
	fake_pass(base, 1);
	ck_assert(lane_is_slow(lane));
	ck_assert_int_eq(lane_oldest(lane), 300001);
	push(2, 2);
	fake_pass(base, 1000);
	ck_assert_int_eq(lane_oldest(lane), 301001);
	commits();
	ck_assert(!lane_is_slow(lane));
	ck_assert_int_eq(lane_oldest(lane), 1000);
	expect_sent("2");
	commits();
	ck_assert_int_eq(lane_oldest(lane), 0);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("lane");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, what_comes_meanwhile_is_the_next_batch);
	tcase_add_test(run.tcase, a_burst_is_one_batch);
	tcase_add_test(run.tcase, a_batch_has_its_weight);
	tcase_add_test(run.tcase, much_is_sent_before_the_answers);
	tcase_add_test(run.tcase, nothing_is_sent_without_a_connection);
	tcase_add_loop_test(run.tcase, the_one_is_found, 1, 9);
	check_add_rows(run, one_of_many_is_found, places);
	tcase_add_test(run.tcase, what_is_behind_the_failed_batch_is_not_taken_apart);
	check_add_rows(run, data_is_refused_and_the_next_goes_on, data_states);
	check_add_rows(run, what_passes_is_no_verdict, passing);
	check_add_rows(run, what_does_not_pass_is_unavailable, passing);
	tcase_add_test(run.tcase, a_deadlock_is_tried_at_once);
	tcase_add_test(run.tcase, a_server_is_given_time);
	tcase_add_test(run.tcase, a_fault_of_one);
	tcase_add_test(run.tcase, the_stuck_one_waits_alone);
	tcase_add_test(run.tcase, what_was_queued_behind_the_stuck_one);
	tcase_add_test(run.tcase, the_stuck_one_is_told_so);
	tcase_add_test(run.tcase, two_are_stuck);
	tcase_add_test(run.tcase, a_refused_one_among_the_stuck);
	tcase_add_test(run.tcase, what_is_stuck_has_a_batch_its_weight);
	tcase_add_test(run.tcase, who_was_stuck_is_remembered);
	tcase_add_test(run.tcase, who_was_stuck_is_forgotten);
	tcase_add_test(run.tcase, only_so_many_are_remembered);
	tcase_add_test(run.tcase, who_waits_after_a_slow_batch);
	tcase_add_test(run.tcase, what_was_in_flight_is_sent_again_first);
	tcase_add_test(run.tcase, what_is_stuck_survives_the_connection);
	tcase_add_test(run.tcase, nobody_waits_for_ever);
	tcase_add_test(run.tcase, who_waits_in_a_queue_that_moves_is_not_told);
	tcase_add_test(run.tcase, who_is_behind_a_stuck_batch_is_told);
	tcase_add_test(run.tcase, without_a_hold_a_batch_is_waited_for);
	tcase_add_test(run.tcase, a_batch_after_one_that_was_given_up_has_less_time);
	tcase_add_test(run.tcase, what_is_slow_is_not_given_up_for_ever);
	tcase_add_test(run.tcase, what_breaks_soon_was_not_given_up);
	tcase_add_test(run.tcase, since_when_nothing_is_done);
	tcase_add_test(run.tcase, nothing_is_done_without_a_connection);
	tcase_add_test(run.tcase, a_connection_that_breaks_does_nothing);
	tcase_add_test(run.tcase, how_slow_it_is);
	return check_end(run);
}
