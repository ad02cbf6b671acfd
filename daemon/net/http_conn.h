/* HTTP/1.1 (RFC 9110, RFC 9112): llhttp parses, a conn carries. Requests of a connection are answered in order, one at a time: the next one is parsed when
 * the answer before it is queued and not too much of that waits for the peer, so pipelining works, and a slow handler or reader pushes back. Who is
 * asking and for what is judged by the header, before a body is taken. It does not know any route. */
#ifndef VB_NET_HTTP_CONN_H
#define VB_NET_HTTP_CONN_H

#include "net/conn.h"
#include "proto/arena.h"
#include "proto/view.h"

struct http_limits {
	struct conn_limits conn;
	size_t header_bytes;	/* request line and header fields together: 431 */
};

enum { HTTP_HEADERS = 48 };

struct http_header {
	struct view name;	/* lower case */
	struct view value;
};

struct http_conn;

/* A request. The handler owns it until it calls http_reply or http_stream_end, exactly once; all views live as long, also when the peer is gone. */
struct http_request {
	struct arena arena;
	struct http_conn *conn;		/* NULL once the peer is gone */
	const char *peer;
	struct view method, target, path, query;
	struct http_header headers[HTTP_HEADERS];
	size_t n_headers;
	struct view body;
	char *body_bytes;		/* the body's memory */
	size_t body_room;
	struct account account;		/* what the request holds of the budget */
	bool keep_alive, head_only;
	int64_t started;		/* monotonic, microseconds */
	void *user;			/* the handler's */
	void (*on_free)(struct http_request *r);	/* called before its memory goes; NULL: nothing to do */
};

struct http_ops {
	/* The header is there. Returns how long a body is taken, or -1: the request is answered without one (on_request comes at once). */
	int64_t (*on_header)(void *ctx, struct http_request *request);
	void (*on_request)(void *ctx, struct http_request *request);
	/* What came is no request, or too large: answered by the callee with http_reply, by a name of reason.h. */
	void (*on_malformed)(void *ctx, struct http_request *request, const char *reason, const char *detail);
	/* An answer was queued: for the log and the metrics. */
	void (*on_replied)(void *ctx, const struct http_request *request, int status);
	void (*on_close)(void *ctx, const char *reason);
};

struct http_conn *http_conn_new(const struct conn_shared *shared, evutil_socket_t fd, struct place *place, const struct http_limits *limits,
    const struct http_ops *ops, void *ctx);
/* On a bufferevent, for the fuzzer. limits must outlive the connection in both. */
struct http_conn *http_conn_new_on(const struct conn_shared *shared, struct bufferevent *bev, const struct http_limits *limits, const struct http_ops *ops,
    void *ctx);

/* The connection below, for its peer and identity. */
struct conn *http_conn_base(struct http_conn *c);

/* The value of a header, empty where absent. name in lower case. */
struct view http_header(const struct http_request *r, const char *name);

/* The request holds this much more memory for its handler (what was made of its body). False when the budget has not so much. */
bool http_request_hold(struct http_request *r, size_t bytes) __attribute__((warn_unused_result));

/* Answers and frees the request. extra: more header lines, each ended by CRLF, or NULL. The body is copied. */
void http_reply(struct http_request *r, int status, const char *content_type, const char *extra, struct view body);

/* An endless answer (server-sent events). The request stays the caller's until http_stream_end, or until on_end tells that the peer is
 * gone; after that it must be given back with http_request_free. When the peer is gone already (conn is NULL), nothing happens and the
 * caller gives the request back. To a HEAD request it is an answer without a body: false, and the request is gone. */
bool http_stream_begin(struct http_request *r, const char *content_type, void (*on_end)(struct http_request *r));
void http_stream_send(struct http_request *r, struct view bytes);
void http_stream_end(struct http_request *r);
void http_request_free(struct http_request *r);

/* No further request is read; the connection closes when the one in work is answered. */
void http_conn_drain(struct http_conn *c);

const char *http_status_text(int status);

#endif
