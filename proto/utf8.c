/* UTF-8 validation by the table of RFC 3629 section 4; eight ASCII bytes at a time. */
#include "utf8.h"

#include <stdint.h>

static size_t
ascii_prefix(const unsigned char *p, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t w;
		memcpy(&w, p + i, 8);
		/* any byte with the high bit set, or zero */
		if ((w & 0x8080808080808080u) != 0 || ((w - 0x0101010101010101u) & ~w & 0x8080808080808080u) != 0)
			break;
	}
	while (i < n && p[i] != 0 && p[i] < 0x80)
		i++;
	return i;
}

bool
ascii_is_valid(struct view text)
{
	return ascii_prefix((const unsigned char *)text.p, text.n) == text.n;
}

struct view
utf8_cut(struct view text, size_t most)
{
	if (text.n <= most)
		return text;
	while (most > 0 && ((unsigned char)text.p[most] & 0xC0) == 0x80)
		most--;
	return (struct view){text.p, most};
}

bool
utf8_is_valid(struct view text)
{
	const unsigned char *p = (const unsigned char *)text.p;
	size_t i = 0;

	while (i < text.n) {
		i += ascii_prefix(p + i, text.n - i);
		if (i == text.n)
			return true;
		unsigned char c = p[i], low = 0x80, high = 0xBF;
		size_t more;

		if (c >= 0xC2 && c <= 0xDF) {
			more = 1;
		} else if (c >= 0xE0 && c <= 0xEF) {
			more = 2;
			low = c == 0xE0 ? 0xA0 : 0x80;
			high = c == 0xED ? 0x9F : 0xBF;
		} else if (c >= 0xF0 && c <= 0xF4) {
			more = 3;
			low = c == 0xF0 ? 0x90 : 0x80;
			high = c == 0xF4 ? 0x8F : 0xBF;
		} else {
			return false;
		}
		if (text.n - i <= more || p[i + 1] < low || p[i + 1] > high)
			return false;
		for (size_t k = 2; k <= more; k++)
			if (p[i + k] < 0x80 || p[i + k] > 0xBF)
				return false;
		i += more + 1;
	}
	return true;
}
