/* How a connection is made, watched and lost. States: waiting (for a moment, then the next server is tried), connecting, preparing (who is it? and every
 * statement in one pipeline), ready. A lost connection is finished and made anew: PQreset would lose pipeline mode. The servers are tried in turn, each for
 * a few seconds, beginning with the one that was ours. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "pg_inside.h"
#include "schema_version.h"

enum { BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 1000, NEXT_SERVER_MS = 20, PREPARE_AGAIN_MS = 1000, PING_MS = 2000, LOOKED_UP_MS = 20 };

static void pg_on_io(evutil_socket_t fd, short events, void *arg);

static void
pg_enter(struct pg *pg, enum pg_state state)
{
	static const char *const names[] = {"waiting", "connecting", "preparing", "ready"};

	log_debug("db.state", "conn=%s server=%s from=%s to=%s", pg->name, servers_name(pg->servers, pg->server), names[pg->state], names[state]);
	pg->state = state;
	pg->state_since = pg->heard_at = clock_monotonic();
}

static void
pg_after(struct pg *pg, unsigned ms)
{
	struct timeval delay = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(pg->timer, &delay);
}

/* ------- losing */

/* The other servers at once, the same ones again after a while, longer each time; not all connections at one moment. From a server that let us in and does not
 * answer, the next one is asked first: it may be the primary by now, and this one an old one that waits for a standby for ever. */
static void
pg_connect_later(struct pg *pg, bool was_ready)
{
	if (was_ready) {
		pg->server = (servers_ours(pg->servers) + (pg->is_deaf ? 1 : 0)) % servers_count(pg->servers);
		pg->tried = 0;
		pg->is_deaf = false;
	} else {
		pg->server = (pg->server + 1) % servers_count(pg->servers);
		pg->tried++;
	}
	if (pg->tried > 0 && pg->tried < servers_count(pg->servers)) {
		pg_after(pg, NEXT_SERVER_MS);
		return;
	}
	pg->tried = 0;
	pg_after(pg, pg->backoff_ms / 2 + (unsigned)(random() % (long)(pg->backoff_ms / 2 + 1)));
	pg->backoff_ms = pg->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : pg->backoff_ms * 2;
}

/* What the backend had in work goes on there by itself, and may hold its locks for long. */
static void
pg_note_stranded(struct pg *pg)
{
	if (pg->depth == 0 || pg->started[0] == '\0')
		return;
	pg->stranded.server = pg->server;
	pg->stranded.pid = PQbackendPID(pg->conn);
	memcpy(pg->stranded.started, pg->started, sizeof(pg->started));
}

void
pg_lose(struct pg *pg, const char *why)
{
	bool was_ready = pg->state == PG_READY;
	struct op *op;

	if (servers_is_news(pg->servers, pg->server, why))
		log_error("db.lost", "conn=%s server=%s in_flight=%zu why=\"%.*s\"", pg->name, servers_name(pg->servers, pg->server), pg->depth,
		    (int)strcspn(why, "\n"), why);
	pg_note_stranded(pg);
	if (pg->io != NULL)
		event_free(pg->io);
	pg->io = NULL;
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
	pg->started[0] = '\0';
	pg_outcome_reset(pg);
	pg_connect_later(pg, was_ready);
}

/* ------- preparing */

/* Is the schema this program's? The server is asked in a segment of its own: where it holds none of ours, nothing that follows says so better. */
static void
on_version(void *arg, const PGresult *result)
{
	struct pg *pg = arg;
	int version = atoi(PQgetvalue(result, 0, 0));

	if (pg->refused != NULL || version == schema_version)
		return;
	snprintf(pg->why, sizeof(pg->why), "schema %s is at version %d, and this visitbilld is made for %d: %s", pg->schema, version, schema_version,
	    version < schema_version ? "run visitbillctl migrate" : "start the one that belongs to it");
	pg->refused = pg->why;
}

static void
on_known(void *arg, const struct pg_outcome *outcome)
{
	struct pg *pg = arg;

	if (outcome->verdict != PG_FAILED || pg->refused != NULL)
		return;
	if (strcmp(outcome->sqlstate, "42P01") == 0)
		snprintf(pg->why, sizeof(pg->why), "schema %s holds no visitbill, or this role may not see it: run visitbillctl migrate", pg->schema);
	else
		snprintf(pg->why, sizeof(pg->why), "%s", outcome->message);
	pg->refused = pg->why;
}

/* Who is it, and when did this backend begin? */
static void
on_identity(void *arg, const PGresult *result)
{
	struct pg *pg = arg;
	struct server_identity id;

	server_identity_read(result, &id);
	pg->refused = servers_judge(pg->servers, pg->server, &id);
	if (pg->refused == NULL && id.read_only)
		pg->refused = "the server lets nobody write: default_transaction_read_only is on";
	snprintf(pg->started, sizeof(pg->started), "%s", PQgetvalue(result, 0, IDENTITY_STARTED));
}

static void
on_identified(void *arg, const struct pg_outcome *outcome)
{
	struct pg *pg = arg;

	if (outcome->verdict != PG_FAILED)
		return;
	snprintf(pg->why, sizeof(pg->why), "it did not say who it is: %s", outcome->message);
	pg->refused = pg->why;
}

static void
on_ended(void *arg, const PGresult *result)
{
	struct pg *pg = arg;

	if (PQntuples(result) > 0)
		log_warn("db.ended", "conn=%s pid=%d why=\"it was left with something in work\"", pg->name, pg->stranded.pid);
	pg->stranded.pid = 0;
}

static void
on_prepared(void *arg, const struct pg_outcome *outcome)
{
	struct pg *pg = arg;

	if (outcome->verdict == PG_LOST)
		return;
	if (outcome->verdict == PG_FAILED && pg->refused == NULL) {
		if (servers_is_news(pg->servers, pg->server, outcome->message))
			log_error("db.prepare", "conn=%s sqlstate=%s why=\"%s\" hint=\"run visitbillctl migrate\"", pg->name, outcome->sqlstate,
			    outcome->message);
		pg->stranded.pid = 0;	/* its end may be what failed: it is not tried again */
		/* try again later: the migration may be on its way. The socket is closed from the timer, not from inside its own callback */
		pg_enter(pg, PG_WAITING);
		pg_after(pg, PREPARE_AGAIN_MS);
		return;
	}
	if (pg->refused != NULL) {
		if (servers_is_news(pg->servers, pg->server, pg->refused))
			log_error("db.refused", "conn=%s server=%s why=\"%s\"", pg->name, servers_name(pg->servers, pg->server), pg->refused);
		pg_enter(pg, PG_WAITING);
		pg_after(pg, 0);
		return;
	}
	pg->backoff_ms = BACKOFF_MIN_MS;
	pg->tried = 0;
	servers_is_well(pg->servers, pg->server);
	pg_enter(pg, PG_READY);
	pg->on_state(pg->arg, true);
}

static int
pg_ask(struct pg *pg, const char *sql, int n, const char *const *values, pg_result_fn fn)
{
	if (PQsendQueryParams(pg->conn, sql, n, NULL, values, NULL, NULL, 0) != 1)
		return -1;
	struct op *op = pg_op_new(pg);
	op->fn = fn;
	op->arg = pg;
	pg_push(pg, op);
	return 0;
}

/* A backend of ours that was left behind on this server: it would wait, and keep others waiting. By its beginning, too: the number may be another's by
 * now. Ended, not cancelled: where a commit waits for a standby, a cancelled one says that all is well. */
static int
pg_end_stranded(struct pg *pg)
{
	char pid[16];
	const char *values[] = {pid, pg->stranded.started};

	if (pg->stranded.pid == 0 || pg->stranded.server != pg->server)
		return 0;
	snprintf(pid, sizeof(pid), "%d", pg->stranded.pid);
	return pg_ask(pg, "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1::int and backend_start = $2::timestamptz", 2, values, on_ended);
}

static int
pg_end_preparation(struct pg *pg, pg_done_fn done)
{
	if (PQpipelineSync(pg->conn) != 1)
		return -1;
	struct op *op = pg_op_new(pg);
	op->is_sync = true;
	op->done = done;
	op->arg = pg;
	pg_push(pg, op);
	return 0;
}

/* A round trip, then ready. */
static int
pg_prepare(struct pg *pg)
{
	pg_enter(pg, PG_PREPARING);
	pg->refused = "it did not say who it is";
	if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1)
		return -1;
	if (pg_ask(pg, server_identity_sql, 0, NULL, on_identity) != 0 || pg_end_preparation(pg, on_identified) != 0
	    || pg_ask(pg, "select coalesce(max(version), 0) from schema_version", 0, NULL, on_version) != 0 || pg_end_preparation(pg, on_known) != 0
	    || pg_end_stranded(pg) != 0)
		return -1;
	for (int s = 0; s < STATEMENTS; s++) {
		char name[16];
		snprintf(name, sizeof(name), "s%d", s);
		if (PQsendPrepare(pg->conn, name, statement_sql((enum statement)s), 0, NULL) != 1)
			return -1;
		pg_push(pg, pg_op_new(pg));
	}
	return pg_end_preparation(pg, on_prepared) == 0 ? pg_flush(pg) : -1;
}

/* ------- connecting */

/* The event is made anew for each step: libpq may have closed its socket and opened another one under the same number. */
static void
pg_poll_connect(struct pg *pg)
{
	if (pg->io != NULL)
		event_free(pg->io);
	pg->io = NULL;
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

void
pg_connect(struct pg *pg)
{
	char options[500];
	/* a POSIX zone: its sign is the other way round */
	int minutes = abs(pg->utc_offset) / 60;
	char sign = pg->utc_offset < 0 ? '-' : '+';
	long long answer = pg->answer_ms, lock = pg->lock_ms;
	const char *address, *why;

	if (pg->state != PG_CONNECTING)
		pg_enter(pg, PG_CONNECTING);
	if (!servers_find(pg->servers, pg->server, &address, &why)) {
		if (why != NULL)
			pg_lose(pg, why);
		else	/* until connecting has taken too long */
			pg_after(pg, LOOKED_UP_MS);
		return;
	}
	/* Everything said here is a look-up by key, and plans are kept: one made while a table was empty must not read all of it later. What takes too long
	 * is ended by the server itself, before we give it up. */
	snprintf(options, sizeof(options), "-c search_path=%s -c timezone=<%c%02d:%02d>%c%d:%02d -c jit=off -c plan_cache_mode=force_generic_plan"
	    " -c enable_seqscan=off -c statement_timeout=%lld -c lock_timeout=%lld -c idle_in_transaction_session_timeout=%lld -c client_min_messages=warning",
	    pg->schema, sign, minutes / 60, minutes % 60, sign == '-' ? '+' : '-', minutes / 60, minutes % 60, answer * 9 / 10, lock, answer);
	pg->conn = servers_connect(pg->servers, pg->server, address, "visitbilld", options, pg->answer_ms);
	if (pg->conn == NULL)
		fatal("out of memory for a database connection");
	if (PQstatus(pg->conn) == CONNECTION_BAD)
		pg_lose(pg, PQerrorMessage(pg->conn));
	else
		pg_wait_for(pg, EV_WRITE);
}

/* ------- what the loop brings */

void
pg_on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct pg *pg = arg;

	(void)fd, (void)events;
	if (pg->conn != NULL)
		pg_lose(pg, pg->refused != NULL ? pg->refused : "reconnecting");
	else
		pg_connect(pg);
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
	if ((events & EV_READ) != 0) {
		pg->heard_at = clock_monotonic();
		if (PQconsumeInput(pg->conn) != 1) {
			pg_lose(pg, PQerrorMessage(pg->conn));
			return;
		}
	}
	if (!pg_read_results(pg, &why))
		pg_lose(pg, why);
	else if (pg_flush(pg) != 0)
		pg_lose(pg, PQerrorMessage(pg->conn));
}

void
pg_wait_for(struct pg *pg, short events)
{
	if (pg->io != NULL && events == pg->io_events)
		return;
	if (pg->io != NULL)
		event_free(pg->io);
	pg->io_events = events;
	pg->io = event_new(pg->base, PQsocket(pg->conn), (short)(events | EV_PERSIST), pg_on_io, pg);
	event_add(pg->io, NULL);
}

/* A server that neither answers nor closes is as good as gone. One that nobody asks anything is asked whether it is there. */
void
pg_on_watch(evutil_socket_t fd, short events, void *arg)
{
	struct pg *pg = arg;
	int64_t now = clock_monotonic();

	(void)fd, (void)events;
	if (pg_give_up(pg, pg->answer_ms * 1000))
		return;
	if (pg->state == PG_READY && pg->server != servers_ours(pg->servers)) {
		pg_lose(pg, "another server is ours by now");
	} else if (pg->state == PG_CONNECTING && now - pg->state_since > pg->connect_ms * 1000) {
		pg_lose(pg, "connecting took too long");
	} else if (STAILQ_EMPTY(&pg->waiting) && pg->state == PG_READY && now - pg->heard_at > PING_MS * INT64_C(1000)) {
		pg_commit(pg, NULL, NULL);
	}
}
