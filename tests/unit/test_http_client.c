/* daemon/net/http_client.h against a small server on the same loop that answers, hangs up, drips and stays silent as its paths say, and
 * against a TLS server. Names are resolved by a getaddrinfo of our own, so nothing leaves the machine and DNS can be slow. */
#include <arpa/inet.h>
#include <check.h>
#include <dlfcn.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http_client.h"

/* libcurl calls this one. */
int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (node != NULL && strcmp(node, "slow.test") == 0)
		sleep(2);
	if (node != NULL && strstr(node, ".test") != NULL)
		return EAI_NONAME;
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, res);
}

/* ------- the server */

enum { LARGEST = HTTP_CLIENT_REPLY_BYTES };

static struct event_base *base;
static struct http_client *client;
static struct evconnlistener *listener;
static char origin[64];
static unsigned connections, connections_open, connections_most, requests;
static char last_request[4096];

static void
peer_event(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
		connections_open--;
		bufferevent_free(bev);
	}
}

static void
peer_close(struct bufferevent *bev)
{
	connections_open--;
	bufferevent_free(bev);
}

static void
answer(struct bufferevent *bev, const char *status, const char *headers, const char *body, size_t n)
{
	struct evbuffer *out = bufferevent_get_output(bev);

	evbuffer_add_printf(out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, n, headers);
	evbuffer_add(out, body, n);
}

static void
answer_later(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	answer(arg, "200 OK", "", "later", 5);
}

static void
close_written(struct bufferevent *bev, void *arg)
{
	(void)arg;
	peer_close(bev);
}

static void
serve(struct bufferevent *bev, const char *path)
{
	static char large[LARGEST + 1];
	struct evbuffer *out = bufferevent_get_output(bev);

	memset(large, 'x', sizeof(large));
	if (strcmp(path, "/ok") == 0) {
		answer(bev, "200 OK", "Wechatpay-Serial:  PUB_KEY_ID_1\t\r\nX-Two: first\r\nx-two: second\r\nX-Empty:\r\nLong-Name: l\r\n", "fine", 4);
	} else if (strcmp(path, "/no-content") == 0) {
		evbuffer_add_printf(out, "HTTP/1.1 204 No Content\r\nWechatpay-Nonce: n\r\n\r\n");
	} else if (strcmp(path, "/missing") == 0) {
		answer(bev, "404 Not Found", "Content-Type: application/json\r\n", "{\"code\":\"ORDER_NOT_EXIST\"}", 26);
	} else if (strcmp(path, "/later") == 0) {
		event_base_once(base, -1, EV_TIMEOUT, answer_later, bev, &(struct timeval){0, 50000});
	} else if (strcmp(path, "/drop") == 0) {
		peer_close(bev);
	} else if (strcmp(path, "/half") == 0) {
		evbuffer_add_printf(out, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
		bufferevent_setcb(bev, NULL, close_written, peer_event, NULL);
	} else if (strcmp(path, "/ok-then-close") == 0) {
		answer(bev, "200 OK", "", "bye", 3);
		bufferevent_setcb(bev, NULL, close_written, peer_event, NULL);
	} else if (strcmp(path, "/garbage") == 0) {
		evbuffer_add_printf(out, "hello\r\n\r\n");
		bufferevent_setcb(bev, NULL, close_written, peer_event, NULL);
	} else if (strcmp(path, "/redirect") == 0) {
		answer(bev, "302 Found", "Location: /ok\r\n", "", 0);
	} else if (strcmp(path, "/continue") == 0) {
		evbuffer_add_printf(out, "HTTP/1.1 103 Early Hints\r\nX-Two: early\r\n\r\n");
		answer(bev, "200 OK", "X-Other: o\r\n", "fine", 4);
	} else if (strcmp(path, "/largest") == 0) {
		answer(bev, "200 OK", "", large, LARGEST);
	} else if (strcmp(path, "/too-large") == 0) {
		answer(bev, "200 OK", "", large, LARGEST + 1);
	} else if (strcmp(path, "/too-large-chunked") == 0) {
		evbuffer_add_printf(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", LARGEST + 1);
		evbuffer_add(out, large, LARGEST + 1);
		evbuffer_add_printf(out, "\r\n0\r\n\r\n");
	} else if (strcmp(path, "/chunked") == 0) {
		evbuffer_add_printf(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
	} else if (strcmp(path, "/large-head") == 0) {
		evbuffer_add_printf(out, "HTTP/1.1 200 OK\r\n");
		for (unsigned i = 0; i < 80; i++)
			evbuffer_add_printf(out, "X-%u: %.*s\r\n", i, 1000, large);
		evbuffer_add_printf(out, "Content-Length: 0\r\n\r\n");
	} else if (strcmp(path, "/silent") != 0) {
		answer(bev, "400 Bad Request", "", path, strlen(path));
	}
}

static void
peer_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char path[256] = "";

	(void)arg;
	if (end.pos < 0)
		return;
	evbuffer_pullup(in, -1);
	const char *text = (const char *)evbuffer_pullup(in, -1);
	size_t have = evbuffer_get_length(in), length = 0, head = (size_t)end.pos + 4;
	char *copy = strndup(text, head), *field = strcasestr(copy, "\r\nContent-Length:");
	if (field != NULL)
		length = strtoul(field + 17, NULL, 10);
	free(copy);
	if (have < head + length)
		return;
	snprintf(last_request, sizeof(last_request), "%.*s", (int)(head + length), text);
	sscanf(last_request, "%*s %255s", path);
	evbuffer_drain(in, head + length);
	requests++;
	serve(bev, path);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *address, int n, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)l, (void)address, (void)n, (void)arg;
	connections++;
	connections_open++;
	if (connections_open > connections_most)
		connections_most = connections_open;
	bufferevent_setcb(bev, peer_read, NULL, peer_event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static unsigned short
port_of(evutil_socket_t fd)
{
	struct sockaddr_in in;
	socklen_t n = sizeof(in);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	return ntohs(in.sin_port);
}

static void
set_up(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	connections = connections_open = connections_most = requests = 0;
	setenv("http_proxy", "http://127.0.0.1:1", 1);		/* must not be used */
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	base = event_base_new();
	listener = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 512, (struct sockaddr *)&in, sizeof(in));
	snprintf(origin, sizeof(origin), "http://127.0.0.1:%u", port_of(evconnlistener_get_fd(listener)));
	client = http_client_new(base);
	ck_assert_ptr_nonnull(client);
}

static void
tear_down(void)
{
	http_client_free(client);
	http_client_free(NULL);
	event_base_loop(base, EVLOOP_NONBLOCK);		/* the server sees the connections close */
	event_base_loop(base, EVLOOP_NONBLOCK);
	evconnlistener_free(listener);
	event_base_free(base);
}

/* ------- requests */

struct outcome {
	unsigned calls;
	enum http_client_result result;
	int status;
	char body[64], serial[64], two[64], empty[8], absent[8], error[200];
	size_t body_bytes;
	int64_t took_ms, sent_at;
	bool stay;			/* the loop goes on after it */
};

static void
put_view(char *ret, size_t size, struct view v)
{
	snprintf(ret, size, "%.*s", (int)v.n, v.n > 0 ? v.p : "");
}

static void
on_reply(void *arg, const struct http_client_reply *reply)
{
	struct outcome *o = arg;

	o->calls++;
	o->result = reply->result;
	o->status = reply->status;
	o->body_bytes = reply->body.n;
	o->took_ms = (clock_monotonic() - o->sent_at) / 1000;
	put_view(o->body, sizeof(o->body), reply->body);
	put_view(o->serial, sizeof(o->serial), http_client_header(reply, "wechatpay-serial"));
	put_view(o->two, sizeof(o->two), http_client_header(reply, "X-TWO"));
	put_view(o->empty, sizeof(o->empty), http_client_header(reply, "x-empty"));
	put_view(o->absent, sizeof(o->absent), http_client_header(reply, "long"));
	snprintf(o->error, sizeof(o->error), "%s", reply->error);
	if (!o->stay)
		event_base_loopbreak(base);
}

static void
send_to(const char *url, const char *method, const char *body, int timeout_ms, struct outcome *o)
{
	static const char *const headers[] = {"Content-Type: application/json", "Authorization: WECHATPAY2 x=\"y\""};
	struct http_client_request r = {.method = method, .url = url, .headers = headers, .n_headers = 2, .body = view_of(body), .timeout_ms = timeout_ms};

	o->sent_at = clock_monotonic();
	http_client_send(client, &r, on_reply, o);
	ck_assert_uint_eq(o->calls, 0);		/* never from inside the call */
}

static struct outcome
fetch_url(const char *url, const char *method, const char *body, int timeout_ms)
{
	struct outcome o = {0};

	send_to(url, method, body, timeout_ms, &o);
	event_base_dispatch(base);
	ck_assert_uint_eq(o.calls, 1);
	ck_assert_uint_eq(http_client_count(client), 0);
	return o;
}

static struct outcome
fetch(const char *path, const char *method, const char *body)
{
	char url[128];

	snprintf(url, sizeof(url), "%s%s", origin, path);
	return fetch_url(url, method, body, 5000);
}

static void
check_result(const struct outcome *o, enum http_client_result expected)
{
	ck_assert_msg(o->result == expected, "%s, not %s: %s", http_client_result_text(o->result), http_client_result_text(expected), o->error);
	if (expected == HTTP_CLIENT_OK) {
		ck_assert_str_eq(o->error, "");
	} else {
		ck_assert_int_eq(o->status, 0);
		ck_assert_uint_eq(o->body_bytes, 0);
		ck_assert_str_ne(o->error, "");
	}
}

static void
loop_for(int ms)
{
	event_base_loopexit(base, &(struct timeval){ms / 1000, ms % 1000 * 1000});
	event_base_dispatch(base);
}

START_TEST(ok_and_headers)
{
	struct outcome o = fetch("/ok", "POST", "{\"a\":1}");

	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_int_eq(o.status, 200);
	ck_assert_str_eq(o.body, "fine");
	ck_assert_str_eq(o.serial, "PUB_KEY_ID_1");
	ck_assert_str_eq(o.two, "first");
	ck_assert_str_eq(o.empty, "");
	ck_assert_str_eq(o.absent, "");
	ck_assert_ptr_nonnull(strstr(last_request, "POST /ok HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(last_request, "\r\nContent-Type: application/json\r\n"));
	ck_assert_ptr_nonnull(strstr(last_request, "\r\nAuthorization: WECHATPAY2 x=\"y\"\r\n"));
	ck_assert_ptr_nonnull(strstr(last_request, "\r\nUser-Agent: visitbilld\r\n"));
	ck_assert_ptr_nonnull(strstr(last_request, "\r\nAccept: */*\r\n"));
	ck_assert_ptr_null(strstr(last_request, "Expect"));
	ck_assert_ptr_nonnull(strstr(last_request, "\r\nContent-Length: 7\r\n"));
	ck_assert_ptr_nonnull(strstr(last_request, "\r\n\r\n{\"a\":1}"));
}
END_TEST

START_TEST(each_method)
{
	struct outcome o = fetch("/ok", "GET", NULL);

	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_ptr_nonnull(strstr(last_request, "GET /ok HTTP/1.1\r\n"));
	ck_assert_ptr_null(strstr(last_request, "Content-Length"));
	o = fetch("/ok", "POST", NULL);
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_ptr_nonnull(strstr(last_request, "\r\nContent-Length: 0\r\n"));
	o = fetch("/ok", "DELETE", NULL);
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_ptr_nonnull(strstr(last_request, "DELETE /ok HTTP/1.1\r\n"));
}
END_TEST

START_TEST(other_statuses)
{
	struct outcome o = fetch("/missing", "GET", NULL);

	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_int_eq(o.status, 404);
	ck_assert_str_eq(o.body, "{\"code\":\"ORDER_NOT_EXIST\"}");
	o = fetch("/no-content", "POST", "{}");
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_int_eq(o.status, 204);
	ck_assert_uint_eq(o.body_bytes, 0);
	o = fetch("/redirect", "GET", NULL);
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_int_eq(o.status, 302);
	o = fetch("/continue", "GET", NULL);
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_int_eq(o.status, 200);
	ck_assert_str_eq(o.two, "");	/* of the 103 before it */
	ck_assert_str_eq(o.body, "fine");
	o = fetch("/chunked", "GET", NULL);
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_str_eq(o.body, "abcde");
}
END_TEST

START_TEST(connection_is_kept)
{
	for (unsigned i = 0; i < 5; i++) {
		struct outcome o = fetch("/ok", i % 2 == 0 ? "POST" : "GET", "x");
		check_result(&o, HTTP_CLIENT_OK);
	}
	ck_assert_uint_eq(requests, 5);
	ck_assert_uint_eq(connections, 1);
	/* one that the server has closed meanwhile is noticed and not used */
	struct outcome o = fetch("/ok-then-close", "GET", NULL);
	check_result(&o, HTTP_CLIENT_OK);
	loop_for(50);
	o = fetch("/ok", "POST", "x");
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_uint_eq(connections, 2);
}
END_TEST

START_TEST(silence_is_a_timeout)
{
	char url[128];
	snprintf(url, sizeof(url), "%s/silent", origin);
	struct outcome o = fetch_url(url, "POST", "x", 200);

	check_result(&o, HTTP_CLIENT_TIMEOUT);
	ck_assert_int_ge(o.took_ms, 190);
	ck_assert_int_lt(o.took_ms, 1500);
	ck_assert_uint_eq(requests, 1);
	o = fetch("/ok", "POST", "x");	/* not on the connection whose answer may still come */
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_uint_eq(connections, 2);
}
END_TEST

START_TEST(never_reached)
{
	struct outcome o;
	char url[128];
	const char *bad_header = "X: a\r\nY: b";
	struct http_client_request r = {.method = "GET", .headers = &bad_header, .n_headers = 1, .timeout_ms = 1000};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);	/* a port that refuses */
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/ok", port_of(fd));
	o = fetch_url(url, "POST", "x", 1000);
	check_result(&o, HTTP_CLIENT_CONNECT);
	close(fd);
	o = fetch_url("http://nowhere.test/", "POST", "x", 1000);
	check_result(&o, HTTP_CLIENT_CONNECT);
	const char *const urls[] = {"", "not a url", "http://", "file:///etc/passwd", "ftp://127.0.0.1/", "http://127.0.0.1:99999/"};
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		o = fetch_url(urls[i], "GET", NULL, 1000);
		check_result(&o, HTTP_CLIENT_CONNECT);
	}
	snprintf(url, sizeof(url), "%s/ok", origin);
	r.url = url;
	o = (struct outcome){0};
	http_client_send(client, &r, on_reply, &o);
	ck_assert_uint_eq(o.calls, 0);
	event_base_dispatch(base);
	check_result(&o, HTTP_CLIENT_CONNECT);
	ck_assert_uint_eq(connections, 0);
}
END_TEST

START_TEST(lost_answers_are_broken)
{
	const char *const paths[] = {"/drop", "/half", "/garbage"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct outcome o = fetch(paths[i], "POST", "x");
		check_result(&o, HTTP_CLIENT_BROKEN);
		ck_assert_uint_eq(requests, i + 1);
	}
}
END_TEST

/* libcurl by itself would send the request again on a fresh connection. */
START_TEST(never_sent_twice)
{
	const char *const methods[] = {"POST", "GET", "DELETE"};

	for (unsigned i = 0; i < 3; i++) {
		struct outcome o = fetch("/ok", "GET", NULL);
		check_result(&o, HTTP_CLIENT_OK);
		requests = connections = 0;
		o = fetch("/drop", methods[i], "x");
		check_result(&o, HTTP_CLIENT_BROKEN);
		ck_assert_uint_eq(requests, 1);
	}
}
END_TEST

START_TEST(large_answers)
{
	struct outcome o = fetch("/largest", "GET", NULL);

	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_uint_eq(o.body_bytes, LARGEST);
	o = fetch("/too-large", "GET", NULL);
	check_result(&o, HTTP_CLIENT_BROKEN);
	o = fetch("/too-large-chunked", "GET", NULL);
	check_result(&o, HTTP_CLIENT_BROKEN);
	ck_assert_str_eq(o.error, "the answer is too large");
	o = fetch("/large-head", "GET", NULL);
	check_result(&o, HTTP_CLIENT_BROKEN);
	o = fetch("/ok", "GET", NULL);
	check_result(&o, HTTP_CLIENT_OK);
}
END_TEST

/* ------- many at once */

START_TEST(two_at_once)
{
	struct outcome a = {.stay = true}, b = {0};
	char url[128];

	snprintf(url, sizeof(url), "%s/later", origin);
	send_to(url, "GET", NULL, 5000, &a);
	send_to(url, "POST", "x", 5000, &b);
	ck_assert_uint_eq(http_client_count(client), 2);
	event_base_dispatch(base);
	while (a.calls == 0)
		event_base_loop(base, EVLOOP_ONCE);
	check_result(&a, HTTP_CLIENT_OK);
	check_result(&b, HTTP_CLIENT_OK);
	ck_assert_uint_eq(connections, 2);
	ck_assert_int_lt(b.took_ms, 1000);
}
END_TEST

START_TEST(connections_are_bounded)
{
	enum { N = 200 };
	static struct outcome o[N];
	char url[128];

	snprintf(url, sizeof(url), "%s/later", origin);
	for (unsigned i = 0; i < N; i++) {
		o[i].stay = true;
		send_to(url, "POST", "x", 10000, &o[i]);
	}
	while (http_client_count(client) > 0)
		event_base_loop(base, EVLOOP_ONCE);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(o[i].calls, 1);
		check_result(&o[i], HTTP_CLIENT_OK);
	}
	ck_assert_uint_eq(requests, N);
	ck_assert_uint_le(connections_most, HTTP_CLIENT_HOST_CONNECTIONS);
	ck_assert_uint_gt(connections_most, 1);
}
END_TEST

/* Those in libcurl's queue have their deadline too, and were certainly not sent. */
START_TEST(deadline_in_the_queue)
{
	static struct outcome busy[HTTP_CLIENT_HOST_CONNECTIONS];
	struct outcome queued = {0}, after = {0};
	char url[128];

	snprintf(url, sizeof(url), "%s/silent", origin);
	for (unsigned i = 0; i < HTTP_CLIENT_HOST_CONNECTIONS; i++) {
		busy[i].stay = true;
		send_to(url, "POST", "x", 2000, &busy[i]);
	}
	send_to(url, "POST", "x", 200, &queued);
	event_base_dispatch(base);
	check_result(&queued, HTTP_CLIENT_CONNECT);
	ck_assert_int_lt(queued.took_ms, 1500);
	snprintf(url, sizeof(url), "%s/ok", origin);
	send_to(url, "POST", "x", 5000, &after);	/* gets its turn once the others have ended */
	event_base_dispatch(base);
	check_result(&after, HTTP_CLIENT_OK);
	while (http_client_count(client) > 0)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(requests, HTTP_CLIENT_HOST_CONNECTIONS + 1);
	for (unsigned i = 0; i < HTTP_CLIENT_HOST_CONNECTIONS; i++)
		check_result(&busy[i], HTTP_CLIENT_TIMEOUT);
}
END_TEST

struct chain {
	unsigned left, ok;
	char url[128];
};

static void
on_chain(void *arg, const struct http_client_reply *reply)
{
	struct chain *chain = arg;
	struct http_client_request r = {.method = "POST", .url = chain->url, .body = VIEW_LITERAL("x"), .timeout_ms = 2000};

	chain->ok += reply->result == HTTP_CLIENT_OK;
	if (chain->left-- > 0)
		http_client_send(client, &r, on_chain, chain);
	else
		event_base_loopbreak(base);
}

START_TEST(callback_sends_again)
{
	struct chain chain = {.left = 20};
	struct http_client_reply none = {.result = HTTP_CLIENT_BROKEN};

	snprintf(chain.url, sizeof(chain.url), "%s/ok", origin);
	on_chain(&chain, &none);
	event_base_dispatch(base);
	ck_assert_uint_eq(chain.ok, 20);
	ck_assert_uint_eq(http_client_count(client), 0);
}
END_TEST

START_TEST(free_drops_what_is_in_flight)
{
	static struct outcome o[100];
	char url[128];

	snprintf(url, sizeof(url), "%s/silent", origin);
	for (unsigned i = 0; i < 100; i++)
		send_to(i == 99 ? "" : url, "POST", "x", 5000, &o[i]);
	event_base_loop(base, EVLOOP_NONBLOCK);
	http_client_free(client);
	client = http_client_new(base);
	loop_for(20);
	for (unsigned i = 0; i < 99; i++)
		ck_assert_uint_eq(o[i].calls, 0);
}
END_TEST

/* ------- the loop does not wait */

static int64_t tick_at, tick_longest;

static void
on_tick(evutil_socket_t fd, short events, void *arg)
{
	int64_t now = clock_monotonic();

	(void)fd, (void)events, (void)arg;
	if (now - tick_at > tick_longest)
		tick_longest = now - tick_at;
	tick_at = now;
}

START_TEST(slow_names_hold_nobody_up)
{
	struct event *tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	struct outcome slow = {0}, quick;

	event_add(tick, &(struct timeval){0, 10000});
	tick_at = clock_monotonic();
	send_to("http://slow.test/", "POST", "x", 300, &slow);
	quick = (struct outcome){.stay = true};
	char url[128];
	snprintf(url, sizeof(url), "%s/ok", origin);
	send_to(url, "GET", NULL, 5000, &quick);
	event_base_dispatch(base);
	check_result(&quick, HTTP_CLIENT_OK);
	check_result(&slow, HTTP_CLIENT_CONNECT);
	ck_assert_int_lt(slow.took_ms, 1500);
	loop_for(100);
	ck_assert_int_lt(tick_longest, 1200000);	/* the look-up takes two seconds */
	event_free(tick);
	sleep(3);	/* its thread ends, so that nothing of it looks lost */
}
END_TEST

/* ------- proxies */

START_TEST(proxy_only_when_told)
{
	struct outcome o = fetch("/ok", "GET", NULL);	/* the environment names one that is not there */

	check_result(&o, HTTP_CLIENT_OK);
	http_client_use_proxy(client, "http://127.0.0.1:1");
	o = fetch("/ok", "GET", NULL);
	check_result(&o, HTTP_CLIENT_CONNECT);
	http_client_use_proxy(client, origin);
	o = fetch_url("http://elsewhere.test/x", "GET", NULL, 2000);
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_str_eq(o.body, "http://elsewhere.test/x");
	http_client_use_proxy(client, NULL);
	o = fetch("/ok", "GET", NULL);
	check_result(&o, HTTP_CLIENT_OK);
}
END_TEST

/* ------- TLS */

static EVP_PKEY *tls_key;
static X509 *tls_certificate;
static int tls_fd;

/* Self-signed, for 127.0.0.1 and no name. */
static void
tls_make_certificate(void)
{
	X509V3_CTX ctx;
	X509_NAME *name;

	tls_key = EVP_EC_gen("P-256");
	tls_certificate = X509_new();
	X509_set_version(tls_certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(tls_certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(tls_certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(tls_certificate), 3600);
	X509_set_pubkey(tls_certificate, tls_key);
	name = X509_get_subject_name(tls_certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"visitbill test", -1, -1, 0);
	X509_set_issuer_name(tls_certificate, name);
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, tls_certificate, tls_certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "IP:127.0.0.1");
	X509_add_ext(tls_certificate, extension, -1);
	X509_EXTENSION_free(extension);
	ck_assert_int_gt(X509_sign(tls_certificate, tls_key, EVP_sha256()), 0);
}

/* Answers on each connection until the listening socket is shut. */
static void *
tls_serve(void *arg)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
	int fd;

	SSL_CTX_use_certificate(ctx, tls_certificate);
	SSL_CTX_use_PrivateKey(ctx, tls_key);
	while ((fd = accept(tls_fd, NULL, NULL)) >= 0) {
		SSL *ssl = SSL_new(ctx);
		char buf[2048];
		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1 && SSL_read(ssl, buf, sizeof(buf)) > 0) {
			++*(unsigned *)arg;
			SSL_write(ssl, reply, sizeof(reply) - 1);
			SSL_shutdown(ssl);
		}
		SSL_free(ssl);
		close(fd);
	}
	SSL_CTX_free(ctx);
	return NULL;
}

START_TEST(certificates_are_verified)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char file[] = "/tmp/visitbill-test-" "XX" "XX" "XX", url[128];
	unsigned served = 0;
	pthread_t thread;
	struct outcome o;

	tls_make_certificate();
	FILE *out = fdopen(mkstemp(file), "w");
	PEM_write_X509(out, tls_certificate);
	fclose(out);
	tls_fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(tls_fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(tls_fd, 8), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, tls_serve, &served), 0);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", port_of(tls_fd));
	o = fetch_url(url, "POST", "x", 5000);		/* nobody vouches for it */
	check_result(&o, HTTP_CLIENT_CONNECT);
	http_client_use_authorities(client, file);
	o = fetch_url(url, "POST", "x", 5000);
	check_result(&o, HTTP_CLIENT_OK);
	ck_assert_str_eq(o.body, "secret");
	snprintf(url, sizeof(url), "https://localhost:%u/", port_of(tls_fd));
	o = fetch_url(url, "POST", "x", 5000);		/* another name */
	check_result(&o, HTTP_CLIENT_CONNECT);
	http_client_use_authorities(client, NULL);
	shutdown(tls_fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(tls_fd);
	unlink(file);
	ck_assert_uint_eq(served, 1);
	X509_free(tls_certificate);
	EVP_PKEY_free(tls_key);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("http_client");
	TCase *t = tcase_create("http_client");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, ok_and_headers);
	tcase_add_test(t, each_method);
	tcase_add_test(t, other_statuses);
	tcase_add_test(t, connection_is_kept);
	tcase_add_test(t, silence_is_a_timeout);
	tcase_add_test(t, never_reached);
	tcase_add_test(t, lost_answers_are_broken);
	tcase_add_test(t, never_sent_twice);
	tcase_add_test(t, large_answers);
	tcase_add_test(t, two_at_once);
	tcase_add_test(t, connections_are_bounded);
	tcase_add_test(t, deadline_in_the_queue);
	tcase_add_test(t, callback_sends_again);
	tcase_add_test(t, free_drops_what_is_in_flight);
	tcase_add_test(t, slow_names_hold_nobody_up);
	tcase_add_test(t, proxy_only_when_told);
	tcase_add_test(t, certificates_are_verified);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	signal(SIGPIPE, SIG_IGN);		/* as the daemon does */
	setenv("CK_VERBOSITY", "silent", 0);	/* only TAP on stdout, unless somebody wants to read more */
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
