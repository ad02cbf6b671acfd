/* doctor's try of what the daemon lives by: a session like the daemon's may write. What it writes is a heartbeat, and it is taken back. */
#include <string.h>

#include "database.h"
#include "doctor.h"

/* By where the setting comes from (pg_settings.source). */
static const char *
read_only_mend(struct doctor *d, const PGconn *db, const char *source)
{
	const char *role = PQuser(db), *name = PQdb(db), *undo;

	if (strcmp(source, "user") == 0)
		undo = arena_printf(&d->arena, "alter role %s reset default_transaction_read_only", role);
	else if (strcmp(source, "database") == 0)
		undo = arena_printf(&d->arena, "alter database %s reset default_transaction_read_only", name);
	else if (strcmp(source, "database user") == 0)
		undo = arena_printf(&d->arena, "alter role %s in database %s reset default_transaction_read_only", role, name);
	else if (strcmp(source, "client") == 0 || strcmp(source, "environment variable") == 0)
		undo = "take it out of options in [database] conninfo, or out of PGOPTIONS";
	else if (strcmp(source, "configuration file") == 0)
		undo = "alter system set default_transaction_read_only = off, and select pg_reload_conf()";
	else
		undo = arena_printf(&d->arena, "set it to off where it is set (%s)", source);
	return arena_printf(&d->arena, "nothing can be booked: see who set it, and why (a full disk, a move to another server), then %s", undo);
}

static bool
check_read_only(struct doctor *d, PGconn *db)
{
	PGresult *r = database_query(db, "select setting = 'off', setting, source from pg_settings where name = 'default_transaction_read_only'", 0, NULL);

	if (r == NULL) {
		d->bad++;
		return false;
	}
	bool good = PQgetvalue(r, 0, 0)[0] == 't';
	doctor_say(d, good, "default_transaction_read_only", arena_printf(&d->arena, "%s", PQgetvalue(r, 0, 1)), read_only_mend(d, db, PQgetvalue(r, 0, 2)));
	PQclear(r);
	return good;
}

static const char *
write_mend(const char *state)
{
	if (strcmp(state, "25006") == 0)
		return "nothing can be booked: see who set transaction_read_only, and why";
	if (strcmp(state, "55P03") == 0 || strcmp(state, "57014") == 0)
		return "somebody keeps it locked, a commit that waits for a standby perhaps: see pg_stat_activity and pg_locks";
	if (strncmp(state, "53", 2) == 0)
		return "make room on the server's disk, or memory";
	if (strncmp(state, "42", 2) == 0)
		return "run visitbillctl migrate as the schema's owner";
	return "see the server's log: nothing can be booked";
}

/* begin and rollback: nobody waits for a standby, and nothing stays. */
static void
try_to_write(struct doctor *d, PGconn *db)
{
	char complaint[600];
	PGresult *r;

	if (database_run(db, "begin") != 0) {
		d->bad++;
		return;
	}
	r = PQexec(db, "select from beat()");
	if (PQresultStatus(r) == PGRES_TUPLES_OK) {
		doctor_say(d, true, "writes", arena_printf(&d->arena, "%s may (a heartbeat, taken back)", PQuser(db)), "");
	} else {
		const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
		doctor_say(d, false, "writes", arena_printf(&d->arena, "a heartbeat failed: %s", database_complaint(db, r, complaint, sizeof(complaint))),
		    write_mend(state != NULL ? state : ""));
	}
	PQclear(r);
	if (database_run(db, "rollback") != 0)
		d->bad++;
}

void
doctor_writes(struct doctor *d, PGconn *db, bool may_try)
{
	/* doctor's own session is read only: what the daemon's is, is behind that */
	if (database_run(db, "reset default_transaction_read_only") != 0) {
		d->bad++;
		return;
	}
	if (check_read_only(d, db) && may_try)
		try_to_write(d, db);
	if (database_run(db, "set default_transaction_read_only = on") != 0)
		d->bad++;
}
