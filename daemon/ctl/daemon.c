/* One request by libcurl, on this machine where a listener is here. */
#include "daemon.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "document.h"
#include "proto/arena.h"

enum { ANSWER_MOST = 64 << 20, CONNECT_SECONDS = 5, ANSWER_SECONDS = 60 };

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
	struct daemon_answer *answer = arg;

	n *= size;
	if (answer->n + n >= ANSWER_MOST)
		return 0;
	answer->body = memory_resize(answer->body, answer->n + n + 1);
	memcpy(answer->body + answer->n, data, n);
	answer->n += n;
	answer->body[answer->n] = '\0';
	return n;
}

static CURLcode
post(const char *url, const char *token, const char *content_type, struct view body, struct daemon_answer *ret)
{
	CURL *curl = curl_easy_init();
	struct arena a = {0};
	struct curl_slist *headers = curl_slist_append(NULL, arena_printf(&a, "Content-Type: %s", content_type));
	CURLcode r;

	arena_free(&a);
	if (curl == NULL)
		return CURLE_OUT_OF_MEMORY;
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.p);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
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

int
daemon_post(const struct ctl *c, const char *path, const char *content_type, struct view body, struct daemon_answer *ret)
{
	const char *token = getenv(TOKEN_VARIABLE);
	const struct config_listen *listener = find_listener(c->config);
	struct arena a = {0};

	*ret = (struct daemon_answer){0};
	if (token == NULL || *token == '\0')
		return ctl_failed("the daemon asks for a token of role ops or desk: put it into the environment as " TOKEN_VARIABLE);
	if (listener == NULL)
		return ctl_failed("%s has no listener that serves desk or operations", c->config_path);
	CURLcode r = post(url_of(&a, listener, path), token, content_type, body, ret);
	arena_free(&a);
	if (r == CURLE_OK) {
		ret->body = ret->body != NULL ? ret->body : memory_text("", 0);
		return CTL_OK;
	}
	daemon_answer_free(ret);
	return ctl_failed("visitbilld does not answer at %s: %s", listener->address, curl_easy_strerror(r));
}

static size_t
on_ready_body(char *data, size_t size, size_t n, void *arg)
{
	struct daemon_ready *r = arg;
	size_t length = strlen(r->said), room = sizeof(r->said) - 1 - length;

	memcpy(r->said + length, data, size * n < room ? size * n : room);
	return size * n;
}

/* A listener of plain text: what a certificate is worth is asked elsewhere. */
int
daemon_ask_ready(const struct ctl *c, struct daemon_ready *ret)
{
	enum { SECONDS = 3 };
	const struct config_listen *l = NULL;
	struct arena a = {0};

	*ret = (struct daemon_ready){0};
	for (size_t i = 0; i < c->config->n_listens && l == NULL; i++)
		if ((c->config->listens[i].serves & SERVES_OPERATIONS) != 0 && !c->config->listens[i].tls)
			l = &c->config->listens[i];
	CURL *curl = l != NULL ? curl_easy_init() : NULL;
	if (curl == NULL)
		return -1;
	ret->address = l->address;
	curl_easy_setopt(curl, CURLOPT_URL, url_of(&a, l, "/readyz"));
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)SECONDS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_ready_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_easy_cleanup(curl);
	arena_free(&a);
	ret->said[strcspn(ret->said, "\r\n")] = '\0';
	return 0;
}

void
daemon_answer_free(struct daemon_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
}

int
daemon_problem(const struct daemon_answer *answer)
{
	json_object *body = json_tokener_parse(answer->body);
	const char *detail = document_text(body, "detail");

	if (detail == NULL)
		detail = document_text(body, "title");
	ctl_failed("the daemon answered %ld%s%s", answer->status, detail != NULL ? ": " : "", detail != NULL ? detail : "");
	json_object_put(body);
	return CTL_FAILED;
}
