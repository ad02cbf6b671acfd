/* Money and exact decimals. Amounts are int64 of the minor unit (fen), quantities have 4 decimals, unit prices 6, as in the
 * national insurance interface (16,2; 16,4; 16,6). No floating point. */
#ifndef VB_PROTO_MONEY_H
#define VB_PROTO_MONEY_H

#include <stdint.h>

#include "view.h"

enum { AMOUNT_DIGITS = 2, QUANTITY_DIGITS = 4, PRICE_DIGITS = 6, MONEY_TEXT = 24 };

#define AMOUNT_MAX INT64_C(999999999999999999)		/* what is read at all */
#define AMOUNT_BOOKED_MAX INT64_C(9999999999999999)	/* fen: 16 digits, 2 of them decimals, as the national interface has it */

enum decimal_result { DECIMAL_OK, DECIMAL_SYNTAX, DECIMAL_PRECISION, DECIMAL_RANGE };

/* Reads [+-]digits[.digits] as an integer of 10^-digits. More decimals than that are an error unless they are zeros.
 * An exponent, blanks inside, thousands separators and an empty text are DECIMAL_SYNTAX. */
enum decimal_result decimal_parse(struct view text, unsigned digits, int64_t *ret) __attribute__((warn_unused_result));

/* What the result means, in words for the sender. */
const char *decimal_complaint(enum decimal_result r);

/* quantity (4 decimals) × price (6 decimals) in fen, rounded half up, away from zero, once per line: the one rounding rule.
 * Returns 0, or -1 when the product is beyond AMOUNT_MAX. */
int money_multiply(int64_t quantity, int64_t price, int64_t *ret) __attribute__((warn_unused_result));

/* "-12.50". Returns buf. */
const char *money_format(int64_t fen, char buf[MONEY_TEXT]);

#endif
