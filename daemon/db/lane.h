/* Group commit. A lane owns one pipelined connection and has one batch in flight. What arrives meanwhile forms the next batch: no timer, so one
 * item alone is as fast as PostgreSQL, and load makes batches larger. A batch is one transaction.
 *
 * What was in flight when the connection broke is sent again: items carry their own idempotency. A batch that failed goes on by what it was about
 * (pg_cause): the data: it is split until the one item is found that the database refuses; a lock: each item is sent alone, waiting shortly, and who has
 * to wait longer is set aside with all that has its key, and tried again from time to time, and remembered; the server: all of it again after a while; anything else: as
 * it was a few times, then alone. What is not done after the hold, while nothing else is either, is given back as unavailable: never as refused. */
#ifndef VB_DB_LANE_H
#define VB_DB_LANE_H

#include <stdint.h>
#include <sys/queue.h>

#include "pg.h"

/* Embedded at the front of what is queued. */
struct lane_item {
	STAILQ_ENTRY(lane_item) link;
	size_t weight;			/* lines, at least 1 */
	uint64_t key;			/* what it is about: items of one key keep their order */
	int64_t queued_at;		/* monotonic, microseconds */
};
STAILQ_HEAD(lane_list, lane_item);

enum lane_failure { LANE_UNAVAILABLE, LANE_REFUSED };

struct lane_ops {
	/* Sends the calls of a batch on pg (pg_call only). Must leave the list as it is. 0, or -1 when a call was not taken. */
	int (*send)(void *ctx, struct pg *pg, struct lane_list *batch);
	/* The batch is committed, so many microseconds after it was sent: every item has its outcome. Takes the items over. The next batch may
	 * have been sent by then, so nothing of this one is kept in ctx. */
	void (*done)(void *ctx, struct lane_list *batch, int64_t took_us);
	/* This one item cannot be done: the database refused its data, or has not done it for too long. Takes it over. */
	void (*failed)(void *ctx, struct lane_item *item, enum lane_failure why, const char *message);
	/* The batch in flight is slow, and others are queued after it: lane_take_queue. Ten times a second while it is so; may be NULL. */
	void (*slow)(void *ctx);
};

struct lane_limits {
	size_t batch_weight;		/* at most this much in a batch (one heavier item goes alone) */
	int64_t hold_us;		/* how long an item waits for a database that does not do it before it fails */
};

struct lane;

/* name is for the log, and must outlive the lane. */
struct lane *lane_new(struct event_base *base, const struct pg_config *config, const char *name, const struct lane_limits *limits,
    const struct lane_ops *ops, void *ctx);
/* Items still queued are dropped without a word: drain first. */
void lane_free(struct lane *lane);

/* Takes the item over. It is sent when this turn of the loop is over, or when the batch in flight is back. */
void lane_push(struct lane *lane, struct lane_item *item);

bool lane_is_ready(const struct lane *lane);
size_t lane_weight(const struct lane *lane);	/* queued and in flight */
/* Has its batch been in flight for so long, or does it send item by item, so that new work should rather go elsewhere? */
bool lane_is_slow(const struct lane *lane);
/* Since when the lane has done nothing though it was asked to, because the server cannot or does not answer. Over once a batch is done; forgotten when
 * nobody has asked for a minute. */
struct lane_trouble {
	int64_t lasts_us;	/* 0: none */
	int64_t quiet_us;	/* since it failed last */
	const char *why;	/* the database's words; valid until the loop turns */
};
struct lane_trouble lane_trouble(const struct lane *lane);

/* Was the key set aside a while ago, and not done since? Its items go aside at once. */
bool lane_is_locked(const struct lane *lane, uint64_t key);
/* How long the one of them has not been done that was set aside first, microseconds; 0: there is none. */
int64_t lane_locked_us(const struct lane *lane);

/* Takes off what is queued and was never sent, in order: for another lane, or to be put back. Only from ops->slow. */
struct lane_list lane_take_queue(struct lane *lane);
/* As lane_push, of an item that has been on a lane: it has waited since then. */
void lane_put(struct lane *lane, struct lane_item *item);

/* How long the oldest item has waited, microseconds; 0 where there is none. */
int64_t lane_oldest(const struct lane *lane);

#endif
