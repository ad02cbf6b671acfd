/* quarantine replay: asks the running daemon, over its own API, to book an entry again. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ctl.h"
#include "document.h"
#include "proto/arena.h"

enum { ANSWER_MOST = 65536, CONNECT_SECONDS = 5, ANSWER_SECONDS = 60 };

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
url_of(struct arena *a, const struct config_listen *l, const char *id)
{
	const char *scheme = l->tls ? "https" : "http", *colon = strrchr(l->address, ':');

	if (strncmp(l->address, "0.0.0.0:", 8) == 0)
		return arena_printf(a, "%s://127.0.0.1%s/v1/quarantine/%s/replay", scheme, colon, id);
	if (strncmp(l->address, "[::]:", 5) == 0)
		return arena_printf(a, "%s://[::1]%s/v1/quarantine/%s/replay", scheme, colon, id);
	return arena_printf(a, "%s://%s/v1/quarantine/%s/replay", scheme, l->address, id);
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
post(const char *url, const char *token, struct answer *ret)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURLcode r;

	if (curl == NULL)
		return CURLE_OUT_OF_MEMORY;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{}");
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

/* Resolved is what was asked for; an entry that still waits is a failure, with the reason why. */
static int
report(const char *id, const struct answer *answer)
{
	json_object *body = json_tokener_parse(answer->body);
	const char *outcome = document_text(body, "outcome"), *state = document_text(body, "state"), *detail = document_text(body, "detail");
	int status = CTL_FAILED;

	if (answer->status != 200 || outcome == NULL || state == NULL) {
		if (detail == NULL)
			detail = document_text(body, "title");
		ctl_failed("the daemon answered %ld%s%s", answer->status, detail != NULL ? ": " : "", detail != NULL ? detail : "");
	} else {
		printf("%s: %s, %s%s%s\n", id, outcome, state, detail != NULL ? ": " : "", detail != NULL ? detail : "");
		status = strcmp(state, "resolved") == 0 ? CTL_OK : CTL_FAILED;
	}
	json_object_put(body);
	return status;
}

int
ctl_quarantine_replay(const struct ctl *c, int argc, char **argv)
{
	const char *id, *token = getenv(TOKEN_VARIABLE);
	const struct config_listen *listener = find_listener(c->config);
	struct arena a = {0};
	int status;

	if (ctl_arguments(c, argc, argv, NULL, 0, &id, 1) != CTL_OK)
		return CTL_USAGE;
	if (*id == '\0' || strspn(id, "0123456789") != strlen(id))
		return ctl_usage(c, "%s is not a number of a quarantine entry", id);
	if (token == NULL || *token == '\0')
		return ctl_failed("the daemon asks for a token of role ops or desk: put it into the environment as " TOKEN_VARIABLE);
	if (listener == NULL)
		return ctl_failed("%s has no listener that serves desk or operations", c->config_path);
	struct answer *answer = memory_new(sizeof(*answer));
	const char *url = url_of(&a, listener, id);
	CURLcode r = post(url, token, answer);
	if (r != CURLE_OK)
		status = ctl_failed("visitbilld does not answer at %s: %s", listener->address, curl_easy_strerror(r));
	else
		status = report(id, answer);
	free(answer);
	arena_free(&a);
	return status;
}
