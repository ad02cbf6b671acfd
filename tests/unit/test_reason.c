/* The table of reasons: names, codes of HL7 table 0357, HTTP statuses. */
#include "check_main.h"

#include "proto/reason.h"

/* Table 0357 (v2.8 chapter 2C); 207's text is that of 2.5. */
static const struct {
	int code;
	const char *text;
} table_0357[] = {
	{100, "Segment sequence error"}, {101, "Required field missing"}, {102, "Data type error"}, {103, "Table value not found"},
	{104, "Value too long"}, {200, "Unsupported message type"}, {201, "Unsupported event code"}, {202, "Unsupported processing id"},
	{203, "Unsupported version id"}, {204, "Unknown key identifier"}, {205, "Duplicate key identifier"}, {206, "Application record locked"},
	{207, "Application internal error"},
};

START_TEST(names_are_unique_words)
{
	const struct reason *r, *other;
	unsigned n = 0;

	for (; (r = reason_nth(n)) != NULL; n++) {
		ck_assert_uint_gt(strlen(r->name), 2);
		ck_assert_uint_lt(strlen(r->name), 40);
		ck_assert_msg(strspn(r->name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(r->name), "%s", r->name);
		for (unsigned k = 0; k < n; k++) {
			other = reason_nth(k);
			ck_assert_msg(strcmp(other->name, r->name) != 0, "%s is there twice", r->name);
		}
		ck_assert_ptr_eq(reason_of(r->name), r);
	}
	ck_assert_uint_gt(n, 40);
	ck_assert_ptr_null(reason_nth(n));
	ck_assert_ptr_null(reason_nth(4000000000u));
}
END_TEST

START_TEST(codes_are_of_table_0357)
{
	const struct reason *r;

	for (unsigned n = 0; (r = reason_nth(n)) != NULL; n++) {
		const char *text = NULL;
		for (size_t i = 0; i < sizeof(table_0357) / sizeof(table_0357[0]); i++)
			if (table_0357[i].code == r->hl7_code)
				text = table_0357[i].text;
		ck_assert_msg(text != NULL, "%s has code %d", r->name, r->hl7_code);
		ck_assert_str_eq(r->hl7_text, text);
	}
}
END_TEST

START_TEST(statuses_are_sane)
{
	const struct reason *r;

	for (unsigned n = 0; (r = reason_nth(n)) != NULL; n++) {
		ck_assert_msg((r->http_status >= 400 && r->http_status <= 431) || r->http_status == 500 || r->http_status == 502 || r->http_status == 503
		    || r->http_status == 200 || r->http_status == 202, "%s has status %d", r->name, r->http_status);
		/* what helps to send again is not "wrong for ever", and the other way round */
		if (r->retry)
			ck_assert_msg(r->http_status != 400 && r->http_status != 404 && r->http_status != 422, "%s: retry with %d", r->name, r->http_status);
		if (r->http_status == 503 || r->http_status == 408 || r->http_status == 429)
			ck_assert_msg(r->retry, "%s: %d without retry", r->name, r->http_status);
	}
}
END_TEST

START_TEST(titles_are_sentences_for_people)
{
	const struct reason *r;

	for (unsigned n = 0; (r = reason_nth(n)) != NULL; n++) {
		ck_assert_uint_gt(strlen(r->title), 5);
		/* they stand in JSON and in HL7 as they are */
		ck_assert_msg(strpbrk(r->title, "\"\\\r\n\t|^~&") == NULL, "%s: %s", r->name, r->title);
	}
}
END_TEST

START_TEST(an_unknown_name_is_internal)
{
	ck_assert_str_eq(reason_of("no such reason")->name, "internal");
	ck_assert_str_eq(reason_of("")->name, "internal");
	ck_assert_str_eq(reason_of("CONFLICT")->name, "internal");
	ck_assert_int_eq(reason_of("internal")->http_status, 500);
}
END_TEST

/* Names that parsers give, and outcomes that the SQL functions give: each has its row. */
static const char *const used[] = {
	"batch_too_large", "certificate_required", "expectation", "feed_mismatch", "too_many_requests", "amount_mismatch", "amount_negative", "amount_too_large", "implausible_visit", "implausible_day", "total_negative", "charset_invalid", "charset_unknown", "conflict", "control_id_missing", "currency",
	"date_absurd", "event_code", "facility_unknown", "feed_unknown", "field_invalid", "field_missing", "held", "internal", "json_invalid",
	"merge_self", "message_type", "no_lines", "not_hl7", "price_unknown", "processing_id", "reversal_exceeds", "reversal_of_reversal",
	"segment_missing", "too_large", "type_unknown", "unavailable", "version", "visit_cancelled", "visit_closed", "visit_has_charges",
	"visit_missing", "visit_paid", "visit_unknown",
};

START_TEST(every_name_in_use_has_its_row)
{
	ck_assert_str_eq(reason_of(used[_i])->name, used[_i]);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("reason");

	tcase_add_test(run.tcase, names_are_unique_words);
	tcase_add_test(run.tcase, codes_are_of_table_0357);
	tcase_add_test(run.tcase, statuses_are_sane);
	tcase_add_test(run.tcase, titles_are_sentences_for_people);
	tcase_add_test(run.tcase, an_unknown_name_is_internal);
	check_add_rows(run, every_name_in_use_has_its_row, used);
	return check_end(run);
}
