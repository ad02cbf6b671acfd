/* Reading rows of COPY's text format (PostgreSQL, COPY, "Text Format"), and adding them up again, without the database. */
#include "archive_row.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "document.h"
#include "proto/money.h"

enum { CATEGORIES = 14, ROW_HINT = 4096 };

struct sums {
	json_object *accounts;		/* of journal: fen by account */
	int64_t rows, amount, transfers, subtotals[CATEGORIES];
	int64_t last_key;
	int amount_at, category_at, feed_at, accounts_at, amounts_at;
};

/* What a backslash and c stand for. */
static char
unescaped(char c)
{
	static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
	const char *at = c != '\0' ? strchr(from, c) : NULL;

	return at != NULL ? to[at - from] : c;
}

static struct view
cell_of(struct arena *a, struct view text)
{
	if (view_is(text, "\\N"))
		return VIEW_NONE;
	char *out = arena_room(a, text.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++)
		out[n++] = text.p[i] == '\\' && i + 1 < text.n ? unescaped(text.p[++i]) : text.p[i];
	out[n] = '\0';
	return (struct view){out, n};
}

int
archive_cells(struct arena *a, struct view row, struct view cells[ARCHIVE_COLUMNS])
{
	for (int n = 0; n < ARCHIVE_COLUMNS; n++) {
		const char *end = row.n > 0 ? memchr(row.p, '\t', row.n) : NULL;
		cells[n] = cell_of(a, (struct view){row.p, end != NULL ? (size_t)(end - row.p) : row.n});
		if (end == NULL)
			return n + 1;
		row.n -= (size_t)(end + 1 - row.p);
		row.p = end + 1;
	}
	return -1;
}

int
archive_column(json_object *header, const char *name)
{
	json_object *columns = document_member(header, "columns");

	for (size_t i = 0; i < json_object_array_length(columns); i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(columns, i)), name) == 0)
			return (int)i;
	return -1;
}

static int
integer(struct view text, int64_t *ret)
{
	return text.p != NULL && decimal_parse(text, 0, ret) == DECIMAL_OK ? 0 : -1;
}

static int
add(int64_t *sum, int64_t more)
{
	return __builtin_add_overflow(*sum, more, sum) ? -1 : 0;
}

/* The next element of a one-dimensional array, {a,b}; names of accounts need no quotes. */
static bool
next_element(struct view *array, struct view *ret)
{
	if (array->n < 2)	/* what is left is the brace */
		return false;
	size_t n = strcspn(array->p + 1, ",}");
	*ret = (struct view){array->p + 1, n};
	array->p += n + 1;
	array->n -= n + 1;
	return true;
}

static int
add_postings(struct arena *a, struct sums *s, struct view accounts, struct view amounts)
{
	struct view account, amount;

	while (next_element(&accounts, &account)) {
		int64_t fen, sum;
		if (!next_element(&amounts, &amount) || integer(amount, &fen) != 0)
			return -1;
		const char *name = arena_printf(a, "%.*s", (int)account.n, account.p);
		json_object *so_far = document_member(s->accounts, name);
		sum = so_far != NULL ? json_object_get_int64(so_far) : 0;
		if (add(&sum, fen) != 0 || (fen > 0 && add(&s->amount, fen) != 0))
			return -1;
		json_object_object_add(s->accounts, name, json_object_new_int64(sum));
	}
	return next_element(&amounts, &amount) ? -1 : 0;
}

static int
add_line(struct sums *s, const struct view *cells)
{
	int64_t amount, category, feed;

	if (integer(cells[s->amount_at], &amount) != 0 || integer(cells[s->category_at], &category) != 0 || integer(cells[s->feed_at], &feed) != 0
	    || category < 1 || category > CATEGORIES)
		return -1;
	s->transfers += feed == 0;
	return add(&s->amount, amount) == 0 ? add(&s->subtotals[category - 1], amount) : -1;
}

static json_object *
document_of_sums(const struct sums *s)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "rows", json_object_new_int64(s->rows));
	if (s->category_at >= 0 || s->accounts != NULL)
		json_object_object_add(o, "amount", json_object_new_int64(s->amount));
	if (s->accounts != NULL)
		json_object_object_add(o, "accounts", json_object_get(s->accounts));
	if (s->category_at >= 0) {
		json_object *subtotals = json_object_new_array();
		for (size_t i = 0; i < CATEGORIES; i++)
			json_object_array_add(subtotals, json_object_new_int64(s->subtotals[i]));
		json_object_object_add(o, "subtotals", subtotals);
		json_object_object_add(o, "transfers", json_object_new_int64(s->transfers));
	}
	return o;
}

/* The columns that are added up; -1 where a file has not those of its relation. */
static int
prepare(struct sums *s, json_object *header)
{
	bool is_charge = strcmp(document_text(header, "relation"), "charge") == 0, is_journal = strcmp(document_text(header, "relation"), "journal") == 0;

	*s = (struct sums){.last_key = -1, .amount_at = -1, .category_at = -1, .feed_at = -1, .accounts_at = -1, .amounts_at = -1};
	if (is_charge) {
		s->amount_at = archive_column(header, "amount");
		s->category_at = archive_column(header, "category");
		s->feed_at = archive_column(header, "feed_id");
		return s->amount_at < 0 || s->category_at < 0 || s->feed_at < 0 ? -1 : 0;
	}
	if (is_journal) {
		s->accounts = json_object_new_object();
		s->accounts_at = archive_column(header, "accounts");
		s->amounts_at = archive_column(header, "amounts");
		return s->accounts_at < 0 || s->amounts_at < 0 ? -1 : 0;
	}
	return 0;
}

/* The first column is the number by which the table is cut; rows are in its order. */
static int
take_row(struct arena *a, struct sums *s, json_object *header, struct view row)
{
	struct view cells[ARCHIVE_COLUMNS];
	int64_t key;

	if (archive_cells(a, row, cells) != (int)json_object_array_length(document_member(header, "columns")) || integer(cells[0], &key) != 0
	    || key < s->last_key || key < json_object_get_int64(document_member(header, "first_id"))
	    || key > json_object_get_int64(document_member(header, "last_id")))
		return -1;
	s->last_key = key;
	s->rows++;
	if (s->category_at >= 0)
		return add_line(s, cells);
	return s->accounts != NULL ? add_postings(a, s, cells[s->accounts_at], cells[s->amounts_at]) : 0;
}

int
archive_check(struct archive_reader *r, const char *path)
{
	json_object *header = archive_header(r), *found = NULL;
	struct sums s;
	struct view row;
	int got, done = -1;

	if (prepare(&s, header) != 0) {
		ctl_failed("%s: it has not the columns of %s", path, document_text(header, "relation"));
		goto out;
	}
	while ((got = archive_next(r, &row)) == 1) {
		struct arena a;
		arena_init(&a, ROW_HINT);
		got = take_row(&a, &s, header, row);
		arena_free(&a);
		if (got != 0) {
			ctl_failed("%s is damaged: row %" PRId64 " is not one of %s", path, s.rows + 1, document_text(header, "relation"));
			goto out;
		}
	}
	if (got != 0 || archive_check_hash(r) != 0)
		goto out;
	found = document_of_sums(&s);
	if (json_object_equal(found, document_member(header, "sums")))
		done = 0;
	else
		ctl_failed("%s is damaged: its rows add up to %s, its header says %s", path, json_object_to_json_string(found),
		    json_object_to_json_string(document_member(header, "sums")));
out:
	json_object_put(found);
	json_object_put(s.accounts);
	return done;
}
