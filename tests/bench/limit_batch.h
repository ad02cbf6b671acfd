/* The task is one batch of the limit program: rows as binary arrays of which only ids, visits and line numbers differ from batch to batch, so that
 * preparing one costs next to nothing. */
#ifndef VB_BENCH_LIMIT_BATCH_H
#define VB_BENCH_LIMIT_BATCH_H

#include "common.h"

/* A visit as the database knows it; each belongs to one connection, so line numbers are counted here. */
struct limit_visit {
	int64_t visit_id;
	int32_t line_count;
	int64_t amount;		/* of the batch that is made */
	int32_t lines;		/* of it; 0: not in it yet */
};

enum { LIMIT_PARAMS = 23 };

struct limit_batch;

struct limit_batch *limit_batch_new(unsigned rows, unsigned rows_a_visit, const char *tag);
void limit_batch_free(struct limit_batch *b);

/* Fills it with lines for visits picked from these, numbered from serial on. */
void limit_batch_fill(struct limit_batch *b, struct limit_visit *visits, unsigned n, uint64_t serial, uint64_t *random);

/* The statement, and its parameters as PQsendQueryPrepared wants them. */
extern const char limit_sql[];
const char *const *limit_batch_values(const struct limit_batch *b);
const int *limit_batch_lengths(const struct limit_batch *b);
const int *limit_formats(void);

#endif
