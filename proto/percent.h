/* Percent-decoding of paths and queries (RFC 3986 section 2.1). */
#ifndef VB_PROTO_PERCENT_H
#define VB_PROTO_PERCENT_H

#include "arena.h"

/* The decoded bytes, NUL-terminated, in the arena; `plus`: + means a blank, as in a query. False, and nothing set, when an escape is malformed or
 * there is a NUL, escaped or not. Whether the bytes are text is not judged: see field_complaint. */
bool percent_decode(struct arena *a, struct view v, bool plus, struct view *ret) __attribute__((warn_unused_result));

#endif
