/* From bytes to a request: llhttp's callbacks collect target, header and body of one request, within the limits. A callback that refuses leaves the
 * reason in c->refused and stops the parser; answering is http_conn.c's. */
#include "http_parse.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/memory.h"

static int
text_add(struct http_conn *c, const char *p, size_t n)
{
	if (n > c->limits->header_bytes - c->text_used) {
		c->refused = "header_too_large";
		c->refused_detail = "request line and header are larger than the limit";
		return -1;
	}
	if (c->text_used + n > c->text_room) {
		size_t room = (c->text_used + n) * 2;
		if (!conn_hold(c->conn, room)) {
			c->refused = "busy";
			c->refused_detail = "there is no memory for a request now; send again";
			return -1;
		}
		c->text_room = room;
		c->text = memory_resize(c->text, room);
	}
	memcpy(c->text + c->text_used, p, n);
	c->text_used += n;
	return 0;
}

static int
on_message_begin(llhttp_t *p)
{
	struct http_conn *c = p->data;

	c->text_used = c->target_end = 0;
	c->n_fields = 0;
	c->in_value = false;
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
		/* all four at once: whatever is refused later, the field is one of no length and not of a wild one */
		c->fields[c->n_fields].name = c->fields[c->n_fields].name_end = (uint32_t)c->text_used;
		c->fields[c->n_fields].value = c->fields[c->n_fields].value_end = (uint32_t)c->text_used;
		c->n_fields++;
		c->in_value = false;
	}
	if (text_add(c, at, n) != 0)
		return HPE_USER;
	c->fields[c->n_fields - 1].name_end = (uint32_t)c->text_used;
	return 0;
}

static int
on_header_value(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (!c->in_value) {
		c->fields[c->n_fields - 1].value = c->fields[c->n_fields - 1].value_end = (uint32_t)c->text_used;
		c->in_value = true;
	}
	if (memchr(at, '\0', n) != NULL) {
		c->refused = "bad_request";
		c->refused_detail = "NUL in a header field";
		return HPE_USER;
	}
	if (text_add(c, at, n) != 0)
		return HPE_USER;
	c->fields[c->n_fields - 1].value_end = (uint32_t)c->text_used;
	return 0;
}

/* RFC 9112 section 3.2: a target is a path, or a whole URL of which the path counts. */
static struct view
origin_form(struct view target)
{
	const char *rest;

	if (target.n > 7 && strncasecmp(target.p, "http://", 7) == 0)
		rest = target.p + 7;
	else if (target.n > 8 && strncasecmp(target.p, "https://", 8) == 0)
		rest = target.p + 8;
	else
		return target;
	const char *end = target.p + target.n;
	while (rest < end && *rest != '/' && *rest != '?')
		rest++;
	return rest < end && *rest == '/' ? (struct view){rest, (size_t)(end - rest)} : VIEW_LITERAL("/");
}

static void
read_fields(const struct http_conn *c, struct http_request *r, char *text)
{
	for (size_t i = 0; i < c->n_fields; i++) {
		size_t name = c->fields[i].name, name_end = c->fields[i].name_end, value = c->fields[i].value, value_end = c->fields[i].value_end;
		assert(name <= name_end && name_end <= c->text_used && value <= value_end && value_end <= c->text_used);
		for (size_t k = name; k < name_end; k++)
			text[k] = (char)tolower((unsigned char)text[k]);
		r->headers[i].name = (struct view){text + name, name_end - name};
		r->headers[i].value = view_trim((struct view){text + value, value_end - value});
	}
	r->n_headers = c->n_fields;
}

void
http_parse_request(struct http_conn *c)
{
	struct arena arena;

	arena_init(&arena, sizeof(struct http_request) + c->text_used + 2048);	/* and what a short answer takes */
	struct http_request *r = arena_alloc(&arena, sizeof(*r));
	char *text = arena_alloc(&arena, c->text_used + 1);
	if (c->text_used > 0)
		memcpy(text, c->text, c->text_used);
	r->conn = c;
	const char *peer = conn_peer_text(c->conn);
	r->peer = arena_copy(&arena, peer, strlen(peer)).p;
	r->started = clock_monotonic();
	r->method = view_of(llhttp_method_name((llhttp_method_t)c->parser.method));
	r->head_only = c->parser.method == HTTP_HEAD;
	r->target = origin_form((struct view){text, c->target_end});
	const char *q = r->target.n > 0 ? memchr(r->target.p, '?', r->target.n) : NULL;
	r->path = (struct view){r->target.p, q != NULL ? (size_t)(q - r->target.p) : r->target.n};
	r->query = q != NULL ? (struct view){q + 1, r->target.n - r->path.n - 1} : VIEW_NONE;
	read_fields(c, r, text);
	account_open(&r->account, conn_budget(c->conn), conn_is_named(c->conn));
	r->arena = arena;
	c->request = r;
}

static int
refuse(struct http_conn *c, const char *reason, const char *detail)
{
	c->refused = reason;
	c->refused_detail = detail;
	return HPE_USER;
}

/* RFC 3986 section 3.2.2, loosely: nothing that could be mistaken for another part of a URL. */
static bool
is_host(struct view v)
{
	for (size_t i = 0; i < v.n; i++)
		switch (v.p[i]) {
		case '/': case '\\': case '@': case '?': case '#': case '"': case '<': case '>': case '^': case '`': case '{': case '|': case '}':
			return false;
		default:
			if (v.p[i] <= ' ' || v.p[i] > '~')
				return false;
		}
	return true;
}

/* RFC 9112 section 3.2: one Host; a client of 1.0 may have none. */
static int
check_head(struct http_conn *c, const llhttp_t *p)
{
	unsigned hosts = 0, lengths = 0;

	for (size_t i = 0; i < c->request->n_headers; i++) {
		if (c->request->headers[i].name.n == 0)
			return refuse(c, "bad_request", "a header field without a name");
		const struct http_header *h = &c->request->headers[i];
		hosts += view_is(h->name, "host");
		lengths += view_is(h->name, "content-length");
		if (view_is(h->name, "host") && !is_host(h->value))
			return refuse(c, "bad_request", "Host is not a host");
		/* RFC 9112 section 6.1: what is not understood, or comes from a client that cannot know of it, makes the end of the body a guess */
		if (view_is(h->name, "transfer-encoding") && (p->http_minor == 0 || h->value.n != 7 || strncasecmp(h->value.p, "chunked", 7) != 0))
			return refuse(c, "bad_request", "the only Transfer-Encoding is chunked, in HTTP/1.1");
	}
	if (p->http_major != 1)
		return refuse(c, "bad_request", "HTTP/1.0 and HTTP/1.1 are spoken here");
	if (hosts > 1 || (hosts == 0 && p->http_minor >= 1))
		return refuse(c, "bad_request", "exactly one Host header is required");
	if (lengths > 1)
		return refuse(c, "bad_request", "more than one Content-Length");
	return 0;
}

static bool
has_body(const llhttp_t *p)
{
	return (p->flags & F_CHUNKED) != 0 || ((p->flags & F_CONTENT_LENGTH) != 0 && p->content_length > 0);
}

/* Memory for the body: at once where its length is known, so that a peer hears of a lack before it sends. */
static int
prepare_body(struct http_conn *c, const llhttp_t *p)
{
	struct http_request *r = c->request;
	bool known = (p->flags & F_CONTENT_LENGTH) != 0;
	size_t room = known ? (size_t)p->content_length : 4096;

	if (known && (c->body_most < 0 || p->content_length > (uint64_t)c->body_most))
		return refuse(c, "too_large", "the body is larger than is taken here");
	if (!http_request_hold(r, room))
		return refuse(c, "busy", "there is no memory for a body of this size now; send again");
	r->body_bytes = memory_resize(NULL, room);	/* not zeroed: what is read of it was written before */
	r->body_room = room;
	return 0;
}

static int
on_headers_complete(llhttp_t *p)
{
	struct http_conn *c = p->data;

	http_parse_request(c);
	if (p->method != HTTP_CONNECT)
		p->upgrade = 0;		/* RFC 9110 section 7.8: an offer to speak something else is ignored */
	if (check_head(c, p) != 0)
		return HPE_USER;
	c->body_most = c->ops->on_header(c->ctx, c->request);
	if (!has_body(p))
		return 0;
	if (c->body_most < 0) {
		c->early = true;
		return HPE_USER;
	}
	struct view expect = http_header(c->request, "expect");
	bool asks = expect.n > 0 && p->http_minor >= 1;	/* RFC 9110 section 10.1.1: a client of 1.0 cannot ask */
	if (asks && (expect.n != 12 || strncasecmp(expect.p, "100-continue", 12) != 0))
		return refuse(c, "expectation", "only 100-continue may be expected");
	if (prepare_body(c, p) != 0)
		return HPE_USER;
	if (asks) {
		conn_write(c->conn, VIEW_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
		conn_flush(c->conn);
	}
	return 0;
}

static int
on_body(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;
	struct http_request *r = c->request;

	if (n > (uint64_t)c->body_most - r->body.n)
		return refuse(c, "too_large", "the body is larger than is taken here");
	if (n > r->body_room - r->body.n) {
		size_t room = (r->body.n + n) * 2;
		if (!http_request_hold(r, room - r->body_room))
			return refuse(c, "busy", "there is no memory for a body of this size now; send again");
		r->body_bytes = memory_resize(r->body_bytes, room);
		r->body_room = room;
	}
	memcpy(r->body_bytes + r->body.n, at, n);
	r->body = (struct view){r->body_bytes, r->body.n + n};
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

bool
http_request_hold(struct http_request *r, size_t bytes)
{
	return account_set(&r->account, r->account.held + bytes);
}

struct view
http_header(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (view_is(r->headers[i].name, name))
			return r->headers[i].value;
	return VIEW_NONE;
}
