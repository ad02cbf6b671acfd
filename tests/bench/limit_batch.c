/* Arrays are laid out once; see limit_batch.h. A fixed-width column is patched in place. */
#include "limit_batch.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalogue.h"

/* In the order of limit_sql. */
enum column {
	C_VISIT, C_LINE_NO, C_CATEGORY, C_SELF_PAY, C_QUANTITY, C_PRICE, C_AMOUNT, C_AT, C_DIGEST, C_SOURCE, C_MESSAGE, C_CODE, C_NAME, C_NATIONAL, C_CLASS,
	C_UNIT, C_DEPARTMENT, C_PERFORMER, C_ORDERER, C_ORDER, S_VISIT, S_AMOUNT, S_LINES
};

enum { OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_TEXT = 25, OID_TIMESTAMPTZ = 1184, OID_UUID = 2950, ARRAY_HEADER = 20 };

static const uint32_t oids[LIMIT_PARAMS] = {
	OID_INT8, OID_INT4, OID_INT2, OID_INT2, OID_INT8, OID_INT8, OID_INT8, OID_TIMESTAMPTZ, OID_UUID, OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT,
	OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT, OID_INT8, OID_INT8, OID_INT4,
};

/* One statement is one transaction. No judging, and visits need no lock of their own: no other connection has them. */
const char limit_sql[] =
    "with booked as (insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount, charged_at, posted_at,"
    " digest, source_line, message_id, item_code, item_name, national_code, class, unit, department, performer, orderer, order_no)"
    " select visit_id, line_no, 1, 'CG', category, self_pay, quantity, price, amount, charged_at, now(), digest, source_line, message, code, name, national,"
    " class, unit, department, performer, orderer, order_no"
    " from unnest($1::bigint[], $2::int[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[], $9::uuid[],"
    " $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[])"
    " l (visit_id, line_no, category, self_pay, quantity, price, amount, charged_at, digest, source_line, message, code, name, national, class, unit,"
    " department, performer, orderer, order_no))"
    " update visit v set total = v.total + s.amount, line_count = v.line_count + s.lines"
    " from unnest($21::bigint[], $22::bigint[], $23::int[]) s (visit_id, amount, lines) where v.visit_id = s.visit_id";

struct limit_batch {
	unsigned rows, rows_a_visit;
	char tag[16];
	struct buffer columns[LIMIT_PARAMS];
	size_t *source_at, *message_at, *order_at;	/* where digits go */
	unsigned *picked;
	const char *values[LIMIT_PARAMS];
	int lengths[LIMIT_PARAMS];
};

static int formats[LIMIT_PARAMS];

const int *
limit_formats(void)
{
	for (int i = 0; i < LIMIT_PARAMS; i++)
		formats[i] = 1;
	return formats;
}

static void
put32(char *to, uint32_t v)
{
	v = htobe32(v);
	memcpy(to, &v, 4);
}

static void
put64(char *to, int64_t v)
{
	uint64_t wire = htobe64((uint64_t)v);
	memcpy(to, &wire, 8);
}

static void
element(struct buffer *b, const void *p, size_t n)
{
	char length[4];

	put32(length, (uint32_t)n);
	buffer_put(b, length, 4);
	buffer_put(b, p, n);
}

static void
text(struct limit_batch *b, enum column c, const char *s)
{
	element(&b->columns[c], s, strlen(s));
}

static void
int8(struct limit_batch *b, enum column c, int64_t v)
{
	char wire[8];

	put64(wire, v);
	element(&b->columns[c], wire, 8);
}

static void
int4(struct limit_batch *b, enum column c, uint32_t v)
{
	char wire[4];

	put32(wire, v);
	element(&b->columns[c], wire, 4);
}

static void
int2(struct limit_batch *b, enum column c, int v)
{
	uint16_t wire = htobe16((uint16_t)v);

	element(&b->columns[c], &wire, 2);
}

/* Text with room for digits at its end; says where that is. */
static size_t
numbered(struct limit_batch *b, enum column c, const char *prefix, unsigned digits)
{
	char s[64];
	int n = snprintf(s, sizeof(s), "%s%0*d", prefix, (int)digits, 0);

	element(&b->columns[c], s, (size_t)n);
	return b->columns[c].used - digits;
}

static void
header(struct limit_batch *b, enum column c, uint32_t rows)
{
	const uint32_t words[5] = {rows > 0 ? 1 : 0, 0, oids[c], rows, 1};

	for (int i = 0; i < 5; i++)
		put32(b->columns[c].p + i * 4, words[i]);
}

static void
row_lay_out(struct limit_batch *b, unsigned r, int64_t charged_at)
{
	const struct item *i = &catalogue[(r / b->rows_a_visit + r % b->rows_a_visit) % CATALOGUE_ITEMS];
	char name[100], prefix[32];
	static const char zero[16];

	int8(b, C_VISIT, 0);
	int4(b, C_LINE_NO, 0);
	int2(b, C_CATEGORY, catalogue_category(i));
	int2(b, C_SELF_PAY, i->class[0] == 'A' ? 0 : 1000);
	int8(b, C_QUANTITY, i->quantity * 10000);
	int8(b, C_PRICE, i->price * 10000);
	int8(b, C_AMOUNT, i->quantity * i->price);
	int8(b, C_AT, charged_at);
	element(&b->columns[C_DIGEST], zero, 16);
	snprintf(prefix, sizeof(prefix), "%s-", b->tag);
	b->source_at[r] = numbered(b, C_SOURCE, prefix, 12);
	b->message_at[r] = numbered(b, C_MESSAGE, prefix, 10);
	text(b, C_CODE, i->code);
	text(b, C_NAME, i->name);
	text(b, C_NATIONAL, i->national_code);
	text(b, C_CLASS, i->class);
	text(b, C_UNIT, i->unit);
	text(b, C_DEPARTMENT, i->department);
	snprintf(name, sizeof(name), "%s%s", i->performer_family, i->performer_given);
	text(b, C_PERFORMER, name);
	snprintf(name, sizeof(name), "%s%s", i->orderer_family, i->orderer_given);
	text(b, C_ORDERER, name);
	b->order_at[r] = numbered(b, C_ORDER, "O", 12);
}

struct limit_batch *
limit_batch_new(unsigned rows, unsigned rows_a_visit, const char *tag)
{
	struct limit_batch *b = need(sizeof(*b));
	static const char zeros[ARRAY_HEADER];
	int64_t charged_at = ((int64_t)time(NULL) - 946684800) * 1000000;

	b->rows = rows;
	b->rows_a_visit = rows_a_visit;
	snprintf(b->tag, sizeof(b->tag), "%s", tag);
	b->source_at = need(rows * sizeof(size_t));
	b->message_at = need(rows * sizeof(size_t));
	b->order_at = need(rows * sizeof(size_t));
	b->picked = need(rows * sizeof(unsigned));
	for (int c = 0; c < LIMIT_PARAMS; c++)
		buffer_put(&b->columns[c], zeros, ARRAY_HEADER);
	for (unsigned r = 0; r < rows; r++)
		row_lay_out(b, r, charged_at);
	for (int c = 0; c < S_VISIT; c++) {
		header(b, (enum column)c, rows);
		b->values[c] = b->columns[c].p;
		b->lengths[c] = (int)b->columns[c].used;
	}
	return b;
}

void
limit_batch_free(struct limit_batch *b)
{
	for (int c = 0; c < LIMIT_PARAMS; c++)
		buffer_free(&b->columns[c]);
	free(b->source_at);
	free(b->message_at);
	free(b->order_at);
	free(b->picked);
	free(b);
}

static int
by_visit(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

/* Sums by visit, counted here: the database only adds them. */
static void
totals_fill(struct limit_batch *b, struct limit_visit *visits, unsigned groups)
{
	uint32_t n = 0;

	for (int c = S_VISIT; c < LIMIT_PARAMS; c++)
		b->columns[c].used = ARRAY_HEADER;
	for (unsigned g = 0; g < groups; g++) {
		struct limit_visit *v = &visits[b->picked[g]];
		if (v->lines == 0)
			continue;
		int8(b, S_VISIT, v->visit_id);
		int8(b, S_AMOUNT, v->amount);
		int4(b, S_LINES, (uint32_t)v->lines);
		v->amount = 0;
		v->lines = 0;
		n++;
	}
	for (int c = S_VISIT; c < LIMIT_PARAMS; c++) {
		header(b, (enum column)c, n);
		b->values[c] = b->columns[c].p;
		b->lengths[c] = (int)b->columns[c].used;
	}
}

void
limit_batch_fill(struct limit_batch *b, struct limit_visit *visits, unsigned n, uint64_t serial, uint64_t *random)
{
	unsigned groups = (b->rows + b->rows_a_visit - 1) / b->rows_a_visit;

	/* in the order of the key: the index is then walked from left to right */
	for (unsigned g = 0; g < groups; g++)
		b->picked[g] = (unsigned)(next_random(random) % n);
	qsort(b->picked, groups, sizeof(unsigned), by_visit);
	for (unsigned r = 0; r < b->rows; r++) {
		struct limit_visit *v = &visits[b->picked[r / b->rows_a_visit]];
		char *digest = b->columns[C_DIGEST].p + ARRAY_HEADER + r * 20 + 4;
		put64(b->columns[C_VISIT].p + ARRAY_HEADER + r * 12 + 4, v->visit_id);
		put32(b->columns[C_LINE_NO].p + ARRAY_HEADER + r * 8 + 4, (uint32_t)++v->line_count);
		put64(digest, (int64_t)next_random(random));
		put64(digest + 8, (int64_t)next_random(random));
		put_digits(b->columns[C_SOURCE].p + b->source_at[r], serial + r, 12);
		put_digits(b->columns[C_MESSAGE].p + b->message_at[r], (serial + r) / b->rows_a_visit % UINT64_C(10000000000), 10);
		put_digits(b->columns[C_ORDER].p + b->order_at[r], serial + r, 12);
		int64_t amount;
		memcpy(&amount, b->columns[C_AMOUNT].p + ARRAY_HEADER + r * 12 + 4, 8);
		v->amount += (int64_t)be64toh((uint64_t)amount);
		v->lines++;
	}
	totals_fill(b, visits, groups);
}

const char *const *
limit_batch_values(const struct limit_batch *b)
{
	return b->values;
}

const int *
limit_batch_lengths(const struct limit_batch *b)
{
	return b->lengths;
}
