/* Entries go as one JSON document: price lists change seldom, and no column of a batch is spent on them. */
#include "price_list.h"

#include <stdio.h>

#include "db/words.h"
#include "proto/text.h"

static void
put_text(struct text *t, const char *key, struct view v)
{
	if (v.n == 0)
		return;
	text_string(t, key);
	text_quoted(t, v);
}

static void
put_number(struct text *t, const char *key, bool has, int64_t v)
{
	if (!has)
		return;
	text_string(t, key);
	text_number(t, v);
}

static void
put_entry(struct text *t, const struct price_item *i, size_t place)
{
	text_string(t, place == 0 ? "{\"place\":" : ",{\"place\":");
	text_number(t, (int64_t)place);
	text_string(t, i->action == ITEM_END ? ",\"ends\":true,\"day\":" : ",\"ends\":false,\"day\":");
	text_number(t, i->day);
	put_text(t, ",\"code\":", i->code);
	put_text(t, ",\"name\":", i->name);
	put_text(t, ",\"unit\":", i->unit);
	put_text(t, ",\"national_code\":", i->national_code);
	put_text(t, ",\"class\":", i->item_class);
	put_number(t, ",\"category\":", i->category > 0, i->category);
	put_number(t, ",\"unit_price_e6\":", i->has_price, i->price);
	put_number(t, ",\"self_pay_e4\":", i->has_self_pay, i->self_pay);
	text_char(t, '}');
}

/* Of the entries that were sent, in their order. */
static void
on_kept(void *arg, const PGresult *result)
{
	struct booking_job *job = arg;
	struct intake *in = &job->intake;
	struct words outcomes = words_of(result, "outcomes");
	enum outcome outcome;

	for (size_t k = 0; k < in->n_items; k++) {
		struct price_item *i = &in->items[k];
		if (i->refused.reason == NULL && words_next_outcome(&outcomes, &outcome) && !outcome_is_fine(outcome))
			i->refused = (struct refusal){outcome_name(outcome), outcome_reason(outcome)->title, arena_printf(&in->arena, "MFE^%d^4", i->ordinal)};
	}
}

int
price_list_send(struct booking_job *job, struct pg *pg)
{
	struct intake *in = &job->intake;
	struct text t = text_begin(&in->arena, 64 + in->n_items * 128);
	char facility[16];
	size_t sent = 0;

	snprintf(facility, sizeof(facility), "%d", job->feed->facility_id);
	text_char(&t, '[');
	for (size_t k = 0; k < in->n_items; k++)
		if (in->items[k].refused.reason == NULL)
			put_entry(&t, &in->items[k], sent++);
	text_string(&t, "]");
	text_char(&t, '\0');		/* a text parameter ends so */
	struct pg_param params[] = {{view_of(facility), false}, {(struct view){t.p, t.n - 1}, false}};
	return pg_call(pg, SQL_ITEMS_KEEP, params, 2, on_kept, job);
}

bool
price_list_has_work(const struct intake *in)
{
	for (size_t k = 0; k < in->n_items && in->refused.reason == NULL; k++)
		if (in->items[k].refused.reason == NULL)
			return true;
	return false;
}

void
price_list_apply(struct intake *in)
{
	for (size_t k = 0; k < in->n_items && in->refused.reason == NULL; k++)
		in->refused = in->items[k].refused;
}
