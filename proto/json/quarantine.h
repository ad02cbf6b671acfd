/* Which entries of the quarantine are meant, and what is to be done with them: from the texts of a query, a body or a command line to the filter that SQL
 * takes (quarantine_pick in sql/functions/30_quarantine.sql). */
#ifndef VB_PROTO_JSON_QUARANTINE
#define VB_PROTO_JSON_QUARANTINE

#include "proto/fields.h"
#include "proto/intake.h"

/* Texts as they were sent; an empty one says nothing. */
struct quarantine_filter {
	struct view id;			/* one entry */
	struct view state;		/* waiting, resolved, all */
	struct view feed, reason, visit, text;
	struct view day, from, until;	/* a calendar day, or times */
	struct view order;		/* newest, oldest: which come first */
};

/* Its members by name, for who reads them: where each is, and what it may hold. */
struct quarantine_member {
	const char *name;
	size_t offset;
	enum field field;
};
extern const struct quarantine_member quarantine_members[];
extern const size_t quarantine_n_members;

/* The filter as SQL takes it, JSON in the arena, with a NUL behind it. Days and times without an offset are of `offset`, seconds east of UTC. Any bytes may be in it. Returns
 * NULL, or what is wrong with the member *ret_member. */
const char *quarantine_filter_json(const struct quarantine_filter *f, int offset, struct arena *a, struct view *ret, const char **ret_member);

/* Does it mean more than a state and an order, so that it was not left out by mistake? */
bool quarantine_filter_is_narrow(const struct quarantine_filter *f);

/* POST /v1/quarantine/replay and /dismiss: {"filter": {…}, "dry_run", "why", "limit", "after"}. */
struct quarantine_request {
	struct view filter;		/* as SQL takes it; of entries that wait */
	bool dry_run;
	struct view why;
	int64_t limit, after;		/* limit 0: not said */
};
/* Texts are in the arena, with a NUL behind them. Sets *ret_refused and returns -1 when the body is wrong. */
int quarantine_request_parse(struct view body, int offset, struct arena *a, struct quarantine_request *ret, struct refusal *ret_refused)
    __attribute__((warn_unused_result));

#endif
