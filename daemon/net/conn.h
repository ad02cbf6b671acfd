/* One connection of a peer, whatever it speaks: the socket or TLS, buffers with marks, deadlines, memory that is counted, the reason why it closes, and
 * its burial. HTTP and MLLP stand on it. It does not know what the bytes mean. */
#ifndef VB_NET_CONN_H
#define VB_NET_CONN_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/budget.h"
#include "base/turn.h"
#include "net/listener.h"
#include "net/tls.h"
#include "proto/view.h"

struct conn;

struct conn_limits {
	size_t input_bytes;		/* read ahead of the protocol at most */
	size_t output_bytes;		/* not yet taken by the peer: beyond it nothing of the peer's is read or begun */
	int first_byte_ms;		/* from the connection (its TLS included) to its first byte */
	int part_ms;			/* from the first byte of a request or frame to its last */
	int idle_ms;			/* between them */
	int io_ms;			/* how often a peer that has output waiting is looked at */
	int64_t floor;			/* bytes a second that it must take then; 0: one byte is enough */
};

/* What is waited for; each has its deadline. */
enum conn_wait {
	CONN_FIRST,	/* the first byte */
	CONN_PART,	/* the rest of something that has begun */
	CONN_IDLE,	/* the next thing */
	CONN_WORK,	/* us: no deadline */
};

struct conn_ops {
	/* Look at conn_input: more bytes came, or the peer's end (conn_has_ended), or what stopped the connection is over, or conn_again was called.
	 * Never called while it is paused, clogged or closing. */
	void (*on_go)(void *ctx);
	/* The deadline of CONN_PART has passed. NULL, or whatever else passes: the connection is closed. */
	void (*on_late)(void *ctx);
	/* The connection is gone, for this reason; it is freed after this call. */
	void (*on_close)(void *ctx, const char *reason);
};

/* What all connections of a listener share; outlives them. */
struct conn_shared {
	struct event_base *base;
	struct budget *budget;
	struct turn *turn;
};

/* A connection on what a listener has accepted: takes the socket and the place over. limits are copied. NULL when TLS cannot begin. */
struct conn *conn_new(const struct conn_shared *shared, evutil_socket_t fd, struct place *place, const struct conn_limits *limits,
    const struct conn_ops *ops, void *ctx);
/* The same on a bufferevent that is there already, without a socket or a place: how the fuzzers speak to it. Takes it over. */
struct conn *conn_new_on(const struct conn_shared *shared, struct bufferevent *bev, const struct conn_limits *limits, const struct conn_ops *ops,
    void *ctx);

struct evbuffer *conn_input(struct conn *c);
/* Gathers output; it is written at the end of the loop's turn, or by conn_flush. */
void conn_write(struct conn *c, struct view bytes);
/* Writes what is gathered now: an answer alone needs no further turn. */
void conn_flush(struct conn *c);
/* Output beyond the mark: nothing more should be read or begun; on_go tells when it is over. */
bool conn_is_clogged(const struct conn *c);
bool conn_is_dead(const struct conn *c);
/* Neither closing nor dead. */
bool conn_is_open(const struct conn *c);
/* The peer has sent its last byte. */
bool conn_has_ended(const struct conn *c);

/* Stop and start reading, beside what marks and memory stop. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* Calls on_go, not from inside. */
void conn_again(struct conn *c);

void conn_wait_for(struct conn *c, enum conn_wait wait);
/* What is waited for now has to come within this time, where its own deadline is later. */
void conn_hurry(struct conn *c, int ms);

/* The protocol holds this much memory for what the peer has sent so far (unfinished frames). False when there is not so much: a stranger's
 * connection then dies, one with a name is not read until there is (on_go). */
bool conn_hold(struct conn *c, size_t bytes) __attribute__((warn_unused_result));

/* The peer is known from now on: it has the whole budget, long deadlines, and its place is kept. */
void conn_name(struct conn *c);
bool conn_is_named(const struct conn *c);

/* Closes once what is queued is written; with linger, what the peer still sends is read away for a moment, so that it sees the answer before
 * a reset. on_close is called later, never from inside. */
void conn_close(struct conn *c, const char *reason);
void conn_close_lingering(struct conn *c, const char *reason);
/* Closes at once: for something that the peer did, or failed to do. */
void conn_die(struct conn *c, const char *reason);
/* Closes at once, and nobody is to blame. */
void conn_leave(struct conn *c, const char *reason);
/* Did conn_die end it? */
bool conn_was_cut(const struct conn *c);

/* NULL without a place. */
struct peer *conn_peer(const struct conn *c);
const char *conn_peer_text(const struct conn *c);
struct budget *conn_budget(const struct conn *c);
struct turn *conn_turn(const struct conn *c);
/* The client certificate's identity; NULL without one. */
const struct tls_identity *conn_identity(const struct conn *c);
/* The listener's authorities or revocation lists are new: where they no longer accept the client's certificate, the connection is closed. */
void conn_check_certificate(struct conn *c);

#endif
