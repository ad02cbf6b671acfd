/* The addresses of a host, looked up beside the loop: a name server that is silent must stop nobody. libpq by itself would wait for it, inside PQconnectStart,
 * for each connection and each time. */
#ifndef VB_DB_HOST_H
#define VB_DB_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct host;

/* Is it a name? Paths of sockets and addresses are none. */
bool host_is_name(const char *host);

struct host *host_new(const char *name);
void host_free(struct host *h);

/* One of its addresses, another one each time, as text that stays until the next call; begins to look them up where that was not done of late. Never waits.
 * NULL: none is known; then *ret_why is a sentence when the last look-up failed, or NULL while it is under way. Addresses that were found stay in use while
 * a later look-up fails. */
const char *host_address(struct host *h, const char **ret_why);

/* Waits until a look-up that is under way is over, no longer than so many milliseconds. */
void host_wait(struct host *h, int64_t limit_ms);

#endif
