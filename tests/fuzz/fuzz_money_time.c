/* Decimals and times: what is read is what another way of reading finds, and reads back from what is written. The first byte of an input picks the
 * decimals and the hospital's offset, the rest is the text; its last 16 bytes are also two factors. */
#include "fuzz.h"

#include "proto/money.h"
#include "proto/timestamp.h"

/* By the grammar [+-]digits[.digits], with one of the two groups at least; the value in 128 bits, or "huge". */
static enum decimal_result
read_plainly(struct view text, unsigned digits, int64_t *ret)
{
	size_t i = text.n > 0 && (text.p[0] == '+' || text.p[0] == '-'), first = i, point = text.n;
	__int128 value = 0;
	bool huge = false, lost = false;

	for (size_t k = i; k < text.n; k++)
		if (text.p[k] == '.') {
			if (point < text.n)
				return DECIMAL_SYNTAX;
			point = k;
		} else if (text.p[k] < '0' || text.p[k] > '9') {
			return DECIMAL_SYNTAX;
		}
	if (text.n - first == (point < text.n))
		return DECIMAL_SYNTAX;
	size_t last = point + 1 + digits;
	for (; i < text.n || i < last; i++) {
		if (i == point)
			continue;
		int digit = i < text.n ? text.p[i] - '0' : 0;
		if (i >= last) {
			lost = lost || digit != 0;
			continue;
		}
		value = value * 10 + digit;
		if (value > AMOUNT_MAX) {
			value = AMOUNT_MAX;
			huge = true;
		}
	}
	if (huge || lost)
		return huge && !lost ? DECIMAL_RANGE : DECIMAL_PRECISION;
	*ret = (int64_t)(text.p[0] == '-' ? -value : value);
	return DECIMAL_OK;
}

static void
check_decimal(struct view text, unsigned digits)
{
	int64_t value = 4711, expected = 4711, again;
	char buf[MONEY_TEXT];
	enum decimal_result r = decimal_parse(text, digits, &value), e = read_plainly(text, digits, &expected);

	FUZZ_CHECK(r == DECIMAL_OK || value == 4711);
	FUZZ_CHECK((r == DECIMAL_OK) == (e == DECIMAL_OK));	/* of two things that are wrong either may be named */
	FUZZ_CHECK(decimal_complaint(r)[0] != '\0');
	if (r != DECIMAL_OK)
		return;
	FUZZ_CHECK(value == expected && value <= AMOUNT_MAX && value >= -AMOUNT_MAX);
	FUZZ_CHECK(decimal_parse(view_of(money_format(value, buf)), AMOUNT_DIGITS, &again) == DECIMAL_OK && again == value);
}

/* Rounded half away from zero: |product - fen| is at most half, and at exactly half fen is the larger one. */
static void
check_product(int64_t quantity, int64_t price)
{
	const __int128 scale = 100000000;
	__int128 product = (__int128)quantity * price;
	int64_t fen = 4711, mirrored;

	if (money_multiply(quantity, price, &fen) != 0) {
		FUZZ_CHECK(fen == 4711);
		FUZZ_CHECK(product > AMOUNT_MAX * scale || product < -AMOUNT_MAX * scale);
		return;
	}
	FUZZ_CHECK(fen <= AMOUNT_MAX && fen >= -AMOUNT_MAX);
	__int128 rest = product - fen * scale;
	FUZZ_CHECK(rest * 2 <= scale && rest * 2 >= -scale);
	FUZZ_CHECK(product < 0 || rest * 2 < scale);
	FUZZ_CHECK(product > 0 || rest * 2 > -scale);
	if (quantity != INT64_MIN)
		FUZZ_CHECK(money_multiply(-quantity, price, &mirrored) == 0 && mirrored == -fen);
}

static void
check_time(struct view text, int offset)
{
	int64_t us = 4711, back;
	int32_t days = 4711;
	char buf[TIMESTAMP_TEXT];
	int r = timestamp_parse(text, offset, &us);

	FUZZ_CHECK(timestamp_parse_date(text, &days) == r);
	if (r != 0) {
		FUZZ_CHECK(us == 4711 && days == 4711);
		return;
	}
	int64_t seconds = us / TIMESTAMP_SECOND - (us % TIMESTAMP_SECOND < 0);
	/* the date is the local one; an instant is at most 14 hours and a leap second away from it */
	FUZZ_CHECK(seconds >= days * INT64_C(86400) - 15 * 3600 && seconds <= days * INT64_C(86400) + 86401 + 15 * 3600);
	(void)timestamp_rfc3339(us, offset, buf);
	if (seconds < INT64_C(-62135500000) || seconds > INT64_C(253402200000))
		return;		/* written with an offset it may be in the year 0 or 10000 */
	FUZZ_CHECK(timestamp_parse(view_of(timestamp_rfc3339(us, offset, buf)), 0, &back) == 0 && back == seconds * TIMESTAMP_SECOND);
	FUZZ_CHECK(timestamp_parse(view_of(timestamp_hl7(us, offset, buf)), 0, &back) == 0 && back == seconds * TIMESTAMP_SECOND);
	FUZZ_CHECK(timestamp_parse_date(view_of(buf), &days) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int offsets[] = {0, 28800, -18000, 19800, 50400, -43200, 60, -60};

	if (size < 1 || size > 256)
		return 0;
	char *text = fuzz_copy(data + 1, size - 1);
	struct view v = {text, size - 1};
	static const unsigned digits[] = {0, AMOUNT_DIGITS, QUANTITY_DIGITS, PRICE_DIGITS};
	check_decimal(v, digits[data[0] % 4]);
	check_time(v, offsets[data[0] / 4 % 8]);
	if (v.n >= 16) {
		int64_t factors[2];
		memcpy(factors, v.p + v.n - 16, 16);
		check_product(factors[0], factors[1]);
		check_product(factors[0] >> 24, factors[1] >> 16);
	}
	free(text);
	return 0;
}
