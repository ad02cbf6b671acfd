/* Laying a batch out. Steps and their columns are kept from batch to batch, so that a busy lane allocates nothing. */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "intake/batch_charges.h"
#include "intake/batch_events.h"
#include "intake/batch_items.h"
#include "intake/batch_locks.h"
#include "intake/price_list.h"

/* Even steps are charges, odd ones events. */
union step {
	struct charge_step *charges;
	struct event_step *events;
};

struct batch {
	struct booking *owner;
	union step *all;
	unsigned steps, room;		/* used; made */
	struct visit_mark *marks;
	size_t n_marks;			/* a power of two */
	struct item_table items;
	int utc_offset;			/* seconds east: a charge's day begins there */
};

struct batch *
batch_new(struct booking *owner, int utc_offset)
{
	struct batch *b = memory_new(sizeof(*b));

	b->owner = owner;
	b->utc_offset = utc_offset;
	return b;
}

void
batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	for (unsigned s = 0; s < b->room; s++)
		if (s % 2 == 0)
			charge_step_free(b->all[s].charges);
		else
			event_step_free(b->all[s].events);
	free(b->all);
	free(b->marks);
	item_table_free(&b->items);
	free(b);
}

struct booking *
batch_owner(const struct batch *b)
{
	return b->owner;
}

static void
tables_reset(struct batch *b, const struct lane_list *list)
{
	const struct lane_item *i;
	size_t n = 0, size = 64, lines = 0;

	STAILQ_FOREACH(i, list, link) {
		n++;
		lines += i->weight;
	}
	item_table_reset(&b->items, lines);
	while (size < n * 2)
		size *= 2;
	if (size != b->n_marks) {
		free(b->marks);
		b->marks = memory_new(size * sizeof(*b->marks));
		b->n_marks = size;
	} else {
		memset(b->marks, 0, size * sizeof(*b->marks));
	}
}

/* A visit number and an account's may read alike. */
static bool
is_same_kind(const struct visit_ref *a, const struct visit_ref *b)
{
	return a->number_kind == b->number_kind
	    || (a->number_kind != NULL && b->number_kind != NULL && strcmp(a->number_kind, b->number_kind) == 0);
}

/* Every message of a patient has a mark of its own: by his hash alone they would stand in one row, and each would pass all that came before it. */
static uint64_t
hash_mark(const struct visit_ref *v, uint64_t hash)
{
	if (!visit_is_by_patient(v))
		return hash;
	hash = (hash ^ (uintptr_t)v) * UINT64_C(0x9E3779B97F4A7C15);
	return hash ^ hash >> 32;
}

static struct visit_mark *
mark_of(struct batch *b, const struct visit_ref *v, uint64_t visit_hash)
{
	uint64_t hash = hash_mark(v, visit_hash);
	size_t i = hash & (b->n_marks - 1);

	for (;; i = (i + 1) & (b->n_marks - 1)) {
		struct visit_mark *m = &b->marks[i];
		if (m->visit == NULL) {
			m->visit = v;
			m->hash = hash;
			return m;
		}
		if (m->hash == hash && m->visit->facility_id == v->facility_id && view_equal(m->visit->visit_no, v->visit_no) && is_same_kind(m->visit, v)
		    && (m->visit == v || !visit_is_by_patient(v)))	/* a patient's visit is asked for message by message */
			return m;
	}
}

/* Steps are made when first needed, and emptied when a batch first uses them. */
static void
steps_reach(struct batch *b, unsigned step)
{
	while (b->room <= step) {
		b->all = memory_resize(b->all, (b->room + 2) * sizeof(*b->all));
		b->all[b->room].charges = charge_step_new(b->room, &b->items, b->utc_offset);
		b->room++;
		b->all[b->room++].events = event_step_new();
	}
	for (; b->steps <= step; b->steps++)
		if (b->steps % 2 == 0)
			charge_step_reset(b->all[b->steps].charges);
		else
			event_step_reset(b->all[b->steps].events);
}

/* The step for something of this kind: the one the visit has reached, or the next of the kind. */
static unsigned
step_for(struct batch *b, struct visit_mark *m, bool charges)
{
	if ((m->step % 2 == 0) != charges)
		m->step++;
	steps_reach(b, m->step);
	return m->step;
}

static void
add_lines(struct batch *b, const struct part *p)
{
	struct intake *in = &p->job->intake;
	struct visit_ref *v = &in->visits[in->lines[p->first].visit];
	struct visit_mark *m = mark_of(b, v, p->hash);

	for (size_t i = p->first; i < p->first + p->n; i++) {
		struct charge_line *l = &in->lines[i];
		if (l->refused.reason != NULL)
			continue;
		if (l->kind == LINE_PAYMENT) {
			unsigned step = step_for(b, m, false);
			event_step_add_payment(b->all[step].events, p->job, v, l);
			continue;
		}
		unsigned step = step_for(b, m, true);
		charge_step_add(b->all[step].charges, m, p->job, v, l);
	}
}

int
batch_send(struct batch *b, struct pg *pg, struct lane_list *list)
{
	struct lane_item *item;
	int result = 0;

	b->steps = 0;
	tables_reset(b, list);
	STAILQ_FOREACH(item, list, link) {
		struct part *p = (struct part *)item;
		struct intake *in = &p->job->intake;
		if (p->kind == PART_LINES) {
			add_lines(b, p);
		} else if (p->kind == PART_EVENT) {
			struct visit_event *e = &in->events[p->first];
			unsigned step = step_for(b, mark_of(b, &in->visits[e->visit], p->hash), false);
			event_step_add_event(b->all[step].events, p->job, e);
		}
	}
	if (b->steps > 2 || (b->steps == 2 && !charge_step_is_empty(b->all[0].charges)))
		result = batch_hold_visits(list, pg);
	for (unsigned s = 0; s < b->steps && result == 0; s++)
		result = s % 2 == 0 ? charge_step_send(b->all[s].charges, pg) : event_step_send(b->all[s].events, pg);
	STAILQ_FOREACH(item, list, link) {
		struct part *p = (struct part *)item;
		if (p->kind == PART_ITEMS && result == 0)
			result = price_list_send(p->job, pg);
		if (p->kind == PART_PARK && result == 0)
			result = park_send(p->job, pg);
	}
	return result;
}
