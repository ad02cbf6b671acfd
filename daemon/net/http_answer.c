/* Answers of the HTTP connection: a whole one, or a stream. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/http_parse.h"
#include "proto/text.h"

const char *
http_status_text(int status)
{
	static const struct { int status; const char *text; } texts[] = {
		{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {400, "Bad Request"}, {401, "Unauthorized"},
		{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"}, {409, "Conflict"},
		{413, "Content Too Large"}, {415, "Unsupported Media Type"}, {417, "Expectation Failed"}, {422, "Unprocessable Content"},
		{429, "Too Many Requests"}, {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {502, "Bad Gateway"},
		{503, "Service Unavailable"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

/* RFC 9110 section 5.6.7, made once a second. */
static const char *
http_date(void)
{
	static char text[40];
	static time_t made;
	time_t now = time(NULL);
	struct tm tm;

	if (now != made) {
		made = now;
		gmtime_r(&now, &tm);
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return text;
}

/* Without printf: it is made for each request. */
static void
reply_head(struct http_conn *c, struct http_request *r, int status, const char *content_type, const char *extra, size_t n)
{
	struct text t = text_begin(&r->arena, 512);

	text_string(&t, "HTTP/1.1 ");
	text_number(&t, status);
	text_char(&t, ' ');
	text_string(&t, http_status_text(status));
	text_string(&t, "\r\nDate: ");
	text_string(&t, http_date());
	if (n > 0) {
		text_string(&t, "\r\nContent-Type: ");
		text_string(&t, content_type);
	}
	if (status != 204) {		/* RFC 9110 section 8.6: then there is no Content-Length */
		text_string(&t, "\r\nContent-Length: ");
		text_number(&t, (int64_t)n);
	}
	text_string(&t, r->keep_alive ? "\r\nCache-Control: no-store\r\n" : "\r\nCache-Control: no-store\r\nConnection: close\r\n");
	if (extra != NULL)
		text_string(&t, extra);
	text_string(&t, "\r\n");
	conn_write(c->conn, text_view(&t));
}

void
http_reply(struct http_request *r, int status, const char *content_type, const char *extra, struct view body)
{
	struct http_conn *c = r->conn;

	if (c != NULL) {
		assert(c->magic == HTTP_MAGIC && c->request == r);
		reply_head(c, r, status, content_type, extra, body.n);
		if (body.n > 0 && !r->head_only)
			conn_write(c->conn, body);
		conn_flush(c->conn);
		c->ops->on_replied(c->ctx, r, status);
		http_conn_answered(c, r->keep_alive);
	}
	http_request_free(r);
}

bool
http_stream_begin(struct http_request *r, const char *content_type, void (*on_end)(struct http_request *r))
{
	struct http_conn *c = r->conn;
	char head[256];

	if (c == NULL)
		return true;		/* the caller looks at conn */
	assert(c->magic == HTTP_MAGIC && c->request == r);
	int used = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
	    http_date(), content_type);
	conn_write(c->conn, (struct view){head, (size_t)used});
	c->ops->on_replied(c->ctx, r, 200);
	if (r->head_only) {
		http_conn_answered(c, false);
		http_request_free(r);
		return false;
	}
	c->state = HTTP_STREAMING;
	c->on_stream_end = on_end;
	c->text_used = 0;		/* counts what the peer says from here on */
	if (c->draining)
		conn_leave(c->conn, "draining");	/* the burial ends the stream */
	else
		conn_again(c->conn);	/* it may have left, or talked, already */
	return true;
}

void
http_stream_send(struct http_request *r, struct view bytes)
{
	struct http_conn *c = r->conn;

	if (c == NULL)
		return;
	assert(c->state == HTTP_STREAMING);
	if (conn_is_clogged(c->conn))
		conn_die(c->conn, "the peer does not read");
	else
		conn_write(c->conn, bytes);
}

void
http_stream_end(struct http_request *r)
{
	struct http_conn *c = r->conn;

	if (c != NULL)
		http_conn_answered(c, false);
	http_request_free(r);
}
