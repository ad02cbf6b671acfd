/* Walking a message for its groups. What is no segment, and a group that the structure does not allow, refuse the message: neither is guessed. */
#include "groups.h"

#include <ctype.h>

#include "proto/utf8.h"

void
hl7_groups_begin(struct hl7_groups *g, struct view message, const struct hl7_delimiters *d, enum hl7_repeat repeat, struct arena *a)
{
	*g = (struct hl7_groups){.d = d, .a = a, .repeat = repeat, .rest = message, .last = NULL, .n = 1};
}

static void
refuse(struct hl7_groups *g, const char *reason, const char *detail, const char *id, size_t nth)
{
	if (g->refused.reason == NULL)
		g->refused = (struct refusal){reason, detail, arena_printf(g->a, "%s^%zu", id, nth)};
}

/* What is no segment is a piece of one that a line end has cut in two. */
static void
refuse_piece(struct hl7_groups *g, const struct hl7_segment *s)
{
	refuse(g, "segment_invalid", arena_printf(g->a, "\"%.*s\" is no segment; a line end inside a field is sent as an escape",
	    (int)utf8_cut(s->line, 40).n, s->line.p), g->before[0] != '\0' ? g->before : "MSH", strcmp(g->before, "FT1") == 0 ? g->n_ft1 : 1);
}

/* Where an LF inside a segment is followed by what could be the next one, it could be either. */
static void
judge_line_feeds(struct hl7_groups *g, const struct hl7_segment *s)
{
	const char *end = s->line.p + s->line.n, *lf = s->line.p;

	while ((lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL) {
		lf++;
		if (end - lf > 3 && lf[3] == g->d->field && isupper((unsigned char)lf[0]) && isalnum((unsigned char)lf[1]) && isalnum((unsigned char)lf[2])) {
			refuse(g, "segment_invalid", "a line feed is followed by what could be a segment, but segments end with CR here", s->id,
			    hl7_is(s, "FT1") ? g->n_ft1 + 1 : 1);
			return;
		}
	}
}

static struct hl7_group *
group_of(struct hl7_groups *g)
{
	return g->last != NULL ? g->last : &g->first;
}

/* The group that this segment goes into: the one that is open, or where that has such a segment already another one, if the structure repeats it. */
static struct hl7_group *
group_for(struct hl7_groups *g, bool has_one, unsigned repeats, const char *id, size_t nth)
{
	struct hl7_group *open = group_of(g), *next;

	if (!has_one)
		return open;
	if ((g->repeat & repeats) == 0) {
		refuse(g, "segment_order", arena_printf(g->a, "a message of this type has one %s; another one is of another message", id), id, nth);
		return NULL;
	}
	next = arena_alloc(g->a, sizeof(*next));
	if ((repeats & REPEAT_PATIENT) == 0) {		/* of the same patient */
		next->pid = open->pid;
		next->n_pid = open->n_pid;
	}
	open->next = next;
	g->last = next;
	g->n++;
	return next;
}

static void
take(struct hl7_groups *g, const struct hl7_segment *s)
{
	const struct hl7_group *open = group_of(g);
	struct hl7_group *into;

	if (hl7_is(s, "PID")) {
		g->n_pid++;
		bool has_one = open->pid.n > 0 || ((g->repeat & REPEAT_PATIENT) != 0 && (open->mrg.n > 0 || open->pv1.n > 0));
		if ((into = group_for(g, has_one, REPEAT_PATIENT, "PID", g->n_pid)) != NULL)
			into->pid = s->line, into->n_pid = g->n_pid;
	} else if (hl7_is(s, "MRG")) {
		g->n_mrg++;
		if ((into = group_for(g, open->mrg.n > 0, REPEAT_MERGE, "MRG", g->n_mrg)) != NULL)
			into->mrg = s->line, into->n_mrg = g->n_mrg;
	} else if (hl7_is(s, "PV1")) {
		g->n_pv1++;
		if ((into = group_for(g, open->pv1.n > 0, REPEAT_VISIT, "PV1", g->n_pv1)) != NULL)
			into->pv1 = s->line, into->n_pv1 = g->n_pv1;
	} else if (hl7_is(s, "EVN") && g->evn.n == 0) {
		g->evn = s->line;
	}
}

bool
hl7_groups_step(struct hl7_groups *g, size_t bytes)
{
	size_t until = bytes < g->rest.n ? g->rest.n - bytes : 0;
	struct hl7_segment s;

	while (hl7_next_segment(&g->rest, &s)) {
		if (!hl7_is_segment(&s, g->d)) {
			refuse_piece(g, &s);
		} else {
			if (memchr(s.line.p, '\n', s.line.n) != NULL)
				judge_line_feeds(g, &s);
			memcpy(g->before, s.id, sizeof(g->before));
			if (hl7_is(&s, "FT1"))
				g->n_ft1++;
			else if (hl7_is(&s, "MSH"))
				g->n_msh++;
			else if (hl7_is(&s, "MFE"))
				g->n_mfe++;
			else
				take(g, &s);
		}
		if (g->rest.n < until)
			return false;
	}
	return true;
}
