/* quarantine replay: asks the running daemon, over its own API, to book an entry again, or all that a filter means. */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ctl.h"
#include "document.h"
#include "proto/arena.h"
#include "quarantine_many.h"
#include "table.h"

enum { ANSWER_MOST = 65536, CONNECT_SECONDS = 5, ANSWER_SECONDS = 60, AT_ONCE = 200 };

struct answer {
	long status;
	char body[ANSWER_MOST];
	size_t n;
};

/* The settings keep only a token's hash, so the token itself is the operator's: scripts/serve writes it to DIR/env. */
#define TOKEN_VARIABLE "VISITBILL_OPS_TOKEN"

/* The listener for the staff: one of plain text first, as that is on this machine; NULL where there is none. */
static const struct config_listen *
find_listener(const struct config *config)
{
	const struct config_listen *found = NULL;

	for (size_t i = 0; i < config->n_listens; i++) {
		const struct config_listen *l = &config->listens[i];
		if ((l->serves & (SERVES_DESK | SERVES_OPERATIONS)) != 0 && (found == NULL || (found->tls && !l->tls)))
			found = l;
	}
	return found;
}

/* How to reach it: one that takes any address is reached on this machine. */
static const char *
url_of(struct arena *a, const struct config_listen *l, const char *path)
{
	const char *scheme = l->tls ? "https" : "http", *colon = strrchr(l->address, ':');

	if (strncmp(l->address, "0.0.0.0:", 8) == 0)
		return arena_printf(a, "%s://127.0.0.1%s%s", scheme, colon, path);
	if (strncmp(l->address, "[::]:", 5) == 0)
		return arena_printf(a, "%s://[::1]%s%s", scheme, colon, path);
	return arena_printf(a, "%s://%s%s", scheme, l->address, path);
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct answer *answer = arg;

	n *= size;
	if (answer->n + n >= sizeof(answer->body))
		return 0;
	memcpy(answer->body + answer->n, data, n);
	answer->n += n;
	answer->body[answer->n] = '\0';
	return n;
}

static CURLcode
post(const char *url, const char *token, const char *body, struct answer *ret)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURLcode r;

	if (curl == NULL)
		return CURLE_OUT_OF_MEMORY;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
	curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
	r = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return r;
}

struct daemon {
	const struct config_listen *listener;
	const char *token;
	struct arena arena;
	struct answer answer;		/* the last one */
};

/* Asks; the answer's document, NULL after having said what is wrong. */
static json_object *
ask(struct daemon *d, const char *path, const char *body)
{
	d->answer = (struct answer){0};
	CURLcode r = post(url_of(&d->arena, d->listener, path), d->token, body, &d->answer);

	if (r != CURLE_OK) {
		ctl_failed("visitbilld does not answer at %s: %s", d->listener->address, curl_easy_strerror(r));
		return NULL;
	}
	json_object *doc = json_tokener_parse(d->answer.body);
	if (d->answer.status == 200 && doc != NULL)
		return doc;
	const char *detail = document_text(doc, "detail");
	if (detail == NULL)
		detail = document_text(doc, "title");
	ctl_failed("the daemon answered %ld%s%s", d->answer.status, detail != NULL ? ": " : "", detail != NULL ? detail : "");
	json_object_put(doc);
	return NULL;
}

/* Resolved is what was asked for; an entry that still waits is a failure, with the reason why. */
static int
replay_one(struct daemon *d, const char *id)
{
	json_object *body = ask(d, arena_printf(&d->arena, "/v1/quarantine/%s/replay", id), "{}");
	const char *outcome = document_text(body, "outcome"), *state = document_text(body, "state"), *detail = document_text(body, "detail");
	int status = CTL_FAILED;

	if (body == NULL)
		return CTL_FAILED;
	if (outcome == NULL || state == NULL) {
		ctl_failed("the daemon answered %ld%s%s", d->answer.status, detail != NULL ? ": " : "", detail != NULL ? detail : "");
	} else {
		printf("%s: %s, %s%s%s\n", id, outcome, state, detail != NULL ? ": " : "", detail != NULL ? detail : "");
		status = strcmp(state, "resolved") == 0 ? CTL_OK : CTL_FAILED;
	}
	json_object_put(body);
	return status;
}

/* ------- many */

static json_object *
ask_many(struct daemon *d, const char *filter, bool dry_run, int64_t after)
{
	return ask(d, "/v1/quarantine/replay", arena_printf(&d->arena, "{\"filter\":%s,\"dry_run\":%s,\"limit\":%d,\"after\":%" PRId64 "}", filter,
	    dry_run ? "true" : "false", AT_ONCE, after));
}

static int
sum_up(struct daemon *d, const char *filter, struct quarantine_sum *s)
{
	int64_t after = 0;

	do {
		json_object *doc = ask_many(d, filter, true, after);
		if (doc == NULL)
			return CTL_FAILED;
		after = quarantine_sum_add(s, doc);
		json_object_put(doc);
	} while (after > 0);
	return CTL_OK;
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
replay_all(struct daemon *d, const char *filter, int64_t of)
{
	int64_t after = 0, replayed = 0, resolved = 0;
	json_object *outcomes = json_object_new_object();
	int status = CTL_OK;

	do {
		json_object *doc = ask_many(d, filter, false, after);
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

static int
replay_many(struct daemon *d, const char *filter, bool yes)
{
	struct quarantine_sum *s = quarantine_sum_new();
	int status = sum_up(d, filter, s);

	if (status == CTL_OK)
		quarantine_sum_print(s, stdout);
	if (status == CTL_OK && quarantine_sum_total(s) > 0 && !yes)
		puts("nothing was replayed; --yes does it");
	else if (status == CTL_OK && quarantine_sum_total(s) > 0)
		status = replay_all(d, filter, quarantine_sum_total(s));
	quarantine_sum_free(s);
	return status;
}

int
ctl_quarantine_replay(const struct ctl *c, int argc, char **argv)
{
	struct quarantine_words words = {0};
	const char *id = NULL, *filter = NULL;
	bool dry_run = false, yes = false;
	const struct ctl_option options[] = {{"--dry-run", &dry_run, NULL}, {"--yes", &yes, NULL}, QUARANTINE_OPTIONS(words)};
	int status;

	if (ctl_arguments_up_to(c, argc, argv, options, 2 + QUARANTINE_N_OPTIONS, &id, 1) != CTL_OK)
		return CTL_USAGE;
	struct quarantine_filter f = quarantine_filter_of(&words);
	if ((id != NULL) == quarantine_filter_is_narrow(&f))
		return ctl_usage(c, id != NULL ? "an ID is one entry: it goes without a filter" : "say which: an ID, or a filter");
	if (id != NULL && (*id == '\0' || strspn(id, "0123456789") != strlen(id)))
		return ctl_usage(c, "%s is not a number of a quarantine entry", id);
	struct daemon *d = memory_new(sizeof(*d));
	d->listener = find_listener(c->config);
	d->token = getenv(TOKEN_VARIABLE);
	if ((status = quarantine_filter_read(c, &f, &d->arena, &filter)) != CTL_OK)
		;
	else if (d->token == NULL || *d->token == '\0')
		status = ctl_failed("the daemon asks for a token of role ops or desk: put it into the environment as " TOKEN_VARIABLE);
	else if (d->listener == NULL)
		status = ctl_failed("%s has no listener that serves desk or operations", c->config_path);
	else
		status = id != NULL ? replay_one(d, id) : replay_many(d, filter, yes && !dry_run);
	arena_free(&d->arena);
	free(d);
	return status;
}
