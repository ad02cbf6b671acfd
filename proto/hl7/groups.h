/* The segments of a message that say who and where, by group: a PID with what belongs to it. Most messages have one; some structures repeat the group or a
 * part of it (HL7 v2.8 chapters 3 and 6, message tables). */
#ifndef VB_PROTO_HL7_GROUPS
#define VB_PROTO_HL7_GROUPS

#include "segments.h"
#include "proto/intake.h"

/* What of a structure may repeat. */
enum hl7_repeat {
	REPEAT_NONE,		/* one patient, one visit */
	REPEAT_PATIENT = 1,	/* {PID [MRG] [PV1]} */
	REPEAT_MERGE = 2,	/* PID {MRG [PV1]} */
	REPEAT_VISIT = 4,	/* PID {PV1} */
};

struct hl7_group {
	struct hl7_group *next;
	struct view pid, pv1, mrg;	/* lines; empty: the group has none. A group that has no PID of its own has that of the one before */
	unsigned n_pid, n_pv1, n_mrg;	/* which of the message's they are, from 1 */
};

struct hl7_groups {
	const struct hl7_delimiters *d;
	struct arena *a;
	enum hl7_repeat repeat;
	struct view rest;		/* what is not walked yet */
	struct hl7_group first, *last;
	size_t n;			/* of groups */
	struct view evn;
	size_t n_ft1, n_msh, n_mfe;
	unsigned n_pid, n_pv1, n_mrg;
	char before[4];			/* the id of the segment before */
	struct refusal refused;		/* the first thing that is no segment, or not where it belongs */
};

/* delimiters and arena must outlive the walk, whose groups lie in the arena. */
void hl7_groups_begin(struct hl7_groups *g, struct view message, const struct hl7_delimiters *d, enum hl7_repeat repeat, struct arena *a);
/* Goes on for about so many bytes. True at the message's end. */
bool hl7_groups_step(struct hl7_groups *g, size_t bytes);

#endif
