/* Attempts that nobody has answered for a while: the database says which are due, the channel is asked. */
#ifndef VB_CORE_PAYMENTS_DUE_H
#define VB_CORE_PAYMENTS_DUE_H

#include "base/job.h"
#include "core/core.h"

void payments_due_run(struct core *core, job_over_fn over, void *job);

#endif
