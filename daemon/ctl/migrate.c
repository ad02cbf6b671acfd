/* migrate: brings the configured schema up to this binary, forward only. Each migration is a transaction of its own together with its row in
 * schema_version, so an interrupted run goes on where it stopped. An advisory lock makes two at once take turns. The functions and
 * grants are migrate_functions.c's. */
#include "migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bundle.h"
#include "database.h"

bool
migrate_is_replaceable(const char *sqlstate)
{
	static const char *const states[] = {
		"42P13",	/* invalid_function_definition: another return type or other parameter names */
		"42725",	/* ambiguous_function: an overload is left over */
		"42P16",	/* invalid_table_definition: a view's columns */
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return true;
	return false;
}

char *
migrate_expand(PGconn *db, const struct config *config, const char *sql)
{
	const struct {
		const char *mark, *value;
	} marks[] = {{"@role@", config->database.role}, {"@schema@", config->database.schema}};
	char *out = memory_text(sql, strlen(sql));

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		char *value = PQescapeIdentifier(db, marks[i].value, strlen(marks[i].value)), *at;
		if (value == NULL)
			break;
		size_t from = 0, mark = strlen(marks[i].mark), size = strlen(value);
		while ((at = strstr(out + from, marks[i].mark)) != NULL) {
			size_t before = (size_t)(at - out), after = strlen(at + mark);
			char *longer = memory_new(before + size + after + 1);
			memcpy(longer, out, before);
			memcpy(longer + before, value, size);
			memcpy(longer + before + size, at + mark, after);
			free(out);
			out = longer;
			from = before + size;
		}
		PQfreemem(value);
	}
	return out;
}

/* The line of a position that PostgreSQL counted in characters, from 1. */
static int
line_of(const char *sql, const char *position)
{
	long left = strtol(position, NULL, 10);
	int line = 1;

	for (; *sql != '\0' && left > 1; sql++) {
		line += *sql == '\n';
		left -= ((unsigned char)*sql & 0xC0) != 0x80;
	}
	return line;
}

int
migrate_file(PGconn *db, const struct config *config, const char *name, const char *sql, char ret_state[6])
{
	char *expanded = migrate_expand(db, config, sql), complaint[1024], place[32] = "";
	PGresult *r = PQexec(db, expanded);
	int done = -1;

	if (PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_EMPTY_QUERY) {
		done = 0;
	} else {
		const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
		if (ret_state != NULL)
			snprintf(ret_state, 6, "%s", state != NULL ? state : "");
		if (position != NULL)
			snprintf(place, sizeof(place), ", line %d", line_of(expanded, position));
		if (ret_state == NULL || !migrate_is_replaceable(ret_state))
			ctl_failed("%s.sql%s: %s", name, place, database_complaint(db, r, complaint, sizeof(complaint)));
	}
	PQclear(r);
	free(expanded);
	return done;
}

/* One migrate at a time per schema; another one waits, and then finds nothing to do. */
static int
take_turn(PGconn *db, const struct config *config)
{
	const char *values[] = {config->database.schema};
	PGresult *r = database_query(db, "select pg_try_advisory_lock(hashtextextended($1 || '.migrate', 0))", 1, values);

	if (r == NULL)
		return -1;
	bool mine = PQgetvalue(r, 0, 0)[0] == 't';
	PQclear(r);
	if (!mine) {
		puts("waiting for another migrate");
		fflush(stdout);
		if ((r = database_query(db, "select pg_advisory_lock(hashtextextended($1 || '.migrate', 0))", 1, values)) == NULL)
			return -1;
		PQclear(r);
	}
	/* a long query of somebody's must not make a table lock of ours hold up everybody behind it for ever */
	return database_run(db, "set lock_timeout = '60s'");
}

static int
exists(PGconn *db, const char *sql, const char *name)
{
	PGresult *r = database_query(db, sql, 1, &name);
	int there = r != NULL ? PQntuples(r) > 0 : -1;

	PQclear(r);
	return there;
}

static int
run_expanded(PGconn *db, const struct config *config, const char *sql)
{
	char *expanded = migrate_expand(db, config, sql);
	int done = database_run(db, expanded);

	free(expanded);
	return done;
}

/* The daemon's role. Returns 1 when it was made, 0 when it was there. */
static int
ensure_role(PGconn *db, const struct config *config)
{
	int there = exists(db, "select 1 from pg_roles where rolname = $1", config->database.role);

	if (there < 0)
		return -1;
	if (there > 0) {
		if (strcmp(PQuser(db), config->database.role) == 0)
			ctl_failed("warning: %s is the daemon's role and owns the tables, so grants do not bind it: set database.owner_conninfo",
			    config->database.role);
		return 0;
	}
	int may = exists(db, "select 1 from pg_roles where rolname = current_user and (rolcreaterole or rolsuper) and $1 <> ''", config->database.role);
	if (may == 0)
		ctl_failed("role %s does not exist and %s may not create it: let a superuser say create role \"%s\" login", config->database.role,
		    PQuser(db), config->database.role);
	if (may != 1 || run_expanded(db, config, "create role @role@ login") != 0)
		return -1;
	printf("created role %s, without a password: pg_hba.conf has to let it in, or alter role … password\n", config->database.role);
	return 1;
}

/* The schema and the record of its migrations. Returns 1 when it made any of them. */
static int
ensure_schema(PGconn *db, const struct config *config)
{
	int there = exists(db, "select 1 from pg_namespace where nspname = $1", config->database.schema);

	if (there < 0)
		return -1;
	if (there == 0) {
		if (run_expanded(db, config, "create schema @schema@") != 0)
			return -1;
		printf("created schema %s\n", config->database.schema);
	}
	if (database_run(db, "create table if not exists schema_version (version int primary key, name text not null, sha256 text not null,"
	    " applied_at timestamptz not null default now())") != 0)
		return -1;
	return there == 0;
}

/* Compares what was applied with what this binary carries. Returns the version reached, or -1 after having said why not. */
static int
check_applied(PGconn *db, const struct config *config)
{
	PGresult *r = database_query(db, "select version, name, sha256 from schema_version order by version", 0, NULL);
	int version = -1, newest = bundle_migrations[bundle_n_migrations - 1].version;

	if (r == NULL)
		return -1;
	int n = PQntuples(r), last = n > 0 ? (int)strtol(PQgetvalue(r, n - 1, 0), NULL, 10) : 0;
	if (last > newest) {
		ctl_failed("schema %s is at version %d, newer than this binary knows (%d): use a newer visitbillctl; there is no way back",
		    config->database.schema, last, newest);
	} else if (last != n) {
		ctl_failed("schema_version of schema %s has gaps: %d rows up to version %d", config->database.schema, n, last);
	} else {
		version = last;
		for (int i = 0; i < n && version >= 0; i++)
			if (strcmp(PQgetvalue(r, i, 2), bundle_migrations[i].sha256) != 0) {
				ctl_failed("migration %s was changed after it was applied to schema %s as %s:"
				    " take the change back and put it into a new migration", bundle_migrations[i].name,
				    config->database.schema, PQgetvalue(r, i, 1));
				version = -1;
			}
	}
	PQclear(r);
	return version;
}

static int
apply_migration(PGconn *db, const struct config *config, const struct bundle_migration *m)
{
	char version[16];
	const char *values[] = {version, m->name, m->sha256};
	PGresult *r;

	snprintf(version, sizeof(version), "%d", m->version);
	if (database_run(db, "begin") != 0 || migrate_file(db, config, m->name, m->sql, NULL) != 0
	    || (r = database_query(db, "insert into schema_version (version, name, sha256) values ($1, $2, $3) returning version", 3, values)) == NULL)
		return -1;
	PQclear(r);
	if (database_commit(db) != 0)
		return -1;
	printf("applied %s\n", m->name);
	return 0;
}

/* Partitions of charge that the next visits need. Returns how many were made. */
static int
ensure_partitions(PGconn *db)
{
	PGresult *r = database_query(db, "select partitions_ahead()", 0, NULL);
	int made = r != NULL ? (int)strtol(PQgetvalue(r, 0, 0), NULL, 10) : -1;

	PQclear(r);
	if (made > 0)
		printf("made %d partition%s of charge\n", made, made == 1 ? "" : "s");
	return made;
}

static int
migrate(PGconn *db, const struct config *config)
{
	int schema, role, version, functions, partitions;

	if (take_turn(db, config) != 0 || (role = ensure_role(db, config)) < 0 || (schema = ensure_schema(db, config)) < 0
	    || (version = check_applied(db, config)) < 0)
		return CTL_FAILED;
	int before = version;
	for (; version < (int)bundle_n_migrations; version++)
		if (apply_migration(db, config, &bundle_migrations[version]) != 0)
			return CTL_FAILED;
	if ((functions = migrate_functions(db, config, version)) < 0 || (partitions = ensure_partitions(db)) < 0)
		return CTL_FAILED;
	if (role + schema + (version - before) + functions + partitions == 0)
		printf("up to date: schema %s, version %d\n", config->database.schema, version);
	return CTL_OK;
}

int
ctl_migrate(const struct ctl *c, int argc, char **argv)
{
	PGconn *db;

	if (ctl_arguments(c, argc, argv, NULL, 0, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	if ((db = database_open(c, DATABASE_OWNER)) == NULL)
		return CTL_FAILED;
	int status = migrate(db, c->config);
	PQfinish(db);
	return status;
}
