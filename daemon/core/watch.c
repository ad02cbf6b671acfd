/* Watching bills by asking for their versions. Watchers that are removed during a round trip are marked and freed after it. */
#include "watch.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "base/memory.h"
#include "db/column.h"

enum { POLL_MS = 500 };

struct watcher {
	TAILQ_ENTRY(watcher) link;
	char *bill;
	watch_fn fn;
	void *arg;
	long version;
	bool asked, gone;
};

struct watch {
	struct core *core;
	TAILQ_HEAD(, watcher) watchers;
	struct event *poll, *kick;
	unsigned count;
	bool asking, again;
};

static void watch_ask(struct watch *w);

static void
watch_sweep(struct watch *w)
{
	struct watcher *x, *next;

	for (x = TAILQ_FIRST(&w->watchers); x != NULL; x = next) {
		next = TAILQ_NEXT(x, link);
		x->asked = false;
		if (!x->gone)
			continue;
		TAILQ_REMOVE(&w->watchers, x, link);
		free(x->bill);
		free(x);
	}
}

static void
watch_on_result(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct watch *w = arg;
	struct watcher *x;

	w->asking = false;
	if (outcome->verdict == PG_DONE) {
		TAILQ_FOREACH(x, &w->watchers, link) {
			bool found = false;
			for (int row = 0; row < PQntuples(result) && x->asked && !x->gone; row++) {
				if (strcmp(PQgetvalue(result, row, 0), x->bill) != 0)
					continue;
				long version = strtol(PQgetvalue(result, row, 1), NULL, 10);
				found = true;
				if (version != x->version)
					x->fn(x->arg, view_of(PQgetvalue(result, row, 2)));
				x->version = version;
			}
			if (x->asked && !found && !x->gone)
				x->fn(x->arg, VIEW_NONE);
		}
	}
	watch_sweep(w);
	if (w->again)
		watch_ask(w);
}

static void
watch_ask(struct watch *w)
{
	struct column bills = {0};
	struct watcher *x;

	w->again = w->asking;
	if (w->asking || w->count == 0)
		return;
	column_reset(&bills);
	TAILQ_FOREACH(x, &w->watchers, link) {
		column_text(&bills, view_of(x->bill));
		x->asked = true;
	}
	/* who may see a bill was checked when the stream was opened */
	struct pg_param params[] = {{column_value(&bills, PG_TEXT), true}, {VIEW_NONE, false}};
	w->asking = pool_call(w->core->pool, SQL_BILLS_WATCH, params, 2, watch_on_result, w) == 0;
	column_free(&bills);
}

static void
watch_on_timer(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	watch_ask(arg);
}

struct watch *
watch_new(struct core *core)
{
	struct watch *w = memory_new(sizeof(*w));
	struct timeval every = {0, POLL_MS * 1000};

	w->core = core;
	TAILQ_INIT(&w->watchers);
	w->poll = event_new(core->base, -1, EV_PERSIST, watch_on_timer, w);
	w->kick = event_new(core->base, -1, 0, watch_on_timer, w);
	event_add(w->poll, &every);
	return w;
}

void
watch_free(struct watch *w)
{
	struct watcher *x;

	if (w == NULL)
		return;
	TAILQ_FOREACH(x, &w->watchers, link)
		x->gone = true;
	watch_sweep(w);
	event_free(w->poll);
	event_free(w->kick);
	free(w);
}

struct watcher *
watch_add(struct watch *w, struct view bill, watch_fn fn, void *arg)
{
	struct watcher *x = memory_new(sizeof(*x));

	x->bill = memory_text(bill.p, bill.n);
	x->fn = fn;
	x->arg = arg;
	x->version = -1;
	TAILQ_INSERT_TAIL(&w->watchers, x, link);
	w->count++;
	watch_kick(w);
	return x;
}

void
watch_remove(struct watch *w, struct watcher *x)
{
	x->gone = true;
	w->count--;
	if (!w->asking)
		watch_sweep(w);
}

void
watch_kick(struct watch *w)
{
	event_active(w->kick, EV_TIMEOUT, 0);
}

unsigned
watch_count(const struct watch *w)
{
	return w->count;
}
