/* The outbound client. libcurl says which sockets and which time it waits for; libevent waits; what has ended is collected after each step and
 * only then told to the callers, so that they may send again. Each request has a deadline of its own on the loop: libcurl looks at its
 * own time-outs only once a request has left its queue. */
#include "http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/memory.h"

enum {
	IDLE_SECONDS = 30,	/* a kept connection is not used after this: less than servers and middle boxes keep them */
};

struct bytes {
	char *p;
	size_t used, room;
};

/* One request, from http_client_send to its callback. */
struct exchange {
	TAILQ_ENTRY(exchange) link;
	struct http_client *client;
	CURL *easy;
	bool added;			/* to the multi handle */
	struct curl_slist *headers;
	struct event *deadline;		/* ends it, whatever libcurl thinks */
	http_client_fn fn;
	void *arg;
	bool sent;			/* a connection was ready and the request began to leave */
	const char *spoiled;		/* why it is ended by us, if it is */
	struct bytes head, body;
	char error[CURL_ERROR_SIZE];
};

TAILQ_HEAD(exchange_list, exchange);

struct http_client {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;		/* libcurl's */
	struct exchange_list exchanges;
	size_t count;
	char *proxy, *authorities;
	bool calling;			/* inside a callback of a caller's */
};

/* ------- what an exchange collects */

static bool
bytes_add(struct bytes *b, const char *p, size_t n, size_t most)
{
	if (n > most - b->used)
		return false;
	if (b->used + n > b->room) {
		b->room = (b->used + n) * 2;
		b->p = memory_resize(b->p, b->room);
	}
	memcpy(b->p + b->used, p, n);
	b->used += n;
	return true;
}

static size_t
on_head_line(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	n *= size;
	if (n >= 5 && memcmp(p, "HTTP/", 5) == 0)
		x->head.used = 0;	/* a status line: what came before was a 1xx, or the proxy's */
	if (bytes_add(&x->head, p, n, HTTP_CLIENT_HEAD_BYTES))
		return n;
	x->spoiled = "the answer's header is too large";
	return 0;
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	n *= size;
	if (bytes_add(&x->body, p, n, HTTP_CLIENT_REPLY_BYTES))
		return n;
	x->spoiled = "the answer is too large";
	return CURL_WRITEFUNC_ERROR;
}

/* Called when a connection is ready, just before the request is sent on it. The second time is libcurl's own retry: a kept connection
 * that gives no answer is taken for closed, and the request, also a POST, is sent again on a new one (Curl_retry_request). But the server may
 * have done what was asked and then broken down; the copy with its used nonce would be refused, and that refusal be believed. */
static int
on_ready_to_send(void *arg, char *peer, char *local, int peer_port, int local_port)
{
	struct exchange *x = arg;

	(void)peer, (void)local, (void)peer_port, (void)local_port;
	if (x->sent) {
		x->spoiled = "the connection was closed without an answer";
		return CURL_PREREQFUNC_ABORT;
	}
	x->sent = true;
	return CURL_PREREQFUNC_OK;
}

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

/* How every transfer of ours is made. */
static void
exchange_set_up(struct exchange *x)
{
	CURL *easy = x->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)x);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head_line);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready_to_send);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, x);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);		/* leaves a slow look-up behind instead of waiting for its thread */
#endif
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_PROXY, x->client->proxy != NULL ? x->client->proxy : "");
	if (x->client->authorities != NULL) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, x->client->authorities);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)HTTP_CLIENT_REPLY_BYTES);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "visitbilld");
}

/* Returns why not, or NULL. */
static const char *
exchange_set_request(struct exchange *x, const struct http_client_request *r)
{
	bool is_get = strcmp(r->method, "GET") == 0;

	/* without this libcurl would wait up to a second before it sends a large body */
	x->headers = curl_slist_append(NULL, "Expect:");
	for (size_t i = 0; i < r->n_headers; i++) {
		struct curl_slist *longer;
		if (strpbrk(r->headers[i], "\r\n") != NULL)
			return "a header has a line end in it";
		longer = curl_slist_append(x->headers, r->headers[i]);
		if (longer == NULL)
			return "out of memory";
		x->headers = longer;
	}
	if (curl_easy_setopt(x->easy, CURLOPT_URL, r->url) != CURLE_OK
	    || curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers) != CURLE_OK)
		return "not a usable URL";
	if (!is_get && (curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n) != CURLE_OK
	    || curl_easy_setopt(x->easy, CURLOPT_COPYPOSTFIELDS, r->body.n > 0 ? r->body.p : "") != CURLE_OK
	    || curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, r->method) != CURLE_OK))
		return "not a usable request";
	return NULL;
}

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

/* ------- reading a reply */

struct view
http_client_header(const struct http_client_reply *reply, const char *name)
{
	struct view rest = reply->head;
	size_t length = strlen(name);

	while (rest.n > 0) {
		const char *end = memchr(rest.p, '\n', rest.n);
		struct view line = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.n};

		rest.p += line.n + (end != NULL);
		rest.n -= line.n + (end != NULL);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n > length && line.p[length] == ':' && strncasecmp(line.p, name, length) == 0)
			return view_trim((struct view){line.p + length + 1, line.n - length - 1});
	}
	return VIEW_NONE;
}

const char *
http_client_result_text(enum http_client_result result)
{
	static const char *const texts[] = {"ok", "timeout", "connect", "broken"};

	return texts[result];
}
