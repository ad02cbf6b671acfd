/* The anteroom of a TLS listener. Who connects waits here, as a socket and nothing more, until its first byte has come; then a few a turn of the loop go in
 * to their handshake, which costs a millisecond and tens of kilobytes each: a crowd of strangers must not keep the loop from who is known. */
#ifndef VB_NET_ANTEROOM_H
#define VB_NET_ANTEROOM_H

#include "net/listener.h"

struct anteroom;

/* fn is told of each who goes in, in the order of their first bytes; it takes socket and place over. first_byte_ms: who has not sent one by then is sent
 * away. */
struct anteroom *anteroom_new(struct event_base *base, int first_byte_ms, listener_fn fn, void *arg);
/* Closes the sockets of those who still wait. */
void anteroom_free(struct anteroom *a);

/* Takes the socket and the place over. */
void anteroom_enter(struct anteroom *a, evutil_socket_t fd, struct place *place);

#endif
