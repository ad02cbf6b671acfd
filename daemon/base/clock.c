/* The system's clocks, or the one of a test. */
#include "clock.h"

#include <time.h>

static int64_t set_to;	/* a test's; 0: the system's count */

static int64_t
read_clock(clockid_t id)
{
	struct timespec t;

	if (set_to != 0)
		return set_to;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void
clock_set_for_tests(int64_t us)
{
	set_to = us;
}
