/* An arena: memory of one message or request, given back all at once. Nothing in it is freed alone. */
#ifndef VB_PROTO_ARENA_H
#define VB_PROTO_ARENA_H

#include "view.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunk;	/* newest first */
	size_t used;			/* in the newest */
	size_t size;			/* of the newest */
	size_t total;			/* bytes taken from malloc, for limits */
};

/* An empty arena whose first chunk holds `hint` bytes. Out of memory ends the process: nothing that was acknowledged
 * is lost by that. */
void arena_init(struct arena *a, size_t hint);

/* Gives everything back. An arena of zeros is fine. */
void arena_free(struct arena *a);

/* n bytes, zeroed, aligned for any object. Owned by the arena. */
void *arena_alloc(struct arena *a, size_t n);
/* The same, not zeroed: for bytes that are written at once. */
void *arena_room(struct arena *a, size_t n);

/* Keeps the first `keep` bytes of p, which was the last thing allocated and of n bytes; the rest may be handed out again. */
void arena_shrink(struct arena *a, void *p, size_t n, size_t keep);

/* A copy of the bytes. */
struct view arena_copy(struct arena *a, const char *p, size_t n);

/* The two texts, with `between` in the middle, as one. */
struct view arena_join(struct arena *a, struct view first, const char *between, struct view second);

/* Formatted text, NUL-terminated. */
const char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(2), returns_nonnull));

#endif
