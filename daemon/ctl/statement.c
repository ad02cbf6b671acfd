/* visit statement: the daily list (一日清单) of a visit, as a ward prints it: the lines of a day by category, the day's total, and where the visit stands. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "database.h"
#include "document.h"
#include "table.h"

static void
print_head(json_object *s)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_LEFT, true}};
	static const struct { const char *title, *key; } rows[] = {{"科室 department", "department"}, {"床位 location", "location"}};
	json_object *patient = document_member(s, "patient");
	const char *name = document_text(patient, "name"), *number = document_text(patient, "patient_no");
	struct table *t = table_new(columns, 2);
	char text[512];

	printf("一日清单 daily list, %s\n\n", document_text(s, "day"));
	snprintf(text, sizeof(text), "%s/%s, %s", document_text(s, "facility"), document_text(s, "visit_no"), document_text(s, "state"));
	table_add(t, (const char *[]){"就诊 visit", text});
	snprintf(text, sizeof(text), "%s%s%s", name != NULL ? name : "", name != NULL && number != NULL ? ", " : "", number != NULL ? number : "");
	table_add(t, (const char *[]){"患者 patient", text[0] != '\0' ? text : NULL});
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		table_add(t, (const char *[]){rows[i].title, document_text(s, rows[i].key)});
	table_print(t, stdout, 0);
	table_free(t);
}

static void
print_lines(json_object *s)
{
	static const struct column columns[] = {
		{"时间 at", TEXT_LEFT, false}, {"编码 code", TEXT_LEFT, false}, {"项目 item", TEXT_LEFT, true}, {"数量 quantity", TEXT_RIGHT, false},
		{"单位 unit", TEXT_LEFT, false}, {"单价 price", TEXT_RIGHT, false}, {"金额 yuan", TEXT_RIGHT, false},
	};
	json_object *lines = document_member(s, "lines"), *categories = document_member(s, "categories");

	for (size_t c = 0; c < json_object_array_length(categories); c++) {
		json_object *category = json_object_array_get_idx(categories, c);
		struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
		char at[DOCUMENT_TIME];
		printf("\n%s %s  %s\n", document_text(category, "category"), document_text(category, "name"), document_text(category, "amount"));
		for (size_t i = 0; i < json_object_array_length(lines); i++) {
			json_object *l = json_object_array_get_idx(lines, i);
			if (strcmp(document_text(l, "category"), document_text(category, "category")) != 0)
				continue;
			document_time(document_text(l, "charged_at"), false, at);
			table_add(t, (const char *[]){at + strlen("2026-01-15 "), document_text(l, "code"), document_text(l, "name"), document_text(l, "quantity"),
			    document_text(l, "unit"), document_text(l, "unit_price"), document_text(l, "amount")});
		}
		table_print(t, stdout, 2);
		table_free(t);
	}
	if (json_object_array_length(categories) == 0)
		puts("\n当日无费用 nothing was charged on this day");
}

static void
print_sums(json_object *s)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_RIGHT, false}};
	static const struct { const char *title, *key; } rows[] = {
		{"当日合计 of the day", "day_total"}, {"累计 up to this day", "running_total"}, {"全部 of the visit", "total"},
		{"已出账 on bills", "billed"}, {"已缴 paid in", "paid_in"},
	};
	struct table *t = table_new(columns, 2);
	const char *file = document_text(document_member(s, "lines_archived"), "file");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		table_add(t, (const char *[]){rows[i].title, document_text(s, rows[i].key)});
	putchar('\n');
	table_print(t, stdout, 0);
	table_free(t);
	if (file != NULL)
		printf("明细已归档 the lines are archived: %s\n", file);
}

static int
statement_show(PGconn *db, const char *const values[3], bool json)
{
	PGresult *r = database_query(db, "select outcome, doc from visit_statement($1, $2, $3, '{*}')", 3, values);
	json_object *statement = r != NULL ? document_of(r, "doc") : NULL;

	if (r != NULL && statement == NULL)
		ctl_failed("facility %s has no visit %s", values[0], values[1]);
	if (statement != NULL && json)
		document_print(statement, stdout);
	if (statement != NULL && !json) {
		print_head(statement);
		print_lines(statement);
		print_sums(statement);
	}
	int status = statement != NULL ? CTL_OK : CTL_FAILED;
	json_object_put(statement);
	PQclear(r);
	return status;
}

int
ctl_visit_statement(const struct ctl *c, int argc, char **argv)
{
	const char *key[2], *day = NULL;
	bool json = false;
	const struct ctl_option options[] = {{"--day", NULL, &day}, {"--json", &json, NULL}};
	PGconn *db;

	if (ctl_arguments(c, argc, argv, options, 2, key, 2) != CTL_OK)
		return CTL_USAGE;
	if (day != NULL && (strlen(day) != 10 || strspn(day, "0123456789-") != 10))
		return ctl_usage(c, "--day is a date such as 2026-01-15");
	if ((db = database_open(c, DATABASE_READ)) == NULL)
		return CTL_FAILED;
	int status = statement_show(db, (const char *const[]){key[0], key[1], day}, json);
	PQfinish(db);
	return status;
}
