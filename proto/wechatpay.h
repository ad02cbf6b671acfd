/* The wire format of WeChat Pay APIv3 for one merchant: signing requests, verifying and reading replies and notifications, Native orders
 * (the payer scans a QR code). Sources: the APIv3 documents of pay.weixin.qq.com, "signature generation", "signature verification", "decrypting
 * callbacks", "Native order", "query by out_trade_no", "close order", "payment notification".
 *
 * Amounts are int64 fen. Texts of replies are UTF-8 without NUL, in the arena or in the body that was parsed; both must outlive them. A reply or a
 * notification is verified over its raw bytes BEFORE it is read: what an unverified one says is not known. */
#ifndef VB_PROTO_WECHATPAY_H
#define VB_PROTO_WECHATPAY_H

#include <stdint.h>

#include "arena.h"
#include "view.h"

/* ------- the merchant */

struct wechatpay_merchant;

struct wechatpay_account {
	const char *mchid, *appid;
	const char *merchant_serial;		/* of the merchant's API certificate */
	const char *merchant_key_pem;		/* its private key, no passphrase */
	const char *platform_serial;		/* PUB_KEY_ID_…, or the platform certificate's serial */
	const char *platform_public_key_pem;	/* that public key, or that certificate */
	const char *apiv3_key;			/* 32 bytes */
};

/* Parses the keys once. The texts are copied; the caller wipes its own. Returns NULL, with a sentence that names no secret in error, when
 * something is missing or not what it should be. Free with wechatpay_merchant_free, which wipes the secrets and takes NULL. */
struct wechatpay_merchant *wechatpay_merchant_new(const struct wechatpay_account *account, char *error, size_t size)
    __attribute__((warn_unused_result));
void wechatpay_merchant_free(struct wechatpay_merchant *m);

/* As given; owned by m. A transaction's mchid and appid are compared with these. */
const char *wechatpay_mchid(const struct wechatpay_merchant *m);
const char *wechatpay_appid(const struct wechatpay_merchant *m);
const char *wechatpay_platform_serial(const struct wechatpay_merchant *m);

/* ------- signatures */

/* The value of a request's Authorization header, in the arena ("signature generation": method, path with its query, time, nonce and body, each
 * ended by LF). path: exactly as it is sent, percent-encoded. timestamp: Unix seconds. nonce: fresh for every request, also for a retry;
 * up to 32 letters and digits. body: the very bytes that are sent, empty for GET. NULL when OpenSSL fails. */
const char *wechatpay_authorize(const struct wechatpay_merchant *m, struct arena *a, const char *method, const char *path, int64_t timestamp,
    const char *nonce, struct view body) __attribute__((warn_unused_result));

/* The headers Wechatpay-Timestamp, Wechatpay-Nonce, Wechatpay-Signature and Wechatpay-Serial, as they came; empty where absent. */
struct wechatpay_signature {
	struct view timestamp, nonce, signature, serial;
};

enum wechatpay_verdict {
	WECHATPAY_VERIFIED,
	WECHATPAY_MISSING,		/* a header is absent or empty */
	WECHATPAY_STALE,		/* 300 s or more from now, or not a number */
	WECHATPAY_WRONG_SERIAL,		/* signed with a key that is not configured */
	WECHATPAY_BAD_SIGNATURE,	/* also the channel's own probes: answer 4xx, never 2xx */
};

/* Judges a notification, or the reply to one of our calls ("signature verification": time, nonce and body, each ended by LF). body: the raw
 * bytes, empty for 204. now: Unix seconds. */
enum wechatpay_verdict wechatpay_verify(const struct wechatpay_merchant *m, const struct wechatpay_signature *s, struct view body, int64_t now)
    __attribute__((warn_unused_result));

/* "bad signature": for the log. */
const char *wechatpay_verdict_text(enum wechatpay_verdict verdict);

/* ------- requests */

#define WECHATPAY_NATIVE_PATH "/v3/pay/transactions/native"

struct wechatpay_native {
	struct view out_trade_no;	/* 6 to 32 of A-Z a-z 0-9 _ - | * */
	struct view description;	/* UTF-8; cut to 127 characters, and before a byte that is not UTF-8 */
	const char *notify_url;		/* absolute, no query, at most 255 bytes */
	int64_t amount;			/* fen, more than 0 */
	const char *expires;		/* RFC 3339 with offset, or NULL: the channel's own limit */
};

/* The body of POST WECHATPAY_NATIVE_PATH, in the arena. Sent again for the same out_trade_no it must be the same byte for byte, or the channel
 * refuses it. */
struct view wechatpay_native_body(struct arena *a, const struct wechatpay_merchant *m, const struct wechatpay_native *order);

/* The path of GET, with ?mchid=, and of POST close, percent-encoded (out_trade_no may have '|'); in the arena. */
const char *wechatpay_query_path(struct arena *a, const struct wechatpay_merchant *m, struct view out_trade_no);
const char *wechatpay_close_path(struct arena *a, struct view out_trade_no);
/* The body of close; its reply is 204 without one. */
struct view wechatpay_close_body(struct arena *a, const struct wechatpay_merchant *m);

/* ------- replies */

/* The code_url of a 200 reply to a Native order: the text of the QR code, good for two hours. Returns 0; -1 when it is not there. */
int wechatpay_parse_native_reply(struct arena *a, struct view body, struct view *ret_code_url) __attribute__((warn_unused_result));

/* What a reply that is not 2xx means for the request that it answers. */
enum wechatpay_error_class {
	WECHATPAY_ERROR_UNKNOWN,	/* done or not, nobody knows: query the order (DESIGN, invariant 8) */
	WECHATPAY_ERROR_REFUSED,	/* this request did nothing, and the same again will not either */
	WECHATPAY_ERROR_PAID,		/* paid, or its number is in use: query the order, never charge again */
	WECHATPAY_ERROR_CLOSED,		/* the order is closed */
	WECHATPAY_ERROR_NOT_FOUND,	/* the channel has no such order */
};

struct wechatpay_error {
	struct view code, message;	/* empty where the body is not the channel's error */
	enum wechatpay_error_class class;
};

/* Reads the error of a VERIFIED reply with this HTTP status; never fails: what is not understood is WECHATPAY_ERROR_UNKNOWN, and so are all 5xx,
 * rate limits, every code that is not in the table, and every status that is not 4xx. Two things that a class does not say: REFUSED speaks of this
 * request, not of the order, which may live from an earlier one whose answer was lost; NOT_FOUND soon after such a request may only mean
 * "not yet", because an order on its way can still arrive. */
void wechatpay_parse_error(struct arena *a, struct view body, int status, struct wechatpay_error *ret);

enum wechatpay_trade_state {
	WECHATPAY_TRADE_UNKNOWN,	/* a word we don't know: as if there were no answer */
	WECHATPAY_TRADE_SUCCESS,
	WECHATPAY_TRADE_REFUND,		/* was paid; something of it was sent back */
	WECHATPAY_TRADE_NOTPAY,
	WECHATPAY_TRADE_CLOSED,
	WECHATPAY_TRADE_REVOKED,	/* codepay: reversed */
	WECHATPAY_TRADE_USERPAYING,	/* codepay: the payer is asked for the password */
	WECHATPAY_TRADE_PAYERROR,
};

/* "NOTPAY", as the channel writes it. */
const char *wechatpay_trade_state_text(enum wechatpay_trade_state state);

struct wechatpay_transaction {
	struct view mchid, appid, out_trade_no;
	struct view transaction_id;	/* the channel's number; empty until paid */
	enum wechatpay_trade_state state;
	bool has_amount;
	int64_t total;			/* fen that the order is about, whatever coupons paid of it */
	struct view currency;		/* "CNY" where the channel does not say */
	bool has_success_time;		/* false also for a time that cannot be read: money is not refused for that */
	int64_t success_time;		/* microseconds since 1970 UTC */
};

/* Reads the transaction object: the 200 reply to a query, or the plaintext of a notification. Returns 0; -1 when it is not one: mchid, appid,
 * out_trade_no or trade_state missing, a field of another JSON type, an amount that is not a whole number of fen within 0 to AMOUNT_MAX, or a
 * payment (SUCCESS, REFUND) without transaction_id or amount. *ret is untouched then. It does not compare anything: that the merchant, order
 * and amount are the expected ones is the caller's to check. */
int wechatpay_parse_transaction(struct arena *a, struct view json, struct wechatpay_transaction *ret) __attribute__((warn_unused_result));

/* ------- notifications */

#define WECHATPAY_EVENT_SUCCESS "TRANSACTION.SUCCESS"

struct wechatpay_notification {
	struct view id, event_type;
	struct view original_type;	/* "transaction", "refund", …; may be empty */
	struct view algorithm, nonce, associated_data, ciphertext;	/* associated_data may be empty */
};

/* Reads the envelope of a notification. Returns 0; -1 when a field is missing or of another type, or bytes follow the object. */
int wechatpay_parse_notification(struct arena *a, struct view body, struct wechatpay_notification *ret) __attribute__((warn_unused_result));

/* Opens a sealed resource ("decrypting callbacks"): AEAD_AES_256_GCM under the APIv3 key, a nonce of 12 bytes, the tag in the last 16. *ret is
 * in the arena, with a NUL after it. Returns 0; -1 for another algorithm or any failure, and then *ret is untouched. */
int wechatpay_decrypt(const struct wechatpay_merchant *m, struct arena *a, struct view algorithm, struct view nonce, struct view associated_data,
    struct view ciphertext, struct view *ret) __attribute__((warn_unused_result));

#endif
