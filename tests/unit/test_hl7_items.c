/* MFN: entries of the price list, what is wrong with one, and what the answer says of each. */
#include "check_hl7.h"

#include <stdio.h>

#include "proto/hl7/items.h"

#define MFI(event, level) "MFI|CDM^list^HL70175||UPD||" event "|" level "\r"
#define MFE(action, id, day, key) "MFE|" action "|" id "|" day "|" key "|CWE\r"

START_TEST(an_entry_is_read)
{
	struct check_message m = check_read(MSH("MFN^M04^MFN_M04") MFI("20251201", "AL")
	    MFE("MAD", "E1", "20260101", "A01^bed") "CDM|A01|x|\xE5\xBA\x8A\xE4\xBD\x8D|long|||N1\r" "ZCD|\xE6\x97\xA5|A|0.15\r"
	    "PRC|A01||||45.5&CNY|||||||||01\r"
	    MFE("MUP", "E2", "", "A02") "PRC|A02||||3\r"
	    MFE("MDL", "E3", "20260301", "A03"));
	const struct price_item *i = m.in.items;

	check_refusal(&m.in.refused, NULL, NULL, "the message");
	ck_assert_uint_eq(m.in.n_items, 3);
	ck_assert_uint_eq(m.in.n_visits + m.in.n_events + m.in.n_lines, 0);
	ck_assert_int_eq(i[0].action, ITEM_PUT);
	ck_assert_view(i[0].code, "A01");
	ck_assert_view(i[0].name, "\xE5\xBA\x8A\xE4\xBD\x8D");
	ck_assert_view(i[0].national_code, "N1");
	ck_assert_view(i[0].unit, "\xE6\x97\xA5");
	ck_assert_view(i[0].item_class, "A");
	ck_assert_int_eq(i[0].self_pay, 1500);
	ck_assert_int_eq(i[0].price, 45500000);
	ck_assert_int_eq(i[0].category, 1);
	ck_assert_int_eq(i[0].day, 20454);		/* 2026-01-01 */
	ck_assert_int_eq(i[1].day, 20423);		/* MFI-5, 2025-12-01 */
	ck_assert_uint_eq(i[1].name.n + (size_t)i[1].category + i[1].has_self_pay, 0);
	ck_assert_int_eq(i[2].action, ITEM_END);
	check_drop(&m);
}
END_TEST

static const struct {
	const char *entry, *reason, *location;
} bad[] = {
	{MFE("MZZ", "E1", "", "A01"), "type_unknown", "MFE^1^1"}, {MFE("MAD", "E1", "", ""), "field_missing", "MFE^1^4"},
	{MFE("MAD", "E1", "", "A01") "PRC|A01||||x\r", "field_invalid", "PRC^1^5"}, {MFE("MAD", "E1", "", "A01") "PRC|A01||||-1\r", "field_invalid", "PRC^1^5"},
	{MFE("MAD", "E1", "", "A01") "PRC|A01||||1&USD\r", "currency", "PRC^1^5"},
	{MFE("MAD", "E1", "", "A01") "PRC|A01||||1|||||||||15\r", "field_invalid", "PRC^1^14"},
	{MFE("MAD", "E1", "", "A01") "ZCD||D\r", "field_invalid", "ZCD^1^2"}, {MFE("MAD", "E1", "", "A01") "ZCD|||1.1\r", "field_invalid", "ZCD^1^3"},
};

START_TEST(one_that_is_wrong_stays_alone)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%s%s", MSH("MFN^M02") MFI("", ""), bad[_i].entry, MFE("MAD", "E2", "", "A02"));
	struct check_message m = check_read(text);
	check_refusal(&m.in.refused, NULL, NULL, bad[_i].entry);
	check_refusal(&m.in.items[0].refused, bad[_i].reason, bad[_i].location, bad[_i].entry);
	check_refusal(&m.in.items[1].refused, NULL, NULL, bad[_i].entry);
	ck_assert_int_eq(m.in.items[1].day, 20468);	/* of MSH-7 */
	check_drop(&m);
}
END_TEST

START_TEST(a_list_without_entries_is_none)
{
	struct check_message m = check_read(MSH("MFN^M04") MFI("", ""));

	check_refusal(&m.in.refused, "segment_missing", "MFE^1", "no entry");
	ck_assert_uint_eq(m.in.n_items, 0);
	check_drop(&m);
}
END_TEST

static const struct {
	const char *level, *answer;
} levels[] = {
	{"AL", "MFI|CDM^list^HL70175||UPD|||AL\rMFA|MAD|E1||S|A01|CWE\rMFA|MZZ|E2||U|A02|CWE\r"},
	{"", "MFI|CDM^list^HL70175||UPD|||\rMFA|MAD|E1||S|A01|CWE\rMFA|MZZ|E2||U|A02|CWE\r"},
	{"ER", "MFI|CDM^list^HL70175||UPD|||ER\rMFA|MZZ|E2||U|A02|CWE\r"},
	{"SU", "MFI|CDM^list^HL70175||UPD|||SU\rMFA|MAD|E1||S|A01|CWE\r"},
	{"NE", ""},
};

START_TEST(the_answer_tells_what_is_asked_for)
{
	char text[1024];

	snprintf(text, sizeof(text), MSH("MFN^M04") "MFI|CDM^list^HL70175||UPD|||%s\r" MFE("MAD", "E1", "", "A01") MFE("MZZ", "E2", "", "A02"), levels[_i].level);
	struct check_message m = check_read(text);
	ck_assert_view(hl7_items_answer(&m.in, &m.header, &m.in.arena), levels[_i].answer);
	check_drop(&m);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("hl7_items");

	tcase_add_test(run.tcase, an_entry_is_read);
	check_add_rows(run, one_that_is_wrong_stays_alone, bad);
	tcase_add_test(run.tcase, a_list_without_entries_is_none);
	check_add_rows(run, the_answer_tells_what_is_asked_for, levels);
	return check_end(run);
}
