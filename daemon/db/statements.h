/* The SQL that the daemon says: one function call a statement, prepared once a connection. What reads or writes for a caller takes the caller's scope;
 * the rest is the daemon's own, and no handler of a request may say it for a caller. scripts/scopes.py holds the two apart. */
#ifndef VB_DB_STATEMENTS_H
#define VB_DB_STATEMENTS_H

enum statement {
	SQL_LOCK_BRIEFLY, SQL_BEAT,
	SQL_SETUP_APPLY, SQL_FEED_MARKS, SQL_FEED_COUNTS, SQL_PARTITIONS_AHEAD, SQL_RELOAD_ORPHANS,
	SQL_TOKENS_CHANGED, SQL_TOKENS_USED,
	SQL_VISITS_HOLD, SQL_CHARGES_POST, SQL_CHARGES_POST_ONE, SQL_VISIT_EVENTS, SQL_ITEMS_KEEP,
	SQL_QUARANTINE_PUT, SQL_QUARANTINE_READY, SQL_QUARANTINE_BYTES, SQL_QUARANTINE_REPLAYABLE, SQL_QUARANTINE_REPLAYED, SQL_QUARANTINE_LIST,
	SQL_QUARANTINE_SUMMARY, SQL_QUARANTINE_DISMISS,
	SQL_VISITS_CLOSE, SQL_VISITS_END, SQL_VISITS_OVERDUE,
	SQL_VISIT_DOC, SQL_VISIT_BILLS, SQL_VISIT_SETTLE, SQL_VISIT_STATEMENT, SQL_BILL_DOC, SQL_PAYMENT_GET, SQL_RECEIPT_GET, SQL_BILLS_WATCH, SQL_STATUS_DOC,
	SQL_FEED_DOC, SQL_LOOKALIKES_FIND, SQL_LOOKALIKE_LIST, SQL_LOOKALIKE_DISMISS,
	SQL_PAYMENT_CREATE, SQL_PAYMENT_PENDING, SQL_PAYMENT_UNKNOWN, SQL_PAYMENT_END, SQL_PAYMENT_CAPTURES, SQL_PAYMENTS_DUE, SQL_PAYMENT_CANCEL,
	STATEMENTS
};

const char *statement_sql(enum statement s);

/* Which of its parameters, from 1, is the caller's scope: the text of a text[], {*} for all facilities; it is never null. 0: the statement is the
 * daemon's own. */
int statement_scope(enum statement s);

/* The scope of all facilities, for what the daemon does on its own account by a statement that callers have, too. */
#define SCOPE_ALL "{*}"

#endif
