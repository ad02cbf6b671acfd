/* Watching bills by asking for those whose version is no longer the one known. A round asks for all of them, a slice a call; the answer names a bill by
 * its place in the slice. What is removed meanwhile is unlinked when the answer is through, so that places stay. */
#include "watch.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/memory.h"
#include "db/column.h"

enum {
	POLL_MS = 500,
	SLICE = 4096,		/* bills in a call: what a call costs others that wait behind it */
	REST = 4,		/* after a round, this many times as long as it took */
	BUCKETS_LEAST = 64,
	VERSION_NEW = -1,	/* known of a bill that has a watcher who has heard nothing */
	VERSION_NONE = 0,	/* there is no such bill */
};

struct watcher {
	TAILQ_ENTRY(watcher) link;
	struct watched *bill;
	watch_fn fn;
	void *arg;
	int version;		/* that it was told last */
	bool gone;
};

/* A bill that somebody watches. */
struct watched {
	TAILQ_ENTRY(watched) link;
	struct watched *chain;	/* of its bucket */
	uint64_t hash;
	struct view id;
	int known;		/* that all of its watchers were told, or VERSION_NEW */
	unsigned gone;		/* watchers to unlink */
	TAILQ_HEAD(, watcher) watchers;
};

struct watch {
	struct core *core;
	TAILQ_HEAD(watched_list, watched) bills;
	struct watched **buckets, **stale;	/* stale: with watchers to unlink */
	size_t n_buckets, n_bills, n_stale, stale_room;
	struct watched *asked[SLICE], *next;	/* next: what the round has still to ask for, NULL at its end */
	struct column ids, versions;
	struct event *poll, *kick;
	unsigned count;
	int64_t began, rest_until;
	bool asking, telling, again;
};

static void watch_ask(struct watch *w);

/* ------- bills by their id */

static void
buckets_grow(struct watch *w)
{
	struct watched *b;

	free(w->buckets);
	w->n_buckets = w->n_buckets == 0 ? BUCKETS_LEAST : w->n_buckets * 2;
	w->buckets = memory_new(w->n_buckets * sizeof(struct watched *));
	TAILQ_FOREACH(b, &w->bills, link) {
		struct watched **bucket = &w->buckets[b->hash & (w->n_buckets - 1)];
		b->chain = *bucket;
		*bucket = b;
	}
}

/* The bill of that id, made where nobody watches it yet. */
static struct watched *
bill_take(struct watch *w, struct view id)
{
	uint64_t hash = view_hash(VIEW_HASH, id);
	struct watched *b;

	if (w->n_bills >= w->n_buckets)
		buckets_grow(w);
	struct watched **bucket = &w->buckets[hash & (w->n_buckets - 1)];
	for (b = *bucket; b != NULL; b = b->chain)
		if (b->hash == hash && view_equal(b->id, id))
			return b;
	b = memory_new(sizeof(*b));
	b->hash = hash;
	b->id = (struct view){memory_text(id.p, id.n), id.n};
	b->chain = *bucket;
	*bucket = b;
	TAILQ_INIT(&b->watchers);
	TAILQ_INSERT_TAIL(&w->bills, b, link);
	w->n_bills++;
	return b;
}

static void
bill_free(struct watch *w, struct watched *b)
{
	struct watched **at = &w->buckets[b->hash & (w->n_buckets - 1)];

	assert(TAILQ_EMPTY(&b->watchers));
	while (*at != b)
		at = &(*at)->chain;
	*at = b->chain;
	if (w->next == b)
		w->next = TAILQ_NEXT(b, link);
	TAILQ_REMOVE(&w->bills, b, link);
	w->n_bills--;
	free((char *)b->id.p);
	free(b);
}

/* Unlinks the watchers that are gone, and the bills that nobody watches any more. */
static void
watch_sweep(struct watch *w)
{
	assert(!w->asking && !w->telling);
	for (size_t i = 0; i < w->n_stale; i++) {
		struct watched *b = w->stale[i];
		struct watcher *x, *next;
		for (x = TAILQ_FIRST(&b->watchers); x != NULL; x = next) {
			next = TAILQ_NEXT(x, link);
			if (!x->gone)
				continue;
			TAILQ_REMOVE(&b->watchers, x, link);
			free(x);
		}
		b->gone = 0;
		if (TAILQ_EMPTY(&b->watchers))
			bill_free(w, b);
	}
	w->n_stale = 0;
}

/* ------- asking */

/* Looks at all bills, unless a round is on its way: then once more after it. Rounds rest in between, so that payments by the thousand with streams by
 * the thousand do not keep a connection busy with nothing else. */
static void
watch_round(struct watch *w)
{
	int64_t now = clock_monotonic();

	if (w->asking || w->telling || w->next != NULL) {
		w->again = true;
		return;
	}
	if (w->count == 0)
		return;
	if (now < w->rest_until) {
		struct timeval rest = {(w->rest_until - now) / 1000000, (w->rest_until - now) % 1000000};
		event_add(w->kick, &rest);
		return;
	}
	w->again = false;
	w->began = now;
	w->next = TAILQ_FIRST(&w->bills);
	watch_ask(w);
}

static void
round_end(struct watch *w)
{
	int64_t now = clock_monotonic();

	w->next = NULL;
	w->rest_until = now + REST * (now - w->began);
	if (w->again)
		watch_round(w);
}

/* A bill has that version now, or VERSION_NONE: tells its watchers who heard of another one. */
static void
bill_tell(struct watched *b, int version, struct view doc)
{
	struct watcher *x;

	b->known = version;
	TAILQ_FOREACH(x, &b->watchers, link) {
		if (x->gone || x->version == version)
			continue;
		x->version = version;
		x->fn(x->arg, doc);
	}
}

static void
watch_on_result(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	enum { PLACE, VERSION, DOC };	/* as SQL_BILLS_WATCH has them */
	struct watch *w = arg;

	w->asking = false;
	w->telling = true;
	for (int row = 0; outcome->verdict == PG_DONE && row < PQntuples(result); row++) {
		long place = strtol(PQgetvalue(result, row, PLACE), NULL, 10);
		bool there = !PQgetisnull(result, row, VERSION);
		assert(place >= 1 && place <= SLICE);
		bill_tell(w->asked[place - 1], there ? (int)strtol(PQgetvalue(result, row, VERSION), NULL, 10) : VERSION_NONE,
		    there ? view_of(PQgetvalue(result, row, DOC)) : VIEW_NONE);
	}
	w->telling = false;
	watch_sweep(w);
	if (outcome->verdict == PG_DONE && w->next != NULL)
		watch_ask(w);
	else
		round_end(w);
}

/* Asks for the next slice of the round. */
static void
watch_ask(struct watch *w)
{
	size_t n = 0;

	column_reset(&w->ids);
	column_reset(&w->versions);
	for (; w->next != NULL && n < SLICE; w->next = TAILQ_NEXT(w->next, link)) {
		w->asked[n++] = w->next;
		column_text(&w->ids, w->next->id);
		column_int4(&w->versions, w->next->known);
	}
	/* all facilities: one call asks for callers of many scopes, and each was shown the bill in its own when it began to watch; a bill never changes
	 * its facility */
	struct pg_param params[] = {{column_value(&w->ids, PG_TEXT), true}, {column_value(&w->versions, PG_INT4), true}, {view_of(SCOPE_ALL), false}};
	w->asking = pool_call(w->core->pool, SQL_BILLS_WATCH, params, 3, watch_on_result, w) == 0;
	if (!w->asking)
		w->next = NULL;		/* the database is away: the next round asks again */
}

static void
watch_on_timer(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	watch_round(arg);
}

/* ------- watchers */

struct watch *
watch_new(struct core *core)
{
	struct watch *w = memory_new(sizeof(*w));
	struct timeval every = {0, POLL_MS * 1000};

	w->core = core;
	TAILQ_INIT(&w->bills);
	w->poll = event_new(core->base, -1, EV_PERSIST, watch_on_timer, w);
	w->kick = event_new(core->base, -1, 0, watch_on_timer, w);
	event_add(w->poll, &every);
	return w;
}

void
watch_free(struct watch *w)
{
	struct watched *b;
	struct watcher *x;

	if (w == NULL)
		return;
	while ((b = TAILQ_FIRST(&w->bills)) != NULL) {
		while ((x = TAILQ_FIRST(&b->watchers)) != NULL) {
			TAILQ_REMOVE(&b->watchers, x, link);
			free(x);
		}
		bill_free(w, b);
	}
	event_free(w->poll);
	event_free(w->kick);
	column_free(&w->ids);
	column_free(&w->versions);
	free(w->buckets);
	free(w->stale);
	free(w);
}

struct watcher *
watch_add(struct watch *w, struct view bill, watch_fn fn, void *arg)
{
	struct watcher *x = memory_new(sizeof(*x));

	x->bill = bill_take(w, bill);
	x->fn = fn;
	x->arg = arg;
	x->version = x->bill->known = VERSION_NEW;
	TAILQ_INSERT_TAIL(&x->bill->watchers, x, link);
	w->count++;
	watch_kick(w);
	return x;
}

void
watch_remove(struct watch *w, struct watcher *x)
{
	assert(!x->gone && w->count > 0);
	x->gone = true;
	w->count--;
	if (x->bill->gone++ == 0) {
		if (w->n_stale == w->stale_room) {
			w->stale_room = w->stale_room == 0 ? BUCKETS_LEAST : w->stale_room * 2;
			w->stale = memory_resize(w->stale, w->stale_room * sizeof(struct watched *));
		}
		w->stale[w->n_stale++] = x->bill;
	}
	if (!w->asking && !w->telling)
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
