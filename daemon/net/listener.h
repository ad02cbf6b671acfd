/* A listening socket and the places of its connections. Who has no name yet holds a place only as long as nobody else needs it: at the limit, the
 * stranger that came first makes room for the newcomer, and who is known is never sent away. */
#ifndef VB_NET_LISTENER_H
#define VB_NET_LISTENER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/metrics.h"
#include "net/peers.h"
#include "net/tls.h"

struct listener;
struct place;

/* A new connection: the socket is non-blocking; both are the callee's, who ends with place_leave. */
typedef void (*listener_fn)(void *arg, evutil_socket_t fd, struct place *place);

struct listener_config {
	const char *name;		/* copied */
	const char *address;		/* "host:port", port 0 for a free one, "[::1]:port" for IPv6 */
	unsigned most, most_of_address;	/* open connections: of all, of one peer address */
	struct tls *tls;		/* held; NULL for plain text */
	unsigned slot;			/* which listener it is, from 0: an address's connections are counted at each */
};

/* inherited: a socket of the service manager's, else -1. Who connects waits until listener_begin. Returns NULL and logs why when it cannot listen. */
struct listener *listener_new(struct event_base *base, const struct listener_config *config, int inherited, struct peers *peers,
    struct metrics *metrics, listener_fn fn, void *arg);
void listener_free(struct listener *l);
void listener_begin(struct listener *l);

/* New limits and a new certificate, for connections from now on. */
void listener_update(struct listener *l, unsigned most, unsigned most_of_address, struct tls *tls);

/* No new connections: first who waits in the kernel's queue is accepted and others on the same address get what comes, then, a moment
 * later, the socket is closed. */
void listener_drain(struct listener *l);
bool listener_is_closed(const struct listener *l);
unsigned listener_count(const struct listener *l);
const char *listener_name(const struct listener *l);
/* "127.0.0.1:8080", with the port that was chosen. */
const char *listener_address(const struct listener *l);
struct tls *listener_tls(const struct listener *l);

/* ------- places */

/* Called when the place is needed: must lead to place_leave soon, not from inside. */
void place_hold(struct place *p, void (*evict)(void *arg), void *arg);
/* The connection has a name: its place is kept. */
void place_name(struct place *p);
void place_leave(struct place *p);
struct listener *place_listener(const struct place *p);
struct peer *place_peer(const struct place *p);
const char *place_text(const struct place *p);	/* "127.0.0.1:4711" */

#endif
