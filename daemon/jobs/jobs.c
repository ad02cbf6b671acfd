/* The jobs' timers. A job that is still running when its timer fires is left alone. */
#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "core/payments.h"
#include "db/column.h"
#include "feed/replay.h"

enum { CLOSE_BATCH = 200, REPLAY_BATCH = 100, PAYMENT_BATCH = 50, HOURLY = 3600000, OVERDUE_MS = 30000, MEMORY_MS = 30000, MARKS_MS = 100 };

struct job {
	struct jobs *jobs;
	struct event *timer;
	int64_t (*interval)(const struct config *c);
	void (*run)(struct jobs *jobs, struct job *job);
	bool running;
	int waiting;		/* for replays that it began */
};

enum job_name { JOB_MARKS, JOB_CLOSE, JOB_REPLAY, JOB_PAYMENTS, JOB_OVERDUE, JOB_PARTITIONS, JOB_MEMORY, JOBS };

struct jobs {
	struct core *core;
	struct job list[JOBS];
	bool stopped;
	struct metric_series *bills, *close_failed;
};

static void
job_schedule_in(struct job *job, int64_t ms)
{
	struct timeval delay = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(job->timer, &delay);
}

static void
job_schedule(struct job *job)
{
	job_schedule_in(job, job->interval(job->jobs->core->config));
}

static void
job_call(struct jobs *jobs, struct job *job, enum statement s, const struct pg_param *params, int n, pool_fn fn)
{
	job->running = pool_call(jobs->core->pool, s, params, n, fn, job) == 0;
}

static void
job_complain(const char *name, const struct pg_outcome *outcome)
{
	if (outcome->verdict == PG_FAILED)
		log_error("job.failed", "job=%s sqlstate=%s why=\"%s\"", name, outcome->sqlstate, outcome->message);
}

/* ------- watermarks */

static void
on_marks(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct job *job = arg;

	(void)result;
	job->running = false;
	if (outcome->verdict == PG_DONE)
		return;
	job_complain("marks", outcome);
	for (struct feed *f = directory_first(job->jobs->core->directory); f != NULL; f = f->next)
		f->mark_moved = f->mark > 0;	/* write them all again */
}

static void
run_marks(struct jobs *jobs, struct job *job)
{
	struct column feeds = {0}, marks = {0};

	column_reset(&feeds);
	column_reset(&marks);
	for (struct feed *f = directory_first(jobs->core->directory); f != NULL; f = f->next)
		if (f->mark_moved) {
			column_int4(&feeds, f->feed_id);
			column_timestamp(&marks, f->mark);
			f->mark_moved = false;
		}
	if (feeds.count > 0) {
		struct pg_param params[] = {{column_value(&feeds, PG_INT4), true}, {column_value(&marks, PG_TIMESTAMPTZ), true}};
		job_call(jobs, job, SQL_FEED_MARKS, params, 2, on_marks);
		for (struct feed *f = directory_first(jobs->core->directory); f != NULL && !job->running; f = f->next)
			f->mark_moved = f->mark > 0;
	}
	column_free(&feeds);
	column_free(&marks);
}

/* ------- closing */

static void
on_closed(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct job *job = arg;

	job->running = false;
	if (outcome->verdict != PG_DONE) {
		job_complain("close", outcome);
		return;
	}
	long visits = atol(PQgetvalue(result, 0, 0)), bills = atol(PQgetvalue(result, 0, 1)), failed = atol(PQgetvalue(result, 0, 2));
	metric_add(job->jobs->bills, bills);
	metric_add(job->jobs->close_failed, failed);
	if (visits > 0)
		log_info("close", "visits=%ld bills=%ld failed=%ld", visits, bills, failed);
	if (visits - failed >= CLOSE_BATCH && !job->jobs->stopped)
		event_active(job->timer, EV_TIMEOUT, 0);	/* there is more */
}

static void
run_close(struct jobs *jobs, struct job *job)
{
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", CLOSE_BATCH);
	struct pg_param params[] = {{view_of(limit), false}};
	job_call(jobs, job, SQL_VISITS_CLOSE, params, 1, on_closed);
}

/* ------- replays */

static void
on_replay_over(void *arg, struct view outcome, bool resolved)
{
	struct job *job = arg;

	(void)outcome, (void)resolved;
	job->running = --job->waiting > 0;
}

static void
on_ready_replays(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct job *job = arg;

	if (outcome->verdict != PG_DONE) {
		job->running = false;
		job_complain("replay", outcome);
		return;
	}
	/* the job runs until its replays are over: one that is asked for twice would be counted twice */
	job->waiting = PQntuples(result);
	job->running = job->waiting > 0;
	for (int row = 0; row < PQntuples(result); row++)
		replay_row(job->jobs->core, result, row, "visitbilld", SCOPE_ALL, on_replay_over, job);
}

static void
run_replay(struct jobs *jobs, struct job *job)
{
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", REPLAY_BATCH);
	struct pg_param params[] = {{view_of(limit), false}};
	job_call(jobs, job, SQL_QUARANTINE_READY, params, 1, on_ready_replays);
}

/* ------- payments, flags, partitions */

static void
on_due_payments(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct job *job = arg;

	job->running = false;
	if (outcome->verdict != PG_DONE) {
		job_complain("payments", outcome);
		return;
	}
	for (int row = 0; row < PQntuples(result); row++) {
		struct payment_order order = {PQgetvalue(result, row, 0), PQgetvalue(result, row, 1), PQgetvalue(result, row, 2),
		    PQgetvalue(result, row, 3)};
		payments_look(job->jobs->core, &order, PQgetvalue(result, row, 4), PQgetvalue(result, row, 5)[0] == 't',
		    atol(PQgetvalue(result, row, 6)), PQgetvalue(result, row, 7)[0] == 't');
	}
}

static void
run_payments(struct jobs *jobs, struct job *job)
{
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", PAYMENT_BATCH);
	struct pg_param params[] = {{view_of(limit), false}};
	job_call(jobs, job, SQL_PAYMENTS_DUE, params, 1, on_due_payments);
}

static void
on_plain(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct job *job = arg;

	(void)result;
	job->running = false;
	job_complain(job == &job->jobs->list[JOB_OVERDUE] ? "overdue" : "partitions", outcome);
}

static void
run_overdue(struct jobs *jobs, struct job *job)
{
	job_call(jobs, job, SQL_VISITS_OVERDUE, NULL, 0, on_plain);
}

static void
run_partitions(struct jobs *jobs, struct job *job)
{
	job_call(jobs, job, SQL_PARTITIONS_AHEAD, NULL, 0, on_plain);
}

static void
run_memory(struct jobs *jobs, struct job *job)
{
	(void)jobs, (void)job;
	memory_give_back();
}

static int64_t every_mark(const struct config *c) { (void)c; return MARKS_MS; }
static int64_t every_close(const struct config *c) { return c->jobs.close_ms; }
static int64_t every_replay(const struct config *c) { return c->jobs.replay_ms; }
static int64_t every_payment(const struct config *c) { return c->jobs.payments_ms; }
static int64_t every_overdue(const struct config *c) { (void)c; return OVERDUE_MS; }
static int64_t every_memory(const struct config *c) { (void)c; return MEMORY_MS; }
static int64_t every_hour(const struct config *c) { (void)c; return HOURLY; }

static const struct {
	int64_t (*interval)(const struct config *c);
	void (*run)(struct jobs *jobs, struct job *job);
} table[JOBS] = {
	[JOB_MARKS] = {every_mark, run_marks}, [JOB_CLOSE] = {every_close, run_close}, [JOB_REPLAY] = {every_replay, run_replay},
	[JOB_PAYMENTS] = {every_payment, run_payments}, [JOB_OVERDUE] = {every_overdue, run_overdue}, [JOB_PARTITIONS] = {every_hour, run_partitions},
	[JOB_MEMORY] = {every_memory, run_memory},
};

static void
job_on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct job *job = arg;

	(void)fd, (void)events;
	if (!job->jobs->core->configured) {
		job_schedule_in(job, MARKS_MS);	/* the first run comes as soon as it can */
		return;
	}
	if (!job->running && !job->jobs->stopped)
		job->run(job->jobs, job);
	job_schedule(job);
}

struct jobs *
jobs_new(struct core *core)
{
	struct jobs *jobs = memory_new(sizeof(*jobs));

	jobs->core = core;
	jobs->bills = metrics_series(core->metrics, "visitbill_bills_total", METRIC_COUNTER, "Bills issued by this daemon.", "");
	jobs->close_failed = metrics_series(core->metrics, "visitbill_close_failed_total", METRIC_COUNTER, "Visits that could not be closed.", "");
	for (int i = 0; i < JOBS; i++) {
		struct job *job = &jobs->list[i];
		*job = (struct job){.jobs = jobs, .interval = table[i].interval, .run = table[i].run};
		job->timer = evtimer_new(core->base, job_on_timer, job);
		job_schedule_in(job, 0);
	}
	return jobs;
}

void
jobs_free(struct jobs *jobs)
{
	if (jobs == NULL)
		return;
	for (int i = 0; i < JOBS; i++)
		event_free(jobs->list[i].timer);
	free(jobs);
}

bool
jobs_flush_marks(struct jobs *jobs)
{
	struct job *job = &jobs->list[JOB_MARKS];

	if (!job->running)
		run_marks(jobs, job);
	return job->running;
}

void
jobs_stop(struct jobs *jobs)
{
	jobs->stopped = true;
}
