/* Percent-decoding: what it gives is never longer than what it reads. */
#include "percent.h"

#include "digits.h"

bool
percent_decode(struct arena *a, struct view v, bool plus, struct view *ret)
{
	char *out = arena_alloc(a, v.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];
		if (c == '%') {
			int high = v.n - i > 2 ? digit_hex(v.p[i + 1]) : -1, low = v.n - i > 2 ? digit_hex(v.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c == '\0')
			return false;
		out[n++] = c;
	}
	*ret = (struct view){out, n};
	return true;
}
