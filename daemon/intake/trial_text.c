/* A message to JSON: visits, events, lines, entries of a price list, refusals, acknowledgements. What is not said in the message is not said here. */
#include "trial_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/money.h"
#include "proto/timestamp.h"
#include "proto/utf8.h"

enum { SELF_PAY_DIGITS = 4 };

/* "key":, with a comma where it is not the first of its object. */
static void
put_key(struct text *t, const char *key)
{
	if (t->p[t->n - 1] != '{')
		text_char(t, ',');
	text_char(t, '"');
	text_string(t, key);
	text_string(t, "\":");
}

/* What is no UTF-8, of a message whose character set cannot be read, is shown with ? for its bytes. */
static void
put_quoted(struct text *t, struct view v)
{
	if (!utf8_is_valid(v)) {
		char *shown = arena_room(t->a, v.n);
		for (size_t i = 0; i < v.n; i++)
			shown[i] = (unsigned char)v.p[i] < 0x80 ? v.p[i] : '?';
		v.p = shown;
	}
	text_quoted(t, v);
}

static void
put_text(struct text *t, const char *key, struct view v)
{
	if (v.n == 0)
		return;
	put_key(t, key);
	put_quoted(t, v);
}

/* A text that may be deleted (HL7's null): then it is null. */
static void
put_value(struct text *t, const char *key, struct value v)
{
	if (v.deleted) {
		put_key(t, key);
		text_string(t, "null");
	} else {
		put_text(t, key, v.text);
	}
}

static void
put_time(struct text *t, const char *key, int64_t at, int offset)
{
	char buf[TIMESTAMP_TEXT];

	put_text(t, key, view_of(timestamp_rfc3339(at, offset, buf)));
}

/* A day since 1970-01-01. */
static void
put_day(struct text *t, const char *key, int32_t day)
{
	char buf[TIMESTAMP_TEXT], date[16];

	snprintf(date, sizeof(date), "%.10s", timestamp_rfc3339(day * TIMESTAMP_DAY, 0, buf));
	put_text(t, key, view_of(date));
}

/* 01 to 14; 0 is not said. */
static void
put_category(struct text *t, int category)
{
	char buf[12];

	if (category == 0)
		return;
	snprintf(buf, sizeof(buf), "%02d", category);
	put_text(t, "category", view_of(buf));
}

/* A decimal without the zeros at its end, "2.5", of which `digits` stand behind the point. */
static void
put_decimal(struct text *t, const char *key, int64_t n, unsigned digits)
{
	char buf[48];
	uint64_t size = n < 0 ? 0 - (uint64_t)n : (uint64_t)n, one = 1;

	for (unsigned i = 0; i < digits; i++)
		one *= 10;
	int used = snprintf(buf, sizeof(buf), "%s%" PRIu64 ".%0*" PRIu64, n < 0 ? "-" : "", size / one, (int)digits, size % one);
	while (buf[used - 1] == '0')
		used--;
	used -= buf[used - 1] == '.';
	put_text(t, key, (struct view){buf, (size_t)used});
}

static void
put_refusal(struct text *t, const struct refusal *r)
{
	if (r->reason == NULL)
		return;
	put_key(t, "refused");
	text_char(t, '{');
	put_text(t, "reason", view_of(r->reason));
	put_text(t, "detail", view_of(r->detail));
	put_text(t, "location", view_of(r->location));
	text_char(t, '}');
}

static void
put_visit(struct text *t, const struct visit_ref *v)
{
	if (visit_is_by_patient(v)) {
		const char *class = visit_class_by_patient(v);
		put_text(t, "open_visit", view_of(class != NULL ? class : "any"));
		put_text(t, "visit_no_from", view_of(v->location));
	} else if (v->visit_no.n > 0) {
		put_text(t, "visit_no", v->visit_no);
		put_text(t, "visit_no_from", view_of(v->location));
	}
	put_text(t, "account_no", v->account_no);
	put_text(t, "alternate_no", v->alternate_no);
	put_value(t, "patient_no", v->patient_no);
	put_value(t, "patient_name", v->patient_name);
	put_text(t, "class", view_of(v->visit_class));
}

static void
put_event(struct text *t, const struct intake *in, const struct visit_event *e, int offset)
{
	static const char *const kinds[] = {
		[EVENT_NONE] = "none", [EVENT_OPEN] = "open", [EVENT_UPDATE] = "update", [EVENT_DISCHARGE] = "discharge", [EVENT_CANCEL] = "cancel",
		[EVENT_REOPEN] = "reopen", [EVENT_MERGE] = "merge", [EVENT_MOVE] = "move",
	};

	text_string(t, t->p[t->n - 1] == '[' ? "{" : ",{");
	put_text(t, "kind", view_of(kinds[e->kind]));
	put_time(t, "at", e->at, offset);
	put_visit(t, &in->visits[e->visit]);
	put_text(t, "other_visit_no", e->other_visit_no);
	put_text(t, "other_patient_no", e->other_patient_no);
	if (e->has_birth_date)
		put_day(t, "birth_date", e->birth_date);
	put_value(t, "sex", e->sex);
	put_value(t, "department", e->department);
	put_value(t, "location", e->location);
	put_refusal(t, &e->refused);
	text_char(t, '}');
}

static void
put_line(struct text *t, const struct charge_line *l, int offset)
{
	static const char *const kinds[] = {[LINE_CHARGE] = "CG", [LINE_CREDIT] = "CD", [LINE_ADJUSTMENT] = "AJ", [LINE_PAYMENT] = "PY"};

	text_string(t, t->p[t->n - 1] == '[' ? "{" : ",{");
	put_key(t, "line");
	text_number(t, l->ordinal);
	put_text(t, "source_line", l->source_line);
	put_text(t, "kind", view_of(kinds[l->kind]));
	put_text(t, "reverses", l->reverses);
	put_text(t, "code", l->code);
	put_text(t, "name", l->name);
	put_text(t, "national_code", l->national_code);
	if (l->has_quantity)
		put_decimal(t, "quantity", l->quantity, QUANTITY_DIGITS);
	if (l->has_price)
		put_decimal(t, "unit_price", l->price, PRICE_DIGITS);
	if (l->has_amount) {
		char money[MONEY_TEXT];
		put_text(t, "amount", view_of(money_format(l->amount, money)));
	}
	put_category(t, l->category);
	if (l->charged_at != 0)
		put_time(t, "charged_at", l->charged_at, offset);
	put_text(t, "department", l->department);
	put_text(t, "performer", l->performer);
	put_text(t, "orderer", l->orderer);
	put_text(t, "order_no", l->order_no);
	put_refusal(t, &l->refused);
	text_char(t, '}');
}

static void
put_entry(struct text *t, const struct price_item *i)
{
	text_string(t, t->p[t->n - 1] == '[' ? "{" : ",{");
	put_key(t, "entry");
	text_number(t, i->ordinal);
	put_text(t, "entry_id", i->entry_id);
	put_text(t, "event", i->record_event);
	put_text(t, "action", view_of(i->action == ITEM_END ? "end" : "put"));
	put_day(t, "day", i->day);
	put_text(t, "code", i->code);
	put_text(t, "name", i->name);
	put_text(t, "unit", i->unit);
	put_text(t, "national_code", i->national_code);
	if (i->has_price)
		put_decimal(t, "unit_price", i->price, PRICE_DIGITS);
	put_category(t, i->category);
	put_text(t, "class", i->item_class);
	if (i->has_self_pay)
		put_decimal(t, "self_pay_ratio", i->self_pay, SELF_PAY_DIGITS);
	put_refusal(t, &i->refused);
	text_char(t, '}');
}

static void
put_sender(struct text *t, const struct hl7_header *h, const struct feed *sender, const char *why_stranger)
{
	put_key(t, "sender");
	text_char(t, '{');
	put_text(t, "application", h->application);
	put_text(t, "facility", h->facility);
	if (sender != NULL)
		put_text(t, "feed", view_of(sender->name));
	else
		put_text(t, "reason", view_of(why_stranger));
	text_char(t, '}');
}

void
trial_put_begin(struct text *t, struct message *m, const struct feed *sender, const char *why_stranger)
{
	const struct intake *in = &m->job.intake;
	const struct hl7_header *h = &m->header;

	text_char(t, '{');
	put_text(t, "control_id", h->control_id);
	put_text(t, "type", h->type);
	put_text(t, "event", h->event);
	put_text(t, "version", h->version);
	put_sender(t, h, sender, why_stranger);
	if (m->job.feed != NULL) {
		put_text(t, "feed", view_of(m->job.feed->name));
		put_text(t, "facility", view_of(m->job.feed->facility));
	}
	if (in->has_sent_at)
		put_time(t, "sent_at", in->sent_at, (int)m->settings->hospital.utc_offset);
	if (m->ignored) {
		put_key(t, "ignored");
		text_string(t, "true");
	}
	if (in->n_events == 0 && in->n_visits > 0) {
		put_key(t, "visit");
		text_char(t, '{');
		put_visit(t, &in->visits[0]);
		text_char(t, '}');
	}
	put_key(t, "events");
	text_char(t, '[');
}

bool
trial_put_more(struct text *t, struct message *m, size_t *at, size_t n)
{
	const struct intake *in = &m->job.intake;
	const size_t lines = in->n_events + in->n_lines, all = lines + in->n_items, until = all - *at < n ? all : *at + n;
	int offset = (int)m->settings->hospital.utc_offset;

	for (; *at < until && *at < in->n_events; ++*at)
		put_event(t, in, &in->events[*at], offset);
	for (; *at < until && *at < lines; ++*at) {
		if (*at == in->n_events)
			text_string(t, "],\"lines\":[");
		put_line(t, &in->lines[*at - in->n_events], offset);
	}
	for (; *at < until; ++*at) {
		if (*at == lines)
			text_string(t, in->n_lines > 0 ? "],\"entries\":[" : "],\"lines\":[],\"entries\":[");
		put_entry(t, &in->items[*at - lines]);
	}
	return *at == all;
}

void
trial_put_end(struct text *t, struct message *m)
{
	text_string(t, m->job.intake.n_lines + m->job.intake.n_items > 0 ? "]" : "],\"lines\":[]");
	put_refusal(t, &m->job.intake.refused);
	put_key(t, "acknowledgements");
	text_char(t, '[');
	if (!message_is_ack(m)) {
		struct message_reply reply = message_reply(m, false);
		if (reply.commit.n > 0)
			put_quoted(t, reply.commit);
		if (reply.commit.n > 0 && reply.application.n > 0)
			text_char(t, ',');
		if (reply.application.n > 0)
			put_quoted(t, reply.application);
	}
	text_string(t, "]}");
}
