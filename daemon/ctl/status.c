/* status: where things stand, in one look. The counts are the database's status_doc(); this adds versions and the newest event. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "ctl.h"
#include "database.h"
#include "document.h"
#include "table.h"

static const char status_sql[] =
    "select status_doc() as status, json_build_object("
    "    'server', split_part(current_setting('server_version'), ' ', 1), 'database', current_database(), 'schema', current_schema,"
    "    'role', current_user, 'bytes', pg_database_size(current_database())) as database,"
    " (select json_build_object('version', version, 'name', name, 'applied_at', iso_time(applied_at)) from schema_version"
    "   order by version desc limit 1) as schema_version,"
    " (select json_build_object('sha256', sha256, 'applied_at', iso_time(applied_at)) from schema_functions order by applied_id desc limit 1)"
    "   as schema_functions,"
    " (select json_build_object('at', iso_time(e.at), 'age_seconds', round(extract(epoch from now() - e.at)), 'kind', e.kind,"
    "         'from', e.from_state, 'to', e.to_state, 'visit_no', v.visit_no)"
    "    from event e left join visit v using (visit_id) order by e.event_id desc limit 1) as newest_event";

/* All parts as one object, for --json and for the tables. */
static json_object *
status_document(const PGresult *r)
{
	static const char *const parts[] = {"database", "schema_version", "schema_functions", "newest_event"};
	json_object *all = json_object_new_object(), *status = document_of(r, "status");

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		json_object_object_add(all, parts[i], document_of(r, parts[i]));
	json_object_object_foreach(status, key, value)
		json_object_object_add(all, key, json_object_get(value));
	json_object_put(status);
	return all;
}

/* 75 as 1m15s, 90061 as 1d1h. */
static const char *
age_text(const char *seconds, char buf[24])
{
	long s = seconds != NULL ? strtol(seconds, NULL, 10) : 0;

	if (seconds == NULL)
		snprintf(buf, 24, "never seen");
	else if (s < 60)
		snprintf(buf, 24, "%lds", s);
	else if (s < 3600)
		snprintf(buf, 24, "%ldm%lds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, 24, "%ldh%ldm", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, 24, "%ldd%ldh", s / 86400, s % 86400 / 3600);
	return buf;
}

static void
print_head(json_object *all)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_LEFT, true}};
	struct table *t = table_new(columns, 2);
	json_object *db = document_member(all, "database"), *version = document_member(all, "schema_version");
	json_object *functions = document_member(all, "schema_functions"), *event = document_member(all, "newest_event");
	const char *bytes = document_text(db, "bytes"), *hash = document_text(functions, "sha256"), *visit = document_text(event, "visit_no");
	char text[512], age[24];

	snprintf(text, sizeof(text), "PostgreSQL %s, database %s, schema %s, role %s, %ld MiB", document_text(db, "server"),
	    document_text(db, "database"), document_text(db, "schema"), document_text(db, "role"), strtol(bytes, NULL, 10) >> 20);
	table_add(t, (const char *[]){"database", text});
	snprintf(text, sizeof(text), "version %s (%s), functions %.12s%s", document_text(version, "version"), document_text(version, "name"),
	    hash != NULL ? hash : "none", hash != NULL && strcmp(hash, bundle_functions_sha256) == 0 ? "" : " (not this binary's)");
	table_add(t, (const char *[]){"schema", text});
	if (event != NULL) {
		snprintf(text, sizeof(text), "%s %s%s%s%s, %s ago", document_text(event, "kind"), document_text(event, "to") != NULL ? "→ " : "",
		    document_text(event, "to") != NULL ? document_text(event, "to") : "", visit != NULL ? ", visit " : "", visit != NULL ? visit : "",
		    age_text(document_text(event, "age_seconds"), age));
		table_add(t, (const char *[]){"newest event", text});
	}
	snprintf(text, sizeof(text), "%s visits have some that wait for a supplementary bill", document_text(all, "late_visits"));
	table_add(t, (const char *[]){"late lines", text});
	table_print(t, stdout, 0);
	table_free(t);
}

static void
print_feeds(json_object *feeds)
{
	static const struct column columns[] = {
		{"feed", TEXT_LEFT, false}, {"bills wait", TEXT_LEFT, false}, {"watermark", TEXT_LEFT, false}, {"lag", TEXT_RIGHT, false},
	};
	struct table *t = table_new(columns, 4);
	char mark[DOCUMENT_TIME], lag[24];

	for (size_t i = 0; i < json_object_array_length(feeds); i++) {
		json_object *f = json_object_array_get_idx(feeds, i);
		table_add(t, (const char *[]){document_text(f, "feed"), json_object_get_boolean(document_member(f, "waits")) ? "yes" : "no",
		    document_time(document_text(f, "mark"), true, mark), age_text(document_text(f, "lag_seconds"), lag)});
	}
	puts("\nFEEDS");
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	else
		puts("  none: the daemon has not run yet, or none is configured");
	table_free(t);
}

static void
print_counts(const char *title, json_object *counts)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_RIGHT, false}};
	struct table *t = table_new(columns, 2);

	json_object_object_foreach(counts, name, n)
		table_add(t, (const char *[]){name, json_object_get_string(n)});
	printf("\n%s\n", title);
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	else
		puts("  none");
	table_free(t);
}

static void
print_payments(json_object *payments)
{
	static const struct column columns[] = {{"channel", TEXT_LEFT, false}, {"state", TEXT_LEFT, false}, {"number", TEXT_RIGHT, false}};
	struct table *t = table_new(columns, 3);

	for (size_t i = 0; i < json_object_array_length(payments); i++) {
		json_object *p = json_object_array_get_idx(payments, i);
		table_add(t, (const char *[]){document_text(p, "channel"), document_text(p, "state"), document_text(p, "count")});
	}
	puts("\nPAYMENTS");
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	else
		puts("  none");
	table_free(t);
}

int
ctl_status(const struct ctl *c, int argc, char **argv)
{
	bool json = false;
	const struct ctl_option options[] = {{"--json", &json, NULL}};

	if (ctl_arguments(c, argc, argv, options, 1, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	PGconn *db = database_open(c, DATABASE_READ);
	PGresult *r = db != NULL ? database_query(db, status_sql, 0, NULL) : NULL;
	if (r != NULL) {
		json_object *all = status_document(r);
		if (json) {
			document_print(all, stdout);
		} else {
			print_head(all);
			print_feeds(document_member(all, "feeds"));
			print_counts("VISITS", document_member(all, "visits"));
			print_payments(document_member(all, "payments"));
			print_counts("QUARANTINE, waiting", document_member(all, "quarantine"));
		}
		json_object_put(all);
	}
	int status = r != NULL ? CTL_OK : CTL_FAILED;
	PQclear(r);
	PQfinish(db);
	return status;
}
