/* UTF-8 (RFC 3629): is it well formed, and where to cut it. */
#ifndef VB_PROTO_UTF8_H
#define VB_PROTO_UTF8_H

#include "view.h"

/* True when the bytes are well-formed UTF-8 without NUL, which PostgreSQL's text takes. */
bool utf8_is_valid(struct view text);

/* At most `most` bytes from the front, cut before a character. */
struct view utf8_cut(struct view text, size_t most);

/* True when every byte is ASCII and not NUL. */
bool ascii_is_valid(struct view text);

#endif
