/* Replaying what is in quarantine: the bytes go the way they came, their line only; what is booked resolves the entry. */
#ifndef VB_INTAKE_REPLAY
#define VB_INTAKE_REPLAY

#include "core/core.h"

/* outcome: posted, late, duplicate, done … where it was booked now (resolved), else the reason it is still refused for. Empty: the
 * database is away. */
typedef void (*replay_fn)(void *arg, struct view outcome, bool resolved);

/* One row of quarantine_ready or quarantine_bytes. fn may be NULL. Never calls fn from inside. by: who, for the record;
 * scope: what they may resolve, text[] literal. Both are copied. */
void replay_row(struct core *core, const PGresult *rows, int row, const char *by, const char *scope, replay_fn fn, void *arg);

#endif
