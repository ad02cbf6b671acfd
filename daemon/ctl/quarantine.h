/* Parts of `visitbillctl quarantine` that have a file of their own. */
#ifndef VB_CTL_QUARANTINE_H
#define VB_CTL_QUARANTINE_H

#include <stdio.h>

#include "proto/view.h"

/* Where something is wrong in a message, as quarantine keeps it. */
struct quarantine_place {
	const char *location;	/* FT1^2^10 or /lines/1/amount; NULL: not said */
	int ordinal;		/* which line, from 1; 0: the whole message */
};

/* Shows a message, the place marked. charset: the feed's, for a blank MSH-18; may be NULL. full: all of a long one, too. */
void quarantine_print_hl7(FILE *out, struct view message, const char *charset, const struct quarantine_place *place, bool full);
void quarantine_print_json(FILE *out, struct view message, const struct quarantine_place *place, bool full);

#endif
