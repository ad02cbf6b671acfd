/* One request of the outbound client as libcurl has it: how it is made, what of its answer is gathered and within which limits, how that is read. */
#include "http_client_inside.h"

#include <string.h>
#include <strings.h>

#include "base/memory.h"

enum {
	IDLE_SECONDS = 30,	/* a kept connection is not used after this: less than servers and middle boxes keep them */
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

/* ------- how it is made */

void
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

const char *
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
