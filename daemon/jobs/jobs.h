/* The timers of all jobs: when each runs. What it does lives with its module. Any number of daemons may
 * run them: work is claimed with SKIP LOCKED. */
#ifndef VB_JOBS_JOBS_H
#define VB_JOBS_JOBS_H

#include "core/core.h"

struct jobs;

struct jobs *jobs_new(struct core *core);
void jobs_free(struct jobs *jobs);

/* Writes the watermarks that moved and what of feeds was counted; true when there was something to write. */
bool jobs_flush(struct jobs *jobs);
/* No new work is begun. */
void jobs_stop(struct jobs *jobs);

#endif
