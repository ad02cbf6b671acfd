/* A text that is put together piece by piece in an arena: acknowledgements and JSON answers, which are made too often for printf. */
#ifndef VB_PROTO_TEXT_H
#define VB_PROTO_TEXT_H

#include <stdint.h>

#include "arena.h"

struct text {
	struct arena *a;
	char *p;
	size_t n, room;
};

/* An empty text that grows beyond `room` bytes as needed. What it holds is a view into the arena. */
static inline struct text
text_begin(struct arena *a, size_t room)
{
	return (struct text){a, arena_room(a, room), 0, room};
}

static inline struct view
text_view(const struct text *t)
{
	return (struct view){t->p, t->n};
}

/* Makes room for n more bytes. */
void text_grow(struct text *t, size_t n);

static inline void
text_put(struct text *t, struct view v)
{
	if (v.n > t->room - t->n)
		text_grow(t, v.n);
	if (v.n > 0)
		memcpy(t->p + t->n, v.p, v.n);
	t->n += v.n;
}

static inline void
text_string(struct text *t, const char *s)
{
	text_put(t, (struct view){s, strlen(s)});
}

static inline void
text_char(struct text *t, char c)
{
	text_put(t, (struct view){&c, 1});
}

/* In decimal. */
void text_number(struct text *t, int64_t v);

/* As a JSON string, with its quotes. v is UTF-8. */
void text_quoted(struct text *t, struct view v);

#endif
