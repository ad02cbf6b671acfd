/* Listening. SO_REUSEPORT lets a new daemon start beside the old one. */
#include "listener.h"

#include <arpa/inet.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/memory.h"

struct listener {
	struct evconnlistener *ev;
	listener_fn fn;
	void *arg;
	unsigned count, max;
	bool stopped, paused;
	char address[LISTENER_PEER_TEXT];
};

static void
address_text(const struct sockaddr *sa, char buf[LISTENER_PEER_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(buf, LISTENER_PEER_TEXT, "%s:%u", host, ntohs(in->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(buf, LISTENER_PEER_TEXT, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		snprintf(buf, LISTENER_PEER_TEXT, "?");
	}
}

static void
listener_on_accept(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct listener *l = arg;
	char peer[LISTENER_PEER_TEXT];
	int one = 1;

	(void)len;
	address_text(sa, peer);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if (++l->count >= l->max && !l->paused) {
		log_warn("listener.full", "address=%s connections=%u", l->address, l->count);
		l->paused = true;
		evconnlistener_disable(ev);
	}
	l->fn(l->arg, fd, peer);
}

/* EMFILE and the like: wait a little instead of spinning. */
static void
listener_on_error(struct evconnlistener *ev, void *arg)
{
	struct listener *l = arg;

	(void)ev;
	log_errno("listener.accept", "address=%s", l->address);
}

struct listener *
listener_new(struct event_base *base, const char *address, unsigned max, listener_fn fn, void *arg)
{
	struct sockaddr_storage sa;
	int len = sizeof(sa);
	struct listener *l;

	/* libevent's parser does not take port 0: another one is parsed, then put back */
	size_t n = strlen(address);
	bool any_port = n > 2 && strcmp(address + n - 2, ":0") == 0;
	char parsed[LISTENER_PEER_TEXT];
	snprintf(parsed, sizeof(parsed), "%.*s%s", (int)(any_port ? n - 1 : n), address, any_port ? "1" : "");
	if (evutil_parse_sockaddr_port(parsed, (struct sockaddr *)&sa, &len) != 0) {
		log_error("listener.address", "address=%s why=\"not an address and port\"", address);
		return NULL;
	}
	if (any_port && sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&sa)->sin6_port = 0;
	else if (any_port)
		((struct sockaddr_in *)&sa)->sin_port = 0;
	l = memory_new(sizeof(*l));
	l->fn = fn;
	l->arg = arg;
	l->max = max;
	l->ev = evconnlistener_new_bind(base, listener_on_accept, l,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT, 1024, (struct sockaddr *)&sa, len);
	if (l->ev == NULL) {
		log_errno("listener.bind", "address=%s", address);
		free(l);
		return NULL;
	}
	evconnlistener_set_error_cb(l->ev, listener_on_error);
	socklen_t bound = sizeof(sa);
	getsockname(evconnlistener_get_fd(l->ev), (struct sockaddr *)&sa, &bound);
	address_text((struct sockaddr *)&sa, l->address);
	return l;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	evconnlistener_free(l->ev);
	free(l);
}

void
listener_closed(struct listener *l)
{
	l->count--;
	if (l->paused && !l->stopped && l->count < l->max) {
		l->paused = false;
		evconnlistener_enable(l->ev);
	}
}

void
listener_stop(struct listener *l)
{
	l->stopped = true;
	evconnlistener_disable(l->ev);
}

unsigned
listener_count(const struct listener *l)
{
	return l->count;
}

const char *
listener_address(const struct listener *l)
{
	return l->address;
}
