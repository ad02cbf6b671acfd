/* Arrays of words, read in place. */
#include "words.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"

static int
column_of(const PGresult *result, const char *column)
{
	int n = PQfnumber(result, column);

	assert(n >= 0 && PQntuples(result) == 1);
	return n;
}

struct words
words_of(const PGresult *result, const char *column)
{
	return (struct words){.at = PQgetvalue(result, 0, column_of(result, column))};
}

bool
words_are_null(const PGresult *result, const char *column)
{
	return PQgetisnull(result, 0, column_of(result, column));
}

bool
words_next(struct words *w, struct view *ret)
{
	const char *p = w->at;

	if (*p == '{' || *p == ',')
		p++;
	if (*p == '}' || *p == '\0')
		return false;
	const char *end = p + strcspn(p, ",}");
	*ret = (struct view){p, (size_t)(end - p)};
	w->at = end;
	return true;
}

bool
words_next_outcome(struct words *w, enum outcome *ret)
{
	struct view word;

	if (!words_next(w, &word))
		return false;
	if (w->known == OUTCOME_NONE || !view_equal(word, w->last)) {
		w->last = word;
		w->known = outcome_of(word);
		if (w->known == OUTCOME_INTERNAL)
			log_error("db.outcome", "word=%.*s why=\"no outcome that is known here\"", (int)word.n, word.p);
	}
	*ret = w->known;
	return true;
}
