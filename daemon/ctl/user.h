/* Who runs the tool, for the record. */
#ifndef VB_CTL_USER_H
#define VB_CTL_USER_H

#include "proto/arena.h"

/* The name of the user, or "uid N" where that has none. Valid as long as the arena, at most. */
const char *user_name(struct arena *a);

#endif
