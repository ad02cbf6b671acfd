/* The functions and grants: not versioned but replaced as a whole, in one transaction, whenever they differ from what schema_functions says was
 * applied last. A running daemon calls the old ones until the commit and the new ones after it. Functions that somebody else keeps in the
 * schema are left alone: schema_functions names those that are ours. */
#include <stdio.h>
#include <string.h>

#include "bundle.h"
#include "database.h"
#include "migrate.h"

/* Written by this transaction. (A replaced function's row is new even when nothing in it changed; so is every one after the grants.) */
#define WRITTEN_NOW "p.pronamespace = current_schema::regnamespace and p.xmin::text::bigint = pg_current_xact_id()::text::bigint % 4294967296"

/* Ours that nothing stands on: no trigger, check or view. */
#define DROP_OURS(condition)								\
	"do $$ declare f text; begin"							\
	"    for f in select distinct p.oid::regprocedure from pg_proc p, schema_functions s"	\
	"              where p.oid = any (array(select to_regprocedure(n) from unnest(s.functions) n)) and " condition	\
	"                and not exists (select from pg_depend d where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid) loop" \
	"        execute 'drop routine ' || f;"						\
	"    end loop; "								\
	"end $$"

/* Left over from an older version. */
static const char drop_left_over[] = DROP_OURS("not (" WRITTEN_NOW ")");

/* `create or replace` cannot change a return type, a parameter's name or a view's columns: where it failed so, all are made anew. The views
 * are dropped before. */
static const char drop_all[] = DROP_OURS("true");

static const char record[] =
    "insert into schema_functions (version, role, sha256, functions)"
    " select $1, $2, $3, array_agg(p.oid::regprocedure::text order by p.oid::regprocedure::text) from pg_proc p where " WRITTEN_NOW
    " returning 1";

static const char protect_records[] =
    "create or replace trigger append_only before update or delete or truncate on schema_version for each statement execute function refuse_change();"
    " create or replace trigger append_only before update or delete or truncate on schema_functions for each statement execute function refuse_change();"
    " grant select on schema_version, schema_functions to @role@";

static int
is_applied(PGconn *db, const char *const *values)
{
	PGresult *r;

	if (database_run(db, "create table if not exists schema_functions (applied_id int generated always as identity primary key, version int not null,"
	    " role text not null, sha256 text not null, functions text[] not null, applied_at timestamptz not null default now())") != 0
	    || (r = database_query(db, "select (version, role, sha256) is not distinct from ($1::int, $2, $3) from schema_functions"
	        " order by applied_id desc limit 1", 3, values)) == NULL)
		return -1;
	bool same = PQntuples(r) == 1 && PQgetvalue(r, 0, 0)[0] == 't';
	PQclear(r);
	return same;
}

/* Everything but the begin and the commit. anew: after dropping what is there. Returns 0; or -1, and then *ret_state says whether an older
 * definition stands in the way, about which nothing was said. */
static int
apply(PGconn *db, const struct config *config, const char *const *values, bool anew, char ret_state[6])
{
	PGresult *r;

	if (anew && (database_run(db, bundle_drop_views) != 0 || database_run(db, drop_all) != 0))
		return -1;
	for (size_t i = 0; i < bundle_n_functions; i++)
		if (migrate_file(db, config, bundle_functions[i].name, bundle_functions[i].sql, anew ? NULL : ret_state) != 0)
			return -1;
	if (database_run(db, drop_left_over) != 0 || (r = database_query(db, record, 3, values)) == NULL)
		return -1;
	PQclear(r);
	if (migrate_file(db, config, bundle_grants.name, bundle_grants.sql, anew ? NULL : ret_state) != 0)
		return -1;
	return migrate_file(db, config, "records", protect_records, NULL);
}

int
migrate_functions(PGconn *db, const struct config *config, int version)
{
	static const char begin[] = "begin; set local check_function_bodies = off";	/* they refer to each other */
	char text[16], state[6] = "";
	const char *values[] = {text, config->database.role, bundle_functions_sha256};

	snprintf(text, sizeof(text), "%d", version);
	int applied = is_applied(db, values);
	if (applied != 0)
		return applied < 0 ? -1 : 0;
	if (database_run(db, begin) != 0)
		return -1;
	if (apply(db, config, values, false, state) != 0) {
		if (!migrate_is_replaceable(state))
			return -1;
		if (database_run(db, "rollback") != 0 || database_run(db, begin) != 0 || apply(db, config, values, true, NULL) != 0)
			return -1;
	}
	if (database_commit(db) != 0)
		return -1;
	printf("applied functions %.12s and grants for %s\n", bundle_functions_sha256, config->database.role);
	return 1;
}
