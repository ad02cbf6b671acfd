/* The MLLP side of the daemon: a session for each connection that a listener hands in. A session turns frames into messages, hands them to booking, and
 * acknowledges each one, in the order they came, once it is durable. */
#ifndef VB_FEED_SERVER_H
#define VB_FEED_SERVER_H

#include "core/core.h"
#include "net/listener.h"

struct feed_server;

struct feed_server *feed_server_new(struct core *core);
void feed_server_free(struct feed_server *s);

/* A new connection. release2: with commit blocks. msh_identity: MSH-3 and 4 alone say who a feed is. */
void feed_server_accept(struct feed_server *s, evutil_socket_t fd, struct place *place, bool release2, bool msh_identity);

/* No new frames; connections close when what is in work is acknowledged. */
void feed_server_drain(struct feed_server *s);
/* Certificates or revocation lists were loaded anew: who is no longer accepted is cut. */
void feed_server_check_certificates(struct feed_server *s);
/* Open connections, and frames that are not yet answered. */
unsigned feed_server_connections(const struct feed_server *s);
size_t feed_server_in_work(const struct feed_server *s);

#endif
