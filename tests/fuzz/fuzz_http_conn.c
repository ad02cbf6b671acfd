/* The HTTP connection: whatever a stream's cuts, pauses and handlers, every request is answered at most once and in order, the peer reads nothing but whole
 * responses, no view reaches outside its memory, and what was counted for the peer goes back to nothing. The first letter of a path says what its
 * handler does. */
#include "fuzz_conn.h"
#include "net/http_conn.h"

enum { REQUESTS = 512, BODY_MOST = 2000, BODY_SMALL = 16, LONG_ANSWER = 1400 };

enum answered { NOT_YET, WHOLE, STREAM, DROPPED };

struct record {
	struct http_request *request;	/* in the handler's hands, NULL after */
	int64_t most;			/* what on_header said; -2: never called */
	enum answered answered;
	bool handed_on, head_only, no_content;
	size_t body;
};

struct run {
	struct fuzz_world world;
	struct http_conn *conn;		/* NULL: gone */
	struct record records[REQUESTS];
	size_t n, replied, freed, streamed;
	bool closed;
	const char *reason;
};

static char
letter_of(const struct http_request *r)
{
	return r->path.n > 1 ? r->path.p[1] : ' ';
}

static void
touch_request(const struct http_request *r)
{
	fuzz_touch(r->method);
	fuzz_touch(r->target);
	fuzz_touch(r->path);
	fuzz_touch(r->query);
	fuzz_touch(r->body);
	FUZZ_CHECK(r->path.n + r->query.n <= r->target.n && r->n_headers <= HTTP_HEADERS);
	for (size_t i = 0; i < r->n_headers; i++) {
		fuzz_touch(r->headers[i].name);
		fuzz_touch(r->headers[i].value);
	}
	fuzz_touch(view_of(r->peer));
}

static void
on_free(struct http_request *r)
{
	struct run *run = *(struct run **)r->user;

	run->freed++;
	for (size_t i = 0; i < run->n; i++) {
		struct record *of = &run->records[i];
		if (of->request != r)
			continue;
		of->request = NULL;
		if (of->answered == NOT_YET) {	/* the peer was gone before it was all there */
			FUZZ_CHECK(!of->handed_on);
			of->answered = DROPPED;
		}
	}
}

/* The record of a request, made when it is first seen; the request keeps the way back to us. */
static struct record *
record_of(struct run *run, struct http_request *r)
{
	if (r->user != NULL) {
		FUZZ_CHECK(run->n > 0 && run->records[run->n - 1].request == r);
		return &run->records[run->n - 1];
	}
	FUZZ_CHECK(run->n < REQUESTS);
	struct record *of = &run->records[run->n++];
	*of = (struct record){.request = r, .most = -2, .head_only = r->head_only};
	struct run **back = arena_alloc(&r->arena, sizeof(*back));
	*back = run;
	r->user = back;
	r->on_free = on_free;
	return of;
}

static void
reply(struct run *run, struct record *of, int status, size_t n)
{
	static const char text[LONG_ANSWER] = {0};
	struct http_request *r = of->request;
	char extra[48];

	FUZZ_CHECK(of->answered == NOT_YET && r != NULL);
	of->answered = WHOLE;
	of->no_content = status == 204;
	of->body = n;
	of->request = NULL;
	snprintf(extra, sizeof(extra), "X-Number: %zu\r\n", (size_t)(of - run->records));
	touch_request(r);
	http_reply(r, status, "text/plain", extra, (struct view){text, n});
}

static void
on_stream_end(struct http_request *r)
{
	http_request_free(r);
}

static void
begin_stream(struct record *of)
{
	struct http_request *r = of->request;

	of->answered = STREAM;
	(void)http_stream_begin(r, "text/event-stream", on_stream_end);	/* to HEAD: the request is gone, on_free has told */
}

/* ------- the handler */

static int64_t
on_header(void *ctx, struct http_request *r)
{
	struct run *run = ctx;
	struct record *of = record_of(run, r);

	FUZZ_CHECK(of->most == -2 && !run->closed);
	FUZZ_CHECK(!conn_is_clogged(http_conn_base(run->conn)));
	touch_request(r);
	if (letter_of(r) == 'k') {
		conn_name(http_conn_base(run->conn));
		account_name(&r->account);
	}
	of->most = letter_of(r) == 'n' ? -1 : letter_of(r) == 'b' ? BODY_SMALL : letter_of(r) == '0' ? 0 : BODY_MOST;
	return of->most;
}

static void
on_request(void *ctx, struct http_request *r)
{
	struct run *run = ctx;
	struct record *of = record_of(run, r);
	char letter = letter_of(r);

	FUZZ_CHECK(of->most >= -1 && of->answered == NOT_YET && !of->handed_on);
	of->handed_on = true;
	FUZZ_CHECK(r->body.n <= (of->most > 0 ? (size_t)of->most : 0));
	touch_request(r);
	if (letter == 't')
		clock_set_for_tests(run->world.now += TURN_SLICE_US + 1);
	if (letter == 'c')
		http_conn_drain(run->conn);
	if (letter == 'x')
		conn_die(http_conn_base(run->conn), "the handler dies");
	if (letter == 'l')
		return;		/* later */
	if (letter == 's')
		begin_stream(of);
	else if (letter == 'h' && !http_request_hold(r, r->body.n * 40))
		reply(run, of, 503, 0);
	else
		reply(run, of, letter == 'n' ? 404 : letter == 'e' ? 204 : 200, letter == 'e' ? 0 : letter == 'g' ? LONG_ANSWER : r->body.n % 64);
}

static void
on_malformed(void *ctx, struct http_request *r, const char *reason, const char *detail)
{
	struct run *run = ctx;
	struct record *of = record_of(run, r);

	FUZZ_CHECK(reason != NULL && detail != NULL);
	FUZZ_CHECK(!r->keep_alive && !of->handed_on);
	of->handed_on = true;
	touch_request(r);
	reply(run, of, 400, 20);
}

static void
on_replied(void *ctx, const struct http_request *r, int status)
{
	struct run *run = ctx;

	FUZZ_CHECK(r->conn != NULL && status >= 200);
	run->replied++;
}

static void
on_close(void *ctx, const char *reason)
{
	struct run *run = ctx;

	FUZZ_CHECK(!run->closed && reason != NULL);
	run->closed = true;
	run->reason = reason;
	run->conn = NULL;
}

static const struct http_ops ops = {on_header, on_request, on_malformed, on_replied, on_close};

/* ------- the peer */

/* Goes on with what waits: a request of which the answer comes later, a stream that says something or ends. */
static void
go_on(struct run *run, uint8_t control)
{
	for (size_t i = 0; i < run->n; i++) {
		struct record *of = &run->records[i];
		if (of->request == NULL || !of->handed_on)
			continue;
		if (of->answered == NOT_YET && letter_of(of->request) == 'l') {
			reply(run, of, 200, 40);
		} else if (of->answered == STREAM && (of->request->conn == NULL || (control & STEP_OTHER) != 0)) {
			http_stream_end(of->request);
		} else if (of->answered == STREAM) {
			http_stream_send(of->request, VIEW_LITERAL("data: x\n\n"));
			run->streamed++;
		}
		return;
	}
}

static void
step(struct run *run, uint8_t control)
{
	if ((control & STEP_READ) != 0)
		fuzz_peer_reads(&run->world, !run->world.peer_reads);
	if ((control & STEP_ANSWER) != 0)
		go_on(run, control);
	if ((control & STEP_LOOP) != 0)
		fuzz_loop(&run->world, 1);
	if ((control & (STEP_RARE | STEP_OTHER)) == (STEP_RARE | STEP_OTHER) && run->conn != NULL)
		http_conn_drain(run->conn);
}

/* One header line's value as a number; SIZE_MAX without it. */
static size_t
number_of(const char *head, size_t n, const char *name)
{
	const char *at = memmem(head, n, name, strlen(name));

	return at != NULL ? (size_t)strtoull(at + strlen(name), NULL, 10) : SIZE_MAX;
}

/* What the peer has read is responses, each to a request, in order; the last one may be cut where the connection died. */
static void
check_responses(struct run *run, bool whole)
{
	size_t n = evbuffer_get_length(run->world.heard), at = 0, next = 0, seen = 0;
	char *bytes = fuzz_copy(evbuffer_pullup(run->world.heard, -1), n);

	while (at < n) {
		const char *end = memmem(bytes + at, n - at, "\r\n\r\n", 4);
		if (end == NULL)
			break;
		const char *head = bytes + at;
		size_t head_n = (size_t)(end + 4 - head);
		at += head_n;
		FUZZ_CHECK(memcmp(head, "HTTP/1.1 ", 9) == 0);
		if (memcmp(head + 9, "100 ", 4) == 0)
			continue;
		size_t number = number_of(head, head_n, "X-Number: "), length = number_of(head, head_n, "Content-Length: ");
		seen++;
		if (number == SIZE_MAX) {	/* a stream: to the end, or without a body to HEAD */
			FUZZ_CHECK(length == SIZE_MAX);
			at = n;
			break;
		}
		FUZZ_CHECK(number >= next && number < run->n);
		next = number + 1;
		const struct record *of = &run->records[number];
		FUZZ_CHECK(of->answered == WHOLE && (length == SIZE_MAX) == of->no_content && (of->no_content || length == of->body));
		if (!of->no_content && !of->head_only)
			at += length;
	}
	FUZZ_CHECK(seen <= run->replied);
	if (whole)
		FUZZ_CHECK(at == n && seen == run->replied);
	free(bytes);
}

/* The peer reads to the end and sends no more; handlers answer what they have. */
static void
finish(struct run *run)
{
	fuzz_peer_reads(&run->world, true);
	for (int i = 0; i < 64 && run->conn != NULL; i++) {
		fuzz_loop(&run->world, 2);
		if (run->conn != NULL)
			fuzz_peer_ends(&run->world);
		go_on(run, STEP_OTHER);
	}
	if (run->conn != NULL)
		conn_die(http_conn_base(run->conn), "the input's end");
	fuzz_loop(&run->world, 3);
	for (size_t i = 0; i < run->n; i++)	/* whose peer is gone */
		go_on(run, STEP_OTHER);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_limits limits = {.conn = {.input_bytes = 3000, .output_bytes = 1200, .first_byte_ms = 60000, .part_ms = 60000,
	    .idle_ms = 60000, .io_ms = 60000}, .header_bytes = 700};
	static struct run run;		/* large */

	memset(&run, 0, sizeof(run));
	struct bufferevent *bev = fuzz_begin(&run.world, data, size, 30000, size % 2 == 0 ? 6000 : 30000);
	if (bev == NULL)
		return 0;
	run.conn = http_conn_new_on(fuzz_shared(&run.world), bev, &limits, &ops, &run);
	for (bool sent = true; sent && run.conn != NULL && run.n < REQUESTS / 2;) {
		uint8_t control = fuzz_control(&run.world);
		sent = fuzz_send(&run.world, control);
		step(&run, control);
	}
	finish(&run);
	FUZZ_CHECK(run.closed && run.freed == run.n);
	for (size_t i = 0; i < run.n; i++)
		FUZZ_CHECK(run.records[i].request == NULL && run.records[i].answered != NOT_YET);
	check_responses(&run, strcmp(run.reason, "answered") == 0 && size % 2 != 0);	/* else it may have died of its answers' memory */
	fuzz_end(&run.world);
	return 0;
}
