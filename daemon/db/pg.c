/* The pipelined connection. See shared facts of libpq: a dead backend gives NULL for ever, so status is looked at first; PQreset loses
 * pipeline mode, so a lost connection is finished and made anew. It does not know what the statements mean. */
#include "pg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

enum { BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 3000, STUCK_SECONDS = 60, WATCH_SECONDS = 5, CONNECT_SECONDS = 10 };

enum pg_state { PG_WAITING, PG_CONNECTING, PG_PREPARING, PG_READY };

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
	char *conninfo, *schema;	/* copies: the settings' snapshot that they come from may be gone when it connects again */
	int utc_offset;
	struct turn *turn;
	char *name;
	pg_state_fn on_state;
	void *arg;
	PGconn *conn;
	struct event *io, *timer, *watch;
	short io_events;
	int fd;
	enum pg_state state;
	struct op_list waiting;		/* sent, unanswered */
	struct op_list answered;	/* of the segment being read: results kept until it is committed */
	struct op_list spare;
	size_t depth;
	struct pg_outcome outcome;	/* of the segment being read */
	char *message;
	unsigned backoff_ms;
	unsigned prepare_left;
	int64_t state_since;
	bool complained;
};

static void pg_connect(struct pg *pg);
static void pg_on_io(evutil_socket_t fd, short events, void *arg);

static void
pg_enter(struct pg *pg, enum pg_state state)
{
	static const char *const names[] = {"waiting", "connecting", "preparing", "ready"};

	log_debug("db.state", "conn=%s from=%s to=%s", pg->name, names[pg->state], names[state]);
	pg->state = state;
	pg->state_since = clock_monotonic();
}

static struct op *
op_new(struct pg *pg)
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

static void
pg_outcome_reset(struct pg *pg)
{
	free(pg->message);
	pg->message = NULL;
	pg->outcome = (struct pg_outcome){.verdict = PG_DONE, .message = ""};
}

/* Ends the segment that `sync` closes: results first, then its done. The ops are off the lists before anyone is called. */
static void
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

/* Everything in flight is lost; then a new connection after a while, longer each time. */
static void
pg_lose(struct pg *pg, const char *why)
{
	bool was_ready = pg->state == PG_READY;
	struct op *op;

	if (!pg->complained || was_ready)
		log_error("db.lost", "conn=%s in_flight=%zu why=\"%s\"", pg->name, pg->depth, why);
	pg->complained = true;
	if (pg->io != NULL)
		event_free(pg->io);
	pg->io = NULL;
	pg->fd = -1;
	pg_enter(pg, PG_WAITING);
	if (was_ready)
		pg->on_state(pg->arg, false);
	/* callbacks see a connection that is not ready, and cannot add to the list */
	struct op_list lost = STAILQ_HEAD_INITIALIZER(lost);
	STAILQ_CONCAT(&lost, &pg->waiting);
	pg->depth = 0;
	while ((op = STAILQ_FIRST(&lost)) != NULL) {
		STAILQ_REMOVE_HEAD(&lost, link);
		if (op->is_sync) {
			pg->outcome = (struct pg_outcome){.verdict = PG_LOST, .message = why};
			pg_end_segment(pg, op);
		} else {
			STAILQ_INSERT_TAIL(&pg->answered, op, link);
		}
	}
	PQfinish(pg->conn);
	pg->conn = NULL;
	pg_outcome_reset(pg);

	unsigned ms = pg->backoff_ms / 2 + (unsigned)(random() % (long)(pg->backoff_ms / 2 + 1));
	struct timeval delay = {ms / 1000, (ms % 1000) * 1000};
	pg->backoff_ms = pg->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : pg->backoff_ms * 2;
	evtimer_add(pg->timer, &delay);
}

/* Makes the event match what libpq waits for; PQsocket may change while connecting. */
static void
pg_wait_for(struct pg *pg, short events)
{
	int fd = PQsocket(pg->conn);

	if (pg->io != NULL && fd == pg->fd && events == pg->io_events)
		return;
	if (pg->io != NULL)
		event_free(pg->io);
	pg->fd = fd;
	pg->io_events = events;
	pg->io = event_new(pg->base, fd, (short)(events | EV_PERSIST), pg_on_io, pg);
	event_add(pg->io, NULL);
}

static int
pg_flush(struct pg *pg)
{
	int left = PQflush(pg->conn);

	if (left < 0)
		return -1;
	pg_wait_for(pg, left > 0 ? EV_READ | EV_WRITE : EV_READ);
	return 0;
}

static void
prepared_one(void *arg, const PGresult *result)
{
	(void)result;
	struct pg *pg = arg;
	pg->prepare_left--;
}

static void
prepared_all(void *arg, const struct pg_outcome *outcome)
{
	struct pg *pg = arg;

	if (outcome->verdict == PG_LOST)
		return;
	if (outcome->verdict == PG_FAILED) {
		if (!pg->complained)
			log_error("db.prepare", "conn=%s sqlstate=%s why=\"%s\" hint=\"run visitbillctl migrate\"", pg->name, outcome->sqlstate,
			    outcome->message);
		pg->complained = true;
		/* try again later: the migration may be on its way. The socket is closed from the timer, not from inside its own callback */
		pg_enter(pg, PG_WAITING);
		struct timeval delay = {1, 0};
		evtimer_add(pg->timer, &delay);
		return;
	}
	pg->backoff_ms = BACKOFF_MIN_MS;
	pg->complained = false;
	pg_enter(pg, PG_READY);
	pg->on_state(pg->arg, true);
}

static void
pg_push(struct pg *pg, struct op *op)
{
	STAILQ_INSERT_TAIL(&pg->waiting, op, link);
	pg->depth++;
}

/* Every statement in one pipeline: a round trip, then ready. */
static int
pg_prepare(struct pg *pg)
{
	struct op *op;

	pg_enter(pg, PG_PREPARING);
	if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1)
		return -1;
	for (int s = 0; s < STATEMENTS; s++) {
		char name[16];
		snprintf(name, sizeof(name), "s%d", s);
		if (PQsendPrepare(pg->conn, name, statement_sql((enum statement)s), 0, NULL) != 1)
			return -1;
		op = op_new(pg);
		op->fn = prepared_one;
		op->arg = pg;
		pg_push(pg, op);
	}
	if (PQpipelineSync(pg->conn) != 1)
		return -1;
	op = op_new(pg);
	op->is_sync = true;
	op->done = prepared_all;
	op->arg = pg;
	pg_push(pg, op);
	return pg_flush(pg);
}

static void
pg_poll_connect(struct pg *pg)
{
	switch (PQconnectPoll(pg->conn)) {
	case PGRES_POLLING_READING:
		pg_wait_for(pg, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		pg_wait_for(pg, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		if (pg_prepare(pg) != 0)
			pg_lose(pg, PQerrorMessage(pg->conn));
		break;
	default:
		pg_lose(pg, PQerrorMessage(pg->conn));
		break;
	}
}

static void
pg_on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct pg *pg = arg;

	(void)fd, (void)events;
	if (pg->conn != NULL)
		pg_lose(pg, "reconnecting");
	else
		pg_connect(pg);
}

static void
pg_connect(struct pg *pg)
{
	char options[400];
	/* the later one of a repeated keyword wins, so conninfo's own settings stay */
	const char *keys[] = {"options", "fallback_application_name", "connect_timeout", "keepalives_idle", "dbname", NULL};
	const char *values[] = {options, "visitbilld", "10", "15", pg->conninfo, NULL};

	/* a POSIX zone: its sign is the other way round */
	int minutes = abs(pg->utc_offset) / 60;
	char sign = pg->utc_offset < 0 ? '-' : '+';
	/* Everything said here is a look-up by key, and plans are kept: one made while a table was empty must not read all of it later. */
	snprintf(options, sizeof(options), "-c search_path=%s -c timezone=<%c%02d:%02d>%c%d:%02d -c jit=off -c plan_cache_mode=force_generic_plan"
	    " -c enable_seqscan=off -c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s -c client_min_messages=warning",
	    pg->schema, sign, minutes / 60, minutes % 60, sign == '-' ? '+' : '-', minutes / 60, minutes % 60);
	pg_enter(pg, PG_CONNECTING);
	PQconninfoOption *parts = PQconninfoParse(pg->conninfo, NULL);
	if (parts == NULL) {	/* libpq's own words quote it, password and all */
		pg_lose(pg, "[database] conninfo is not a connection string");
		return;
	}
	PQconninfoFree(parts);
	pg->conn = PQconnectStartParams(keys, values, 1);
	if (pg->conn == NULL)
		fatal("out of memory for a database connection");
	if (PQstatus(pg->conn) == CONNECTION_BAD)
		pg_lose(pg, PQerrorMessage(pg->conn));
	else
		pg_wait_for(pg, EV_WRITE);
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

/* Takes what libpq has, matched to our own list. False, and why, when the connection is of no more use. */
static bool
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

static void
pg_on_io(evutil_socket_t fd, short events, void *arg)
{
	struct pg *pg = arg;
	const char *why;

	(void)fd;
	if (pg->turn != NULL)
		turn_begin(pg->turn);
	if (pg->state == PG_CONNECTING) {
		pg_poll_connect(pg);
		return;
	}
	if (pg->conn == NULL)
		return;
	if ((events & EV_READ) != 0 && PQconsumeInput(pg->conn) != 1) {
		pg_lose(pg, PQerrorMessage(pg->conn));
		return;
	}
	if (!pg_read_results(pg, &why))
		pg_lose(pg, why);
	else if (pg_flush(pg) != 0)
		pg_lose(pg, PQerrorMessage(pg->conn));
}

/* A server that neither answers nor closes is as good as gone. */
static void
pg_on_watch(evutil_socket_t fd, short events, void *arg)
{
	struct pg *pg = arg;
	struct op *op = STAILQ_FIRST(&pg->waiting);
	int64_t now = clock_monotonic();

	(void)fd, (void)events;
	if (op != NULL && now - op->sent_at > INT64_C(1000000) * STUCK_SECONDS)
		pg_lose(pg, "no answer for a minute");
	else if (pg->state == PG_CONNECTING && now - pg->state_since > INT64_C(1000000) * CONNECT_SECONDS)
		pg_lose(pg, "connecting took too long");
}

struct pg *
pg_new(struct event_base *base, const struct pg_config *config, const char *name, pg_state_fn on_state, void *arg)
{
	struct pg *pg = memory_new(sizeof(*pg));
	struct timeval every = {WATCH_SECONDS, 0};

	pg->base = base;
	pg->conninfo = memory_text(config->conninfo, strlen(config->conninfo));
	pg->schema = memory_text(config->schema, strlen(config->schema));
	pg->utc_offset = config->utc_offset;
	pg->turn = config->turn;
	pg->name = memory_text(name, strlen(name));
	pg->on_state = on_state;
	pg->arg = arg;
	pg->fd = -1;
	pg->backoff_ms = BACKOFF_MIN_MS;
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
	memory_purge(pg->conninfo);
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
	struct op *op = op_new(pg);
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
	struct op *op = op_new(pg);

	op->is_sync = true;
	op->done = done;
	op->arg = arg;
	pg_push(pg, op);
	/* a send that fails is not reported from here: the caller would be called back before it returns */
	if (PQpipelineSync(pg->conn) != 1 || pg_flush(pg) != 0)
		lose_soon(pg);
}

bool
pg_is_transient(const struct pg_outcome *o)
{
	return o->verdict == PG_FAILED && (strncmp(o->sqlstate, "40", 2) == 0 || strcmp(o->sqlstate, "55P03") == 0
	    || strncmp(o->sqlstate, "57P", 3) == 0 || strncmp(o->sqlstate, "53", 2) == 0);
}
