/* WeChat Pay over the HTTP client: sign, send, verify, read. */
#include "channels.h"

#include <assert.h>
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "proto/timestamp.h"

/* A merchant's keys and addresses, as one snapshot of the settings has them. Flows and questions hold the one they began with. */
struct channel_merchant {
	unsigned references;
	struct core *core;
	const struct config *settings;
	char *name, *api_url, *notify_url;
	struct wechatpay_merchant *wechatpay;
};

struct channels {
	struct core *core;
	struct channel_merchant **merchants;
	size_t n;
};

enum question { ASK_PLACE, ASK_QUERY, ASK_CLOSE };

struct ask {
	struct channel_merchant *merchant;
	enum question question;
	char out_trade_no[40];		/* that was asked for */
	struct arena arena;
	channel_fn fn;
	void *arg;
};

/* A small file, whole; NULL when it cannot be read. Wipe and free with memory_purge. */
static char *
read_secret(const char *path, bool trim)
{
	char buf[16384];
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return NULL;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	while (trim && n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	char *text = memory_text(buf, n);
	explicit_bzero(buf, sizeof(buf));
	return text;
}

static struct wechatpay_merchant *
keys_load(const struct config_merchant *c, char *error, size_t size)
{
	char *key = read_secret(c->merchant_key, false), *platform = read_secret(c->platform_public_key, false), *apiv3 = read_secret(c->apiv3_key, true);
	struct wechatpay_merchant *keys = NULL;
	char why[200] = "";

	if (key == NULL || platform == NULL || apiv3 == NULL) {
		snprintf(error, size, "[wechatpay %s] a key file cannot be read: %s", c->name,
		    key == NULL ? c->merchant_key : platform == NULL ? c->platform_public_key : c->apiv3_key);
	} else {
		struct wechatpay_account account = {c->mchid, c->appid, c->merchant_serial, key, c->platform_serial, platform, apiv3};
		keys = wechatpay_merchant_new(&account, why, sizeof(why));
		if (keys == NULL)
			snprintf(error, size, "[wechatpay %s] %s", c->name, why);
	}
	memory_purge(key);
	memory_purge(platform);
	memory_purge(apiv3);
	return keys;
}

struct channels *
channels_new(struct core *core, const struct config *config, char *error, size_t error_size)
{
	struct channels *c = memory_new(sizeof(*c));

	c->core = core;
	c->merchants = memory_new((config->n_merchants + 1) * sizeof(*c->merchants));
	for (size_t i = 0; i < config->n_merchants; i++) {
		const struct config_merchant *from = &config->merchants[i];
		struct wechatpay_merchant *keys = keys_load(from, error, error_size);
		if (keys == NULL) {
			channels_free(c);
			return NULL;
		}
		struct channel_merchant *m = memory_new(sizeof(*m));
		m->references = 1;
		m->core = core;
		m->settings = config_hold(config);
		m->name = memory_text(from->name, strlen(from->name));
		m->api_url = memory_text(from->api_url, strlen(from->api_url));
		m->notify_url = memory_text(from->notify_url, strlen(from->notify_url));
		m->wechatpay = keys;
		c->merchants[c->n++] = m;
	}
	return c;
}

struct channel_merchant *
channel_merchant_hold(struct channel_merchant *m)
{
	if (m != NULL)
		m->references++;
	return m;
}

void
channel_merchant_release(struct channel_merchant *m)
{
	if (m == NULL)
		return;
	assert(m->references > 0);
	if (--m->references > 0)
		return;
	wechatpay_merchant_free(m->wechatpay);
	config_release(m->settings);
	free(m->name);
	free(m->api_url);
	free(m->notify_url);
	free(m);
}

void
channels_free(struct channels *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		channel_merchant_release(c->merchants[i]);
	free(c->merchants);
	free(c);
}

struct channel_merchant *
channels_merchant(struct channels *c, struct view name)
{
	for (size_t i = 0; i < c->n; i++)
		if (name.n == 0 || view_is(name, c->merchants[i]->name))
			return c->merchants[i];
	return NULL;
}

const char *
channel_merchant_name(const struct channel_merchant *m)
{
	return m->name;
}

const struct wechatpay_merchant *
channel_merchant_wechatpay(const struct channel_merchant *m)
{
	return m->wechatpay;
}

/* ------- asking */

static void
answer(struct ask *ask, const struct channel_answer *a)
{
	struct channel_merchant *m = ask->merchant;

	ask->fn(ask->arg, a);
	arena_free(&ask->arena);
	free(ask);
	channel_merchant_release(m);
}

/* The channel's signature does not cover our question: a signed reply to another one must not end this order. */
static bool
is_what_was_asked(const struct ask *ask, const struct wechatpay_transaction *t)
{
	const struct wechatpay_merchant *m = ask->merchant->wechatpay;

	return view_is(t->out_trade_no, ask->out_trade_no) && view_is(t->mchid, wechatpay_mchid(m)) && view_is(t->appid, wechatpay_appid(m))
	    && view_is(t->currency, "CNY");
}

static void
read_success(struct ask *ask, struct view body, struct channel_answer *a)
{
	a->result = CHANNEL_DONE;
	if (ask->question == ASK_PLACE && wechatpay_parse_native_reply(&ask->arena, body, &a->code_url) != 0) {
		a->result = CHANNEL_UNKNOWN;
		a->detail = "no code_url in the reply";
	} else if (ask->question == ASK_QUERY && wechatpay_parse_transaction(&ask->arena, body, &a->transaction) != 0) {
		a->result = CHANNEL_UNKNOWN;
		a->detail = "the reply is not a transaction";
	} else if (ask->question == ASK_QUERY && !is_what_was_asked(ask, &a->transaction)) {
		a->result = CHANNEL_UNKNOWN;
		a->detail = "the reply is about another order";
	}
}

static void
read_error(struct ask *ask, struct view body, int status, struct channel_answer *a)
{
	static const enum channel_result results[] = {
		[WECHATPAY_ERROR_UNKNOWN] = CHANNEL_UNKNOWN, [WECHATPAY_ERROR_REFUSED] = CHANNEL_REFUSED, [WECHATPAY_ERROR_PAID] = CHANNEL_PAID,
		[WECHATPAY_ERROR_CLOSED] = CHANNEL_CLOSED, [WECHATPAY_ERROR_NOT_FOUND] = CHANNEL_NOT_FOUND,
	};
	struct wechatpay_error e;

	wechatpay_parse_error(&ask->arena, body, status, &e);
	a->result = results[e.class];
	a->detail = e.code.n > 0 ? arena_printf(&ask->arena, "%.*s", (int)e.code.n, e.code.p) : arena_printf(&ask->arena, "HTTP %d", status);
}

static void
on_reply(void *arg, const struct http_client_reply *reply)
{
	struct ask *ask = arg;
	struct channel_answer a = {.result = CHANNEL_UNKNOWN, .detail = ""};

	if (reply->result == HTTP_CLIENT_CONNECT) {
		/* it never left: for an order that is certain, for a question it changes nothing */
		a.result = ask->question == ASK_PLACE ? CHANNEL_REFUSED : CHANNEL_UNKNOWN;
		a.detail = reply->error;
	} else if (reply->result != HTTP_CLIENT_OK) {
		a.detail = reply->error;
	} else {
		struct wechatpay_signature s = {
			http_client_header(reply, "wechatpay-timestamp"), http_client_header(reply, "wechatpay-nonce"),
			http_client_header(reply, "wechatpay-signature"), http_client_header(reply, "wechatpay-serial"),
		};
		enum wechatpay_verdict v = wechatpay_verify(ask->merchant->wechatpay, &s, reply->body, clock_now() / TIMESTAMP_SECOND);
		if (v != WECHATPAY_VERIFIED)
			a.detail = wechatpay_verdict_text(v);
		else if (reply->status >= 200 && reply->status < 300)
			read_success(ask, reply->body, &a);
		else
			read_error(ask, reply->body, reply->status, &a);
	}
	if (a.result == CHANNEL_UNKNOWN || a.result == CHANNEL_REFUSED)
		log_warn("channel.answer", "merchant=%s question=%d status=%d result=%d why=\"%s\"", ask->merchant->name, (int)ask->question, reply->status,
		    (int)a.result, a.detail);
	answer(ask, &a);
}

static void
ask_send(struct ask *ask, const char *method, const char *path, struct view body)
{
	struct channel_merchant *m = ask->merchant;
	unsigned char random[16];
	char nonce[33];

	if (RAND_bytes(random, sizeof(random)) != 1)
		fatal("no random numbers");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(nonce + i * 2, 3, "%02x", random[i]);
	const char *authorization = wechatpay_authorize(m->wechatpay, &ask->arena, method, path, clock_now() / TIMESTAMP_SECOND, nonce, body);
	if (authorization == NULL)
		fatal("a request cannot be signed");
	const char *headers[] = {
		arena_printf(&ask->arena, "Authorization: %s", authorization), "Accept: application/json", "User-Agent: visitbilld",
		"Content-Type: application/json",
	};
	struct http_client_request request = {
		.method = method, .url = arena_printf(&ask->arena, "%s%s", m->api_url, path), .headers = headers, .n_headers = body.n > 0 ? 4 : 3, .body = body,
		.timeout_ms = (int)m->settings->payment.channel_ms,
	};
	http_client_send(m->core->http, &request, on_reply, ask);
}

static struct ask *
ask_new(struct channel_merchant *m, enum question question, const char *out_trade_no, channel_fn fn, void *arg)
{
	struct ask *ask = memory_new(sizeof(*ask));

	ask->merchant = channel_merchant_hold(m);
	ask->question = question;
	snprintf(ask->out_trade_no, sizeof(ask->out_trade_no), "%s", out_trade_no);
	ask->fn = fn;
	ask->arg = arg;
	arena_init(&ask->arena, 2048);
	return ask;
}

void
channel_place(struct channel_merchant *m, const struct channel_order *order, channel_fn fn, void *arg)
{
	struct ask *ask = ask_new(m, ASK_PLACE, order->out_trade_no, fn, arg);
	char expires[TIMESTAMP_TEXT];
	struct wechatpay_native native = {
		.out_trade_no = view_of(order->out_trade_no), .description = view_of(order->description), .amount = order->amount,
		.notify_url = arena_printf(&ask->arena, "%s/notify/wechatpay/%s", m->notify_url, m->name),
		.expires = timestamp_rfc3339(order->expires_at, (int)m->settings->hospital.utc_offset, expires),
	};

	ask_send(ask, "POST", WECHATPAY_NATIVE_PATH, wechatpay_native_body(&ask->arena, m->wechatpay, &native));
}

void
channel_query(struct channel_merchant *m, const char *out_trade_no, channel_fn fn, void *arg)
{
	struct ask *ask = ask_new(m, ASK_QUERY, out_trade_no, fn, arg);

	ask_send(ask, "GET", wechatpay_query_path(&ask->arena, m->wechatpay, view_of(out_trade_no)), VIEW_NONE);
}

void
channel_close(struct channel_merchant *m, const char *out_trade_no, channel_fn fn, void *arg)
{
	struct ask *ask = ask_new(m, ASK_CLOSE, out_trade_no, fn, arg);

	ask_send(ask, "POST", wechatpay_close_path(&ask->arena, view_of(out_trade_no)), wechatpay_close_body(&ask->arena, m->wechatpay));
}
