/* One PostgreSQL connection in pipeline mode on the event loop. Calls are queued in order; a segment (the calls up to a sync) is one
 * transaction. What a call returned is shown after its segment is committed, never before. The connection is made again by itself
 * when it is lost; what was in flight then is reported as lost, because nobody knows whether it was committed. */
#ifndef VB_DB_PG_H
#define VB_DB_PG_H

#include <event2/event.h>
#include <libpq-fe.h>

#include "base/turn.h"
#include "proto/view.h"
#include "statements.h"

enum pg_verdict {
	PG_DONE,	/* committed */
	PG_FAILED,	/* rolled back; sqlstate says why */
	PG_LOST,	/* the connection broke: committed or not, nobody knows */
};

struct pg_outcome {
	enum pg_verdict verdict;
	char sqlstate[6];
	const char *message;	/* for the log; valid during the callback */
};

/* Called for each call of a committed segment, in order. The result is freed afterwards. */
typedef void (*pg_result_fn)(void *arg, const PGresult *result);
/* Called at the end of a segment, after its results. */
typedef void (*pg_done_fn)(void *arg, const struct pg_outcome *outcome);
/* Called when the connection becomes ready, and when it is lost. */
typedef void (*pg_state_fn)(void *arg, bool ready);

struct pg;

struct pg_config {
	const char *conninfo;
	const char *schema;
	int utc_offset;			/* of the hospital, seconds east: the session's time zone */
	struct turn *turn;		/* told of what the loop brings; NULL: nobody */
};

/* Starts connecting. name is for the log; all texts are copied. Free with pg_free, not from a callback of its own. */
struct pg *pg_new(struct event_base *base, const struct pg_config *config, const char *name, pg_state_fn on_state, void *arg);
void pg_free(struct pg *pg);

bool pg_is_ready(const struct pg *pg);
/* Calls and syncs sent and not yet answered. */
size_t pg_depth(const struct pg *pg);

/* One parameter: text or binary, null where v.p is NULL. Text must be NUL-terminated. */
struct pg_param {
	struct view v;
	bool binary;
};

/* Queues one call of a prepared statement. Returns 0, or -1 when the connection is not ready. */
int pg_call(struct pg *pg, enum statement s, const struct pg_param *params, int n, pg_result_fn fn, void *arg) __attribute__((warn_unused_result));
/* Ends the segment and sends it. done is called in any case, also when the connection was lost in between. */
void pg_commit(struct pg *pg, pg_done_fn done, void *arg);

/* True for errors that the same transaction may not meet again: deadlock, serialization, lock timeout, shutdown, out of
 * resources; not a statement that took too long. */
bool pg_is_transient(const struct pg_outcome *outcome);

#endif
