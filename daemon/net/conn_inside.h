/* The inside of a connection, shared by conn.c (its life, reading), conn_output.c (what is written, and closing), conn_deadline.c (its timer) and
 * conn_query.c (what the protocol says and asks), and by nobody else. */
#ifndef VB_NET_CONN_INSIDE_H
#define VB_NET_CONN_INSIDE_H

#include <assert.h>
#include <openssl/types.h>

#include "net/conn.h"

enum {
	CONN_MAGIC = 0x636f6e6e, LINGER_BYTES = 262144, LINGER_US = 2000000, STARVED_US = 50000,
};

enum conn_state {
	STATE_HANDSHAKE,	/* TLS only */
	STATE_OPEN,
	STATE_CLOSING,		/* what is queued is written, then it is closed */
	STATE_LINGERING,	/* written; what still comes is read away */
	STATE_DEAD,		/* waits for its burial */
};

struct conn {
	unsigned magic;
	enum conn_state state;
	const struct conn_shared *shared;
	const struct conn_ops *ops;
	void *ctx;
	struct conn_limits limits;
	struct bufferevent *bev;
	SSL *ssl;			/* the bufferevent's; NULL for plain text */
	struct tls_identity *identity;
	struct evbuffer *out;		/* gathered, not yet with the bufferevent */
	struct event *soon, *timer;	/* soon: output is flushed, or who is dead is buried; not from inside */
	struct turn_task again;
	struct place *place;
	struct account account;
	size_t held;			/* by the protocol */
	const char *reason;		/* why it closes, once it does */
	bool cut;			/* for something that the peer did */
	bool reading, paused, clogged, starved, full, eof, lingers, named;
	enum conn_wait wait;
	int64_t deadline;		/* of what is waited for; monotonic, microseconds; 0: none */
	int64_t io_check;		/* when the peer's taking of output is looked at; 0: nothing waits */
	int64_t armed;			/* when the timer fires; 0: not at all */
	int64_t given, taken_before;	/* bytes of output in all; taken when io_check was set */
	size_t lingered;
};

/* Output that the peer has not taken. */
size_t conn_pending(const struct conn *c);
/* Bytes of output that the peer has taken so far. */
int64_t conn_taken(const struct conn *c);
/* Makes the socket's reading what all reasons together say. */
void conn_update_reading(struct conn *c);
bool conn_may_go(const struct conn *c);
/* Counts what the connection holds. False when it may not hold so much: a stranger's connection is dead then, another one starves. */
bool conn_count(struct conn *c);
/* The timer fires at `at` at the latest; both are monotonic microseconds. */
void conn_arm(struct conn *c, int64_t at, int64_t now);
void conn_on_timer(evutil_socket_t fd, short events, void *arg);
/* Output has changed: marks, memory, and whether the peer's taking has to be minded. */
void conn_output_changed(struct conn *c);
void conn_on_written(struct bufferevent *bev, void *arg);
void conn_on_taken(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg);
/* What a lingering peer still sends is thrown away, up to a limit. */
void conn_read_away(struct conn *c);

#endif
