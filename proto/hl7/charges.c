/* FT1: one charge line a segment. What is wrong with one stays with it; its neighbours do not care. */
#include "charges.h"

#include <assert.h>
#include <ctype.h>

#include "proto/fields.h"
#include "proto/money.h"
#include "proto/timestamp.h"
#include "proto/utf8.h"

struct ft1 {
	const struct hl7_fields *f;
	const struct hl7_delimiters *d;
	const struct hl7_profile *profile;
	struct arena *a;
	struct charge_line *line;
	int code_field;		/* 7 or 25: where the item's code stands */
	int id_field;		/* 2 or 23: where the line's id stands */
};

/* ERR-2 of a field of this FT1: FT1^2^10 */
static const char *
location_of(const struct ft1 *t, int field)
{
	return arena_printf(t->a, "FT1^%d^%d", t->line->ordinal, field);
}

static const char *
where(void *arg, enum line_field field)
{
	static const int fields[] = {
		[LINE_FIELD_CODE] = 0, [LINE_FIELD_NAME] = 0, [LINE_FIELD_NATIONAL_CODE] = 0,
		[LINE_FIELD_DEPARTMENT] = 13, [LINE_FIELD_PERFORMER] = 20, [LINE_FIELD_ORDERER] = 21, [LINE_FIELD_ORDER_NO] = 23,
		[LINE_FIELD_QUANTITY] = 10, [LINE_FIELD_PRICE] = 12, [LINE_FIELD_AMOUNT] = 11, [LINE_FIELD_CHARGED_AT] = 4,
	};

	const struct ft1 *t = arg;

	if (field == LINE_FIELD_SOURCE_LINE || field == LINE_FIELD_REVERSES)
		return location_of(t, t->id_field);
	return location_of(t, fields[field] > 0 ? fields[field] : t->code_field);
}

static void
refuse(const struct ft1 *t, const char *reason, const char *detail, int field)
{
	if (t->line->refused.reason == NULL)
		t->line->refused = (struct refusal){reason, detail, location_of(t, field)};
}

static struct view
text_of(const struct ft1 *t, size_t field, size_t component)
{
	struct view v = hl7_component(hl7_field(t->f, field), t->d, component);

	return hl7_is_null(v) ? VIEW_NONE : view_trim(hl7_text(v, t->d, t->a));
}

/* By the profile's map of its code; else component 2 of a coded element is its text, and the code stands in. */
static struct view
department_of(const struct ft1 *t, size_t field)
{
	if (t->profile->departments.n > 0) {
		struct view code = text_of(t, field, 1), mapped = hl7_map_find(&t->profile->departments, code);
		if (mapped.p != code.p)
			return mapped;
	}
	struct view name = text_of(t, field, 2);
	return name.n > 0 ? name : text_of(t, field, 1);
}

/* XCN: family and given name, else the id. */
static struct view
person(const struct ft1 *t, size_t field)
{
	struct view family = text_of(t, field, 2), given = text_of(t, field, 3);

	if (family.n == 0)
		return text_of(t, field, 1);
	if (given.n == 0)
		return family;
	const char *blank = (unsigned char)given.p[0] < 0x80 ? " " : "";
	return arena_join(t->a, family, blank, given);
}

static bool
number(const struct ft1 *t, struct view text, int field, unsigned digits, int64_t *ret)
{
	text = view_trim(text);
	if (text.n == 0 || hl7_is_null(text))
		return false;
	enum decimal_result r = decimal_parse(text, digits, ret);
	if (r != DECIMAL_OK)
		refuse(t, r == DECIMAL_RANGE ? "amount_too_large" : "field_invalid",
		    arena_printf(t->a, "\"%.*s\" %s", (int)utf8_cut(text, 40).n, text.p, decimal_complaint(r)), field);
	return r == DECIMAL_OK;
}

static bool
is_yuan(const struct hl7_profile *p, struct view currency)
{
	for (size_t i = 0; i < p->n_currencies; i++)
		if (view_equal(currency, p->currencies[i]))
			return true;
	return false;
}

/* CP: 100.00&CNY by the standard; 150.00^CNY and a bare 150.00 are common. CP.2 of two letters is a price type, of three a currency. */
static bool
money(const struct ft1 *t, int field, unsigned digits, int64_t *ret)
{
	struct view first = hl7_part(hl7_field(t->f, (size_t)field), t->d->repetition, 1);
	struct view price = hl7_part(first, t->d->component, 1), second = view_trim(hl7_part(first, t->d->component, 2));
	struct view currency = view_trim(hl7_part(price, t->d->subcomponent, 2));

	if (currency.n == 0 && second.n == 3)
		currency = second;
	if (currency.n > 0 && !is_yuan(t->profile, currency))
		refuse(t, "currency", arena_printf(t->a, "the currency is %.*s, not CNY", (int)utf8_cut(currency, 20).n,
		    currency.p), field);
	return number(t, hl7_part(price, t->d->subcomponent, 1), field, digits, ret);
}

static void
read_type(const struct ft1 *t)
{
	static const struct {
		const char *code;
		enum line_kind kind;
	} types[] = {{"CG", LINE_CHARGE}, {"CD", LINE_CREDIT}, {"AJ", LINE_ADJUSTMENT}, {"PY", LINE_PAYMENT}, {"CO", LINE_PAYMENT}};
	struct view v = hl7_map_code(&t->profile->types, text_of(t, 6, 1));

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (view_is(v, types[i].code)) {
			t->line->kind = types[i].kind;
			return;
		}
	if (v.n == 0)
		refuse(t, "field_missing", "no transaction type", 6);
	else
		refuse(t, "type_unknown", "the transaction type is not CG, CD, AJ, PY or CO", 6);
}

static void
read_time(const struct ft1 *t, int offset)
{
	struct view v = view_trim(hl7_component(hl7_field(t->f, 4), t->d, 1));

	if (v.n == 0)
		refuse(t, "field_missing", "no transaction date", 4);
	else if (timestamp_parse(v, offset, &t->line->charged_at) != 0)
		refuse(t, "date_absurd", "the transaction date is not a date", 4);
}

/* FT1-41 where it is 01 to 14. */
static int
read_category(const struct ft1 *t)
{
	struct view v = text_of(t, 41, 1);

	if (v.n == 1 && isdigit((unsigned char)v.p[0]))
		return v.p[0] - '0';
	if (v.n != 2 || !isdigit((unsigned char)v.p[0]) || !isdigit((unsigned char)v.p[1]))
		return 0;
	int category = (v.p[0] - '0') * 10 + v.p[1] - '0';
	return category >= 1 && category <= 14 ? category : 0;
}

/* The first of the profile's fields that has a code; the name beside it, else with FT1-7, else FT1-8. */
static void
read_item(struct ft1 *t)
{
	struct charge_line *l = t->line;
	size_t i = 0;

	do {
		t->code_field = (int)t->profile->code[i];
		l->code = text_of(t, t->profile->code[i], 1);
	} while (l->code.n == 0 && ++i < t->profile->n_code);
	if (l->code.n == 0)
		t->code_field = (int)t->profile->code[0];
	l->name = text_of(t, (size_t)t->code_field, 2);
	if (l->name.n == 0 && t->code_field != 7)
		l->name = text_of(t, 7, 2);
	if (l->name.n == 0)
		l->name = text_of(t, 8, 1);
	l->national_code = text_of(t, (size_t)t->code_field, 4);
}

/* The first of the profile's ids that is there. Where none is, the first that might have been is where to look. */
static void
read_id(struct ft1 *t)
{
	static const int fields[LINE_IDS] = {[LINE_ID_FT1_2] = 2, [LINE_ID_FT1_23] = 23};
	int first = 0;

	for (size_t i = 0; i < t->profile->n_line_id && t->line->source_line.n == 0; i++) {
		if ((t->id_field = fields[t->profile->line_id[i]]) == 0)
			break;
		first = first != 0 ? first : t->id_field;
		t->line->source_line = text_of(t, (size_t)t->id_field, 1);
	}
	if (t->line->source_line.n == 0)
		t->id_field = first != 0 ? first : 2;
}

/* What a feed means that writes credits as charges of less than nothing. The amount's sign counts, else that of quantity × unit price; where both of these are
 * negative nobody knows what is meant, and the line stays a charge, which is refused. */
static bool
is_credit(const struct charge_line *l)
{
	bool quantity = l->has_quantity && l->quantity < 0, price = l->has_price && l->price < 0;

	if (l->has_amount && l->amount < 0)
		return true;
	return l->has_amount && l->amount > 0 ? quantity && !price : quantity != price;
}

static void
read_fields(struct ft1 *t, const struct hl7_context *c)
{
	struct charge_line *l = t->line;

	read_type(t);
	read_time(t, c->offset);
	read_id(t);
	read_item(t);
	l->has_quantity = number(t, hl7_component(hl7_field(t->f, 10), t->d, 1), 10, QUANTITY_DIGITS, &l->quantity);
	l->has_amount = money(t, 11, AMOUNT_DIGITS, &l->amount);
	l->has_price = money(t, 12, PRICE_DIGITS, &l->price);
	if (t->profile->negative_is_credit && l->kind == LINE_CHARGE && is_credit(l))
		l->kind = LINE_CREDIT;
	l->department = department_of(t, 13);
	l->performer = person(t, 20);
	l->orderer = person(t, 21);
	l->order_no = text_of(t, 23, 1);
	l->category = read_category(t);
}

/* FT1-1, else which FT1 of the message it is. */
static struct view
place_of(const struct ft1 *t)
{
	struct view set_id = text_of(t, 1, 1);

	return set_id.n > 0 ? set_id : view_of(arena_printf(t->a, "%d", t->line->ordinal));
}

/* An id of these parts, one after the other. One that is too long for an id is not even made. */
static struct view
made_id(const struct ft1 *t, const struct view *parts, size_t n_parts)
{
	const size_t most = field_limit_of(FIELD_SOURCE_LINE)->most;
	char buf[256];
	struct view id = {buf, 0};

	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].n > most - id.n) {
			refuse(t, "field_invalid", "the line's id, made of its own, MSH-10 and FT1-1, is longer than 200 bytes", t->id_field);
			return VIEW_NONE;
		}
		if (parts[i].n > 0)
			memcpy(buf + id.n, parts[i].p, parts[i].n);
		id.n += parts[i].n;
	}
	if (field_text_complaint(FIELD_SOURCE_LINE, id) != NULL) {
		refuse(t, "field_invalid", "the line's id, made of its own, MSH-10 and FT1-1, holds a control character", t->id_field);
		return VIEW_NONE;
	}
	return arena_copy(t->a, buf, id.n);
}

/* Is there a line in the set with the last line's id? The last line comes in if not, and so do those before it: messages whose lines all have ids pay
 * nothing. */
static bool
ids_add(struct hl7_ft1 *w, size_t last)
{
	const struct charge_line *lines = w->intake->lines;

	for (; w->n_ids <= last; w->n_ids++) {
		struct view id = lines[w->n_ids].source_line;
		uint64_t hash = hash_text(id, 0);
		size_t at = (size_t)hash;
		struct hash_place *p;
		while ((p = hash_set_next(&w->ids, hash, &at))->index != 0 && !view_equal(lines[p->index - 1].source_line, id))
			continue;
		if (p->index == 0)
			*p = (struct hash_place){hash, (uint32_t)w->n_ids + 1};
		else if (w->n_ids == last)
			return true;
	}
	return false;
}

/* Two lines of one message never share an id that we made: the second one's gets its ordinal. */
static void
tell_apart(struct hl7_ft1 *w, struct charge_line *l)
{
	struct arena *a = &w->intake->arena;

	if (w->ids.places == NULL)
		hash_set_init(&w->ids, w->intake->n_lines, a);
	if (ids_add(w, (size_t)(l - w->intake->lines)))
		l->source_line = view_of(arena_printf(a, "%.*s.%d", (int)l->source_line.n, l->source_line.p, l->ordinal));
}

/* A credit takes back what its ZRV names, else the line of its own FT1-2; then it needs an id of its own, the same one in each
 * resend: FT1-2, MSH-10 and the place in the message. A line without FT1-2 is known by the latter two. */
static void
name_line(const struct ft1 *t, struct view reverses, struct view message_id)
{
	const struct view slash = VIEW_LITERAL("/");
	struct charge_line *l = t->line;

	l->reverses = reverses;
	if (l->kind == LINE_CREDIT && reverses.n == 0) {
		l->reverses = l->source_line;
		if (l->source_line.n == 0)
			refuse(t, "field_missing", arena_printf(t->a, "a credit names the line that it takes back, in ZRV-1 or FT1-%d", t->id_field), t->id_field);
		else
			l->source_line = made_id(t, (const struct view[]){l->source_line, VIEW_LITERAL("/CD/"), message_id, slash, place_of(t)}, 5);
	} else if (l->source_line.n == 0) {
		l->source_line = made_id(t, (const struct view[]){message_id, slash, place_of(t)}, 3);
	}
	if (l->kind == LINE_ADJUSTMENT && l->reverses.n > 0)
		l->kind = LINE_CREDIT;
}

void
hl7_ft1_begin(struct hl7_ft1 *w, struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *in)
{
	*w = (struct hl7_ft1){.header = h, .context = *c, .intake = in, .rest = message};
}

/* The line that waits is complete. */
static void
finish_line(struct hl7_ft1 *w)
{
	struct hl7_segment s = {.id = "FT1", .line = w->line};
	struct hl7_fields f;
	struct charge_line *l = &w->intake->lines[w->n - 1];
	struct ft1 t = {&f, &w->header->delimiters, w->context.profile, &w->intake->arena, l, 7, 2};

	w->waits = false;
	hl7_split(&s, &w->header->delimiters, &f);
	l->ordinal = (int)w->n;
	read_fields(&t, &w->context);
	bool named = l->source_line.n > 0;
	name_line(&t, w->reverses, w->intake->message_id);
	if (!named && l->source_line.n > 0)
		tell_apart(w, l);
	charge_line_check(l, w->context.now, &w->intake->arena, where, &t);
	charge_line_digest(l);
}

/* ZRV-1: the first one after an FT1 and before the next. */
static void
read_zrv(struct hl7_ft1 *w, const struct hl7_segment *s)
{
	struct hl7_fields f;

	hl7_split(s, &w->header->delimiters, &f);
	struct view id = hl7_component(hl7_field(&f, 1), &w->header->delimiters, 1);
	w->has_zrv = true;
	w->reverses = hl7_is_null(id) ? VIEW_NONE : view_trim(hl7_text(id, &w->header->delimiters, &w->intake->arena));
}

bool
hl7_ft1_step(struct hl7_ft1 *w, size_t bytes)
{
	size_t until = bytes < w->rest.n ? w->rest.n - bytes : 0;
	struct hl7_segment s;

	while (hl7_next_segment(&w->rest, &s)) {
		if (!hl7_is_segment(&s, &w->header->delimiters))
			continue;
		bool is_ft1 = hl7_is(&s, "FT1");
		if (is_ft1 && w->waits)
			finish_line(w);
		if (is_ft1) {
			assert(w->n < w->intake->n_lines);
			w->n++;
			w->waits = true;
			w->has_zrv = false;
			w->line = s.line;
			w->reverses = VIEW_NONE;
		} else if (w->waits && !w->has_zrv && hl7_is(&s, "ZRV")) {
			read_zrv(w, &s);
		}
		if (w->rest.n < until)
			return false;
	}
	if (w->waits)
		finish_line(w);
	return true;
}
