/* The merchant, its signatures, and the requests it makes. It sends nothing and knows no time; wechatpay_reply.c reads what comes back. */
#include "wechatpay.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "utf8.h"
#include "wechatpay_crypto.h"

enum {
	SKEW_SECONDS = 300,		/* "signature verification": older ones are refused */
	DESCRIPTION_CHARACTERS = 127,	/* "Native order" */
};

struct wechatpay_merchant {
	char *mchid, *appid, *merchant_serial, *platform_serial;
	EVP_PKEY *merchant_key, *platform_key;
	unsigned char apiv3_key[WECHATPAY_KEY_BYTES];
};

/* ------- the merchant */

/* They go into a header between quotes. */
static bool
is_identifier(const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' || s[i] == ',')
			return false;
	return n > 0 && n <= 128;
}

static int
account_check(const struct wechatpay_account *account, char *error, size_t size)
{
	const struct { const char *name, *value; } identifiers[] = {
		{"mchid", account->mchid}, {"appid", account->appid},
		{"merchant's serial", account->merchant_serial}, {"platform's serial", account->platform_serial},
	};

	for (size_t i = 0; i < sizeof(identifiers) / sizeof(identifiers[0]); i++) {
		if (!is_identifier(identifiers[i].value)) {
			snprintf(error, size, "the %s is missing or not an identifier", identifiers[i].name);
			return -1;
		}
	}
	if (account->merchant_key_pem == NULL || account->platform_public_key_pem == NULL || account->apiv3_key == NULL) {
		snprintf(error, size, "a key is missing");
		return -1;
	}
	if (strlen(account->apiv3_key) != WECHATPAY_KEY_BYTES) {
		snprintf(error, size, "the APIv3 key has %zu bytes, not %d", strlen(account->apiv3_key), WECHATPAY_KEY_BYTES);
		return -1;
	}
	return 0;
}

static char *
copy_text(const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		abort();
	return copy;
}

struct wechatpay_merchant *
wechatpay_merchant_new(const struct wechatpay_account *account, char *error, size_t size)
{
	struct wechatpay_merchant *m;

	if (account_check(account, error, size) != 0)
		return NULL;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		abort();
	m->mchid = copy_text(account->mchid);
	m->appid = copy_text(account->appid);
	m->merchant_serial = copy_text(account->merchant_serial);
	m->platform_serial = copy_text(account->platform_serial);
	memcpy(m->apiv3_key, account->apiv3_key, WECHATPAY_KEY_BYTES);
	m->merchant_key = wechatpay_private_key(account->merchant_key_pem, error, size);
	if (m->merchant_key != NULL)
		m->platform_key = wechatpay_public_key(account->platform_public_key_pem, error, size);
	if (m->platform_key == NULL) {
		wechatpay_merchant_free(m);
		return NULL;
	}
	return m;
}

void
wechatpay_merchant_free(struct wechatpay_merchant *m)
{
	if (m == NULL)
		return;
	free(m->mchid);
	free(m->appid);
	free(m->merchant_serial);
	free(m->platform_serial);
	EVP_PKEY_free(m->merchant_key);		/* wipes the private numbers */
	EVP_PKEY_free(m->platform_key);
	OPENSSL_cleanse(m->apiv3_key, sizeof(m->apiv3_key));
	free(m);
}

const char *
wechatpay_mchid(const struct wechatpay_merchant *m)
{
	return m->mchid;
}

const char *
wechatpay_appid(const struct wechatpay_merchant *m)
{
	return m->appid;
}

const char *
wechatpay_platform_serial(const struct wechatpay_merchant *m)
{
	return m->platform_serial;
}

/* ------- signatures */

const char *
wechatpay_authorize(const struct wechatpay_merchant *m, struct arena *a, const char *method, const char *path, int64_t timestamp,
    const char *nonce, struct view body)
{
	const char *seconds = arena_printf(a, "%" PRId64, timestamp);
	const struct view lines[] = {view_of(method), view_of(path), view_of(seconds), view_of(nonce), body};
	const char *signature = wechatpay_sign_lines(m->merchant_key, a, lines, sizeof(lines) / sizeof(lines[0]));

	if (signature == NULL)
		return NULL;
	return arena_printf(a, "WECHATPAY2-SHA256-RSA2048 mchid=\"%s\",nonce_str=\"%s\",timestamp=\"%s\",serial_no=\"%s\",signature=\"%s\"",
	    m->mchid, nonce, seconds, m->merchant_serial, signature);
}

/* Unix seconds in digits alone; no more of them than a sum with int64 stands. */
static int
parse_seconds(struct view text, int64_t *ret)
{
	int64_t value = 0;

	if (text.n == 0 || text.n > 12)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return -1;
		value = value * 10 + (text.p[i] - '0');
	}
	*ret = value;
	return 0;
}

/* A certificate's serial is hexadecimal: its case is a matter of who printed it. */
static bool
is_serial(struct view serial, const char *own)
{
	return serial.n == strlen(own) && strncasecmp(serial.p, own, serial.n) == 0;
}

enum wechatpay_verdict
wechatpay_verify(const struct wechatpay_merchant *m, const struct wechatpay_signature *s, struct view body, int64_t now)
{
	const struct view lines[] = {s->timestamp, s->nonce, body};
	int64_t at;

	if (s->timestamp.n == 0 || s->nonce.n == 0 || s->signature.n == 0 || s->serial.n == 0)
		return WECHATPAY_MISSING;
	if (parse_seconds(s->timestamp, &at) != 0 || now - at >= SKEW_SECONDS || at - now >= SKEW_SECONDS)
		return WECHATPAY_STALE;
	if (!is_serial(s->serial, m->platform_serial))
		return WECHATPAY_WRONG_SERIAL;
	if (!wechatpay_lines_are_signed(m->platform_key, lines, sizeof(lines) / sizeof(lines[0]), s->signature))
		return WECHATPAY_BAD_SIGNATURE;
	return WECHATPAY_VERIFIED;
}

const char *
wechatpay_verdict_text(enum wechatpay_verdict verdict)
{
	static const char *const texts[] = {"verified", "signature missing", "stale", "wrong serial", "bad signature"};

	return texts[verdict];
}

int
wechatpay_decrypt(const struct wechatpay_merchant *m, struct arena *a, struct view algorithm, struct view nonce, struct view associated_data,
    struct view ciphertext, struct view *ret)
{
	if (!view_is(algorithm, "AEAD_AES_256_GCM"))
		return -1;
	return wechatpay_open(m->apiv3_key, a, nonce, associated_data, ciphertext, ret);
}

/* ------- requests */

/* How many bytes the first `most` characters have; fewer where the text stops being UTF-8. */
static size_t
characters_length(struct view text, size_t most)
{
	size_t n = 0;

	for (size_t count = 0; count < most && n < text.n; count++) {
		unsigned char lead = (unsigned char)text.p[n];
		size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
		if (length > text.n - n || !utf8_is_valid((struct view){text.p + n, length}))
			break;
		n += length;
	}
	return n;
}

static void
put(struct json_object *o, const char *name, struct json_object *value)
{
	if (value == NULL || json_object_object_add(o, name, value) != 0)
		abort();	/* out of memory */
}

static void
put_text(struct json_object *o, const char *name, struct view text)
{
	put(o, name, json_object_new_string_len(text.n > 0 ? text.p : "", (int)text.n));
}

/* The object's text, in the arena; the object is given back. */
static struct view
print_and_free(struct arena *a, struct json_object *o)
{
	size_t n;
	const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
	struct view copy;

	if (text == NULL)
		abort();
	copy = arena_copy(a, text, n);
	json_object_put(o);
	return copy;
}

struct view
wechatpay_native_body(struct arena *a, const struct wechatpay_merchant *m, const struct wechatpay_native *order)
{
	struct json_object *o = json_object_new_object(), *amount = json_object_new_object();

	put_text(o, "appid", view_of(m->appid));
	put_text(o, "mchid", view_of(m->mchid));
	put_text(o, "description", (struct view){order->description.p, characters_length(order->description, DESCRIPTION_CHARACTERS)});
	put_text(o, "out_trade_no", order->out_trade_no);
	if (order->expires != NULL)
		put_text(o, "time_expire", view_of(order->expires));
	put_text(o, "notify_url", view_of(order->notify_url));
	put(amount, "total", json_object_new_int64(order->amount));
	put_text(amount, "currency", VIEW_LITERAL("CNY"));
	put(o, "amount", amount);
	return print_and_free(a, o);
}

/* Everything but RFC 3986's unreserved characters as %XX. */
static const char *
percent_encode(struct arena *a, struct view text)
{
	static const char hex[] = "0123456789ABCDEF";
	char *encoded = arena_alloc(a, text.n * 3 + 1), *end = encoded;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~') {
			*end++ = (char)c;
		} else {
			*end++ = '%';
			*end++ = hex[c >> 4];
			*end++ = hex[c & 15];
		}
	}
	return encoded;
}

const char *
wechatpay_query_path(struct arena *a, const struct wechatpay_merchant *m, struct view out_trade_no)
{
	return arena_printf(a, "/v3/pay/transactions/out-trade-no/%s?mchid=%s", percent_encode(a, out_trade_no), percent_encode(a, view_of(m->mchid)));
}

const char *
wechatpay_close_path(struct arena *a, struct view out_trade_no)
{
	return arena_printf(a, "/v3/pay/transactions/out-trade-no/%s/close", percent_encode(a, out_trade_no));
}

struct view
wechatpay_close_body(struct arena *a, const struct wechatpay_merchant *m)
{
	struct json_object *o = json_object_new_object();

	put_text(o, "mchid", view_of(m->mchid));
	return print_and_free(a, o);
}
