/* The MLLP connection. A frame that lies whole in what was read is handed on from there; one that comes in pieces is gathered in a buffer that doubles, so that
 * the bytes of a large one are moved a few times and not once a read. */
#include "mllp_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/hl7/mllp.h"

enum { MAGIC = 0x6d6c6c70, GATHERED_KEPT = 65536, HEAD_BYTES = 1024 };

struct mllp_conn {
	unsigned magic;
	struct conn *conn;
	const struct mllp_limits *limits;
	const struct mllp_ops *ops;
	void *ctx;
	struct mllp_scan scan;
	char *bytes;			/* gathered: the beginning of a frame, and frames after it that wait */
	size_t from, used, room;	/* what is not taken yet is from `from` to `used` */
	bool paused, in_work, reading_frames, told_eof, told_bare;
};

static void
mllp_on_close(void *ctx, const char *reason)
{
	struct mllp_conn *c = ctx;

	assert(c->magic == MAGIC);
	c->ops->on_close(c->ctx, reason);
	free(c->bytes);
	c->magic = 0;
	free(c);
}

static size_t
mllp_left(const struct mllp_conn *c)
{
	return c->used - c->from;
}

static void
mllp_wait(struct mllp_conn *c)
{
	conn_wait_for(c->conn, c->paused ? CONN_WORK : mllp_left(c) > 0 ? CONN_PART : c->in_work ? CONN_WORK : CONN_IDLE);
}

/* Room for so many bytes more. False when there is no memory for this peer now. */
static bool
mllp_reserve(struct mllp_conn *c, size_t n)
{
	if (c->from > 0 && c->used + n > c->room) {
		memmove(c->bytes, c->bytes + c->from, mllp_left(c));
		c->used -= c->from;
		c->from = 0;
	}
	if (c->used + n <= c->room)
		return true;
	size_t room = c->room > 0 ? c->room : 8192;
	while (room < c->used + n)
		room *= 2;
	if (!conn_hold(c->conn, room))
		return false;
	c->bytes = memory_resize(c->bytes, room);
	c->room = room;
	return true;
}

/* The bytes of a frame that has not ended are ours now. */
static bool
mllp_gather(struct mllp_conn *c, struct evbuffer *in)
{
	size_t n = evbuffer_get_length(in), most = c->limits->frame_bytes + c->limits->conn.input_bytes - mllp_left(c);
	bool began = mllp_left(c) == 0;

	if (n > most)
		n = most;
	if (!mllp_reserve(c, n))
		return false;
	evbuffer_remove(in, c->bytes + c->used, n);
	c->used += n;
	if (began && !c->paused)
		mllp_wait(c);
	/* a known sender's large first frame must not need a stranger's memory; after a frame there may be junk first */
	if (!conn_is_named(c->conn) && c->bytes[c->from] == MLLP_SB)
		c->ops->on_begin(c->ctx, (struct view){c->bytes + c->from, mllp_left(c) < HEAD_BYTES ? mllp_left(c) : HEAD_BYTES});
	return true;
}

/* An idle connection holds no large buffer. */
static void
mllp_shrink(struct mllp_conn *c)
{
	if (mllp_left(c) > 0)
		return;
	c->from = c->used = 0;
	if (c->room <= GATHERED_KEPT)
		return;
	free(c->bytes);
	c->bytes = NULL;
	c->room = 0;
	if (!conn_hold(c->conn, 0))	/* less than before: only what else is held can be too much */
		return;
}

static void
mllp_take(struct mllp_conn *c, struct view content)
{
	enum mllp_block block = mllp_block_of(content);

	if (block == MLLP_CONTENT)
		c->ops->on_frame(c->ctx, content);
	else
		c->ops->on_commit(c->ctx, block == MLLP_COMMIT_ACK);
}

/* Of a frame that has not ended: the start block is not content. */
static size_t
content_so_far(struct view bytes)
{
	return bytes.n > 0 ? bytes.n - 1 : 0;
}

/* Takes one frame, or finds that there is none yet. False when there is nothing more to do now. */
static bool
mllp_step(struct mllp_conn *c, struct evbuffer *in)
{
	struct evbuffer_iovec v = {NULL, 0};
	struct view bytes, content;
	size_t junk, used;
	bool gathered = mllp_left(c) > 0;

	if (gathered && evbuffer_get_length(in) > 0 && !mllp_gather(c, in))
		return false;
	if (!gathered && evbuffer_peek(in, -1, NULL, &v, 1) < 1)
		return false;
	bytes = gathered ? (struct view){c->bytes + c->from, mllp_left(c)} : (struct view){v.iov_base, v.iov_len};
	enum mllp_result result = mllp_next(&c->scan, bytes, &content, &junk, &used);
	if (junk > 0)
		c->ops->on_junk(c->ctx, junk);
	if (c->scan.bare > 0 && !c->told_bare) {
		c->told_bare = true;
		c->ops->on_bare(c->ctx);
	}
	if ((result == MLLP_FRAME ? content.n : content_so_far((struct view){bytes.p + used, bytes.n - used})) > c->limits->frame_bytes) {
		conn_die(c->conn, "frame too large");
		return false;
	}
	if (result == MLLP_FRAME)
		mllp_take(c, content);
	if (gathered)
		c->from += used;
	else
		evbuffer_drain(in, used);
	mllp_shrink(c);
	if (result == MLLP_FRAME)
		return true;
	if (gathered || evbuffer_get_length(in) == 0)
		return evbuffer_get_length(in) > 0;	/* the buffer had no room for all of it before */
	/* the beginning of a frame: with what came after this piece it goes on in the buffer */
	bool came_more = evbuffer_get_length(in) > v.iov_len - used;
	return mllp_gather(c, in) && came_more;
}

static void
mllp_on_go(void *ctx)
{
	struct mllp_conn *c = ctx;
	struct evbuffer *in = conn_input(c->conn);
	bool more = true, took = false;

	assert(c->magic == MAGIC);
	if (c->reading_frames)
		return;
	c->reading_frames = true;
	while (more && !c->paused && conn_is_open(c->conn) && !conn_is_clogged(c->conn)) {
		if (turn_is_long(conn_turn(c->conn))) {	/* others come first */
			conn_again(c->conn);
			break;
		}
		more = mllp_step(c, in);
		took = took || more;
	}
	c->reading_frames = false;
	if (took && !conn_is_dead(c->conn))
		mllp_wait(c);
	if (!more && evbuffer_get_length(in) == 0 && conn_has_ended(c->conn) && conn_is_open(c->conn) && !c->paused && !c->told_eof) {
		c->told_eof = true;
		c->ops->on_eof(c->ctx);
	}
}

static const struct conn_ops mllp_conn_ops = {.on_go = mllp_on_go, .on_close = mllp_on_close};

static struct mllp_conn *
mllp_conn_begin(const struct mllp_limits *limits, const struct mllp_ops *ops, void *ctx)
{
	struct mllp_conn *c = memory_new(sizeof(*c));

	c->magic = MAGIC;
	c->limits = limits;
	c->ops = ops;
	c->ctx = ctx;
	return c;
}

struct mllp_conn *
mllp_conn_new(const struct conn_shared *shared, evutil_socket_t fd, struct place *place, const struct mllp_limits *limits, const struct mllp_ops *ops,
    void *ctx)
{
	struct mllp_conn *c = mllp_conn_begin(limits, ops, ctx);

	c->conn = conn_new(shared, fd, place, &limits->conn, &mllp_conn_ops, c);
	if (c->conn == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

struct mllp_conn *
mllp_conn_new_on(const struct conn_shared *shared, struct bufferevent *bev, const struct mllp_limits *limits, const struct mllp_ops *ops, void *ctx)
{
	struct mllp_conn *c = mllp_conn_begin(limits, ops, ctx);

	c->conn = conn_new_on(shared, bev, &limits->conn, &mllp_conn_ops, c);
	return c;
}

struct conn *
mllp_conn_base(struct mllp_conn *c)
{
	assert(c->magic == MAGIC);
	return c->conn;
}

void
mllp_conn_send(struct mllp_conn *c, struct view content)
{
	static const char sb[] = {MLLP_SB}, eb[] = {MLLP_EB, MLLP_CR};

	assert(c->magic == MAGIC);
	conn_write(c->conn, (struct view){sb, sizeof(sb)});
	conn_write(c->conn, content);
	conn_write(c->conn, (struct view){eb, sizeof(eb)});
}

void
mllp_conn_send_commit(struct mllp_conn *c, bool accepted)
{
	const char block[] = {MLLP_SB, accepted ? MLLP_ACK : MLLP_NAK, MLLP_EB, MLLP_CR};

	assert(c->magic == MAGIC);
	conn_write(c->conn, (struct view){block, sizeof(block)});
}

void
mllp_conn_pause(struct mllp_conn *c)
{
	assert(c->magic == MAGIC);
	c->paused = true;
	conn_pause(c->conn);
	mllp_wait(c);
}

void
mllp_conn_resume(struct mllp_conn *c)
{
	assert(c->magic == MAGIC);
	if (!c->paused)
		return;
	c->paused = false;
	mllp_wait(c);
	conn_resume(c->conn);
}

void
mllp_conn_work(struct mllp_conn *c, bool in_work)
{
	assert(c->magic == MAGIC);
	if (c->in_work == in_work)
		return;
	c->in_work = in_work;
	if (mllp_left(c) == 0)
		mllp_wait(c);
}

void
mllp_conn_close(struct mllp_conn *c, const char *reason)
{
	assert(c->magic == MAGIC);
	conn_close(c->conn, reason);
}
