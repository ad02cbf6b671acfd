/* Each flow is a small object that walks from step to step; one is one attempt. Nothing is decided by a timer: what is unknown is asked for. */
#include "payments.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "core/captures.h"
#include "core/watch.h"

enum { NOT_FOUND_SECONDS = 60 };	/* after this an order that the channel does not know never came */

struct flow {
	struct core *core;
	struct channel_merchant *merchant;	/* held: a reload may replace it meanwhile */
	char payment_id[24], out_trade_no[40];
	char public_id[40];	/* of an attempt that its payer gives up, else empty */
	char *scope;		/* and of who gives it up; outlives the request */
	int64_t amount, lifetime_ms;
	bool expired, orphan;	/* orphan: created or unknown, no payer has seen its code */
	bool cancelling;
	long age_s;
	payment_fn fn;
	void *arg;
};

static void
flow_drop(struct flow *f)
{
	channel_merchant_release(f->merchant);
	free(f->scope);
	free(f);
}

static void
flow_end(struct flow *f, enum outcome outcome, struct view doc)
{
	if (f->fn != NULL)
		f->fn(f->arg, outcome, doc);
	flow_drop(f);
}

static void
on_recorded(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct flow *f = arg;

	watch_kick(f->core->watch);
	if (outcome->verdict != PG_DONE)
		flow_end(f, OUTCOME_UNAVAILABLE, VIEW_NONE);
	else
		flow_end(f, outcome_of(pool_value(result, "outcome")), pool_value(result, "doc"));
}

static void
record(struct flow *f, enum statement s, const struct pg_param *params, int n)
{
	if (pool_call(f->core->pool, s, params, n, on_recorded, f) != 0)
		flow_end(f, OUTCOME_UNAVAILABLE, VIEW_NONE);
}

static void
record_end(struct flow *f, const char *state, const char *reason)
{
	struct pg_param params[] = {{view_of(f->payment_id), false}, {view_of(state), false}, {view_of(reason), false}};

	log_info("payment.end", "payment=%s state=%s reason=%s", f->payment_id, state, reason);
	record(f, SQL_PAYMENT_END, params, 3);
}

static void
record_unknown(struct flow *f, const char *reason)
{
	struct pg_param params[] = {{view_of(f->payment_id), false}, {view_of(reason), false}};

	log_warn("payment.unknown", "payment=%s reason=\"%s\"", f->payment_id, reason);
	record(f, SQL_PAYMENT_UNKNOWN, params, 2);
}

static void
on_captured(void *arg, enum outcome outcome)
{
	struct flow *f = arg;

	if (f->public_id[0] != '\0' && outcome_is_fine(outcome)) {	/* who gave up is shown what happened */
		struct pg_param params[] = {{view_of(f->public_id), false}, {view_of(f->scope), false}};
		record(f, SQL_PAYMENT_GET, params, 2);
		return;
	}
	watch_kick(f->core->watch);
	flow_end(f, outcome, VIEW_NONE);
}

static void
record_capture(struct flow *f, const char *channel, const char *merchant, const struct wechatpay_transaction *t)
{
	char no[40], id[80];
	struct capture capture = {channel, merchant, no, id, t->total, t->has_success_time ? t->success_time : clock_now()};

	snprintf(no, sizeof(no), "%.*s", (int)t->out_trade_no.n, t->out_trade_no.p);
	snprintf(id, sizeof(id), "%.*s", (int)t->transaction_id.n, t->transaction_id.p);
	captures_add(f->core->captures, &capture, on_captured, f);
}

/* ------- creating */

static void
on_placed(void *arg, const struct channel_answer *a)
{
	struct flow *f = arg;
	char code[512];

	switch (a->result) {
	case CHANNEL_DONE: {
		snprintf(code, sizeof(code), "%.*s", (int)a->code_url.n, a->code_url.p);
		struct pg_param params[] = {{view_of(f->payment_id), false}, {view_of(code), false}};
		record(f, SQL_PAYMENT_PENDING, params, 2);
		break;
	}
	case CHANNEL_REFUSED:
		record_end(f, "failed", a->detail);
		break;
	default:
		record_unknown(f, a->detail);
	}
}

static void
on_created(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct flow *f = arg;

	if (outcome->verdict != PG_DONE) {
		if (outcome->verdict == PG_FAILED)
			log_error("payment.create", "sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
		flow_end(f, OUTCOME_UNAVAILABLE, VIEW_NONE);
		return;
	}
	enum outcome said = outcome_of(pool_value(result, "outcome"));
	struct view doc = pool_value(result, "doc"), description = pool_value(result, "description");
	if (said != OUTCOME_DONE || f->merchant == NULL) {
		watch_kick(f->core->watch);
		flow_end(f, said, doc.p != NULL ? doc : description);
		return;
	}
	snprintf(f->payment_id, sizeof(f->payment_id), "%s", pool_value(result, "payment_id").p);
	snprintf(f->out_trade_no, sizeof(f->out_trade_no), "%s", pool_value(result, "out_trade_no").p);
	struct channel_order order = {f->out_trade_no, description.p, f->amount,
	    clock_now() + f->lifetime_ms * 1000};
	channel_place(f->merchant, &order, on_placed, f);
}

static struct flow *
flow_new(struct core *core, payment_fn fn, void *arg)
{
	struct flow *f = memory_new(sizeof(*f));

	f->core = core;
	f->fn = fn;
	f->arg = arg;
	return f;
}

struct later {
	payment_fn fn;
	void *arg;
	enum outcome outcome;
};

static void
on_later(evutil_socket_t fd, short events, void *arg)
{
	struct later *l = arg;

	(void)fd, (void)events;
	l->fn(l->arg, l->outcome, VIEW_NONE);
	free(l);
}

/* Answers from the loop, so that fn is never called from inside. */
static void
answer_later(struct core *core, payment_fn fn, void *arg, enum outcome outcome)
{
	struct later *l = memory_new(sizeof(*l));
	struct timeval now = {0, 0};

	*l = (struct later){fn, arg, outcome};
	event_base_once(core->base, -1, EV_TIMEOUT, on_later, l, &now);
}

void
payments_create(struct core *core, const struct payment_request *r, payment_fn fn, void *arg)
{
	char version[16], amount[24], digest[40], lifetime[32];
	struct channel_merchant *merchant = NULL;

	if (view_is(r->channel, "wechatpay"))
		merchant = channels_merchant(core->channels, VIEW_NONE);
	if (merchant == NULL && !view_is(r->channel, "cash")) {
		answer_later(core, fn, arg, OUTCOME_CHANNEL_UNKNOWN);
		return;
	}
	snprintf(version, sizeof(version), "%d", r->version);
	snprintf(amount, sizeof(amount), "%" PRId64, r->amount);
	snprintf(lifetime, sizeof(lifetime), "%" PRId64 " ms", core->config->payment.lifetime_ms);
	for (size_t i = 0; i < sizeof(r->digest); i++)
		snprintf(digest + i * 2, 3, "%02x", r->digest[i]);
	struct pg_param params[] = {
		{view_of(r->bill), false}, {r->version > 0 ? view_of(version) : VIEW_NONE, false}, {view_of(merchant != NULL ? "wechatpay" : "cash"), false},
		{view_of(merchant != NULL ? channel_merchant_name(merchant) : ""), false}, {view_of(amount), false}, {view_of(r->client), false},
		{view_of(r->key), false}, {view_of(digest), false}, {view_of(lifetime), false}, {view_of(r->facilities), false},
	};
	struct flow *f = flow_new(core, fn, arg);
	f->merchant = channel_merchant_hold(merchant);
	f->lifetime_ms = core->config->payment.lifetime_ms;	/* as the database is told it */
	f->amount = r->amount;
	if (pool_call(core->pool, SQL_PAYMENT_CREATE, params, 10, on_created, f) != 0) {
		flow_drop(f);
		answer_later(core, fn, arg, OUTCOME_UNAVAILABLE);
	}
}

/* ------- looking, closing */

static void on_looked(void *arg, const struct channel_answer *a);

static void
on_closed(void *arg, const struct channel_answer *a)
{
	struct flow *f = arg;

	switch (a->result) {
	case CHANNEL_DONE:
	case CHANNEL_CLOSED:
		record_end(f, f->orphan ? "failed" : "closed", f->cancelling ? "cancelled" : f->orphan ? "order_lost" : "expired");
		break;
	case CHANNEL_PAID:
		channel_query(f->merchant, f->out_trade_no, on_looked, f);
		break;
	default:	/* the next look tries again */
		record_unknown(f, a->detail);
	}
}

static void
on_looked(void *arg, const struct channel_answer *a)
{
	struct flow *f = arg;
	const struct wechatpay_transaction *t = &a->transaction;

	if (a->result == CHANNEL_NOT_FOUND && f->age_s > NOT_FOUND_SECONDS) {
		record_end(f, "failed", "order_not_found");
		return;
	}
	if (a->result != CHANNEL_DONE) {
		flow_end(f, OUTCOME_UNAVAILABLE, VIEW_NONE);
		return;
	}
	switch (t->state) {
	case WECHATPAY_TRADE_SUCCESS:
	case WECHATPAY_TRADE_REFUND:
		record_capture(f, "wechatpay", channel_merchant_name(f->merchant), t);
		break;
	case WECHATPAY_TRADE_CLOSED:
	case WECHATPAY_TRADE_REVOKED:
		record_end(f, "closed", wechatpay_trade_state_text(t->state));
		break;
	case WECHATPAY_TRADE_PAYERROR:
		f->expired = true;	/* the attempt is over, but the order is closed before it ends */
		/* fall through */
	case WECHATPAY_TRADE_NOTPAY:
	case WECHATPAY_TRADE_USERPAYING:
		if (f->expired || f->orphan || f->cancelling) {
			channel_close(f->merchant, f->out_trade_no, on_closed, f);
			break;
		}
		/* fall through */
	case WECHATPAY_TRADE_UNKNOWN:
		flow_end(f, OUTCOME_UNAVAILABLE, VIEW_NONE);	/* to who gave up; else nobody asks */
	}
}

void
payments_look(struct core *core, const struct payment_order *order, const char *state, bool expired, long age_s, bool shown)
{
	struct channel_merchant *merchant = channels_merchant(core->channels, view_of(order->merchant));

	if (merchant == NULL) {
		log_error("payment.look", "payment=%s merchant=%s why=\"not configured\"", order->payment_id, order->merchant);
		return;
	}
	struct flow *f = flow_new(core, NULL, NULL);
	f->merchant = channel_merchant_hold(merchant);
	f->expired = expired;
	f->orphan = !shown;
	f->cancelling = shown && !expired && strcmp(state, "unknown") == 0;
	f->age_s = age_s;
	snprintf(f->payment_id, sizeof(f->payment_id), "%s", order->payment_id);
	snprintf(f->out_trade_no, sizeof(f->out_trade_no), "%s", order->out_trade_no);
	channel_query(merchant, f->out_trade_no, on_looked, f);
}

static void
on_cancel_found(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct flow *f = arg;

	if (outcome->verdict != PG_DONE) {
		flow_end(f, OUTCOME_UNAVAILABLE, VIEW_NONE);
		return;
	}
	enum outcome said = outcome_of(pool_value(result, "outcome"));
	if (said != OUTCOME_DONE) {
		flow_end(f, said, pool_value(result, "doc"));
		return;
	}
	snprintf(f->payment_id, sizeof(f->payment_id), "%s", pool_value(result, "payment_id").p);
	snprintf(f->out_trade_no, sizeof(f->out_trade_no), "%s", pool_value(result, "out_trade_no").p);
	f->merchant = channel_merchant_hold(channels_merchant(f->core->channels, pool_value(result, "merchant")));
	f->cancelling = true;
	if (f->merchant == NULL)
		flow_end(f, OUTCOME_CHANNEL_UNKNOWN, VIEW_NONE);
	else
		channel_close(f->merchant, f->out_trade_no, on_closed, f);
}

void
payments_cancel(struct core *core, struct view payment, const char *facilities, payment_fn fn, void *arg)
{
	struct pg_param params[] = {{payment, false}, {view_of(facilities), false}};
	struct flow *f = flow_new(core, fn, arg);

	snprintf(f->public_id, sizeof(f->public_id), "%.*s", (int)payment.n, payment.p);
	f->scope = memory_text(facilities, strlen(facilities));
	if (pool_call(core->pool, SQL_PAYMENT_CANCEL, params, 2, on_cancel_found, f) != 0) {
		flow_drop(f);
		answer_later(core, fn, arg, OUTCOME_UNAVAILABLE);
	}
}

/* ------- notified */

void
payments_captured(struct core *core, const char *merchant, const struct wechatpay_transaction *t, payment_fn fn, void *arg)
{
	record_capture(flow_new(core, fn, arg), "wechatpay", merchant, t);
}
