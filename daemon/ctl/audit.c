/* audit: every invariant of the books, recomputed by the database from the rows alone (audit_run.c), as a line each. */
#include <inttypes.h>
#include <stdio.h>

#include "audit_run.h"
#include "ctl.h"
#include "database.h"
#include "proto/money.h"
#include "table.h"

static void
print_findings(const struct audit *a)
{
	static const struct column columns[] = {{"", TEXT_LEFT, true}, {"", TEXT_LEFT, false}};
	struct table *t = table_new(columns, 2);
	char verdict[96], money[MONEY_TEXT];

	for (size_t i = 0; i < a->n; i++) {
		const struct audit_finding *f = &a->all[i];
		snprintf(verdict, sizeof(verdict), "BROKEN %" PRId64 " (unexplained %s)", f->broken, money_format(f->unexplained, money));
		table_add(t, (const char *[]){f->invariant, f->broken == 0 ? "ok" : verdict});
	}
	table_print(t, stdout, 0);
	table_free(t);
	printf("unexplained %s\n", money_format(a->unexplained, money));
}

int
ctl_audit(const struct ctl *c, int argc, char **argv)
{
	struct audit_words words = {0};
	const struct ctl_option options[] = {AUDIT_OPTIONS(words)};
	struct audit_plan plan;
	struct audit found = {0};
	int status = CTL_FAILED;

	if (ctl_arguments(c, argc, argv, options, AUDIT_N_OPTIONS, NULL, 0) != CTL_OK || audit_plan_read(c, &words, &plan) != CTL_OK)
		return CTL_USAGE;
	PGconn *db = database_open_on(c, plan.server, DATABASE_READ_EACH);
	if (db != NULL && audit_run(db, &plan, &found) == 0) {
		print_findings(&found);
		status = found.n_broken == 0 ? CTL_OK : ctl_failed("%zu of %zu invariants broken", found.n_broken, found.n);
	}
	audit_clear(&found);
	PQfinish(db);
	return status;
}
