/* Errors of the API as application/problem+json (RFC 9457), from the table of reasons. */
#ifndef VB_PROTO_PROBLEM_H
#define VB_PROTO_PROBLEM_H

#include "arena.h"
#include "intake.h"

/* {"type","title","status","detail","reason","retry"[,"pointer"]}: in the arena. *ret_status is the HTTP status. */
struct view problem_json(struct arena *a, const struct refusal *r, int *ret_status);

/* The text as a JSON string with its quotes (RFC 8259 section 7). The text is UTF-8. */
struct view json_quote(struct arena *a, struct view text);

#endif
