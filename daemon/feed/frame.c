/* One frame of a feed: its messages go to booking and their acknowledgements back. A batch is taken message by message, a window of them at a time; what is
 * long is walked and read a slice of the loop's turn at a time; and an answer grows no larger than what was sent warrants. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "intake/marks.h"
#include "feed/session.h"
#include "proto/hl7/segments.h"
#include "proto/timestamp.h"

enum {
	ANSWER_FREE = 4096,
	MESSAGE_COST = 5,	/* a message in work takes about so many times its bytes */
	AT_ONCE = 65536, STEP = 16384,	/* bytes that are walked at once, and between two looks at the clock */
};

bool
frame_is_done(const struct frame *f)
{
	return f->in_work == 0 && f->walked;
}

static void
frame_free(struct frame *f)
{
	struct message *m;

	while ((m = STAILQ_FIRST(&f->messages)) != NULL) {
		STAILQ_REMOVE_HEAD(&f->messages, link);
		message_free(m);
	}
	if (f->reading != NULL)
		message_free(f->reading);
	turn_forget(f->session->server->core->shared.turn, &f->again);
	account_close(&f->account);
	arena_free(&f->arena);
	free(f);
}

/* ------- beginning */

/* The acknowledgements of the messages at the front that are finished, after those before them. */
static void
batch_collect(struct frame *f)
{
	struct session *s = f->session;
	struct message *m;

	while ((m = STAILQ_FIRST(&f->messages)) != NULL && m->finished) {
		/* a short message with many faults must not make a long answer: beyond twice what was sent, only the verdicts */
		bool brief = f->answers.n > f->envelope.content.n * 2 + ANSWER_FREE;
		struct message_reply reply = session_reply_to(s, m, brief);
		const struct view parts[] = {reply.commit, reply.application};
		for (size_t i = 0; i < 2; i++)
			if (parts[i].n > 0) {
				text_put(&f->answers, parts[i]);
				f->n_answers++;
			}
		if (m->result == BOOKING_DONE)
			marks_note(&m->job);
		else
			f->all_stored = false;
		STAILQ_REMOVE_HEAD(&f->messages, link);
		s->in_work--;
		f->held -= m->counted;
		message_free(m);
	}
	f->held += f->arena.total - f->held_arena;
	f->held_arena = f->arena.total;
}

static void
message_done(struct booking_job *job, enum booking_result result)
{
	struct message *m = (struct message *)job;
	struct frame *f = m->owner;
	struct session *s = f->session;

	turn_begin(s->server->core->shared.turn);	/* booking's callers are no entrances that know of turns */
	m->result = result;
	m->finished = true;
	f->in_work--;
	/* a frame that is not wholly begun is the session's last one, and has waited for room in the window */
	struct frame *last = TAILQ_LAST(&s->frames, frame_list);
	if (f->is_batch)
		batch_collect(f);
	if (!last->walked)
		frame_advance(last);
	session_answer(s);
}

/* A message of the frame. Where the budget has no memory for it now, it is made of its header alone, which is enough to say "send again". lasting: the bytes are in the frame's arena. */
static struct message *
frame_message(struct frame *f, struct view bytes, bool lasting, bool *ret_affordable)
{
	struct session *s = f->session;
	struct hl7_segment header = {.line = VIEW_NONE};
	struct view rest = bytes;

	*ret_affordable = account_set(&f->account, f->held + bytes.n * MESSAGE_COST);
	if (!*ret_affordable)
		bytes = hl7_next_segment(&rest, &header) && header.line.n < ANSWER_FREE ? header.line : VIEW_NONE;
	return message_new(s->server->core, bytes, lasting, s->peer, &s->sender, 0);
}

/* Hands a message to booking; what needs none is finished at once. */
static void
frame_submit(struct frame *f, struct message *m, bool affordable)
{
	struct session *s = f->session;
	struct core *core = s->server->core;

	m->owner = f;
	m->job.done = message_done;
	STAILQ_INSERT_TAIL(&f->messages, m, link);
	s->in_work++;
	m->counted = m->job.intake.arena.total;
	f->held += m->counted;
	if (m->job.feed != NULL) {
		session_name(s, m->job.feed);
		account_name(&f->account);
	}
	affordable = account_set(&f->account, f->held) && affordable;
	if (message_is_ack(m)) {	/* never answered, nothing to book */
		metric_add(s->server->acks_in, 1);
		m->finished = true;
	} else if (!affordable && message_is_lost_cause(m)) {	/* it would be refused whenever it came, and is not kept */
		m->result = BOOKING_DONE;
		m->finished = true;
	} else if (!core->configured || !affordable) {
		m->short_of_memory = !affordable;
		m->result = BOOKING_UNAVAILABLE;
		m->finished = true;
	} else {
		f->in_work++;
		booking_submit(core->booking, &m->job);
	}
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
frame_on_again(void *arg)
{
	struct frame *f = arg;
	struct session *s = f->session;

	/* where nothing needed booking, nobody else tells that the whole batch is begun */
	if (s->paused && !s->server->draining)
		session_resume(s);
	else
		frame_advance(f);
	session_answer(s);
}

/* A frame that has to be walked: by its copy, for the socket's bytes are gone when it is taken up again. */
static void
walk_begin(struct frame *f, struct view content)
{
	struct core *core = f->session->server->core;

	arena_init(&f->arena, content.n + 1024);
	f->held = f->held_arena = f->arena.total;
	envelope_open(arena_copy(&f->arena, content.p, content.n), (size_t)core->config->mllp.frame_messages, &f->envelope);
	f->answers = text_begin(&f->arena, 512);
	f->again = (struct turn_task){.run = frame_on_again, .arg = f};
	f->all_stored = true;
	frame_advance(f);
}

void
frame_begin(struct session *s, struct view content)
{
	struct frame *f = memory_new(sizeof(*f));
	struct core *core = s->server->core;

	f->session = s;
	STAILQ_INIT(&f->messages);
	account_open(&f->account, core->shared.budget, conn_is_named(mllp_conn_base(s->conn)));
	s->sender.identity = conn_identity(mllp_conn_base(s->conn));
	TAILQ_INSERT_TAIL(&s->frames, f, link);
	s->server->in_work++;
	if (content.n > AT_ONCE || !is_one_message(content)) {
		walk_begin(f, content);
		return;
	}
	bool affordable;
	struct message *m = frame_message(f, content, false, &affordable);
	f->walked = true;
	frame_submit(f, m, affordable);
}

/* ------- walking */

/* The message is there, and has to be read. */
static void
walk_take(struct frame *f, struct view bytes)
{
	f->reading = frame_message(f, bytes, true, &f->reading_affordable);
}

static void
walk_submit(struct frame *f)
{
	struct message *m = f->reading;

	f->reading = NULL;
	if (f->envelope.overflow)
		message_refuse(m, "batch_too_large", "the frame holds more messages than are taken; send the rest in another");
	frame_submit(f, m, f->reading_affordable);
	f->walked = !f->is_batch;
	if (f->is_batch)
		batch_collect(f);
}

/* A step of the walk. What is one message without an envelope, or none at all, is no batch. */
static void
walk_step(struct frame *f)
{
	struct view bytes;

	if (f->reading != NULL) {
		if (message_read(f->reading, f->session->server->core->shared.turn))
			walk_submit(f);
		return;
	}
	switch (envelope_next(&f->envelope, &f->arena, STEP, &bytes)) {
	case ENVELOPE_MORE:
		break;
	case ENVELOPE_MESSAGE:
		f->is_batch = !envelope_is_single(&f->envelope);
		walk_take(f, f->is_batch ? bytes : f->envelope.content);
		break;
	case ENVELOPE_END:
		if (envelope_is_single(&f->envelope))
			walk_take(f, f->envelope.content);
		else
			f->is_batch = f->walked = true;
		break;
	}
}

void
frame_advance(struct frame *f)
{
	struct session *s = f->session;
	struct core *core = s->server->core;

	if (f->is_batch)
		batch_collect(f);
	while (!f->walked && s->in_work < (size_t)core->config->mllp.in_flight) {
		if (s->nameless) {	/* whose the rest is cannot be told any more; nobody waits for its answer */
			f->walked = true;
		} else if (turn_is_long(core->shared.turn)) {
			turn_later(core->shared.turn, &f->again, f->account.named ? TURN_KNOWN : TURN_STRANGER);
			return;
		} else {
			walk_step(f);
		}
	}
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

/* A batch is answered with a batch: an envelope of its own around the acknowledgements; an empty one around none. */
static void
batch_answer(struct frame *f)
{
	struct session *s = f->session;
	struct arena *a = &f->arena;
	struct hl7_delimiters delimiters;
	char d = hl7_delimiters_of(f->envelope.header, &delimiters) == 0 ? delimiters.field : '|';
	const char *mismatch = f->envelope.mismatch;

	if (mismatch != NULL && s->conn != NULL && conn_peer(mllp_conn_base(s->conn)) != NULL)
		peer_log(conn_peer(mllp_conn_base(s->conn)), "feed.batch_count", "peer=%s why=\"%s\"", s->peer, mismatch);
	if (s->conn == NULL)
		return;
	if (s->release2)
		mllp_conn_send_commit(s->conn, f->all_stored);
	/* acknowledgements that were sent to us as a batch are not answered */
	if (f->n_answers == 0 && f->envelope.n_messages > 0)
		return;
	struct text t = text_begin(a, f->answers.n + 512);
	text_string(&t, batch_header(f, d));
	text_put(&t, text_view(&f->answers));
	text_string(&t, arena_printf(a, "BTS%c%zu%c%s\r", d, f->n_answers, d, mismatch != NULL ? mismatch : ""));
	mllp_conn_send(s->conn, text_view(&t));
}

static void
message_answer(struct frame *f, struct message *m)
{
	struct session *s = f->session;
	struct message_reply reply = session_reply_to(s, m, false);

	if (m->result == BOOKING_DONE)
		marks_note(&m->job);
	s->in_work--;
	if (s->conn == NULL)
		return;
	if (s->release2 && !message_is_ack(m))
		mllp_conn_send_commit(s->conn, m->result == BOOKING_DONE);
	if (reply.commit.n > 0)
		mllp_conn_send(s->conn, reply.commit);
	if (reply.application.n > 0)
		mllp_conn_send(s->conn, reply.application);
}

void
frame_answer(struct frame *f)
{
	assert(frame_is_done(f));
	if (f->is_batch)
		batch_answer(f);
	else if (!STAILQ_EMPTY(&f->messages))
		message_answer(f, STAILQ_FIRST(&f->messages));
	frame_free(f);
}
