/* Who is asking by HTTP, and what they may see. */
#include "check_access.h"

#include "access/principal.h"

static struct metrics *metrics;
static struct directory *d;
static struct config *config;
static struct tokens *tokens;
static struct arena arena;
static struct principal who;

static void
setup(void)
{
	metrics = metrics_new();
	d = directory_new(metrics);
	config = house_settings(house);
	ck_assert_int_eq(directory_apply(d, config, IDS), 0);
	tokens = tokens_new();
	arena_init(&arena, 1024);
}

static void
teardown(void)
{
	arena_free(&arena);
	tokens_free(tokens);
	directory_free(d);
	config_release(config);
	metrics_free(metrics);
}

static enum principal_result
ask(const char *authorization, const struct tls_identity *identity)
{
	const struct principal_sources sources = {config, d, tokens, 1000};

	who = (struct principal){0};
	return principal_of(&sources, view_of(authorization), identity, "192.0.2.1:5", &arena, &who);
}

static void
keep_token(const char *secret, unsigned role, const char *facilities, const char *feed)
{
	static int64_t id;
	char name[] = "kept", f[32], s[64];

	snprintf(f, sizeof(f), "%s", feed);
	snprintf(s, sizeof(s), "%s", facilities);
	struct token row = {.token_id = ++id, .name = name, .role = role, .facilities = s, .feed = f};
	config_hash_token(secret, strlen(secret), row.sha256);
	tokens_put(tokens, &row, id);
}

static const struct {
	const char *authorization, *subject, *names;	/* subject NULL: no certificate */
	enum principal_result result;
	unsigned role;
	const char *name, *scope;
} rows[] = {
	{"", NULL, "", PRINCIPAL_NONE, 0, NULL, NULL},
	{"Basic a2lvc2s6eA==", NULL, "", PRINCIPAL_NONE, 0, NULL, NULL},
	{"Bearer", NULL, "", PRINCIPAL_NONE, 0, NULL, NULL},
	{"Bearer nobody", NULL, "", PRINCIPAL_FAILED, 0, NULL, NULL},
	{"Bearer ", NULL, "", PRINCIPAL_NONE, 0, NULL, NULL},
	{"Bearer  ", NULL, "", PRINCIPAL_FAILED, 0, NULL, NULL},
	{"Bearer kiosk-token-12345", NULL, "", PRINCIPAL_KNOWN, MAY_KIOSK, "kiosk", "{\"H01\",\"H02\"}"},
	{"bearer  kiosk-token-12345 ", NULL, "", PRINCIPAL_KNOWN, MAY_KIOSK, "kiosk", "{\"H01\",\"H02\"}"},
	{"Bearer kiosk-token-1234", NULL, "", PRINCIPAL_FAILED, 0, NULL, NULL},
	{"Bearer desk-token-123456", NULL, "", PRINCIPAL_KNOWN, MAY_DESK, "desk", "{*}"},
	{"Bearer feed-token-of-the-api", NULL, "", PRINCIPAL_KNOWN, MAY_FEED, "api", "{\"H02\"}"},
	/* a certificate */
	{"", "CN=card", "", PRINCIPAL_KNOWN, MAY_OPS, "card", "{*}"},
	{"", "CN=nobody", "", PRINCIPAL_FAILED, 0, NULL, NULL},
	{"", CLINIC_SUBJECT, "", PRINCIPAL_KNOWN, MAY_FEED, "clinic", "{\"H01\"}"},
	{"", "CN=twin", "", PRINCIPAL_AMBIGUOUS, 0, NULL, NULL},
	/* both: what was shown must be meant */
	{"Bearer kiosk-token-12345", "CN=card", "", PRINCIPAL_KNOWN, MAY_KIOSK, "kiosk", "{\"H01\",\"H02\"}"},
	{"Bearer nobody", "CN=card", "", PRINCIPAL_FAILED, 0, NULL, NULL},
	/* an entry with a token and a certificate needs both */
	{"Bearer feed-token-of-both-kinds", "CN=x", "DNS:both.example\n", PRINCIPAL_KNOWN, MAY_FEED, "both", "{\"H01\"}"},
	{"Bearer feed-token-of-both-kinds", NULL, "", PRINCIPAL_FAILED, 0, NULL, NULL},
	{"Bearer feed-token-of-both-kinds", "CN=x", "DNS:other.example\n", PRINCIPAL_FAILED, 0, NULL, NULL},
	{"", "CN=x", "DNS:both.example\n", PRINCIPAL_FAILED, 0, NULL, NULL},
	{"Bearer feed-token-of-the-api", "CN=x", "DNS:both.example\n", PRINCIPAL_KNOWN, MAY_FEED, "api", "{\"H02\"}"},
};

START_TEST(test_of_the_settings)
{
	ck_assert_int_eq(ask(rows[_i].authorization, rows[_i].subject != NULL ? identity_of(rows[_i].subject, rows[_i].names) : NULL), rows[_i].result);
	if (rows[_i].result != PRINCIPAL_KNOWN)
		return;
	ck_assert_uint_eq(who.role, rows[_i].role);
	ck_assert_str_eq(who.name, rows[_i].name);
	ck_assert_str_eq(who.scope, rows[_i].scope);
	ck_assert_int_eq(who.feed != NULL, rows[_i].role == MAY_FEED);
}
END_TEST

START_TEST(test_of_the_database)
{
	keep_token("kept-kiosk", MAY_KIOSK, "H02", "");
	ck_assert_int_eq(ask("Bearer kept-kiosk", NULL), PRINCIPAL_KNOWN);
	ck_assert_uint_eq(who.role, MAY_KIOSK);
	ck_assert_str_eq(who.name, "kept");
	ck_assert_str_eq(who.scope, "{\"H02\"}");
	ck_assert_ptr_null(who.feed);
	struct token *used = tokens_used_next(tokens, NULL);
	ck_assert_ptr_nonnull(used);
	ck_assert_int_eq(used->used_at, 1000);
	ck_assert_str_eq(used->used_by, "192.0.2.1:5");
	ck_assert_int_eq(ask("Bearer kept-kiosk", identity_of("CN=nobody", "")), PRINCIPAL_KNOWN);
	ck_assert_int_eq(ask("", identity_of("CN=nobody", "")), PRINCIPAL_FAILED);
}
END_TEST

/* A feed's token sees the feed's facility, whatever its row says; a feed that is bound to a certificate has none, and one that is gone neither. */
START_TEST(test_feeds_of_the_database)
{
	keep_token("kept-lab", MAY_FEED, "*", "lab");
	keep_token("kept-clinic", MAY_FEED, "*", "clinic");
	keep_token("kept-gone", MAY_FEED, "*", "gone");
	ck_assert_int_eq(ask("Bearer kept-lab", NULL), PRINCIPAL_KNOWN);
	ck_assert_str_eq(who.scope, "{\"H02\"}");
	ck_assert_str_eq(who.feed->name, "lab");
	ck_assert_int_eq(ask("Bearer kept-clinic", NULL), PRINCIPAL_FAILED);
	ck_assert_int_eq(ask("Bearer kept-clinic", identity_of(CLINIC_SUBJECT, "")), PRINCIPAL_FAILED);
	ck_assert_int_eq(ask("Bearer kept-gone", NULL), PRINCIPAL_FAILED);
}
END_TEST

static const struct { const char *codes, *facility; bool has; } scopes_of[] = {
	{"*", "H01", true}, {"", "H01", false}, {"H01", "H01", true}, {"H01", "H02", false}, {"H01 H02", "H02", true}, {"H011 H02", "H01", false},
	{"XH01", "H01", false}, {"H01 H02 H03", "H03", true}, {"H01", "*", false}, {"H0", "H01", false},
};

START_TEST(test_scope_has)
{
	ck_assert_int_eq(scope_has(scope_literal(&arena, scopes_of[_i].codes), scopes_of[_i].facility), scopes_of[_i].has);
}
END_TEST

START_TEST(test_scope_literal)
{
	static const struct { const char *codes, *literal; } scopes[] = {
		{"", "{}"}, {"*", "{*}"}, {"H01", "{\"H01\"}"}, {"H01  H02 ", "{\"H01\",\"H02\"}"}, {"* H01", "{\"*\",\"H01\"}"},
	};

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		ck_assert_str_eq(scope_literal(&arena, scopes[i].codes), scopes[i].literal);
	ck_assert_uint_eq(role_bit_of("kiosk"), MAY_KIOSK);
	ck_assert_uint_eq(role_bit_of("desk"), MAY_DESK);
	ck_assert_uint_eq(role_bit_of("ops"), MAY_OPS);
	ck_assert_uint_eq(role_bit_of("feed"), MAY_FEED);
	ck_assert_uint_eq(role_bit_of("notify"), 0);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("principal");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	check_add_rows(run, test_of_the_settings, rows);
	tcase_add_test(run.tcase, test_of_the_database);
	tcase_add_test(run.tcase, test_feeds_of_the_database);
	tcase_add_test(run.tcase, test_scope_literal);
	check_add_rows(run, test_scope_has, scopes_of);
	return check_end(run);
}
