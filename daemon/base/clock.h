/* The time. Parsers and core code take "now" as a parameter; only the edges read it here. */
#ifndef VB_BASE_CLOCK_H
#define VB_BASE_CLOCK_H

#include <stdint.h>

/* Microseconds since 1970 UTC. */
int64_t clock_now(void);
/* Microseconds of a clock that only goes forward, for durations. */
int64_t clock_monotonic(void);

/* For tests: both clocks stand at this time, in microseconds, until it is called again; 0 gives the real ones back. */
void clock_set_for_tests(int64_t us);

#endif
