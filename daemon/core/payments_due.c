/* A page of due attempts, each looked at by a flow of its own; the run is over once all are begun. */
#include "payments_due.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "core/payments.h"

enum { PAYMENT_BATCH = 50 };

enum due_column { DUE_PAYMENT, DUE_CHANNEL, DUE_MERCHANT, DUE_ORDER, DUE_STATE, DUE_EXPIRED, DUE_AGE_S, DUE_SHOWN };

struct due_run {
	struct core *core;
	job_over_fn over;
	void *job;
};

static void
on_due(void *arg, const struct pg_outcome *outcome, const PGresult *rows)
{
	struct due_run *r = arg;

	if (outcome->verdict == PG_FAILED)
		log_error("job.failed", "job=payments sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
	for (int row = 0; outcome->verdict == PG_DONE && row < PQntuples(rows); row++) {
		struct payment_order order = {PQgetvalue(rows, row, DUE_PAYMENT), PQgetvalue(rows, row, DUE_CHANNEL), PQgetvalue(rows, row, DUE_MERCHANT),
		    PQgetvalue(rows, row, DUE_ORDER)};
		payments_look(r->core, &order, PQgetvalue(rows, row, DUE_STATE), PQgetvalue(rows, row, DUE_EXPIRED)[0] == 't',
		    atol(PQgetvalue(rows, row, DUE_AGE_S)), PQgetvalue(rows, row, DUE_SHOWN)[0] == 't');
	}
	r->over(r->job, false);
	free(r);
}

void
payments_due_run(struct core *core, job_over_fn over, void *job)
{
	struct due_run *r = memory_new(sizeof(*r));
	char limit[16];

	*r = (struct due_run){core, over, job};
	snprintf(limit, sizeof(limit), "%d", PAYMENT_BATCH);
	struct pg_param params[] = {{view_of(limit), false}};
	if (pool_call(core->pool, SQL_PAYMENTS_DUE, params, 1, on_due, r) == 0)
		return;
	over(job, false);
	free(r);
}
