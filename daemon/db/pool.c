/* The pool: least busy first. It queues nothing itself: a full pool is said to the caller at once. */
#include "pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/memory.h"

enum { DEPTH_MAX = 256 };	/* calls in flight on one connection: bounds what libpq buffers */

struct pool {
	struct pg **conns;
	unsigned n;
	void (*on_ready)(void *arg);
	void *arg;
	LIST_HEAD(, pool_op) ops;	/* in flight */
};

struct pool_op {
	LIST_ENTRY(pool_op) link;
	pool_fn fn;
	void *arg;
	bool shown;
};

static void
pool_on_state(void *arg, bool ready)
{
	struct pool *pool = arg;

	if (ready && pool->on_ready != NULL)
		pool->on_ready(pool->arg);
}

struct pool *
pool_new(struct event_base *base, const struct pg_config *config, const char *name, unsigned connections, void (*on_ready)(void *arg), void *arg)
{
	struct pool *pool = memory_new(sizeof(*pool));

	pool->conns = memory_new(connections * sizeof(struct pg *));
	pool->n = connections;
	pool->on_ready = on_ready;
	pool->arg = arg;
	for (unsigned i = 0; i < connections; i++) {
		char each[32];
		snprintf(each, sizeof(each), "%s%u", name, i);
		pool->conns[i] = pg_new(base, config, each, pool_on_state, pool);
	}
	return pool;
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	for (unsigned i = 0; i < pool->n; i++)
		pg_free(pool->conns[i]);
	while (!LIST_EMPTY(&pool->ops)) {	/* nobody is told any more */
		struct pool_op *op = LIST_FIRST(&pool->ops);
		LIST_REMOVE(op, link);
		free(op);
	}
	free(pool->conns);
	free(pool);
}

unsigned
pool_ready_count(const struct pool *pool)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pool->n; i++)
		n += pg_is_ready(pool->conns[i]);
	return n;
}

bool
pool_is_ready(const struct pool *pool)
{
	return pool_ready_count(pool) > 0;
}

size_t
pool_depth(const struct pool *pool)
{
	size_t depth = 0;

	for (unsigned i = 0; i < pool->n; i++)
		depth += pg_depth(pool->conns[i]);
	return depth;
}

static void
call_result(void *arg, const PGresult *result)
{
	struct pool_op *op = arg;
	static const struct pg_outcome done = {.verdict = PG_DONE, .message = ""};

	op->shown = true;
	op->fn(op->arg, &done, result);
}

static void
call_done(void *arg, const struct pg_outcome *outcome)
{
	struct pool_op *op = arg;

	if (!op->shown)
		op->fn(op->arg, outcome, NULL);
	LIST_REMOVE(op, link);
	free(op);
}

int
pool_call(struct pool *pool, enum statement s, const struct pg_param *params, int n, pool_fn fn, void *arg)
{
	struct pg *best = NULL;
	int scope = statement_scope(s);

	assert(scope == 0 || (scope <= n && params[scope - 1].v.p != NULL));
	for (unsigned i = 0; i < pool->n; i++)
		if (pg_is_ready(pool->conns[i]) && (best == NULL || pg_depth(pool->conns[i]) < pg_depth(best)))
			best = pool->conns[i];
	if (best == NULL || pg_depth(best) >= DEPTH_MAX)
		return -1;
	struct pool_op *op = memory_new(sizeof(*op));
	op->fn = fn;
	op->arg = arg;
	LIST_INSERT_HEAD(&pool->ops, op, link);
	if (pg_call(best, s, params, n, call_result, op) != 0) {
		LIST_REMOVE(op, link);
		free(op);
		return -1;
	}
	pg_commit(best, call_done, op);
	return 0;
}

struct view
pool_value(const PGresult *result, const char *name)
{
	int column = PQfnumber(result, name);

	assert(column >= 0);
	if (PQntuples(result) == 0 || PQgetisnull(result, 0, column))
		return VIEW_NONE;
	return (struct view){PQgetvalue(result, 0, column), (size_t)PQgetlength(result, 0, column)};
}
