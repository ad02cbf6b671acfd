/* Who waits for a change of a bill: kiosks with an open event stream. One look at the database serves all of them, at once when this daemon settled
 * something, and twice a second for what others did. */
#ifndef VB_CORE_WATCH_H
#define VB_CORE_WATCH_H

#include "core/core.h"

struct watcher;

/* Called with the bill's document first of all, then whenever its version changes. An empty doc: there is no such bill to see. */
typedef void (*watch_fn)(void *arg, struct view doc);

struct watch *watch_new(struct core *core);
void watch_free(struct watch *w);

/* Whether the caller may see the bill is the caller's to know. */
struct watcher *watch_add(struct watch *w, struct view bill, watch_fn fn, void *arg);
/* Not from inside the watcher's own callback. */
void watch_remove(struct watch *w, struct watcher *watcher);
/* Something was settled: look soon. */
void watch_kick(struct watch *w);
unsigned watch_count(const struct watch *w);

#endif
