/* MSH: what is read of it, and each refusal. */
#include "check_main.h"

#include <stdio.h>

#include "proto/hl7/acknowledgement.h"
#include "proto/hl7/header.h"
#include "proto/utf8.h"

static struct arena arena;
static struct refusal refused;

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
parse(const char *message, const char *processing)
{
	struct hl7_header h;

	hl7_header_parse(view_of(message), processing, &arena, &h, &refused);
	return h;
}

START_TEST(every_field_is_where_it_belongs)
{
	struct hl7_header h = parse("MSH|^~\\&|CLINIC^1.2.3^ISO|H\\T\\01^x|VISITBILL^r|HQ|20260115143000.123+0800^S|secret|ADT^A01^ADT_A01|M\\F\\1^a&b~c|"
	    "P^A|2.5.1^CHN|42|ptr|AL|NE|CHN|GB 18030-2000~ASCII|zh\rEVN|A04\rPID|1\r", "PTD");

	ck_assert_ptr_null(refused.reason);
	ck_assert_int_eq(h.delimiters.subcomponent, '&');
	ck_assert_view(h.sending_application, "CLINIC^1.2.3^ISO");
	ck_assert_view(h.sending_facility, "H\\T\\01^x");
	ck_assert_view(h.receiving_application, "VISITBILL^r");
	ck_assert_view(h.receiving_facility, "HQ");
	ck_assert_view(h.application, "CLINIC");
	ck_assert_view(h.facility, "H&01");
	ck_assert_view(h.time, "20260115143000.123+0800");
	ck_assert_view(h.type, "ADT");
	ck_assert_view(h.event, "A01");
	ck_assert_view(h.control_id, "M\\F\\1^a&b~c");	/* as sent: it is echoed */
	ck_assert_view(h.processing_id, "P^A");
	ck_assert_view(h.version, "2.5.1^CHN");
	ck_assert_view(h.sequence_number, "42");
	ck_assert_view(h.accept_ack, "AL");
	ck_assert_view(h.application_ack, "NE");
	ck_assert_view(h.charset, "GB 18030-2000~ASCII");
}
END_TEST

START_TEST(other_delimiters_and_line_ends)
{
	struct hl7_header h = parse("\r\n msh@~&#\\@LAB@H01@VB@H01@2026@@DFT~P03@7@P@2.3\n\nPID@1", "P");

	ck_assert_ptr_null(refused.reason);
	ck_assert_int_eq(h.delimiters.field, '@');
	ck_assert_view(h.application, "LAB");
	ck_assert_view(h.type, "DFT");
	ck_assert_view(h.event, "P03");
	ck_assert_view(h.version, "2.3");
	ck_assert_view(h.charset, "");
}
END_TEST

START_TEST(blanks_around_codes_do_not_matter)
{
	struct hl7_header h = parse("MSH|^~\\&| CLINIC | H01 ||||| ADT ^ A01 | 7 |P|2.4|||  AL | NE \r", "P");

	ck_assert_ptr_null(refused.reason);
	ck_assert_view(h.application, "CLINIC");
	ck_assert_view(h.facility, "H01");
	ck_assert_view(h.type, "ADT");
	ck_assert_view(h.event, "A01");
	ck_assert_view(h.control_id, " 7 ");
	ck_assert_view(h.accept_ack, "AL");
	ck_assert_view(h.application_ack, "NE");
}
END_TEST

static const struct {
	const char *message, *event;
} events[] = {
	{"MSH|^~\\&|C|H|||||ADT^A01|1|P|2.5\rEVN|A08\r", "A01"},
	{"MSH|^~\\&|C|H|||||ADT|1|P|2.5\rEVN|A08\r", "A08"},		/* MSH-9.2 came with 2.1 */
	{"MSH|^~\\&|C|H|||||ADT|1|P|2.5\rPID|1\revn|A08^x\rEVN|A09\r", "A08"},
	{"MSH|^~\\&|C|H|||||ADT|1|P|2.5\rEVN| A08 |\r", "A08"},
	{"MSH|^~\\&|C|H|||||ADT|1|P|2.5\rPID|1\r", ""},
	{"MSH|^~\\&|C|H|||||ADT|1|P|2.5\rEVN\r", ""},
};

START_TEST(the_event_is_in_msh_or_evn)
{
	struct hl7_header h = parse(events[_i].message, "P");

	ck_assert_ptr_null(refused.reason);
	ck_assert_view(h.event, events[_i].event);
}
END_TEST

static const struct {
	const char *processing_id, *taken;
	bool fine;
} processing_ids[] = {
	{"P", "PTD", true}, {"T", "PTD", true}, {"D", "PTD", true}, {"p", "PTD", true}, {"P^A", "P", true},
	{"T", "P", false}, {"", "PTD", false}, {"X", "PTD", false}, {"PT", "PTD", false}, {"^P", "PTD", false}, {"\"\"", "PTD", false},
};

START_TEST(processing_ids_are_those_that_are_taken)
{
	char message[200];

	snprintf(message, sizeof(message), "MSH|^~\\&|C|H|||||ADT^A01|1|%s|2.5\r", processing_ids[_i].processing_id);
	parse(message, processing_ids[_i].taken);
	if (processing_ids[_i].fine) {
		ck_assert_ptr_null(refused.reason);
	} else {
		ck_assert_str_eq(refused.reason, "processing_id");
		ck_assert_str_eq(refused.location, "MSH^1^11");
		ck_assert_int_eq(hl7_ack_verdict(&refused), ACK_REJECT);
	}
}
END_TEST

static const struct {
	const char *version;
	bool fine;
} versions[] = {
	{"2", true}, {"2.1", true}, {"2.2", true}, {"2.3", true}, {"2.3.1", true}, {"2.4", true}, {"2.5", true}, {"2.5.1", true},
	{"2.6", true}, {"2.7.1", true}, {"2.8.2", true}, {"2.9", true}, {"2.5^CHN&x", true},
	{"", false}, {"3", false}, {"3.0", false}, {"1.0", false}, {"2.", false}, {"2.x", false}, {"25", false}, {"2.5.", false}, {"2.5.1.1", false},
	{"v2.5", false}, {"\"\"", false},
};

START_TEST(versions_are_those_of_v2)
{
	char message[200];

	snprintf(message, sizeof(message), "MSH|^~\\&|C|H|||||ADT^A01|1|P|%s\r", versions[_i].version);
	parse(message, "P");
	if (versions[_i].fine) {
		ck_assert_ptr_null(refused.reason);
	} else {
		ck_assert_str_eq(refused.reason, "version");
		ck_assert_str_eq(refused.location, "MSH^1^12");
		ck_assert_int_eq(hl7_ack_verdict(&refused), ACK_REJECT);
	}
}
END_TEST

static const struct {
	const char *message, *reason, *location;
	enum ack_verdict verdict;
} refusals[] = {
	{"", "not_hl7", "MSH^1", ACK_ERROR}, {"\r\n", "not_hl7", "MSH^1", ACK_ERROR}, {"hello", "not_hl7", "MSH^1", ACK_ERROR},
	{"PID|1\rMSH|^~\\&|C|H\r", "not_hl7", "MSH^1", ACK_ERROR}, {"MSH", "not_hl7", "MSH^1", ACK_ERROR},
	{"MSH|\r", "not_hl7", "MSH^1", ACK_ERROR}, {"MSH|^^^^|C|H\r", "not_hl7", "MSH^1", ACK_ERROR},
	{"MSHX|^~\\&|C|H\r", "not_hl7", "MSH^1", ACK_ERROR}, {"<?xml version=\"1.0\"?>", "not_hl7", "MSH^1", ACK_ERROR},
	{"\x06", "not_hl7", "MSH^1", ACK_ERROR},
	{"MSH|^~\\&|C|H|||||||P|2.5\r", "message_type", "MSH^1^9", ACK_REJECT},
	{"MSH|^~\\&|C|H|||||^A01|1|P|2.5\r", "message_type", "MSH^1^9", ACK_REJECT},
	{"MSH|^~\\&|C|H\r", "message_type", "MSH^1^9", ACK_REJECT},
	{"MSH|^~\\&|C|H|||||ADT^A01||P|2.5\r", "control_id_missing", "MSH^1^10", ACK_ERROR},
	{"MSH|^~\\&|C|H|||||ADT^A01|  |P|2.5\r", "control_id_missing", "MSH^1^10", ACK_ERROR},
	{"MSH|^~\\&|C|H|||||ADT^A01||X|2.5\r", "processing_id", "MSH^1^11", ACK_REJECT},	/* the first that is wrong */
};

START_TEST(what_is_wrong_is_named)
{
	parse(refusals[_i].message, "P");
	ck_assert_ptr_nonnull(refused.reason);
	ck_assert_str_eq(refused.reason, refusals[_i].reason);
	ck_assert(strncmp(refused.location, refusals[_i].location, strlen(refusals[_i].location)) == 0);
	ck_assert_uint_gt(strlen(refused.detail), 5);
	ck_assert_int_eq(hl7_ack_verdict(&refused), refusals[_i].verdict);
}
END_TEST

START_TEST(a_refused_header_has_usual_delimiters)
{
	struct hl7_header h = parse("hello", "P");

	ck_assert_int_eq(h.delimiters.field, '|');
	ck_assert_int_eq(h.delimiters.component, '^');
	ck_assert_int_eq(h.delimiters.repetition, '~');
	ck_assert_int_eq(h.delimiters.escape, '\\');
	ck_assert_int_eq(h.delimiters.subcomponent, '&');
	ck_assert_uint_eq(h.control_id.n, 0);
}
END_TEST

START_TEST(a_refused_header_is_read_as_far_as_it_goes)
{
	struct hl7_header h = parse("MSH|^~\\&|CLINIC|H01|||2026||ADT^A01|77|X|9|||||||x\r", "P");

	ck_assert_str_eq(refused.reason, "processing_id");
	ck_assert_view(h.application, "CLINIC");
	ck_assert_view(h.control_id, "77");
	ck_assert_view(h.version, "9");
}
END_TEST

START_TEST(control_ids_have_199_bytes_at_most)
{
	char id[201], message[400];

	memset(id, 'i', sizeof(id));
	id[199] = '\0';
	snprintf(message, sizeof(message), "MSH|^~\\&|C|H|||||ADT^A01|%s|P|2.5\r", id);
	ck_assert_uint_eq(parse(message, "P").control_id.n, 199);
	ck_assert_ptr_null(refused.reason);
	id[199] = 'i';
	id[200] = '\0';
	snprintf(message, sizeof(message), "MSH|^~\\&|C|H|||||ADT^A01|%s|P|2.5\r", id);
	parse(message, "P");
	ck_assert_str_eq(refused.reason, "field_invalid");
	ck_assert_str_eq(refused.location, "MSH^1^10");
}
END_TEST

START_TEST(a_detail_that_quotes_the_message_is_short)
{
	char message[4000] = "MSH|^~\\&|C|H|||||ADT^A01|1|";

	memset(message + strlen(message), 'X', 250);
	strcat(message, "|2.5\r");
	parse(message, "P");
	ck_assert_str_eq(refused.reason, "processing_id");
	ck_assert_uint_lt(strlen(refused.detail), 100);
}
END_TEST

START_TEST(a_detail_does_not_cut_a_character)
{
	char message[200];

	for (int letters = 0; letters < 30; letters++) {
		snprintf(message, sizeof(message), "MSH|^~\\&|C|H|||||ADT^A01|1|%.*s\xE7\x8E\x8B\xE7\x8E\x8B\xF0\xA0\xAE\xB7\xE7\x8E\x8B|2.5\r", letters,
		    "abcdefghijklmnopqrstuvwxyzabcd");
		parse(message, "P");
		ck_assert_msg(utf8_is_valid(view_of(refused.detail)), "%d letters: %s", letters, refused.detail);
	}
}
END_TEST

/* Any field that is read; MSH-8, 14 and those behind 18 are nobody's. */
static const struct { int field; bool bounded; } header_fields[] = {
	{3, true}, {4, true}, {5, true}, {6, true}, {7, true}, {8, false}, {9, true}, {11, true}, {12, true}, {13, true}, {14, false}, {15, true}, {16, true},
	{17, false}, {18, true}, {19, false}, {21, false},
};

START_TEST(header_fields_have_250_bytes_at_most)
{
	static const char *const usual[] = {"C", "H", "V", "H", "2026", "", "ADT^A01", "M1", "P", "2.5", "", "", "AL", "NE", "", "UTF-8", "", "", ""};
	char message[2000], location[20];

	for (size_t n = 249; n <= 252; n++) {
		size_t at = (size_t)sprintf(message, "MSH|^~\\&");
		for (int f = 3; f <= 21; f++) {
			at += (size_t)sprintf(message + at, "|%s", usual[f - 3]);
			if (f == header_fields[_i].field) {
				size_t have = strlen(usual[f - 3]);
				if (have < 2)	/* components behind what is read: still the field's */
					message[at++] = '^', have++;
				memset(message + at, '^', n - have);
				at += n - have;
			}
		}
		sprintf(message + at, "\r");
		struct hl7_header h = parse(message, "P");
		if (n <= 250 || !header_fields[_i].bounded) {
			ck_assert_msg(refused.reason == NULL || strcmp(refused.reason, "field_invalid") != 0, "%d of %zu: %s", header_fields[_i].field, n, refused.detail);
			continue;
		}
		snprintf(location, sizeof(location), "MSH^1^%d", header_fields[_i].field);
		ck_assert_str_eq(refused.reason, "field_invalid");
		ck_assert_str_eq(refused.location, location);
		ck_assert_int_eq(hl7_ack_verdict(&refused), ACK_ERROR);
		/* what an answer repeats is short */
		const struct view repeated[] = {h.sending_application, h.sending_facility, h.receiving_application, h.receiving_facility, h.processing_id, h.version, h.charset, h.event};
		for (size_t i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++)
			ck_assert_uint_le(repeated[i].n, 250);
		ck_assert_view(h.control_id, "M1");
	}
}
END_TEST

START_TEST(a_long_event_code_is_refused)
{
	char message[2000] = "MSH|^~\\&|C|H|||||ADT|1|P|2.5\rEVN|";

	memset(message + strlen(message), 'A', 251);
	struct hl7_header h = parse(message, "P");
	ck_assert_str_eq(refused.reason, "field_invalid");
	ck_assert_str_eq(refused.location, "EVN^1^1");
	ck_assert_uint_eq(h.event.n, 0);
}
END_TEST

static const char *const odd_ids[] = {"a\tb", "a\x7F", "a\x01", "a\xC2\x85", "a\xFF"};

START_TEST(a_control_id_is_one_line_of_text)
{
	char message[200];

	snprintf(message, sizeof(message), "MSH|^~\\&|C|H|||||ADT^A01|%s|P|2.5\r", odd_ids[_i]);
	struct hl7_header h = parse(message, "P");
	ck_assert_str_eq(refused.reason, "field_invalid");
	ck_assert_str_eq(refused.location, "MSH^1^10");
	ck_assert_view(h.control_id, odd_ids[_i]);	/* it is repeated all the same */
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7_header");

	tcase_add_checked_fixture(run.tcase, set_up, tear_down);
	tcase_add_test(run.tcase, every_field_is_where_it_belongs);
	tcase_add_test(run.tcase, other_delimiters_and_line_ends);
	tcase_add_test(run.tcase, blanks_around_codes_do_not_matter);
	check_add_rows(run, the_event_is_in_msh_or_evn, events);
	check_add_rows(run, processing_ids_are_those_that_are_taken, processing_ids);
	check_add_rows(run, versions_are_those_of_v2, versions);
	check_add_rows(run, what_is_wrong_is_named, refusals);
	tcase_add_test(run.tcase, a_refused_header_has_usual_delimiters);
	tcase_add_test(run.tcase, a_refused_header_is_read_as_far_as_it_goes);
	tcase_add_test(run.tcase, control_ids_have_199_bytes_at_most);
	tcase_add_test(run.tcase, a_detail_that_quotes_the_message_is_short);
	tcase_add_test(run.tcase, a_detail_does_not_cut_a_character);
	check_add_rows(run, header_fields_have_250_bytes_at_most, header_fields);
	tcase_add_test(run.tcase, a_long_event_code_is_refused);
	check_add_rows(run, a_control_id_is_one_line_of_text, odd_ids);
	return check_end(run);
}
