/* What all feeds have in common about a line: the digest of any text, and the checks with the place that the feed names. */
#include "check_main.h"

#include "proto/intake.h"
#include "proto/timestamp.h"

static const int64_t now = INT64_C(1768458659) * TIMESTAMP_SECOND;

static struct charge_line
ordinary(void)
{
	return (struct charge_line){
		.source_line = VIEW_LITERAL("L"), .code = VIEW_LITERAL("X01"), .name = VIEW_LITERAL("CBC"), .charged_at = now,
		.has_quantity = true, .quantity = 20000, .has_amount = true, .amount = 2000, .has_price = true, .price = 10000000,
	};
}

/* Uses the stack that the digest is going to use. */
static void __attribute__((noinline))
dirty_the_stack(int byte)
{
	volatile char waste[16384];

	for (size_t i = 0; i < sizeof(waste); i++)
		waste[i] = (char)byte;
}

/* Lengths around every limit that an implementation may have. */
static const size_t lengths[] = {0, 1, 100, 500, 1900, 1990, 2000, 2040, 2048, 2100, 4096, 10000, 65535, 65536, 65537, 70000, 200000};

START_TEST(a_long_text_counts_to_its_last_byte)
{
	size_t n = lengths[_i];
	char *text = malloc(n + 1);
	struct charge_line l = ordinary(), other;

	ck_assert_ptr_nonnull(text);
	memset(text, 'n', n + 1);
	struct view *places[] = {&l.code, &l.name, &l.national_code, &l.department, &l.performer, &l.orderer, &l.order_no, &l.reverses};
	for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
		l = ordinary();
		*places[p] = (struct view){text, n};
		dirty_the_stack(0x55);
		charge_line_digest(&l);
		other = l;
		dirty_the_stack(0xAA);
		charge_line_digest(&other);
		ck_assert_msg(memcmp(l.digest, other.digest, 16) == 0, "text %zu of %zu bytes: a resend differs", p, n);
		if (n == 0)
			continue;
		text[n - 1] = 'm';
		charge_line_digest(&other);
		text[n - 1] = 'n';
		ck_assert_msg(memcmp(l.digest, other.digest, 16) != 0, "text %zu of %zu bytes: a change is not seen", p, n);
		places[p]->n = n - 1;
		charge_line_digest(&l);
		ck_assert_msg(memcmp(l.digest, other.digest, 16) != 0, "text %zu of %zu bytes: a cut is not seen", p, n);
	}
	free(text);
}
END_TEST

START_TEST(neighbours_do_not_borrow)
{
	struct charge_line a = ordinary(), b = ordinary();

	a.department = VIEW_LITERAL("AB"), a.performer = VIEW_LITERAL("C");
	b.department = VIEW_LITERAL("A"), b.performer = VIEW_LITERAL("BC");
	charge_line_digest(&a);
	charge_line_digest(&b);
	ck_assert_mem_ne(a.digest, b.digest, 16);
	a = b = ordinary();
	a.department = VIEW_LITERAL("A");
	b.performer = VIEW_LITERAL("A");
	charge_line_digest(&a);
	charge_line_digest(&b);
	ck_assert_mem_ne(a.digest, b.digest, 16);
}
END_TEST

START_TEST(absent_is_not_zero)
{
	struct charge_line a = ordinary(), b = ordinary();

	a.quantity = a.price = a.amount = 0;
	b.has_quantity = b.has_price = b.has_amount = false;
	charge_line_digest(&a);
	charge_line_digest(&b);
	ck_assert_mem_ne(a.digest, b.digest, 16);
	a = b;
	a.quantity = 5, a.price = 6, a.amount = 7;	/* left over, and not said */
	charge_line_digest(&a);
	ck_assert_mem_eq(a.digest, b.digest, 16);
}
END_TEST

START_TEST(the_id_and_the_place_are_no_content)
{
	struct charge_line a = ordinary(), b = ordinary();

	b.source_line = VIEW_LITERAL("other");
	b.ordinal = 9;
	b.visit = 3;
	b.outcome = OUTCOME_POSTED;
	b.visit_total = 4711;
	charge_line_digest(&a);
	charge_line_digest(&b);
	ck_assert_mem_eq(a.digest, b.digest, 16);
}
END_TEST

static int line_fields;	/* its address is what the check has to hand over */

static const char *
place(void *arg, enum line_field field)
{
	static const char *const names[] = {
		[LINE_FIELD_SOURCE_LINE] = "source_line", [LINE_FIELD_REVERSES] = "reverses", [LINE_FIELD_CODE] = "code", [LINE_FIELD_NAME] = "name",
		[LINE_FIELD_NATIONAL_CODE] = "national_code", [LINE_FIELD_DEPARTMENT] = "department", [LINE_FIELD_PERFORMER] = "performer",
		[LINE_FIELD_ORDERER] = "orderer", [LINE_FIELD_ORDER_NO] = "order_no", [LINE_FIELD_QUANTITY] = "quantity", [LINE_FIELD_PRICE] = "price",
		[LINE_FIELD_AMOUNT] = "amount", [LINE_FIELD_CHARGED_AT] = "charged_at",
	};

	ck_assert_ptr_eq(arg, &line_fields);
	return names[field];
}

/* A line as it is but for one thing. */
static const struct {
	const char *what;
	enum line_kind kind;
	int64_t quantity, price, amount;	/* NONE: not given */
	int64_t charged_at;			/* seconds from now */
	const char *reason, *location;
	int64_t amount_after;
} checks[] = {
#define NONE INT64_MIN
	{"as it is", LINE_CHARGE, 20000, 10000000, 2000, 0, NULL, NULL, 2000},
	{"amount from price", LINE_CHARGE, 20000, 10000000, NONE, 0, NULL, NULL, 2000},
	{"amount of one", LINE_CHARGE, NONE, 10000000, NONE, 0, NULL, NULL, 1000},
	{"for the price list", LINE_CHARGE, 20000, NONE, NONE, 0, NULL, NULL, NONE},
	{"a day ahead", LINE_CHARGE, 20000, 10000000, 2000, 86400, NULL, NULL, 2000},
	{"later", LINE_CHARGE, 20000, 10000000, 2000, 86401, "date_absurd", "charged_at", 0},
	{"before 1990", LINE_CHARGE, 20000, 10000000, 2000, 631152000 - 1768458659 - 1, "date_absurd", "charged_at", 0},
	{"in 1990", LINE_CHARGE, 20000, 10000000, 2000, 631152000 - 1768458659, NULL, NULL, 2000},
	{"0.01 more", LINE_CHARGE, 20000, 10000000, 2001, 0, NULL, NULL, 2001},
	{"0.02 more", LINE_CHARGE, 20000, 10000000, 2002, 0, "amount_mismatch", "amount", 0},
	{"0.02 less", LINE_CHARGE, 20000, 10000000, 1998, 0, "amount_mismatch", "amount", 0},
	{"too large", LINE_CHARGE, INT64_C(999999999999999999), INT64_C(999999999999999999), 1, 0, "amount_too_large", "price", 0},
	{"negative amount", LINE_CHARGE, 10000, NONE, -1, 0, "amount_negative", "amount", 0},
	{"negative quantity", LINE_CHARGE, -10000, NONE, NONE, 0, "amount_negative", "quantity", 0},
	{"negative price", LINE_CHARGE, 10000, -1, NONE, 0, "amount_negative", "price", 0},
	{"negative adjustment", LINE_ADJUSTMENT, 20000, 10000000, -2000, 0, NULL, NULL, -2000},
	{"negative adjustment by price", LINE_ADJUSTMENT, 20000, -10000000, NONE, 0, NULL, NULL, -2000},
	{"credit, negative", LINE_CREDIT, -20000, 10000000, -2000, 0, NULL, NULL, 2000},
	{"credit by price", LINE_CREDIT, -20000, 10000000, NONE, 0, NULL, NULL, 2000},
	{"credit, price alone", LINE_CREDIT, NONE, 10000000, NONE, 0, NULL, NULL, NONE},
	{"payment", LINE_PAYMENT, NONE, NONE, 5000, 0, NULL, NULL, 5000},
	{"money given back elsewhere", LINE_PAYMENT, NONE, NONE, -5000, 0, "amount_negative", "amount", -5000},
	{"payment of nothing", LINE_PAYMENT, NONE, NONE, 0, 0, "field_missing", "amount", 0},
	{"payment without amount", LINE_PAYMENT, 20000, 10000000, NONE, 0, "field_missing", "amount", 0},
};

START_TEST(a_line_is_checked)
{
	struct charge_line l = ordinary();
	struct arena a;

	arena_init(&a, 0);
	l.kind = checks[_i].kind;
	l.reverses = l.kind == LINE_CREDIT ? view_of("L-0") : VIEW_NONE;
	l.has_quantity = checks[_i].quantity != NONE;
	l.quantity = l.has_quantity ? checks[_i].quantity : 0;
	l.has_price = checks[_i].price != NONE;
	l.price = l.has_price ? checks[_i].price : 0;
	l.has_amount = checks[_i].amount != NONE;
	l.amount = l.has_amount ? checks[_i].amount : 0;
	l.charged_at = now + checks[_i].charged_at * TIMESTAMP_SECOND;
	charge_line_check(&l, now, &a, place, &line_fields);
	if (checks[_i].reason != NULL) {
		ck_assert_msg(l.refused.reason != NULL && strcmp(l.refused.reason, checks[_i].reason) == 0, "%s: %s", checks[_i].what, l.refused.reason);
		ck_assert_str_eq(l.refused.location, checks[_i].location);
		ck_assert_uint_gt(strlen(l.refused.detail), 5);
	} else {
		ck_assert_msg(l.refused.reason == NULL, "%s: %s", checks[_i].what, l.refused.reason);
		ck_assert_int_eq(l.has_amount, checks[_i].amount_after != NONE);
		if (l.has_amount)
			ck_assert_int_eq(l.amount, checks[_i].amount_after);
	}
	arena_free(&a);
}
END_TEST

START_TEST(what_was_refused_before_stays_so)
{
	struct charge_line l = ordinary();

	l.refused = (struct refusal){"currency", "first", "here"};
	l.charged_at = 0;
	charge_line_check(&l, now, NULL, place, &line_fields);
	ck_assert_str_eq(l.refused.reason, "currency");
	ck_assert_str_eq(l.refused.detail, "first");
}
END_TEST

START_TEST(an_adjustment_does_not_contradict_itself)
{
	struct charge_line l = ordinary();
	struct arena a;

	arena_init(&a, 0);
	l.kind = LINE_ADJUSTMENT;
	l.quantity = -l.quantity;		/* -2 × 10.00 is not +20.00 */
	charge_line_check(&l, now, &a, place, &line_fields);
	ck_assert_ptr_nonnull(l.refused.reason);
	ck_assert_str_eq(l.refused.reason, "amount_mismatch");
	arena_free(&a);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("intake");

	check_add_rows(run, a_long_text_counts_to_its_last_byte, lengths);
	tcase_add_test(run.tcase, neighbours_do_not_borrow);
	tcase_add_test(run.tcase, absent_is_not_zero);
	tcase_add_test(run.tcase, the_id_and_the_place_are_no_content);
	check_add_rows(run, a_line_is_checked, checks);
	tcase_add_test(run.tcase, what_was_refused_before_stays_so);
	tcase_add_test(run.tcase, an_adjustment_does_not_contradict_itself);
	return check_end(run);
}
