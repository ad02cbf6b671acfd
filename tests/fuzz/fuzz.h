/* What the fuzzers share. A fuzzer is one function; libFuzzer calls it with inputs of its own making, replay_main.c with the kept ones. */
#ifndef VB_TESTS_FUZZ_H
#define VB_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold for every input. */
#define FUZZ_CHECK(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
		abort(); \
	} \
} while (0)

/* The bytes in memory of their own that ends where they end, so that AddressSanitizer sees a read beyond. Give back with free. */
static inline char *
fuzz_copy(const void *p, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);

	FUZZ_CHECK(copy != NULL);
	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

#endif
