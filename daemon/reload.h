/* A reload: the settings are read anew, judged as a whole, compared with what is alive, and only then handed over. Nothing of the old snapshot changes
 * before that, and nothing in use is freed by it. */
#ifndef VB_RELOAD_H
#define VB_RELOAD_H

#include "core/channels.h"
#include "core/core.h"
#include "doors.h"

struct reload;

/* The new snapshot is good. Takes the channels over; the others are valid during the call. */
typedef void (*reload_fn)(void *arg, const struct config *fresh, struct channels *channels, const struct door_keys *keys);

struct reload *reload_new(struct core *core, const char *path, reload_fn fn, void *arg);
/* Not before the pool is freed: no answer may come any more. */
void reload_free(struct reload *r);

/* SIGHUP: begins one, or another after the one that is going on. What becomes of it is logged. */
void reload_begin(struct reload *r);

/* At start: what is alive of merchants and feeds that the settings do not know is logged; nobody minds it until they do again. */
void reload_report_orphans(struct reload *r);

/* Tokens that stand in the settings as they are, and not as their hash, are said by their section. */
void config_log_plain_secrets(const struct config *c);

#endif
