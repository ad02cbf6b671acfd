/* The arena: chunks from malloc, handed out from front to back. It does not track what it gave. */
#include "arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_MAX = 1 << 20 };	/* of those that follow the first, but for one that holds a single larger thing */

struct arena_chunk {
	struct arena_chunk *next;
	_Alignas(max_align_t) char bytes[];
};

static void
arena_grow(struct arena *a, size_t n)
{
	struct arena_chunk *c = malloc(sizeof(*c) + n);

	if (c == NULL)
		abort();
	c->next = a->chunk;
	a->chunk = c;
	a->used = 0;
	a->size = n;
	a->total += n;
}

void
arena_init(struct arena *a, size_t hint)
{
	*a = (struct arena){0};
	arena_grow(a, hint < 256 ? 256 : hint);
}

void
arena_free(struct arena *a)
{
	while (a->chunk != NULL) {
		struct arena_chunk *c = a->chunk;
		a->chunk = c->next;
		free(c);
	}
	*a = (struct arena){0};
}

void *
arena_room(struct arena *a, size_t n)
{
	size_t need = (n + 15) & ~(size_t)15;

	if (a->size - a->used < need) {
		/* after a first chunk for the whole message come small ones: what is beyond it is seldom as much again */
		size_t chunk = a->size < 65536 ? a->size * 2 + 1024 : a->size < CHUNK_MAX ? a->size : CHUNK_MAX;
		arena_grow(a, chunk < need ? need : chunk);
	}
	void *p = a->chunk->bytes + a->used;
	a->used += need;
	return p;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	return memset(arena_room(a, n), 0, n);
}

void
arena_shrink(struct arena *a, void *p, size_t n, size_t keep)
{
	size_t from = (size_t)((char *)p - a->chunk->bytes);

	assert((char *)p >= a->chunk->bytes && keep <= n && from + ((n + 15) & ~(size_t)15) == a->used);
	a->used = from + ((keep + 15) & ~(size_t)15);
}

struct view
arena_copy(struct arena *a, const char *p, size_t n)
{
	char *copy = arena_room(a, n + 1);

	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return (struct view){copy, n};
}

struct view
arena_join(struct arena *a, struct view first, const char *between, struct view second)
{
	size_t middle = strlen(between), n = first.n + middle + second.n;
	char *text = arena_alloc(a, n + 1);

	if (first.n > 0)
		memcpy(text, first.p, first.n);
	memcpy(text + first.n, between, middle);
	if (second.n > 0)
		memcpy(text + first.n + middle, second.p, second.n);
	return (struct view){text, n};
}

const char *
arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char *text = a->chunk != NULL ? a->chunk->bytes + a->used : NULL;
	size_t room = a->size - a->used;

	/* nearly always there is room for it already */
	va_start(args, format);
	int n = vsnprintf(text, room, format, args);
	va_end(args);
	size_t need = (size_t)n + 1;
	if (need <= room) {
		a->used += (need + 15) & ~(size_t)15;
		if (a->used > a->size)
			a->used = a->size;
		return text;
	}
	text = arena_alloc(a, need);
	va_start(args, format);
	vsnprintf(text, need, format, args);
	va_end(args);
	return text;
}
