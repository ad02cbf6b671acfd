/* audit: every invariant of the books, recomputed by the database from the rows alone (sql/functions/70_books.sql). */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "database.h"
#include "table.h"

static const char audit_sql[] =
    "select invariant, broken::text, yuan(unexplained), yuan((sum(unexplained) over ())::bigint), count(*) filter (where broken > 0) over ()"
    "  from audit()";

static void
print_invariants(const PGresult *r)
{
	static const struct column columns[] = {{"", TEXT_LEFT, true}, {"", TEXT_LEFT, false}};
	struct table *t = table_new(columns, 2);
	char verdict[96];

	for (int i = 0; i < PQntuples(r); i++) {
		const char *broken = PQgetvalue(r, i, 1);
		snprintf(verdict, sizeof(verdict), "BROKEN %s (unexplained %s)", broken, PQgetvalue(r, i, 2));
		table_add(t, (const char *[]){PQgetvalue(r, i, 0), strcmp(broken, "0") == 0 ? "ok" : verdict});
	}
	table_print(t, stdout, 0);
	table_free(t);
}

int
ctl_audit(const struct ctl *c, int argc, char **argv)
{
	int status = CTL_FAILED;

	if (ctl_arguments(c, argc, argv, NULL, 0, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	PGconn *db = database_open(c, DATABASE_READ);
	PGresult *r = db != NULL ? database_query(db, audit_sql, 0, NULL) : NULL;
	if (r != NULL && PQntuples(r) == 0) {
		ctl_failed("the database's audit() checks nothing");
	} else if (r != NULL) {
		const char *broken = PQgetvalue(r, 0, 4);
		print_invariants(r);
		printf("unexplained %s\n", PQgetvalue(r, 0, 3));
		status = strcmp(broken, "0") == 0 ? CTL_OK : ctl_failed("%s of %d invariants broken", broken, PQntuples(r));
	}
	PQclear(r);
	PQfinish(db);
	return status;
}
