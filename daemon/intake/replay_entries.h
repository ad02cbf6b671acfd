/* The entries of a replay: those of one message, and what becomes of each. */
#ifndef VB_INTAKE_REPLAY_ENTRIES
#define VB_INTAKE_REPLAY_ENTRIES

#include <libpq-fe.h>

#include "db/pool.h"
#include "intake/booking.h"
#include "intake/replay.h"

struct replay_entry {
	struct replay_result result;
	int ordinal;			/* which line of the message, from 1; 0: the whole */
	struct refusal refused;		/* why it waits on; lives as long as the intake */
};

struct replay_entries {
	size_t n;
	struct replay_entry *list;	/* by ordinal */
};

/* Reads n rows from `first` on. */
void entries_read(struct replay_entries *e, const PGresult *rows, int first, int n);
void entries_free(struct replay_entries *e);

/* Leaves only the lines that entries are of; all, where they are of the whole message. */
void entries_keep_lines(const struct replay_entries *e, struct intake *in);

/* Every entry gets its outcome from the intake that was booked. True when there is something to say about them, by entries_tell. */
bool entries_judge(struct replay_entries *e, const struct intake *in);
/* The message could not be booked now. */
void entries_unavailable(struct replay_entries *e);

/* Writes down what became of them, in one call; fn as pool_call has it. Returns -1 when there is no connection for it. */
int entries_tell(const struct replay_entries *e, struct pool *pool, const char *by, const char *scope, pool_fn fn, void *arg);

#endif
