/* Work on the database that falls due by time: closing visits, flags, partitions. Any number of daemons may do it: work is claimed with SKIP LOCKED. */
#ifndef VB_CORE_UPKEEP_H
#define VB_CORE_UPKEEP_H

#include "base/job.h"
#include "core/core.h"

/* Closes visits that are due; more when there was a full batch of them. */
void upkeep_close(struct core *core, job_over_fn over, void *job);
/* Discharges visits that a close rule ends; more when there was a full batch to look at. */
void upkeep_ending(struct core *core, job_over_fn over, void *job);
/* Flags visits whose bills are overdue. */
void upkeep_overdue(struct core *core, job_over_fn over, void *job);
/* Looks for charges that look like duplicates, on bills issued since; more when there was a full batch of them. */
void upkeep_lookalikes(struct core *core, job_over_fn over, void *job);
/* Sees to it that the next partitions are there. */
void upkeep_partitions(struct core *core, job_over_fn over, void *job);

#endif
