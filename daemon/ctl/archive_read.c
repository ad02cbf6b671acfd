/* archive verify and archive show: files are read without the database; where that can be reached, verify compares with what it has of them. */
#include <stdio.h>
#include <string.h>

#include "archive_row.h"
#include "ctl.h"
#include "database.h"
#include "document.h"
#include "table.h"

/* ---- verify ----------------------------------------------------------------------------------------- */

/* The row of the table archive for the file's range: what it says otherwise, or null. No row: it is not the schema's. */
static const char compare_sql[] =
    "select case when a.file <> $1 then 'there it is called ' || a.file when encode(a.sha256, 'hex') <> $2 then 'its content is another (SHA-256)'"
    "            when a.row_count <> ($3::json -> 'sums' ->> 'rows')::bigint or a.amount is distinct from ($3::json -> 'sums' ->> 'amount')::bigint"
    "                 or a.last_id <> ($3::json ->> 'last_id')::bigint then 'its range or its sums are others'"
    "            when exists (select from archive_account x full join json_each_text($3::json -> 'sums' -> 'accounts') y on y.key = x.account"
    "                          where x.archive_id is not distinct from a.archive_id and x.amount is distinct from y.value::bigint) then 'its accounts are others' end"
    "  from archive a where a.relation = $3::json ->> 'relation' and a.first_id = ($3::json ->> 'first_id')::bigint";

static int
compare(PGconn *db, const char *path, json_object *header)
{
	const char *slash = strrchr(path, '/');
	const char *values[] = {slash != NULL ? slash + 1 : path, document_text(header, "sha256"), json_object_to_json_string(header)};
	PGresult *r = database_query(db, compare_sql, 3, values);
	int done = -1;

	if (r == NULL)
		return -1;
	if (PQntuples(r) == 0)
		ctl_failed("%s: the database has no archive of %s from %s on", path, document_text(header, "relation"), document_text(header, "first_id"));
	else if (!PQgetisnull(r, 0, 0))
		ctl_failed("%s is not what the database has as archived: %s", path, PQgetvalue(r, 0, 0));
	else
		done = 0;
	PQclear(r);
	return done;
}

static int
verify(PGconn *db, const char *path)
{
	struct archive_reader *r = archive_open(path);
	int done = -1;

	if (r != NULL && archive_check(r, path) == 0 && (db == NULL || compare(db, path, archive_header(r)) == 0)) {
		json_object *header = archive_header(r);
		printf("%s: ok, %s %s to %s, %s rows%s\n", path, document_text(header, "relation"), document_text(header, "first_id"), document_text(header, "last_id"),
		    document_text(document_member(header, "sums"), "rows"), db != NULL ? ", as the database has it" : "");
		done = 0;
	}
	archive_close(r);
	return done;
}

int
ctl_archive_verify(const struct ctl *c, int argc, char **argv)
{
	struct ctl with = *c;
	char error[512];
	PGconn *db = NULL;
	int bad = 0;

	if (argc == 0 || argv[0][0] == '-')
		return ctl_usage(c, "%s", argc == 0 ? "an argument is missing" : "there are no options here");
	struct config *config = config_load(c->config_path, error, sizeof(error));
	with.config = config;
	if (config == NULL)
		ctl_failed("%s", error);
	else
		db = database_open(&with, DATABASE_READ);
	if (db == NULL)
		ctl_failed("no database to compare with: the files are held against themselves");
	for (int i = 0; i < argc; i++)
		bad += verify(db, argv[i]) != 0;
	PQfinish(db);
	config_release(config);
	return bad == 0 ? CTL_OK : argc > 1 ? ctl_failed("%d of %d files are not good", bad, argc) : CTL_FAILED;
}

/* ---- show ------------------------------------------------------------------------------------------- */

/* What a person wants to see of each relation. */
static const struct shown {
	const char *relation;
	struct column columns[8];
	const char *names[8];
} shown[] = {
	{"charge", {{"line", TEXT_RIGHT, false}, {"charged", TEXT_LEFT, false}, {"feed", TEXT_LEFT, false}, {"id", TEXT_LEFT, false}, {"code", TEXT_LEFT, false},
	    {"name", TEXT_LEFT, true}, {"quantity", TEXT_RIGHT, false}, {"amount", TEXT_RIGHT, false}},
	    {"line_no", "charged_at", "feed", "source_line", "item_code", "item_name", "quantity_e4", "amount"}},
	{"event", {{"event", TEXT_RIGHT, false}, {"at", TEXT_LEFT, false}, {"kind", TEXT_LEFT, false}, {"from", TEXT_LEFT, false}, {"to", TEXT_LEFT, false},
	    {"feed", TEXT_LEFT, false}, {"message", TEXT_LEFT, false}, {"detail", TEXT_LEFT, true}},
	    {"event_id", "at", "kind", "from_state", "to_state", "feed", "message_id", "detail"}},
	{"journal", {{"entry", TEXT_RIGHT, false}, {"at", TEXT_LEFT, false}, {"kind", TEXT_LEFT, false}, {"bill", TEXT_LEFT, false}, {"capture", TEXT_RIGHT, false},
	    {"accounts", TEXT_LEFT, true}, {"fen", TEXT_LEFT, true}, {"visit", TEXT_LEFT, false}},
	    {"entry_id", "at", "kind", "bill_no", "capture_id", "accounts", "amounts", "visit_no"}},
};

/* A scaled integer as decimal text: all digits of an amount, no more than needed of a quantity. */
static const char *
scaled(struct arena *a, const char *text, int digits, bool all)
{
	const char *sign = text[0] == '-' ? "-" : "", *n = text + (text[0] == '-');
	int length = (int)strlen(n);

	while (length <= digits) {
		n = arena_printf(a, "0%s", n);
		length++;
	}
	char *out = arena_alloc(a, strlen(n) + 3);
	int used = sprintf(out, "%s%.*s.%s", sign, length - digits, n, n + length - digits);
	while (!all && out[used - 1] == '0')
		out[--used] = '\0';
	if (out[used - 1] == '.')
		out[--used] = '\0';
	return out;
}

static const char *
cell_text(struct arena *a, const char *name, struct view cell)
{
	if (cell.p == NULL)
		return NULL;
	if (strcmp(name, "amount") == 0)
		return scaled(a, cell.p, 2, true);
	if (strcmp(name, "quantity_e4") == 0)
		return scaled(a, cell.p, 4, false);
	if (strcmp(name, "at") == 0 || strcmp(name, "charged_at") == 0)
		return arena_printf(a, "%.19s", cell.p);
	return cell.p;
}

struct show {
	json_object *header, *found;	/* found: with --json */
	const struct shown *shown;
	struct table *table;
	const char *facility, *visit;
	int facility_at, visit_at;
	size_t n;
};

static void
show_row(struct arena *a, struct show *s, const struct view *cells)
{
	json_object *columns = document_member(s->header, "columns"), *row = NULL;
	const char *texts[8];

	s->n++;
	if (s->found != NULL) {
		row = json_object_new_object();
		for (size_t i = 0; i < json_object_array_length(columns); i++)
			json_object_object_add(row, json_object_get_string(json_object_array_get_idx(columns, i)),
			    cells[i].p != NULL ? json_object_new_string_len(cells[i].p, (int)cells[i].n) : NULL);
		json_object_array_add(s->found, row);
		return;
	}
	for (size_t i = 0; i < 8; i++) {
		int at = archive_column(s->header, s->shown->names[i]);
		texts[i] = at >= 0 ? cell_text(a, s->shown->names[i], cells[at]) : NULL;
	}
	table_add(s->table, texts);
}

/* The visit's rows; the whole file is read, and what does not verify is not shown as if it did. */
static int
find_rows(struct archive_reader *r, struct show *s)
{
	struct view row, cells[ARCHIVE_COLUMNS];
	int got, n = (int)json_object_array_length(document_member(s->header, "columns"));

	while ((got = archive_next(r, &row)) == 1) {
		struct arena a = {0};
		bool whole = archive_cells(&a, row, cells) == n;
		if (!whole)
			ctl_failed("the file is damaged: a row has not the header's columns");
		else if (cells[s->facility_at].p != NULL && view_is(cells[s->facility_at], s->facility) && cells[s->visit_at].p != NULL
		    && view_is(cells[s->visit_at], s->visit))
			show_row(&a, s, cells);
		arena_free(&a);
		if (!whole)
			return -1;
	}
	return got == 0 ? archive_check_hash(r) : -1;
}

static int
show(struct archive_reader *r, struct show *s, bool json)
{
	s->header = archive_header(r);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (strcmp(shown[i].relation, document_text(s->header, "relation")) == 0)
			s->shown = &shown[i];
	s->facility_at = archive_column(s->header, "facility");
	s->visit_at = archive_column(s->header, "visit_no");
	if (s->shown == NULL || s->facility_at < 0 || s->visit_at < 0)
		return ctl_failed("a file of %s has no visits", document_text(s->header, "relation"));
	s->found = json ? json_object_new_array() : NULL;
	s->table = table_new(s->shown->columns, 8);
	int done = find_rows(r, s);
	if (done == 0 && json)
		document_print(s->found, stdout);
	else if (done == 0 && s->n > 0)
		table_print(s->table, stdout, 0);
	table_free(s->table);
	json_object_put(s->found);
	if (done == 0 && s->n == 0)
		return ctl_failed("nothing of visit %s at %s is in it", s->visit, s->facility);
	return done == 0 ? CTL_OK : CTL_FAILED;
}

int
ctl_archive_show(const struct ctl *c, int argc, char **argv)
{
	const char *path, *visit = NULL;
	bool json = false;
	const struct ctl_option options[] = {{"--visit", NULL, &visit}, {"--json", &json, NULL}};
	char facility[128];

	if (ctl_arguments(c, argc, argv, options, 2, &path, 1) != CTL_OK)
		return CTL_USAGE;
	const char *slash = visit != NULL ? strchr(visit, '/') : NULL;
	if (slash == NULL || slash == visit || slash[1] == '\0' || (size_t)(slash - visit) >= sizeof(facility))
		return ctl_usage(c, "say --visit FACILITY/VISIT_NO");
	snprintf(facility, sizeof(facility), "%.*s", (int)(slash - visit), visit);
	struct show s = {.facility = facility, .visit = slash + 1};
	struct archive_reader *r = archive_open(path);
	int status = r != NULL ? show(r, &s, json) : CTL_FAILED;
	archive_close(r);
	return status;
}
