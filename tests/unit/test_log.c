/* The log: one line an event, which what comes from outside cannot forge or lengthen; and the text of the metrics. */
#include "check_net.h"

#include <errno.h>

#include "base/log.h"

START_TEST(test_a_line_cannot_be_forged)
{
	struct log_file l;

	log_file_open(&l);
	log_warn("feed.refused", "message=%s", "1\n2026-01-01T00:00:00.000Z error fatal \x1b[31m\r");
	const char *text = log_file_text(&l);
	ck_assert_int_eq(lines_of(text), 1);
	ck_assert_ptr_null(strchr(text, '\x1b'));
	ck_assert_ptr_null(strchr(text, '\r'));
	ck_assert_ptr_nonnull(strstr(text, "Z warn feed.refused message=1 2026-01-01"));
	log_file_close(&l);
}
END_TEST

START_TEST(test_a_line_has_a_length)
{
	struct log_file l;
	char lengthy[5000];

	memset(lengthy, 'x', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	log_file_open(&l);
	errno = ENOENT;
	log_errno("test", "text=%s", lengthy);
	const char *text = log_file_text(&l);
	ck_assert_int_eq(lines_of(text), 1);
	ck_assert_uint_le(strlen(text), 2048);
	log_file_close(&l);
}
END_TEST

START_TEST(test_levels)
{
	struct log_file l;

	ck_assert(log_level_exists("debug") && !log_level_exists("loud"));
	log_file_open(&l);
	log_set_level("warn");
	log_set_level("loud");		/* changes nothing */
	log_info("a", "x");
	log_warn("b", "x");
	errno = ENOENT;
	log_errno("c", "x=1");
	const char *text = log_file_text(&l);
	ck_assert_int_eq(lines_of(text), 2);
	ck_assert_ptr_nonnull(strstr(text, "Z error c x=1 error=\"No such file or directory\"\n"));
	ck_assert_int_eq(errno, ENOENT);
	log_file_close(&l);
}
END_TEST

START_TEST(test_histogram_bounds)
{
	struct metrics *m = metrics_new();
	struct metric_series *s = metrics_series(m, "visitbill_x_lines", METRIC_HISTOGRAM, "Lines.", "feed=\"a\"");
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	metric_observe(s, 4);
	metric_observe(s, 5);
	ck_assert_ptr_eq(metrics_series(m, "visitbill_x_lines", METRIC_HISTOGRAM, "", "feed=\"a\""), s);
	ck_assert_ptr_ne(metrics_series(m, "visitbill_x_lines", METRIC_HISTOGRAM, "", "feed=\"b\""), s);
	metrics_print(m, out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "# TYPE visitbill_x_lines histogram\n"));
	ck_assert_ptr_nonnull(strstr(text, "visitbill_x_lines_bucket{feed=\"a\",le=\"2\"} 0\n"));
	ck_assert_ptr_nonnull(strstr(text, "visitbill_x_lines_bucket{feed=\"a\",le=\"4\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "visitbill_x_lines_bucket{feed=\"a\",le=\"8\"} 2\n"));
	ck_assert_ptr_nonnull(strstr(text, "visitbill_x_lines_bucket{feed=\"a\",le=\"+Inf\"} 2\n"));
	ck_assert_ptr_nonnull(strstr(text, "visitbill_x_lines_sum{feed=\"a\"} 9\n"));
	ck_assert_ptr_nonnull(strstr(text, "visitbill_x_lines_count{feed=\"a\"} 2\n"));
	free(text);
	metrics_free(m);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("log");

	tcase_add_test(run.tcase, test_a_line_cannot_be_forged);
	tcase_add_test(run.tcase, test_a_line_has_a_length);
	tcase_add_test(run.tcase, test_levels);
	tcase_add_test(run.tcase, test_histogram_bounds);
	return check_end(run);
}
