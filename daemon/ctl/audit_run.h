/* The audit as it is run: some thousand visits at a time, each slice in a snapshot of its own, then what holds for all of them together. `audit` shows what
 * was found, `books --audit` adds it up. */
#ifndef VB_CTL_AUDIT_RUN_H
#define VB_CTL_AUDIT_RUN_H

#include <stdint.h>

#include "ctl.h"
#include "database.h"

/* The options' words as they were given; NULL: not at all. */
struct audit_words {
	const char *on, *slice, *pause;
};
#define AUDIT_OPTIONS(words) {"--on", NULL, &(words).on}, {"--slice", NULL, &(words).slice}, {"--pause", NULL, &(words).pause}
enum { AUDIT_N_OPTIONS = 3 };

struct audit_plan {
	enum database_server server;
	int slice;		/* visits */
	int pause_ms;		/* between slices */
};

struct audit_finding {
	char *invariant;
	int64_t broken;		/* rows that break it */
	int64_t unexplained;	/* fen */
};

struct audit {
	struct audit_finding *all;
	size_t n, n_broken;	/* invariants */
	int64_t broken, unexplained;	/* rows and fen, of all of them */
};

/* Returns CTL_OK, or CTL_USAGE after having said what is wrong. */
int audit_plan_read(const struct ctl *c, const struct audit_words *words, struct audit_plan *ret) __attribute__((warn_unused_result));

/* db: opened with DATABASE_READ_EACH. Returns 0, and *ret is for audit_clear; or -1 after having said why. */
int audit_run(PGconn *db, const struct audit_plan *plan, struct audit *ret) __attribute__((warn_unused_result));

/* Frees what is in it; of one that is all zero, nothing. */
void audit_clear(struct audit *a);

#endif
