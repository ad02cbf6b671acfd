/* Acknowledgements: which ones are sent, and every byte of them. */
#include "check_main.h"

#include "proto/hl7/acknowledgement.h"
#include "proto/reason.h"

enum { CHINA = 8 * 3600 };
static const int64_t now = INT64_C(1768458659) * 1000000;	/* 2026-01-15 14:30:59 +0800 */
static struct arena arena;

static void
set_up(void)
{
	arena_init(&arena, 0);
}

static void
tear_down(void)
{
	arena_free(&arena);
}

static struct hl7_header
header_of(const char *message)
{
	struct hl7_header h;
	struct refusal refused;

	hl7_header_parse(view_of(message), "PTD", &arena, &h, &refused);
	return h;
}

/* The table of STANDARDS: what MSH-15 and 16 ask for, by verdict. */
static const struct {
	const char *accept, *application;
	struct ack_plan plans[3];	/* accepted, error, rejected */
} plans[] = {
	{"", "", {{NULL, "AA"}, {NULL, "AE"}, {NULL, "AR"}}},		/* original mode */
	{"\"\"", "\"\"", {{NULL, "AA"}, {NULL, "AE"}, {NULL, "AR"}}},	/* two quotes are null, too */
	{"NE", "NE", {{NULL, NULL}, {NULL, NULL}, {NULL, NULL}}},
	{"AL", "NE", {{"CA", NULL}, {"CE", NULL}, {"CR", NULL}}},	/* commit only */
	{"SU", "NE", {{"CA", NULL}, {NULL, NULL}, {NULL, NULL}}},
	{"ER", "NE", {{NULL, NULL}, {"CE", NULL}, {"CR", NULL}}},
	{"AL", "", {{"CA", NULL}, {"CE", NULL}, {"CR", NULL}}},
	{"ER", "", {{NULL, NULL}, {"CE", NULL}, {"CR", NULL}}},
	{"NE", "AL", {{NULL, "AA"}, {NULL, "AE"}, {NULL, "AR"}}},	/* application only */
	{"NE", "SU", {{NULL, "AA"}, {NULL, NULL}, {NULL, NULL}}},
	{"NE", "ER", {{NULL, NULL}, {NULL, "AE"}, {NULL, "AR"}}},
	{"", "AL", {{NULL, "AA"}, {NULL, "AE"}, {NULL, "AR"}}},
	{"", "SU", {{NULL, "AA"}, {NULL, NULL}, {NULL, NULL}}},
	/* both: what has errors is safe in quarantine, so its commit is positive; after a CR comes nothing */
	{"AL", "AL", {{"CA", "AA"}, {"CA", "AE"}, {"CR", NULL}}},
	{"AL", "ER", {{"CA", NULL}, {"CA", "AE"}, {"CR", NULL}}},
	{"AL", "SU", {{"CA", "AA"}, {"CE", NULL}, {"CR", NULL}}},
	{"SU", "AL", {{"CA", "AA"}, {"CA", "AE"}, {NULL, "AR"}}},
	{"SU", "SU", {{"CA", "AA"}, {NULL, NULL}, {NULL, NULL}}},
	{"SU", "ER", {{"CA", NULL}, {"CA", "AE"}, {NULL, "AR"}}},
	{"ER", "AL", {{NULL, "AA"}, {NULL, "AE"}, {"CR", NULL}}},
	{"ER", "SU", {{NULL, "AA"}, {"CE", NULL}, {"CR", NULL}}},
	{"ER", "ER", {{NULL, NULL}, {NULL, "AE"}, {"CR", NULL}}},
};

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

START_TEST(what_is_sent_is_what_was_asked_for)
{
	struct hl7_header h = header_of("MSH|^~\\&|C|H|||||DFT^P03|1|P|2.5\r");

	h.accept_ack = view_of(plans[_i].accept);
	h.application_ack = view_of(plans[_i].application);
	for (int v = 0; v < 3; v++) {
		struct ack_plan p = hl7_ack_plan(&h, (enum ack_verdict)v), e = plans[_i].plans[v];
		ck_assert_msg(same(p.commit, e.commit) && same(p.application, e.application), "%s/%s, verdict %d: %s and %s", plans[_i].accept,
		    plans[_i].application, v, p.commit != NULL ? p.commit : "no commit", p.application != NULL ? p.application : "no application");
	}
}
END_TEST

static const char *const conditions[][2] = {{"XX", "XX"}, {"al", "al"}, {"Y", ""}, {"", "Y"}};

/* A sender that waits for an answer to a condition we don't know would wait for ever. */
START_TEST(an_unknown_condition_is_answered)
{
	struct hl7_header h = header_of("MSH|^~\\&|C|H|||||DFT^P03|1|P|2.5\r");

	h.accept_ack = view_of(conditions[_i][0]);
	h.application_ack = view_of(conditions[_i][1]);
	for (int v = 0; v < 3; v++) {
		struct ack_plan p = hl7_ack_plan(&h, (enum ack_verdict)v);
		ck_assert_msg(p.commit != NULL || p.application != NULL, "%s/%s, verdict %d: nothing", conditions[_i][0], conditions[_i][1], v);
	}
}
END_TEST

static const char *const acks[] = {
	"MSH|^~\\&|C|H|||||ACK|1|P|2.5\rMSA|AA|9\r", "MSH|^~\\&|C|H|||||ACK^A01^ACK|1|P|2.5|||AL|AL\rMSA|AE|9\r", "MSH|^~\\&|C|H|||||ACK|1|X|9\r",
	"MSH|^~\\&|C|H|||||MCF|1|P|2.5\r",
};

START_TEST(an_ack_is_never_acknowledged)
{
	struct hl7_header h = header_of(acks[_i]);

	for (int v = 0; v < 3; v++) {
		struct ack_plan p = hl7_ack_plan(&h, (enum ack_verdict)v);
		ck_assert_ptr_null(p.commit);
		ck_assert_ptr_null(p.application);
	}
}
END_TEST

static const struct {
	const char *reason;
	enum ack_verdict verdict;
} verdicts[] = {
	{NULL, ACK_ACCEPT}, {"message_type", ACK_REJECT}, {"event_code", ACK_REJECT}, {"processing_id", ACK_REJECT}, {"version", ACK_REJECT},
	{"unavailable", ACK_REJECT}, {"busy", ACK_REJECT},
	{"internal", ACK_ERROR}, {"a reason nobody knows", ACK_ERROR},
	{"not_hl7", ACK_ERROR}, {"control_id_missing", ACK_ERROR}, {"charset_invalid", ACK_ERROR}, {"feed_unknown", ACK_ERROR},
	{"conflict", ACK_ERROR}, {"reversal_exceeds", ACK_ERROR}, {"visit_missing", ACK_ERROR}, {"too_large", ACK_ERROR}, {"no_lines", ACK_ERROR},
};

START_TEST(verdicts_follow_the_reason)
{
	struct refusal r = {verdicts[_i].reason, NULL, NULL};

	ck_assert_int_eq(hl7_ack_verdict(&r), verdicts[_i].verdict);
}
END_TEST

/* The acknowledgement of a message, as text. */
static struct view
build(const char *message, const char *code, const struct refusal *errors, size_t n, const char *extra)
{
	struct hl7_header h = header_of(message);
	struct ack_content c = {code, errors, n, extra != NULL ? view_of(extra) : VIEW_NONE, "VB1", now, CHINA, false, false};

	return hl7_ack_build(&arena, &h, &c);
}

static const struct refusal quantity = {"field_invalid", "\"1,5\" is not a decimal number", "FT1^2^10"};
static const struct refusal conflict = {"conflict", NULL, NULL};
static const struct refusal wild = {"field_invalid", "a|b^c~d\\e&f\rg\nh#i@j", "FT1^1^7"};
static const struct refusal again = {"unavailable", NULL, "MSH^1"};
static const struct refusal event = {"event_code", "not taken", "MSH^1^9^1^2"};

static const struct {
	const char *message, *code;
	const struct refusal *error;
	const char *extra, *ack;
} built[] = {
	{"MSH|^~\\&|CLINIC|H01|VISITBILL|HQ|20260115||DFT^P03^DFT_P03|M-1|P|2.5.1\r", "AA", NULL, NULL,
	    "MSH|^~\\&|VISITBILL|HQ|CLINIC|H01|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5.1\rMSA|AA|M-1\r"},
	/* MSH-3 to 6 as they came, components and escapes included */
	{"MSH|^~\\&|A^1.2^ISO|F\\T\\G~x|B^^|C&d|20260115||ADT^A01|1|T^A|2.4^x\r", "AA", NULL, NULL,
	    "MSH|^~\\&|B^^|C&d|A^1.2^ISO|F\\T\\G~x|20260115143059+0800||ACK^A01^ACK|VB1|T^A|2.4^x\rMSA|AA|1\r"},
	/* MSA-2 byte for byte */
	{"MSH|^~\\&|C|H|||||ADT^A01| \\X41\\^b&\"\"~ \xE7\x8E\x8B |P|2.5\r", "CA", NULL, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^A01^ACK|VB1|P|2.5\rMSA|CA| \\X41\\^b&\"\"~ \xE7\x8E\x8B \r"},
	/* MSH-9 without an event, the event of EVN, MSH-18 kept */
	{"MSH|^~\\&|C|H|||||ADT|1|P|2.1\r", "AA", NULL, NULL, "MSH|^~\\&|||C|H|20260115143059+0800||ACK|VB1|P|2.1\rMSA|AA|1\r"},
	{"MSH|^~\\&|C|H|||||ADT|1|P|2.1||||||GB 18030-2000\rEVN|A08\r", "AA", NULL, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK|VB1|P|2.1||||||GB 18030-2000\rMSA|AA|1\r"},
	/* other delimiters, and a fifth encoding character */
	{"MSH@~&#\\@LAB@H01@VB@H01@2026@@DFT~P03@7@P@2.5\r", "AE", &quantity, NULL,
	    "MSH@~&#\\@VB@H01@LAB@H01@20260115143059+0800@@ACK~P03~ACK@VB1@P@2.5\rMSA@AE@7@\"1,5\" is not a decimal number\r"
	    "ERR@@FT1~2~10@102~Data type error~HL70357@E@field_invalid@@\"1,5\" is not a decimal number@sending again does not help\r"},
	{"MSH|^~\\&#|C|H|||||DFT^P03|7|P|2.7\r", "AA", NULL, NULL, "MSH|^~\\&#|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.7\rMSA|AA|7\r"},
	{"MSH|^~\\|C|H|||||DFT^P03|7|P|2.2\r", "AE", &quantity, NULL,
	    "MSH|^~\\|||C|H|20260115143059+0800||ACK^P03|VB1|P|2.2\rMSA|AE|7|\"1,5\" is not a decimal number\r"
	    "ERR|FT1^2^10^102&Data type error&HL70357\r"},
	/* ERR since 2.5 */
	{"MSH|^~\\&|C|H|||||DFT^P03|7|P|2.5\r", "AE", &quantity, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5\rMSA|AE|7|\"1,5\" is not a decimal number\r"
	    "ERR||FT1^2^10|102^Data type error^HL70357|E|field_invalid||\"1,5\" is not a decimal number|sending again does not help\r"},
	{"MSH|^~\\&|C|H|||||DFT^P03|7|P|2.8.2\r", "AE", &conflict, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.8.2\rMSA|AE|7\r"
	    "ERR||MSH^1|205^Duplicate key identifier^HL70357|E|conflict||this line's id is booked with other content|sending again does not help\r"},
	{"MSH|^~\\&|C|H|||||DFT^P03|7|P|2.5\r", "AR", &again, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5\rMSA|AR|7|the database does not do it now; send again\r"
	    "ERR||MSH^1|207^Application internal error^HL70357|E|unavailable||the database does not do it now; send again|send again\r"},
	/* the older ERR: segment, sequence, field, and the code always fourth */
	{"MSH|^~\\&|C|H|||||DFT^P03|7|P|2.4\r", "AE", &quantity, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.4\rMSA|AE|7|\"1,5\" is not a decimal number\r"
	    "ERR|FT1^2^10^102&Data type error&HL70357\r"},
	{"MSH|^~\\&|C|H|||||DFT^P03|7|P|2.3.1\r", "AE", &conflict, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03|VB1|P|2.3.1\rMSA|AE|7|this line's id is booked with other content\r"
	    "ERR|MSH^1^^205&Duplicate key identifier&HL70357\r"},
	{"MSH|^~\\&|C|H|||||ADT^A99|7|P|2.3\r", "AR", &event, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^A99|VB1|P|2.3\rMSA|AR|7|not taken\rERR|MSH^1^9^201&Unsupported event code&HL70357\r"},
	{"MSH|^~\\&|C|H|||||ADT^A99|7|P|2.6\r", "AR", &event, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^A99^ACK|VB1|P|2.6\rMSA|AR|7|not taken\r"
	    "ERR||MSH^1^9^1^2|201^Unsupported event code^HL70357|E|event_code||not taken|sending again does not help\r"},
	/* our texts are escaped */
	{"MSH|^~\\&|C|H|||||DFT^P03|7|P|2.4\r", "AE", &wild, NULL,
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.4\rMSA|AE|7|a\\F\\b\\S\\c\\R\\d\\E\\e\\T\\f\\X0D\\g\\X0D\\h#i@j\r"
	    "ERR|FT1^1^7^102&Data type error&HL70357\r"},
	{"MSH@~&#\\@C@H@@@@@DFT~P03@7@P@2.4\r", "AE", &wild, NULL,
	    "MSH@~&#\\@@@C@H@20260115143059+0800@@ACK~P03~ACK@VB1@P@2.4\rMSA@AE@7@a|b^c#S#d#T#e#R#f#X0D#g#X0D#h#E#i#F#j\r"
	    "ERR@FT1~1~7~102\\Data type error\\HL70357\r"},
	/* never AA or CA without an id to echo */
	{"MSH|^~\\&|C|H|||||DFT^P03||P|2.5\r", "AA", NULL, NULL, "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5\rMSA|AE|\r"},
	{"MSH|^~\\&|C|H|||||DFT^P03||P|2.5\r", "CA", NULL, NULL, "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5\rMSA|CE|\r"},
	{"MSH|^~\\&|C|H|||||DFT^P03||P|2.5\r", "AR", NULL, NULL, "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5\rMSA|AR|\r"},
	{"MSH|^~\\&|C|H|||||DFT^P03|  |P|2.5\r", "AA", NULL, NULL, "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5\rMSA|AE|  \r"},
	/* not HL7 at all: usual delimiters, and the ERR of the version that we then claim */
	{"hello", "AE", &conflict, NULL, "MSH|^~\\&|||||20260115143059+0800||ACK|VB1|P|2.5\rMSA|AE||this line's id is booked with other content\r"
	    "ERR||MSH^1|205^Duplicate key identifier^HL70357|E|conflict||this line's id is booked with other content|sending again does not help\r"},
	/* segments of the daemon come last */
	{"MSH|^~\\&|C|H|||||DFT^P03|7|P|2.5\r", "AA", NULL, "ZBL|V1|1|0|0|12.50|open\r",
	    "MSH|^~\\&|||C|H|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5\rMSA|AA|7\rZBL|V1|1|0|0|12.50|open\r"},
};

START_TEST(every_byte_of_an_acknowledgement)
{
	ck_assert_view(build(built[_i].message, built[_i].code, built[_i].error, built[_i].error != NULL, built[_i].extra), built[_i].ack);
}
END_TEST

START_TEST(every_error_has_its_err)
{
	struct refusal errors[300];
	struct hl7_segment s;
	size_t n = 0, total = sizeof(errors) / sizeof(errors[0]);

	for (size_t i = 0; i < total; i++)
		errors[i] = (struct refusal){"field_missing", arena_printf(&arena, "number %zu", i), arena_printf(&arena, "FT1^%zu^10", i + 1)};
	struct view ack = build("MSH|^~\\&|C|H|||||DFT^P03|7|P|2.5\r", "AE", errors, total, NULL);
	ck_assert_int_eq(ack.p[ack.n - 1], '\r');
	while (hl7_next_segment(&ack, &s))
		if (strcmp(s.id, "ERR") == 0) {
			n++;
			const char *expected = arena_printf(&arena, "ERR||FT1^%zu^10|101^", n);
			ck_assert_uint_gt(s.line.n, strlen(expected));
			ck_assert_mem_eq(s.line.p, expected, strlen(expected));
		}
	ck_assert_uint_eq(n, total);
}
END_TEST

START_TEST(every_reason_can_be_told)
{
	for (unsigned i = 0; reason_nth(i) != NULL; i++) {
		const struct refusal r = {reason_nth(i)->name, NULL, NULL};
		static const char *const versions[] = {"2.3", "2.5"};
		for (size_t v = 0; v < 2; v++) {
			struct view ack = build(arena_printf(&arena, "MSH|^~\\&|C|H|||||DFT^P03|7|P|%s\r", versions[v]), "AE", &r, 1, NULL);
			struct hl7_segment s;
			struct hl7_fields f;
			const struct hl7_delimiters d = {'|', '^', '~', '\\', '&', 0};
			ck_assert(hl7_next_segment(&ack, &s) && hl7_next_segment(&ack, &s) && hl7_next_segment(&ack, &s));
			ck_assert_str_eq(s.id, "ERR");
			hl7_split(&s, &d, &f);
			struct view code = v == 0 ? hl7_component(hl7_field(&f, 1), &d, 4) : hl7_component(hl7_field(&f, 3), &d, 1);
			ck_assert_view(code, arena_printf(&arena, "%d", reason_nth(i)->hl7_code));
			ck_assert(!hl7_next_segment(&ack, &s));
		}
	}
}
END_TEST

START_TEST(a_brief_answer_is_as_long_as_what_it_repeats)
{
	struct hl7_header h = header_of("MSH|^~\\&|CLINIC|H01|VISITBILL|HQ|20260115||DFT^P03|M-1|P|2.5.1\r");
	struct refusal errors[200];
	struct ack_content c = {"AE", errors, 200, VIEW_LITERAL("ZBL|V1\r"), "VB1", now, CHINA, true, false};

	for (size_t i = 0; i < 200; i++)
		errors[i] = quantity;
	ck_assert_view(hl7_ack_build(&arena, &h, &c), "MSH|^~\\&|VISITBILL|HQ|CLINIC|H01|20260115143059+0800||ACK^P03^ACK|VB1|P|2.5.1\rMSA|AE|M-1\r");
	/* without it every one of them is there, however many: the caller says how many there may be */
	c.brief = false;
	struct view rest = hl7_ack_build(&arena, &h, &c);
	struct hl7_segment s;
	size_t n = 0;
	while (hl7_next_segment(&rest, &s))
		n += strcmp(s.id, "ERR") == 0;
	ck_assert_uint_eq(n, 200);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7_ack");

	tcase_add_checked_fixture(run.tcase, set_up, tear_down);
	check_add_rows(run, what_is_sent_is_what_was_asked_for, plans);
	check_add_rows(run, an_unknown_condition_is_answered, conditions);
	check_add_rows(run, an_ack_is_never_acknowledged, acks);
	check_add_rows(run, verdicts_follow_the_reason, verdicts);
	check_add_rows(run, every_byte_of_an_acknowledgement, built);
	tcase_add_test(run.tcase, every_error_has_its_err);
	tcase_add_test(run.tcase, every_reason_can_be_told);
	tcase_add_test(run.tcase, a_brief_answer_is_as_long_as_what_it_repeats);
	return check_end(run);
}
