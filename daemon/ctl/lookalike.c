/* lookalike list, dismiss: charges that look like duplicates, and a person's word that they are none. In the database itself: it takes no daemon. */
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "database.h"
#include "document.h"
#include "table.h"
#include "user.h"

static bool
is_number(const char *text)
{
	return *text != '\0' && strlen(text) <= 18 && strspn(text, "0123456789") == strlen(text);
}

/* feed, visit, line and amount of one of the two. */
static const char *
place_of(json_object *pair, size_t nth, struct arena *a)
{
	json_object *line = json_object_array_get_idx(document_member(pair, "lines"), nth);
	const char *amount = document_text(line, "amount"), *back = document_text(line, "taken_back");

	if (amount == NULL)
		return arena_printf(a, "%s line %s, archived", document_text(line, "visit_no"), document_text(line, "line_no"));
	return arena_printf(a, "%s %s/%s %s%s%s", document_text(line, "visit_no"), document_text(line, "feed"), document_text(line, "source_line"), amount,
	    strcmp(back, "0.00") != 0 ? " taken back " : "", strcmp(back, "0.00") != 0 ? back : "");
}

static void
print_list(json_object *doc, bool all)
{
	static const struct column columns[] = {
		{"id", TEXT_RIGHT, false}, {"facility", TEXT_LEFT, false}, {"patient", TEXT_LEFT, false}, {"code", TEXT_LEFT, false}, {"day", TEXT_LEFT, false},
		{"quantity", TEXT_RIGHT, false}, {"charge", TEXT_LEFT, true}, {"looks like", TEXT_LEFT, true}, {"state", TEXT_LEFT, true},
	};
	json_object *pairs = document_member(doc, "lookalikes");
	struct table *t = table_new(columns, all ? 9 : 8);
	struct arena a = {0};

	for (size_t i = 0; i < json_object_array_length(pairs); i++) {
		json_object *p = json_object_array_get_idx(pairs, i);
		const char *why = document_text(p, "why");
		table_add(t, (const char *[]){document_text(p, "id"), document_text(p, "facility"), document_text(p, "patient_no"), document_text(p, "code"),
		    document_text(p, "day"), document_text(p, "quantity"), place_of(p, 1, &a), place_of(p, 0, &a),
		    why != NULL ? arena_printf(&a, "dismissed: %s, by %s", why, document_text(p, "by")) : "waiting"});
	}
	if (table_rows(t) > 0)
		table_print(t, stdout, 0);
	else
		puts("no charge looks like a duplicate");
	if (document_text(doc, "next") != NULL)
		printf("more may follow: --after %s\n", document_text(doc, "next"));
	table_free(t);
	arena_free(&a);
}

int
ctl_lookalike_list(const struct ctl *c, int argc, char **argv)
{
	bool all = false, json = false;
	const char *limit = "100", *after = "0";
	const struct ctl_option options[] = {{"--all", &all, NULL}, {"--json", &json, NULL}, {"--limit", NULL, &limit}, {"--after", NULL, &after}};
	int status = CTL_FAILED;

	if (ctl_arguments(c, argc, argv, options, 4, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	if (!is_number(limit) || strlen(limit) > 6 || atoi(limit) == 0 || !is_number(after))
		return ctl_usage(c, "--%s is not a number", is_number(after) ? "limit" : "after");
	const char *values[] = {all ? "all" : "waiting", limit, after};
	PGconn *db = database_open(c, DATABASE_READ);
	PGresult *r = db != NULL ? database_query(db, "select doc from lookalike_list($1, $2, $3, '{*}')", 3, values) : NULL;
	json_object *doc = r != NULL ? document_of(r, "doc") : NULL;
	if (doc != NULL) {
		if (json)
			document_print(doc, stdout);
		else
			print_list(doc, all);
		status = CTL_OK;
	}
	json_object_put(doc);
	PQclear(r);
	PQfinish(db);
	return status;
}

int
ctl_lookalike_dismiss(const struct ctl *c, int argc, char **argv)
{
	const char *id = NULL, *why = NULL;
	const struct ctl_option options[] = {{"--why", NULL, &why}};
	struct arena a = {0};
	int status = CTL_FAILED;

	if (ctl_arguments(c, argc, argv, options, 1, &id, 1) != CTL_OK)
		return CTL_USAGE;
	if (!is_number(id))
		return ctl_usage(c, "%s is not the number of a pair", id);
	if (why == NULL || view_trim(view_of(why)).n == 0)
		return ctl_usage(c, "say --why: it stays in the books");
	const char *values[] = {id, user_name(&a), why};
	PGconn *db = database_open(c, DATABASE_WRITE);
	PGresult *r = db != NULL ? database_query(db, "select outcome, doc from lookalike_dismiss($1, $2, $3, '{*}')", 3, values) : NULL;
	json_object *doc = r != NULL ? document_of(r, "doc") : NULL;
	if (r != NULL && doc == NULL) {
		ctl_failed("there is no pair %s", id);
	} else if (doc != NULL && database_commit(db) == 0) {
		printf("%s: dismissed: %s, by %s\n", id, document_text(doc, "why"), document_text(doc, "by"));
		status = CTL_OK;
	}
	json_object_put(doc);
	PQclear(r);
	PQfinish(db);
	arena_free(&a);
	return status;
}
