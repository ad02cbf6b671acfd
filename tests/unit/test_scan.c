/* Looking for bytes eight at a time gives what looking one by one gives: every length to 40, every place, every byte. */
#include "check_main.h"

#include "proto/scan.h"

enum { LONGEST = 40 };

static const char *
one_by_one(const char *p, const char *end, char a, char b, char c)
{
	while (p < end && *p != a && *p != b && *p != c)
		p++;
	return p;
}

/* A block that ends where the text ends, so that a byte too far is seen. */
static char *
block(size_t n)
{
	char *p = malloc(n > 0 ? n : 1);

	ck_assert_ptr_nonnull(p);
	return p;
}

START_TEST(the_first_of_three_is_found)
{
	static const char fillers[] = {'x', '\x01', '|' - 1, '|' + 1, '\0', '\xFF', '\x7C' ^ '\x80'};

	for (size_t n = 0; n <= LONGEST; n++) {
		char *text = block(n);
		for (size_t filler = 0; filler < sizeof(fillers); filler++)
			for (size_t first = 0; first <= n; first++)
				for (size_t second = first; second <= n; second += 3) {
					memset(text, fillers[filler], n);
					if (second < n)
						text[second] = '^';
					if (first < n)
						text[first] = '|';
					ck_assert_ptr_eq(scan_for(text, text + n, '|', '^', '^'), one_by_one(text, text + n, '|', '^', '^'));
					ck_assert_ptr_eq(scan_for(text, text + n, '^', '&', '~'), one_by_one(text, text + n, '^', '&', '~'));
				}
		free(text);
	}
}
END_TEST

START_TEST(every_byte_is_told_from_every_other)
{
	for (int byte = 0; byte < 256; byte++)
		for (int other = 0; other < 256; other++)
			for (unsigned place = 0; place < 8; place++) {
				uint64_t word = (uint64_t)other * SCAN_ONES ^ (uint64_t)(byte ^ other) << place * 8;
				uint64_t hits = scan_hits(word, scan_pattern((char)byte));
				uint64_t lowest = scan_lowest(word, scan_pattern((char)byte));
				ck_assert_uint_eq(lowest & -lowest, hits & -hits);
				if (byte == other)
					ck_assert_uint_eq(hits, SCAN_ONES * 0x80);
				else
					ck_assert_uint_eq(hits, UINT64_C(0x80) << place * 8);
			}
}
END_TEST

START_TEST(the_first_that_is_less_is_found)
{
	for (unsigned byte = 0; byte < 256; byte++)
		for (unsigned other = 0x20; other < 256; other++)
			for (unsigned place = 0; place < 8; place++) {
				uint64_t word = other * SCAN_ONES ^ (uint64_t)(byte ^ other) << place * 8;
				uint64_t hits = scan_below(word, 0x20);
				ck_assert_int_eq(hits != 0, byte < 0x20);
				if (hits != 0)
					ck_assert_uint_eq(scan_first(hits), place);
			}
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("scan");

	tcase_add_test(run.tcase, the_first_of_three_is_found);
	tcase_add_test(run.tcase, every_byte_is_told_from_every_other);
	tcase_add_test(run.tcase, the_first_that_is_less_is_found);
	return check_end(run);
}
