/* The limit. Its task is to book the rows that the daemon books, into the same tables, by the fewest and largest statements that libpq allows: one
 * prepared statement a batch with binary arrays, one transaction, pipelined on a few connections. It parses no message, judges nothing, looks for no
 * duplicate and answers nobody, so nothing that does could be faster. It connects as the schema's owner; visits are there before it starts. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common.h"
#include "limit_batch.h"

enum { CONNECTIONS_MAX = 16, DEPTH_MAX = 8 };

struct link {
	PGconn *pg;
	struct limit_batch *batch;
	struct limit_visit *visits;
	unsigned n_visits;
	unsigned in_flight;
};

struct limit {
	const char *conninfo, *tag, *visit_prefix;
	int64_t connections, depth, rows, rows_a_visit, seconds, warm_ms, visits, count;
	struct link links[CONNECTIONS_MAX];
	uint64_t serial, random;
	uint64_t lines, batches;	/* committed in the measured time */
	uint64_t all_lines;
	int64_t from, to;
};

static void
check(const PGconn *pg, bool ok, const char *what)
{
	if (!ok)
		die("%s: %s", what, PQerrorMessage(pg));
}

/* The visits of connection `index`: every connections-th one. */
static void
link_open(struct limit *l, unsigned index)
{
	struct link *k = &l->links[index];
	char sql[400];

	k->pg = PQconnectdb(l->conninfo);
	check(k->pg, PQstatus(k->pg) == CONNECTION_OK, "connect");
	PGresult *r = PQexec(k->pg, "set plan_cache_mode = force_generic_plan");
	check(k->pg, PQresultStatus(r) == PGRES_COMMAND_OK, "set");
	PQclear(r);
	snprintf(sql, sizeof(sql), "select visit_id, line_count from (select visit_id, line_count, row_number() over (order by visit_id) as n from visit"
	    " where visit_no like '%s%%' order by visit_id limit %lld) v where n %% %lld = %u order by visit_id", l->visit_prefix, (long long)l->visits,
	    (long long)l->connections, index);
	r = PQexec(k->pg, sql);
	check(k->pg, PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0, "visits");
	k->n_visits = (unsigned)PQntuples(r);
	k->visits = need(k->n_visits * sizeof(*k->visits));
	for (unsigned i = 0; i < k->n_visits; i++)
		k->visits[i] = (struct limit_visit){.visit_id = strtoll(PQgetvalue(r, (int)i, 0), NULL, 10),
		    .line_count = (int32_t)strtol(PQgetvalue(r, (int)i, 1), NULL, 10)};
	PQclear(r);
	r = PQprepare(k->pg, "b", limit_sql, 0, NULL);
	check(k->pg, PQresultStatus(r) == PGRES_COMMAND_OK, "prepare");
	PQclear(r);
	check(k->pg, PQenterPipelineMode(k->pg) == 1 && PQsetnonblocking(k->pg, 1) == 0, "pipeline");
	k->batch = limit_batch_new((unsigned)l->rows, (unsigned)l->rows_a_visit, l->tag);
}

static void
link_send(struct limit *l, struct link *k)
{
	limit_batch_fill(k->batch, k->visits, k->n_visits, l->serial, &l->random);
	l->serial += (uint64_t)l->rows;
	check(k->pg, PQsendQueryPrepared(k->pg, "b", LIMIT_PARAMS, limit_batch_values(k->batch), limit_batch_lengths(k->batch), limit_formats(), 0) == 1
	    && PQpipelineSync(k->pg) == 1, "send");
	k->in_flight++;
}

/* Takes what has come; a sync is a commit. */
static void
link_receive(struct limit *l, struct link *k)
{
	check(k->pg, PQconsumeInput(k->pg) == 1, "receive");
	while (k->in_flight > 0 && PQisBusy(k->pg) == 0) {
		PGresult *r = PQgetResult(k->pg);
		if (r == NULL)
			continue;
		ExecStatusType status = PQresultStatus(r);
		check(k->pg, status == PGRES_COMMAND_OK || status == PGRES_PIPELINE_SYNC, "batch");
		PQclear(r);
		if (status != PGRES_PIPELINE_SYNC)
			continue;
		int64_t now = now_ns();
		k->in_flight--;
		l->all_lines += (uint64_t)l->rows;
		if (now >= l->from && now < l->to) {
			l->lines += (uint64_t)l->rows;
			l->batches++;
		}
	}
}

static bool
limit_is_over(const struct limit *l)
{
	return l->count > 0 ? l->serial >= (uint64_t)l->count : now_ns() >= l->to;
}

static void
limit_run(struct limit *l)
{
	struct pollfd fds[CONNECTIONS_MAX];
	unsigned in_flight;

	do {
		in_flight = 0;
		for (unsigned i = 0; i < (unsigned)l->connections; i++) {
			struct link *k = &l->links[i];
			while (k->in_flight < (unsigned)l->depth && !limit_is_over(l))
				link_send(l, k);
			int left = PQflush(k->pg);
			check(k->pg, left >= 0, "flush");
			fds[i] = (struct pollfd){PQsocket(k->pg), (short)(POLLIN | (left > 0 ? POLLOUT : 0)), 0};
			in_flight += k->in_flight;
		}
		if (in_flight == 0)
			break;
		poll(fds, (nfds_t)l->connections, 1000);
		for (unsigned i = 0; i < (unsigned)l->connections; i++)
			if ((fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0)
				link_receive(l, &l->links[i]);
	} while (true);
}

int
main(int argc, char **argv)
{
	char tag[8];
	bool print_sql = false;
	struct limit l = {.conninfo = "", .tag = tag, .visit_prefix = "BV", .connections = 2, .depth = 2, .rows = 1000, .rows_a_visit = 5, .seconds = 5,
	    .warm_ms = 1000, .visits = 2000};
	const struct option_row rows[] = {
		{"conninfo", "libpq connection string of the schema's owner", &l.conninfo, NULL, NULL},
		{"connections", "connections (2)", NULL, &l.connections, NULL},
		{"depth", "batches in flight on each (2)", NULL, &l.depth, NULL},
		{"rows", "lines in a batch (1000)", NULL, &l.rows, NULL},
		{"rows-a-visit", "lines in a row for one visit (5)", NULL, &l.rows_a_visit, NULL},
		{"seconds", "measured time (5)", NULL, &l.seconds, NULL},
		{"warm-ms", "time before it (1000)", NULL, &l.warm_ms, NULL},
		{"count", "lines, instead of a time", NULL, &l.count, NULL},
		{"visits", "visits to spread the lines over (2000)", NULL, &l.visits, NULL},
		{"visit-prefix", "of their numbers (BV)", &l.visit_prefix, NULL, NULL},
		{"tag", "makes ids unique", &l.tag, NULL, NULL},
		{"sql", "only print the statement", NULL, NULL, &print_sql},
	};

	snprintf(tag, sizeof(tag), "%06d", (int)(time(NULL) % 1000000));
	options_read("vblimit [options]", rows, sizeof(rows) / sizeof(rows[0]), argc, argv, 1);
	if (print_sql) {
		puts(limit_sql);
		return 0;
	}
	if (l.connections < 1 || l.connections > CONNECTIONS_MAX || l.depth < 1 || l.depth > DEPTH_MAX || l.rows < 1 || l.rows_a_visit < 1)
		die("an option is out of range");
	l.random = (uint64_t)now_ns();
	for (unsigned i = 0; i < (unsigned)l.connections; i++)
		link_open(&l, i);
	int64_t start = now_ns();
	l.from = start + (l.count > 0 ? 0 : l.warm_ms * 1000000);
	l.to = l.count > 0 ? INT64_MAX : l.from + l.seconds * 1000000000;
	limit_run(&l);
	double seconds = (double)((l.count > 0 ? now_ns() : l.to) - l.from) / 1e9;
	printf("{\"mode\":\"limit\",\"seconds\":%.3f,\"lines\":%llu,\"lines_per_s\":%.1f,\"batches_per_s\":%.1f,\"good_lines\":%llu,\"failures\":0,"
	    "\"connections\":%lld,\"depth\":%lld,\"rows\":%lld,\"cpu_s\":%.3f}\n", seconds, (unsigned long long)l.lines, (double)l.lines / seconds,
	    (double)l.batches / seconds, (unsigned long long)l.all_lines, (long long)l.connections, (long long)l.depth, (long long)l.rows, cpu_seconds());
	for (unsigned i = 0; i < (unsigned)l.connections; i++) {
		PQfinish(l.links[i].pg);
		limit_batch_free(l.links[i].batch);
		free(l.links[i].visits);
	}
	return 0;
}
