/* What the settings say of facilities and feeds, brought into the database at start and after a reload, and their ids into the directory. */
#ifndef VB_SETUP_H
#define VB_SETUP_H

#include "core/core.h"

struct setup;

/* on_applied: each time the directory is up to date. */
struct setup *setup_new(struct core *core, void (*on_applied)(void *arg), void *arg);
void setup_free(struct setup *s);

/* Applies the settings of core->config, again and again until it is done. */
void setup_apply(struct setup *s);

#endif
