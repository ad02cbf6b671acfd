/* One connection of a feed. States: open (reading, or paused by back-pressure), ending (the peer sends no more), gone (the connection is closed, work in
 * flight is waited for). What is in a frame is frame.c's. */
#include "session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "intake/booking.h"
#include "intake/counts.h"
#include "proto/hl7/segments.h"

enum { MAGIC = 0x73657373, LAST_FRAME_MS = 500 };

static void
session_free_if_done(struct session *s)
{
	if (s->conn != NULL || !TAILQ_EMPTY(&s->frames))
		return;
	TAILQ_REMOVE(&s->server->sessions, s, link);
	if (s->paused)
		TAILQ_REMOVE(&s->server->paused, s, paused_link);
	s->magic = 0;
	free(s);
}

/* A frame that is not wholly begun keeps what comes after it waiting. Full lanes stop who has something in them: one message of each feed gets in, so
 * that one that floods does not shut the others out. */
static bool
session_should_pause(const struct session *s)
{
	const struct config *c = s->server->core->config;
	const struct frame *last = TAILQ_LAST(&s->frames, frame_list);

	return s->in_work >= (size_t)c->mllp.in_flight || (s->in_work > 0 && booking_weight(s->server->core->booking) >= (size_t)c->mllp.queue_lines)
	    || (last != NULL && !last->walked);
}

void
session_push_back(struct session *s)
{
	assert(s->magic == MAGIC);
	if (s->paused || s->conn == NULL || !session_should_pause(s))
		return;
	s->paused = true;
	TAILQ_INSERT_TAIL(&s->server->paused, s, paused_link);
	mllp_conn_pause(s->conn);
}

void
session_resume(struct session *s)
{
	struct frame *last = TAILQ_LAST(&s->frames, frame_list);

	assert(s->magic == MAGIC && s->paused);
	if (last != NULL && !last->walked)	/* only the last one can be */
		frame_advance(last);
	if (session_should_pause(s))
		return;
	s->paused = false;
	TAILQ_REMOVE(&s->server->paused, s, paused_link);
	if (s->conn != NULL)
		mllp_conn_resume(s->conn);
}

struct message_reply
session_reply_to(struct session *s, struct message *m, bool brief)
{
	struct message_reply reply = message_reply(m, brief);
	struct peer *peer = s->conn != NULL ? conn_peer(mllp_conn_base(s->conn)) : NULL;

	if (message_is_ack(m))
		return reply;
	if (m->job.feed == NULL) {
		metric_add(s->server->strangers, 1);
	} else {
		counts_note_message(m);
		metric_add(reply.verdict != ACK_ACCEPT ? m->job.feed->messages_error : m->ignored ? m->job.feed->messages_ignored : m->job.feed->messages_ok, 1);
	}
	if (reply.verdict != ACK_ACCEPT && peer != NULL)
		peer_log(peer, "feed.refused", "peer=%s feed=%s message=%.*s reason=%s", s->peer, m->job.feed != NULL ? m->job.feed->name : "unknown",
		    (int)m->header.control_id.n, m->header.control_id.p, m->result == BOOKING_UNAVAILABLE ? "unavailable"
		    : m->job.intake.refused.reason != NULL ? m->job.intake.refused.reason : "lines");
	return reply;
}

void
session_name(struct session *s, const struct feed *feed)
{
	assert(s->magic == MAGIC);
	if (s->conn == NULL)
		return;
	struct peer *peer = conn_peer(mllp_conn_base(s->conn));
	conn_name(mllp_conn_base(s->conn));
	if (!s->told && peer != NULL)
		peer_note(peer, "feed.connected", "peer=%s feed=%s release=%d", s->peer, feed != NULL ? feed->name : "by its certificate", s->release2 ? 2 : 1);
	s->told = true;
}

void
session_answer(struct session *s)
{
	struct frame *f;

	assert(s->magic == MAGIC);
	while ((f = TAILQ_FIRST(&s->frames)) != NULL && frame_is_done(f)) {
		TAILQ_REMOVE(&s->frames, f, link);
		frame_answer(f);
		s->server->in_work--;
	}
	if (s->conn != NULL)
		mllp_conn_work(s->conn, !TAILQ_EMPTY(&s->frames));
	if (s->conn != NULL && (s->ending || s->server->draining) && TAILQ_EMPTY(&s->frames))
		mllp_conn_close(s->conn, s->ending ? "closed by peer" : "draining");
	session_free_if_done(s);
}

/* ------- what the connection tells */

static void
session_on_frame(void *ctx, struct view content)
{
	struct session *s = ctx;

	assert(s->magic == MAGIC);
	s->spoke = true;
	mllp_conn_work(s->conn, true);
	frame_begin(s, content);
	session_push_back(s);
	session_answer(s);
}

/* Whose frame is it that comes in pieces? By the header alone: what it claims is judged again when the whole is there. */
static void
session_on_begin(void *ctx, struct view bytes)
{
	struct session *s = ctx;
	struct core *core = s->server->core;
	struct hl7_header header;
	struct refusal refused;
	struct arena arena;
	const char *reason;

	s->sender.identity = conn_identity(mllp_conn_base(s->conn));
	if (core->configured && directory_knows(core->directory, s->sender.identity)) {
		session_name(s, NULL);
		return;
	}
	if (!s->sender.msh_identity || !core->configured || bytes.n < 2 || memchr(bytes.p, '\r', bytes.n) == NULL)
		return;
	arena_init(&arena, 1024);
	hl7_header_parse((struct view){bytes.p + 1, bytes.n - 1}, core->config->mllp.processing, &arena, &header, &refused);
	struct feed *feed = directory_feed(core->directory, header.application, header.facility, &s->sender, &reason);
	if (feed != NULL)
		session_name(s, feed);
	arena_free(&arena);
}

static void
session_on_commit(void *ctx, bool accepted)
{
	struct session *s = ctx;
	struct peer *peer = conn_peer(mllp_conn_base(s->conn));

	metric_add(accepted ? s->server->acks_in : s->server->naks_in, 1);
	if (!accepted && peer != NULL)
		peer_log(peer, "feed.commit_refused", "peer=%s why=\"the feed could not keep our answer; what it is about is booked\"", s->peer);
}

static void
session_on_bare(void *ctx)
{
	struct session *s = ctx;
	struct peer *peer = conn_peer(mllp_conn_base(s->conn));

	metric_add(s->server->bare, 1);
	if (peer != NULL)
		peer_note(peer, "feed.end_block", "peer=%s why=\"frames end with 1C alone; the CR behind it is missing\"", s->peer);
}

static void
session_on_junk(void *ctx, size_t bytes)
{
	struct session *s = ctx;

	metric_add(s->server->junk, (int64_t)bytes);
}

static void
session_on_eof(void *ctx)
{
	struct session *s = ctx;

	s->ending = true;
	if (TAILQ_EMPTY(&s->frames))
		mllp_conn_close(s->conn, "closed by peer");
}

static void
session_on_close(void *ctx, const char *reason)
{
	struct session *s = ctx;
	struct conn *conn = mllp_conn_base(s->conn);
	struct peer *peer = conn_peer(conn);

	assert(s->magic == MAGIC);
	if (s->told && peer != NULL && conn_was_cut(conn))
		peer_log(peer, "feed.cut", "peer=%s why=\"%s\" in_work=%zu", s->peer, reason, s->in_work);
	else if (s->told && peer != NULL)
		peer_note(peer, "feed.disconnected", "peer=%s why=\"%s\" in_work=%zu", s->peer, reason, s->in_work);
	else if (peer != NULL)
		peer_log(peer, "feed.stranger", "peer=%s why=\"%s\"", s->peer, reason);
	s->server->connections--;
	metric_add(s->server->open, -1);
	s->conn = NULL;
	s->nameless = s->sender.identity != NULL;
	s->sender.identity = NULL;	/* the connection's */
	session_free_if_done(s);
}

static const struct mllp_ops session_ops = {
	.on_frame = session_on_frame, .on_begin = session_on_begin, .on_commit = session_on_commit, .on_bare = session_on_bare, .on_junk = session_on_junk,
	.on_eof = session_on_eof, .on_close = session_on_close,
};

void
session_new(struct feed_server *server, evutil_socket_t fd, struct place *place, bool release2, bool msh_identity)
{
	struct session *s = memory_new(sizeof(*s));

	s->magic = MAGIC;
	s->server = server;
	s->checked = server->checks;
	s->release2 = release2;
	s->sender.msh_identity = msh_identity;
	snprintf(s->peer, sizeof(s->peer), "%s", place_text(place));
	TAILQ_INIT(&s->frames);
	s->conn = mllp_conn_new(&server->core->shared, fd, place, &server->limits, &session_ops, s);
	if (s->conn == NULL) {
		free(s);
		return;
	}
	TAILQ_INSERT_TAIL(&server->sessions, s, link);
	server->connections++;
	metric_add(server->open, 1);
}

void
session_drain(struct session *s)
{
	assert(s->magic == MAGIC);
	if (s->conn != NULL && !s->spoke) {	/* it has just come, and its first frame may be on its way */
		conn_hurry(mllp_conn_base(s->conn), LAST_FRAME_MS);
		return;
	}
	if (s->conn != NULL)
		mllp_conn_pause(s->conn);
	session_answer(s);
}
