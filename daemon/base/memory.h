/* malloc that does not fail: out of memory ends the process, which loses nothing that was acknowledged. */
#ifndef VB_BASE_MEMORY_H
#define VB_BASE_MEMORY_H

#include <stddef.h>

void *memory_new(size_t n) __attribute__((malloc, returns_nonnull));		/* zeroed */
void *memory_resize(void *p, size_t n) __attribute__((returns_nonnull));
char *memory_text(const char *p, size_t n) __attribute__((returns_nonnull));	/* a copy with NUL */
/* Wipes a secret, then frees it. NULL is fine. */
void memory_purge(char *secret);
/* Gives the system back what a burst took and nobody uses: malloc alone keeps the most that there ever was. */
void memory_give_back(void);

#endif
