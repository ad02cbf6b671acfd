/* The doors: every listener of the settings, opened, and what comes through it handed to the MLLP or the HTTP side. */
#ifndef VB_DOORS_H
#define VB_DOORS_H

#include "api/api.h"
#include "feed/server.h"

struct doors;

/* The listeners' TLS, loaded from the files of a snapshot: one for each [listen], NULL where it speaks plain text. */
struct door_keys {
	struct tls **tls;
	size_t n;
};

/* Returns 0, or -1 with the listener, the file and what is wrong in error. */
int door_keys_load(const struct config *config, struct door_keys *ret, char *error, size_t error_size) __attribute__((warn_unused_result));
void door_keys_free(struct door_keys *keys);

/* Opens all listeners; who connects waits for doors_begin. NULL, and logged, when one cannot be. */
struct doors *doors_open(struct core *core, struct api *api, struct feed_server *feeds, const struct door_keys *keys);
void doors_free(struct doors *d);
/* Lets peers in: through all doors, or those only that serve nothing but operations. May be called again. */
void doors_begin(struct doors *d, bool operations_only);
/* After a reload: limits and certificates of those that are open. */
void doors_update(struct doors *d, const struct config *config, const struct door_keys *keys);
/* No new connections: true once all listeners are closed. */
void doors_drain(struct doors *d);
bool doors_are_closed(const struct doors *d);
/* "feeds=127.0.0.1:2575 kiosk=…", for the log. */
const char *doors_text(const struct doors *d);

#endif
