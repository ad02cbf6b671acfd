/* Captures in batches: money that channels confirm is recorded through a lane of its own, so that a burst of notifications costs one transaction, and
 * the receipt counter is locked once a batch and not once a commit. */
#ifndef VB_CORE_CAPTURES_H
#define VB_CORE_CAPTURES_H

#include "core/core.h"
#include "proto/outcome.h"

/* unavailable: nothing was recorded, or nobody knows; the channel sends again. */
typedef void (*capture_fn)(void *arg, enum outcome outcome);

struct captures *captures_new(struct core *core);
void captures_free(struct captures *c);

struct capture {
	const char *channel, *merchant, *out_trade_no, *transaction_id;
	int64_t amount;		/* fen */
	int64_t captured_at;	/* microseconds since 1970 UTC */
};

/* Records one; texts are copied. fn is called once it is committed, never from inside. */
void captures_add(struct captures *c, const struct capture *capture, capture_fn fn, void *arg);

size_t captures_in_work(const struct captures *c);

#endif
