/* The lane: a queue, the batches in flight, and what to do when one fails. */
#include "lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

enum {
	RETRIES = 20,
	HOLD_CHECK_MS = 200,
	BEHIND_PART = 8,		/* a batch goes behind another from this part of batch_weight on: less is better together with what comes next */
};

struct flight {
	struct lane_list items;
	size_t weight;
	int64_t sent_at;
};

struct lane {
	const char *name;
	struct lane_limits limits;
	const struct lane_ops *ops;
	void *ctx;
	struct pg *pg;
	struct event *kick, *watch;
	struct lane_list queue, lost;	/* lost: in flight when the connection broke */
	size_t queued, weight;		/* of the queue; of all there is */
	struct flight flights[LANE_DEPTH];
	unsigned oldest, in_flight;
	unsigned retries;		/* since the last commit, after transient errors */
	size_t split_items;		/* while looking for a bad item: batches of at most this many */
	size_t split_left;		/* items of the failed batch still to go */
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

static void lane_kick(struct lane *lane);

/* In front of the queue, in order. */
static void
lane_requeue(struct lane *lane, struct lane_list *list)
{
	const struct lane_item *i;

	STAILQ_FOREACH(i, list, link)
		lane->queued += i->weight;
	STAILQ_CONCAT(list, &lane->queue);
	STAILQ_CONCAT(&lane->queue, list);
}

static void
lane_split(struct lane *lane, struct flight *f, const struct pg_outcome *outcome)
{
	size_t n = list_count(&f->items);

	log_warn("lane.batch_failed", "lane=%s items=%zu sqlstate=%s why=\"%s\"", lane->name, n, outcome->sqlstate, outcome->message);
	lane->retries = 0;
	if (n == 1) {
		struct lane_item *item = STAILQ_FIRST(&f->items);
		STAILQ_INIT(&f->items);
		lane->weight -= item->weight;
		if (lane->split_left > 0)
			lane->split_left--;
		lane->ops->failed(lane->ctx, item, LANE_REFUSED, outcome->message);
		return;
	}
	lane->split_items = n / 2;
	if (lane->split_left < n)
		lane->split_left = n;
	lane_requeue(lane, &f->items);
}

/* What was in flight is sent again, the oldest first: it is kept aside until all of it is back. */
static void
lane_lost(struct lane *lane, struct flight *f)
{
	STAILQ_CONCAT(&lane->lost, &f->items);
	if (lane->in_flight == 0)
		lane_requeue(lane, &lane->lost);
}

static void lane_dispatch(struct lane *lane);

/* What has queued up by now, where it is at least half of what has come back, is sent before the answers of this batch are made: the database works while
 * we do. Less than that waits for the next turn of the loop, to be together with what those answers bring. */
static void
lane_committed(struct lane *lane, struct flight *f)
{
	struct lane_list done = STAILQ_HEAD_INITIALIZER(done);
	size_t n = list_count(&f->items);
	int64_t took_us = clock_monotonic() - f->sent_at;

	lane->retries = 0;
	lane->weight -= f->weight;
	lane->split_left = lane->split_left > n ? lane->split_left - n : 0;
	STAILQ_CONCAT(&done, &f->items);
	if (lane->queued * 2 >= f->weight)
		lane_dispatch(lane);
	lane->ops->done(lane->ctx, &done, took_us);
}

static void
lane_on_done(void *arg, const struct pg_outcome *outcome)
{
	struct lane *lane = arg;
	struct flight *f = &lane->flights[lane->oldest];

	lane->oldest = (lane->oldest + 1) % LANE_DEPTH;
	lane->in_flight--;
	if (outcome->verdict == PG_DONE)
		lane_committed(lane, f);
	else if (outcome->verdict == PG_LOST)
		lane_lost(lane, f);
	else if (pg_is_transient(outcome) && lane->retries++ < RETRIES)
		lane_requeue(lane, &f->items);
	else
		lane_split(lane, f, outcome);
	lane_kick(lane);
}

/* One alone whatever there is; one behind it where that is worth a commit of its own, so that the database goes on without waiting for us. */
static bool
lane_may_send(const struct lane *lane)
{
	if (STAILQ_EMPTY(&lane->queue) || !pg_is_ready(lane->pg))
		return false;
	return lane->in_flight == 0
	    || (lane->in_flight < LANE_DEPTH && lane->split_left == 0 && lane->queued >= lane->limits.batch_weight / BEHIND_PART);
}

static void
lane_dispatch(struct lane *lane)
{
	struct lane_item *item;
	size_t n = 0;
	size_t most = lane->split_left > 0 ? lane->split_items : SIZE_MAX;

	if (!lane_may_send(lane))
		return;
	if (most == 0)
		most = 1;
	struct flight *f = &lane->flights[(lane->oldest + lane->in_flight++) % LANE_DEPTH];
	f->weight = 0;
	while ((item = STAILQ_FIRST(&lane->queue)) != NULL && n < most && (n == 0 || f->weight + item->weight <= lane->limits.batch_weight)) {
		STAILQ_REMOVE_HEAD(&lane->queue, link);
		STAILQ_INSERT_TAIL(&f->items, item, link);
		f->weight += item->weight;
		n++;
	}
	lane->queued -= f->weight;
	f->sent_at = clock_monotonic();
	if (lane->ops->send(lane->ctx, lane->pg, &f->items) != 0)
		log_warn("lane.send", "lane=%s why=\"the connection was not ready\"", lane->name);
	pg_commit(lane->pg, lane_on_done, lane);
}

static void
lane_on_kick(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	lane_dispatch(arg);
}

/* In the next turn of the loop, behind what is readable then: a burst of messages is one batch, and feeds that were just acknowledged
 * and have sent the next message are in it. */
static void
lane_kick(struct lane *lane)
{
	struct timeval now = {0, 0};

	evtimer_add(lane->kick, &now);
}

static void
lane_on_state(void *arg, bool ready)
{
	struct lane *lane = arg;

	if (ready)
		lane_kick(lane);
}

/* While the database is away, items that have waited for too long are given back. */
static void
lane_on_watch(evutil_socket_t fd, short events, void *arg)
{
	struct lane *lane = arg;
	struct lane_item *item;
	int64_t now = clock_monotonic();

	(void)fd, (void)events;
	if (pg_is_ready(lane->pg))
		return;
	while (lane->in_flight == 0 && (item = STAILQ_FIRST(&lane->queue)) != NULL && now - item->queued_at > lane->limits.hold_us) {
		STAILQ_REMOVE_HEAD(&lane->queue, link);
		lane->queued -= item->weight;
		lane->weight -= item->weight;
		lane->ops->failed(lane->ctx, item, LANE_UNAVAILABLE, "the database is away");
	}
}

struct lane *
lane_new(struct event_base *base, const struct pg_config *config, const char *name, const struct lane_limits *limits, const struct lane_ops *ops,
    void *ctx)
{
	struct lane *lane = memory_new(sizeof(*lane));
	struct timeval every = {0, HOLD_CHECK_MS * 1000};

	lane->name = name;
	lane->limits = *limits;
	lane->ops = ops;
	lane->ctx = ctx;
	STAILQ_INIT(&lane->queue);
	STAILQ_INIT(&lane->lost);
	for (unsigned i = 0; i < LANE_DEPTH; i++)
		STAILQ_INIT(&lane->flights[i].items);
	lane->kick = evtimer_new(base, lane_on_kick, lane);
	lane->watch = event_new(base, -1, EV_PERSIST, lane_on_watch, lane);
	event_add(lane->watch, &every);
	lane->pg = pg_new(base, config, name, lane_on_state, lane);
	return lane;
}

void
lane_free(struct lane *lane)
{
	if (lane == NULL)
		return;
	event_free(lane->kick);
	event_free(lane->watch);
	pg_free(lane->pg);
	free(lane);
}

void
lane_push(struct lane *lane, struct lane_item *item)
{
	item->queued_at = clock_monotonic();
	lane->queued += item->weight;
	lane->weight += item->weight;
	STAILQ_INSERT_TAIL(&lane->queue, item, link);
	lane_kick(lane);
}

bool
lane_is_ready(const struct lane *lane)
{
	return pg_is_ready(lane->pg);
}

size_t
lane_weight(const struct lane *lane)
{
	return lane->weight;
}
