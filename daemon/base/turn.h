/* The turns of the loop: how long they are, and work that goes on in a later one. Each entrance from the loop calls turn_begin; the turn ends by itself
 * after the callbacks that are ready now. libevent does not tell when it has come back from waiting, so the first entrance counts as that. */
#ifndef VB_BASE_TURN_H
#define VB_BASE_TURN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "metrics.h"

struct turn;

/* What all of a turn may take, and of it what one entrance may: work that could take longer goes on in a later turn. */
enum { TURN_US = 5000, TURN_SLICE_US = 1000 };

/* A loop for turns: it looks at its sockets again after TURN_US, also where callbacks make more callbacks ready. NULL without memory. */
struct event_base *turn_base_new(void);

struct turn *turn_new(struct event_base *base, struct metrics *metrics);
void turn_free(struct turn *t);

void turn_begin(struct turn *t);
/* True when this entrance has had its slice, or the turn all of its time: what can wait should. */
bool turn_is_long(const struct turn *t);
/* Brings the gauge of the longest turn up to date: before a scrape. */
void turn_report(struct turn *t);

/* Whose work it is. Who has a name comes first, for half of the time where both want all of it. */
enum turn_rank { TURN_KNOWN, TURN_STRANGER, TURN_RANKS };

/* Something that is to go on; embedded in what it is about. run and arg are the caller's to set. */
struct turn_task {
	TAILQ_ENTRY(turn_task) link;
	void (*run)(void *arg);
	void *arg;
	bool waits;
	enum turn_rank rank;	/* while it waits */
};

/* The task runs in a later turn, after the sockets that are ready then, and in the order of asking: who has had a slice is the last one again. Asked
 * twice it runs once. */
void turn_later(struct turn *t, struct turn_task *task, enum turn_rank rank);
/* It does not run any more: before its memory goes. */
void turn_forget(struct turn *t, struct turn_task *task);

#endif
