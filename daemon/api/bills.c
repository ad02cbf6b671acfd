/* Reading: visits, bills, payments, receipts. Documents are made by SQL; they pass through as they are. */
#include "api/api.h"

void
api_get_visit(struct call *c)
{
	struct pg_param params[] = {api_text(c->params[0]), api_text(c->params[1]), api_facilities(c)};

	api_reply_sql(c, SQL_VISIT_DOC, params, 3, 200, "visit_unknown");
}

void
api_get_visit_bills(struct call *c)
{
	struct pg_param params[] = {api_text(c->params[0]), api_text(c->params[1]), api_facilities(c)};

	api_reply_sql(c, SQL_VISIT_BILLS, params, 3, 200, "visit_unknown");
}

void
api_get_bill(struct call *c)
{
	bool lines = view_is(api_query(c, "lines"), "all");
	struct pg_param params[] = {api_text(c->params[0]), api_text(view_of(lines ? "t" : "f")), api_facilities(c)};

	api_reply_sql(c, SQL_BILL_DOC, params, 3, 200, "bill_unknown");
}

void
api_get_payment(struct call *c)
{
	struct pg_param params[] = {api_text(c->params[0]), api_facilities(c)};

	api_reply_sql(c, SQL_PAYMENT_GET, params, 2, 200, "payment_unknown");
}

void
api_get_receipt(struct call *c)
{
	struct pg_param params[] = {api_text(c->params[0]), api_facilities(c)};

	api_reply_sql(c, SQL_RECEIPT_GET, params, 2, 200, "not_found");
}
