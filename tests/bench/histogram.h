/* The task is to keep the distribution of latencies in little memory and constant time: buckets as in HdrHistogram, 128 to each power of two, so a
 * value read back is at most 1/128 above the recorded one. Nanoseconds, up to about 18 minutes; longer ones count as that. */
#ifndef VB_BENCH_HISTOGRAM_H
#define VB_BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_SUB = 128, HISTOGRAM_POWERS = 34 };

struct histogram {
	uint64_t counts[(HISTOGRAM_POWERS + 1) * HISTOGRAM_SUB];
	uint64_t n;
	int64_t max;
	double sum;
};

void histogram_add(struct histogram *h, int64_t ns);
void histogram_merge(struct histogram *to, const struct histogram *from);

/* The smallest bucket's upper end that share (0 to 1) of all values do not exceed; 0 when there are none. */
int64_t histogram_quantile(const struct histogram *h, double share);

#endif
