/* Fields of JSON objects. json-c keeps the text of a number that is not an integer, which is what makes decimals exact here. */
#include "json_in.h"

#include "money.h"
#include "timestamp.h"
#include "utf8.h"

enum { DEPTH = 8 };

void
json_in_refuse(const struct json_in *in, const char *reason, const char *detail, const char *key)
{
	if (in->refused->reason == NULL)
		*in->refused = (struct refusal){reason, detail, arena_printf(in->a, "%s%s%s", in->pointer, key[0] != '\0' ? "/" : "", key)};
}

/* json-c, strict as it can be told to be, still takes strings in single quotes, NaN and Infinity, and control characters in strings (RFC 8259
 * has none of them). None of these begins a token, so one look at the bytes is enough. */
static bool
is_plain_json(struct view body)
{
	bool in_string = false;

	for (size_t i = 0; i < body.n; i++) {
		unsigned char c = (unsigned char)body.p[i];
		if (!in_string && (c == '\'' || c == 'N' || c == 'I'))
			return false;
		if (in_string && c < 0x20)
			return false;
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
	}
	return true;
}

struct json_object *
json_in_body(struct view body, struct arena *a, struct refusal *refused)
{
	struct json_tokener *t = json_tokener_new_ex(DEPTH);
	struct json_object *o = NULL;

	if (t == NULL)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (body.n == 0 || body.n > INT32_MAX) {
		*refused = (struct refusal){"json_invalid", "the body is empty", ""};
	} else if (!utf8_is_valid(body)) {	/* json-c lets some of it through */
		*refused = (struct refusal){"json_invalid", "the body is not UTF-8, or has a NUL", ""};
	} else if (!is_plain_json(body)) {
		*refused = (struct refusal){"json_invalid", "single quotes, NaN, Infinity or a control character in a string", ""};
	} else {
		o = json_tokener_parse_ex(t, body.p, (int)body.n);
		enum json_tokener_error e = json_tokener_get_error(t);
		size_t end = json_tokener_get_parse_end(t);
		while (o != NULL && end < body.n && strchr(" \t\r\n", body.p[end]) != NULL)
			end++;
		if (o == NULL || e != json_tokener_success || end != body.n) {
			*refused = (struct refusal){"json_invalid", arena_printf(a, "%s at byte %zu",
			    e == json_tokener_continue ? "the body ends too early" : e == json_tokener_success ? "something follows the object"
			    : json_tokener_error_desc(e), end), ""};
			json_object_put(o);
			o = NULL;
		} else if (!json_object_is_type(o, json_type_object)) {
			*refused = (struct refusal){"json_invalid", "the body is not an object", ""};
			json_object_put(o);
			o = NULL;
		}
	}
	json_tokener_free(t);
	return o;
}

struct value
json_in_value(const struct json_in *in, const char *key, size_t most)
{
	struct json_object *v;

	if (!json_object_object_get_ex(in->object, key, &v))
		return (struct value){VIEW_NONE, false};
	if (v == NULL)
		return (struct value){VIEW_NONE, true};
	size_t n = (size_t)json_object_get_string_len(v);
	if (!json_object_is_type(v, json_type_string)) {
		json_in_refuse(in, "field_invalid", "is a text", key);
	} else if (n > most) {
		json_in_refuse(in, "field_invalid", arena_printf(in->a, "is longer than %zu bytes", most), key);
	} else if (memchr(json_object_get_string(v), '\0', n) != NULL) {
		json_in_refuse(in, "field_invalid", "has a NUL character", key);
	} else {
		struct view text = view_trim((struct view){json_object_get_string(v), n});
		return (struct value){text.n > 0 ? arena_copy(in->a, text.p, text.n) : VIEW_NONE, text.n == 0};
	}
	return (struct value){VIEW_NONE, false};
}

struct view
json_in_text(const struct json_in *in, const char *key, size_t most)
{
	return json_in_value(in, key, most).text;
}

bool
json_in_decimal(const struct json_in *in, const char *key, unsigned digits, int64_t *ret)
{
	struct json_object *v;

	if (!json_object_object_get_ex(in->object, key, &v) || v == NULL)
		return false;
	if (!json_object_is_type(v, json_type_string) && !json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double)) {
		json_in_refuse(in, "field_invalid", "is a decimal number, best as a text", key);
		return false;
	}
	struct view text = json_object_is_type(v, json_type_string)
	    ? (struct view){json_object_get_string(v), (size_t)json_object_get_string_len(v)} : view_of(json_object_get_string(v));
	enum decimal_result r = decimal_parse(text, digits, ret);
	if (r == DECIMAL_OK)
		return true;
	json_in_refuse(in, r == DECIMAL_RANGE ? "amount_too_large" : "field_invalid", decimal_complaint(r), key);
	return false;
}

bool
json_in_time(const struct json_in *in, const char *key, int offset, int64_t *ret)
{
	struct view text = json_in_text(in, key, 64);

	if (text.n == 0)
		return false;
	if (timestamp_parse(text, offset, ret) == 0)
		return true;
	json_in_refuse(in, "date_absurd", "is not a time such as 2026-01-15T08:00:00+08:00", key);
	return false;
}

struct json_object *
json_in_child(const struct json_in *in, const char *key, enum json_type type)
{
	struct json_object *v;

	if (!json_object_object_get_ex(in->object, key, &v) || v == NULL)
		return NULL;
	if (json_object_is_type(v, type))
		return v;
	json_in_refuse(in, "field_invalid", type == json_type_array ? "is a list" : "is an object", key);
	return NULL;
}
