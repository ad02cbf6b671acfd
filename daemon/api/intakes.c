/* What JSON feeds deliver: visits, discharges, charges. Bodies become intakes and go the way of HL7 messages. */
#include "api/api.h"
#include "base/clock.h"
#include "intake/booking.h"
#include "intake/counts.h"
#include "intake/marks.h"
#include "intake/outcomes.h"
#include "proto/json/requests.h"
#include "proto/money.h"
#include "proto/text.h"

/* What is read of a body between two looks at the clock; bytes. */
enum { STEP = 8192 };

struct intake_call {
	struct booking_job job;		/* first */
	struct call *call;
	const char *type;		/* what it is counted as */
	struct api_charges *reading;
	struct turn_task again;		/* goes on with it in another turn */
};

static struct api_context
context_of(struct call *c)
{
	return (struct api_context){clock_now(), (int)c->settings->hospital.utc_offset, (size_t)c->settings->mllp.message_lines,
	    view_of(c->who.feed->facility)};
}

/* An intake with an arena of its own: the request's is not its to free. NULL, and answered, where the request cannot be one. */
static struct intake_call *
intake_begin(struct call *c, const char *type, void (*done)(struct booking_job *job, enum booking_result result))
{
	struct http_request *r = c->request;
	struct view key;

	if (!api_wants_json(c) || !api_idempotency_key(c, &key))
		return NULL;
	struct intake_call *ic = arena_alloc(c->arena, sizeof(*ic));
	ic->call = c;
	ic->type = type;
	ic->job.done = done;
	ic->job.feed = c->who.feed;
	ic->job.content_type = "json";
	ic->job.operation = arena_join(c->arena, r->method, " ", r->path);
	ic->job.bytes = r->body.p != NULL ? r->body : VIEW_LITERAL("");
	ic->job.peer = r->peer;
	arena_init(&ic->job.intake.arena, 3072 + r->body.n * 3);
	ic->job.intake.message_id = key;
	return ic;
}

/* What was made of the body counts for its peer, too, while it is in work. */
static void
intake_submit(struct intake_call *ic)
{
	struct call *c = ic->call;

	if (http_request_hold(c->request, ic->job.intake.arena.total)) {
		booking_submit(c->core->booking, &ic->job);
		return;
	}
	arena_free(&ic->job.intake.arena);
	api_problem(c, "busy", "there is no memory for what the body holds now; send again", NULL);
}

/* True when the request as a whole came to nothing, and was answered so; else the feed's watermark moves. */
static bool
refused(struct intake_call *ic, enum booking_result result)
{
	struct booking_job *job = &ic->job;

	counts_note_request(job, ic->type, result);
	if (result == BOOKING_UNAVAILABLE) {
		api_problem(ic->call, "unavailable", NULL, NULL);
		return true;
	}
	if (job->intake.refused.reason != NULL) {
		metric_add(job->feed->messages_error, 1);
		api_refuse(ic->call, &job->intake.refused);
		return true;
	}
	marks_note(job);
	metric_add(job->feed->messages_ok, 1);
	return false;
}

/* ------- charges */

static void
put_line(struct text *t, const struct charge_line *l)
{
	char money[MONEY_TEXT];

	text_string(t, l->ordinal > 1 ? ",{\"index\":" : "{\"index\":");
	text_number(t, l->ordinal - 1);
	text_string(t, ",\"source_line\":");
	text_quoted(t, l->source_line);
	text_string(t, ",\"outcome\":\"");
	text_string(t, l->refused.reason != NULL ? l->refused.reason : outcome_name(l->outcome));
	text_char(t, '"');
	if (l->refused.reason != NULL) {
		text_string(t, ",\"detail\":");
		text_quoted(t, view_of(l->refused.detail));
		text_string(t, ",\"pointer\":");
		text_quoted(t, view_of(l->refused.location != NULL ? l->refused.location : arena_printf(t->a, "/lines/%d", l->ordinal - 1)));
	}
	if (l->visit_state != NULL) {
		text_string(t, ",\"total\":\"");
		text_string(t, money_format(l->visit_total, money));
		text_string(t, "\",\"state\":\"");
		text_string(t, l->visit_state);
		text_char(t, '"');
	}
	text_char(t, '}');
}

/* The answer to POST /v1/charges: how many of each outcome, and the lines in the order in which they were sent. */
static struct view
charges_reply(struct intake *in)
{
	const struct charge_line **order = arena_room(&in->arena, in->n_lines * sizeof(*order));
	size_t booked = 0, duplicate = 0, held = 0, refused = 0;

	for (size_t i = 0; i < in->n_lines; i++) {
		struct charge_line *l = &in->lines[i];
		order[l->ordinal - 1] = l;
		if (!charge_line_is_fine(l))
			refused++;
		else if (l->refused.reason != NULL)
			held++;
		else if (l->outcome == OUTCOME_DUPLICATE)
			duplicate++;
		else
			booked++;
	}
	struct text t = text_begin(&in->arena, 128 + in->n_lines * 128);
	const struct { const char *key; size_t n; } counts[] = {
		{"{\"received\":", in->n_lines}, {",\"booked\":", booked}, {",\"duplicate\":", duplicate}, {",\"held\":", held}, {",\"refused\":", refused},
	};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		text_string(&t, counts[i].key);
		text_number(&t, (int64_t)counts[i].n);
	}
	text_string(&t, ",\"lines\":[");
	for (size_t i = 0; i < in->n_lines; i++)
		put_line(&t, order[i]);
	text_string(&t, "]}");
	return text_view(&t);
}

static void
charges_done(struct booking_job *job, enum booking_result result)
{
	struct intake_call *ic = (struct intake_call *)job;
	struct arena arena = job->intake.arena;		/* the job goes with the request */

	if (!refused(ic, result)) {
		struct view reply = charges_reply(&job->intake);
		arena = job->intake.arena;		/* it may have grown */
		http_reply(ic->call->request, 200, "application/json", NULL, reply);
	}
	arena_free(&arena);
}

/* A large body takes more turns than one. The request stays as long, whether its peer does or not. */
static void
charges_read(void *arg)
{
	struct intake_call *ic = arg;
	struct turn *turn = ic->call->core->shared.turn;

	while (!api_charges_step(ic->reading, STEP))
		if (turn_is_long(turn)) {
			ic->again = (struct turn_task){.run = charges_read, .arg = ic};
			turn_later(turn, &ic->again, TURN_KNOWN);
			return;
		}
	booking_bind(&ic->job.intake, ic->job.feed);
	intake_submit(ic);
}

void
api_post_charges(struct call *c)
{
	struct api_context context = context_of(c);

	if (!booking_is_available(c->core->booking) || booking_weight(c->core->booking) >= (size_t)c->settings->mllp.queue_lines) {
		api_problem(c, booking_is_available(c->core->booking) ? "busy" : "unavailable", NULL, NULL);
		return;
	}
	struct intake_call *ic = intake_begin(c, "POST /v1/charges", charges_done);
	if (ic == NULL)
		return;
	ic->reading = api_charges_begin(c->request->body, &context, &ic->job.intake);
	charges_read(ic);
}

/* ------- visits */

static void
event_done(struct booking_job *job, enum booking_result result)
{
	struct intake_call *ic = (struct intake_call *)job;
	struct intake *in = &job->intake;
	struct arena arena = in->arena;
	struct call *c = ic->call;

	if (!refused(ic, result)) {
		bool made = in->events[0].kind == EVENT_OPEN && in->events[0].outcome == OUTCOME_DONE;
		struct view facility = arena_copy(c->arena, in->visits[0].facility.p, in->visits[0].facility.n);
		struct view visit_no = arena_copy(c->arena, in->visits[0].visit_no.p, in->visits[0].visit_no.n);
		struct pg_param params[] = {api_text(facility), api_text(visit_no), api_facilities(c)};
		api_reply_sql(c, SQL_VISIT_DOC, params, 3, made ? 201 : 200, "visit_unknown");
	}
	arena_free(&arena);
}

static void
submit_event(struct call *c, struct intake_call *ic)
{
	booking_bind(&ic->job.intake, c->who.feed);
	intake_submit(ic);
}

void
api_post_visit(struct call *c)
{
	struct api_context context = context_of(c);

	struct intake_call *ic = intake_begin(c, "POST /v1/visits", event_done);
	if (ic == NULL)
		return;
	api_visit_parse(c->request->body, &context, &ic->job.intake);
	submit_event(c, ic);
}

static void
discharge(struct call *c, enum event_kind kind)
{
	struct api_context context = context_of(c);

	struct intake_call *ic = intake_begin(c, kind == EVENT_DISCHARGE ? "POST discharge" : "DELETE discharge", event_done);
	if (ic == NULL)
		return;
	api_discharge_parse(c->request->body, &context, kind, c->params[0], c->params[1], &ic->job.intake);
	submit_event(c, ic);
}

void
api_post_discharge(struct call *c)
{
	discharge(c, EVENT_DISCHARGE);
}

void
api_delete_discharge(struct call *c)
{
	discharge(c, EVENT_REOPEN);
}
