/* Hosts, addresses and ports of a conninfo are lists of one length (libpq, section 34.1.1.3); a port alone holds for all. */
#include "servers.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "host.h"

enum { SAID = 8, SAY_AGAIN_US = 60000000, SAY_SOON_US = 5000000 };

struct server {
	char *host, *address, *port;	/* as the conninfo says; NULL: it does not */
	struct host *named;		/* its host is a name; NULL: it is none, or the conninfo says the address */
	char name[160];
	struct { char why[160]; int64_t at; bool was_well; } said[SAID];	/* what the log was told, and when (0: nothing); was it well since? */
};

struct servers {
	char *conninfo;
	struct server *all;
	size_t n, ours;
	uint64_t system;	/* 0: none was seen yet */
	uint32_t timeline;	/* the newest that was seen */
	char why[320];
};

const char server_identity_sql[] = "select c.system_identifier, r.standby, case when r.standby then 0"
    " else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end,"
    " (select backend_start from pg_stat_activity where pid = pg_backend_pid()), current_setting('default_transaction_read_only')::bool"
    " from pg_control_system() c, (select pg_is_in_recovery() as standby) r";

void
server_identity_read(const PGresult *row, struct server_identity *ret)
{
	ret->system = strtoull(PQgetvalue(row, 0, IDENTITY_SYSTEM), NULL, 10);
	ret->standby = PQgetvalue(row, 0, IDENTITY_STANDBY)[0] == 't';
	ret->timeline = (uint32_t)strtoul(PQgetvalue(row, 0, IDENTITY_TIMELINE), NULL, 10);
	ret->read_only = PQgetvalue(row, 0, IDENTITY_READ_ONLY)[0] == 't';
}

/* The nth of a list with commas, copied; the only one for all. NULL where there is none. */
static char *
nth(const char *list, size_t n)
{
	if (list == NULL || list[0] == '\0')
		return NULL;
	const char *p = list;
	if (strchr(list, ',') != NULL)
		for (; n > 0 && (p = strchr(p, ',')) != NULL; n--)
			p++;
	if (p == NULL)
		return NULL;
	size_t length = strcspn(p, ",");
	return length > 0 ? memory_text(p, length) : NULL;
}

static size_t
list_length(const char *list)
{
	size_t n = 1;

	for (const char *p = list != NULL ? list : ""; *p != '\0'; p++)
		n += *p == ',';
	return n;
}

static bool
has_empty(const char *list)
{
	size_t n = list_length(list);

	for (size_t i = 0; i < n; i++) {
		char *each = nth(list, i);
		free(each);
		if (each == NULL)
			return true;
	}
	return false;
}

/* libpq would take the default host for an empty one, and the whole list for what we leave out: each server has to be named. Returns NULL, or what is wrong. */
static const char *
lists_wrong(const char *host, const char *address, const char *port)
{
	const char *names = address != NULL ? address : host;
	size_t n = list_length(names);

	if (address != NULL && host != NULL && list_length(host) != n)
		return "the conninfo has not as many hosts as addresses (hostaddr)";
	if (n > 1 && ((host != NULL && has_empty(host)) || (address != NULL && has_empty(address))))
		return "the conninfo has an empty element in its list of hosts: name each server";
	if (list_length(port) > 1 && list_length(port) != n)
		return "the conninfo has not as many ports as hosts: one for all, or one for each";
	return NULL;
}

struct servers *
servers_new(const char *conninfo, char *error, size_t error_size)
{
	PQconninfoOption *parts = PQconninfoParse(conninfo, NULL);
	const char *host = NULL, *address = NULL, *port = NULL, *why;

	if (parts == NULL) {	/* libpq's own words would quote it, password and all */
		snprintf(error, error_size, "the conninfo is not a connection string");
		return NULL;
	}
	for (PQconninfoOption *o = parts; o->keyword != NULL; o++)
		if (strcmp(o->keyword, "host") == 0)
			host = o->val;
		else if (strcmp(o->keyword, "hostaddr") == 0)
			address = o->val;
		else if (strcmp(o->keyword, "port") == 0)
			port = o->val;
	if ((why = lists_wrong(host, address, port)) != NULL) {
		snprintf(error, error_size, "%s", why);
		PQconninfoFree(parts);
		return NULL;
	}
	struct servers *s = memory_new(sizeof(*s));
	s->conninfo = memory_text(conninfo, strlen(conninfo));
	s->n = list_length(address != NULL ? address : host);
	s->all = memory_new(s->n * sizeof(*s->all));
	for (size_t i = 0; i < s->n; i++) {
		struct server *e = &s->all[i];
		*e = (struct server){.host = nth(host, i), .address = nth(address, i), .port = nth(port, i)};
		if (e->address == NULL && host_is_name(e->host))
			e->named = host_new(e->host);
		if (e->port == NULL && list_length(port) > 1)
			e->port = memory_text("5432", 4);
		snprintf(e->name, sizeof(e->name), "%s:%s", e->host != NULL ? e->host : e->address != NULL ? e->address : "default", e->port != NULL ? e->port : "5432");
	}
	PQconninfoFree(parts);
	return s;
}

void
servers_free(struct servers *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		host_free(s->all[i].named);
		free(s->all[i].host);
		free(s->all[i].address);
		free(s->all[i].port);
	}
	free(s->all);
	memory_purge(s->conninfo);
	free(s);
}

size_t
servers_count(const struct servers *s)
{
	return s->n;
}

const char *
servers_name(const struct servers *s, size_t n)
{
	return s->all[n].name;
}

size_t
servers_ours(const struct servers *s)
{
	return s->ours;
}

bool
servers_find(const struct servers *s, size_t n, const char **ret_address, const char **ret_why)
{
	*ret_address = *ret_why = NULL;
	if (s->all[n].named == NULL)
		return true;
	*ret_address = host_address(s->all[n].named, ret_why);
	return *ret_address != NULL;
}

PGconn *
servers_connect(const struct servers *s, size_t n, const char *address, const char *application, const char *options, int64_t limit_ms)
{
	enum { MOST = 16 };
	const struct server *e = &s->all[n];
	const char *keys[MOST], *values[MOST];
	char limit[24];
	size_t i = 0;

	snprintf(limit, sizeof(limit), "%lld", (long long)limit_ms);
#define SET(key, value) (keys[i] = (key), values[i++] = (value))
	SET("options", options);
	SET("fallback_application_name", application);
	SET("client_encoding", "UTF8");
	SET("keepalives_idle", "5");
	SET("keepalives_interval", "2");
	SET("keepalives_count", "2");
	SET("tcp_user_timeout", limit);
	SET("dbname", s->conninfo);	/* the later one of a repeated keyword wins, so the conninfo's own settings stay */
	if (s->n > 1) {			/* but one server is tried at a time */
		SET("host", e->host);
		SET("hostaddr", e->address);
		SET("port", e->port);
		SET("target_session_attrs", "any");
	}
	if (address != NULL)
		SET("hostaddr", address);
#undef SET
	keys[i] = values[i] = NULL;
	return PQconnectStartParams(keys, values, 1);
}

const char *
servers_judge(struct servers *s, size_t n, const struct server_identity *id)
{
	const char *name = s->all[n].name;

	s->why[0] = '\0';
	if (s->system != 0 && id->system != s->system)
		snprintf(s->why, sizeof(s->why), "%s is another cluster (system %llu, not %llu)", name, (unsigned long long)id->system,
		    (unsigned long long)s->system);
	else if (id->standby)
		snprintf(s->why, sizeof(s->why), "%s is a standby%s", name, s->n == 1 ? ", and the conninfo names no other server: name the primary, too" : "");
	else if (id->timeline < s->timeline)
		snprintf(s->why, sizeof(s->why), "%s is a primary that was left behind: timeline %u, and %u was seen", name, id->timeline, s->timeline);
	if (s->why[0] != '\0')
		return s->why;
	s->system = id->system;
	s->timeline = id->timeline;
	s->ours = n;
	return NULL;
}

bool
servers_is_news(struct servers *s, size_t n, const char *why)
{
	struct server *e = &s->all[n];
	char text[sizeof(e->said[0].why)];
	size_t oldest = 0;
	int64_t now = clock_monotonic();

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(why, "\n"), why);
	for (size_t i = 0; i < SAID; i++) {
		if (e->said[i].at > 0 && strcmp(e->said[i].why, text) == 0) {
			if (now - e->said[i].at < (e->said[i].was_well ? SAY_SOON_US : SAY_AGAIN_US))
				return false;
			oldest = i;
			break;
		}
		if (e->said[i].at < e->said[oldest].at)
			oldest = i;
	}
	memcpy(e->said[oldest].why, text, sizeof(text));
	e->said[oldest].at = now;
	e->said[oldest].was_well = false;
	return true;
}

void
servers_is_well(struct servers *s, size_t n)
{
	for (size_t i = 0; i < SAID; i++)
		s->all[n].said[i].was_well = true;
}

/* ------- waiting: before the loop runs, and for visitbillctl */

/* Until (monotonic, microseconds) something is to be had from the socket. */
static bool
wait_socket(const PGconn *conn, short events, int64_t until)
{
	struct pollfd p = {.fd = PQsocket(conn), .events = events};
	int64_t left_ms = (until - clock_monotonic()) / 1000;

	return left_ms > 0 && poll(&p, 1, (int)left_ms) > 0;
}

/* The error is the connection's. */
static enum servers_answer
wait_connected(PGconn *conn, int64_t until)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (conn != NULL && PQstatus(conn) != CONNECTION_BAD && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
		if (!wait_socket(conn, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, until))
			return SERVERS_SILENT;
		status = PQconnectPoll(conn);
	}
	return status == PGRES_POLLING_OK ? SERVERS_ANSWERED : SERVERS_FAILED;
}

/* The row of server_identity_sql. */
static enum servers_answer
ask_identity(PGconn *conn, int64_t until, struct server_identity *ret)
{
	if (PQsendQueryParams(conn, server_identity_sql, 0, NULL, NULL, NULL, NULL, 0) != 1)
		return SERVERS_FAILED;
	while (PQisBusy(conn)) {
		if (!wait_socket(conn, POLLIN, until))
			return SERVERS_SILENT;
		if (PQconsumeInput(conn) != 1)
			return SERVERS_FAILED;
	}
	PGresult *row = PQgetResult(conn);
	bool there = PQresultStatus(row) == PGRES_TUPLES_OK && PQntuples(row) == 1;
	if (there)
		server_identity_read(row, ret);
	PQclear(row);
	while ((row = PQgetResult(conn)) != NULL)
		PQclear(row);
	return there ? SERVERS_ANSWERED : SERVERS_FAILED;
}

enum servers_answer
servers_identify(PGconn *conn, int64_t limit_ms, struct server_identity *ret)
{
	int64_t until = clock_monotonic() + limit_ms * 1000;
	enum servers_answer answer = wait_connected(conn, until);

	return answer == SERVERS_ANSWERED ? ask_identity(conn, until, ret) : answer;
}

bool
servers_find_wait(const struct servers *s, size_t n, int64_t limit_ms, const char **ret_address, const char **ret_why)
{
	if (servers_find(s, n, ret_address, ret_why))
		return true;
	host_wait(s->all[n].named, limit_ms);
	if (servers_find(s, n, ret_address, ret_why))
		return true;
	if (*ret_why == NULL)
		*ret_why = "its name was not looked up in time: no name server answers";
	return false;
}

PGconn *
servers_look(const struct servers *s, size_t n, const char *application, int64_t limit_ms, struct server_identity *ret, char *error,
    size_t error_size)
{
	int64_t until = clock_monotonic() + limit_ms * 1000;
	const char *address, *why;
	PGconn *conn = NULL;

	if (servers_find_wait(s, n, limit_ms, &address, &why)) {
		conn = servers_connect(s, n, address, application, "", limit_ms);
		enum servers_answer answer = servers_identify(conn, (until - clock_monotonic()) / 1000, ret);
		if (answer == SERVERS_ANSWERED)
			return conn;
		why = answer == SERVERS_FAILED ? PQerrorMessage(conn) : "no answer in time";
	}
	int length = (int)strcspn(why, "\n");	/* the lines after it are advice */
	snprintf(error, error_size, "%s: %.*s", s->all[n].name, length, why);
	PQfinish(conn);
	return NULL;
}

int
servers_survey(struct servers *s, const char *application, int64_t limit_ms, char *error, size_t error_size)
{
	struct server_identity id;
	size_t seen = SIZE_MAX, told = 0;

	for (size_t i = 0; i < s->n && s->n > 1; i++) {
		char why[320];
		PGconn *conn = servers_look(s, i, application, limit_ms, &id, why, sizeof(why));
		PQfinish(conn);
		if (conn == NULL) {
			if (told < error_size)
				told += (size_t)snprintf(error + told, error_size - told, "%s%s", told > 0 ? "; " : "", why);
			continue;
		}
		if (seen != SIZE_MAX && id.system != s->system) {
			snprintf(error, error_size, "the conninfo names servers of different clusters: %s is system %llu, %s is system %llu; take the one out that is"
			    " not this hospital's", s->all[seen].name, (unsigned long long)s->system, s->all[i].name, (unsigned long long)id.system);
			return -1;
		}
		s->system = id.system;
		seen = i;
		if (!id.standby && id.timeline >= s->timeline) {
			s->timeline = id.timeline;
			s->ours = i;
		}
	}
	return told > 0;
}

PGconn *
servers_open(struct servers *s, const char *application, int64_t limit_ms, char *error, size_t error_size)
{
	struct server_identity id;

	if (servers_survey(s, application, limit_ms, error, error_size) < 0)
		return NULL;
	for (size_t i = 0; i < s->n; i++) {
		size_t n = (s->ours + i) % s->n;
		PGconn *conn = servers_look(s, n, application, limit_ms, &id, error, error_size);
		if (conn == NULL)
			continue;
		const char *why = s->n > 1 ? servers_judge(s, n, &id) : NULL;	/* where one is named, it is taken as it is: for reading, a standby will do */
		if (why == NULL)
			return conn;
		snprintf(error, error_size, "%s", why);
		PQfinish(conn);
	}
	return NULL;
}

PGconn *
servers_open_standby(struct servers *s, const char *application, int64_t limit_ms, size_t *ret_n, char *error, size_t error_size)
{
	struct server_identity id;
	char why[320];

	if (servers_survey(s, application, limit_ms, error, error_size) < 0)
		return NULL;
	size_t used = (size_t)snprintf(error, error_size, "no server of the conninfo is a standby that answers");
	for (size_t i = 0; i < s->n; i++) {
		PGconn *conn = servers_look(s, i, application, limit_ms, &id, why, sizeof(why));
		if (conn != NULL && id.standby) {
			*ret_n = i;
			return conn;
		}
		if (conn != NULL)
			snprintf(why, sizeof(why), "%s is a primary", s->all[i].name);
		if (used < error_size)
			used += (size_t)snprintf(error + used, error_size - used, "; %s", why);
		PQfinish(conn);
	}
	return NULL;
}
