/* A table for the terminal: as wide as its cells, its flexible columns cut to the terminal's width. */
#ifndef VB_CTL_TABLE_H
#define VB_CTL_TABLE_H

#include "text.h"

struct column {
	const char *title;
	enum text_align align;
	bool flexible;		/* may be cut */
};

struct table;

/* columns must outlive it; a table whose titles are all empty has no head. */
struct table *table_new(const struct column *columns, size_t n);
void table_free(struct table *t);

/* Adds a row: a text a column, copied; NULL is shown as "-". */
void table_add(struct table *t, const char *const *cells);
size_t table_rows(const struct table *t);

/* indent: blanks before each row. */
void table_print(const struct table *t, FILE *out, int indent);

#endif
