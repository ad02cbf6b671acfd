/* Fields of JSON objects. */
#include "members.h"

#include "proto/money.h"
#include "proto/text.h"
#include "proto/timestamp.h"
#include "proto/utf8.h"

enum { LONGEST_CHARACTER = 4 };

const char *
json_in_pointer(const struct json_in *in, const char *key)
{
	const char *slash = key[0] != '\0' ? "/" : "";

	if (in->index < 0)
		return arena_printf(in->a, "%s%s%s", in->pointer, slash, key);
	return arena_printf(in->a, "%s/%ld%s%s", in->pointer, in->index, slash, key);
}

/* RFC 6901 section 3: ~ and / in a name. */
static const char *
json_pointer_part(struct arena *a, struct view name)
{
	struct text t = text_begin(a, name.n * 2 + 1);

	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '~')
			text_string(&t, "~0");
		else if (name.p[i] == '/')
			text_string(&t, "~1");
		else
			text_char(&t, name.p[i]);
	}
	text_char(&t, '\0');
	return t.p;
}

void
json_in_refuse(const struct json_in *in, const char *reason, const char *detail, const char *key)
{
	if (in->refused->reason == NULL)
		*in->refused = (struct refusal){reason, detail, json_in_pointer(in, key)};
}

void
json_in_begin(struct json_in_reading *r, struct view body, struct arena *a)
{
	r->body = r->unchecked = body;
	r->a = a;
	json_begin(&r->json, body, a);
}

/* A piece of the body is UTF-8, or not. */
static bool
check_utf8(struct json_in_reading *r, size_t bytes)
{
	struct view piece = utf8_cut(r->unchecked, bytes < LONGEST_CHARACTER ? LONGEST_CHARACTER : bytes);

	r->unchecked.p += piece.n;
	r->unchecked.n -= piece.n;
	return piece.n > 0 && utf8_is_valid(piece);
}

bool
json_in_step(struct json_in_reading *r, size_t bytes, const struct json **ret, struct refusal *refused)
{
	const struct json *o = NULL;
	struct json_error e;

	*ret = NULL;
	if (r->body.n == 0) {
		*refused = (struct refusal){"json_invalid", "the body is empty", ""};
		return true;
	}
	if (r->unchecked.n > 0) {
		if (!check_utf8(r, bytes)) {
			*refused = (struct refusal){"json_invalid", "the body is not UTF-8, or has a NUL", ""};
			return true;
		}
		if (bytes < r->body.n)
			return false;
	}
	enum json_result result = json_step(&r->json, bytes, &o, &e);
	if (result == JSON_WRONG)
		*refused = (struct refusal){e.too_many ? "too_large" : "json_invalid", arena_printf(r->a, "%s, at byte %zu", e.complaint, e.at), ""};
	else if (result == JSON_DONE && o->kind != JSON_OBJECT)
		*refused = (struct refusal){"json_invalid", "the body is not an object", ""};
	else
		*ret = o;
	return result != JSON_MORE;
}

const struct json *
json_in_body(struct view body, struct arena *a, struct refusal *refused)
{
	struct json_in_reading r;
	const struct json *o;

	json_in_begin(&r, body, a);
	while (!json_in_step(&r, SIZE_MAX, &o, refused))
		continue;
	return o;
}

/* Each member is asked for once, so that those found tell whether there are others. */
static const struct json *
ask_for(struct json_in *in, const char *key)
{
	const struct json *v = json_member(in->object, view_of(key));

	in->found += v != NULL;
	return v;
}

const char *
json_in_unknown(struct json_in *in, const char *const *names)
{
	if (in->found == in->object->count)
		return NULL;
	for (const struct json *v = in->object->first; v != NULL; v = v->next) {
		size_t i = 0;
		while (names[i] != NULL && !view_is(v->name, names[i]))
			i++;
		if (names[i] == NULL)
			return arena_printf(in->a, "%s/%s", json_in_pointer(in, ""), json_pointer_part(in->a, v->name));
	}
	return NULL;
}

/* Any text; refused where it is something else. */
static struct value
any_value(struct json_in *in, const char *key)
{
	const struct json *v = ask_for(in, key);

	if (v == NULL)
		return (struct value){VIEW_NONE, false};
	if (v->kind == JSON_NULL)
		return (struct value){VIEW_NONE, true};
	if (v->kind != JSON_STRING) {
		json_in_refuse(in, "field_invalid", "is a text", key);
		return (struct value){VIEW_NONE, false};
	}
	struct view text = view_trim(v->text);
	return (struct value){text.n > 0 ? text : VIEW_NONE, text.n == 0};
}

struct value
json_in_value(struct json_in *in, const char *key, enum field field)
{
	struct value v = any_value(in, key);
	const char *complaint = v.text.n > 0 ? field_text_complaint(field, v.text) : NULL;

	if (complaint == NULL)
		return v;
	json_in_refuse(in, "field_invalid", complaint, key);
	return (struct value){VIEW_NONE, false};
}

struct view
json_in_text(struct json_in *in, const char *key, enum field field)
{
	return json_in_value(in, key, field).text;
}

struct view
json_in_any_text(struct json_in *in, const char *key)
{
	return any_value(in, key).text;
}

bool
json_in_decimal(struct json_in *in, const char *key, unsigned digits, int64_t *ret)
{
	const struct json *v = ask_for(in, key);

	if (v == NULL || v->kind == JSON_NULL)
		return false;
	if (v->kind != JSON_STRING && v->kind != JSON_NUMBER) {
		json_in_refuse(in, "field_invalid", "is a decimal number, best as a text", key);
		return false;
	}
	enum decimal_result r = decimal_parse(v->text, digits, ret);
	if (r == DECIMAL_OK)
		return true;
	json_in_refuse(in, r == DECIMAL_RANGE ? "amount_too_large" : "field_invalid", decimal_complaint(r), key);
	return false;
}

bool
json_in_time(struct json_in *in, const char *key, int offset, int64_t *ret)
{
	struct view text = json_in_text(in, key, FIELD_TIME);

	if (text.n == 0)
		return false;
	if (timestamp_parse(text, offset, ret) == 0)
		return true;
	json_in_refuse(in, "date_absurd", "is not a time such as 2026-01-15T08:00:00+08:00", key);
	return false;
}

bool
json_in_flag(struct json_in *in, const char *key)
{
	const struct json *v = ask_for(in, key);

	if (v != NULL && v->kind != JSON_TRUE && v->kind != JSON_FALSE && v->kind != JSON_NULL)
		json_in_refuse(in, "field_invalid", "is true or false", key);
	return v != NULL && v->kind == JSON_TRUE;
}

const struct json *
json_in_child(struct json_in *in, const char *key, enum json_kind kind)
{
	const struct json *v = ask_for(in, key);

	if (v == NULL || v->kind == JSON_NULL)
		return NULL;
	if (v->kind == kind)
		return v;
	json_in_refuse(in, "field_invalid", kind == JSON_ARRAY ? "is a list" : "is an object", key);
	return NULL;
}
