/* Tokens of the database, as they are kept in memory. */
#include "check_main.h"

#include <string.h>

#include "access/tokens.h"

static struct tokens *t;

static void setup(void) { t = tokens_new(); }
static void teardown(void) { tokens_free(t); }

/* A token whose hash begins with these two bytes: they choose its bucket. */
static struct token
token(int64_t id, unsigned char a, unsigned char b, char *name)
{
	static char star[] = "*", none[] = "";

	return (struct token){.token_id = id, .name = name, .sha256 = {a, b, (unsigned char)id}, .role = 1, .facilities = star, .feed = none};
}

START_TEST(test_find)
{
	char name[] = "kiosk";
	struct token row = token(7, 1, 2, name);
	unsigned char other[TOKEN_HASH];

	ck_assert(!tokens_are_known(t));
	tokens_put(t, &row, 3);
	ck_assert(!tokens_are_known(t));	/* one of them is not all of them */
	tokens_set_known(t);
	ck_assert(tokens_are_known(t));
	memset(name, 'x', sizeof(name) - 1);	/* texts are copied */
	struct token *found = tokens_find(t, row.sha256, 1000);
	ck_assert_ptr_nonnull(found);
	ck_assert_str_eq(found->name, "kiosk");
	ck_assert_int_eq(found->token_id, 7);
	memcpy(other, row.sha256, sizeof(other));
	other[TOKEN_HASH - 1] ^= 1;
	ck_assert_ptr_null(tokens_find(t, other, 1000));	/* in the same bucket */
	ck_assert_int_eq(tokens_changed(t), 3);
}
END_TEST

START_TEST(test_expiry)
{
	char name[] = "kiosk";
	struct token row = token(7, 1, 2, name);

	row.expires_at = 1000;
	tokens_put(t, &row, 1);
	ck_assert_ptr_nonnull(tokens_find(t, row.sha256, 999));
	ck_assert_ptr_null(tokens_find(t, row.sha256, 1000));
	ck_assert_ptr_null(tokens_find(t, row.sha256, 1001));
	row.expires_at = 0;
	tokens_put(t, &row, 2);
	ck_assert_ptr_nonnull(tokens_find(t, row.sha256, INT64_MAX));
}
END_TEST

START_TEST(test_revoked)
{
	char name[] = "kiosk";
	struct token row = token(7, 1, 2, name);

	tokens_put(t, &row, 1);
	row.revoked = true;
	tokens_put(t, &row, 2);		/* in the place of the first */
	ck_assert_ptr_null(tokens_find(t, row.sha256, 1000));
}
END_TEST

START_TEST(test_replaced)
{
	char name[] = "kiosk";
	struct token row = token(7, 1, 2, name), fresh = token(7, 3, 4, name), other = token(8, 1, 2, name);

	tokens_put(t, &row, 1);
	tokens_put(t, &other, 2);
	tokens_put(t, &fresh, 3);
	ck_assert_ptr_null(tokens_find(t, row.sha256, 1000));
	ck_assert_ptr_nonnull(tokens_find(t, fresh.sha256, 1000));
	ck_assert_ptr_nonnull(tokens_find(t, other.sha256, 1000));
}
END_TEST

START_TEST(test_changed_only_grows)
{
	char name[] = "a";
	struct token first = token(1, 1, 2, name), second = token(2, 1, 2, name);

	ck_assert_int_eq(tokens_changed(t), 0);
	tokens_put(t, &first, 9);
	tokens_put(t, &second, 4);
	ck_assert_int_eq(tokens_changed(t), 9);
	ck_assert_ptr_nonnull(tokens_find(t, first.sha256, 1));	/* both in one bucket */
	ck_assert_ptr_nonnull(tokens_find(t, second.sha256, 1));
}
END_TEST

START_TEST(test_uses_to_tell)
{
	char name[] = "a", peer[200];
	size_t n = 0;

	memset(peer, 'p', sizeof(peer) - 1);
	peer[sizeof(peer) - 1] = '\0';
	for (int64_t id = 1; id <= 50; id++) {
		struct token row = token(id, (unsigned char)(id * 37), (unsigned char)(id * 11), name);
		tokens_put(t, &row, id);
		if (id % 2 == 0)
			token_used(tokens_find(t, row.sha256, 1), 5000 + id, peer);
	}
	for (struct token *k = tokens_used_next(t, NULL); k != NULL; k = tokens_used_next(t, k)) {
		ck_assert_int_eq(k->token_id % 2, 0);
		ck_assert_int_eq(k->used_at, 5000 + k->token_id);
		ck_assert_uint_eq(strlen(k->used_by), TOKEN_PEER - 1);
		n++;
	}
	ck_assert_uint_eq(n, 25);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("tokens");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	tcase_add_test(run.tcase, test_find);
	tcase_add_test(run.tcase, test_expiry);
	tcase_add_test(run.tcase, test_revoked);
	tcase_add_test(run.tcase, test_replaced);
	tcase_add_test(run.tcase, test_changed_only_grows);
	tcase_add_test(run.tcase, test_uses_to_tell);
	return check_end(run);
}
