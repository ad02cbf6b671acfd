/* The functions and grants: not versioned but replaced as a whole, in one transaction, whenever they differ from what schema_functions says was
 * applied last. A running daemon calls the old ones until the commit and the new ones after it. */
#include <stdio.h>
#include <string.h>

#include "bundle.h"
#include "database.h"
#include "migrate.h"

/* Functions of the schema that nothing stands on: neither a trigger, check or view of a migration, nor an extension of its own. */
#define LOOSE_FUNCTIONS									\
	"p.pronamespace = current_schema::regnamespace"					\
	" and not exists (select from pg_depend d where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid)"	\
	" and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')"

/* Those that this transaction did not write are left over from an older version. (A replaced function's row is new even when nothing in
 * it changed.) */
static const char drop_left_over[] =
    "do $$ declare f text; begin"
    "    for f in select p.oid::regprocedure from pg_proc p where " LOOSE_FUNCTIONS
    "              and p.xmin::text::bigint <> pg_current_xact_id()::text::bigint % 4294967296 loop"
    "        execute 'drop routine ' || f;"
    "    end loop; "
    "end $$";

/* `create or replace` cannot change a return type, a parameter's name or a view's columns: where it failed so, all are made anew. The views
 * are dropped before. */
static const char drop_all[] =
    "do $$ declare f text; begin"
    "    for f in select p.oid::regprocedure from pg_proc p where " LOOSE_FUNCTIONS " loop"
    "        execute 'drop routine ' || f;"
    "    end loop; "
    "end $$";

static const char protect_records[] =
    "create or replace trigger append_only before update or delete or truncate on schema_version for each statement execute function refuse_change();"
    " create or replace trigger append_only before update or delete or truncate on schema_functions for each statement execute function refuse_change();"
    " grant select on schema_version, schema_functions to @role@";

static int
is_applied(PGconn *db, const char *const *values)
{
	PGresult *r;

	if (database_run(db, "create table if not exists schema_functions (applied_id int generated always as identity primary key, version int not null,"
	    " role text not null, sha256 text not null, applied_at timestamptz not null default now())") != 0
	    || (r = database_query(db, "select (version, role, sha256) is not distinct from ($1::int, $2, $3) from schema_functions"
	        " order by applied_id desc limit 1", 3, values)) == NULL)
		return -1;
	bool same = PQntuples(r) == 1 && PQgetvalue(r, 0, 0)[0] == 't';
	PQclear(r);
	return same;
}

/* Returns 0, or -1 with *ret_state set and nothing said when an older definition stands in the way. */
static int
apply_files(PGconn *db, const struct config *config, bool anew, char ret_state[6])
{
	if (database_run(db, "begin; set local check_function_bodies = off") != 0
	    || (anew && (database_run(db, bundle_drop_views) != 0 || database_run(db, drop_all) != 0)))
		return -1;
	for (size_t i = 0; i < bundle_n_functions; i++)
		if (migrate_file(db, config, bundle_functions[i].name, bundle_functions[i].sql, anew ? NULL : ret_state) != 0)
			return -1;
	return 0;
}

int
migrate_functions(PGconn *db, const struct config *config, int version)
{
	char text[16], state[6] = "";
	const char *values[] = {text, config->database.role, bundle_functions_sha256};
	PGresult *r;

	snprintf(text, sizeof(text), "%d", version);
	int applied = is_applied(db, values);
	if (applied != 0)
		return applied < 0 ? -1 : 0;
	if (apply_files(db, config, false, state) != 0
	    && (!migrate_is_replaceable(state) || database_run(db, "rollback") != 0 || apply_files(db, config, true, NULL) != 0))
		return -1;
	if (database_run(db, drop_left_over) != 0 || migrate_file(db, config, "grants", protect_records, NULL) != 0
	    || (r = database_query(db, "insert into schema_functions (version, role, sha256) values ($1, $2, $3) returning 1", 3, values)) == NULL)
		return -1;
	PQclear(r);
	if (database_commit(db) != 0)
		return -1;
	printf("applied functions %.12s and grants for %s\n", bundle_functions_sha256, config->database.role);
	return 1;
}
