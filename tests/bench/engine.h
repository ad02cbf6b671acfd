/* The task is to keep connections busy and to judge what comes back, on one epoll. A worker is one thread with connections of its own; it works in a
 * closed loop (each connection has a window of requests in flight) or in an open one (requests leave at a fixed rate whatever comes back, and latency
 * counts from the moment a request was due, so waiting behind a slow one is not left out). It does not know what a request says: its user renders. */
#ifndef VB_BENCH_ENGINE_H
#define VB_BENCH_ENGINE_H

#include "common.h"
#include "histogram.h"
#include "reply.h"
#include "wire.h"

struct engine_options {
	const char *address;
	SSL_CTX *tls;			/* NULL: plain */
	unsigned connections;
	unsigned window;		/* closed loop */
	double rate;			/* open loop: requests a second; 0: closed */
	uint64_t serial, stride;	/* this worker's requests have the numbers serial, serial + stride, … */
	int64_t start_ns;		/* of the open loop's schedule; replies count from start_ns + warm_ns */
	int64_t warm_ns, measure_ns;
	uint64_t count;			/* instead of these times: this many requests; 0: by time */

	void (*render)(void *ctx, struct buffer *out, uint64_t serial);
	enum reply_result (*judge)(void *ctx, const char *p, size_t n, uint64_t serial, size_t *used);
	void *ctx;
};

struct engine_result {
	uint64_t sent, good, bad, lost;	/* of the whole run; lost: never answered */
	uint64_t measured;		/* good ones in the measured time */
	int64_t from_ns, to_ns;		/* that time */
	struct histogram latency;
	char complaint[300];		/* the first bad reply's beginning */
};

/* Runs to the end, and then waits for what is in flight. */
void engine_run(const struct engine_options *o, struct engine_result *ret);

#endif
