/* Looking for single bytes eight at a time. HL7's fields are short: a call of memchr costs more than the looking. */
#ifndef VB_PROTO_SCAN_H
#define VB_PROTO_SCAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define SCAN_ONES UINT64_C(0x0101010101010101)

/* The next eight bytes; the first one is the lowest. */
static inline uint64_t
scan_word(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

/* The byte, eight times over. */
static inline uint64_t
scan_pattern(char c)
{
	return (unsigned char)c * SCAN_ONES;
}

/* The high bit of each byte of word that is pattern's; of no other. */
static inline uint64_t
scan_hits(uint64_t word, uint64_t pattern)
{
	const uint64_t low = SCAN_ONES * 0x7F, x = word ^ pattern;

	return ~(((x & low) + low) | x | low);
}

/* The same for less, where the first one is all that is wanted: of what is above the lowest hit, some may be none. */
static inline uint64_t
scan_lowest(uint64_t word, uint64_t pattern)
{
	const uint64_t x = word ^ pattern;

	return (x - SCAN_ONES) & ~x & SCAN_ONES * 0x80;
}

/* A high bit at the lowest byte that is less than `limit` (at most 0x80), and maybe at others above it; 0 where there is none. */
static inline uint64_t
scan_below(uint64_t word, unsigned limit)
{
	return (word - limit * SCAN_ONES) & ~word & SCAN_ONES * 0x80;
}

/* Which byte the lowest hit is. hits is not 0. */
static inline unsigned
scan_first(uint64_t hits)
{
	return (unsigned)__builtin_ctzll(hits) / 8;
}

/* The first byte that is a, b or c; end where there is none. Two of them may be the same. */
static inline const char *
scan_for(const char *p, const char *end, char a, char b, char c)
{
	const uint64_t as = scan_pattern(a), bs = scan_pattern(b), cs = scan_pattern(c);

	if (end - p < 8) {
		while (p < end && *p != a && *p != b && *p != c)
			p++;
		return p;
	}
	for (;;) {
		uint64_t word = scan_word(p), hits = scan_lowest(word, as) | scan_lowest(word, bs) | scan_lowest(word, cs);
		if (hits != 0)
			return p + scan_first(hits);
		if (end - p == 8)
			return end;
		p = end - p < 16 ? end - 8 : p + 8;	/* the last word once more from its end: what was looked at holds no hit */
	}
}

#endif
