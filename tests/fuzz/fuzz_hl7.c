/* HL7: any bytes go the way of a message, character set, header, events and lines, acknowledgement. Views stay inside the message or the arena,
 * texts are UTF-8, refusals have names, numbers are in range, a second reading finds the same, and the acknowledgement is a message. */
#include "fuzz_intake.h"

#include "proto/hl7/acknowledgement.h"
#include "proto/hl7/charset.h"
#include "proto/hl7/events.h"

static void
check_header(const struct place *at, const struct hl7_header *h)
{
	const struct view views[] = {
		h->sending_application, h->sending_facility, h->receiving_application, h->receiving_facility, h->application, h->facility, h->time, h->type,
		h->event, h->control_id, h->processing_id, h->version, h->sequence_number, h->accept_ack, h->application_ack, h->charset,
	};

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		check_view(at, views[i]);
}

/* In the sender's character set it says the same. */
static void
check_sent(const struct place *at, struct view ack, struct arena *a)
{
	struct place bytes = *at;
	struct view name = hl7_charset_name(at->input), sent = hl7_from_utf8(ack, name, NULL, a), back;

	bytes.utf8 = false;
	check_view(&bytes, sent);
	if (at->utf8 && sent.p != ack.p && view_equal(hl7_charset_name(sent), name))
		FUZZ_CHECK(hl7_to_utf8(sent, hl7_charset_of(sent, NULL), a, &back) == CHARSET_OK && view_equal(back, ack));
}

/* One acknowledgement: MSH, MSA, an ERR each, in the sender's delimiters, its id echoed. */
static void
check_ack(const struct place *at, const struct hl7_header *h, struct intake *in, const char *code, const struct refusal *errors, size_t n)
{
	const struct ack_content content = {code, errors, n, VIEW_NONE, "VB1", FUZZ_NOW, FUZZ_OFFSET, false, false};
	struct view ack = hl7_ack_build(&in->arena, h, &content), rest = ack;
	struct hl7_segment s;
	struct hl7_fields f;
	struct hl7_header back;
	struct refusal refused;

	check_view(at, ack);
	FUZZ_CHECK(ack.n > 0 && ack.p[ack.n - 1] == '\r' && memchr(ack.p, '\n', ack.n) == NULL);
	FUZZ_CHECK(hl7_next_segment(&rest, &s) && strcmp(s.id, "MSH") == 0);
	hl7_header_parse(ack, "PTD", &in->arena, &back, &refused);
	FUZZ_CHECK(memcmp(&back.delimiters, &h->delimiters, sizeof(back.delimiters)) == 0);
	FUZZ_CHECK(view_is(back.type, "ACK") && view_is(back.control_id, "VB1"));
	FUZZ_CHECK(view_equal(back.receiving_application, h->sending_application) && view_equal(back.sending_facility, h->receiving_facility));
	FUZZ_CHECK(hl7_next_segment(&rest, &s) && strcmp(s.id, "MSA") == 0);
	hl7_split(&s, &h->delimiters, &f);
	FUZZ_CHECK(view_equal(hl7_field(&f, 2), h->control_id));
	FUZZ_CHECK(hl7_field(&f, 1).n == 2 && (view_trim(h->control_id).n > 0 || hl7_field(&f, 1).p[1] != 'A'));
	for (size_t i = 0; i < n; i++)
		FUZZ_CHECK(hl7_next_segment(&rest, &s) && strcmp(s.id, "ERR") == 0);
	FUZZ_CHECK(!hl7_next_segment(&rest, &s));
	check_sent(at, ack, &in->arena);
}

static void
check_answers(const struct place *at, const struct hl7_header *h, struct intake *in)
{
	const struct refusal *errors = in->refused.reason != NULL ? &in->refused : NULL;

	for (size_t i = 0; errors == NULL && i < in->n_lines; i++)
		if (in->lines[i].refused.reason != NULL)
			errors = &in->lines[i].refused;
	enum ack_verdict verdict = errors != NULL ? hl7_ack_verdict(errors) : ACK_ACCEPT;
	struct ack_plan plan = hl7_ack_plan(h, verdict);
	FUZZ_CHECK(plan.commit == NULL || (plan.commit[0] == 'C' && strchr("AER", plan.commit[1]) != NULL));
	FUZZ_CHECK(plan.application == NULL || (plan.application[0] == 'A' && strchr("AER", plan.application[1]) != NULL));
	FUZZ_CHECK(plan.commit == NULL || plan.commit[1] != 'R' || plan.application == NULL);
	FUZZ_CHECK(verdict == ACK_ACCEPT || plan.application == NULL || plan.application[1] != 'A');
	if (plan.commit != NULL)
		check_ack(at, h, in, plan.commit, errors, errors != NULL);
	check_ack(at, h, in, plan.application != NULL ? plan.application : "AA", errors, errors != NULL);
}

/* A feed that speaks in every other way than the usual one. */
static const struct hl7_profile *
fuzz_profile(void)
{
	static const char *const texts[PROFILE_KEYS] = {
		[PROFILE_VISIT_NO] = "PV1-50 PID-18", [PROFILE_PATIENT_NO] = "type MR", [PROFILE_LINE_ID] = "FT1-23 MSH-10/FT1-1", [PROFILE_CODE] = "FT1-25 FT1-7",
		[PROFILE_NEGATIVE] = "credit", [PROFILE_CURRENCIES] = "USD CNY", [PROFILE_TYPES] = "1=CG 2=CD CG=AJ", [PROFILE_CLASSES] = "1=inpatient O=emergency",
		[PROFILE_SEXES] = "", [PROFILE_DEPARTMENTS] = "", [PROFILE_A40] = "visits", [PROFILE_IGNORE] = "ORU",
	};
	static struct hl7_profile *profile;

	if (profile == NULL)
		profile = hl7_profile_new(texts);
	return profile;
}

/* All of it, once. The lines' digests, in order, are what a second reading must find again. */
static size_t
read_message(struct view bytes, const char *fallback, unsigned char digests[FUZZ_LINES][16])
{
	struct intake in = {.n_lines = 0};
	struct hl7_header h;
	struct refusal refused;
	struct view text;
	const struct hl7_context c = {FUZZ_NOW, FUZZ_OFFSET, FUZZ_LINES, fallback != NULL ? fuzz_profile() : hl7_profile_usual()};
	struct place at = {.input = bytes, .chunk_size = bytes.n * 40 + 65536, .arena = &in.arena};

	arena_init(&in.arena, at.chunk_size);
	at.chunk = arena_alloc(&in.arena, 16);
	check_view(&at, hl7_charset_name(bytes));
	at.utf8 = hl7_to_utf8(bytes, hl7_charset_of(bytes, fallback), &in.arena, &text) == CHARSET_OK;
	if (at.utf8) {
		check_view(&at, text);
	} else {
		text = bytes;		/* for the header, as far as it can be read */
		in.refused = (struct refusal){"charset_invalid", "not text", "MSH^1^18"};
	}
	hl7_header_parse(text, "PTD", &in.arena, &h, &refused);
	check_header(&at, &h);
	check_refusal(&at, &refused);
	if (in.refused.reason == NULL)
		in.refused = refused;
	if (in.refused.reason == NULL) {
		hl7_events_parse(text, &h, &c, &in);
		check_intake(&at, &in);
		FUZZ_CHECK(in.refused.reason != NULL || in.n_events > 0 || in.n_lines > 0 || view_is(h.event, "P12") || view_is(h.event, "A51"));
		for (size_t i = 0; i < in.n_lines; i++)
			FUZZ_CHECK(in.lines[i].ordinal == (int)i + 1);
	}
	check_answers(&at, &h, &in);
	for (size_t i = 0; i < in.n_lines; i++)
		memcpy(digests[i], in.lines[i].digest, 16);
	size_t n = in.n_lines;
	arena_free(&in.arena);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char first[FUZZ_LINES][16], second[FUZZ_LINES][16];

	if (size > 65536)
		return 0;
	char *bytes = fuzz_copy(data, size);
	struct view v = {bytes, size};
	size_t n = read_message(v, NULL, first);
	FUZZ_CHECK(read_message(v, NULL, second) == n && memcmp(first, second, n * 16) == 0);
	read_message(v, "GB 18030-2000", second);
	FUZZ_CHECK(memcmp(bytes, data, size) == 0);	/* the sender's bytes are kept as they came */
	free(bytes);
	return 0;
}
