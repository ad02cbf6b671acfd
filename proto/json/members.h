/* Reading fields of a JSON object, with a JSON pointer to whatever is wrong. */
#ifndef VB_PROTO_JSON_MEMBERS
#define VB_PROTO_JSON_MEMBERS

#include "proto/fields.h"
#include "proto/intake.h"
#include "reader.h"

/* Where we are reading; the first thing that is wrong stays in *refused. */
struct json_in {
	const struct json *object;
	const char *pointer;		/* of the object: "", or of its array: "/lines" */
	long index;			/* in that array; -1 when it is not in one */
	struct arena *a;
	struct refusal *refused;
	size_t found;			/* members that were asked for and are there: each is asked for once */
};

/* Parses a whole body, which must be one object in UTF-8. NULL and *ret_refused when it is not. The tree is in the arena, and it and the texts read
 * from it point into the body. */
const struct json *json_in_body(struct view body, struct arena *a, struct refusal *ret_refused);

/* The same in steps, of a body that may be large. */
struct json_in_reading {
	struct view body, unchecked;	/* what is not yet known to be UTF-8 */
	struct arena *a;
	struct json_reading json;
};
void json_in_begin(struct json_in_reading *r, struct view body, struct arena *a);
/* Goes on for about so many bytes. True at the end: *ret is the object, or NULL with *ret_refused. */
bool json_in_step(struct json_in_reading *r, size_t bytes, const struct json **ret, struct refusal *ret_refused);

/* A text without blanks around it; empty where absent or null. Not a text, or against the table of fields: refused, and empty. */
struct view json_in_text(struct json_in *in, const char *key, enum field field);
/* The same, told apart: absent says nothing, null or "" deletes. */
struct value json_in_value(struct json_in *in, const char *key, enum field field);
/* The same without the table, for a charge line's texts: charge_line_check judges them, whichever way they came. */
struct view json_in_any_text(struct json_in *in, const char *key);
/* A decimal, as a text or a number. False where absent, or refused. */
bool json_in_decimal(struct json_in *in, const char *key, unsigned digits, int64_t *ret);
/* A time of RFC 3339 or HL7. False where absent, or refused. */
bool json_in_time(struct json_in *in, const char *key, int offset, int64_t *ret);
/* true or false; false where absent or null. Anything else: refused, and false. */
bool json_in_flag(struct json_in *in, const char *key);
/* An object or array field, NULL where absent or of another kind (then refused). */
const struct json *json_in_child(struct json_in *in, const char *key, enum json_kind kind);

/* The pointer of the first member that nobody has asked for, NULL where all are known. names: those that there can be, NULL at the end. Called once all
 * have been asked for: a name that was mistyped must not be left out in silence. */
const char *json_in_unknown(struct json_in *in, const char *const *names);

/* The JSON pointer of a field, "" for the object itself. */
const char *json_in_pointer(const struct json_in *in, const char *key);
void json_in_refuse(const struct json_in *in, const char *reason, const char *detail, const char *key);

#endif
