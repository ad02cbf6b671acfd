/* The runner. A job that is still running when its timer fires is left alone; one that has more to do runs again at once. */
#include "jobs.h"

#include <assert.h>
#include <stdlib.h>

#include "access/token_sync.h"
#include "base/memory.h"
#include "intake/counts.h"
#include "intake/marks.h"
#include "core/payments_due.h"
#include "core/upkeep.h"
#include "intake/replay_ready.h"

enum {
	HOUR_MS = 3600000, OVERDUE_MS = 30000, LOOKALIKES_MS = 2000, MEMORY_MS = 30000, MARKS_MS = 100, COUNTS_MS = 1000, TOKENS_MS = 500, USED_MS = 10000
};

struct job {
	struct jobs *jobs;
	struct event *timer;
	bool running;
};

enum job_name {
	JOB_MARKS, JOB_COUNTS, JOB_ENDING, JOB_CLOSE, JOB_REPLAY, JOB_PAYMENTS, JOB_OVERDUE, JOB_LOOKALIKES, JOB_PARTITIONS, JOB_TOKENS, JOB_TOKENS_USED,
	JOB_MEMORY, JOBS
};

struct jobs {
	struct core *core;
	struct job list[JOBS];
	bool stopped;
};

static void
run_tokens(struct core *core, job_over_fn over, void *job)
{
	tokens_refresh(core->tokens, core->pool, over, job);
}

static void
run_tokens_used(struct core *core, job_over_fn over, void *job)
{
	tokens_tell_used(core->tokens, core->pool, over, job);
}

static void
run_memory(struct core *core, job_over_fn over, void *job)
{
	(void)core;
	memory_give_back();
	over(job, false);
}

static int64_t every_mark(const struct config *c) { (void)c; return MARKS_MS; }
static int64_t every_count(const struct config *c) { (void)c; return COUNTS_MS; }
static int64_t every_close(const struct config *c) { return c->jobs.close_ms; }
static int64_t every_replay(const struct config *c) { return c->jobs.replay_ms; }
static int64_t every_payment(const struct config *c) { return c->jobs.payments_ms; }
static int64_t every_overdue(const struct config *c) { (void)c; return OVERDUE_MS; }
static int64_t every_look(const struct config *c) { (void)c; return LOOKALIKES_MS; }
static int64_t every_memory(const struct config *c) { (void)c; return MEMORY_MS; }
static int64_t every_tokens(const struct config *c) { (void)c; return TOKENS_MS; }
static int64_t every_use(const struct config *c) { (void)c; return USED_MS; }
static int64_t every_hour(const struct config *c) { (void)c; return HOUR_MS; }

static const struct {
	int64_t (*interval)(const struct config *c);	/* milliseconds */
	void (*run)(struct core *core, job_over_fn over, void *job);
} table[JOBS] = {
	[JOB_MARKS] = {every_mark, marks_run}, [JOB_COUNTS] = {every_count, counts_run}, [JOB_ENDING] = {every_close, upkeep_ending}, [JOB_CLOSE] = {every_close, upkeep_close},
	[JOB_REPLAY] = {every_replay, replay_ready_run}, [JOB_PAYMENTS] = {every_payment, payments_due_run},
	[JOB_OVERDUE] = {every_overdue, upkeep_overdue}, [JOB_LOOKALIKES] = {every_look, upkeep_lookalikes}, [JOB_PARTITIONS] = {every_hour, upkeep_partitions},
	[JOB_TOKENS] = {every_tokens, run_tokens}, [JOB_TOKENS_USED] = {every_use, run_tokens_used},
	[JOB_MEMORY] = {every_memory, run_memory},
};

static void
job_schedule_in(struct job *job, int64_t ms)
{
	struct timeval delay = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(job->timer, &delay);
}

static void
job_over(void *arg, bool more)
{
	struct job *job = arg;

	assert(job->running);
	job->running = false;
	if (more && !job->jobs->stopped)
		event_active(job->timer, EV_TIMEOUT, 0);
}

static void
job_run(struct job *job)
{
	job->running = true;
	table[job - job->jobs->list].run(job->jobs->core, job_over, job);
}

static void
job_on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct job *job = arg;
	struct core *core = job->jobs->core;

	(void)fd, (void)events;
	turn_begin(core->shared.turn);
	if (!core->configured) {
		job_schedule_in(job, MARKS_MS);	/* the first run comes as soon as it can */
		return;
	}
	job_schedule_in(job, table[job - job->jobs->list].interval(core->config));	/* first: it would take back what job_over makes active */
	if (!job->running && !job->jobs->stopped)
		job_run(job);
}

struct jobs *
jobs_new(struct core *core)
{
	struct jobs *jobs = memory_new(sizeof(*jobs));

	jobs->core = core;
	for (int i = 0; i < JOBS; i++) {
		struct job *job = &jobs->list[i];
		*job = (struct job){.jobs = jobs};
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
jobs_flush(struct jobs *jobs)
{
	struct job *marks = &jobs->list[JOB_MARKS], *counts = &jobs->list[JOB_COUNTS];

	if (!marks->running && marks_pending(jobs->core))
		job_run(marks);
	if (!counts->running && counts_pending(jobs->core))
		job_run(counts);
	return marks->running || counts->running;
}

void
jobs_stop(struct jobs *jobs)
{
	jobs->stopped = true;
}
