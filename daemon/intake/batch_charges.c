/* Charge lines as the arrays of charges_post, and what it says of them. */
#include "batch_charges.h"

#include <stdlib.h>

#include "base/memory.h"
#include "db/column.h"
#include "db/words.h"
#include "intake/patient_visits.h"
#include "intake/plausible.h"
#include "proto/money.h"

enum visit_column { V_FACILITY, V_NO, V_CLASS, V_PATIENT_NO, V_PATIENT_NAME, V_KIND, V_MOST, V_COLUMNS };
enum item_column { I_FACILITY, I_CODE, I_DAY, I_COLUMNS };
enum line_column {
	L_VISIT, L_ITEM, L_PLACE, L_FEED, L_KIND, L_SOURCE, L_DIGEST, L_AT, L_QUANTITY, L_PRICE, L_AMOUNT, L_CATEGORY, L_NAME, L_NATIONAL,
	L_DEPARTMENT, L_PERFORMER, L_ORDERER, L_ORDER, L_REVERSES, L_MESSAGE, L_RELEASED, L_COLUMNS
};

static const enum pg_type visit_types[V_COLUMNS] = {PG_INT4, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8};
static const enum pg_type item_types[I_COLUMNS] = {PG_INT4, PG_TEXT, PG_DATE};
static const enum pg_type line_types[L_COLUMNS] = {
	PG_INT4, PG_INT4, PG_INT4, PG_INT4, PG_TEXT, PG_TEXT, PG_UUID, PG_TIMESTAMPTZ, PG_INT8, PG_INT8, PG_INT8, PG_INT2, PG_TEXT, PG_TEXT,
	PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_BOOL,
};

struct line_slot {
	struct charge_line *line;
	uint32_t visit;			/* position in the step's visits, from 0 */
	uint32_t item;			/* in its items, from 1; 0: none */
};

struct charge_step {
	struct column visits[V_COLUMNS], items[I_COLUMNS], lines[L_COLUMNS];
	struct line_slot *slots;
	size_t n, room;
	uint32_t n_visits, n_items;
	bool has_reversals, has_kinds;	/* not all numbers are visit numbers */
	struct patient_visits by_patient;
	bool has_limits, has_released;
	unsigned number;		/* which step of its batch it is */
	struct item_table *table;		/* of items, the batch's */
	int utc_offset;			/* seconds east: a charge's day begins there */
};

struct charge_step *
charge_step_new(unsigned number, struct item_table *items, int utc_offset)
{
	struct charge_step *s = memory_new(sizeof(*s));

	s->number = number;
	s->table = items;
	s->utc_offset = utc_offset;
	return s;
}

void
charge_step_free(struct charge_step *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < V_COLUMNS; i++)
		column_free(&s->visits[i]);
	for (unsigned i = 0; i < I_COLUMNS; i++)
		column_free(&s->items[i]);
	for (unsigned i = 0; i < L_COLUMNS; i++)
		column_free(&s->lines[i]);
	free(s->slots);
	patient_visits_free(&s->by_patient);
	free(s);
}

void
charge_step_reset(struct charge_step *s)
{
	for (unsigned i = 0; i < V_COLUMNS; i++)
		column_reset(&s->visits[i]);
	for (unsigned i = 0; i < I_COLUMNS; i++)
		column_reset(&s->items[i]);
	for (unsigned i = 0; i < L_COLUMNS; i++)
		column_reset(&s->lines[i]);
	s->n = 0;
	s->n_visits = s->n_items = 0;
	s->by_patient.n = 0;
	s->has_reversals = s->has_kinds = s->has_limits = s->has_released = false;
}

bool
charge_step_is_empty(const struct charge_step *s)
{
	return s->n == 0;
}

static void
number_or_null(struct column *c, bool has, int64_t v)
{
	if (has)
		column_int8(c, v);
	else
		column_null(c);
}

static uint32_t
charge_step_visit(struct charge_step *s, struct visit_mark *m, struct visit_ref *v, const struct booking_job *job, struct arena *arena)
{
	if (m->charge_step == s->number + 1)
		return m->position;
	column_int4(&s->visits[V_FACILITY], v->facility_id);
	column_text(&s->visits[V_NO], v->visit_no);
	column_text_or_null(&s->visits[V_CLASS], view_of(v->visit_class));
	column_text_or_null(&s->visits[V_PATIENT_NO], v->patient_no.text);
	column_text_or_null(&s->visits[V_PATIENT_NAME], v->patient_name.text);
	column_text_or_null(&s->visits[V_KIND], view_of(v->number_kind));
	if (v->number_kind != NULL) {
		s->has_kinds = true;
		if (visit_is_by_patient(v))
			patient_visits_add(&s->by_patient, v, arena, s->n_visits);
	}
	number_or_null(&s->visits[V_MOST], plausible_visit_most(job->feed) > 0, plausible_visit_most(job->feed));
	s->has_limits |= plausible_visit_most(job->feed) > 0;
	m->charge_step = s->number + 1;
	m->position = s->n_visits;
	m->charges = 0;
	return s->n_visits++;
}

/* Where the line's code is among the step's items, from 1; 0 for a line without one. */
static uint32_t
charge_step_item(struct charge_step *s, const struct visit_ref *v, const struct charge_line *l)
{
	const int64_t day = INT64_C(86400) * 1000000, local = l->charged_at + s->utc_offset * INT64_C(1000000);
	struct item_key key = {v->facility_id, (int32_t)(local / day - (local % day < 0)), l->code};

	if (l->code.n == 0)
		return 0;
	uint32_t position = item_table_position(s->table, &key, s->number, s->n_items + 1);
	if (position > 0)
		return position;
	column_int4(&s->items[I_FACILITY], key.facility_id);
	column_text(&s->items[I_CODE], key.code);
	column_date(&s->items[I_DAY], key.day);
	return ++s->n_items;
}

/* The column of what a person released is only filled where something was: up to there with what was not. */
static void
released_until(struct charge_step *s, size_t n)
{
	s->has_released = true;
	while (s->lines[L_RELEASED].count < n)
		column_bool(&s->lines[L_RELEASED], false);
}

void
charge_step_add(struct charge_step *s, struct visit_mark *m, struct booking_job *job, struct visit_ref *v, struct charge_line *l)
{
	static const struct view kinds[] = {{"CG", 2}, {"CD", 2}, {"AJ", 2}, {"PY", 2}};
	struct column *c = s->lines;
	uint32_t visit = charge_step_visit(s, m, v, job, &job->intake.arena), item = charge_step_item(s, v, l);

	if (s->n == s->room) {
		s->room = s->room > 0 ? s->room * 2 : 256;
		s->slots = memory_resize(s->slots, s->room * sizeof(*s->slots));
	}
	s->slots[s->n++] = (struct line_slot){l, visit, item};
	column_int4(&c[L_VISIT], (int32_t)visit + 1);
	if (item > 0)
		column_int4(&c[L_ITEM], (int32_t)item);
	else
		column_null(&c[L_ITEM]);
	if (l->reverses.n == 0) {
		column_int4(&c[L_PLACE], ++m->charges);
	} else {
		column_null(&c[L_PLACE]);	/* booked after the charges */
		s->has_reversals = true;
	}
	column_int4(&c[L_FEED], job->feed->feed_id);
	column_text(&c[L_KIND], kinds[l->kind]);
	column_text(&c[L_SOURCE], l->source_line);
	column_uuid(&c[L_DIGEST], l->digest);
	column_timestamp(&c[L_AT], l->charged_at);
	number_or_null(&c[L_QUANTITY], l->has_quantity, l->quantity);
	number_or_null(&c[L_PRICE], l->has_price, l->price);
	number_or_null(&c[L_AMOUNT], l->has_amount, l->amount);
	if (l->category > 0)
		column_int2(&c[L_CATEGORY], (int16_t)l->category);
	else
		column_null(&c[L_CATEGORY]);
	column_text_or_null(&c[L_NAME], l->name);
	column_text_or_null(&c[L_NATIONAL], l->national_code);
	column_text_or_null(&c[L_DEPARTMENT], l->department);
	column_text_or_null(&c[L_PERFORMER], l->performer);
	column_text_or_null(&c[L_ORDERER], l->orderer);
	column_text_or_null(&c[L_ORDER], l->order_no);
	column_text_or_null(&c[L_REVERSES], l->reverses);
	column_text_or_null(&c[L_MESSAGE], job->intake.message_id);
	if (job->released)
		released_until(s, s->n - 1), column_bool(&c[L_RELEASED], true);
}

/* A visit's state as a constant; NULL where it has none, because nothing of the step is its. */
static const char *
state_name(struct view word)
{
	static const char *const states[] = {"open", "discharged", "billed", "settled", "cancelled", "merged"};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (view_is(word, states[i]))
			return states[i];
	return NULL;
}

/* What a person should look at, by the price of its item in the list: as line_warning of sql/functions/20_charges.sql, which is kept with the line. Here it is
 * only counted. */
static enum line_warning
warning_of(const struct charge_line *l, bool in_list, int64_t listed)
{
	const int64_t quantity = l->has_quantity ? l->quantity : 10000;
	int64_t by_list, amount = l->amount;

	if (l->reverses.n > 0)
		return WARN_NONE;
	if (!in_list)
		return l->category == 0 ? WARN_UNLISTED : WARN_NONE;
	if (l->kind != LINE_CHARGE || (!l->has_amount && !l->has_price) || money_multiply(quantity, listed, &by_list) != 0
	    || (!l->has_amount && money_multiply(quantity, l->price, &amount) != 0))
		return WARN_NONE;
	return llabs(by_list - amount) > 1 ? WARN_PRICE_DIFFERS : WARN_NONE;
}

/* prices: of the step's items, NULL where the list has none; of a line alone its item's. */
static void
charge_step_warn(struct charge_step *s, struct words prices)
{
	struct { bool in_list; int64_t price; } *items = memory_new((s->n_items + 1) * sizeof(*items));
	struct view price;

	for (uint32_t i = 1; i <= s->n_items && words_next(&prices, &price); i++)
		if (price.n > 0 && price.p[0] != 'N') {
			items[i].in_list = true;
			items[i].price = strtoll(price.p, NULL, 10);
		}
	for (size_t i = 0; i < s->n; i++) {
		struct charge_line *l = s->slots[i].line;
		if (l->outcome == OUTCOME_POSTED || l->outcome == OUTCOME_LATE)
			l->warning = warning_of(l, items[s->slots[i].item].in_list, items[s->slots[i].item].price);
	}
	free(items);
}

static void
charge_step_result(void *arg, const PGresult *result)
{
	struct charge_step *s = arg;
	struct words outcomes = words_of(result, "outcomes"), totals = words_of(result, "totals"), states = words_of(result, "states"),
	    sums = words_of(result, "sums");
	bool all_posted = words_are_null(result, "outcomes");
	enum outcome outcome = OUTCOME_POSTED;
	struct view total, state, sum;
	/* visits first: each line then looks its own up */
	struct { int64_t total; const char *state; } *visits = memory_new((s->n_visits + 1) * sizeof(*visits));

	for (uint32_t v = 0; v < s->n_visits && words_next(&totals, &total) && words_next(&states, &state); v++) {
		visits[v].total = strtoll(total.p, NULL, 10);
		visits[v].state = state_name(state);
	}
	for (size_t i = 0; i < s->n && (all_posted || words_next_outcome(&outcomes, &outcome)); i++) {
		struct line_slot *slot = &s->slots[i];
		if (words_next(&sums, &sum))		/* nothing where no line is beyond a limit */
			slot->line->sum = strtoll(sum.p, NULL, 10);
		slot->line->outcome = outcome;
		slot->line->visit_total = visits[slot->visit].total;
		slot->line->visit_state = visits[slot->visit].state;
	}
	free(visits);
	charge_step_warn(s, words_of(result, "prices"));
	if (s->by_patient.n > 0)
		patient_visits_found(&s->by_patient, words_of(result, "numbers").at);
}

/* The same for a line that is alone in its step, takes nothing back and names its visit by visit number: its values instead of arrays of one. */
static int
charge_step_send_one(struct charge_step *s, struct pg *pg)
{
	struct pg_param params[V_COLUMNS + I_COLUMNS + L_COLUMNS], *p = params;

	for (unsigned i = 0; i < V_KIND; i++)
		*p++ = (struct pg_param){column_only(&s->visits[i]), true};
	for (unsigned i = I_CODE; i < I_COLUMNS; i++)
		*p++ = (struct pg_param){column_only(&s->items[i]), true};
	for (unsigned i = L_FEED; i < L_RELEASED; i++)
		if (i != L_REVERSES)
			*p++ = (struct pg_param){column_only(&s->lines[i]), true};
	*p++ = (struct pg_param){column_only(&s->visits[V_MOST]), true};
	return pg_call(pg, SQL_CHARGES_POST_ONE, params, (int)(p - params), charge_step_result, s);
}

int
charge_step_send(struct charge_step *s, struct pg *pg)
{
	struct pg_param params[V_COLUMNS + I_COLUMNS + L_COLUMNS], *p = params;

	if (s->n == 0)
		return 0;
	if (s->n == 1 && !s->has_reversals && !s->has_kinds && !s->has_released)
		return charge_step_send_one(s, pg);
	for (unsigned i = 0; i < V_KIND; i++)
		*p++ = (struct pg_param){column_value(&s->visits[i], visit_types[i]), true};
	for (unsigned i = 0; i < I_COLUMNS; i++)
		*p++ = (struct pg_param){column_value(&s->items[i], item_types[i]), true};
	if (s->has_released)
		released_until(s, s->n);
	for (unsigned i = 0; i < L_RELEASED; i++)
		*p++ = (struct pg_param){i == L_REVERSES && !s->has_reversals ? VIEW_NONE : column_value(&s->lines[i], line_types[i]), true};
	*p++ = (struct pg_param){s->has_kinds ? column_value(&s->visits[V_KIND], visit_types[V_KIND]) : VIEW_NONE, true};
	*p++ = (struct pg_param){s->has_limits ? column_value(&s->visits[V_MOST], visit_types[V_MOST]) : VIEW_NONE, true};
	*p++ = (struct pg_param){s->has_released ? column_value(&s->lines[L_RELEASED], line_types[L_RELEASED]) : VIEW_NONE, true};
	return pg_call(pg, SQL_CHARGES_POST, params, (int)(p - params), charge_step_result, s);
}
