/* The length of the loop's turns. Each entrance from the loop calls turn_begin; the turn ends by itself behind the callbacks that are ready now. libevent
 * does not tell when it has come back from waiting, so the first entrance counts as that. */
#ifndef VB_BASE_TURN_H
#define VB_BASE_TURN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "metrics.h"

struct turn;

enum { TURN_SLICE_US = 5000 };	/* work that could take longer goes on in another turn */

struct turn *turn_new(struct event_base *base, struct metrics *metrics);
void turn_free(struct turn *t);

void turn_begin(struct turn *t);
/* True when this turn has gone on for a slice: what can wait should. */
bool turn_is_long(const struct turn *t);
/* Brings the gauge of the longest turn up to date: before a scrape. */
void turn_report(struct turn *t);

#endif
