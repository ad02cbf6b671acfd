/* The table. A key that was last seen in another step is new to this one: items of an earlier step are not in this step's arrays. */
#include "batch_items.h"

#include <stdlib.h>

#include "base/memory.h"
#include "proto/hash.h"

struct item_place {
	struct item_key key;		/* its code is NULL: free */
	uint64_t hash;
	unsigned step;
	uint32_t position;
};

static uint64_t
hash_key(const struct item_key *key)
{
	uint64_t h = hash_text(key->code, (uint64_t)key->facility_id << 32 ^ (uint64_t)(uint32_t)key->day);

	return h ^ h >> 29;
}

void
item_table_free(struct item_table *t)
{
	free(t->places);
	*t = (struct item_table){0};
}

void
item_table_reset(struct item_table *t, size_t keys)
{
	size_t size = 64;

	while (size < keys * 2)
		size *= 2;
	if (size == t->size) {
		memset(t->places, 0, size * sizeof(*t->places));
		return;
	}
	free(t->places);
	t->places = memory_new(size * sizeof(*t->places));
	t->size = size;
}

uint32_t
item_table_position(struct item_table *t, const struct item_key *key, unsigned step, uint32_t fresh)
{
	uint64_t hash = hash_key(key);

	for (size_t i = hash & (t->size - 1);; i = (i + 1) & (t->size - 1)) {
		struct item_place *p = &t->places[i];
		bool same = p->key.code.p != NULL && p->hash == hash && p->key.facility_id == key->facility_id && p->key.day == key->day
		    && view_equal(p->key.code, key->code);
		if (same && p->step == step)
			return p->position;
		if (same || p->key.code.p == NULL) {
			*p = (struct item_place){*key, hash, step, fresh};
			return 0;
		}
	}
}
