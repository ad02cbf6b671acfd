/* Entries of the price list. What is wrong with one stays with it; its neighbours do not care. */
#include "items.h"

#include <ctype.h>

#include "proto/money.h"
#include "proto/text.h"
#include "proto/timestamp.h"
#include "proto/utf8.h"

enum { DAY_SECONDS = 86400 };

static void
refuse(struct hl7_items *w, struct price_item *i, const char *reason, const char *detail, const char *id, unsigned nth, unsigned field)
{
	if (i->refused.reason == NULL)
		i->refused = (struct refusal){reason, detail, arena_printf(w->reader->a, "%s^%u^%u", id, nth, field)};
}

/* A text of the first component, bounded; what breaks its limit is the entry's fault and not the message's. */
static struct view
text_of(struct hl7_items *w, struct price_item *i, const struct fields_at *at, unsigned number, unsigned component, enum field field)
{
	struct view v = hl7_component(hl7_field(&at->f, number), w->reader->d, component);
	struct view text = hl7_is_null(v) ? VIEW_NONE : view_trim(hl7_text(v, w->reader->d, w->reader->a));
	const char *complaint = text.n > 0 ? field_text_complaint(field, text) : NULL;

	if (complaint == NULL)
		return text;
	refuse(w, i, "field_invalid", arena_printf(w->reader->a, "the %s %s", field_limit_of(field)->name, complaint), at->id, at->nth, number);
	return VIEW_NONE;
}

/* Days since 1970 of a time's date, as it is written. */
static bool
day_of(struct view text, int32_t *ret)
{
	return view_trim(text).n > 0 && timestamp_parse_date(view_trim(text), ret) == 0;
}

static bool
number_of(struct hl7_items *w, struct price_item *i, const struct fields_at *at, unsigned field, struct view text, unsigned digits, int64_t *ret)
{
	text = view_trim(text);
	if (text.n == 0 || hl7_is_null(text))
		return false;
	enum decimal_result r = decimal_parse(text, digits, ret);
	if (r != DECIMAL_OK || *ret < 0)
		refuse(w, i, "field_invalid", arena_printf(w->reader->a, "\"%.*s\" %s", (int)utf8_cut(text, 40).n, text.p,
		    r != DECIMAL_OK ? decimal_complaint(r) : "is negative"), at->id, at->nth, field);
	return r == DECIMAL_OK && *ret >= 0;
}

static void
read_mfe(struct hl7_items *w, const struct hl7_segment *s)
{
	static const struct { const char *code; enum item_action action; } actions[] = {
		{"MAD", ITEM_PUT}, {"MUP", ITEM_PUT}, {"MAC", ITEM_PUT}, {"MDL", ITEM_END}, {"MDC", ITEM_END},
	};
	struct price_item *i = &w->intake->items[w->n++];
	struct fields_at at;
	bool known = false;

	i->ordinal = (int)w->n;
	reader_split(w->reader, s->line, "MFE", (unsigned)w->n, &at);
	i->record_event = view_trim(hl7_field(&at.f, 1));
	i->entry_id = view_trim(hl7_field(&at.f, 2));
	i->key = hl7_field(&at.f, 4);
	i->key_type = hl7_field(&at.f, 5);
	for (size_t k = 0; k < sizeof(actions) / sizeof(actions[0]) && !known; k++)
		if ((known = view_is(i->record_event, actions[k].code)))
			i->action = actions[k].action;
	if (!known)
		refuse(w, i, "type_unknown", "the record-level event is not MAD, MUP, MAC, MDL or MDC", "MFE", at.nth, 1);
	i->code = text_of(w, i, &at, 4, 1, FIELD_CODE);
	i->has_day = day_of(hl7_component(hl7_field(&at.f, 3), w->reader->d, 1), &i->day);
	if (!i->has_day && w->has_day) {
		i->has_day = true;
		i->day = w->day;
	}
}

static void
read_cdm(struct hl7_items *w, struct price_item *i, const struct hl7_segment *s)
{
	struct fields_at at;

	reader_split(w->reader, s->line, "CDM", ++w->n_cdm, &at);
	if (i->code.n == 0)
		i->code = text_of(w, i, &at, 1, 1, FIELD_CODE);
	i->name = text_of(w, i, &at, 3, 1, FIELD_NAME);
	if (i->name.n == 0)
		i->name = text_of(w, i, &at, 4, 1, FIELD_NAME);
	i->national_code = text_of(w, i, &at, 7, 1, FIELD_NATIONAL_CODE);
}

/* PRC-14: 01 to 14, or one digit. */
static void
read_category(struct hl7_items *w, struct price_item *i, const struct fields_at *at)
{
	struct view v = text_of(w, i, at, 14, 1, FIELD_WORD);
	int64_t n;

	if (v.n == 0)
		return;
	if (v.n <= 2 && decimal_parse(v, 0, &n) == DECIMAL_OK && n >= 1 && n <= 14)
		i->category = (int)n;
	else
		refuse(w, i, "field_invalid", "the category is not 01 to 14", at->id, at->nth, 14);
}

static void
read_prc(struct hl7_items *w, struct price_item *i, const struct hl7_segment *s)
{
	const struct hl7_delimiters *d = w->reader->d;
	struct fields_at at;

	reader_split(w->reader, s->line, "PRC", ++w->n_prc, &at);
	struct view first = hl7_part(hl7_field(&at.f, 5), d->repetition, 1), price = hl7_part(first, d->component, 1);
	struct view currency = view_trim(hl7_part(price, d->subcomponent, 2));
	if (currency.n > 0 && !view_is(currency, "CNY") && !view_is(currency, "RMB"))
		refuse(w, i, "currency", arena_printf(w->reader->a, "the currency is %.*s, not CNY", (int)utf8_cut(currency, 20).n, currency.p), "PRC", at.nth, 5);
	i->has_price = number_of(w, i, &at, 5, hl7_part(price, d->subcomponent, 1), PRICE_DIGITS, &i->price);
	read_category(w, i, &at);
	if (!i->has_day)
		i->has_day = day_of(hl7_component(hl7_field(&at.f, 11), d, 1), &i->day);
}

static void
read_zcd(struct hl7_items *w, struct price_item *i, const struct hl7_segment *s)
{
	struct fields_at at;
	int64_t share;

	reader_split(w->reader, s->line, "ZCD", (unsigned)w->n, &at);
	i->unit = text_of(w, i, &at, 1, 1, FIELD_WORD);
	i->item_class = text_of(w, i, &at, 2, 1, FIELD_WORD);
	if (i->item_class.n > 0 && (i->item_class.n > 1 || i->item_class.p[0] < 'A' || i->item_class.p[0] > 'C'))
		refuse(w, i, "field_invalid", "the class is not A, B or C", "ZCD", at.nth, 2);
	if (number_of(w, i, &at, 3, hl7_component(hl7_field(&at.f, 3), w->reader->d, 1), 4, &share)) {
		i->has_self_pay = share <= 10000;
		i->self_pay = (int)share;
		if (share > 10000)
			refuse(w, i, "field_invalid", "the share that patients pay is more than 1", "ZCD", at.nth, 3);
	}
}

void
hl7_items_begin(struct hl7_items *w, struct view message, struct reader *r, int64_t now, int offset, size_t n, size_t most, struct intake *in)
{
	*w = (struct hl7_items){.reader = r, .intake = in, .rest = message, .now = now, .offset = offset};
	if (n == 0)
		in->refused = (struct refusal){"segment_missing", "a price list without an entry (MFE)", "MFE^1"};
	else if (n > most)
		in->refused = (struct refusal){"too_large", arena_printf(&in->arena, "%zu entries, at most %zu are taken", n, most), "MFE^1"};
	if (in->refused.reason != NULL)
		w->rest = VIEW_NONE;
	else
		in->items = arena_alloc(&in->arena, n * sizeof(*in->items));
}

/* What an entry lacks, once all of it is read. */
static void
finish(struct hl7_items *w)
{
	for (size_t k = 0; k < w->n; k++) {
		struct price_item *i = &w->intake->items[k];
		if (i->code.n == 0)
			refuse(w, i, "field_missing", "the entry names no code, in MFE-4 or CDM-1", "MFE", (unsigned)i->ordinal, 4);
		if (!i->has_day) {	/* when it was sent */
			int64_t at = (w->intake->has_sent_at ? w->intake->sent_at : w->now) / 1000000 + w->offset;
			i->day = (int32_t)(at / DAY_SECONDS);
		}
	}
	w->intake->n_items = w->n;
}

bool
hl7_items_step(struct hl7_items *w, size_t bytes)
{
	size_t until = bytes < w->rest.n ? w->rest.n - bytes : 0;
	struct hl7_segment s;

	while (hl7_next_segment(&w->rest, &s)) {
		struct price_item *i = w->n > 0 ? &w->intake->items[w->n - 1] : NULL;
		struct fields_at at;
		if (hl7_is(&s, "MFI")) {
			reader_split(w->reader, s.line, "MFI", 1, &at);
			w->intake->items_head = s.line;
			w->has_day = day_of(hl7_component(hl7_field(&at.f, 5), w->reader->d, 1), &w->day);
		} else if (hl7_is(&s, "MFE")) {
			read_mfe(w, &s);
		} else if (i != NULL && hl7_is(&s, "CDM")) {
			read_cdm(w, i, &s);
		} else if (i != NULL && hl7_is(&s, "PRC")) {
			read_prc(w, i, &s);
		} else if (i != NULL && hl7_is(&s, "ZCD")) {
			read_zcd(w, i, &s);
		}
		if (w->rest.n < until)
			return false;
	}
	if (w->n > 0)
		finish(w);
	return true;
}

struct view
hl7_items_answer(const struct intake *in, const struct hl7_header *h, struct arena *a)
{
	const struct hl7_delimiters *d = &h->delimiters;
	struct text t = text_begin(a, 256 + in->n_items * 64);
	const struct hl7_segment mfi = {.id = "MFI", .line = in->items_head};
	struct hl7_fields f = {.n = 0};

	if (mfi.line.n > 0)
		hl7_split(&mfi, d, &f);
	struct view level = view_trim(hl7_field(&f, 6));
	if (view_is(level, "NE"))
		return VIEW_NONE;
	text_put(&t, mfi.line);
	text_string(&t, mfi.line.n > 0 ? "\r" : "");
	for (size_t k = 0; k < in->n_items; k++) {
		const struct price_item *i = &in->items[k];
		bool fine = i->refused.reason == NULL;
		if (fine ? view_is(level, "ER") : view_is(level, "SU"))		/* only the others are to be told of */
			continue;
		const struct view fields[] = {i->record_event, i->entry_id, VIEW_NONE, fine ? VIEW_LITERAL("S") : VIEW_LITERAL("U"), i->key, i->key_type};
		text_string(&t, "MFA");
		for (size_t n = 0; n < sizeof(fields) / sizeof(fields[0]); n++) {
			text_char(&t, d->field);
			text_put(&t, fields[n]);
		}
		text_char(&t, '\r');
	}
	return text_view(&t);
}
