/* Buckets: value v with its highest bit at b lies in power b - 6, and its next seven bits say where in it; see histogram.h. */
#include "histogram.h"

#include <stddef.h>

static size_t
index_of(int64_t ns)
{
	uint64_t v = ns > 0 ? (uint64_t)ns : 0;

	if (v < HISTOGRAM_SUB)
		return (size_t)v;
	unsigned power = 63U - (unsigned)__builtin_clzll(v) - 7U;	/* v >> power lies in 128 to 255 */
	if (power >= HISTOGRAM_POWERS)
		return sizeof(((struct histogram *)0)->counts) / sizeof(uint64_t) - 1;
	return (size_t)(power + 1) * HISTOGRAM_SUB + (size_t)((v >> power) - HISTOGRAM_SUB);
}

static int64_t
upper_end(size_t index)
{
	if (index < HISTOGRAM_SUB)
		return (int64_t)index;
	size_t power = index / HISTOGRAM_SUB - 1;
	return (int64_t)((((uint64_t)(index % HISTOGRAM_SUB) + HISTOGRAM_SUB + 1) << power) - 1);
}

void
histogram_add(struct histogram *h, int64_t ns)
{
	h->counts[index_of(ns)]++;
	h->n++;
	h->sum += (double)ns;
	if (ns > h->max)
		h->max = ns;
}

void
histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (size_t i = 0; i < sizeof(to->counts) / sizeof(to->counts[0]); i++)
		to->counts[i] += from->counts[i];
	to->n += from->n;
	to->sum += from->sum;
	if (from->max > to->max)
		to->max = from->max;
}

int64_t
histogram_quantile(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)h->n + 0.999999), seen = 0;

	for (size_t i = 0; i < sizeof(h->counts) / sizeof(h->counts[0]); i++) {
		seen += h->counts[i];
		if (seen > 0 && seen >= wanted)
			return upper_end(i) < h->max ? upper_end(i) : h->max;
	}
	return 0;
}
