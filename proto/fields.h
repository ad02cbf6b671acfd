/* How long each field may be and what it may hold, whichever way it comes: HL7, JSON, a path, a header. The limits are far below what an index of
 * PostgreSQL takes (2,700 bytes), so that nothing is sent there that it could only refuse. */
#ifndef VB_PROTO_FIELDS_H
#define VB_PROTO_FIELDS_H

#include "view.h"

enum field {
	/* the visit and its patient */
	FIELD_FACILITY, FIELD_VISIT_NO, FIELD_PATIENT_NO, FIELD_PATIENT_NAME, FIELD_SEX, FIELD_DEPARTMENT, FIELD_LOCATION,
	/* a charge line */
	FIELD_SOURCE_LINE, FIELD_REVERSES, FIELD_CODE, FIELD_NAME, FIELD_NATIONAL_CODE, FIELD_PERFORMER, FIELD_ORDERER, FIELD_ORDER_NO,
	/* the message or request */
	FIELD_MESSAGE_ID, FIELD_HEADER, FIELD_IDEMPOTENCY_KEY,
	/* what else stands in a path or a body */
	FIELD_BILL, FIELD_PAYMENT, FIELD_RECEIPT, FIELD_QUARANTINE, FIELD_LOOKALIKE, FIELD_MERCHANT, FIELD_FEED, FIELD_CHANNEL, FIELD_WORD, FIELD_TIME,
	FIELDS
};

struct field_limit {
	const char *name;	/* for people: "visit number" */
	size_t most;		/* bytes of UTF-8 */
	const char *too_long;	/* the complaint */
	bool one_line;		/* no control characters and no line ends */
	bool id;		/* one line, not empty, and no blanks around it */
};

const struct field_limit *field_limit_of(enum field f);

/* What is wrong with a text as that field, NULL where nothing is: "is longer than 100 bytes", "holds a NUL", "is not UTF-8 text", "holds a control
 * character", "is empty", "has blanks around it". Any bytes may be asked about. */
const char *field_complaint(enum field f, struct view v);

/* The same of bytes that are known to be UTF-8 (NUL is looked for): parsers have checked their whole input. */
const char *field_text_complaint(enum field f, struct view v);

#endif
