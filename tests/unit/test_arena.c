/* The arena: alignment, zeroes, growth, large pieces, and giving everything back. */
#include "check_main.h"

#include <stdint.h>

#include "proto/arena.h"

START_TEST(pieces_are_aligned_and_zeroed)
{
	struct arena a;

	arena_init(&a, 64);
	for (size_t n = 1; n < 300; n++) {
		unsigned char *p = arena_alloc(&a, n);
		ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_eq(p[i], 0);
		memset(p, 0xAA, n);
	}
	arena_free(&a);
}
END_TEST

START_TEST(pieces_do_not_overlap)
{
	enum { PIECES = 400 };
	unsigned char *p[PIECES];
	struct arena a;

	arena_init(&a, 0);
	for (size_t i = 0; i < PIECES; i++) {
		p[i] = arena_alloc(&a, i + 1);
		memset(p[i], (int)(i % 251), i + 1);
	}
	for (size_t i = 0; i < PIECES; i++)
		for (size_t k = 0; k <= i; k++)
			ck_assert_uint_eq(p[i][k], i % 251);
	arena_free(&a);
}
END_TEST

START_TEST(a_piece_may_be_larger_than_a_chunk)
{
	struct arena a;
	const size_t large = 1000000;

	arena_init(&a, 100);
	char *before = arena_alloc(&a, 10), *p = arena_alloc(&a, large), *after = arena_alloc(&a, 10);
	memset(p, 'x', large);
	ck_assert_int_eq(before[9], 0);
	ck_assert_int_eq(after[0], 0);
	ck_assert_uint_ge(a.total, large);
	arena_free(&a);
}
END_TEST

START_TEST(the_hint_saves_chunks)
{
	struct arena a;

	arena_init(&a, 5000);
	ck_assert_uint_eq(a.total, 5000);
	for (int i = 0; i < 44; i++)	/* 112 bytes each, aligned */
		arena_alloc(&a, 100);
	ck_assert_uint_eq(a.total, 5000);
	arena_alloc(&a, 1000);
	ck_assert_uint_gt(a.total, 5000);
	arena_free(&a);
}
END_TEST

START_TEST(an_arena_of_zeros_works)
{
	struct arena a = {0};

	arena_free(&a);
	ck_assert_ptr_nonnull(arena_alloc(&a, 1));
	arena_free(&a);
	arena_free(&a);
	ck_assert_ptr_null(a.chunk);
	ck_assert_uint_eq(a.total, 0);
}
END_TEST

START_TEST(copies_are_terminated_and_hold_any_byte)
{
	struct arena a;
	const char bytes[] = {'a', '\0', 'b', '\xFF'};

	arena_init(&a, 0);
	struct view v = arena_copy(&a, bytes, sizeof(bytes));
	ck_assert_uint_eq(v.n, sizeof(bytes));
	ck_assert_mem_eq(v.p, bytes, sizeof(bytes));
	ck_assert_ptr_ne(v.p, bytes);
	ck_assert_int_eq(v.p[v.n], '\0');

	struct view empty = arena_copy(&a, NULL, 0);
	ck_assert_uint_eq(empty.n, 0);
	ck_assert_ptr_nonnull(empty.p);
	ck_assert_int_eq(empty.p[0], '\0');
	arena_free(&a);
}
END_TEST

START_TEST(printf_formats_texts_of_any_length)
{
	struct arena a;
	char many[3001];

	memset(many, 'm', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	arena_init(&a, 0);
	ck_assert_str_eq(arena_printf(&a, "%s", ""), "");
	ck_assert_str_eq(arena_printf(&a, "FT1^%d^%d", 2, 10), "FT1^2^10");
	const char *text = arena_printf(&a, "<%s|%s>", many, many);
	ck_assert_uint_eq(strlen(text), 2 * strlen(many) + 3);
	ck_assert_int_eq(text[strlen(text) - 1], '>');
	arena_free(&a);
}
END_TEST

static const struct {
	const char *first, *between, *second, *joined;
} joins[] = {
	{"Wang", " ", "Fang", "Wang Fang"}, {"\xE7\x8E\x8B", "", "\xE8\x8A\xB3", "\xE7\x8E\x8B\xE8\x8A\xB3"}, {"", "/", "b", "/b"}, {"a", "/", "", "a/"}, {"", "", "", ""},
};

START_TEST(join_puts_two_texts_together)
{
	struct arena a;

	arena_init(&a, 0);
	struct view v = arena_join(&a, view_of(joins[_i].first), joins[_i].between, view_of(joins[_i].second));
	ck_assert_view(v, joins[_i].joined);
	ck_assert_int_eq(v.p[v.n], '\0');
	ck_assert_uint_eq(arena_join(&a, VIEW_NONE, "", VIEW_NONE).n, 0);
	arena_free(&a);
}
END_TEST

START_TEST(what_is_not_kept_is_handed_out_again)
{
	struct arena a;

	arena_init(&a, 1000);
	char *first = arena_alloc(&a, 900);
	memset(first, 'x', 900);
	arena_shrink(&a, first, 900, 10);
	char *second = arena_alloc(&a, 800);
	ck_assert_ptr_eq(second, first + 16);
	for (size_t i = 0; i < 800; i++)
		ck_assert_int_eq(second[i], 0);
	ck_assert_int_eq(first[9], 'x');
	arena_shrink(&a, second, 800, 800);
	arena_shrink(&a, second, 800, 0);
	ck_assert_ptr_eq(arena_alloc(&a, 1), second);
	ck_assert_uint_eq(a.total, 1000);
	arena_free(&a);
}
END_TEST

START_TEST(chunks_behind_a_large_first_one_are_small)
{
	struct arena a;

	arena_init(&a, 50000000);
	(void)arena_alloc(&a, 50000000);
	(void)arena_alloc(&a, 1);
	ck_assert_uint_le(a.total, 50000000 + (1 << 20));
	(void)arena_alloc(&a, 3000000);
	ck_assert_uint_le(a.total, 53000000 + (1 << 20));
	arena_free(&a);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("arena");

	tcase_add_test(run.tcase, pieces_are_aligned_and_zeroed);
	tcase_add_test(run.tcase, pieces_do_not_overlap);
	tcase_add_test(run.tcase, a_piece_may_be_larger_than_a_chunk);
	tcase_add_test(run.tcase, the_hint_saves_chunks);
	tcase_add_test(run.tcase, an_arena_of_zeros_works);
	tcase_add_test(run.tcase, copies_are_terminated_and_hold_any_byte);
	tcase_add_test(run.tcase, printf_formats_texts_of_any_length);
	check_add_rows(run, join_puts_two_texts_together, joins);
	tcase_add_test(run.tcase, what_is_not_kept_is_handed_out_again);
	tcase_add_test(run.tcase, chunks_behind_a_large_first_one_are_small);
	return check_end(run);
}
