/* The runner of jobs: when each runs, and that none runs twice at once. What jobs do is another room's: the linker leads the runner to these here
 * (--wrap), which only note that they were called and end when a test says so. */
#include "check_net.h"

#include "base/job.h"
#include "base/settings.h"
#include "core/core.h"
#include "jobs/jobs.h"

struct noted {
	int runs;
	job_over_fn over;
	void *job;
	bool at_once, more;		/* ends inside the call; and says that there is more to do, once */
};

static struct noted closing, marks, counts, payments, overdue;
static struct core core;
static struct world w;
static struct jobs *jobs;
static bool mark_waits, count_waits;

static void
note(struct noted *n, job_over_fn over, void *job)
{
	n->runs++;
	n->over = over;
	n->job = job;
	if (n->at_once) {
		bool more = n->more;
		n->more = false;
		over(job, more);
	}
}

#define NOTED(name, noted) \
void __wrap_##name(struct core *c, job_over_fn over, void *job); \
void __wrap_##name(struct core *c, job_over_fn over, void *job) { ck_assert_ptr_eq(c, &core); note(noted, over, job); }
#define DONE(name) \
void __wrap_##name(struct core *c, job_over_fn over, void *job); \
void __wrap_##name(struct core *c, job_over_fn over, void *job) { (void)c; over(job, false); }

NOTED(marks_run, &marks)
NOTED(counts_run, &counts)
NOTED(upkeep_close, &closing)
NOTED(payments_due_run, &payments)
NOTED(upkeep_overdue, &overdue)
DONE(replay_ready_run)
DONE(upkeep_partitions)
DONE(upkeep_lookalikes)
DONE(upkeep_ending)

void __wrap_tokens_refresh(void *t, void *pool, job_over_fn over, void *job);
void __wrap_tokens_tell_used(void *t, void *pool, job_over_fn over, void *job);
bool __wrap_marks_pending(const struct core *c);
void __wrap_tokens_refresh(void *t, void *pool, job_over_fn over, void *job) { (void)t, (void)pool; over(job, false); }
void __wrap_tokens_tell_used(void *t, void *pool, job_over_fn over, void *job) { (void)t, (void)pool; over(job, false); }
bool __wrap_marks_pending(const struct core *c) { (void)c; return mark_waits; }
bool __wrap_counts_pending(const struct core *c);
bool __wrap_counts_pending(const struct core *c) { (void)c; return count_waits; }

static void
setup(void)
{
	static const char text[] = "[database]\nconninfo = x\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n"
	    "[jobs]\nclose = 50ms\npayments = 2s\n";
	char error[512] = "";

	mark_waits = count_waits = false;
	world_open(&w);
	memset(&core, 0, sizeof(core));
	core.base = w.base;
	core.shared = w.shared;
	core.config = config_parse_text("t.conf", (struct view){text, sizeof(text) - 1}, error, sizeof(error));
	ck_assert_msg(core.config != NULL, "%s", error);
	core.configured = true;
	closing.at_once = marks.at_once = counts.at_once = payments.at_once = overdue.at_once = true;
	jobs = jobs_new(&core);
}

static void
teardown(void)
{
	jobs_free(jobs);
	config_release(core.config);
	world_close(&w);
}

START_TEST(test_all_run_at_the_start)
{
	world_run(&w, 20);
	ck_assert(closing.runs == 1 && marks.runs == 1 && payments.runs == 1 && overdue.runs == 1);
}
END_TEST

START_TEST(test_each_at_its_time)
{
	world_run(&w, 500);
	ck_assert_int_ge(closing.runs, 4);
	ck_assert_int_le(closing.runs, 11);
	ck_assert_int_ge(marks.runs, 3);
	ck_assert_int_le(marks.runs, 6);
	ck_assert_int_eq(payments.runs, 1);
	ck_assert_int_eq(overdue.runs, 1);
}
END_TEST

START_TEST(test_never_twice_at_once)
{
	closing.at_once = false;
	world_run(&w, 300);
	ck_assert_int_eq(closing.runs, 1);
	closing.over(closing.job, false);
	world_run(&w, 300);
	ck_assert_int_eq(closing.runs, 2);
	closing.over(closing.job, false);
}
END_TEST

/* Not only when its time has come again. */
START_TEST(test_more_runs_at_once)
{
	payments.more = true;
	world_run(&w, 100);
	ck_assert_int_eq(payments.runs, 2);
}
END_TEST

START_TEST(test_not_before_the_settings_are_there)
{
	core.configured = false;
	world_run(&w, 250);
	ck_assert_int_eq(closing.runs + marks.runs + payments.runs, 0);
	core.configured = true;
	world_run(&w, 250);		/* soon after, whatever its interval is */
	ck_assert_int_eq(payments.runs, 1);
	ck_assert_int_eq(overdue.runs, 1);
}
END_TEST

START_TEST(test_stop)
{
	closing.at_once = payments.at_once = false;
	world_run(&w, 20);
	jobs_stop(jobs);
	closing.over(closing.job, false);
	payments.over(payments.job, true);	/* nor what is left */
	world_run(&w, 200);
	ck_assert_int_eq(closing.runs, 1);
	ck_assert_int_eq(payments.runs, 1);
}
END_TEST

/* Before the end the watermarks are written, also when jobs are stopped; who asks is told whether to wait. */
START_TEST(test_marks_are_flushed)
{
	world_run(&w, 20);
	jobs_stop(jobs);
	int before = marks.runs;
	ck_assert(!jobs_flush(jobs));	/* nothing to write */
	ck_assert_int_eq(marks.runs, before);
	mark_waits = true;
	marks.at_once = false;
	ck_assert(jobs_flush(jobs));
	ck_assert(jobs_flush(jobs));
	ck_assert_int_eq(marks.runs, before + 1);
	mark_waits = false;
	marks.over(marks.job, false);
	ck_assert(!jobs_flush(jobs));
}
END_TEST

START_TEST(test_counts_are_flushed)
{
	world_run(&w, 20);
	jobs_stop(jobs);
	int before = counts.runs;
	count_waits = true;
	counts.at_once = false;
	ck_assert(jobs_flush(jobs));
	ck_assert(jobs_flush(jobs));
	ck_assert_int_eq(counts.runs, before + 1);
	count_waits = false;
	counts.over(counts.job, false);
	ck_assert(!jobs_flush(jobs));
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("jobs");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_all_run_at_the_start);
	tcase_add_test(run.tcase, test_each_at_its_time);
	tcase_add_test(run.tcase, test_never_twice_at_once);
	tcase_add_test(run.tcase, test_more_runs_at_once);
	tcase_add_test(run.tcase, test_not_before_the_settings_are_there);
	tcase_add_test(run.tcase, test_stop);
	tcase_add_test(run.tcase, test_marks_are_flushed);
	tcase_add_test(run.tcase, test_counts_are_flushed);
	return check_end(run);
}
