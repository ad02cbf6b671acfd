/* The HL7 profile: which segment and field means what to billing. Which events there are is in event_table.c, the walk through the message in
 * groups.c, charge lines in charges.c. */
#include "events.h"

#include "proto/fields.h"
#include "event_table.h"
#include "charges.h"
#include "proto/timestamp.h"

/* What reads texts: the first one that breaks its limit is the refusal. */
struct reader {
	const struct hl7_delimiters *d;
	struct arena *a;
	struct refusal refused;
};

/* A segment's fields, and where they stand. */
struct fields_at {
	const char *id;
	unsigned nth;
	struct hl7_fields f;
};

struct hl7_events {
	const struct hl7_header *header;
	struct hl7_context context;
	struct intake *intake;
	const struct event_row *row;
	struct reader reader;
	struct hl7_groups groups;
	struct view message;
	bool scanned;
	struct hl7_ft1 lines;
};

static bool
is_dft(const struct event_row *row)
{
	return row->type[0] == 'D';
}

static struct fields_at
fields_of(struct view line, const char *id, unsigned nth, const struct hl7_delimiters *d)
{
	struct fields_at at;
	const struct hl7_segment s = {.line = line};

	at.id = id;
	at.nth = nth > 0 ? nth : 1;
	at.f.n = 0;
	if (line.n > 0)
		hl7_split(&s, d, &at.f);
	return at;
}

/* The usual ones are there already: each message asks for some. */
static const char *
place_of(struct reader *r, const struct fields_at *at, unsigned field)
{
	static const struct { const char *id; unsigned field; const char *place; } usual[] = {
		{"PV1", 19, "PV1^1^19"}, {"PID", 18, "PID^1^18"}, {"PID", 3, "PID^1^3"}, {"PV1", 44, "PV1^1^44"}, {"PV1", 45, "PV1^1^45"},
	};

	for (size_t i = 0; at->nth == 1 && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (usual[i].field == field && strcmp(usual[i].id, at->id) == 0)
			return usual[i].place;
	return arena_printf(r->a, "%s^%u^%u", at->id, at->nth, field);
}

/* The text by the table of fields; empty where it breaks its limit, so that nothing long goes on from here. */
static struct value
bounded(struct reader *r, struct value v, enum field field, const struct fields_at *at, unsigned number)
{
	const char *complaint = v.text.n > 0 ? field_text_complaint(field, v.text) : NULL;

	if (complaint == NULL)
		return v;
	if (r->refused.reason == NULL)
		r->refused = (struct refusal){"field_invalid", arena_printf(r->a, "the %s %s", field_limit_of(field)->name, complaint),
		    place_of(r, at, number)};
	return (struct value){VIEW_NONE, false};
}

static struct value
text_of(struct reader *r, struct view component)
{
	if (hl7_is_null(component))
		return (struct value){VIEW_NONE, true};
	return (struct value){view_trim(hl7_text(component, r->d, r->a)), false};
}

/* The first component of a field. */
static struct value
value_of(struct reader *r, const struct fields_at *at, unsigned number, enum field field)
{
	return bounded(r, text_of(r, hl7_component(hl7_field(&at->f, number), r->d, 1)), field, at, number);
}

static struct view
id_of(struct reader *r, const struct fields_at *at, unsigned number, enum field field)
{
	return value_of(r, at, number, field).text;
}

/* The number of one field, else of another. */
static struct view
either(struct reader *r, const struct fields_at *at, unsigned number, const struct fields_at *other, unsigned other_number, enum field field)
{
	struct view id = id_of(r, at, number, field);

	return id.n > 0 ? id : id_of(r, other, other_number, field);
}

/* PID-5: family and given name as one: a blank between Latin ones, none between Chinese ones. */
static struct value
name_of(struct reader *r, const struct fields_at *pid)
{
	struct view field = hl7_field(&pid->f, 5);
	struct value family = text_of(r, hl7_component(field, r->d, 1)), given = text_of(r, hl7_component(field, r->d, 2)), name = family;

	if (!family.deleted && given.text.n > 0) {
		name = given;
		if (family.text.n > 0) {
			const char *blank = (unsigned char)family.text.p[family.text.n - 1] < 0x80 && (unsigned char)given.text.p[0] < 0x80 ? " " : "";
			name = (struct value){arena_join(r->a, family.text, blank, given.text), false};
		}
	}
	return bounded(r, name, FIELD_PATIENT_NAME, pid, 5);
}

/* PV1-2, table 0004. */
static const char *
class_of(struct view v)
{
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

/* The visit that a group is about. What is not said where it must be is told by judge_group. */
static void
visit_of(struct reader *r, enum subject subject, const struct fields_at *pid, const struct fields_at *pv1, const struct fields_at *mrg,
    const struct hl7_header *h, struct visit_ref *ret)
{
	ret->facility = h->facility;
	ret->patient_no.text = either(r, pid, 3, pid, 2, FIELD_PATIENT_NO);
	ret->patient_name = name_of(r, pid);
	ret->visit_class = class_of(hl7_component(hl7_field(&pv1->f, 2), r->d, 1));
	switch (subject) {
	case OF_VISIT: case OF_VISIT_OR_PATIENT:
		ret->visit_no = either(r, pv1, 19, pid, 18, FIELD_VISIT_NO);
		if (hl7_field(&pv1->f, 19).n > 0 || hl7_field(&pid->f, 18).n == 0)
			ret->location = place_of(r, pv1, 19);
		else
			ret->location = place_of(r, pid, 18);
		break;
	case OF_PATIENT:
		ret->location = place_of(r, pid, 3);
		break;
	case OF_ACCOUNT: case OF_ACCOUNT_AND_PATIENT:
		ret->visit_no = id_of(r, pid, 18, FIELD_VISIT_NO);
		ret->location = place_of(r, pid, 18);
		break;
	case OF_MERGED_VISIT:
		ret->visit_no = id_of(r, pv1, 19, FIELD_VISIT_NO);
		ret->location = place_of(r, pv1, 19);
		break;
	case OF_MOVED_ACCOUNT:
		ret->visit_no = either(r, pid, 18, mrg, 3, FIELD_VISIT_NO);
		ret->location = place_of(r, pid, 18);
		break;
	case OF_MOVED_VISIT:
		ret->visit_no = either(r, pv1, 19, mrg, 5, FIELD_VISIT_NO);
		ret->location = place_of(r, pv1, 19);
		break;
	}
}

/* The losers of a merge. */
static void
losers_of(struct reader *r, enum subject subject, const struct fields_at *mrg, struct visit_event *e)
{
	if (subject == OF_ACCOUNT || subject == OF_ACCOUNT_AND_PATIENT)
		e->other_visit_no = id_of(r, mrg, 3, FIELD_VISIT_NO);
	else if (subject == OF_MERGED_VISIT)
		e->other_visit_no = id_of(r, mrg, 5, FIELD_VISIT_NO);
	else if (subject == OF_VISIT_OR_PATIENT)
		e->other_visit_no = either(r, mrg, 5, mrg, 3, FIELD_VISIT_NO);
	if (subject != OF_ACCOUNT && subject != OF_MERGED_VISIT)
		e->other_patient_no = id_of(r, mrg, 1, FIELD_PATIENT_NO);
}

/* The first of the fields that holds a time; false when none does. A time that cannot be read is a refusal. */
static bool
time_of(struct view field, const struct hl7_delimiters *d, int offset, int64_t *ret, struct refusal *refused, const char *location)
{
	struct view v = hl7_component(field, d, 1);

	if (view_trim(v).n == 0 || hl7_is_null(v))
		return false;
	if (timestamp_parse(v, offset, ret) != 0) {
		*refused = (struct refusal){"date_absurd", "this is not a time", location};
		return false;
	}
	return true;
}

/* When a visit began or ended: PV1-44 or 45, else EVN-2. */
static void
event_time(struct reader *r, const struct hl7_context *c, struct view evn_line, const struct fields_at *pv1, struct visit_event *e)
{
	const struct fields_at evn = fields_of(evn_line, "EVN", 1, r->d);
	const unsigned field = e->kind == EVENT_OPEN ? 44 : 45;
	const char *location = place_of(r, pv1, field);
	struct refusal bad = {0};
	int64_t at;

	if (time_of(hl7_field(&pv1->f, field), r->d, c->offset, &at, &bad, location)
	    || (bad.reason == NULL && time_of(hl7_field(&evn.f, 2), r->d, c->offset, &at, &bad, location = "EVN^1^2")))
		e->at = at;
	if (e->kind == EVENT_DISCHARGE && bad.reason == NULL && !intake_time_is_sane(e->at, c->now))
		bad = (struct refusal){"date_absurd", "the discharge is before 1990 or in the future", location};
	if (e->kind == EVENT_DISCHARGE && bad.reason != NULL)
		e->refused = bad;
}

/* What a group lacks for its event. */
static struct refusal
judge_group(struct hl7_events *he, const struct hl7_group *g, const struct visit_ref *v, const struct visit_event *e)
{
	const enum subject subject = he->row->subject;
	struct arena *a = he->reader.a;
	const unsigned pid = g->n_pid > 0 ? g->n_pid : 1, mrg = g->n_mrg > 0 ? g->n_mrg : 1;
	bool needs_visit = subject != OF_PATIENT && subject != OF_VISIT_OR_PATIENT;

	if (e->kind == EVENT_MERGE && g->mrg.n == 0)
		return (struct refusal){"segment_missing", "a merge has an MRG segment", "MRG^1"};
	if (v->visit_no.n == 0 && needs_visit)
		return (struct refusal){"visit_missing", subject == OF_VISIT ? "no visit number in PV1-19 nor in PID-18" : "the event names no visit", v->location};
	if (v->visit_no.n == 0 && v->patient_no.text.n == 0)
		return (struct refusal){"field_missing", "no patient number in PID-3", arena_printf(a, "PID^%u^3", pid)};
	if (e->kind == EVENT_MOVE && v->patient_no.text.n == 0)
		return (struct refusal){"field_missing", "no patient number in PID-3 to move it to", arena_printf(a, "PID^%u^3", pid)};
	if (e->kind != EVENT_MERGE)
		return (struct refusal){0};
	if (subject == OF_PATIENT && e->other_patient_no.n == 0)
		return (struct refusal){"field_missing", "the merge names no patient in MRG-1", arena_printf(a, "MRG^%u^1", mrg)};
	if (needs_visit && e->other_visit_no.n == 0)
		return (struct refusal){"field_missing", subject == OF_MERGED_VISIT ? "the merge names no visit in MRG-5" : "the merge names no account in MRG-3",
		    arena_printf(a, "MRG^%u^%d", mrg, subject == OF_MERGED_VISIT ? 5 : 3)};
	if (e->other_visit_no.n == 0 && e->other_patient_no.n == 0)
		return (struct refusal){"field_missing", "the merge names neither a visit nor a patient to merge", arena_printf(a, "MRG^%u^1", mrg)};
	return (struct refusal){0};
}

/* One group, one visit, one event. */
static void
group_read(struct hl7_events *he, const struct hl7_group *g, struct visit_ref *v, struct visit_event *e)
{
	struct reader *r = &he->reader;
	const struct hl7_context *c = &he->context;
	const struct event_row *row = he->row;
	const struct fields_at pid = fields_of(g->pid, "PID", g->n_pid, r->d), pv1 = fields_of(g->pv1, "PV1", g->n_pv1, r->d),
	    mrg = fields_of(g->mrg, "MRG", g->n_mrg, r->d);

	visit_of(r, row->subject, &pid, &pv1, &mrg, he->header, v);
	if (e == NULL)
		return;
	if (v->visit_class == NULL)
		v->visit_class = row->visit_class;
	e->kind = row->kind;
	e->at = he->intake->has_sent_at ? he->intake->sent_at : c->now;
	if (e->kind == EVENT_OPEN || e->kind == EVENT_DISCHARGE)
		event_time(r, c, he->groups.evn, &pv1, e);
	struct view birth = hl7_component(hl7_field(&pid.f, 7), r->d, 1);
	e->has_birth_date = birth.n > 0 && timestamp_parse_date(birth, &e->birth_date) == 0;
	e->sex = value_of(r, &pid, 8, FIELD_SEX);
	e->department = value_of(r, &pv1, 10, FIELD_DEPARTMENT);
	e->location = bounded(r, text_of(r, hl7_part(hl7_field(&pv1.f, 3), r->d->repetition, 1)), FIELD_LOCATION, &pv1, 3);
	if (e->kind == EVENT_MERGE)
		losers_of(r, row->subject, &mrg, e);
	struct refusal lacks = judge_group(he, g, v, e);
	if (e->refused.reason == NULL || lacks.reason != NULL)
		e->refused = lacks.reason != NULL ? lacks : e->refused;
}

/* Room for the lines; none where there are none, or too many. */
static void
lines_begin(struct hl7_events *e)
{
	struct intake *in = e->intake;
	size_t n = e->groups.n_ft1;

	if (n == 0) {
		in->refused = (struct refusal){"no_lines", "a DFT without FT1", "FT1^1"};
		return;
	}
	if (n > e->context.max_lines) {
		in->refused = (struct refusal){"too_large", arena_printf(&in->arena, "%zu FT1 segments, at most %zu are taken", n, e->context.max_lines),
		    "FT1^1"};
		return;
	}
	in->lines = arena_alloc(&in->arena, n * sizeof(*in->lines));
	in->n_lines = n;
	hl7_ft1_begin(&e->lines, e->message, e->header, &e->context, in);
}

/* Who and where, and what happened. */
static void
body_read(struct hl7_events *e)
{
	struct intake *in = e->intake;
	const struct hl7_group *g = &e->groups.first;

	if (e->groups.n > e->context.max_lines) {
		in->refused = (struct refusal){"too_large", arena_printf(&in->arena, "%zu groups, at most %zu are taken", e->groups.n, e->context.max_lines),
		    "PID^1"};
		e->groups.n = 1;
	}
	in->visits = arena_alloc(&in->arena, e->groups.n * sizeof(*in->visits));
	in->n_visits = e->groups.n;
	if (is_dft(e->row)) {
		group_read(e, g, &in->visits[0], NULL);
		lines_begin(e);
		return;
	}
	if (e->row->kind == EVENT_NONE) {
		group_read(e, g, &in->visits[0], NULL);
		return;
	}
	in->events = arena_alloc(&in->arena, e->groups.n * sizeof(*in->events));
	in->n_events = e->groups.n;
	for (size_t i = 0; i < in->n_events; i++, g = g->next) {
		in->events[i].visit = i;
		group_read(e, g, &in->visits[i], &in->events[i]);
	}
}

/* What is wrong with the message as a whole. */
static void
judge(struct hl7_events *e)
{
	struct intake *in = e->intake;

	if (in->refused.reason == NULL)
		in->refused = e->groups.refused;
	if (in->refused.reason == NULL)
		in->refused = e->reader.refused;
	if (in->refused.reason == NULL && e->groups.n_msh > 1)	/* frames are taken apart before: nobody pays for the next patient */
		in->refused = (struct refusal){"segment_order", "a second MSH in one message", "MSH^2"};
	if (in->refused.reason == NULL && is_dft(e->row) && in->visits[0].visit_no.n == 0)
		in->refused = (struct refusal){"visit_missing", "no visit number in PV1-19 nor in PID-18", "PV1^1^19"};
	for (size_t i = 0; i < in->n_events && in->refused.reason == NULL; i++)
		in->refused = in->events[i].refused;
	for (size_t i = 0; in->refused.reason != NULL && i < in->n_lines; i++)
		in->lines[i].refused = in->refused;
}

static void
events_open(struct hl7_events *e, struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *in)
{
	const struct fields_at msh = {.id = "MSH", .nth = 1, .f = {.n = 0}};

	e->header = h;
	e->context = *c;
	e->intake = in;
	e->reader = (struct reader){&h->delimiters, &in->arena, {0}};
	e->message = message;
	e->scanned = false;
	timestamp_has_offset(h->time, &e->context.offset);	/* HL7 2.5 chapter 2, TS: the zone of MSH-7 is that of all times without one */
	e->row = hl7_event_of(h, c->a40_visits, &in->refused);
	hl7_groups_begin(&e->groups, message, &h->delimiters, e->row != NULL ? e->row->repeat : REPEAT_NONE, &in->arena);
	in->message_id = bounded(&e->reader, (struct value){hl7_text(h->control_id, e->reader.d, e->reader.a), false}, FIELD_MESSAGE_ID, &msh, 10).text;
	in->has_sent_at = timestamp_parse(h->time, e->context.offset, &in->sent_at) == 0;
}

struct hl7_events *
hl7_events_begin(struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *in)
{
	struct hl7_events *e = arena_room(&in->arena, sizeof(*e));

	events_open(e, message, h, c, in);
	return e;
}

bool
hl7_events_step(struct hl7_events *e, size_t bytes)
{
	if (e->row == NULL)
		return true;
	if (!e->scanned) {
		if (!hl7_groups_step(&e->groups, bytes))
			return false;
		e->scanned = true;
		body_read(e);
		if (bytes < e->message.n && e->intake->n_lines > 0)
			return false;
	}
	if (e->intake->n_lines > 0 && !hl7_ft1_step(&e->lines, bytes))
		return false;
	judge(e);
	return true;
}

void
hl7_events_parse(struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *in)
{
	struct hl7_events e;

	events_open(&e, message, h, c, in);
	while (!hl7_events_step(&e, SIZE_MAX))
		continue;
}
