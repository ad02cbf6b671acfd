/* Replaying what is in quarantine: the bytes go the way they came, the lines of the entries only; what is booked resolves its entry. */
#ifndef VB_INTAKE_REPLAY
#define VB_INTAKE_REPLAY

#include "core/core.h"

/* What became of an entry: posted, late, duplicate, done … where it was booked now (resolved), else the reason it is still refused for; unavailable where
 * the database is away. */
struct replay_result {
	int64_t id;
	char outcome[40];
	bool resolved;
};

/* One result an entry; they are gone afterwards. */
typedef void (*replay_fn)(void *arg, const struct replay_result *const *results, size_t n);

/* How many rows from `first` on are entries of one message: its bytes stand in the first. */
int replay_rows_of(const PGresult *rows, int first);

/* n rows of quarantine_ready, quarantine_bytes or quarantine_replayable, which are of one message. Never calls fn from inside. by: who, for the record;
 * scope: what they may resolve, text[] literal. Both are copied. released: a person has it booked, whatever is plausible. */
void replay_message(struct core *core, const PGresult *rows, int first, int n, const char *by, const char *scope, bool released, replay_fn fn, void *arg);

#endif
