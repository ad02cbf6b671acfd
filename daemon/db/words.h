/* What a function returned as an array of plain words or numbers, in PostgreSQL's text format: {posted,duplicate,NULL}. Words that need quotes are not read. */
#ifndef VB_DB_WORDS_H
#define VB_DB_WORDS_H

#include <libpq-fe.h>

#include "proto/outcome.h"
#include "proto/view.h"

struct words {
	const char *at;
	struct view last;		/* outcomes come in runs: each is looked up once */
	enum outcome known;
};

/* The array in row 0 of the column, by its name; null is an empty one. Its views are the result's. */
struct words words_of(const PGresult *result, const char *column);
/* Is the column null there? */
bool words_are_null(const PGresult *result, const char *column);

/* The next word; false after the last. A null element is the word NULL. */
bool words_next(struct words *w, struct view *ret);
/* The next word, as an outcome. A word that is none is logged, and OUTCOME_INTERNAL. */
bool words_next_outcome(struct words *w, enum outcome *ret);

#endif
