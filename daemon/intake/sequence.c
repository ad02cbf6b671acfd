/* Keeps the numbers that a feed sent in a second in little room: those that come by turns over two connections or through two daemons join as their
 * neighbours come. Where there are more ranges than room, two are told as one, with the number of those between them: it is not known of them whether
 * they came, which is better than a gap that nothing closes. A sender that counts anew begins a list of its own, so that the order stays. */
#include "sequence.h"

#include <stdbool.h>
#include <string.h>

enum { NUMBER_DIGITS = 15 };

static bool
counts_anew(const struct sequence *s, const struct range *r)
{
	if (s->n == s->open)
		return false;
	int64_t newest = s->ranges[s->n - 1].until;
	return (r->first <= 1 && newest > r->until + 1) || newest - r->first > SEQUENCE_LATE;
}

/* Range i takes r in, and those after it that it now touches. */
static void
widen(struct sequence *s, size_t i, const struct range *r)
{
	struct range *w = &s->ranges[i];
	size_t next = i + 1;

	w->first = r->first < w->first ? r->first : w->first;
	w->until = r->until > w->until ? r->until : w->until;
	w->unknown += r->unknown;
	for (; next < s->n && s->ranges[next].first <= w->until + 1; next++) {
		w->until = s->ranges[next].until > w->until ? s->ranges[next].until : w->until;
		w->unknown += s->ranges[next].unknown;
	}
	memmove(&s->ranges[i + 1], &s->ranges[next], (s->n - next) * sizeof(*w));
	s->n -= next - (i + 1);
}

/* There is no room for r before range i: one of its neighbours takes it in with what is between. */
static void
fold(struct sequence *s, size_t i, struct range r)
{
	if (i > s->open) {
		struct range *before = &s->ranges[i - 1];
		before->unknown += r.first - before->until - 1 + r.unknown;
		before->until = r.until;
	} else if (i < s->n) {
		struct range *after = &s->ranges[i];
		after->unknown += after->first - r.until - 1 + r.unknown;
		after->first = r.first;
	} else {	/* it counts anew at every turn: there is nothing to know of it */
		s->ranges[s->n - 1].unknown += r.until - r.first + 1;
	}
}

static void
note(struct sequence *s, struct range r)
{
	if (counts_anew(s, &r))
		s->open = s->n;
	size_t i = s->n;
	while (i > s->open && s->ranges[i - 1].until + 1 >= r.first)
		i--;
	if (i < s->n && s->ranges[i].first <= r.until + 1) {
		widen(s, i, &r);
	} else if (s->n == SEQUENCE_RANGES_MOST) {
		fold(s, i, r);
	} else {
		memmove(&s->ranges[i + 1], &s->ranges[i], (s->n - i) * sizeof(r));
		s->ranges[i] = r;
		s->n++;
	}
}

void
sequence_note(struct sequence *s, struct view text)
{
	int64_t number = 0;

	if (text.n == 0 || text.n > NUMBER_DIGITS)
		return;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return;
		number = number * 10 + (text.p[i] - '0');
	}
	note(s, (struct range){number, number, 0});
}

void
sequence_add(struct sequence *s, const struct sequence *more)
{
	for (size_t i = 0; i < more->n; i++) {
		if (i == more->open && i > 0)
			s->open = s->n;
		note(s, more->ranges[i]);
	}
}
