/* Texts out of fields. Nothing here knows of events: which text an event needs is said in events.c. */
#include "reader.h"

/* The usual ones are there already: each message asks for some. */
const char *
reader_place(struct reader *r, const struct fields_at *at, unsigned number)
{
	static const struct { const char *id; unsigned field; const char *place; } usual[] = {
		{"PV1", 19, "PV1^1^19"}, {"PID", 18, "PID^1^18"}, {"PID", 3, "PID^1^3"}, {"PV1", 44, "PV1^1^44"}, {"PV1", 45, "PV1^1^45"},
		{"PV1", 50, "PV1^1^50"},
	};

	for (size_t i = 0; at->nth == 1 && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (usual[i].field == number && strcmp(usual[i].id, at->id) == 0)
			return usual[i].place;
	return arena_printf(r->a, "%s^%u^%u", at->id, at->nth, number);
}

struct value
reader_bounded(struct reader *r, struct value v, enum field field, const struct fields_at *at, unsigned number)
{
	const char *complaint = v.text.n > 0 ? field_text_complaint(field, v.text) : NULL;

	if (complaint == NULL)
		return v;
	if (r->refused.reason == NULL)
		r->refused = (struct refusal){"field_invalid", arena_printf(r->a, "the %s %s", field_limit_of(field)->name, complaint),
		    reader_place(r, at, number)};
	return (struct value){VIEW_NONE, false};
}

struct value
reader_text(struct reader *r, struct view component)
{
	if (hl7_is_null(component))
		return (struct value){VIEW_NONE, true};
	return (struct value){view_trim(hl7_text(component, r->d, r->a)), false};
}

struct value
reader_value(struct reader *r, const struct fields_at *at, unsigned number, enum field field)
{
	return reader_bounded(r, reader_text(r, hl7_component(hl7_field(&at->f, number), r->d, 1)), field, at, number);
}

struct view
reader_id(struct reader *r, const struct fields_at *at, unsigned number, enum field field)
{
	return reader_value(r, at, number, field).text;
}

/* The first repetition whose component says what the profile asks for; none will do for it. */
struct view
reader_patient_no(struct reader *r, const struct fields_at *at, unsigned number)
{
	const size_t component = r->profile->patient_by == PATIENT_BY_TYPE ? 5 : 4;
	struct view rest = hl7_field(&at->f, number);

	if (r->profile->patient_by == PATIENT_BY_PLACE)
		return reader_id(r, at, number, FIELD_PATIENT_NO);
	while (rest.n > 0) {
		const char *end = memchr(rest.p, r->d->repetition, rest.n);
		struct view one = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.n};
		rest = end != NULL ? (struct view){end + 1, rest.n - one.n - 1} : VIEW_NONE;
		if (view_equal(reader_text(r, hl7_component(one, r->d, component)).text, r->profile->patient_word))
			return reader_bounded(r, reader_text(r, hl7_component(one, r->d, 1)), FIELD_PATIENT_NO, at, number).text;
	}
	return VIEW_NONE;
}

/* A blank between Latin names, none between Chinese ones. */
struct value
reader_patient_name(struct reader *r, const struct fields_at *pid)
{
	struct view field = hl7_field(&pid->f, 5);
	struct value family = reader_text(r, hl7_component(field, r->d, 1)), given = reader_text(r, hl7_component(field, r->d, 2)), name = family;

	if (!family.deleted && given.text.n > 0) {
		name = given;
		if (family.text.n > 0) {
			const char *blank = (unsigned char)family.text.p[family.text.n - 1] < 0x80 && (unsigned char)given.text.p[0] < 0x80 ? " " : "";
			name = (struct value){arena_join(r->a, family.text, blank, given.text), false};
		}
	}
	return reader_bounded(r, name, FIELD_PATIENT_NAME, pid, 5);
}

const char *
reader_class(struct reader *r, const struct fields_at *pv1)
{
	static const char *const classes[] = {"outpatient", "emergency", "inpatient"};
	const struct hl7_map *map = &r->profile->classes;
	struct view v = hl7_component(hl7_field(&pv1->f, 2), r->d, 1);

	if (map->n > 0) {
		struct view code = reader_text(r, v).text, mapped = hl7_map_code(map, code);
		for (size_t i = 0; mapped.p != code.p && i < sizeof(classes) / sizeof(classes[0]); i++)
			if (view_is(mapped, classes[i]))
				return classes[i];
	}
	if (v.n != 1)
		return NULL;
	switch (v.p[0]) {
	case 'I':
		return "inpatient";
	case 'E':
		return "emergency";
	case 'O': case 'R': case 'B': case 'P':
		return "outpatient";
	}
	return NULL;
}

struct value
reader_code(struct reader *r, const struct fields_at *at, unsigned number, enum field field, const struct hl7_map *map)
{
	struct value v = reader_value(r, at, number, field);

	v.text = hl7_map_code(map, v.text);
	return v;
}

/* Where a visit's numbers of each kind stand. */
static const struct {
	bool in_pv1;
	unsigned field, merged;
} numbers[VISIT_FIELDS] = {[VISIT_PV1_19] = {true, 19, 5}, [VISIT_PID_18] = {false, 18, 3}, [VISIT_PV1_50] = {true, 50, 6}};

static const struct fields_at *
segment_of(const struct group_fields *g, enum hl7_visit_field kind)
{
	return numbers[kind].in_pv1 ? &g->pv1 : &g->pid;
}

struct view
reader_number(struct reader *r, const struct group_fields *g, enum hl7_visit_field kind)
{
	return reader_id(r, segment_of(g, kind), numbers[kind].field, FIELD_VISIT_NO);
}

struct view
reader_number_merged(struct reader *r, const struct group_fields *g, enum hl7_visit_field kind)
{
	return reader_id(r, &g->mrg, numbers[kind].merged, FIELD_VISIT_NO);
}

const char *
reader_number_kind(enum hl7_visit_field kind)
{
	return kind == VISIT_PID_18 ? "account" : kind == VISIT_PV1_50 ? "alternate" : NULL;
}

const char *
reader_number_place(struct reader *r, const struct group_fields *g, enum hl7_visit_field kind)
{
	return reader_place(r, segment_of(g, kind), numbers[kind].field);
}

struct view
reader_visit_no(struct reader *r, const struct group_fields *g, enum hl7_visit_field *ret_kind, const char **ret_place)
{
	const struct hl7_profile *p = r->profile;
	struct view number = VIEW_NONE;
	size_t i = 0, said = 0;

	for (i = 0; i < p->n_visit_no && number.n == 0; i++)
		number = reader_number(r, g, p->visit_no[i]);
	if (number.n > 0)
		said = i - 1;
	else
		while (said < p->n_visit_no && hl7_field(&segment_of(g, p->visit_no[said])->f, numbers[p->visit_no[said]].field).n == 0)
			said++;
	*ret_kind = p->visit_no[said < p->n_visit_no ? said : 0];
	*ret_place = reader_number_place(r, g, *ret_kind);
	return number;
}

struct view
reader_visit_no_merged(struct reader *r, const struct group_fields *g, enum hl7_visit_field *ret_kind)
{
	struct view number = VIEW_NONE;

	for (size_t i = 0; i < r->profile->n_visit_no && number.n == 0; i++)
		number = reader_number_merged(r, g, *ret_kind = r->profile->visit_no[i]);
	return number;
}
