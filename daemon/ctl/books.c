/* books: the database's books() as tables, or as the document it is; with the audit's findings where they are asked for. */
#include <stdio.h>
#include <string.h>

#include "audit_run.h"
#include "ctl.h"
#include "database.h"
#include "document.h"
#include "proto/money.h"
#include "table.h"

static void
finish(struct table *t, const char *title)
{
	printf("%s\n", title);
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	else
		puts("  none");
	putchar('\n');
	table_free(t);
}

static void
print_lines(json_object *books)
{
	static const struct column columns[] = {
		{"feed", TEXT_LEFT, false}, {"received", TEXT_RIGHT, false}, {"booked", TEXT_RIGHT, false}, {"duplicate", TEXT_RIGHT, false},
		{"waiting", TEXT_RIGHT, false}, {"resolved", TEXT_RIGHT, false}, {"dismissed", TEXT_RIGHT, false},
	};
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_object *by_feed = document_member(books, "by_feed"), *all = document_member(books, "lines");

	if (by_feed != NULL) {		/* it is null before the first feed */
		json_object_object_foreach(by_feed, feed, counts)
			table_add(t, (const char *[]){feed, document_text(counts, "received"), document_text(counts, "booked"),
			    document_text(counts, "duplicate"), document_text(counts, "waiting"), document_text(counts, "resolved"),
			    document_text(counts, "dismissed")});
	}
	table_add(t, (const char *[]){"all feeds", document_text(all, "received"), document_text(all, "booked"), document_text(all, "duplicate"),
	    document_text(all, "waiting"), document_text(all, "resolved"), document_text(all, "dismissed")});
	finish(t, "LINES 收费明细");
}

/* A document of name: count, with a title of its own. */
static void
print_counts(const char *title, json_object *counts, const char *last_name, const char *last)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_RIGHT, false}};
	struct table *t = table_new(columns, 2);

	json_object_object_foreach(counts, name, n)
		table_add(t, (const char *[]){name, json_object_get_string(n)});
	if (last != NULL)
		table_add(t, (const char *[]){last_name, last});
	finish(t, title);
}

static const struct column money_columns[] = {
	{"", TEXT_LEFT, false}, {"", TEXT_LEFT, false}, {"number", TEXT_RIGHT, false}, {"yuan", TEXT_RIGHT, false},
};

static void
print_bills(json_object *bills)
{
	struct table *t = table_new(money_columns, 4);
	json_object *by_kind = document_member(bills, "by_kind");

	json_object_object_foreach(by_kind, kind, sums)
		table_add(t, (const char *[]){kind, document_word(kind), document_text(sums, "count"), document_text(sums, "total")});
	table_add(t, (const char *[]){"issued", "合计", document_text(bills, "issued"), document_text(bills, "total")});
	finish(t, "BILLS 账单");
}

static void
print_collected(json_object *books)
{
	struct table *t = table_new(money_columns, 4);
	json_object *collected = document_member(books, "collected"), *captures = document_member(books, "captures");

	json_object_object_foreach(collected, channel, total)
		table_add(t, (const char *[]){channel, document_word(channel), document_text(captures, channel), json_object_get_string(total)});
	table_add(t, (const char *[]){"receipts", "收据", document_text(books, "receipts"), ""});
	table_add(t, (const char *[]){"in credit", "预收", "", document_text(books, "credit")});
	table_add(t, (const char *[]){"outstanding", "欠费", "", document_text(books, "outstanding")});
	table_add(t, (const char *[]){"not billed yet", "未结", "", document_text(books, "unbilled")});
	finish(t, "COLLECTED 收款");
}

/* categories: code, Chinese and English name. */
static void
print_revenue(json_object *revenue, const PGresult *categories)
{
	static const struct column columns[] = {
		{"", TEXT_LEFT, false}, {"", TEXT_LEFT, false}, {"", TEXT_LEFT, false}, {"yuan", TEXT_RIGHT, false},
	};
	struct table *t = table_new(columns, 4);

	for (int i = 0; i < PQntuples(categories); i++) {
		const char *code = PQgetvalue(categories, i, 0), *total = document_text(revenue, code);
		if (total != NULL)
			table_add(t, (const char *[]){code, PQgetvalue(categories, i, 1), PQgetvalue(categories, i, 2), total});
	}
	finish(t, "REVENUE 收入");
}

static const char *
side(json_object *row, const char *key, int64_t *sum)
{
	const char *text = document_text(row, key);
	int64_t fen = 0;

	if (decimal_parse(view_of(text), AMOUNT_DIGITS, &fen) == DECIMAL_OK)
		*sum += fen;
	return fen != 0 ? text : "";
}

static void
print_balance(json_object *rows)
{
	static const struct column columns[] = {
		{"account", TEXT_LEFT, false}, {"", TEXT_LEFT, false}, {"debit", TEXT_RIGHT, false}, {"credit", TEXT_RIGHT, false},
	};
	struct table *t = table_new(columns, 4);
	int64_t debit = 0, credit = 0;
	char debits[MONEY_TEXT], credits[MONEY_TEXT];

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		const char *left = side(row, "debit", &debit), *right = side(row, "credit", &credit);
		table_add(t, (const char *[]){document_text(row, "account"), document_text(row, "name"), left, right});
	}
	table_add(t, (const char *[]){"sum", "合计", money_format(debit, debits), money_format(credit, credits)});
	finish(t, "TRIAL BALANCE 试算平衡");
}

static void
books_print(json_object *books, const PGresult *categories)
{
	json_object *lines = document_member(books, "lines");

	print_lines(books);
	print_counts("QUARANTINE 待处理", document_member(lines, "quarantined"), "whole messages", document_text(lines, "messages_quarantined"));
	print_counts("VISITS 就诊", document_member(books, "visits"), "", NULL);
	print_bills(document_member(books, "bills"));
	print_collected(books);
	print_revenue(document_member(books, "revenue"), categories);
	print_balance(document_member(books, "trial_balance"));
	printf("unexplained %s%s\n", document_text(books, "unexplained"),
	    document_member(books, "audit") != NULL ? "" : " by the accounts (--audit looks at every row)");
}

/* Puts the audit in place of what the books can say of themselves. */
static void
books_add_audit(json_object *books, const struct audit *found)
{
	json_object *all = json_object_new_array();
	char money[MONEY_TEXT];

	for (size_t i = 0; i < found->n; i++) {
		json_object *o = json_object_new_object();
		json_object_object_add(o, "invariant", json_object_new_string(found->all[i].invariant));
		json_object_object_add(o, "broken", json_object_new_int64(found->all[i].broken));
		json_object_object_add(o, "unexplained", json_object_new_string(money_format(found->all[i].unexplained, money)));
		json_object_array_add(all, o);
	}
	json_object_object_add(books, "unexplained", json_object_new_string(money_format(found->unexplained, money)));
	json_object_object_add(books, "broken", json_object_new_int64(found->broken));
	json_object_object_add(books, "audit", all);
}

int
ctl_books(const struct ctl *c, int argc, char **argv)
{
	bool json = false, audit = false;
	struct audit_words words = {0};
	const struct ctl_option options[] = {{"--json", &json, NULL}, {"--audit", &audit, NULL}, AUDIT_OPTIONS(words)};
	struct audit_plan plan;
	struct audit found = {0};
	int status = CTL_FAILED;

	if (ctl_arguments(c, argc, argv, options, 2 + AUDIT_N_OPTIONS, NULL, 0) != CTL_OK || audit_plan_read(c, &words, &plan) != CTL_OK)
		return CTL_USAGE;
	if (!audit && (words.slice != NULL || words.pause != NULL))
		return ctl_usage(c, "--slice and --pause are the audit's: say --audit, too");
	PGconn *db = database_open_on(c, plan.server, DATABASE_READ_EACH);
	PGresult *r = db != NULL ? database_query(db, "select books() as books", 0, NULL) : NULL;
	PGresult *categories = r != NULL ? database_query(db, "select code, name, name_en from category order by category", 0, NULL) : NULL;
	json_object *books = categories != NULL ? document_of(r, "books") : NULL;
	if (books != NULL && (!audit || audit_run(db, &plan, &found) == 0)) {
		if (audit)
			books_add_audit(books, &found);
		if (json)
			document_print(books, stdout);
		else
			books_print(books, categories);
		status = CTL_OK;
	}
	audit_clear(&found);
	json_object_put(books);
	PQclear(categories);
	PQclear(r);
	PQfinish(db);
	return status;
}
