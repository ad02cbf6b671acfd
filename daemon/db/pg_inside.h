/* The inside of a connection, shared by pg.c (calls and their results) and pg_connect.c (how it is made, watched and lost), and by nobody else. */
#ifndef VB_DB_PG_INSIDE_H
#define VB_DB_PG_INSIDE_H

#include <sys/queue.h>

#include "pg.h"

enum pg_state { PG_WAITING, PG_CONNECTING, PG_PREPARING, PG_READY };

/* A query that was sent, or a sync that ends a segment. */
struct op {
	STAILQ_ENTRY(op) link;
	bool is_sync, got_result;
	pg_result_fn fn;
	pg_done_fn done;
	void *arg;
	PGresult *result;
	int64_t sent_at;
};

STAILQ_HEAD(op_list, op);

struct pg {
	struct event_base *base;
	struct servers *servers;	/* all connections' */
	char *schema;			/* a copy: the settings' snapshot that it comes from may be gone when it connects again */
	int utc_offset;
	int64_t answer_ms, connect_ms, lock_ms;
	struct turn *turn;
	char *name;
	pg_state_fn on_state;
	void *arg;
	PGconn *conn;
	struct event *io, *timer, *watch;
	short io_events;
	enum pg_state state;
	struct op_list waiting;		/* sent, unanswered */
	struct op_list answered;	/* of the segment being read: results kept until it is committed */
	struct op_list spare;
	size_t depth;
	struct pg_outcome outcome;	/* of the segment being read */
	char *message;
	/* its server */
	size_t server, tried;		/* which one; how many of them since one was ready, or since the last pause */
	const char *refused;		/* why the server is not ours, or its schema not this program's; NULL: they are */
	char why[200];			/* of the schema */
	char started[64];		/* when the backend began; "": not known */
	struct { size_t server; int pid; char started[64]; } stranded;	/* a backend that was left with something in work; pid 0: none */
	unsigned backoff_ms;
	int64_t state_since, heard_at;
	bool is_deaf;			/* the server did not answer in time */
};

/* ------- pg.c */

struct op *pg_op_new(struct pg *pg);
void pg_push(struct pg *pg, struct op *op);
/* Sends what libpq has gathered. 0, or -1 when the connection is of no more use. */
int pg_flush(struct pg *pg);
/* Ends the segment that `sync` closes: results first, then its done. */
void pg_end_segment(struct pg *pg, struct op *sync);
void pg_outcome_reset(struct pg *pg);
/* Takes what libpq has. False, and why, when the connection is of no more use. */
bool pg_read_results(struct pg *pg, const char **why);

/* ------- pg_connect.c */

void pg_connect(struct pg *pg);
/* Everything in flight is lost; then another connection. */
void pg_lose(struct pg *pg, const char *why);
/* Makes the event match what libpq waits for. */
void pg_wait_for(struct pg *pg, short events);
void pg_on_timer(evutil_socket_t fd, short events, void *arg);
void pg_on_watch(evutil_socket_t fd, short events, void *arg);

#endif
