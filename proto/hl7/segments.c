/* Reading HL7 v2: split first, unescape after. */
#include "segments.h"

#include <ctype.h>
#include <strings.h>

#include "proto/digits.h"
#include "proto/scan.h"
#include "proto/utf8.h"

int
hl7_delimiters_of(struct view line, struct hl7_delimiters *ret)
{
	struct hl7_delimiters d = {0};

	if (line.n < 5)
		return -1;
	d.field = line.p[3];
	const char *end = memchr(line.p + 4, d.field, line.n - 4);
	size_t n = end != NULL ? (size_t)(end - line.p - 4) : line.n - 4;
	if (n < 3 || n > 5)	/* some old senders have no subcomponent delimiter */
		return -1;
	const char *c = line.p + 4;
	d.component = c[0];
	d.repetition = c[1];
	d.escape = c[2];
	d.subcomponent = n > 3 ? c[3] : '\0';
	d.truncation = n > 4 ? c[4] : '\0';
	char all[6] = {d.field};	/* and the encoding characters that are there: all different, none a letter or a NUL */
	memcpy(all + 1, c, n);
	for (size_t i = 0; i <= n; i++) {
		if (!ispunct((unsigned char)all[i]))
			return -1;
		for (size_t k = 0; k < i; k++)
			if (all[k] == all[i])
				return -1;
	}
	*ret = d;
	return 0;
}

/* Bytes before the first CR or LF. Looked for in windows that double: a message with LF only, or with one CR at its far end, is walked once too. */
static size_t
line_length(const char *p, size_t n)
{
	for (size_t from = 0, window = 256; from < n; from += window, window *= 2) {
		if (window > n - from)
			window = n - from;
		const char *cr = memchr(p + from, '\r', window);
		const char *lf = memchr(p + from, '\n', cr != NULL ? (size_t)(cr - p) - from : window);
		if (lf != NULL || cr != NULL)
			return (size_t)((lf != NULL ? lf : cr) - p);
	}
	return n;
}

/* A header begins anew, whatever stood before it. */
static bool
is_header(struct view v)
{
	if (v.n <= 3 || (v.p[2] != 'H' && v.p[2] != 'h' && v.p[2] != 'S' && v.p[2] != 's'))	/* nearly all: each segment is asked, twice */
		return false;
	return strncasecmp(v.p, "MSH", 3) == 0 || strncasecmp(v.p, "FHS", 3) == 0 || strncasecmp(v.p, "BHS", 3) == 0;
}

bool
hl7_next_segment(struct view *rest, struct hl7_segment *ret)
{
	bool after_cr = false;
	size_t n;

	while (rest->n > 0 && (*rest->p == '\r' || *rest->p == '\n' || *rest->p == ' ' || *rest->p == '\t')) {
		after_cr = after_cr || *rest->p == '\r';
		rest->p++, rest->n--;
	}
	if (rest->n == 0)
		return false;
	if (after_cr && !is_header(*rest)) {	/* the one before ended with CR: so does this one, and an LF in it is text */
		const char *cr = memchr(rest->p, '\r', rest->n);
		n = cr != NULL ? (size_t)(cr - rest->p) : rest->n;
		while (n > 0 && rest->p[n - 1] == '\n')
			n--;
	} else {
		n = line_length(rest->p, rest->n);
	}
	ret->line = (struct view){rest->p, n};
	rest->p += n;
	rest->n -= n;
	memset(ret->id, 0, sizeof(ret->id));
	if (n >= 3 && (n == 3 || !isalnum((unsigned char)ret->line.p[3]))) {
		for (size_t i = 0; i < 3; i++) {
			unsigned char c = (unsigned char)ret->line.p[i];
			if (!isalnum(c)) {
				ret->id[0] = '\0';
				break;
			}
			ret->id[i] = (char)toupper(c);
		}
	}
	return true;
}

void
hl7_split(const struct hl7_segment *segment, const struct hl7_delimiters *d, struct hl7_fields *ret)
{
	const char *p = segment->line.p, *end = p + segment->line.n;
	size_t n = 0;
	bool header = is_header(segment->line);

	if (header && segment->line.n >= 4) {
		ret->f[n++] = (struct view){p, 3};
		ret->f[n++] = (struct view){p + 3, 1};
		p += 4;
	}
	const uint64_t delimiters = scan_pattern(d->field);
	const char *from = p;
	for (; end - p >= 8 && n < HL7_FIELDS; p += 8)
		for (uint64_t hits = scan_hits(scan_word(p), delimiters); hits != 0 && n < HL7_FIELDS; hits &= hits - 1) {
			const char *stop = p + scan_first(hits);
			ret->f[n++] = (struct view){from, (size_t)(stop - from)};
			from = stop + 1;
		}
	for (; p < end && n < HL7_FIELDS; p++)
		if (*p == d->field) {
			ret->f[n++] = (struct view){from, (size_t)(p - from)};
			from = p + 1;
		}
	if (n < HL7_FIELDS)
		ret->f[n++] = (struct view){from, (size_t)(end - from)};
	ret->n = n - 1;
}

/* Fields are short: a loop over their bytes is faster than a call of memchr for each part. */
struct view
hl7_part(struct view whole, char delimiter, size_t n)
{
	if (whole.n == 0)
		return VIEW_NONE;
	if (delimiter == '\0')
		return n == 1 ? whole : VIEW_NONE;
	const char *p = whole.p, *end = p + whole.n, *from = p;

	for (; p < end; p++)
		if (*p == delimiter) {
			if (--n == 0)
				break;
			from = p + 1;
		}
	return n <= 1 ? (struct view){from, (size_t)(p - from)} : VIEW_NONE;
}

struct view
hl7_component(struct view field, const struct hl7_delimiters *d, size_t n)
{
	if (field.n == 0)
		return VIEW_NONE;
	const char component = d->component, repetition = d->repetition, sub = d->subcomponent != '\0' ? d->subcomponent : component;
	const char *p = field.p, *end = p + field.n;

	for (; n > 1; n--) {
		p = scan_for(p, end, component, repetition, repetition);
		if (p == end || *p == repetition)
			return VIEW_NONE;
		p++;
	}
	return (struct view){p, (size_t)(scan_for(p, end, component, repetition, sub) - p)};
}

/* The replacement of one escape sequence's inside, written to out; 0 when it stays verbatim. */
static size_t
unescape_one(struct view in, const struct hl7_delimiters *d, char *out)
{
	if (in.n == 1) {
		char c = '\0';
		switch (in.p[0]) {
		case 'F': c = d->field; break;
		case 'S': c = d->component; break;
		case 'T': c = d->subcomponent; break;
		case 'R': c = d->repetition; break;
		case 'E': c = d->escape; break;
		case 'P': c = d->truncation; break;
		}
		if (c == '\0')
			return 0;
		*out = c;
		return 1;
	}
	if (view_is(in, ".br")) {
		*out = '\n';
		return 1;
	}
	if (in.n >= 3 && in.p[0] == 'X' && in.n % 2 == 1) {
		for (size_t i = 1; i < in.n; i += 2) {
			int high = digit_hex(in.p[i]), low = digit_hex(in.p[i + 1]);
			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return 0;
			out[i / 2] = (char)(high * 16 + low);
		}
		return in.n / 2;
	}
	return 0;
}

struct view
hl7_text(struct view v, const struct hl7_delimiters *d, struct arena *a)
{
	const char *e = v.n > 0 ? memchr(v.p, d->escape, v.n) : NULL;

	if (e == NULL)
		return v;
	/* a replacement is never longer than its sequence */
	char *out = arena_room(a, v.n + 1);
	size_t n = 0;
	const char *p = v.p, *end = v.p + v.n;
	while (e != NULL) {
		memcpy(out + n, p, (size_t)(e - p));
		n += (size_t)(e - p);
		const char *close = e + 1 < end ? memchr(e + 1, d->escape, (size_t)(end - e - 1)) : NULL;
		if (close == NULL) {
			p = e;
			break;
		}
		size_t put = unescape_one((struct view){e + 1, (size_t)(close - e - 1)}, d, out + n);
		if (put == 0) {
			memcpy(out + n, e, (size_t)(close + 1 - e));
			put = (size_t)(close + 1 - e);
		}
		n += put;
		p = close + 1;
		e = p < end ? memchr(p, d->escape, (size_t)(end - p)) : NULL;
	}
	memcpy(out + n, p, (size_t)(end - p));
	/* \Xhh\ may have made bytes that are no text: then it stays as it was written */
	struct view text = {out, n + (size_t)(end - p)};
	return utf8_is_valid(text) ? text : v;
}
