/* Replay. HL7 and JSON take the same path; the entry is resolved in a call of its own after the booking, which is idempotent. */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "intake/booking.h"
#include "intake/message.h"
#include "proto/json/requests.h"
#include "proto/percent.h"
#include "proto/reason.h"

struct replay {
	struct core *core;
	char id[24];
	char by[80];
	char *scope;
	int ordinal;
	replay_fn fn;
	void *arg;
	char outcome[40];
	struct message *message;	/* being read, as HL7 */
	struct json_job *json;		/* or as JSON */
	struct turn_task again;
};

struct json_job {
	struct booking_job job;		/* first */
	struct replay *replay;
	struct api_charges *reading;
};

enum { STEP = 8192 };	/* bytes of a large body between two looks at the clock */

static void
replay_end(struct replay *r, bool resolved)
{
	log_info("replay", "quarantine=%s outcome=%s resolved=%d", r->id, r->outcome, resolved);
	if (r->fn != NULL)
		r->fn(r->arg, view_of(r->outcome), resolved);
	free(r->scope);
	free(r);
}

static void
on_resolved(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct replay *r = arg;

	(void)result;
	replay_end(r, outcome->verdict == PG_DONE);
}

static bool
is_booked(const char *outcome)
{
	static const char *const booked[] = {"posted", "late", "duplicate", "done", "repeated"};

	for (size_t i = 0; i < sizeof(booked) / sizeof(booked[0]); i++)
		if (strcmp(outcome, booked[i]) == 0)
			return true;
	return false;
}

static void
on_superseded(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	(void)outcome, (void)result;
	replay_end(arg, false);
}

/* Refused for another reason now: the entry says so, and a held reversal that can never fit is not tried each second. */
static void
replay_supersede(struct replay *r, const struct refusal *refused)
{
	const char *detail = refused->detail != NULL ? refused->detail : reason_of(refused->reason)->title;
	struct pg_param params[] = {{view_of(r->id), false}, {view_of(refused->reason), false}, {view_of(detail), false},
	    {view_of(refused->location), false}, {view_of(r->by), false}, {view_of(r->scope), false}};

	if (pool_call(r->core->pool, SQL_QUARANTINE_SUPERSEDE, params, 6, on_superseded, r) != 0)
		replay_end(r, false);
}

static void
replay_judge(struct replay *r, const struct intake *in, enum booking_result result)
{
	const char *outcome = "unavailable";
	const struct refusal *refused = in->refused.reason == NULL && in->n_lines > 0 ? &in->lines[0].refused : &in->refused;

	if (result == BOOKING_DONE)
		outcome = refused->reason != NULL ? refused->reason : in->n_lines > 0 ? in->lines[0].outcome
		    : in->events[0].outcome != NULL ? in->events[0].outcome : "done";
	snprintf(r->outcome, sizeof(r->outcome), "%s", outcome);
	if (result == BOOKING_DONE && refused->reason != NULL && strcmp(outcome, "held") != 0) {
		replay_supersede(r, refused);
		return;
	}
	if (!is_booked(outcome)) {
		replay_end(r, false);
		return;
	}
	struct pg_param params[] = {{view_of(r->id), false}, {view_of(r->outcome), false}, {view_of(r->by), false}, {view_of(r->scope), false}};
	if (pool_call(r->core->pool, SQL_QUARANTINE_RESOLVE, params, 4, on_resolved, r) != 0)
		replay_end(r, false);
}

static void
on_message(struct booking_job *job, enum booking_result result)
{
	struct message *m = (struct message *)job;

	replay_judge(m->owner, &job->intake, result);
	message_free(m);
}

static void
on_json(struct booking_job *job, enum booking_result result)
{
	struct json_job *j = (struct json_job *)job;
	struct arena arena;

	replay_judge(j->replay, &job->intake, result);
	arena = job->intake.arena;
	arena_free(&arena);
}

static void
keep_line(struct intake *in, int ordinal)
{
	for (size_t i = 0; ordinal > 0 && i < in->n_lines; i++)
		if (in->lines[i].ordinal == ordinal) {
			in->lines[0] = in->lines[i];
			in->n_lines = 1;
			return;
		}
}

static void
replay_submit_json(struct replay *r)
{
	struct json_job *j = r->json;
	struct intake *in = &j->job.intake;

	keep_line(in, r->ordinal);
	booking_bind(in, j->job.feed);	/* whoever has its message replayed */
	for (size_t i = 0; in->refused.reason != NULL && i < in->n_lines; i++)
		in->lines[i].refused = in->refused;
	booking_submit(r->core->booking, &j->job);
}

static void
replay_read_json(void *arg)
{
	struct replay *r = arg;

	while (!api_charges_step(r->json->reading, STEP))
		if (turn_is_long(r->core->shared.turn)) {
			r->again = (struct turn_task){.run = replay_read_json, .arg = r};
			turn_later(r->core->shared.turn, &r->again, TURN_KNOWN);
			return;
		}
	replay_submit_json(r);
}

/* What was kept before operations were written down is of charges where it is a line. */
static bool
is_of_charges(const char *operation, int ordinal)
{
	return operation[0] != '\0' ? strcmp(operation, "POST /v1/charges") == 0 : ordinal > 0;
}

/* POST and DELETE /v1/visits/{facility}/{visit_no}/discharge; false where it is something else. */
static bool
read_discharge(const char *operation, struct view body, const struct api_context *context, struct intake *in)
{
	static const char path[] = " /v1/visits/", end[] = "/discharge";
	const char *at = strstr(operation, path), *slash = at != NULL ? strchr(at + sizeof(path) - 1, '/') : NULL;
	size_t n = strlen(operation);
	struct view facility, visit_no;

	if (slash == NULL || n < sizeof(end) || strcmp(operation + n - (sizeof(end) - 1), end) != 0)
		return false;
	at += sizeof(path) - 1;
	const char *stop = operation + n - (sizeof(end) - 1);
	if (stop <= slash || !percent_decode(&in->arena, (struct view){at, (size_t)(slash - at)}, false, &facility)
	    || !percent_decode(&in->arena, (struct view){slash + 1, (size_t)(stop - slash - 1)}, false, &visit_no))
		return false;
	api_discharge_parse(body, context, operation[0] == 'D' ? EVENT_REOPEN : EVENT_DISCHARGE, facility, visit_no, in);
	return true;
}

static void
replay_json(struct replay *r, struct view bytes, struct feed *feed, const char *operation)
{
	struct arena arena;
	struct api_context context = {clock_now(), (int)r->core->config->hospital.utc_offset, (size_t)r->core->config->mllp.message_lines, VIEW_NONE};

	arena_init(&arena, sizeof(struct json_job) + bytes.n * 4 + 1024);
	struct json_job *j = arena_alloc(&arena, sizeof(*j));
	struct intake *in = &j->job.intake;
	j->replay = r;
	in->arena = arena;
	j->job.content_type = "json";
	j->job.operation = arena_copy(&in->arena, operation, strlen(operation));
	j->job.bytes = arena_copy(&in->arena, bytes.p, bytes.n);
	j->job.peer = "replay";
	j->job.feed = feed;
	j->job.replay = true;
	j->job.done = on_json;
	context.facility = view_of(feed->facility);
	r->json = j;
	if (is_of_charges(operation, r->ordinal)) {
		j->reading = api_charges_begin(j->job.bytes, &context, in);
		replay_read_json(r);
		return;
	}
	if (!read_discharge(operation, j->job.bytes, &context, in))
		api_visit_parse(j->job.bytes, &context, in);
	replay_submit_json(r);
}

static void
replay_read(void *arg)
{
	struct replay *r = arg;
	struct message *m = r->message;

	if (!message_read(m, r->core->shared.turn)) {
		r->again = (struct turn_task){.run = replay_read, .arg = r};
		turn_later(r->core->shared.turn, &r->again, TURN_KNOWN);
		return;
	}
	m->owner = r;
	m->job.replay = true;
	m->job.done = on_message;
	keep_line(&m->job.intake, r->ordinal);
	booking_submit(r->core->booking, &m->job);
}

static void
replay_hl7(struct replay *r, struct view bytes, int feed_id)
{
	/* a person has the message booked, or the daemon its own held line: MSH will do, where no certificate is asked for */
	static const struct sender sender = {NULL, true};

	r->message = message_new(r->core, bytes, false, "replay", &sender, feed_id);
	replay_read(r);
}

void
replay_row(struct core *core, const PGresult *rows, int row, const char *by, const char *scope, replay_fn fn, void *arg)
{
	struct replay *r = memory_new(sizeof(*r));
	int feed_id = PQgetisnull(rows, row, 1) ? 0 : atoi(PQgetvalue(rows, row, 1));
	struct feed *feed = directory_feed_by_id(core->directory, feed_id);
	size_t n;
	unsigned char *bytes = PQunescapeBytea((const unsigned char *)PQgetvalue(rows, row, 3), &n);

	if (bytes == NULL)
		fatal("out of memory");
	r->core = core;
	snprintf(r->id, sizeof(r->id), "%s", PQgetvalue(rows, row, 0));
	snprintf(r->by, sizeof(r->by), "%s", by);
	r->scope = memory_text(scope, strlen(scope));
	r->ordinal = atoi(PQgetvalue(rows, row, 4));
	r->fn = fn;
	r->arg = arg;
	/* a message of an unknown feed is looked at again: it may be configured by now */
	if (strcmp(PQgetvalue(rows, row, 2), "hl7") == 0 || feed == NULL)
		replay_hl7(r, (struct view){(const char *)bytes, n}, feed != NULL ? feed_id : 0);
	else
		replay_json(r, (struct view){(const char *)bytes, n}, feed, PQgetvalue(rows, row, 5));
	PQfreemem(bytes);
}
