/* Walking a frame's segments for MSH and the envelope ones, each once. */
#include "envelope.h"

#include <stdlib.h>

#include "proto/hl7.h"

/* BTS-1 or FTS-1, -1 where it says nothing. */
static long
declared_count(const struct hl7_segment *s)
{
	struct hl7_delimiters d = {.field = s->line.n > 3 ? s->line.p[3] : '|'};
	struct hl7_fields f;

	hl7_split(s, &d, &f);
	struct view v = view_trim(hl7_field(&f, 1));
	if (v.n == 0 || v.n > 9)
		return -1;
	long n = 0;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return -1;
		n = n * 10 + (v.p[i] - '0');
	}
	return n;
}

static void
compare_count(struct arena *a, struct envelope *e, const struct hl7_segment *s, size_t found)
{
	long declared = declared_count(s);

	if (declared >= 0 && (size_t)declared != found && e->mismatch == NULL)
		e->mismatch = arena_printf(a, "%s-1 says %ld, %zu came", s->id, declared, found);
}

static bool
is_header(const struct hl7_segment *s)
{
	return strcmp(s->id, "FHS") == 0 || strcmp(s->id, "BHS") == 0;
}

static bool
is_envelope(const struct hl7_segment *s)
{
	return is_header(s) || strcmp(s->id, "BTS") == 0 || strcmp(s->id, "FTS") == 0;
}

bool
envelope_is_single(struct view content)
{
	struct hl7_segment s;
	size_t messages = 0;

	while (hl7_next_segment(&content, &s)) {
		messages += strcmp(s.id, "MSH") == 0;
		if (messages > 1 || is_envelope(&s))
			return false;
	}
	return true;
}

void
envelope_open(struct view content, size_t most, struct envelope *e)
{
	*e = (struct envelope){.content = content, .rest = content, .most = most};
}

static void
note_envelope(struct envelope *e, struct arena *a, const struct hl7_segment *s)
{
	if (is_header(s) && (e->header.n == 0 || (!e->has_bhs && strcmp(s->id, "BHS") == 0))) {
		e->header = s->line;
		e->has_bhs = strcmp(s->id, "BHS") == 0;
	}
	if (strcmp(s->id, "BHS") == 0) {
		e->batches++;
		e->in_batch = 0;
	} else if (strcmp(s->id, "BTS") == 0) {
		compare_count(a, e, s, e->in_batch);
	} else if (strcmp(s->id, "FTS") == 0) {
		compare_count(a, e, s, e->batches);
	}
}

/* From its MSH to what begins something else. */
static struct view
take_message(struct envelope *e, struct view first)
{
	struct view message = first, before = e->rest;
	struct hl7_segment s;

	while (hl7_next_segment(&e->rest, &s) && strcmp(s.id, "MSH") != 0 && !is_envelope(&s)) {
		message.n = (size_t)(s.line.p + s.line.n - message.p);
		before = e->rest;
	}
	e->rest = before;
	return message;
}

bool
envelope_next(struct envelope *e, struct arena *a, struct view *ret)
{
	struct hl7_delimiters unused;
	struct hl7_segment s;

	while (hl7_next_segment(&e->rest, &s)) {
		if (is_envelope(&s))
			note_envelope(e, a, &s);
		if (strcmp(s.id, "MSH") != 0)
			continue;	/* before the first message: of nobody */
		e->in_batch++;
		e->overflow = e->n_messages++ >= e->most;
		if (e->overflow || hl7_delimiters_of(s.line, &unused) != 0) {
			*ret = (struct view){s.line.p, (size_t)(e->content.p + e->content.n - s.line.p)};
			e->rest = VIEW_NONE;
		} else {
			*ret = take_message(e, s.line);
		}
		return true;
	}
	return false;
}
