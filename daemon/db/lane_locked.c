/* Which keys were set aside last. What comes for them again goes aside at once, alone and with the brief lock: whoever comes with it would wait as long as it
 * does to find out the same. A fixed table; the one that failed longest ago makes room. */
#include "lane_inside.h"

#include "base/clock.h"

/* Where it is; LANE_LOCKED_MAX: nowhere. */
static size_t
find(const struct lane *lane, uint64_t key, int64_t now)
{
	size_t i = 0;

	while (i < LANE_LOCKED_MAX && (lane->locked[i].key != key || now >= lane->locked[i].until))
		i++;
	return i;
}

void
lane_remember_locked(struct lane *lane, uint64_t key, int64_t since)
{
	int64_t now = clock_monotonic();
	size_t at = find(lane, key, now);

	if (at == LANE_LOCKED_MAX) {
		at = 0;
		for (size_t i = 1; i < LANE_LOCKED_MAX; i++)
			if (lane->locked[i].until < lane->locked[at].until)
				at = i;
		lane->locked[at] = (struct lane_locked){.key = key, .since = since};
	}
	lane->locked[at].until = lane->locked_until = now + LANE_FORGOTTEN_US;
}

void
lane_forget_locked(struct lane *lane, uint64_t key)
{
	size_t at = find(lane, key, clock_monotonic());

	if (at < LANE_LOCKED_MAX)
		lane->locked[at].until = 0;
}

bool
lane_is_locked(const struct lane *lane, uint64_t key)
{
	int64_t now = clock_monotonic();

	return now < lane->locked_until && find(lane, key, now) < LANE_LOCKED_MAX;
}

int64_t
lane_locked_us(const struct lane *lane)
{
	int64_t now = clock_monotonic(), longest = 0;

	for (size_t i = 0; i < LANE_LOCKED_MAX; i++)
		if (now < lane->locked[i].until && now - lane->locked[i].since > longest)
			longest = now - lane->locked[i].since;
	return longest;
}
