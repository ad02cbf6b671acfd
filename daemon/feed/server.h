/* The MLLP side of the daemon: listens, and runs a session for each connection. A session turns frames into messages, hands them to booking, and
 * acknowledges each one, in the order they came, once it is durable. */
#ifndef VB_FEED_SERVER_H
#define VB_FEED_SERVER_H

#include "core/core.h"

struct feed_server;

/* Listens as configured. NULL when it cannot. */
struct feed_server *feed_server_new(struct core *core);
void feed_server_free(struct feed_server *s);

/* No new connections or frames; connections close when what is in work is acknowledged. */
void feed_server_drain(struct feed_server *s);
/* Open connections, and frames that are not yet answered. */
unsigned feed_server_connections(const struct feed_server *s);
size_t feed_server_in_work(const struct feed_server *s);
/* Where it listens: release 1 and 2, NULL for none. */
const char *feed_server_address(const struct feed_server *s, int release);

#endif
