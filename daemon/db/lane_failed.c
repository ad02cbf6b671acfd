/* What becomes of a batch that failed: it is split, its items are sent alone or set aside, or all of it is sent again. */
#include "lane_inside.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	RETRIES = 20,			/* of a batch that met a deadlock */
	OTHER_RETRIES = 3,		/* of one that failed for no reason of its own */
	PAUSE_US = 100000, PAUSE_MAX_US = 1000000,
	ASIDE_US = 250000,		/* between two tries of what is set aside */
};

static size_t
list_count(const struct lane_list *list)
{
	const struct lane_item *i;
	size_t n = 0;

	STAILQ_FOREACH(i, list, link)
		n++;
	return n;
}

void
lane_requeue(struct lane *lane)
{
	struct lane_list *from = lane->is_aside ? &lane->aside : &lane->queue;

	STAILQ_CONCAT(&lane->flight, from);
	STAILQ_CONCAT(from, &lane->flight);
}

struct lane_item *
lane_take_first(struct lane_list *list)
{
	struct lane_item *item = STAILQ_FIRST(list);

	STAILQ_REMOVE_HEAD(list, link);
	return item;
}

struct lane_list
lane_take_key(struct lane_list *list, uint64_t key)
{
	struct lane_list kept = STAILQ_HEAD_INITIALIZER(kept), taken = STAILQ_HEAD_INITIALIZER(taken);

	while (!STAILQ_EMPTY(list)) {
		struct lane_item *item = lane_take_first(list);
		if (item->key == key)
			STAILQ_INSERT_TAIL(&taken, item, link);
		else
			STAILQ_INSERT_TAIL(&kept, item, link);
	}
	STAILQ_CONCAT(list, &kept);
	return taken;
}

/* The batch is of one key. It waits aside, and after it what else is of that key. */
static void
lane_set_aside(struct lane *lane, const struct pg_outcome *outcome)
{
	bool again = lane->is_aside;
	struct lane_list more = lane_take_key(again ? &lane->aside : &lane->queue, STAILQ_FIRST(&lane->flight)->key);

	size_t taken = list_count(&more) + 1;

	lane_remember_locked(lane, STAILQ_FIRST(&lane->flight)->key, lane->sent_at);
	lane->retries = 0;
	STAILQ_CONCAT(&lane->aside, &lane->flight);
	STAILQ_CONCAT(&lane->aside, &more);
	if (!again)
		lane->alone_left = lane->alone_left > taken ? lane->alone_left - taken : 0;
	if (!again)
		log_warn("lane.aside", "lane=%s sqlstate=%s why=\"%s\"", lane->name, outcome->sqlstate, outcome->message);
	lane->aside_at = clock_monotonic() + ASIDE_US;
}

/* The data of something in the batch: halves, down to the one item. */
static void
lane_split(struct lane *lane, const struct pg_outcome *outcome)
{
	size_t n = list_count(&lane->flight);

	log_warn("lane.batch_failed", "lane=%s items=%zu sqlstate=%s why=\"%s\"", lane->name, n, outcome->sqlstate, outcome->message);
	lane->retries = 0;
	if (n == 1) {
		struct lane_item *item = STAILQ_FIRST(&lane->flight);
		STAILQ_INIT(&lane->flight);
		lane->weight -= item->weight;
		if (!lane->is_aside && lane->split_left > 0)
			lane->split_left--;
		lane->ops->failed(lane->ctx, item, LANE_REFUSED, outcome->message);
		return;
	}
	if (lane->is_aside) {		/* of one key: its items one after the other */
		STAILQ_CONCAT(&lane->flight, &lane->aside);
		STAILQ_CONCAT(&lane->aside, &lane->flight);
		lane->aside_most = n / 2;
		return;
	}
	lane->split_items = n / 2;
	if (lane->split_left < n)
		lane->split_left = n;
	lane_requeue(lane);
}

/* One of the batch cannot be done for now: each is sent by itself, and that one is found. */
static void
lane_separate(struct lane *lane, const struct pg_outcome *outcome)
{
	size_t n = list_count(&lane->flight);

	if (n == 1 || lane->is_aside) {
		lane_set_aside(lane, outcome);
		return;
	}
	log_warn("lane.batch_failed", "lane=%s items=%zu sqlstate=%s why=\"%s\"", lane->name, n, outcome->sqlstate, outcome->message);
	lane->retries = 0;
	if (lane->alone_left < n)
		lane->alone_left = n;
	lane_requeue(lane);
}

/* All of it again, after a while. */
static void
lane_pause(struct lane *lane, const struct pg_outcome *outcome)
{
	if (lane->pause_us == 0)
		log_error("lane.waits", "lane=%s sqlstate=%s why=\"%s\"", lane->name, outcome->sqlstate, outcome->message);
	lane->pause_us = lane->pause_us == 0 ? PAUSE_US : lane->pause_us * 2 < PAUSE_MAX_US ? lane->pause_us * 2 : PAUSE_MAX_US;
	lane->not_before = clock_monotonic() + lane->pause_us;
	lane_requeue(lane);
}

void
lane_failed(struct lane *lane, const struct pg_outcome *outcome)
{
	enum pg_cause cause = pg_cause_of(outcome);

	if (cause == PG_CAUSE_SERVER || cause == PG_CAUSE_OTHER)
		lane_note_trouble(lane, lane->sent_at, outcome->message);
	switch (cause) {
	case PG_CAUSE_DATA:
		lane_split(lane, outcome);
		break;
	case PG_CAUSE_LOCK:
		if (strncmp(outcome->sqlstate, "40", 2) == 0 && lane->retries++ < RETRIES)
			lane_requeue(lane);
		else
			lane_separate(lane, outcome);
		break;
	case PG_CAUSE_SERVER:
		lane_pause(lane, outcome);
		break;
	case PG_CAUSE_OTHER:
		if (!lane->is_aside && lane->retries++ < OTHER_RETRIES)
			lane_pause(lane, outcome);
		else
			lane_separate(lane, outcome);
		break;
	}
}
