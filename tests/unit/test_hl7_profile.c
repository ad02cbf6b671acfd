/* How a feed speaks: each setting's words, and what they make of a message. */
#include <stdio.h>

#include "check_hl7.h"

/* ------- the settings' texts */

static const struct { enum hl7_profile_key key; const char *text; bool fine; } texts[] = {
	{PROFILE_VISIT_NO, "PV1-19 PID-18", true}, {PROFILE_VISIT_NO, "PV1-50", true}, {PROFILE_VISIT_NO, "  PID-18\tPV1-50  PV1-19 ", true},
	{PROFILE_VISIT_NO, "", false}, {PROFILE_VISIT_NO, "PV1-19 PV1-19", false}, {PROFILE_VISIT_NO, "pv1-19", false}, {PROFILE_VISIT_NO, "PV1-19, PID-18", false},
	{PROFILE_VISIT_NO, "patient", true}, {PROFILE_VISIT_NO, " patient  inpatient ", true}, {PROFILE_VISIT_NO, "PV1-19 PID-18 patient emergency", true},
	{PROFILE_VISIT_NO, "patient PV1-19", false}, {PROFILE_VISIT_NO, "patient I", false}, {PROFILE_VISIT_NO, "inpatient", false},
	{PROFILE_VISIT_NO, "patient inpatient outpatient", false}, {PROFILE_VISIT_NO, "patient patient", false}, {PROFILE_VISIT_NO, "PV1-18 patient", false},
	{PROFILE_VISIT_NO, "PV1-1", false}, {PROFILE_VISIT_NO, "PV1-19 PID-18 PV1-50 PV1-19", false},
	{PROFILE_PATIENT_NO, "first", true}, {PROFILE_PATIENT_NO, "type MR", true}, {PROFILE_PATIENT_NO, "authority 医院", true},
	{PROFILE_PATIENT_NO, "", false}, {PROFILE_PATIENT_NO, "type", false}, {PROFILE_PATIENT_NO, "first MR", false}, {PROFILE_PATIENT_NO, "type MR PI", false},
	{PROFILE_PATIENT_NO, "MR", false},
	{PROFILE_LINE_ID, "FT1-2", true}, {PROFILE_LINE_ID, "FT1-23 FT1-2", true}, {PROFILE_LINE_ID, "FT1-2 FT1-23 MSH-10/FT1-1", true},
	{PROFILE_LINE_ID, "MSH-10/FT1-1", true}, {PROFILE_LINE_ID, "MSH-10/FT1-1 FT1-2", false}, {PROFILE_LINE_ID, "FT1-2 FT1-2", false}, {PROFILE_LINE_ID, "", false},
	{PROFILE_LINE_ID, "FT1-3", false},
	{PROFILE_CODE, "FT1-7", true}, {PROFILE_CODE, "FT1-25 FT1-7", true}, {PROFILE_CODE, "FT1-19", false}, {PROFILE_CODE, "", false},
	{PROFILE_NEGATIVE, "refuse", true}, {PROFILE_NEGATIVE, "credit", true}, {PROFILE_NEGATIVE, "", false}, {PROFILE_NEGATIVE, "yes", false},
	{PROFILE_CURRENCIES, "CNY", true}, {PROFILE_CURRENCIES, "CNY RMB ¥", true}, {PROFILE_CURRENCIES, "", false}, {PROFILE_CURRENCIES, "CNY Renminbi123", false},
	{PROFILE_CURRENCIES, "1234567890", true},
	{PROFILE_TYPES, "", true}, {PROFILE_TYPES, "1=CG 2=CD 3=AJ 4=PY 5=CO", true}, {PROFILE_TYPES, "1=XX", false}, {PROFILE_TYPES, "1=CG 1=CD", false},
	{PROFILE_TYPES, "1=CG 2", false}, {PROFILE_TYPES, "=CG", false}, {PROFILE_TYPES, "1=", false}, {PROFILE_TYPES, "1=CG=CD", false},
	{PROFILE_CLASSES, "1=outpatient 2=emergency 3=inpatient", true}, {PROFILE_CLASSES, "1=I", false},
	{PROFILE_SEXES, "1=M 2=F 9=U", true}, {PROFILE_SEXES, "1=male", false},
	{PROFILE_DEPARTMENTS, "0201=内科 0305=检验科", true}, {PROFILE_DEPARTMENTS, "0201", false}, {PROFILE_DEPARTMENTS, "0201=", false}, {PROFILE_DEPARTMENTS, "a=b=c", true},
	{PROFILE_A40, "patients", true}, {PROFILE_A40, "visits", true}, {PROFILE_A40, "accounts", false},
	{PROFILE_IGNORE, "", true}, {PROFILE_IGNORE, "ORU ADT^A60", true}, {PROFILE_IGNORE, "oru", false}, {PROFILE_IGNORE, "ADT^A6", false},
	{PROFILE_IGNORE, "ADT A60 ORU^R01^ORU_R01", false},
};

START_TEST(a_text_is_judged)
{
	const char *complaint = hl7_profile_complaint(texts[_i].key, texts[_i].text);

	ck_assert_msg((complaint == NULL) == texts[_i].fine, "%s = %s: %s", hl7_profile_key(texts[_i].key), texts[_i].text, complaint);
	ck_assert(complaint == NULL || strncmp(complaint, "has to be ", 10) == 0);
}
END_TEST

START_TEST(the_usual_profile_is_that_of_the_defaults)
{
	struct hl7_profile *p = check_profile_new(NULL, 0);
	const struct hl7_profile *usual = hl7_profile_usual();

	ck_assert_uint_eq(p->n_visit_no, usual->n_visit_no);
	for (size_t i = 0; i < p->n_visit_no; i++)
		ck_assert_int_eq(p->visit_no[i], usual->visit_no[i]);
	ck_assert_str_eq(p->visit_missing, usual->visit_missing);
	ck_assert_int_eq(p->patient_by, usual->patient_by);
	ck_assert(p->n_line_id == 1 && usual->n_line_id == 1 && p->line_id[0] == usual->line_id[0]);
	ck_assert(p->n_code == 1 && usual->n_code == 1 && p->code[0] == usual->code[0]);
	ck_assert_int_eq(p->negative_is_credit, usual->negative_is_credit);
	ck_assert_uint_eq(p->n_currencies, usual->n_currencies);
	for (size_t i = 0; i < p->n_currencies; i++)
		ck_assert(view_equal(p->currencies[i], usual->currencies[i]));
	ck_assert_uint_eq(p->types.n + p->classes.n + p->sexes.n + p->departments.n + p->n_ignore, 0);
	ck_assert(!p->a40_visits && !usual->a40_visits);
	hl7_profile_free(p);
	hl7_profile_free(NULL);
}
END_TEST

START_TEST(a_map_knows_each_of_its_codes)
{
	struct hl7_profile *p = check_profile_new(&(struct check_setting){PROFILE_DEPARTMENTS, "b=2 a=1 abc=4 ab=3 z=5"}, 1);
	static const char *const codes[][2] = {{"a", "1"}, {"b", "2"}, {"ab", "3"}, {"abc", "4"}, {"z", "5"}, {"", ""}, {"c", "c"}, {"A", "A"}, {"abcd", "abcd"}};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		ck_assert_view(hl7_map_code(&p->departments, view_of(codes[i][0])), codes[i][1]);
	hl7_profile_free(p);
}
END_TEST

/* ------- the visit's number */

#define NUMBERS "PID|1||P1|||||||||||||||A7\r" "PV1|1|O|||||||||||||||||V7|||||||||||||||||||||||||||||||X7\r"

static const struct { const char *visit_no, *segments, *number, *place, *detail; } numbers[] = {
	{"PV1-19 PID-18", NUMBERS, "V7", "PV1^1^19", NULL},
	{"PID-18 PV1-19", NUMBERS, "A7", "PID^1^18", NULL},
	{"PV1-50 PV1-19", NUMBERS, "X7", "PV1^1^50", NULL},
	{"PV1-50 PID-18", "PID|1||P1|||||||||||||||A7\rPV1|1|O\r", "A7", "PID^1^18", NULL},
	{"PV1-50 PID-18 PV1-19", "PID|1||P1\rPV1|1|O|||||||||||||||||V7\r", "V7", "PV1^1^19", NULL},
	{"PID-18", "PID|1||P1\rPV1|1|O|||||||||||||||||V7\r", "", "PID^1^18", "no visit number in PID-18"},
	{"PV1-50 PV1-19 PID-18", "PID|1||P1\rPV1|1|O\r", "", "PV1^1^50", "no visit number in PV1-50 nor in PV1-19 nor in PID-18"},
};

START_TEST(a_visit_is_numbered_by_the_first_field_that_is_there)
{
	struct hl7_profile *p = check_profile_new(&(struct check_setting){PROFILE_VISIT_NO, numbers[_i].visit_no}, 1);
	const char *const types[] = {MSH("ADT^A04"), MSH("DFT^P03")};
	char message[1000];

	check_profile = p;
	for (size_t i = 0; i < 2; i++) {
		snprintf(message, sizeof(message), "%s%s%s", types[i], numbers[_i].segments, i == 1 ? "FT1|1|1||20260115||CG|A|||1|1\r" : "");
		struct check_message m = check_read(message);
		check_refusal(&m.in.refused, numbers[_i].detail != NULL ? "visit_missing" : NULL, numbers[_i].place, message);
		ck_assert_view(m.in.visits[0].visit_no, numbers[_i].number);
		ck_assert_str_eq(m.in.visits[0].location, numbers[_i].place);
		if (numbers[_i].detail != NULL)
			ck_assert_str_eq(m.in.refused.detail, numbers[_i].detail);
		check_drop(&m);
	}
	hl7_profile_free(p);
}
END_TEST

#define OF_PATIENT "PID|1||P1\rPV1|1|I\r"

static const struct { const char *visit_no, *segments, *number, *kind, *place, *detail; } by_patient[] = {
	{"patient", OF_PATIENT, "P1", "patient", "PID^1^3", NULL},
	{"patient inpatient", OF_PATIENT, "P1", "patient/inpatient", "PID^1^3", NULL},
	{"PV1-19 patient", NUMBERS, "V7", NULL, "PV1^1^19", NULL},
	{"PV1-50 PID-18 patient outpatient", OF_PATIENT, "P1", "patient/outpatient", "PID^1^3", NULL},
	{"PID-18 patient", NUMBERS, "A7", "account", "PID^1^18", NULL},
	{"patient", NUMBERS, "P1", "patient", "PID^1^3", NULL},
	{"patient", "PID|1||\rPV1|1|I\r", "", NULL, "PID^1^3", "neither a visit number nor a patient's in PID-3"},
	{"PV1-19 patient", "PV1|1|I\r", "", NULL, "PID^1^3", "neither a visit number nor a patient's in PID-3"},
};

START_TEST(lines_without_a_number_are_the_patients_visit)
{
	struct hl7_profile *p = check_profile_new(&(struct check_setting){PROFILE_VISIT_NO, by_patient[_i].visit_no}, 1);
	char message[1000];

	check_profile = p;
	snprintf(message, sizeof(message), "%s%s%s", MSH("DFT^P03"), by_patient[_i].segments, "FT1|1|1||20260115||CG|A|||1|1\rFT1|2|2||20260115||PY|A|||1|1\r");
	struct check_message m = check_read(message);
	const struct visit_ref *v = &m.in.visits[0];
	check_refusal(&m.in.refused, by_patient[_i].detail != NULL ? "visit_missing" : NULL, by_patient[_i].place, message);
	ck_assert_view(v->visit_no, by_patient[_i].number);
	ck_assert_pstr_eq(v->number_kind, by_patient[_i].kind);
	ck_assert_str_eq(v->location, by_patient[_i].place);
	if (by_patient[_i].detail != NULL)
		ck_assert_str_eq(m.in.refused.detail, by_patient[_i].detail);
	else	/* no money goes by the patient */
		check_refusal(&m.in.lines[1].refused, visit_is_by_patient(v) ? "visit_missing" : NULL, "FT1^2^6", message);
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

/* Events say their visit's number: a discharge that comes again must not be the next visit's. */
START_TEST(events_do_not_go_by_the_patient)
{
	static const char *const events[] = {"ADT^A01", "ADT^A03", "ADT^A11", "ADT^A13", "ADT^A02", "BAR^P06"};
	struct hl7_profile *p = check_profile_new(&(struct check_setting){PROFILE_VISIT_NO, _i == 0 ? "patient" : "PV1-19 patient inpatient"}, 1);
	char message[1000];

	check_profile = p;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		snprintf(message, sizeof(message), "MSH|^~\\&|CLINIC|H01|VISITBILL|H01|20260115140000||%s|M1|P|2.5\r%s", events[i], OF_PATIENT);
		struct check_message m = check_read(message);
		check_refusal(&m.in.refused, "visit_missing", "PV1^1^19", message);
		check_drop(&m);
	}
	hl7_profile_free(p);
}
END_TEST

/* Merges and moves name a visit by a number of one kind: one by which the feed knows no visit is not taken for another. */
static const struct { const char *visit_no, *event, *reason, *number, *other; } merges[] = {
	{"PV1-19 PID-18", "A42", NULL, "V7", "V8"}, {"PV1-50", "A42", NULL, "X7", "X8"}, {"PID-18", "A42", "visit_missing", "", ""},
	{"PV1-19", "A41", "visit_missing", "", ""}, {"PID-18 PV1-19", "A41", NULL, "A7", "A8"},
	{"PV1-19", "A36", NULL, "", ""}, {"PID-18", "A36", NULL, "A7", "A8"},
	{"PV1-19", "A44", "visit_missing", "", ""}, {"PID-18", "A44", NULL, "A7", ""}, {"PV1-50", "A45", NULL, "X7", ""},
	{"PV1-50", "A40", NULL, "X7", "X8"}, {"PID-18", "A40", NULL, "A7", "A8"},
};

START_TEST(a_merge_is_of_the_numbers_that_the_feed_has)
{
	const struct check_setting settings[] = {{PROFILE_VISIT_NO, merges[_i].visit_no}, {PROFILE_A40, "visits"}};
	struct hl7_profile *p = check_profile_new(settings, 2);
	char message[1000];

	check_profile = p;
	snprintf(message, sizeof(message), "%.*s%s%s", (int)strlen("MSH|^~\\&|CLINIC|H01|VISITBILL|H01|20260115140000||ADT^"), MSH("ADT^A01"), merges[_i].event,
	    "|M1|P|2.5.1\r" "PID|1||P1|||||||||||||||A7\r" "MRG|P2||A8||V8|X8\r" "PV1|1|O|||||||||||||||||V7|||||||||||||||||||||||||||||||X7\r");
	struct check_message m = check_read(message);
	check_refusal(&m.in.refused, merges[_i].reason, NULL, message);
	ck_assert_view(m.in.visits[0].visit_no, merges[_i].number);
	ck_assert_view(m.in.events[0].other_visit_no, merges[_i].other);
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

/* ------- the patient's number */

static const struct { const char *patient_no, *pid, *number; } patients[] = {
	{"first", "PID|1|E9|P1^^^HOSP^PI~M1^^^HOSP^MR", "P1"}, {"first", "PID|1|E9||", "E9"},
	{"type MR", "PID|1|E9|P1^^^HOSP^PI~M1^^^CITY^MR~M2^^^X^MR", "M1"}, {"type MR", "PID|1|E9|P1^^^MR^PI", ""}, {"type MR", "PID|1|E9|", ""},
	{"type MR", "PID|1||~^^^^MR~M3^^^^MR", ""},
	{"authority CITY", "PID|1||P1^^^HOSP^PI~M1^^^CITY&1.2.3&ISO^MR", "M1"}, {"authority CITY", "PID|1||P1^^^HOSP^CITY", ""},
	{"authority A^B", "PID|1||P1^^^A\\S\\B^CITY", "P1"},
};

START_TEST(a_patient_is_numbered_by_type_or_authority)
{
	struct hl7_profile *p = check_profile_new(&(struct check_setting){PROFILE_PATIENT_NO, patients[_i].patient_no}, 1);
	char message[1000];

	check_profile = p;
	snprintf(message, sizeof(message), "%s%s\r%s", MSH("ADT^A04"), patients[_i].pid, VISIT);
	struct check_message m = check_read(message);
	check_refusal(&m.in.refused, NULL, NULL, message);
	ck_assert_view(m.in.visits[0].patient_no.text, patients[_i].number);
	check_drop(&m);
	snprintf(message, sizeof(message), "%sPID|1||Q1^^^CITY^MR~Q2^^^HOSP^PI~Q3^^^A\\S\\B\rMRG|%s\r", MSH("ADT^A40"), patients[_i].pid + 7);
	m = check_read(message);
	if (strchr(patients[_i].pid + 6, 'E') == NULL)
		ck_assert_view(m.in.events[0].other_patient_no, patients[_i].number);
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

START_TEST(codes_of_a_feed_are_mapped)
{
	const struct check_setting settings[] = {{PROFILE_CLASSES, "1=outpatient 住院=inpatient O=emergency"}, {PROFILE_SEXES, "1=M 2=F"},
	    {PROFILE_DEPARTMENTS, "0201=内科"}};
	static const struct { const char *class, *sex, *department, *said_class, *said_sex, *said_department; } rows[] = {
		{"1", "2", "0201", "outpatient", "F", "内科"}, {"住院", "1", "0202", "inpatient", "M", "0202"}, {"O", "M", "", "emergency", "M", ""},
		{"I", "9", "0201^x", "inpatient", "9", "内科"}, {"4", "", "x", NULL, "", "x"},
	};
	struct hl7_profile *p = check_profile_new(settings, 3);
	char message[1000];

	check_profile = p;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(message, sizeof(message), "%sPID|1||P1|||||%s\rPV1|1|%s||||||||%s|||||||||V1\r", MSH("ADT^A04"), rows[i].sex, rows[i].class, rows[i].department);
		struct check_message m = check_read(message);
		check_refusal(&m.in.refused, NULL, NULL, message);
		ck_assert_pstr_eq(m.in.visits[0].visit_class, rows[i].said_class);
		ck_assert_view(m.in.events[0].sex.text, rows[i].said_sex);
		ck_assert_view(m.in.events[0].department.text, rows[i].said_department);
		check_drop(&m);
	}
	hl7_profile_free(p);
}
END_TEST

/* ------- charge lines */

/* FT1 from its second field on. */
static struct check_message
read_lines(const struct check_setting *settings, size_t n, struct hl7_profile **ret, const char *lines)
{
	char message[4000];

	check_profile = *ret = check_profile_new(settings, n);
	snprintf(message, sizeof(message), "%s%s%s%s", MSH("DFT^P03"), PATIENT, VISIT, lines);
	return check_read(message);
}

static const struct { const char *line_id, *first, *second; } ids[] = {
	{"FT1-2", "1", "M1/2"}, {"MSH-10/FT1-1", "M1/1", "M1/2"}, {"FT1-23", "O-7", "O-8"}, {"FT1-2 FT1-23", "1", "O-8"}, {"FT1-23 FT1-2", "O-7", "O-8"},
	{"FT1-2 MSH-10/FT1-1", "1", "M1/2"},
};

START_TEST(a_line_is_identified_by_the_first_id_that_is_there)
{
	struct hl7_profile *p;
	struct check_message m = read_lines(&(struct check_setting){PROFILE_LINE_ID, ids[_i].line_id}, 1, &p,
	    "FT1|1|1||20260115||CG|A01|||1|1.00||||||||||||O-7\rFT1|2|||20260115||CG|A01|||1|1.00||||||||||||O-8\r");

	ck_assert_view(m.in.lines[0].source_line, ids[_i].first);
	ck_assert_view(m.in.lines[1].source_line, ids[_i].second);
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

static const struct { const char *line_id, *place; } bad_ids[] = {
	{"FT1-2", "FT1^1^2"}, {"FT1-23", "FT1^1^23"}, {"FT1-2 FT1-23", "FT1^1^23"}, {"FT1-23 FT1-2", "FT1^1^23"},
};

/* It is named by the place that it came from. */
START_TEST(an_id_that_cannot_be_one_is_named_where_it_stands)
{
	struct hl7_profile *p;
	struct check_message m = read_lines(&(struct check_setting){PROFILE_LINE_ID, bad_ids[_i].line_id}, 1, &p,
	    _i == 0 ? "FT1|1|a\\X01\\b||20260115||CG|A01|||1|1.00\r" : "FT1|1|||20260115||CG|A01|||1|1.00||||||||||||a\\X01\\b\r");

	ck_assert_str_eq(m.in.lines[0].refused.reason, "field_invalid");
	ck_assert_str_eq(m.in.lines[0].refused.location, bad_ids[_i].place);
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

/* A credit without an id and without ZRV takes back nothing: the first place that an id might have been in is named. */
START_TEST(a_credit_of_nothing_is_told_where_its_id_would_be)
{
	struct hl7_profile *p;
	struct check_message m = read_lines(&(struct check_setting){PROFILE_LINE_ID, bad_ids[_i].line_id}, 1, &p, "FT1|1|||20260115||CD|A01|||1|1.00\r");
	static const char *const places[] = {"FT1^1^2", "FT1^1^23", "FT1^1^2", "FT1^1^23"};

	ck_assert_str_eq(m.in.lines[0].refused.reason, "field_missing");
	ck_assert_str_eq(m.in.lines[0].refused.location, places[_i]);
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

static const struct { const char *setting, *line, *code, *name, *national, *reason, *place; } items[] = {
	{"FT1-7", "A^甲^L^N1|D8||1|1.00||||||||||||||B^乙^L^N2", "A", "甲", "N1", NULL, NULL},
	{"FT1-7", "|D8||1|1.00||||||||||||||B^乙", "", "D8", "", NULL, NULL},
	{"FT1-25", "A^甲^L^N1|D8||1|1.00||||||||||||||B^乙^L^N2", "B", "乙", "N2", NULL, NULL},
	{"FT1-25", "A^甲^L^N1|D8||1|1.00||||||||||||||B", "B", "甲", "", NULL, NULL},
	{"FT1-7 FT1-25", "^房费|D8||1|1.00||||||||||||||B", "B", "房费", "", NULL, NULL},
	{"FT1-7 FT1-25", "|D8||1|1.00||||||||||||||B", "B", "D8", "", NULL, NULL},
	{"FT1-25 FT1-7", "A^甲|D8||1|1.00||||||||||||||", "A", "甲", "", NULL, NULL},
	{"FT1-25", "|||1|1.00||||||||||||||", "", "", "", "field_missing", "FT1^1^25"},
	{"FT1-7 FT1-25", "|||1|1.00||||||||||||||", "", "", "", "field_missing", "FT1^1^7"},
	{"FT1-7 FT1-25", "|||1|1.00||||||||||||||a\\X01\\b", "", "", "", "field_invalid", "FT1^1^25"},
};

START_TEST(an_item_has_its_code_where_the_feed_says)
{
	struct hl7_profile *p;
	char line[500];

	snprintf(line, sizeof(line), "FT1|1|1||20260115||CG|%s\r", items[_i].line);
	struct check_message m = read_lines(&(struct check_setting){PROFILE_CODE, items[_i].setting}, 1, &p, line);
	check_refusal(&m.in.lines[0].refused, items[_i].reason, items[_i].place, line);
	ck_assert_view(m.in.lines[0].code, items[_i].code);
	ck_assert_view(m.in.lines[0].name, items[_i].name);
	ck_assert_view(m.in.lines[0].national_code, items[_i].national);
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

START_TEST(types_currencies_and_departments_are_mapped)
{
	const struct check_setting settings[] = {{PROFILE_TYPES, "1=CG 2=CD 退=CD CO=AJ"}, {PROFILE_CURRENCIES, "156 CNY"}, {PROFILE_DEPARTMENTS, "0201=内科"}};
	static const struct { const char *type, *amount, *department; enum line_kind kind; const char *reason, *said; } rows[] = {
		{"1", "5&156", "0201^Med", LINE_CHARGE, NULL, "内科"}, {"退", "5&CNY", "0202^骨科", LINE_CREDIT, NULL, "骨科"}, {"2", "5", "", LINE_CREDIT, NULL, ""},
		{"CG", "5^156", "0201", LINE_CHARGE, NULL, "内科"}, {"CO", "5", "0203", LINE_ADJUSTMENT, NULL, "0203"}, {"3", "5", "", LINE_CHARGE, "type_unknown", ""},
		{"CG", "5&RMB", "", LINE_CHARGE, "currency", ""}, {"CG", "5&1", "", LINE_CHARGE, "currency", ""},
	};
	struct hl7_profile *p;
	char lines[2000] = "";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "FT1|%zu|L%zu||20260115||%s|A|||1|%s||%s\r", i + 1, i, rows[i].type, rows[i].amount,
		    rows[i].department);
	struct check_message m = read_lines(settings, 3, &p, lines);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_refusal(&m.in.lines[i].refused, rows[i].reason, NULL, lines);
		ck_assert_int_eq(m.in.lines[i].kind, rows[i].kind);
		ck_assert_view(m.in.lines[i].department, rows[i].said);
	}
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

/* FT1-10, 11, 12 of a CG, and what a feed means by them that writes credits as negative charges. */
static const struct { const char *numbers; enum line_kind kind; int64_t quantity, amount; const char *reason; } negatives[] = {
	{"1|-5.00", LINE_CREDIT, 10000, 500, NULL}, {"-1|-5.00", LINE_CREDIT, 10000, 500, NULL}, {"-1|5.00", LINE_CREDIT, 10000, 500, NULL},
	{"-2|-5.00|2.50", LINE_CREDIT, 20000, 500, NULL}, {"-2||2.50", LINE_CREDIT, 20000, 500, NULL}, {"2||-2.50", LINE_CREDIT, 20000, 500, NULL},
	{"-2|-5.00|-2.50", LINE_CREDIT, 20000, 500, NULL}, {"-2", LINE_CREDIT, 20000, 0, NULL}, {"|-5.00", LINE_CREDIT, 0, 500, NULL},
	{"-2||-2.50", LINE_CHARGE, -20000, 0, "amount_negative"}, {"-2|5.00|-2.50", LINE_CHARGE, -20000, 500, "amount_negative"},
	{"-2|-6.00|2.50", LINE_CREDIT, 20000, 600, "amount_mismatch"},
	{"2|5.00|2.50", LINE_CHARGE, 20000, 500, NULL}, {"2|0.00", LINE_CHARGE, 20000, 0, NULL},
};

START_TEST(a_negative_charge_is_a_credit_where_the_feed_says_so)
{
	static const char *const zrv[] = {"", "ZRV|L0\r"};
	struct hl7_profile *p;
	char line[500];

	for (size_t i = 0; i < 2; i++) {
		snprintf(line, sizeof(line), "FT1|1|L1||20260115||CG|A|||%s\r%s", negatives[_i].numbers, zrv[i]);
		struct check_message m = read_lines(&(struct check_setting){PROFILE_NEGATIVE, "credit"}, 1, &p, line);
		const struct charge_line *l = &m.in.lines[0];
		bool credit = negatives[_i].kind == LINE_CREDIT;
		check_refusal(&l->refused, i == 1 && !credit ? "field_invalid" : negatives[_i].reason, NULL, line);
		ck_assert_int_eq(l->kind, negatives[_i].kind);
		ck_assert_int_eq(l->has_quantity ? l->quantity : 0, negatives[_i].quantity);
		ck_assert_int_eq(l->has_amount ? l->amount : 0, negatives[_i].amount);
		/* it takes back what its ZRV names, else the line of its own id, of which it is another one then */
		ck_assert_view(l->reverses, i == 1 ? "L0" : credit ? "L1" : "");
		ck_assert_view(l->source_line, i == 0 && credit ? "L1/CD/M1/1" : "L1");
		check_drop(&m);
		hl7_profile_free(p);
	}
}
END_TEST

START_TEST(a_negative_charge_is_refused_else)
{
	static const char *const lines[] = {"1|-5.00", "-1|-5.00", "-2||2.50", "-2"};
	char line[500];

	check_profile = NULL;
	snprintf(line, sizeof(line), MSH("DFT^P03") PATIENT VISIT "FT1|1|L1||20260115||CG|A|||%s\r", lines[_i]);
	struct check_message m = check_read(line);
	check_refusal(&m.in.lines[0].refused, "amount_negative", NULL, line);
	ck_assert_view(m.in.lines[0].source_line, "L1");
	check_drop(&m);
}
END_TEST

/* An adjustment says itself what it is, and money given back elsewhere is none received. */
START_TEST(only_charges_become_credits)
{
	struct hl7_profile *p;
	struct check_message m = read_lines(&(struct check_setting){PROFILE_NEGATIVE, "credit"}, 1, &p,
	    "FT1|1|L1||20260115||AJ|A|||1|-5.00\rFT1|2|L2||20260115||PY|A|||1|-5.00\r");

	check_refusal(&m.in.lines[0].refused, NULL, NULL, "AJ");
	ck_assert(m.in.lines[0].kind == LINE_ADJUSTMENT && m.in.lines[0].amount == -500);
	check_refusal(&m.in.lines[1].refused, "amount_negative", NULL, "PY");
	check_drop(&m);
	hl7_profile_free(p);
}
END_TEST

static const struct { const char *type, *event; bool ignored; } ignored[] = {
	{"ORU", "R01", true}, {"ORU", "", true}, {"ADT", "A60", true}, {"ADT", "A61", false}, {"ADT", "", false}, {"ORM", "O01", false}, {"OR", "", false},
	{"ADT", "A600", false}, {"", "", false},
};

START_TEST(what_is_not_for_billing)
{
	struct hl7_profile *p = check_profile_new(&(struct check_setting){PROFILE_IGNORE, "ORU ADT^A60"}, 1);
	const struct hl7_header h = {.type = view_of(ignored[_i].type), .event = view_of(ignored[_i].event)};

	ck_assert_int_eq(hl7_profile_ignores(p, &h), ignored[_i].ignored);
	ck_assert(!hl7_profile_ignores(hl7_profile_usual(), &h));
	hl7_profile_free(p);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7_profile");

	check_add_rows(run, a_text_is_judged, texts);
	tcase_add_test(run.tcase, the_usual_profile_is_that_of_the_defaults);
	tcase_add_test(run.tcase, a_map_knows_each_of_its_codes);
	check_add_rows(run, a_visit_is_numbered_by_the_first_field_that_is_there, numbers);
	check_add_rows(run, a_merge_is_of_the_numbers_that_the_feed_has, merges);
	check_add_rows(run, a_patient_is_numbered_by_type_or_authority, patients);
	tcase_add_test(run.tcase, codes_of_a_feed_are_mapped);
	check_add_rows(run, a_line_is_identified_by_the_first_id_that_is_there, ids);
	check_add_rows(run, an_id_that_cannot_be_one_is_named_where_it_stands, bad_ids);
	check_add_rows(run, a_credit_of_nothing_is_told_where_its_id_would_be, bad_ids);
	check_add_rows(run, an_item_has_its_code_where_the_feed_says, items);
	tcase_add_test(run.tcase, types_currencies_and_departments_are_mapped);
	check_add_rows(run, a_negative_charge_is_a_credit_where_the_feed_says_so, negatives);
	check_add_rows(run, lines_without_a_number_are_the_patients_visit, by_patient);
	tcase_add_loop_test(run.tcase, events_do_not_go_by_the_patient, 0, 2);
	tcase_add_loop_test(run.tcase, a_negative_charge_is_refused_else, 0, 4);
	tcase_add_test(run.tcase, only_charges_become_credits);
	check_add_rows(run, what_is_not_for_billing, ignored);
	return check_end(run);
}
