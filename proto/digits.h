/* Digits: of a decimal number, without printf; and of a hexadecimal one. */
#ifndef VB_PROTO_DIGITS_H
#define VB_PROTO_DIGITS_H

#include <stddef.h>
#include <stdint.h>

enum { DIGITS_MAX = 20 };

/* Writes at least `least` digits (at most DIGITS_MAX), zeros in front, and returns how many; nothing ends them. */
static inline size_t
digits_of(uint64_t v, size_t least, char *to)
{
	char reversed[DIGITS_MAX];
	size_t n = 0;

	do {
		reversed[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	while (n < least)
		reversed[n++] = '0';
	for (size_t i = 0; i < n; i++)
		to[i] = reversed[n - 1 - i];
	return n;
}

/* The value of a hexadecimal digit, -1 where it is none. */
static inline int
digit_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
