/* Each statement is one call; what it does and locks is said in sql/functions/. */
#include "statements.h"

static const char *const sql[STATEMENTS] = {
	[SQL_SETUP_APPLY] = "select setup_apply($1)",
	[SQL_FEED_MARKS] = "select feed_marks($1, $2)",
	[SQL_PARTITIONS_AHEAD] = "select partitions_ahead()",
	[SQL_CHARGES_POST] = "select outcomes, totals, states from charges_post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
	    " $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)",
	[SQL_VISIT_EVENTS] = "select visit_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
	[SQL_QUARANTINE_PUT] = "select quarantine_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
	[SQL_QUARANTINE_RESOLVE] = "select quarantine_resolve($1, $2, $3)",
	[SQL_QUARANTINE_SUPERSEDE] = "select quarantine_supersede($1, $2, $3, $4, $5)",
	[SQL_QUARANTINE_READY] = "select quarantine_id, feed_id, content_type, bytes, ordinal from quarantine_ready($1)",
	[SQL_QUARANTINE_BYTES] = "select quarantine_id, feed_id, content_type, bytes, ordinal from quarantine_bytes($1)",
	[SQL_QUARANTINE_LIST] = "select outcome, doc from quarantine_list($1, $2)",
	[SQL_VISITS_CLOSE] = "select visits, bills, failed from visits_close($1)",
	[SQL_VISITS_OVERDUE] = "select visits_overdue()",
	[SQL_VISIT_DOC] = "select outcome, doc from visit_doc($1, $2, $3)",
	[SQL_VISIT_BILLS] = "select outcome, doc from visit_bills($1, $2, $3)",
	[SQL_BILL_DOC] = "select outcome, doc from bill_doc($1, $2, $3)",
	[SQL_PAYMENT_GET] = "select outcome, doc from payment_get($1, $2)",
	[SQL_RECEIPT_GET] = "select outcome, doc from receipt_get($1, $2)",
	[SQL_BILLS_WATCH] = "select bill, version, doc from bills_watch($1, $2)",
	[SQL_STATUS_DOC] = "select status_doc()",
	[SQL_PAYMENT_CREATE] = "select outcome, doc, payment_id, out_trade_no, description"
	    " from payment_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
	[SQL_PAYMENT_PENDING] = "select outcome, doc from payment_pending($1, $2)",
	[SQL_PAYMENT_UNKNOWN] = "select outcome, doc from payment_unknown($1, $2)",
	[SQL_PAYMENT_END] = "select outcome, doc from payment_end($1, $2, $3)",
	[SQL_PAYMENT_CAPTURES] = "select outcome from payment_captures($1, $2, $3, $4, $5, $6) order by ord",
	[SQL_PAYMENTS_DUE] = "select payment_id, channel, merchant, out_trade_no, state, expired, age_s, shown from payments_due($1)",
	[SQL_PAYMENT_CANCEL] = "select outcome, doc, payment_id, channel, merchant, out_trade_no from payment_cancel($1, $2)",
};

const char *
statement_sql(enum statement s)
{
	return sql[s];
}
