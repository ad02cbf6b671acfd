/* quarantine replay: asks the running daemon, over its own API, to book an entry again, or all that a filter means. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "daemon.h"
#include "document.h"
#include "proto/arena.h"
#include "quarantine_many.h"
#include "table.h"

enum { AT_ONCE = 200 };

struct asking {
	const struct ctl *c;
	const char *filter;
	struct arena arena;
};

/* The answer's document, NULL after having said what is wrong. */
static json_object *
ask(struct asking *d, const char *path, const char *body)
{
	struct daemon_answer answer;
	json_object *doc = NULL;

	if (daemon_post(d->c, path, "application/json", view_of(body), &answer) != CTL_OK)
		return NULL;
	if (answer.status != 200 || (doc = json_tokener_parse(answer.body)) == NULL)
		daemon_problem(&answer);
	daemon_answer_free(&answer);
	return doc;
}

/* Resolved is what was asked for; an entry that still waits is a failure, with the reason why. */
static int
replay_one(struct asking *d, const char *id)
{
	json_object *body = ask(d, arena_printf(&d->arena, "/v1/quarantine/%s/replay", id), "{}");
	const char *outcome = document_text(body, "outcome"), *state = document_text(body, "state"), *detail = document_text(body, "detail");
	int status = CTL_FAILED;

	if (outcome != NULL && state != NULL) {
		printf("%s: %s, %s%s%s\n", id, outcome, state, detail != NULL ? ": " : "", detail != NULL ? detail : "");
		status = strcmp(state, "resolved") == 0 ? CTL_OK : CTL_FAILED;
	} else if (body != NULL) {
		ctl_failed("the daemon's answer says no outcome");
	}
	json_object_put(body);
	return status;
}

/* ------- many */

static json_object *
ask_many(struct asking *d, bool dry_run, int64_t after)
{
	return ask(d, "/v1/quarantine/replay", arena_printf(&d->arena, "{\"filter\":%s,\"dry_run\":%s,\"limit\":%d,\"after\":%" PRId64 "}", d->filter,
	    dry_run ? "true" : "false", AT_ONCE, after));
}

static json_object *
ask_summary(void *arg, int64_t after)
{
	return ask_many(arg, true, after);
}

static void
add_outcomes(json_object *all, json_object *outcomes)
{
	json_object_object_foreach(outcomes, name, n)
		json_object_object_add(all, name, json_object_new_int64(json_object_get_int64(document_member(all, name)) + json_object_get_int64(n)));
}

static void
print_outcomes(json_object *outcomes)
{
	static const struct column columns[] = {{"entries", TEXT_RIGHT, false}, {"outcome", TEXT_LEFT, false}};
	struct table *t = table_new(columns, 2);

	json_object_object_foreach(outcomes, name, n)
		table_add(t, (const char *[]){json_object_get_string(n), name});
	table_print(t, stdout, 0);
	table_free(t);
}

/* So many at a time; what was booked is resolved, so that after a failure the same can be asked for again. */
static int
replay_all(void *arg, int64_t of)
{
	struct asking *d = arg;
	int64_t after = 0, replayed = 0, resolved = 0;
	json_object *outcomes = json_object_new_object();
	int status = CTL_OK;

	do {
		json_object *doc = ask_many(d, false, after);
		if (doc == NULL) {
			status = ctl_failed("stopped after %" PRId64 " of %" PRId64 " entries; say it again for the rest", replayed, of);
			break;
		}
		replayed += json_object_get_int64(document_member(doc, "replayed"));
		resolved += json_object_get_int64(document_member(doc, "resolved"));
		after = json_object_get_int64(document_member(doc, "next"));
		if (document_member(doc, "outcomes") != NULL)
			add_outcomes(outcomes, document_member(doc, "outcomes"));
		json_object_put(doc);
		if (of > AT_ONCE)
			fprintf(stderr, "%" PRId64 " of %" PRId64 ", %" PRId64 " resolved\n", replayed, of, resolved);
	} while (after > 0);
	print_outcomes(outcomes);
	json_object_put(outcomes);
	printf("%" PRId64 " of %" PRId64 " resolved\n", resolved, replayed);
	return status == CTL_OK && resolved < replayed ? CTL_FAILED : status;
}

int
ctl_quarantine_replay(const struct ctl *c, int argc, char **argv)
{
	static const struct quarantine_deed deed = {"replayed", ask_summary, replay_all};
	struct quarantine_words words = {0};
	struct asking d = {.c = c};
	const char *id = NULL;
	bool dry_run = false, yes = false;
	const struct ctl_option options[] = {{"--dry-run", &dry_run, NULL}, {"--yes", &yes, NULL}, QUARANTINE_OPTIONS(words)};

	if (ctl_arguments_up_to(c, argc, argv, options, 2 + QUARANTINE_N_OPTIONS, &id, 1) != CTL_OK)
		return CTL_USAGE;
	struct quarantine_filter f = quarantine_filter_of(&words);
	if ((id != NULL) == quarantine_filter_is_narrow(&f))
		return ctl_usage(c, id != NULL ? "an ID is one entry: it goes without a filter" : "say which: an ID, or a filter");
	if (id != NULL && (*id == '\0' || strspn(id, "0123456789") != strlen(id)))
		return ctl_usage(c, "%s is not a number of a quarantine entry", id);
	int status = quarantine_filter_read(c, &f, &d.arena, &d.filter);
	if (status == CTL_OK)
		status = id != NULL ? replay_one(&d, id) : quarantine_many(&deed, &d, yes && !dry_run);
	arena_free(&d.arena);
	return status;
}
