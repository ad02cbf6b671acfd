/* feed try: asks the running daemon how it would read what a feed sends, and shows it line by line. Nothing is booked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ctl.h"
#include "daemon.h"
#include "document.h"
#include "proto/arena.h"
#include "table.h"

enum { FILE_MOST = 256 << 20, CELL = 600 };

/* A file's bytes, or standard input's for "-"; NULL, and said, where it cannot be read. */
static char *
read_input(const char *path, size_t *ret_n)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	size_t n = 0, room = 65536, got;
	char *bytes = memory_new(room);

	if (f == NULL) {
		free(bytes);
		ctl_failed("cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	while ((got = fread(bytes + n, 1, room - n, f)) > 0 && n < FILE_MOST)
		if ((n += got) == room)
			bytes = memory_resize(bytes, room *= 2);
	bool bad = ferror(f) != 0 || n >= FILE_MOST;
	if (f != stdin)
		fclose(f);
	if (!bad) {
		*ret_n = n;
		return bytes;
	}
	free(bytes);
	ctl_failed("cannot read %s", path);
	return NULL;
}

/* Texts of an object, blanks between, in buf. */
static const char *
join(json_object *o, const char *const *keys, size_t n, char buf[CELL])
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && used < CELL; i++) {
		const char *text = document_text(o, keys[i]);
		if (text != NULL)
			used += (size_t)snprintf(buf + used, CELL - used, "%s%s", used > 0 ? " " : "", text);
	}
	return buf;
}

static void
add(struct table *t, const char *label, const char *text)
{
	if (text != NULL && text[0] != '\0')
		table_add(t, (const char *[]){label, text});
}

/* "REASON at PLACE: DETAIL" */
static const char *
refusal_text(json_object *refused, char buf[CELL])
{
	const char *location = document_text(refused, "location"), *detail = document_text(refused, "detail");

	snprintf(buf, CELL, "%s%s%s%s%s", document_text(refused, "reason"), location != NULL ? " at " : "", location != NULL ? location : "",
	    detail != NULL ? ": " : "", detail != NULL ? detail : "");
	return buf;
}

static void
add_refusal(struct table *t, const char *label, json_object *refused)
{
	char text[CELL];

	if (refused != NULL)
		table_add(t, (const char *[]){label, refusal_text(refused, text)});
}

static void
add_visit(struct table *t, json_object *visit)
{
	static const char *const who[] = {"patient_no", "patient_name"}, *const numbers[] = {"account_no", "alternate_no"};
	char text[CELL];
	const char *number = document_text(visit, "visit_no"), *class = document_text(visit, "class");

	if (number != NULL) {
		snprintf(text, sizeof(text), "%s (%s)", number, document_text(visit, "visit_no_from"));
		add(t, "visit", text);
	}
	const char *open = document_text(visit, "open_visit");
	if (open != NULL) {
		bool any = strcmp(open, "any") == 0;
		snprintf(text, sizeof(text), "the one open %s%svisit of the patient (%s)", any ? "" : open, any ? "" : " ", document_text(visit, "visit_no_from"));
		add(t, "visit", text);
	}
	add(t, "also", join(visit, numbers, 2, text));
	add(t, "patient", join(visit, who, 2, text));
	if (class != NULL) {
		snprintf(text, sizeof(text), "%s %s", class, document_word(class));
		add(t, "class", text);
	}
}

static void
add_event(struct table *t, json_object *event)
{
	static const char *const others[] = {"other_visit_no", "other_patient_no"}, *const more[] = {"department", "location", "sex", "birth_date"};
	char text[CELL], time[DOCUMENT_TIME];

	snprintf(text, sizeof(text), "%s at %s", document_text(event, "kind"), document_time(document_text(event, "at"), true, time));
	add(t, "event", text);
	add_visit(t, event);
	add(t, "merged", join(event, others, 2, text));
	add(t, "more", join(event, more, 4, text));
	add_refusal(t, "REFUSED", document_member(event, "refused"));
}

static void
print_lines(json_object *lines)
{
	static const struct column columns[] = {
		{"line", TEXT_RIGHT, false}, {"id", TEXT_LEFT, false}, {"kind", TEXT_LEFT, false}, {"code", TEXT_LEFT, false}, {"name", TEXT_LEFT, true},
		{"quantity", TEXT_RIGHT, false}, {"price", TEXT_RIGHT, false}, {"amount", TEXT_RIGHT, false}, {"category", TEXT_RIGHT, false},
		{"charged", TEXT_LEFT, false}, {"takes back", TEXT_LEFT, false}, {"", TEXT_LEFT, true},
	};
	static const char *const keys[] = {"line", "source_line", "kind", "code", "name", "quantity", "unit_price", "amount", "category"};
	enum { KEYS = sizeof(keys) / sizeof(keys[0]), COLUMNS = sizeof(columns) / sizeof(columns[0]) };
	struct table *t = table_new(columns, COLUMNS);

	for (size_t i = 0; lines != NULL && i < json_object_array_length(lines); i++) {
		json_object *line = json_object_array_get_idx(lines, i), *refused = document_member(line, "refused");
		const char *cells[COLUMNS];
		char time[DOCUMENT_TIME], text[CELL], why[CELL + 16] = "";
		for (size_t k = 0; k < KEYS; k++)
			cells[k] = document_text(line, keys[k]);
		cells[KEYS] = document_time(document_text(line, "charged_at"), false, time);
		cells[KEYS + 1] = document_text(line, "reverses");
		if (refused != NULL)
			snprintf(why, sizeof(why), "REFUSED %s", refusal_text(refused, text));
		cells[KEYS + 2] = why;
		table_add(t, cells);
	}
	if (table_rows(t) > 0)
		table_print(t, stdout, 4);
	table_free(t);
}

/* A price list's entries, as they would be kept. */
static void
print_entries(json_object *entries)
{
	static const struct column columns[] = {
		{"entry", TEXT_RIGHT, false}, {"id", TEXT_LEFT, false}, {"event", TEXT_LEFT, false}, {"", TEXT_LEFT, false}, {"day", TEXT_LEFT, false}, {"code", TEXT_LEFT, false},
		{"name", TEXT_LEFT, true}, {"unit", TEXT_LEFT, false}, {"price", TEXT_RIGHT, false}, {"category", TEXT_RIGHT, false}, {"class", TEXT_LEFT, false},
		{"self-pay", TEXT_RIGHT, false}, {"national code", TEXT_LEFT, false}, {"", TEXT_LEFT, true},
	};
	static const char *const keys[] = {"entry", "entry_id", "event", "action", "day", "code", "name", "unit", "unit_price", "category", "class",
		"self_pay_ratio", "national_code"};
	enum { KEYS = sizeof(keys) / sizeof(keys[0]), ACTION = 3 };
	struct table *t = table_new(columns, KEYS + 1);

	for (size_t i = 0; entries != NULL && i < json_object_array_length(entries); i++) {
		json_object *entry = json_object_array_get_idx(entries, i), *refused = document_member(entry, "refused");
		const char *cells[KEYS + 1];
		char text[CELL], why[CELL + 16] = "";
		for (size_t k = 0; k < KEYS; k++)
			cells[k] = document_text(entry, keys[k]);
		cells[ACTION] = strcmp(cells[ACTION], "end") == 0 ? "no longer from" : "in the list from";
		if (refused != NULL)
			snprintf(why, sizeof(why), "REFUSED %s", refusal_text(refused, text));
		cells[KEYS] = why;
		table_add(t, cells);
	}
	if (table_rows(t) > 0)
		table_print(t, stdout, 4);
	table_free(t);
}

/* A segment a line. True where it is positive. */
static bool
print_acknowledgement(const char *text)
{
	const char *msa = strstr(text, "\rMSA");
	bool positive = msa != NULL && strlen(msa) > 6 && msa[6] == 'A';	/* AA, CA */

	for (struct view rest = view_of(text); rest.n > 0;) {
		const char *end = memchr(rest.p, '\r', rest.n);
		struct view line = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.n};
		fputs("    ", stdout);
		text_put_all(stdout, line);
		putchar('\n');
		rest = end != NULL ? (struct view){end + 1, rest.n - line.n - 1} : VIEW_NONE;
	}
	return positive;
}

/* True where the message would be accepted. */
static bool
print_message(json_object *m, size_t number)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_LEFT, true}};
	json_object *events = document_member(m, "events"), *acks = document_member(m, "acknowledgements"), *sender = document_member(m, "sender");
	const char *type = document_text(m, "type"), *event = document_text(m, "event"), *id = document_text(m, "control_id"), *feed = document_text(m, "feed"),
	    *named = document_text(sender, "feed");
	struct table *t = table_new(columns, 2);
	char text[CELL], time[DOCUMENT_TIME];
	bool positive = document_member(m, "refused") == NULL;

	snprintf(text, sizeof(text), "%zu: %s%s%s %s", number, type != NULL ? type : "no message type", event != NULL ? "^" : "", event != NULL ? event : "",
	    id != NULL ? id : "without MSH-10");
	text_put_all(stdout, view_of(text));
	putchar('\n');
	snprintf(text, sizeof(text), "%s at %s", feed != NULL ? feed : "-", feed != NULL ? document_text(m, "facility") : "-");
	add(t, "feed", feed != NULL ? text : "none");
	if (feed != NULL && (named == NULL || strcmp(named, feed) != 0)) {
		snprintf(text, sizeof(text), "MSH-3 and MSH-4 name %s: a connection would not take it for %s's", named != NULL ? named : "no feed", feed);
		add(t, "but", text);
	}
	if (document_text(m, "sent_at") != NULL)
		add(t, "sent", document_time(document_text(m, "sent_at"), true, time));
	if (document_member(m, "ignored") != NULL)
		add(t, "ignored", "not for billing, by the feed's ignore");
	add_visit(t, document_member(m, "visit"));
	for (size_t i = 0; events != NULL && i < json_object_array_length(events); i++)
		add_event(t, json_object_array_get_idx(events, i));
	add_refusal(t, "REFUSED", document_member(m, "refused"));
	table_print(t, stdout, 2);
	table_free(t);
	print_lines(document_member(m, "lines"));
	print_entries(document_member(m, "entries"));
	if (acks == NULL || json_object_array_length(acks) == 0)
		puts("  no acknowledgement");
	for (size_t i = 0; acks != NULL && i < json_object_array_length(acks); i++) {
		puts("  acknowledgement");
		positive = print_acknowledgement(json_object_get_string(json_object_array_get_idx(acks, i))) && positive;
	}
	return positive;
}

static int
print_answer(const struct daemon_answer *answer)
{
	json_object *body = json_tokener_parse(answer->body), *messages = document_member(body, "messages"), *notes = document_member(body, "notes");
	size_t n = messages != NULL ? json_object_array_length(messages) : 0, accepted = 0;

	for (size_t i = 0; i < n; i++) {
		accepted += print_message(json_object_array_get_idx(messages, i), i + 1);
		putchar('\n');
	}
	for (size_t i = 0; notes != NULL && i < json_object_array_length(notes); i++) {
		fputs("note: ", stdout);
		text_put_all(stdout, view_of(json_object_get_string(json_object_array_get_idx(notes, i))));
		putchar('\n');
	}
	printf("%zu of %zu would be accepted, by reading alone; nothing was booked. Not said: %s\n", accepted, n, document_text(body, "unsaid"));
	json_object_put(body);
	return accepted == n ? CTL_OK : CTL_FAILED;
}

int
ctl_feed_try(const struct ctl *c, int argc, char **argv)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	const char *path, *feed = "*";
	bool as_json = false;
	const struct ctl_option options[] = {{"--feed", NULL, &feed}, {"--json", &as_json, NULL}};
	struct arena a = {0};
	struct daemon_answer answer;
	char *bytes;
	size_t n;

	if (ctl_arguments(c, argc, argv, options, 2, &path, 1) != CTL_OK)
		return CTL_USAGE;
	if (strcmp(feed, "*") != 0 && (*feed == '\0' || strspn(feed, letters) != strlen(feed)))
		return ctl_usage(c, "%s is not a feed's name", feed);
	if ((bytes = read_input(path, &n)) == NULL)
		return CTL_FAILED;
	int status = daemon_post(c, arena_printf(&a, "/v1/feeds/%s/try", feed), "application/octet-stream", (struct view){bytes, n}, &answer);
	if (status == CTL_OK) {
		if (answer.status != 200)
			status = daemon_problem(&answer);
		else if (as_json)
			printf("%s\n", answer.body);
		else
			status = print_answer(&answer);
		daemon_answer_free(&answer);
	}
	arena_free(&a);
	free(bytes);
	return status;
}
