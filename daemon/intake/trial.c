/* Bytes taken apart as a connection takes them: frames, batches, messages, each a message that is read and then forgotten. */
#include "trial.h"

#include <stdlib.h>

#include "access/principal.h"
#include "base/memory.h"
#include "intake/message.h"
#include "intake/plausible.h"
#include "intake/trial_text.h"
#include "proto/hl7/envelope.h"
#include "proto/hl7/mllp.h"
#include "proto/text.h"
#include "proto/utf8.h"

enum {
	STEP = 8192,			/* bytes between two looks at the clock, */
	TELL = 100,			/* or events, lines and entries */
	MESSAGES = 1000,		/* most that are told of, */
	NOTES = 100,			/* and said of what is between them */
	ANSWER = 4 << 20,		/* no further message is begun beyond it, bytes */
};

static const char unsaid[] = "what the database alone knows: whether a line was booked before, or with other content; whether the visit is there, open, and of this"
    " patient, and whether he has one alone; the price of an item without amount and price; what a credit takes back; a running total, and whether it is"
    " plausible; whether the price list has the item of an entry that leaves something blank, or ends it";

struct trial {
	struct core *core;
	struct feed *feed;		/* NULL: the header's */
	const char *scope;
	struct view rest;		/* frames that are not taken yet */
	bool framed, walking, full, over;
	struct mllp_scan scan;
	struct envelope envelope;	/* of the frame that is walked */
	struct message *reading;	/* NULL: none */
	bool telling;			/* it is read */
	size_t told;			/* of its events, lines and entries */
	struct feed *sender;		/* of what is read */
	const char *why_stranger;
	struct arena arena;
	struct text answer, notes;
	size_t n;			/* messages told of */
	size_t n_notes;
};

static void
note(struct trial *t, const char *text)
{
	if (t->n_notes++ == NOTES)
		t->full = true;
	if (t->n_notes > NOTES)
		return;
	if (t->notes.n > 0)
		text_char(&t->notes, ',');
	text_quoted(&t->notes, view_of(text));
}

/* What a frame holds is a message or a batch; what is neither is answered as one message, which it is not. */
static void
frame_open(struct trial *t, struct view content)
{
	if (mllp_block_of(content) != MLLP_CONTENT) {
		note(t, "a commit block (06 or 15) is the answer to a frame, not a message");
		return;
	}
	envelope_open(content, (size_t)t->core->config->mllp.frame_messages, &t->envelope);
	t->walking = true;
}

struct trial *
trial_begin(struct core *core, struct view bytes, struct feed *feed, const char *scope)
{
	struct trial *t = memory_new(sizeof(*t));

	t->core = core;
	t->feed = feed;
	t->scope = scope;
	t->rest = bytes;
	t->framed = bytes.n > 0 && memchr(bytes.p, MLLP_SB, bytes.n) != NULL;
	arena_init(&t->arena, 16384);
	t->answer = text_begin(&t->arena, 8192);
	t->notes = text_begin(&t->arena, 256);
	text_string(&t->answer, "{");
	if (feed != NULL) {
		text_string(&t->answer, "\"feed\":");
		text_quoted(&t->answer, view_of(feed->name));
		text_char(&t->answer, ',');
	}
	text_string(&t->answer, "\"messages\":[");
	if (!t->framed)
		frame_open(t, bytes);
	return t;
}

/* The next frame; the end where there is none. */
static void
next_frame(struct trial *t)
{
	struct view content;
	size_t junk, used;

	if (!t->framed) {
		t->over = true;
		return;
	}
	enum mllp_result found = mllp_next(&t->scan, t->rest, &content, &junk, &used);
	t->rest = (struct view){t->rest.p + used, t->rest.n - used};
	if (junk > 0)
		note(t, arena_printf(&t->arena, "%zu bytes stand outside of frames", junk));
	if (found == MLLP_FRAME) {
		frame_open(t, content);
		return;
	}
	if (t->rest.n > 0)
		note(t, "the last frame does not end (1C 0D): a connection would wait for the rest");
	t->over = true;
}

static void
take_message(struct trial *t, struct view bytes)
{
	static const struct sender anybody = {NULL, true};
	struct arena scratch;
	struct hl7_header h;
	struct refusal ignored;

	arena_init(&scratch, 1024);
	hl7_header_parse(bytes, "PTD", &scratch, &h, &ignored);
	t->why_stranger = "feed_unknown";
	t->sender = directory_feed_of_header(t->core->directory, h.application, h.facility, &t->why_stranger);
	bool plain = ascii_is_valid(h.application) && ascii_is_valid(h.facility);	/* else it could be another feed's in its character set */
	bool hidden = t->sender != NULL && !scope_has(t->scope, t->sender->facility);
	if (hidden) {		/* another facility's: as if there were none */
		t->sender = NULL;
		t->why_stranger = "feed_unknown";
	}
	arena_free(&scratch);
	const struct feed *feed = t->feed != NULL ? t->feed : t->sender;
	t->reading = message_new(t->core, bytes, true, "trial", &anybody, feed != NULL ? feed->feed_id : hidden || !plain ? MESSAGE_OF_NOBODY : 0);
	t->reading->trial = true;
	if (t->envelope.overflow)
		message_refuse(t->reading, "batch_too_large", "the frame holds more messages than are taken; send the rest in another");
}

/* The message is read; it is told of from now on. */
static void
tell_begin(struct trial *t)
{
	struct message *m = t->reading;

	if (m->job.feed != NULL)
		plausible_judge(m->job.feed, &m->job.intake);
	m->result = BOOKING_DONE;
	if (t->n++ > 0)
		text_char(&t->answer, ',');
	trial_put_begin(&t->answer, m, t->sender, t->why_stranger);
	t->telling = true;
	t->told = 0;
}

static void
tell_step(struct trial *t)
{
	struct message *m = t->reading;

	if (!trial_put_more(&t->answer, m, &t->told, TELL))
		return;
	trial_put_end(&t->answer, m);
	t->telling = false;
	t->reading = NULL;
	message_free(m);
	if (t->n >= MESSAGES || t->answer.n > ANSWER) {
		t->full = true;
		note(t, arena_printf(&t->arena, "only the first %zu messages were read", t->n));
	}
}

/* A step of the frame that is walked, as frame.c walks it. */
static void
walk_step(struct trial *t)
{
	struct view bytes;

	switch (envelope_next(&t->envelope, &t->arena, STEP, &bytes)) {
	case ENVELOPE_MORE:
		return;
	case ENVELOPE_MESSAGE:
		take_message(t, envelope_is_single(&t->envelope) ? t->envelope.content : bytes);
		return;
	case ENVELOPE_END:
		if (envelope_is_single(&t->envelope) && t->envelope.n_messages == 0)
			take_message(t, t->envelope.content);
		if (t->envelope.mismatch != NULL)
			note(t, t->envelope.mismatch);
		t->walking = false;
	}
}

bool
trial_step(struct trial *t, const struct turn *turn)
{
	while (!t->over) {
		if (turn_is_long(turn))
			return false;
		if (t->telling) {
			tell_step(t);
		} else if (t->reading != NULL) {
			if (!message_read(t->reading, turn))
				return false;
			tell_begin(t);
		} else if (t->full) {
			t->over = true;
		} else if (t->walking) {
			walk_step(t);
		} else {
			next_frame(t);
		}
	}
	return true;
}

size_t
trial_weight(const struct trial *t)
{
	return sizeof(*t) + t->arena.total + (t->reading != NULL ? t->reading->job.intake.arena.total : 0);
}

struct view
trial_answer(struct trial *t)
{
	text_string(&t->answer, "],\"notes\":[");
	text_put(&t->answer, text_view(&t->notes));
	text_string(&t->answer, "],\"unsaid\":");
	text_quoted(&t->answer, view_of(unsaid));
	text_char(&t->answer, '}');
	return text_view(&t->answer);
}

void
trial_free(struct trial *t)
{
	if (t == NULL)
		return;
	if (t->reading != NULL)
		message_free(t->reading);
	arena_free(&t->arena);
	free(t);
}
