/* CSV: any text ends in an end or in an error; fields are inside of the text or copies; lines only go up; and records that are written out again,
 * every field in quotes, are read as the same records. */
#include "fuzz.h"

#include "ctl/csv.h"

struct text {
	char *p;
	size_t n, room;
};

static void
put(struct text *t, char c)
{
	if (t->n == t->room)
		FUZZ_CHECK((t->p = realloc(t->p, t->room = t->room * 2 + 64)) != NULL);
	t->p[t->n++] = c;
}

static void
put_record(struct text *t, const struct csv_record *r)
{
	for (size_t i = 0; i < r->n; i++) {
		if (i > 0)
			put(t, ',');
		put(t, '"');
		for (size_t k = 0; k < r->fields[i].n; k++) {
			if (r->fields[i].p[k] == '"')
				put(t, '"');
			put(t, r->fields[i].p[k]);
		}
		put(t, '"');
	}
	put(t, '\n');
}

/* Reads all records. Returns how it ended. written: what was read, in quotes; records: how many. */
static enum csv_result
read_all(struct view text, struct text *written, size_t *records)
{
	struct csv csv;
	struct arena a = {0};
	struct csv_record r = {.line = 0};
	const char *wrong = NULL;
	int line = 0, lines = 1;
	enum csv_result result;

	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	csv_begin(&csv, text);
	while ((result = csv_next(&csv, &a, &r, &wrong)) == CSV_RECORD) {
		FUZZ_CHECK(r.n > 0 && r.n <= CSV_FIELDS && r.line > line && r.line <= lines && csv.rest.n <= text.n);
		line = r.line;
		put_record(written, &r);
		(*records)++;
	}
	FUZZ_CHECK(result == CSV_END ? csv.rest.n == 0 : wrong != NULL && r.n <= CSV_FIELDS && r.line >= line);
	arena_free(&a);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text once = {0}, twice = {0};
	size_t n = 0, m = 0;

	if (size > 16384)
		return 0;
	char *bytes = fuzz_copy(data, size);
	read_all((struct view){bytes, size}, &once, &n);
	/* in memory that ends where it ends */
	char *exact = fuzz_copy(once.p, once.n);
	FUZZ_CHECK(read_all((struct view){exact, once.n}, &twice, &m) == CSV_END);
	FUZZ_CHECK(n == m && once.n == twice.n && (once.n == 0 || memcmp(once.p, twice.p, once.n) == 0));
	free(exact);
	free(once.p);
	free(twice.p);
	free(bytes);
	return 0;
}
