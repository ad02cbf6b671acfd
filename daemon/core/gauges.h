/* What only the database knows of the gauges: visits, quarantine, payments, watermarks. A scrape asks for them, but does not wait for a database that is
 * slow: after a moment it gets what is known from before. */
#ifndef VB_CORE_GAUGES_H
#define VB_CORE_GAUGES_H

#include <sys/queue.h>

#include "core/core.h"

struct gauges;

/* Who waits; the caller's memory, until fn is called. */
struct gauges_waiter {
	LIST_ENTRY(gauges_waiter) link;
	struct gauges *gauges;
	struct event *patience;
	void (*fn)(void *arg);
	void *arg;
};

struct gauges *gauges_new(struct core *core);
/* Nobody may wait any more. */
void gauges_free(struct gauges *g);

/* fn is called once, when the gauges are fresh, or when they would take too long; perhaps from inside, where the database cannot be asked. */
void gauges_refresh(struct gauges *g, struct gauges_waiter *w, void (*fn)(void *arg), void *arg);

#endif
