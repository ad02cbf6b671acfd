/* Walking a frame's segments for MSH and the envelope ones. */
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

void
envelope_open(struct view content, struct arena *a, struct envelope *e)
{
	struct hl7_segment s;
	struct view rest = content;
	size_t msh = 0, in_batch = 0, batches = 0;

	*e = (struct envelope){0};
	while (hl7_next_segment(&rest, &s))
		msh += strcmp(s.id, "MSH") == 0;
	e->messages = arena_alloc(a, (msh + 1) * sizeof(*e->messages));
	rest = content;
	struct view *open = NULL;
	while (hl7_next_segment(&rest, &s)) {
		bool header = strcmp(s.id, "FHS") == 0 || strcmp(s.id, "BHS") == 0;
		if (header || strcmp(s.id, "BTS") == 0 || strcmp(s.id, "FTS") == 0) {
			open = NULL;
			if (header && (!e->is_batch || (batches == 0 && strcmp(s.id, "BHS") == 0)))
				e->header = s.line;	/* the first BHS, else the FHS */
			e->is_batch = true;
			if (strcmp(s.id, "BHS") == 0) {
				batches++;
				in_batch = 0;
			} else if (strcmp(s.id, "BTS") == 0) {
				compare_count(a, e, &s, in_batch);
			} else if (strcmp(s.id, "FTS") == 0) {
				compare_count(a, e, &s, batches);
			}
		} else if (strcmp(s.id, "MSH") == 0) {
			open = &e->messages[e->n_messages++];
			*open = s.line;
			in_batch++;
		} else if (open != NULL) {
			open->n = (size_t)(s.line.p + s.line.n - open->p);
		}
	}
	if (!e->is_batch && e->n_messages <= 1) {	/* as it is, whatever it is: the message layer says what is wrong */
		e->messages[0] = content;
		e->n_messages = 1;
	} else if (!e->is_batch) {
		e->is_batch = true;	/* several messages in one frame */
	}
}
