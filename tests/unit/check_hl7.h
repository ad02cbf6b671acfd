/* Messages for the tests of the HL7 profile: put together from literals, parsed as the daemon parses them. */
#ifndef VB_TESTS_CHECK_HL7_H
#define VB_TESTS_CHECK_HL7_H

#include "check_main.h"

#include "proto/hl7/events.h"
#include "proto/timestamp.h"

/* Segments with their fields in places: every argument is a string literal. */
#define MSH(type) "MSH|^~\\&|CLINIC|H01|VISITBILL|H01|20260115140000||" type "|M1|P|2.5.1\r"
#define EVN(time) "EVN||" time "\r"
#define PID(pid2, pid3, name, birth, sex, pid18) "PID|1|" pid2 "|" pid3 "||" name "||" birth "|" sex "||||||||||" pid18 "\r"
#define PV1(class, location, department, visit, admitted, discharged) \
    "PV1|1|" class "|" location "|||||||" department "|||||||||" visit "|||||||||||||||||||||||||" admitted "|" discharged "\r"
#define PATIENT PID("", "P1^^^H01^PI", "\xE7\x8E\x8B^\xE8\x8A\xB3", "19900131", "F", "")
#define VISIT PV1("O", "", "", "V1", "", "")

enum { CHECK_CHINA = 8 * 3600, CHECK_MAX_LINES = 50 };

#define CHECK_NOW (INT64_C(1768458659) * TIMESTAMP_SECOND)	/* 2026-01-15 14:30:59 +0800 */

struct check_message {
	struct hl7_header header;
	struct refusal header_refused;
	struct intake in;
};

/* Read in steps of one byte, it is the same. */
static inline void
check_read_in_steps(struct view text, const struct check_message *m, const struct hl7_context *c)
{
	struct intake in = {.n_lines = 0};

	arena_init(&in.arena, 0);
	struct hl7_events *e = hl7_events_begin(text, &m->header, c, &in);
	while (!hl7_events_step(e, 1))
		continue;
	ck_assert_uint_eq(in.n_lines, m->in.n_lines);
	ck_assert_uint_eq(in.n_visits, m->in.n_visits);
	ck_assert_uint_eq(in.n_events, m->in.n_events);
	for (size_t i = 0; i < in.n_events; i++)
		ck_assert_int_eq(in.events[i].kind, m->in.events[i].kind);
	ck_assert(view_equal(in.message_id, m->in.message_id));
	ck_assert_str_eq(in.refused.reason != NULL ? in.refused.reason : "", m->in.refused.reason != NULL ? m->in.refused.reason : "");
	for (size_t i = 0; i < in.n_lines; i++) {
		const struct charge_line *a = &in.lines[i], *b = &m->in.lines[i];
		ck_assert_mem_eq(a->digest, b->digest, sizeof(a->digest));
		ck_assert(view_equal(a->source_line, b->source_line) && view_equal(a->reverses, b->reverses) && a->ordinal == b->ordinal);
		ck_assert_str_eq(a->refused.reason != NULL ? a->refused.reason : "", b->refused.reason != NULL ? b->refused.reason : "");
	}
	arena_free(&in.arena);
}

/* The feed's profile; NULL: the usual one. */
static const struct hl7_profile *check_profile;

/* Settings of a profile: the others are the usual ones. */
struct check_setting {
	enum hl7_profile_key key;
	const char *text;
};

static inline struct hl7_profile *
check_profile_new(const struct check_setting *settings, size_t n)
{
	const char *texts[PROFILE_KEYS] = {
		[PROFILE_VISIT_NO] = "PV1-19 PID-18", [PROFILE_PATIENT_NO] = "first", [PROFILE_LINE_ID] = "FT1-2", [PROFILE_CODE] = "FT1-7",
		[PROFILE_NEGATIVE] = "refuse", [PROFILE_CURRENCIES] = "CNY RMB", [PROFILE_TYPES] = "", [PROFILE_CLASSES] = "", [PROFILE_SEXES] = "",
		[PROFILE_DEPARTMENTS] = "", [PROFILE_A40] = "patients", [PROFILE_IGNORE] = "",
	};

	for (size_t i = 0; i < n; i++)
		texts[settings[i].key] = settings[i].text;
	return hl7_profile_new(texts);
}

/* The message of length n, in memory that ends where it ends. Give back with check_drop. */
static inline struct check_message
check_read_bytes(const char *text, size_t n)
{
	struct check_message m = {.in = {.n_lines = 0}};
	const struct hl7_context c = {CHECK_NOW, CHECK_CHINA, CHECK_MAX_LINES, check_profile != NULL ? check_profile : hl7_profile_usual()};

	arena_init(&m.in.arena, 0);
	char *bytes = arena_alloc(&m.in.arena, n > 0 ? n : 1);
	memcpy(bytes, text, n);
	hl7_header_parse((struct view){bytes, n}, "PTD", &m.in.arena, &m.header, &m.header_refused);
	hl7_events_parse((struct view){bytes, n}, &m.header, &c, &m.in);
	check_read_in_steps((struct view){bytes, n}, &m, &c);
	return m;
}

static inline struct check_message
check_read(const char *text)
{
	return check_read_bytes(text, strlen(text));
}

static inline void
check_drop(struct check_message *m)
{
	arena_free(&m->in.arena);
}

/* The refusal has this reason (NULL: there is none) and stands at this location (NULL: anywhere). */
static inline void
check_refusal(const struct refusal *r, const char *reason, const char *location, const char *what)
{
	if (reason == NULL) {
		ck_assert_msg(r->reason == NULL, "%s: refused as %s at %s: %s", what, r->reason, r->location, r->detail);
		return;
	}
	ck_assert_msg(r->reason != NULL, "%s: not refused as %s", what, reason);
	ck_assert_msg(strcmp(r->reason, reason) == 0, "%s: refused as %s, not %s: %s", what, r->reason, reason, r->detail);
	ck_assert_msg(location == NULL || strcmp(r->location, location) == 0, "%s: at %s, not %s", what, r->location, location);
	ck_assert_ptr_nonnull(r->detail);
}

/* A time as the hospital says it: 2026-01-15T14:30:59+08:00. */
#define ck_assert_time(us, expected) do { \
	char ck_buf[TIMESTAMP_TEXT]; \
	ck_assert_str_eq(timestamp_rfc3339((us), CHECK_CHINA, ck_buf), (expected)); \
} while (0)

#endif
