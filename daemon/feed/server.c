/* Sessions. States of one: open (reading, or paused by back-pressure), ending (the peer sends no more), gone (the connection is closed, work in
 * flight is waited for). */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "core/booking.h"
#include "feed/envelope.h"
#include "feed/message.h"
#include "net/listener.h"
#include "net/mllp_conn.h"
#include "proto/hl7.h"
#include "proto/timestamp.h"

/* One frame: a message, or a batch of them. */
struct frame {
	STAILQ_ENTRY(frame) link;
	struct session *session;
	struct envelope envelope;
	struct arena arena;		/* of a batch's envelope */
	struct message **messages;
	struct message *single;		/* room for the pointer of the usual case */
	size_t n, pending;
};

struct session {
	TAILQ_ENTRY(session) link;
	TAILQ_ENTRY(session) paused_link;
	struct feed_server *server;
	struct mllp_conn *conn;		/* NULL: gone */
	struct listener *listener;
	char peer[64];
	bool release2, paused, ending;
	STAILQ_HEAD(, frame) frames;
	size_t in_work;
};

struct feed_server {
	struct core *core;
	struct listener *release1, *release2;
	struct mllp_limits limits;
	TAILQ_HEAD(, session) sessions;
	TAILQ_HEAD(, session) paused;
	size_t in_work;
	bool draining;
	struct metric_series *junk, *connections, *acks_in, *strangers;
};

static void
session_free_if_done(struct session *s)
{
	if (s->conn != NULL || !STAILQ_EMPTY(&s->frames))
		return;
	TAILQ_REMOVE(&s->server->sessions, s, link);
	if (s->paused)
		TAILQ_REMOVE(&s->server->paused, s, paused_link);
	free(s);
}

static bool
session_should_pause(const struct session *s)
{
	const struct config *c = s->server->core->config;

	return s->in_work >= (size_t)c->mllp.in_flight || booking_weight(s->server->core->booking) >= (size_t)c->mllp.queue_lines;
}

static void
session_pause(struct session *s)
{
	if (s->paused || s->conn == NULL)
		return;
	s->paused = true;
	TAILQ_INSERT_TAIL(&s->server->paused, s, paused_link);
	mllp_conn_pause(s->conn);
}

/* Work was finished: who was paused and may go on does. */
static void
server_on_progress(void *arg)
{
	struct feed_server *server = arg;
	struct session *s, *next;

	for (s = TAILQ_FIRST(&server->paused); s != NULL && !server->draining; s = next) {
		next = TAILQ_NEXT(s, paused_link);
		if (session_should_pause(s))
			continue;
		s->paused = false;
		TAILQ_REMOVE(&server->paused, s, paused_link);
		if (s->conn != NULL)
			mllp_conn_resume(s->conn);
	}
}

static void
note_mark(struct message *m)
{
	struct feed *feed = m->job.feed;
	int64_t now = clock_now();

	/* a clock that runs ahead must not let bills out before other lines come */
	int64_t at = m->job.intake.sent_at < now ? m->job.intake.sent_at : now;
	if (feed != NULL && m->job.intake.has_sent_at && at > feed->mark) {
		feed->mark = at;
		feed->mark_moved = true;
	}
}

/* The reply of a message, counted and, when it is a refusal, logged. */
static struct message_reply
reply_to(struct session *s, struct message *m)
{
	struct message_reply reply = message_reply(s->server->core, m);

	if (message_is_ack(m))
		return reply;
	if (m->job.feed == NULL)
		metric_add(s->server->strangers, 1);
	else
		metric_add(reply.verdict == ACK_ACCEPT ? m->job.feed->messages_ok : m->job.feed->messages_error, 1);
	if (reply.verdict != ACK_ACCEPT)
		log_info("feed.refused", "peer=%s feed=%s message=%.*s reason=%s", s->peer, m->job.feed != NULL ? m->job.feed->name : "unknown",
		    (int)m->header.control_id.n, m->header.control_id.p, m->result == BOOKING_UNAVAILABLE ? "unavailable"
		    : m->job.intake.refused.reason != NULL ? m->job.intake.refused.reason : "lines");
	return reply;
}

static void
frame_send_message(struct frame *f, struct message *m)
{
	struct session *s = f->session;
	struct message_reply reply = reply_to(s, m);

	if (s->conn == NULL)
		return;
	if (s->release2)
		mllp_conn_send_commit(s->conn, m->result == BOOKING_DONE);
	if (reply.commit.n > 0)
		mllp_conn_send(s->conn, reply.commit);
	if (reply.application.n > 0)
		mllp_conn_send(s->conn, reply.application);
}

/* BHS of the answer (section 2.14.1): sender and receiver swapped, their batch's id in BHS-12. In the delimiters of their header. */
static const char *
batch_header(struct frame *f, char d)
{
	struct view h = f->envelope.header;
	struct hl7_segment segment = {.id = "BHS", .line = h};
	struct hl7_delimiters delimiters = {.field = d};
	struct hl7_fields t = {0};
	char time[TIMESTAMP_TEXT];
	int64_t now = clock_now();

	if (hl7_delimiters_of(h, &delimiters) == 0)
		hl7_split(&segment, &delimiters, &t);
	struct view codes = hl7_field(&t, 2), app = hl7_field(&t, 3), fac = hl7_field(&t, 4), to_app = hl7_field(&t, 5), to_fac = hl7_field(&t, 6),
	    id = hl7_field(&t, 11);
	if (codes.n == 0)
		codes = VIEW_LITERAL("^~\\&");
#define TEXT(v) (int)(v).n, (v).n > 0 ? (v).p : ""
	return arena_printf(&f->arena, "BHS%c%.*s%c%.*s%c%.*s%c%.*s%c%.*s%c%s%c%c%c%cVB%llx%c%.*s\r", d, TEXT(codes), d, TEXT(to_app), d, TEXT(to_fac), d,
	    TEXT(app), d, TEXT(fac), d, timestamp_hl7(now, (int)f->session->server->core->config->hospital.utc_offset, time), d, d, d, d,
	    (unsigned long long)now, d, TEXT(id));
#undef TEXT
}

/* A batch is answered with a batch: an envelope of its own around the acknowledgements. */
static void
frame_send_batch(struct frame *f)
{
	struct session *s = f->session;
	struct arena *a = &f->arena;
	struct hl7_delimiters delimiters;
	char d = hl7_delimiters_of(f->envelope.header, &delimiters) == 0 ? delimiters.field : '|';
	struct view header = view_of(batch_header(f, d)), *parts = arena_alloc(a, f->n * 2 * sizeof(*parts));
	size_t n = 0, total = header.n;
	bool stored = true;

	for (size_t i = 0; i < f->n; i++) {
		struct message_reply reply = reply_to(s, f->messages[i]);
		if (reply.commit.n > 0)
			parts[n++] = reply.commit;
		if (reply.application.n > 0)
			parts[n++] = reply.application;
		stored = stored && f->messages[i]->result == BOOKING_DONE;
	}
	if (f->envelope.mismatch != NULL)
		log_warn("feed.batch_count", "peer=%s why=\"%s\"", s->peer, f->envelope.mismatch);
	if (s->conn == NULL)
		return;
	struct view trailer = view_of(arena_printf(a, "BTS%c%zu%c%s\r", d, n, d, f->envelope.mismatch != NULL ? f->envelope.mismatch : ""));
	for (size_t i = 0; i < n; i++)
		total += parts[i].n;
	char *text = arena_alloc(a, total + trailer.n), *end = text;
	memcpy(end, header.p, header.n);
	end += header.n;
	for (size_t i = 0; i < n; i++) {
		memcpy(end, parts[i].p, parts[i].n);
		end += parts[i].n;
	}
	memcpy(end, trailer.p, trailer.n);
	if (s->release2)
		mllp_conn_send_commit(s->conn, stored);
	if (n > 0)
		mllp_conn_send(s->conn, (struct view){text, total + trailer.n});
}

static void
frame_free(struct frame *f)
{
	for (size_t i = 0; i < f->n; i++)
		message_free(f->messages[i]);
	arena_free(&f->arena);
	free(f);
}

/* Answers the frames at the front that are finished, in order. */
static void
session_answer(struct session *s)
{
	struct frame *f;

	while ((f = STAILQ_FIRST(&s->frames)) != NULL && f->pending == 0) {
		STAILQ_REMOVE_HEAD(&s->frames, link);
		for (size_t i = 0; i < f->n; i++)
			if (f->messages[i]->result == BOOKING_DONE)
				note_mark(f->messages[i]);
		if (f->envelope.is_batch)
			frame_send_batch(f);
		else
			frame_send_message(f, f->messages[0]);
		s->in_work -= f->n;
		s->server->in_work--;
		frame_free(f);
	}
	if (s->conn != NULL && (s->ending || s->server->draining) && STAILQ_EMPTY(&s->frames))
		mllp_conn_close(s->conn, s->ending ? "closed by peer" : "draining");
	session_free_if_done(s);
}

static void
message_done(struct booking_job *job, enum booking_result result)
{
	struct message *m = (struct message *)job;
	struct frame *f = m->owner;

	m->result = result;
	m->finished = true;
	if (--f->pending == 0)
		session_answer(f->session);
}

/* MSH at the start, and no other segment that could begin a message or end a batch. */
static bool
is_one_message(struct view content)
{
	const char *p = content.p, *end = p + content.n;

	if (content.n < 4 || memcmp(p, "MSH", 3) != 0 || memchr(p, '\n', content.n) != NULL)
		return false;
	while ((p = memchr(p, '\r', (size_t)(end - p))) != NULL && ++p + 3 < end)
		if (memcmp(p, "MSH", 3) == 0 || memcmp(p, "BTS", 3) == 0 || memcmp(p, "FTS", 3) == 0)
			return false;
	return true;
}

static void
session_on_frame(void *ctx, struct view content)
{
	struct session *s = ctx;
	struct core *core = s->server->core;
	struct frame *f = memory_new(sizeof(*f));

	f->session = s;
	/* a plain message has one MSH at its start: no need to look for an envelope */
	if (is_one_message(content)) {
		f->messages = &f->single;
		f->single = message_new(core, content, s->peer, 0);
		f->n = 1;
	} else {
		arena_init(&f->arena, content.n + 1024);	/* the socket's bytes are gone when the answer is made */
		envelope_open(arena_copy(&f->arena, content.p, content.n), &f->arena, &f->envelope);
		f->n = f->envelope.n_messages;
		f->messages = arena_alloc(&f->arena, (f->n + 1) * sizeof(*f->messages));
		for (size_t i = 0; i < f->n; i++)
			f->messages[i] = message_new(core, f->envelope.messages[i], s->peer, 0);
	}
	f->pending = f->n;
	s->in_work += f->n;
	s->server->in_work++;
	STAILQ_INSERT_TAIL(&s->frames, f, link);
	for (size_t i = 0, n = f->n; i < n; i++) {
		struct message *m = f->messages[i];
		m->owner = f;
		m->job.done = message_done;
		if (message_is_ack(m)) {	/* never answered, nothing to book */
			metric_add(s->server->acks_in, 1);
			m->finished = true;
			f->pending--;
		} else if (!core->configured) {
			m->result = BOOKING_UNAVAILABLE;
			f->pending--;
		} else {
			booking_submit(core->booking, &m->job);
		}
	}
	if (f->pending == 0) {
		session_answer(s);
		return;
	}
	if (session_should_pause(s))
		session_pause(s);
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
	if (STAILQ_EMPTY(&s->frames))
		mllp_conn_close(s->conn, "closed by peer");
}

static void
session_on_close(void *ctx, const char *reason)
{
	struct session *s = ctx;

	log_info("feed.disconnected", "peer=%s why=\"%s\" in_work=%zu", s->peer, reason, s->in_work);
	listener_closed(s->listener);
	metric_add(s->server->connections, -1);
	s->conn = NULL;
	session_free_if_done(s);
}

static const struct mllp_ops session_ops = {session_on_frame, session_on_junk, session_on_eof, session_on_close};

static void
session_new(struct feed_server *server, evutil_socket_t fd, const char *peer, bool release2)
{
	struct session *s = memory_new(sizeof(*s));

	s->server = server;
	s->release2 = release2;
	s->listener = release2 ? server->release2 : server->release1;
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
	STAILQ_INIT(&s->frames);
	TAILQ_INSERT_TAIL(&server->sessions, s, link);
	s->conn = mllp_conn_new(server->core->base, fd, &server->limits, &session_ops, s);
	metric_add(server->connections, 1);
	log_info("feed.connected", "peer=%s release=%d", peer, release2 ? 2 : 1);
}

static void
on_accept_release1(void *arg, evutil_socket_t fd, const char *peer)
{
	session_new(arg, fd, peer, false);
}

static void
on_accept_release2(void *arg, evutil_socket_t fd, const char *peer)
{
	session_new(arg, fd, peer, true);
}

struct feed_server *
feed_server_new(struct core *core)
{
	struct feed_server *s = memory_new(sizeof(*s));
	const struct config *c = core->config;

	s->core = core;
	s->limits = (struct mllp_limits){(size_t)c->mllp.frame_bytes, 0, (int)(c->mllp.io_ms / 1000)};
	TAILQ_INIT(&s->sessions);
	TAILQ_INIT(&s->paused);
	s->junk = metrics_series(core->metrics, "visitbill_mllp_junk_bytes_total", METRIC_COUNTER, "Bytes outside of MLLP frames.", "");
	s->acks_in = metrics_series(core->metrics, "visitbill_mllp_acks_received_total", METRIC_COUNTER, "Acknowledgements that feeds sent us.", "");
	s->strangers = metrics_series(core->metrics, "visitbill_messages_total", METRIC_COUNTER, "Messages and requests of feeds by result.",
	    "feed=\"unknown\",result=\"error\"");
	s->connections = metrics_series(core->metrics, "visitbill_connections", METRIC_GAUGE, "Open connections.", "kind=\"mllp\"");
	for (size_t i = 0; i < c->n_listens; i++) {
		const struct config_listen *l = &c->listens[i];
		if (l->tls)
			continue;
		if (l->serves == SERVES_MLLP && s->release1 == NULL
		    && (s->release1 = listener_new(core->base, l->address, (unsigned)l->connections, on_accept_release1, s)) == NULL)
			goto fail;
		if (l->serves == SERVES_MLLP2 && s->release2 == NULL
		    && (s->release2 = listener_new(core->base, l->address, (unsigned)l->connections, on_accept_release2, s)) == NULL)
			goto fail;
	}
	booking_on_progress(core->booking, server_on_progress, s);
	return s;
fail:
	feed_server_free(s);
	return NULL;
}

void
feed_server_free(struct feed_server *s)
{
	if (s == NULL)
		return;
	listener_free(s->release1);
	listener_free(s->release2);
	free(s);
}

void
feed_server_drain(struct feed_server *server)
{
	struct session *s, *next;

	server->draining = true;
	if (server->release1 != NULL)
		listener_stop(server->release1);
	if (server->release2 != NULL)
		listener_stop(server->release2);
	for (s = TAILQ_FIRST(&server->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		session_pause(s);
		session_answer(s);
	}
}

unsigned
feed_server_connections(const struct feed_server *s)
{
	return (s->release1 != NULL ? listener_count(s->release1) : 0) + (s->release2 != NULL ? listener_count(s->release2) : 0);
}

size_t
feed_server_in_work(const struct feed_server *s)
{
	return s->in_work;
}

const char *
feed_server_address(const struct feed_server *s, int release)
{
	const struct listener *l = release == 2 ? s->release2 : s->release1;

	return l != NULL ? listener_address(l) : NULL;
}
