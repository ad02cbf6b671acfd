/* Keeps the tokens in memory as the database has them, and the database told of their use. */
#ifndef VB_ACCESS_TOKEN_SYNC_H
#define VB_ACCESS_TOKEN_SYNC_H

#include "access/tokens.h"
#include "base/job.h"
#include "db/pool.h"

/* Asks for what has changed since the last time: made, revoked. */
void tokens_refresh(struct tokens *t, struct pool *pool, job_over_fn over, void *job);
/* Tells which tokens were used, when last and by whom. */
void tokens_tell_used(struct tokens *t, struct pool *pool, job_over_fn over, void *job);

#endif
