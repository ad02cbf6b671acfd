/* Since when a lane has done nothing though it was asked to, and why: what an operator has to know while everybody is told to come again. */
#include "lane_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

void
lane_note_trouble(struct lane *lane, int64_t since, const char *why)
{
	struct lane_trouble_inside *t = &lane->trouble;
	int64_t now = clock_monotonic();

	if (t->since == 0 || now - t->last > LANE_FORGOTTEN_US)
		t->since = since;
	t->last = now;
	snprintf(t->why, sizeof(t->why), "%.*s", (int)strcspn(why, "\n"), why);
}

struct lane_trouble
lane_trouble(const struct lane *lane)
{
	const struct lane_trouble_inside *t = &lane->trouble;
	int64_t now = clock_monotonic();

	if (t->since == 0 || now - t->last > LANE_FORGOTTEN_US)
		return (struct lane_trouble){0, 0, ""};
	return (struct lane_trouble){now - t->since, now - t->last, t->why};
}
