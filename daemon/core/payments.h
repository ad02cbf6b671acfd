/* Payments: the life of an attempt between the database and the channel. Every step is recorded by one SQL function (sql/functions/50_payments.sql);
 * a crash between two steps leaves a state from which payments_look goes on. */
#ifndef VB_CORE_PAYMENTS_H
#define VB_CORE_PAYMENTS_H

#include "core/channels.h"
#include "core/core.h"
#include "proto/outcome.h"

struct payment_request {
	const char *bill;		/* public id */
	int version;			/* 0: whatever it is now */
	struct view channel;		/* wechatpay or cash */
	int64_t amount;			/* fen */
	const char *client, *key;	/* who asks, and their Idempotency-Key */
	unsigned char digest[16];	/* of the request */
	const char *facilities;		/* the caller's scope: text[] literal */
};

/* doc: the payment's document; of an outcome that is not fine a sentence, or empty. */
typedef void (*payment_fn)(void *arg, enum outcome outcome, struct view doc);

/* Creates an attempt and, for a channel, places the order. fn is called once, never from inside. The request's texts must live until then. */
void payments_create(struct core *core, const struct payment_request *r, payment_fn fn, void *arg);

/* The payer gave up: closes the order at the channel, and with it the attempt. facilities: the caller's scope, copied. */
void payments_cancel(struct core *core, struct view payment, const char *facilities, payment_fn fn, void *arg);

struct payment_order {
	const char *payment_id, *channel, *merchant, *out_trade_no;
};

/* shown: a payer has had the code; an unknown attempt of these was being given up.
 * Asks the channel about a live attempt and brings it further: captured, closed when its time is over, or left for the next look. */
void payments_look(struct core *core, const struct payment_order *order, const char *state, bool expired, long age_s, bool shown);

/* A verified notification: money arrived. No doc. */
void payments_captured(struct core *core, const char *merchant, const struct wechatpay_transaction *t, payment_fn fn, void *arg);

#endif
