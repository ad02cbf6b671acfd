/* The HL7 profile: which segment and field means what to billing. Charge lines are in hl7_ft1.c. A message is walked twice: for the segments that say who
 * and where, and for its lines. */
#include "hl7_events.h"

#include <ctype.h>

#include "fields.h"
#include "hl7_ft1.h"
#include "timestamp.h"
#include "utf8.h"

struct event_row {
	const char *type, *event;
	enum event_kind kind;
	bool of_patient;	/* no visit needed */
};

static const struct event_row events[] = {
	{"ADT", "A01", EVENT_OPEN, false}, {"ADT", "A04", EVENT_OPEN, false}, {"ADT", "A05", EVENT_OPEN, false},
	{"ADT", "A02", EVENT_UPDATE, false}, {"ADT", "A08", EVENT_UPDATE, true}, {"ADT", "A03", EVENT_DISCHARGE, false},
	{"ADT", "A11", EVENT_CANCEL, false}, {"ADT", "A13", EVENT_REOPEN, false}, {"ADT", "A40", EVENT_MERGE, true},
	{"ADT", "A28", EVENT_UPDATE, true}, {"ADT", "A31", EVENT_UPDATE, true},
	{"BAR", "P01", EVENT_OPEN, false}, {"BAR", "P05", EVENT_UPDATE, false}, {"BAR", "P06", EVENT_DISCHARGE, false},
	{"DFT", "P03", EVENT_NONE, false}, {"DFT", "P11", EVENT_NONE, false},
};

/* The segments that say who and where; FT1 are walked separately. Of fields only the number is set before they are split: four kilobytes of zeros a
 * message would be a tenth of its reading. */
struct body {
	bool has_pid, has_pv1, has_mrg;
	struct hl7_fields evn, pid, pv1, mrg;
	size_t n_ft1, n_msh;
	char last[4];		/* the id of the segment before */
};

/* What reads texts: the first one that breaks its limit is the refusal. */
struct reader {
	const struct hl7_delimiters *d;
	struct arena *a;
	struct refusal refused;
};

static const struct event_row *
event_lookup(const struct hl7_header *h, struct refusal *refused)
{
	bool type_known = false;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (view_is(h->type, events[i].type)) {
			type_known = true;
			if (view_is(h->event, events[i].event))
				return &events[i];
		}
	*refused = type_known ? (struct refusal){"event_code", "the event is not one that billing takes", "MSH^1^9^1^2"}
	    : (struct refusal){"message_type", "the message type is not one that billing takes", "MSH^1^9^1^1"};
	return NULL;
}

struct hl7_events {
	const struct hl7_header *header;
	struct hl7_context context;
	struct intake *intake;
	const struct event_row *row;
	struct reader reader;
	struct body body;
	struct view message, rest;
	bool scanned;
	struct hl7_ft1 lines;
};

/* What is no segment is a piece of one that a line end has cut in two; and where an LF inside a segment is followed by what could be the next one, it
 * could be either. Neither is guessed. */
static void
judge_segment(struct hl7_events *e, const struct hl7_segment *s)
{
	const char delimiter = e->header->delimiters.field, *end = s->line.p + s->line.n, *lf = s->line.p;
	struct body *b = &e->body;
	struct arena *a = e->reader.a;

	if (e->reader.refused.reason != NULL)
		return;
	if (s->id[0] == '\0' || (s->line.n > 3 && s->line.p[3] != delimiter)) {
		e->reader.refused = (struct refusal){"segment_invalid", arena_printf(a, "\"%.*s\" is no segment; a line end inside a field is sent as an escape",
		    (int)utf8_cut(s->line, 40).n, s->line.p), arena_printf(a, "%s^%zu", b->last, strcmp(b->last, "FT1") == 0 ? b->n_ft1 : 1)};
		return;
	}
	while ((lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL) {
		lf++;
		if (end - lf > 3 && lf[3] == delimiter && isupper((unsigned char)lf[0]) && isalnum((unsigned char)lf[1]) && isalnum((unsigned char)lf[2])) {
			e->reader.refused = (struct refusal){"segment_invalid", "a line feed is followed by what could be a segment, but segments end with CR here",
			    arena_printf(a, "%s^%zu", s->id, hl7_is(s, "FT1") ? b->n_ft1 + 1 : 1)};
			return;
		}
	}
}

/* Goes on for about so many bytes. True at the message's end. */
static bool
body_scan(struct hl7_events *e, size_t bytes)
{
	size_t until = bytes < e->rest.n ? e->rest.n - bytes : 0;
	const struct hl7_delimiters *d = &e->header->delimiters;
	struct body *b = &e->body;
	struct hl7_segment s;

	while (hl7_next_segment(&e->rest, &s)) {
		if (s.id[0] == '\0' || (s.line.n > 3 && s.line.p[3] != d->field) || memchr(s.line.p, '\n', s.line.n) != NULL)
			judge_segment(e, &s);
		memcpy(b->last, s.id, sizeof(b->last));
		if (hl7_is(&s, "FT1"))
			b->n_ft1++;
		else if (hl7_is(&s, "MSH"))
			b->n_msh++;
		else if (hl7_is(&s, "PID") && !b->has_pid)
			hl7_split(&s, d, &b->pid), b->has_pid = true;
		else if (hl7_is(&s, "PV1") && !b->has_pv1)
			hl7_split(&s, d, &b->pv1), b->has_pv1 = true;
		else if (hl7_is(&s, "MRG") && !b->has_mrg)
			hl7_split(&s, d, &b->mrg), b->has_mrg = true;
		else if (hl7_is(&s, "EVN") && b->evn.n == 0)
			hl7_split(&s, d, &b->evn);
		if (e->rest.n < until)
			return false;
	}
	return true;
}

/* The text by the table of fields; empty where it breaks its limit, so that nothing long goes on from here. */
static struct value
bounded(struct reader *r, struct value v, enum field field, const char *location)
{
	const char *complaint = v.text.n > 0 ? field_text_complaint(field, v.text) : NULL;

	if (complaint == NULL)
		return v;
	if (r->refused.reason == NULL)
		r->refused = (struct refusal){"field_invalid", arena_printf(r->a, "the %s %s", field_limit_of(field)->name, complaint), location};
	return (struct value){VIEW_NONE, false};
}

static struct value
text_of(struct reader *r, struct view component)
{
	if (hl7_is_null(component))
		return (struct value){VIEW_NONE, true};
	return (struct value){view_trim(hl7_text(component, r->d, r->a)), false};
}

static struct value
value_of(struct reader *r, struct view component, enum field field, const char *location)
{
	return bounded(r, text_of(r, component), field, location);
}

static struct view
id_of(struct reader *r, struct view field, enum field which, const char *location)
{
	return value_of(r, hl7_component(field, r->d, 1), which, location).text;
}

/* PID-5: family and given name as one: a blank between Latin ones, none between Chinese ones. */
static struct value
name_of(struct reader *r, struct view field)
{
	struct value family = text_of(r, hl7_component(field, r->d, 1)), given = text_of(r, hl7_component(field, r->d, 2)), name = family;

	if (!family.deleted && given.text.n > 0) {
		name = given;
		if (family.text.n > 0) {
			const char *blank = (unsigned char)family.text.p[family.text.n - 1] < 0x80 && (unsigned char)given.text.p[0] < 0x80 ? " " : "";
			name = (struct value){arena_join(r->a, family.text, blank, given.text), false};
		}
	}
	return bounded(r, name, FIELD_PATIENT_NAME, "PID^1^5");
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

static void
visit_of(struct reader *r, const struct body *b, const struct hl7_header *h, struct visit_ref *ret)
{
	ret->facility = h->facility;
	ret->visit_no = id_of(r, hl7_field(&b->pv1, 19), FIELD_VISIT_NO, "PV1^1^19");
	if (ret->visit_no.n == 0)
		ret->visit_no = id_of(r, hl7_field(&b->pid, 18), FIELD_VISIT_NO, "PID^1^18");
	ret->patient_no.text = id_of(r, hl7_field(&b->pid, 3), FIELD_PATIENT_NO, "PID^1^3");
	if (ret->patient_no.text.n == 0)
		ret->patient_no.text = id_of(r, hl7_field(&b->pid, 2), FIELD_PATIENT_NO, "PID^1^2");
	ret->patient_name = name_of(r, hl7_field(&b->pid, 5));
	ret->visit_class = class_of(hl7_component(hl7_field(&b->pv1, 2), r->d, 1));
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

static void
event_fill(struct reader *r, const struct body *b, const struct hl7_context *c, struct intake *in)
{
	const struct hl7_delimiters *d = r->d;
	struct visit_event *e = &in->event;
	struct refusal bad = {0};

	e->at = in->has_sent_at ? in->sent_at : c->now;
	if (e->kind == EVENT_OPEN || e->kind == EVENT_DISCHARGE) {
		int64_t at;
		size_t field = e->kind == EVENT_OPEN ? 44 : 45;
		const char *location = e->kind == EVENT_OPEN ? "PV1^1^44" : "PV1^1^45";
		if (time_of(hl7_field(&b->pv1, field), d, c->offset, &at, &bad, location)
		    || (bad.reason == NULL && time_of(hl7_field(&b->evn, 2), d, c->offset, &at, &bad, location = "EVN^1^2")))
			e->at = at;
		if (e->kind == EVENT_DISCHARGE && bad.reason == NULL && !intake_time_is_sane(e->at, c->now))
			bad = (struct refusal){"date_absurd", "the discharge is before 1990 or in the future", location};
		if (e->kind == EVENT_DISCHARGE && bad.reason != NULL)
			e->refused = bad;
	}
	struct view birth = hl7_component(hl7_field(&b->pid, 7), d, 1);
	e->has_birth_date = birth.n > 0 && timestamp_parse_date(birth, &e->birth_date) == 0;
	e->sex = value_of(r, hl7_component(hl7_field(&b->pid, 8), d, 1), FIELD_SEX, "PID^1^8");
	e->department = value_of(r, hl7_component(hl7_field(&b->pv1, 10), d, 1), FIELD_DEPARTMENT, "PV1^1^10");
	e->location = value_of(r, hl7_part(hl7_field(&b->pv1, 3), d->repetition, 1), FIELD_LOCATION, "PV1^1^3");
	if (e->kind == EVENT_MERGE) {
		e->other_visit_no = id_of(r, hl7_field(&b->mrg, 5), FIELD_VISIT_NO, "MRG^1^5");
		if (e->other_visit_no.n == 0)
			e->other_visit_no = id_of(r, hl7_field(&b->mrg, 3), FIELD_VISIT_NO, "MRG^1^3");
		e->other_patient_no = id_of(r, hl7_field(&b->mrg, 1), FIELD_PATIENT_NO, "MRG^1^1");
		if (!b->has_mrg)
			e->refused = (struct refusal){"segment_missing", "a merge has an MRG segment", "MRG^1"};
		else if (e->other_visit_no.n == 0 && e->other_patient_no.n == 0)
			e->refused = (struct refusal){"field_missing", "the merge names neither a visit nor a patient to merge", "MRG^1^1"};
	}
}

/* Room for the lines; none where there are none, or too many. */
static void
lines_begin(struct hl7_events *e)
{
	struct intake *in = e->intake;
	size_t n = e->body.n_ft1;

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

	in->visits = arena_alloc(&in->arena, sizeof(*in->visits));
	in->n_visits = 1;
	visit_of(&e->reader, &e->body, e->header, &in->visits[0]);
	if (e->row->kind == EVENT_NONE) {
		lines_begin(e);
		return;
	}
	in->event.kind = e->row->kind;
	if (strcmp(e->row->event, "A28") == 0 || strcmp(e->row->event, "A31") == 0)
		in->visits[0].visit_no = VIEW_NONE;
	event_fill(&e->reader, &e->body, &e->context, in);
}

/* What is wrong with the message as a whole. */
static void
judge(struct hl7_events *e)
{
	struct intake *in = e->intake;
	const struct visit_ref *visit = &in->visits[0];

	if (in->refused.reason == NULL)
		in->refused = e->reader.refused;
	if (in->refused.reason == NULL && e->body.n_msh > 1)	/* frames are taken apart before: nobody pays for the next patient */
		in->refused = (struct refusal){"segment_order", "a second MSH in one message", "MSH^2"};
	if (in->refused.reason == NULL && visit->visit_no.n == 0) {
		if (!e->row->of_patient)
			in->refused = (struct refusal){"visit_missing", "no visit number in PV1-19 nor in PID-18", "PV1^1^19"};
		else if (visit->patient_no.text.n == 0)
			in->refused = (struct refusal){"field_missing", "no patient number in PID-3", "PID^1^3"};
	}
	if (in->refused.reason == NULL)
		in->refused = in->event.refused;
	for (size_t i = 0; in->refused.reason != NULL && i < in->n_lines; i++)
		in->lines[i].refused = in->refused;
}

static void
events_open(struct hl7_events *e, struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *in)
{
	struct body *b = &e->body;

	e->header = h;
	e->context = *c;
	e->intake = in;
	e->reader = (struct reader){&h->delimiters, &in->arena, {0}};
	e->message = e->rest = message;
	e->scanned = false;
	b->has_pid = b->has_pv1 = b->has_mrg = false;
	b->evn.n = b->pid.n = b->pv1.n = b->mrg.n = 0;
	b->n_ft1 = b->n_msh = 0;
	b->last[0] = '\0';
	timestamp_has_offset(h->time, &e->context.offset);	/* HL7 2.5 chapter 2, TS: the zone of MSH-7 is that of all times without one */
	e->row = event_lookup(h, &in->refused);
	in->message_id = bounded(&e->reader, (struct value){hl7_text(h->control_id, e->reader.d, e->reader.a), false}, FIELD_MESSAGE_ID, "MSH^1^10").text;
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
		if (!body_scan(e, bytes))
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
