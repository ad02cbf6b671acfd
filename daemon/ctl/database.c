/* Connecting as the configuration says, and asking. */
#include "database.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "db/servers.h"

enum { CONNECT_MS = 10000 };	/* each server */

/* PostgreSQL's messages may have several lines; ours have one. */
static const char *
one_line(const char *text, char *buf, size_t size)
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < size; text++) {
		bool blank = *text == '\n' || *text == '\t' || *text == ' ';
		if (!blank)
			buf[n++] = *text;
		else if (n > 0 && buf[n - 1] != ' ')
			buf[n++] = ' ';
	}
	while (n > 0 && buf[n - 1] == ' ')
		n--;
	buf[n] = '\0';
	return buf;
}

const char *
database_complaint(const PGconn *db, const PGresult *r, char *buf, size_t size)
{
	char whole[1024];
	const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY), *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);

	if (primary == NULL)
		return one_line(PQerrorMessage(db), buf, size);
	snprintf(whole, sizeof(whole), "%s%s%s", primary, detail != NULL ? ": " : "", detail != NULL ? detail : "");
	return one_line(whole, buf, size);
}

static void
on_notice(void *arg, const PGresult *r)
{
	char buf[1024];
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	(void)arg;
	ctl_failed("%s", one_line(text != NULL ? text : "", buf, sizeof(buf)));
}

/* name: of the standby that it is, in buf; unchanged on the primary. */
static PGconn *
connect_to(const char *conninfo, enum database_server server, char *name, size_t name_size)
{
	char error[1024] = "", buf[1024];
	size_t n = 0;
	struct servers *servers = servers_new(conninfo, error, sizeof(error));

	if (servers == NULL) {
		ctl_failed("[database] %s", error);
		return NULL;
	}
	PGconn *db = server == DATABASE_STANDBY ? servers_open_standby(servers, "visitbillctl", CONNECT_MS, &n, error, sizeof(error))
	    : servers_open(servers, "visitbillctl", CONNECT_MS, error, sizeof(error));
	if (db != NULL && server == DATABASE_STANDBY)
		snprintf(name, name_size, "%s", servers_name(servers, n));
	if (db != NULL)
		PQsetNoticeReceiver(db, on_notice, NULL);
	else
		ctl_failed("%s", one_line(error, buf, sizeof(buf)));
	servers_free(servers);
	return db;
}

int
database_server_read(const char *word, enum database_server *ret)
{
	bool standby = strcmp(word, "standby") == 0;

	if (!standby && strcmp(word, "primary") != 0)
		return -1;
	*ret = standby ? DATABASE_STANDBY : DATABASE_PRIMARY;
	return 0;
}

/* How far a standby is behind: the newest transaction that it has replayed, and what it has received and not replayed. */
static const char lag_sql[] =
    "select coalesce('its newest transaction is of ' || to_char(t, 'YYYY-MM-DD HH24:MI:SS') || ', ' || round(extract(epoch from clock_timestamp() - t), 1)"
    " || ' s ago', 'it has replayed no transaction since it started') || ', ' || coalesce(greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(),"
    " pg_last_wal_replay_lsn()), 0), 0) || ' bytes of log wait for replay' || case when exists (select from pg_stat_wal_receiver) then ''"
    " else '; NO log streams to it: it falls behind' end from pg_last_xact_replay_timestamp() t";

static int
say_lag(PGconn *db, const char *name)
{
	PGresult *r = database_query(db, lag_sql, 0, NULL);

	if (r == NULL)
		return -1;
	ctl_failed("on %s, a standby: %s", name, PQgetvalue(r, 0, 0));
	PQclear(r);
	return 0;
}

/* The temporary schema comes last: first, by default, it would let anyone who may make temporary tables stand in for ours. */
static int
set_session(PGconn *db, const struct config *config)
{
	char sql[512];
	char *schema = PQescapeIdentifier(db, config->database.schema, strlen(config->database.schema));
	int64_t offset = config->hospital.utc_offset, minutes = (offset < 0 ? -offset : offset) / 60;

	if (schema == NULL)
		return -1;
	snprintf(sql, sizeof(sql), "set client_min_messages = warning; set search_path = %s, pg_temp;"
	    " set time zone interval '%c%02" PRId64 ":%02" PRId64 "' hour to minute", schema, offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
	PQfreemem(schema);
	return database_run(db, sql);
}

int
database_schema_version(PGconn *db)
{
	PGresult *r = database_query(db, "select to_regclass('schema_version') is not null", 0, NULL);
	int version = -1;

	if (r == NULL)
		return -1;
	bool there = PQgetvalue(r, 0, 0)[0] == 't';
	PQclear(r);
	if (!there)
		return 0;
	if ((r = database_query(db, "select coalesce(max(version), 0) from schema_version", 0, NULL)) != NULL)
		version = (int)strtol(PQgetvalue(r, 0, 0), NULL, 10);
	PQclear(r);
	return version;
}

int
database_check_version(PGconn *db, const struct config *config)
{
	int version = database_schema_version(db), newest = bundle_migrations[bundle_n_migrations - 1].version;

	if (version < 0)
		return -1;
	if (version == 0)
		ctl_failed("schema %s holds no visitbill, or %s may not see it: run visitbillctl migrate", config->database.schema, PQuser(db));
	else if (version < newest)
		ctl_failed("schema %s is at version %d and this binary needs %d: run visitbillctl migrate", config->database.schema, version, newest);
	else if (version > newest)
		ctl_failed("schema %s is at version %d, newer than this binary knows (%d): use a newer visitbillctl", config->database.schema, version,
		    newest);
	return version == newest ? 0 : -1;
}

/* What a session begins with. */
static const char *const beginnings[] = {
	[DATABASE_READ] = "begin isolation level repeatable read, read only",
	[DATABASE_LOOK] = "set default_transaction_read_only = on",
	[DATABASE_READ_EACH] = "set default_transaction_read_only = on; set max_parallel_workers_per_gather = 0",
	[DATABASE_WRITE] = "begin",
	[DATABASE_OWNER_WRITE] = "begin",
	[DATABASE_OWNER] = NULL,
};

int
database_begin(PGconn *db, const struct config *config, enum database_access access)
{
	PQsetNoticeReceiver(db, on_notice, NULL);
	return set_session(db, config) == 0 && (beginnings[access] == NULL || database_run(db, beginnings[access]) == 0) ? 0 : -1;
}

PGconn *
database_open_on(const struct ctl *c, enum database_server server, enum database_access access)
{
	const struct config *config = c->config;
	bool owner = access == DATABASE_OWNER || access == DATABASE_OWNER_WRITE;
	char name[200] = "";
	PGconn *db = connect_to(owner && config->database.owner_conninfo[0] != '\0' ? config->database.owner_conninfo : config->database.conninfo, server,
	    name, sizeof(name));

	if (db == NULL)
		return NULL;
	bool any = access == DATABASE_OWNER || access == DATABASE_LOOK;
	if (set_session(db, config) == 0 && (server == DATABASE_PRIMARY || say_lag(db, name) == 0) && (any || database_check_version(db, config) == 0)
	    && (beginnings[access] == NULL || database_run(db, beginnings[access]) == 0))
		return db;
	PQfinish(db);
	return NULL;
}

PGconn *
database_open(const struct ctl *c, enum database_access access)
{
	return database_open_on(c, DATABASE_PRIMARY, access);
}

/* A standby ends a read for which replay of what the primary did has waited too long: SQLSTATE 40001, in whatever language; else by its words. */
static bool
is_recovery_conflict(const PGconn *db, const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *standby = PQparameterStatus(db, "in_hot_standby");

	return (text != NULL && strstr(text, "conflict with recovery") != NULL)
	    || (state != NULL && strcmp(state, "40001") == 0 && standby != NULL && strcmp(standby, "on") == 0);
}

static void
say_complaint(const PGconn *db, const PGresult *r)
{
	char buf[1024];
	const char *complaint = database_complaint(db, r, buf, sizeof(buf));

	if (is_recovery_conflict(db, r))
		ctl_failed("the standby ended this read because replay had waited for it as long as it may (%s): set hot_standby_feedback = on there, or a longer"
		    " max_standby_streaming_delay", complaint);
	else
		ctl_failed("%s", complaint);
}

PGresult *
database_query(PGconn *db, const char *sql, int n, const char *const *values)
{
	PGresult *r = PQexecParams(db, sql, n, NULL, values, NULL, NULL, 0);

	if (PQresultStatus(r) == PGRES_TUPLES_OK)
		return r;
	say_complaint(db, r);
	PQclear(r);
	return NULL;
}

int
database_run(PGconn *db, const char *sql)
{
	PGresult *r = PQexec(db, sql);
	ExecStatusType status = PQresultStatus(r);
	bool fine = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;

	if (!fine)
		say_complaint(db, r);
	PQclear(r);
	return fine ? 0 : -1;
}

int
database_commit(PGconn *db)
{
	return database_run(db, "commit");
}

const char *
database_value(const PGresult *r, int row, int column)
{
	return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}
