/* The servers of a conninfo: which lists name them one by one, which server is ours, and what is news about one. */
#include "db/servers.h"

#include <string.h>

#include "check_main.h"

static const struct {
	const char *conninfo, *first, *last;	/* NULL: refused, and last is what it says */
} conninfos[] = {
	{"dbname=x", "default:5432", "default:5432"}, {"host=a", "a:5432", "a:5432"}, {"host=a,b", "a:5432", "b:5432"},
	{"host=a,b port=5433", "a:5433", "b:5433"}, {"host=a,b port=5433,5434", "a:5433", "b:5434"}, {"host=a,b port=5433,", "a:5433", "b:5432"},
	{"hostaddr=127.0.0.1,127.0.0.2", "127.0.0.1:5432", "127.0.0.2:5432"}, {"host=a,b hostaddr=127.0.0.1,127.0.0.2", "a:5432", "b:5432"},
	{"postgresql://a:1,b:2/x", "a:1", "b:2"},
	{"host=,b", NULL, "empty element"}, {"host=a,", NULL, "empty element"}, {"host=a,,b", NULL, "empty element"}, {"host=,", NULL, "empty element"},
	{"hostaddr=127.0.0.1,", NULL, "empty element"}, {"host=a,b hostaddr=127.0.0.1,", NULL, "empty element"},
	{"host=a,b hostaddr=127.0.0.1", NULL, "as many hosts as addresses"}, {"host=a,b port=1,2,3", NULL, "as many ports as hosts"},
	{"host=a,b,c port=1,2", NULL, "as many ports as hosts"}, {"host=a port=1,2", NULL, "as many ports as hosts"},
	{"password=secret host", NULL, "not a connection string"},
};

START_TEST(test_conninfo)
{
	char error[200] = "";
	struct servers *s = servers_new(conninfos[_i].conninfo, error, sizeof(error));

	if (conninfos[_i].first == NULL) {
		ck_assert_ptr_null(s);
		ck_assert_msg(strstr(error, conninfos[_i].last) != NULL, "%s: %s", conninfos[_i].conninfo, error);
		ck_assert_ptr_null(strstr(error, "secret"));
		return;
	}
	ck_assert_msg(s != NULL, "%s: %s", conninfos[_i].conninfo, error);
	ck_assert_str_eq(servers_name(s, 0), conninfos[_i].first);
	ck_assert_str_eq(servers_name(s, servers_count(s) - 1), conninfos[_i].last);
	servers_free(s);
}
END_TEST

START_TEST(test_judge)
{
	char error[200];
	struct servers *s = servers_new("host=a,b", error, sizeof(error));
	const struct server_identity standby = {.system = 7, .standby = true}, first = {.system = 7, .timeline = 1}, second = {.system = 7, .timeline = 2},
	    stranger = {.system = 8, .timeline = 3};

	ck_assert_str_eq(servers_judge(s, 0, &standby), "a:5432 is a standby");
	ck_assert_ptr_null(servers_judge(s, 0, &first));
	ck_assert_ptr_null(servers_judge(s, 1, &second));
	ck_assert_uint_eq(servers_ours(s), 1);
	ck_assert_ptr_nonnull(strstr(servers_judge(s, 0, &first), "left behind"));
	ck_assert_ptr_nonnull(strstr(servers_judge(s, 0, &stranger), "another cluster"));
	ck_assert_uint_eq(servers_ours(s), 1);
	servers_free(s);

	s = servers_new("host=a", error, sizeof(error));
	ck_assert_ptr_nonnull(strstr(servers_judge(s, 0, &standby), "names no other server"));
	servers_free(s);
}
END_TEST

START_TEST(test_news)
{
	char error[200];
	struct servers *s = servers_new("host=a,b", error, sizeof(error));

	ck_assert(servers_is_news(s, 0, "down"));
	ck_assert(!servers_is_news(s, 0, "down"));
	ck_assert(servers_is_news(s, 1, "down"));
	ck_assert(servers_is_news(s, 0, "still down"));
	ck_assert(servers_is_news(s, 0, NULL));
	ck_assert(!servers_is_news(s, 0, NULL));
	ck_assert(servers_is_news(s, 0, "still down"));
	servers_free(s);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("servers");

	check_add_rows(run, test_conninfo, conninfos);
	tcase_add_test(run.tcase, test_judge);
	tcase_add_test(run.tcase, test_news);
	return check_end(run);
}
