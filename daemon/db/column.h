/* A column: one array parameter in PostgreSQL's binary format (array_recv: dimensions, flags, element type, then length and bytes of each
 * element). Filled element by element, reused batch after batch without giving its memory back. */
#ifndef VB_DB_COLUMN_H
#define VB_DB_COLUMN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/view.h"

enum pg_type { PG_BOOL = 16, PG_TEXT = 25, PG_INT8 = 20, PG_INT4 = 23, PG_INT2 = 21, PG_UUID = 2950, PG_TIMESTAMPTZ = 1184, PG_DATE = 1082, PG_BYTEA = 17 };

struct column {
	char *bytes;
	size_t used, room;
	uint32_t count;
	uint32_t has_null;
};

void column_reset(struct column *c);
void column_free(struct column *c);

void column_null(struct column *c);
void column_text(struct column *c, struct view v);		/* an empty view is an empty text */
void column_text_or_null(struct column *c, struct view v);	/* an empty view is null */
void column_bool(struct column *c, bool v);
void column_int8(struct column *c, int64_t v);
void column_int4(struct column *c, int32_t v);
void column_int2(struct column *c, int16_t v);
void column_uuid(struct column *c, const unsigned char v[16]);
void column_timestamp(struct column *c, int64_t unix_us);	/* timestamptz */
void column_date(struct column *c, int32_t unix_days);

/* The parameter: its bytes are the column's, valid until it changes. */
struct view column_value(struct column *c, enum pg_type element);

/* The only element as a parameter of its own, VIEW_NONE when it is null or there is none. Valid until the column changes. */
struct view column_only(const struct column *c);

#endif
