/* The MLLP connection: whatever a stream's cuts and pauses, the frames, commit blocks and junk are those that a byte-by-byte reader finds, up to where the
 * connection ends; answers come back whole and in order; memory counted for the peer goes back to nothing. The first byte of a frame says what its handler
 * does. */
#include "fuzz_conn.h"
#include "net/mllp_conn.h"
#include "proto/hl7/mllp.h"

enum { FRAME_BYTES = 600, ANSWER_LONG = 900, EVENTS = 4096 };

/* What was heard, in order: frames with their bytes (in one buffer), commit blocks as frames of one byte. */
struct heard {
	size_t at[EVENTS], n;		/* where each event begins in bytes */
	char *bytes;
	size_t used, junk;
	bool may_die;			/* a beginning that was given up was too long: seen or not, as the cuts are */
	bool must_die;			/* a frame, or what is left, is too long */
};

struct run {
	struct fuzz_world world;
	struct mllp_conn *conn;		/* NULL: gone */
	struct heard heard;
	size_t answered;
	bool paused, eof, closed, roomy, bare;
	const char *reason;
};

static void
hear(struct heard *h, const char *p, size_t n)
{
	if (h->n == EVENTS)
		return;
	h->at[h->n++] = h->used;
	if (n > 0)
		memcpy(h->bytes + h->used, p, n);
	h->used += n;
}

/* The plain way: one state, one byte at a time. What is too long ends it. */
static void
listen_plainly(const char *stream, size_t size, struct heard *h)
{
	size_t start = 0;
	bool inside = false, after_block = false;

	for (size_t i = 0; i < size; i++) {
		if (stream[i] == MLLP_SB) {
			if (inside) {
				h->junk += i - start;
				h->may_die = h->may_die || i - start - 1 > FRAME_BYTES;
			}
			inside = true;
			start = i;
		} else if (!inside) {
			h->junk += !(after_block && stream[i] == MLLP_CR);
		} else if (stream[i] == MLLP_EB) {
			if (i - start - 1 > FRAME_BYTES) {
				h->must_die = true;
				return;
			}
			hear(h, stream + start + 1, i - start - 1);
			inside = false;
			after_block = true;
			continue;
		}
		after_block = false;
	}
	if (inside)
		h->must_die = size - start - 1 > FRAME_BYTES;
}

/* ------- the handler */

static void
answer(struct run *r, bool lengthy)
{
	char text[ANSWER_LONG + 32];
	int n = snprintf(text, sizeof(text), "%zu ", r->answered++);
	size_t all = (size_t)n;

	if (lengthy) {
		memset(text + n, 'x', ANSWER_LONG);
		all += ANSWER_LONG;
	}
	mllp_conn_send(r->conn, (struct view){text, all});
}

static void
on_frame(void *ctx, struct view content)
{
	struct run *r = ctx;
	char does = content.n > 0 ? content.p[0] : ' ';

	FUZZ_CHECK(!r->closed && !r->eof && !r->paused);
	FUZZ_CHECK(!conn_is_clogged(mllp_conn_base(r->conn)));
	FUZZ_CHECK(content.n <= FRAME_BYTES);
	hear(&r->heard, content.p, content.n);
	mllp_conn_work(r->conn, true);
	answer(r, does == 'L');
	if (does == 'P') {
		r->paused = true;
		mllp_conn_pause(r->conn);
	} else if (does == 'K') {
		conn_name(mllp_conn_base(r->conn));
	} else if (does == 'T') {
		clock_set_for_tests(r->world.now += TURN_SLICE_US + 1);
	} else if (does == 'D') {
		conn_die(mllp_conn_base(r->conn), "the handler dies");
	} else if (does == 'C') {
		mllp_conn_close(r->conn, "the handler closes");
	} else if (does == 'M') {
		mllp_conn_send_commit(r->conn, content.n % 2 == 0);
	}
	mllp_conn_work(r->conn, false);
}

static void
on_begin(void *ctx, struct view bytes)
{
	struct run *r = ctx;

	fuzz_touch(bytes);
	FUZZ_CHECK(bytes.n > 0 && bytes.p[0] == MLLP_SB);
	if (bytes.n > 1 && bytes.p[1] == 'B')
		conn_name(mllp_conn_base(r->conn));
}

static void
on_commit(void *ctx, bool accepted)
{
	static const char ack[] = {MLLP_ACK}, nak[] = {MLLP_NAK};
	struct run *r = ctx;

	hear(&r->heard, accepted ? ack : nak, 1);
}

static void
on_bare(void *ctx)
{
	struct run *r = ctx;

	FUZZ_CHECK(!r->bare);
	r->bare = true;
}

static void
on_junk(void *ctx, size_t bytes)
{
	((struct run *)ctx)->heard.junk += bytes;
}

static void
on_eof(void *ctx)
{
	struct run *r = ctx;

	FUZZ_CHECK(!r->eof && !r->closed);
	r->eof = true;
	mllp_conn_close(r->conn, "closed by peer");
}

static void
on_close(void *ctx, const char *reason)
{
	struct run *r = ctx;

	FUZZ_CHECK(!r->closed);
	r->closed = true;
	r->reason = reason;
	r->conn = NULL;
}

static const struct mllp_ops ops = {on_frame, on_begin, on_commit, on_bare, on_junk, on_eof, on_close};

/* ------- the peer */

static void
step(struct run *r, uint8_t control)
{
	if ((control & STEP_READ) != 0)
		fuzz_peer_reads(&r->world, !r->world.peer_reads);
	if ((control & STEP_ANSWER) != 0 && r->paused && r->conn != NULL) {
		r->paused = false;
		mllp_conn_resume(r->conn);
	}
	if ((control & STEP_OTHER) != 0 && r->conn != NULL && !r->paused) {
		r->paused = true;
		mllp_conn_pause(r->conn);
	}
	if ((control & STEP_LOOP) != 0)
		fuzz_loop(&r->world, 1);
}

/* What the peer has read is our answers, numbered, and commit blocks; the last one may be cut where the connection died. */
static void
check_answers(struct run *r)
{
	size_t n = evbuffer_get_length(r->world.heard), number = 0;
	char *bytes = fuzz_copy(evbuffer_pullup(r->world.heard, -1), n);
	struct mllp_scan scan = {0};
	struct view content, left = {bytes, n};
	size_t junk, used;

	while (mllp_next(&scan, left, &content, &junk, &used) == MLLP_FRAME) {
		FUZZ_CHECK(junk == 0);
		if (mllp_block_of(content) == MLLP_CONTENT) {
			char text[32];
			size_t digits = (size_t)snprintf(text, sizeof(text), "%zu ", number++);
			FUZZ_CHECK(content.n >= digits && memcmp(content.p, text, digits) == 0);
		}
		left = (struct view){left.p + used, left.n - used};
	}
	FUZZ_CHECK(number <= r->answered);
	if (r->eof && r->roomy)		/* else it may have died of its answers' memory */
		FUZZ_CHECK(number == r->answered && left.n == 0);
	free(bytes);
}

static void
check_frames(const struct run *r, const struct heard *plain, bool all_sent)
{
	const struct heard *h = &r->heard;
	bool too_large = r->reason != NULL && strcmp(r->reason, "frame too large") == 0;

	FUZZ_CHECK(h->n <= plain->n && h->junk <= plain->junk);
	FUZZ_CHECK(h->used <= plain->used && memcmp(h->bytes, plain->bytes, h->used) == 0);
	for (size_t i = 0; i < h->n; i++)
		FUZZ_CHECK(h->at[i] == plain->at[i]);
	if (too_large)
		FUZZ_CHECK(plain->must_die || plain->may_die);
	if (r->eof && all_sent && !plain->may_die)
		FUZZ_CHECK(!plain->must_die && h->n == plain->n && h->junk == plain->junk);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mllp_limits limits = {.conn = {.input_bytes = 400, .output_bytes = 1500, .first_byte_ms = 60000, .part_ms = 60000,
	    .idle_ms = 60000, .io_ms = 60000}, .frame_bytes = FRAME_BYTES};
	struct run r = {0};
	struct heard plain = {.bytes = malloc(size + 1)};
	/* a stranger's share that a large frame of a stranger cannot have */
	struct bufferevent *bev = fuzz_begin(&r.world, data, size, 40000, size % 2 == 0 ? 9000 : 40000);

	FUZZ_CHECK(plain.bytes != NULL);
	if (bev == NULL) {
		free(plain.bytes);
		return 0;
	}
	listen_plainly((const char *)r.world.stream, r.world.n_stream, &plain);
	FUZZ_CHECK((r.heard.bytes = malloc(size + 1)) != NULL);
	r.roomy = size % 2 != 0;
	r.conn = mllp_conn_new_on(fuzz_shared(&r.world), bev, &limits, &ops, &r);
	bool sent = true;
	for (uint8_t control; sent && r.conn != NULL;) {
		control = fuzz_control(&r.world);
		sent = fuzz_send(&r.world, control);
		step(&r, control);
		if ((control & STEP_RARE) != 0 && r.world.n_stream < 16)
			break;
	}
	bool all_sent = r.world.n_stream == 0;
	fuzz_peer_reads(&r.world, true);
	for (int i = 0; i < 256 && r.conn != NULL; i++) {	/* a peer that waits to the end, and a handler that always goes on */
		if (r.paused) {
			r.paused = false;
			mllp_conn_resume(r.conn);
		}
		fuzz_loop(&r.world, 2);
		fuzz_peer_ends(&r.world);
	}
	if (r.conn != NULL)
		conn_die(mllp_conn_base(r.conn), "the input's end");
	fuzz_loop(&r.world, 3);
	FUZZ_CHECK(r.closed);
	check_frames(&r, &plain, all_sent);
	check_answers(&r);
	fuzz_end(&r.world);
	free(r.heard.bytes);
	free(plain.bytes);
	return 0;
}
