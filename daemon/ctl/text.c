/* Widths by wcwidth() in C.UTF-8, which every Debian has; elsewhere by the ranges that Unicode (UAX 11) calls wide. */
#include "text.h"

#include <locale.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { REPLACEMENT = 0xFFFD };

static bool has_locale;

void
text_init(void)
{
	has_locale = setlocale(LC_CTYPE, "C.UTF-8") != NULL || setlocale(LC_CTYPE, "C.utf8") != NULL || setlocale(LC_CTYPE, "en_US.UTF-8") != NULL;
}

/* Takes one character off a text that is not empty; REPLACEMENT and one byte where it is not UTF-8 (RFC 3629). */
static uint32_t
next_character(struct view *text)
{
	const unsigned char *p = (const unsigned char *)text->p;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
	uint32_t c = n == 1 ? p[0] : p[0] & (0xFFu >> (n + 1));
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (n > text->n || (p[0] >= 0x80 && p[0] < 0xC2) || p[0] > 0xF4)
		n = 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			n = 0;
		else
			c = c << 6 | (p[i] & 0x3F);
	}
	if (n == 0 || c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
		n = 1;
		c = REPLACEMENT;
	}
	text->p += n;
	text->n -= n;
	return c;
}

static int
range_width(uint32_t c)
{
	static const struct {
		uint32_t first, last;
		int width;
	} ranges[] = {
		{0x0300, 0x036F, 0}, {0x1100, 0x115F, 2}, {0x200B, 0x200F, 0}, {0x2E80, 0x303E, 2}, {0x3041, 0x33FF, 2}, {0x3400, 0x4DBF, 2},
		{0x4E00, 0x9FFF, 2}, {0xA000, 0xA4CF, 2}, {0xAC00, 0xD7A3, 2}, {0xF900, 0xFAFF, 2}, {0xFE00, 0xFE0F, 0}, {0xFE30, 0xFE6F, 2},
		{0xFF00, 0xFF60, 2}, {0xFFE0, 0xFFE6, 2}, {0x1F300, 0x1F64F, 2}, {0x1F900, 0x1F9FF, 2}, {0x20000, 0x3FFFD, 2},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return ranges[i].width;
	return 1;
}

/* -1: not for a terminal. Bidirectional controls reorder what is around them. */
static int
character_width(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029)
		return -1;
	return has_locale ? wcwidth((wchar_t)c) : range_width(c);
}

/* The next character and its width; one that is not for a terminal becomes U+FFFD. */
static struct view
next_shown(struct view *text, int *ret_width)
{
	struct view shown = *text;
	uint32_t c = next_character(text);
	int width = character_width(c);

	shown.n -= text->n;
	*ret_width = width;
	if (width >= 0 && c != REPLACEMENT)
		return shown;
	*ret_width = 1;
	return VIEW_LITERAL("\xEF\xBF\xBD");
}

int
text_width(struct view text)
{
	int columns = 0, width;

	while (text.n > 0) {
		next_shown(&text, &width);
		columns += width;
	}
	return columns;
}

void
text_put_all(FILE *out, struct view text)
{
	int width;

	while (text.n > 0) {
		struct view shown = next_shown(&text, &width);
		fwrite(shown.p, 1, shown.n, out);
	}
}

void
text_repeat(FILE *out, const char *character, int n)
{
	while (n-- > 0)
		fputs(character, out);
}

void
text_put(FILE *out, struct view text, int columns, enum text_align align)
{
	int total = text_width(text), width, used = 0;

	if (columns <= 0)
		return;
	if (total <= columns) {
		int blanks = columns - total, before = align == TEXT_RIGHT ? blanks : align == TEXT_CENTER ? blanks / 2 : 0;
		text_repeat(out, " ", before);
		text_put_all(out, text);
		text_repeat(out, " ", blanks - before);
		return;
	}
	while (text.n > 0) {
		struct view shown = next_shown(&text, &width);
		if (used + width > columns - 1)
			break;
		fwrite(shown.p, 1, shown.n, out);
		used += width;
	}
	fputs("…", out);
	text_repeat(out, " ", columns - 1 - used);
}

int
text_terminal_columns(FILE *out)
{
	struct winsize size;

	return isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
