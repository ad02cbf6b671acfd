/* What a job tells when it is over. A job is work that a timer begins and that may take a while; its body lives with its module, the timers in jobs/. */
#ifndef VB_BASE_JOB_H
#define VB_BASE_JOB_H

#include <stdbool.h>

/* Called exactly once a run, from inside or later. more: there is work left that should not wait for the timer. */
typedef void (*job_over_fn)(void *job, bool more);

#endif
