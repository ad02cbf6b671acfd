/* Listening. SO_REUSEPORT lets a new daemon start beside the old one; a socket of the service manager's outlives both. */
#include "listener_inside.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

enum { BACKLOG = 1024, BACK_OFF_MS = 100, LAST_ACCEPT_MS = 100 };

/* ------- accepting */

static void
listener_on_accept(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct listener *l = arg;
	int one = 1;

	(void)ev, (void)len;
	struct place *p = listener_place(l, sa);
	bool crowded = peer_connections(place_peer(p), l->slot) > l->most_of_address;
	if (crowded || l->count > l->most) {
		if (!listener_evict(l, crowded ? place_peer(p) : NULL)) {
			metric_add(l->refused[crowded ? OF_ADDRESS : OF_PLACES], 1);
			peer_log(place_peer(p), "listener.full", "listener=%s peer=%s why=\"%s\"", l->name, place_text(p),
			    crowded ? "too many connections of this address" : "all places are taken by peers with a name");
			place_leave(p);
			evutil_closesocket(fd);
			return;
		}
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	l->fn(l->arg, fd, p);
}

static void
after(struct listener *l, int ms)
{
	struct timeval wait = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(l->later, &wait);
}

/* Out of descriptors: the socket would stay readable and the loop spin. A stranger gives its descriptor up, the first in the queue is told by a close
 * (on the spare descriptor), and the next is accepted in a moment. */
static void
listener_on_error(struct evconnlistener *ev, void *arg)
{
	struct listener *l = arg;
	int error = errno;

	if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
		static time_t said;
		if (time(NULL) - said >= 10) {
			said = time(NULL);
			log_error("listener.accept", "listener=%s connections=%u why=\"%s\"", l->name, l->count, strerror(error));
		}
		metric_add(l->refused[OF_DESCRIPTORS], 1);
		if (!listener_evict(l, NULL) && l->spare >= 0) {
			close(l->spare);
			int fd = accept4(evconnlistener_get_fd(ev), NULL, NULL, SOCK_CLOEXEC);
			if (fd >= 0)
				close(fd);
			l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
		}
		evconnlistener_disable(ev);
		after(l, BACK_OFF_MS);
	}
}

static void
listener_on_later(evutil_socket_t fd, short events, void *arg)
{
	struct listener *l = arg;

	(void)fd, (void)events;
	if (l->ev == NULL)
		return;
	if (!l->draining) {
		evconnlistener_enable(l->ev);
		return;
	}
	evconnlistener_free(l->ev);
	l->ev = NULL;
	log_info("listener.closed", "listener=%s address=%s", l->name, l->address);
}

/* ------- opening */

/* libevent's parser does not take port 0: another one is parsed, then put back. */
static int
parse_address(const char *address, struct sockaddr_storage *ret, int *ret_len)
{
	size_t n = strlen(address);
	bool any_port = n > 2 && strcmp(address + n - 2, ":0") == 0;
	char parsed[PEER_TEXT];

	snprintf(parsed, sizeof(parsed), "%.*s%s", (int)(any_port ? n - 1 : n), address, any_port ? "1" : "");
	*ret_len = sizeof(*ret);
	if (evutil_parse_sockaddr_port(parsed, (struct sockaddr *)ret, ret_len) != 0)
		return -1;
	if (any_port && ret->ss_family == AF_INET6)
		((struct sockaddr_in6 *)ret)->sin6_port = 0;
	else if (any_port)
		((struct sockaddr_in *)ret)->sin_port = 0;
	return 0;
}

static struct evconnlistener *
listener_open(struct event_base *base, struct listener *l, const char *address, int inherited)
{
	struct sockaddr_storage sa;
	int len;

	if (inherited >= 0) {
		evutil_make_socket_nonblocking(inherited);
		return evconnlistener_new(base, listener_on_accept, l, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, BACKLOG,
		    inherited);
	}
	if (parse_address(address, &sa, &len) != 0) {
		log_error("listener.address", "listener=%s address=%s why=\"not an address and port\"", l->name, address);
		return NULL;
	}
	return evconnlistener_new_bind(base, listener_on_accept, l,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT | LEV_OPT_DISABLED, BACKLOG,
	    (struct sockaddr *)&sa, len);
}

static void
show_certificate(struct listener *l)
{
	char labels[NAME_TEXT + 40];
	const struct { const char *file; int64_t ends; } files[] = {
		{"certificate", l->tls != NULL ? tls_certificate_ends(l->tls) : 0}, {"revoked", l->tls != NULL ? tls_revoked_ends(l->tls) : 0},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (files[i].ends == 0 && !l->shown[i])
			continue;
		l->shown[i] = true;	/* and 0 once there is none any more */
		snprintf(labels, sizeof(labels), "listener=\"%s\",file=\"%s\"", l->name, files[i].file);
		metric_set(metrics_series(l->metrics, "visitbill_certificate_expires_seconds", METRIC_GAUGE,
		    "When a certificate or revocation list ends, Unix time.", labels), files[i].ends);
	}
}

static void
listener_metrics(struct listener *l, struct metrics *m)
{
	char labels[NAME_TEXT + 40];

	static const char *const reasons[REFUSALS] = {[OF_ADDRESS] = "address", [OF_PLACES] = "places", [OF_DESCRIPTORS] = "descriptors"};

	for (int i = 0; i < REFUSALS; i++) {
		snprintf(labels, sizeof(labels), "listener=\"%s\",reason=\"%s\"", l->name, reasons[i]);
		l->refused[i] = metrics_series(m, "visitbill_refused_connections_total", METRIC_COUNTER,
		    "Connections closed at once: too many of the address, no place, no descriptor.", labels);
	}
	snprintf(labels, sizeof(labels), "listener=\"%s\"", l->name);
	l->evicted = metrics_series(m, "visitbill_evicted_connections_total", METRIC_COUNTER, "Connections without a name that made room for others.", labels);
	l->metrics = m;
}

/* A program that a daemon before us has left on the group of sockets would keep this one from its share. */
static void
listener_take_share(struct listener *l)
{
	int unused = 0;

	setsockopt(evconnlistener_get_fd(l->ev), SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof(unused));
}

struct listener *
listener_new(struct event_base *base, const struct listener_config *config, int inherited, struct peers *peers, struct metrics *metrics, listener_fn fn,
    void *arg)
{
	struct listener *l = memory_new(sizeof(*l));
	struct sockaddr_storage sa;
	socklen_t bound = sizeof(sa);

	snprintf(l->name, sizeof(l->name), "%s", config->name);
	l->peers = peers;
	l->fn = fn;
	l->arg = arg;
	l->most = config->most;
	l->slot = config->slot % PEER_SLOTS;
	l->most_of_address = config->most_of_address;
	l->tls = tls_hold(config->tls);
	TAILQ_INIT(&l->strangers);
	listener_metrics(l, metrics);
	l->later = evtimer_new(base, listener_on_later, l);
	l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	l->ev = listener_open(base, l, config->address, inherited);
	if (l->ev == NULL) {
		log_errno("listener.bind", "listener=%s address=%s", l->name, config->address);
		listener_free(l);
		return NULL;
	}
	evconnlistener_set_error_cb(l->ev, listener_on_error);
	if (getsockname(evconnlistener_get_fd(l->ev), (struct sockaddr *)&sa, &bound) == 0)
		peer_address_text((struct sockaddr *)&sa, l->address);
	listener_take_share(l);
	show_certificate(l);
	return l;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	if (l->ev != NULL)
		evconnlistener_free(l->ev);
	event_free(l->later);
	tls_release(l->tls);
	if (l->spare >= 0)
		close(l->spare);
	free(l);
}

void
listener_begin(struct listener *l)
{
	if (l->ev != NULL)
		evconnlistener_enable(l->ev);
}

void
listener_update(struct listener *l, unsigned most, unsigned most_of_address, struct tls *tls)
{
	assert((l->tls == NULL) == (tls == NULL));
	l->most = most;
	l->most_of_address = most_of_address;
	tls_hold(tls);
	tls_release(l->tls);
	l->tls = tls;
	show_certificate(l);
}

/* Sockets of one address and port are numbered in the order in which they were bound, and this one was bound before its successor's: what connects from
 * now on goes to the second. Where there is no second, the number fits nobody and the kernel chooses as before. */
static void
listener_give_way(struct listener *l)
{
	struct sock_filter second[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
	struct sock_fprog program = {1, second};

	setsockopt(evconnlistener_get_fd(l->ev), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
}

void
listener_drain(struct listener *l)
{
	if (l->draining)
		return;
	l->draining = true;
	listener_give_way(l);
	evconnlistener_enable(l->ev);
	after(l, LAST_ACCEPT_MS);
}

bool
listener_is_closed(const struct listener *l)
{
	return l->ev == NULL;
}

unsigned
listener_count(const struct listener *l)
{
	return l->count;
}

const char *
listener_name(const struct listener *l)
{
	return l->name;
}

const char *
listener_address(const struct listener *l)
{
	return l->address;
}

struct tls *
listener_tls(const struct listener *l)
{
	return l->tls;
}
