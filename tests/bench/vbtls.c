/* TLS handshakes. `full` and `resumed` make them against a server (handshakes.h) and say in one line of JSON how many. `serve` is the limit: a server that
 * does nothing but shake hands and wait for the peer's end, with OpenSSL on the socket, one thread, one epoll, and no billing behind it. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"
#include "handshakes.h"

enum { EVENTS = 256 };

struct settings {
	const char *to, *listen, *certificate, *key;
	int64_t connections, seconds, warm_ms;
};

/* ------- the limit */

struct peer {
	int fd;
	SSL *ssl;
};

static SSL_CTX *
server_new(const struct settings *s)
{
	static const unsigned char context[] = "limit";
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, s->certificate) != 1 || SSL_CTX_use_PrivateKey_file(ctx, s->key, SSL_FILETYPE_PEM) != 1)
		die("%s, %s: %s", s->certificate, s->key, ERR_reason_error_string(ERR_peek_last_error()));
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1);
	return ctx;
}

static void
server_accept(int epoll, int listener, SSL_CTX *ctx)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		struct peer *p = need(sizeof(*p));
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
		*p = (struct peer){fd, SSL_new(ctx)};
		set_socket(fd);
		if (p->ssl == NULL || SSL_set_fd(p->ssl, fd) != 1)
			die("out of memory");
		SSL_set_accept_state(p->ssl);
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
	}
}

/* A flight of a handshake fits the socket's buffer, so writing is never waited for. */
static void
server_serve(struct peer *p)
{
	char byte;

	ERR_clear_error();
	if (SSL_get_error(p->ssl, SSL_read(p->ssl, &byte, 1)) == SSL_ERROR_WANT_READ)
		return;
	SSL_free(p->ssl);
	close(p->fd);
	free(p);
}

static void __attribute__((noreturn))
serve(const struct settings *s)
{
	SSL_CTX *ctx = server_new(s);
	int listener = listen_on(s->listen), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS], ev = {.events = EPOLLIN};

	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	printf("{\"address\":\"127.0.0.1:%u\"}\n", port_of(listener));
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				server_accept(epoll, listener, ctx);
			else
				server_serve(events[i].data.ptr);
		}
	}
}

/* ------- the client */

static int
shake(const struct settings *s, bool resumed)
{
	const struct handshakes_options o = {s->to, (unsigned)s->connections, resumed, s->warm_ms * 1000000, s->seconds * 1000000000};
	static struct handshakes_result r;

	handshakes_run(&o, &r);
	printf("{\"handshakes_per_s\":%.1f,\"done\":%llu,\"all_done\":%llu,\"failures\":%llu,\"latency_us\":{\"p50\":%.1f,\"p99\":%.1f},\"cpu_s\":%.3f}\n",
	    (double)r.done / (double)s->seconds, (unsigned long long)r.done, (unsigned long long)r.all_done, (unsigned long long)r.failures,
	    (double)histogram_quantile(&r.latency, 0.5) / 1e3, (double)histogram_quantile(&r.latency, 0.99) / 1e3, cpu_seconds());
	if (r.complaint[0] != '\0')
		fprintf(stderr, "vbtls: %s\n", r.complaint);
	return r.failures > 0 || r.done == 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
	struct settings s = {.listen = "127.0.0.1:0", .connections = 16, .seconds = 5, .warm_ms = 1000};
	const char *mode = argc > 1 ? argv[1] : "";
	const struct option_row rows[] = {
		{"to", "full, resumed: HOST:PORT of the server", &s.to, NULL, NULL},
		{"connections", "handshakes at a time (16)", NULL, &s.connections, NULL},
		{"seconds", "measured time (5)", NULL, &s.seconds, NULL},
		{"warm-ms", "time before it (1000)", NULL, &s.warm_ms, NULL},
		{"listen", "serve: HOST:PORT (a free port)", &s.listen, NULL, NULL},
		{"certificate", "serve: file, PEM", &s.certificate, NULL, NULL},
		{"key", "serve: file, PEM", &s.key, NULL, NULL},
	};

	options_read("vbtls full|resumed|serve [options]", rows, sizeof(rows) / sizeof(rows[0]), argc, argv, 2);
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(mode, "serve") == 0 && s.certificate != NULL && s.key != NULL)
		serve(&s);
	if ((strcmp(mode, "full") != 0 && strcmp(mode, "resumed") != 0) || s.to == NULL || s.connections < 1 || s.seconds < 1)
		die("full or resumed with --to, or serve with --certificate and --key");
	return shake(&s, strcmp(mode, "resumed") == 0);
}
