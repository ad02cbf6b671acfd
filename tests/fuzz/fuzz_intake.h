/* Properties of whatever a feed delivered, for the fuzzers of HL7 and JSON: views stay inside the input or the arena, texts are UTF-8, refusals have
 * names and places, numbers are what the database may be asked to book. */
#ifndef VB_TESTS_FUZZ_INTAKE_H
#define VB_TESTS_FUZZ_INTAKE_H

#include "fuzz.h"

#include "proto/fields.h"
#include "proto/intake.h"
#include "proto/money.h"
#include "proto/reason.h"
#include "proto/timestamp.h"
#include "proto/utf8.h"

enum { FUZZ_LINES = 200, FUZZ_OFFSET = 8 * 3600 };
#define FUZZ_NOW (INT64_C(1768458659) * TIMESTAMP_SECOND)

/* Where views may point: the input, and the arena's first chunk, which is large enough for nearly every input. */
struct place {
	struct view input;
	const char *chunk;
	size_t chunk_size;
	const struct arena *arena;
	bool utf8;
};

static inline bool
inside(const char *p, size_t n, const char *from, size_t size)
{
	return (uintptr_t)p >= (uintptr_t)from && (uintptr_t)p + n <= (uintptr_t)from + size;
}

static inline void
check_view(const struct place *at, struct view v)
{
	unsigned char sum = 0;

	if (v.n == 0)
		return;
	FUZZ_CHECK(v.p != NULL);
	for (size_t i = 0; i < v.n; i++)	/* AddressSanitizer's turn */
		sum = (unsigned char)(sum + (unsigned char)v.p[i]);
	(void)*(volatile unsigned char *)&sum;
	FUZZ_CHECK(at->arena->total > at->chunk_size || inside(v.p, v.n, at->input.p, at->input.n) || inside(v.p, v.n, at->chunk, at->chunk_size));
	FUZZ_CHECK(!at->utf8 || utf8_is_valid(v));
}

/* What goes on from a parser is within the table of fields, refused or not. */
static inline void
check_field(const struct place *at, struct view v, enum field field)
{
	check_view(at, v);
	FUZZ_CHECK(v.n == 0 || field_text_complaint(field, v) == NULL);
}

static inline void
check_value(const struct place *at, struct value v, enum field field)
{
	check_field(at, v.text, field);
	FUZZ_CHECK(!v.deleted || v.text.n == 0);
}

static inline void
check_refusal(const struct place *at, const struct refusal *r)
{
	if (r->reason == NULL)
		return;
	FUZZ_CHECK(strcmp(reason_of(r->reason)->name, r->reason) == 0);
	FUZZ_CHECK(r->detail != NULL && r->detail[0] != '\0' && strlen(r->detail) < 300);
	FUZZ_CHECK(r->location != NULL && strlen(r->location) < 240);
	FUZZ_CHECK(!at->utf8 || utf8_is_valid(view_of(r->detail)));
	FUZZ_CHECK(utf8_is_valid(view_of(r->location)));	/* a JSON pointer repeats a name */
}

static inline void
check_line(const struct place *at, const struct intake *in, size_t n)
{
	const struct charge_line *l = &in->lines[n];
	const struct { struct view text; enum field field; } texts[] = {
		{l->source_line, FIELD_SOURCE_LINE}, {l->code, FIELD_CODE}, {l->name, FIELD_NAME}, {l->national_code, FIELD_NATIONAL_CODE}, {l->order_no, FIELD_ORDER_NO},
		{l->department, FIELD_DEPARTMENT}, {l->performer, FIELD_PERFORMER}, {l->orderer, FIELD_ORDERER}, {l->reverses, FIELD_REVERSES},
	};
	struct charge_line again = *l;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_field(at, texts[i].text, texts[i].field);
	check_refusal(at, &l->refused);
	FUZZ_CHECK(l->ordinal >= 1 && l->ordinal <= (int)in->n_lines && l->visit < in->n_visits && l->category >= 0 && l->category <= 14);
	FUZZ_CHECK(l->kind >= LINE_CHARGE && l->kind <= LINE_PAYMENT && l->outcome == OUTCOME_NONE);
	charge_line_digest(&again);
	FUZZ_CHECK(memcmp(again.digest, l->digest, sizeof(l->digest)) == 0);
	if (l->refused.reason != NULL)
		return;
	/* what the database is going to be asked to book */
	FUZZ_CHECK(in->visits[l->visit].visit_no.n > 0 && in->visits[l->visit].visit_no.n <= 100);
	FUZZ_CHECK(l->source_line.n > 0 && l->source_line.n <= 200 && l->reverses.n <= 200);
	FUZZ_CHECK(!l->has_amount || (l->amount <= AMOUNT_MAX && l->amount >= -AMOUNT_MAX));
	FUZZ_CHECK(!l->has_quantity || (l->quantity <= AMOUNT_MAX && l->quantity >= -AMOUNT_MAX));
	FUZZ_CHECK(l->kind != LINE_CHARGE || ((!l->has_amount || l->amount >= 0) && (!l->has_quantity || l->quantity >= 0) && l->reverses.n == 0));
	FUZZ_CHECK(l->kind != LINE_CREDIT || (l->amount >= 0 && l->quantity >= 0 && l->reverses.n > 0));
	FUZZ_CHECK(l->kind != LINE_PAYMENT || (l->has_amount && l->amount > 0 && l->reverses.n == 0));
	FUZZ_CHECK(intake_time_is_sane(l->charged_at, FUZZ_NOW));
}

static inline void
check_intake(const struct place *at, const struct intake *in)
{
	check_field(at, in->message_id, FIELD_MESSAGE_ID);
	check_refusal(at, &in->refused);
	for (size_t i = 0; i < in->n_visits; i++) {
		const struct visit_ref *v = &in->visits[i];
		check_view(at, v->facility);
		check_field(at, v->visit_no, FIELD_VISIT_NO);
		check_value(at, v->patient_no, FIELD_PATIENT_NO);
		check_value(at, v->patient_name, FIELD_PATIENT_NAME);
	}
	for (size_t i = 0; i < in->n_events; i++) {
		const struct visit_event *e = &in->events[i];
		check_refusal(at, &e->refused);
		check_value(at, e->sex, FIELD_SEX);
		check_value(at, e->department, FIELD_DEPARTMENT);
		check_value(at, e->location, FIELD_LOCATION);
		check_field(at, e->other_visit_no, FIELD_VISIT_NO);
		check_field(at, e->other_patient_no, FIELD_PATIENT_NO);
		FUZZ_CHECK(in->n_visits == in->n_events && in->n_lines == 0 && e->visit == i && e->kind != EVENT_NONE);
		FUZZ_CHECK(in->refused.reason != NULL || in->visits[i].visit_no.n > 0 || in->visits[i].patient_no.text.n > 0);
	}
	FUZZ_CHECK(in->n_lines <= FUZZ_LINES);
	for (size_t i = 0; i < in->n_lines; i++) {
		check_line(at, in, i);
		FUZZ_CHECK(in->refused.reason == NULL || in->lines[i].refused.reason != NULL);
	}
}

#endif
