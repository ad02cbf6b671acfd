/* The servers of a conninfo: which lists name them one by one, which server is ours, and what is news about one. */
#include "db/servers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#include "check_main.h"
#include "db/host.h"

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

	clock_set_for_tests(INT64_C(100000000));
	ck_assert(servers_is_news(s, 0, "down"));
	ck_assert(!servers_is_news(s, 0, "down\nand advice"));
	ck_assert(servers_is_news(s, 1, "down"));
	ck_assert(servers_is_news(s, 0, "still down"));
	ck_assert(!servers_is_news(s, 0, "down"));		/* in turns they are none */
	clock_set_for_tests(INT64_C(159000000));
	ck_assert(!servers_is_news(s, 0, "down"));
	clock_set_for_tests(INT64_C(160000000));
	ck_assert(servers_is_news(s, 0, "down"));		/* it still is */
	servers_is_well(s, 0);
	ck_assert(!servers_is_news(s, 0, "down"));		/* one that comes and goes is a line every few seconds */
	clock_set_for_tests(INT64_C(165000000));
	ck_assert(servers_is_news(s, 0, "down"));
	for (int i = 0; i < 20; i++) {
		char why[20];
		snprintf(why, sizeof(why), "reason %d", i);
		ck_assert(servers_is_news(s, 0, why));
	}
	ck_assert(servers_is_news(s, 0, "down"));
	servers_free(s);
	clock_set_for_tests(0);
}
END_TEST

static const struct { const char *host; bool is_name; } hosts[] = {
	{"db1", true}, {"db1.hospital.example", true}, {"localhost", true}, {"10.0.0.1", false}, {"::1", false}, {"fe80::1%eth0", false}, {"/run/postgresql", false},
	{"@abstract", false}, {"", false}, {"10.0.0", true},
};

START_TEST(a_host_is_a_name_or_not)
{
	ck_assert(host_is_name(hosts[_i].host) == hosts[_i].is_name);
}
END_TEST

/* Where the conninfo says enough, nothing is looked up; a name is, and nobody waits for it. */
START_TEST(a_name_is_looked_up_beside)
{
	char error[320];
	struct server_identity id;
	const char *address, *why;
	struct servers *s = servers_new("host=/run/pg,localhost,no-such-host.invalid,db1 hostaddr=,,,10.0.0.1", error, sizeof(error));

	ck_assert_ptr_null(s);		/* libpq wants a list of addresses to be whole */
	s = servers_new("host=/run/pg,localhost,no-such-host.invalid port=1", error, sizeof(error));
	ck_assert(servers_find(s, 0, &address, &why) && address == NULL);
	ck_assert(!servers_find(s, 1, &address, &why) && why == NULL);
	for (int i = 0; i < 1000 && !servers_find(s, 1, &address, &why); i++)
		usleep(10000);
	ck_assert(strcmp(address, "127.0.0.1") == 0 || strcmp(address, "::1") == 0);
	for (int i = 0; i < 3000 && !servers_find(s, 2, &address, &why) && why == NULL; i++)
		usleep(10000);
	ck_assert_ptr_nonnull(why);
	ck_assert_ptr_nonnull(strstr(why, "could not translate host name \"no-such-host.invalid\" to address"));
	ck_assert_ptr_null(servers_look(s, 2, "test", 1000, &id, error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, "no-such-host.invalid"));
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
	check_add_rows(run, a_host_is_a_name_or_not, hosts);
	tcase_add_test(run.tcase, a_name_is_looked_up_beside);
	return check_end(run);
}
