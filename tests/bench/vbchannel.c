/* The payment channel. Its task is to be WeChat Pay's Native orders over the real wire protocol (requests verified, replies signed, notifications sealed and
 * signed) at a speed that does not limit the daemon. It keeps orders in memory, has no faults, no queries and no closing: tests/sim has those. A QR code
 * carries the place of its order, counted from 0, and a driver pays by a line on the control port: `pay CODE`, answered by `done CODE` once the
 * notification was accepted (2xx), or `fail CODE`. A reply to an order says nothing but the code, so the first ones are signed before the API is open:
 * a channel has machines of its own for that, and here it would take its time from the daemon. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "channel_crypto.h"
#include "reply.h"

enum { READ_BYTES = 65536, EVENTS = 256, NUMBER_MAX = 40, CODE_MAX = 24, ORDERS = 1 << 16, NOTIFIERS = 32 };

enum role { ROLE_LISTEN_API, ROLE_LISTEN_CONTROL, ROLE_API, ROLE_CONTROL, ROLE_NOTIFY };

struct order {
	uint64_t code;
	char number[NUMBER_MAX];
	char notify_url[256];
	int64_t total;
};

struct conn {
	int fd;
	enum role role;
	struct buffer in, out;
	struct order *notifying;	/* ROLE_NOTIFY: what is in flight, NULL when it is free */
	struct conn *driver;		/* who asked for it */
};

struct waiting {
	struct order *order;
	struct conn *driver;
};

struct channel {
	struct channel_keys *keys;
	const char *mchid, *appid;
	int epoll;
	struct order orders[ORDERS];	/* a ring: an old one is forgotten */
	uint64_t placed;
	struct buffer *signed_replies;	/* to the first orders */
	uint64_t signed_n;
	struct conn *notifiers[NOTIFIERS];
	struct waiting *queue;
	size_t queue_head, queue_n, queue_room;
	uint64_t transactions, refused;
};

/* ------- connections */

static struct conn *
conn_new(struct channel *c, int fd, enum role role)
{
	struct conn *n = need(sizeof(*n));
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | (uint32_t)EPOLLET, .data.ptr = n};

	n->fd = fd;
	n->role = role;
	if (role <= ROLE_LISTEN_CONTROL)
		ev.events = EPOLLIN;
	else
		set_socket(fd);
	if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll: %s", strerror(errno));
	return n;
}

static void
conn_flush(struct conn *n)
{
	while (n->fd >= 0 && n->out.done < n->out.used) {
		ssize_t sent = send(n->fd, n->out.p + n->out.done, n->out.used - n->out.done, MSG_NOSIGNAL);
		if (sent <= 0)
			return;		/* the edge comes again when there is room, or an end */
		buffer_consume(&n->out, (size_t)sent);
	}
}

/* ------- notifications */

static void
notify_send(struct channel *c, struct conn *n, struct order *o, struct conn *driver)
{
	char plain[1024], nonce[13], id[33], head[400], when[32];
	struct buffer body = {0};
	time_t now = time(NULL), china = now + 8 * 3600;
	struct tm tm;

	gmtime_r(&china, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S+08:00", &tm);
	int size = snprintf(plain, sizeof(plain), "{\"mchid\":\"%s\",\"appid\":\"%s\",\"out_trade_no\":\"%s\",\"transaction_id\":\"4200%010lld%014llu\","
	    "\"trade_type\":\"NATIVE\",\"trade_state\":\"SUCCESS\",\"trade_state_desc\":\"支付成功\",\"bank_type\":\"OTHERS\",\"success_time\":\"%s\","
	    "\"payer\":{\"openid\":\"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o\"},\"amount\":{\"total\":%lld,\"payer_total\":%lld,\"currency\":\"CNY\","
	    "\"payer_currency\":\"CNY\"}}", c->mchid, c->appid, o->number, (long long)now, (unsigned long long)c->transactions++, when,
	    (long long)o->total, (long long)o->total);
	channel_random_text(nonce, 12);
	channel_random_text(id, 32);
	char *to = buffer_room(&body, 512);
	body.used += (size_t)snprintf(to, 512, "{\"id\":\"%s\",\"create_time\":\"%s\",\"resource_type\":\"encrypt-resource\",\"event_type\":\"TRANSACTION.SUCCESS\","
	    "\"summary\":\"支付成功\",\"resource\":{\"original_type\":\"transaction\",\"algorithm\":\"AEAD_AES_256_GCM\",\"ciphertext\":\"", id, when);
	channel_seal(c->keys, &body, nonce, "transaction", plain, (size_t)size);
	to = buffer_room(&body, 128);
	body.used += (size_t)snprintf(to, 128, "\",\"associated_data\":\"transaction\",\"nonce\":\"%s\"}}", nonce);

	const char *path = strstr(o->notify_url, "://");
	path = path != NULL ? strchr(path + 3, '/') : NULL;
	size = snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: channel\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n", path != NULL ? path : "/",
	    body.used);
	buffer_put(&n->out, head, (size_t)size);
	channel_sign(c->keys, &n->out, body.p, body.used);
	buffer_put(&n->out, "\r\n", 2);
	buffer_put(&n->out, body.p, body.used);
	buffer_free(&body);
	n->notifying = o;
	n->driver = driver;
	conn_flush(n);
}

static struct conn *
notifier_free(struct channel *c, const char *url)
{
	for (int i = 0; i < NOTIFIERS; i++) {
		if (c->notifiers[i] == NULL) {
			char address[64] = "";
			const char *host = strstr(url, "://");
			if (host != NULL)
				snprintf(address, sizeof(address), "%.*s", (int)strcspn(host + 3, "/"), host + 3);
			c->notifiers[i] = conn_new(c, connect_to(address), ROLE_NOTIFY);
		}
		if (c->notifiers[i]->notifying == NULL)
			return c->notifiers[i];
	}
	return NULL;
}

static void
notify(struct channel *c, struct order *o, struct conn *driver)
{
	struct conn *n = notifier_free(c, o->notify_url);

	if (n != NULL) {
		notify_send(c, n, o, driver);
		return;
	}
	if (c->queue_n == c->queue_room) {
		size_t room = c->queue_room * 2 + 64;
		struct waiting *queue = need(room * sizeof(*queue));
		for (size_t i = 0; i < c->queue_n; i++)
			queue[i] = c->queue[(c->queue_head + i) % c->queue_room];
		free(c->queue);
		c->queue = queue;
		c->queue_head = 0;
		c->queue_room = room;
	}
	c->queue[(c->queue_head + c->queue_n++) % c->queue_room] = (struct waiting){o, driver};
}

static size_t
notify_answered(struct channel *c, struct conn *n, const char *p, size_t size)
{
	struct http_reply r;
	char line[CODE_MAX + 8];
	enum reply_result result = reply_http(p, size, &r);

	if (result == REPLY_MORE)
		return 0;
	bool good = result == REPLY_GOOD && r.status >= 200 && r.status < 300;
	int used = snprintf(line, sizeof(line), "%s %llu\n", good ? "done" : "fail", (unsigned long long)n->notifying->code);
	if (n->driver != NULL && n->driver->fd >= 0) {
		buffer_put(&n->driver->out, line, (size_t)used);
		conn_flush(n->driver);
	}
	n->notifying = NULL;
	if (c->queue_n > 0) {
		struct waiting w = c->queue[c->queue_head];
		c->queue_head = (c->queue_head + 1) % c->queue_room;
		c->queue_n--;
		notify_send(c, n, w.order, w.driver);
	}
	return result == REPLY_GOOD ? r.used : size;
}

/* ------- the API */

static void
api_reply(struct channel *c, struct buffer *out, int status, const char *body)
{
	char head[200];
	int used = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n", status,
	    status == 200 ? "OK" : "Refused", strlen(body));

	buffer_put(out, head, (size_t)used);
	channel_sign(c->keys, out, body, strlen(body));
	buffer_put(out, "\r\n", 2);
	buffer_put(out, body, strlen(body));
}

static void
api_reply_code(struct channel *c, struct buffer *out, uint64_t code)
{
	char body[80];

	snprintf(body, sizeof(body), "{\"code_url\":\"weixin://wxpay/bizpayurl?pr=%llu\"}", (unsigned long long)code);
	api_reply(c, out, 200, body);
}

/* A signature is good for five minutes, as the daemon sees it. */
static void
replies_sign(struct channel *c, uint64_t n)
{
	c->signed_replies = need((size_t)n * sizeof(*c->signed_replies));
	for (c->signed_n = 0; c->signed_n < n; c->signed_n++)
		api_reply_code(c, &c->signed_replies[c->signed_n], c->signed_n);
}

static void
api_place(struct channel *c, struct conn *n, const char *body, size_t size)
{
	struct order *o = &c->orders[c->placed % ORDERS];
	char url[256];
	const char *total = memmem(body, size, "\"total\":", 8);

	if (total == NULL || !json_find(body, size, "out_trade_no", o->number, sizeof(o->number)) || !json_find(body, size, "notify_url", url, sizeof(url))) {
		c->refused++;
		api_reply(c, &n->out, 400, "{\"code\":\"PARAM_ERROR\",\"message\":\"参数错误\"}");
		return;
	}
	/* JSON may escape the slashes of a URL */
	char *to = o->notify_url;
	for (const char *from = url; *from != '\0'; from++)
		if (*from != '\\')
			*to++ = *from;
	*to = '\0';
	o->total = strtoll(total + 8, NULL, 10);
	o->code = c->placed++;
	if (o->code < c->signed_n) {
		struct buffer *reply = &c->signed_replies[o->code];
		buffer_put(&n->out, reply->p, reply->used);
		buffer_free(reply);
	} else {
		api_reply_code(c, &n->out, o->code);
	}
}

static size_t
api_request(struct channel *c, struct conn *n, const char *p, size_t size)
{
	const char *end = memmem(p, size, "\r\n\r\n", 4);
	char method[8], path[300], length[16] = "0", authorization[1200];

	if (end == NULL)
		return 0;
	http_header_value(p, end, "Content-Length", length, sizeof(length));
	size_t body_n = strtoul(length, NULL, 10);
	if ((size_t)(end + 4 - p) + body_n > size)
		return 0;
	if (sscanf(p, "%7s %299s ", method, path) != 2 || !http_header_value(p, end, "Authorization", authorization, sizeof(authorization))
	    || !channel_verify(c->keys, method, path, authorization, end + 4, body_n)) {
		c->refused++;
		api_reply(c, &n->out, 401, "{\"code\":\"SIGN_ERROR\",\"message\":\"签名错误\"}");
	} else if (strcmp(method, "POST") == 0 && strcmp(path, "/v3/pay/transactions/native") == 0) {
		api_place(c, n, end + 4, body_n);
	} else {
		c->refused++;
		api_reply(c, &n->out, 404, "{\"code\":\"RESOURCE_NOT_EXISTS\",\"message\":\"查询的资源不存在\"}");
	}
	return (size_t)(end + 4 - p) + body_n;
}

/* ------- the driver's line */

static size_t
control_line(struct channel *c, struct conn *n, const char *p, size_t size)
{
	const char *end = memchr(p, '\n', size);
	char line[CODE_MAX + 8];

	if (end == NULL)
		return 0;
	uint64_t code = end - p > 4 && memcmp(p, "pay ", 4) == 0 ? strtoull(p + 4, NULL, 10) : UINT64_MAX;
	if (code < c->placed && code + ORDERS >= c->placed) {
		notify(c, &c->orders[code % ORDERS], n);
	} else {
		int used = snprintf(line, sizeof(line), "fail %llu\n", (unsigned long long)code);
		buffer_put(&n->out, line, (size_t)used);
	}
	return (size_t)(end + 1 - p);
}

/* ------- the loop */

static size_t
conn_take(struct channel *c, struct conn *n, const char *p, size_t size)
{
	switch (n->role) {
	case ROLE_API:
		return api_request(c, n, p, size);
	case ROLE_CONTROL:
		return control_line(c, n, p, size);
	default:
		return n->notifying != NULL ? notify_answered(c, n, p, size) : 0;
	}
}

static void
conn_end(struct channel *c, struct conn *n)
{
	close(n->fd);
	n->fd = -1;
	buffer_free(&n->in);
	buffer_free(&n->out);
	for (int i = 0; i < NOTIFIERS; i++)
		if (c->notifiers[i] == n)
			c->notifiers[i] = NULL;
	if (n->role == ROLE_API)
		free(n);	/* others may still be named by an order in flight, and are few */
}

static void
conn_serve(struct channel *c, struct conn *n)
{
	for (;;) {
		ssize_t got = recv(n->fd, buffer_room(&n->in, READ_BYTES), READ_BYTES, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
			conn_end(c, n);
			return;
		}
		if (got < 0)
			break;
		n->in.used += (size_t)got;
		for (;;) {
			size_t left = n->in.used - n->in.done;
			size_t used = left > 0 ? conn_take(c, n, n->in.p + n->in.done, left) : 0;
			if (used == 0)
				break;
			buffer_consume(&n->in, used);
		}
	}
	conn_flush(n);
}

int
main(int argc, char **argv)
{
	static struct channel c;
	int64_t sign_ahead = 0;
	const char *listen_address = "127.0.0.1:0", *platform_key = "", *merchant_certificate = "", *serial = "", *apiv3 = "", *mchid = "", *appid = "";
	const struct option_row rows[] = {
		{"listen", "HOST:PORT of the API (a free port)", &listen_address, NULL, NULL},
		{"platform-key", "the platform's private key, PEM", &platform_key, NULL, NULL},
		{"platform-serial", "its id", &serial, NULL, NULL},
		{"merchant-certificate", "the merchant's certificate, PEM", &merchant_certificate, NULL, NULL},
		{"apiv3-key", "32 characters", &apiv3, NULL, NULL},
		{"mchid", "the merchant", &mchid, NULL, NULL},
		{"appid", "its application", &appid, NULL, NULL},
		{"sign-ahead", "replies to orders signed before the API is open (0)", NULL, &sign_ahead, NULL},
	};
	struct epoll_event events[EVENTS];

	options_read("vbchannel [options]", rows, sizeof(rows) / sizeof(rows[0]), argc, argv, 1);
	signal(SIGPIPE, SIG_IGN);
	c.keys = channel_keys_new(platform_key, merchant_certificate, serial, apiv3);
	c.mchid = mchid;
	c.appid = appid;
	replies_sign(&c, (uint64_t)sign_ahead);
	c.epoll = epoll_create1(EPOLL_CLOEXEC);
	struct conn *api = conn_new(&c, listen_on(listen_address), ROLE_LISTEN_API), *control = conn_new(&c, listen_on("127.0.0.1:0"), ROLE_LISTEN_CONTROL);
	printf("{\"api\":\"127.0.0.1:%u\",\"control\":\"127.0.0.1:%u\"}\n", port_of(api->fd), port_of(control->fd));
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(c.epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			struct conn *k = events[i].data.ptr;
			int fd;
			if (k == api || k == control) {
				while ((fd = accept(k->fd, NULL, NULL)) >= 0)
					conn_new(&c, fd, k == api ? ROLE_API : ROLE_CONTROL);
			} else if (k->fd >= 0) {
				conn_serve(&c, k);
			}
		}
	}
}
