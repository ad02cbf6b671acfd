/* Requests of the JSON API: the same structs as HL7 come out, or a pointer to what is wrong. */
#include "check_main.h"

#include <stdio.h>
#include <time.h>

#include "proto/json/requests.h"
#include "proto/timestamp.h"

static const struct api_context context = {
	.now = INT64_C(1768458659) * TIMESTAMP_SECOND,		/* 2026-01-15 14:30:59 +0800 */
	.offset = 8 * 3600, .max_lines = 20, .facility = VIEW_LITERAL("H01"),
};
static struct intake in;

static void
set_up(void)
{
	in = (struct intake){.n_lines = 0};
	arena_init(&in.arena, 0);
}

static void
tear_down(void)
{
	arena_free(&in.arena);
}

static void
check_refused(const struct refusal *r, const char *reason, const char *pointer, const char *what)
{
	if (reason == NULL) {
		ck_assert_msg(r->reason == NULL, "%s: %s at %s: %s", what, r->reason, r->location, r->detail);
		return;
	}
	ck_assert_msg(r->reason != NULL && strcmp(r->reason, reason) == 0, "%s: %s", what, r->reason);
	ck_assert_msg(strcmp(r->location, pointer) == 0, "%s: at %s", what, r->location);
}

/* Read at once; in small steps it is the same. */
static void
charges_parse(struct view body, const struct api_context *c, struct intake *at_once)
{
	struct intake stepped = {.n_lines = 0};

	api_charges_parse(body, c, at_once);
	arena_init(&stepped.arena, 0);
	struct api_charges *r = api_charges_begin(body, c, &stepped);
	while (!api_charges_step(r, 1))
		continue;
	ck_assert_uint_eq(stepped.n_lines, at_once->n_lines);
	ck_assert_uint_eq(stepped.n_visits, at_once->n_visits);
	check_refused(&stepped.refused, at_once->refused.reason, at_once->refused.location, "in steps");
	for (size_t i = 0; i < stepped.n_lines; i++) {
		ck_assert_mem_eq(stepped.lines[i].digest, at_once->lines[i].digest, sizeof(stepped.lines[i].digest));
		ck_assert_int_eq(stepped.lines[i].ordinal, at_once->lines[i].ordinal);
		check_refused(&stepped.lines[i].refused, at_once->lines[i].refused.reason, at_once->lines[i].refused.location, "a line in steps");
	}
	arena_free(&stepped.arena);
}

#define LINE(more) "{\"visit_no\":\"V1\",\"source_line\":\"W-1\",\"code\":\"X01\",\"charged_at\":\"2026-01-15T10:00:00+08:00\"" more "}"

START_TEST(every_field_is_where_it_belongs)
{
	charges_parse(view_of("{\"as_of\":\"2026-01-15T14:00:00+08:00\",\"lines\":[{\"facility\":\"H02\",\"visit_no\":\"V1\",\"source_line\":\"W-1\",\"type\":\"charge\","
	    "\"code\":\"X01\",\"name\":\"\xE8\xA1\x80\xE5\xB8\xB8\xE8\xA7\x84\",\"category\":\"04\",\"quantity\":\"2\",\"unit_price\":\"10\",\"amount\":\"20.00\",\"currency\":\"CNY\","
	    "\"charged_at\":\"2026-01-15T10:00:00+08:00\",\"department\":\"LAB\",\"performer\":\"Li\",\"orderer\":\"Wu\",\"order_no\":\"RX1\",\"national_code\":\"C001\"}]}"),
	    &context, &in);
	check_refused(&in.refused, NULL, NULL, "the request");
	ck_assert(in.has_sent_at);
	ck_assert_int_eq(in.sent_at, INT64_C(1768456800) * TIMESTAMP_SECOND);
	ck_assert_uint_eq(in.n_lines, 1);
	ck_assert_uint_eq(in.n_visits, 1);
	ck_assert_view(in.visits[0].facility, "H02");
	ck_assert_view(in.visits[0].visit_no, "V1");
	const struct charge_line *l = &in.lines[0];
	check_refused(&l->refused, NULL, NULL, "the line");
	ck_assert_int_eq(l->kind, LINE_CHARGE);
	ck_assert_int_eq(l->ordinal, 1);
	ck_assert_view(l->source_line, "W-1");
	ck_assert_view(l->code, "X01");
	ck_assert_view(l->name, "\xE8\xA1\x80\xE5\xB8\xB8\xE8\xA7\x84");
	ck_assert_view(l->national_code, "C001");
	ck_assert_view(l->department, "LAB");
	ck_assert_view(l->performer, "Li");
	ck_assert_view(l->orderer, "Wu");
	ck_assert_view(l->order_no, "RX1");
	ck_assert_int_eq(l->category, 4);
	ck_assert_int_eq(l->quantity, 20000);
	ck_assert_int_eq(l->price, 10000000);
	ck_assert_int_eq(l->amount, 2000);
	ck_assert_int_eq(l->charged_at, INT64_C(1768442400) * TIMESTAMP_SECOND);
}
END_TEST

static const struct {
	const char *body, *pointer;
} unknown[] = {
	{"{\"lines\":[{\"visit_no\":\"V1\",\"source_line\":\"W1\",\"code\":\"G1\",\"qty\":\"5\",\"amout\":\"100.00\",\"charged_at\":\"2026-01-15T10:00:00+08:00\"}]}", "/lines/0/qty"},
	{"{\"lines\":[" LINE("") "," LINE(",\"Amount\":\"1\"") "]}", "/lines/1/Amount"}, {"{\"lines\":[],\"asof\":null}", "/asof"},
	{"{\"lines\":[],\"a/b~c\":1}", "/a~1b~0c"}, {"{\"lines\":[],\"\":1}", "/"},
};

START_TEST(a_member_that_is_not_known_refuses_the_request)
{
	charges_parse(view_of(unknown[_i].body), &context, &in);
	check_refused(&in.refused, "field_unknown", unknown[_i].pointer, unknown[_i].body);
	ck_assert_uint_eq(in.n_lines, 0);
}
END_TEST

/* One line, and what becomes of it. */
static const struct {
	const char *line, *reason, *pointer;
	enum line_kind kind;
	int64_t amount;		/* -1: none */
} lines[] = {
	{LINE(",\"amount\":\"1.00\""), NULL, NULL, LINE_CHARGE, 100}, {LINE(",\"amount\":1.5"), NULL, NULL, LINE_CHARGE, 150},
	{LINE(",\"unit_price\":\"0.333333\",\"quantity\":3"), NULL, NULL, LINE_CHARGE, 100}, {LINE(",\"quantity\":3"), NULL, NULL, LINE_CHARGE, -1},
	{LINE(",\"amount\":\"-1.00\",\"type\":\"adjustment\""), NULL, NULL, LINE_ADJUSTMENT, -100},
	{LINE(",\"amount\":\"1.00\",\"type\":\"payment\""), NULL, NULL, LINE_PAYMENT, 100},
	{LINE(",\"amount\":\"-1.00\",\"type\":\"credit\",\"reverses\":\"W-0\""), NULL, NULL, LINE_CREDIT, 100},
	{LINE(",\"reverses\":\"W-0\""), NULL, NULL, LINE_CREDIT, -1}, {LINE(",\"type\":\"adjustment\",\"reverses\":\"W-0\""), NULL, NULL, LINE_CREDIT, -1},
	{LINE(",\"category\":\"14\",\"currency\":\"CNY\",\"name\":null"), NULL, NULL, LINE_CHARGE, -1},
	{LINE(",\"type\":\"credit\""), "field_missing", "/lines/0/reverses", LINE_CREDIT, -1},
	{LINE(",\"type\":\"charge\",\"reverses\":\"W-0\",\"amount\":\"1.00\""), "field_invalid", NULL, LINE_CHARGE, -1},
	{LINE(",\"type\":\"payment\",\"reverses\":\"W-0\",\"amount\":\"1.00\""), "field_invalid", NULL, LINE_PAYMENT, -1},
	{LINE(",\"type\":\"CG\""), "type_unknown", "/lines/0/type", LINE_CHARGE, -1}, {LINE(",\"type\":1"), "field_invalid", "/lines/0/type", LINE_CHARGE, -1},
	{LINE(",\"category\":\"15\""), "field_invalid", "/lines/0/category", LINE_CHARGE, -1}, {LINE(",\"category\":\"00\""), "field_invalid", "/lines/0/category", LINE_CHARGE, -1},
	{LINE(",\"category\":\"9\""), "field_invalid", "/lines/0/category", LINE_CHARGE, -1}, {LINE(",\"category\":9"), "field_invalid", "/lines/0/category", LINE_CHARGE, -1},
	{LINE(",\"currency\":\"USD\""), "currency", "/lines/0/currency", LINE_CHARGE, -1}, {LINE(",\"amount\":\"1.005\""), "field_invalid", "/lines/0/amount", LINE_CHARGE, -1},
	{LINE(",\"amount\":\"-1.00\""), "amount_negative", "/lines/0/amount", LINE_CHARGE, -1}, {LINE(",\"quantity\":-1"), "amount_negative", "/lines/0/quantity", LINE_CHARGE, -1},
	{LINE(",\"amount\":\"1.00\",\"unit_price\":\"2\""), "amount_mismatch", "/lines/0/amount", LINE_CHARGE, -1},
	{LINE(",\"type\":\"payment\""), "field_missing", "/lines/0/amount", LINE_PAYMENT, -1},
	{LINE(",\"amount\":\"99999999999999999\""), "amount_too_large", "/lines/0/amount", LINE_CHARGE, -1},
	{"{\"source_line\":\"W\",\"code\":\"X\",\"charged_at\":\"20260115\"}", "visit_missing", "/lines/0/visit_no", LINE_CHARGE, -1},
	{"{\"visit_no\":\"\",\"source_line\":\"W\",\"code\":\"X\",\"charged_at\":\"20260115\"}", "visit_missing", "/lines/0/visit_no", LINE_CHARGE, -1},
	{"{\"visit_no\":\"V1\",\"code\":\"X\",\"charged_at\":\"20260115\"}", "field_invalid", "/lines/0/source_line", LINE_CHARGE, -1},
	{"{\"visit_no\":\"V1\",\"source_line\":\"W\",\"charged_at\":\"20260115\"}", "field_missing", "/lines/0/code", LINE_CHARGE, -1},
	{"{\"visit_no\":\"V1\",\"source_line\":\"W\",\"code\":\"X\"}", "field_missing", "/lines/0/charged_at", LINE_CHARGE, -1},
	{"{\"visit_no\":\"V1\",\"source_line\":\"W\",\"code\":\"X\",\"charged_at\":\"soon\"}", "date_absurd", "/lines/0/charged_at", LINE_CHARGE, -1},
	{"{\"visit_no\":\"V1\",\"source_line\":\"W\",\"code\":\"X\",\"charged_at\":\"2030-01-01\"}", "date_absurd", "/lines/0/charged_at", LINE_CHARGE, -1},
	{"{\"visit_no\":\"V1\",\"source_line\":\"W\",\"name\":\"n\",\"charged_at\":\"2026-01-01\"}", NULL, NULL, LINE_CHARGE, -1},
	{"{}", "visit_missing", "/lines/0/visit_no", LINE_CHARGE, -1}, {"7", "field_invalid", "/lines/0", LINE_CHARGE, -1},
	{"null", "field_invalid", "/lines/0", LINE_CHARGE, -1}, {"[]", "field_invalid", "/lines/0", LINE_CHARGE, -1},
};

START_TEST(a_line_is_read_or_says_what_is_wrong)
{
	charges_parse(view_of(arena_printf(&in.arena, "{\"lines\":[%s]}", lines[_i].line)), &context, &in);
	check_refused(&in.refused, NULL, NULL, "the request");
	ck_assert_uint_eq(in.n_lines, 1);
	ck_assert_uint_eq(in.n_visits, 1);
	const struct charge_line *l = &in.lines[0];
	ck_assert_view(in.visits[l->visit].facility, in.visits[0].visit_no.n > 0 || lines[_i].line[0] == '{' ? "H01" : "");
	if (lines[_i].pointer == NULL && lines[_i].reason != NULL)
		ck_assert_str_eq(l->refused.reason, lines[_i].reason);
	else
		check_refused(&l->refused, lines[_i].reason, lines[_i].pointer, lines[_i].line);
	ck_assert_int_eq(l->kind, lines[_i].kind);
	if (lines[_i].reason == NULL)
		ck_assert_int_eq(l->has_amount ? l->amount : -1, lines[_i].amount);
}
END_TEST

static const struct {
	const char *body, *reason, *pointer;
	bool has_sent_at;
} requests[] = {
	{"{\"as_of\":\"2026-01-15T14:00:00+08:00\",\"lines\":[]}", NULL, NULL, true},	/* a heartbeat */
	{"{\"lines\":[]}", NULL, NULL, false}, {"{\"as_of\":null,\"lines\":[]}", NULL, NULL, false},
	{"{}", "field_missing", "/lines", false}, {"{\"lines\":null}", "field_missing", "/lines", false}, {"{\"lines\":{}}", "field_invalid", "/lines", false},
	{"{\"as_of\":\"soon\",\"lines\":[]}", "date_absurd", "/as_of", false}, {"{\"as_of\":7,\"lines\":[]}", "field_invalid", "/as_of", false},
	{NULL, "json_invalid", "", false}, {"", "json_invalid", "", false}, {"[]", "json_invalid", "", false}, {"{\"lines\":[", "json_invalid", "", false},
};

START_TEST(a_request_is_read_or_refused_as_a_whole)
{
	charges_parse(view_of(requests[_i].body), &context, &in);
	check_refused(&in.refused, requests[_i].reason, requests[_i].pointer, requests[_i].body);
	ck_assert_int_eq(in.has_sent_at, requests[_i].has_sent_at);
	ck_assert_uint_eq(in.n_lines, 0);
}
END_TEST

START_TEST(more_lines_than_allowed_are_refused_as_a_whole)
{
	const char *body = LINE("");

	for (size_t i = 1; i < context.max_lines; i++)
		body = arena_printf(&in.arena, "%s,%s", body, LINE(""));
	charges_parse(view_of(arena_printf(&in.arena, "{\"lines\":[%s]}", body)), &context, &in);
	check_refused(&in.refused, NULL, NULL, "as many as allowed");
	ck_assert_uint_eq(in.n_lines, context.max_lines);
	tear_down();
	set_up();
	body = LINE("");
	for (size_t i = 1; i < context.max_lines + 1; i++)
		body = arena_printf(&in.arena, "%s,%s", body, LINE(""));
	charges_parse(view_of(arena_printf(&in.arena, "{\"lines\":[%s]}", body)), &context, &in);
	check_refused(&in.refused, "too_large", "/lines", "one more");
	ck_assert_uint_eq(in.n_lines, 0);
}
END_TEST

START_TEST(lines_are_grouped_by_visit_and_keep_their_order)
{
	static const char *const visits[] = {"A", "B", "A", "C", "B", "A", "", "C"};
	const char *body = "";

	for (size_t i = 0; i < 8; i++)
		body = arena_printf(&in.arena, "%s%s{\"visit_no\":\"%s\",\"source_line\":\"W-%zu\",\"code\":\"X\",\"charged_at\":\"20260115\"%s}", body, i > 0 ? "," : "",
		    visits[i], i, i == 5 ? ",\"facility\":\"H02\"" : "");
	charges_parse(view_of(arena_printf(&in.arena, "{\"lines\":[%s]}", body)), &context, &in);
	check_refused(&in.refused, NULL, NULL, "the request");
	ck_assert_uint_eq(in.n_lines, 8);
	ck_assert_uint_eq(in.n_visits, 5);	/* A, B, C, A elsewhere, and no visit */
	for (size_t i = 0; i < 8; i++) {
		const struct charge_line *l = &in.lines[i];
		ck_assert_view(in.visits[l->visit].visit_no, visits[l->ordinal - 1]);
		ck_assert_view(in.visits[l->visit].facility, l->ordinal == 6 ? "H02" : "H01");
		ck_assert_view(l->source_line, arena_printf(&in.arena, "W-%d", l->ordinal - 1));
		if (i > 0 && in.lines[i - 1].visit == l->visit)
			ck_assert_int_lt(in.lines[i - 1].ordinal, l->ordinal);
		for (size_t k = 0; k + 1 < i; k++)	/* a visit's lines are together */
			ck_assert(in.lines[k].visit != l->visit || in.lines[k + 1].visit == l->visit);
	}
	ck_assert_str_eq(in.lines[7].refused.reason, "visit_missing");
	ck_assert_str_eq(in.lines[7].refused.location, "/lines/6/visit_no");
}
END_TEST

static const struct {
	const char *body, *reason, *pointer;
} visits[] = {
	{"{\"visit_no\":\"V1\"}", NULL, NULL}, {"{\"visit_no\":\"V1\",\"class\":\"inpatient\",\"patient\":{},\"admitted_at\":\"2026-01-15\"}", NULL, NULL},
	{"{}", "visit_missing", "/visit_no"}, {"{\"visit_no\":7}", "field_invalid", "/visit_no"}, {"{\"visit_no\":\"V1\",\"class\":\"I\"}", "field_invalid", "/class"},
	{"{\"visit_no\":\"V1\",\"patient\":[]}", "field_invalid", "/patient"}, {"{\"visit_no\":\"V1\",\"patient\":{\"name\":7}}", "field_invalid", "/patient/name"},
	{"{\"visit_no\":\"V1\",\"patient\":{\"birth_date\":\"soon\"}}", "date_absurd", "/patient/birth_date"},
	{"{\"visit_no\":\"V1\",\"admitted_at\":\"1989-12-31\"}", "date_absurd", "/admitted_at"}, {"{\"visit_no\":\"V1\",\"admitted_at\":\"2026-01-17\"}", "date_absurd", "/admitted_at"},
	{"{\"visit_no\":\"V1\",\"as_of\":\"soon\"}", "date_absurd", "/as_of"}, {"", "json_invalid", ""}, {"[]", "json_invalid", ""},
};

START_TEST(a_visit_is_read_or_refused)
{
	api_visit_parse(view_of(visits[_i].body), &context, &in);
	check_refused(&in.refused, visits[_i].reason, visits[_i].pointer, visits[_i].body);
	ck_assert_int_eq(in.events[0].kind, EVENT_OPEN);
	ck_assert_uint_eq(in.n_visits, 1);
}
END_TEST

START_TEST(a_visit_has_these_fields)
{
	api_visit_parse(view_of("{\"facility\":\"H02\",\"visit_no\":\"V1\",\"class\":\"emergency\",\"patient\":{\"patient_no\":\"P1\",\"name\":\"\xE7\x8E\x8B\xE8\x8A\xB3\","
	    "\"birth_date\":\"1990-01-31\",\"sex\":\"F\"},\"department\":null,\"location\":\"W3\",\"admitted_at\":\"2026-01-15T08:00:00+08:00\"}"), &context, &in);
	check_refused(&in.refused, NULL, NULL, "the request");
	ck_assert_view(in.visits[0].facility, "H02");
	ck_assert_str_eq(in.visits[0].visit_class, "emergency");
	ck_assert_view(in.visits[0].patient_no.text, "P1");
	ck_assert_view(in.visits[0].patient_name.text, "\xE7\x8E\x8B\xE8\x8A\xB3");
	ck_assert_int_eq(in.events[0].birth_date, 7335);
	ck_assert_view(in.events[0].sex.text, "F");
	ck_assert(in.events[0].department.deleted && !in.events[0].location.deleted);
	ck_assert_view(in.events[0].location.text, "W3");
	ck_assert_int_eq(in.events[0].at, INT64_C(1768435200) * TIMESTAMP_SECOND);
}
END_TEST

static const char *const births[] = {"1990-01-31", "19900131", "1990-01-31T00:00:00+08:00", "1990-01-31T23:59:59-05:00", "01/31/1990"};

START_TEST(a_birth_date_is_the_day_that_is_written)
{
	api_visit_parse(view_of(arena_printf(&in.arena, "{\"visit_no\":\"V1\",\"patient\":{\"birth_date\":\"%s\"}}", births[_i])), &context, &in);
	check_refused(&in.refused, NULL, NULL, births[_i]);
	ck_assert(in.events[0].has_birth_date);
	ck_assert_msg(in.events[0].birth_date == 7335, "%s is day %d", births[_i], (int)in.events[0].birth_date);
}
END_TEST

START_TEST(a_discharge_may_say_when)
{
	api_discharge_parse(VIEW_NONE, &context, EVENT_DISCHARGE, view_of("H01"), view_of("V1"), &in);
	check_refused(&in.refused, NULL, NULL, "no body");
	ck_assert_int_eq(in.events[0].kind, EVENT_DISCHARGE);
	ck_assert_int_eq(in.events[0].at, context.now);
	ck_assert_view(in.visits[0].visit_no, "V1");
	api_discharge_parse(view_of("{\"discharged_at\":\"2026-01-15T14:00:00+08:00\",\"as_of\":\"2026-01-15T14:00:00+08:00\"}"), &context, EVENT_REOPEN, view_of("H01"),
	    view_of("V1"), &in);
	check_refused(&in.refused, NULL, NULL, "a body");
	ck_assert_int_eq(in.events[0].kind, EVENT_REOPEN);
	ck_assert_int_eq(in.events[0].at, in.sent_at);
	api_discharge_parse(view_of("{\"discharged_at\":\"2026-02-15\"}"), &context, EVENT_DISCHARGE, view_of("H01"), view_of("V1"), &in);
	check_refused(&in.refused, "date_absurd", "/discharged_at", "a date ahead");
}
END_TEST

static const struct {
	const char *body, *reason, *pointer;
	int64_t amount;
	int version;
} payments[] = {
	{"{\"channel\":\"cash\",\"amount\":\"12.50\"}", NULL, NULL, 1250, 0}, {"{\"channel\":\"cash\",\"amount\":12.5,\"version\":3}", NULL, NULL, 1250, 3},
	{"{\"channel\":\"cash\",\"amount\":\"0.01\",\"version\":\"2\"}", NULL, NULL, 1, 2}, {"{\"channel\":\"cash\",\"amount\":\"1\",\"version\":null}", NULL, NULL, 100, 0},
	{"{\"amount\":\"12.50\"}", "field_missing", "/channel", 0, 0}, {"{\"channel\":\"\",\"amount\":\"12.50\"}", "field_missing", "/channel", 0, 0},
	{"{\"channel\":\"cash\"}", "field_missing", "/amount", 0, 0}, {"{\"channel\":\"cash\",\"amount\":\"0\"}", "field_invalid", "/amount", 0, 0},
	{"{\"channel\":\"cash\",\"amount\":\"-1\"}", "field_invalid", "/amount", 0, 0}, {"{\"channel\":\"cash\",\"amount\":\"1.005\"}", "field_invalid", "/amount", 0, 0},
	{"{\"channel\":\"cash\",\"amount\":\"1\",\"version\":0}", "field_invalid", "/version", 0, 0},
	{"{\"channel\":\"cash\",\"amount\":\"1\",\"version\":4294967297}", "field_invalid", "/version", 0, 0},
	{"{\"channel\":\"cash\",\"amount\":\"1\",\"version\":1.5}", "field_invalid", "/version", 0, 0}, {"[]", "json_invalid", "", 0, 0},
};

START_TEST(a_payment_is_read_or_refused)
{
	struct api_payment p = {.amount = 4711};
	struct refusal refused = {0};
	int r = api_payment_parse(view_of(payments[_i].body), &in.arena, &p, &refused);

	check_refused(&refused, payments[_i].reason, payments[_i].pointer, payments[_i].body);
	ck_assert_int_eq(r, payments[_i].reason == NULL ? 0 : -1);
	ck_assert_int_eq(p.amount, r == 0 ? payments[_i].amount : 4711);
	if (r == 0) {
		ck_assert_int_eq(p.version, payments[_i].version);
		ck_assert_view(p.channel, "cash");
	}
}
END_TEST

static const struct {
	const char *key;
	size_t most;
} line_texts[] = {
	{"facility", 100}, {"visit_no", 100}, {"source_line", 200}, {"reverses", 200}, {"code", 150}, {"name", 500}, {"national_code", 50}, {"department", 500},
	{"performer", 500}, {"orderer", 500}, {"order_no", 200},
};

/* A line with that member; its own is left out where it is of the same name. */
static const char *
line_with(const char *key, size_t n, const char *behind)
{
	static const char *const usual[][2] = {{"visit_no", "V1"}, {"source_line", "W-1"}, {"code", "X01"}, {"charged_at", "20260115"}};
	char *text = arena_alloc(&in.arena, n + 1);
	const char *line = "";

	memset(text, 'x', n);
	for (size_t i = 0; i < 4; i++)
		if (strcmp(usual[i][0], key) != 0)
			line = arena_printf(&in.arena, "%s\"%s\":\"%s\",", line, usual[i][0], usual[i][1]);
	return arena_printf(&in.arena, "{%s\"%s\":\"%s%s\"}", line, key, text, behind);
}

START_TEST(a_long_text_refuses_its_line_alone)
{
	const char *pointer = arena_printf(&in.arena, "/lines/1/%s", line_texts[_i].key);

	for (size_t i = 0; i < 5; i++) {
		/* the last is short enough, but holds a NUL */
		const size_t sizes[] = {line_texts[_i].most, line_texts[_i].most + 1, 3000, 2000000, 10}, n = sizes[i];
		bool fits = n == line_texts[_i].most;
		const char *body = arena_printf(&in.arena, "{\"lines\":[%s,%s,%s]}", LINE(""), line_with(line_texts[_i].key, n, i == 4 ? "\\u0000" : ""), LINE(""));
		charges_parse(view_of(body), &context, &in);
		check_refused(&in.refused, NULL, NULL, "the request");
		ck_assert_uint_eq(in.n_lines, 3);
		for (size_t k = 0; k < 3; k++) {
			const struct charge_line *l = &in.lines[k];
			check_refused(&l->refused, fits || l->ordinal != 2 ? NULL : "field_invalid", pointer, line_texts[_i].key);
			ck_assert(in.visits[l->visit].visit_no.n <= 100 && in.visits[l->visit].facility.n <= 100);
			ck_assert(l->source_line.n <= 200 && l->code.n <= 150 && l->name.n <= 500 && l->national_code.n <= 50 && l->reverses.n <= 200);
		}
		tear_down();
		set_up();
		pointer = arena_printf(&in.arena, "/lines/1/%s", line_texts[_i].key);
	}
}
END_TEST

static const struct { const char *facility, *visit_no, *reason; } paths[] = {
	{"H01", "V1", NULL}, {"H01", "\xFF", "field_invalid"}, {"H01", "V\n1", "field_invalid"}, {"H01", " ", "field_invalid"}, {"H01", "V1 ", "field_invalid"},
	{"\xFF", "V1", "field_invalid"}, {"H\r01", "V1", "field_invalid"},
	{"H01", "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", NULL},
	{"H01", "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890", "field_invalid"},
};

START_TEST(a_visit_in_the_path_is_judged_like_any)
{
	api_discharge_parse(VIEW_NONE, &context, EVENT_DISCHARGE, view_of(paths[_i].facility), view_of(paths[_i].visit_no), &in);
	check_refused(&in.refused, paths[_i].reason, "", paths[_i].visit_no);
	ck_assert_view(in.visits[0].visit_no, paths[_i].reason == NULL ? paths[_i].visit_no : "");
}
END_TEST

/* 65,536 visit numbers that are one to a hash of h * 31 + c: each was compared with each, for six seconds. */
START_TEST(visits_that_were_made_to_collide_take_no_longer)
{
	enum { VISITS = 65536 };
	struct api_context c = context;
	char *body = malloc(VISITS * 110 + 100), *to = body;

	c.max_lines = VISITS;
	ck_assert_ptr_nonnull(body);
	to += sprintf(to, "{\"lines\":[");
	for (unsigned i = 0; i < VISITS; i++) {
		to += sprintf(to, "%s{\"visit_no\":\"", i > 0 ? "," : "");
		for (unsigned b = 0; b < 16; b++)
			to += sprintf(to, "%s", i >> b & 1 ? "Aa" : "BB");
		to += sprintf(to, "\",\"source_line\":\"1\",\"code\":\"X\",\"charged_at\":\"20260115\"}");
	}
	to += sprintf(to, "]}");
	clock_t from = clock();
	charges_parse((struct view){body, (size_t)(to - body)}, &c, &in);
	ck_assert_int_lt((clock() - from) / CLOCKS_PER_SEC, 3);
	ck_assert_uint_eq(in.n_visits, VISITS);
	free(body);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("api_json");

	tcase_add_checked_fixture(run.tcase, set_up, tear_down);
	tcase_add_test(run.tcase, every_field_is_where_it_belongs);
	check_add_rows(run, a_line_is_read_or_says_what_is_wrong, lines);
	check_add_rows(run, a_request_is_read_or_refused_as_a_whole, requests);
	tcase_add_test(run.tcase, more_lines_than_allowed_are_refused_as_a_whole);
	tcase_add_test(run.tcase, lines_are_grouped_by_visit_and_keep_their_order);
	check_add_rows(run, a_visit_is_read_or_refused, visits);
	tcase_add_test(run.tcase, a_visit_has_these_fields);
	check_add_rows(run, a_birth_date_is_the_day_that_is_written, births);
	tcase_add_test(run.tcase, a_discharge_may_say_when);
	check_add_rows(run, a_payment_is_read_or_refused, payments);
	check_add_rows(run, a_long_text_refuses_its_line_alone, line_texts);
	check_add_rows(run, a_visit_in_the_path_is_judged_like_any, paths);
	tcase_add_test(run.tcase, visits_that_were_made_to_collide_take_no_longer);
	check_add_rows(run, a_member_that_is_not_known_refuses_the_request, unknown);
	return check_end(run);
}
