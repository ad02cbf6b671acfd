/* Replies and notifications of WeChat Pay APIv3: JSON to structs. It decides nothing about a payment; signatures are wechatpay.c's. */
#include "wechatpay.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "money.h"
#include "timestamp.h"
#include "utf8.h"

enum {
	JSON_DEPTH = 16,		/* theirs need 4 */
	JSON_BYTES = 4 << 20,
	CHINA_OFFSET = 8 * 3600,	/* of a time that has none */
};

/* ------- reading JSON */

/* The object that is all of the text but blanks around it, or NULL. The caller gives it back with json_object_put. */
static struct json_object *
read_object(struct view text)
{
	struct json_tokener *tok;
	struct json_object *o;
	size_t end;

	if (text.n == 0 || text.n > JSON_BYTES)
		return NULL;
	tok = json_tokener_new_ex(JSON_DEPTH);
	if (tok == NULL)
		abort();
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, text.p, (int)text.n);
	end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	while (end < text.n && strchr(" \t\r\n", text.p[end]) != NULL && text.p[end] != '\0')
		end++;
	if (!json_object_is_type(o, json_type_object) || end != text.n) {
		json_object_put(o);
		return NULL;
	}
	return o;
}

enum need { REQUIRED, OPTIONAL };

/* A member's text, copied into the arena. REQUIRED is there and not empty; OPTIONAL may be absent, null or empty. Returns 0; -1 also for another
 * type and for text with NUL, which PostgreSQL does not take. */
static int
take_text(struct json_object *o, const char *name, enum need need, struct arena *a, struct view *ret)
{
	struct json_object *member;
	struct view text;

	if (!json_object_object_get_ex(o, name, &member) || member == NULL) {
		*ret = VIEW_NONE;
		return need == REQUIRED ? -1 : 0;
	}
	if (!json_object_is_type(member, json_type_string))
		return -1;
	text = (struct view){json_object_get_string(member), (size_t)json_object_get_string_len(member)};
	if ((need == REQUIRED && text.n == 0) || !utf8_is_valid(text))
		return -1;
	*ret = arena_copy(a, text.p, text.n);
	return 0;
}

/* ------- replies */

int
wechatpay_parse_native_reply(struct arena *a, struct view body, struct view *ret_code_url)
{
	struct json_object *o = read_object(body);
	struct view code_url;
	int result = o != NULL ? take_text(o, "code_url", REQUIRED, a, &code_url) : -1;

	if (result == 0)
		*ret_code_url = code_url;
	json_object_put(o);
	return result;
}

/* The codes that decide something ("Native order", "query", "close": error codes; the spellings of APIv2 turn up as well). Left out on purpose, so
 * unknown: SYSTEM_ERROR and BANKERROR (may be done), FREQUENCY_LIMITED, RATELIMIT_EXCEEDED and RULE_LIMIT (may pass when sent later),
 * TRADE_ERROR and ACCOUNT_ERROR (of the payer), RESOURCE_NOT_EXISTS (of a wrong address as well as of an order). */
static enum wechatpay_error_class
class_of(struct view code)
{
	static const struct { const char *code; enum wechatpay_error_class class; } table[] = {
		{"PARAM_ERROR", WECHATPAY_ERROR_REFUSED},
		{"SIGN_ERROR", WECHATPAY_ERROR_REFUSED},
		{"SIGNERROR", WECHATPAY_ERROR_REFUSED},
		{"NO_AUTH", WECHATPAY_ERROR_REFUSED},
		{"NOAUTH", WECHATPAY_ERROR_REFUSED},
		{"MCH_NOT_EXISTS", WECHATPAY_ERROR_REFUSED},
		{"MCHID_NOT_EXIST", WECHATPAY_ERROR_REFUSED},
		{"APPID_NOT_EXIST", WECHATPAY_ERROR_REFUSED},
		{"APPID_MCHID_NOT_MATCH", WECHATPAY_ERROR_REFUSED},
		{"INVALID_REQUEST", WECHATPAY_ERROR_REFUSED},
		{"ORDERPAID", WECHATPAY_ERROR_PAID},
		{"ORDER_PAID", WECHATPAY_ERROR_PAID},
		{"OUT_TRADE_NO_USED", WECHATPAY_ERROR_PAID},
		{"ORDER_CLOSED", WECHATPAY_ERROR_CLOSED},
		{"ORDERCLOSED", WECHATPAY_ERROR_CLOSED},
		{"ORDER_NOT_EXIST", WECHATPAY_ERROR_NOT_FOUND},
		{"ORDERNOTEXIST", WECHATPAY_ERROR_NOT_FOUND},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (view_is(code, table[i].code))
			return table[i].class;
	return WECHATPAY_ERROR_UNKNOWN;
}

void
wechatpay_parse_error(struct arena *a, struct view body, int status, struct wechatpay_error *ret)
{
	struct json_object *o = read_object(body);

	*ret = (struct wechatpay_error){.class = WECHATPAY_ERROR_UNKNOWN};
	if (o != NULL && take_text(o, "code", REQUIRED, a, &ret->code) == 0) {
		if (take_text(o, "message", OPTIONAL, a, &ret->message) != 0)
			ret->message = VIEW_NONE;	/* it is for people only */
		if (status >= 400 && status <= 499)
			ret->class = class_of(ret->code);
	}
	json_object_put(o);
}

static const char *const trade_states[] = {
	[WECHATPAY_TRADE_UNKNOWN] = "UNKNOWN",
	[WECHATPAY_TRADE_SUCCESS] = "SUCCESS",
	[WECHATPAY_TRADE_REFUND] = "REFUND",
	[WECHATPAY_TRADE_NOTPAY] = "NOTPAY",
	[WECHATPAY_TRADE_CLOSED] = "CLOSED",
	[WECHATPAY_TRADE_REVOKED] = "REVOKED",
	[WECHATPAY_TRADE_USERPAYING] = "USERPAYING",
	[WECHATPAY_TRADE_PAYERROR] = "PAYERROR",
};

enum { TRADE_STATES = sizeof(trade_states) / sizeof(trade_states[0]) };

const char *
wechatpay_trade_state_text(enum wechatpay_trade_state state)
{
	return trade_states[state];
}

static enum wechatpay_trade_state
trade_state_of(struct view text)
{
	for (size_t i = 0; i < TRADE_STATES; i++)
		if (view_is(text, trade_states[i]))
			return (enum wechatpay_trade_state)i;
	return WECHATPAY_TRADE_UNKNOWN;
}

/* amount.total and amount.currency; an unpaid order may have no amount. */
static int
take_amount(struct json_object *o, struct arena *a, struct wechatpay_transaction *t)
{
	struct json_object *amount, *total;

	if (!json_object_object_get_ex(o, "amount", &amount) || amount == NULL)
		return 0;
	if (!json_object_is_type(amount, json_type_object) || take_text(amount, "currency", OPTIONAL, a, &t->currency) != 0)
		return -1;
	if (t->currency.n == 0)
		t->currency = VIEW_LITERAL("CNY");
	if (!json_object_object_get_ex(amount, "total", &total) || !json_object_is_type(total, json_type_int))
		return -1;	/* json-c calls 1.0 and 1e2 doubles */
	t->total = json_object_get_int64(total);	/* beyond int64 it gives the limit, which is beyond AMOUNT_MAX */
	t->has_amount = true;
	return t->total < 0 || t->total > AMOUNT_MAX ? -1 : 0;
}

int
wechatpay_parse_transaction(struct arena *a, struct view json, struct wechatpay_transaction *ret)
{
	struct json_object *o = read_object(json);
	struct wechatpay_transaction t = {.currency = VIEW_LITERAL("CNY")};
	struct view state, success_time;
	int result = -1;

	if (o == NULL || take_text(o, "mchid", REQUIRED, a, &t.mchid) != 0 || take_text(o, "appid", REQUIRED, a, &t.appid) != 0
	    || take_text(o, "out_trade_no", REQUIRED, a, &t.out_trade_no) != 0 || take_text(o, "trade_state", REQUIRED, a, &state) != 0
	    || take_text(o, "transaction_id", OPTIONAL, a, &t.transaction_id) != 0
	    || take_text(o, "success_time", OPTIONAL, a, &success_time) != 0 || take_amount(o, a, &t) != 0)
		goto out;
	t.state = trade_state_of(state);
	t.has_success_time = success_time.n > 0 && timestamp_parse(success_time, CHINA_OFFSET, &t.success_time) == 0;
	if ((t.state == WECHATPAY_TRADE_SUCCESS || t.state == WECHATPAY_TRADE_REFUND) && (t.transaction_id.n == 0 || !t.has_amount))
		goto out;
	*ret = t;
	result = 0;
out:
	json_object_put(o);
	return result;
}

/* ------- notifications */

int
wechatpay_parse_notification(struct arena *a, struct view body, struct wechatpay_notification *ret)
{
	struct json_object *o = read_object(body), *resource = NULL;
	struct wechatpay_notification n;
	int result = -1;

	if (o == NULL || !json_object_object_get_ex(o, "resource", &resource) || !json_object_is_type(resource, json_type_object)
	    || take_text(o, "id", REQUIRED, a, &n.id) != 0 || take_text(o, "event_type", REQUIRED, a, &n.event_type) != 0
	    || take_text(resource, "original_type", OPTIONAL, a, &n.original_type) != 0
	    || take_text(resource, "algorithm", REQUIRED, a, &n.algorithm) != 0
	    || take_text(resource, "nonce", REQUIRED, a, &n.nonce) != 0
	    || take_text(resource, "associated_data", OPTIONAL, a, &n.associated_data) != 0
	    || take_text(resource, "ciphertext", REQUIRED, a, &n.ciphertext) != 0)
		goto out;
	*ret = n;
	result = 0;
out:
	json_object_put(o);
	return result;
}
