/* quarantine list, show, dismiss: what could not be booked, why, and what became of it. */
#include "quarantine.h"

#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "database.h"
#include "proto/arena.h"
#include "proto/reason.h"
#include "table.h"
#include "user.h"

static const char list_sql[] =
    "select quarantine_id, received_at, feed, reason, visit, source_line, detail, outcome, matching from ("
    "    select q.quarantine_id, to_char(q.received_at, 'YYYY-MM-DD HH24:MI:SS') as received_at, f.name as feed, q.reason,"
    "           nullif(concat_ws('/', q.facility_code, q.visit_no), '') as visit, q.source_line, q.detail,"
    "           coalesce(r.outcome, 'waiting') as outcome, count(*) over () as matching"
    "      from quarantine q left join feed f using (feed_id) left join quarantine_resolution r using (quarantine_id)"
    "     where ($1::boolean or r.outcome is null) and ($2::text is null or q.reason = $2)"
    "     order by q.quarantine_id desc limit $3::int) newest order by quarantine_id";

static const char show_sql[] =
    "select q.quarantine_id, to_char(q.received_at, 'YYYY-MM-DD HH24:MI:SS') as received_at, f.name as feed, m.peer, q.reason, q.detail,"
    "       q.location, nullif(concat_ws('/', q.facility_code, q.visit_no), '') as visit, q.source_line, q.awaits_line, q.ordinal,"
    "       case when r.outcome is null then 'waiting' else"
    "           r.outcome || ', by ' || r.resolved_by || ', ' || to_char(r.at, 'YYYY-MM-DD HH24:MI:SS') end as state,"
    "       m.content_type, k.bytes, (select file from archive where relation = 'quarantine_bytes' and m.message_id between first_id and last_id) as file"
    "  from quarantine q join quarantine_message m using (message_id) left join quarantine_kept k using (message_id) left join feed f on f.feed_id = q.feed_id"
    "  left join quarantine_resolution r using (quarantine_id) where q.quarantine_id = $1";

static bool
is_number(const char *text)
{
	return *text != '\0' && strlen(text) < 10 && strspn(text, "0123456789") == strlen(text) && *text != '0';
}

static void
print_list(const PGresult *r, bool all, const char *limit)
{
	static const struct column columns[] = {
		{"id", TEXT_RIGHT, false}, {"received", TEXT_LEFT, false}, {"feed", TEXT_LEFT, false}, {"reason", TEXT_LEFT, false},
		{"visit", TEXT_LEFT, false}, {"line", TEXT_LEFT, true}, {"detail", TEXT_LEFT, true}, {"outcome", TEXT_LEFT, true},
	};
	size_t n = all ? 8 : 7;
	struct table *t = table_new(columns, n);
	const char *cells[8];

	for (int row = 0; row < PQntuples(r); row++) {
		for (size_t i = 0; i < n; i++)
			cells[i] = database_value(r, row, (int)i);
		table_add(t, cells);
	}
	if (PQntuples(r) == 0)
		puts(all ? "the quarantine is empty" : "nothing waits in quarantine");
	else
		table_print(t, stdout, 0);
	if (PQntuples(r) > 0 && strtol(PQgetvalue(r, 0, 8), NULL, 10) > PQntuples(r))
		printf("the newest %s of %s; see --limit\n", limit, PQgetvalue(r, 0, 8));
	table_free(t);
}

int
ctl_quarantine_list(const struct ctl *c, int argc, char **argv)
{
	bool all = false;
	const char *reason = NULL, *limit = "100";
	const struct ctl_option options[] = {{"--all", &all, NULL}, {"--reason", NULL, &reason}, {"--limit", NULL, &limit}};

	if (ctl_arguments(c, argc, argv, options, 3, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	if (!is_number(limit))
		return ctl_usage(c, "--limit %s is not a number", limit);
	const char *values[] = {all ? "true" : "false", reason, limit};
	PGconn *db = database_open(c, DATABASE_READ);
	PGresult *r = db != NULL ? database_query(db, list_sql, 3, values) : NULL;
	if (r != NULL)
		print_list(r, all, limit);
	int status = r != NULL ? CTL_OK : CTL_FAILED;
	PQclear(r);
	PQfinish(db);
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
		printf("\nMESSAGE, archived in %s\n", field(r, "file") != NULL ? field(r, "file") : "no file that is known");
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

static int
dismiss(PGconn *db, const char *id, const char *why)
{
	struct arena a = {0};
	const char *values[] = {id, arena_printf(&a, "dismissed: %s", why), user_name(&a)};
	PGresult *r = database_query(db, "select quarantine_resolve($1, $2, $3, '{*}')", 3, values);
	const char *outcome = r != NULL ? PQgetvalue(r, 0, 0) : "";
	int status = CTL_FAILED;

	if (strcmp(outcome, "done") == 0 && database_commit(db) == 0) {
		printf("%s: dismissed\n", id);
		status = CTL_OK;
	} else if (strcmp(outcome, "repeated") == 0) {
		ctl_failed("quarantine entry %s is resolved already; see visitbillctl quarantine show %s", id, id);
	} else if (strcmp(outcome, "quarantine_unknown") == 0) {
		ctl_failed("there is no quarantine entry %s", id);
	}
	PQclear(r);
	arena_free(&a);
	return status;
}

int
ctl_quarantine_dismiss(const struct ctl *c, int argc, char **argv)
{
	const char *id, *why = NULL;
	const struct ctl_option options[] = {{"--why", NULL, &why}};
	PGconn *db;

	if (ctl_arguments(c, argc, argv, options, 1, &id, 1) != CTL_OK)
		return CTL_USAGE;
	if (!is_number(id))
		return ctl_usage(c, "%s is not a number of a quarantine entry", id);
	if (why == NULL || view_trim(view_of(why)).n == 0)
		return ctl_usage(c, "say --why: it stays in the books");
	if ((db = database_open(c, DATABASE_WRITE)) == NULL)
		return CTL_FAILED;
	int status = dismiss(db, id, why);
	PQfinish(db);
	return status;
}
