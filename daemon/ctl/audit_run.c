/* Runs the audit (sql/functions/70_books.sql) slice by slice. One snapshot over years of lines would hold up vacuum on the primary for as long as it takes,
 * and replay on a standby; so each slice of visits has its own, which is enough: what audit_visits() looks at is right or wrong within one. What is
 * compared over all rows is compared by one statement, audit_totals(). The numbers of the slices add up. */
#include "audit_run.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum {
	SLICE_DEFAULT = 20000, SLICE_MOST = 100000000,
	PAUSE_PRIMARY_MS = 200, PAUSE_MOST_MS = 3600000,
};

/* The last visit of a slice that begins behind $1; no row when fewer than a slice are left. */
static const char last_sql[] = "select visit_id from visit where visit_id > coalesce($1::bigint, 0) order by visit_id offset $2::bigint - 1 limit 1";
static const char slice_sql[] = "select invariant, broken, unexplained from audit_visits($1::bigint + 1, $2::bigint)";
static const char totals_sql[] = "select invariant, broken, unexplained from audit_totals()";
enum { ROW_INVARIANT, ROW_BROKEN, ROW_UNEXPLAINED };

/* -1 where it is not a number within the limits. */
static int
number(const char *word, int least, int most)
{
	char *end;
	long n = strtol(word, &end, 10);

	return word[0] >= '0' && word[0] <= '9' && *end == '\0' && n >= least && n <= most ? (int)n : -1;
}

int
audit_plan_read(const struct ctl *c, const struct audit_words *words, struct audit_plan *ret)
{
	struct audit_plan plan = {.server = DATABASE_PRIMARY, .slice = SLICE_DEFAULT};

	if (words->on != NULL && database_server_read(words->on, &plan.server) != 0)
		return ctl_usage(c, "--on %s: say primary or standby", words->on);
	plan.pause_ms = plan.server == DATABASE_PRIMARY ? PAUSE_PRIMARY_MS : 0;
	if (words->slice != NULL && (plan.slice = number(words->slice, 1, SLICE_MOST)) < 0)
		return ctl_usage(c, "--slice %s is not a number of visits from 1 to %d", words->slice, SLICE_MOST);
	if (words->pause != NULL && (plan.pause_ms = number(words->pause, 0, PAUSE_MOST_MS)) < 0)
		return ctl_usage(c, "--pause %s is not a number of milliseconds from 0 to %d", words->pause, PAUSE_MOST_MS);
	*ret = plan;
	return CTL_OK;
}

/* Tampered amounts may be of any size. */
static void
add(int64_t *sum, int64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = n < 0 ? INT64_MIN : INT64_MAX;
}

static struct audit_finding *
finding_of(struct audit *a, const char *invariant)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->all[i].invariant, invariant) == 0)
			return &a->all[i];
	a->all = memory_resize(a->all, (a->n + 1) * sizeof(*a->all));
	a->all[a->n] = (struct audit_finding){.invariant = memory_text(invariant, strlen(invariant))};
	return &a->all[a->n++];
}

/* Adds what a statement found. */
static int
take(PGconn *db, struct audit *a, const char *sql, int n, const char *const *values)
{
	PGresult *r = database_query(db, sql, n, values);

	if (r == NULL)
		return -1;
	if (PQntuples(r) == 0) {
		ctl_failed("the database's audit checks nothing");
		PQclear(r);
		return -1;
	}
	for (int i = 0; i < PQntuples(r); i++) {
		struct audit_finding *f = finding_of(a, PQgetvalue(r, i, ROW_INVARIANT));
		add(&f->broken, strtoll(PQgetvalue(r, i, ROW_BROKEN), NULL, 10));
		add(&f->unexplained, strtoll(PQgetvalue(r, i, ROW_UNEXPLAINED), NULL, 10));
	}
	PQclear(r);
	return 0;
}

/* All visits. The last slice has no end: what is newer than the last full one, and what names visits that are not there. */
static int
take_slices(PGconn *db, struct audit *a, const struct audit_plan *plan)
{
	char after[24] = "", last[24] = "", slice[16];

	snprintf(slice, sizeof(slice), "%d", plan->slice);
	do {
		const char *values[] = {after[0] != '\0' ? after : NULL, slice};
		PGresult *r = database_query(db, last_sql, 2, values);
		if (r == NULL)
			return -1;
		snprintf(last, sizeof(last), "%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
		PQclear(r);
		values[1] = last[0] != '\0' ? last : NULL;
		if (take(db, a, slice_sql, 2, values) != 0)
			return -1;
		memcpy(after, last, sizeof(after));
		if (after[0] != '\0')
			poll(NULL, 0, plan->pause_ms);
	} while (after[0] != '\0');
	return 0;
}

int
audit_run(PGconn *db, const struct audit_plan *plan, struct audit *ret)
{
	struct audit a = {0};

	if (take_slices(db, &a, plan) != 0 || take(db, &a, totals_sql, 0, NULL) != 0) {
		audit_clear(&a);
		return -1;
	}
	for (size_t i = 0; i < a.n; i++) {
		a.n_broken += a.all[i].broken != 0;
		add(&a.broken, a.all[i].broken);
		add(&a.unexplained, a.all[i].unexplained);
	}
	*ret = a;
	return 0;
}

void
audit_clear(struct audit *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->all[i].invariant);
	free(a->all);
	*a = (struct audit){0};
}
