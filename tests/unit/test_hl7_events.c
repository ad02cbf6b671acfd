/* ADT and BAR to visit events, and what of a DFT is about the visit: who, where, when, and what is wrong. */
#include "check_hl7.h"

#include <stdio.h>

static const struct {
	const char *message;
	enum event_kind kind;
	bool has_visit_no;
} kinds[] = {
	{MSH("ADT^A01^ADT_A01") PATIENT VISIT, EVENT_OPEN, true}, {MSH("ADT^A04") PATIENT VISIT, EVENT_OPEN, true},
	{MSH("ADT^A05") PATIENT VISIT, EVENT_OPEN, true}, {MSH("ADT^A02") PATIENT VISIT, EVENT_UPDATE, true},
	{MSH("ADT^A03") PATIENT VISIT, EVENT_DISCHARGE, true}, {MSH("ADT^A08") PATIENT VISIT, EVENT_UPDATE, true},
	{MSH("ADT^A11") PATIENT VISIT, EVENT_CANCEL, true}, {MSH("ADT^A13") PATIENT VISIT, EVENT_REOPEN, true},
	{MSH("ADT^A40") PATIENT "MRG|P2||||V2\r" VISIT, EVENT_MERGE, false}, {MSH("ADT^A34") PATIENT "MRG|P2||||V2\r" VISIT, EVENT_MERGE, false},
	{MSH("ADT^A43") PATIENT "MRG|P2\r", EVENT_MERGE, false}, {MSH("ADT^A47") PATIENT "MRG|P2\r", EVENT_MERGE, false},
	{MSH("ADT^A42") PATIENT "MRG|P2||||V2\r" VISIT, EVENT_MERGE, true}, {MSH("ADT^A50") PATIENT "MRG|P2||||V2\r" VISIT, EVENT_MERGE, true},
	{MSH("ADT^A41") PID("", "P1", "", "", "", "V1") "MRG|P2||V2\r" VISIT, EVENT_MERGE, true}, {MSH("ADT^A35") PID("", "P1", "", "", "", "V1") "MRG|||V2\r", EVENT_MERGE, true},
	{MSH("ADT^A49") PID("", "P1", "", "", "", "V1") "MRG|||V2\r", EVENT_MERGE, true}, {MSH("ADT^A36") PID("", "P1", "", "", "", "V1") "MRG|P2||V2\r", EVENT_MERGE, true},
	{MSH("ADT^A18") PID("", "P1", "", "", "", "V1") "MRG|P2||V2\r", EVENT_MERGE, true},
	{MSH("ADT^A44") PID("", "P1", "", "", "", "V1") "MRG|P2\r", EVENT_MOVE, true}, {MSH("ADT^A44") PATIENT "MRG|P2||V1\r", EVENT_MOVE, true},
	{MSH("ADT^A45") PATIENT "MRG|P2||||V2\r" VISIT, EVENT_MOVE, true}, {MSH("ADT^A45") PATIENT "MRG|P2||||V1\r", EVENT_MOVE, true},
	{MSH("ADT^A12") PATIENT VISIT, EVENT_UPDATE, true}, {MSH("ADT^A06") PATIENT VISIT, EVENT_UPDATE, true}, {MSH("ADT^A07") PATIENT VISIT, EVENT_UPDATE, true},
	{MSH("ADT^A27") PATIENT VISIT, EVENT_CANCEL, true}, {MSH("ADT^A38") PATIENT VISIT, EVENT_CANCEL, true}, {MSH("BAR^P02") PATIENT VISIT, EVENT_CANCEL, true},
	{MSH("BAR^P01") PATIENT VISIT, EVENT_OPEN, true}, {MSH("BAR^P05") PATIENT VISIT, EVENT_UPDATE, true},
	{MSH("BAR^P06") PATIENT VISIT, EVENT_DISCHARGE, true},
	/* of the patient, whatever visit they name */
	{MSH("ADT^A28") PATIENT VISIT, EVENT_UPDATE, false}, {MSH("ADT^A31") PATIENT VISIT, EVENT_UPDATE, false},
	{MSH("ADT^A31") PATIENT, EVENT_UPDATE, false}, {MSH("ADT^A08") PATIENT, EVENT_UPDATE, false},
	{MSH("ADT^A40") PATIENT "MRG|P2\r", EVENT_MERGE, false},
	{MSH("ADT") "EVN|A03|20260115\r" PATIENT VISIT, EVENT_DISCHARGE, true},
};

START_TEST(every_event_is_known)
{
	struct check_message m = check_read(kinds[_i].message);

	check_refusal(&m.in.refused, NULL, NULL, kinds[_i].message);
	ck_assert_int_eq(m.in.events[0].kind, kinds[_i].kind);
	ck_assert_uint_eq(m.in.n_visits, 1);
	ck_assert_uint_eq(m.in.events[0].visit, 0);
	ck_assert_uint_eq(m.in.n_lines, 0);
	ck_assert_view(m.in.visits[0].visit_no, kinds[_i].has_visit_no ? "V1" : "");
	ck_assert_view(m.in.visits[0].patient_no.text, "P1");
	ck_assert_view(m.in.visits[0].facility, "H01");
	ck_assert_view(m.in.message_id, "M1");
	ck_assert(m.in.has_sent_at);
	ck_assert_time(m.in.sent_at, "2026-01-15T14:00:00+08:00");
	check_drop(&m);
}
END_TEST

static const struct {
	const char *message, *reason, *location;
} refusals[] = {
	{MSH("ADT^A99") PATIENT VISIT, "event_code", "MSH^1^9^1^2"}, {MSH("ADT") PATIENT VISIT, "event_code", "MSH^1^9^1^2"},
	{MSH("ADT^a01") PATIENT VISIT, "event_code", NULL}, {MSH("ADT^P03") PATIENT VISIT, "event_code", NULL},
	{MSH("DFT^A01") PATIENT VISIT, "event_code", NULL}, {MSH("BAR^P03") PATIENT VISIT, "event_code", NULL},
	{MSH("DFT^P99") PATIENT VISIT "FT1|1\r", "event_code", NULL},
	{MSH("ORU^R01") PATIENT VISIT, "message_type", "MSH^1^9^1^1"}, {MSH("A01") PATIENT VISIT, "message_type", NULL},
	{MSH("ADT^A01") PATIENT, "visit_missing", "PV1^1^19"}, {MSH("ADT^A01") PATIENT PV1("O", "", "", "", "", ""), "visit_missing", NULL},
	{MSH("ADT^A01") PATIENT PV1("O", "", "", "\"\"", "", ""), "visit_missing", NULL},
	{MSH("ADT^A01") PATIENT PV1("O", "", "", "  ^x", "", ""), "visit_missing", NULL},
	{MSH("ADT^A03"), "visit_missing", NULL}, {MSH("ADT^A11") PATIENT, "visit_missing", NULL}, {MSH("ADT^A13") PATIENT, "visit_missing", NULL},
	{MSH("BAR^P05") PATIENT, "visit_missing", NULL}, {MSH("DFT^P03") PATIENT, "no_lines", "FT1^1"}, {MSH("DFT^P11") PATIENT VISIT, "no_lines", NULL},
	{MSH("ADT^A08"), "field_missing", "PID^1^3"}, {MSH("ADT^A28") VISIT, "field_missing", "PID^1^3"},
	{MSH("ADT^A31") PID("", "\"\"", "", "", "", "") VISIT, "field_missing", "PID^1^3"}, {MSH("ADT^A40") "MRG|P2\r", "field_missing", "PID^1^3"},
	{MSH("ADT^A40") PATIENT VISIT, "segment_missing", "MRG^1"},
	/* what a line end has cut in two */
	{MSH("DFT^P03") PATIENT VISIT "FT1|1|L1||20260115||CG|A01|line one\rline two||5|100.00\r", "segment_invalid", "FT1^1"},
	{MSH("DFT^P03") PATIENT VISIT "FT1|1|L1||20260115||CG|A01|a||5|1\rFT1|2|L2||20260115||CG|A01|line one\rthe rest||5|100.00\r", "segment_invalid", "FT1^2"},
	{MSH("ADT^A01") PATIENT VISIT "ZX|1\r", "segment_invalid", "PV1^1"}, {MSH("ADT^A01") PATIENT "text\r" VISIT, "segment_invalid", "PID^1"},
	/* segments end with CR here: is this text, or is it a segment? */
	{MSH("ADT^A01") PATIENT "NTE|1||a\nPV1|1|O\r" VISIT, "segment_invalid", "NTE^1"},
	{MSH("ADT^A40") PATIENT "MRG\r" VISIT, "field_missing", "MRG^1^1"}, {MSH("ADT^A40") PATIENT "MRG|^x|y|\"\"\r" VISIT, "field_missing", "MRG^1^1"},
};

START_TEST(what_billing_cannot_take_is_refused)
{
	struct check_message m = check_read(refusals[_i].message);

	check_refusal(&m.in.refused, refusals[_i].reason, refusals[_i].location, refusals[_i].message);
	ck_assert_view(m.in.message_id, "M1");
	check_drop(&m);
}
END_TEST

static const struct {
	const char *segments, *visit_no, *patient_no;
} numbers[] = {
	{PID("", "P1", "", "", "", "A1") PV1("O", "", "", "V1", "", ""), "V1", "P1"},
	{PID("", "P1", "", "", "", "A1") PV1("O", "", "", "", "", ""), "A1", "P1"},
	{PID("", "P1", "", "", "", "A1") PV1("O", "", "", "\"\"", "", ""), "A1", "P1"},
	{PID("", "P1", "", "", "", "A1^5^M10~A2"), "A1", "P1"},
	{PID("X9", "", "", "", "", "A1"), "A1", "X9"},
	{PID("X9", "P1~P2", "", "", "", "A1"), "A1", "P1"},
	{PID("X9", "\"\"", "", "", "", "A1"), "A1", "X9"},
	{PID("", "", "", "", "", "A1"), "A1", ""},
	{PID("", " P1 ^^^H01", "", "", "", "") PV1("O", "", "", " V\\T\\1 ^^^H01~V2", "", ""), "V&1", "P1"},
	{PID("", "P1&x", "", "", "", "") PV1("O", "", "", "V1&y", "", ""), "V1", "P1"},
	{"pid|1||P1\rpv1|1|O|||||||||||||||||V1\r", "V1", "P1"},
};

START_TEST(numbers_and_their_fallbacks)
{
	char message[500];

	snprintf(message, sizeof(message), "%s%s", MSH("ADT^A01"), numbers[_i].segments);
	struct check_message m = check_read(message);
	check_refusal(&m.in.refused, NULL, NULL, message);
	ck_assert_view(m.in.visits[0].visit_no, numbers[_i].visit_no);
	ck_assert_view(m.in.visits[0].patient_no.text, numbers[_i].patient_no);
	check_drop(&m);
}
END_TEST

static const struct {
	const char *sent, *name;
	bool deleted;
} names[] = {
	{"", "", false}, {"\"\"", "", true}, {"\"\"^\"\"", "", true}, {"\xE7\x8E\x8B^\xE8\x8A\xB3", "\xE7\x8E\x8B\xE8\x8A\xB3", false},
	{"\xE7\x8E\x8B\xE8\x8A\xB3", "\xE7\x8E\x8B\xE8\x8A\xB3", false}, {"Wang^Fang^Q^Jr^Dr", "Wang Fang", false}, {"^Fang", "Fang", false},
	{"Wang^\"\"", "Wang", false}, {"\xE7\x8E\x8B^John", "\xE7\x8E\x8BJohn", false}, {"van&van&Damme^Jean", "van Jean", false},
	{"Wang^Fang~\xE7\x8E\x8B^\xE8\x8A\xB3^^^^^L^I", "Wang Fang", false}, {" Wang ^ Fang ", "Wang Fang", false},
	{"O\\T\\O^A\\S\\B", "O&O A^B", false},
};

START_TEST(names_are_family_and_given)
{
	char message[500];

	snprintf(message, sizeof(message), "%sPID|1||P1||%s\r%s", MSH("ADT^A01"), names[_i].sent, VISIT);
	struct check_message m = check_read(message);
	ck_assert_view(m.in.visits[0].patient_name.text, names[_i].name);
	ck_assert_int_eq(m.in.visits[0].patient_name.deleted, names[_i].deleted);
	check_drop(&m);
}
END_TEST

static const struct {
	const char *sent, *visit_class;
} classes[] = {
	{"I", "inpatient"}, {"E", "emergency"}, {"O", "outpatient"}, {"R", "outpatient"}, {"B", "outpatient"}, {"P", "outpatient"},
	{"I^Inpatient^HL70004", "inpatient"}, {"", NULL}, {"\"\"", NULL}, {"N", NULL}, {"U", NULL}, {"IN", NULL}, {"9", NULL},
};

START_TEST(classes_are_of_table_0004)
{
	char message[500];

	snprintf(message, sizeof(message), "%s%sPV1|1|%s|||||||||||||||||V1\r", MSH("ADT^A01"), PATIENT, classes[_i].sent);
	struct check_message m = check_read(message);
	if (classes[_i].visit_class == NULL)
		ck_assert_ptr_null(m.in.visits[0].visit_class);
	else
		ck_assert_str_eq(m.in.visits[0].visit_class, classes[_i].visit_class);
	check_drop(&m);
}
END_TEST

START_TEST(a_value_two_quotes_and_nothing_are_three_things)
{
	static const char *const sent[] = {"F", "\"\"", ""};
	char message[500];

	for (int i = 0; i < 3; i++) {
		snprintf(message, sizeof(message), "%sPID|1||P1||||19900131|%s\rPV1|1|O|%s|||||||%s|||||||||V1\r", MSH("ADT^A08"), sent[i], sent[i], sent[i]);
		struct check_message m = check_read(message);
		const struct value *values[] = {&m.in.events[0].sex, &m.in.events[0].department, &m.in.events[0].location};
		for (int k = 0; k < 3; k++) {
			ck_assert_view(values[k]->text, i == 0 ? "F" : "");
			ck_assert_int_eq(values[k]->deleted, i == 1);
		}
		check_drop(&m);
	}
}
END_TEST

START_TEST(location_is_whole_and_department_its_code)
{
	struct check_message m = check_read(MSH("ADT^A02") PATIENT PV1("I", "W3^12^B\\T\\2^H01~W4", "MED&x^Medicine", "V1", "", ""));

	ck_assert_view(m.in.events[0].location.text, "W3^12^B&2^H01");
	ck_assert_view(m.in.events[0].department.text, "MED");
	check_drop(&m);
}
END_TEST

static const struct {
	const char *message, *at, *reason, *location;
} times[] = {
	{MSH("ADT^A01") EVN("202601151100") PATIENT PV1("O", "", "", "V1", "20260115100000", ""), "2026-01-15T10:00:00+08:00", NULL, NULL},
	{MSH("ADT^A01") EVN("202601151100") PATIENT PV1("O", "", "", "V1", "20260115100000+0900", ""), "2026-01-15T09:00:00+08:00", NULL, NULL},
	{MSH("ADT^A01") EVN("202601151100") PATIENT VISIT, "2026-01-15T11:00:00+08:00", NULL, NULL},
	{MSH("ADT^A01") EVN("202601151100") PATIENT PV1("O", "", "", "V1", "\"\"", ""), "2026-01-15T11:00:00+08:00", NULL, NULL},
	{MSH("ADT^A01") PATIENT VISIT, "2026-01-15T14:00:00+08:00", NULL, NULL},
	/* an admission time that cannot be read is no reason to refuse the visit */
	{MSH("ADT^A01") PATIENT PV1("O", "", "", "V1", "yesterday", ""), "2026-01-15T14:00:00+08:00", NULL, NULL},
	{MSH("ADT^A03") EVN("202601151100") PATIENT PV1("O", "", "", "V1", "20260115100000", "20260115120000"), "2026-01-15T12:00:00+08:00", NULL, NULL},
	{MSH("ADT^A03") EVN("202601151100") PATIENT PV1("O", "", "", "V1", "20260115100000", ""), "2026-01-15T11:00:00+08:00", NULL, NULL},
	{MSH("BAR^P06") PATIENT VISIT, "2026-01-15T14:00:00+08:00", NULL, NULL},
	{MSH("ADT^A03") PATIENT PV1("O", "", "", "V1", "", "20260116143059"), "2026-01-16T14:30:59+08:00", NULL, NULL},	/* a day ahead */
	{MSH("ADT^A03") PATIENT PV1("O", "", "", "V1", "", "20260116143100"), NULL, "date_absurd", "PV1^1^45"},
	{MSH("ADT^A03") PATIENT PV1("O", "", "", "V1", "", "19891231235959"), NULL, "date_absurd", "PV1^1^45"},
	{MSH("ADT^A03") PATIENT PV1("O", "", "", "V1", "", "tomorrow"), NULL, "date_absurd", "PV1^1^45"},
	{MSH("ADT^A03") EVN("202601151100") PATIENT PV1("O", "", "", "V1", "", "tomorrow"), NULL, "date_absurd", "PV1^1^45"},
	{MSH("ADT^A03") EVN("soon") PATIENT VISIT, NULL, "date_absurd", "EVN^1^2"},
	{MSH("BAR^P06") EVN("29990101") PATIENT VISIT, NULL, "date_absurd", "EVN^1^2"},
	{MSH("ADT^A13") EVN("soon") PATIENT PV1("O", "", "", "V1", "x", "y"), "2026-01-15T14:00:00+08:00", NULL, NULL},
	{"MSH|^~\\&|C|H|||||ADT^A01|1|P|2.5\r" PATIENT VISIT, "2026-01-15T14:30:59+08:00", NULL, NULL},	/* no MSH-7: now */
	{"MSH|^~\\&|C|H|||now||ADT^A03|1|P|2.5\r" PATIENT VISIT, "2026-01-15T14:30:59+08:00", NULL, NULL},
};

START_TEST(times_and_their_fallbacks)
{
	struct check_message m = check_read(times[_i].message);

	check_refusal(&m.in.refused, times[_i].reason, times[_i].location, times[_i].message);
	if (times[_i].at != NULL)
		ck_assert_time(m.in.events[0].at, times[_i].at);
	check_drop(&m);
}
END_TEST

static const struct {
	const char *sent;
	bool has;
	int32_t days;
} births[] = {
	{"19900131", true, 7335}, {"199001312359", true, 7335}, {"1990-01-31", true, 7335}, {"01/31/1990", true, 7335}, {"1990", true, 7305},
	{"19000101^x", true, -25567}, {"", false, 0}, {"\"\"", false, 0}, {"19900231", false, 0}, {"unknown", false, 0},
};

START_TEST(birth_dates_that_cannot_be_read_are_not_said)
{
	char message[500];

	snprintf(message, sizeof(message), "%sPID|1||P1||||%s\r%s", MSH("ADT^A01"), births[_i].sent, VISIT);
	struct check_message m = check_read(message);
	check_refusal(&m.in.refused, NULL, NULL, message);
	ck_assert_int_eq(m.in.events[0].has_birth_date, births[_i].has);
	if (births[_i].has)
		ck_assert_int_eq(m.in.events[0].birth_date, births[_i].days);
	check_drop(&m);
}
END_TEST

static const struct {
	const char *mrg, *visit_no, *patient_no;
} merges[] = {
	{"MRG|P2^^^H01^PI||A2^x||V2^y\r", "V2", "P2"}, {"MRG|P2||A2\r", "A2", "P2"}, {"MRG|P2||A2||\"\"\r", "A2", "P2"}, {"MRG|P2\r", "", "P2"},
	{"MRG|||A2\r", "A2", ""}, {"mrg|P2~P3||||V2~V3\r", "V2", "P2"},
};

START_TEST(the_loser_of_a_merge_is_in_mrg)
{
	char message[500];

	struct hl7_profile *visits = check_profile_new(&(struct check_setting){PROFILE_A40, "visits"}, 1);
	check_profile = visits;
	snprintf(message, sizeof(message), "%s%s%s%s", MSH("ADT^A40"), PATIENT, merges[_i].mrg, VISIT);
	struct check_message m = check_read(message);
	check_refusal(&m.in.refused, NULL, NULL, message);
	ck_assert_view(m.in.visits[0].visit_no, "V1");
	ck_assert_view(m.in.events[0].other_visit_no, merges[_i].visit_no);
	ck_assert_view(m.in.events[0].other_patient_no, merges[_i].patient_no);
	check_drop(&m);
	hl7_profile_free(visits);
}
END_TEST

START_TEST(numbers_have_their_limits)
{
	char number[3000], message[4000];

	for (size_t n = 98; n < 104; n++) {
		memset(number, 'n', n);
		number[n] = '\0';
		snprintf(message, sizeof(message), "%s%sPV1|1|O|||||||||||||||||%s\r", MSH("ADT^A01"), PATIENT, number);
		struct check_message m = check_read(message);
		check_refusal(&m.in.refused, n <= 100 ? NULL : "field_invalid", n <= 100 ? NULL : "PV1^1^19", "visit number");
		check_drop(&m);
	}
	/* more than an index row of PostgreSQL takes would fail the batch that it is in */
	memset(number, 'n', sizeof(number) - 1);
	number[sizeof(number) - 1] = '\0';
	static const char *const around[][2] = {
		{MSH("ADT^A01") "PID|1||", "\r" VISIT}, {MSH("ADT^A42") PATIENT "MRG|P2||||", "\r" VISIT}, {MSH("ADT^A40") PATIENT "MRG|", "||||V2\r" VISIT},
	};
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		snprintf(message, sizeof(message), "%s%s%s", around[i][0], number, around[i][1]);
		struct check_message m = check_read(message);
		check_refusal(&m.in.refused, "field_invalid", NULL, around[i][0]);
		check_drop(&m);
	}
}
END_TEST

START_TEST(other_delimiters_and_line_ends_change_nothing)
{
	struct check_message m = check_read("MSH@~&#\\@CLINIC@H01@VB@H01@20260115140000@@ADT~A01@M1@P@2.5\n"
	    "PID@1@@P1~~~H01@@\xE7\x8E\x8B~\xE8\x8A\xB3#F#@@19900131@F\r\nPV1@1@I@@@@@@@@@@@@@@@@@V#S#1");

	check_refusal(&m.in.refused, NULL, NULL, "custom delimiters");
	ck_assert_view(m.in.visits[0].visit_no, "V~1");
	ck_assert_view(m.in.visits[0].patient_name.text, "\xE7\x8E\x8B\xE8\x8A\xB3@");
	ck_assert_str_eq(m.in.visits[0].visit_class, "inpatient");
	check_drop(&m);
}
END_TEST

/* A field of the visit: how many bytes it may have, what message it is in before and after those bytes, and where the refusal stands. */
static const struct {
	const char *what, *before, *after;
	size_t most;
	const char *location;
} lengths[] = {
	{"PV1-19", MSH("ADT^A01") PATIENT "PV1|1|O|||||||||||||||||", "\r", 100, "PV1^1^19"},
	{"PID-18", MSH("ADT^A01") "PID|1||P1|||||||||||||||", "\r", 100, "PID^1^18"},
	{"PID-3", MSH("ADT^A01") "PID|1||", "^^^H01\r" VISIT, 200, "PID^1^3"}, {"PID-2", MSH("ADT^A01") "PID|1|", "\r" VISIT, 200, "PID^1^2"},
	{"PID-5", MSH("ADT^A01") "PID|1||P1||", "\r" VISIT, 500, "PID^1^5"}, {"PID-5, given", MSH("ADT^A01") "PID|1||P1||^", "\r" VISIT, 500, "PID^1^5"},
	{"PID-5, both", MSH("ADT^A01") "PID|1||P1||A^", "\r" VISIT, 498, "PID^1^5"}, {"PID-8", MSH("ADT^A01") "PID|1||P1|||||", "\r" VISIT, 20, "PID^1^8"},
	{"PV1-3", MSH("ADT^A01") PATIENT "PV1|1|O|", "|||||||||||||||| V1\r", 500, "PV1^1^3"}, {"PV1-10", MSH("ADT^A01") PATIENT "PV1|1|O||||||||", "|||||||||V1\r", 500, "PV1^1^10"},
	{"MRG-5", MSH("ADT^A42") PATIENT "MRG|P2||||", "\r" VISIT, 100, "MRG^1^5"},
	{"MRG-3", MSH("ADT^A41") PID("", "P1", "", "", "", "V1") "MRG|P2||", "\r" VISIT, 100, "MRG^1^3"},
	{"MRG-1", MSH("ADT^A40") PATIENT "MRG|", "\r" VISIT, 200, "MRG^1^1"},
	{"PV1-19 of a DFT", MSH("DFT^P03") PATIENT "PV1|1|O|||||||||||||||||", "\rFT1|1|L||20260115||CG|X|||1|1\r", 100, "PV1^1^19"},
	{"PID-5 of a DFT", MSH("DFT^P03") "PID|1||P1||", "\r" VISIT "FT1|1|L||20260115||CG|X|||1|1\r", 500, "PID^1^5"},
	{"PID-3 of an A31", MSH("ADT^A31") "PID|1||", "\r", 200, "PID^1^3"},
};

START_TEST(fields_of_the_visit_have_their_lengths)
{
	char *message = malloc(3000000);

	ck_assert_ptr_nonnull(message);
	for (size_t i = 0; i < 4; i++) {
		const size_t sizes[] = {lengths[_i].most, lengths[_i].most + 1, 3000, 2000000}, n = sizes[i];
		size_t at = strlen(lengths[_i].before);
		memcpy(message, lengths[_i].before, at);
		memset(message + at, 'x', n);
		strcpy(message + at + n, lengths[_i].after);
		struct check_message m = check_read(message);
		const struct visit_ref *v = &m.in.visits[0];
		check_refusal(&m.in.refused, n <= lengths[_i].most ? NULL : "field_invalid", n <= lengths[_i].most ? NULL : lengths[_i].location, lengths[_i].what);
		for (size_t k = 0; k < m.in.n_lines; k++)
			check_refusal(&m.in.lines[k].refused, m.in.refused.reason, NULL, "its line");
		/* refused or not, nothing long goes on */
		ck_assert(v->visit_no.n <= 100 && v->patient_no.text.n <= 200 && v->patient_name.text.n <= 500);
		for (size_t k = 0; k < m.in.n_events; k++) {
			const struct visit_event *e = &m.in.events[k];
			ck_assert(e->sex.text.n <= 20 && e->department.text.n <= 500 && e->location.text.n <= 500);
			ck_assert(e->other_visit_no.n <= 100 && e->other_patient_no.n <= 200);
		}
		check_drop(&m);
	}
	free(message);
}
END_TEST

/* \X..\ makes bytes that no number may have; in a name they are a line end like \.br\. */
static const struct { const char *message, *reason, *location; } odd_numbers[] = {
	{MSH("ADT^A01") PATIENT PV1("O", "", "", "V\\X0A\\1", "", ""), "field_invalid", "PV1^1^19"}, {MSH("ADT^A01") PATIENT PV1("O", "", "", "V\\.br\\1", "", ""), "field_invalid", "PV1^1^19"},
	{MSH("ADT^A01") PID("", "P\\X1B\\", "", "", "", "") VISIT, "field_invalid", "PID^1^3"}, {MSH("ADT^A01") PID("", "P1", "", "", "", "") PV1("O", "", "", "V\tW", "", ""), "field_invalid", "PV1^1^19"},
	{MSH("ADT^A40") PATIENT "MRG|P\\X0D\\2\r" VISIT, "field_invalid", "MRG^1^1"}, {MSH("ADT^A41") PID("", "P1", "", "", "", "V1") "MRG|P2||V\\X7F\\2\r" VISIT, "field_invalid", "MRG^1^3"},
	{MSH("ADT^A01") PID("", "P1", "A\\.br\\B", "", "", "") VISIT, NULL, NULL},
	{"MSH|^~\\&|CLINIC|H01|||20260115140000||ADT^A01|M\\X0A\\1|P|2.5\r" PATIENT VISIT, "field_invalid", "MSH^1^10"},
};

START_TEST(numbers_are_one_line)
{
	struct check_message m = check_read(odd_numbers[_i].message);

	check_refusal(&m.in.refused, odd_numbers[_i].reason, odd_numbers[_i].location, odd_numbers[_i].message);
	check_drop(&m);
}
END_TEST

/* Groups that the structure repeats are an event each; one that it does not allow refuses the message. */
static const struct {
	const char *message;
	const char *groups[3][4];	/* visit, patient, loser's visit, loser's patient */
	const char *reason, *location;
} grouped[] = {
	{MSH("ADT^A40") PID("", "P1", "", "", "", "") "MRG|P2\r" PID("", "P3", "", "", "", "") "MRG|P4\r", {{"", "P1", "", "P2"}, {"", "P3", "", "P4"}}, NULL, NULL},
	{MSH("ADT^A42") PID("", "P1", "", "", "", "") "MRG|||||V2\r" PV1("O", "", "", "V1", "", "") PID("", "P3", "", "", "", "") "MRG|||||V4\r" PV1("O", "", "", "V3", "", ""),
	    {{"V1", "P1", "V2", ""}, {"V3", "P3", "V4", ""}}, NULL, NULL},
	{MSH("ADT^A41") PID("", "P1", "", "", "", "A1") "MRG|P1||A2\r" PID("", "P1", "", "", "", "A1") "MRG|P1||A3\r", {{"A1", "P1", "A2", ""}, {"A1", "P1", "A3", ""}}, NULL, NULL},
	{MSH("ADT^A45") PID("", "P1", "", "", "", "") "MRG|P2||||V1\rMRG|P2||||V2\r", {{"V1", "P1", "", ""}, {"V2", "P1", "", ""}}, NULL, NULL},
	{MSH("BAR^P01") PID("", "P1", "", "", "", "") PV1("O", "", "", "V1", "", "") PV1("I", "", "", "V2", "", ""), {{"V1", "P1", "", ""}, {"V2", "P1", "", ""}}, NULL, NULL},
	{MSH("BAR^P06") PID("", "P1", "", "", "", "A1") PID("", "P2", "", "", "", "A2"), {{"A1", "P1", "", ""}, {"A2", "P2", "", ""}}, NULL, NULL},
	{MSH("DFT^P03") PATIENT VISIT "FT1|1|L1||20260115||CG|A|||1|1\r" PATIENT VISIT "FT1|2|L2||20260115||CG|A|||1|1\r", {{NULL}}, "segment_order", "PID^2"},
	{MSH("DFT^P03") PATIENT VISIT PV1("O", "", "", "V2", "", "") "FT1|1|L1||20260115||CG|A|||1|1\r", {{NULL}}, "segment_order", "PV1^2"},
	{MSH("ADT^A01") PATIENT VISIT VISIT, {{NULL}}, "segment_order", "PV1^2"}, {MSH("ADT^A08") PATIENT PATIENT VISIT, {{NULL}}, "segment_order", "PID^2"},
	{MSH("ADT^A34") PATIENT "MRG|P2\rMRG|P3\r", {{NULL}}, "segment_order", "MRG^2"},
	/* what a group lacks is said of that group */
	{MSH("ADT^A40") PID("", "P1", "", "", "", "") "MRG|P2\r" PID("", "P3", "", "", "", "") "MRG||x\r", {{NULL}}, "field_missing", "MRG^2^1"},
	{MSH("ADT^A42") PID("", "P1", "", "", "", "") "MRG|P2\r" VISIT, {{NULL}}, "field_missing", "MRG^1^5"},
	{MSH("ADT^A41") PID("", "P1", "", "", "", "A1") "MRG|P2\r", {{NULL}}, "field_missing", "MRG^1^3"},
	{MSH("ADT^A41") PATIENT "MRG|P2||A2\r", {{NULL}}, "visit_missing", "PID^1^18"}, {MSH("ADT^A42") PATIENT "MRG|||||V2\r", {{NULL}}, "visit_missing", "PV1^1^19"},
	{MSH("ADT^A45") PATIENT "MRG|P2\r", {{NULL}}, "visit_missing", "PV1^1^19"}, {MSH("ADT^A44") "PID|1\rMRG|P2||A1\r", {{NULL}}, "field_missing", "PID^1^3"},
};

START_TEST(each_group_is_an_event)
{
	struct check_message m = check_read(grouped[_i].message);
	size_t n = 0;

	check_refusal(&m.in.refused, grouped[_i].reason, grouped[_i].location, grouped[_i].message);
	for (; grouped[_i].groups[n][0] != NULL; n++) {
		const char *const *said = grouped[_i].groups[n];
		ck_assert_uint_lt(n, m.in.n_events);
		const struct visit_event *e = &m.in.events[n];
		ck_assert_uint_eq(e->visit, n);
		ck_assert_view(m.in.visits[n].visit_no, said[0]);
		ck_assert_view(m.in.visits[n].patient_no.text, said[1]);
		ck_assert_view(e->other_visit_no, said[2]);
		ck_assert_view(e->other_patient_no, said[3]);
	}
	ck_assert(grouped[_i].reason != NULL || n == m.in.n_events);
	for (size_t i = 0; i < m.in.n_lines; i++)
		ck_assert_ptr_nonnull(m.in.lines[i].refused.reason);
	check_drop(&m);
}
END_TEST

/* HL7 2.5 chapter 2, TS: the zone of MSH-7 is that of all times without one. */
START_TEST(the_zone_of_the_header_is_that_of_its_times)
{
	struct check_message m = check_read("MSH|^~\\&|CLINIC|H01|||20260114233000+0000||ADT^A03|M1|P|2.5.1\r" PATIENT VISIT "EVN|A03|20260114233000\r");

	check_refusal(&m.in.refused, NULL, NULL, "zone");
	ck_assert_time(m.in.sent_at, "2026-01-15T07:30:00+08:00");
	ck_assert_time(m.in.events[0].at, "2026-01-15T07:30:00+08:00");
	check_drop(&m);
	m = check_read("MSH|^~\\&|CLINIC|H01|||20260114233000-0500||DFT^P03|M1|P|2.5.1\r" PATIENT VISIT "FT1|1|L1||20260114233000||CG|A01|||1|1.00\r"
	    "FT1|2|L2||20260114233000+0800||CG|A01|||1|1.00\r");
	ck_assert_time(m.in.lines[0].charged_at, "2026-01-15T12:30:00+08:00");
	ck_assert_time(m.in.lines[1].charged_at, "2026-01-14T23:30:00+08:00");
	check_drop(&m);
}
END_TEST

START_TEST(a_line_feed_is_text_where_segments_end_with_cr)
{
	struct check_message m = check_read(MSH("DFT^P03") PATIENT VISIT "FT1|1|L1||20260115||CG|A01|one\ntwo||5|100.00\rFT1|2|L2||20260115||CG|A01|||1|1.00\r");

	check_refusal(&m.in.refused, NULL, NULL, "LF");
	ck_assert_uint_eq(m.in.n_lines, 2);
	ck_assert_view(m.in.lines[0].name, "one\ntwo");
	ck_assert_int_eq(m.in.lines[0].quantity, 50000);
	ck_assert_int_eq(m.in.lines[0].amount, 10000);
	check_drop(&m);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7_events");

	check_add_rows(run, every_event_is_known, kinds);
	check_add_rows(run, what_billing_cannot_take_is_refused, refusals);
	check_add_rows(run, numbers_and_their_fallbacks, numbers);
	check_add_rows(run, names_are_family_and_given, names);
	check_add_rows(run, classes_are_of_table_0004, classes);
	tcase_add_test(run.tcase, a_value_two_quotes_and_nothing_are_three_things);
	tcase_add_test(run.tcase, location_is_whole_and_department_its_code);
	check_add_rows(run, times_and_their_fallbacks, times);
	check_add_rows(run, birth_dates_that_cannot_be_read_are_not_said, births);
	check_add_rows(run, the_loser_of_a_merge_is_in_mrg, merges);
	tcase_add_test(run.tcase, numbers_have_their_limits);
	tcase_add_test(run.tcase, other_delimiters_and_line_ends_change_nothing);
	check_add_rows(run, fields_of_the_visit_have_their_lengths, lengths);
	check_add_rows(run, numbers_are_one_line, odd_numbers);
	check_add_rows(run, each_group_is_an_event, grouped);
	tcase_add_test(run.tcase, the_zone_of_the_header_is_that_of_its_times);
	tcase_add_test(run.tcase, a_line_feed_is_text_where_segments_end_with_cr);
	return check_end(run);
}
