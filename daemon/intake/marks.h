/* Watermarks: how far each feed has been durable is kept in the database as it moves. */
#ifndef VB_INTAKE_MARKS
#define VB_INTAKE_MARKS

#include "base/job.h"
#include "core/core.h"
#include "intake/booking.h"

/* The job is durable: its feed has come so far as its message says. */
void marks_note(const struct booking_job *job);
/* Writes those that moved. */
void marks_run(struct core *core, job_over_fn over, void *job);
/* Is there one that moved since it was written? */
bool marks_pending(const struct core *core);

#endif
