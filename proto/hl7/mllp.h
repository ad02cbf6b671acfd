/* MLLP framing (HL7 transport specification, MLLP release 1 and 2): finding frames in a stream of bytes. */
#ifndef VB_PROTO_HL7_MLLP
#define VB_PROTO_HL7_MLLP

#include <stdbool.h>

#include "proto/view.h"

enum { MLLP_SB = 0x0B, MLLP_EB = 0x1C, MLLP_CR = 0x0D, MLLP_ACK = 0x06, MLLP_NAK = 0x15 };

enum mllp_result {
	MLLP_FRAME,		/* content is a whole frame's content */
	MLLP_MORE,		/* need more bytes */
};

/* Where in the unread bytes a scan goes on, so that a frame that comes in many reads is looked at once. Zero at first, and after
 * every consumed frame. */
struct mllp_scan {
	size_t seen;
	bool after_block;	/* an end block was the last that was taken, and its CR may follow */
	unsigned bare;		/* end blocks so far whose CR did not follow */
};

/* What a frame holds: a commit block of release 2 is one byte, and is the peer's answer to something of ours, never a message. */
enum mllp_block {
	MLLP_CONTENT,
	MLLP_COMMIT_ACK,
	MLLP_COMMIT_NAK,
};
enum mllp_block mllp_block_of(struct view content);

/* Looks for a frame at the start of `bytes`. Anything before the start block is junk between frames.
 * On MLLP_FRAME: *ret_content is inside bytes, *ret_junk how many bytes of junk came before, *ret_used how many bytes to drop.
 * On MLLP_MORE: *ret_used bytes at the start may be dropped; *ret_junk of them are junk.
 * FS cannot be text in any character set here: it ends the frame, whether the CR of the end block follows (and is dropped with it) or not.
 * A start block inside a frame means that the sender gave the first one up: the old beginning counts as junk. */
enum mllp_result mllp_next(struct mllp_scan *scan, struct view bytes, struct view *ret_content, size_t *ret_junk, size_t *ret_used);

#endif
