/* Walking a frame's segments for MSH and the envelope ones, each once: but for the one that ends a message, which is read again. */
#include "envelope.h"

#include <stdlib.h>

#include "segments.h"

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
	return hl7_is(s, "FHS") || hl7_is(s, "BHS");
}

static bool
is_envelope(const struct hl7_segment *s)
{
	return is_header(s) || hl7_is(s, "BTS") || hl7_is(s, "FTS");
}

void
envelope_open(struct view content, size_t most, struct envelope *e)
{
	*e = (struct envelope){.content = content, .rest = content, .most = most};
}

static void
note_envelope(struct envelope *e, struct arena *a, const struct hl7_segment *s)
{
	e->enveloped = true;
	if (is_header(s) && (e->header.n == 0 || (!e->has_bhs && hl7_is(s, "BHS")))) {
		e->header = s->line;
		e->has_bhs = hl7_is(s, "BHS");
	}
	if (hl7_is(s, "BHS")) {
		e->batches++;
		e->in_batch = 0;
	} else if (hl7_is(s, "BTS")) {
		compare_count(a, e, s, e->in_batch);
	} else if (hl7_is(s, "FTS")) {
		compare_count(a, e, s, e->batches);
	}
}

/* A message's MSH: it goes on to what begins something else, or to the end. */
static void
begin_message(struct envelope *e, const struct hl7_segment *s)
{
	struct hl7_delimiters unused;

	e->message = s->line;
	e->in_batch++;
	e->overflow = e->n_messages++ >= e->most;
	if (e->overflow || hl7_delimiters_of(s->line, &unused) != 0) {
		e->message.n = (size_t)(e->content.p + e->content.n - s->line.p);
		e->rest = VIEW_NONE;
	}
}

static enum envelope_result
end_message(struct envelope *e, struct view *ret)
{
	*ret = e->message;
	e->message = VIEW_NONE;
	return ENVELOPE_MESSAGE;
}

enum envelope_result
envelope_next(struct envelope *e, struct arena *a, size_t bytes, struct view *ret)
{
	size_t until = bytes < e->rest.n ? e->rest.n - bytes : 0;
	struct view before = e->rest;
	struct hl7_segment s;

	for (; hl7_next_segment(&e->rest, &s); before = e->rest) {
		bool is_message = hl7_is(&s, "MSH");
		if ((is_message || is_envelope(&s)) && e->message.n > 0) {
			e->rest = before;	/* it is looked at again */
			return end_message(e, ret);
		}
		if (is_message)
			begin_message(e, &s);
		else if (is_envelope(&s))
			note_envelope(e, a, &s);
		else if (e->message.n > 0)	/* else it is before the first message: of nobody */
			e->message.n = (size_t)(s.line.p + s.line.n - e->message.p);
		if (e->rest.n < until)
			return ENVELOPE_MORE;
	}
	return e->message.n > 0 ? end_message(e, ret) : ENVELOPE_END;
}

bool
envelope_is_single(const struct envelope *e)
{
	return !e->enveloped && e->n_messages <= 1 && e->rest.n == 0;
}
