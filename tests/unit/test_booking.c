/* daemon/intake/booking.h over two connections to no database: which lane a part goes to, when a message is told, and what it is told. */
#include "check_booking.h"

#include "core/core.h"
#include "intake/outcomes.h"

enum { LANES = 2, BATCH_LINES = 8, HOLD_MS = 2000 };

static struct config settings;
static struct core core;
static struct booking *b;
static unsigned progress;
static struct message *m;

static void
count_progress(void *arg)
{
	++*(unsigned *)arg;
}

static void
begin(int lanes)
{
	settings.database.lanes = lanes;
	settings.database.batch_lines = BATCH_LINES;
	settings.database.hold_ms = HOLD_MS;
	core.config = &settings;
	b = booking_new(&core);
	booking_on_progress(b, count_progress, &progress);
	for (int i = 0; i < n_fake_pgs; i++)
		fake_is_ready(fake_pgs[i], true);
}

static void
setup(void)
{
	fake_begin();
	memset(&core, 0, sizeof(core));
	core.database.answer_ms = 60000;	/* nobody gives a batch up by himself */
	core.base = turn_base_new();
	core.metrics = metrics_new();
	core.shared.turn = turn_new(core.base, core.metrics);
	feed.lines_posted = metrics_series(core.metrics, "visitbill_lines_total", METRIC_COUNTER, "", "feed=\"clinic\",outcome=\"posted\"");
	finished[0] = '\0';
	verdicts = NULL;
	numbers_said = NULL;
	progress = 0;
	begin(LANES);
	m = message_new("M1");
}

static void
teardown(void)
{
	message_free(m);
	booking_free(b);
	turn_free(core.shared.turn);
	event_base_free(core.base);
	metrics_free(core.metrics);
}

static void
turns(void)
{
	fake_turns(core.base);
}

static void
submit(struct message *message)
{
	unsigned before = message->done;

	booking_submit(b, &message->job);
	ck_assert_uint_eq(message->done, before);	/* never from inside */
}

/* In flight on the lane; "": nothing. */
static void
expect_on(int lane, const char *says)
{
	turns();
	ck_assert_str_eq(fake_pgs[lane]->done != NULL ? segment_of(fake_pgs[lane]) : "", says);
}

static void
commit(int lane)
{
	turns();
	fake_commits(fake_pgs[lane], answer);
	turns();
}

static void
fail_on(int lane, const char *sqlstate)
{
	fake_fails(fake_pgs[lane], sqlstate);
	turns();
}

static void
expect_done(const struct message *message, enum booking_result result)
{
	ck_assert_uint_eq(message->done, 1);
	ck_assert_int_eq(message->result, result);
}

static int64_t
counted(const char *outcome)
{
	char labels[80];

	snprintf(labels, sizeof(labels), "feed=\"clinic\",outcome=\"%s\"", outcome);
	return metric_value(metrics_series(core.metrics, "visitbill_lines_total", METRIC_COUNTER, "", labels));
}

/* ------- one message */

START_TEST(told_once_it_is_committed)
{
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2");
	submit(m);
	ck_assert_uint_eq(booking_weight(b), 2);
	expect_on(0, "charges[A1,A2]");
	fake_pass(core.base, 5000);
	ck_assert_int_eq(booking_oldest(b), 5000);
	ck_assert_uint_eq(m->done, 0);
	ck_assert_uint_eq(progress, 0);
	commit(0);
	expect_done(m, BOOKING_DONE);
	ck_assert_uint_eq(progress, 1);
	ck_assert_uint_eq(booking_weight(b), 0);
	ck_assert_int_eq(booking_oldest(b), 0);
	ck_assert_int_eq(m->lines[1].outcome, OUTCOME_POSTED);
	ck_assert_ptr_null(m->lines[1].refused.reason);
	ck_assert_int_eq(counted("posted"), 2);
	expect_on(0, "");
}
END_TEST

/* One visit on each lane: the message is told when both have answered, in whichever order. */
START_TEST(a_message_over_two_lanes)
{
	struct message *other = message_new("M0");

	message_line(other, "V0", "Z1");
	message_line(other, "V0", "Z2");
	submit(other);				/* the first lane has its fill */
	expect_on(0, "charges[Z1,Z2]");
	message_line(m, "V0", "A1");
	message_line(m, "V1", "B1");
	message_line(m, "V1", "B2");
	submit(m);
	expect_on(1, "charges[B1,B2]");
	if (_i == 0) {
		commit(0);
		expect_on(0, "one[A1]");
		commit(0);
		ck_assert_uint_eq(m->done, 0);
		commit(1);
	} else {
		commit(1);
		ck_assert_uint_eq(m->done, 0);
		commit(0);
		expect_on(0, "one[A1]");
		ck_assert_uint_eq(m->done, 0);
		commit(0);
	}
	expect_done(m, BOOKING_DONE);
	ck_assert_str_eq(finished, "M0 M1");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(m->lines[i].outcome, OUTCOME_POSTED);
	message_free(other);
}
END_TEST

/* While something of a visit is in work, all of it goes the same way, however full that is. */
START_TEST(a_visit_keeps_its_lane)
{
	struct message *more[4];

	for (int i = 0; i < 4; i++)
		more[i] = message_new("more");
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2");
	submit(m);
	expect_on(0, "charges[A1,A2]");
	message_line(more[0], "V1", "A3");
	message_line(more[1], "V2", "B1");
	message_event(more[2], EVENT_DISCHARGE, "V1");
	message_line(more[3], "V1", "A4");
	for (int i = 0; i < 4; i++)
		submit(more[i]);
	expect_on(1, "one[B1]");		/* another visit has the other lane */
	commit(0);
	expect_on(0, "hold[V1,V1,V1] one[A3] events[discharge:V1] one[A4]");
	commit(0);
	commit(1);
	for (int i = 0; i < 4; i++) {
		expect_done(more[i], BOOKING_DONE);
		message_free(more[i]);
	}
}
END_TEST

/* And then it is free to go any way. */
START_TEST(a_visit_moves_when_nothing_of_it_is_in_work)
{
	struct message *other = message_new("M0"), *again = message_new("M2");

	message_line(other, "V0", "Z1");
	message_line(other, "V0", "Z2");
	submit(other);
	message_line(m, "V1", "A1");
	submit(m);
	expect_on(1, "one[A1]");
	commit(0);
	commit(1);
	message_line(again, "V1", "A2");
	submit(again);
	expect_on(0, "one[A2]");
	fail_on(0, "22003");			/* nor does one that failed stay */
	expect_on(0, "park[internal]");
	commit(0);
	expect_done(again, BOOKING_DONE);
	message_free(other);
	message_free(again);
}
END_TEST

START_TEST(events_before_lines)
{
	message_event(m, EVENT_OPEN, "V1");
	message_line(m, "V1", "A1");
	submit(m);
	ck_assert_uint_eq(booking_weight(b), 2);
	expect_on(0, "hold[V1,V1] events[open:V1] one[A1]");
	commit(0);
	expect_done(m, BOOKING_DONE);
}
END_TEST

START_TEST(nothing_to_book_is_told_from_the_loop)
{
	struct message *second = message_new("M2");

	submit(m);
	submit(second);
	ck_assert_uint_eq(booking_weight(b), 2);
	turns();
	expect_done(m, BOOKING_DONE);
	expect_done(second, BOOKING_DONE);
	ck_assert_str_eq(finished, "M1 M2");
	ck_assert_uint_eq(booking_weight(b), 0);
	expect_on(0, "");
	message_free(second);
}
END_TEST

/* ------- what is refused */

START_TEST(what_is_refused_is_kept_before_it_is_told)
{
	static const struct verdict said[] = {{"A2", "conflict"}, {"A3", "duplicate"}, {"A4", "held"}, {"A5", "late"}, {"A6", "price_unknown"}, {NULL, NULL}};
	static const char *const sources[] = {"A1", "A2", "A3", "A4", "A5", "A6"};

	verdicts = said;
	for (int i = 0; i < 6; i++)
		message_line(m, "V1", sources[i])->code = VIEW_LITERAL("X7");
	submit(m);
	commit(0);
	ck_assert_uint_eq(m->done, 0);
	expect_on(0, "park[conflict,original_unknown,price_unknown]");
	ck_assert_str_eq(fake_text(&fake_pgs[0]->calls[0], 4), "2,4,6");
	commit(0);
	expect_done(m, BOOKING_DONE);
	ck_assert_ptr_null(m->lines[0].refused.reason);
	ck_assert_str_eq(m->lines[1].refused.reason, "conflict");
	ck_assert_ptr_null(m->lines[2].refused.reason);
	ck_assert_str_eq(m->lines[3].refused.reason, "held");
	ck_assert_ptr_null(m->lines[4].refused.reason);
	ck_assert_ptr_nonnull(strstr(m->lines[5].refused.detail, "X7"));
	static const bool fine[] = {true, false, true, true, true, false};
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(charge_line_is_fine(&m->lines[i]), fine[i]);
	ck_assert_int_eq(counted("posted"), 1);
	ck_assert_int_eq(counted("conflict"), 1);
	ck_assert_int_eq(counted("duplicate"), 1);
	ck_assert_int_eq(counted("held"), 1);
	ck_assert_int_eq(counted("late"), 1);
}
END_TEST

START_TEST(a_line_that_is_refused_before)
{
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2")->refused = (struct refusal){"currency", "USD", "FT1^2^11"};
	message_line(m, "V2", "B1")->refused = (struct refusal){"currency", "USD", "FT1^3^11"};
	submit(m);
	expect_on(0, "one[A1]");
	commit(0);
	expect_on(0, "park[currency,currency]");
	commit(0);
	expect_done(m, BOOKING_DONE);
}
END_TEST

START_TEST(a_message_that_is_refused)
{
	m->job.intake.refused = (struct refusal){"not_hl7", "no header", NULL};
	message_event(m, EVENT_OPEN, "V1");
	submit(m);
	expect_on(0, "park[not_hl7]");		/* and no event of it */
	ck_assert_uint_eq(m->done, 0);
	commit(0);
	expect_done(m, BOOKING_DONE);
}
END_TEST

START_TEST(an_event_that_is_refused)
{
	static const struct verdict said[] = {{"V2", "visit_closed"}, {"V3", "visit_unknown"}, {NULL, NULL}};

	verdicts = said;
	message_event(m, EVENT_UPDATE, "V1");
	message_event(m, EVENT_CANCEL, "V2");
	message_event(m, EVENT_CANCEL, "V3");
	submit(m);
	commit(0);
	commit(1);
	ck_assert_str_eq(m->job.intake.refused.reason, "visit_closed");		/* the first that is known */
	ck_assert_str_eq(m->job.intake.refused.location, "PV1^1^19");
	expect_on(0, "park[visit_closed]");
	commit(0);
	expect_done(m, BOOKING_DONE);
}
END_TEST

START_TEST(an_entry_that_is_refused)
{
	static const struct verdict said[] = {{"item1", "item_incomplete"}, {NULL, NULL}};

	verdicts = said;
	message_item(m, "X");
	message_item(m, "Y");
	submit(m);
	ck_assert_uint_eq(booking_weight(b), 2);
	expect_on(0, "items");
	commit(0);
	expect_on(0, "park[item_incomplete]");
	commit(0);
	expect_done(m, BOOKING_DONE);
	ck_assert_str_eq(m->job.intake.refused.reason, "item_incomplete");
}
END_TEST

START_TEST(what_cannot_be_kept_is_not_acknowledged)
{
	static const struct verdict said[] = {{"A1", "conflict"}, {NULL, NULL}};

	verdicts = said;
	message_line(m, "V1", "A1");
	submit(m);
	commit(0);
	expect_on(0, "park[conflict]");
	fail_on(0, "22021");
	expect_done(m, BOOKING_UNAVAILABLE);
	ck_assert_int_eq(counted("conflict"), 0);
}
END_TEST

/* Of which the database said nothing, nothing is promised. */
START_TEST(a_line_without_an_outcome)
{
	static const struct verdict said[] = {{"A1", "late"}, {"A2", "}"}, {NULL, NULL}};

	verdicts = said;
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2");
	submit(m);
	commit(0);
	expect_on(0, "park[internal]");
	commit(0);
	ck_assert_ptr_null(m->lines[0].refused.reason);
	ck_assert_str_eq(m->lines[1].refused.reason, "internal");
	ck_assert(!charge_line_is_fine(&m->lines[1]));
}
END_TEST

START_TEST(an_event_without_an_outcome)
{
	static const struct verdict said[] = {{"V2", "}"}, {NULL, NULL}};

	verdicts = said;
	message_event(m, EVENT_OPEN, "V1");
	message_event(m, EVENT_OPEN, "V2");
	submit(m);
	commit(0);
	expect_on(0, "park[internal]");
	commit(0);
	ck_assert_str_eq(m->job.intake.refused.reason, "internal");
}
END_TEST

/* ------- replays */

START_TEST(a_replay_is_kept_already)
{
	static const struct verdict said[] = {{"A1", "conflict"}, {NULL, NULL}};

	verdicts = said;
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2")->quantity = INT64_C(1000) * 10000 * 10000;
	m->job.replay = true;
	submit(m);
	expect_on(0, "charges[A1,A2]");		/* what is implausible is released by it */
	commit(0);
	expect_done(m, BOOKING_DONE);
	expect_on(0, "");
	ck_assert_str_eq(m->lines[0].refused.reason, "conflict");
	ck_assert_int_eq(m->lines[1].outcome, OUTCOME_POSTED);
	ck_assert_int_eq(counted("conflict"), 0);	/* it was counted when it came */
	ck_assert_int_eq(counted("posted"), 0);
}
END_TEST

START_TEST(what_is_implausible_is_kept)
{
	static const struct { int64_t quantity, amount; bool refused; } lines[] = {
		{10000 * 1000, 100, false}, {10000 * 1001, 100, true}, {-10000 * 1001, 100, true}, {10000, 100000000, false}, {10000, 100000001, true},
		{10000, -100000001, true},
	};
	static const char *const sources[] = {"A1", "A2", "A3", "A4", "A5", "A6"};

	for (int i = 0; i < 6; i++) {
		struct charge_line *l = message_line(m, "V1", sources[i]);
		l->quantity = lines[i].quantity;
		l->amount = lines[i].amount;
	}
	submit(m);
	expect_on(0, "charges[A1,A4]");
	commit(0);
	expect_on(0, "park[implausible,implausible,implausible,implausible]");
	commit(0);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(m->lines[i].refused.reason != NULL, lines[i].refused);
	ck_assert_ptr_nonnull(strstr(m->lines[1].refused.detail, "quantity"));
	ck_assert_ptr_nonnull(strstr(m->lines[4].refused.detail, "amount"));
}
END_TEST

/* ------- a database that cannot */

START_TEST(a_connection_that_breaks)
{
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2");
	submit(m);
	expect_on(0, "charges[A1,A2]");
	fake_loses(fake_pgs[0]);
	turns();
	ck_assert_uint_eq(m->done, 0);
	ck_assert(booking_is_available(b));		/* by the other lane */
	fake_loses(fake_pgs[1]);
	ck_assert(!booking_is_available(b));
	fake_is_ready(fake_pgs[0], true);
	ck_assert(booking_is_available(b));
	expect_on(0, "charges[A1,A2]");
	static const struct verdict said[] = {{"A1", "duplicate"}, {"A2", "duplicate"}, {NULL, NULL}};
	verdicts = said;			/* it had been committed */
	commit(0);
	expect_done(m, BOOKING_DONE);
}
END_TEST

/* Part of it was booked: all of it is sent again, and told once. */
START_TEST(one_lane_is_away)
{
	struct message *other = message_new("M0");

	message_line(other, "V0", "Z1");
	message_line(other, "V0", "Z2");
	submit(other);
	message_line(m, "V1", "A1");
	message_line(m, "V2", "B1");
	submit(m);
	turns();
	fake_loses(fake_pgs[0]);
	while (fake_pgs[1]->done != NULL)
		commit(1);
	ck_assert_uint_eq(other->done + m->done, m->done);
	for (int i = 0; i < 5 && other->done == 0; i++) {
		fake_pass(core.base, INT64_C(1000) * HOLD_MS / 2);
		struct timeval watched = {0, 120000};
		event_base_loopexit(core.base, &watched);
		event_base_dispatch(core.base);
	}
	expect_done(other, BOOKING_UNAVAILABLE);
	ck_assert_uint_eq(m->done, 1);
	ck_assert_int_eq(counted("posted"), m->result == BOOKING_DONE ? 2 : 0);
	ck_assert_uint_eq(booking_weight(b), 0);
	message_free(other);
}
END_TEST

/* What waits on the lane that is away takes the whole message with it, though the other part is booked, and nothing is kept in quarantine of it. */
START_TEST(half_a_message_is_unavailable)
{
	static const struct verdict said[] = {{"B1", "conflict"}, {NULL, NULL}};

	verdicts = said;
	struct message *other = message_new("M0");
	message_line(other, "V1", "Z1");
	message_line(other, "V1", "Z2");
	submit(other);
	expect_on(0, "charges[Z1,Z2]");
	message_line(m, "V1", "A1");
	message_line(m, "V2", "B1");
	submit(m);
	expect_on(1, "one[B1]");
	fake_loses(fake_pgs[0]);
	commit(1);
	ck_assert_uint_eq(m->done, 0);
	clock_set_for_tests(fake_now += INT64_C(1000) * HOLD_MS + 1);
	struct timeval watched = {0, 250000};
	event_base_loopexit(core.base, &watched);
	event_base_dispatch(core.base);
	expect_done(m, BOOKING_UNAVAILABLE);
	expect_done(other, BOOKING_UNAVAILABLE);
	expect_on(1, "");
	ck_assert_uint_eq(booking_weight(b), 0);
	ck_assert_int_eq(counted("conflict"), 0);
	fake_is_ready(fake_pgs[0], true);
	struct message *again = message_new("M2");	/* the visit's lane is free again */
	message_line(again, "V1", "A1");
	submit(again);
	expect_on(0, "one[A1]");
	commit(0);
	expect_done(again, BOOKING_DONE);
	message_free(again);
	message_free(other);
}
END_TEST

/* What the database refuses for its data is found, kept and told; who was in the batch with it goes on. */
START_TEST(a_part_that_the_database_refuses)
{
	struct message *neighbour = message_new("M2");

	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2")->refused.reason = "currency";
	message_event(m, EVENT_UPDATE, "V3");
	message_line(neighbour, "V2", "B1");
	submit(m);
	submit(neighbour);
	turns();
	for (int i = 0; i < 20 && neighbour->done + m->done < 2; i++) {
		for (int lane = 0; lane < LANES; lane++)
			if (fake_pgs[lane]->done != NULL) {
				const char *says = segment_of(fake_pgs[lane]);
				bool is_bad = strstr(says, "A1") != NULL && strstr(says, "park") == NULL;
				if (is_bad)
					fail_on(lane, "22003");
				else
					commit(lane);
			}
	}
	expect_done(neighbour, BOOKING_DONE);
	expect_done(m, BOOKING_DONE);
	ck_assert_int_eq(neighbour->lines[0].outcome, OUTCOME_POSTED);
	ck_assert_str_eq(m->lines[0].refused.reason, "internal");
	ck_assert_str_eq(m->lines[1].refused.reason, "currency");
	ck_assert_int_eq(m->events[0].outcome, OUTCOME_DONE);
	message_free(neighbour);
}
END_TEST

START_TEST(an_event_that_the_database_refuses)
{
	message_event(m, EVENT_UPDATE, "V3");
	submit(m);
	expect_on(0, "events[update:V3]");
	fail_on(0, "22003");
	expect_on(0, "park[internal]");
	commit(0);
	expect_done(m, BOOKING_DONE);
	ck_assert_str_eq(m->job.intake.refused.reason, "internal");
}
END_TEST

START_TEST(what_passes_is_no_refusal)
{
	message_line(m, "V1", "A1");
	submit(m);
	expect_on(0, "one[A1]");
	fail_on(0, "53100");
	ck_assert_uint_eq(m->done, 0);
	fake_pass(core.base, 100000);
	expect_on(0, "one[A1]");
	commit(0);
	expect_done(m, BOOKING_DONE);
	ck_assert_int_eq(m->lines[0].outcome, OUTCOME_POSTED);
}
END_TEST

/* ------- nothing is booked */

/* For longer than the hold, while whoever asks is told to come again: the gauge grows, and it is said why. */
START_TEST(a_database_that_books_nothing)
{
	enum { STEP_MS = 100, EACH_MS = 3000 };
	int64_t began = 0, waits = 0;

	for (int round = 0; round < 3; round++) {
		struct message *each = message_new("M");
		message_line(each, "V1", "A1");
		submit(each);
		turns();
		if (began == 0)
			began = fake_now;
		for (int ms = 0; ms < EACH_MS; ms += STEP_MS) {
			if (fake_pgs[0]->done != NULL)
				fail_on(0, "53100");
			ck_assert_int_ge(booking_oldest(b), waits);	/* it never falls */
			waits = booking_oldest(b);
			ck_assert_int_eq(booking_is_stopped(b) != NULL, fake_now - began > HOLD_MS * INT64_C(1000));
			fake_pass(core.base, STEP_MS * INT64_C(1000));
		}
		expect_done(each, BOOKING_UNAVAILABLE);
		message_free(each);
	}
	ck_assert_str_eq(booking_is_stopped(b), "the test says so");
	ck_assert_int_ge(waits, INT64_C(2000) * EACH_MS);
	message_line(m, "V2", "B1");
	submit(m);
	commit(0);
	expect_done(m, BOOKING_DONE);
	ck_assert_ptr_null(booking_is_stopped(b));
	ck_assert_int_eq(booking_oldest(b), 0);
}
END_TEST

/* The gauge remembers for a minute; whether it would book by now nobody knows once it was not asked for twice the hold. */
START_TEST(a_database_that_nobody_asks)
{
	message_line(m, "V1", "A1");
	submit(m);
	turns();
	fail_on(0, "53100");
	ck_assert_ptr_null(booking_is_stopped(b));
	fake_pass(core.base, INT64_C(2000) * HOLD_MS);		/* it is tried once more and given back */
	if (fake_pgs[0]->done != NULL)
		fail_on(0, "53100");
	fake_pass(core.base, INT64_C(1000) * HOLD_MS);
	if (fake_pgs[0]->done != NULL)
		fail_on(0, "53100");
	expect_done(m, BOOKING_UNAVAILABLE);
	fake_pass(core.base, INT64_C(2000) * HOLD_MS + 1);
	ck_assert_ptr_null(booking_is_stopped(b));
	ck_assert_int_gt(booking_oldest(b), 0);
	fake_pass(core.base, 60000001);
	ck_assert_int_eq(booking_oldest(b), 0);
}
END_TEST

/* Somebody else has its visit: it grows old, and nothing is wrong with the database. */
START_TEST(a_visit_that_is_locked_stops_nobody)
{
	message_line(m, "V1", "A1");
	submit(m);
	turns();
	for (int ms = 0; ms < 2 * HOLD_MS && m->done == 0; ms += 100) {
		if (fake_pgs[0]->done != NULL)
			fail_on(0, "55P03");
		fake_pass(core.base, 100000);
	}
	expect_done(m, BOOKING_UNAVAILABLE);
	ck_assert_int_ge(booking_oldest(b), INT64_C(1000) * HOLD_MS);
	ck_assert_ptr_null(booking_is_stopped(b));
}
END_TEST

/* ------- visits that lines name by their patient */

static struct charge_line *
line_by_patient(struct message *of, const char *patient_no, const char *source)
{
	struct charge_line *l = message_line(of, patient_no, source);

	of->visits[l->visit].number_kind = "patient/inpatient";
	of->visits[l->visit].location = "PID^1^3";
	return l;
}

static void
expect_asked(const char *number, const char *kind)
{
	expect_on(0, "charges[A1]");
	ck_assert_str_eq(fake_text(&fake_pgs[0]->calls[0], P_VISIT_NO), number);
	ck_assert_str_eq(fake_text(&fake_pgs[0]->calls[0], P_NUMBER_KIND), kind);
}

START_TEST(what_was_found_counts_once_it_is_committed)
{
	line_by_patient(m, "P1", "A1");
	submit(m);
	expect_asked("P1", "patient/inpatient");
	numbers_said = "V7";
	fake_answers(fake_pgs[0], answer);
	ck_assert_view(m->visits[0].visit_no, "P1");
	fail_on(0, "40001");			/* the commit is refused, and the visit may be another one by now */
	fake_pass(core.base, 100000);
	expect_asked("P1", "patient/inpatient");
	numbers_said = "V8";
	commit(0);
	expect_done(m, BOOKING_DONE);
	ck_assert_view(m->visits[0].visit_no, "V8");
	ck_assert_ptr_null(m->visits[0].number_kind);
	ck_assert_ptr_null(m->lines[0].refused.reason);
}
END_TEST

/* It was found, the connection broke, and then it is not there: what is kept in quarantine names no visit. */
START_TEST(what_was_found_and_is_not_there_any_more)
{
	static const struct verdict said[] = {{"A1", "visit_ambiguous"}, {NULL, NULL}};

	line_by_patient(m, "P1", "A1");
	submit(m);
	expect_asked("P1", "patient/inpatient");
	numbers_said = "V7";
	fake_answers(fake_pgs[0], answer);
	fake_loses(fake_pgs[0]);
	fake_is_ready(fake_pgs[0], true);
	expect_asked("P1", "patient/inpatient");
	numbers_said = "\t2";
	verdicts = said;
	commit(0);
	expect_on(0, "park[visit_ambiguous]");
	ck_assert_str_eq(fake_text(&fake_pgs[0]->calls[0], 6), "the patient has 2 open inpatient visits: say the visit's number");
	ck_assert_str_eq(fake_text(&fake_pgs[0]->calls[0], 9), "-");
	commit(0);
	expect_done(m, BOOKING_DONE);
	ck_assert_view(m->visits[0].visit_no, "P1");
}
END_TEST

/* Several were counted, and then it is one: a refusal of the line for another reason keeps its visit. */
START_TEST(what_was_not_found_and_is_there_now)
{
	static const struct verdict before[] = {{"A1", "visit_ambiguous"}, {NULL, NULL}}, after[] = {{"A1", "conflict"}, {NULL, NULL}};

	line_by_patient(m, "P1", "A1");
	submit(m);
	expect_asked("P1", "patient/inpatient");
	numbers_said = "\t2";
	verdicts = before;
	fake_answers(fake_pgs[0], answer);
	fail_on(0, "40001");
	fake_pass(core.base, 100000);
	expect_asked("P1", "patient/inpatient");
	numbers_said = "V7";
	verdicts = after;
	commit(0);
	expect_on(0, "park[conflict]");
	ck_assert_str_eq(fake_text(&fake_pgs[0]->calls[0], 9), "V7");
	commit(0);
	ck_assert_view(m->visits[0].visit_no, "V7");
}
END_TEST

/* ------- which lane */

START_TEST(little_work_is_together)
{
	struct message *all[4];

	for (int i = 0; i < 4; i++)
		all[i] = message_new("M");
	message_line(all[0], "V1", "A1");
	message_line(all[1], "V2", "B1");
	message_line(all[2], "V3", "C1");
	message_line(all[3], "V4", "D1");
	for (int i = 0; i < 4; i++)
		submit(all[i]);
	expect_on(0, "charges[A1,B1]");		/* until it holds a quarter of a batch; then the lighter one */
	expect_on(1, "charges[C1,D1]");
	commit(0);
	commit(1);
	for (int i = 0; i < 4; i++) {
		expect_done(all[i], BOOKING_DONE);
		message_free(all[i]);
	}
}
END_TEST

START_TEST(what_is_a_batch_by_itself_goes_last)
{
	static char sources[BATCH_LINES + 1][8];

	for (int i = 0; i <= BATCH_LINES; i++) {
		snprintf(sources[i], sizeof(sources[i]), "A%d", i);
		message_line(m, "V1", sources[i]);
	}
	submit(m);
	expect_on(0, "");
	ck_assert_ptr_nonnull(fake_pgs[1]->done);
	commit(1);
	expect_done(m, BOOKING_DONE);
}
END_TEST

START_TEST(who_comes_new_goes_around_a_slow_lane)
{
	struct message *next = message_new("M2"), *last = message_new("M3");

	message_line(m, "V1", "A1");
	submit(m);
	expect_on(0, "one[A1]");
	fake_pass(core.base, 400000);
	message_line(next, "V2", "B1");
	submit(next);
	expect_on(1, "one[B1]");
	fake_pass(core.base, 400000);		/* both are slow: the first */
	message_line(last, "V3", "C1");
	submit(last);
	commit(1);
	expect_on(1, "");
	commit(0);
	expect_on(0, "one[C1]");
	commit(0);
	expect_done(last, BOOKING_DONE);
	message_free(next);
	message_free(last);
}
END_TEST

/* The lanes look at their watches. */
static void
watched(void)
{
	struct timeval once = {0, 120000};

	event_base_loopexit(core.base, &once);
	event_base_dispatch(core.base);
	turns();
}

/* Who had come before anybody knew that the batch waits for something goes to the other lane, but for whose visit is in that batch, and once only. */
START_TEST(who_is_queued_after_a_slow_batch_goes_around_it)
{
	struct message *same = message_new("M2"), *two = message_new("M3"), *next = message_new("M4");

	message_line(m, "V1", "A1");
	submit(m);
	expect_on(0, "one[A1]");
	message_line(two, "V2", "B1");
	submit(two);
	message_line(same, "V1", "A2");
	submit(same);
	expect_on(1, "");
	fake_pass(core.base, 300000);
	watched();
	expect_on(1, "");			/* not yet slow */
	fake_pass(core.base, 1);
	watched();
	expect_on(1, "one[B1]");
	message_line(next, "V2", "B3");		/* behind those of its visit */
	submit(next);
	commit(0);
	expect_done(m, BOOKING_DONE);
	expect_on(0, "one[A2]");		/* it has waited for the first of its visit */
	commit(0);
	fake_pass(core.base, 300001);
	watched();
	expect_on(0, "");
	commit(1);
	expect_on(1, "one[B3]");
	commit(1);
	expect_done(same, BOOKING_DONE);
	expect_done(two, BOOKING_DONE);
	expect_done(next, BOOKING_DONE);
	message_free(same);
	message_free(two);
	message_free(next);
}
END_TEST

/* Lanes that are slow by turns would hand it to and fro. */
START_TEST(who_has_gone_around_stays)
{
	static char sources[BATCH_LINES + 1][8];
	struct message *large = message_new("M2"), *small = message_new("M3"), *second = message_new("M4");

	message_line(m, "V1", "A1");
	submit(m);
	expect_on(0, "one[A1]");
	message_line(small, "V2", "B1");
	submit(small);
	fake_pass(core.base, 200000);
	for (int i = 0; i <= BATCH_LINES; i++) {
		snprintf(sources[i], sizeof(sources[i]), "C%d", i);
		message_line(large, "V3", sources[i]);
		message_line(second, "V4", sources[i]);
	}
	submit(large);
	submit(second);
	turns();
	fake_pass(core.base, 100001);
	watched();				/* from the first lane to behind the large one */
	commit(0);
	expect_on(0, "");
	fake_pass(core.base, 200000);
	watched();				/* and not back; a batch by itself does not move at all */
	expect_on(0, "");
	commit(1);
	expect_done(large, BOOKING_DONE);
	commit(1);
	expect_done(second, BOOKING_DONE);
	expect_on(1, "one[B1]");
	commit(1);
	expect_done(small, BOOKING_DONE);
	message_free(large);
	message_free(small);
	message_free(second);
}
END_TEST

/* A visit that was locked a while ago comes to the lane that knows it, also where that one has more to do. */
START_TEST(who_was_locked_comes_to_the_lane_that_knows)
{
	struct message *first = message_new("M2"), *again = message_new("M3");

	message_line(first, "V1", "A1");
	submit(first);
	expect_on(0, "one[A1]");
	fake_pass(core.base, 400000);
	message_line(m, "V2", "B1");
	submit(m);
	expect_on(1, "one[B1]");
	fail_on(1, "55P03");
	commit(0);
	for (int ms = 0; ms < 2 * HOLD_MS && m->done == 0; ms += 100) {
		if (fake_pgs[1]->done != NULL)
			fail_on(1, "55P03");
		fake_pass(core.base, 100000);
	}
	expect_done(m, BOOKING_UNAVAILABLE);
	message_line(again, "V2", "B1");
	submit(again);
	fake_pass(core.base, 250000);
	expect_on(0, "");
	commit(1);
	expect_done(again, BOOKING_DONE);
	message_free(first);
	message_free(again);
}
END_TEST

/* ------- whose visits */

START_TEST(a_feed_books_at_its_own_facility)
{
	struct intake *in = &m->job.intake;

	message_line(m, "V1", "A1");
	message_line(m, "V2", "B1");
	m->visits[0].facility_id = m->visits[1].facility_id = 0;
	m->visits[1].facility = VIEW_LITERAL("H2");
	booking_bind(in, &feed);
	ck_assert_int_eq(m->visits[0].facility_id, 3);
	ck_assert_ptr_null(m->lines[0].refused.reason);
	ck_assert_str_eq(m->lines[1].refused.reason, "facility_unknown");
	ck_assert_str_eq(m->lines[1].refused.location, "/lines/1/facility");
	ck_assert_ptr_null(in->refused.reason);
	struct message *other = message_new("M2");
	message_event(other, EVENT_OPEN, "V1");
	other->visits[0].facility_id = 0;
	other->visits[0].facility = VIEW_LITERAL("H2");
	booking_bind(&other->job.intake, &feed);
	ck_assert_str_eq(other->job.intake.refused.reason, "facility_unknown");
	message_free(other);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("booking");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, told_once_it_is_committed);
	tcase_add_loop_test(run.tcase, a_message_over_two_lanes, 0, 2);
	tcase_add_test(run.tcase, a_visit_keeps_its_lane);
	tcase_add_test(run.tcase, a_visit_moves_when_nothing_of_it_is_in_work);
	tcase_add_test(run.tcase, events_before_lines);
	tcase_add_test(run.tcase, nothing_to_book_is_told_from_the_loop);
	tcase_add_test(run.tcase, what_is_refused_is_kept_before_it_is_told);
	tcase_add_test(run.tcase, a_line_that_is_refused_before);
	tcase_add_test(run.tcase, a_message_that_is_refused);
	tcase_add_test(run.tcase, an_event_that_is_refused);
	tcase_add_test(run.tcase, an_entry_that_is_refused);
	tcase_add_test(run.tcase, what_cannot_be_kept_is_not_acknowledged);
	tcase_add_test(run.tcase, a_line_without_an_outcome);
	tcase_add_test(run.tcase, an_event_without_an_outcome);
	tcase_add_test(run.tcase, a_replay_is_kept_already);
	tcase_add_test(run.tcase, what_is_implausible_is_kept);
	tcase_add_test(run.tcase, a_connection_that_breaks);
	tcase_add_test(run.tcase, one_lane_is_away);
	tcase_add_test(run.tcase, half_a_message_is_unavailable);
	tcase_add_test(run.tcase, a_part_that_the_database_refuses);
	tcase_add_test(run.tcase, an_event_that_the_database_refuses);
	tcase_add_test(run.tcase, what_passes_is_no_refusal);
	tcase_add_test(run.tcase, a_database_that_books_nothing);
	tcase_add_test(run.tcase, a_database_that_nobody_asks);
	tcase_add_test(run.tcase, a_visit_that_is_locked_stops_nobody);
	tcase_add_test(run.tcase, what_was_found_counts_once_it_is_committed);
	tcase_add_test(run.tcase, what_was_found_and_is_not_there_any_more);
	tcase_add_test(run.tcase, what_was_not_found_and_is_there_now);
	tcase_add_test(run.tcase, little_work_is_together);
	tcase_add_test(run.tcase, what_is_a_batch_by_itself_goes_last);
	tcase_add_test(run.tcase, who_comes_new_goes_around_a_slow_lane);
	tcase_add_test(run.tcase, who_is_queued_after_a_slow_batch_goes_around_it);
	tcase_add_test(run.tcase, who_has_gone_around_stays);
	tcase_add_test(run.tcase, who_was_locked_comes_to_the_lane_that_knows);
	tcase_add_test(run.tcase, a_feed_books_at_its_own_facility);
	return check_end(run);
}
