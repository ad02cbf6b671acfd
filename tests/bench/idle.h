/* The task is to hold connections that do nothing: each sends one request, has it answered, and stays open until standard input ends. */
#ifndef VB_BENCH_IDLE_H
#define VB_BENCH_IDLE_H

#include "template.h"

/* Opens n connections to each address that is not NULL. Prints {"ready":true,…} once all were answered. Returns the failures. */
unsigned idle_hold(const char *mllp, const char *http, unsigned n, struct templates *templates, uint64_t visits);

#endif
