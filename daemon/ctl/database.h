/* The tool's one connection: plain, synchronous libpq. What fails is said on stderr here, in a line. */
#ifndef VB_CTL_DATABASE_H
#define VB_CTL_DATABASE_H

#include <libpq-fe.h>

#include "ctl.h"

enum database_access {
	DATABASE_READ,		/* one snapshot, read only */
	DATABASE_READ_EACH,	/* read only, each statement with a snapshot of its own, and one core of the server at most */
	DATABASE_LOOK,		/* read only, a transaction each, whatever version the schema is at, or where there is none */
	DATABASE_WRITE,		/* one transaction, see database_commit */
	DATABASE_OWNER_WRITE,	/* the same as the schema's owner, for what the daemon's role may not do */
	DATABASE_OWNER,		/* as the schema's owner, outside a transaction, the schema may be missing */
};

/* --on: which server of the conninfo is asked. */
enum database_server {
	DATABASE_PRIMARY,	/* the daemon's own; where one server is named, that one */
	DATABASE_STANDBY,	/* one in recovery: for reading */
};

/* "primary" or "standby". Returns 0, or -1. */
int database_server_read(const char *word, enum database_server *ret) __attribute__((warn_unused_result));

/* Connects, with names resolved in the configured schema and times shown at the hospital's offset. Without DATABASE_OWNER or DATABASE_LOOK the
 * schema must be at the version of this binary. Returns NULL after having said why. Free with PQfinish. */
PGconn *database_open(const struct ctl *c, enum database_access access);

/* The same; on a standby, it says on stderr which one that is and how far it is behind. */
PGconn *database_open_on(const struct ctl *c, enum database_server server, enum database_access access);

/* Makes a session of that kind of a connection that is there, whatever version the schema is at. Returns 0, or -1 after having said why. */
int database_begin(PGconn *db, const struct config *config, enum database_access access) __attribute__((warn_unused_result));

/* Runs one statement with text parameters (NULL is null). Returns its result, or NULL after having said why. */
PGresult *database_query(PGconn *db, const char *sql, int n, const char *const *values) __attribute__((warn_unused_result));

/* Runs statements for their effect. Returns 0, or -1 after having said why. */
int database_run(PGconn *db, const char *sql) __attribute__((warn_unused_result));
int database_commit(PGconn *db) __attribute__((warn_unused_result));

/* A value; NULL where it is null. */
const char *database_value(const PGresult *r, int row, int column);

/* What PostgreSQL said was wrong, in a line. Returns buf. */
const char *database_complaint(const PGconn *db, const PGresult *r, char *buf, size_t size);

/* The version that the schema has reached, 0 where visitbill is not in it; -1 after having said why. */
int database_schema_version(PGconn *db);
/* 0 where the schema is the one that this program is made for; -1 after having said what is wrong. */
int database_check_version(PGconn *db, const struct config *config);

#endif
