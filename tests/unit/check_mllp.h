/* A MLLP connection on a pair of bufferevents, handlers that note what they are told, and the peer. */
#ifndef VB_TESTS_CHECK_MLLP_H
#define VB_TESTS_CHECK_MLLP_H

#include <event2/buffer.h>

#include "check_net.h"
#include "net/mllp_conn.h"

enum { FRAME_BYTES = 20000, SEEN = 64 };

struct end {
	struct world w;
	struct bufferevent *peer;
	struct mllp_conn *c;		/* NULL: gone */
	bool gone;
	const char *reason;
	bool names, pauses, answers;	/* what the handlers do: on_begin names; on_frame pauses, answers with 1500 bytes */
	int64_t slow_us;
	size_t pauses_at;		/* or at this frame alone */
	size_t n, frames[SEEN], junk, bare, acks, naks, begins, eofs;
	char first[SEEN];
	char begin[64];
};

static struct end e;
static struct mllp_limits limits = {.conn = {.input_bytes = 4096, .output_bytes = 4000, .first_byte_ms = 5000, .part_ms = 5000, .idle_ms = 5000,
    .io_ms = 5000}, .frame_bytes = FRAME_BYTES};

static void
on_frame(void *ctx, struct view content)
{
	static char answer[1500];
	struct end *end = ctx;

	ck_assert_uint_lt(end->n, SEEN);
	end->first[end->n] = content.n > 0 ? content.p[0] : '-';
	end->frames[end->n++] = content.n;
	for (size_t i = 1; i < content.n; i++)
		ck_assert_int_eq(content.p[i], content.p[0]);	/* bytes of this frame alone */
	if (end->slow_us > 0)
		clock_set_for_tests(clock_monotonic() + end->slow_us);
	if (end->answers)
		mllp_conn_send(end->c, (struct view){answer, sizeof(answer)});
	if (end->pauses || end->n == end->pauses_at)
		mllp_conn_pause(end->c);
}

static void
on_begin(void *ctx, struct view bytes)
{
	struct end *end = ctx;

	end->begins++;
	ck_assert_int_eq(bytes.p[0], 0x0B);
	snprintf(end->begin, sizeof(end->begin), "%.*s", (int)bytes.n - 1, bytes.p + 1);
	if (end->names)
		conn_name(mllp_conn_base(end->c));
}

static void
on_commit(void *ctx, bool accepted)
{
	struct end *end = ctx;

	end->acks += accepted;
	end->naks += !accepted;
}

static void
on_bare(void *ctx)
{
	((struct end *)ctx)->bare++;
}

static void
on_junk(void *ctx, size_t bytes)
{
	((struct end *)ctx)->junk += bytes;
}

static void
on_eof(void *ctx)
{
	struct end *end = ctx;

	end->eofs++;
	mllp_conn_close(end->c, "closed by peer");
}

static void
on_close(void *ctx, const char *reason)
{
	struct end *end = ctx;

	end->gone = true;
	end->reason = reason;
	end->c = NULL;
}

static const struct mllp_ops ops = {on_frame, on_begin, on_commit, on_bare, on_junk, on_eof, on_close};

static void
setup(void)
{
	struct bufferevent *pair[2];

	memset(&e, 0, sizeof(e));
	world_open(&e.w);
	ck_assert_int_eq(bufferevent_pair_new(e.w.base, 0, pair), 0);
	e.peer = pair[1];
	bufferevent_enable(e.peer, EV_READ | EV_WRITE);
	e.c = mllp_conn_new_on(&e.w.shared, pair[0], &limits, &ops, &e);
}

static void
teardown(void)
{
	if (e.c != NULL)
		conn_die(mllp_conn_base(e.c), "the test's end");
	world_turns(&e.w, 3);
	ck_assert_ptr_null(e.c);
	bufferevent_free(e.peer);
	world_turns(&e.w, 3);
	world_close(&e.w);
	clock_set_for_tests(0);
}

static void
send_bytes(const char *p, size_t n)
{
	bufferevent_write(e.peer, p, n);
	world_turns(&e.w, 12);
}

static void
send_text(const char *text)
{
	send_bytes(text, strlen(text));
}

/* A frame of n times one letter, in reads of `piece` bytes. */
static void
send_frame(char letter, size_t n, size_t piece)
{
	static char bytes[100000];

	bytes[0] = 0x0B;
	memset(bytes + 1, letter, n);
	bytes[n + 1] = 0x1C;
	bytes[n + 2] = 0x0D;
	for (size_t at = 0; at < n + 3 && !e.gone; at += piece)
		send_bytes(bytes + at, n + 3 - at < piece ? n + 3 - at : piece);
}

#define FRAME(text) "\x0b" text "\x1c\r"

#endif
