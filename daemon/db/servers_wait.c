/* Asking servers and waiting for them: before the loop runs, and for visitbillctl. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "servers_inside.h"

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
