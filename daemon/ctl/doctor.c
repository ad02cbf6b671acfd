/* doctor: what a hospital should have put right before the worst night, a line each with the mend. It only looks. What it needs to know of the database
 * is asked as the daemon's role, so it sees what the daemon will. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl.h"
#include "database.h"
#include "db/servers.h"
#include "db/statements.h"
#include "doctor_certificates.h"
#include "proto/arena.h"

enum { LOOK_MS = 5000 };

void
doctor_say(struct doctor *d, bool good, const char *what, const char *found, const char *mend)
{
	if (good)
		printf("ok    %s: %s\n", what, found);
	else
		printf("MEND  %s: %s; %s\n", what, found, mend);
	d->bad += !good;
}

/* ------- the servers */

/* Every host of the conninfo, not only the one that is used. Returns how many are primaries. */
static size_t
look_at_servers(struct doctor *d, struct servers *s)
{
	size_t primaries = 0;

	for (size_t i = 0; i < servers_count(s); i++) {
		struct server_identity id;
		char error[600] = "";
		PGconn *db = servers_look(s, i, "visitbillctl", LOOK_MS, &id, error, sizeof(error));
		const char *what = arena_printf(&d->arena, "server %s", servers_name(s, i));
		if (db == NULL) {
			for (char *p = error; *p != '\0'; p++)
				*p = *p == '\n' || *p == '\t' ? ' ' : *p;
			doctor_say(d, false, what, error, "start it, or take it out of [database] conninfo");
			continue;
		}
		primaries += !id.standby;
		doctor_say(d, true, what, id.standby ? "a standby" : arena_printf(&d->arena, "the primary, timeline %u", id.timeline), "");
		PQfinish(db);
	}
	return primaries;
}

/* ------- the settings of the server */

static const char *
setting(PGconn *db, struct doctor *d, const char *name)
{
	const char *values[] = {name};
	PGresult *r = database_query(db, "select coalesce(current_setting($1, true), '')", 1, values);
	const char *text = r != NULL ? arena_printf(&d->arena, "%s", PQgetvalue(r, 0, 0)) : "";

	PQclear(r);
	return text;
}

static void
check_durability(struct doctor *d, PGconn *db, size_t servers)
{
	static const char *const on[] = {"fsync", "full_page_writes"};

	for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
		const char *value = setting(db, d, on[i]);
		doctor_say(d, strcmp(value, "on") == 0, on[i], value, arena_printf(&d->arena, "set %s = on: without it a crash loses what was acknowledged", on[i]));
	}
	const char *commit = setting(db, d, "synchronous_commit");
	doctor_say(d, strcmp(commit, "on") == 0 || strcmp(commit, "remote_apply") == 0, "synchronous_commit", commit,
	    "set it to on: anything less acknowledges lines that a crash can take back");
	const char *names = setting(db, d, "synchronous_standby_names");
	if (servers > 1)
		doctor_say(d, names[0] != '\0', "synchronous_standby_names", names[0] != '\0' ? names : "empty",
		    "name the standby: else what it has not yet received is lost with the primary");
}

/* ------- what one row says */

static void
check_row(struct doctor *d, PGconn *db, const char *what, const char *sql, const char *mend)
{
	PGresult *r = database_query(db, sql, 0, NULL);

	if (r != NULL && PQntuples(r) == 1)
		doctor_say(d, PQgetvalue(r, 0, 0)[0] == 't', what, arena_printf(&d->arena, "%s", PQgetvalue(r, 0, 1)), mend);
	else
		d->bad++;	/* the complaint is on stderr */
	PQclear(r);
}

static void
check_clock(struct doctor *d, PGconn *db)
{
	int64_t before = clock_now();
	PGresult *r = database_query(db, "select (extract(epoch from clock_timestamp()) * 1000000)::bigint", 0, NULL);

	if (r == NULL) {
		d->bad++;
		return;
	}
	int64_t now = clock_now(), ahead_ms = (strtoll(PQgetvalue(r, 0, 0), NULL, 10) - (before + now) / 2) / 1000;
	doctor_say(d, llabs(ahead_ms) < 2000, "clock", arena_printf(&d->arena, "the server's is %" PRId64 " ms ahead of this machine's", ahead_ms),
	    "let NTP set both: signatures, due times and watermarks are judged by them");
	PQclear(r);
}

/* The name of the function that a statement calls: what stands before its first parenthesis. */
static const char *
function_of(struct doctor *d, const char *sql)
{
	const char *end = strchr(sql, '('), *begin = end;

	while (begin > sql && begin[-1] != ' ' && begin[-1] != '.')
		begin--;
	return arena_printf(&d->arena, "%.*s", (int)(end - begin), begin);
}

static void
check_grants(struct doctor *d, PGconn *db)
{
	const char *names = "";
	for (int s = 0; s < STATEMENTS; s++)
		names = arena_printf(&d->arena, "%s%s%s", names, s > 0 ? "," : "{", function_of(d, statement_sql((enum statement)s)));
	const char *values[] = {arena_printf(&d->arena, "%s}", names)};
	PGresult *r = database_query(db, "select string_agg(n, ' ') from unnest($1::text[]) n where not exists (select from pg_proc p"
	    " where p.pronamespace = current_schema::regnamespace and p.proname = n and has_function_privilege(p.oid, 'execute'))", 1, values);

	if (r != NULL)
		doctor_say(d, PQgetisnull(r, 0, 0), "functions", PQgetisnull(r, 0, 0) ? "all there and granted"
		    : arena_printf(&d->arena, "not there, or not granted: %s", PQgetvalue(r, 0, 0)), "run visitbillctl migrate as the schema's owner");
	else
		d->bad++;
	PQclear(r);
}

static void
check_database(struct doctor *d, PGconn *db, const struct config *c, size_t servers)
{
	check_row(d, db, "version", "select current_setting('server_version_num')::int >= 150000, 'PostgreSQL ' || current_setting('server_version')",
	    "use PostgreSQL 15 or newer");
	check_durability(d, db, servers);
	check_row(d, db, "standbys", servers > 1 ? "select count(*) > 0, count(*) || ' streaming' from pg_stat_replication"
	    : "select true, count(*) || ' streaming' from pg_stat_replication", "start the standby, and see why it does not stream");
	check_clock(d, db);
	check_grants(d, db);
	check_row(d, db, "role", "select not has_table_privilege('charge', 'insert'), current_user || case when has_table_privilege('charge', 'insert')"
	    " then ' may write tables' else ' reads, and calls functions' end", "connect as a role of its own, not as the owner or a superuser");
	check_row(d, db, "partitions", "select room > 100000, room || ' visits until the last partition of charge is full' from (select coalesce(max("
	    "(regexp_match(pg_get_expr(c.relpartbound, c.oid), $r$TO \\('?(\\d+)'?\\)$r$))[1]::bigint), 0) - coalesce((select max(visit_id) from visit), 0) as room"
	    " from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'charge'::regclass) p",
	    "a running daemon makes them ahead; start one, or call partitions_ahead()");
	check_row(d, db, "connections", arena_printf(&d->arena, "select room >= %" PRId64 ", room || ' free, a daemon takes %" PRId64 "' from (select"
	    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
	    " - (select count(*) from pg_stat_activity where backend_type = 'client backend') + 1 as room) m", c->database.pool + c->database.lanes + 3,
	    c->database.pool + c->database.lanes + 3), "raise max_connections, or take others away");
}

int
ctl_doctor(const struct ctl *c, int argc, char **argv)
{
	struct doctor d = {0};

	if (ctl_arguments(c, argc, argv, NULL, 0, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	doctor_say(&d, true, "settings", c->config_path, "");
	doctor_certificates(&d, c->config);
	struct servers *s = servers_new(c->config->database.conninfo);
	if (s == NULL)
		return ctl_failed("the conninfo of [database] is not a connection string");
	size_t primaries = look_at_servers(&d, s);
	if (primaries > 1)
		doctor_say(&d, false, "primaries", arena_printf(&d.arena, "%zu of them", primaries),
		    "stop the one on the older timeline, and make it a standby of the other (pg_rewind, or a new base backup)");
	PGconn *db = database_open(c, DATABASE_READ);
	if (db != NULL)
		check_database(&d, db, c->config, servers_count(s));
	else
		d.bad++;
	PQfinish(db);
	servers_free(s);
	arena_free(&d.arena);
	return d.bad == 0 ? CTL_OK : ctl_failed("%zu to mend", d.bad);
}
