/* FT1 segments to charge lines (HL7 v2.8 chapter 6, section 6.5.1). */
#ifndef VB_PROTO_HL7_CHARGES
#define VB_PROTO_HL7_CHARGES

#include "proto/hash.h"
#include "events.h"

/* Where the walk through the lines of a message is. */
struct hl7_ft1 {
	const struct hl7_header *header;
	struct hl7_context context;
	struct intake *intake;
	struct view rest;
	size_t n;		/* lines found; the last one is read once it is known whether a ZRV follows */
	bool waits, has_zrv;	/* it is not read yet; and that ZRV was found */
	struct view line, reverses;	/* the segment that waits, ZRV-1 */
	struct hash_set ids;	/* of the lines so far, from the first one on that had none */
	size_t n_ids;
};

/* Begins to fill intake->lines, which has room for every FT1 of the message. All of it must outlive the walk. */
void hl7_ft1_begin(struct hl7_ft1 *w, struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *intake);
/* Goes on for about so many bytes of the message; each line is checked. True at its end. */
bool hl7_ft1_step(struct hl7_ft1 *w, size_t bytes);

#endif
