/* One call for all feeds that moved. After a failure all are written again: it is not known which were. */
#include "marks.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "db/column.h"

struct marks_run {
	struct core *core;
	job_over_fn over;
	void *job;
};

static void
mark_all(struct core *core)
{
	for (struct feed *f = directory_first(core->directory); f != NULL; f = f->next)
		f->mark_moved = f->mark > 0;
}

static void
on_written(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct marks_run *r = arg;

	(void)result;
	if (outcome->verdict == PG_FAILED)
		log_error("job.failed", "job=marks sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
	if (outcome->verdict != PG_DONE)
		mark_all(r->core);
	r->over(r->job, false);
	free(r);
}

void
marks_note(const struct booking_job *job)
{
	const struct intake *in = &job->intake;
	struct feed *feed = job->feed;
	int64_t now = clock_now(), at = in->sent_at < now ? in->sent_at : now;	/* a clock that runs ahead must not let bills out before other lines come */

	if (feed == NULL || !in->has_sent_at)
		return;
	if (at > feed->mark)
		feed->mark = at;
	if (job->came > feed->seen)
		feed->seen = job->came;
	feed->mark_moved = true;
}

bool
marks_pending(const struct core *core)
{
	for (struct feed *f = directory_first(core->directory); f != NULL; f = f->next)
		if (f->mark_moved)
			return true;
	return false;
}

void
marks_run(struct core *core, job_over_fn over, void *job)
{
	struct column feeds = {0}, marks = {0}, ages = {0};

	if (!marks_pending(core)) {
		over(job, false);
		return;
	}
	column_reset(&feeds);
	column_reset(&marks);
	column_reset(&ages);
	for (struct feed *f = directory_first(core->directory); f != NULL; f = f->next)
		if (f->mark_moved) {
			column_int4(&feeds, f->feed_id);
			column_timestamp(&marks, f->mark);
			column_int8(&ages, clock_monotonic() - f->seen);
			f->mark_moved = false;
		}
	struct marks_run *r = memory_new(sizeof(*r));
	*r = (struct marks_run){core, over, job};
	struct pg_param params[] = {{column_value(&feeds, PG_INT4), true}, {column_value(&marks, PG_TIMESTAMPTZ), true}, {column_value(&ages, PG_INT8), true}};
	if (pool_call(core->pool, SQL_FEED_MARKS, params, 3, on_written, r) != 0) {
		mark_all(core);
		over(job, false);
		free(r);
	}
	column_free(&feeds);
	column_free(&marks);
	column_free(&ages);
}
