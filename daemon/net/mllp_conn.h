/* One MLLP connection: frames in, frames out. It knows framing, commit blocks, limits and deadlines; what is in a frame is the feed layer's. */
#ifndef VB_NET_MLLP_CONN_H
#define VB_NET_MLLP_CONN_H

#include "net/conn.h"

struct mllp_conn;

struct mllp_limits {
	struct conn_limits conn;
	size_t frame_bytes;	/* a larger frame closes the connection */
};

struct mllp_ops {
	/* A whole frame. The view is valid during the call. */
	void (*on_frame)(void *ctx, struct view content);
	/* A frame of a peer without a name has begun and comes in pieces: its first bytes, start block included, for who is able to tell from them
	 * whose it is. May be called again with more. */
	void (*on_begin)(void *ctx, struct view bytes);
	/* The peer's own commit block (MLLP release 2): it has kept our answer, or could not. */
	void (*on_commit)(void *ctx, bool accepted);
	/* The peer ends its frames without the CR of the end block. Told once, at the first; what it sends is taken. */
	void (*on_bare)(void *ctx);
	/* Bytes between frames, or before a start block. */
	void (*on_junk)(void *ctx, size_t bytes);
	/* The peer sends no more. What is in work may still be answered; then close. */
	void (*on_eof)(void *ctx);
	/* The connection is gone, for this reason; it frees itself after this call. */
	void (*on_close)(void *ctx, const char *reason);
};

struct mllp_conn *mllp_conn_new(const struct conn_shared *shared, evutil_socket_t fd, struct place *place, const struct mllp_limits *limits,
    const struct mllp_ops *ops, void *ctx);
/* On a bufferevent, for the fuzzer. limits must outlive the connection in both. */
struct mllp_conn *mllp_conn_new_on(const struct conn_shared *shared, struct bufferevent *bev, const struct mllp_limits *limits, const struct mllp_ops *ops,
    void *ctx);

/* The connection below, for its peer, identity and name. */
struct conn *mllp_conn_base(struct mllp_conn *c);

/* Queues a frame around the content. Written once the turn of the loop is over. */
void mllp_conn_send(struct mllp_conn *c, struct view content);
/* Release 2: a commit block, accepted or not. */
void mllp_conn_send_commit(struct mllp_conn *c, bool accepted);

/* Stop and start reading: how a full queue pushes back to the sender. Frames in work stop the clock of idleness. */
void mllp_conn_pause(struct mllp_conn *c);
void mllp_conn_resume(struct mllp_conn *c);
/* Something of this peer's is in work, or nothing any more. */
void mllp_conn_work(struct mllp_conn *c, bool in_work);

/* Closes once what is queued is written; on_close is called with the reason, not before this returns. */
void mllp_conn_close(struct mllp_conn *c, const char *reason);

#endif
