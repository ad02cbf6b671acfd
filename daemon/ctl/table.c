/* Cells are kept until the table is printed, because a column is as wide as its widest cell. */
#include "table.h"

#include <stdlib.h>

#include "base/memory.h"

enum { GAP = 2, LEAST = 8 };

struct table {
	const struct column *columns;
	size_t n;
	char **cells;		/* row by row */
	size_t rows;
};

struct table *
table_new(const struct column *columns, size_t n)
{
	struct table *t = memory_new(sizeof(*t));

	t->columns = columns;
	t->n = n;
	return t;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->rows * t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

void
table_add(struct table *t, const char *const *cells)
{
	t->cells = memory_resize(t->cells, (t->rows + 1) * t->n * sizeof(*t->cells));
	for (size_t i = 0; i < t->n; i++) {
		struct view cell = view_of(cells[i] != NULL ? cells[i] : "-");
		t->cells[t->rows * t->n + i] = memory_text(cell.p, cell.n);
	}
	t->rows++;
}

size_t
table_rows(const struct table *t)
{
	return t->rows;
}

static int
widest_flexible(const struct table *t, const int *widths)
{
	int widest = -1;

	for (size_t i = 0; i < t->n; i++)
		if (t->columns[i].flexible && widths[i] > LEAST && (widest < 0 || widths[i] > widths[widest]))
			widest = (int)i;
	return widest;
}

static void
measure(const struct table *t, FILE *out, int indent, int *widths)
{
	int total = indent, room = text_terminal_columns(out), i;

	for (size_t c = 0; c < t->n; c++) {
		widths[c] = text_width(view_of(t->columns[c].title));
		for (size_t r = 0; r < t->rows; r++) {
			int width = text_width(view_of(t->cells[r * t->n + c]));
			if (width > widths[c])
				widths[c] = width;
		}
		total += widths[c] + (c > 0 ? GAP : 0);
	}
	while (room > 0 && total > room && (i = widest_flexible(t, widths)) >= 0) {
		widths[i]--;
		total--;
	}
}

static void
print_cell(const struct table *t, FILE *out, size_t c, const char *text, const int *widths)
{
	struct view cell = view_of(text);
	bool last = c + 1 == t->n, fits = text_width(cell) <= widths[c];

	if (c > 0)
		text_repeat(out, " ", GAP);
	if (last && fits && t->columns[c].align == TEXT_LEFT)
		text_put_all(out, cell);	/* no blanks at the end of a row */
	else
		text_put(out, cell, widths[c], t->columns[c].align);
}

void
table_print(const struct table *t, FILE *out, int indent)
{
	int *widths = memory_new(t->n * sizeof(*widths));
	bool head = false;

	measure(t, out, indent, widths);
	for (size_t c = 0; c < t->n; c++)
		head = head || t->columns[c].title[0] != '\0';
	if (head) {
		text_repeat(out, " ", indent);
		for (size_t c = 0; c < t->n; c++)
			print_cell(t, out, c, t->columns[c].title, widths);
		putc('\n', out);
	}
	for (size_t r = 0; r < t->rows; r++) {
		text_repeat(out, " ", indent);
		for (size_t c = 0; c < t->n; c++)
			print_cell(t, out, c, t->cells[r * t->n + c], widths);
		putc('\n', out);
	}
	free(widths);
}
