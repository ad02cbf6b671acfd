/* Binary arrays. PostgreSQL counts time and days from 2000-01-01. */
#include "column.h"

#include <endian.h>
#include <stdlib.h>

#include "base/memory.h"

enum { HEADER = 20 };
static const int64_t epoch_2000_us = INT64_C(946684800) * 1000000;
static const int32_t epoch_2000_days = 10957;

void
column_reset(struct column *c)
{
	c->used = HEADER;
	c->count = 0;
	c->has_null = 0;
}

void
column_free(struct column *c)
{
	free(c->bytes);
	*c = (struct column){0};
}

static char *
column_more(struct column *c, size_t n)
{
	if (c->used + n > c->room) {
		c->room = (c->used + n) * 2;
		c->bytes = memory_resize(c->bytes, c->room);
	}
	char *p = c->bytes + c->used;
	c->used += n;
	return p;
}

static void
column_put(struct column *c, const void *p, size_t n)
{
	uint32_t length = htobe32((uint32_t)n);
	char *to = column_more(c, n + 4);

	memcpy(to, &length, 4);
	if (n > 0)
		memcpy(to + 4, p, n);
	c->count++;
}

void
column_null(struct column *c)
{
	memset(column_more(c, 4), 0xFF, 4);
	c->has_null = 1;
	c->count++;
}

void
column_text(struct column *c, struct view v)
{
	column_put(c, v.p, v.n);
}

void
column_text_or_null(struct column *c, struct view v)
{
	if (v.n == 0)
		column_null(c);
	else
		column_put(c, v.p, v.n);
}

void
column_bool(struct column *c, bool v)
{
	column_put(c, v ? "\1" : "\0", 1);
}

void
column_int8(struct column *c, int64_t v)
{
	uint64_t wire = htobe64((uint64_t)v);
	column_put(c, &wire, 8);
}

void
column_int4(struct column *c, int32_t v)
{
	uint32_t wire = htobe32((uint32_t)v);
	column_put(c, &wire, 4);
}

void
column_int2(struct column *c, int16_t v)
{
	uint16_t wire = htobe16((uint16_t)v);
	column_put(c, &wire, 2);
}

void
column_uuid(struct column *c, const unsigned char v[16])
{
	column_put(c, v, 16);
}

void
column_timestamp(struct column *c, int64_t unix_us)
{
	column_int8(c, unix_us - epoch_2000_us);
}

void
column_date(struct column *c, int32_t unix_days)
{
	column_int4(c, unix_days - epoch_2000_days);
}

struct view
column_value(struct column *c, enum pg_type element)
{
	uint32_t header[5] = {htobe32(1), htobe32(c->has_null), htobe32((uint32_t)element), htobe32(c->count), htobe32(1)};

	if (c->count == 0)
		header[0] = 0;
	if (c->room < HEADER)
		column_reset(c), column_more(c, 0), c->bytes = memory_resize(c->bytes, c->room = 256);
	memcpy(c->bytes, header, HEADER);
	return (struct view){c->bytes, c->count == 0 ? 12 : c->used};
}

struct view
column_only(const struct column *c)
{
	if (c->count == 0 || c->has_null)
		return VIEW_NONE;
	return (struct view){c->bytes + HEADER + 4, c->used - HEADER - 4};
}
