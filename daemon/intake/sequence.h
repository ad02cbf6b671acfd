/* The sequence numbers (MSH-13) that a feed sent since they were last written, as ranges. No gap is found here: what this daemon did not see
 * another may have. */
#ifndef VB_INTAKE_SEQUENCE
#define VB_INTAKE_SEQUENCE

#include <stddef.h>
#include <stdint.h>

#include "proto/view.h"

/* LATE: a number farther before the newest one is not late, the sender counts anew. sql/functions/62_feeds.sql has the same number. */
enum { SEQUENCE_RANGES_MOST = 1024, SEQUENCE_LATE = 10000 };

/* The numbers from first to until, both of them among it. */
struct range {
	int64_t first, until;
	int64_t unknown;		/* so many of them at most may not have come: there was no room to tell */
};

/* Zeroed, it is empty. */
struct sequence {
	size_t n;
	size_t open;			/* the ranges from here on ascend, none touches the next; before it are those of earlier counting */
	struct range ranges[SEQUENCE_RANGES_MOST];
};

/* A number came; a text that is none, of 15 digits at most, is passed over. */
void sequence_note(struct sequence *s, struct view text);
/* What came is in `more`, too, and came after all that is in s. */
void sequence_add(struct sequence *s, const struct sequence *more);

#endif
