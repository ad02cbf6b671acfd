/* The parts of doctor, and how they say what they found. */
#ifndef VB_CTL_DOCTOR_H
#define VB_CTL_DOCTOR_H

#include <libpq-fe.h>

#include "ctl.h"
#include "db/servers.h"
#include "proto/arena.h"

struct doctor {
	struct arena arena;
	size_t bad;
};

/* A line: what was looked at, what was found, and where it is not good how to mend it. */
void doctor_say(struct doctor *d, bool good, const char *what, const char *found, const char *mend);
/* A line about what cannot be seen from here: nothing to mend, but somebody has to look. */
void doctor_note(struct doctor *d, const char *what, const char *found, const char *advice);

/* What a statement's one row says: whether all is well, and what was found. */
void doctor_row(struct doctor *d, PGconn *db, const char *what, const char *sql, const char *mend);

/* The files of every listener: readable, belonging together, and how long they hold. */
void doctor_certificates(struct doctor *d, const struct config *config);
/* Every server of the conninfo, not only the one that is used. Returns a connection to the one that the daemon would use, or would if it could be written; NULL
 * where there is none to look into. PQfinish it. */
PGconn *doctor_servers(struct doctor *d, struct servers *s);
/* The server's settings, clock and standbys, and the schema with its functions and grants. servers: how many the conninfo names. */
void doctor_database(struct doctor *d, PGconn *db, const struct config *config, size_t servers);
/* May a session like the daemon's write? may_try: the schema is this program's, so a heartbeat can be tried, and taken back. */
void doctor_writes(struct doctor *d, PGconn *db, bool may_try);
/* What may fill the server's disk, and how much of it is free, as far as this role may know. */
void doctor_storage(struct doctor *d, PGconn *db);

#endif
