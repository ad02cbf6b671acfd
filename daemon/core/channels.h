/* Payment channels: an order is placed, asked for, closed. Every answer is verified before it is believed; what is not certain is CHANNEL_UNKNOWN, and
 * only asking again resolves it. One channel so far: WeChat Pay APIv3 Native. */
#ifndef VB_CORE_CHANNELS_H
#define VB_CORE_CHANNELS_H

#include "core/core.h"
#include "proto/wechatpay.h"

enum channel_result {
	CHANNEL_DONE,		/* placed, found or closed, as asked */
	CHANNEL_REFUSED,	/* certainly not done */
	CHANNEL_PAID,		/* the order is paid: ask for it */
	CHANNEL_CLOSED,		/* the order is closed */
	CHANNEL_NOT_FOUND,
	CHANNEL_UNKNOWN,	/* done or not, nobody knows */
};

struct channel_answer {
	enum channel_result result;
	const char *detail;			/* for the log and the attempt's record */
	struct view code_url;			/* of a placed order */
	struct wechatpay_transaction transaction;	/* of a found one */
};

/* The answer is valid during the call. Never called from inside the function that asks. */
typedef void (*channel_fn)(void *arg, const struct channel_answer *answer);

struct channel_order {
	const char *out_trade_no, *description;
	int64_t amount;			/* fen */
	int64_t expires_at;		/* microseconds since 1970 UTC */
};

struct channels;

/* Loads the merchants' keys. NULL and error when one does not load. */
struct channels *channels_new(struct core *core, const struct config *config, char *error, size_t error_size);
void channels_free(struct channels *c);

/* The merchant of a name, the first one for "", NULL when there is none. It is the channels': who keeps it over a callback holds it. */
struct channel_merchant *channels_merchant(struct channels *c, struct view name);
struct channel_merchant *channel_merchant_hold(struct channel_merchant *m);
void channel_merchant_release(struct channel_merchant *m);
const char *channel_merchant_name(const struct channel_merchant *m);
const struct wechatpay_merchant *channel_merchant_wechatpay(const struct channel_merchant *m);

void channel_place(struct channel_merchant *m, const struct channel_order *order, channel_fn fn, void *arg);
void channel_query(struct channel_merchant *m, const char *out_trade_no, channel_fn fn, void *arg);
void channel_close(struct channel_merchant *m, const char *out_trade_no, channel_fn fn, void *arg);

#endif
