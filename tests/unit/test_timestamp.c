/* Times of the wire: every form that senders use, offsets, the calendar, garbage, and the way back. */
#include "check_main.h"

#include <time.h>

#include "proto/timestamp.h"

enum { CHINA = 8 * 3600, NEW_YORK = -5 * 3600, INDIA = 5 * 3600 + 1800 };

static const struct {
	const char *text;
	int local;		/* the hospital's offset */
	const char *utc;	/* what it means, RFC 3339 */
	int micro;
} readable[] = {
	/* TS and DTM by precision */
	{"2026", CHINA, "2025-12-31T16:00:00+00:00", 0},
	{"202601", CHINA, "2025-12-31T16:00:00+00:00", 0},
	{"20260115", CHINA, "2026-01-14T16:00:00+00:00", 0},
	{"2026011514", CHINA, "2026-01-15T06:00:00+00:00", 0},
	{"202601151430", CHINA, "2026-01-15T06:30:00+00:00", 0},
	{"20260115143059", CHINA, "2026-01-15T06:30:59+00:00", 0},
	{"20260115143059.1", CHINA, "2026-01-15T06:30:59+00:00", 100000},
	{"20260115143059.1234", CHINA, "2026-01-15T06:30:59+00:00", 123400},
	{"20260115143059.123456", CHINA, "2026-01-15T06:30:59+00:00", 123456},
	{"20260115143059.123456789", CHINA, "2026-01-15T06:30:59+00:00", 123456},
	{"20260115143059.000001", 0, "2026-01-15T14:30:59+00:00", 1},
	/* with an offset of their own, which wins */
	{"20260115143059+0800", 0, "2026-01-15T06:30:59+00:00", 0},
	{"20260115143059+0800", NEW_YORK, "2026-01-15T06:30:59+00:00", 0},
	{"20260115143059-0500", CHINA, "2026-01-15T19:30:59+00:00", 0},
	{"20260115143059.5-0330", CHINA, "2026-01-15T18:00:59+00:00", 500000},
	{"20260115143059+0000", CHINA, "2026-01-15T14:30:59+00:00", 0},
	{"20260115143059-0000", CHINA, "2026-01-15T14:30:59+00:00", 0},
	{"20260115143059+1400", CHINA, "2026-01-15T00:30:59+00:00", 0},
	{"20260115143059Z", CHINA, "2026-01-15T14:30:59+00:00", 0},
	{"202601151430+0800", 0, "2026-01-15T06:30:00+00:00", 0},
	{"2026011514+0800", 0, "2026-01-15T06:00:00+00:00", 0},
	{"20260115+0800", 0, "2026-01-14T16:00:00+00:00", 0},
	{"202601-0500", 0, "2026-01-01T05:00:00+00:00", 0},
	{"2026-0800", CHINA, "2026-01-01T08:00:00+00:00", 0},
	{"2026+0800", 0, "2025-12-31T16:00:00+00:00", 0},
	/* without one: local */
	{"20260115143059", NEW_YORK, "2026-01-15T19:30:59+00:00", 0},
	{"20260115143059", INDIA, "2026-01-15T09:00:59+00:00", 0},
	/* RFC 3339 and its relatives */
	{"2026-01-15", CHINA, "2026-01-14T16:00:00+00:00", 0},
	{"2026-01-15T14:30", CHINA, "2026-01-15T06:30:00+00:00", 0},
	{"2026-01-15T14:30:00", CHINA, "2026-01-15T06:30:00+00:00", 0},
	{"2026-01-15 14:30:00", CHINA, "2026-01-15T06:30:00+00:00", 0},
	{"2026-01-15T14:30:00Z", CHINA, "2026-01-15T14:30:00+00:00", 0},
	{"2026-01-15T14:30:00.250Z", CHINA, "2026-01-15T14:30:00+00:00", 250000},
	{"2026-01-15T14:30:00+08:00", 0, "2026-01-15T06:30:00+00:00", 0},
	{"2026-01-15T14:30:00.000123+08:00", 0, "2026-01-15T06:30:00+00:00", 123},
	{"2026-01-15T14:30:00-05:30", CHINA, "2026-01-15T20:00:00+00:00", 0},
	{"2026-01-15T14:30:00+0800", 0, "2026-01-15T06:30:00+00:00", 0},
	{"01/15/2025", CHINA, "2025-01-14T16:00:00+00:00", 0},
	{"12/31/1999", 0, "1999-12-31T00:00:00+00:00", 0},
	{"  20260115143059\t", CHINA, "2026-01-15T06:30:59+00:00", 0},
	/* the calendar */
	{"20240229", 0, "2024-02-29T00:00:00+00:00", 0}, {"20000229", 0, "2000-02-29T00:00:00+00:00", 0},
	{"20240301", 0, "2024-03-01T00:00:00+00:00", 0}, {"20251231235959", 0, "2025-12-31T23:59:59+00:00", 0},
	{"20260115240000", 0, "2026-01-16T00:00:00+00:00", 0}, {"2025123124", 0, "2026-01-01T00:00:00+00:00", 0},
	{"20161231235960", 0, "2017-01-01T00:00:00+00:00", 0},		/* a leap second */
	{"19700101000000", 0, "1970-01-01T00:00:00+00:00", 0}, {"19691231235959.75", 0, "1969-12-31T23:59:59+00:00", 750000},
	{"19000228", 0, "1900-02-28T00:00:00+00:00", 0}, {"00010101", 0, "0001-01-01T00:00:00+00:00", 0},
	{"99991231235959", 0, "9999-12-31T23:59:59+00:00", 0},
};

START_TEST(every_form_means_its_instant)
{
	char buf[TIMESTAMP_TEXT];
	int64_t us;

	ck_assert_msg(timestamp_parse(view_of(readable[_i].text), readable[_i].local, &us) == 0, "%s", readable[_i].text);
	ck_assert_msg(strcmp(timestamp_rfc3339(us, 0, buf), readable[_i].utc) == 0, "%s is %s", readable[_i].text, buf);
	ck_assert_int_eq(((us % TIMESTAMP_SECOND) + TIMESTAMP_SECOND) % TIMESTAMP_SECOND, readable[_i].micro);
}
END_TEST

static const char *const garbage[] = {
	"", " ", "2", "20", "202", "20260", "2026011", "202601151", "20260115143", "2026011514305", "202601151430590",
	"abcd", "2026ab", "20260115T143059", "20260115 143059", "20260115143059 +0800", "2026/01/15", "15.01.2026",
	"20261301", "20260001", "20260100", "20260132", "20260230", "20260431", "20250229", "19000229", "21000229", "00000101",
	"2026011525", "20260115240001", "202601152401", "20260115240000.1", "202601151460", "20260115143061",
	"20260115143059.", "20260115143059.x", "20260115143059+", "20260115143059+08", "20260115143059+080", "20260115143059+08000",
	"20260115143059+1500", "20260115143059+0860", "20260115143059+08:0", "20260115143059Z0", "20260115143059ZZ", "20260115143059++0800",
	"2026-13-01", "2026-00-01", "2026-02-30", "2026-1-5", "2026-01", "2026-01-", "2026-01-1", "2026-01-15T", "2026-01-15T14",
	"2026-01-15T14:", "2026-01-15T14:3", "2026-01-15T14:30:", "2026-01-15T14:30:00.", "2026-01-15T14:30:00x", "2026-01-15x14:30:00",
	"2026-01-15T25:00:00", "2026-01-15T14:60:00", "2026-01-15T14:30:61", "2026-01-15T14:30:00+8:00", "2026-01-15T143000",
	"13/01/2025", "00/15/2025", "02/30/2025", "1/15/2025", "01/15/25", "01-15-2025", "01/1x/2025", "\"\"",
	"-20260115", "+0800", "12026-01-15", "\xEF\xBC\x92\xEF\xBC\x90",
	/* a fraction belongs to seconds: 20260115.143000 is not 0.143 s after midnight */
	"2026.5", "202601.5", "20260115.5", "20260115.143000", "2026011514.5", "202601151430.5", "2026-01-15T14:30.5",
};

START_TEST(garbage_is_refused_and_leaves_the_output)
{
	int64_t us = 4711;
	int32_t days = 4711;
	struct view text = view_of(garbage[_i]);

	ck_assert_msg(timestamp_parse(text, CHINA, &us) == -1, "\"%s\" is taken", garbage[_i]);
	ck_assert_msg(timestamp_parse_date(text, &days) == -1, "\"%s\" is taken as a date", garbage[_i]);
	ck_assert_int_eq(us, 4711);
	ck_assert_int_eq(days, 4711);
}
END_TEST

START_TEST(nothing_and_nul_are_garbage)
{
	int64_t us;

	ck_assert_int_eq(timestamp_parse(VIEW_NONE, 0, &us), -1);
	ck_assert_int_eq(timestamp_parse((struct view){"20260115\0", 9}, 0, &us), -1);
	ck_assert_int_eq(timestamp_parse((struct view){"\0\0\0\0", 4}, 0, &us), -1);
}
END_TEST

static const struct {
	const char *text;
	int32_t days;
} dates[] = {
	{"19700101", 0}, {"19700102", 1}, {"19691231", -1}, {"19900131", 7335}, {"1990-01-31", 7335}, {"01/31/1990", 7335},
	{"19900131235959", 7335}, {"1990-01-31T23:59:59+08:00", 7335}, {"19900131000000-0500", 7335}, {"20000301", 11017}, {"1990", 7305},
	{"199002", 7336},
};

START_TEST(a_date_is_the_one_on_the_senders_calendar)
{
	int32_t days;

	ck_assert_int_eq(timestamp_parse_date(view_of(dates[_i].text), &days), 0);
	ck_assert_msg(days == dates[_i].days, "%s is day %d", dates[_i].text, (int)days);
}
END_TEST

START_TEST(every_day_agrees_with_the_c_library)
{
	char text[32], buf[TIMESTAMP_TEXT];

	for (time_t t = -2208988800; t < 7258118400; t += 86400 - 59) {	/* 1900 to 2200, walking through the day */
		struct tm tm;
		int64_t us;
		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y%m%d%H%M%S", &tm);
		ck_assert_int_eq(timestamp_parse(view_of(text), 0, &us), 0);
		ck_assert_msg(us == (int64_t)t * TIMESTAMP_SECOND, "%s", text);
		strftime(text, sizeof(text), "%Y%m%d%H%M%S+0000", &tm);
		ck_assert_str_eq(timestamp_hl7(us, 0, buf), text);
	}
}
END_TEST

static const int offsets[] = {0, CHINA, NEW_YORK, INDIA, -12600, 14 * 3600, -11 * 3600, 60, -60};

START_TEST(both_formats_read_back)
{
	const int64_t from = -62135596800, until = 253402214400;	/* years 1 to 9999, but for a day at each end */
	char buf[TIMESTAMP_TEXT];

	for (int64_t s = from + 86400; s < until; s += 3456789011) {
		int64_t us = s * TIMESTAMP_SECOND + 999999, back;
		ck_assert_ptr_eq(timestamp_hl7(us, offsets[_i], buf), buf);
		ck_assert_uint_eq(strlen(buf), strlen("20260115143000+0800"));
		ck_assert_int_eq(timestamp_parse(view_of(buf), 12345, &back), 0);
		ck_assert_int_eq(back, s * TIMESTAMP_SECOND);
		ck_assert_int_eq(timestamp_parse(view_of(timestamp_rfc3339(us, offsets[_i], buf)), 12345, &back), 0);
		ck_assert_uint_eq(strlen(buf), strlen("2026-01-15T14:30:00+08:00"));
		ck_assert_int_eq(back, s * TIMESTAMP_SECOND);
	}
}
END_TEST

START_TEST(formats_are_those_of_the_standards)
{
	const int64_t us = INT64_C(1768458659) * TIMESTAMP_SECOND + 999999;	/* 2026-01-15 06:30:59.999999 UTC */
	char buf[TIMESTAMP_TEXT];

	ck_assert_str_eq(timestamp_hl7(us, CHINA, buf), "20260115143059+0800");
	ck_assert_str_eq(timestamp_rfc3339(us, CHINA, buf), "2026-01-15T14:30:59+08:00");
	ck_assert_str_eq(timestamp_hl7(us, -12600, buf), "20260115030059-0330");
	ck_assert_str_eq(timestamp_rfc3339(us, -12600, buf), "2026-01-15T03:00:59-03:30");
	ck_assert_str_eq(timestamp_rfc3339(-1, 0, buf), "1969-12-31T23:59:59+00:00");
	/* beyond the calendar of the wire: any text, but inside the buffer */
	ck_assert_uint_lt(strlen(timestamp_rfc3339(INT64_MAX, CHINA, buf)), TIMESTAMP_TEXT);
	ck_assert_uint_lt(strlen(timestamp_rfc3339(INT64_MIN, NEW_YORK, buf)), TIMESTAMP_TEXT);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("timestamp");

	check_add_rows(run, every_form_means_its_instant, readable);
	check_add_rows(run, garbage_is_refused_and_leaves_the_output, garbage);
	tcase_add_test(run.tcase, nothing_and_nul_are_garbage);
	check_add_rows(run, a_date_is_the_one_on_the_senders_calendar, dates);
	tcase_add_test(run.tcase, every_day_agrees_with_the_c_library);
	check_add_rows(run, both_formats_read_back, offsets);
	tcase_add_test(run.tcase, formats_are_those_of_the_standards);
	return check_end(run);
}
