/* Decimals, the product of a line with its one rounding, and money as text. */
#include "check_main.h"

#include "proto/money.h"

static const struct {
	const char *text;
	unsigned digits;
	int64_t value;
} readable[] = {
	{"0", 2, 0}, {"1", 2, 100}, {"12.5", 2, 1250}, {"12.50", 2, 1250}, {"+12.50", 2, 1250}, {"-12.50", 2, -1250},
	{"-0", 2, 0}, {"-0.00", 2, 0}, {"0.01", 2, 1}, {"-0.01", 2, -1}, {"007", 0, 7}, {"1", 0, 1},
	{"000000000000000000000000000000001.00", 2, 100},
	/* NM: "the digits and an optional decimal point"; databases that drop a leading zero are common */
	{".5", 2, 50}, {"-.5", 2, -50}, {"5.", 2, 500},
	/* more decimals are fine while they are zeros */
	{"12.5000000000000000000000000", 2, 1250}, {"12.000000", 0, 12}, {"3.", 0, 3},
	{"1.0001", 4, 10001}, {"0.000001", 6, 1}, {"-99.999999", 6, -99999999},
	{"9999999999999999.99", 2, AMOUNT_MAX}, {"-9999999999999999.99", 2, -AMOUNT_MAX},
	{"999999999999999999", 0, AMOUNT_MAX}, {"99999999999999.9999", 4, AMOUNT_MAX}, {"999999999999.999999", 6, AMOUNT_MAX},
};

START_TEST(decimals_are_exact)
{
	int64_t value = 4711;

	ck_assert_msg(decimal_parse(view_of(readable[_i].text), readable[_i].digits, &value) == DECIMAL_OK, "%s", readable[_i].text);
	ck_assert_msg(value == readable[_i].value, "%s with %u decimals is %lld", readable[_i].text, readable[_i].digits, (long long)value);
}
END_TEST

static const struct {
	struct view text;
	unsigned digits;
	enum decimal_result result;
} unreadable[] = {
	{VIEW_LITERAL(""), 2, DECIMAL_SYNTAX}, {{NULL, 0}, 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("."), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("-"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("+"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("-."), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("--1"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("+-1"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("1-"), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("1.2.3"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("1..2"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("1e2"), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("1E2"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("0x10"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("1,000"), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("12,50"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL(" 1"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("1 "), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("1 2"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("- 1"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("1.5\0"), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("1\0" "5"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("NaN"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("inf"), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("\xEF\xBC\x91"), 2, DECIMAL_SYNTAX},	/* full-width 1 */
	{VIEW_LITERAL("\xC2\xA5" "12"), 2, DECIMAL_SYNTAX}, {VIEW_LITERAL("12\xE5\x85\x83"), 2, DECIMAL_SYNTAX},
	{VIEW_LITERAL("12.505"), 2, DECIMAL_PRECISION}, {VIEW_LITERAL("12.5000001"), 2, DECIMAL_PRECISION},
	{VIEW_LITERAL("0.001"), 2, DECIMAL_PRECISION}, {VIEW_LITERAL("1.00001"), 4, DECIMAL_PRECISION},
	{VIEW_LITERAL("1.0000001"), 6, DECIMAL_PRECISION}, {VIEW_LITERAL("1.1"), 0, DECIMAL_PRECISION},
	{VIEW_LITERAL("10000000000000000"), 2, DECIMAL_RANGE}, {VIEW_LITERAL("-10000000000000000.00"), 2, DECIMAL_RANGE},
	{VIEW_LITERAL("1000000000000000000"), 0, DECIMAL_RANGE}, {VIEW_LITERAL("100000000000000.0"), 4, DECIMAL_RANGE},
	{VIEW_LITERAL("1000000000000"), 6, DECIMAL_RANGE}, {VIEW_LITERAL("9223372036854775807"), 0, DECIMAL_RANGE},
	{VIEW_LITERAL("18446744073709551617"), 2, DECIMAL_RANGE},	/* 2^64 + 1 must not become 1 */
	{VIEW_LITERAL("99999999999999999999999999999999999999999999999999"), 2, DECIMAL_RANGE},
};

START_TEST(what_is_no_decimal_says_why_and_leaves_the_output)
{
	int64_t value = 4711;
	enum decimal_result r = decimal_parse(unreadable[_i].text, unreadable[_i].digits, &value);

	ck_assert_msg(r == unreadable[_i].result, "row %d: \"%.*s\" gives %d", _i, (int)unreadable[_i].text.n,
	    unreadable[_i].text.n > 0 ? unreadable[_i].text.p : "", (int)r);
	ck_assert_int_eq(value, 4711);
	ck_assert_uint_gt(strlen(decimal_complaint(r)), 5);
}
END_TEST

static const struct {
	int64_t quantity, price, fen;
} products[] = {
	{10000, 12500000, 1250},		/* 1 × 12.50 */
	{30000, 333333, 100},			/* 3 × 0.333333 = 0.999999 */
	{10000, 4999, 0},			/* 0.004999 */
	{10000, 5000, 1},			/* 0.005: half, up */
	{10000, 15000, 2},			/* 0.015 */
	{10000, 25000, 3},			/* 0.025: not to even */
	{10000, 14999, 1},
	{-10000, 4999, 0},
	{-10000, 5000, -1},			/* -0.005: away from zero */
	{10000, -5000, -1},
	{-10000, -5000, 1},
	{-10000, 25000, -3},
	{10000, -24999, -2},
	{5000, 10000, 1},			/* 0.5 × 0.01 */
	{1, 1, 0}, {1, 49999999, 0}, {1, 50000000, 1}, {-1, 50000000, -1},
	{0, AMOUNT_MAX, 0}, {AMOUNT_MAX, 0, 0}, {0, 0, 0},
	{100000000, AMOUNT_MAX, AMOUNT_MAX}, {100000000, -AMOUNT_MAX, -AMOUNT_MAX},
	{AMOUNT_MAX, 100000000, AMOUNT_MAX},
	{25000, 3333333, 833},			/* 2.5 × 3.333333 = 8.3333325 */
	{12345, 98765432, 12193},		/* 1.2345 × 98.765432 = 121.925925804 */
};

START_TEST(products_are_rounded_half_up_away_from_zero)
{
	int64_t fen = 4711;

	ck_assert_int_eq(money_multiply(products[_i].quantity, products[_i].price, &fen), 0);
	ck_assert_msg(fen == products[_i].fen, "%lld e-4 × %lld e-6 is %lld fen", (long long)products[_i].quantity,
	    (long long)products[_i].price, (long long)fen);
}
END_TEST

static const struct {
	int64_t quantity, price;
} overflows[] = {
	{100000001, AMOUNT_MAX}, {100000001, -AMOUNT_MAX}, {-100000001, AMOUNT_MAX}, {AMOUNT_MAX, AMOUNT_MAX}, {AMOUNT_MAX, -AMOUNT_MAX},
	{INT64_MAX, INT64_MAX}, {INT64_MIN, INT64_MIN}, {INT64_MIN, INT64_MAX}, {INT64_MAX, INT64_MIN}, {200000000, 500000000000000000},
};

START_TEST(products_that_are_too_large_leave_the_output)
{
	int64_t fen = 4711;

	ck_assert_int_eq(money_multiply(overflows[_i].quantity, overflows[_i].price, &fen), -1);
	ck_assert_int_eq(fen, 4711);
}
END_TEST

static const struct {
	int64_t fen;
	const char *text;
} amounts[] = {
	{0, "0.00"}, {1, "0.01"}, {-1, "-0.01"}, {10, "0.10"}, {99, "0.99"}, {100, "1.00"}, {-100, "-1.00"}, {-1250, "-12.50"},
	{123456789, "1234567.89"}, {AMOUNT_MAX, "9999999999999999.99"}, {-AMOUNT_MAX, "-9999999999999999.99"},
	{INT64_MAX, "92233720368547758.07"}, {INT64_MIN, "-92233720368547758.08"},
};

START_TEST(money_has_two_decimals)
{
	char buf[MONEY_TEXT];

	ck_assert_str_eq(money_format(amounts[_i].fen, buf), amounts[_i].text);
	ck_assert_ptr_eq(money_format(amounts[_i].fen, buf), buf);
}
END_TEST

START_TEST(money_reads_back_what_it_wrote)
{
	char buf[MONEY_TEXT];
	int64_t back;

	for (int64_t fen = -AMOUNT_MAX; fen < AMOUNT_MAX - 97; fen += AMOUNT_MAX / 997) {
		ck_assert_int_eq(decimal_parse(view_of(money_format(fen, buf)), AMOUNT_DIGITS, &back), DECIMAL_OK);
		ck_assert_int_eq(back, fen);
	}
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("money");

	check_add_rows(run, decimals_are_exact, readable);
	check_add_rows(run, what_is_no_decimal_says_why_and_leaves_the_output, unreadable);
	check_add_rows(run, products_are_rounded_half_up_away_from_zero, products);
	check_add_rows(run, products_that_are_too_large_leave_the_output, overflows);
	check_add_rows(run, money_has_two_decimals, amounts);
	tcase_add_test(run.tcase, money_reads_back_what_it_wrote);
	return check_end(run);
}
