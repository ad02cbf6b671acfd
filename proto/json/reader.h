/* JSON (RFC 8259), read strictly and in place: a tree of views into the text. It is on the path of every charge that comes over HTTP; documents that
 * are rare go through json-c. Stricter than the standard asks: a name stands once in an object (RFC 7493, section 2.3), and depth, members, names and the
 * number of values are bounded. */
#ifndef VB_PROTO_JSON_READER
#define VB_PROTO_JSON_READER

#include "proto/arena.h"
#include "proto/view.h"

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum { JSON_DEPTH = 8, JSON_MEMBERS = 64, JSON_NAME = 100 };	/* levels, members of an object, bytes of a name */

struct json {
	enum json_kind kind;		/* says which of the union is meant */
	struct view name;		/* of a member */
	union {
		struct view text;	/* a number as it was written, a string's characters (may hold a NUL, from \u0000) */
		struct {
			struct json *first;	/* element or member */
			size_t count;		/* of them, in an array or object */
		};
	};
	struct json *next;		/* after this one in its array or object */
};

/* Why a text was not taken. */
struct json_error {
	const char *complaint;
	size_t at;		/* before which byte, from 0 */
	bool too_many;		/* it has more values than its length allows: it may be JSON, but its tree would be many times as large */
};

/* Parses all of the text, which is valid UTF-8 and outlives the tree; strings with escapes are in the arena. NULL when it is not JSON, or when it has more
 * than JSON_VALUES and one a JSON_BYTES bytes: no name of ours is so short that a request could, and so the tree is at most eight times the text (one value
 * is 48 bytes) and 48 KiB. */
enum { JSON_VALUES = 1000, JSON_BYTES = 8 };
const struct json *json_parse(struct view text, struct arena *a, struct json_error *ret_error);

/* The same in steps, of a text that may be large. */
struct json_reading {
	const char *start, *p, *end;
	struct arena *a;
	const char *complaint;
	size_t values_left;
	bool too_many;
	struct json *root;
	/* the arrays and objects around what comes next, their last members, and bits of the names that are there */
	struct { struct json *in, *last; uint64_t seen; } open[JSON_DEPTH];
	int depth;
};
enum json_result { JSON_DONE, JSON_MORE, JSON_WRONG };
void json_begin(struct json_reading *r, struct view text, struct arena *a);
/* Goes on for about so many bytes; a string is read at once. The tree is set at the end, the error when the text is not JSON. */
enum json_result json_step(struct json_reading *r, size_t bytes, const struct json **ret, struct json_error *ret_error);

/* The member of that name, NULL where there is none. */
const struct json *json_member(const struct json *object, struct view name);

#endif
