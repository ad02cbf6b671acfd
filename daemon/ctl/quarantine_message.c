/* A quarantined message for people: HL7 a segment a row, in UTF-8 whatever it was sent in, JSON indented; what is wrong is marked with >. */
#include "quarantine.h"

#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <stdlib.h>

#include "document.h"
#include "proto/arena.h"
#include "proto/hl7/segments.h"
#include "proto/hl7/charset.h"
#include "text.h"

enum { LONG = 40, AROUND = 2, HEAD = 3 };

/* Bytes of no known character set: what is not ASCII as \xE4. */
static void
print_bytes(FILE *out, struct view line)
{
	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];
		if (c >= 0x20 && c < 0x7F)
			putc(c, out);
		else
			fprintf(out, "\\x%02X", c);
	}
}

/* FT1^2^10^1^2: segment, which of them, field, its repetition, its component (0: not said). */
struct hl7_place {
	char id[4];
	long nth, field, repetition, component;
};

static bool
parse_place(const struct quarantine_place *place, struct hl7_place *ret)
{
	if (place->location != NULL
	    && sscanf(place->location, "%3[A-Z0-9]^%ld^%ld^%ld^%ld", ret->id, &ret->nth, &ret->field, &ret->repetition, &ret->component) >= 2)
		return true;
	if (place->ordinal < 1)
		return false;
	*ret = (struct hl7_place){.id = "FT1", .nth = place->ordinal};
	return true;
}

/* Which segment (from 0) the place names; -1 when it names none. */
static int
find_segment(struct view message, const struct hl7_place *place, int *ret_segments)
{
	struct hl7_segment s;
	int i = 0, found = -1;
	long nth = 0;

	for (; hl7_next_segment(&message, &s); i++)
		if (strcmp(s.id, place->id) == 0 && ++nth == place->nth)
			found = i;
	*ret_segments = i;
	return found;
}

/* The nth part of a text, from 1; empty where it has not so many. */
static struct view
part_of(struct view text, char delimiter, long nth)
{
	for (;; nth--) {
		const char *end = text.n > 0 ? memchr(text.p, delimiter, text.n) : NULL;
		if (nth <= 1)
			return (struct view){text.p, end != NULL ? (size_t)(end - text.p) : text.n};
		if (end == NULL)
			return VIEW_NONE;
		text = (struct view){end + 1, text.n - (size_t)(end + 1 - text.p)};
	}
}

static void
print_field(FILE *out, const struct hl7_segment *segment, const struct hl7_delimiters *d, const struct hl7_place *place)
{
	struct hl7_fields fields;

	if (place->field < 1 || place->field >= HL7_FIELDS)
		return;
	hl7_split(segment, d, &fields);
	struct view value = hl7_field(&fields, (size_t)place->field);
	fprintf(out, "> %s-%ld", place->id, place->field);
	if (place->repetition > 0)
		value = part_of(value, d->repetition, place->repetition);
	if (place->repetition > 1)
		fprintf(out, " (%ld)", place->repetition);
	if (place->component > 0) {
		value = part_of(value, d->component, place->component);
		fprintf(out, ".%ld", place->component);
	}
	fputs(value.n > 0 ? " is \"" : " is empty", out);
	text_put_all(out, value);
	fputs(value.n > 0 ? "\"\n" : "\n", out);
}

static void
print_segments(FILE *out, struct view message, bool readable, const struct hl7_place *place, bool full)
{
	struct hl7_segment s;
	struct hl7_delimiters d = {0};
	int segments, marked = find_segment(message, place, &segments), hidden = 0;
	bool has_delimiters = false;

	for (int i = 0; hl7_next_segment(&message, &s); i++) {
		if (i == 0)
			has_delimiters = hl7_delimiters_of(s.line, &d) == 0;
		if (!full && segments > LONG && i >= HEAD && i != segments - 1 && (marked < 0 ? i > LONG : abs(i - marked) > AROUND)) {
			hidden++;
			continue;
		}
		if (hidden > 0)
			fprintf(out, "  … %d segments, see --full\n", hidden);
		hidden = 0;
		fputs(i == marked ? "> " : "  ", out);
		if (readable)
			text_put_all(out, s.line);
		else
			print_bytes(out, s.line);
		putc('\n', out);
		if (i == marked && has_delimiters && readable)
			print_field(out, &s, &d, place);
	}
	if (marked < 0 && place->id[0] != '\0')
		fprintf(out, "> there is no %s number %ld in it\n", place->id, place->nth);
}

void
quarantine_print_hl7(FILE *out, struct view message, const char *charset, const struct quarantine_place *where, bool full)
{
	struct arena a = {0};
	struct view name = hl7_charset_name(message), text = message;
	struct hl7_place place = {0};
	enum charset_result r = hl7_to_utf8(message, hl7_charset_of(message, charset), &a, &text);

	if (!parse_place(where, &place))
		place = (struct hl7_place){0};
	fprintf(out, "MESSAGE, HL7, %zu bytes, ", message.n);
	if (name.n > 0)
		print_bytes(out, name);
	else
		fputs(charset != NULL ? charset : "UTF-8", out);
	fputs(r == CHARSET_OK ? "\n" : r == CHARSET_UNKNOWN ? ", a character set that is not known\n" : ", which its bytes are not\n", out);
	print_segments(out, r == CHARSET_OK ? text : message, r == CHARSET_OK, &place, full);
	arena_free(&a);
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

static int
count_lines(const char *text)
{
	int n = 1;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

static void
print_rows(FILE *out, const char *mark, struct view text)
{
	while (text.n > 0) {
		const char *end = memchr(text.p, '\n', text.n);
		struct view row = {text.p, end != NULL ? (size_t)(end - text.p) : text.n};
		fputs(mark, out);
		text_put_all(out, row);
		putc('\n', out);
		text.p += row.n + (end != NULL);
		text.n -= row.n + (end != NULL);
	}
}

static const char *
pretty(json_object *o)
{
	return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* The line that the pointer leads into, and the value itself. */
static void
print_place(FILE *out, json_object *whole, const char *pointer)
{
	json_object *at, *line;
	int index, used = 0;
	char path[32];

	if (sscanf(pointer, "/lines/%d%n", &index, &used) == 1) {
		snprintf(path, sizeof(path), "/lines/%d", index);
		if (json_pointer_get(whole, path, &line) == 0) {
			fprintf(out, "> %s\n", path);
			print_rows(out, "> ", view_of(pretty(line)));
		}
	}
	if (pointer[used] == '\0' || pointer[0] == '\0')
		return;
	fprintf(out, "> %s ", pointer);
	if (json_pointer_get(whole, pointer, &at) == 0) {
		fputs("is ", out);
		text_put_all(out, view_of(pretty(at)));
	} else {
		fputs("is not there", out);
	}
	putc('\n', out);
}

void
quarantine_print_json(FILE *out, struct view message, const struct quarantine_place *place, bool full)
{
	char *text = malloc(message.n + 1), pointer[32] = "";

	fprintf(out, "MESSAGE, JSON, %zu bytes\n", message.n);
	if (text == NULL)
		return;
	memcpy(text, message.p, message.n);
	text[message.n] = '\0';
	json_object *whole = json_tokener_parse(text);
	if (place->location == NULL && place->ordinal > 0)
		snprintf(pointer, sizeof(pointer), "/lines/%d", place->ordinal - 1);
	if (whole == NULL) {
		print_rows(out, "  ", message);
	} else {
		print_place(out, whole, place->location != NULL ? place->location : pointer);
		const char *all = pretty(whole);
		if (full || count_lines(all) <= LONG)
			print_rows(out, "  ", view_of(all));
		else
			fprintf(out, "  the request has %d more rows, see --full\n", count_lines(all));
	}
	json_object_put(whole);
	free(text);
}
