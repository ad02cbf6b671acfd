/* The inside of an HTTP connection, shared by http_conn.c (states, sockets, answers) and http_parse.c (llhttp's callbacks) and by nobody else. */
#ifndef VB_NET_HTTP_PARSE_H
#define VB_NET_HTTP_PARSE_H

#include <event2/bufferevent.h>
#include <llhttp.h>

#include "net/http_conn.h"

enum conn_state { CONN_IDLE, CONN_READING, CONN_ANSWERING, CONN_STREAMING, CONN_CLOSING };

struct http_conn {
	struct bufferevent *bev;
	struct evbuffer *out;		/* the answer being made */
	struct event *bury, *again, *deadline;
	const struct http_limits *limits;
	const struct http_ops *ops;
	void *ctx;
	char peer[64];
	llhttp_t parser;
	enum conn_state state;
	struct http_request *request;	/* being read, or in the handler's hands */
	/* of the request being read */
	char *text;			/* target, names and values, one behind the other */
	size_t text_used, text_room;
	size_t target_end, name_at, value_at;
	struct { size_t name, name_end, value, value_end; } fields[HTTP_HEADERS];
	size_t n_fields;
	bool in_value;
	char *body;
	size_t body_used, body_room;
	const char *refused, *refused_detail;
	void (*on_stream_end)(struct http_request *r);
	const char *closing;
	bool draining, dead, in_parser;
};

/* Makes the connection's parser ready for its first request. */
void http_parse_init(struct http_conn *c);

/* Makes c->request of the header that was read so far: names in lower case, the target taken apart. */
void http_parse_request(struct http_conn *c);

#endif
