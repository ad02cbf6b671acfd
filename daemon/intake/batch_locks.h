/* The lock order of a batch that has both charges and events: its steps lock in the order of their own, so all visits of the batch are locked before the
 * first one. (A single step does that by itself.) */
#ifndef VB_INTAKE_BATCH_LOCKS
#define VB_INTAKE_BATCH_LOCKS

#include "intake/batch.h"

/* Sends the call. Returns 0, or -1 when the connection takes nothing. */
int batch_hold_visits(const struct lane_list *parts, struct pg *pg);

#endif
