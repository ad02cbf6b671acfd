/* JSON (RFC 8259), read strictly and in place: a tree of views into the text. It is on the path of every charge that comes over HTTP; documents that
 * are rare go through json-c. Stricter than the standard asks: a name stands once in an object (RFC 7493, section 2.3), and depth and members are bounded. */
#ifndef VB_PROTO_JSON_H
#define VB_PROTO_JSON_H

#include "arena.h"
#include "view.h"

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum { JSON_DEPTH = 8, JSON_MEMBERS = 64 };

struct json {
	enum json_kind kind;
	unsigned count;			/* elements or members */
	struct view name;		/* of a member */
	struct view text;		/* a number as it was written, a string's characters (may hold a NUL, from \u0000) */
	struct json *first;		/* element or member */
	struct json *next;		/* behind this one in its array or object */
};

/* Parses all of the text, which is valid UTF-8 and outlives the tree; strings with escapes are in the arena. NULL when it is not JSON: *ret_complaint
 * then says what is wrong, and *ret_at before which byte, from 0. */
const struct json *json_parse(struct view text, struct arena *a, const char **ret_complaint, size_t *ret_at);

/* The member of that name, NULL where there is none. */
const struct json *json_member(const struct json *object, struct view name);

#endif
