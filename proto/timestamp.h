/* Times of the wire to microseconds since 1970 UTC, and back. No clock: "now" is the caller's. */
#ifndef VB_PROTO_TIMESTAMP_H
#define VB_PROTO_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "view.h"

enum { TIMESTAMP_TEXT = 96 };

#define TIMESTAMP_SECOND INT64_C(1000000)
#define TIMESTAMP_DAY (INT64_C(86400) * TIMESTAMP_SECOND)

/* HL7 TS/DTM: YYYY[MM[DD[HH[MM[SS[.S{1,4}]]]]]][+-ZZZZ], and what senders also write: 2026-01-15T14:30:00[.s][Z|+08:00], 2026-01-15,
 * and 01/15/2025. Without an offset the time is local: `offset` is that of the hospital, in seconds east. Returns 0 or -1. */
int timestamp_parse(struct view text, int offset, int64_t *ret_us) __attribute__((warn_unused_result));

/* Does the time say its own offset? Then *ret_offset is it, in seconds east. A text that is no time says none. */
bool timestamp_has_offset(struct view text, int *ret_offset);

/* The same text as a calendar date: days since 1970-01-01. Returns 0 or -1. */
int timestamp_parse_date(struct view text, int32_t *ret_days) __attribute__((warn_unused_result));

/* YYYYMMDDHHMMSS+ZZZZ (HL7), or RFC 3339 with seconds. Returns buf. */
const char *timestamp_hl7(int64_t us, int offset, char buf[TIMESTAMP_TEXT]);
const char *timestamp_rfc3339(int64_t us, int offset, char buf[TIMESTAMP_TEXT]);

#endif
