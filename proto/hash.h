/* A hash of bytes that a peer chose: SipHash-1-3 under a key that is drawn once a process, so that nobody can send a thousand keys of one place.
 * (view_hash is for keys of our own.) */
#ifndef VB_PROTO_HASH_H
#define VB_PROTO_HASH_H

#include "view.h"

/* `more` counts like eight more bytes: the hash of a second part of the key, or a number. */
uint64_t hash_text(struct view v, uint64_t more);

/* Texts told apart: open addressing in an arena, half full at most, for as many texts as were said. */
struct arena;
struct hash_place {
	uint64_t hash;
	uint32_t index;		/* of the text, + 1; 0: free */
};
struct hash_set {
	struct hash_place *places;
	size_t size;		/* a power of two */
};
void hash_set_init(struct hash_set *s, size_t texts, struct arena *a);

/* The place where a key of that hash is or would be: call with *at = hash first; each further call goes on to the next place. The caller compares
 * the key itself where the place is taken and its hash is equal; a free place is the caller's to fill. */
static inline struct hash_place *
hash_set_next(const struct hash_set *s, uint64_t hash, size_t *at)
{
	struct hash_place *p;

	do
		p = &s->places[(*at)++ & (s->size - 1)];
	while (p->index != 0 && p->hash != hash);
	return p;
}

#endif
