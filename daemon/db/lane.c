/* The lane: a queue, a batch in flight, what is set aside. What to do when a batch fails is lane_failed.c's. */
#include "lane_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

enum { WATCH_MS = 100, SLOW_US = 300000, LEAST_US = 1000000 };

#define BRIEF_MS "50"			/* how long an item that is alone waits for a lock */

static bool
has_key(const struct lane_list *list, uint64_t key)
{
	const struct lane_item *i;

	STAILQ_FOREACH(i, list, link)
		if (i->key == key)
			return true;
	return false;
}

/* How long an item may have waited that is still sent to a server that was given up again and again. */
static int64_t
young_us(const struct lane *lane)
{
	return lane->limits.hold_us / 2 < LEAST_US ? lane->limits.hold_us / 2 : LEAST_US;
}

static int64_t
waited_us(const struct lane_list *list, int64_t now)
{
	const struct lane_item *i;
	int64_t oldest = now;

	STAILQ_FOREACH(i, list, link)
		if (i->queued_at < oldest)
			oldest = i->queued_at;
	return now - oldest;
}

/* How long the batch in flight may take. After one that was given up it is what is left of the hold, so that nobody waits for two of them; not always, for
 * on a server that is merely slow nothing would ever be done. */
static int64_t
time_us(const struct lane *lane)
{
	int64_t left;

	if (lane->given_up == 0)
		return lane->answer_us;
	left = lane->limits.hold_us - waited_us(&lane->flight, lane->sent_at);
	if (left < LEAST_US)
		left = LEAST_US;
	return left < lane->answer_us ? left : lane->answer_us;
}

static void lane_kick(struct lane *lane);
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
	lane->given_up = 0;
	lane->trouble.since = 0;
	lane->pause_us = 0;
	lane->moved_at = clock_monotonic();
	STAILQ_CONCAT(&done, &lane->flight);
	STAILQ_FOREACH(i, &done, link) {
		weight += i->weight;
		n++;
	}
	lane->weight -= weight;
	if (lane->is_aside) {
		lane_forget_locked(lane, STAILQ_FIRST(&done)->key);
		lane->aside_at = 0;	/* where one could be done, the others may be */
		lane->aside_most = 0;
	} else {
		lane->split_left = lane->split_left > n ? lane->split_left - n : 0;
		if (lane->split_left > 0)
			lane->split_items *= 2;		/* what is bad was not here: larger steps again */
		lane->alone_left = lane->alone_left > n ? lane->alone_left - n : 0;
	}
	if (lane->weight * 2 >= weight)
		lane_dispatch(lane);
	lane->ops->done(lane->ctx, &done, took_us);
}

/* Nobody knows whether it was committed: it is sent again. */
static void
lane_lost(struct lane *lane, const struct pg_outcome *outcome)
{
	lane_note_trouble(lane, lane->sent_at, outcome->message);
	if (clock_monotonic() - lane->sent_at >= time_us(lane))
		lane->given_up++;
	lane_requeue(lane);
}

static void
lane_on_done(void *arg, const struct pg_outcome *outcome)
{
	struct lane *lane = arg;

	lane->in_flight = false;
	if (outcome->verdict == PG_DONE)
		lane_committed(lane);
	else if (outcome->verdict == PG_LOST)
		lane_lost(lane, outcome);
	else
		lane_failed(lane, outcome);
	lane_kick(lane);
}

/* A batch of what is next in the queue. */
static void
fill_from_queue(struct lane *lane)
{
	struct lane_item *item;
	size_t weight = 0, n = 0;
	size_t most = SIZE_MAX;

	if (lane->alone_left > 0)
		most = 1;
	else if (lane->split_left > 0)
		most = lane->split_items < lane->split_left ? lane->split_items : lane->split_left;

	while ((item = STAILQ_FIRST(&lane->queue)) != NULL && n < most && (n == 0 || weight + item->weight <= lane->limits.batch_weight)) {
		STAILQ_REMOVE_HEAD(&lane->queue, link);
		STAILQ_INSERT_TAIL(&lane->flight, item, link);
		weight += item->weight;
		n++;
	}
}

/* One key of what is aside, the next one each time. */
static void
fill_from_aside(struct lane *lane)
{
	struct lane_list same = lane_take_key(&lane->aside, STAILQ_FIRST(&lane->aside)->key);
	size_t weight = 0, n = 0, most = lane->aside_most > 0 ? lane->aside_most : SIZE_MAX;

	while (!STAILQ_EMPTY(&same) && n < most && (n == 0 || weight + STAILQ_FIRST(&same)->weight <= lane->limits.batch_weight)) {
		struct lane_item *item = lane_take_first(&same);
		STAILQ_INSERT_TAIL(&lane->flight, item, link);
		weight += item->weight;
		n++;
	}
	STAILQ_CONCAT(&same, &lane->aside);
	STAILQ_CONCAT(&lane->aside, &same);
}

/* The items of the list that came before then, wherever they stand in it. */
static void
give_back(struct lane *lane, struct lane_list *list, int64_t before)
{
	struct lane_list old = STAILQ_HEAD_INITIALIZER(old), kept = STAILQ_HEAD_INITIALIZER(kept);

	while (!STAILQ_EMPTY(list)) {
		struct lane_item *item = lane_take_first(list);
		if (item->queued_at < before)
			STAILQ_INSERT_TAIL(&old, item, link);
		else
			STAILQ_INSERT_TAIL(&kept, item, link);
	}
	STAILQ_CONCAT(list, &kept);
	while (!STAILQ_EMPTY(&old)) {
		struct lane_item *item = lane_take_first(&old);
		lane->weight -= item->weight;
		lane->ops->failed(lane->ctx, item, LANE_UNAVAILABLE, "the database has not done it in time");
	}
}

/* What has waited for too long is given back before anything is tried again, and while a batch is in flight that may never come back: what is aside by
 * itself; what is queued where nothing at all was done meanwhile. */
static void
lane_expire(struct lane *lane, int64_t now)
{
	int64_t before = now - lane->limits.hold_us;
	bool is_brisk = lane->in_flight && now - lane->sent_at <= SLOW_US;	/* however short the hold is, a batch is no outage */

	if (!STAILQ_EMPTY(&lane->aside))
		give_back(lane, &lane->aside, before);
	/* given up twice in a row, it will not be done at once the third time: only what is young is sent, so that it has nearly all of the hold */
	if (!lane->in_flight && lane->given_up > 1)
		before = now - young_us(lane);
	if (!is_brisk && lane->moved_at < before && !STAILQ_EMPTY(&lane->queue)) {
		if (!pg_is_ready(lane->pg))
			lane_note_trouble(lane, before, "it cannot be reached");
		give_back(lane, &lane->queue, before);
		lane->alone_left = lane->split_left = 0;
	}
}

static void
lane_dispatch(struct lane *lane)
{
	static const struct pg_param brief = {VIEW_LITERAL(BRIEF_MS), false};
	int64_t now = clock_monotonic();

	lane_expire(lane, now);
	if (lane->in_flight)
		return;
	bool aside_due = !STAILQ_EMPTY(&lane->aside) && now >= lane->aside_at;
	if ((!aside_due && STAILQ_EMPTY(&lane->queue)) || now < lane->not_before || !pg_is_ready(lane->pg))
		return;
	lane->is_aside = aside_due;
	if (aside_due)
		fill_from_aside(lane);
	else
		fill_from_queue(lane);
	lane->in_flight = true;
	lane->sent_at = now;
	if ((lane->is_aside || lane->alone_left > 0) && pg_call(lane->pg, SQL_LOCK_BRIEFLY, &brief, 1, NULL, NULL) != 0)
		log_warn("lane.send", "lane=%s why=\"the connection was not ready\"", lane->name);
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

static void
lane_on_watch(evutil_socket_t fd, short events, void *arg)
{
	struct lane *lane = arg;

	(void)fd, (void)events;
	if (lane->in_flight)
		pg_give_up(lane->pg, time_us(lane));
	lane_dispatch(lane);
	/* not what is left of a failed batch: that is counted */
	if (lane->ops->slow != NULL && lane->in_flight && lane_is_slow(lane) && lane->alone_left + lane->split_left == 0 && !STAILQ_EMPTY(&lane->queue))
		lane->ops->slow(lane->ctx);
}

struct lane *
lane_new(struct event_base *base, const struct pg_config *config, const char *name, const struct lane_limits *limits, const struct lane_ops *ops,
    void *ctx)
{
	struct lane *lane = memory_new(sizeof(*lane));
	struct timeval every = {0, WATCH_MS * 1000};

	lane->name = name;
	lane->limits = *limits;
	lane->answer_us = config->answer_ms * 1000;
	lane->ops = ops;
	lane->ctx = ctx;
	STAILQ_INIT(&lane->queue);
	STAILQ_INIT(&lane->flight);
	STAILQ_INIT(&lane->aside);
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
lane_put(struct lane *lane, struct lane_item *item)
{
	bool waits = has_key(&lane->aside, item->key) || (lane->in_flight && lane->is_aside && has_key(&lane->flight, item->key));

	if (lane->weight == 0)
		lane->moved_at = clock_monotonic();
	lane->weight += item->weight;
	STAILQ_INSERT_TAIL(waits || lane_is_locked(lane, item->key) ? &lane->aside : &lane->queue, item, link);
	lane_kick(lane);
}

void
lane_push(struct lane *lane, struct lane_item *item)
{
	item->queued_at = clock_monotonic();
	lane_put(lane, item);
}

struct lane_list
lane_take_queue(struct lane *lane)
{
	struct lane_list queue = STAILQ_HEAD_INITIALIZER(queue);
	const struct lane_item *i;

	STAILQ_CONCAT(&queue, &lane->queue);
	STAILQ_FOREACH(i, &queue, link)
		lane->weight -= i->weight;
	return queue;
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

bool
lane_is_slow(const struct lane *lane)
{
	return lane->alone_left > 0 || (lane->in_flight && clock_monotonic() - lane->sent_at > SLOW_US);
}

int64_t
lane_oldest(const struct lane *lane)
{
	const struct lane_list *lists[] = {&lane->flight, &lane->aside, &lane->queue};
	int64_t now = clock_monotonic(), oldest = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (waited_us(lists[i], now) > oldest)
			oldest = waited_us(lists[i], now);
	return oldest;
}
