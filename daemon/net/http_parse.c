/* From bytes to a request: llhttp's callbacks collect target, header and body of one request, within the limits. A callback that refuses leaves the
 * reason in c->refused and stops the parser; answering is http_conn.c's. */
#include "http_parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

static int
text_add(struct http_conn *c, const char *p, size_t n)
{
	if (c->text_used + n > c->limits->header_bytes) {
		c->refused = "header_too_large";
		c->refused_detail = "request line and header are larger than the limit";
		return -1;
	}
	if (c->text_used + n > c->text_room) {
		c->text_room = (c->text_used + n) * 2;
		c->text = memory_resize(c->text, c->text_room);
	}
	memcpy(c->text + c->text_used, p, n);
	c->text_used += n;
	return 0;
}

static int
on_message_begin(llhttp_t *p)
{
	struct http_conn *c = p->data;

	c->text_used = c->target_end = c->name_at = c->value_at = 0;
	c->n_fields = 0;
	c->in_value = false;
	c->body_used = 0;
	c->refused = c->refused_detail = NULL;
	return 0;
}

static int
on_url(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (text_add(c, at, n) != 0)
		return HPE_USER;
	c->target_end = c->text_used;
	return 0;
}

static int
on_header_field(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (c->n_fields == 0 || c->in_value) {
		if (c->n_fields == HTTP_HEADERS) {
			c->refused = "header_too_large";
			c->refused_detail = "too many header fields";
			return HPE_USER;
		}
		c->fields[c->n_fields].name = c->text_used;
		c->fields[c->n_fields].name_end = c->text_used;
		c->fields[c->n_fields].value = c->fields[c->n_fields].value_end = 0;
		c->n_fields++;
		c->in_value = false;
	}
	if (text_add(c, at, n) != 0)
		return HPE_USER;
	c->fields[c->n_fields - 1].name_end = c->text_used;
	return 0;
}

static int
on_header_value(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (!c->in_value) {
		c->fields[c->n_fields - 1].value = c->text_used;
		c->in_value = true;
	}
	if (memchr(at, '\0', n) != NULL) {
		c->refused = "bad_request";
		c->refused_detail = "NUL in a header field";
		return HPE_USER;
	}
	if (text_add(c, at, n) != 0)
		return HPE_USER;
	c->fields[c->n_fields - 1].value_end = c->text_used;
	return 0;
}

void
http_parse_request(struct http_conn *c)
{
	struct arena arena;

	arena_init(&arena, sizeof(struct http_request) + c->text_used + 512);
	struct http_request *r = arena_alloc(&arena, sizeof(*r));
	char *text = arena_alloc(&arena, c->text_used + 1);
	if (c->text_used > 0)
		memcpy(text, c->text, c->text_used);
	r->conn = c;
	r->peer = arena_copy(&arena, c->peer, strlen(c->peer)).p;
	r->started = clock_monotonic();
	r->method = view_of(llhttp_method_name((llhttp_method_t)c->parser.method));
	r->head_only = c->parser.method == HTTP_HEAD;
	r->target = (struct view){text, c->target_end};
	const char *q = c->target_end > 0 ? memchr(text, '?', c->target_end) : NULL;
	r->path = (struct view){text, q != NULL ? (size_t)(q - text) : c->target_end};
	r->query = q != NULL ? (struct view){q + 1, c->target_end - r->path.n - 1} : VIEW_NONE;
	for (size_t i = 0; i < c->n_fields; i++) {
		for (size_t k = c->fields[i].name; k < c->fields[i].name_end; k++)
			text[k] = (char)tolower((unsigned char)text[k]);
		r->headers[i].name = (struct view){text + c->fields[i].name, c->fields[i].name_end - c->fields[i].name};
		r->headers[i].value = view_trim((struct view){text + c->fields[i].value, c->fields[i].value_end - c->fields[i].value});
	}
	r->n_headers = c->n_fields;
	r->arena = arena;
	c->request = r;
}

static int
on_headers_complete(llhttp_t *p)
{
	struct http_conn *c = p->data;
	unsigned hosts = 0;

	http_parse_request(c);
	bool nameless = false;
	for (size_t i = 0; i < c->request->n_headers; i++) {
		hosts += view_is(c->request->headers[i].name, "host");
		nameless = nameless || c->request->headers[i].name.n == 0;
	}
	if (p->http_major != 1 || nameless) {
		c->refused = "bad_request";
		c->refused_detail = nameless ? "a header field without a name" : "HTTP/1.0 and HTTP/1.1 are spoken here";
		return HPE_USER;
	}
	if (hosts > 1 || (hosts == 0 && p->http_major == 1 && p->http_minor >= 1)) {	/* RFC 9112 section 3.2 */
		c->refused = "bad_request";
		c->refused_detail = "exactly one Host header is required";
		return HPE_USER;
	}
	if ((p->flags & F_CONTENT_LENGTH) != 0 && p->content_length > c->limits->body_bytes) {
		c->refused = "too_large";
		c->refused_detail = "the body is larger than the limit";
		return HPE_USER;
	}
	struct view expect = http_header(c->request, "expect");
	if (expect.n > 0 && view_is(expect, "100-continue"))
		evbuffer_add_printf(bufferevent_get_output(c->bev), "HTTP/1.1 100 Continue\r\n\r\n");
	return 0;
}

static int
on_body(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (c->body_used + n > c->limits->body_bytes) {
		c->refused = "too_large";
		c->refused_detail = "the body is larger than the limit";
		return HPE_USER;
	}
	if (c->body_used + n > c->body_room) {
		size_t known = (p->flags & F_CONTENT_LENGTH) != 0 ? c->body_used + n + (size_t)p->content_length : (c->body_used + n) * 2;
		c->body_room = known < c->body_used + n ? c->body_used + n : known;
		c->body = memory_resize(c->body, c->body_room);
	}
	memcpy(c->body + c->body_used, at, n);
	c->body_used += n;
	return 0;
}

static int
on_message_complete(llhttp_t *p)
{
	(void)p;
	return HPE_PAUSED;	/* answer this one first */
}

void
http_parse_init(struct http_conn *c)
{
	static llhttp_settings_t settings;	/* the same for every connection */

	if (settings.on_url == NULL) {
		llhttp_settings_init(&settings);
		settings.on_message_begin = on_message_begin;
		settings.on_url = on_url;
		settings.on_header_field = on_header_field;
		settings.on_header_value = on_header_value;
		settings.on_headers_complete = on_headers_complete;
		settings.on_body = on_body;
		settings.on_message_complete = on_message_complete;
	}
	llhttp_init(&c->parser, HTTP_REQUEST, &settings);
	c->parser.data = c;
}

struct view
http_header(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (view_is(r->headers[i].name, name))
			return r->headers[i].value;
	return VIEW_NONE;
}
