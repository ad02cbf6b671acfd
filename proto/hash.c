/* SipHash (Aumasson and Bernstein, 2012) with one round a word and three at the end, and sets of texts on it. */
#include "hash.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "arena.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
turn(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void
sip_round(struct sip *s)
{
	s->v0 += s->v1, s->v1 = turn(s->v1, 13) ^ s->v0, s->v0 = turn(s->v0, 32);
	s->v2 += s->v3, s->v3 = turn(s->v3, 16) ^ s->v2;
	s->v0 += s->v3, s->v3 = turn(s->v3, 21) ^ s->v0;
	s->v2 += s->v1, s->v1 = turn(s->v1, 17) ^ s->v2, s->v2 = turn(s->v2, 32);
}

static inline void
sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

uint64_t
hash_text(struct view v, uint64_t more)
{
	static uint64_t key[2];		/* the same for all: a set lives no longer than its message */
	static bool drawn;
	uint64_t word;
	size_t i = 0;

	if (!drawn) {
		if (RAND_bytes((unsigned char *)key, sizeof(key)) != 1)
			abort();
		drawn = true;
	}
	struct sip s = {
		key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d), key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573),
	};
	sip_word(&s, more);
	for (; i + 8 <= v.n; i += 8) {
		memcpy(&word, v.p + i, 8);
		sip_word(&s, word);
	}
	word = 0;
	if (i < v.n)
		memcpy(&word, v.p + i, v.n - i);
	sip_word(&s, word | (uint64_t)v.n << 56);
	s.v2 ^= 0xFF;
	for (int round = 0; round < 3; round++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void
hash_set_init(struct hash_set *s, size_t texts, struct arena *a)
{
	s->size = 16;
	while (s->size < texts * 2)
		s->size *= 2;
	s->places = arena_alloc(a, s->size * sizeof(*s->places));
}
