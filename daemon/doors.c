/* Listeners by name. A socket that the service manager hands over is taken by its name or, where it has none, by its address. */
#include "doors.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/log.h"
#include "base/memory.h"
#include "net/anteroom.h"
#include "net/descriptors.h"

enum { OTHER_DESCRIPTORS = 160 };	/* the loop, files, signals, payment channels (at most 64), spares */

struct door {
	struct doors *doors;
	struct listener *listener;
	struct anteroom *anteroom;	/* of a TLS listener; else NULL */
	unsigned serves;
	bool msh_identity;
};

struct doors {
	struct api *api;
	struct feed_server *feeds;
	struct door *list;
	size_t n;
	bool fitted;
	char text[1024];
};

/* ------- certificates */

int
door_keys_load(const struct config *config, struct door_keys *ret, char *error, size_t error_size)
{
	struct door_keys keys = {memory_new((config->n_listens + 1) * sizeof(*keys.tls)), config->n_listens};
	char why[400];

	for (size_t i = 0; i < keys.n; i++) {
		const struct config_listen *l = &config->listens[i];
		const struct tls_files files = {l->certificate, l->key, l->client_ca, l->revoked,
		    l->clients == CLIENTS_NONE ? TLS_CLIENTS_NONE : l->clients == CLIENTS_OPTIONAL ? TLS_CLIENTS_OPTIONAL : TLS_CLIENTS_REQUIRED};
		if (!l->tls || (keys.tls[i] = tls_new(&files, why, sizeof(why))) != NULL)
			continue;
		snprintf(error, error_size, "[listen %s] %s", l->name, why);
		door_keys_free(&keys);
		return -1;
	}
	*ret = keys;
	return 0;
}

void
door_keys_free(struct door_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		tls_release(keys->tls[i]);
	free(keys->tls);
	*keys = (struct door_keys){0};
}

/* ------- sockets of the service manager */

struct inherited {
	int n;
	char **names;		/* NULL where there are none */
};

static struct inherited
inherited_sockets(void)
{
	struct inherited in = {0};
#ifdef HAVE_SYSTEMD
	in.n = sd_listen_fds_with_names(1, &in.names);
	if (in.n < 0)
		in = (struct inherited){0};
#endif
	return in;
}

static void
inherited_free(struct inherited *in)
{
	for (int i = 0; in->names != NULL && i < in->n; i++)
		free(in->names[i]);
	free(in->names);
}

static bool
is_bound_to(int fd, const char *address)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	char text[PEER_TEXT];

	if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
		return false;
	peer_address_text((struct sockaddr *)&sa, text);
	return strcmp(text, address) == 0;
}

/* The socket for a listener, taken out of the list; -1 when there is none. */
static int
inherited_take(struct inherited *in, bool *taken, const struct config_listen *l)
{
	enum { FIRST = 3 };	/* SD_LISTEN_FDS_START */

	for (int i = 0; i < in->n; i++)
		if (!taken[i] && in->names != NULL && strcmp(in->names[i], l->name) == 0) {
			taken[i] = true;
			return FIRST + i;
		}
	for (int i = 0; i < in->n; i++)
		if (!taken[i] && is_bound_to(FIRST + i, l->address)) {
			taken[i] = true;
			return FIRST + i;
		}
	return -1;
}

/* ------- opening */

static void
on_enter(void *arg, evutil_socket_t fd, struct place *place)
{
	struct door *door = arg;

	if ((door->serves & (SERVES_MLLP | SERVES_MLLP2)) != 0)
		feed_server_accept(door->doors->feeds, fd, place, door->serves == SERVES_MLLP2, door->msh_identity);
	else
		api_accept(door->doors->api, fd, place, door->serves);
}

static void
on_accept(void *arg, evutil_socket_t fd, struct place *place)
{
	struct door *door = arg;

	if (door->anteroom != NULL)
		anteroom_enter(door->anteroom, fd, place);
	else
		on_enter(door, fd, place);
}

/* How many connections each listener may have, by the settings and by what the process may open. */
static unsigned
door_most(struct doors *d, const struct config *c, size_t i)
{
	size_t sum = 0, others = OTHER_DESCRIPTORS + (size_t)(c->database.pool + c->database.lanes) + 2 * c->n_listens;

	for (size_t k = 0; k < c->n_listens; k++)
		sum += (size_t)c->listens[k].connections;
	size_t available = descriptors_for_peers(others), most = descriptors_share((size_t)c->listens[i].connections, sum, available);
	if (most < (size_t)c->listens[i].connections && !d->fitted) {
		log_warn("descriptors", "wanted=%zu available=%zu why=\"the limit of open files is lower than the connections of all listeners: each gets its "
		    "share\"", sum + others, available + others);
		d->fitted = true;
	}
	return (unsigned)most;
}

struct doors *
doors_open(struct core *core, struct api *api, struct feed_server *feeds, const struct door_keys *keys)
{
	struct doors *d = memory_new(sizeof(*d));
	const struct config *c = core->config;
	struct inherited in = inherited_sockets();
	bool *taken = memory_new((size_t)in.n + 1);
	size_t used = 0;
	bool failed = false;

	d->api = api;
	d->feeds = feeds;
	d->list = memory_new((c->n_listens + 1) * sizeof(*d->list));
	for (size_t i = 0; i < c->n_listens && !failed; i++) {
		const struct config_listen *l = &c->listens[i];
		struct door *door = &d->list[d->n++];
		const struct listener_config config = {l->name, l->address, door_most(d, c, i), (unsigned)l->address_connections, keys->tls[i], (unsigned)i};
		*door = (struct door){.doors = d, .serves = l->serves, .msh_identity = l->msh_identity};
		if (l->tls)
			door->anteroom = anteroom_new(core->base, (int)((l->serves & SERVES_HTTP) != 0 ? c->http.first_byte_ms : c->mllp.first_byte_ms), on_enter,
			    door);
		door->listener = listener_new(core->base, &config, inherited_take(&in, taken, l), core->peers, core->metrics, on_accept, door);
		failed = door->listener == NULL;
		if (!failed && used < sizeof(d->text))
			used += (size_t)snprintf(d->text + used, sizeof(d->text) - used, "%s%s=%s%s", i > 0 ? " " : "", l->name,
			    listener_address(door->listener), l->tls ? "/tls" : "");
	}
	for (int i = 0; i < in.n; i++)
		if (!taken[i])
			log_warn("listener.inherited", "name=%s why=\"no [listen] has this name or address\"", in.names != NULL ? in.names[i] : "none");
	inherited_free(&in);
	free(taken);
	if (failed) {
		doors_free(d);
		return NULL;
	}
	return d;
}

void
doors_free(struct doors *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++) {
		anteroom_free(d->list[i].anteroom);
		listener_free(d->list[i].listener);
	}
	free(d->list);
	free(d);
}

void
doors_update(struct doors *d, const struct config *c, const struct door_keys *keys)
{
	for (size_t k = 0; k < d->n; k++) {
		struct listener *l = d->list[k].listener;
		for (size_t i = 0; i < c->n_listens; i++)
			if (strcmp(c->listens[i].name, listener_name(l)) == 0 && (keys->tls[i] == NULL) == (listener_tls(l) == NULL)) {
				listener_update(l, door_most(d, c, i), (unsigned)c->listens[i].address_connections, keys->tls[i]);
				d->list[k].msh_identity = c->listens[i].msh_identity;
			}
	}
}

void
doors_begin(struct doors *d, bool operations_only)
{
	for (size_t i = 0; i < d->n; i++)
		if (!operations_only || d->list[i].serves == SERVES_OPERATIONS)
			listener_begin(d->list[i].listener);
}

void
doors_drain(struct doors *d)
{
	for (size_t i = 0; i < d->n; i++)
		listener_drain(d->list[i].listener);
}

bool
doors_are_closed(const struct doors *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!listener_is_closed(d->list[i].listener))
			return false;
	return true;
}

const char *
doors_text(const struct doors *d)
{
	return d->text;
}
