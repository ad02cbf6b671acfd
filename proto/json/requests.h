/* The JSON API's requests: bodies to intakes and request structs, whose texts point into the body. Numbers keep their text, so decimals stay
 * exact. What is wrong is named by a JSON pointer (RFC 6901). The contract is openapi.yaml. */
#ifndef VB_PROTO_JSON_REQUESTS
#define VB_PROTO_JSON_REQUESTS

#include "proto/intake.h"

struct api_context {
	int64_t now;		/* microseconds */
	int offset;		/* of times without one, seconds east */
	size_t max_lines;
	struct view facility;	/* of the feed: where the body says none */
};

/* POST /v1/charges: {"as_of", "lines": [{…}]}. Lines are grouped by visit; charge_line.ordinal keeps their place, from 1. An empty list is a
 * heartbeat. intake->refused is set when the request as a whole is wrong. */
void api_charges_parse(struct view body, const struct api_context *c, struct intake *intake);

/* The same in steps, of a body that may be large. What is begun with must outlive the reading, which lies in the intake's arena. */
struct api_charges;
struct api_charges *api_charges_begin(struct view body, const struct api_context *c, struct intake *intake);
/* Goes on for about so many bytes. True at the end. */
bool api_charges_step(struct api_charges *r, size_t bytes);

/* POST /v1/visits: one visit, as event EVENT_OPEN. */
void api_visit_parse(struct view body, const struct api_context *c, struct intake *intake);

/* POST and DELETE /v1/visits/{facility}/{visit_no}/discharge: kind is EVENT_DISCHARGE or EVENT_REOPEN; the body may be empty. */
void api_discharge_parse(struct view body, const struct api_context *c, enum event_kind kind, struct view facility, struct view visit_no,
    struct intake *intake);

/* POST /v1/bills/{bill}/payments */
struct api_payment {
	struct view channel;
	int64_t amount;		/* fen, greater than 0 */
	int version;		/* 0: not said */
};
/* Texts are copied into the arena. Sets *ret_refused and returns -1 when the body is wrong. */
int api_payment_parse(struct view body, struct arena *a, struct api_payment *ret, struct refusal *ret_refused) __attribute__((warn_unused_result));

/* A body that says nothing but {"why"}, a person's reason; it is required. Copied into the arena. Sets *ret_refused and returns -1 when the body is wrong. */
int api_why_parse(struct view body, struct arena *a, struct view *ret, struct refusal *ret_refused) __attribute__((warn_unused_result));

#endif
