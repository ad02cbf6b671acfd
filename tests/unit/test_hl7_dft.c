/* Messages of charges: many lines, good ones beside bad ones, where each error stands, and when two lines are the same. */
#include "check_hl7.h"

#include <stdio.h>
#include <time.h>

#include "proto/json/requests.h"
#include "proto/utf8.h"

#define DFT MSH("DFT^P03^DFT_P03") PATIENT VISIT
#define LINE(set_id, id, amount) "FT1|" set_id "|" id "||20260115100000||CG|X01^CBC|||1|" amount "\r"

START_TEST(lines_keep_their_order_and_place)
{
	struct check_message m = check_read(DFT LINE("1", "A", "1.00") LINE("2", "B", "2.00") "NTE|1||note\rZXX|1\r" LINE("3", "C", "3.00") "DG1|1\rIN1|1\r");

	check_refusal(&m.in.refused, NULL, NULL, "the message");
	ck_assert_uint_eq(m.in.n_lines, 3);
	for (size_t i = 0; i < 3; i++) {
		const char id[] = {(char)('A' + i), '\0'};
		check_refusal(&m.in.lines[i].refused, NULL, NULL, id);
		ck_assert_int_eq(m.in.lines[i].ordinal, (int)i + 1);
		ck_assert_uint_eq(m.in.lines[i].visit, 0);
		ck_assert_view(m.in.lines[i].source_line, id);
		ck_assert_int_eq(m.in.lines[i].amount, 100 * ((int)i + 1));
	}
	ck_assert_uint_eq(m.in.n_events, 0);
	ck_assert_uint_eq(m.in.n_visits, 1);
	check_drop(&m);
}
END_TEST

START_TEST(p11_has_its_insurance_in_each_group)
{
	struct check_message m = check_read(MSH("DFT^P11^DFT_P11") PATIENT VISIT LINE("1", "A", "1.00") "DG1|1\rDRG|1\rGT1|1\rIN1|1\rIN2|1\rZRV|X\r"
	    LINE("2", "B", "2.00") "DG1|1\r");

	ck_assert_uint_eq(m.in.n_lines, 2);
	ck_assert_view(m.in.lines[1].reverses, "");
	check_drop(&m);
}
END_TEST

START_TEST(a_bad_line_does_not_touch_its_neighbours)
{
	struct check_message m = check_read(DFT LINE("1", "A", "1.00") LINE("2", "B", "1,00") LINE("3", "C", "-1.00") LINE("4", "D", "4.00"));
	static const char *const reasons[] = {NULL, "field_invalid", "amount_negative", NULL}, *const places[] = {NULL, "FT1^2^11", "FT1^3^11", NULL};

	check_refusal(&m.in.refused, NULL, NULL, "the message");
	ck_assert_uint_eq(m.in.n_lines, 4);
	for (size_t i = 0; i < 4; i++)
		check_refusal(&m.in.lines[i].refused, reasons[i], places[i], "a line");
	check_drop(&m);
}
END_TEST

START_TEST(a_zrv_is_of_the_line_before_it)
{
	struct check_message m = check_read(DFT "ZRV|early\rFT1|1|R1||20260115||CD|X|||1|1\rFT1|2|R2||20260115||CD|X|||1|1\rZRV|B\rZRV|C\r"
	    "FT1|3|R3||20260115||CD|X|||1|1\rNTE|1\rZRV|D\r");

	ck_assert_uint_eq(m.in.n_lines, 3);
	ck_assert_view(m.in.lines[0].reverses, "R1");
	ck_assert_view(m.in.lines[1].reverses, "B");
	ck_assert_view(m.in.lines[2].reverses, "D");
	check_drop(&m);
}
END_TEST

START_TEST(lines_without_an_id_are_told_apart)
{
	/* two thermometers: the same set id twice is a sender's slip, and no reason to lose the second */
	struct check_message m = check_read(DFT LINE("1", "", "1.00") LINE("1", "", "1.00") LINE("", "", "1.00") LINE("9", "", "1.00"));

	ck_assert_uint_eq(m.in.n_lines, 4);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(!view_equal(m.in.lines[i].source_line, m.in.lines[k].source_line), "lines %zu and %zu are both \"%.*s\"", k + 1, i + 1,
			    (int)m.in.lines[i].source_line.n, m.in.lines[i].source_line.p);
	ck_assert_view(m.in.lines[0].source_line, "M1/1");
	ck_assert_view(m.in.lines[3].source_line, "M1/9");
	check_drop(&m);
}
END_TEST

START_TEST(a_refusal_of_the_message_stands_in_each_line)
{
	struct check_message m = check_read(MSH("DFT^P03") PATIENT LINE("1", "A", "1.00") LINE("2", "B", "x"));

	check_refusal(&m.in.refused, "visit_missing", "PV1^1^19", "the message");
	ck_assert_uint_eq(m.in.n_lines, 2);
	check_refusal(&m.in.lines[0].refused, "visit_missing", NULL, "line 1");
	check_refusal(&m.in.lines[1].refused, "visit_missing", NULL, "line 2");
	check_drop(&m);
}
END_TEST

START_TEST(a_second_message_is_not_of_the_first_visit)
{
	/* the feed layer takes frames apart; should one get here whole, nobody pays for the next patient */
	struct check_message m = check_read(DFT LINE("1", "A", "1.00") MSH("DFT^P03") PATIENT PV1("O", "", "", "V2", "", "") LINE("1", "B", "2.00"));

	if (m.in.refused.reason == NULL) {
		ck_assert_uint_eq(m.in.n_lines, 1);
		ck_assert_view(m.in.lines[0].source_line, "A");
	}
	check_drop(&m);
}
END_TEST

START_TEST(more_lines_than_allowed_are_refused_as_a_whole)
{
	char message[20000] = DFT;

	for (int i = 0; i < CHECK_MAX_LINES; i++)
		strcat(message, LINE("", "", "1.00"));
	struct check_message m = check_read(message);
	check_refusal(&m.in.refused, NULL, NULL, "as many as allowed");
	ck_assert_uint_eq(m.in.n_lines, CHECK_MAX_LINES);
	ck_assert_int_eq(m.in.lines[CHECK_MAX_LINES - 1].ordinal, CHECK_MAX_LINES);
	check_drop(&m);
	strcat(message, "FT1\r");
	m = check_read(message);
	check_refusal(&m.in.refused, "too_large", "FT1^1", "one more");
	ck_assert_uint_eq(m.in.n_lines, 0);
	check_drop(&m);
}
END_TEST

START_TEST(ids_have_their_limits)
{
	char id[3000], message[4000];

	for (size_t n = 198; n <= 202; n++) {
		memset(id, 'i', n);
		id[n] = '\0';
		snprintf(message, sizeof(message), "%sFT1|1|%s||20260115||CG|X|||1|1\r", DFT, id);
		struct check_message m = check_read(message);
		check_refusal(&m.in.lines[0].refused, n <= 200 ? NULL : "field_invalid", n <= 200 ? NULL : "FT1^1^2", "FT1-2");
		check_drop(&m);
	}
	/* no line can be called that: it would be held for ever, under a key too long for the index on what is waited for */
	memset(id, 'i', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	snprintf(message, sizeof(message), "%sFT1|1|R||20260115||CD|X|||1|1\rZRV|%s\r", DFT, id);
	struct check_message m = check_read(message);
	check_refusal(&m.in.lines[0].refused, "field_invalid", NULL, "ZRV-1");
	check_drop(&m);
}
END_TEST

START_TEST(a_detail_does_not_cut_a_character)
{
	static const char *const before[] = {"", "1|", "1|1&", "1||"};	/* FT1-10, 11, its currency, 12 */
	char message[1000];

	for (size_t f = 0; f < 4; f++)
		for (int letters = 0; letters < 48; letters++) {
			snprintf(message, sizeof(message), "%sFT1|1|L||20260115||CG|X|||%s%.*s\xE7\x8E\x8B\xF0\xA0\xAE\xB7\xE7\x8E\x8B\xE7\x8E\x8B\r", DFT, before[f], letters,
			    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
			struct check_message m = check_read(message);
			ck_assert_ptr_nonnull(m.in.lines[0].refused.reason);
			ck_assert_msg(utf8_is_valid(view_of(m.in.lines[0].refused.detail)), "%s", m.in.lines[0].refused.detail);
			check_drop(&m);
		}
}
END_TEST

/* The digest of the one line of a message. */
static void
digest_of(const char *segments, unsigned char ret[16])
{
	char message[8000];

	snprintf(message, sizeof(message), "%s%s", DFT, segments);
	struct check_message m = check_read(message);
	ck_assert_uint_eq(m.in.n_lines, 1);
	check_refusal(&m.in.lines[0].refused, NULL, NULL, segments);
	memcpy(ret, m.in.lines[0].digest, 16);
	check_drop(&m);
}

#define FULL "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r"

static const struct {
	const char *what, *segments;
	bool same;
} resends[] = {
	{"the same bytes", FULL, true},
	{"another way to write it", "ft1|5|L-1|B|20260115100000.000+0800||CG|X01^CBC^L^C001^^x||ignored|2.0000|20&CNY|10.000000^RMB|LAB^||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||4\r", true},
	{"the same instant elsewhere", "FT1|1|L-1||20260115110000+0900||CG|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", true},
	{"another date", "FT1|1|L-1||20260115100001||CG|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another type", "FT1|1|L-1||20260115100000||AJ|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another code", "FT1|1|L-1||20260115100000||CG|X02^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another name", "FT1|1|L-1||20260115100000||CG|X01^CBD^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another national code", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C002|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another quantity", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2.001|20.01|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"no quantity", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001||||20.00|20.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another amount", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.01|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another price", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00|10.000001|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"no price", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00||LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another department", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00|10.00|LAC||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another performer", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Lu|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"another orderer", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wo||RX1||||||||||||||||||04\r", false},
	{"swapped people", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Wu|D8^Li||RX1||||||||||||||||||04\r", false},
	{"another order", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX2||||||||||||||||||04\r", false},
	{"another category", "FT1|1|L-1||20260115100000||CG|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||05\r", false},
	{"a letter moved to the neighbour", "FT1|1|L-1||20260115100000||CG|X01C^BC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\r", false},
	{"an adjustment that is a credit", "FT1|1|L-1||20260115100000||AJ|X01^CBC^L^C001|||2|20.00|10.00|LAB||||||O1|D7^Li|D8^Wu||RX1||||||||||||||||||04\rZRV|L-0\r", false},
};

START_TEST(a_digest_is_equal_for_a_resend_only)
{
	unsigned char original[16], other[16];

	digest_of(FULL, original);
	digest_of(resends[_i].segments, other);
	ck_assert_msg((memcmp(original, other, 16) == 0) == resends[_i].same, "%s", resends[_i].what);
}
END_TEST

START_TEST(a_reversal_of_another_line_is_another_reversal)
{
	unsigned char a[16], b[16], again[16];

	digest_of("FT1|1|R||20260115||CD|X|||1|1\rZRV|A\r", a);
	digest_of("FT1|1|R||20260115||CD|X|||1|1\rZRV|B\r", b);
	digest_of("FT1|1|R||20260115||CD|X|||-1|-1.00\rZRV|A\r", again);
	ck_assert_mem_ne(a, b, 16);
	ck_assert_mem_eq(a, again, 16);
}
END_TEST

START_TEST(the_same_line_by_json_has_the_same_digest)
{
	const struct api_context c = {CHECK_NOW, CHECK_CHINA, 1, VIEW_NONE};
	struct intake in = {.n_lines = 0};
	unsigned char original[16];

	digest_of(FULL, original);
	arena_init(&in.arena, 0);
	api_charges_parse(view_of("{\"lines\":[{\"visit_no\":\"V1\",\"source_line\":\"L-1\",\"code\":\"X01\",\"name\":\"CBC\",\"national_code\":\"C001\",\"quantity\":2,"
	    "\"amount\":\"20.00\",\"unit_price\":10,\"charged_at\":\"2026-01-15T10:00:00+08:00\",\"department\":\"LAB\",\"performer\":\"Li\",\"orderer\":\"Wu\","
	    "\"order_no\":\"RX1\",\"category\":\"04\"}]}"), &c, &in);
	ck_assert_uint_eq(in.n_lines, 1);
	check_refusal(&in.lines[0].refused, NULL, NULL, "JSON");
	ck_assert_mem_eq(in.lines[0].digest, original, 16);
	arena_free(&in.arena);
}
END_TEST

/* A text of a line: before and behind it in FT1, its limit and its place. */
static const struct {
	const char *what, *before, *after;
	size_t most;
	int field;
} texts[] = {
	{"FT1-2", "", "||20260115||CG|X|||1|1\r", 200, 2}, {"code", "L||20260115||CG|", "^n|||1|1\r", 150, 7}, {"name", "L||20260115||CG|X^", "|||1|1\r", 500, 7},
	{"FT1-8", "L||20260115||CG|X|", "||1|1\r", 500, 7}, {"national code", "L||20260115||CG|X^n^L^", "|||1|1\r", 50, 7},
	{"FT1-13", "L||20260115||CG|X|||1|1|1|", "\r", 500, 13}, {"FT1-13.2", "L||20260115||CG|X|||1|1|1|LAB^", "\r", 500, 13},
	{"FT1-20", "L||20260115||CG|X|||1|1|1||||||||D7^", "\r", 500, 20}, {"FT1-20, given", "L||20260115||CG|X|||1|1|1||||||||D7^A^", "\r", 498, 20},
	{"FT1-21", "L||20260115||CG|X|||1|1|1|||||||||", "\r", 500, 21}, {"FT1-23", "L||20260115||CG|X|||1|1|1|||||||||||", "\r", 200, 23},
	{"ZRV-1", "L||20260115||CD|X|||1|1\rZRV|", "\r", 200, 2},
};

START_TEST(a_long_text_refuses_its_line_alone)
{
	const char first[] = DFT LINE("1", "A", "1.00") "FT1|2|", last[] = LINE("3", "C", "1.00");
	char *message = malloc(3000000), location[20];

	ck_assert_ptr_nonnull(message);
	snprintf(location, sizeof(location), "FT1^2^%d", texts[_i].field);
	for (size_t i = 0; i < 4; i++) {
		const size_t sizes[] = {texts[_i].most, texts[_i].most + 1, 3000, 2000000}, n = sizes[i];
		size_t at = (size_t)sprintf(message, "%s%s", first, texts[_i].before);
		memset(message + at, 'x', n);
		sprintf(message + at + n, "%s%s", texts[_i].after, last);
		struct check_message m = check_read(message);
		bool fits = n <= texts[_i].most;
		check_refusal(&m.in.refused, NULL, NULL, "the message");
		ck_assert_uint_eq(m.in.n_lines, 3);
		check_refusal(&m.in.lines[0].refused, NULL, NULL, "the one before");
		check_refusal(&m.in.lines[1].refused, fits ? NULL : "field_invalid", fits ? NULL : location, texts[_i].what);
		check_refusal(&m.in.lines[2].refused, NULL, NULL, "the one behind");
		const struct charge_line *l = &m.in.lines[1];
		ck_assert(l->source_line.n <= 200 && l->code.n <= 150 && l->name.n <= 500 && l->national_code.n <= 50 && l->reverses.n <= 200);
		ck_assert(l->department.n <= 500 && l->performer.n <= 500 && l->orderer.n <= 500 && l->order_no.n <= 200);
		ck_assert_msg(fits || strstr(l->refused.detail, "is longer than") != NULL, "%s", l->refused.detail);
		check_drop(&m);
	}
	free(message);
}
END_TEST

static const struct { const char *ft1, *location; } odd_ids[] = {
	{"FT1|1|L\\X0A\\||20260115||CG|X|||1|1\r", "FT1^1^2"}, {"FT1|1|L\t1||20260115||CG|X|||1|1\r", "FT1^1^2"}, {"FT1|1\\X01\\|||20260115||CG|X|||1|1\r", "FT1^1^2"},
	{"FT1|1|L||20260115||CG|X\\X1B\\|||1|1\r", "FT1^1^7"}, {"FT1|1|L||20260115||CD|X|||1|1\rZRV|A\\.br\\B\r", "FT1^1^2"},
};

START_TEST(ids_are_one_line)
{
	char message[1000];

	snprintf(message, sizeof(message), "%s%s", DFT, odd_ids[_i].ft1);
	struct check_message m = check_read(message);
	check_refusal(&m.in.lines[0].refused, "field_invalid", odd_ids[_i].location, odd_ids[_i].ft1);
	check_drop(&m);
}
END_TEST

START_TEST(made_ids_stay_as_they_were)
{
	/* ids that are in books already: whoever resends such a message must find them */
	static const char *const ids[] = {"M1/7", "M1/2", "M1/7.3", "M1/7.4", "M1/2.5", "M1/7.3.6", "M1/7", "M1/7.8", "M1/9", "R/CD/M1/10", "M1/11"};
	struct check_message m = check_read(DFT LINE("7", "", "1.00") LINE("", "", "1.00") LINE("7", "", "1.00") LINE("7", "", "1.00") LINE("2", "", "1.00")
	    LINE("7.3", "", "1.00") LINE("8", "M1/7", "1.00") LINE("7", "", "1.00") LINE("", "", "1.00") "FT1|10|R||20260115||CD|X|||1|1\r" LINE("", "", "x"));

	ck_assert_uint_eq(m.in.n_lines, sizeof(ids) / sizeof(ids[0]));
	for (size_t i = 0; i < m.in.n_lines; i++)
		ck_assert_view(m.in.lines[i].source_line, ids[i]);
	check_drop(&m);
}
END_TEST

/* The segment's set id is `format` of the line's number: 100,000 lines without an id are told apart in one walk. */
static const char *const set_ids[] = {"1", "%zu", "", "99999999999999999999999999999999999999999999999999999999999999999999999999999999%06zu", "1\\X01\\"};

START_TEST(telling_lines_apart_takes_one_walk)
{
	enum { LINES = 100000 };
	char *message = malloc(LINES * 160 + 1000), *to = message;
	const struct hl7_context c = {CHECK_NOW, CHECK_CHINA, LINES, hl7_profile_usual()};
	struct intake in = {.n_lines = 0};
	struct hl7_header h;
	struct refusal refused;

	ck_assert_ptr_nonnull(message);
	to += sprintf(to, "%s", DFT);
	for (size_t i = 0; i < LINES; i++) {
		to += sprintf(to, "FT1|");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		to += sprintf(to, set_ids[_i], i);
#pragma GCC diagnostic pop
		to += sprintf(to, "|||20260115||CG|X|||1|1\r");
	}
	arena_init(&in.arena, 0);
	struct view text = {message, (size_t)(to - message)};
	hl7_header_parse(text, "PTD", &in.arena, &h, &refused);
	clock_t from = clock();
	hl7_events_parse(text, &h, &c, &in);
	ck_assert_int_lt((clock() - from) / CLOCKS_PER_SEC, 15);	/* a minute and a half of comparing each with each */
	ck_assert_uint_eq(in.n_lines, LINES);
	ck_assert_int_eq(in.lines[LINES - 1].refused.reason == NULL, _i != 4);
	arena_free(&in.arena);
	free(message);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7_dft");

	tcase_add_test(run.tcase, lines_keep_their_order_and_place);
	tcase_add_test(run.tcase, p11_has_its_insurance_in_each_group);
	tcase_add_test(run.tcase, a_bad_line_does_not_touch_its_neighbours);
	tcase_add_test(run.tcase, a_zrv_is_of_the_line_before_it);
	tcase_add_test(run.tcase, lines_without_an_id_are_told_apart);
	tcase_add_test(run.tcase, a_refusal_of_the_message_stands_in_each_line);
	tcase_add_test(run.tcase, a_second_message_is_not_of_the_first_visit);
	tcase_add_test(run.tcase, more_lines_than_allowed_are_refused_as_a_whole);
	tcase_add_test(run.tcase, ids_have_their_limits);
	tcase_add_test(run.tcase, a_detail_does_not_cut_a_character);
	check_add_rows(run, a_digest_is_equal_for_a_resend_only, resends);
	tcase_add_test(run.tcase, a_reversal_of_another_line_is_another_reversal);
	tcase_add_test(run.tcase, the_same_line_by_json_has_the_same_digest);
	check_add_rows(run, a_long_text_refuses_its_line_alone, texts);
	check_add_rows(run, ids_are_one_line, odd_ids);
	tcase_add_test(run.tcase, made_ids_stay_as_they_were);
	check_add_rows(run, telling_lines_apart_takes_one_walk, set_ids);
	return check_end(run);
}
