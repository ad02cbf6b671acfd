/* The lane: a queue, a batch in flight, and what to do when it fails. */
#include "lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

enum { RETRIES = 20, HOLD_CHECK_MS = 200 };

struct lane {
	const char *name;
	struct lane_limits limits;
	const struct lane_ops *ops;
	void *ctx;
	struct pg *pg;
	struct event *kick, *watch;
	struct lane_list queue, flight;
	size_t weight;
	bool in_flight;
	int64_t sent_at;		/* of the batch in flight */
	unsigned retries;		/* of the batch in flight, after transient errors */
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

/* The batch goes back to the front of the queue, in order. */
static void
lane_requeue(struct lane *lane)
{
	STAILQ_CONCAT(&lane->flight, &lane->queue);
	STAILQ_CONCAT(&lane->queue, &lane->flight);
}

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
		if (lane->split_left > 0)
			lane->split_left--;
		lane->ops->failed(lane->ctx, item, LANE_REFUSED, outcome->message);
		return;
	}
	lane->split_items = n / 2;
	if (lane->split_left < n)
		lane->split_left = n;
	lane_requeue(lane);
}

static void lane_dispatch(struct lane *lane);

/* What has queued up by now, where it is at least half of what has come back, is sent before the answers of this batch are made: the database works while
 * we do. Less than that waits for the next turn of the loop, to be together with what those answers bring. */
static void
lane_committed(struct lane *lane)
{
	struct lane_list done = STAILQ_HEAD_INITIALIZER(done);
	struct lane_item *i;
	size_t n = 0, weight = 0;
	int64_t took_us = clock_monotonic() - lane->sent_at;

	lane->retries = 0;
	STAILQ_CONCAT(&done, &lane->flight);
	STAILQ_FOREACH(i, &done, link) {
		weight += i->weight;
		n++;
	}
	lane->weight -= weight;
	lane->split_left = lane->split_left > n ? lane->split_left - n : 0;
	if (lane->weight * 2 >= weight)
		lane_dispatch(lane);
	lane->ops->done(lane->ctx, &done, took_us);
}

static void
lane_on_done(void *arg, const struct pg_outcome *outcome)
{
	struct lane *lane = arg;

	lane->in_flight = false;
	if (outcome->verdict == PG_DONE)
		lane_committed(lane);
	else if (outcome->verdict == PG_LOST)
		lane_requeue(lane);
	else if (pg_is_transient(outcome) && lane->retries++ < RETRIES)
		lane_requeue(lane);
	else
		lane_split(lane, outcome);
	lane_kick(lane);
}

static void
lane_dispatch(struct lane *lane)
{
	struct lane_item *item;
	size_t weight = 0, n = 0;
	size_t most = lane->split_left > 0 ? lane->split_items : SIZE_MAX;

	if (lane->in_flight || STAILQ_EMPTY(&lane->queue) || !pg_is_ready(lane->pg))
		return;
	if (most == 0)
		most = 1;
	while ((item = STAILQ_FIRST(&lane->queue)) != NULL && n < most && (n == 0 || weight + item->weight <= lane->limits.batch_weight)) {
		STAILQ_REMOVE_HEAD(&lane->queue, link);
		STAILQ_INSERT_TAIL(&lane->flight, item, link);
		weight += item->weight;
		n++;
	}
	lane->in_flight = true;
	lane->sent_at = clock_monotonic();
	if (lane->ops->send(lane->ctx, lane->pg, &lane->flight) != 0)
		log_warn("lane.send", "lane=%s why=\"the connection was not ready\"", lane->name);
	pg_commit(lane->pg, lane_on_done, lane);
}

static void
lane_on_kick(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	lane_dispatch(arg);
}

/* In the next turn of the loop, after what is readable then: a burst of messages is one batch, and feeds that were just acknowledged
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
	while (!lane->in_flight && (item = STAILQ_FIRST(&lane->queue)) != NULL && now - item->queued_at > lane->limits.hold_us) {
		STAILQ_REMOVE_HEAD(&lane->queue, link);
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
	STAILQ_INIT(&lane->flight);
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
