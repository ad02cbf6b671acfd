/* Whether the database can be trusted to book: a heartbeat is committed once a second by a connection of its own. Nothing else may be in work, and
 * still a server that hangs, is full or read-only, or waits for its standby, is noticed. */
#ifndef VB_CORE_HEALTH_H
#define VB_CORE_HEALTH_H

#include "core/core.h"

struct health;

struct health *health_new(struct core *core);
void health_free(struct health *h);

/* The first beat, now: the database is set up. */
void health_begin(struct health *h);
/* Does it commit? Late by the hold it does not. */
bool health_is_good(const struct health *h);
/* Brings the gauges up to date, before a scrape. books: are lines booked, where there are any? A beat is small, and may have room where they have none. */
void health_report(struct health *h, bool books);

#endif
