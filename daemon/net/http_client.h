/* Outbound HTTP/1.1 and HTTPS on the event loop: libcurl's multi interface, driven by curl_multi_socket_action. Certificates are verified,
 * redirects are not followed, connections are kept and used again, and no request is ever sent twice by itself. What an answer means is
 * the caller's.
 *
 * It does not wait for anything, DNS included: libcurl's resolver runs in threads of its own (Debian and Ubuntu build it so; a libcurl
 * without one is refused), and none of them is waited for (from libcurl 7.87 on; before, a request that times out while its name is
 * looked up waits for that look-up). */
#ifndef VB_NET_HTTP_CLIENT_H
#define VB_NET_HTTP_CLIENT_H

#include <event2/event.h>
#include <stddef.h>

#include "proto/view.h"

struct http_client;

enum {
	HTTP_CLIENT_HOST_CONNECTIONS = 64,	/* to one host and port; further requests wait in libcurl's queue */
	HTTP_CLIENT_REPLY_BYTES = 1 << 20,	/* a larger body is HTTP_CLIENT_BROKEN */
	HTTP_CLIENT_HEAD_BYTES = 64 << 10,	/* likewise */
};

/* What is known of the request when it has ended. It goes by what happened, not by the error: a deadline that passes while the name is looked
 * up is CONNECT. */
enum http_client_result {
	HTTP_CLIENT_OK,		/* a whole answer came, with whatever status */
	HTTP_CLIENT_TIMEOUT,	/* it was being sent or sent, the deadline passed: processed or not, nobody knows */
	HTTP_CLIENT_CONNECT,	/* not one byte of it left (name, connection, TLS, certificate, its own form): certainly not processed */
	HTTP_CLIENT_BROKEN,	/* it was being sent or sent, the answer is lost or not acceptable: processed or not, nobody knows */
};

struct http_client_request {
	const char *method;		/* GET, POST, PUT, …; not HEAD */
	const char *url;		/* http or https */
	const char *const *headers;	/* "Name: value" each, no line ends; Content-Type is the caller's to say */
	size_t n_headers;
	struct view body;		/* not sent with GET */
	int timeout_ms;			/* for all of it, from http_client_send to the last byte; more than 0 */
};

struct http_client_reply {
	enum http_client_result result;
	int status;			/* 0 unless the result is OK */
	struct view body;		/* raw: what a signature is made over; empty unless OK */
	struct view head;		/* header lines as they came; see http_client_header */
	const char *error;		/* a sentence for the log; "" when OK */
};

/* The reply and its views are valid during the call. It may send new requests; it may not free the client. */
typedef void (*http_client_fn)(void *arg, const struct http_client_reply *reply);

/* Returns NULL, and logs why, when libcurl cannot be used. */
struct http_client *http_client_new(struct event_base *base) __attribute__((warn_unused_result));

/* Closes everything. Requests in flight are dropped, their callbacks are not called: whoever sent them finds the payments again by their
 * state. Not from inside a callback. NULL is fine. */
void http_client_free(struct http_client *c);

/* For requests from now on. A proxy's URL; NULL or "" is none, which is how it starts: the environment's proxies are never used. */
void http_client_use_proxy(struct http_client *c, const char *url);
/* For requests from now on. A PEM file of the authorities to trust instead of the system's; NULL is the system's. */
void http_client_use_authorities(struct http_client *c, const char *file);

/* Sends a request. Everything is copied. fn is called exactly once, always later, never from inside this call. */
void http_client_send(struct http_client *c, const struct http_client_request *request, http_client_fn fn, void *arg);

/* Requests that fn was not called for yet. */
size_t http_client_count(const struct http_client *c);

/* The value of a reply's header, without blanks around it; the first one where there are several, empty where there is none. name in any
 * case, without its colon. */
struct view http_client_header(const struct http_client_reply *reply, const char *name);

/* "timeout": for the log and the metrics. */
const char *http_client_result_text(enum http_client_result result);

#endif
