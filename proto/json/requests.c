/* Requests of the JSON API. The same structs as HL7 come out, so the same code books them. */
#include "requests.h"

#include <stdlib.h>

#include "proto/hash.h"
#include "members.h"
#include "proto/money.h"
#include "proto/timestamp.h"

/* A member that is not one of these refuses the request as a whole: who mistypes a name sends other requests than we read. */
static void
refuse_unknown(struct json_in *in, const char *const *names, struct refusal *refused)
{
	const char *pointer = json_in_unknown(in, names);

	if (pointer != NULL && refused->reason == NULL)
		*refused = (struct refusal){"field_unknown", "is no member of this object that we know", pointer};
}

static const char *
line_where(void *arg, enum line_field field)
{
	static const char *const keys[] = {
		[LINE_FIELD_SOURCE_LINE] = "source_line", [LINE_FIELD_REVERSES] = "reverses", [LINE_FIELD_CODE] = "code", [LINE_FIELD_NAME] = "name",
		[LINE_FIELD_NATIONAL_CODE] = "national_code", [LINE_FIELD_DEPARTMENT] = "department", [LINE_FIELD_PERFORMER] = "performer",
		[LINE_FIELD_ORDERER] = "orderer", [LINE_FIELD_ORDER_NO] = "order_no", [LINE_FIELD_QUANTITY] = "quantity", [LINE_FIELD_PRICE] = "unit_price",
		[LINE_FIELD_AMOUNT] = "amount", [LINE_FIELD_CHARGED_AT] = "charged_at",
	};
	const struct json_in *in = arg;

	return json_in_pointer(in, keys[field]);
}

static void
read_kind(struct json_in *in, struct charge_line *l)
{
	static const struct { const char *name; enum line_kind kind; } kinds[] = {
		{"charge", LINE_CHARGE}, {"credit", LINE_CREDIT}, {"adjustment", LINE_ADJUSTMENT}, {"payment", LINE_PAYMENT},
	};
	struct view v = json_in_text(in, "type", FIELD_WORD);

	l->reverses = json_in_any_text(in, "reverses");
	l->kind = l->reverses.n > 0 ? LINE_CREDIT : LINE_CHARGE;
	if (v.n == 0)
		return;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (view_is(v, kinds[i].name)) {
			l->kind = kinds[i].kind;
			if (l->kind == LINE_ADJUSTMENT && l->reverses.n > 0)
				l->kind = LINE_CREDIT;
			if (l->kind == LINE_CREDIT && l->reverses.n == 0)
				json_in_refuse(in, "field_missing", "a credit names the line that it takes back", "reverses");
			return;
		}
	json_in_refuse(in, "type_unknown", "is charge, credit, adjustment or payment", "type");
}

static void
read_category(struct json_in *in, struct charge_line *l)
{
	struct view v = json_in_text(in, "category", FIELD_WORD);

	if (v.n == 0)
		return;
	if (v.n == 2 && v.p[0] >= '0' && v.p[0] <= '1' && v.p[1] >= '0' && v.p[1] <= '9')
		l->category = (v.p[0] - '0') * 10 + v.p[1] - '0';
	if (l->category < 1 || l->category > 14) {
		l->category = 0;
		json_in_refuse(in, "field_invalid", "is one of 01 to 14", "category");
	}
}

static void
read_line(struct json_in *in, const struct api_context *c, struct charge_line *l)
{
	read_kind(in, l);
	l->source_line = json_in_any_text(in, "source_line");
	l->code = json_in_any_text(in, "code");
	l->name = json_in_any_text(in, "name");
	l->national_code = json_in_any_text(in, "national_code");
	l->department = json_in_any_text(in, "department");
	l->performer = json_in_any_text(in, "performer");
	l->orderer = json_in_any_text(in, "orderer");
	l->order_no = json_in_any_text(in, "order_no");
	l->has_quantity = json_in_decimal(in, "quantity", QUANTITY_DIGITS, &l->quantity);
	l->has_price = json_in_decimal(in, "unit_price", PRICE_DIGITS, &l->price);
	l->has_amount = json_in_decimal(in, "amount", AMOUNT_DIGITS, &l->amount);
	read_category(in, l);
	struct view currency = json_in_text(in, "currency", FIELD_WORD);
	if (currency.n > 0 && !view_is(currency, "CNY"))
		json_in_refuse(in, "currency", "is not CNY", "currency");
	if (!json_in_time(in, "charged_at", c->offset, &l->charged_at) && l->refused.reason == NULL)
		json_in_refuse(in, "field_missing", "is required", "charged_at");
}

static void
read_visit(struct json_in *in, const struct api_context *c, struct visit_ref *v)
{
	v->facility = json_in_text(in, "facility", FIELD_FACILITY);
	if (v->facility.n == 0)
		v->facility = c->facility;
	v->visit_no = json_in_text(in, "visit_no", FIELD_VISIT_NO);
	if (v->visit_no.n == 0)
		json_in_refuse(in, "visit_missing", "is required", "visit_no");
}

/* The visit's index among those of the request; one that is new comes in. Mostly it is the visit of the line before. */
static size_t
visit_index(const struct hash_set *set, struct intake *in, const struct visit_ref *v)
{
	const struct visit_ref *last = in->n_visits > 0 ? &in->visits[in->n_visits - 1] : NULL;
	struct hash_place *p;

	if (last != NULL && view_equal(last->visit_no, v->visit_no) && view_equal(last->facility, v->facility))
		return in->n_visits - 1;
	uint64_t hash = hash_text(v->visit_no, hash_text(v->facility, 0));
	size_t at = (size_t)hash;
	while ((p = hash_set_next(set, hash, &at))->index != 0) {
		const struct visit_ref *known = &in->visits[p->index - 1];
		if (view_equal(known->visit_no, v->visit_no) && view_equal(known->facility, v->facility))
			return p->index - 1;
	}
	in->visits[in->n_visits] = *v;
	*p = (struct hash_place){hash, (uint32_t)++in->n_visits};
	return in->n_visits - 1;
}

/* Stable counting sort by visit. */
static void
group_by_visit(struct intake *in)
{
	size_t *next = arena_alloc(&in->arena, (in->n_visits + 1) * sizeof(*next));
	struct charge_line *sorted;

	if (in->n_visits < 2)
		return;
	sorted = arena_alloc(&in->arena, in->n_lines * sizeof(*sorted));
	for (size_t i = 0; i < in->n_lines; i++)
		next[in->lines[i].visit + 1]++;
	for (size_t v = 1; v <= in->n_visits; v++)
		next[v] += next[v - 1];
	for (size_t i = 0; i < in->n_lines; i++)
		sorted[next[in->lines[i].visit]++] = in->lines[i];
	in->lines = sorted;
}

static void
read_sent_at(struct json_in *top, const struct api_context *c, struct intake *in)
{
	in->has_sent_at = json_in_time(top, "as_of", c->offset, &in->sent_at);
}

/* How far the reading is: the body becomes a tree, and then each member of its list a line. */
struct api_charges {
	struct api_context context;
	struct intake *intake;
	struct json_in_reading body;
	const struct json *root, *line;		/* the line that is next; NULL: none */
	size_t n;				/* lines read */
	struct hash_set visits;
};

/* A line takes about so many bytes at least. */
enum { LINE_BYTES = 64 };

struct api_charges *
api_charges_begin(struct view body, const struct api_context *c, struct intake *in)
{
	struct api_charges *r = arena_alloc(&in->arena, sizeof(*r));

	r->context = *c;
	r->intake = in;
	json_in_begin(&r->body, body, &in->arena);
	return r;
}

/* The tree is there: what stands beside the lines, and room for them. */
static void
lines_begin(struct api_charges *r)
{
	struct intake *in = r->intake;
	struct json_in top = {r->root, "", -1, &in->arena, &in->refused, 0};

	read_sent_at(&top, &r->context, in);
	const struct json *lines = json_in_child(&top, "lines", JSON_ARRAY);
	size_t n = lines != NULL ? lines->count : 0;
	if (lines == NULL && in->refused.reason == NULL)
		json_in_refuse(&top, "field_missing", "is required", "lines");
	refuse_unknown(&top, (const char *const[]){"as_of", "lines", NULL}, &in->refused);
	if (n > r->context.max_lines)
		json_in_refuse(&top, "too_large", arena_printf(&in->arena, "%zu lines, at most %zu are taken", n, r->context.max_lines), "lines");
	if (in->refused.reason != NULL || n == 0)
		return;
	in->lines = arena_alloc(&in->arena, n * sizeof(*in->lines));
	in->visits = arena_alloc(&in->arena, n * sizeof(*in->visits));
	in->n_lines = n;
	hash_set_init(&r->visits, n, &in->arena);
	r->line = lines->first;
}

static const char *const line_members[] = {
	"facility", "visit_no", "type", "reverses", "source_line", "code", "name", "national_code", "department", "performer", "orderer", "order_no", "quantity",
	"unit_price", "amount", "category", "currency", "charged_at", NULL,
};

static void
next_line(struct api_charges *r)
{
	struct intake *in = r->intake;
	struct charge_line *l = &in->lines[r->n];
	struct visit_ref visit = {0};
	struct json_in at = {r->line, "/lines", (long)r->n, &in->arena, &l->refused, 0};

	l->ordinal = (int)++r->n;
	if (r->line->kind != JSON_OBJECT) {
		json_in_refuse(&at, "field_invalid", "is an object", "");
	} else {
		read_visit(&at, &r->context, &visit);
		read_line(&at, &r->context, l);
		refuse_unknown(&at, line_members, &in->refused);
	}
	l->visit = visit_index(&r->visits, in, &visit);
	charge_line_check(l, r->context.now, &in->arena, line_where, &at);
	charge_line_digest(l);
	r->line = r->line->next;
}

bool
api_charges_step(struct api_charges *r, size_t bytes)
{
	struct intake *in = r->intake;

	if (r->root == NULL) {
		if (!json_in_step(&r->body, bytes, &r->root, &in->refused))
			return false;
		if (r->root == NULL)
			return true;
		lines_begin(r);
	}
	for (size_t most = r->n + bytes / LINE_BYTES; r->line != NULL; next_line(r))
		if (r->n > most)
			return false;
	if (in->refused.reason != NULL)		/* of the request as a whole */
		in->n_lines = 0;
	if (in->n_lines > 0)
		group_by_visit(in);
	return true;
}

void
api_charges_parse(struct view body, const struct api_context *c, struct intake *in)
{
	struct api_charges *r = api_charges_begin(body, c, in);

	while (!api_charges_step(r, SIZE_MAX))
		continue;
}

static const char *
read_class(struct json_in *in)
{
	static const char *const classes[] = {"outpatient", "emergency", "inpatient"};
	struct view v = json_in_text(in, "class", FIELD_WORD);

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (view_is(v, classes[i]))
			return classes[i];
	if (v.n > 0)
		json_in_refuse(in, "field_invalid", "is outpatient, emergency or inpatient", "class");
	return NULL;
}

static struct visit_ref *
event_begin(struct intake *in, enum event_kind kind, const struct api_context *c)
{
	in->visits = arena_alloc(&in->arena, sizeof(*in->visits));
	in->n_visits = 1;
	in->events = arena_alloc(&in->arena, sizeof(*in->events));
	in->n_events = 1;
	in->events[0].kind = kind;
	in->events[0].at = c->now;
	return &in->visits[0];
}

static void
check_event_time(struct json_in *in, const struct api_context *c, struct intake *intake, const char *key)
{
	if (json_in_time(in, key, c->offset, &intake->events[0].at) && !intake_time_is_sane(intake->events[0].at, c->now))
		json_in_refuse(in, "date_absurd", "is before 1990 or in the future", key);
}

void
api_visit_parse(struct view body, const struct api_context *c, struct intake *in)
{
	const struct json *root = json_in_body(body, &in->arena, &in->refused);
	struct visit_ref *v = event_begin(in, EVENT_OPEN, c);

	if (root == NULL)
		return;
	struct json_in top = {root, "", -1, &in->arena, &in->refused, 0};
	read_sent_at(&top, c, in);
	read_visit(&top, c, v);
	v->account_no = json_in_text(&top, "account_no", FIELD_VISIT_NO);
	v->alternate_no = json_in_text(&top, "alternate_no", FIELD_VISIT_NO);
	v->visit_class = read_class(&top);
	check_event_time(&top, c, in, "admitted_at");
	in->events[0].department = json_in_value(&top, "department", FIELD_DEPARTMENT);
	in->events[0].location = json_in_value(&top, "location", FIELD_LOCATION);
	const struct json *patient = json_in_child(&top, "patient", JSON_OBJECT);
	if (patient != NULL) {
		struct json_in p = {patient, "/patient", -1, &in->arena, &in->refused, 0};
		struct view birth = json_in_text(&p, "birth_date", FIELD_TIME);
		v->patient_no = json_in_value(&p, "patient_no", FIELD_PATIENT_NO);
		v->patient_name = json_in_value(&p, "name", FIELD_PATIENT_NAME);
		in->events[0].sex = json_in_value(&p, "sex", FIELD_SEX);
		in->events[0].has_birth_date = birth.n > 0 && timestamp_parse_date(birth, &in->events[0].birth_date) == 0;
		if (birth.n > 0 && !in->events[0].has_birth_date)
			json_in_refuse(&p, "date_absurd", "is not a date such as 1990-01-31", "birth_date");
		refuse_unknown(&p, (const char *const[]){"birth_date", "patient_no", "name", "sex", NULL}, &in->refused);
	}
	refuse_unknown(&top, (const char *const[]){"as_of", "facility", "visit_no", "account_no", "alternate_no", "class", "admitted_at", "department", "location", "patient",
	    NULL},
	    &in->refused);
}

void
api_discharge_parse(struct view body, const struct api_context *c, enum event_kind kind, struct view facility, struct view visit_no, struct intake *in)
{
	struct visit_ref *v = event_begin(in, kind, c);

	v->facility = facility;
	v->visit_no = visit_no;
	const char *complaint = field_complaint(FIELD_FACILITY, facility), *number = field_complaint(FIELD_VISIT_NO, visit_no);
	if (complaint != NULL || number != NULL) {
		in->refused = (struct refusal){"field_invalid", complaint != NULL ? arena_printf(&in->arena, "the facility in the path %s", complaint)
		    : arena_printf(&in->arena, "the visit number in the path %s", number), ""};
		v->facility = v->visit_no = VIEW_NONE;
	}
	if (body.n == 0 || in->refused.reason != NULL)
		return;
	const struct json *root = json_in_body(body, &in->arena, &in->refused);
	if (root == NULL)
		return;
	struct json_in top = {root, "", -1, &in->arena, &in->refused, 0};
	read_sent_at(&top, c, in);
	check_event_time(&top, c, in, "discharged_at");
	refuse_unknown(&top, (const char *const[]){"as_of", "discharged_at", NULL}, &in->refused);
}

int
api_payment_parse(struct view body, struct arena *a, struct api_payment *ret, struct refusal *refused)
{
	const struct json *root = json_in_body(body, a, refused);
	struct api_payment p = {0};
	int64_t version = 0;

	if (root == NULL)
		return -1;
	struct json_in top = {root, "", -1, a, refused, 0};
	p.channel = json_in_text(&top, "channel", FIELD_CHANNEL);
	if (p.channel.n == 0)
		json_in_refuse(&top, "field_missing", "is required", "channel");
	if (!json_in_decimal(&top, "amount", AMOUNT_DIGITS, &p.amount))
		json_in_refuse(&top, "field_missing", "is required", "amount");
	else if (p.amount <= 0)
		json_in_refuse(&top, "field_invalid", "is greater than 0", "amount");
	if (json_in_decimal(&top, "version", 0, &version) && (version < 1 || version > INT32_MAX))
		json_in_refuse(&top, "field_invalid", "is a bill's version", "version");
	p.version = (int)version;
	refuse_unknown(&top, (const char *const[]){"channel", "amount", "version", NULL}, refused);
	if (refused->reason != NULL)
		return -1;
	*ret = p;
	return 0;
}

int
api_why_parse(struct view body, struct arena *a, struct view *ret, struct refusal *ret_refused)
{
	static const char *const names[] = {"why", NULL};
	const struct json *root = json_in_body(body, a, ret_refused);

	if (root == NULL)
		return -1;
	struct json_in in = {root, "", -1, a, ret_refused, 0};
	struct view why = json_in_text(&in, "why", FIELD_NAME);
	const char *unknown = json_in_unknown(&in, names);
	if (unknown != NULL && ret_refused->reason == NULL)
		*ret_refused = (struct refusal){"field_unknown", "is no member of this object that we know", unknown};
	if (why.n == 0)
		json_in_refuse(&in, "field_missing", "stays in the books", "why");
	if (ret_refused->reason != NULL)
		return -1;
	*ret = arena_copy(a, why.p, why.n);
	return 0;
}
