/* doctor: what a hospital should have put right before the worst night, a line each with the mend. It only looks. What it needs to know of the database
 * is asked as the daemon's role, so it sees what the daemon will. The parts are in doctor_*.c. */
#include "doctor.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon.h"
#include "database.h"

static const char limits_sql[] = "set statement_timeout = '5s'; set lock_timeout = '2s'";

void
doctor_say(struct doctor *d, bool good, const char *what, const char *found, const char *mend)
{
	if (good)
		printf("ok    %s: %s\n", what, found);
	else
		printf("MEND  %s: %s; %s\n", what, found, mend);
	d->bad += !good;
}

void
doctor_note(struct doctor *d, const char *what, const char *found, const char *advice)
{
	(void)d;
	printf("note  %s: %s; %s\n", what, found, advice);
}

void
doctor_row(struct doctor *d, PGconn *db, const char *what, const char *sql, const char *mend)
{
	PGresult *r = database_query(db, sql, 0, NULL);

	if (r != NULL && PQntuples(r) == 1)
		doctor_say(d, PQgetvalue(r, 0, 0)[0] == 't', what, arena_printf(&d->arena, "%s", PQgetvalue(r, 0, 1)), mend);
	else if (r != NULL)
		doctor_say(d, false, what, "nothing", mend);
	else
		d->bad++;	/* the complaint is on stderr */
	PQclear(r);
}

/* What the daemon itself says, if it runs: the last word, where everything else seems well. It needs a moment after something was mended. */
static void
look_at_daemon(struct doctor *d, const struct ctl *c)
{
	enum { TRIES = 10, PAUSE_US = 300000, READY = 200 };
	struct daemon_ready r;

	for (int i = 0; i < TRIES; i++) {
		if (daemon_ask_ready(c, &r) != 0)
			return;
		if (r.status == 0 || r.status == READY || d->bad > 0)
			break;
		usleep(PAUSE_US);
	}
	const char *found = arena_printf(&d->arena, "at %s it says: %s", r.address, r.said);
	if (r.status == 0)
		doctor_note(d, "daemon", arena_printf(&d->arena, "nobody answers at %s", r.address), "start it, if it is to run here");
	else if (r.status != READY && d->bad > 0)
		doctor_note(d, "daemon", found, "it goes on by itself once what is above is mended");
	else
		doctor_say(d, r.status == READY, "daemon", found, "see its log: all that doctor looks at is well");
}

int
ctl_doctor(const struct ctl *c, int argc, char **argv)
{
	struct doctor d = {0};
	char error[200];

	if (ctl_arguments(c, argc, argv, NULL, 0, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	doctor_say(&d, true, "settings", c->config_path, "");
	doctor_certificates(&d, c->config);
	struct servers *s = servers_new(c->config->database.conninfo, error, sizeof(error));
	PGconn *db = s != NULL ? doctor_servers(&d, s) : NULL;
	if (s == NULL) {
		doctor_say(&d, false, "conninfo", error, "mend it in [database]");
	} else if (db != NULL && database_begin(db, c->config, DATABASE_LOOK) == 0 && database_run(db, limits_sql) == 0) {
		doctor_database(&d, db, c->config, servers_count(s));
		doctor_storage(&d, db);
	} else if (db != NULL) {
		d.bad++;	/* the complaint is on stderr */
	}
	PQfinish(db);
	servers_free(s);
	look_at_daemon(&d, c);
	arena_free(&d.arena);
	return d.bad == 0 ? CTL_OK : ctl_failed("%zu to mend", d.bad);
}
