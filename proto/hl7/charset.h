/* MSH-18 (HL7 table 0211) to UTF-8, of a whole message, before its fields are split: GB 18030 and BIG-5 have trail bytes that look like
 * delimiters (7C 5E 7E 5C). Segments can be told apart before: CR never is a trail byte. */
#ifndef VB_PROTO_HL7_CHARSET
#define VB_PROTO_HL7_CHARSET

#include <stdbool.h>

#include "proto/arena.h"
#include "proto/view.h"

enum charset_result {
	CHARSET_OK,
	CHARSET_MORE,		/* of a step: it goes on */
	CHARSET_UNKNOWN,	/* it is one that we don't have, and the bytes are not plain ASCII */
	CHARSET_INVALID,	/* the bytes are not text of that character set */
};

/* MSH-18 of a message whose bytes are still as sent; empty where there is none. A feed's default stands in for an empty one. */
struct view hl7_charset_name(struct view message);

/* The character set that a message is read in: MSH-18, where that is blank the feed's (`fallback`, may be NULL), else UTF-8: blank means ASCII by the
 * standard. */
struct view hl7_charset_of(struct view message, const char *fallback);

/* Do we have the character set of this name in table 0211? */
bool hl7_charset_is_known(struct view name);

/* The message in UTF-8: the same view where it is that already, else a copy in the arena. A byte order mark is dropped. */
enum charset_result hl7_to_utf8(struct view message, struct view charset, struct arena *a, struct view *ret) __attribute__((warn_unused_result));

/* The same in steps, of a message that may be large. Zero is one that holds nothing. */
struct hl7_charset {
	struct arena *a;
	struct view message, rest;
	bool found;		/* it is one that we have */
	void *converter;	/* of iconv; NULL: nothing is to be converted */
	char *out;
	size_t room, used;
};
void hl7_charset_begin(struct hl7_charset *c, struct view message, struct view charset, struct arena *a);
/* Goes on with about so many bytes. CHARSET_MORE until it is done; then it holds nothing any more. */
enum charset_result hl7_charset_step(struct hl7_charset *c, size_t bytes, struct view *ret) __attribute__((warn_unused_result));
/* Gives up one that is not done. */
void hl7_charset_end(struct hl7_charset *c);

/* UTF-8 text back into the sender's character set, for the acknowledgement: the view itself where that is UTF-8 or the text
 * cannot be said in it. */
struct view hl7_from_utf8(struct view text, struct view charset, const char *fallback, struct arena *a);

#endif
