/* Acknowledgements (HL7 v2.8 chapter 2, section 2.9; ERR of 2.5 and later, or the older one). */
#ifndef VB_PROTO_HL7_ACKNOWLEDGEMENT
#define VB_PROTO_HL7_ACKNOWLEDGEMENT

#include "header.h"

enum ack_verdict {
	ACK_ACCEPT,	/* AA, CA */
	ACK_ERROR,	/* AE, CE: the sender has to look at it */
	ACK_REJECT,	/* AR, CR: not for us, or not now */
};

/* Up to two messages in answer to one: a commit and an application acknowledgement, either may be absent. */
struct ack_plan {
	const char *commit;		/* CA, CE, CR or NULL */
	const char *application;	/* AA, AE, AR or NULL */
};

/* What MSH-15 and MSH-16 ask for. Both blank is original mode. An ACK is never acknowledged. */
struct ack_plan hl7_ack_plan(const struct hl7_header *h, enum ack_verdict verdict);

/* How a refusal of the whole message is answered: AR for MSH-9, 11, 12 and for "send again", AE otherwise. */
enum ack_verdict hl7_ack_verdict(const struct refusal *refused);

struct ack_content {
	const char *code;		/* AA … */
	const struct refusal *errors;	/* one ERR each */
	size_t n_errors;
	struct view extra;		/* more segments, each with its CR, e.g. ZBL; may be empty */
	const char *own_id;		/* MSH-10 of the acknowledgement */
	int64_t now;			/* microseconds */
	int offset;			/* of the hospital, seconds east */
	bool brief;			/* MSH and MSA-1 and 2 alone: no MSA-3, no ERR, nothing extra; its length is that of what it echoes */
	bool of_price_list;		/* an MFK, which answers an MFN */
};

/* The acknowledgement, in the sender's delimiters, UTF-8, each segment ended by CR. MSH-10 is echoed into MSA-2 byte for byte.
 * An accept code becomes AE or CE where there is no MSH-10 to echo. */
struct view hl7_ack_build(struct arena *a, const struct hl7_header *h, const struct ack_content *c);

#endif
