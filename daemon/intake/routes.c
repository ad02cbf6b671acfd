/* Visits by a hash of a few thousand slots: two visits of one slot are on one lane, which is no harm. */
#include "intake/routes.h"

#include <stdlib.h>

#include "base/memory.h"

enum { ROUTES = 4096 };		/* a power of two */

/* Which lane visits of a hash slot are on while something of them is in work. */
struct route {
	unsigned lane, in_work;
	unsigned queued;		/* while a lane is relieved: of them, how many wait there */
	bool stays;			/* one of them may not be moved */
};

struct routes {
	struct route slots[ROUTES];
	struct lane **lanes;
	unsigned n_lanes;
	size_t spill, heavy;		/* the first lane takes all until it holds `spill`; heavier than a batch: to the last one */
};

struct routes *
routes_new(struct lane **lanes, unsigned n_lanes, size_t batch_lines)
{
	struct routes *r = memory_new(sizeof(*r));

	r->lanes = lanes;
	r->n_lanes = n_lanes;
	r->spill = batch_lines / 4;
	r->heavy = batch_lines;
	return r;
}

void
routes_free(struct routes *r)
{
	free(r);
}

static struct route *
route_of(struct routes *r, const struct part *p)
{
	return &r->slots[p->hash & (ROUTES - 1)];
}

/* A commit costs the same for one line and for a hundred: little work is better together on the first lane than spread over all. */
static unsigned
choose_lane(const struct routes *r, size_t weight, uint64_t key)
{
	unsigned best = 0;

	for (unsigned i = 0; i < r->n_lanes; i++)
		if (lane_is_locked(r->lanes[i], key))		/* another one would have to find out by itself */
			return i;
	while (best + 1 < r->n_lanes && lane_is_slow(r->lanes[best]))	/* its batch waits for something: new work need not */
		best++;
	if (lane_is_slow(r->lanes[best]))
		best = 0;
	/* what is a batch by itself takes the database a while: all of that in one lane leaves the others to who sends a line at a time */
	if (weight > r->heavy)
		return r->n_lanes - 1;
	if (lane_weight(r->lanes[best]) < r->spill)
		return best;
	for (unsigned i = best + 1; i < r->n_lanes; i++)
		if (!lane_is_slow(r->lanes[i]) && lane_weight(r->lanes[i]) < lane_weight(r->lanes[best]))
			best = i;
	return best;
}

void
routes_push(struct routes *r, struct part *p, uint64_t hash)
{
	p->hash = p->item.key = hash;
	struct route *route = route_of(r, p);
	if (route->in_work++ == 0)
		route->lane = choose_lane(r, p->item.weight, hash);
	lane_push(r->lanes[route->lane], &p->item);
}

void
routes_end(struct routes *r, const struct part *p)
{
	route_of(r, p)->in_work--;
}

/* The lightest that is none of those that wait; n_lanes: there is none. */
static unsigned
choose_other(const struct routes *r, unsigned than)
{
	unsigned best = r->n_lanes;

	for (unsigned i = 0; i < r->n_lanes; i++)
		if (i != than && lane_is_ready(r->lanes[i]) && !lane_is_slow(r->lanes[i])
		    && (best == r->n_lanes || lane_weight(r->lanes[i]) < lane_weight(r->lanes[best])))
			best = i;
	return best;
}

/* A part is moved once: between lanes that are slow by turns it would never be sent. */
void
routes_relieve(struct routes *r, unsigned lane)
{
	unsigned other = choose_other(r, lane);
	struct lane_list queued;
	struct lane_item *i;

	if (other == r->n_lanes)
		return;
	queued = lane_take_queue(r->lanes[lane]);
	STAILQ_FOREACH(i, &queued, link) {
		const struct part *p = (const struct part *)i;
		struct route *route = route_of(r, p);
		route->queued++;
		route->stays = route->stays || p->moved || i->weight > r->heavy;
	}
	STAILQ_FOREACH(i, &queued, link) {
		struct route *route = route_of(r, (const struct part *)i);
		if (route->queued == route->in_work && !route->stays)
			route->lane = other;
	}
	while ((i = STAILQ_FIRST(&queued)) != NULL) {
		struct part *p = (struct part *)i;
		struct route *route = route_of(r, p);
		STAILQ_REMOVE_HEAD(&queued, link);
		route->queued = 0;
		route->stays = false;
		p->moved = route->lane == other;
		lane_put(r->lanes[route->lane], i);
	}
}
