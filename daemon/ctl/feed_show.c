/* feed show: what a feed sent of late, and what of it should be looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "database.h"
#include "document.h"
#include "table.h"

enum { TEXT = 256 };

/* 90 as "1 min 30 s"; "-" where it is not known. */
static const char *
duration(const char *seconds, char buf[TEXT])
{
	static const struct { long n; const char *name, *less; } units[] = {{86400, "d", "h"}, {3600, "h", "min"}, {60, "min", "s"}};
	static const long parts[] = {3600, 60, 1};
	long s = seconds != NULL ? strtol(seconds, NULL, 10) : -1;

	if (s < 0) {
		snprintf(buf, TEXT, "-");
		return buf;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (s >= units[i].n) {
			snprintf(buf, TEXT, "%ld %s %ld %s", s / units[i].n, units[i].name, s % units[i].n / parts[i], units[i].less);
			return buf;
		}
	snprintf(buf, TEXT, "%ld s", s);
	return buf;
}

/* "12 (1.5 %)" */
static const char *
share(json_object *o, const char *key, char buf[TEXT])
{
	char of[64];

	snprintf(of, sizeof(of), "%s_percent", key);
	const char *percent = document_text(o, of);
	snprintf(buf, TEXT, "%s%s%s%s", document_text(o, key), percent != NULL ? " (" : "", percent != NULL ? percent : "", percent != NULL ? " %)" : "");
	return buf;
}

static void
print_head(json_object *feed)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_LEFT, true}};
	struct table *t = table_new(columns, 2);
	char text[2 * TEXT], time[DOCUMENT_TIME], age[TEXT];
	json_object *active = document_member(feed, "active"), *waits = document_member(feed, "waits");
	const char *application = document_text(feed, "application");

	snprintf(text, sizeof(text), "%s at %s%s%s%s", document_text(feed, "feed"), document_text(feed, "facility"), application != NULL ? ", MSH-3 " : "",
	    application != NULL ? application : "", json_object_get_boolean(active) ? "" : "; the settings do not have it any more");
	table_add(t, (const char *[]){"feed", text});
	snprintf(text, sizeof(text), "%s, %s behind%s", document_time(document_text(feed, "mark"), true, time),
	    duration(document_text(feed, "lag_seconds"), age),
	    json_object_get_boolean(waits) ? "; bills wait for it" : "");
	table_add(t, (const char *[]){"watermark", document_text(feed, "mark") != NULL ? text : "none yet"});
	snprintf(text, sizeof(text), "%s, %s ago", document_time(document_text(feed, "last_at"), true, time),
	    duration(document_text(feed, "silent_seconds"), age));
	table_add(t, (const char *[]){"last message", document_text(feed, "last_at") != NULL ? text : "none yet"});
	table_print(t, stdout, 0);
	table_free(t);
}

static void
print_messages(json_object *feed)
{
	static const struct column columns[] = {
		{"type", TEXT_LEFT, false}, {"outcome", TEXT_LEFT, false}, {"messages", TEXT_RIGHT, false}, {"last", TEXT_LEFT, false}, {"MSH-10", TEXT_LEFT, true},
	};
	json_object *messages = document_member(feed, "messages"), *rows = document_member(messages, "by_type");
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char text[TEXT], time[DOCUMENT_TIME];

	printf("\nMESSAGES since %s: %s, %s accepted, %s refused, %s ignored, %s told to come again; without a visit number %s\n", document_text(feed, "from"),
	    document_text(messages, "received"), document_text(messages, "accepted"), document_text(messages, "refused"), document_text(messages, "ignored"),
	    document_text(messages, "unavailable"), share(messages, "without_visit_no", text));
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		table_add(t, (const char *[]){document_text(row, "type"), document_text(row, "outcome"), document_text(row, "messages"),
		    document_time(document_text(row, "last_at"), true, time), document_text(row, "last_message")});
	}
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	table_free(t);
}

static void
print_lines(json_object *feed)
{
	static const struct column columns[] = {
		{"at", TEXT_LEFT, false}, {"visit", TEXT_LEFT, false}, {"line", TEXT_LEFT, true}, {"message", TEXT_LEFT, true}, {"first in", TEXT_LEFT, true},
		{"content", TEXT_LEFT, false},
	};
	json_object *lines = document_member(feed, "lines"), *rows = document_member(lines, "again");
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char unlisted[TEXT], differs[TEXT], time[DOCUMENT_TIME];

	printf("\nLINES since %s: %s booked, %s duplicate, %s quarantined; codes that are not listed %s, prices that differ %s\n", document_text(feed, "from"),
	    document_text(lines, "booked"), document_text(lines, "duplicate"), document_text(lines, "quarantined"), share(lines, "unlisted", unlisted),
	    share(lines, "price_differs", differs));
	printf("  of another message's id: %s with the same content (duplicate), %s with other (conflict; replays of one count)\n", document_text(lines, "again_same"),
	    document_text(lines, "again_other"));
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		table_add(t, (const char *[]){document_time(document_text(row, "at"), true, time), document_text(row, "visit_no"),
		    document_text(row, "source_line"),
		    document_text(row, "message"), document_text(row, "first_message"), json_object_get_boolean(document_member(row, "same_content")) ? "same" : "other"});
	}
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	table_free(t);
}

static void
print_sequence(json_object *feed)
{
	static const struct column columns[] = {
		{"seen", TEXT_LEFT, false}, {"before", TEXT_RIGHT, false}, {"after", TEXT_RIGHT, false}, {"missing", TEXT_RIGHT, false},
	};
	json_object *sequence = document_member(feed, "sequence"), *rows = document_member(sequence, "newest");
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char time[DOCUMENT_TIME];

	if (sequence == NULL)
		puts("\nSEQUENCE (MSH-13): none was sent");
	else
		printf("\nSEQUENCE (MSH-13): the last is %s; since %s %s gaps, %s numbers are missing, of %s it is not known whether they came,"
		    " counted anew %s times\n", document_text(sequence, "last"), document_time(document_text(sequence, "since"), true, time),
		    document_text(sequence, "gaps"), document_text(sequence, "missing"), document_text(sequence, "unknown"), document_text(sequence, "restarts"));
	for (size_t i = 0; rows != NULL && i < json_object_array_length(rows); i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		table_add(t, (const char *[]){document_time(document_text(row, "at"), true, time), document_text(row, "before"), document_text(row, "after"),
		    document_text(row, "missing")});
	}
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	table_free(t);
}

static int
feed_show(PGconn *db, const char *name, const char *days, bool as_json)
{
	PGresult *r = database_query(db, "select outcome, doc from feed_doc($1, $2, '{*}')", 2, (const char *[]){name, days});
	json_object *feed = r != NULL && PQntuples(r) > 0 ? document_of(r, "doc") : NULL;

	if (r != NULL && feed == NULL)
		ctl_failed("there is no feed %s", name);
	if (feed != NULL && as_json) {
		document_print(feed, stdout);
	} else if (feed != NULL) {
		print_head(feed);
		print_messages(feed);
		print_lines(feed);
		print_sequence(feed);
	}
	int status = feed != NULL ? CTL_OK : CTL_FAILED;
	json_object_put(feed);
	PQclear(r);
	return status;
}

int
ctl_feed_show(const struct ctl *c, int argc, char **argv)
{
	const char *name, *days = "7";
	bool as_json = false;
	const struct ctl_option options[] = {{"--days", NULL, &days}, {"--json", &as_json, NULL}};
	PGconn *db;

	if (ctl_arguments(c, argc, argv, options, 2, &name, 1) != CTL_OK)
		return CTL_USAGE;
	if (strspn(days, "0123456789") != strlen(days) || strlen(days) > 2 || atoi(days) < 1 || atoi(days) > 31)
		return ctl_usage(c, "--days is 1 to 31");
	if ((db = database_open(c, DATABASE_READ)) == NULL)
		return CTL_FAILED;
	int status = feed_show(db, name, days, as_json);
	PQfinish(db);
	return status;
}
