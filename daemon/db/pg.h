/* One PostgreSQL connection in pipeline mode on the event loop. Calls are queued in order; a segment (the calls up to a sync) is one
 * transaction. What a call returned is shown after its segment is committed, never before. The connection is made again by itself
 * when it is lost, to whichever server is ours then; what was in flight is reported as lost, because nobody knows whether it was committed. */
#ifndef VB_DB_PG_H
#define VB_DB_PG_H

#include <event2/event.h>
#include <libpq-fe.h>

#include "base/turn.h"
#include "proto/view.h"
#include "servers.h"
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
	struct servers *servers;	/* must outlive the connection */
	const char *schema;
	int utc_offset;			/* of the hospital, seconds east: the session's time zone */
	struct turn *turn;		/* told of what the loop brings; NULL: nobody */
	int64_t answer_ms;		/* what is not answered in this time is given up with its connection, and ended at the server */
	int64_t connect_ms;		/* a server that is not connected in this time is passed over */
	int64_t lock_ms;		/* what waits for a lock longer fails */
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
/* Gives the connection up when what is in flight has had no answer for this long (microseconds), which may be less than its own answer time. done is called
 * from inside. Returns true when it was. */
bool pg_give_up(struct pg *pg, int64_t after_us);

/* What a failure is about. Only of the data is it a verdict on what was sent; anything else may be sent again. */
enum pg_cause {
	PG_CAUSE_DATA,		/* what was sent cannot be stored */
	PG_CAUSE_LOCK,		/* somebody else is at it: a lock that was not given, a deadlock */
	PG_CAUSE_SERVER,	/* the server cannot now: full, read-only, going down, too slow, lost */
	PG_CAUSE_OTHER,		/* a fault of ours or of the server's: a statement, a right, an internal error */
};
enum pg_cause pg_cause_of(const struct pg_outcome *outcome);

#endif
