/* UTF-8 by the table of RFC 3629 section 4, at every place in a word of eight bytes. */
#include "check_main.h"

#include <stdint.h>

#include "proto/utf8.h"

static const struct {
	struct view bytes;
	bool utf8, ascii;
} rows[] = {
	{{NULL, 0}, true, true}, {VIEW_LITERAL(""), true, true}, {VIEW_LITERAL("a"), true, true}, {VIEW_LITERAL("\x7F"), true, true},
	{VIEW_LITERAL("\x01\t\r\n"), true, true},
	{VIEW_LITERAL("12345678"), true, true}, {VIEW_LITERAL("123456789"), true, true},
	{VIEW_LITERAL("\0"), false, false},
	/* the ends of each row of the table */
	{VIEW_LITERAL("\xC2\x80"), true, false}, {VIEW_LITERAL("\xDF\xBF"), true, false},
	{VIEW_LITERAL("\xE0\xA0\x80"), true, false}, {VIEW_LITERAL("\xE0\xBF\xBF"), true, false},
	{VIEW_LITERAL("\xE1\x80\x80"), true, false}, {VIEW_LITERAL("\xEC\xBF\xBF"), true, false},
	{VIEW_LITERAL("\xED\x80\x80"), true, false}, {VIEW_LITERAL("\xED\x9F\xBF"), true, false},
	{VIEW_LITERAL("\xEE\x80\x80"), true, false}, {VIEW_LITERAL("\xEF\xBF\xBF"), true, false},
	{VIEW_LITERAL("\xF0\x90\x80\x80"), true, false}, {VIEW_LITERAL("\xF0\xBF\xBF\xBF"), true, false},
	{VIEW_LITERAL("\xF1\x80\x80\x80"), true, false}, {VIEW_LITERAL("\xF3\xBF\xBF\xBF"), true, false},
	{VIEW_LITERAL("\xF4\x80\x80\x80"), true, false}, {VIEW_LITERAL("\xF4\x8F\xBF\xBF"), true, false},
	{VIEW_LITERAL("\xE7\x8E\x8B\xE8\x8A\xB3"), true, false},	/* 王芳 */
	{VIEW_LITERAL("\xF0\xA0\xAE\xB7"), true, false},		/* 𠮷 */
	/* just outside of them */
	{VIEW_LITERAL("\x80"), false, false}, {VIEW_LITERAL("\xBF"), false, false},
	{VIEW_LITERAL("\xC0\x80"), false, false}, {VIEW_LITERAL("\xC1\xBF"), false, false},	/* overlong */
	{VIEW_LITERAL("\xE0\x9F\xBF"), false, false}, {VIEW_LITERAL("\xF0\x8F\xBF\xBF"), false, false},
	{VIEW_LITERAL("\xED\xA0\x80"), false, false}, {VIEW_LITERAL("\xED\xBF\xBF"), false, false},	/* surrogates */
	{VIEW_LITERAL("\xF4\x90\x80\x80"), false, false}, {VIEW_LITERAL("\xF5\x80\x80\x80"), false, false},
	{VIEW_LITERAL("\xF8\x88\x80\x80\x80"), false, false}, {VIEW_LITERAL("\xFE"), false, false}, {VIEW_LITERAL("\xFF"), false, false},
	/* wrong or missing continuations */
	{VIEW_LITERAL("\xC2"), false, false}, {VIEW_LITERAL("\xC2" "a"), false, false}, {VIEW_LITERAL("\xC2\xC2"), false, false},
	{VIEW_LITERAL("\xE7"), false, false}, {VIEW_LITERAL("\xE7\x8E"), false, false}, {VIEW_LITERAL("\xE7\x8E" "a"), false, false},
	{VIEW_LITERAL("\xF0\xA0\xAE"), false, false}, {VIEW_LITERAL("\xF0\xA0\xAE" "a"), false, false},
	{VIEW_LITERAL("\xF0\xA0" "a\xB7"), false, false}, {VIEW_LITERAL("\xE7\x8E\x8B\x8B"), false, false},
	{VIEW_LITERAL("\xCD\xF5"), false, false},			/* 王 in GB 18030 */
};

/* The bytes with n letters in front and some behind, in memory that ends where they end. */
static struct view
padded(struct view bytes, size_t front, size_t behind, char **ret_free)
{
	char *p = malloc(front + bytes.n + behind + 1);

	ck_assert_ptr_nonnull(p);
	memset(p, 'x', front + bytes.n + behind + 1);
	if (bytes.n > 0)
		memcpy(p + front, bytes.p, bytes.n);
	*ret_free = p;
	return (struct view){p, front + bytes.n + behind};
}

START_TEST(every_row_at_every_place)
{
	char *p;

	ck_assert_msg(utf8_is_valid(rows[_i].bytes) == rows[_i].utf8, "row %d", _i);
	ck_assert_msg(ascii_is_valid(rows[_i].bytes) == rows[_i].ascii, "row %d", _i);
	for (size_t front = 0; front < 18; front++)
		for (size_t behind = 0; behind < 10; behind++) {
			struct view v = padded(rows[_i].bytes, front, behind, &p);
			ck_assert_msg(utf8_is_valid(v) == rows[_i].utf8, "row %d behind %zu letters", _i, front);
			ck_assert_msg(ascii_is_valid(v) == rows[_i].ascii, "row %d behind %zu letters", _i, front);
			free(p);
		}
}
END_TEST

/* An independent judge: decode by arithmetic, then look at the number. */
static bool
decodes(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t more = p[i] < 0x80 ? 0 : p[i] >= 0xF0 ? 3 : p[i] >= 0xE0 ? 2 : 1;
		uint32_t c = more == 0 ? p[i] : p[i] & (0x3Fu >> more);
		static const uint32_t least[] = {1, 0x80, 0x800, 0x10000};
		if (p[i] >= 0xF8 || (p[i] >= 0x80 && p[i] < 0xC0) || i + more >= n)
			return false;
		for (size_t k = 1; k <= more; k++) {
			if ((p[i + k] & 0xC0) != 0x80)
				return false;
			c = c << 6 | (p[i + k] & 0x3F);
		}
		if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
			return false;
		i += more + 1;
	}
	return true;
}

START_TEST(all_pairs_and_the_edges_of_triples_agree_with_a_decoder)
{
	static const unsigned char edges[] = {
		0x00, 0x01, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF,
		0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF,
	};
	unsigned char b[4];

	for (unsigned i = 0; i < 65536; i++) {
		b[0] = (unsigned char)(i >> 8);
		b[1] = (unsigned char)i;
		ck_assert_msg(utf8_is_valid((struct view){(char *)b, 2}) == decodes(b, 2), "%02X %02X", b[0], b[1]);
		for (size_t k = 0; k < sizeof(edges); k++)
			for (size_t l = 0; l < sizeof(edges); l++) {
				b[2] = edges[k];
				b[3] = edges[l];
				if (utf8_is_valid((struct view){(char *)b, 4}) != decodes(b, 4))
					ck_abort_msg("%02X %02X %02X %02X", b[0], b[1], b[2], b[3]);
			}
	}
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("utf8");

	check_add_rows(run, every_row_at_every_place, rows);
	tcase_add_test(run.tcase, all_pairs_and_the_edges_of_triples_agree_with_a_decoder);
	return check_end(run);
}
