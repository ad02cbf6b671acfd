/* A slot for each connection at a time, on one epoll. A handshake of the wrong kind is a failure, so that a full one never counts as resumed. */
#include "handshakes.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256 };
static const int64_t drain_ns = INT64_C(5000000000);

struct run;

struct slot {
	struct run *run;
	int fd;
	SSL *ssl;
	bool connected, ticket;
	uint32_t events;
	int64_t started;
};

struct run {
	const struct handshakes_options *o;
	struct handshakes_result *r;
	SSL_CTX *ctx;
	SSL_SESSION *newest;
	int epoll;
	int64_t from, to;
	unsigned open;
};

static int
on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct slot *s = SSL_get_app_data(ssl);

	s->ticket = true;
	SSL_SESSION_free(s->run->newest);
	s->run->newest = session;
	return 1;
}

static void
slot_watch(struct slot *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	if (s->events != events)
		epoll_ctl(s->run->epoll, s->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->fd, &ev);
	s->events = events;
}

static void
slot_open(struct slot *s)
{
	struct run *run = s->run;

	s->started = now_ns();
	s->fd = connect_to(run->o->address);
	s->ssl = SSL_new(run->ctx);
	s->connected = s->ticket = false;
	s->events = 0;
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1 || SSL_set_app_data(s->ssl, s) != 1)
		die("out of memory");
	if (run->o->resumed && run->newest != NULL) {
		SSL_SESSION *copy = SSL_SESSION_dup(run->newest);	/* OpenSSL uses a session up, and others begin with it */
		SSL_set_session(s->ssl, copy);
		SSL_SESSION_free(copy);
	}
	run->open++;
	slot_watch(s, EPOLLOUT);	/* we speak first */
}

static void
slot_close(struct slot *s)
{
	SSL_shutdown(s->ssl);	/* says so to the server, and does not wait for its answer */
	SSL_free(s->ssl);
	close(s->fd);
	s->ssl = NULL;
	s->run->open--;
}

static void
complain(struct slot *s, const char *why)
{
	struct handshakes_result *r = s->run->r;

	r->failures++;
	if (r->complaint[0] == '\0')
		snprintf(r->complaint, sizeof(r->complaint), "%s", why);
}

static void
slot_count(struct slot *s, bool may_be_full)
{
	struct run *run = s->run;
	int64_t now = now_ns();

	if (SSL_session_reused(s->ssl) != (run->o->resumed ? 1 : 0) && !may_be_full) {
		complain(s, run->o->resumed ? "not resumed" : "resumed");
		return;
	}
	run->r->all_done++;
	if (now < run->from || now >= run->to)
		return;
	run->r->done++;
	histogram_add(&run->r->latency, now - s->started);
}

/* One step: the handshake, then reading until the ticket is there. True: this connection is over. */
static bool
slot_step(struct slot *s)
{
	char byte;

	ERR_clear_error();
	int result = s->connected ? SSL_read(s->ssl, &byte, 1) : SSL_connect(s->ssl);
	if (!s->connected && result == 1) {
		s->connected = true;
		result = SSL_read(s->ssl, &byte, 1);
	}
	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		slot_watch(s, EPOLLIN);
		return s->ticket;
	case SSL_ERROR_WANT_WRITE:
		slot_watch(s, EPOLLOUT);
		return false;
	default: {
		const char *text = ERR_reason_error_string(ERR_peek_last_error());
		complain(s, text != NULL ? text : "the server broke off");
		s->ticket = false;
		return true;
	}
	}
}

static void
slot_go(struct slot *s)
{
	bool first = s->run->newest == NULL;

	if (!slot_step(s))
		return;
	if (s->ticket)
		slot_count(s, first);
	slot_close(s);
	if (now_ns() < s->run->to)
		slot_open(s);
}

static void
run_turn(struct run *run)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(run->epoll, events, EVENTS, 100);

	for (int i = 0; i < n; i++)
		slot_go(events[i].data.ptr);
}

void
handshakes_run(const struct handshakes_options *o, struct handshakes_result *ret)
{
	struct run run = {.o = o, .r = ret, .ctx = SSL_CTX_new(TLS_client_method()), .epoll = epoll_create1(EPOLL_CLOEXEC)};
	struct slot *slots = need(o->connections * sizeof(*slots));

	if (run.ctx == NULL || SSL_CTX_set_min_proto_version(run.ctx, TLS1_3_VERSION) != 1)
		die("no TLS 1.3");
	SSL_CTX_set_read_ahead(run.ctx, 1);
	SSL_CTX_set_session_cache_mode(run.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(run.ctx, on_ticket);
	run.from = now_ns() + o->warm_ns;
	run.to = run.from + o->measure_ns;
	for (unsigned i = 0; i < o->connections; i++) {
		slots[i].run = &run;
		slot_open(&slots[i]);
		while (o->resumed && run.newest == NULL && ret->failures == 0 && now_ns() < run.to)	/* the first ticket */
			run_turn(&run);
	}
	while (run.open > 0 && now_ns() < run.to + drain_ns)
		run_turn(&run);
	ret->failures += run.open;
	for (unsigned i = 0; i < o->connections; i++)
		if (slots[i].ssl != NULL)
			slot_close(&slots[i]);
	free(slots);
	SSL_SESSION_free(run.newest);
	SSL_CTX_free(run.ctx);
	close(run.epoll);
}
