/* Plausible or not: the limits of a facility for a line, for a visit's total and for what is charged on one day of it. What is beyond them is kept, and booked
 * when a person replays it. */
#ifndef VB_INTAKE_PLAUSIBLE
#define VB_INTAKE_PLAUSIBLE

#include "access/directory.h"
#include "proto/intake.h"

/* Refuses the lines that are beyond a limit by themselves. */
void plausible_judge(const struct feed *feed, struct intake *in);
/* The least of the limits of the feed's visits, fen: beyond it the database looks at their lines. 0: there is none. */
int64_t plausible_visit_most(const struct feed *feed);
/* Of a line with an outcome: the limit of its visit that it is beyond, as our settings have it, and the sum. In the arena; NULL where the outcome is another. */
const char *plausible_detail(const struct charge_line *l, const struct feed *feed, struct arena *a);

#endif
