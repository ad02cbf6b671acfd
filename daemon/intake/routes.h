/* Which lane a visit's parts go to. A visit stays on its lane while something of it is in work there, so that its parts keep their order; one of which
 * nothing is goes to the lane that is best for it then. */
#ifndef VB_INTAKE_ROUTES_H
#define VB_INTAKE_ROUTES_H

#include "intake/batch.h"

struct routes;

/* The lanes are the caller's, and must outlive it. batch_lines: what is heavier is a batch by itself. */
struct routes *routes_new(struct lane **lanes, unsigned n_lanes, size_t batch_lines);
void routes_free(struct routes *r);

/* Puts the part on the lane of its visit, by the visit's hash. */
void routes_push(struct routes *r, struct part *p, uint64_t hash);
/* The part is off its lane: done, or given back. */
void routes_end(struct routes *r, const struct part *p);
/* The lane's batch in flight waits for something: what is queued after it goes to another lane, but for visits that have something in that batch. */
void routes_relieve(struct routes *r, unsigned lane);

#endif
