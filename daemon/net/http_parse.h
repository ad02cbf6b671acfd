/* The inside of an HTTP connection, shared by http_conn.c (states and the connection), http_answer.c (answers) and http_parse.c (llhttp's callbacks), and
 * by nobody else. */
#ifndef VB_NET_HTTP_PARSE_H
#define VB_NET_HTTP_PARSE_H

#include <llhttp.h>

#include "net/http_conn.h"

enum http_state { HTTP_IDLE, HTTP_READING, HTTP_ANSWERING, HTTP_STREAMING, HTTP_CLOSING };

enum { HTTP_MAGIC = 0x68747470 };

struct http_conn {
	unsigned magic;
	enum http_state state;
	struct conn *conn;
	const struct http_limits *limits;
	const struct http_ops *ops;
	void *ctx;
	llhttp_t parser;
	struct http_request *request;	/* being read, or in the handler's hands */
	/* of the request being read */
	char *text;			/* target, names and values, one after the other */
	size_t text_used, text_room;
	size_t target_end;
	struct { uint32_t name, name_end, value, value_end; } fields[HTTP_HEADERS];	/* half of what an idle connection takes */
	size_t n_fields;
	bool in_value;
	int64_t body_most;
	bool early;			/* answered without its body */
	const char *refused, *refused_detail;
	void (*on_stream_end)(struct http_request *r);
	bool asked, draining, in_parser;
};

/* Makes the connection's parser ready for its first request. */
void http_parse_init(struct http_conn *c);

/* Makes c->request of the header that was read so far: names in lower case, the target taken apart. */
void http_parse_request(struct http_conn *c);

/* The answer is queued, or its connection gone: what comes next. */
void http_conn_answered(struct http_conn *c, bool keep_alive);

#endif
