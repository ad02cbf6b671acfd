/* archive --before DATE: says which partitions have nothing open in them and nothing newer than that, and with --yes exports each to a file and drops it. The file
 * is on the disk and was read back before the drop, which is one transaction with the row in the table archive: whenever this is cut off, what is in the database is
 * whole, and the next run goes on. What is open and what is locked: sql/functions/80_archive.sql. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_export.h"
#include "ctl.h"
#include "database.h"
#include "document.h"
#include "proto/money.h"
#include "table.h"
#include "user.h"

enum { LOCK_TRIES = 60, PAUSE_FIRST_MS = 200, PAUSE_MOST_MS = 10000 };

struct run {
	const struct ctl *c;
	const char *before, *folder, *by;
	PGconn *db;
	struct arena *arena;
};

static const char plan_sql[] =
    "select coalesce(json_agg(json_build_object('relation', relation, 'part', part, 'first_id', first_id, 'last_id', last_id, 'bytes', pg_size_pretty(bytes),"
    "    'newest', to_char(newest, 'YYYY-MM-DD'), 'why', why, 'sums', sums)), '[]') as plan from archive_plan($1::date::timestamptz)";

/* DATE, a day of the calendar; not one to come. */
static int
check_date(const struct run *run)
{
	PGresult *r = database_query(run->db, "select case when to_char(case when $1 ~ '^(?!0000)\\d{4}-(0[1-9]|1[0-2])-([0-2]\\d|3[01])$' then make_date(left($1, 4)::int,"
	    " substr($1, 6, 2)::int, 1) + right($1, 2)::int - 1 end, 'YYYY-MM-DD') is distinct from $1 then 'is no date, YYYY-MM-DD' when $1::date > current_date"
	    " then 'is to come' end", 1, &run->before);

	if (r == NULL)
		return -1;
	bool good = PQgetisnull(r, 0, 0);
	if (!good)
		ctl_failed("--before %s %s", run->before, PQgetvalue(r, 0, 0));
	PQclear(r);
	return good ? 0 : -1;
}

static json_object *
fetch_plan(const struct run *run)
{
	PGresult *r = database_query(run->db, plan_sql, 1, &run->before);
	json_object *plan = r != NULL ? document_of(r, "plan") : NULL;

	PQclear(r);
	return plan;
}

static size_t
print_plan(const struct run *run, json_object *plan)
{
	static const struct column columns[] = {
		{"partition", TEXT_LEFT, false}, {"from", TEXT_RIGHT, false}, {"to", TEXT_RIGHT, false}, {"rows", TEXT_RIGHT, false}, {"yuan", TEXT_RIGHT, false},
		{"size", TEXT_RIGHT, false}, {"newest", TEXT_LEFT, false}, {"", TEXT_LEFT, true},
	};
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	size_t going = 0;

	for (size_t i = 0; i < json_object_array_length(plan); i++) {
		json_object *p = json_object_array_get_idx(plan, i), *sums = document_member(p, "sums"), *amount = document_member(sums, "amount");
		const char *why = document_text(p, "why");
		char yuan[MONEY_TEXT];
		going += why == NULL;
		table_add(t, (const char *[]){document_text(p, "part"), document_text(p, "first_id"), document_text(p, "last_id"), document_text(sums, "rows"),
		    amount != NULL ? money_format(json_object_get_int64(amount), yuan) : NULL, document_text(p, "bytes"), document_text(p, "newest"),
		    why != NULL ? arena_printf(run->arena, "stays: %s", why) : "goes"});
	}
	table_print(t, stdout, 0);
	table_free(t);
	return going;
}

/* One try of the last step: 1 done; 0 a lock was not to be had; -1 after having said why. *ret_why: why the partition stays after all, of the arena. */
static int
try_finish(const struct run *run, json_object *p, const char *file, const char **ret_why)
{
	const char *values[] = {json_object_to_json_string(p), run->before, file, run->by};
	PGresult *r;
	char complaint[1024];
	int done = -1;

	/* shorter than deadlock_timeout: should a writer wait for us while we wait for him, it is we who give up */
	if (database_run(run->db, "begin; set local lock_timeout = '300ms'") != 0)
		return -1;
	r = PQexecParams(run->db, "select archive_finish($1::json, $2::date::timestamptz, $3, $4)", 4, NULL, values, NULL, NULL, 0);
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	if (PQresultStatus(r) == PGRES_TUPLES_OK && PQgetisnull(r, 0, 0)) {
		done = database_commit(run->db) == 0 ? 1 : -1;
	} else if (PQresultStatus(r) == PGRES_TUPLES_OK) {
		*ret_why = arena_printf(run->arena, "%s", PQgetvalue(r, 0, 0));
		done = database_run(run->db, "rollback") == 0 ? 1 : -1;
	} else if (state != NULL && (strcmp(state, "55P03") == 0 || strcmp(state, "40P01") == 0)) {
		done = database_run(run->db, "rollback") == 0 ? 0 : -1;
	} else {
		ctl_failed("%s", database_complaint(run->db, r, complaint, sizeof(complaint)));
	}
	PQclear(r);
	return done;
}

/* Tries until the locks are to be had: each try makes others wait for a moment, so there is ever more time between two. */
static int
finish(const struct run *run, json_object *p, const char *file, const char **ret_why)
{
	useconds_t pause = PAUSE_FIRST_MS;

	for (int i = 0; i < LOCK_TRIES; i++) {
		int done = try_finish(run, p, file, ret_why);
		if (done != 0)
			return done == 1 ? 0 : -1;
		if (i == 0) {
			printf("waiting for those who read or write %s\n", document_text(p, "relation"));
			fflush(stdout);
		}
		usleep(pause * 1000);
		pause = pause * 2 < PAUSE_MOST_MS ? pause * 2 : PAUSE_MOST_MS;
	}
	return ctl_failed("%s is in use all the time, by an audit or a dump perhaps: its file is made, say it again at another time", document_text(p, "relation")), -1;
}

static int
archive_one(const struct run *run, json_object *p)
{
	char *file = archive_export(run->db, run->folder, run->c->config->database.schema, run->by, p);
	const char *why = NULL;

	if (file == NULL)
		return -1;
	int done = finish(run, p, file, &why);
	if (done == 0 && why == NULL) {
		printf("%s: %s rows are in %s and no longer here\n", document_text(p, "part"), document_text(document_member(p, "sums"), "rows"), file);
	} else if (done == 0) {
		printf("%s stays: %s\n", document_text(p, "part"), why);
		unlink(arena_printf(run->arena, "%s/%s", run->folder, file));
	}
	fflush(stdout);
	free(file);
	return done;
}

static int
take_turn(PGconn *db)
{
	PGresult *r = database_query(db, "select pg_try_advisory_lock(hashtextextended(current_schema || '.archive', 0))", 0, NULL);
	bool mine = r != NULL && PQgetvalue(r, 0, 0)[0] == 't';

	if (r != NULL && !mine)
		ctl_failed("another archive is running");
	PQclear(r);
	return mine ? 0 : -1;
}

static int
archive(const struct run *run, bool yes)
{
	json_object *plan = NULL;
	int status = CTL_FAILED;

	if ((yes && take_turn(run->db) != 0) || check_date(run) != 0 || (plan = fetch_plan(run)) == NULL)
		return CTL_FAILED;
	size_t going = print_plan(run, plan), n = json_object_array_length(plan), i = 0;
	if (!yes) {
		printf("%zu of %zu partitions would go%s\n", going, n, going > 0 ? ": --yes exports and drops them" : "");
		status = CTL_OK;
	} else {
		if (going == 0)
			puts("nothing goes");
		fflush(stdout);
		for (; i < n; i++) {
			json_object *p = json_object_array_get_idx(plan, i);
			if (document_text(p, "why") == NULL && archive_one(run, p) != 0)
				break;
		}
		status = i == n ? CTL_OK : CTL_FAILED;
	}
	json_object_put(plan);
	return status;
}

int
ctl_archive(const struct ctl *c, int argc, char **argv)
{
	struct arena a = {0};
	struct run run = {.c = c, .folder = ".", .arena = &a};
	bool yes = false, dry = false;
	const struct ctl_option options[] = {{"--before", NULL, &run.before}, {"--to", NULL, &run.folder}, {"--dry-run", &dry, NULL}, {"--yes", &yes, NULL}};
	struct stat st;

	if (ctl_arguments(c, argc, argv, options, 4, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	if (run.before == NULL || (yes && dry))
		return ctl_usage(c, "%s", run.before == NULL ? "say --before DATE: what changed on that day or later stays" : "--dry-run or --yes, not both");
	if (yes && stat(run.folder, &st) != 0)
		return ctl_failed("--to %s: %s", run.folder, strerror(errno));
	if (yes && !S_ISDIR(st.st_mode))
		return ctl_failed("--to %s is no folder", run.folder);
	if ((run.db = database_open(c, DATABASE_OWNER)) == NULL)
		return CTL_FAILED;
	run.by = user_name(&a);
	int status = database_check_version(run.db, c->config) == 0 ? archive(&run, yes) : CTL_FAILED;
	PQfinish(run.db);
	arena_free(&a);
	return status;
}
