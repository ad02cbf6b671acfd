/* The HL7 profile: which segment and field means what to billing. Which events there are is in event_table.c, the walk through the message in
 * groups.c, charge lines in charges.c. */
#include "events.h"

#include "charges.h"
#include "event_table.h"
#include "items.h"
#include "reader.h"
#include "proto/timestamp.h"

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
	struct hl7_items items;
};

static bool
is_dft(const struct event_row *row)
{
	return row->type[0] == 'D';
}

static bool
is_price_list(const struct event_row *row)
{
	return row->type[0] == 'M';
}

/* Which number the event's visit is known by. */
enum number {
	NUMBER_NONE,		/* it is about a patient */
	NUMBER_ANY,		/* any of the feed's visit_no */
	NUMBER_ACCOUNT,
	NUMBER_VISIT,
};

static enum number
number_of(enum subject subject, const struct hl7_profile *p)
{
	switch (subject) {
	case OF_VISIT: case OF_VISIT_OR_PATIENT:
		return NUMBER_ANY;
	case OF_PATIENT:
		return NUMBER_NONE;
	case OF_ACCOUNT_AND_PATIENT:	/* of a feed whose accounts number no visits: the patient alone */
		return hl7_profile_numbers(p, VISIT_PID_18) ? NUMBER_ACCOUNT : NUMBER_NONE;
	case OF_ACCOUNT: case OF_MOVED_ACCOUNT:
		return NUMBER_ACCOUNT;
	case OF_MERGED_VISIT: case OF_MOVED_VISIT:
		return NUMBER_VISIT;
	}
	return NUMBER_NONE;
}

/* The field of an account's or a visit's number. False where the feed numbers its visits by another one: then the event names no visit that it knows. */
static bool
field_of(enum number number, const struct hl7_profile *p, enum hl7_visit_field *ret)
{
	*ret = number == NUMBER_ACCOUNT ? VISIT_PID_18 : hl7_profile_numbers(p, VISIT_PV1_19) || !hl7_profile_numbers(p, VISIT_PV1_50) ? VISIT_PV1_19
	    : VISIT_PV1_50;
	return hl7_profile_numbers(p, *ret);
}

/* The visit that a group is about. What is not said where it must be is told by judge_group. */
static void
visit_of(struct reader *r, enum subject subject, const struct group_fields *g, const struct hl7_header *h, struct visit_ref *ret)
{
	enum number number = number_of(subject, r->profile);
	enum hl7_visit_field field;

	ret->facility = h->facility;
	ret->patient_no.text = reader_patient_no(r, &g->pid, 3);
	if (ret->patient_no.text.n == 0 && r->profile->patient_by == PATIENT_BY_PLACE)
		ret->patient_no.text = reader_id(r, &g->pid, 2, FIELD_PATIENT_NO);
	ret->patient_name = reader_patient_name(r, &g->pid);
	ret->visit_class = reader_class(r, &g->pv1);
	if (number == NUMBER_ANY) {
		ret->visit_no = reader_visit_no(r, g, &field, &ret->location);
		ret->number_kind = reader_number_kind(field);
	} else if (number == NUMBER_NONE) {
		ret->location = reader_place(r, &g->pid, 3);
	} else {
		bool known = field_of(number, r->profile, &field);
		if (known)
			ret->visit_no = reader_number(r, g, field);
		if (known && ret->visit_no.n == 0 && (subject == OF_MOVED_ACCOUNT || subject == OF_MOVED_VISIT))
			ret->visit_no = reader_number_merged(r, g, field);
		ret->number_kind = reader_number_kind(field);
		ret->location = reader_number_place(r, g, field);
	}
}

/* Lines without a visit's number are the patient's one open visit's, where the feed's setting says so. */
static void
by_patient(struct hl7_events *e, struct visit_ref *v)
{
	const char *kind = e->reader.profile->patient_kind;

	if (kind == NULL || v->visit_no.n > 0)
		return;
	v->location = arena_printf(e->reader.a, "PID^%u^3", e->groups.first.n_pid > 0 ? e->groups.first.n_pid : 1);
	if (v->patient_no.text.n == 0)
		return;
	v->visit_no = v->patient_no.text;
	v->number_kind = kind;
}

/* What else the visit is called, where an event tells of it: that finds it from now on. */
static void
further_numbers(struct reader *r, const struct group_fields *g, struct visit_ref *v)
{
	if (v->visit_no.n == 0 || v->number_kind != NULL)
		return;
	v->account_no = reader_number(r, g, VISIT_PID_18);
	v->alternate_no = reader_number(r, g, VISIT_PV1_50);
}

/* The losers of a merge. */
static void
losers_of(struct reader *r, enum subject subject, const struct group_fields *g, struct visit_event *e)
{
	enum number number = number_of(subject, r->profile);
	enum hl7_visit_field field;

	if (number == NUMBER_ANY)
		e->other_visit_no = reader_visit_no_merged(r, g, &field);
	else if (number != NUMBER_NONE && field_of(number, r->profile, &field))
		e->other_visit_no = reader_number_merged(r, g, field);
	if (e->other_visit_no.n > 0)
		e->other_kind = reader_number_kind(field);
	if (subject != OF_ACCOUNT && subject != OF_MERGED_VISIT)
		e->other_patient_no = reader_patient_no(r, &g->mrg, 1);
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
	struct fields_at evn;
	const unsigned field = e->kind == EVENT_OPEN ? 44 : 45;
	const char *location = reader_place(r, pv1, field);
	struct refusal bad = {0};
	int64_t at;

	reader_split(r, evn_line, "EVN", 1, &evn);
	if (time_of(hl7_field(&pv1->f, field), r->d, c->offset, &at, &bad, location)
	    || (bad.reason == NULL && time_of(hl7_field(&evn.f, 2), r->d, c->offset, &at, &bad, location = "EVN^1^2")))
		e->at = at;
	if (e->kind == EVENT_DISCHARGE && bad.reason == NULL && !intake_time_is_sane(e->at, c->now))
		bad = (struct refusal){"date_absurd", "the discharge is before 1990 or in the future", location};
	if (e->kind == EVENT_DISCHARGE && bad.reason != NULL)
		e->refused = bad;
}

/* What the merge lacks of its loser. */
static struct refusal
judge_losers(struct hl7_events *he, enum number number, const struct visit_event *e, unsigned mrg)
{
	struct arena *a = he->reader.a;
	enum hl7_visit_field field;

	if (number == NUMBER_NONE && e->other_patient_no.n == 0)
		return (struct refusal){"field_missing", "the merge names no patient in MRG-1", arena_printf(a, "MRG^%u^1", mrg)};
	if ((number == NUMBER_ACCOUNT || number == NUMBER_VISIT) && e->other_visit_no.n == 0) {
		field_of(number, he->reader.profile, &field);
		int at = field == VISIT_PID_18 ? 3 : field == VISIT_PV1_19 ? 5 : 6;
		return (struct refusal){"field_missing", at == 3 ? "the merge names no account in MRG-3" : at == 5 ? "the merge names no visit in MRG-5"
		    : "the merge names no visit in MRG-6", arena_printf(a, "MRG^%u^%d", mrg, at)};
	}
	if (e->other_visit_no.n == 0 && e->other_patient_no.n == 0)
		return (struct refusal){"field_missing", "the merge names neither a visit nor a patient to merge", arena_printf(a, "MRG^%u^1", mrg)};
	return (struct refusal){0};
}

/* What a group lacks for its event. */
static struct refusal
judge_group(struct hl7_events *he, const struct hl7_group *g, const struct visit_ref *v, const struct visit_event *e)
{
	const enum subject subject = he->row->subject;
	const struct hl7_profile *p = he->reader.profile;
	const enum number number = number_of(subject, p);
	struct arena *a = he->reader.a;
	const unsigned pid = g->n_pid > 0 ? g->n_pid : 1;
	enum hl7_visit_field field;

	if (e->kind == EVENT_MERGE && g->mrg.n == 0)
		return (struct refusal){"segment_missing", "a merge has an MRG segment", "MRG^1"};
	if (v->visit_no.n == 0 && (number == NUMBER_ACCOUNT || number == NUMBER_VISIT))
		return (struct refusal){"visit_missing", field_of(number, p, &field) ? "the event names no visit"
		    : "the event is about a number by which the feed's visit_no knows no visit", v->location};
	if (v->visit_no.n == 0 && subject == OF_VISIT)
		return (struct refusal){"visit_missing", p->visit_missing, v->location};
	if (v->visit_no.n == 0 && v->patient_no.text.n == 0)
		return (struct refusal){"field_missing", "no patient number in PID-3", arena_printf(a, "PID^%u^3", pid)};
	if (e->kind == EVENT_MOVE && v->patient_no.text.n == 0)
		return (struct refusal){"field_missing", "no patient number in PID-3 to move it to", arena_printf(a, "PID^%u^3", pid)};
	if (e->kind != EVENT_MERGE)
		return (struct refusal){0};
	return judge_losers(he, number, e, g->n_mrg > 0 ? g->n_mrg : 1);
}

/* One group, one visit, one event. */
static void
group_read(struct hl7_events *he, const struct hl7_group *g, struct visit_ref *v, struct visit_event *e)
{
	struct reader *r = &he->reader;
	const struct hl7_context *c = &he->context;
	const struct event_row *row = he->row;
	struct group_fields f;

	reader_split(r, g->pid, "PID", g->n_pid, &f.pid);
	reader_split(r, g->pv1, "PV1", g->n_pv1, &f.pv1);
	reader_split(r, g->mrg, "MRG", g->n_mrg, &f.mrg);
	visit_of(r, row->subject, &f, he->header, v);
	if (e == NULL)
		return;
	if (v->visit_class == NULL)
		v->visit_class = row->visit_class;
	e->kind = row->kind;
	e->at = he->intake->has_sent_at ? he->intake->sent_at : c->now;
	if (e->kind == EVENT_OPEN || e->kind == EVENT_UPDATE || e->kind == EVENT_DISCHARGE)
		further_numbers(r, &f, v);
	if (e->kind == EVENT_OPEN || e->kind == EVENT_DISCHARGE)
		event_time(r, c, he->groups.evn, &f.pv1, e);
	struct view birth = hl7_component(hl7_field(&f.pid.f, 7), r->d, 1);
	e->has_birth_date = birth.n > 0 && timestamp_parse_date(birth, &e->birth_date) == 0;
	e->sex = reader_code(r, &f.pid, 8, FIELD_SEX, &r->profile->sexes);
	e->department = reader_code(r, &f.pv1, 10, FIELD_DEPARTMENT, &r->profile->departments);
	e->location = reader_bounded(r, reader_text(r, hl7_part(hl7_field(&f.pv1.f, 3), r->d->repetition, 1)), FIELD_LOCATION, &f.pv1, 3);
	if (e->kind == EVENT_MERGE)
		losers_of(r, row->subject, &f, e);
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
	if (is_price_list(e->row)) {
		hl7_items_begin(&e->items, e->message, &e->reader, e->context.now, e->context.offset, e->groups.n_mfe, e->context.max_lines, in);
		return;
	}
	in->visits = arena_alloc(&in->arena, e->groups.n * sizeof(*in->visits));
	in->n_visits = e->groups.n;
	if (is_dft(e->row)) {
		group_read(e, g, &in->visits[0], NULL);
		by_patient(e, &in->visits[0]);
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

/* Money is a visit's by its number: there is no telling a resend from more of it, once the patient has another visit. */
static void
refuse_payments(struct intake *in)
{
	for (size_t i = 0; i < in->n_lines; i++)
		if (in->lines[i].kind == LINE_PAYMENT && in->lines[i].refused.reason == NULL)
			in->lines[i].refused = (struct refusal){"visit_missing", "a payment needs the visit's number; charges alone go by the patient",
			    arena_printf(&in->arena, "FT1^%d^6", in->lines[i].ordinal)};
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
		in->refused = (struct refusal){"visit_missing", e->reader.profile->patient_kind != NULL ? "neither a visit number nor a patient's in PID-3"
		    : e->reader.profile->visit_missing, in->visits[0].location};
	for (size_t i = 0; i < in->n_events && in->refused.reason == NULL; i++)
		in->refused = in->events[i].refused;
	for (size_t i = 0; in->refused.reason != NULL && i < in->n_lines; i++)
		in->lines[i].refused = in->refused;
	if (in->n_lines > 0 && visit_is_by_patient(&in->visits[0]))
		refuse_payments(in);
}

static void
events_open(struct hl7_events *e, struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *in)
{
	const struct fields_at msh = {.id = "MSH", .nth = 1, .f = {.n = 0}};

	e->header = h;
	e->context = *c;
	e->intake = in;
	e->reader = (struct reader){&h->delimiters, c->profile, &in->arena, {0}};
	e->message = message;
	e->scanned = false;
	timestamp_has_offset(h->time, &e->context.offset);	/* HL7 2.5 chapter 2, TS: the zone of MSH-7 is that of all times without one */
	e->row = hl7_event_of(h, c->profile->a40_visits, &in->refused);
	hl7_groups_begin(&e->groups, message, &h->delimiters, e->row != NULL ? e->row->repeat : REPEAT_NONE, &in->arena);
	in->message_id = reader_bounded(&e->reader, (struct value){hl7_text(h->control_id, e->reader.d, e->reader.a), false}, FIELD_MESSAGE_ID, &msh, 10).text;
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
	if (is_price_list(e->row) && !hl7_items_step(&e->items, bytes))
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
