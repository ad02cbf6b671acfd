/* A few connections for everything that is not on a lane: reads, payments, jobs. A call is a transaction of its own. */
#ifndef VB_DB_POOL_H
#define VB_DB_POOL_H

#include "pg.h"

struct pool;

/* Called once the call is committed, or has failed (result is NULL then). */
typedef void (*pool_fn)(void *arg, const struct pg_outcome *outcome, const PGresult *result);

/* name: for the log, copied. on_ready may be NULL. */
struct pool *pool_new(struct event_base *base, const struct pg_config *config, const char *name, unsigned connections, void (*on_ready)(void *arg),
    void *arg);
void pool_free(struct pool *pool);

bool pool_is_ready(const struct pool *pool);
unsigned pool_ready_count(const struct pool *pool);
size_t pool_depth(const struct pool *pool);

/* Sends the call on the least busy connection. A statement with a scope is never called without one. Returns 0, or -1 when no connection is ready or all
 * are full; then fn is not called. */
int pool_call(struct pool *pool, enum statement s, const struct pg_param *params, int n, pool_fn fn, void *arg) __attribute__((warn_unused_result));

/* The column of this name in row 0 as a view that ends with NUL; VIEW_NONE for null, and where there is no row. */
struct view pool_value(const PGresult *result, const char *name);

#endif
