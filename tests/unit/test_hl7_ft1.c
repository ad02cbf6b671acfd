/* FT1 to charge lines: every field, every form of money, credits and what they take back, and what is wrong with a line. */
#include "check_hl7.h"

#include <stdio.h>

#include "proto/money.h"

/* FT1-6 to FT1-12 of an ordinary line; the id and the date are in front. */
#define FT1(id, type, code, quantity, amount, price) "FT1|1|" id "||20260115100000||" type "|" code "|||" quantity "|" amount "|" price "\r"
#define DFT MSH("DFT^P03^DFT_P03") PATIENT VISIT

START_TEST(every_field_is_where_it_belongs)
{
	struct check_message m = check_read(DFT
	    "FT1|1|L-1^x|B7|20260115093000.5^20260115100000|20260115|CG^x|X01^\xE8\xA1\x80\xE5\xB8\xB8\xE8\xA7\x84^L^C0010001^^YB|d1|d2|2.5|25.00&CNY|10.00&CNY"
	    "|LAB^\xE6\xA3\x80\xE9\xAA\x8C\xE7\xA7\x91||||||O1|D7^\xE6\x9D\x8E^\xE5\x9B\x9B|D8^Zhao^Wu|250|RX-9^x||||||||||||||||||04\r");

	check_refusal(&m.in.refused, NULL, NULL, "the message");
	ck_assert_uint_eq(m.in.n_lines, 1);
	const struct charge_line *l = &m.in.lines[0];
	check_refusal(&l->refused, NULL, NULL, "the line");
	ck_assert_int_eq(l->kind, LINE_CHARGE);
	ck_assert_int_eq(l->ordinal, 1);
	ck_assert_uint_eq(l->visit, 0);
	ck_assert_view(l->source_line, "L-1");
	ck_assert_view(l->code, "X01");
	ck_assert_view(l->name, "\xE8\xA1\x80\xE5\xB8\xB8\xE8\xA7\x84");
	ck_assert_view(l->national_code, "C0010001");
	ck_assert_time(l->charged_at, "2026-01-15T09:30:00+08:00");
	ck_assert_int_eq(l->charged_at % TIMESTAMP_SECOND, 500000);
	ck_assert(l->has_quantity && l->has_amount && l->has_price);
	ck_assert_int_eq(l->quantity, 25000);
	ck_assert_int_eq(l->amount, 2500);
	ck_assert_int_eq(l->price, 10000000);
	ck_assert_view(l->department, "\xE6\xA3\x80\xE9\xAA\x8C\xE7\xA7\x91");
	ck_assert_view(l->performer, "\xE6\x9D\x8E\xE5\x9B\x9B");
	ck_assert_view(l->orderer, "Zhao Wu");
	ck_assert_view(l->order_no, "RX-9");
	ck_assert_int_eq(l->category, 4);
	ck_assert_view(l->reverses, "");
	ck_assert_view(m.in.visits[0].visit_no, "V1");
	check_drop(&m);
}
END_TEST

/* What a line's money says, or why it is refused and where. */
static const struct {
	const char *ft1;
	int has;		/* bits: 1 quantity, 2 amount, 4 price; -1: not looked at */
	int64_t quantity, amount, price;
	const char *reason, *location;
} sums[] = {
	/* the forms of FT1-11 */
	{FT1("L", "CG", "X", "1", "100.00&CNY", ""), 3, 10000, 10000, 0, NULL, NULL}, {FT1("L", "CG", "X", "1", "150.00^CNY", ""), 3, 10000, 15000, 0, NULL, NULL},
	{FT1("L", "CG", "X", "1", "150.00", ""), 3, 10000, 15000, 0, NULL, NULL}, {FT1("L", "CG", "X", "1", "150&RMB", ""), 3, 10000, 15000, 0, NULL, NULL},
	{FT1("L", "CG", "X", "1", "150.5^UP", ""), 3, 10000, 15050, 0, NULL, NULL}, {FT1("L", "CG", "X", "1", "1.5&CNY^UP^1^9^EA^F~7", ""), 3, 10000, 150, 0, NULL, NULL},
	{FT1("L", "CG", "X", "", " 7 ", ""), 2, 0, 700, 0, NULL, NULL}, {FT1("L", "CG", "X", "+2", ".5", ""), 3, 20000, 50, 0, NULL, NULL},
	{FT1("L", "CG", "X", "1.0000", "0", ""), 3, 10000, 0, 0, NULL, NULL},
	/* price and quantity make an amount */
	{FT1("L", "CG", "X", "3", "", "0.333333"), 7, 30000, 100, 333333, NULL, NULL}, {FT1("L", "CG", "X", "0.5", "", "0.01"), 7, 5000, 1, 10000, NULL, NULL},
	{FT1("L", "CG", "X", "", "", "12.50&CNY"), 6, 0, 1250, 12500000, NULL, NULL}, {FT1("L", "CG", "X", "2", "\"\"", "5^CNY"), 7, 20000, 1000, 5000000, NULL, NULL},
	{FT1("L", "CG", "X", "0", "", "5"), 7, 0, 0, 5000000, NULL, NULL},
	/* the price list will say */
	{FT1("L", "CG", "X", "2", "", ""), 1, 20000, 0, 0, NULL, NULL}, {FT1("L", "CG", "X", "", "", ""), 0, 0, 0, 0, NULL, NULL},
	{FT1("L", "CG", "X", "\"\"", "\"\"", "\"\""), 0, 0, 0, 0, NULL, NULL},
	/* all three: within 0.01 */
	{FT1("L", "CG", "X", "3", "10.00", "3.333333"), 7, 30000, 1000, 3333333, NULL, NULL}, {FT1("L", "CG", "X", "3", "9.99", "3.333333"), 7, 30000, 999, 3333333, NULL, NULL},
	{FT1("L", "CG", "X", "3", "10.01", "3.333333"), 7, 30000, 1001, 3333333, NULL, NULL},
	{FT1("L", "CG", "X", "3", "10.02", "3.333333"), 7, 30000, 1002, 3333333, "amount_mismatch", "FT1^1^11"},
	{FT1("L", "CG", "X", "3", "9.98", "3.333333"), 7, 30000, 998, 3333333, "amount_mismatch", "FT1^1^11"},
	{FT1("L", "CG", "X", "", "30.00", "10.00"), -1, 0, 0, 0, "amount_mismatch", "FT1^1^11"},	/* no quantity is one */
	{FT1("L", "CG", "X", "0", "30.00", "10.00"), -1, 0, 0, 0, "amount_mismatch", "FT1^1^11"},
	/* another currency, wherever it stands */
	{FT1("L", "CG", "X", "1", "100.00&USD", ""), -1, 0, 0, 0, "currency", "FT1^1^11"}, {FT1("L", "CG", "X", "1", "100.00^USD", ""), -1, 0, 0, 0, "currency", "FT1^1^11"},
	{FT1("L", "CG", "X", "1", "100.00", "100&HKD"), -1, 0, 0, 0, "currency", "FT1^1^12"}, {FT1("L", "CG", "X", "1", "1&CNY^USD", ""), 3, 10000, 100, 0, NULL, NULL},
	/* not numbers */
	{FT1("L", "CG", "X", "1", "1,000.00", ""), -1, 0, 0, 0, "field_invalid", "FT1^1^11"}, {FT1("L", "CG", "X", "one", "1", ""), -1, 0, 0, 0, "field_invalid", "FT1^1^10"},
	{FT1("L", "CG", "X", "1", "1e3", ""), -1, 0, 0, 0, "field_invalid", "FT1^1^11"}, {FT1("L", "CG", "X", "1", "", "abc"), -1, 0, 0, 0, "field_invalid", "FT1^1^12"},
	{FT1("L", "CG", "X", "1", "\xC2\xA5" "5.00", ""), -1, 0, 0, 0, "field_invalid", "FT1^1^11"}, {FT1("L", "CG", "X", "1", "5.00 CNY", ""), -1, 0, 0, 0, "field_invalid", "FT1^1^11"},
	/* beyond the precision and the range of the national interface */
	{FT1("L", "CG", "X", "1", "1.005", ""), -1, 0, 0, 0, "field_invalid", "FT1^1^11"}, {FT1("L", "CG", "X", "1.00001", "1", ""), -1, 0, 0, 0, "field_invalid", "FT1^1^10"},
	{FT1("L", "CG", "X", "1", "1", "1.0000001"), -1, 0, 0, 0, "field_invalid", "FT1^1^12"}, {FT1("L", "CG", "X", "1", "1.0000", "1.000000000"), 7, 10000, 100, 1000000, NULL, NULL},
	{FT1("L", "CG", "X", "1", "99999999999999999", ""), -1, 0, 0, 0, "amount_too_large", "FT1^1^11"},
	{FT1("L", "CG", "X", "99999999999999", "", "999999999999"), -1, 0, 0, 0, "amount_too_large", "FT1^1^12"},
	/* a charge is not negative */
	{FT1("L", "CG", "X", "1", "-1.00", ""), -1, 0, 0, 0, "amount_negative", "FT1^1^11"}, {FT1("L", "CG", "X", "-1", "", "1.00"), -1, 0, 0, 0, "amount_negative", "FT1^1^10"},
	{FT1("L", "CG", "X", "-1", "-1.00", "1.00"), -1, 0, 0, 0, "amount_negative", "FT1^1^11"}, {FT1("L", "CG", "X", "-1", "", ""), -1, 0, 0, 0, "amount_negative", "FT1^1^10"},
	{FT1("L", "CG", "X", "1", "", "-1.00"), -1, 0, 0, 0, "amount_negative", "FT1^1^12"}, {FT1("L", "CG", "X", "1", "-0.00", ""), 3, 10000, 0, 0, NULL, NULL},
	/* an adjustment may be */
	{FT1("L", "AJ", "X", "1", "-1.00", ""), 3, 10000, -100, 0, NULL, NULL}, {FT1("L", "AJ", "X", "-2", "", "1.00"), 7, -20000, -200, 1000000, NULL, NULL},
	{FT1("L", "AJ", "X", "1", "-5.00", "5.00"), 7, 10000, -500, 5000000, NULL, NULL}, {FT1("L", "AJ", "X", "1", "-5.02", "5.00"), -1, 0, 0, 0, "amount_mismatch", NULL},
	/* a credit's sign is in its type */
	{FT1("L", "CD", "X", "1", "-1.00", ""), 3, 10000, 100, 0, NULL, NULL}, {FT1("L", "CD", "X", "-2", "", "-1.00"), 7, 20000, 200, 1000000, NULL, NULL},
	{FT1("L", "CD", "X", "2", "2.00", "1.00"), 7, 20000, 200, 1000000, NULL, NULL}, {FT1("L", "CD", "", "", "", ""), 0, 0, 0, 0, NULL, NULL},
	{FT1("L", "CD", "X", "2", "5.00", "1.00"), -1, 0, 0, 0, "amount_mismatch", "FT1^1^11"},
	{FT1("L", "CD", "X", "", "", "10.00"), 0, 0, 0, 0, NULL, NULL},		/* a price alone: all that is left goes back */
	/* money taken elsewhere has an amount */
	{FT1("L", "PY", "", "", "50.00", ""), 2, 0, 5000, 0, NULL, NULL}, {FT1("L", "CO", "", "1", "50.00", ""), 3, 10000, 5000, 0, NULL, NULL},
	{FT1("L", "PY", "", "", "-100.00", ""), -1, 0, 0, 0, "amount_negative", "FT1^1^11"}, {FT1("L", "CO", "", "1", "-0.01", ""), -1, 0, 0, 0, "amount_negative", NULL},
	{FT1("L", "PY", "", "", "", ""), -1, 0, 0, 0, "field_missing", "FT1^1^11"}, {FT1("L", "PY", "", "", "0.00", ""), -1, 0, 0, 0, "field_missing", "FT1^1^11"},
};

START_TEST(money_is_exact_or_the_line_says_why_not)
{
	char message[1000];

	snprintf(message, sizeof(message), "%s%s", DFT, sums[_i].ft1);
	struct check_message m = check_read(message);
	ck_assert_uint_eq(m.in.n_lines, 1);
	const struct charge_line *l = &m.in.lines[0];
	check_refusal(&l->refused, sums[_i].reason, sums[_i].location, sums[_i].ft1);
	if (sums[_i].has >= 0) {
		ck_assert_int_eq((l->has_quantity ? 1 : 0) | (l->has_amount ? 2 : 0) | (l->has_price ? 4 : 0), sums[_i].has);
		ck_assert_int_eq(l->has_quantity ? l->quantity : 0, sums[_i].quantity);
		ck_assert_int_eq(l->has_amount ? l->amount : 0, sums[_i].amount);
		ck_assert_int_eq(l->has_price ? l->price : 0, sums[_i].price);
	}
	check_drop(&m);
}
END_TEST

/* Kinds, ids, and what is taken back. */
static const struct {
	const char *segments;
	enum line_kind kind;
	const char *source_line, *reverses, *reason, *location;
} ids[] = {
	{FT1("L-1", "CG", "X", "1", "1", ""), LINE_CHARGE, "L-1", "", NULL, NULL}, {FT1("L-1", "AJ", "X", "1", "1", ""), LINE_ADJUSTMENT, "L-1", "", NULL, NULL},
	{FT1("L-1", "PY", "", "", "1", ""), LINE_PAYMENT, "L-1", "", NULL, NULL}, {FT1("L-1", "CO", "", "", "1", ""), LINE_PAYMENT, "L-1", "", NULL, NULL},
	{FT1(" L\\F\\1 ^H01~x", "CG", "X", "1", "1", ""), LINE_CHARGE, "L|1", "", NULL, NULL},
	/* no FT1-2: the message and the place in it */
	{FT1("", "CG", "X", "1", "1", ""), LINE_CHARGE, "M1/1", "", NULL, NULL}, {FT1("\"\"", "CG", "X", "1", "1", ""), LINE_CHARGE, "M1/1", "", NULL, NULL},
	{"FT1|77|||20260115||CG|X|||1|1\r", LINE_CHARGE, "M1/77", "", NULL, NULL}, {"FT1||||20260115||CG|X|||1|1\r", LINE_CHARGE, "M1/1", "", NULL, NULL},
	/* credits: by ZRV, else of the line with their own id */
	{FT1("R-1", "CD", "X", "1", "1", "") "ZRV|L-1\r", LINE_CREDIT, "R-1", "L-1", NULL, NULL},
	{FT1("R-1", "CD", "X", "1", "1", "") "NTE|1||why\rZRV| L\\F\\1 ^H01\r", LINE_CREDIT, "R-1", "L|1", NULL, NULL},
	{FT1("", "CD", "X", "1", "1", "") "zrv|L-1\r", LINE_CREDIT, "M1/1", "L-1", NULL, NULL},
	{FT1("L-1", "CD", "X", "1", "1", ""), LINE_CREDIT, "L-1/CD/M1/1", "L-1", NULL, NULL},
	{FT1("L-1", "CD", "X", "1", "1", "") "ZRV|\r", LINE_CREDIT, "L-1/CD/M1/1", "L-1", NULL, NULL},
	{FT1("L-1", "CD", "X", "1", "1", "") "ZRV|\"\"\r", LINE_CREDIT, "L-1/CD/M1/1", "L-1", NULL, NULL},
	{"FT1||L-1||20260115||CD|X|||1|1\r", LINE_CREDIT, "L-1/CD/M1/1", "L-1", NULL, NULL},
	{FT1("", "CD", "X", "1", "1", ""), LINE_CREDIT, "", "", "field_missing", "FT1^1^2"},
	/* an adjustment that names a line is a credit; a payment or a charge that does is a mistake */
	{FT1("R-1", "AJ", "X", "1", "-1", "") "ZRV|L-1\r", LINE_CREDIT, "R-1", "L-1", NULL, NULL},
	{FT1("R-1", "PY", "", "", "1", "") "ZRV|L-1\r", LINE_PAYMENT, "R-1", "L-1", "field_invalid", NULL},
	{FT1("R-1", "CG", "X", "1", "1", "") "ZRV|L-1\r", LINE_CHARGE, "R-1", "L-1", "field_invalid", NULL},
	/* types */
	{FT1("L-1", "", "X", "1", "1", ""), LINE_CHARGE, "L-1", "", "field_missing", "FT1^1^6"},
	{FT1("L-1", "\"\"", "X", "1", "1", ""), LINE_CHARGE, "L-1", "", "field_missing", "FT1^1^6"},
	{FT1("L-1", "XX", "X", "1", "1", ""), LINE_CHARGE, "L-1", "", "type_unknown", "FT1^1^6"},
	{FT1("L-1", "cg", "X", "1", "1", ""), LINE_CHARGE, "L-1", "", "type_unknown", "FT1^1^6"},
	/* dates */
	{"FT1|1|L-1||||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", "field_missing", "FT1^1^4"},
	{"FT1|1|L-1||today||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", "date_absurd", "FT1^1^4"},
	{"FT1|1|L-1||\"\"||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", "date_absurd", "FT1^1^4"},
	{"FT1|1|L-1||19891231||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", "date_absurd", "FT1^1^4"},
	{"FT1|1|L-1||19900101080000||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", NULL, NULL},
	{"FT1|1|L-1||20260116143059||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", NULL, NULL},
	{"FT1|1|L-1||20260116143100||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", "date_absurd", "FT1^1^4"},
	{"FT1|1|L-1||99991231||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", "date_absurd", "FT1^1^4"},
	{"FT1|1|L-1||2026-01-15T10:00:00||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", NULL, NULL},
	{"FT1|1|L-1||01/15/2026||CG|X|||1|1\r", LINE_CHARGE, "L-1", "", NULL, NULL},
	/* an item has a code or a name */
	{FT1("L-1", "CG", "", "1", "1", ""), LINE_CHARGE, "L-1", "", "field_missing", "FT1^1^7"},
	{FT1("L-1", "CG", "^Saline", "1", "1", ""), LINE_CHARGE, "L-1", "", NULL, NULL},
	{FT1("L-1", "CD", "", "1", "1", ""), LINE_CREDIT, "L-1/CD/M1/1", "L-1", NULL, NULL},
	{"FT1|1|L-1||20260115||CG||Saline||1|1\r", LINE_CHARGE, "L-1", "", NULL, NULL},
	{"FT1\r", LINE_CHARGE, "M1/1", "", "field_missing", "FT1^1^6"}, {"FT1|\r", LINE_CHARGE, "M1/1", "", "field_missing", "FT1^1^6"},
};

START_TEST(a_line_has_a_kind_an_id_and_perhaps_an_original)
{
	char message[1000];

	snprintf(message, sizeof(message), "%s%s", DFT, ids[_i].segments);
	struct check_message m = check_read(message);
	ck_assert_uint_eq(m.in.n_lines, 1);
	const struct charge_line *l = &m.in.lines[0];
	check_refusal(&l->refused, ids[_i].reason, ids[_i].location, ids[_i].segments);
	ck_assert_int_eq(l->kind, ids[_i].kind);
	ck_assert_view(l->source_line, ids[_i].source_line);
	ck_assert_view(l->reverses, ids[_i].reverses);
	check_drop(&m);
}
END_TEST

static const struct {
	const char *sent;
	int category;
} categories[] = {
	{"01", 1}, {"09", 9}, {"10", 10}, {"14", 14}, {"5", 5}, {"09^\xE8\xA5\xBF\xE8\x8D\xAF", 9}, {" 09 ", 9},
	{"", 0}, {"\"\"", 0}, {"00", 0}, {"0", 0}, {"15", 0}, {"99", 0}, {"9a", 0}, {"a9", 0}, {"x", 0}, {"009", 0}, {"-1", 0}, {"0450", 0},
};

START_TEST(categories_are_01_to_14)
{
	char message[1000];

	snprintf(message, sizeof(message), "%sFT1|1|L||20260115||CG|X|||1|1||||||||||||||||||||||||||||||%s\r", DFT, categories[_i].sent);
	struct check_message m = check_read(message);
	check_refusal(&m.in.lines[0].refused, NULL, NULL, message);
	ck_assert_int_eq(m.in.lines[0].category, categories[_i].category);
	check_drop(&m);
}
END_TEST

static const struct {
	const char *xcn, *person;
} people[] = {
	{"D7^\xE6\x9D\x8E^\xE5\x9B\x9B", "\xE6\x9D\x8E\xE5\x9B\x9B"}, {"D7^Li^Si^X^Jr^Dr", "Li Si"}, {"D7^Li", "Li"}, {"D7", "D7"}, {"D7^^Si", "D7"},
	{"^Li^Si", "Li Si"}, {"D7^van&van&D^Jean", "van Jean"}, {"", ""}, {"\"\"", ""}, {"D7^\"\"^\"\"", "D7"}, {"D7^L\\T\\i^S", "L&i S"},
	{"D7^Li^Si~D8^Wu^Wu", "Li Si"},
};

START_TEST(people_have_a_name_or_a_number)
{
	char message[1000];

	snprintf(message, sizeof(message), "%sFT1|1|L||20260115||CG|X|||1|1|||||||||%s|%s\r", DFT, people[_i].xcn, people[_i].xcn);
	struct check_message m = check_read(message);
	ck_assert_view(m.in.lines[0].performer, people[_i].person);
	ck_assert_view(m.in.lines[0].orderer, people[_i].person);
	check_drop(&m);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7_ft1");

	tcase_add_test(run.tcase, every_field_is_where_it_belongs);
	check_add_rows(run, money_is_exact_or_the_line_says_why_not, sums);
	check_add_rows(run, a_line_has_a_kind_an_id_and_perhaps_an_original, ids);
	check_add_rows(run, categories_are_01_to_14, categories);
	check_add_rows(run, people_have_a_name_or_a_number, people);
	return check_end(run);
}
