/* Batches (HL7 v2.8 chapter 2, section 2.10.3): [FHS]{[BHS]{MSH…}[BTS]}[FTS] taken apart into messages, one at a time, every envelope segment optional. */
#ifndef VB_PROTO_HL7_ENVELOPE_H
#define VB_PROTO_HL7_ENVELOPE_H

#include "proto/arena.h"
#include "proto/view.h"

struct envelope {
	struct view content;
	struct view header;		/* the first FHS or BHS line, for its delimiters and id */
	bool has_bhs;			/* the header is a BHS */
	size_t n_messages;
	bool overflow;			/* the message taken last is the rest of the frame: there were too many */
	const char *mismatch;		/* BTS-1 or FTS-1 against what came, for people; NULL: none */
	bool enveloped;			/* an envelope segment was there */
	/* where the walk is */
	struct view rest, message;	/* what is left; the message whose end is looked for, empty for none */
	size_t most, in_batch, batches;
};

enum envelope_result {
	ENVELOPE_MESSAGE,
	ENVELOPE_MORE,		/* so many bytes were walked, and the next message does not end yet */
	ENVELOPE_END,
};

/* Begins to walk the content, which must live as long; at most so many messages are told apart. */
void envelope_open(struct view content, size_t most, struct envelope *ret);

/* Walks about so many bytes, to the end of the next message at most. What stands between two MSH belongs to the first one. A message whose header cannot be read, and the first one beyond
 * the most, take the rest of the frame with them: nothing after it can be told apart for sure. */
enum envelope_result envelope_next(struct envelope *e, struct arena *a, size_t bytes, struct view *ret);

/* Once the first message is taken: is it all that the frame holds, without an envelope around it? Where the end comes first: is it none at all? */
bool envelope_is_single(const struct envelope *e);

#endif
