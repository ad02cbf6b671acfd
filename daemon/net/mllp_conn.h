/* One MLLP connection: frames in, frames out. It knows framing, limits and deadlines; what is in a frame is the feed layer's. */
#ifndef VB_NET_MLLP_CONN_H
#define VB_NET_MLLP_CONN_H

#include <event2/event.h>

#include "proto/view.h"

struct mllp_conn;

struct mllp_limits {
	size_t frame_bytes;	/* a larger frame closes the connection */
	int idle_seconds;	/* 0: feeds may be silent for ever */
	int io_seconds;		/* a peer that does not take its acknowledgements is cut */
};

struct mllp_ops {
	/* A whole frame. The view is valid during the call. */
	void (*on_frame)(void *ctx, struct view content);
	/* Bytes between frames, or before a start block. */
	void (*on_junk)(void *ctx, size_t bytes);
	/* The peer sends no more. What is in work may still be answered; then close. */
	void (*on_eof)(void *ctx);
	/* The connection is gone, for this reason; it frees itself after this call. */
	void (*on_close)(void *ctx, const char *reason);
};

struct mllp_conn *mllp_conn_new(struct event_base *base, evutil_socket_t fd, const struct mllp_limits *limits, const struct mllp_ops *ops, void *ctx);

/* Queues a frame around the content. Written once the turn of the loop is over. */
void mllp_conn_send(struct mllp_conn *c, struct view content);
/* Release 2: a commit block, accepted or not. */
void mllp_conn_send_commit(struct mllp_conn *c, bool accepted);

/* Stop and start reading: how a full queue pushes back to the sender. */
void mllp_conn_pause(struct mllp_conn *c);
void mllp_conn_resume(struct mllp_conn *c);

/* Closes once what is queued is written; on_close is called with the reason, not before this returns. */
void mllp_conn_close(struct mllp_conn *c, const char *reason);

#endif
