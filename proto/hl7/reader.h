/* Reading the fields of a segment as bounded texts, by the feed's profile where it says how: what events.c asks of PID, PV1, MRG and EVN. */
#ifndef VB_PROTO_HL7_READER_H
#define VB_PROTO_HL7_READER_H

#include "profile.h"
#include "proto/fields.h"
#include "proto/intake.h"

/* What reads texts: the first one that breaks its limit is the refusal. */
struct reader {
	const struct hl7_delimiters *d;
	const struct hl7_profile *profile;
	struct arena *a;
	struct refusal refused;
};

/* A segment's fields, and where they stand. */
struct fields_at {
	const char *id;
	unsigned nth;
	struct hl7_fields f;
};

/* The PID, PV1 and MRG of a group. */
struct group_fields {
	struct fields_at pid, pv1, mrg;
};

/* nth: which one of the message's it is, from 1; an empty line has no fields. */
static inline void
reader_split(const struct reader *r, struct view line, const char *id, unsigned nth, struct fields_at *ret)
{
	const struct hl7_segment s = {.line = line};

	ret->id = id;
	ret->nth = nth > 0 ? nth : 1;
	ret->f.n = 0;
	if (line.n > 0)
		hl7_split(&s, r->d, &ret->f);
}

/* "PV1^1^19" */
const char *reader_place(struct reader *r, const struct fields_at *at, unsigned number);
/* A text by the table of fields; empty where it breaks its limit, so that nothing long goes on from here. */
struct value reader_bounded(struct reader *r, struct value v, enum field field, const struct fields_at *at, unsigned number);
struct value reader_text(struct reader *r, struct view component);
/* The first component of a field. */
struct value reader_value(struct reader *r, const struct fields_at *at, unsigned number, enum field field);
struct view reader_id(struct reader *r, const struct fields_at *at, unsigned number, enum field field);

/* The patient's number in a field that repeats (PID-3, MRG-1), by the profile. */
struct view reader_patient_no(struct reader *r, const struct fields_at *at, unsigned number);
/* PID-5: family and given name as one. */
struct value reader_patient_name(struct reader *r, const struct fields_at *pid);
/* PV1-2, by the profile or table 0004; NULL where neither knows it. */
const char *reader_class(struct reader *r, const struct fields_at *pv1);
/* A code of a field, by one of the profile's maps. */
struct value reader_code(struct reader *r, const struct fields_at *at, unsigned number, enum field field, const struct hl7_map *map);

/* The number of one kind: the visit's, or that of the one that is merged into it (MRG). */
struct view reader_number(struct reader *r, const struct group_fields *g, enum hl7_visit_field kind);
struct view reader_number_merged(struct reader *r, const struct group_fields *g, enum hl7_visit_field kind);
/* What it is, as an intake says it: NULL for the visit's own number, account, alternate. */
const char *reader_number_kind(enum hl7_visit_field kind);
/* Its place: "PV1^1^19". */
const char *reader_number_place(struct reader *r, const struct group_fields *g, enum hl7_visit_field kind);
/* The first number that is there, in the profile's order, with its kind; and its place, else that of the first field that is not blank, else of the first. */
struct view reader_visit_no(struct reader *r, const struct group_fields *g, enum hl7_visit_field *ret_kind, const char **ret_place);
struct view reader_visit_no_merged(struct reader *r, const struct group_fields *g, enum hl7_visit_field *ret_kind);

#endif
