/* doctor: what a hospital should have put right before the worst night, a line each with the mend. It only looks. What it needs to know of the database
 * is asked as the daemon's role, so it sees what the daemon will. This file looks at the servers, one by one; the parts are in doctor_*.c. */
#include "doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "database.h"
#include "db/servers.h"

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

/* ------- the servers */

/* Servers that do not belong together, or not as primary and standby. Returns whether there is one to look into. */
static bool
judge_servers(struct doctor *d, const struct servers *s, const struct server_identity *ids, const bool *seen)
{
	size_t primaries = 0, looked_at = 0, first = 0;

	for (size_t i = 0; i < servers_count(s); i++) {
		if (!seen[i])
			continue;
		if (looked_at++ == 0)
			first = i;
		primaries += !ids[i].standby;
		if (ids[i].system != ids[first].system) {
			doctor_say(d, false, "clusters", arena_printf(&d->arena, "%s is system %" PRIu64 ", %s is system %" PRIu64, servers_name(s, first),
			    ids[first].system, servers_name(s, i), ids[i].system), "take the one out of [database] conninfo that is not this hospital's");
			return false;
		}
	}
	if (primaries > 1)
		doctor_say(d, false, "primaries", arena_printf(&d->arena, "%zu of them", primaries),
		    "stop the one on the older timeline, and make it a standby of the other (pg_rewind, or a new base backup)");
	if (primaries == 0 && looked_at > 0)
		doctor_say(d, false, "primaries", "none, so nothing can be booked",
		    "name the primary in [database] conninfo, too, or where it is lost promote the standby");
	return primaries > 0 || (looked_at > 0 && servers_count(s) == 1);
}

/* Every host of the conninfo, not only the one that is used. */
static bool
look_at_servers(struct doctor *d, struct servers *s)
{
	size_t n = servers_count(s);
	struct server_identity *ids = memory_new(n * sizeof(*ids));
	bool *seen = memory_new(n * sizeof(*seen));

	for (size_t i = 0; i < n; i++) {
		char error[600] = "";
		PGconn *db = servers_look(s, i, "visitbillctl", LOOK_MS, &ids[i], error, sizeof(error));
		const char *what = arena_printf(&d->arena, "server %s", servers_name(s, i));
		seen[i] = db != NULL;
		if (db != NULL)
			doctor_say(d, true, what, ids[i].standby ? "a standby"
			    : arena_printf(&d->arena, "the primary, timeline %u", ids[i].timeline), "");
		else
			doctor_say(d, false, what, error + strlen(servers_name(s, i)) + 2, "start it, or mend its name in [database] conninfo, or take it out there");
		PQfinish(db);
	}
	bool more = judge_servers(d, s, ids, seen);
	free(ids);
	free(seen);
	return more;
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
	if (s == NULL) {
		doctor_say(&d, false, "conninfo", error, "mend it in [database]");
	} else if (look_at_servers(&d, s)) {
		PGconn *db = database_open(c, DATABASE_LOOK);
		if (db != NULL) {
			doctor_database(&d, db, c->config, servers_count(s));
			doctor_storage(&d, db);
		} else {
			d.bad++;
		}
		PQfinish(db);
	}
	servers_free(s);
	arena_free(&d.arena);
	return d.bad == 0 ? CTL_OK : ctl_failed("%zu to mend", d.bad);
}
