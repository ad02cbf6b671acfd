/* Each statement is one call; what it does and locks is said in sql/functions/. */
#include "statements.h"

struct row {
	const char *sql;
	int scope;	/* see statement_scope */
};

#define SCOPED(position, sql) {sql, position}
#define OWN(sql) {sql, 0}

static const struct row rows[STATEMENTS] = {
	[SQL_LOCK_BRIEFLY] = OWN("select lock_briefly($1)"),
	[SQL_BEAT] = OWN("select standbys, lag_us from beat()"),
	[SQL_SETUP_APPLY] = OWN("select setup_apply($1) as doc"),
	[SQL_FEED_MARKS] = OWN("select feed_marks($1, $2, $3)"),
	[SQL_FEED_COUNTS] = OWN("select feed_counts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"),
	[SQL_PARTITIONS_AHEAD] = OWN("select partitions_ahead()"),
	[SQL_RELOAD_ORPHANS] = OWN("select kind, name, live from reload_orphans($1, $2)"),
	[SQL_TOKENS_CHANGED] = OWN("select token_id, name, sha256, role, facilities, feed, expires_us, revoked, changed from tokens_changed($1)"),
	[SQL_TOKENS_USED] = OWN("select tokens_used($1, $2, $3)"),
	[SQL_VISITS_HOLD] = OWN("select visits_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"),
	[SQL_CHARGES_POST] = OWN("select outcomes, totals, states, prices, numbers, sums from charges_post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
	    " $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)"),
	[SQL_CHARGES_POST_ONE] = OWN("select outcomes, totals, states, prices, sums from charges_post_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
	    " $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"),
	[SQL_VISIT_EVENTS] = OWN("select visit_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,"
	    " $20, $21, $22, $23) as outcomes"),
	[SQL_ITEMS_KEEP] = OWN("select items_keep($1, $2) as outcomes"),
	[SQL_QUARANTINE_PUT] = OWN("select quarantine_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"),
	[SQL_QUARANTINE_READY] = OWN("select quarantine_id, feed_id, content_type, bytes, ordinal, operation from quarantine_ready($1)"),
	[SQL_QUARANTINE_BYTES] = SCOPED(2, "select quarantine_id, feed_id, content_type, bytes, ordinal, operation, ended from quarantine_bytes($1, $2)"),
	[SQL_QUARANTINE_REPLAYABLE] = SCOPED(4, "select quarantine_id, feed_id, content_type, bytes, ordinal, operation, next"
	    " from quarantine_replayable($1, $2, $3, $4)"),
	[SQL_QUARANTINE_REPLAYED] = SCOPED(6, "select quarantine_replayed($1, $2, $3, $4, $5, $6)"),
	[SQL_QUARANTINE_LIST] = SCOPED(4, "select outcome, doc from quarantine_list($1, $2, $3, $4)"),
	[SQL_QUARANTINE_SUMMARY] = SCOPED(3, "select outcome, doc from quarantine_summary($1, $2, $3)"),
	[SQL_QUARANTINE_DISMISS] = SCOPED(6, "select outcome, doc from quarantine_dismiss($1, $2, $3, $4, $5, $6)"),
	[SQL_VISITS_CLOSE] = OWN("select visits, bills, failed from visits_close($1)"),
	[SQL_VISITS_END] = OWN("select looked, ended from visits_end($1)"),
	[SQL_VISITS_OVERDUE] = OWN("select visits_overdue()"),
	[SQL_VISIT_DOC] = SCOPED(3, "select outcome, doc from visit_doc($1, $2, $3)"),
	[SQL_VISIT_BILLS] = SCOPED(3, "select outcome, doc from visit_bills($1, $2, $3)"),
	[SQL_VISIT_SETTLE] = SCOPED(4, "select outcome, doc from visit_settle($1, $2, $3, $4)"),
	[SQL_VISIT_STATEMENT] = SCOPED(4, "select outcome, doc from visit_statement($1, $2, $3, $4)"),
	[SQL_BILL_DOC] = SCOPED(3, "select outcome, doc from bill_doc($1, $2, $3)"),
	[SQL_PAYMENT_GET] = SCOPED(2, "select outcome, doc from payment_get($1, $2)"),
	[SQL_RECEIPT_GET] = SCOPED(2, "select outcome, doc from receipt_get($1, $2)"),
	[SQL_BILLS_WATCH] = SCOPED(3, "select ord, version, doc from bills_watch($1, $2, $3)"),
	[SQL_LOOKALIKES_FIND] = OWN("select looked, pairs, failed from lookalikes_find($1)"),
	[SQL_LOOKALIKE_LIST] = SCOPED(4, "select outcome, doc from lookalike_list($1, $2, $3, $4)"),
	[SQL_LOOKALIKE_DISMISS] = SCOPED(4, "select outcome, doc from lookalike_dismiss($1, $2, $3, $4)"),
	[SQL_STATUS_DOC] = OWN("select status_doc() as doc"),
	[SQL_FEED_DOC] = SCOPED(3, "select outcome, doc from feed_doc($1, $2, $3)"),
	[SQL_PAYMENT_CREATE] = SCOPED(10, "select outcome, doc, payment_id, out_trade_no, description"
	    " from payment_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"),
	[SQL_PAYMENT_PENDING] = OWN("select outcome, doc from payment_pending($1, $2)"),
	[SQL_PAYMENT_UNKNOWN] = OWN("select outcome, doc from payment_unknown($1, $2)"),
	[SQL_PAYMENT_END] = OWN("select outcome, doc from payment_end($1, $2, $3)"),
	[SQL_PAYMENT_CAPTURES] = OWN("select outcome from payment_captures($1, $2, $3, $4, $5, $6) order by ord"),
	[SQL_PAYMENTS_DUE] = OWN("select payment_id, channel, merchant, out_trade_no, state, expired, age_s, shown from payments_due($1)"),
	[SQL_PAYMENT_CANCEL] = SCOPED(2, "select outcome, doc, payment_id, channel, merchant, out_trade_no from payment_cancel($1, $2)"),
};

const char *
statement_sql(enum statement s)
{
	return rows[s].sql;
}

int
statement_scope(enum statement s)
{
	return rows[s].scope;
}
