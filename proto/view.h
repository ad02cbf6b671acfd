/* A view: bytes that somebody else owns. What it points into must outlive it; it is not terminated by NUL. */
#ifndef VB_PROTO_VIEW_H
#define VB_PROTO_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct view {
	const char *p;
	size_t n;
};

#define VIEW_NONE ((struct view){NULL, 0})
#define VIEW_LITERAL(s) ((struct view){(s), sizeof(s) - 1})

static inline struct view
view_of(const char *s)
{
	return (struct view){s, s != NULL ? strlen(s) : 0};
}

static inline bool
view_is(struct view v, const char *s)
{
	return v.n == strlen(s) && (v.n == 0 || memcmp(v.p, s, v.n) == 0);
}

static inline bool
view_equal(struct view a, struct view b)
{
	return a.n == b.n && (a.n == 0 || (*a.p == *b.p && memcmp(a.p, b.p, a.n) == 0));	/* most that differ do so at once: no call */
}

/* FNV-1a, carried on from h: short keys, no adversary. Start with VIEW_HASH. */
#define VIEW_HASH UINT64_C(1469598103934665603)
static inline uint64_t
view_hash(uint64_t h, struct view v)
{
	for (size_t i = 0; i < v.n; i++)
		h = (h ^ (unsigned char)v.p[i]) * UINT64_C(1099511628211);
	return h;
}

/* Without blanks at either end. */
static inline struct view
view_trim(struct view v)
{
	while (v.n > 0 && (*v.p == ' ' || *v.p == '\t'))
		v.p++, v.n--;
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	return v;
}

#endif
