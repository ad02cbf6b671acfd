/* One message: character set, header, feed, body; and its acknowledgement. */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "intake/outcomes.h"
#include "proto/hl7/charset.h"
#include "proto/hl7/events.h"
#include "proto/hl7/items.h"
#include "proto/money.h"
#include "proto/text.h"
#include "proto/timestamp.h"
#include "proto/utf8.h"

static void
refuse_all(struct intake *in, struct refusal r)
{
	if (in->refused.reason == NULL)
		in->refused = r;
	for (size_t i = 0; i < in->n_lines; i++)
		in->lines[i].refused = in->refused;
}

/* Why the sender is not a feed's. */
static struct refusal
stranger(const char *reason)
{
	static const struct refusal all[] = {
		{"feed_unknown", "MSH-3 is not a feed of this facility", "MSH^1^3"},
		{"facility_unknown", "MSH-4 is not a facility here", "MSH^1^4"},
		{"certificate_required", "MSH-3 and MSH-4 alone do not say here who sends; the feed needs its client certificate", "MSH^1^3"},
		{"feed_mismatch", "the client certificate of this connection is another feed's", "MSH^1^3"},
	};

	for (size_t i = 1; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].reason, reason) == 0)
			return all[i];
	return all[0];
}

/* The feed of a header, as far as it can be read. */
static struct feed *
feed_of(struct core *core, const struct hl7_header *h, const struct sender *sender, int feed_id, const char **reason)
{
	if (feed_id == MESSAGE_OF_NOBODY)
		return NULL;
	if (feed_id > 0)
		return directory_feed_by_id(core->directory, feed_id);
	return directory_feed(core->directory, h->application, h->facility, sender, reason);
}

/* What is read at once, and how much of a larger message between two looks at the clock; bytes. */
enum { AT_ONCE = 65536, STEP = 8192 };

/* How far the reading of a large message is: its character set, then its header, then its body. */
struct message_reading {
	struct core *core;
	const struct sender *sender;
	int feed_id;
	const char *why_stranger;
	struct hl7_charset charset;
	struct hl7_events *events;	/* NULL: the characters are still looked at */
};

/* MSH-18 says the character set; where it is blank, the feed's setting, for which MSH-3 and 4 are read from the raw bytes: they are codes. */
static struct view
charset_of(struct message *m, struct core *core, const struct sender *sender, int feed_id)
{
	struct view bytes = m->job.bytes, name = hl7_charset_name(bytes);
	const char *reason = NULL;
	struct refusal ignored;

	if (name.n > 0)
		return name;
	if (ascii_is_valid(bytes))
		return view_of("UTF-8");
	hl7_header_parse(bytes, m->settings->mllp.processing, &m->job.intake.arena, &m->header, &ignored);
	struct feed *feed = feed_of(core, &m->header, sender, feed_id, &reason);
	return view_of(feed != NULL && feed->charset[0] != '\0' ? feed->charset : "UTF-8");
}

/* The header. False where nothing more is to be read. */
static bool
read_header(struct message *m, enum charset_result charset, struct view text)
{
	struct intake *in = &m->job.intake;
	struct refusal refused;

	if (charset == CHARSET_UNKNOWN)
		in->refused = (struct refusal){"charset_unknown", "the character set in MSH-18 is not one we know", "MSH^1^18"};
	else if (charset == CHARSET_INVALID)
		in->refused = (struct refusal){"charset_invalid", "the bytes are not text of the character set in MSH-18 (UTF-8 where it is blank)",
		    "MSH^1^18"};
	/* raw, for what can be told of its header */
	hl7_header_parse(charset == CHARSET_OK ? text : m->job.bytes, m->settings->mllp.processing, &in->arena, &m->header, &refused);
	if (in->refused.reason == NULL || (refused.reason != NULL && strcmp(refused.reason, "not_hl7") == 0))
		in->refused = refused;
	return in->refused.reason == NULL && !message_is_ack(m);
}

static struct hl7_context
context_of(const struct message *m)
{
	return (struct hl7_context){clock_now(), (int)m->settings->hospital.utc_offset, (size_t)m->settings->mllp.message_lines,
	    m->job.feed != NULL ? m->job.feed->profile : hl7_profile_usual()};
}

/* Does the feed's setting name the type, or the type with the event? Such a message says how far the feed is, and no more. */
static bool
is_ignored(struct message *m)
{
	const struct hl7_header *h = &m->header;
	struct intake *in = &m->job.intake;

	m->ignored = m->job.feed != NULL && hl7_profile_ignores(m->job.feed->profile, h);
	if (m->ignored)
		in->has_sent_at = timestamp_parse(h->time, (int)m->settings->hospital.utc_offset, &in->sent_at) == 0;
	return m->ignored;
}

bool
message_is_lost_cause(struct message *m)
{
	struct intake *in = &m->job.intake;

	if (m->job.feed == NULL && m->stranger != NULL) {
		in->refused = m->job.also = (struct refusal){0};
		refuse_all(in, stranger(m->stranger));
		return true;
	}
	return in->refused.reason != NULL && strcmp(in->refused.reason, "not_hl7") == 0;
}

/* A stranger whose message is refused for something else is told of both, and both are kept: mending one of them would not do. */
static void
note_stranger(struct message *m)
{
	const struct refusal *r = &m->job.intake.refused;

	if (m->job.feed == NULL && m->stranger != NULL && r->reason != NULL && strcmp(r->reason, "not_hl7") != 0
	    && strcmp(r->reason, stranger(m->stranger).reason) != 0)
		m->job.also = stranger(m->stranger);
}

/* The body is read: whose it is goes into it. */
static void
finish(struct message *m, const char *why_stranger)
{
	struct intake *in = &m->job.intake;

	if (m->job.feed == NULL) {
		refuse_all(in, stranger(why_stranger));
		return;
	}
	for (size_t i = 0; i < in->n_visits; i++) {
		in->visits[i].facility = view_of(m->job.feed->facility);
		in->visits[i].facility_id = m->job.feed->facility_id;
	}
}

static void
read_at_once(struct message *m, struct core *core, const struct sender *sender, int feed_id)
{
	struct intake *in = &m->job.intake;
	const char *why_stranger = "feed_unknown";
	struct view text = VIEW_NONE, name = charset_of(m, core, sender, feed_id);

	enum charset_result charset = hl7_to_utf8(m->job.bytes, name, &in->arena, &text);
	bool goes_on = read_header(m, charset, text);
	m->job.feed = feed_of(core, &m->header, sender, feed_id, &why_stranger);
	m->stranger = m->job.feed == NULL ? why_stranger : NULL;
	if (!goes_on || is_ignored(m))
		return;
	struct hl7_context context = context_of(m);
	hl7_events_parse(text, &m->header, &context, in);
	finish(m, why_stranger);
}

static void
reading_begin(struct message *m, struct core *core, const struct sender *sender, int feed_id)
{
	struct arena *a = &m->job.intake.arena;
	struct message_reading *r = arena_alloc(a, sizeof(*r));

	*r = (struct message_reading){.core = core, .sender = sender, .feed_id = feed_id, .why_stranger = "feed_unknown"};
	hl7_charset_begin(&r->charset, m->job.bytes, charset_of(m, core, sender, feed_id), a);
	m->reading = r;
}

/* Goes on for about so many bytes. True when all is read. */
static bool
reading_step(struct message *m, size_t bytes)
{
	struct message_reading *r = m->reading;
	struct view text = VIEW_NONE;

	if (r->events != NULL) {
		if (!hl7_events_step(r->events, bytes))
			return false;
		finish(m, r->why_stranger);
		return true;
	}
	enum charset_result charset = hl7_charset_step(&r->charset, bytes, &text);
	if (charset == CHARSET_MORE)
		return false;
	bool goes_on = read_header(m, charset, text);
	m->job.feed = feed_of(r->core, &m->header, r->sender, r->feed_id, &r->why_stranger);
	m->stranger = m->job.feed == NULL ? r->why_stranger : NULL;
	if (!goes_on || is_ignored(m))
		return true;
	struct hl7_context context = context_of(m);
	r->events = hl7_events_begin(text, &m->header, &context, &m->job.intake);
	return false;
}

struct message *
message_new(struct core *core, struct view bytes, bool lasting, const char *peer, const struct sender *sender, int feed_id)
{
	struct arena arena;

	/* the message, its bytes and its lines lie in one piece of memory: about 200 bytes of struct a line of 150 bytes */
	arena_init(&arena, sizeof(struct message) + bytes.n * (lasting ? 3 : 4) + 1024);
	struct message *m = arena_alloc(&arena, sizeof(*m));
	struct intake *in = &m->job.intake;
	in->arena = arena;
	m->settings = config_hold(core->config);
	m->job.content_type = "hl7";
	m->job.operation = VIEW_LITERAL("hl7");
	m->job.bytes = lasting ? bytes : arena_copy(&in->arena, bytes.p, bytes.n);
	m->job.peer = arena_copy(&in->arena, peer, strlen(peer)).p;
	if (bytes.n <= AT_ONCE) {
		read_at_once(m, core, sender, feed_id);
		note_stranger(m);
	} else {
		reading_begin(m, core, sender, feed_id);
	}
	return m;
}

bool
message_read(struct message *m, const struct turn *turn)
{
	while (m->reading != NULL) {
		if (turn_is_long(turn))
			return false;
		if (reading_step(m, STEP)) {
			m->reading = NULL;
			note_stranger(m);
		}
	}
	return true;
}

void
message_free(struct message *m)
{
	struct arena arena = m->job.intake.arena;

	if (m->reading != NULL)
		hl7_charset_end(&m->reading->charset);
	config_release(m->settings);
	arena_free(&arena);
}

void
message_refuse(struct message *m, const char *reason, const char *detail)
{
	m->job.intake.refused = (struct refusal){0};
	refuse_all(&m->job.intake, (struct refusal){reason, detail, "MSH^1"});
}

bool
message_is_ack(const struct message *m)
{
	return view_is(m->header.type, "ACK") || view_is(m->header.type, "MCF");
}

/* ZBL|visit|booked|duplicate|refused|running total|state: the proof of the booking, where the feed wants it. */
static struct view
zbl_segment(struct message *m)
{
	struct intake *in = &m->job.intake;
	size_t booked = 0, duplicate = 0, refused = 0;
	int64_t total = 0;
	const char *state = "";
	char money[MONEY_TEXT], d = m->header.delimiters.field;

	if (m->job.feed == NULL || !m->job.feed->zbl || in->n_lines == 0)
		return VIEW_NONE;
	for (size_t i = 0; i < in->n_lines; i++) {
		const struct charge_line *l = &in->lines[i];
		if (l->refused.reason != NULL)
			refused++;
		else if (l->outcome == OUTCOME_DUPLICATE)
			duplicate++;
		else
			booked++;
		if (l->visit_state != NULL) {
			total = l->visit_total;
			state = l->visit_state;
		}
	}
	struct text t = text_begin(&in->arena, 128);
	const size_t counts[] = {booked, duplicate, refused};
	text_string(&t, "ZBL");
	text_char(&t, d);
	if (!visit_is_by_patient(&in->visits[0]))	/* else it was not found */
		text_put(&t, in->visits[0].visit_no);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		text_char(&t, d);
		text_number(&t, (int64_t)counts[i]);
	}
	text_char(&t, d);
	if (state[0] != '\0')		/* else no line got as far as the visit: nothing is known of it */
		text_string(&t, money_format(total, money));
	text_char(&t, d);
	text_string(&t, state);
	text_char(&t, '\r');
	return text_view(&t);
}

/* The errors to report: each line that is not fine, or the message as a whole. */
static size_t
collect_errors(struct message *m, const struct refusal **ret)
{
	enum { MOST = 100 };	/* ERR segments in one acknowledgement; quarantine has them all */
	struct intake *in = &m->job.intake;
	struct refusal *errors = arena_alloc(&in->arena, MOST * sizeof(*errors));
	size_t n = 0;

	for (size_t i = 0; i < in->n_lines && n < MOST && in->refused.reason == NULL; i++)
		if (!charge_line_is_fine(&in->lines[i])) {
			errors[n] = in->lines[i].refused;
			if (errors[n].location == NULL)
				errors[n].location = arena_printf(&in->arena, "FT1^%d", in->lines[i].ordinal);
			n++;
		}
	for (size_t i = 0; i < in->n_items && n < MOST; i++)
		if (in->items[i].refused.reason != NULL)
			errors[n++] = in->items[i].refused;
	if (n == 0 && in->refused.reason != NULL)
		errors[n++] = in->refused;
	if (n > 0 && n < MOST && m->job.also.reason != NULL)
		errors[n++] = m->job.also;
	*ret = errors;
	return n;
}

struct message_reply
message_reply(struct message *m, bool brief)
{
	static const struct refusal unavailable = {"unavailable", "the database does not book it now; send again", "MSH^1"};
	static const struct refusal busy = {"unavailable", "there is no memory for a message of this size now; send again", "MSH^1"};
	static uint64_t sequence;
	struct arena *a = &m->job.intake.arena;
	struct message_reply reply = {.verdict = ACK_ACCEPT};
	struct ack_content content = {.now = clock_now(), .offset = (int)m->settings->hospital.utc_offset, .brief = brief};

	if (m->result == BOOKING_UNAVAILABLE) {
		content.errors = m->short_of_memory ? &busy : &unavailable;
		content.n_errors = 1;
		reply.verdict = ACK_REJECT;
	} else {
		content.n_errors = collect_errors(m, &content.errors);
		if (content.n_errors > 0)
			reply.verdict = hl7_ack_verdict(&content.errors[0]);
		content.extra = m->trial ? VIEW_NONE : zbl_segment(m);
	}
	struct ack_plan plan = hl7_ack_plan(&m->header, reply.verdict);
	const char *codes[] = {plan.commit, plan.application};
	struct view *out[] = {&reply.commit, &reply.application};
	for (int i = 0; i < 2; i++) {
		if (codes[i] == NULL)
			continue;
		content.code = codes[i];
		content.of_price_list = m->job.intake.n_items > 0 && i == 1;
		if (content.of_price_list)
			content.extra = m->result == BOOKING_DONE ? hl7_items_answer(&m->job.intake, &m->header, a) : VIEW_NONE;
		content.own_id = arena_printf(a, "VB%llx%04llx", (unsigned long long)content.now, (unsigned long long)(++sequence & 0xFFFF));
		struct view utf8 = hl7_ack_build(a, &m->header, &content);
		const char *fallback = m->job.feed != NULL && m->job.feed->charset[0] != '\0' ? m->job.feed->charset : NULL;
		*out[i] = m->trial || ascii_is_valid(utf8) ? utf8	/* ASCII is the same in all */
		    : hl7_from_utf8(utf8, hl7_charset_name(m->job.bytes), fallback, a);
	}
	return reply;
}
