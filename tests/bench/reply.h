/* The task is to find one reply in received bytes and judge it: an MLLP acknowledgement must be AA for the control id that was sent, an HTTP reply 200
 * with the expected text in it. Anything else is a failure, never a success by default. */
#ifndef VB_BENCH_REPLY_H
#define VB_BENCH_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reply_result { REPLY_MORE, REPLY_GOOD, REPLY_BAD };

/* A frame from p on; *used is its size. expected: the control id. */
enum reply_result reply_mllp(const char *p, size_t n, const char *expected, size_t expected_n, size_t *used);

struct http_reply {
	int status;
	const char *body;
	size_t body_n, used;
};

/* A whole reply with Content-Length, or without a body (204, 304). REPLY_BAD: not HTTP. */
enum reply_result reply_http(const char *p, size_t n, struct http_reply *ret);

/* Such a reply with status 200 and `contains` in its body. */
enum reply_result reply_http_judge(const char *p, size_t n, const char *contains, size_t *used);

/* The value of a header field of the request or reply whose first byte is p and whose empty line begins at end; copied, false when it is not there. */
bool http_header_value(const char *p, const char *end, const char *name, char *to, size_t size);

/* The value of "key":"…" in a flat JSON text, copied; false when it is not there or too long. No escapes. */
bool json_find(const char *p, size_t n, const char *key, char *to, size_t size);

#endif
