/* Character sets by iconv. The converter is opened per message; only messages that are not UTF-8 pay for it. */
#include "charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#include "segments.h"
#include "proto/utf8.h"

/* No character of these sets becomes three times as long, either way: one byte of ISO 8859 is at most three of UTF-8. None is longer than four bytes. */
enum { LONGEST = 3, LONGEST_CHARACTER = 4 };

struct charset_row {
	const char *hl7;
	const char *iconv;	/* NULL: UTF-8 */
};

static const struct charset_row charsets[] = {
	{"UNICODE UTF-8", NULL}, {"UTF-8", NULL}, {"UTF8", NULL}, {"UNICODE", NULL}, {"ASCII", NULL}, {"US-ASCII", NULL},
	{"GB 18030-2000", "GB18030"}, {"GB 18030", "GB18030"}, {"GB18030", "GB18030"}, {"GB18030-2000", "GB18030"},
	{"GB 18030-2005", "GB18030"}, {"GB18030-2005", "GB18030"}, {"GB 18030-2022", "GB18030"}, {"GB18030-2022", "GB18030"},
	{"GB2312", "GB18030"}, {"GB 2312-80", "GB18030"}, {"GB 2312-1980", "GB18030"}, {"GBK", "GB18030"}, {"CP936", "GB18030"}, {"CP 936", "GB18030"},
	{"MS936", "GB18030"}, {"BIG-5", "BIG5"}, {"BIG5", "BIG5"},
};

static struct view
without_mark(struct view message)
{
	if (message.n >= 3 && memcmp(message.p, "\xEF\xBB\xBF", 3) == 0)
		return (struct view){message.p + 3, message.n - 3};
	return message;
}

/* MSH-18 may repeat: where the first is blank or ASCII, the next one is what the rest of the message is in. */
static struct view
charset_of_field(struct view field, const struct hl7_delimiters *d)
{
	struct view first = view_trim(hl7_part(hl7_part(field, d->repetition, 1), d->component, 1));

	if (first.n > 0 && !view_is(first, "ASCII"))
		return first;
	struct view next = view_trim(hl7_part(hl7_part(field, d->repetition, 2), d->component, 1));
	return next.n > 0 ? next : first;
}

struct view
hl7_charset_name(struct view message)
{
	struct hl7_segment msh;
	struct hl7_delimiters d;
	struct view rest = without_mark(message);

	/* MSH-18 is before any free text, so splitting raw bytes is safe up to it but for MSH-3 to MSH-6, which are codes */
	if (!hl7_next_segment(&rest, &msh) || !hl7_is(&msh, "MSH") || hl7_delimiters_of(msh.line, &d) != 0)
		return VIEW_NONE;
	struct hl7_fields f;
	hl7_split(&msh, &d, &f);
	return charset_of_field(hl7_field(&f, 18), &d);
}

struct view
hl7_charset_of(struct view message, const char *fallback)
{
	struct view name = hl7_charset_name(message);

	return name.n > 0 ? name : view_of(fallback != NULL ? fallback : "UTF-8");
}

/* The iconv name of an HL7 one: found is false where we don't know it. */
static const char *
charset_lookup(struct view name, bool *found, char buf[16])
{
	*found = true;
	for (size_t i = 0; i < sizeof(charsets) / sizeof(charsets[0]); i++)
		if (strlen(charsets[i].hl7) == name.n && strncasecmp(charsets[i].hl7, name.p, name.n) == 0)
			return charsets[i].iconv;
	if (name.n == 6 && memcmp(name.p, "8859/", 5) == 0 && name.p[5] >= '1' && name.p[5] <= '9') {
		snprintf(buf, 16, "ISO-8859-%c", name.p[5]);
		return buf;
	}
	if (name.n == 7 && memcmp(name.p, "8859/15", 7) == 0)
		return "ISO-8859-15";
	*found = false;
	return NULL;
}

bool
hl7_charset_is_known(struct view name)
{
	bool found;
	char buf[16];

	(void)charset_lookup(name, &found, buf);
	return found;
}

/* All of it at once. */
static int
convert(const char *to, const char *from, struct view in, struct arena *a, struct view *ret)
{
	iconv_t cd = iconv_open(to, from);

	if (cd == (iconv_t)-1)
		return -1;
	size_t room = in.n * LONGEST + 16, left = room, in_left = in.n;
	char *out = arena_room(a, room), *o = out;
	char *i = (char *)(size_t)in.p;		/* iconv takes char ** and does not write there */
	size_t r = iconv(cd, &i, &in_left, &o, &left);
	iconv_close(cd);
	if (r == (size_t)-1)
		return -1;
	*ret = (struct view){out, room - left};
	arena_shrink(a, out, room, ret->n);
	return 0;
}

void
hl7_charset_begin(struct hl7_charset *c, struct view message, struct view charset, struct arena *a)
{
	char buf[16];

	message = without_mark(message);
	*c = (struct hl7_charset){.a = a, .message = message, .rest = message};
	const char *from = charset_lookup(charset, &c->found, buf);
	if (from == NULL)
		return;
	iconv_t cd = iconv_open("UTF-8", from);
	if (cd == (iconv_t)-1) {
		c->found = false;
		return;
	}
	c->converter = cd;
	c->room = message.n * LONGEST + 16;
	c->out = arena_room(a, c->room);
}

void
hl7_charset_end(struct hl7_charset *c)
{
	if (c->converter != NULL)
		iconv_close(c->converter);
	c->converter = NULL;
}

/* Sets such as ISO IR87 are of seven bits, too: an escape or a shift is what tells them from ASCII. */
static bool
switches_sets(struct view piece)
{
	return memchr(piece.p, 0x1B, piece.n) != NULL || memchr(piece.p, 0x0E, piece.n) != NULL || memchr(piece.p, 0x0F, piece.n) != NULL;
}

/* A piece of a text that is UTF-8 already. */
static bool
step_check(struct hl7_charset *c, size_t bytes)
{
	struct view piece = utf8_cut(c->rest, bytes);

	if (piece.n == 0 && c->rest.n > 0)	/* it does not begin with a character */
		return false;
	c->rest.p += piece.n;
	c->rest.n -= piece.n;
	return c->found ? utf8_is_valid(piece) : ascii_is_valid(piece) && !switches_sets(piece);
}

/* A piece of a text to convert. One that ends in the middle of a character leaves that to the next one. */
static bool
step_convert(struct hl7_charset *c, size_t bytes)
{
	size_t n = bytes < c->rest.n ? bytes : c->rest.n, in_left = n, left = c->room - c->used;
	char *in = (char *)(size_t)c->rest.p, *out = c->out + c->used;	/* iconv takes char ** and does not write there */

	if (memchr(in, '\0', n) != NULL)
		return false;
	bool fine = iconv(c->converter, &in, &in_left, &out, &left) != (size_t)-1 || (errno == EINVAL && n < c->rest.n && in_left < n);
	c->used = c->room - left;
	c->rest.p += n - in_left;
	c->rest.n -= n - in_left;
	return fine;
}

enum charset_result
hl7_charset_step(struct hl7_charset *c, size_t bytes, struct view *ret)
{
	bool convert = c->converter != NULL;

	if (bytes < LONGEST_CHARACTER)
		bytes = LONGEST_CHARACTER;
	if (!(convert ? step_convert(c, bytes) : step_check(c, bytes))) {
		hl7_charset_end(c);
		return c->found ? CHARSET_INVALID : CHARSET_UNKNOWN;
	}
	if (c->rest.n > 0)
		return CHARSET_MORE;
	hl7_charset_end(c);
	*ret = convert ? (struct view){c->out, c->used} : c->message;
	if (convert)
		arena_shrink(c->a, c->out, c->room, c->used);
	return CHARSET_OK;
}

enum charset_result
hl7_to_utf8(struct view message, struct view charset, struct arena *a, struct view *ret)
{
	struct hl7_charset c;

	hl7_charset_begin(&c, message, charset, a);
	return hl7_charset_step(&c, SIZE_MAX, ret);
}

struct view
hl7_from_utf8(struct view text, struct view charset, const char *fallback, struct arena *a)
{
	bool found;
	char buf[16];
	struct view out;

	if (charset.n == 0)
		charset = view_of(fallback != NULL ? fallback : "UTF-8");
	const char *to = charset_lookup(charset, &found, buf);
	if (to == NULL || ascii_is_valid(text) || convert(to, "UTF-8", text, a, &out) != 0)
		return text;
	return out;
}
