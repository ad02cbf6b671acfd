/* Batches (HL7 v2.8 chapter 2, section 2.10.3): [FHS]{[BHS]{MSH…}[BTS]}[FTS] taken apart into messages, one at a time, every envelope segment optional. */
#ifndef VB_FEED_ENVELOPE_H
#define VB_FEED_ENVELOPE_H

#include "proto/arena.h"
#include "proto/view.h"

struct envelope {
	struct view content;
	struct view header;		/* the first FHS or BHS line, for its delimiters and id */
	bool has_bhs;			/* the header is a BHS */
	size_t n_messages;
	bool overflow;			/* the message taken last is the rest of the frame: there were too many */
	const char *mismatch;		/* BTS-1 or FTS-1 against what came, for people; NULL: none */
	/* where the walk is */
	struct view rest;
	size_t most, in_batch, batches;
};

/* Is the content of a frame one message, or something that is none at all, without an envelope around it? */
bool envelope_is_single(struct view content);

/* Begins to walk the content, which must live as long; at most so many messages are told apart. */
void envelope_open(struct view content, size_t most, struct envelope *ret);

/* The next message; false at the end. What stands between two MSH belongs to the first one. A message whose header cannot be read, and the first one beyond
 * the most, take the rest of the frame with them: nothing behind can be told apart for sure. */
bool envelope_next(struct envelope *e, struct arena *a, struct view *ret);

#endif
