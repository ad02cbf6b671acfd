/* Batches (HL7 v2.8 chapter 2, section 2.10.3): [FHS]{[BHS]{MSH…}[BTS]}[FTS] taken apart into messages, every envelope segment optional. */
#ifndef VB_FEED_ENVELOPE_H
#define VB_FEED_ENVELOPE_H

#include "proto/arena.h"
#include "proto/view.h"

struct envelope {
	bool is_batch;			/* there is an FHS or BHS: answer with a batch */
	struct view header;		/* the first FHS or BHS line, for its delimiters and id */
	struct view *messages;		/* in the arena */
	size_t n_messages;
	const char *mismatch;		/* BTS-1 or FTS-1 against what came, for people; NULL: none */
};

/* Takes the content of a frame apart. A single message is one without an envelope. What stands between two MSH belongs to the first one. */
void envelope_open(struct view content, struct arena *a, struct envelope *ret);

#endif
