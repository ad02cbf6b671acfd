/* What of a text is not inline. */
#include "text.h"

#include "digits.h"

void
text_grow(struct text *t, size_t n)
{
	size_t room = (t->n + n) * 2;
	char *bigger = arena_room(t->a, room);

	memcpy(bigger, t->p, t->n);
	t->p = bigger;
	t->room = room;
}

void
text_number(struct text *t, int64_t v)
{
	char digits[DIGITS_MAX];
	size_t n = digits_of(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 1, digits);

	if (v < 0)
		text_char(t, '-');
	text_put(t, (struct view){digits, n});
}

void
text_quoted(struct text *t, struct view v)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = 0;

	text_char(t, '"');
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		text_put(t, (struct view){v.p + from, i - from});
		from = i + 1;
		const char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		if (c < 0x20)
			text_put(t, (struct view){escape, sizeof(escape)});
		else
			text_put(t, (struct view){(const char[]){'\\', (char)c}, 2});
	}
	if (v.n > from)
		text_put(t, (struct view){v.p + from, v.n - from});
	text_char(t, '"');
}
