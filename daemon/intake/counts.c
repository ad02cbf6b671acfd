/* Counts what each feed sends, so that people can see what it sent and what of it is missing; books nothing and decides nothing.
 * A feed has one short list, in which a kind of message that came in this second is found at the first looks. Types are those that billing knows,
 * what the feed's setting ignores, and "other", so a feed that makes names up makes no counts. A call adds all of it; while it is under way what
 * it says stays apart, and is told again where it was rolled back. Where nobody knows (the connection was lost) the sequence numbers are, which
 * may be told twice; counts are not: then a second of them may be missing, and none is doubled. */
#include "counts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "db/column.h"
#include "intake/sequence.h"
#include "intake/outcomes.h"
#include "proto/hl7/event_table.h"
#include "proto/utf8.h"

enum { TYPE = 32, LAST_ID = 64, COUNTS_MOST = 256 };

struct count {
	char type[TYPE];
	const char *outcome;		/* a constant */
	int64_t n, sent;		/* not yet in a call; in the one under way */
	int64_t at;			/* of the newest one; monotonic */
	char last_id[LAST_ID];		/* its MSH-10, "" where it is none to keep */
};

struct feed_counts {
	int64_t unlisted, price_differs, unlisted_sent, price_differs_sent;	/* lines; as with messages */
	size_t n, room;
	struct count list[];
};

/* Of a feed that sends MSH-13. */
struct feed_numbers {
	struct sequence came, sent;	/* as with messages */
};

struct counts_call {
	struct core *core;
	job_over_fn over;
	void *job;
};

/* ------- counting */

static struct feed_counts *
counts_of(struct feed *feed)
{
	enum { FIRST_ROOM = 8 };

	if (feed->counts == NULL) {
		feed->counts = memory_new(sizeof(*feed->counts) + FIRST_ROOM * sizeof(struct count));
		feed->counts->room = FIRST_ROOM;
	} else if (feed->counts->n == feed->counts->room) {
		feed->counts->room *= 2;
		feed->counts = memory_resize(feed->counts, sizeof(*feed->counts) + feed->counts->room * sizeof(struct count));
	}
	return feed->counts;
}

static struct count *
find(const struct feed *feed, const char *type, const char *outcome)
{
	struct feed_counts *c = feed->counts;

	for (size_t i = c != NULL ? c->n : 0; i-- > 0;)
		if (strcmp(c->list[i].type, type) == 0 && (c->list[i].outcome == outcome || strcmp(c->list[i].outcome, outcome) == 0))
			return &c->list[i];
	return NULL;
}

/* Beyond the most, all that is new is of type other; accepted, ignored and unavailable stay what they are, and every reason is other. */
static struct count *
find_or_add(struct feed *feed, const char *type, const char *outcome)
{
	struct count *k = find(feed, type, outcome);

	if (k == NULL && feed->counts != NULL && feed->counts->n >= COUNTS_MOST) {
		type = "other";
		if (strcmp(outcome, "accepted") != 0 && strcmp(outcome, "ignored") != 0 && strcmp(outcome, "unavailable") != 0)
			outcome = "other";
		k = find(feed, type, outcome);
	}
	if (k != NULL)
		return k;
	struct feed_counts *c = counts_of(feed);
	k = &c->list[c->n++];
	*k = (struct count){.outcome = outcome};
	snprintf(k->type, sizeof(k->type), "%s", type);
	return k;
}

static void
count(struct count *k, struct view id)
{
	k->n++;
	k->at = clock_monotonic();
	if (id.n >= sizeof(k->last_id))
		id.n = 0;
	if (id.n > 0)
		memcpy(k->last_id, id.p, id.n);
	k->last_id[id.n] = '\0';
}

/* The first reason that it is refused for, as its answer says it; NULL: for none.
 * A payment by the patient's number is told from a message that names no visit. */
static const char *
reason_in(const struct booking_job *job)
{
	const struct intake *in = &job->intake;

	if (in->refused.reason != NULL)
		return in->refused.reason;
	for (size_t i = 0; i < in->n_lines; i++)
		if (!charge_line_is_fine(&in->lines[i]))
			return in->lines[i].kind == LINE_PAYMENT && strcmp(in->lines[i].refused.reason, "visit_missing") == 0 ? "payment_visit_missing"
			    : in->lines[i].refused.reason;
	for (size_t i = 0; i < in->n_items; i++)
		if (in->items[i].refused.reason != NULL)
			return in->items[i].refused.reason;
	return NULL;
}

static void
note_lines(struct feed *feed, const struct intake *in)
{
	for (size_t i = 0; i < in->n_lines; i++)
		if (in->lines[i].warning == WARN_UNLISTED)
			feed->counts->unlisted++;
		else if (in->lines[i].warning == WARN_PRICE_DIFFERS)
			feed->counts->price_differs++;
}

/* "DFT^P03" in type; false where MSH-9 has no such form. */
static bool
name_of(const struct hl7_header *h, char type[TYPE])
{
	if (h->type.n != 3 || h->event.n != 3)
		return false;
	memcpy(type, h->type.p, 3);
	type[3] = '^';
	memcpy(type + 4, h->event.p, 3);
	type[7] = '\0';
	return true;
}

/* A name that the feed has no count of yet: one that we know, or what is counted instead. */
static void
type_name(const struct message *m, char type[TYPE])
{
	struct refusal ignored;

	if (hl7_event_of(&m->header, false, &ignored) != NULL)
		return;
	if (m->ignored)
		type[3] = '\0';		/* of ORU, whatever its event */
	else
		snprintf(type, TYPE, "other");
}

static void
note_number(struct feed *feed, struct view text)
{
	if (feed->numbers == NULL)
		feed->numbers = memory_new(sizeof(*feed->numbers));
	sequence_note(&feed->numbers->came, text);
}

void
counts_note_message(const struct message *m)
{
	struct feed *feed = m->job.feed;
	const char *outcome = m->result == BOOKING_UNAVAILABLE ? "unavailable" : m->ignored ? "ignored" : reason_in(&m->job);
	char type[TYPE] = "other";

	if (outcome == NULL)
		outcome = "accepted";
	if (name_of(&m->header, type) && find(feed, type, outcome) == NULL)
		type_name(m, type);
	count(find_or_add(feed, type, outcome), m->header.control_id);
	note_lines(feed, &m->job.intake);
	if (m->result == BOOKING_DONE && m->header.sequence_number.n > 0)
		note_number(feed, m->header.sequence_number);
}

void
counts_note_request(const struct booking_job *job, const char *type, enum booking_result result)
{
	const char *outcome = result == BOOKING_UNAVAILABLE ? "unavailable" : reason_in(job);

	count(find_or_add(job->feed, type, outcome != NULL ? outcome : "accepted"), job->intake.message_id);
	note_lines(job->feed, &job->intake);
}

/* ------- writing */

bool
counts_pending(const struct core *core)
{
	for (struct feed *f = directory_first(core->directory); f != NULL; f = f->next) {
		if (f->numbers != NULL && f->numbers->came.n > 0)
			return true;
		for (size_t i = 0; f->counts != NULL && i < f->counts->n; i++)
			if (f->counts->list[i].n > 0)
				return true;
	}
	return false;
}

/* Told twice, a number is no other. */
static void
told_numbers(struct feed_numbers *numbers, enum pg_verdict verdict)
{
	if (verdict != PG_DONE && numbers->sent.n > 0) {
		sequence_add(&numbers->sent, &numbers->came);
		numbers->came = numbers->sent;
	}
	numbers->sent.n = numbers->sent.open = 0;
}

/* What is in the call is written; or rolled back, and to be told again. What was counted meanwhile stays. */
static void
told_counts(struct feed_counts *c, bool rolled_back)
{
	size_t kept = 0;

	c->unlisted += rolled_back ? c->unlisted_sent : 0;
	c->price_differs += rolled_back ? c->price_differs_sent : 0;
	c->unlisted_sent = c->price_differs_sent = 0;
	for (size_t i = 0; i < c->n; i++) {
		struct count *k = &c->list[i];
		k->n += rolled_back ? k->sent : 0;
		k->sent = 0;
		if (k->n > 0) {
			if (kept != i)
				c->list[kept] = *k;
			kept++;
		}
	}
	c->n = kept;
}

static void
told_all(struct core *core, enum pg_verdict verdict)
{
	for (struct feed *f = directory_first(core->directory); f != NULL; f = f->next) {
		if (f->counts != NULL)
			told_counts(f->counts, verdict == PG_FAILED);
		if (f->numbers != NULL)
			told_numbers(f->numbers, verdict);
	}
}

static void
on_written(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct counts_call *call = arg;

	(void)result;
	if (outcome->verdict == PG_FAILED)
		log_error("job.failed", "job=counts sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
	told_all(call->core, outcome->verdict);
	call->over(call->job, false);
	free(call);
}

enum { C_FEED, C_TYPE, C_OUTCOME, C_N, C_AGE, C_LAST, C_LINE_FEED, C_UNLISTED, C_DIFFERS, C_OF, C_FIRST, C_UNTIL, C_UNKNOWN, C_COLUMNS };

static void
put_feed(struct column c[C_COLUMNS], struct feed *f, int64_t now)
{
	for (size_t i = 0; i < f->counts->n; i++) {
		struct count *k = &f->counts->list[i];
		struct view id = view_of(k->last_id);
		column_int4(&c[C_FEED], f->feed_id);
		column_text(&c[C_TYPE], view_of(k->type));
		column_text(&c[C_OUTCOME], view_of(k->outcome));
		column_int8(&c[C_N], k->n);
		column_int8(&c[C_AGE], now - k->at);
		column_text_or_null(&c[C_LAST], utf8_is_valid(id) ? id : VIEW_NONE);	/* MSH-10 of a message that may be refused for just that */
		k->sent = k->n;
		k->n = 0;
	}
	if (f->counts->unlisted + f->counts->price_differs > 0) {
		column_int4(&c[C_LINE_FEED], f->feed_id);
		column_int8(&c[C_UNLISTED], f->counts->unlisted);
		column_int8(&c[C_DIFFERS], f->counts->price_differs);
	}
	f->counts->unlisted_sent = f->counts->unlisted;
	f->counts->price_differs_sent = f->counts->price_differs;
	f->counts->unlisted = f->counts->price_differs = 0;
}

static void
put_numbers(struct column c[C_COLUMNS], struct feed *f)
{
	for (size_t i = 0; i < f->numbers->came.n; i++) {
		const struct range *r = &f->numbers->came.ranges[i];
		column_int4(&c[C_OF], f->feed_id);
		column_int8(&c[C_FIRST], r->first);
		column_int8(&c[C_UNTIL], r->until);
		column_int8(&c[C_UNKNOWN], r->unknown);
	}
	f->numbers->sent = f->numbers->came;
	f->numbers->came.n = f->numbers->came.open = 0;
}

void
counts_run(struct core *core, job_over_fn over, void *job)
{
	static const enum pg_type types[C_COLUMNS] = {PG_INT4, PG_TEXT, PG_TEXT, PG_INT8, PG_INT8, PG_TEXT,
	    PG_INT4, PG_INT8, PG_INT8, PG_INT4, PG_INT8, PG_INT8, PG_INT8};
	struct column c[C_COLUMNS] = {0};
	struct pg_param params[C_COLUMNS];
	int64_t now = clock_monotonic();

	if (!counts_pending(core)) {
		over(job, false);
		return;
	}
	for (unsigned i = 0; i < C_COLUMNS; i++)
		column_reset(&c[i]);
	for (struct feed *f = directory_first(core->directory); f != NULL; f = f->next) {
		if (f->counts != NULL)
			put_feed(c, f, now);
		if (f->numbers != NULL)
			put_numbers(c, f);
	}
	for (unsigned i = 0; i < C_COLUMNS; i++)
		params[i] = (struct pg_param){column_value(&c[i], types[i]), true};
	struct counts_call *call = memory_new(sizeof(*call));
	*call = (struct counts_call){core, over, job};
	if (pool_call(core->pool, SQL_FEED_COUNTS, params, C_COLUMNS, on_written, call) != 0) {
		told_all(core, PG_FAILED);
		over(job, false);
		free(call);
	}
	for (unsigned i = 0; i < C_COLUMNS; i++)
		column_free(&c[i]);
}
