/* A listening socket: accepts, up to a limit of connections, and stops accepting when told to drain. */
#ifndef VB_NET_LISTENER_H
#define VB_NET_LISTENER_H

#include <event2/event.h>
#include <stddef.h>

struct listener;

enum { LISTENER_PEER_TEXT = 64 };

/* A new connection: the socket is non-blocking and the callee's. peer: "127.0.0.1:4711". */
typedef void (*listener_fn)(void *arg, evutil_socket_t fd, const char *peer);

/* address: "host:port", port 0 for a free one, "[::1]:port" for IPv6. Returns NULL and logs why when it cannot listen. Beyond max
 * open connections new ones wait in the kernel's queue until one is closed (listener_closed). */
struct listener *listener_new(struct event_base *base, const char *address, unsigned max, listener_fn fn, void *arg);
void listener_free(struct listener *l);

/* One of the connections that this listener gave was closed. */
void listener_closed(struct listener *l);
/* No new connections from now on. */
void listener_stop(struct listener *l);
unsigned listener_count(const struct listener *l);
/* "127.0.0.1:8080", with the port that was chosen. */
const char *listener_address(const struct listener *l);

#endif
