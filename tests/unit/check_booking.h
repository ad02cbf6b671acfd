/* Messages without a wire format, and a database that answers by a table: for tests of batches and bookings over the connections of check_pg.h. */
#ifndef VB_TESTS_CHECK_BOOKING_H
#define VB_TESTS_CHECK_BOOKING_H

#include "check_pg.h"

#include "intake/batch.h"

enum { MESSAGE_PARTS = 400, TEXT = 8000 };
enum { P_VISIT_NO = 1, P_ITEM_FACILITY = 5, P_ITEM_CODE, P_ITEM_DAY, P_VISIT, P_ITEM, P_PLACE, P_FEED, P_KIND, P_SOURCE, P_REVERSES = 26, P_MESSAGE,
	P_NUMBER_KIND, P_MOST, P_RELEASED, P_ALL };	/* of SQL_CHARGES_POST */

/* ------- messages */

struct message {
	struct booking_job job;		/* first */
	struct visit_ref visits[MESSAGE_PARTS];
	struct charge_line lines[MESSAGE_PARTS];
	struct visit_event events[8];
	struct price_item items[8];
	unsigned done;			/* how often it was told */
	enum booking_result result;
};

static struct feed feed = {.feed_id = 7, .facility_id = 3, .name = "clinic", .facility = "H1", .line_quantity = 1000, .line_amount = 100000000, .active = true};
static char finished[TEXT];		/* the ids of messages that are done, in their order */

static inline void
append(char *text, const char *more)
{
	size_t used = strlen(text);

	ck_assert_uint_lt(used + strlen(more) + 2, TEXT);
	snprintf(text + used, TEXT - used, "%s%s", used > 0 ? " " : "", more);
}

static inline void
message_done(struct booking_job *job, enum booking_result result)
{
	struct message *m = (struct message *)job;

	m->done++;
	m->result = result;
	append(finished, job->intake.message_id.p);
}

static inline struct message *
message_new(const char *id)
{
	struct message *m = memory_new(sizeof(*m));
	struct intake *in = &m->job.intake;

	arena_init(&in->arena, 1024);
	in->message_id = view_of(id);
	in->visits = m->visits;
	in->lines = m->lines;
	in->events = m->events;
	in->items = m->items;
	m->job.feed = &feed;
	m->job.content_type = "hl7";
	m->job.operation = VIEW_LITERAL("hl7");
	m->job.bytes = VIEW_LITERAL("MSH|");
	m->job.peer = "127.0.0.1:4711";
	m->job.done = message_done;
	return m;
}

static inline void
message_free(struct message *m)
{
	arena_free(&m->job.intake.arena);
	free(m);
}

static inline size_t
message_visit(struct message *m, const char *visit_no)
{
	struct intake *in = &m->job.intake;

	for (size_t v = 0; v < in->n_visits; v++)
		if (view_is(m->visits[v].visit_no, visit_no))
			return v;
	ck_assert_uint_lt(in->n_visits, MESSAGE_PARTS);
	m->visits[in->n_visits] = (struct visit_ref){.facility = VIEW_LITERAL("H1"), .facility_id = 3, .visit_no = view_of(visit_no), .location = "PV1^1^19"};
	return in->n_visits++;
}

static inline struct charge_line *
message_line(struct message *m, const char *visit_no, const char *source)
{
	struct intake *in = &m->job.intake;

	ck_assert_uint_lt(in->n_lines, MESSAGE_PARTS);
	struct charge_line *l = &m->lines[in->n_lines++];
	*l = (struct charge_line){.kind = LINE_CHARGE, .ordinal = (int)in->n_lines, .visit = message_visit(m, visit_no), .source_line = view_of(source),
	    .charged_at = fake_now, .has_quantity = true, .quantity = 10000, .has_amount = true, .amount = 100};
	return l;
}

static inline struct visit_event *
message_event(struct message *m, enum event_kind kind, const char *visit_no)
{
	struct intake *in = &m->job.intake;

	ck_assert_uint_lt(in->n_events, 8);
	struct visit_event *e = &m->events[in->n_events++];
	*e = (struct visit_event){.kind = kind, .visit = message_visit(m, visit_no), .at = fake_now};
	return e;
}

static inline struct price_item *
message_item(struct message *m, const char *code)
{
	struct intake *in = &m->job.intake;

	ck_assert_uint_lt(in->n_items, 8);
	struct price_item *i = &m->items[in->n_items++];
	*i = (struct price_item){.action = ITEM_PUT, .ordinal = (int)in->n_items, .code = view_of(code)};
	return i;
}

/* ------- the database */

/* What it says of a line by its source, of an event by its visit, of an entry by "item1"; of all others posted or done. The last row's key is NULL. */
struct verdict {
	const char *key, *outcome;
};
static const struct verdict *verdicts;
static const char *numbers_said;	/* of the visits by patient; NULL: there are none */

static inline const char *
verdict_of(const char *key, size_t n, const char *otherwise)
{
	for (const struct verdict *v = verdicts; v != NULL && v->key != NULL; v++)
		if (strlen(v->key) == n && strncmp(v->key, key, n) == 0)
			return v->outcome;
	return otherwise;
}

/* Appends one verdict a word of a list with commas. False where all are `otherwise`. */
static inline bool
judge_words(char *array, const char *words, const char *otherwise)
{
	bool differs = false;

	strcpy(array, "{");
	for (const char *w = words; *w != '\0';) {
		size_t n = strcspn(w, ",");
		const char *said = verdict_of(w, n, otherwise);
		differs |= strcmp(said, otherwise) != 0;
		snprintf(array + strlen(array), TEXT - strlen(array), "%s%s", w > words ? "," : "", said);
		w += n + (w[n] == ',');
	}
	strcat(array, "}");
	return differs;
}

/* Of visits by their position: 100 and "open" for the first, 200 for the second. */
static inline PGresult *
answer(const struct fake_call *c)
{
	char outcomes[TEXT], totals[TEXT] = "{", states[TEXT] = "{", keys[TEXT] = "";
	uint32_t visits = c->statement == SQL_CHARGES_POST ? fake_count(c, P_VISIT_NO) : 1;

	if (c->statement == SQL_CHARGES_POST || c->statement == SQL_CHARGES_POST_ONE) {
		if (c->statement == SQL_CHARGES_POST)
			snprintf(keys, sizeof(keys), "%s", fake_text(c, P_SOURCE));
		else
			snprintf(keys, sizeof(keys), "%.*s", (int)fake_bytes(c, 9).n, fake_bytes(c, 9).p);
		bool differs = judge_words(outcomes, keys, "posted");
		for (uint32_t v = 0; v < visits; v++) {
			snprintf(totals + strlen(totals), TEXT - strlen(totals), "%s%u", v > 0 ? "," : "", (v + 1) * 100);
			snprintf(states + strlen(states), TEXT - strlen(states), "%s%s", v > 0 ? "," : "", v % 2 == 0 ? "open" : "NULL");
		}
		strcat(totals, "}");
		strcat(states, "}");
		const char *row[] = {"outcomes", differs ? outcomes : NULL, "totals", totals, "states", states, "prices", NULL, "sums", NULL,
			"numbers", numbers_said};
		return fake_row(row, 6);
	}
	if (c->statement == SQL_VISIT_EVENTS) {
		judge_words(outcomes, fake_text(c, 3), "done");
	} else {
		ck_assert_int_eq(c->statement, SQL_ITEMS_KEEP);
		unsigned n = 0;
		for (const char *p = c->params[1].p; (p = strstr(p, "\"place\":")) != NULL; p++)
			snprintf(keys + strlen(keys), TEXT - strlen(keys), "%sitem%u", n > 0 ? "," : "", n + 1), n++;
		judge_words(outcomes, keys, "done");
	}
	const char *row[] = {"outcomes", outcomes};
	return fake_row(row, 1);
}

/* What a segment says: "hold[V1,V2] charges[A1,A2] one[A3] events[open:V1] items[2] park[conflict]". Static. */
static inline const char *
segment_of(const struct pg *pg)
{
	static char text[TEXT];
	char part[TEXT];

	text[0] = '\0';
	for (int i = 0; i < pg->n_calls; i++) {
		const struct fake_call *c = &pg->calls[i];
		switch ((int)c->statement) {
		case SQL_LOCK_BRIEFLY:
			append(text, "brief");
			break;
		case SQL_VISITS_HOLD:
			snprintf(part, sizeof(part), "hold[%s]", fake_text(c, 1));
			append(text, part);
			break;
		case SQL_CHARGES_POST:
			ck_assert_int_eq(c->n, P_ALL);
			snprintf(part, sizeof(part), "charges[%s]", fake_text(c, P_SOURCE));
			append(text, part);
			break;
		case SQL_CHARGES_POST_ONE:
			ck_assert_int_eq(c->n, 24);
			snprintf(part, sizeof(part), "one[%.*s]", (int)fake_bytes(c, 9).n, fake_bytes(c, 9).p);
			append(text, part);
			break;
		case SQL_VISIT_EVENTS:
			ck_assert_int_eq(c->n, 23);
			snprintf(part, sizeof(part), "events[%s:%s]", fake_text(c, 0), fake_text(c, 3));
			append(text, part);
			break;
		case SQL_ITEMS_KEEP:
			append(text, "items");
			break;
		case SQL_QUARANTINE_PUT:
			ck_assert_int_eq(c->n, 14);
			snprintf(part, sizeof(part), "park[%s]", fake_text(c, 5));
			append(text, part);
			break;
		default:
			ck_abort_msg("statement %d is none of a batch", c->statement);
		}
	}
	return text;
}

#endif
