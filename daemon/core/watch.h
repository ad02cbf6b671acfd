/* Who waits for a change of a bill: kiosks with an open event stream. One look at the database serves all of them, soon after this daemon settled
 * something, and twice a second for what others did. A bill is asked for once, however many watch it; one that did not change costs its keys on the
 * wire and in the database's indexes, and nothing here. */
#ifndef VB_CORE_WATCH_H
#define VB_CORE_WATCH_H

#include "core/core.h"

struct watcher;

/* Called with the bill's document first of all, then whenever its version changes. An empty doc: there is no such bill, said once. */
typedef void (*watch_fn)(void *arg, struct view doc);

struct watch *watch_new(struct core *core);
/* Frees the watchers that are left. After the pool: no answer may come any more. */
void watch_free(struct watch *w);

/* Whether the caller may see the bill is the caller's to know. fn is never called from inside. */
struct watcher *watch_add(struct watch *w, struct view bill, watch_fn fn, void *arg);
/* At any time, also from inside a watcher's own callback: it is not called again. */
void watch_remove(struct watch *w, struct watcher *watcher);
/* Something was settled: look soon. */
void watch_kick(struct watch *w);
unsigned watch_count(const struct watch *w);

#endif
