/* quarantine list, show: what could not be booked, why, and what became of it. */
#include "quarantine.h"

#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "database.h"
#include "proto/arena.h"
#include "proto/reason.h"
#include "quarantine_many.h"
#include "table.h"

/* A page, shown oldest first, whichever end it is of. */
static const char list_sql[] =
    "select e.id, to_char(e.received_at, 'YYYY-MM-DD HH24:MI:SS') as received_at, e.feed, e.reason,"
    "       nullif(concat_ws('/', e.facility, e.visit_no), '') as visit, e.source_line, e.detail,"
    "       coalesce(e.outcome || coalesce(': ' || e.why, ''), 'waiting') as outcome, page.doc ->> 'next' as next"
    "  from (select doc::json from quarantine_list($1, $2, $3, '{*}')) page"
    "  left join lateral json_to_recordset(page.doc -> 'quarantine')"
    "       e (id bigint, received_at timestamptz, feed text, reason text, facility text, visit_no text, source_line text, detail text, outcome text, why text)"
    "       on true order by e.received_at, e.id";

static const char show_sql[] =
    "select q.quarantine_id, to_char(q.received_at, 'YYYY-MM-DD HH24:MI:SS') as received_at, f.name as feed, m.peer, q.reason, q.detail,"
    "       q.location, nullif(concat_ws('/', q.facility_code, q.visit_no), '') as visit, q.source_line, q.awaits_line, q.ordinal,"
    "       case when r.outcome is null then 'waiting' else"
    "           r.outcome || coalesce(': ' || r.why, '') || ', by ' || r.resolved_by || ', ' || to_char(r.at, 'YYYY-MM-DD HH24:MI:SS') end as state,"
    "       m.content_type, k.bytes, q.message_id, (select file from archive where relation = 'quarantine_bytes' and m.message_id between first_id and last_id) as file"
    "  from quarantine q join quarantine_message m using (message_id) left join quarantine_kept k using (message_id) left join feed f on f.feed_id = q.feed_id"
    "  left join quarantine_resolution r using (quarantine_id) where q.quarantine_id = $1";

static bool
is_number(const char *text)
{
	return *text != '\0' && strlen(text) < 10 && strspn(text, "0123456789") == strlen(text) && *text != '0';
}

static void
print_list(const PGresult *r, bool all, bool oldest)
{
	static const struct column columns[] = {
		{"id", TEXT_RIGHT, false}, {"received", TEXT_LEFT, false}, {"feed", TEXT_LEFT, false}, {"reason", TEXT_LEFT, false},
		{"visit", TEXT_LEFT, false}, {"line", TEXT_LEFT, true}, {"detail", TEXT_LEFT, true}, {"outcome", TEXT_LEFT, true},
	};
	size_t n = all ? 8 : 7;
	struct table *t = table_new(columns, n);
	const char *cells[8], *next = database_value(r, 0, PQfnumber(r, "next"));

	for (int row = 0; row < PQntuples(r) && !PQgetisnull(r, row, 0); row++) {
		for (size_t i = 0; i < n; i++)
			cells[i] = database_value(r, row, (int)i);
		table_add(t, cells);
	}
	if (table_rows(t) > 0)
		table_print(t, stdout, 0);
	else if (next == NULL)
		puts(all ? "nothing in quarantine is meant" : "nothing waits in quarantine that is meant");
	if (next != NULL)
		printf("%s ones may follow: --after %s\n", oldest ? "newer" : "older", next);
	table_free(t);
}

int
ctl_quarantine_list(const struct ctl *c, int argc, char **argv)
{
	bool all = false, oldest = false;
	const char *limit = "100", *after = "0", *filter;
	struct quarantine_words words = {0};
	const struct ctl_option options[] = {{"--all", &all, NULL}, {"--oldest", &oldest, NULL}, {"--limit", NULL, &limit}, {"--after", NULL, &after},
	    QUARANTINE_OPTIONS(words)};
	struct arena a = {0};
	int status = CTL_FAILED;

	if (ctl_arguments(c, argc, argv, options, 4 + QUARANTINE_N_OPTIONS, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	if (!is_number(limit) || (strcmp(after, "0") != 0 && !is_number(after)))
		return ctl_usage(c, "--%s is not a number", is_number(limit) ? "after" : "limit");
	struct quarantine_filter f = quarantine_filter_of(&words);
	f.state = view_of(all ? "all" : "waiting");
	f.order = view_of(oldest ? "oldest" : "newest");
	if (quarantine_filter_read(c, &f, &a, &filter) != CTL_OK) {
		arena_free(&a);
		return CTL_USAGE;
	}
	const char *values[] = {filter, limit, after};
	PGconn *db = database_open(c, DATABASE_READ);
	PGresult *r = db != NULL ? database_query(db, list_sql, 3, values) : NULL;
	if (r != NULL) {
		print_list(r, all, oldest);
		status = CTL_OK;
	}
	PQclear(r);
	PQfinish(db);
	arena_free(&a);
	return status;
}

/* The feed's character set by the configuration, for messages whose MSH-18 is blank. */
static const char *
charset_of(const struct config *config, const char *feed)
{
	for (size_t i = 0; feed != NULL && i < config->n_feeds; i++)
		if (strcmp(config->feeds[i].name, feed) == 0 && config->feeds[i].charset[0] != '\0')
			return config->feeds[i].charset;
	return NULL;
}

static const char *
field(const PGresult *r, const char *name)
{
	return database_value(r, 0, PQfnumber(r, name));
}

static void
print_entry(const PGresult *r)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_LEFT, true}};
	static const struct {
		const char *label, *name;
	} rows[] = {
		{"detail", "detail"}, {"location", "location"}, {"visit", "visit"}, {"line", "source_line"}, {"waits for line", "awaits_line"},
		{"feed", "feed"}, {"sent from", "peer"}, {"received", "received_at"}, {"state", "state"},
	};
	struct table *t = table_new(columns, 2);
	struct arena a = {0};
	const struct reason *reason = reason_of(field(r, "reason"));
	bool known = strcmp(reason->name, field(r, "reason")) == 0 && strcmp(reason->title, field(r, "detail")) != 0;

	table_add(t, (const char *[]){"quarantine", field(r, "quarantine_id")});
	table_add(t, (const char *[]){"reason",
	    known ? arena_printf(&a, "%s: %s", reason->name, reason->title) : field(r, "reason")});
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (field(r, rows[i].name) != NULL)
			table_add(t, (const char *[]){rows[i].label, field(r, rows[i].name)});
	table_print(t, stdout, 0);
	table_free(t);
	arena_free(&a);
}

static void
print_message(const struct ctl *c, const PGresult *r, bool full)
{
	struct quarantine_place place = {field(r, "location"), (int)strtol(field(r, "ordinal"), NULL, 10)};
	size_t n = 0;

	if (field(r, "bytes") == NULL) {
		printf("\nMESSAGE %s, archived in %s\n", field(r, "message_id"), field(r, "file") != NULL ? field(r, "file") : "no file that is known");
		return;
	}
	unsigned char *bytes = PQunescapeBytea((const unsigned char *)field(r, "bytes"), &n);
	struct view message = {(const char *)bytes, n};

	if (bytes == NULL)
		return;
	putchar('\n');
	if (strcmp(field(r, "content_type"), "hl7") == 0)
		quarantine_print_hl7(stdout, message, charset_of(c->config, field(r, "feed")), &place, full);
	else
		quarantine_print_json(stdout, message, &place, full);
	PQfreemem(bytes);
}

int
ctl_quarantine_show(const struct ctl *c, int argc, char **argv)
{
	const char *id;
	bool full = false;
	const struct ctl_option options[] = {{"--full", &full, NULL}};
	int status = CTL_FAILED;

	if (ctl_arguments(c, argc, argv, options, 1, &id, 1) != CTL_OK)
		return CTL_USAGE;
	if (!is_number(id))
		return ctl_usage(c, "%s is not a number of a quarantine entry", id);
	PGconn *db = database_open(c, DATABASE_READ);
	PGresult *r = db != NULL ? database_query(db, show_sql, 1, &id) : NULL;
	if (r != NULL && PQntuples(r) == 0) {
		ctl_failed("there is no quarantine entry %s", id);
	} else if (r != NULL) {
		print_entry(r);
		print_message(c, r, full);
		status = CTL_OK;
	}
	PQclear(r);
	PQfinish(db);
	return status;
}
