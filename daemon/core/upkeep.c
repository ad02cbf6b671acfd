/* One call each; what it does and locks is said with the function in sql/functions/. */
#include "upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

enum { CLOSE_BATCH = 200, CLOSE_AT_ONCE = 25 };	/* visits of a turn at most; from so many on the next turn follows at once */
enum { LOOK_BATCH = 50 };				/* bills of a turn */

enum close_column { CLOSE_VISITS, CLOSE_BILLS, CLOSE_FAILED };

struct upkeep {
	struct core *core;
	const char *name;
	job_over_fn over;
	void *job;
};

static void
upkeep_end(struct upkeep *u, bool more)
{
	u->over(u->job, more);
	free(u);
}

static bool
upkeep_failed(const struct upkeep *u, const struct pg_outcome *outcome)
{
	if (outcome->verdict == PG_FAILED)
		log_error("job.failed", "job=%s sqlstate=%s why=\"%s\"", u->name, outcome->sqlstate, outcome->message);
	return outcome->verdict != PG_DONE;
}

static void
upkeep_call(struct core *core, const char *name, enum statement s, const struct pg_param *params, int n, pool_fn fn, job_over_fn over, void *job)
{
	struct upkeep *u = memory_new(sizeof(*u));

	*u = (struct upkeep){core, name, over, job};
	if (pool_call(core->pool, s, params, n, fn, u) != 0)
		upkeep_end(u, false);
}

static void
on_closed(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct upkeep *u = arg;
	struct metrics *m = u->core->metrics;

	if (upkeep_failed(u, outcome)) {
		upkeep_end(u, false);
		return;
	}
	long visits = atol(PQgetvalue(result, 0, CLOSE_VISITS)), bills = atol(PQgetvalue(result, 0, CLOSE_BILLS)),
	    failed = atol(PQgetvalue(result, 0, CLOSE_FAILED));
	metric_add(metrics_series(m, "visitbill_bills_total", METRIC_COUNTER, "Bills issued by this daemon.", ""), bills);
	metric_add(metrics_series(m, "visitbill_close_failed_total", METRIC_COUNTER, "Visits that could not be closed.", ""), failed);
	if (visits > 0)
		log_info("close", "visits=%ld bills=%ld failed=%ld", visits, bills, failed);
	upkeep_end(u, visits - failed >= CLOSE_AT_ONCE);
}

void
upkeep_close(struct core *core, job_over_fn over, void *job)
{
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", CLOSE_BATCH);
	struct pg_param params[] = {{view_of(limit), false}};
	upkeep_call(core, "close", SQL_VISITS_CLOSE, params, 1, on_closed, over, job);
}

static void
on_ended(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct upkeep *u = arg;
	long looked = 0;

	if (!upkeep_failed(u, outcome)) {
		const char *ended = pool_value(result, "ended").p;
		looked = atol(pool_value(result, "looked").p);
		if (atol(ended) > 0)
			log_info("ended", "visits=%s why=\"a close rule\"", ended);
	}
	upkeep_end(u, looked >= CLOSE_BATCH);
}

void
upkeep_ending(struct core *core, job_over_fn over, void *job)
{
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", CLOSE_BATCH);
	struct pg_param params[] = {{view_of(limit), false}};
	upkeep_call(core, "ending", SQL_VISITS_END, params, 1, on_ended, over, job);
}

static void
on_lookalikes(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct upkeep *u = arg;
	long looked = 0;

	if (!upkeep_failed(u, outcome)) {
		long failed = atol(pool_value(result, "failed").p);
		looked = atol(pool_value(result, "looked").p) - failed;
		const char *pairs = pool_value(result, "pairs").p;
		if (strcmp(pairs, "0") != 0)
			log_info("lookalikes", "bills=%ld pairs=%s", looked, pairs);
		if (failed > 0)
			log_error("lookalikes.failed", "bills=%ld why=\"see the server's log; they are tried again\"", failed);
	}
	upkeep_end(u, looked >= LOOK_BATCH);
}

void
upkeep_lookalikes(struct core *core, job_over_fn over, void *job)
{
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", LOOK_BATCH);
	struct pg_param params[] = {{view_of(limit), false}};
	upkeep_call(core, "lookalikes", SQL_LOOKALIKES_FIND, params, 1, on_lookalikes, over, job);
}

static void
on_plain(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct upkeep *u = arg;

	(void)result;
	upkeep_failed(u, outcome);
	upkeep_end(u, false);
}

void
upkeep_overdue(struct core *core, job_over_fn over, void *job)
{
	upkeep_call(core, "overdue", SQL_VISITS_OVERDUE, NULL, 0, on_plain, over, job);
}

void
upkeep_partitions(struct core *core, job_over_fn over, void *job)
{
	upkeep_call(core, "partitions", SQL_PARTITIONS_AHEAD, NULL, 0, on_plain, over, job);
}
