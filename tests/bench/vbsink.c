/* The sink. Its task is to show the load generator's own ceiling: a server that does nothing but acknowledge, at once. MLLP messages get an AA with
 * their control id, HTTP requests a fixed 200. It keeps nothing, checks nothing, and is no model of a billing system. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { READ_BYTES = 65536, EVENTS = 256 };

struct conn {
	int fd;
	bool http;
	struct buffer in, out;
};

static const char *http_text;
static int64_t http_lines = 1;

/* The nth field of the segment at p, from 1 for what follows its name. */
static const char *
field(const char *p, const char *end, int nth, size_t *n)
{
	for (; nth > 0; nth--) {
		p = memchr(p, '|', (size_t)(end - p));
		if (p == NULL)
			return NULL;
		p++;
	}
	const char *stop = p;
	while (stop < end && *stop != '|' && *stop != '\r')
		stop++;
	*n = (size_t)(stop - p);
	return p;
}

static size_t
answer_mllp(struct conn *c, const char *p, size_t n)
{
	static const char head[] = "\x0bMSH|^~\\&|VISITBILL|BILLING|SINK|H01|20260101000000+0800||ACK^P03^ACK|1|P|2.5.1\rMSA|AA|";
	const char *end = memchr(p, '\x1c', n);
	size_t id_n;

	if (end == NULL || end + 1 == p + n)
		return 0;
	const char *id = field(p, end, 9, &id_n);
	if (id == NULL)
		die("a message without MSH-10");
	buffer_put(&c->out, head, sizeof(head) - 1);
	buffer_put(&c->out, id, id_n);
	buffer_put(&c->out, "\r\x1c\r", 3);
	return (size_t)(end + 2 - p);
}

static size_t
answer_http(struct conn *c, const char *p, size_t n)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4), *length;
	size_t body = 0;
	char reply[400];

	if (end == NULL)
		return 0;
	length = memmem(p, (size_t)(end - p), "Content-Length: ", 16);
	if (length != NULL)
		body = strtoul(length + 16, NULL, 10);
	if ((size_t)(end + 4 - p) + body > n)
		return 0;
	int used = snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(http_text), http_text);
	buffer_put(&c->out, reply, (size_t)used);
	return (size_t)(end + 4 - p) + body;
}

/* false: it is over */
static bool
conn_serve(struct conn *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, buffer_room(&c->in, READ_BYTES), READ_BYTES, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n < 0)
			break;
		c->in.used += (size_t)n;
		for (;;) {
			const char *p = c->in.p + c->in.done;
			size_t left = c->in.used - c->in.done;
			size_t used = left > 0 ? (c->http ? answer_http : answer_mllp)(c, p, left) : 0;
			if (used == 0)
				break;
			buffer_consume(&c->in, used);
		}
		if (n < READ_BYTES)
			break;
	}
	while (c->out.done < c->out.used) {
		ssize_t n = send(c->fd, c->out.p + c->out.done, c->out.used - c->out.done, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;	/* with what the next request brings */
		if (n < 0)
			return false;
		buffer_consume(&c->out, (size_t)n);
	}
	return true;
}

static void
conn_accept(int epoll, const struct conn *listener)
{
	int fd;

	while ((fd = accept(listener->fd, NULL, NULL)) >= 0) {
		struct conn *c = need(sizeof(*c));
		struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | (uint32_t)EPOLLET, .data.ptr = c};
		c->fd = fd;
		c->http = listener->http;
		set_socket(fd);
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
	}
}

int
main(int argc, char **argv)
{
	const char *mllp = "127.0.0.1:0", *http = "127.0.0.1:0";
	const struct option_row rows[] = {
		{"mllp", "HOST:PORT to listen on (a free port)", &mllp, NULL, NULL},
		{"http", "HOST:PORT to listen on (a free port)", &http, NULL, NULL},
		{"lines", "lines that an HTTP answer claims to have booked (1)", NULL, &http_lines, NULL},
	};
	struct conn listeners[2] = {{0}, {.http = true}};
	struct epoll_event events[EVENTS];
	char text[100];

	options_read("vbsink [options]", rows, sizeof(rows) / sizeof(rows[0]), argc, argv, 1);
	snprintf(text, sizeof(text), "{\"received\":%lld,\"booked\":%lld,\"duplicate\":0,\"held\":0,\"refused\":0}", (long long)http_lines, (long long)http_lines);
	http_text = text;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &listeners[i]};
		listeners[i].fd = listen_on(i == 0 ? mllp : http);
		epoll_ctl(epoll, EPOLL_CTL_ADD, listeners[i].fd, &ev);
	}
	printf("{\"mllp\":\"127.0.0.1:%u\",\"http\":\"127.0.0.1:%u\"}\n", port_of(listeners[0].fd), port_of(listeners[1].fd));
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (c == &listeners[0] || c == &listeners[1]) {
				conn_accept(epoll, c);
			} else if (!conn_serve(c)) {
				close(c->fd);
				buffer_free(&c->in);
				buffer_free(&c->out);
				free(c);
			}
		}
	}
}
