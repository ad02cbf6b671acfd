/* The run lasts until its replays are over: one that is begun twice would be counted twice. */
#include "replay_ready.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "intake/replay.h"

enum { REPLAY_BATCH = 100 };

struct ready_run {
	struct core *core;
	job_over_fn over;
	void *job;
	int waiting;		/* messages in work */
	bool resolved;		/* one of them was: there may be more that were not in this run */
};

static void
ready_end(struct ready_run *r)
{
	r->over(r->job, r->resolved);
	free(r);
}

static void
on_replayed(void *arg, const struct replay_result *const *results, size_t n)
{
	struct ready_run *r = arg;

	for (size_t i = 0; i < n; i++)
		r->resolved = r->resolved || results[i]->resolved;
	if (--r->waiting == 0)
		ready_end(r);
}

static void
on_ready(void *arg, const struct pg_outcome *outcome, const PGresult *rows)
{
	struct ready_run *r = arg;

	if (outcome->verdict == PG_FAILED)
		log_error("job.failed", "job=replay sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
	if (outcome->verdict != PG_DONE || PQntuples(rows) == 0) {
		ready_end(r);
		return;
	}
	r->waiting = 0;
	for (int row = 0; row < PQntuples(rows); row += replay_rows_of(rows, row))
		r->waiting++;
	for (int row = 0, n; row < PQntuples(rows); row += n) {
		n = replay_rows_of(rows, row);
		replay_message(r->core, rows, row, n, "visitbilld", SCOPE_ALL, false, on_replayed, r);
	}
}

void
replay_ready_run(struct core *core, job_over_fn over, void *job)
{
	struct ready_run *r = memory_new(sizeof(*r));
	char limit[16];

	*r = (struct ready_run){.core = core, .over = over, .job = job};
	snprintf(limit, sizeof(limit), "%d", REPLAY_BATCH);
	struct pg_param params[] = {{view_of(limit), false}};
	if (pool_call(core->pool, SQL_QUARANTINE_READY, params, 1, on_ready, r) != 0)
		ready_end(r);
}
