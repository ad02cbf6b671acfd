/* Replay. HL7 and JSON take the same path; the entries are resolved in a call of its own after the booking, which is idempotent. */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "intake/booking.h"
#include "intake/message.h"
#include "intake/replay_entries.h"
#include "proto/json/requests.h"
#include "proto/percent.h"

struct replay {
	struct core *core;
	struct replay_entries entries;
	char by[80];
	char *scope;
	bool released;
	replay_fn fn;
	void *arg;
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
replay_end(struct replay *r)
{
	const struct replay_result **results = memory_new(r->entries.n * sizeof(*results));

	for (size_t i = 0; i < r->entries.n; i++) {
		results[i] = &r->entries.list[i].result;
		log_info("replay", "quarantine=%lld outcome=%s resolved=%d", (long long)results[i]->id, results[i]->outcome, results[i]->resolved);
	}
	r->fn(r->arg, results, r->entries.n);
	free(results);
	entries_free(&r->entries);
	free(r->scope);
	free(r);
}

static void
not_told(struct replay *r)
{
	for (size_t i = 0; i < r->entries.n; i++)
		r->entries.list[i].result.resolved = false;
}

static void
on_told(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct replay *r = arg;

	(void)result;
	if (outcome->verdict != PG_DONE)
		not_told(r);
	replay_end(r);
}

static void
replay_judge(struct replay *r, const struct intake *in, enum booking_result result)
{
	if (result != BOOKING_DONE) {
		entries_unavailable(&r->entries);
	} else if (entries_judge(&r->entries, in)) {
		if (entries_tell(&r->entries, r->core->pool, r->by, r->scope, on_told, r) == 0)
			return;
		not_told(r);
	}
	replay_end(r);
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
replay_submit_json(struct replay *r)
{
	struct json_job *j = r->json;
	struct intake *in = &j->job.intake;

	entries_keep_lines(&r->entries, in);
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
	j->job.released = r->released;
	j->job.done = on_json;
	context.facility = view_of(feed->facility);
	r->json = j;
	if (is_of_charges(operation, r->entries.list[0].ordinal)) {
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
	m->job.released = r->released;
	m->job.done = on_message;
	entries_keep_lines(&r->entries, &m->job.intake);
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

int
replay_rows_of(const PGresult *rows, int first)
{
	int n = 1, bytes = PQfnumber(rows, "bytes");

	while (first + n < PQntuples(rows) && PQgetisnull(rows, first + n, bytes))
		n++;
	return n;
}

static const char *
value_of(const PGresult *rows, int row, const char *column)
{
	return PQgetvalue(rows, row, PQfnumber(rows, column));
}

void
replay_message(struct core *core, const PGresult *rows, int first, int n, const char *by, const char *scope, bool released, replay_fn fn, void *arg)
{
	struct replay *r = memory_new(sizeof(*r));
	int feed_id = atoi(value_of(rows, first, "feed_id"));		/* 0 where it is null */
	struct feed *feed = directory_feed_by_id(core->directory, feed_id);
	size_t size;
	unsigned char *bytes = PQunescapeBytea((const unsigned char *)value_of(rows, first, "bytes"), &size);

	if (bytes == NULL)
		fatal("out of memory");
	r->core = core;
	entries_read(&r->entries, rows, first, n);
	snprintf(r->by, sizeof(r->by), "%s", by);
	r->scope = memory_text(scope, strlen(scope));
	r->released = released;
	r->fn = fn;
	r->arg = arg;
	/* a message of an unknown feed is looked at again: it may be configured by now */
	if (strcmp(value_of(rows, first, "content_type"), "hl7") == 0 || feed == NULL)
		replay_hl7(r, (struct view){(const char *)bytes, size}, feed != NULL ? feed_id : 0);
	else
		replay_json(r, (struct view){(const char *)bytes, size}, feed, value_of(rows, first, "operation"));
	PQfreemem(bytes);
}
