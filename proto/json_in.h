/* Reading fields of a JSON object, with a JSON pointer to whatever is wrong. */
#ifndef VB_PROTO_JSON_IN_H
#define VB_PROTO_JSON_IN_H

#include <json-c/json.h>

#include "intake.h"

/* Where we are reading; the first thing that is wrong stays in *refused. */
struct json_in {
	struct json_object *object;
	const char *pointer;		/* of the object: "" or "/lines/3" */
	struct arena *a;
	struct refusal *refused;
};

/* Parses a whole body, which must be one object. NULL and *ret_refused when it is not. Give back with json_object_put. */
struct json_object *json_in_body(struct view body, struct arena *a, struct refusal *ret_refused);

/* A text field, copied into the arena; empty where absent or null. Too long, or not a text: refused. */
struct view json_in_text(const struct json_in *in, const char *key, size_t most);
/* The same, told apart: absent says nothing, null or "" deletes. */
struct value json_in_value(const struct json_in *in, const char *key, size_t most);
/* A decimal, as a text or a number. False where absent, or refused. */
bool json_in_decimal(const struct json_in *in, const char *key, unsigned digits, int64_t *ret);
/* A time of RFC 3339 or HL7. False where absent, or refused. */
bool json_in_time(const struct json_in *in, const char *key, int offset, int64_t *ret);
/* An object or array field, NULL where absent or of another type (then refused). */
struct json_object *json_in_child(const struct json_in *in, const char *key, enum json_type type);

void json_in_refuse(const struct json_in *in, const char *reason, const char *detail, const char *key);

#endif
