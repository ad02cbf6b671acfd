/* malloc that does not fail. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "log.h"

void *
memory_new(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL)
		fatal("out of memory for %zu bytes", n);
	return p;
}

void *
memory_resize(void *old, size_t n)
{
	void *p = realloc(old, n);

	if (p == NULL)
		fatal("out of memory for %zu bytes", n);
	return p;
}

char *
memory_text(const char *p, size_t n)
{
	char *copy = memory_new(n + 1);

	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

void
memory_purge(char *secret)
{
	if (secret == NULL)
		return;
	explicit_bzero(secret, strlen(secret));
	free(secret);
}

void
memory_give_back(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
