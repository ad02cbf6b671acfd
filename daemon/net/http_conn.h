/* HTTP/1.1 on connections of our own (RFC 9112): llhttp parses, a bufferevent carries. Requests of a connection are answered in order, one at
 * a time: the next one is parsed when the answer before it is queued, so pipelining works and a slow handler pushes back. */
#ifndef VB_NET_HTTP_CONN_H
#define VB_NET_HTTP_CONN_H

#include <event2/buffer.h>
#include <event2/event.h>

#include "proto/arena.h"
#include "proto/view.h"

struct http_limits {
	size_t header_bytes;	/* request line and header fields together: 431 */
	size_t body_bytes;	/* 413 */
	int request_seconds;	/* from the first byte to the last one: 408 */
	int idle_seconds;	/* between requests */
	int io_seconds;		/* a peer that does not read is cut */
};

enum { HTTP_HEADERS = 48 };

struct http_header {
	struct view name;	/* lower case */
	struct view value;
};

struct http_conn;

/* A request. The handler owns it until it calls http_reply or http_stream, exactly once; all views live as long. */
struct http_request {
	struct arena arena;
	struct http_conn *conn;		/* NULL once the peer is gone */
	const char *peer;
	struct view method, target, path, query;
	struct http_header headers[HTTP_HEADERS];
	size_t n_headers;
	struct view body;
	char *owned_body;		/* the body, once it is no longer the connection's */
	bool keep_alive, head_only;
	int64_t started;		/* monotonic, microseconds */
	void *user;			/* the handler's */
};

struct http_ops {
	void (*on_request)(void *ctx, struct http_request *request);
	/* A request that is not one was answered with this status and problem (a name of reason.h). The callee writes the body with
	 * http_reply. */
	void (*on_malformed)(void *ctx, struct http_request *request, const char *reason, const char *detail);
	/* An answer was queued: for the log and the metrics. */
	void (*on_replied)(void *ctx, const struct http_request *request, int status);
	void (*on_close)(void *ctx, const char *reason);
};

struct http_conn *http_conn_new(struct event_base *base, evutil_socket_t fd, const char *peer, const struct http_limits *limits,
    const struct http_ops *ops, void *ctx);

/* The value of a header, empty where absent. name in lower case. */
struct view http_header(const struct http_request *r, const char *name);

/* Answers and frees the request. extra: more header lines, each ended by CRLF, or NULL. The body is copied. */
void http_reply(struct http_request *r, int status, const char *content_type, const char *extra, struct view body);

/* An endless answer (server-sent events). The request stays the caller's until http_stream_end, or until on_end tells that the peer is
 * gone; after that it must be given back with http_request_free. When the peer is gone already (conn is NULL), nothing happens and the
 * caller gives the request back. */
void http_stream_begin(struct http_request *r, const char *content_type, void (*on_end)(struct http_request *r));
void http_stream_send(struct http_request *r, struct view bytes);
void http_stream_end(struct http_request *r);
void http_request_free(struct http_request *r);

/* No further request is read; the connection closes when the one in work is answered. */
void http_conn_drain(struct http_conn *c);

const char *http_status_text(int status);

#endif
