/* The PostgreSQL servers that the conninfo names, and which of them is ours: the writable one on the newest timeline. All connections of a process share
 * this, so that none books on a server that another one knows to be left behind. libpq could try the hosts by itself, but without a limit of time for
 * each, and it takes the first that can be written. */
#ifndef VB_DB_SERVERS_H
#define VB_DB_SERVERS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct servers;

/* What a server says of itself, by server_identity_sql. */
struct server_identity {
	uint64_t system;	/* the cluster's identifier: its standbys have it, too */
	uint32_t timeline;	/* grows with each promotion; 0 on a standby */
	bool standby;
	bool read_only;		/* to everybody: default_transaction_read_only */
};

/* One row: system, whether it is a standby, timeline, when this backend began (text), whether it lets us write. */
extern const char server_identity_sql[];
enum { IDENTITY_SYSTEM, IDENTITY_STANDBY, IDENTITY_TIMELINE, IDENTITY_STARTED, IDENTITY_READ_ONLY };
void server_identity_read(const PGresult *row, struct server_identity *ret);

/* NULL and a sentence, which never quotes the conninfo (it may hold a password): where it is no connection string, or its lists of hosts, addresses and ports
 * do not name servers one by one. Otherwise free with servers_free. */
struct servers *servers_new(const char *conninfo, char *error, size_t error_size);
void servers_free(struct servers *s);

size_t servers_count(const struct servers *s);
/* "host:port" of the nth, for the log. */
const char *servers_name(const struct servers *s, size_t n);
/* Which was found to be ours last; 0 before. */
size_t servers_ours(const struct servers *s);

/* Where the nth is. True: found, *ret_address is to be given to servers_connect (NULL where the conninfo says enough). False: not yet, and its name is being
 * looked up; or, with *ret_why, that failed. Never waits. */
bool servers_find(const struct servers *s, size_t n, const char **ret_address, const char **ret_why);

/* Begins to connect to the nth server alone, at that address, with these settings beside those of the conninfo, which win; limit_ms: a server that lets sent
 * bytes lie for so long is gone. NULL when memory is out. */
PGconn *servers_connect(const struct servers *s, size_t n, const char *address, const char *application, const char *options, int64_t limit_ms);

/* Is the server that says this ours? NULL when it is, and it is noted, else why not: a standby, one left behind, another cluster's. */
const char *servers_judge(struct servers *s, size_t n, const struct server_identity *id);

/* Looks at every server once, so many seconds each, waiting for it: before the first connection, so that an old primary that came back is known by the
 * newer timeline beside it. Nothing to do where there is one. Returns 0; 1 and a sentence about each that could not be looked at; -1 and a sentence when
 * servers of different clusters are named. */
int servers_survey(struct servers *s, const char *application, int64_t limit_ms, char *error, size_t error_size) __attribute__((warn_unused_result));

/* True when this is news about the nth: the connections of a process tell the log once what they all find, and once a minute while it stays so. */
bool servers_is_news(struct servers *s, size_t n, const char *why);
/* It let us in: what is found after that is news again, though not more often than every few seconds. */
void servers_is_well(struct servers *s, size_t n);

/* servers_find, waiting so long for the look-up; where that is false there always is a sentence. */
bool servers_find_wait(const struct servers *s, size_t n, int64_t limit_ms, const char **ret_address, const char **ret_why);

/* Waits until a connection that was begun is made and the server has said who it is, so long for both. Where it failed, PQerrorMessage has why. */
enum servers_answer { SERVERS_ANSWERED, SERVERS_SILENT, SERVERS_FAILED };
enum servers_answer servers_identify(PGconn *conn, int64_t limit_ms, struct server_identity *ret);

/* A connection to the nth and what it says of itself, waiting for it; NULL and a sentence. */
PGconn *servers_look(const struct servers *s, size_t n, const char *application, int64_t limit_ms, struct server_identity *ret, char *error,
    size_t error_size);

/* A connection to the server that is ours, waiting for it; NULL and a sentence when there is none. */
PGconn *servers_open(struct servers *s, const char *application, int64_t limit_ms, char *error, size_t error_size);

/* A connection to the first standby of the conninfo that answers, for reading, waiting for it; *ret_n says which. NULL and a sentence about each
 * server when there is none. */
PGconn *servers_open_standby(struct servers *s, const char *application, int64_t limit_ms, size_t *ret_n, char *error, size_t error_size);

#endif
