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

static PGconn *
connect_to(const char *conninfo)
{
	char error[1024] = "", buf[1024];
	struct servers *servers = servers_new(conninfo, error, sizeof(error));

	if (servers == NULL) {
		ctl_failed("[database] %s", error);
		return NULL;
	}
	PGconn *db = servers_open(servers, "visitbillctl", CONNECT_MS, error, sizeof(error));
	if (db != NULL)
		PQsetNoticeReceiver(db, on_notice, NULL);
	else
		ctl_failed("%s", one_line(error, buf, sizeof(buf)));
	servers_free(servers);
	return db;
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

static int
check_version(PGconn *db, const struct config *config)
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

PGconn *
database_open(const struct ctl *c, enum database_access access)
{
	const struct config *config = c->config;
	bool owner = access == DATABASE_OWNER || access == DATABASE_OWNER_WRITE;
	PGconn *db = connect_to(owner && config->database.owner_conninfo[0] != '\0' ? config->database.owner_conninfo : config->database.conninfo);

	if (db == NULL)
		return NULL;
	bool any = access == DATABASE_OWNER || access == DATABASE_LOOK;
	if (set_session(db, config) == 0 && (any || check_version(db, config) == 0)
	    && (access == DATABASE_OWNER || database_run(db, access == DATABASE_LOOK ? "set default_transaction_read_only = on"
	        : access == DATABASE_READ ? "begin isolation level repeatable read, read only" : "begin") == 0))
		return db;
	PQfinish(db);
	return NULL;
}

PGresult *
database_query(PGconn *db, const char *sql, int n, const char *const *values)
{
	PGresult *r = PQexecParams(db, sql, n, NULL, values, NULL, NULL, 0);
	char buf[1024];

	if (PQresultStatus(r) == PGRES_TUPLES_OK)
		return r;
	ctl_failed("%s", database_complaint(db, r, buf, sizeof(buf)));
	PQclear(r);
	return NULL;
}

int
database_run(PGconn *db, const char *sql)
{
	PGresult *r = PQexec(db, sql);
	ExecStatusType status = PQresultStatus(r);
	bool fine = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
	char buf[1024];

	if (!fine)
		ctl_failed("%s", database_complaint(db, r, buf, sizeof(buf)));
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
