/* The reader: one pass. It does not check UTF-8; its caller has. */
#include "reader.h"

#include "proto/digits.h"
#include "proto/scan.h"

/* Bytes that stand in a string for themselves. */
static const unsigned char is_plain[256] = {
	[0x20] = 1, [0x21] = 1, ['#' ... '['] = 1, [']' ... 0xFF] = 1,
};

static int
fail(struct json_reading *r, const char *complaint)
{
	r->complaint = r->p == r->end ? "the text ends too early" : complaint;
	return -1;
}

static void
skip_blanks(struct json_reading *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
}

/* The four digits after \u; -1 where they are not. */
static long
hex4(const char *p, const char *end)
{
	long v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = digit_hex(p[i]);
		if (digit < 0)
			return -1;
		v = v * 16 + digit;
	}
	return v;
}

static char *
put_utf8(char *to, unsigned long c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xC0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*to++ = (char)(0xE0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3F));
		*to++ = (char)(0x80 | (c & 0x3F));
	} else {
		*to++ = (char)(0xF0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3F));
		*to++ = (char)(0x80 | (c >> 6 & 0x3F));
		*to++ = (char)(0x80 | (c & 0x3F));
	}
	return to;
}

/* One escape, from after its backslash. */
static int
read_escape(struct json_reading *r, char **to)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";

	if (r->p == r->end)
		return fail(r, "");
	const char *name = memchr(names, *r->p, sizeof(names) - 1);
	if (name != NULL) {
		*(*to)++ = values[name - names];
		r->p++;
		return 0;
	}
	long unit = *r->p == 'u' ? hex4(r->p + 1, r->end) : -1;
	if (unit < 0)
		return fail(r, "an escape that is none");
	r->p += 5;
	unsigned long c = (unsigned long)unit;
	if (c >= 0xD800 && c <= 0xDFFF) {
		long low = c < 0xDC00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u' ? hex4(r->p + 2, r->end) : -1;
		if (low < 0xDC00 || low > 0xDFFF)
			return fail(r, "half of a surrogate pair");
		r->p += 6;
		c = 0x10000 + ((c - 0xD800) << 10) + (unsigned long)(low - 0xDC00);
	}
	*to = put_utf8(*to, c);
	return 0;
}

/* Over what stands for itself in a string, eight bytes at a time as long as the body has them. */
static void
skip_plain(struct json_reading *r)
{
	const uint64_t quotes = scan_pattern('"'), backslashes = scan_pattern('\\');

	for (; r->end - r->p >= 8; r->p += 8) {
		uint64_t word = scan_word(r->p), hits = scan_lowest(word, quotes) | scan_lowest(word, backslashes) | scan_below(word, 0x20);
		if (hits != 0) {
			r->p += scan_first(hits);
			return;
		}
	}
	while (r->p < r->end && is_plain[(unsigned char)*r->p])
		r->p++;
}

/* A string, from its first quote; a copy is made only where there are escapes, which are never shorter than what they stand for. */
static int
read_string(struct json_reading *r, struct view *ret)
{
	const char *from = ++r->p;
	char *copy, *to;

	skip_plain(r);
	if (r->p < r->end && *r->p == '"') {
		*ret = (struct view){from, (size_t)(r->p++ - from)};
		return 0;
	}
	const char *end = r->p;
	while (end < r->end && *end != '"')
		end += *end == '\\' && end + 1 < r->end ? 2 : 1;
	copy = to = arena_alloc(r->a, (size_t)(end - from) + 1);
	memcpy(to, from, (size_t)(r->p - from));
	to += r->p - from;
	for (; r->p < r->end && *r->p != '"';) {
		if (*r->p == '\\') {
			r->p++;
			if (read_escape(r, &to) != 0)
				return -1;
		} else if (!is_plain[(unsigned char)*r->p]) {
			return fail(r, "a control character in a string");
		} else {
			*to++ = *r->p++;
		}
	}
	if (r->p == r->end)
		return fail(r, "");
	r->p++;
	*ret = (struct view){copy, (size_t)(to - copy)};
	return 0;
}

static size_t
skip_digits(struct json_reading *r)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return (size_t)(r->p - from);
}

static int
read_number(struct json_reading *r, struct view *ret)
{
	const char *from = r->p;

	if (*r->p == '-')
		r->p++;
	if (r->p < r->end && *r->p == '0')
		r->p++;
	else if (skip_digits(r) == 0)
		return fail(r, "not a value");
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (skip_digits(r) == 0)
			return fail(r, "a number without digits after its point");
	}
	if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		if (skip_digits(r) == 0)
			return fail(r, "a number without digits in its exponent");
	}
	*ret = (struct view){from, (size_t)(r->p - from)};
	return 0;
}

static int
read_word(struct json_reading *r, struct view word)
{
	if ((size_t)(r->end - r->p) < word.n || memcmp(r->p, word.p, word.n) != 0)
		return fail(r, "not a value");
	r->p += word.n;
	return 0;
}

/* Does the name stand in the object already? Most do not, and a bit tells: one of 64 by its length and its ends. */
static bool
stands_twice(struct json_reading *r, const struct json *object, struct view name)
{
	size_t bit = name.n == 0 ? 0 : (name.n + (unsigned char)name.p[0] * 5u + (unsigned char)name.p[name.n - 1] * 11u) % 64;
	uint64_t *seen = &r->open[r->depth - 1].seen, before = *seen;

	*seen |= UINT64_C(1) << bit;
	return (before >> bit & 1) != 0 && json_member(object, name) != NULL;
}

/* The name of the next member, and its colon. */
static int
read_name(struct json_reading *r, const struct json *object, struct view *ret)
{
	const char *at = r->p;

	if (r->p == r->end || *r->p != '"')
		return fail(r, "not a name in double quotes");
	if (read_string(r, ret) != 0)
		return -1;
	const char *complaint = object->count >= JSON_MEMBERS ? "too many members in one object" : ret->n > JSON_NAME ? "a name longer than 100 bytes"
	    : stands_twice(r, object, *ret) ? "a name that stands twice in its object" : NULL;
	if (complaint != NULL) {
		r->p = at;
		return fail(r, complaint);
	}
	skip_blanks(r);
	if (r->p == r->end || *r->p != ':')
		return fail(r, "no colon after a name");
	r->p++;
	skip_blanks(r);
	return 0;
}

/* An array or object begins, at its bracket. */
static int
open_members(struct json_reading *r, struct json *v)
{
	v->kind = *r->p++ == '{' ? JSON_OBJECT : JSON_ARRAY;
	if (r->depth == JSON_DEPTH)
		return fail(r, "nested too deeply");
	r->open[r->depth].in = v;
	r->open[r->depth].last = NULL;
	r->open[r->depth].seen = 0;
	r->depth++;
	return 0;
}

static int
read_value(struct json_reading *r, struct json *v)
{
	if (r->p == r->end)
		return fail(r, "");
	switch (*r->p) {
	case '{':
	case '[':
		return open_members(r, v);
	case '"':
		v->kind = JSON_STRING;
		return read_string(r, &v->text);
	case 't':
		v->kind = JSON_TRUE;
		return read_word(r, VIEW_LITERAL("true"));
	case 'f':
		v->kind = JSON_FALSE;
		return read_word(r, VIEW_LITERAL("false"));
	case 'n':
		v->kind = JSON_NULL;
		return read_word(r, VIEW_LITERAL("null"));
	default:
		v->kind = JSON_NUMBER;
		return read_number(r, &v->text);
	}
}

/* The next member of the innermost array or object, or its end. */
static int
read_member(struct json_reading *r)
{
	struct json *in = r->open[r->depth - 1].in, *last = r->open[r->depth - 1].last;

	skip_blanks(r);
	if (r->p < r->end && *r->p == (in->kind == JSON_OBJECT ? '}' : ']')) {
		r->p++;
		r->depth--;
		return 0;
	}
	if (last != NULL) {
		if (r->p == r->end || *r->p != ',')
			return fail(r, "no comma between two values");
		r->p++;
		skip_blanks(r);
	}
	if (r->values_left-- == 0) {
		r->too_many = true;
		return fail(r, "too many values for its length");
	}
	struct json *v = arena_room(r->a, sizeof(*v));
	*v = (struct json){0};
	if (in->kind == JSON_OBJECT && read_name(r, in, &v->name) != 0)
		return -1;
	*(last != NULL ? &last->next : &in->first) = v;
	r->open[r->depth - 1].last = v;
	in->count++;
	return read_value(r, v);
}

void
json_begin(struct json_reading *r, struct view text, struct arena *a)
{
	r->start = r->p = text.p;
	r->end = text.n > 0 ? text.p + text.n : text.p;	/* nothing may be added to NULL, not even nothing */
	r->a = a;
	r->complaint = NULL;
	r->values_left = JSON_VALUES + text.n / JSON_BYTES;
	r->too_many = false;
	r->root = NULL;
	r->depth = 0;
}

static enum json_result
wrong(const struct json_reading *r, struct json_error *ret_error)
{
	*ret_error = (struct json_error){r->complaint, (size_t)(r->p - r->start), r->too_many};
	return JSON_WRONG;
}

enum json_result
json_step(struct json_reading *r, size_t bytes, const struct json **ret, struct json_error *ret_error)
{
	size_t left = (size_t)(r->end - r->p);
	const char *until = r->p + (bytes < left ? bytes : left);

	if (r->root == NULL) {
		r->root = arena_alloc(r->a, sizeof(*r->root));
		skip_blanks(r);
		if (read_value(r, r->root) != 0)
			return wrong(r, ret_error);
	}
	while (r->depth > 0) {
		if (r->p >= until && until < r->end)
			return JSON_MORE;
		if (read_member(r) != 0)
			return wrong(r, ret_error);
	}
	skip_blanks(r);
	if (r->p < r->end) {
		r->complaint = "something follows the value";
		return wrong(r, ret_error);
	}
	*ret = r->root;
	return JSON_DONE;
}

const struct json *
json_parse(struct view text, struct arena *a, struct json_error *ret_error)
{
	struct json_reading r;
	const struct json *root = NULL;

	json_begin(&r, text, a);
	return json_step(&r, text.n, &root, ret_error) == JSON_DONE ? root : NULL;
}

const struct json *
json_member(const struct json *object, struct view name)
{
	for (const struct json *v = object->first; v != NULL; v = v->next)
		if (view_equal(v->name, name))
			return v;
	return NULL;
}
