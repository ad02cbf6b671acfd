/* proto/wechatpay.h against vectors that other code made (wechatpay_vectors.h), and against everything that has to be refused. */
#include <check.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/money.h"
#include "proto/wechatpay.h"
#include "proto/wechatpay_crypto.h"
#include "wechatpay_vectors.h"

enum { REQUESTED_AT = 1768458605, ANSWERED_AT = 1768458607 };

#define NONCE "593BEC0C930BF1AFEB40B4A08C8FB242"
#define REPLY_NONCE "c5ac7061fccab6bf3e254dcf98995b8c"
#define SEAL_NONCE "fdasflkja484"
#define ALGORITHM VIEW_LITERAL("AEAD_AES_256_GCM")

static struct arena arena;
static struct wechatpay_merchant *merchant;

static const struct wechatpay_account account = {
	.mchid = "1600000001", .appid = "wx0123456789abcdef", .merchant_serial = MERCHANT_SERIAL, .merchant_key_pem = merchant_key_pem,
	.platform_serial = PLATFORM_SERIAL, .platform_public_key_pem = platform_public_pem, .apiv3_key = APIV3_KEY,
};

static void
set_up(void)
{
	char error[200] = "";

	arena_init(&arena, 4096);
	merchant = wechatpay_merchant_new(&account, error, sizeof(error));
	ck_assert_msg(merchant != NULL, "%s", error);
}

static void
tear_down(void)
{
	wechatpay_merchant_free(merchant);
	arena_free(&arena);
	ck_assert_uint_eq(ERR_peek_error(), 0);	/* nothing left for somebody else's TLS */
}

static void
check_view(struct view v, const char *expected)
{
	ck_assert_msg(view_equal(v, view_of(expected)), "\"%.*s\" is not \"%s\"", (int)v.n, v.n > 0 ? v.p : "", expected);
}

/* ------- the merchant */

static void
check_refused(const struct wechatpay_account *a, const char *why)
{
	char error[200] = "";

	ck_assert_ptr_null(wechatpay_merchant_new(a, error, sizeof(error)));
	ck_assert_msg(strstr(error, why) != NULL, "\"%s\" does not say \"%s\"", error, why);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(merchant_needs_everything)
{
	struct wechatpay_account a;

	a = account, a.mchid = NULL;
	check_refused(&a, "mchid");
	a = account, a.appid = "";
	check_refused(&a, "appid");
	a = account, a.merchant_serial = "a\"b";
	check_refused(&a, "serial");
	a = account, a.platform_serial = "a\r\nX: y";
	check_refused(&a, "serial");
	a = account, a.apiv3_key = APIV3_KEY "\n";
	check_refused(&a, "33 bytes");
	a = account, a.apiv3_key = NULL;
	check_refused(&a, "missing");
	a = account, a.merchant_key_pem = platform_public_pem;
	check_refused(&a, "private key");
	a = account, a.merchant_key_pem = "";
	check_refused(&a, "private key");
	a = account, a.platform_public_key_pem = merchant_key_pem;
	check_refused(&a, "public key");
	wechatpay_merchant_free(NULL);
}
END_TEST

/* The key as PEM; with a passphrase where one is given. */
static char *
pem_of(EVP_PKEY *key, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;

	ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase != NULL ? EVP_aes_128_cbc() : NULL, passphrase,
	    passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL), 1);
	long n = BIO_get_mem_data(bio, &text);
	copy = strndup(text, (size_t)n);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return copy;
}

START_TEST(merchant_keys_of_other_kinds)
{
	char *weak = pem_of(EVP_RSA_gen(1024), NULL), *curve = pem_of(EVP_EC_gen("P-256"), NULL), *locked = pem_of(EVP_RSA_gen(2048), "secret");
	struct wechatpay_account a = account;

	a.merchant_key_pem = weak;
	check_refused(&a, "1024 bits");
	a.merchant_key_pem = curve;
	check_refused(&a, "RSA");
	a.merchant_key_pem = locked;	/* must not ask for it on the terminal */
	check_refused(&a, "passphrase");
	free(weak);
	free(curve);
	free(locked);
}
END_TEST

/* ------- signatures */

START_TEST(authorize_is_as_documented)
{
	const char *expected = arena_printf(&arena, "WECHATPAY2-SHA256-RSA2048 mchid=\"1600000001\",nonce_str=\"" NONCE "\",timestamp=\"%d\","
	    "serial_no=\"" MERCHANT_SERIAL "\",signature=\"%s\"", REQUESTED_AT, post_signature);

	ck_assert_str_eq(wechatpay_authorize(merchant, &arena, "POST", WECHATPAY_NATIVE_PATH, REQUESTED_AT, NONCE, view_of(native_body)), expected);
	expected = arena_printf(&arena, "WECHATPAY2-SHA256-RSA2048 mchid=\"1600000001\",nonce_str=\"" NONCE "\",timestamp=\"%d\","
	    "serial_no=\"" MERCHANT_SERIAL "\",signature=\"%s\"", REQUESTED_AT, get_signature);
	ck_assert_str_eq(wechatpay_authorize(merchant, &arena, "GET", wechatpay_query_path(&arena, merchant, VIEW_LITERAL(OUT_TRADE_NO)),
	    REQUESTED_AT, NONCE, VIEW_NONE), expected);
}
END_TEST

static struct wechatpay_signature
reply_signature(const char *signature)
{
	return (struct wechatpay_signature){
		.timestamp = VIEW_LITERAL("1768458607"), .nonce = VIEW_LITERAL(REPLY_NONCE), .signature = view_of(signature),
		.serial = VIEW_LITERAL(PLATFORM_SERIAL),
	};
}

static void
check_verdict(const struct wechatpay_signature *s, const char *body, int64_t now, enum wechatpay_verdict expected)
{
	enum wechatpay_verdict verdict = wechatpay_verify(merchant, s, view_of(body), now);

	ck_assert_msg(verdict == expected, "%s, not %s", wechatpay_verdict_text(verdict), wechatpay_verdict_text(expected));
	ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(verify_takes_what_is_signed)
{
	struct wechatpay_signature s = reply_signature(notification_signature);
	char error[200];
	struct wechatpay_account a = account;

	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_VERIFIED);
	s.signature = view_of(empty_signature);
	check_verdict(&s, "", ANSWERED_AT, WECHATPAY_VERIFIED);		/* 204 */
	wechatpay_merchant_free(merchant);
	a.platform_public_key_pem = platform_certificate_pem;
	a.platform_serial = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1";
	merchant = wechatpay_merchant_new(&a, error, sizeof(error));
	s.serial = VIEW_LITERAL("5157f09efdc096de15ebe81a47057a7232f1b8e1");
	check_verdict(&s, "", ANSWERED_AT, WECHATPAY_VERIFIED);
}
END_TEST

START_TEST(verify_refuses_other_times)
{
	struct wechatpay_signature s = reply_signature(notification_signature);

	check_verdict(&s, notification_body, ANSWERED_AT + 299, WECHATPAY_VERIFIED);
	check_verdict(&s, notification_body, ANSWERED_AT - 299, WECHATPAY_VERIFIED);
	check_verdict(&s, notification_body, ANSWERED_AT + 300, WECHATPAY_STALE);
	check_verdict(&s, notification_body, ANSWERED_AT - 300, WECHATPAY_STALE);
	check_verdict(&s, notification_body, 0, WECHATPAY_STALE);
	const char *const texts[] = {"1768458607 ", " 1768458607", "+1768458607", "-1768458607", "0x6968", "1768458607.0", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		s.timestamp = view_of(texts[i]);
		check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_STALE);
	}
	s.timestamp = VIEW_LITERAL("1768458608");	/* fresh, but not the signed one */
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
}
END_TEST

START_TEST(verify_refuses_missing_and_foreign)
{
	const struct wechatpay_signature whole = reply_signature(notification_signature);
	struct wechatpay_signature s;

	s = whole, s.timestamp = VIEW_NONE;
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_MISSING);
	s = whole, s.nonce = VIEW_NONE;
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_MISSING);
	s = whole, s.signature = VIEW_NONE;
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_MISSING);
	s = whole, s.serial = VIEW_LITERAL("");
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_MISSING);
	s = whole, s.serial = VIEW_LITERAL("PUB_KEY_ID_0000000000000000000000000000");
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_WRONG_SERIAL);
	s = whole, s.serial = VIEW_LITERAL("PUB_KEY_ID_");
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_WRONG_SERIAL);
}
END_TEST

START_TEST(verify_refuses_what_is_not_signed)
{
	const struct wechatpay_signature whole = reply_signature(notification_signature);
	struct wechatpay_signature s = whole;
	char *text = strdup(notification_signature), *body = strdup(notification_body);

	check_verdict(&s, "", ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
	check_verdict(&s, arena_printf(&arena, "%s\n", notification_body), ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
	body[17] ^= 1;
	check_verdict(&s, body, ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
	s.nonce = VIEW_LITERAL("d5ac7061fccab6bf3e254dcf98995b8c");
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
	/* the line ends are signed too: bytes cannot move from one line to the next */
	s = whole, s.nonce = VIEW_LITERAL(REPLY_NONCE "\n{");
	check_verdict(&s, notification_body + 1, ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
	text[20] = text[20] == 'A' ? 'B' : 'A';
	s = whole, s.signature = view_of(text);
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
	/* the channel's probes begin like this one; the others are not base64 of a signature at all */
	const char *const bad[] = {"WECHATPAY/SIGNTEST/1768458607593BEC0C", "invalid signature", "====", "QUJD", "A", "AAAA=", post_signature};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s = whole, s.signature = view_of(bad[i]);
		check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
	}
	/* base64 as it should be, but of more bytes than any key signs: it must not be decoded into the room for one signature */
	char *endless = arena_alloc(&arena, 100000);
	memset(endless, 'A', 100000);
	s.signature = (struct view){endless, 100000};
	check_verdict(&s, notification_body, ANSWERED_AT, WECHATPAY_BAD_SIGNATURE);
	free(text);
	free(body);
}
END_TEST

START_TEST(base64_is_strict)
{
	static const struct { const char *text; long n; const char *bytes; } cases[] = {
		{"", 0, ""}, {"Zg==", 1, "f"}, {"Zm8=", 2, "fo"}, {"Zm9v", 3, "foo"}, {"Zm9vYg==", 4, "foob"}, {"Zm9vYmFy", 6, "foobar"}, {"+/+/", 3, "\xfb\xff\xbf"},
		{"Zh==", -1, ""}, {"Zm9=", -1, ""}, {"Zg=", -1, ""}, {"Zg", -1, ""}, {"Z===", -1, ""}, {"====", -1, ""}, {"Zg==Zg==", -1, ""},
		{"Zm9v\n", -1, ""}, {" Zm9", -1, ""}, {"Zm-_", -1, ""}, {"Zm9v====", -1, ""},
	};
	unsigned char bytes[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(wechatpay_base64_decode(view_of(cases[i].text), bytes) == cases[i].n, "%s", cases[i].text);
		if (cases[i].n > 0)
			ck_assert_mem_eq(bytes, cases[i].bytes, (size_t)cases[i].n);
	}
}
END_TEST

/* ------- opening */

START_TEST(decrypt_opens_a_notification)
{
	struct wechatpay_notification n;
	struct view plain = VIEW_NONE;

	ck_assert_int_eq(wechatpay_parse_notification(&arena, view_of(notification_body), &n), 0);
	check_view(n.id, "EV-2018022511223320873");
	check_view(n.event_type, WECHATPAY_EVENT_SUCCESS);
	check_view(n.original_type, "transaction");
	ck_assert_int_eq(wechatpay_decrypt(merchant, &arena, n.algorithm, n.nonce, n.associated_data, n.ciphertext, &plain), 0);
	check_view(plain, transaction_json);
	ck_assert_int_eq(plain.p[plain.n], '\0');
}
END_TEST

START_TEST(decrypt_without_data_or_text)
{
	struct view plain = VIEW_NONE;

	ck_assert_int_eq(wechatpay_decrypt(merchant, &arena, ALGORITHM, VIEW_LITERAL(SEAL_NONCE), VIEW_NONE, view_of(sealed_without_data), &plain), 0);
	check_view(plain, "Hello, 世界");
	ck_assert_int_eq(wechatpay_decrypt(merchant, &arena, ALGORITHM, VIEW_LITERAL(SEAL_NONCE), VIEW_LITERAL("x"), view_of(sealed_nothing), &plain), 0);
	check_view(plain, "");
}
END_TEST

static void
check_closed(struct view algorithm, const char *nonce, const char *data, const char *sealed)
{
	struct view plain = VIEW_LITERAL("untouched");

	ck_assert_int_eq(wechatpay_decrypt(merchant, &arena, algorithm, view_of(nonce), view_of(data), view_of(sealed), &plain), -1);
	check_view(plain, "untouched");
	ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(decrypt_refuses)
{
	char *sealed = strdup(sealed_without_data);
	char error[200];
	struct wechatpay_account a = account;

	check_closed(VIEW_LITERAL("AEAD_AES_128_GCM"), SEAL_NONCE, "", sealed);
	check_closed(VIEW_NONE, SEAL_NONCE, "", sealed);
	check_closed(ALGORITHM, "fdasflkja485", "", sealed);
	check_closed(ALGORITHM, "fdasflkja48", "", sealed);
	check_closed(ALGORITHM, "", "", sealed);
	check_closed(ALGORITHM, SEAL_NONCE, "x", sealed);
	check_closed(ALGORITHM, SEAL_NONCE, "", "");
	check_closed(ALGORITHM, SEAL_NONCE, "", "invalid cipher");
	check_closed(ALGORITHM, SEAL_NONCE, "", "SGVsbG8gV29ybGQK");	/* shorter than a tag */
	sealed[0] ^= 1;
	check_closed(ALGORITHM, SEAL_NONCE, "", sealed);
	sealed[0] ^= 1;
	sealed[30] = sealed[30] == 'A' ? 'B' : 'A';	/* in the tag */
	check_closed(ALGORITHM, SEAL_NONCE, "", sealed);
	free(sealed);
	wechatpay_merchant_free(merchant);
	a.apiv3_key = "1123456789abcdefGHIJKLMNopqrstuv";
	merchant = wechatpay_merchant_new(&a, error, sizeof(error));
	check_closed(ALGORITHM, SEAL_NONCE, "", sealed_without_data);
}
END_TEST

/* ------- requests */

START_TEST(requests_are_as_documented)
{
	struct wechatpay_native order = {
		.out_trade_no = VIEW_LITERAL(OUT_TRADE_NO), .description = VIEW_LITERAL("测试医院 H01-2026-000001"),
		.notify_url = "https://hospital.example/notify/wechatpay/main", .amount = 1250, .expires = "2026-01-15T18:00:00+08:00",
	};

	check_view(wechatpay_native_body(&arena, merchant, &order), native_body);
	order.expires = NULL;
	order.description = VIEW_LITERAL("a\"b\\c\n/");
	order.amount = INT64_C(999999999999999999);
	check_view(wechatpay_native_body(&arena, merchant, &order), "{\"appid\":\"wx0123456789abcdef\",\"mchid\":\"1600000001\","
	    "\"description\":\"a\\\"b\\\\c\\n/\",\"out_trade_no\":\"" OUT_TRADE_NO "\",\"notify_url\":\"https://hospital.example/notify/wechatpay/main\","
	    "\"amount\":{\"total\":999999999999999999,\"currency\":\"CNY\"}}");
	ck_assert_str_eq(wechatpay_query_path(&arena, merchant, VIEW_LITERAL(OUT_TRADE_NO)),
	    "/v3/pay/transactions/out-trade-no/" OUT_TRADE_NO "?mchid=1600000001");
	ck_assert_str_eq(wechatpay_close_path(&arena, VIEW_LITERAL("a|b*c_d-e/?")), "/v3/pay/transactions/out-trade-no/a%7Cb%2Ac_d-e%2F%3F/close");
	check_view(wechatpay_close_body(&arena, merchant), "{\"mchid\":\"1600000001\"}");
}
END_TEST

/* The body's description for n times the piece, then `end`. */
static struct view
described(const char *piece, size_t n, const char *end)
{
	struct wechatpay_native order = {.out_trade_no = VIEW_LITERAL("N"), .notify_url = "u", .amount = 1};
	const size_t length = strlen(piece);
	char *text = arena_alloc(&arena, n * length + strlen(end) + 1);
	struct view body;

	for (size_t i = 0; i < n; i++)
		memcpy(text + i * length, piece, length);
	memcpy(text + n * length, end, strlen(end));
	order.description = view_of(text);
	body = wechatpay_native_body(&arena, merchant, &order);
	const char *from = strstr(body.p, "\"description\":\"") + 15, *to = strstr(from, "\",\"out_trade_no\"");
	return (struct view){from, (size_t)(to - from)};
}

START_TEST(description_is_cut_between_characters)
{
	ck_assert_uint_eq(described("x", 126, "").n, 126);
	ck_assert_uint_eq(described("x", 127, "").n, 127);
	ck_assert_uint_eq(described("x", 128, "").n, 127);
	ck_assert_uint_eq(described("医", 127, "").n, 127 * 3);
	ck_assert_uint_eq(described("医", 128, "").n, 127 * 3);
	ck_assert_uint_eq(described("é", 300, "").n, 127 * 2);
	ck_assert_uint_eq(described("😀", 300, "").n, 127 * 4);
	ck_assert_uint_eq(described("x", 126, "医院").n, 126 + 3);
	ck_assert_uint_eq(described("x", 5, "\xE5\x8C").n, 5);
	ck_assert_uint_eq(described("x", 5, "\xE5\x8C\xBB\xBB y").n, 8);
	ck_assert_uint_eq(described("x", 5, "\xFFyy").n, 5);
	ck_assert_uint_eq(described("x", 0, "").n, 0);
}
END_TEST

/* ------- replies */

START_TEST(native_reply)
{
	struct view url = VIEW_LITERAL("untouched");
	const char *const bad[] = {"", "{}", "[]", "{\"code_url\":1}", "{\"code_url\":null}", "{\"code_url\":\"\"}", "{\"code_url\":\"x\"}}", "{\"code_url\":\"a\\u0000b\"}"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(wechatpay_parse_native_reply(&arena, view_of(bad[i]), &url) == -1, "%s", bad[i]);
		check_view(url, "untouched");
	}
	ck_assert_int_eq(wechatpay_parse_native_reply(&arena, VIEW_LITERAL(" {\"code_url\":\"weixin:\\/\\/wxpay/bizpayurl?pr=p4lpSuKzz\"}\r\n"), &url), 0);
	check_view(url, "weixin://wxpay/bizpayurl?pr=p4lpSuKzz");
}
END_TEST

START_TEST(errors_have_a_class)
{
	static const struct { int status; const char *code; enum wechatpay_error_class class; } cases[] = {
		{400, "PARAM_ERROR", WECHATPAY_ERROR_REFUSED}, {401, "SIGN_ERROR", WECHATPAY_ERROR_REFUSED}, {403, "NO_AUTH", WECHATPAY_ERROR_REFUSED},
		{400, "MCH_NOT_EXISTS", WECHATPAY_ERROR_REFUSED}, {400, "APPID_MCHID_NOT_MATCH", WECHATPAY_ERROR_REFUSED},
		{400, "INVALID_REQUEST", WECHATPAY_ERROR_REFUSED}, {400, "ORDERPAID", WECHATPAY_ERROR_PAID}, {403, "OUT_TRADE_NO_USED", WECHATPAY_ERROR_PAID},
		{400, "ORDER_CLOSED", WECHATPAY_ERROR_CLOSED}, {404, "ORDER_NOT_EXIST", WECHATPAY_ERROR_NOT_FOUND},
		{500, "SYSTEM_ERROR", WECHATPAY_ERROR_UNKNOWN}, {400, "SYSTEM_ERROR", WECHATPAY_ERROR_UNKNOWN}, {400, "BANKERROR", WECHATPAY_ERROR_UNKNOWN},
		{429, "FREQUENCY_LIMITED", WECHATPAY_ERROR_UNKNOWN}, {429, "RATELIMIT_EXCEEDED", WECHATPAY_ERROR_UNKNOWN},
		{400, "SOMETHING_NEW", WECHATPAY_ERROR_UNKNOWN}, {400, "PARAM_ERROR2", WECHATPAY_ERROR_UNKNOWN}, {400, "param_error", WECHATPAY_ERROR_UNKNOWN},
		{500, "PARAM_ERROR", WECHATPAY_ERROR_UNKNOWN}, {503, "ORDER_NOT_EXIST", WECHATPAY_ERROR_UNKNOWN}, {200, "PARAM_ERROR", WECHATPAY_ERROR_UNKNOWN},
		{302, "ORDER_CLOSED", WECHATPAY_ERROR_UNKNOWN}, {0, "PARAM_ERROR", WECHATPAY_ERROR_UNKNOWN},
	};
	struct wechatpay_error e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *body = arena_printf(&arena, "{\"code\":\"%s\",\"message\":\"参数错误\",\"detail\":{\"field\":\"/mchid\",\"value\":1.5}}", cases[i].code);
		wechatpay_parse_error(&arena, view_of(body), cases[i].status, &e);
		ck_assert_msg(e.class == cases[i].class, "%d %s is %d", cases[i].status, cases[i].code, (int)e.class);
		check_view(e.code, cases[i].code);
		check_view(e.message, "参数错误");
	}
	const char *const bad[] = {"", "<html>404</html>", "{\"message\":\"x\"}", "{\"code\":404}", "\"PARAM_ERROR\"", "{\"code\":\"PARAM_ERROR\"", "{\"code\":\"PARAM_ERROR\"}x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		wechatpay_parse_error(&arena, view_of(bad[i]), 404, &e);
		ck_assert_int_eq(e.class, WECHATPAY_ERROR_UNKNOWN);
		check_view(e.code, "");
		check_view(e.message, "");
	}
	wechatpay_parse_error(&arena, VIEW_LITERAL("{\"code\":\"ORDER_CLOSED\",\"message\":null}"), 400, &e);
	ck_assert_int_eq(e.class, WECHATPAY_ERROR_CLOSED);
}
END_TEST

START_TEST(transaction_paid)
{
	struct wechatpay_transaction t;

	ck_assert_int_eq(wechatpay_parse_transaction(&arena, view_of(transaction_json), &t), 0);
	check_view(t.mchid, "1600000001");
	check_view(t.appid, "wx0123456789abcdef");
	check_view(t.out_trade_no, OUT_TRADE_NO);
	check_view(t.transaction_id, "4200002026202601150123456789");
	check_view(t.currency, "CNY");
	ck_assert_int_eq(t.state, WECHATPAY_TRADE_SUCCESS);
	ck_assert(t.has_amount && t.has_success_time);
	ck_assert_int_eq(t.total, 1250);		/* not what the payer paid of it */
	ck_assert_int_eq(t.success_time, INT64_C(1768458605) * 1000000);
}
END_TEST

/* A transaction with these members behind the three names. */
static int
parse_rest(const char *rest, struct wechatpay_transaction *t)
{
	return wechatpay_parse_transaction(&arena, view_of(arena_printf(&arena, "{\"mchid\":\"1\",\"appid\":\"2\",\"out_trade_no\":\"3\",%s}", rest)), t);
}

START_TEST(transaction_states)
{
	static const struct { const char *text; enum wechatpay_trade_state state; } cases[] = {
		{"SUCCESS", WECHATPAY_TRADE_SUCCESS}, {"REFUND", WECHATPAY_TRADE_REFUND}, {"NOTPAY", WECHATPAY_TRADE_NOTPAY}, {"CLOSED", WECHATPAY_TRADE_CLOSED},
		{"REVOKED", WECHATPAY_TRADE_REVOKED}, {"USERPAYING", WECHATPAY_TRADE_USERPAYING}, {"PAYERROR", WECHATPAY_TRADE_PAYERROR},
		{"ACCEPT", WECHATPAY_TRADE_UNKNOWN}, {"success", WECHATPAY_TRADE_UNKNOWN}, {"UNKNOWN", WECHATPAY_TRADE_UNKNOWN},
	};
	struct wechatpay_transaction t;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(parse_rest(arena_printf(&arena, "\"trade_state\":\"%s\",\"transaction_id\":\"4\",\"amount\":{\"total\":7}", cases[i].text), &t), 0);
		ck_assert_int_eq(t.state, cases[i].state);
		if (t.state != WECHATPAY_TRADE_UNKNOWN)
			ck_assert_str_eq(wechatpay_trade_state_text(t.state), cases[i].text);
		check_view(t.currency, "CNY");
	}
	ck_assert_int_eq(parse_rest("\"trade_state\":\"NOTPAY\",\"success_time\":\"\",\"transaction_id\":\"\"", &t), 0);
	ck_assert(!t.has_amount && !t.has_success_time && t.transaction_id.n == 0);
	ck_assert_int_eq(parse_rest("\"trade_state\":\"NOTPAY\",\"amount\":null,\"success_time\":null", &t), 0);
	ck_assert_int_eq(parse_rest("\"trade_state\":\"SUCCESS\",\"transaction_id\":\"4\",\"amount\":{\"total\":7,\"currency\":\"USD\"},\"success_time\":\"soon\"", &t), 0);
	ck_assert(!t.has_success_time);
	check_view(t.currency, "USD");
}
END_TEST

START_TEST(transaction_refused)
{
	struct wechatpay_transaction t = {.total = 4711};
	const char *const bad[] = {
		"", "{}", "null", "[]", "1", "{\"mchid\":\"1\",\"appid\":\"2\",\"trade_state\":\"NOTPAY\"}",
		"{\"mchid\":1,\"appid\":\"2\",\"out_trade_no\":\"3\",\"trade_state\":\"NOTPAY\"}",
		"{\"mchid\":\"1\",\"appid\":\"2\",\"out_trade_no\":\"\",\"trade_state\":\"NOTPAY\"}",
		"{\"mchid\":\"1\",\"appid\":\"2\",\"out_trade_no\":\"3\",\"trade_state\":\"NOTPAY\"} x",
		"{\"mchid\":\"1\",\"appid\":\"2\",\"out_trade_no\":\"3\",\"trade_state\":\"NOTPAY\",}",
		"{\"mchid\":\"1\",\"appid\":\"2\",\"out_trade_no\":\"3\\u0000\",\"trade_state\":\"NOTPAY\"}",
		"{\"mchid\":\"1\",\"appid\":\"2\",\"out_trade_no\":\"\xff\",\"trade_state\":\"NOTPAY\"}",
		"{'mchid':'1','appid':'2','out_trade_no':'3','trade_state':'NOTPAY'}",
	};
	const char *const bad_rest[] = {
		"\"trade_state\":null", "\"trade_state\":5", "\"trade_state\":\"NOTPAY\",\"transaction_id\":4",
		"\"trade_state\":\"NOTPAY\",\"success_time\":5", "\"trade_state\":\"NOTPAY\",\"amount\":7", "\"trade_state\":\"NOTPAY\",\"amount\":{}",
		"\"trade_state\":\"SUCCESS\",\"amount\":{\"total\":7}", "\"trade_state\":\"SUCCESS\",\"transaction_id\":\"4\"",
		"\"trade_state\":\"REFUND\",\"transaction_id\":\"4\"", "\"trade_state\":\"NOTPAY\",\"x\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]",
	};
	const char *const bad_totals[] = {
		"\"7\"", "7.0", "7.5", "7e0", "1e2", "-1", "true", "null", "[7]", "{}", "1000000000000000000", "9223372036854775807", "9223372036854775808",
		"18446744073709551615", "18446744073709551616", "18446744073709551623", "-9223372036854775809", "99999999999999999999999999", "0x10", "07", "NaN", "Infinity", "+7",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(wechatpay_parse_transaction(&arena, view_of(bad[i]), &t) == -1, "%s", bad[i]);
	for (size_t i = 0; i < sizeof(bad_rest) / sizeof(bad_rest[0]); i++)
		ck_assert_msg(parse_rest(bad_rest[i], &t) == -1, "%s", bad_rest[i]);
	for (size_t i = 0; i < sizeof(bad_totals) / sizeof(bad_totals[0]); i++)
		ck_assert_msg(parse_rest(arena_printf(&arena, "\"trade_state\":\"NOTPAY\",\"amount\":{\"total\":%s}", bad_totals[i]), &t) == -1, "%s", bad_totals[i]);
	ck_assert_int_eq(t.total, 4711);	/* untouched */
	ck_assert_int_eq(parse_rest("\"trade_state\":\"NOTPAY\",\"amount\":{\"total\":999999999999999999}", &t), 0);
	ck_assert_int_eq(t.total, AMOUNT_MAX);
	ck_assert_int_eq(wechatpay_parse_transaction(&arena, (struct view){transaction_json, sizeof(transaction_json)}, &t), -1);	/* with its NUL */
	for (size_t n = 0; n < sizeof(transaction_json) - 1; n++)
		ck_assert_int_eq(wechatpay_parse_transaction(&arena, (struct view){transaction_json, n}, &t), -1);
}
END_TEST

START_TEST(notification_refused)
{
#define RESOURCE "\"algorithm\":\"AEAD_AES_256_GCM\",\"nonce\":\"123456789012\",\"ciphertext\":\"AAAA\""
	const char *const bad[] = {
		"", "{}", "[]", "{\"id\":\"1\",\"event_type\":\"e\"}", "{\"id\":\"1\",\"event_type\":\"e\",\"resource\":null}",
		"{\"id\":\"1\",\"event_type\":\"e\",\"resource\":\"x\"}", "{\"id\":\"1\",\"event_type\":\"e\",\"resource\":{}}",
		"{\"id\":1,\"event_type\":\"e\",\"resource\":{" RESOURCE "}}", "{\"event_type\":\"e\",\"resource\":{" RESOURCE "}}",
		"{\"id\":\"1\",\"event_type\":[],\"resource\":{" RESOURCE "}}", "{\"id\":\"1\",\"event_type\":\"e\",\"resource\":{" RESOURCE ",\"associated_data\":5}}",
		"{\"id\":\"1\",\"event_type\":\"e\",\"resource\":{" RESOURCE "}}{}", "{\"id\":\"1\",\"event_type\":\"e\",\"resource\":{" RESOURCE "}},",
		"{\"id\":\"1\",\"event_type\":\"e\",\"resource\":{" RESOURCE "}",
	};
	struct wechatpay_notification n = {.id = VIEW_LITERAL("untouched")};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(wechatpay_parse_notification(&arena, view_of(bad[i]), &n) == -1, "%s", bad[i]);
		check_view(n.id, "untouched");
	}
	ck_assert_int_eq(wechatpay_parse_notification(&arena, VIEW_LITERAL("{\"id\":\"1\",\"event_type\":\"e\",\"resource\":{" RESOURCE "}}\n"), &n), 0);
	check_view(n.associated_data, "");
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("wechatpay");
	TCase *t = tcase_create("wechatpay");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, merchant_needs_everything);
	tcase_add_test(t, merchant_keys_of_other_kinds);
	tcase_add_test(t, authorize_is_as_documented);
	tcase_add_test(t, verify_takes_what_is_signed);
	tcase_add_test(t, verify_refuses_other_times);
	tcase_add_test(t, verify_refuses_missing_and_foreign);
	tcase_add_test(t, verify_refuses_what_is_not_signed);
	tcase_add_test(t, base64_is_strict);
	tcase_add_test(t, decrypt_opens_a_notification);
	tcase_add_test(t, decrypt_without_data_or_text);
	tcase_add_test(t, decrypt_refuses);
	tcase_add_test(t, requests_are_as_documented);
	tcase_add_test(t, description_is_cut_between_characters);
	tcase_add_test(t, native_reply);
	tcase_add_test(t, errors_have_a_class);
	tcase_add_test(t, transaction_paid);
	tcase_add_test(t, transaction_states);
	tcase_add_test(t, transaction_refused);
	tcase_add_test(t, notification_refused);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	setenv("CK_VERBOSITY", "silent", 0);	/* only TAP on stdout, unless somebody wants to read more */
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
