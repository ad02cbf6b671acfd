/* Exact decimals: text to scaled integers, the product of a line, and back to text. */
#include "money.h"

#include "digits.h"

enum decimal_result
decimal_parse(struct view text, unsigned digits, int64_t *ret)
{
	size_t i = 0;
	bool negative = false, any = false;
	int64_t value = 0;

	if (text.n > 0 && (text.p[0] == '-' || text.p[0] == '+'))
		negative = text.p[i++] == '-';
	for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
		any = true;
		if (value > (AMOUNT_MAX - 9) / 10)
			return DECIMAL_RANGE;
		value = value * 10 + (text.p[i] - '0');
	}
	unsigned decimals = 0;
	if (i < text.n && text.p[i] == '.') {
		for (i++; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
			any = true;
			if (decimals == digits) {
				if (text.p[i] != '0')
					return DECIMAL_PRECISION;
				continue;
			}
			if (value > (AMOUNT_MAX - 9) / 10)
				return DECIMAL_RANGE;
			value = value * 10 + (text.p[i] - '0');
			decimals++;
		}
	}
	if (!any || i != text.n)
		return DECIMAL_SYNTAX;
	for (; decimals < digits; decimals++) {
		if (value > AMOUNT_MAX / 10)
			return DECIMAL_RANGE;
		value *= 10;
	}
	*ret = negative ? -value : value;
	return DECIMAL_OK;
}

const char *
decimal_complaint(enum decimal_result r)
{
	switch (r) {
	case DECIMAL_OK:
		return "is fine";
	case DECIMAL_SYNTAX:
		return "is not a decimal number";
	case DECIMAL_PRECISION:
		return "has more decimals than allowed";
	case DECIMAL_RANGE:
		return "is too large";
	}
	return "is not valid";
}

int
money_multiply(int64_t quantity, int64_t price, int64_t *ret)
{
	/* 4 + 6 decimals down to 2: divide by 10^8 */
	const __int128 scale = 100000000;
	__int128 product = (__int128)quantity * price;
	__int128 fen = (product >= 0 ? product + scale / 2 : product - scale / 2) / scale;

	if (fen > AMOUNT_MAX || fen < -AMOUNT_MAX)
		return -1;
	*ret = (int64_t)fen;
	return 0;
}

const char *
money_format(int64_t fen, char buf[MONEY_TEXT])
{
	uint64_t u = fen < 0 ? 0 - (uint64_t)fen : (uint64_t)fen;

	char *to = buf;

	if (fen < 0)
		*to++ = '-';
	to += digits_of(u / 100, 1, to);
	*to++ = '.';
	to += digits_of(u % 100, 2, to);
	*to = '\0';
	return buf;
}
