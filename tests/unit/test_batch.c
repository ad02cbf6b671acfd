/* daemon/intake/batch.h over a connection to no database: what a batch says, in which order, and whose outcome is whose. */
#include <time.h>

#include "check_booking.h"

enum { EAST_8 = 8 * 3600 };

static struct batch *b;
static struct pg *pg;
static struct lane_list list;
static struct message *m;
static struct part parts[64];
static size_t n_parts;

static void
setup(void)
{
	static const struct pg_config config = {0};

	fake_begin();
	pg = pg_new(NULL, &config, "batch", NULL, NULL);
	pg->ready = true;
	b = batch_new(NULL, EAST_8);
	verdicts = NULL;
	numbers_said = NULL;
	n_parts = 0;
	STAILQ_INIT(&list);
	m = message_new("M1");
}

static void
teardown(void)
{
	message_free(m);
	batch_free(b);
	pg_free(pg);
}

/* A hash a visit; of two that collide, the same. */
static uint64_t
hash_of(const struct visit_ref *v)
{
	return v->visit_no.n > 0 ? (uint64_t)v->visit_no.p[v->visit_no.n - 1] % 4 : 0;
}

static struct part *
add(struct message *of, enum part_kind kind, size_t first, size_t n)
{
	struct part *p = &parts[n_parts++];
	const struct intake *in = &of->job.intake;

	ck_assert_uint_lt(n_parts, 64);
	*p = (struct part){.item = {.weight = n > 0 ? n : 1}, .job = &of->job, .kind = kind, .first = first, .n = n};
	if (kind == PART_LINES)
		p->hash = hash_of(&in->visits[in->lines[first].visit]);
	else if (kind == PART_EVENT)
		p->hash = hash_of(&in->visits[in->events[first].visit]);
	STAILQ_INSERT_TAIL(&list, &p->item, link);
	return p;
}

static const char *
says(void)
{
	ck_assert_int_eq(batch_send(b, pg, &list), 0);
	return segment_of(pg);
}

static void
commit(void)
{
	for (int i = 0; i < pg->n_calls; i++)
		if (pg->calls[i].fn != NULL) {
			PGresult *r = answer(&pg->calls[i]);
			pg->calls[i].fn(pg->calls[i].arg, r);
			PQclear(r);
		}
	fake_forget(pg);
	STAILQ_INIT(&list);
	n_parts = 0;
}

static const struct fake_call *
call_of(enum statement s)
{
	for (int i = 0; i < pg->n_calls; i++)
		if (pg->calls[i].statement == s)
			return &pg->calls[i];
	ck_abort_msg("the statement was not said");
	return NULL;
}

/* ------- the order of a visit */

START_TEST(lines_in_their_order)
{
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2");
	message_line(m, "V2", "B1");
	add(m, PART_LINES, 0, 2);
	add(m, PART_LINES, 2, 1);
	ck_assert_str_eq(says(), "charges[A1,A2,B1]");
	const struct fake_call *c = call_of(SQL_CHARGES_POST);
	ck_assert_str_eq(fake_text(c, P_VISIT_NO), "V1,V2");
	ck_assert_str_eq(fake_text(c, P_VISIT), "1,1,2");
	ck_assert_str_eq(fake_text(c, P_PLACE), "1,2,1");
	ck_assert_str_eq(fake_text(c, P_FEED), "7,7,7");
	ck_assert_str_eq(fake_text(c, P_KIND), "CG,CG,CG");
	ck_assert_str_eq(fake_text(c, P_MESSAGE), "M1,M1,M1");
	ck_assert_str_eq(fake_text(c, P_REVERSES), "-");	/* no array at all */
	ck_assert_str_eq(fake_text(c, P_NUMBER_KIND), "-");
}
END_TEST

/* Open, charge, discharge, charge: four steps, and the visits are held first. */
START_TEST(lines_and_events_by_turns)
{
	message_event(m, EVENT_OPEN, "V1");
	message_event(m, EVENT_DISCHARGE, "V1");
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2");
	message_line(m, "V2", "B1");
	add(m, PART_EVENT, 0, 0);
	add(m, PART_LINES, 0, 1);
	add(m, PART_LINES, 2, 1);		/* another visit's: it goes with the first charges */
	add(m, PART_EVENT, 1, 0);
	add(m, PART_LINES, 1, 1);
	ck_assert_str_eq(says(), "hold[V1,V1,V2,V1,V1] one[B1] events[open:V1] one[A1] events[discharge:V1] one[A2]");
	commit();
	ck_assert_int_eq(m->events[0].outcome, OUTCOME_DONE);
	ck_assert_int_eq(m->events[1].outcome, OUTCOME_DONE);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(m->lines[i].outcome, OUTCOME_POSTED);
}
END_TEST

START_TEST(events_alone_are_one_call)
{
	message_event(m, EVENT_OPEN, "V1");
	message_event(m, EVENT_UPDATE, "V1");
	message_event(m, EVENT_OPEN, "V2");
	for (size_t i = 0; i < 3; i++)
		add(m, PART_EVENT, i, 0);
	ck_assert_str_eq(says(), "events[open,update,open:V1,V1,V2]");
}
END_TEST

START_TEST(charges_before_an_event)
{
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2");
	message_event(m, EVENT_DISCHARGE, "V1");
	add(m, PART_LINES, 0, 2);
	add(m, PART_EVENT, 0, 0);
	ck_assert_str_eq(says(), "hold[V1,V1] charges[A1,A2] events[discharge:V1]");
}
END_TEST

/* Money taken elsewhere is an event among the lines. */
START_TEST(a_payment_among_lines)
{
	static const struct verdict said[] = {{"V1", "conflict"}, {NULL, NULL}};

	message_line(m, "V1", "A1");
	message_line(m, "V1", "P1")->kind = LINE_PAYMENT;
	message_line(m, "V1", "A2");
	add(m, PART_LINES, 0, 3);
	ck_assert_str_eq(says(), "hold[V1] one[A1] events[payment:V1] one[A2]");
	ck_assert_str_eq(fake_text(call_of(SQL_VISIT_EVENTS), 16), "100");
	ck_assert_str_eq(fake_text(call_of(SQL_VISIT_EVENTS), 17), "P1");
	verdicts = said;
	commit();
	ck_assert_int_eq(m->lines[0].outcome, OUTCOME_POSTED);
	ck_assert_int_eq(m->lines[1].outcome, OUTCOME_CONFLICT);
	ck_assert_int_eq(m->lines[2].outcome, OUTCOME_POSTED);
}
END_TEST

/* ------- whose outcome is whose */

START_TEST(outcomes_by_line)
{
	static const struct verdict said[] = {{"A2", "duplicate"}, {"B1", "conflict"}, {"B2", "late"}, {NULL, NULL}};

	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2");
	message_line(m, "V2", "B1");
	message_line(m, "V2", "B2");
	message_line(m, "V3", "C1");
	m->lines[0].refused.reason = "currency";	/* it is not sent */
	add(m, PART_LINES, 2, 2);
	add(m, PART_LINES, 0, 2);
	add(m, PART_LINES, 4, 1);
	ck_assert_str_eq(says(), "charges[B1,B2,A2,C1]");
	verdicts = said;
	commit();
	ck_assert_int_eq(m->lines[0].outcome, OUTCOME_NONE);
	ck_assert_int_eq(m->lines[1].outcome, OUTCOME_DUPLICATE);
	ck_assert_int_eq(m->lines[2].outcome, OUTCOME_CONFLICT);
	ck_assert_int_eq(m->lines[3].outcome, OUTCOME_LATE);
	ck_assert_int_eq(m->lines[4].outcome, OUTCOME_POSTED);
	ck_assert_int_eq(m->lines[2].visit_total, 100);		/* V2 came first */
	ck_assert_int_eq(m->lines[3].visit_total, 100);
	ck_assert_int_eq(m->lines[1].visit_total, 200);
	ck_assert_int_eq(m->lines[4].visit_total, 300);
	ck_assert_str_eq(m->lines[3].visit_state, "open");
	ck_assert_ptr_null(m->lines[1].visit_state);		/* nothing is known of it */
	ck_assert_str_eq(m->lines[4].visit_state, "open");
}
END_TEST

START_TEST(events_by_their_place)
{
	static const struct verdict said[] = {{"V2", "visit_unknown"}, {"V3", "repeated"}, {NULL, NULL}};

	message_event(m, EVENT_UPDATE, "V1");
	message_event(m, EVENT_UPDATE, "V2");
	message_event(m, EVENT_OPEN, "V3");
	for (size_t i = 0; i < 3; i++)
		add(m, PART_EVENT, i, 0);
	says();
	verdicts = said;
	commit();
	ck_assert_int_eq(m->events[0].outcome, OUTCOME_DONE);
	ck_assert_int_eq(m->events[1].outcome, OUTCOME_VISIT_UNKNOWN);
	ck_assert_int_eq(m->events[2].outcome, OUTCOME_REPEATED);
}
END_TEST

START_TEST(one_line_alone)
{
	static const struct verdict said[] = {{"A1", "price_unknown"}, {NULL, NULL}};
	struct charge_line *l = message_line(m, "V1", "A1");

	l->code = VIEW_LITERAL("X1");
	add(m, PART_LINES, 0, 1);
	ck_assert_str_eq(says(), "one[A1]");
	const struct fake_call *c = call_of(SQL_CHARGES_POST_ONE);
	ck_assert_view(fake_bytes(c, 1), "V1");
	ck_assert_view(fake_bytes(c, 5), "X1");
	ck_assert_view(fake_bytes(c, 8), "CG");
	ck_assert_view(fake_bytes(c, 22), "M1");
	verdicts = said;
	commit();
	ck_assert_int_eq(l->outcome, OUTCOME_PRICE_UNKNOWN);
	ck_assert_int_eq(l->visit_total, 100);
}
END_TEST

/* One that takes another back, or names its visit by another number, is not what the short call is for. */
START_TEST(one_line_that_is_not_plain)
{
	message_line(m, "V1", "A1")->reverses = VIEW_LITERAL("A0");
	add(m, PART_LINES, 0, 1);
	ck_assert_str_eq(says(), "charges[A1]");
	ck_assert_str_eq(fake_text(call_of(SQL_CHARGES_POST), P_REVERSES), "A0");
	commit();
	m->lines[0].reverses = VIEW_NONE;
	m->visits[0].number_kind = "account";
	add(m, PART_LINES, 0, 1);
	ck_assert_str_eq(says(), "charges[A1]");
	ck_assert_str_eq(fake_text(call_of(SQL_CHARGES_POST), P_NUMBER_KIND), "account");
	ck_assert_str_eq(fake_text(call_of(SQL_CHARGES_POST), P_REVERSES), "-");
}
END_TEST

/* ------- visits and items */

START_TEST(reversals_have_no_place)
{
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2")->reverses = VIEW_LITERAL("A1");
	message_line(m, "V1", "A3");
	add(m, PART_LINES, 0, 3);
	says();
	ck_assert_str_eq(fake_text(call_of(SQL_CHARGES_POST), P_PLACE), "1,-,2");
	ck_assert_str_eq(fake_text(call_of(SQL_CHARGES_POST), P_REVERSES), "-,A1,-");
}
END_TEST

/* The same text is another visit at another facility, and as another kind of number. */
START_TEST(visits_that_read_alike)
{
	struct message *others[3];

	for (int i = 0; i < 3; i++) {
		others[i] = message_new("M2");
		message_line(others[i], "V1", "B1");
	}
	others[0]->visits[0].facility_id = 4;
	others[1]->visits[0].number_kind = "account";
	others[2]->visits[0].number_kind = "alternate";
	message_line(m, "V1", "A1");
	add(m, PART_LINES, 0, 1);
	for (int i = 0; i < 3; i++)
		add(others[i], PART_LINES, 0, 1);
	add(m, PART_LINES, 0, 1);
	says();
	const struct fake_call *c = call_of(SQL_CHARGES_POST);
	ck_assert_str_eq(fake_text(c, 0), "3,4,3,3");
	ck_assert_str_eq(fake_text(c, P_VISIT), "1,2,3,4,1");
	ck_assert_str_eq(fake_text(c, P_PLACE), "1,1,1,1,2");
	ck_assert_str_eq(fake_text(c, P_NUMBER_KIND), "-,-,account,alternate");
	for (int i = 0; i < 3; i++)
		message_free(others[i]);
}
END_TEST

/* A code is looked up once a day of the hospital's zone; 16:30 UTC is the next day at +8. */
START_TEST(items_once_a_day)
{
	const int64_t hour = INT64_C(3600) * 1000000, day = 24 * hour, midnight = 19000 * day;
	static const char *const sources[] = {"A1", "A2", "A3", "A4", "A5", "A6"};

	for (int i = 0; i < 6; i++) {
		message_line(m, "V1", sources[i])->code = i == 3 ? VIEW_NONE : i == 4 ? VIEW_LITERAL("Y") : VIEW_LITERAL("X");
		m->lines[i].charged_at = midnight + 15 * hour;
	}
	m->lines[2].charged_at = midnight + 16 * hour + hour / 2;
	m->lines[5].charged_at = midnight + 16 * hour - 1;
	add(m, PART_LINES, 0, 6);
	says();
	const struct fake_call *c = call_of(SQL_CHARGES_POST);
	ck_assert_str_eq(fake_text(c, P_ITEM_CODE), "X,X,Y");
	ck_assert_str_eq(fake_text(c, P_ITEM_FACILITY), "3,3,3");
	ck_assert_str_eq(fake_text(c, P_ITEM), "1,1,2,-,3,1");
	char days[64];
	snprintf(days, sizeof(days), "%d,%d,%d", 19000 - 10957, 19001 - 10957, 19000 - 10957);
	ck_assert_str_eq(fake_text(c, P_ITEM_DAY), days);
}
END_TEST

START_TEST(days_before_1970)
{
	message_line(m, "V1", "A1")->code = VIEW_LITERAL("X");
	message_line(m, "V1", "A2")->code = VIEW_LITERAL("X");
	m->lines[0].charged_at = -EAST_8 * INT64_C(1000000) - 1;
	m->lines[1].charged_at = -EAST_8 * INT64_C(1000000);
	add(m, PART_LINES, 0, 2);
	says();
	char days[32];
	snprintf(days, sizeof(days), "%d,%d", -1 - 10957, -10957);
	ck_assert_str_eq(fake_text(call_of(SQL_CHARGES_POST), P_ITEM_DAY), days);
}
END_TEST

START_TEST(items_of_each_step)
{
	message_line(m, "V1", "A1")->code = VIEW_LITERAL("X");
	message_line(m, "V1", "A2")->code = VIEW_LITERAL("X");
	message_line(m, "V1", "P1")->kind = LINE_PAYMENT;
	message_line(m, "V1", "A3")->code = VIEW_LITERAL("X");
	message_line(m, "V1", "A4")->code = VIEW_LITERAL("X");
	add(m, PART_LINES, 0, 5);
	ck_assert_str_eq(says(), "hold[V1] charges[A1,A2] events[payment:V1] charges[A3,A4]");
	ck_assert_str_eq(fake_text(&pg->calls[1], P_ITEM), "1,1");
	ck_assert_str_eq(fake_text(&pg->calls[3], P_ITEM_CODE), "X");
	ck_assert_str_eq(fake_text(&pg->calls[3], P_ITEM), "1,1");
	ck_assert_str_eq(fake_text(&pg->calls[3], P_VISIT_NO), "V1");
	ck_assert_str_eq(fake_text(&pg->calls[3], P_PLACE), "1,2");
}
END_TEST

/* ------- from batch to batch */

START_TEST(nothing_of_the_batch_before)
{
	message_line(m, "V1", "A1")->reverses = VIEW_LITERAL("A0");
	m->visits[0].number_kind = "account";
	message_line(m, "V1", "P1")->kind = LINE_PAYMENT;
	message_line(m, "V1", "A2")->code = VIEW_LITERAL("X");
	add(m, PART_LINES, 0, 3);
	says();
	commit();
	struct message *next = message_new("M2");
	message_line(next, "V1", "B1");
	message_line(next, "V2", "B2");
	add(next, PART_LINES, 0, 1);
	add(next, PART_LINES, 1, 1);
	ck_assert_str_eq(says(), "charges[B1,B2]");
	const struct fake_call *c = call_of(SQL_CHARGES_POST);
	ck_assert_str_eq(fake_text(c, P_VISIT_NO), "V1,V2");
	ck_assert_str_eq(fake_text(c, P_ITEM_CODE), "");
	ck_assert_str_eq(fake_text(c, P_REVERSES), "-");
	ck_assert_str_eq(fake_text(c, P_NUMBER_KIND), "-");
	ck_assert_str_eq(fake_text(c, P_PLACE), "1,1");
	commit();
	ck_assert_int_eq(next->lines[1].outcome, OUTCOME_POSTED);
	message_free(next);
}
END_TEST

START_TEST(a_batch_grows)
{
	static char sources[300][8], visits[300][8];

	for (int i = 0; i < 300; i++) {
		snprintf(sources[i], sizeof(sources[i]), "L%d", i);
		snprintf(visits[i], sizeof(visits[i]), "V%d", i / 10);
		message_line(m, visits[i], sources[i]);
	}
	for (size_t i = 0; i < 30; i++)
		add(m, PART_LINES, i * 10, 10);
	ck_assert_int_eq(batch_send(b, pg, &list), 0);
	const struct fake_call *c = call_of(SQL_CHARGES_POST);
	ck_assert_uint_eq(fake_count(c, P_SOURCE), 300);
	ck_assert_uint_eq(fake_count(c, P_VISIT_NO), 30);
	fake_forget(pg);
}
END_TEST

/* ------- visits by patient */

/* Processor seconds for a batch of messages of one patient, a line each. */
static double
seconds_of(size_t n)
{
	struct intake *in = &m->job.intake;
	struct part *all = memory_new(n * sizeof(*all));
	clock_t begun, took;

	in->visits = memory_new(n * sizeof(*in->visits));
	in->lines = memory_new(n * sizeof(*in->lines));
	in->n_visits = in->n_lines = n;
	STAILQ_INIT(&list);
	for (size_t i = 0; i < n; i++) {
		in->visits[i] = (struct visit_ref){.facility_id = 3, .visit_no = VIEW_LITERAL("P1"), .number_kind = PATIENT_KIND};
		in->lines[i] = (struct charge_line){.ordinal = (int)i + 1, .visit = i, .source_line = VIEW_LITERAL("A")};
		all[i] = (struct part){.item = {.weight = 1}, .job = &m->job, .kind = PART_LINES, .first = i, .n = 1, .hash = 4711};
		STAILQ_INSERT_TAIL(&list, &all[i].item, link);
	}
	begun = clock();
	ck_assert_int_eq(batch_send(b, pg, &list), 0);
	took = clock() - begun;
	ck_assert_uint_eq(fake_count(call_of(SQL_CHARGES_POST), P_VISIT_NO), n);
	fake_forget(pg);
	free(in->visits);
	free(in->lines);
	free(all);
	return (double)took / CLOCKS_PER_SEC;
}

/* Ten times as many take ten times as long, and not a hundred times. */
START_TEST(messages_of_one_patient)
{
	double few = 0, many = 0;

	for (int attempt = 0; attempt < 5 && (attempt == 0 || many >= 30 * few); attempt++) {
		double now_few = seconds_of(4000), now_many = seconds_of(40000);
		few = attempt == 0 || now_few < few ? now_few : few;
		many = attempt == 0 || now_many < many ? now_many : many;
	}
	ck_assert_msg(many < 30 * few, "%f s and %f s", few, many);
}
END_TEST

/* Lines of one message are of one visit, those of the next are asked for by themselves. */
START_TEST(a_patient_s_visit_is_asked_for_by_message)
{
	struct message *other = message_new("M2");

	message_line(m, "P1", "A1");
	message_line(m, "P1", "A2");
	message_line(m, "V2", "B1");
	message_line(m, "P1", "A3");
	message_line(other, "P1", "C1");
	m->visits[0].number_kind = other->visits[0].number_kind = "patient/inpatient";
	add(m, PART_LINES, 0, 2);
	add(m, PART_LINES, 2, 1);
	add(m, PART_LINES, 3, 1);
	add(other, PART_LINES, 0, 1);
	ck_assert_str_eq(says(), "charges[A1,A2,B1,A3,C1]");
	const struct fake_call *c = call_of(SQL_CHARGES_POST);
	ck_assert_str_eq(fake_text(c, P_VISIT_NO), "P1,V2,P1");
	ck_assert_str_eq(fake_text(c, P_VISIT), "1,1,2,1,3");
	ck_assert_str_eq(fake_text(c, P_NUMBER_KIND), "patient/inpatient,-,patient/inpatient");
	message_free(other);
}
END_TEST

/* Which visits may be meant is for the database to see by the lines: a hundred of a message. */
START_TEST(what_is_held_for_a_patient_s_lines)
{
	static char sources[150][8];

	message_line(m, "P1", "A1")->refused.reason = "currency";
	message_line(m, "P1", "A2")->reverses = VIEW_LITERAL("A0");
	message_line(m, "V1", "B1");
	for (int i = 0; i < 150; i++) {
		snprintf(sources[i], sizeof(sources[i]), "L%d", i);
		message_line(m, "P2", sources[i]);
	}
	m->visits[0].number_kind = m->visits[2].number_kind = "patient";
	message_event(m, EVENT_DISCHARGE, "V1");
	add(m, PART_LINES, 0, 2);
	add(m, PART_LINES, 2, 1);
	add(m, PART_EVENT, 0, 0);
	add(m, PART_LINES, 3, 150);
	ck_assert_int_eq(batch_send(b, pg, &list), 0);
	const struct fake_call *c = call_of(SQL_VISITS_HOLD);
	ck_assert_str_eq(fake_text(c, 1), "V1,V1");
	ck_assert_str_eq(fake_text(c, 3), "-,-");
	ck_assert_str_eq(fake_text(c, 4), "3,3");
	ck_assert_str_eq(fake_text(c, 5), "P1,P2");
	ck_assert_uint_eq(fake_count(c, 6), 101);
	ck_assert_int_eq(strncmp(fake_text(c, 6), "1,2,2,", 6), 0);
	ck_assert_int_eq(strncmp(fake_text(c, 7), "7,7,", 4), 0);
	ck_assert_int_eq(strncmp(fake_text(c, 8), "A2,L0,L1,", 9), 0);
	ck_assert_uint_eq(fake_count(c, 9), 101);
	ck_assert_int_eq(strncmp(fake_text(c, 10), "A0,-,-,", 7), 0);
	fake_forget(pg);
}
END_TEST

/* ------- the rest of a batch */

START_TEST(entries_and_parks_come_last)
{
	static const struct verdict said[] = {{"item2", "item_unknown"}, {NULL, NULL}};
	struct message *list_message = message_new("M2"), *refused = message_new("M3");

	message_item(list_message, "X");
	message_item(list_message, "Y")->refused.reason = "field_missing";
	message_item(list_message, "Z");
	message_item(list_message, "W");
	refused->job.intake.refused = (struct refusal){"not_hl7", "no header", NULL};
	message_line(m, "V1", "A1");
	add(refused, PART_PARK, 0, 0);
	add(list_message, PART_ITEMS, 0, 0);
	add(m, PART_LINES, 0, 1);
	ck_assert_str_eq(says(), "one[A1] park[not_hl7] items");
	const struct fake_call *c = call_of(SQL_ITEMS_KEEP);
	ck_assert_str_eq(fake_text(c, 0), "3");
	ck_assert_ptr_nonnull(strstr(fake_text(c, 1), "\"place\":2"));
	ck_assert_ptr_null(strstr(fake_text(c, 1), "\"place\":3"));
	verdicts = said;
	commit();
	ck_assert_ptr_null(list_message->items[0].refused.reason);
	ck_assert_str_eq(list_message->items[1].refused.reason, "field_missing");
	ck_assert_str_eq(list_message->items[2].refused.reason, "item_unknown");	/* the second that was sent */
	ck_assert_str_eq(list_message->items[2].refused.location, "MFE^3^4");
	ck_assert_ptr_null(list_message->items[3].refused.reason);
	message_free(list_message);
	message_free(refused);
}
END_TEST

START_TEST(what_is_parked)
{
	message_line(m, "V1", "A1");
	message_line(m, "V1", "A2")->refused = (struct refusal){"held", "waits", "FT1^2^23"};
	m->lines[1].reverses = VIEW_LITERAL("A0");
	message_line(m, "V2", "B1")->refused = (struct refusal){"conflict", "cut \xE4\xBD", NULL};
	m->job.also = (struct refusal){"segment_order", "odd", NULL};
	add(m, PART_PARK, 0, 0);
	says();
	const struct fake_call *c = call_of(SQL_QUARANTINE_PUT);
	ck_assert_str_eq(fake_text(c, 0), "7");
	ck_assert_view(fake_bytes(c, 3), "MSH|");
	ck_assert_str_eq(fake_text(c, 4), "2,3,0");
	ck_assert_str_eq(fake_text(c, 5), "original_unknown,conflict,segment_order");
	ck_assert_ptr_null(strstr(fake_text(c, 6), "cut"));	/* not text: the reason's own sentence */
	ck_assert_str_eq(fake_text(c, 7), "FT1^2^23,-,-");
	ck_assert_str_eq(fake_text(c, 9), "V1,V2,V1");
	ck_assert_str_eq(fake_text(c, 10), "A2,B1,-");
	ck_assert_str_eq(fake_text(c, 11), "A0,-,-");
	ck_assert_str_eq(fake_text(c, 12), "2");
	ck_assert_str_eq(fake_text(c, 13), "hl7");
}
END_TEST

START_TEST(a_connection_that_takes_nothing)
{
	message_event(m, EVENT_OPEN, "V1");
	message_line(m, "V1", "A1");
	pg->ready = false;
	add(m, PART_LINES, 0, 1);
	ck_assert_int_eq(batch_send(b, pg, &list), -1);
	add(m, PART_EVENT, 0, 0);
	ck_assert_int_eq(batch_send(b, pg, &list), -1);
	pg->ready = true;
	for (pg->refuses = 1; pg->refuses <= 3; pg->refuses++) {
		ck_assert_int_eq(batch_send(b, pg, &list), -1);
		ck_assert_int_eq(pg->n_calls, pg->refuses - 1);		/* and nothing after it */
		fake_forget(pg);
	}
	pg->refuses = 0;
	ck_assert_str_eq(says(), "hold[V1,V1] one[A1] events[open:V1]");	/* and again, as a whole */
}
END_TEST

/* What is not said is null, what is deleted is an empty text; an event's time of sending is its message's, or now. */
START_TEST(values_of_events)
{
	struct visit_event *e = message_event(m, EVENT_UPDATE, "V1");

	m->visits[0].patient_name.deleted = true;
	m->visits[0].patient_no.text = VIEW_LITERAL("P1");
	m->visits[0].visit_class = "inpatient";
	m->visits[0].account_no = VIEW_LITERAL("K1");
	e->has_birth_date = true;
	e->birth_date = 10957;
	e->sex.deleted = true;
	e->other_visit_no = VIEW_LITERAL("V9");
	e->other_kind = "account";
	add(m, PART_EVENT, 0, 0);
	says();
	const struct fake_call *c = call_of(SQL_VISIT_EVENTS);
	static const char *const expected[23] = {"update", "7", "3", "V1", "M1", NULL, NULL, "P1", "", "0", "", "inpatient", "-", "-", "V9", "-", "-", "-", "-",
		"-", "account", "K1", "-"};
	for (int i = 0; i < 23; i++)
		if (expected[i] != NULL)
			ck_assert_msg(strcmp(fake_text(c, i), expected[i]) == 0, "parameter %d is %s", i + 1, fake_text(c, i));
	m->job.intake.has_sent_at = true;
	m->job.intake.sent_at = fake_now - 5000000;
	STAILQ_INIT(&list);
	fake_forget(pg);
	add(m, PART_EVENT, 0, 0);
	says();
	c = call_of(SQL_VISIT_EVENTS);
	uint64_t sent, at;
	memcpy(&sent, fake_bytes(c, 5).p + 24, 8);
	memcpy(&at, fake_bytes(c, 6).p + 24, 8);
	ck_assert_int_eq((int64_t)be64toh(at) - (int64_t)be64toh(sent), 5000000);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("batch");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, lines_in_their_order);
	tcase_add_test(run.tcase, lines_and_events_by_turns);
	tcase_add_test(run.tcase, events_alone_are_one_call);
	tcase_add_test(run.tcase, charges_before_an_event);
	tcase_add_test(run.tcase, a_payment_among_lines);
	tcase_add_test(run.tcase, outcomes_by_line);
	tcase_add_test(run.tcase, events_by_their_place);
	tcase_add_test(run.tcase, one_line_alone);
	tcase_add_test(run.tcase, one_line_that_is_not_plain);
	tcase_add_test(run.tcase, reversals_have_no_place);
	tcase_add_test(run.tcase, visits_that_read_alike);
	tcase_add_test(run.tcase, items_once_a_day);
	tcase_add_test(run.tcase, days_before_1970);
	tcase_add_test(run.tcase, items_of_each_step);
	tcase_add_test(run.tcase, nothing_of_the_batch_before);
	tcase_add_test(run.tcase, a_batch_grows);
	tcase_add_test(run.tcase, messages_of_one_patient);
	tcase_add_test(run.tcase, a_patient_s_visit_is_asked_for_by_message);
	tcase_add_test(run.tcase, what_is_held_for_a_patient_s_lines);
	tcase_add_test(run.tcase, entries_and_parks_come_last);
	tcase_add_test(run.tcase, what_is_parked);
	tcase_add_test(run.tcase, a_connection_that_takes_nothing);
	tcase_add_test(run.tcase, values_of_events);
	return check_end(run);
}
