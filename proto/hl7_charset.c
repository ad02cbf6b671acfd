/* Character sets by iconv. The converter is opened per message; only messages that are not UTF-8 pay for it. */
#include "hl7_charset.h"

#include <iconv.h>
#include <stdio.h>
#include <strings.h>

#include "hl7.h"
#include "utf8.h"

struct charset_row {
	const char *hl7;
	const char *iconv;	/* NULL: UTF-8 */
};

static const struct charset_row charsets[] = {
	{"UNICODE UTF-8", NULL}, {"UTF-8", NULL}, {"UTF8", NULL}, {"UNICODE", NULL}, {"ASCII", NULL}, {"US-ASCII", NULL},
	{"GB 18030-2000", "GB18030"}, {"GB 18030", "GB18030"}, {"GB18030", "GB18030"}, {"GB18030-2000", "GB18030"},
	{"GB2312", "GB18030"}, {"GBK", "GB18030"}, {"BIG-5", "BIG5"}, {"BIG5", "BIG5"},
};

struct view
hl7_charset_name(struct view message)
{
	struct hl7_segment msh;
	struct hl7_delimiters d;
	struct view rest = message;

	/* MSH-18 is before any free text, so splitting raw bytes is safe up to it but for MSH-3 to MSH-6, which are codes */
	if (!hl7_next_segment(&rest, &msh) || strcmp(msh.id, "MSH") != 0 || hl7_delimiters_of(msh.line, &d) != 0)
		return VIEW_NONE;
	/* what stands between the field delimiters is MSH, then MSH-2: MSH-1 is the first delimiter */
	return view_trim(hl7_part(hl7_part(hl7_part(msh.line, d.field, 18), d.repetition, 1), d.component, 1));
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

static int
convert(const char *to, const char *from, struct view in, struct arena *a, struct view *ret)
{
	iconv_t cd = iconv_open(to, from);

	if (cd == (iconv_t)-1)
		return -1;
	/* no character of these sets becomes three times as long, either way: one byte of ISO 8859 is at most three of UTF-8 */
	size_t room = in.n * 3 + 16, left = room, in_left = in.n;
	char *out = arena_alloc(a, room), *o = out;
	char *i = (char *)(size_t)in.p;		/* iconv takes char ** and does not write there */
	size_t r = iconv(cd, &i, &in_left, &o, &left);
	iconv_close(cd);
	if (r == (size_t)-1)
		return -1;
	*ret = (struct view){out, room - left};
	arena_shrink(a, out, room, ret->n);
	return 0;
}

enum charset_result
hl7_to_utf8(struct view message, const char *fallback, struct arena *a, struct view *ret)
{
	bool found;
	char buf[16];

	if (message.n >= 3 && memcmp(message.p, "\xEF\xBB\xBF", 3) == 0)
		message = (struct view){message.p + 3, message.n - 3};
	struct view name = hl7_charset_name(message);
	if (name.n == 0)
		name = view_of(fallback != NULL ? fallback : "UTF-8");
	const char *from = charset_lookup(name, &found, buf);
	if (from == NULL) {
		if (!utf8_is_valid(message))
			return found ? CHARSET_INVALID : CHARSET_UNKNOWN;
		if (!found && !ascii_is_valid(message))
			return CHARSET_UNKNOWN;
		*ret = message;
		return CHARSET_OK;
	}
	if (memchr(message.p, '\0', message.n) != NULL || convert("UTF-8", from, message, a, ret) != 0)
		return CHARSET_INVALID;
	return CHARSET_OK;
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
