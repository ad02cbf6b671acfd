/* The life of a job: its parts go to lanes; when all are back, what was refused is parked in quarantine by one part more; then it is done. */
#include "booking.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "intake/batch.h"
#include "intake/plausible.h"
#include "intake/price_list.h"
#include "intake/routes.h"
#include "intake/outcomes.h"
#include "proto/hash.h"

enum {
	PARK_BYTES = 4096,
	LOCK_MS = 1000,		/* a batch waits for a visit that somebody else has; then each of its parts goes alone */
	LEAST_US = 1000000,	/* what fails once is no outage, however short the hold is */
};

struct booking {
	struct core *core;
	struct routes *routes;
	struct lane **lanes;
	struct batch **batches;
	unsigned n_lanes;
	size_t weight;
	void (*on_progress)(void *arg);
	void *arg;
	struct event *later;		/* finishes jobs that had nothing to post */
	struct lane_list finished;
	struct metric_series *batches_total, *batch_lines, *batch_seconds;
};

static uint64_t
hash_visit(const struct visit_ref *v)
{
	/* a hot lane is the worst that can come of it */
	uint64_t h = hash_text(v->visit_no, (uint64_t)v->facility_id);

	if (v->visit_no.n == 0)
		h = hash_text(v->patient_no.text, h);
	return h ^ (h >> 29);
}

static void
job_finish(struct booking *b, struct booking_job *job)
{
	b->weight -= job->weight;
	if (!job->unavailable && !job->replay)
		outcomes_count(b->core->metrics, job);
	job->done(job, job->unavailable ? BOOKING_UNAVAILABLE : BOOKING_DONE);
	if (b->on_progress != NULL)
		b->on_progress(b->arg);
}

static void
push(struct booking *b, struct part *p, uint64_t hash)
{
	p->job->pending++;
	routes_push(b->routes, p, hash);
}

static struct part *
part_new(struct booking_job *job, enum part_kind kind, size_t weight)
{
	struct part *p = arena_alloc(&job->intake.arena, sizeof(*p));

	p->item.weight = weight;
	p->job = job;
	p->kind = kind;
	return p;
}

/* After the parts: park what was refused, or finish. */
static void
job_next_step(struct booking *b, struct booking_job *job)
{
	if (job->pending > 0)
		return;
	price_list_apply(&job->intake);
	if (!job->unavailable && !job->parked && !job->replay && outcomes_have_refusals(job)) {
		job->parked = true;
		/* by its bytes: behind the park of a large message nobody should wait who could go another way */
		push(b, part_new(job, PART_PARK, 1 + job->bytes.n / PARK_BYTES), job->intake.n_visits > 0 ? hash_visit(&job->intake.visits[0]) : 0);
		return;
	}
	job_finish(b, job);
}

static int
booking_send(void *ctx, struct pg *pg, struct lane_list *list)
{
	return batch_send(ctx, pg, list);
}

static void
booking_done(void *ctx, struct lane_list *list, int64_t took_us)
{
	struct booking *b = batch_owner(ctx);
	struct lane_item *item;
	size_t weight = 0;

	while ((item = STAILQ_FIRST(list)) != NULL) {
		struct part *p = (struct part *)item;
		STAILQ_REMOVE_HEAD(list, link);
		weight += item->weight;
		outcomes_apply(p);
		routes_end(b->routes, p);
		p->job->pending--;
		job_next_step(b, p->job);
	}
	metric_add(b->batches_total, 1);
	metric_observe(b->batch_lines, (int64_t)weight);
	metric_observe(b->batch_seconds, took_us);
}

static void
booking_failed(void *ctx, struct lane_item *item, enum lane_failure why, const char *message)
{
	struct booking *b = batch_owner(ctx);
	struct part *p = (struct part *)item;
	struct booking_job *job = p->job;

	routes_end(b->routes, p);
	if (why == LANE_UNAVAILABLE || p->kind == PART_PARK) {
		/* what cannot even be parked is not acknowledged */
		job->unavailable = true;
	} else {
		log_error("booking.refused", "feed=%s message=%.*s why=\"%s\"", job->feed != NULL ? job->feed->name : "unknown",
		    (int)job->intake.message_id.n, job->intake.message_id.p, message);
		struct refusal internal = {"internal", "the database refused it", NULL};
		if (p->kind == PART_EVENT || p->kind == PART_ITEMS)
			job->intake.refused = internal;
		for (size_t i = 0; p->kind == PART_LINES && i < p->n; i++)
			if (job->intake.lines[p->first + i].refused.reason == NULL)
				job->intake.lines[p->first + i].refused = internal;
	}
	job->pending--;
	job_next_step(b, job);
}

static void
booking_slow(void *ctx)
{
	struct booking *b = batch_owner(ctx);

	for (unsigned i = 0; i < b->n_lanes; i++)
		if (b->batches[i] == ctx)
			routes_relieve(b->routes, i);
}

static const struct lane_ops lane_ops = {booking_send, booking_done, booking_failed, booking_slow};

/* Jobs with nothing to post finish from the loop, so that done is never called from inside submit. */
static void
booking_on_later(evutil_socket_t fd, short events, void *arg)
{
	struct booking *b = arg;
	struct lane_list list = STAILQ_HEAD_INITIALIZER(list);
	struct lane_item *item;

	(void)fd, (void)events;
	turn_begin(b->core->shared.turn);
	STAILQ_CONCAT(&list, &b->finished);
	while ((item = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, link);
		struct part *p = (struct part *)item;
		p->job->pending--;
		job_next_step(b, p->job);
		if (turn_is_long(b->core->shared.turn) && !STAILQ_EMPTY(&list)) {	/* the rest in front of what has come meanwhile */
			STAILQ_CONCAT(&list, &b->finished);
			STAILQ_CONCAT(&b->finished, &list);
			event_active(b->later, EV_TIMEOUT, 0);
		}
	}
}

struct booking *
booking_new(struct core *core)
{
	struct booking *b = memory_new(sizeof(*b));
	const struct config *c = core->config;
	struct pg_config pg = core->database;
	struct lane_limits limits = {(size_t)c->database.batch_lines, c->database.hold_ms * 1000};

	pg.lock_ms = LOCK_MS;
	b->core = core;
	b->n_lanes = (unsigned)c->database.lanes;
	b->lanes = memory_new(b->n_lanes * sizeof(struct lane *));
	b->batches = memory_new(b->n_lanes * sizeof(struct batch *));
	b->routes = routes_new(b->lanes, b->n_lanes, limits.batch_weight);
	STAILQ_INIT(&b->finished);
	b->later = event_new(core->base, -1, 0, booking_on_later, b);
	b->batches_total = metrics_series(core->metrics, "visitbill_batches_total", METRIC_COUNTER, "Batches committed.", "");
	b->batch_lines = metrics_series(core->metrics, "visitbill_batch_lines", METRIC_HISTOGRAM, "Lines and events in a batch.", "");
	b->batch_seconds = metrics_series(core->metrics, "visitbill_batch_seconds", METRIC_HISTOGRAM, "From sending a batch to its commit.", "");
	for (unsigned i = 0; i < b->n_lanes; i++) {
		b->batches[i] = batch_new(b, pg.utc_offset);
		b->lanes[i] = lane_new(core->base, &pg, "booking", &limits, &lane_ops, b->batches[i]);
	}
	return b;
}

void
booking_free(struct booking *b)
{
	if (b == NULL)
		return;
	for (unsigned i = 0; i < b->n_lanes; i++) {
		lane_free(b->lanes[i]);
		batch_free(b->batches[i]);
	}
	event_free(b->later);
	routes_free(b->routes);
	free(b->lanes);
	free(b->batches);
	free(b);
}

void
booking_submit(struct booking *b, struct booking_job *job)
{
	struct intake *in = &job->intake;

	job->came = clock_monotonic();
	job->pending = 0;
	job->unavailable = job->parked = false;
	if (!job->replay && job->feed != NULL)
		plausible_judge(job->feed, in);
	job->weight = in->n_lines + in->n_events + in->n_items > 0 ? in->n_lines + in->n_events + in->n_items : 1;
	b->weight += job->weight;

	/* the first part holds the job together while the others are made */
	struct part *hold = part_new(job, PART_LINES, 0);
	job->pending++;
	for (size_t i = 0; i < in->n_events && in->refused.reason == NULL; i++) {
		struct part *p = part_new(job, PART_EVENT, 1);
		p->first = i;
		push(b, p, hash_visit(&in->visits[in->events[i].visit]));
	}
	for (size_t i = 0; i < in->n_lines;) {
		size_t first = i, good = 0;
		for (; i < in->n_lines && in->lines[i].visit == in->lines[first].visit; i++)
			good += in->lines[i].refused.reason == NULL;
		if (good == 0)
			continue;
		struct part *p = part_new(job, PART_LINES, good);
		p->first = first;
		p->n = i - first;
		push(b, p, hash_visit(&in->visits[in->lines[first].visit]));
	}
	if (price_list_has_work(in))
		push(b, part_new(job, PART_ITEMS, in->n_items), hash_text(view_of("price list"), (uint64_t)job->feed->facility_id));
	if (job->pending > 1) {
		job->pending--;
		return;
	}
	STAILQ_INSERT_TAIL(&b->finished, &hold->item, link);
	event_active(b->later, EV_TIMEOUT, 0);
}

void
booking_bind(struct intake *in, const struct feed *feed)
{
	static const char bound[] = "the feed is bound to another facility";

	for (size_t v = 0; v < in->n_visits; v++) {
		if (view_is(in->visits[v].facility, feed->facility))
			in->visits[v].facility_id = feed->facility_id;
		else if (in->n_lines == 0 && in->refused.reason == NULL)
			in->refused = (struct refusal){"facility_unknown", bound, "/facility"};
	}
	for (size_t i = 0; i < in->n_lines; i++)
		if (in->visits[in->lines[i].visit].facility_id == 0 && in->lines[i].refused.reason == NULL)
			in->lines[i].refused = (struct refusal){"facility_unknown", bound,
			    arena_printf(&in->arena, "/lines/%d/facility", in->lines[i].ordinal - 1)};
}

bool
booking_is_available(const struct booking *b)
{
	for (unsigned i = 0; i < b->n_lanes; i++)
		if (lane_is_ready(b->lanes[i]))
			return true;
	return false;
}

const char *
booking_is_stopped(const struct booking *b)
{
	int64_t hold_us = b->core->config->database.hold_ms * 1000 > LEAST_US ? b->core->config->database.hold_ms * 1000 : LEAST_US;

	for (unsigned i = 0; i < b->n_lanes; i++) {
		struct lane_trouble t = lane_trouble(b->lanes[i]);
		if (t.lasts_us > hold_us && t.quiet_us <= 2 * hold_us)
			return t.why;
	}
	return NULL;
}

int64_t
booking_oldest(const struct booking *b)
{
	int64_t oldest = 0;

	for (unsigned i = 0; i < b->n_lanes; i++) {
		const int64_t each[] = {lane_oldest(b->lanes[i]), lane_locked_us(b->lanes[i]), lane_trouble(b->lanes[i]).lasts_us};
		for (size_t k = 0; k < sizeof(each) / sizeof(each[0]); k++)
			if (each[k] > oldest)
				oldest = each[k];
	}
	return oldest;
}

size_t
booking_weight(const struct booking *b)
{
	return b->weight;
}

void
booking_on_progress(struct booking *b, void (*fn)(void *arg), void *arg)
{
	b->on_progress = fn;
	b->arg = arg;
}
