/* Since when a lane has done nothing though it was asked to, and why: what an operator has to know while everybody is told to come again. */
#include "lane_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { FORGOTTEN_US = 60000000 };	/* who was told to come again may take this long to do so */

void
lane_note_trouble(struct lane *lane, enum lane_trouble_kind kind, int64_t since, const char *why)
{
	struct lane_trouble_inside *t = &lane->troubles[kind];
	int64_t now = clock_monotonic();

	if (t->since == 0 || now - t->last > FORGOTTEN_US)
		t->since = since;
	t->last = now;
	snprintf(t->why, sizeof(t->why), "%.*s", (int)strcspn(why, "\n"), why);
}

void
lane_forget_trouble(struct lane *lane)
{
	for (int kind = 0; kind < LANE_TROUBLES; kind++)
		lane->troubles[kind].since = 0;
}

struct lane_trouble
lane_trouble(const struct lane *lane, enum lane_trouble_kind kind)
{
	const struct lane_trouble_inside *t = &lane->troubles[kind];
	int64_t now = clock_monotonic();

	if (t->since == 0 || now - t->last > FORGOTTEN_US)
		return (struct lane_trouble){0, 0, ""};
	return (struct lane_trouble){now - t->since, now - t->last, t->why};
}
