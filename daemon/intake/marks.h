/* Watermarks: how far each feed has been durable is kept in the database as it moves. */
#ifndef VB_INTAKE_MARKS
#define VB_INTAKE_MARKS

#include "base/job.h"
#include "core/core.h"
#include "proto/intake.h"

/* What the intake says of its time is durable now: its feed has come so far. */
void marks_note(struct feed *feed, const struct intake *in);
/* Writes those that moved. */
void marks_run(struct core *core, job_over_fn over, void *job);
/* Is there one that moved since it was written? */
bool marks_pending(const struct core *core);

#endif
