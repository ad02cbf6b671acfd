/* items import: a price list from a CSV file, checked in full before anything is sent; then one call in one transaction. */
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_setup.h"
#include "base/memory.h"
#include "csv.h"
#include "ctl.h"
#include "database.h"
#include "proto/money.h"
#include "proto/timestamp.h"
#include "proto/utf8.h"

enum column { CODE, NATIONAL_CODE, NAME, UNIT, CATEGORY, CLASS, SELF_PAY_RATIO, UNIT_PRICE, VALID_FROM, ITEM_COLUMNS };
enum { FILE_MOST = 256 << 20, COMPLAINTS_MOST = 20 };

static const struct {
	const char *name;
	bool required;
	size_t bytes;		/* most */
} columns[ITEM_COLUMNS] = {
	[CODE] = {"code", true, 150}, [NATIONAL_CODE] = {"national_code", false, 50}, [NAME] = {"name", true, 500}, [UNIT] = {"unit", false, 50},
	[CATEGORY] = {"category", true, 2}, [CLASS] = {"class", false, 3}, [SELF_PAY_RATIO] = {"self_pay_ratio", false, 20},
	[UNIT_PRICE] = {"unit_price", true, 20}, [VALID_FROM] = {"valid_from", true, 10},
};

struct import {
	const char *path;
	struct arena arena;
	size_t at[ITEM_COLUMNS];	/* which field of a record a column is, from 1; 0: the file lacks it */
	size_t fields;			/* a record has */
	struct csv_record *record;
	json_object *items;
	json_object *seen;		/* "code\nvalid_from" to the line it was on */
	int complaints;
	bool wrong[ITEM_COLUMNS];	/* of this record: one complaint a column is enough */
};

/* FILE:LINE: column 8 (unit_price): …; the first ones are shown, all are counted. */
static void complain(struct import *im, enum column column, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void
complain(struct import *im, enum column column, const char *format, ...)
{
	char text[512];
	va_list args;

	if (im->wrong[column])
		return;
	im->wrong[column] = true;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (im->complaints++ < COMPLAINTS_MOST)
		ctl_failed("%s:%d: column %zu (%s): %s", im->path, im->record->line, im->at[column], columns[column].name, text);
}

/* ---- one line --------------------------------------------------------------------------------------- */

static struct view
value_of(const struct import *im, enum column column)
{
	return im->at[column] > 0 ? view_trim(im->record->fields[im->at[column] - 1]) : VIEW_NONE;
}

/* An exact decimal as an integer; a column that is empty and may be is 0. */
static json_object *
decimal_value(struct import *im, enum column column, unsigned digits, int64_t most)
{
	struct view v = value_of(im, column);
	int64_t n = 0;
	enum decimal_result r = v.n > 0 || columns[column].required ? decimal_parse(v, digits, &n) : DECIMAL_OK;

	if (r != DECIMAL_OK)
		complain(im, column, "\"%.*s\" %s%s", (int)v.n, v.p, decimal_complaint(r), r == DECIMAL_PRECISION
		    ? arena_printf(&im->arena, " (%u)", digits) : "");
	else if (n < 0)
		complain(im, column, "%.*s is negative", (int)v.n, v.p);
	else if (n > most)
		complain(im, column, "%.*s is too large", (int)v.n, v.p);
	return json_object_new_int64(n);
}

static json_object *
category_value(struct import *im)
{
	struct view v = value_of(im, CATEGORY);
	int n = 0;

	for (size_t i = 0; i < v.n && n >= 0 && n <= 14; i++)
		n = v.p[i] >= '0' && v.p[i] <= '9' ? n * 10 + (v.p[i] - '0') : -1;
	if (n < 1 || n > 14)
		complain(im, CATEGORY, "\"%.*s\" is not a category from 01 to 14", (int)v.n, v.p);
	return json_object_new_int(n);
}

static json_object *
class_value(struct import *im)
{
	static const char *const names[][2] = {{"A", "甲"}, {"B", "乙"}, {"C", "丙"}};
	struct view v = value_of(im, CLASS);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (view_is(v, names[i][0]) || view_is(v, names[i][1]))
			return json_object_new_string(names[i][0]);
	if (v.n > 0)
		complain(im, CLASS, "\"%.*s\" is not A, B or C (甲, 乙 or 丙)", (int)v.n, v.p);
	return NULL;
}

static json_object *
date_value(struct import *im)
{
	struct view v = value_of(im, VALID_FROM);
	int32_t days;
	bool shape = v.n == 10;

	for (size_t i = 0; shape && i < v.n; i++)
		shape = i == 4 || i == 7 ? v.p[i] == '-' : v.p[i] >= '0' && v.p[i] <= '9';
	if (!shape || timestamp_parse_date(v, &days) != 0)
		complain(im, VALID_FROM, "\"%.*s\" is not a date like 2026-01-31", (int)v.n, v.p != NULL ? v.p : "");
	return json_object_new_string_len(v.p != NULL ? v.p : "", (int)v.n);
}

static json_object *
text_value(const struct import *im, enum column column)
{
	struct view v = value_of(im, column);

	return v.n > 0 ? json_object_new_string_len(v.p, (int)v.n) : NULL;
}

/* What holds for every column. */
static void
check_texts(struct import *im)
{
	for (enum column c = 0; c < ITEM_COLUMNS; c++) {
		struct view v = value_of(im, c);
		if (!utf8_is_valid(v))
			complain(im, c, "is not UTF-8 text: save the file as CSV UTF-8");
		else if (v.n == 0 && columns[c].required)
			complain(im, c, "is empty");
		else if (v.n > columns[c].bytes)
			complain(im, c, "is longer than %zu bytes", columns[c].bytes);
	}
}

/* The price list holds an item once a day. */
static void
check_twice(struct import *im)
{
	struct view code = value_of(im, CODE), from = value_of(im, VALID_FROM);
	const char *key = arena_printf(&im->arena, "%.*s\n%.*s", (int)code.n, code.p, (int)from.n, from.p);
	json_object *line;

	if (json_object_object_get_ex(im->seen, key, &line))
		complain(im, CODE, "%.*s is on line %d already, valid from the same day", (int)code.n, code.p, json_object_get_int(line));
	else
		json_object_object_add(im->seen, key, json_object_new_int(im->record->line));
}

static void
read_item(struct import *im)
{
	json_object *item;

	memset(im->wrong, 0, sizeof(im->wrong));
	if (im->record->n != im->fields) {
		complain(im, CODE, "the line has %zu fields and the header has %zu", im->record->n, im->fields);
		return;
	}
	check_texts(im);
	check_twice(im);
	item = json_object_new_object();
	json_object_object_add(item, "code", text_value(im, CODE));
	json_object_object_add(item, "valid_from", date_value(im));
	json_object_object_add(item, "national_code", text_value(im, NATIONAL_CODE));
	json_object_object_add(item, "name", text_value(im, NAME));
	json_object_object_add(item, "unit", text_value(im, UNIT));
	json_object_object_add(item, "category", category_value(im));
	json_object_object_add(item, "class", class_value(im));
	json_object_object_add(item, "self_pay_e4", decimal_value(im, SELF_PAY_RATIO, 4, 10000));
	json_object_object_add(item, "unit_price_e6", decimal_value(im, UNIT_PRICE, PRICE_DIGITS, INT64_C(9999999999999999)));
	json_object_array_add(im->items, item);
}

/* ---- the file --------------------------------------------------------------------------------------- */

/* Which column stands where; any order will do. Returns 0 or -1 after having said what is wrong. */
static int
read_header(struct import *im)
{
	const struct csv_record *h = im->record;

	im->fields = h->n;
	for (size_t i = 0; i < h->n; i++) {
		struct view name = view_trim(h->fields[i]);
		enum column c = 0;
		while (c < ITEM_COLUMNS && !view_is(name, columns[c].name))
			c++;
		if (c == ITEM_COLUMNS || im->at[c] > 0)
			return ctl_failed("%s:%d: column %zu: \"%.*s\" is %s", im->path, h->line, i + 1, (int)name.n, name.p,
			    c == ITEM_COLUMNS ? "not a column of a price list" : "there twice"), -1;
		im->at[c] = i + 1;
	}
	for (enum column c = 0; c < ITEM_COLUMNS; c++)
		if (columns[c].required && im->at[c] == 0)
			return ctl_failed("%s:%d: the header lacks the column %s", im->path, h->line, columns[c].name), -1;
	return 0;
}

/* Returns 0, or -1 after having said all that is wrong. */
static int
read_items(struct import *im, struct view text)
{
	struct csv csv;
	const char *wrong;
	enum csv_result r;
	bool header = false;

	csv_begin(&csv, text);
	while ((r = csv_next(&csv, &im->arena, im->record, &wrong)) == CSV_RECORD) {
		if (header)
			read_item(im);
		else if (read_header(im) != 0)
			return -1;
		header = true;
	}
	if (r == CSV_BAD)
		return ctl_failed("%s:%d: column %zu: %s; nothing is imported", im->path, im->record->line, im->record->n + 1, wrong), -1;
	if (!header)
		return ctl_failed("%s is empty", im->path), -1;
	if (im->complaints > 0)
		return ctl_failed("%s: %d mistake%s%s; nothing is imported", im->path, im->complaints, im->complaints == 1 ? "" : "s",
		    im->complaints > COMPLAINTS_MOST ? ", the first 20 are above" : ""), -1;
	return 0;
}

static char *
read_file(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "rb");
	char *text = NULL;
	size_t n = 0, got = 1;

	if (f == NULL)
		return ctl_failed("%s: %s", path, strerror(errno)), NULL;
	while (got > 0 && n < FILE_MOST) {
		text = memory_resize(text, n + 65536);
		got = fread(text + n, 1, 65536, f);
		n += got;
	}
	if (ferror(f) || n >= FILE_MOST) {
		ctl_failed(ferror(f) ? "%s: cannot be read" : "%s: is too large", path);
		free(text);
		text = NULL;
	}
	fclose(f);
	*ret_n = n;
	return text;
}

/* ---- the database ----------------------------------------------------------------------------------- */

/* Before the daemon has run for the first time, the database does not know the facility. */
static int
ensure_facility(PGconn *db, const struct config *config, const char *facility)
{
	PGresult *r = database_query(db, "select 1 from facility where code = $1", 1, &facility);
	bool there = r != NULL && PQntuples(r) > 0;

	if (r == NULL)
		return -1;
	PQclear(r);
	if (there)
		return 0;
	char *setup = config_setup_json(config);
	const char *values[] = {setup};
	r = database_query(db, "select setup_apply($1)", 1, values);
	free(setup);
	PQclear(r);
	return r != NULL ? 0 : -1;
}

static int
send_items(const struct ctl *c, const struct import *im, const char *facility)
{
	const char *values[] = {facility, json_object_to_json_string_ext(im->items, JSON_C_TO_STRING_PLAIN)};
	PGconn *db = database_open(c, DATABASE_WRITE);
	PGresult *r = NULL;
	int status = CTL_FAILED;

	if (db != NULL && ensure_facility(db, c->config, facility) == 0
	    && (r = database_query(db, "select items_import($1, $2)", 2, values)) != NULL && database_commit(db) == 0) {
		printf("%s: %zu items for facility %s, %s of them new or changed\n", im->path, json_object_array_length(im->items), facility,
		    PQgetvalue(r, 0, 0));
		status = CTL_OK;
	}
	PQclear(r);
	PQfinish(db);
	return status;
}

/* The facility asked for, or the only one there is. NULL after having said why not. */
static const char *
find_facility(const struct ctl *c, const char *asked)
{
	const struct config *config = c->config;

	if (asked == NULL && config->n_facilities == 1)
		return config->facilities[0].code;
	if (asked == NULL) {
		ctl_failed("%s has %zu facilities: say which by --facility", c->config_path, config->n_facilities);
		return NULL;
	}
	for (size_t i = 0; i < config->n_facilities; i++)
		if (strcmp(config->facilities[i].code, asked) == 0)
			return asked;
	ctl_failed("%s has no section [facility %s]", c->config_path, asked);
	return NULL;
}

int
ctl_items_import(const struct ctl *c, int argc, char **argv)
{
	struct import im = {0};
	const char *asked = NULL, *facility;
	const struct ctl_option options[] = {{"--facility", NULL, &asked}};
	size_t n;
	char *text;
	int status = CTL_FAILED;

	if (ctl_arguments(c, argc, argv, options, 1, &im.path, 1) != CTL_OK)
		return CTL_USAGE;
	if ((facility = find_facility(c, asked)) == NULL || (text = read_file(im.path, &n)) == NULL)
		return CTL_FAILED;
	im.record = memory_new(sizeof(*im.record));
	im.items = json_object_new_array();
	im.seen = json_object_new_object();
	if (read_items(&im, (struct view){text, n}) == 0)
		status = send_items(c, &im, facility);
	json_object_put(im.seen);
	json_object_put(im.items);
	free(im.record);
	arena_free(&im.arena);
	free(text);
	return status;
}
