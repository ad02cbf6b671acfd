/* Calls of a pipelined connection and their results. See shared facts of libpq: a dead backend gives NULL for ever, so status is looked at first. It does
 * not know what the statements mean. How the connection is made is pg_connect.c's. */
#include "pg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "pg_inside.h"

enum { WATCH_SECONDS = 1, LEAST_MS = 500, BACKOFF_FIRST_MS = 50 };

struct op *
pg_op_new(struct pg *pg)
{
	struct op *op = STAILQ_FIRST(&pg->spare);

	if (op != NULL)
		STAILQ_REMOVE_HEAD(&pg->spare, link);
	else
		op = memory_new(sizeof(*op));
	*op = (struct op){.sent_at = clock_monotonic()};
	return op;
}

static void
op_drop(struct pg *pg, struct op *op)
{
	PQclear(op->result);
	op->result = NULL;
	STAILQ_INSERT_HEAD(&pg->spare, op, link);
}

void
pg_push(struct pg *pg, struct op *op)
{
	STAILQ_INSERT_TAIL(&pg->waiting, op, link);
	pg->depth++;
}

void
pg_outcome_reset(struct pg *pg)
{
	free(pg->message);
	pg->message = NULL;
	pg->outcome = (struct pg_outcome){.verdict = PG_DONE, .message = ""};
}

/* Ends the segment that `sync` closes: results first, then its done. The ops are off the lists before anyone is called. */
void
pg_end_segment(struct pg *pg, struct op *sync)
{
	struct op_list results = STAILQ_HEAD_INITIALIZER(results);
	struct op *op;
	struct pg_outcome outcome = pg->outcome;
	char *message = pg->message;

	STAILQ_CONCAT(&results, &pg->answered);
	pg->message = NULL;
	pg_outcome_reset(pg);
	while ((op = STAILQ_FIRST(&results)) != NULL) {
		STAILQ_REMOVE_HEAD(&results, link);
		if (outcome.verdict == PG_DONE && op->fn != NULL)
			op->fn(op->arg, op->result);
		op_drop(pg, op);
	}
	if (sync->done != NULL)
		sync->done(sync->arg, &outcome);
	op_drop(pg, sync);
	free(message);
}

int
pg_flush(struct pg *pg)
{
	int left = PQflush(pg->conn);

	if (left < 0)
		return -1;
	pg_wait_for(pg, left > 0 ? EV_READ | EV_WRITE : EV_READ);
	return 0;
}

static void
pg_note_error(struct pg *pg, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	/* the primary message only: DETAIL shows rows, and rows hold patients */
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (pg->outcome.verdict == PG_FAILED)
		return;
	if (text == NULL)
		text = "no message";
	pg->outcome.verdict = PG_FAILED;
	snprintf(pg->outcome.sqlstate, sizeof(pg->outcome.sqlstate), "%s", state != NULL ? state : "XX000");
	free(pg->message);
	pg->message = memory_text(text, strlen(text));
	pg->outcome.message = pg->message;
}

/* A statement that was prepared here has lost its function, or a column of what that returns: the schema was migrated under a daemon that is not of its
 * version. No line is to blame for it. (Inside a function's body the error has a context, and is that function's own.) */
static bool
pg_is_outdated(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state != NULL && (strcmp(state, "42883") == 0 || strcmp(state, "42703") == 0) && PQresultErrorField(result, PG_DIAG_CONTEXT) == NULL;
}

/* It was ours, and has become a standby, or its operator has stopped its writing: another server may be ours by now. */
static bool
pg_is_read_only(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state != NULL && strcmp(state, "25006") == 0;
}

/* Matched to our own list. */
bool
pg_read_results(struct pg *pg, const char **why)
{
	struct op *op;

	while ((op = STAILQ_FIRST(&pg->waiting)) != NULL && PQisBusy(pg->conn) == 0) {
		if (PQstatus(pg->conn) != CONNECTION_OK)
			break;
		PGresult *result = PQgetResult(pg->conn);
		if (result == NULL) {
			if (!op->got_result)
				continue;	/* the NULL after a query that was already taken off */
			assert(!op->is_sync);
			STAILQ_REMOVE_HEAD(&pg->waiting, link);
			STAILQ_INSERT_TAIL(&pg->answered, op, link);
			pg->depth--;
			continue;
		}
		switch (PQresultStatus(result)) {
		case PGRES_PIPELINE_SYNC:
			PQclear(result);
			STAILQ_REMOVE_HEAD(&pg->waiting, link);
			pg->depth--;
			if (!op->is_sync)
				fatal("conn=%s the pipeline is out of step", pg->name);
			pg_end_segment(pg, op);
			break;
		case PGRES_FATAL_ERROR:
			if (op->is_sync) {	/* the backend was ended before it confirmed: committed or not, nobody knows */
				PQclear(result);
				*why = "the server ended the connection before it confirmed";
				return false;
			}
			if (pg->state == PG_READY && pg_is_outdated(result)) {
				PQclear(result);
				*why = "the schema is not this daemon's any more: restart it";
				return false;
			}
			if (pg->state == PG_READY && pg_is_read_only(result)) {
				PQclear(result);
				*why = "the server is read-only";
				return false;
			}
			pg_note_error(pg, result);
			op->got_result = true;
			PQclear(result);
			break;
		case PGRES_PIPELINE_ABORTED:
			op->got_result = true;
			PQclear(result);
			break;
		default:
			PQclear(op->result);
			op->result = result;
			op->got_result = true;
			break;
		}
	}
	*why = PQerrorMessage(pg->conn);
	return PQstatus(pg->conn) == CONNECTION_OK;
}

struct pg *
pg_new(struct event_base *base, const struct pg_config *config, const char *name, pg_state_fn on_state, void *arg)
{
	struct pg *pg = memory_new(sizeof(*pg));
	struct timeval every = {WATCH_SECONDS, 0};

	pg->base = base;
	pg->servers = config->servers;
	pg->answer_ms = config->answer_ms > LEAST_MS ? config->answer_ms : LEAST_MS;
	pg->connect_ms = config->connect_ms > LEAST_MS ? config->connect_ms : LEAST_MS;
	pg->lock_ms = config->lock_ms;
	pg->server = servers_ours(pg->servers);
	pg->schema = memory_text(config->schema, strlen(config->schema));
	pg->utc_offset = config->utc_offset;
	pg->turn = config->turn;
	pg->name = memory_text(name, strlen(name));
	pg->on_state = on_state;
	pg->arg = arg;
	pg->backoff_ms = BACKOFF_FIRST_MS;
	STAILQ_INIT(&pg->waiting);
	STAILQ_INIT(&pg->answered);
	STAILQ_INIT(&pg->spare);
	pg_outcome_reset(pg);
	pg->timer = evtimer_new(base, pg_on_timer, pg);
	pg->watch = event_new(base, -1, EV_PERSIST, pg_on_watch, pg);
	event_add(pg->watch, &every);
	pg_connect(pg);
	return pg;
}

static void
op_list_free(struct op_list *list)
{
	struct op *op;

	while ((op = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		PQclear(op->result);
		free(op);
	}
}

void
pg_free(struct pg *pg)
{
	if (pg == NULL)
		return;
	if (pg->io != NULL)
		event_free(pg->io);
	event_free(pg->timer);
	event_free(pg->watch);
	op_list_free(&pg->waiting);
	op_list_free(&pg->answered);
	op_list_free(&pg->spare);
	PQfinish(pg->conn);
	free(pg->message);
	free(pg->name);
	free(pg->schema);
	free(pg);
}

bool
pg_is_ready(const struct pg *pg)
{
	return pg->state == PG_READY;
}

size_t
pg_depth(const struct pg *pg)
{
	return pg->depth;
}

int
pg_call(struct pg *pg, enum statement s, const struct pg_param *params, int n, pg_result_fn fn, void *arg)
{
	enum { MOST = 40 };
	const char *values[MOST];
	int lengths[MOST], formats[MOST];
	char name[16];

	if (pg->state != PG_READY || n > MOST)
		return -1;
	for (int i = 0; i < n; i++) {
		values[i] = params[i].v.p;
		lengths[i] = (int)params[i].v.n;
		formats[i] = params[i].binary ? 1 : 0;
	}
	snprintf(name, sizeof(name), "s%d", s);
	struct op *op = pg_op_new(pg);
	op->fn = fn;
	op->arg = arg;
	pg_push(pg, op);
	if (PQsendQueryPrepared(pg->conn, name, n, values, lengths, formats, 0) != 1)
		log_warn("db.send", "conn=%s why=\"%s\"", pg->name, PQerrorMessage(pg->conn));	/* the commit that follows finds out */
	return 0;
}

static void
lose_soon(struct pg *pg)
{
	struct timeval now = {0, 0};

	evtimer_add(pg->timer, &now);
}

void
pg_commit(struct pg *pg, pg_done_fn done, void *arg)
{
	struct op *op = pg_op_new(pg);

	op->is_sync = true;
	op->done = done;
	op->arg = arg;
	pg_push(pg, op);
	/* a send that fails is not reported from here: the caller would be called back before it returns */
	if (PQpipelineSync(pg->conn) != 1 || pg_flush(pg) != 0)
		lose_soon(pg);
}

/* While answers come, those behind them are only waiting for their turn. */
bool
pg_give_up(struct pg *pg, int64_t after_us)
{
	struct op *op = STAILQ_FIRST(&pg->waiting);

	if (op == NULL || clock_monotonic() - (op->sent_at > pg->heard_at ? op->sent_at : pg->heard_at) <= after_us)
		return false;
	pg->is_deaf = pg->state == PG_READY;
	pg_lose(pg, "no answer in time");
	return true;
}
