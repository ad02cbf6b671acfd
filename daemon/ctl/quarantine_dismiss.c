/* quarantine dismiss: says of one entry, or of all that a filter means, that it needs no booking. In the database itself: it takes no daemon. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "document.h"
#include "quarantine_many.h"
#include "user.h"

enum { AT_ONCE = 1000 };

struct dismissal {
	PGconn *db;
	const char *filter, *why;
	struct arena arena;
};

/* One call; NULL after having said what is wrong. */
static json_object *
ask(PGconn *db, const char *sql, int n, const char *const *values)
{
	PGresult *r = database_query(db, sql, n, values);
	json_object *doc = r != NULL ? document_of(r, "doc") : NULL;

	PQclear(r);
	return doc;
}

static json_object *
ask_summary(void *arg, int64_t after)
{
	struct dismissal *d = arg;
	const char *values[] = {d->filter, arena_printf(&d->arena, "%" PRId64, after)};

	return ask(d->db, "select doc from quarantine_summary($1, $2, '{*}')", 2, values);
}

/* All of them, so many at a time, each a transaction; *ret_n of how many it was said. */
static int
dismiss_all(struct dismissal *d, int64_t of, int64_t *ret_n)
{
	int64_t after = 0;

	*ret_n = 0;
	do {
		const char *values[] = {d->filter, arena_printf(&d->arena, "%d", AT_ONCE), arena_printf(&d->arena, "%" PRId64, after), user_name(&d->arena), d->why};
		json_object *doc = ask(d->db, "select doc from quarantine_dismiss($1, $2, $3, $4, $5, '{*}')", 5, values);
		if (doc == NULL)
			return CTL_FAILED;
		*ret_n += json_object_get_int64(document_member(doc, "dismissed"));
		after = json_object_get_int64(document_member(doc, "next"));
		json_object_put(doc);
		if (of > AT_ONCE)
			fprintf(stderr, "%" PRId64 " of %" PRId64 "\n", *ret_n, of);
	} while (after > 0);
	return CTL_OK;
}

/* Why nothing was done. */
static int
complain(struct dismissal *d, const char *id)
{
	PGresult *r = database_query(d->db, "select from quarantine where quarantine_id = $1", 1, &id);

	if (r != NULL && PQntuples(r) > 0)
		ctl_failed("quarantine entry %s is resolved already; see visitbillctl quarantine show %s", id, id);
	else if (r != NULL)
		ctl_failed("there is no quarantine entry %s", id);
	PQclear(r);
	return CTL_FAILED;
}

static int
dismiss_one(struct dismissal *d, const char *id)
{
	int64_t n;

	if (dismiss_all(d, 1, &n) != CTL_OK)
		return CTL_FAILED;
	if (n == 0)
		return complain(d, id);
	printf("%s: dismissed\n", id);
	return CTL_OK;
}

static int
dismiss_many(void *arg, int64_t of)
{
	int64_t n;

	if (dismiss_all(arg, of, &n) != CTL_OK)
		return CTL_FAILED;
	printf("%" PRId64 " dismissed\n", n);
	return CTL_OK;
}

int
ctl_quarantine_dismiss(const struct ctl *c, int argc, char **argv)
{
	static const struct quarantine_deed deed = {"dismissed", ask_summary, dismiss_many};
	struct quarantine_words words = {0};
	struct dismissal d = {0};
	const char *id = NULL;
	bool dry_run = false, yes = false;
	const struct ctl_option options[] = {{"--why", NULL, &d.why}, {"--dry-run", &dry_run, NULL}, {"--yes", &yes, NULL}, QUARANTINE_OPTIONS(words)};
	int status;

	if (ctl_arguments_up_to(c, argc, argv, options, 3 + QUARANTINE_N_OPTIONS, &id, 1) != CTL_OK)
		return CTL_USAGE;
	struct quarantine_filter f = quarantine_filter_of(&words);
	if ((id != NULL) == quarantine_filter_is_narrow(&f))
		return ctl_usage(c, id != NULL ? "an ID is one entry: it goes without a filter" : "say which: an ID, or a filter");
	f.id = view_of(id);
	if ((status = quarantine_filter_read(c, &f, &d.arena, &d.filter)) != CTL_OK)
		goto out;
	if (!(dry_run && id == NULL) && (d.why == NULL || view_trim(view_of(d.why)).n == 0)) {
		status = ctl_usage(c, "say --why: it stays in the books");
		goto out;
	}
	status = CTL_FAILED;
	if ((d.db = database_open(c, DATABASE_WRITE)) != NULL && database_commit(d.db) == 0)		/* from here each call is a transaction */
		status = id != NULL ? dismiss_one(&d, id) : quarantine_many(&deed, &d, yes && !dry_run);
out:
	PQfinish(d.db);
	arena_free(&d.arena);
	return status;
}
