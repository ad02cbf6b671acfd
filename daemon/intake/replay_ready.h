/* Held reversals whose original has come since are booked by themselves. */
#ifndef VB_INTAKE_REPLAY_READY
#define VB_INTAKE_REPLAY_READY

#include "base/job.h"
#include "core/core.h"

void replay_ready_run(struct core *core, job_over_fn over, void *job);

#endif
