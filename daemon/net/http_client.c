/* The outbound client. libcurl says which sockets and which time it waits for; libevent waits; what has ended is collected after each step and
 * only then told to the callers, so that they may send again. Each request has a deadline of its own on the loop: libcurl looks at its
 * own time-outs only once a request has left its queue. */
#include "http_client_inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

/* ------- the end of an exchange */

static void
exchange_free(struct exchange *x)
{
	if (x->added)
		curl_multi_remove_handle(x->client->multi, x->easy);
	curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	event_free(x->deadline);
	free(x->head.p);
	free(x->body.p);
	free(x);
}

static void
exchange_end(struct exchange *x, enum http_client_result result, const char *error)
{
	struct http_client *c = x->client;
	struct http_client_reply reply = {.result = result, .error = error};
	bool was_calling = c->calling;
	long status = 0;

	if (result == HTTP_CLIENT_OK) {
		curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
		reply.status = (int)status;
		reply.body = (struct view){x->body.p, x->body.used};
		reply.head = (struct view){x->head.p, x->head.used};
	}
	TAILQ_REMOVE(&c->exchanges, x, link);
	c->count--;
	c->calling = true;
	x->fn(x->arg, &reply);
	c->calling = was_calling;
	exchange_free(x);
}

static void
exchange_done(struct exchange *x, CURLcode code)
{
	const char *error = x->spoiled != NULL ? x->spoiled : x->error[0] != '\0' ? x->error : curl_easy_strerror(code);

	if (!x->sent)
		exchange_end(x, HTTP_CLIENT_CONNECT, error);
	else if (code == CURLE_OK)
		exchange_end(x, HTTP_CLIENT_OK, "");
	else
		exchange_end(x, code == CURLE_OPERATION_TIMEDOUT ? HTTP_CLIENT_TIMEOUT : HTTP_CLIENT_BROKEN, error);
}

static void
on_deadline(evutil_socket_t fd, short events, void *arg)
{
	struct exchange *x = arg;

	(void)fd, (void)events;
	if (!x->added)
		exchange_end(x, HTTP_CLIENT_CONNECT, x->spoiled);
	else if (!x->sent)
		exchange_end(x, HTTP_CLIENT_CONNECT, "no connection within the deadline");
	else
		exchange_end(x, HTTP_CLIENT_TIMEOUT, "no answer within the deadline");
}

/* Ends what libcurl has finished. Callbacks may send new requests meanwhile. */
static void
client_collect(struct http_client *c)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(c->multi, &left)) != NULL) {
		CURLcode code = message->data.result;
		char *private = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		exchange_done((struct exchange *)(void *)private, code);
	}
}

/* ------- libcurl and libevent */

static void
on_socket_ready(evutil_socket_t fd, short events, void *arg)
{
	struct http_client *c = arg;
	int running, mask = ((events & EV_READ) != 0 ? CURL_CSELECT_IN : 0) | ((events & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(c->multi, fd, mask, &running);
	client_collect(c);
}

static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct http_client *c = arg;
	int running;

	(void)fd, (void)events;
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	client_collect(c);
}

/* libcurl wants to know of a socket, of another direction of it, or no more. */
static int
on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct http_client *c = arg;
	struct event *watch = assigned;
	short events = EV_PERSIST;

	(void)easy;
	if (watch != NULL)
		event_free(watch);	/* maybe inside its own callback, which libevent allows */
	if (what == CURL_POLL_REMOVE)
		return 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= EV_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= EV_WRITE;
	watch = event_new(c->base, fd, events, on_socket_ready, c);
	event_add(watch, NULL);
	curl_multi_assign(c->multi, fd, watch);
	return 0;
}

static int
on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *c = arg;
	struct timeval wait = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	(void)multi;
	if (timeout_ms < 0)
		evtimer_del(c->timer);
	else
		evtimer_add(c->timer, &wait);	/* also for 0: libcurl must not be called from here */
	return 0;
}

/* ------- the client */

struct http_client *
http_client_new(struct event_base *base)
{
	struct http_client *c;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		log_error("http_client.unusable", "why=\"libcurl does not start\"");
		return NULL;
	}
	if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) == 0) {
		log_error("http_client.unusable", "why=\"libcurl would wait for DNS\"");
		curl_global_cleanup();
		return NULL;
	}
	c = memory_new(sizeof(*c));
	c->base = base;
	c->timer = evtimer_new(base, on_timer, c);
	TAILQ_INIT(&c->exchanges);
	c->multi = curl_multi_init();
	if (c->multi == NULL)
		fatal("out of memory for libcurl");
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HTTP_CLIENT_HOST_CONNECTIONS);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_CLIENT_HOST_CONNECTIONS);
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return c;
}

void
http_client_free(struct http_client *c)
{
	struct exchange *x;

	if (c == NULL)
		return;
	assert(!c->calling);
	while ((x = TAILQ_FIRST(&c->exchanges)) != NULL) {
		TAILQ_REMOVE(&c->exchanges, x, link);
		exchange_free(x);
	}
	curl_multi_cleanup(c->multi);
	event_free(c->timer);
	free(c->proxy);
	free(c->authorities);
	free(c);
	curl_global_cleanup();
}

static void
replace_text(char **text, const char *fresh)
{
	free(*text);
	*text = fresh != NULL ? memory_text(fresh, strlen(fresh)) : NULL;
}

void
http_client_use_proxy(struct http_client *c, const char *url)
{
	replace_text(&c->proxy, url);
}

void
http_client_use_authorities(struct http_client *c, const char *file)
{
	replace_text(&c->authorities, file);
}

size_t
http_client_count(const struct http_client *c)
{
	return c->count;
}

/* ------- sending */

void
http_client_send(struct http_client *c, const struct http_client_request *request, http_client_fn fn, void *arg)
{
	struct exchange *x = memory_new(sizeof(*x));
	struct timeval wait = {request->timeout_ms / 1000, request->timeout_ms % 1000 * 1000L};

	assert(request->timeout_ms > 0);
	x->client = c;
	x->fn = fn;
	x->arg = arg;
	x->deadline = evtimer_new(c->base, on_deadline, x);
	x->easy = curl_easy_init();
	if (x->easy == NULL)
		fatal("out of memory for libcurl");
	TAILQ_INSERT_TAIL(&c->exchanges, x, link);
	c->count++;
	exchange_set_up(x);
	x->spoiled = exchange_set_request(x, request);
	if (x->spoiled == NULL && curl_multi_add_handle(c->multi, x->easy) != CURLM_OK)
		x->spoiled = "libcurl does not take the request";
	x->added = x->spoiled == NULL;
	if (!x->added)
		wait = (struct timeval){0, 0};	/* the callback comes later, as always */
	evtimer_add(x->deadline, &wait);
}
