/* doctor's look at the server that the daemon would use: its version and settings, its clock, its standbys; then the schema, its functions, what the daemon's
 * role may do, and what runs out. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bundle.h"
#include "database.h"
#include "db/statements.h"
#include "doctor.h"

/* Room in the last partition of each table that has them, by number; a tenth of what partitions_ahead makes is little. The functions that know are the
 * owner's. */
static const char partitions_sql[] =
    "select bool_and(room > least), string_agg(room || ' ' || what, ', ' order by least / room desc) || ' until the last partition is full' from ("
    "    select k.what, k.least, greatest(coalesce(max((regexp_match(pg_get_expr(c.relpartbound, c.oid), $r$TO \\('?(\\d+)'?\\)$r$))[1]::bigint), 0)"
    "           - coalesce(k.newest, 0), 1) as room"
    "      from (values ('charge', 'visits', 100000, (select max(visit_id) from visit)), ('event', 'events', 800000, (select max(event_id) from event)),"
    "                   ('journal', 'journal entries', 400000, (select max(entry_id) from journal)),"
    "                   ('quarantine_bytes', 'quarantined messages', 10000, (select max(message_id) from quarantine_message)))"
    "           k (name, what, least, newest)"
    "      left join pg_inherits i on i.inhparent = k.name::regclass left join pg_class c on c.oid = i.inhrelid group by k.what, k.least, k.newest) p";

/* As the server itself has told; PostgreSQL 14 and newer do. */
static bool
is_standby(const PGconn *db)
{
	const char *standby = PQparameterStatus(db, "in_hot_standby");

	return standby != NULL && strcmp(standby, "on") == 0;
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

/* Which of them is synchronous only a role may see that reads all statistics; that commits of its own role wait, anyone. */
static const char standbys_sql[] =
    "select count(*) as n, coalesce(bool_or(r.sync_state is not null), false) as visible, count(*) filter (where r.sync_state in ('sync', 'quorum')) as synchronous,"
    " (select count(*) from pg_stat_activity a where a.wait_event = 'SyncRep' and a.state_change < clock_timestamp() - interval '2 seconds') as waiting"
    " from pg_stat_replication r where r.state is null or r.state = 'streaming'";

/* wanted: commits have to wait for one. */
static void
judge_standbys(struct doctor *d, const PGresult *r, bool wanted, size_t servers)
{
	enum { N, VISIBLE, SYNCHRONOUS, WAITING };
	const char *n = PQgetvalue(r, 0, N), *synchronous = PQgetvalue(r, 0, SYNCHRONOUS), *waiting = PQgetvalue(r, 0, WAITING);
	bool any = strcmp(n, "0") != 0, seen = PQgetvalue(r, 0, VISIBLE)[0] == 't';

	if (!any && (wanted || servers > 1))
		doctor_say(d, false, "standbys", "none streams", wanted ? "start the standby, and see why it does not stream: until then no commit ends"
		    : "start the standby, and see why it does not stream");
	else if (!any)
		doctor_note(d, "standbys", "none", "what is acknowledged is on this server's disk alone: with it all is lost that is in no backup and no archive");
	else if (wanted && strcmp(waiting, "0") != 0)
		doctor_say(d, false, "standbys", arena_printf(&d->arena, "%s streaming, and %s commits wait", n, waiting), "see that the standby has the application_name"
		    " that synchronous_standby_names asks for (primary_conninfo there), and that its disk and the network take what is sent");
	else if (wanted && seen && strcmp(synchronous, "0") == 0)
		doctor_say(d, false, "standbys", arena_printf(&d->arena, "%s streaming, none of them synchronous", n), "give the standby the application_name that"
		    " synchronous_standby_names asks for (primary_conninfo there): until then no commit ends");
	else if (wanted)
		doctor_say(d, true, "standbys", seen ? arena_printf(&d->arena, "%s streaming, %s synchronous", n, synchronous)
		    : arena_printf(&d->arena, "%s streaming", n), "");
	else
		doctor_note(d, "standbys", arena_printf(&d->arena, "%s streaming, and no commit waits for one", n),
		    "what it has not yet received is lost with this server's disk; synchronous_standby_names would have commits wait");
}

static void
check_standbys(struct doctor *d, PGconn *db, bool wanted, size_t servers)
{
	PGresult *r = database_query(db, standbys_sql, 0, NULL);

	if (r != NULL)
		judge_standbys(d, r, wanted, servers);
	else
		d->bad++;
	PQclear(r);
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
	if (servers > 1 || names[0] != '\0')
		doctor_say(d, names[0] != '\0', "synchronous_standby_names", names[0] != '\0' ? names : "empty",
		    "name the standby: else what it has not yet received is lost with the primary");
	if (!is_standby(db))
		check_standbys(d, db, names[0] != '\0', servers);
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

static bool
check_grants(struct doctor *d, PGconn *db)
{
	const char *names = "";
	for (int s = 0; s < STATEMENTS; s++)
		names = arena_printf(&d->arena, "%s%s%s", names, s > 0 ? "," : "{", function_of(d, statement_sql((enum statement)s)));
	const char *values[] = {arena_printf(&d->arena, "%s}", names)};
	PGresult *r = database_query(db, "select string_agg(n, ' ') from unnest($1::text[]) n where not exists (select from pg_proc p"
	    " where p.pronamespace = current_schema::regnamespace and p.proname = n and has_function_privilege(p.oid, 'execute'))", 1, values);

	bool good = r != NULL && PQgetisnull(r, 0, 0);
	if (r != NULL)
		doctor_say(d, good, "grants", good ? "all there and granted"
		    : arena_printf(&d->arena, "not there, or not granted: %s", PQgetvalue(r, 0, 0)), "run visitbillctl migrate as the schema's owner");
	else
		d->bad++;
	PQclear(r);
	return good;
}

/* Whether the schema is this program's. */
static bool
check_schema(struct doctor *d, PGconn *db, const struct config *c)
{
	int version = database_schema_version(db), newest = bundle_migrations[bundle_n_migrations - 1].version;
	const char *schema = c->database.schema;

	if (version < 0)
		d->bad++;
	else if (version == 0)
		doctor_say(d, false, "schema", arena_printf(&d->arena, "%s holds no visitbill, or %s may not see it", schema, PQuser(db)), "run visitbillctl migrate");
	else
		doctor_say(d, version == newest, "schema", arena_printf(&d->arena, "%s is at version %d, this program is made for %d", schema, version, newest),
		    version < newest ? "run visitbillctl migrate, and restart the daemons" : "use the newer visitbilld and visitbillctl; there is no way back");
	return version == newest;
}

/* Another build's may have the same names. */
static void
check_build(struct doctor *d, PGconn *db)
{
	doctor_row(d, db, "functions", arena_printf(&d->arena, "select sha256 = '%s', 'applied ' || to_char(applied_at, 'YYYY-MM-DD HH24:MI') || case when sha256 = '%s'"
	    " then ', this program''s' else ', of another build than this program' end from schema_functions order by applied_id desc limit 1",
	    bundle_functions_sha256, bundle_functions_sha256), "run the visitbillctl migrate that came with the daemon");
}

/* The facilities of the settings are among those of the schema, else it is another hospital's. */
static void
check_hospital(struct doctor *d, PGconn *db, const struct config *c)
{
	const char *codes = "{";
	for (size_t i = 0; i < c->n_facilities; i++)
		codes = arena_printf(&d->arena, "%s%s\"%s\"", codes, i > 0 ? "," : "", c->facilities[i].code);
	const char *values[] = {arena_printf(&d->arena, "%s}", codes)};
	PGresult *r = database_query(db, "select string_agg(code, ', ' order by code), exists (select from facility where code = any ($1::text[]))"
	    " from (select code from facility order by code limit 20) few", 1, values);

	if (r == NULL)
		d->bad++;
	else if (PQgetisnull(r, 0, 0))
		doctor_say(d, true, "hospital", "the schema is new", "");
	else
		doctor_say(d, PQgetvalue(r, 0, 1)[0] == 't', "hospital", arena_printf(&d->arena, "the schema has facilities %s", PQgetvalue(r, 0, 0)),
		    "none of them is in the settings: [database] names another hospital's database or schema");
	PQclear(r);
}

void
doctor_database(struct doctor *d, PGconn *db, const struct config *c, size_t servers)
{
	doctor_row(d, db, "version", "select current_setting('server_version_num')::int >= 150000, 'PostgreSQL ' || current_setting('server_version')",
	    "use PostgreSQL 15 or newer");
	check_durability(d, db, servers);
	check_clock(d, db);
	bool granted = false;
	if (check_schema(d, db, c)) {
		check_build(d, db);
		granted = check_grants(d, db);
		check_hospital(d, db, c);
		doctor_row(d, db, "role", "select not has_table_privilege('charge', 'insert'), current_user || case when has_table_privilege('charge', 'insert')"
		    " then ' may write tables' else ' reads, and calls functions' end", "connect as a role of its own, not as the owner or a superuser");
		doctor_row(d, db, "partitions", partitions_sql,
		    "a running daemon makes them ahead; start one, or call partitions_ahead()");
	}
	if (!is_standby(db))
		doctor_writes(d, db, granted);
	int64_t takes = c->database.pool + c->database.lanes + 3;
	doctor_row(d, db, "connections", arena_printf(&d->arena, "select room >= %" PRId64 ", room || ' free, a daemon takes %" PRId64 "' from (select"
	    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
	    " - (select count(*) from pg_stat_activity where backend_type = 'client backend') + 1 as room) m", takes, takes),
	    "raise max_connections, or take others away");
}
