/* Every reason why something is not booked, in one table: its name in quarantine and in the API, the HL7 error code (table 0357), the HTTP
 * status, whether sending the same again can help, and a sentence for people. */
#ifndef VB_PROTO_REASON_H
#define VB_PROTO_REASON_H

#include <stdbool.h>

struct reason {
	const char *name;
	int hl7_code;			/* HL70357 */
	const char *hl7_text;
	int http_status;
	bool retry;			/* the same message or request may succeed later */
	const char *title;
};

/* The row of a name; of an unknown one the row "internal". */
const struct reason *reason_of(const char *name);

/* The nth row, NULL after the last: for checks and documentation. */
const struct reason *reason_nth(unsigned n);

#endif
