/* One HL7 v2 message as views into its bytes (HL7 v2.8 chapter 2): delimiters from MSH, segments, fields, repetitions, components,
 * escapes. Nothing is allocated but text that an escape changes. The bytes are UTF-8 by now; see charset.h. */
#ifndef VB_PROTO_HL7_SEGMENTS
#define VB_PROTO_HL7_SEGMENTS

#include "proto/arena.h"
#include "proto/view.h"

enum { HL7_FIELDS = 64 };

struct hl7_delimiters {
	char field, component, repetition, escape, subcomponent;
	char truncation;	/* v2.7, else 0 */
};

struct hl7_segment {
	char id[4];		/* upper case, NUL-terminated */
	struct view line;	/* without its end */
};

/* A segment's fields: f[n] is SEG-n; for MSH f[1] is the field delimiter itself and f[2] the encoding characters. f[0] is the
 * id. Fields beyond HL7_FIELDS are not kept. */
struct hl7_fields {
	struct view f[HL7_FIELDS];
	size_t n;		/* highest index that is there */
};

/* Reads the delimiters of a header segment (MSH, BHS, FHS) line. Returns 0, or -1 when it has none or they are not five different,
 * printable characters. */
int hl7_delimiters_of(struct view header_line, struct hl7_delimiters *ret) __attribute__((warn_unused_result));

/* Takes the next segment off *rest. Segments end as the header does: with CR, which an LF may follow (an LF elsewhere is text then), or with LF alone.
 * Empty lines and blanks before a segment are skipped. False at the end. A segment without a plausible id comes with id "". */
bool hl7_next_segment(struct view *rest, struct hl7_segment *ret);

/* Is it the segment of this id, of three letters? */
static inline bool
hl7_is(const struct hl7_segment *segment, const char *id)
{
	return memcmp(segment->id, id, sizeof(segment->id)) == 0;
}

/* Is it a segment at all: does the field delimiter follow a plausible id? Else it is a piece of one that a line end has cut in two. */
static inline bool
hl7_is_segment(const struct hl7_segment *segment, const struct hl7_delimiters *d)
{
	return segment->id[0] != '\0' && (segment->line.n <= 3 || segment->line.p[3] == d->field);
}

/* Splits a segment into fields. */
void hl7_split(const struct hl7_segment *segment, const struct hl7_delimiters *d, struct hl7_fields *ret);

/* Field n, empty where the segment ends before. */
static inline struct view
hl7_field(const struct hl7_fields *fields, size_t n)
{
	return n <= fields->n && n < HL7_FIELDS ? fields->f[n] : VIEW_NONE;
}

/* The nth part (from 1) between delimiters, empty where there is none: repetition of a field, component of a repetition,
 * subcomponent of a component. */
struct view hl7_part(struct view whole, char delimiter, size_t n);

/* Component n of the field's first repetition, its first subcomponent only. */
struct view hl7_component(struct view field, const struct hl7_delimiters *d, size_t n);

/* HL7's explicit null: two quotes, delete the value. */
static inline bool
hl7_is_null(struct view v)
{
	return v.n == 2 && v.p[0] == '"' && v.p[1] == '"';
}

/* The text of a component: escapes replaced (\F\ \S\ \T\ \R\ \E\ \P\ \X..\ \.br\), others left verbatim. The view itself where there is no
 * escape, else a copy in the arena. */
struct view hl7_text(struct view component, const struct hl7_delimiters *d, struct arena *a);

#endif
