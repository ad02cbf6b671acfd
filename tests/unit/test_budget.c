/* The memory budget: the two limits, names, and that everything comes back. */
#include "check_main.h"

#include "base/budget.h"

START_TEST(test_counts_what_is_held_now)
{
	struct budget b = {.limit = 100, .strangers_limit = 40};
	struct account a, k;

	account_open(&a, &b, false);
	account_open(&k, &b, true);
	ck_assert(account_set(&a, 30) && account_set(&a, 10));
	ck_assert(account_set(&k, 50));
	ck_assert_uint_eq(b.used, 60);
	ck_assert_uint_eq(b.strangers_used, 10);
	account_close(&a);
	ck_assert_uint_eq(b.used, 50);
	ck_assert_uint_eq(b.strangers_used, 0);
	account_close(&k);
	ck_assert_uint_eq(b.used, 0);
}
END_TEST

START_TEST(test_limit_is_of_all)
{
	struct budget b = {.limit = 100, .strangers_limit = 100};
	struct account a, k;

	account_open(&a, &b, true);
	account_open(&k, &b, true);
	ck_assert(account_set(&a, 60));
	ck_assert(account_set(&k, 40));		/* exactly all of it */
	ck_assert(!account_set(&k, 41));
	ck_assert_uint_eq(b.used, 100);		/* nothing changed */
	ck_assert_uint_eq(k.held, 40);
	ck_assert(account_set(&a, 59) && account_set(&k, 41));
	account_close(&a);
	account_close(&k);
	ck_assert_uint_eq(b.used, 0);
}
END_TEST

START_TEST(test_strangers_have_a_share)
{
	struct budget b = {.limit = 100, .strangers_limit = 20};
	struct account a, k, named;

	account_open(&a, &b, false);
	account_open(&k, &b, false);
	account_open(&named, &b, true);
	ck_assert(account_set(&a, 15) && account_set(&k, 5));
	ck_assert(!account_set(&k, 6));
	ck_assert_uint_eq(b.strangers_used, 20);
	ck_assert_uint_eq(b.used, 20);
	ck_assert(account_set(&named, 80));	/* the rest is for who is known */
	ck_assert(!account_set(&named, 81));
	account_close(&a);
	account_close(&k);
	account_close(&named);
	ck_assert_uint_eq(b.used + b.strangers_used, 0);
}
END_TEST

/* Beyond a limit that was lowered, or beyond a share, less than before is always fine. */
START_TEST(test_less_is_always_fine)
{
	struct budget b = {.limit = 100, .strangers_limit = 100};
	struct account a;

	account_open(&a, &b, false);
	ck_assert(account_set(&a, 90));
	b.limit = b.strangers_limit = 10;	/* a reload */
	ck_assert(account_set(&a, 80));
	ck_assert(account_set(&a, 80));
	ck_assert(!account_set(&a, 81));
	account_close(&a);
	ck_assert_uint_eq(b.used + b.strangers_used, 0);
}
END_TEST

START_TEST(test_a_name_frees_the_share)
{
	struct budget b = {.limit = 100, .strangers_limit = 20};
	struct account a, k;

	account_open(&a, &b, false);
	account_open(&k, &b, false);
	ck_assert(account_set(&a, 20));
	ck_assert(!account_set(&k, 1));
	account_name(&a);
	account_name(&a);	/* once is enough */
	ck_assert_uint_eq(b.strangers_used, 0);
	ck_assert_uint_eq(b.used, 20);
	ck_assert(account_set(&k, 20) && account_set(&a, 80));
	account_close(&a);
	ck_assert_uint_eq(b.used, 20);
	ck_assert_uint_eq(b.strangers_used, 20);
	account_close(&k);
	ck_assert_uint_eq(b.used + b.strangers_used, 0);
}
END_TEST

START_TEST(test_closed_and_empty_accounts)
{
	struct budget b = {.limit = 100, .strangers_limit = 20};
	struct account a = {0};

	account_close(&a);
	account_name(&a);
	account_open(&a, &b, false);
	ck_assert(account_set(&a, 7));
	account_close(&a);
	account_close(&a);
	ck_assert_uint_eq(b.used + b.strangers_used, 0);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("budget");

	tcase_add_test(run.tcase, test_counts_what_is_held_now);
	tcase_add_test(run.tcase, test_limit_is_of_all);
	tcase_add_test(run.tcase, test_strangers_have_a_share);
	tcase_add_test(run.tcase, test_less_is_always_fine);
	tcase_add_test(run.tcase, test_a_name_frees_the_share);
	tcase_add_test(run.tcase, test_closed_and_empty_accounts);
	return check_end(run);
}
