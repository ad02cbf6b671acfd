/* Paying: POST /v1/bills/{bill}/payments, cancelling, and the channel's notifications. */
#include <openssl/evp.h>
#include <stdio.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/payments.h"
#include "proto/json/requests.h"
#include "proto/outcome.h"

static void
on_payment(void *arg, enum outcome outcome, struct view doc)
{
	api_reply_outcome(arg, outcome, doc, 201);
}

static void
on_cancelled(void *arg, enum outcome outcome, struct view doc)
{
	api_reply_outcome(arg, outcome, doc, 200);
}

void
api_post_payment(struct call *c)
{
	struct view key;
	struct api_payment body;
	struct refusal refused = {0};
	unsigned char md[EVP_MAX_MD_SIZE];

	if (!api_wants_json(c) || !api_idempotency_key(c, &key))
		return;
	if (key.n == 0) {
		api_problem(c, "idempotency_key_missing", NULL, NULL);
		return;
	}
	if (api_payment_parse(c->request->body, c->arena, &body, &refused) != 0) {
		api_refuse(c, &refused);
		return;
	}
	if (view_is(body.channel, "cash") && c->who.role != MAY_DESK) {
		api_problem(c, "forbidden", "cash is taken at the desk", "/channel");
		return;
	}
	struct payment_request r = {
		.bill = c->params[0].p, .version = body.version, .channel = body.channel, .amount = body.amount, .client = c->who.name,
		.key = key.p, .facilities = c->who.scope,
	};
	const char *what = arena_printf(c->arena, "%s\n%.*s\n%lld\n%d", r.bill, (int)r.channel.n, r.channel.p, (long long)r.amount, r.version);
	if (EVP_Digest(what, strlen(what), md, NULL, EVP_sha256(), NULL) != 1)
		fatal("no digest");
	memcpy(r.digest, md, sizeof(r.digest));
	payments_create(c->core, &r, on_payment, c);
}

void
api_post_payment_cancel(struct call *c)
{
	payments_cancel(c->core, c->params[0], c->who.scope, on_cancelled, c);
}

/* The channel reads {"code","message"}; 200 with FAIL would not be sent again. */
static void
fail(struct call *c, int status, const char *merchant, const char *why)
{
	char labels[60];

	snprintf(labels, sizeof(labels), "result=\"%d\"", status);
	metric_add(metrics_series(c->core->metrics, "visitbill_notifications_total", METRIC_COUNTER, "Notifications of channels by answer.", labels), 1);
	if (status < 300) {
		http_reply(c->request, status, "application/json", NULL, VIEW_NONE);
		return;
	}
	if (c->peer != NULL && c->request->conn != NULL)
		peer_log(c->peer, "notification.refused", "peer=%s merchant=%s status=%d why=\"%s\"", c->request->peer, merchant, status, why);
	api_reply_json(c, status, view_of(arena_printf(c->arena, "{\"code\":\"FAIL\",\"message\":\"%s\"}", why)));
}

static void
on_captured(void *arg, enum outcome outcome, struct view doc)
{
	struct call *c = arg;

	(void)doc;
	if (outcome_is_fine(outcome))
		fail(c, 204, c->params[0].p, "");
	else
		fail(c, outcome_reason(outcome)->http_status, c->params[0].p, outcome_reason(outcome)->title);
}

void
api_post_wechatpay_notification(struct call *c)
{
	struct http_request *r = c->request;
	struct channel_merchant *merchant = channels_merchant(c->core->channels, c->params[0]);
	struct wechatpay_signature s = {
		http_header(r, "wechatpay-timestamp"), http_header(r, "wechatpay-nonce"), http_header(r, "wechatpay-signature"),
		http_header(r, "wechatpay-serial"),
	};
	struct wechatpay_notification n;
	struct wechatpay_transaction t;
	struct view plain;

	if (merchant == NULL) {
		fail(c, 404, "unknown", "no such merchant");
		return;
	}
	const struct wechatpay_merchant *m = channel_merchant_wechatpay(merchant);
	const int64_t most = c->settings->limits.notifications;
	enum wechatpay_verdict v = wechatpay_verify(m, &s, r->body, clock_now() / 1000000);
	if (v != WECHATPAY_VERIFIED) {
		/* the channel may come by the same proxy as who forges: a signature that is right is never refused for others that were not */
		bool crowded = c->peer != NULL && !peer_may_fail(c->peer, PEER_NOTIFICATIONS, most);
		if (c->peer != NULL && !crowded)
			peer_failed(c->peer, PEER_NOTIFICATIONS, most);
		fail(c, crowded ? 429 : 401, c->params[0].p, crowded ? "too many notifications of this address were refused" : wechatpay_verdict_text(v));
	} else if (wechatpay_parse_notification(c->arena, r->body, &n) != 0)
		fail(c, 400, c->params[0].p, "not a notification");
	else if (!view_is(n.event_type, WECHATPAY_EVENT_SUCCESS))
		fail(c, 204, c->params[0].p, "");	/* refunds come with refunds */
	else if (wechatpay_decrypt(m, c->arena, n.algorithm, n.nonce, n.associated_data, n.ciphertext, &plain) != 0)
		fail(c, 400, c->params[0].p, "the resource cannot be opened");
	else if (wechatpay_parse_transaction(c->arena, plain, &t) != 0 || t.state != WECHATPAY_TRADE_SUCCESS)
		fail(c, 400, c->params[0].p, "not a paid transaction");
	else if (!view_is(t.mchid, wechatpay_mchid(m)) || !view_is(t.appid, wechatpay_appid(m)))
		fail(c, 422, c->params[0].p, "another merchant or application");
	else if (!view_is(t.currency, "CNY"))
		fail(c, 422, c->params[0].p, "the currency is not CNY");
	else
		payments_captured(c->core, channel_merchant_name(merchant), &t, on_captured, c);
}
