/* One field at a time. A quote is only understood where a field begins. */
#include "csv.h"

void
csv_begin(struct csv *csv, struct view text)
{
	if (text.n >= 3 && memcmp(text.p, "\xEF\xBB\xBF", 3) == 0)
		text = (struct view){text.p + 3, text.n - 3};
	*csv = (struct csv){text, 1};
}

static void
take(struct csv *csv, size_t n)
{
	csv->rest.p += n;
	csv->rest.n -= n;
}

static bool
at_end_of_field(struct view rest)
{
	return rest.n == 0 || *rest.p == ',' || *rest.p == '\n' || (*rest.p == '\r' && (rest.n == 1 || rest.p[1] == '\n'));
}

/* A copy with one quote for each two. */
static struct view
single_quotes(struct view v, struct arena *a)
{
	char *out = arena_alloc(a, v.n);
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		out[n++] = v.p[i];
		i += v.p[i] == '"';
	}
	return (struct view){out, n};
}

/* Behind the opening quote. Returns what is wrong, or NULL. */
static const char *
take_quoted(struct csv *csv, struct arena *a, struct view *ret)
{
	const char *p = csv->rest.p;
	bool quotes = false;
	size_t i = 0;

	for (; i < csv->rest.n; i++) {
		if (p[i] == '"' && (i + 1 == csv->rest.n || p[i + 1] != '"'))
			break;
		quotes = quotes || p[i] == '"';
		i += p[i] == '"';
	}
	if (i >= csv->rest.n)
		return "a quoted field has no end";
	*ret = (struct view){p, i};
	for (size_t k = 0; k < i; k++)
		csv->line += p[k] == '\n';
	if (quotes)
		*ret = single_quotes(*ret, a);
	take(csv, i + 1);
	return at_end_of_field(csv->rest) ? NULL : "there is text after a closing quote";
}

static const char *
take_plain(struct csv *csv, struct view *ret)
{
	size_t n = 0;

	while (!at_end_of_field((struct view){csv->rest.p + n, csv->rest.n - n})) {
		if (csv->rest.p[n] == '"')
			return "a quote inside a field that does not begin with one";
		n++;
	}
	*ret = (struct view){csv->rest.p, n};
	take(csv, n);
	return NULL;
}

/* Takes the end of a line, where it is there. */
static bool
take_end_of_line(struct csv *csv)
{
	if (csv->rest.n > 0 && *csv->rest.p == '\r')
		take(csv, 1);
	if (csv->rest.n > 0 && *csv->rest.p == '\n') {
		take(csv, 1);
		csv->line++;
	} else if (csv->rest.n > 0) {
		return false;
	}
	return true;
}

enum csv_result
csv_next(struct csv *csv, struct arena *a, struct csv_record *ret, const char **ret_wrong)
{
	while (csv->rest.n > 0 && (*csv->rest.p == '\n' || *csv->rest.p == '\r'))
		if (!take_end_of_line(csv))
			break;
	if (csv->rest.n == 0)
		return CSV_END;
	ret->n = 0;
	for (ret->line = csv->line;; take(csv, 1)) {
		const char *wrong = "there are too many fields";
		bool quoted = csv->rest.n > 0 && *csv->rest.p == '"';
		if (quoted)
			take(csv, 1);
		if (ret->n == CSV_FIELDS
		    || (wrong = quoted ? take_quoted(csv, a, &ret->fields[ret->n]) : take_plain(csv, &ret->fields[ret->n])) != NULL) {
			*ret_wrong = wrong;
			return CSV_BAD;
		}
		ret->n++;
		if (csv->rest.n == 0 || *csv->rest.p != ',')
			break;
	}
	take_end_of_line(csv);
	return CSV_RECORD;
}
