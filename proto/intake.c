/* What all feeds have in common about a charge line: its digest and the checks that need no database. */
#include "intake.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdlib.h>

#include "fields.h"
#include "money.h"
#include "timestamp.h"

/* The length goes in front, so that neighbours cannot borrow from each other. */
static size_t
digest_put(unsigned char *buf, size_t n, const void *p, size_t len)
{
	uint32_t length = (uint32_t)len;

	memcpy(buf + n, &length, sizeof(length));
	if (len > 0)
		memcpy(buf + n + sizeof(length), p, len);
	return n + sizeof(length) + len;
}

void
charge_line_digest(struct charge_line *l)
{
	unsigned char small[2048], *buf = small, md[EVP_MAX_MD_SIZE];
	size_t n = 0, need;
	struct {
		int64_t charged_at, quantity, price, amount;
		int32_t kind, category;
		uint8_t has[8];
	} numbers = {
		.charged_at = l->charged_at, .quantity = l->has_quantity ? l->quantity : 0, .price = l->has_price ? l->price : 0,
		.amount = l->has_amount ? l->amount : 0, .kind = (int32_t)l->kind, .category = l->category,
		.has = {l->has_quantity, l->has_price, l->has_amount},
	};
	const struct view texts[] = {l->code, l->name, l->national_code, l->department, l->performer, l->orderer, l->order_no, l->reverses};
	static const EVP_MD *sha256;	/* looked up once: a fetch costs more than the hash */
	static EVP_MD_CTX *context;

	enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
	need = sizeof(numbers) + (TEXTS + 1) * sizeof(uint32_t);
	for (size_t i = 0; i < TEXTS; i++)
		need += texts[i].n;
	if (need > sizeof(small) && (buf = malloc(need)) == NULL)
		abort();
	n = digest_put(buf, n, &numbers, sizeof(numbers));
	for (size_t i = 0; i < TEXTS; i++)
		n = digest_put(buf, n, texts[i].p, texts[i].n);
	if (context == NULL) {
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
		context = EVP_MD_CTX_new();
	}
	if (context == NULL || EVP_DigestInit_ex2(context, sha256, NULL) != 1 || EVP_DigestUpdate(context, buf, n) != 1
	    || EVP_DigestFinal_ex(context, md, NULL) != 1)
		abort();
	memcpy(l->digest, md, sizeof(l->digest));
	if (buf != small)
		free(buf);
}

bool
intake_time_is_sane(int64_t at, int64_t now)
{
	const int64_t year_1990 = INT64_C(631152000) * TIMESTAMP_SECOND;

	return at >= year_1990 && at <= now + TIMESTAMP_DAY;
}

static void
refuse(struct charge_line *l, const char *reason, const char *detail, const char *location)
{
	l->refused = (struct refusal){reason, detail, location};
}

/* quantity × price against the amount, where all three are there. */
static void
check_product(struct charge_line *l, struct arena *a, line_where_fn where, void *arg)
{
	int64_t product;
	char said[MONEY_TEXT], computed[MONEY_TEXT];

	if (!l->has_price)
		return;
	if (money_multiply(l->has_quantity ? l->quantity : 10000, l->price, &product) != 0 || llabs(product) > AMOUNT_BOOKED_MAX) {
		refuse(l, "amount_too_large", "quantity × unit price is too large", where(arg, LINE_FIELD_PRICE));
	} else if (!l->has_amount) {
		l->amount = l->kind == LINE_CREDIT ? llabs(product) : product;
		l->has_amount = true;
	} else if (llabs(llabs(product) - llabs(l->amount)) > 1 || (product < 0 && l->amount > 0)) {
		refuse(l, "amount_mismatch", arena_printf(a, "amount %s is not quantity × unit price = %s",
		    money_format(l->amount, said), money_format(product, computed)), where(arg, LINE_FIELD_AMOUNT));
	}
}

static void
check_texts(struct charge_line *l, struct arena *a, line_where_fn where, void *arg)
{
	static const struct { size_t offset; enum field field; enum line_field place; } texts[] = {
		{offsetof(struct charge_line, source_line), FIELD_SOURCE_LINE, LINE_FIELD_SOURCE_LINE},
		{offsetof(struct charge_line, reverses), FIELD_REVERSES, LINE_FIELD_REVERSES},
		{offsetof(struct charge_line, code), FIELD_CODE, LINE_FIELD_CODE},
		{offsetof(struct charge_line, name), FIELD_NAME, LINE_FIELD_NAME},
		{offsetof(struct charge_line, national_code), FIELD_NATIONAL_CODE, LINE_FIELD_NATIONAL_CODE},
		{offsetof(struct charge_line, department), FIELD_DEPARTMENT, LINE_FIELD_DEPARTMENT},
		{offsetof(struct charge_line, performer), FIELD_PERFORMER, LINE_FIELD_PERFORMER},
		{offsetof(struct charge_line, orderer), FIELD_ORDERER, LINE_FIELD_ORDERER},
		{offsetof(struct charge_line, order_no), FIELD_ORDER_NO, LINE_FIELD_ORDER_NO},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct view *v = (struct view *)(void *)((char *)l + texts[i].offset);
		const char *complaint;
		if (v->n == 0 || (complaint = field_text_complaint(texts[i].field, *v)) == NULL)
			continue;
		if (l->refused.reason == NULL)
			refuse(l, "field_invalid", arena_printf(a, "the %s %s", field_limit_of(texts[i].field)->name, complaint), where(arg, texts[i].place));
		*v = VIEW_NONE;
	}
}

void
charge_line_check(struct charge_line *l, int64_t now, struct arena *a, line_where_fn where, void *arg)
{
	check_texts(l, a, where, arg);
	if (l->refused.reason != NULL)
		return;
	if (l->source_line.n == 0) {
		refuse(l, "field_invalid", "the line's id is missing", where(arg, LINE_FIELD_SOURCE_LINE));
	} else if (!intake_time_is_sane(l->charged_at, now)) {
		refuse(l, "date_absurd", "the charge's date is before 1990 or in the future", where(arg, LINE_FIELD_CHARGED_AT));
	} else if (l->has_amount && llabs(l->amount) > AMOUNT_BOOKED_MAX) {
		refuse(l, "amount_too_large", "the amount has more than 14 digits before the point", where(arg, LINE_FIELD_AMOUNT));
	} else if (l->kind == LINE_CREDIT) {
		/* the sign of a credit is in its type: senders write both */
		l->quantity = llabs(l->quantity);
		l->amount = llabs(l->amount);
		l->price = llabs(l->price);
		l->has_price = l->has_price && (l->has_quantity || l->has_amount);	/* alone it says nothing: all that is left goes back */
		check_product(l, a, where, arg);
	} else if ((l->kind == LINE_CHARGE || l->kind == LINE_PAYMENT) && l->reverses.n > 0) {
		refuse(l, "field_invalid", "only a credit (CD) takes a line back", where(arg, LINE_FIELD_SOURCE_LINE));
	} else if (l->kind == LINE_PAYMENT) {
		if (!l->has_amount || l->amount == 0)
			refuse(l, "field_missing", "a payment has an amount", where(arg, LINE_FIELD_AMOUNT));
		else if (l->amount < 0)		/* taken as its size it would be money received */
			refuse(l, "amount_negative", "money that was given back elsewhere is not booked as money received", where(arg, LINE_FIELD_AMOUNT));
	} else if (l->kind == LINE_CHARGE && ((l->has_amount && l->amount < 0) || (l->has_quantity && l->quantity < 0)
	    || (l->has_price && l->price < 0))) {
		refuse(l, "amount_negative", "a charge is not negative: send a credit (CD) that names the line it takes back",
		    where(arg, l->has_amount && l->amount < 0 ? LINE_FIELD_AMOUNT : l->has_quantity && l->quantity < 0 ? LINE_FIELD_QUANTITY : LINE_FIELD_PRICE));
	} else {
		check_product(l, a, where, arg);
		if (l->refused.reason == NULL && l->code.n == 0 && l->name.n == 0)
			refuse(l, "field_missing", "a charge names its item by code or name", where(arg, LINE_FIELD_CODE));
	}
}
