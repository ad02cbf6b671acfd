/* The task is TLS 1.3 handshakes as fast as a server makes them: connect, shake hands, wait for the server's ticket (which proves that the server has
 * finished, too), close, again, on so many connections at a time. Resumed ones use the newest ticket. The server's certificate chain is not verified:
 * its signature is, and what counts is what the server has to do. */
#ifndef VB_BENCH_HANDSHAKES_H
#define VB_BENCH_HANDSHAKES_H

#include "common.h"
#include "histogram.h"

struct handshakes_options {
	const char *address;
	unsigned connections;
	bool resumed;
	int64_t warm_ns, measure_ns;
};

struct handshakes_result {
	uint64_t done, all_done, failures;	/* done: in the measured time */
	struct histogram latency;		/* from connecting to the ticket */
	char complaint[200];
};

void handshakes_run(const struct handshakes_options *o, struct handshakes_result *ret);

#endif
