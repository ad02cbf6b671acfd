/* Reading: visits, bills, payments, receipts; and settle now. Documents are made by SQL; they pass through as they are. */
#include <stdlib.h>

#include "api/api.h"
#include "proto/timestamp.h"

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
api_post_settle(struct call *c)
{
	struct pg_param params[] = {api_text(c->params[0]), api_text(c->params[1]), api_text(view_of(c->who.name)), api_facilities(c)};

	api_reply_sql(c, SQL_VISIT_SETTLE, params, 4, 200, "visit_unknown");
}

void
api_get_statement(struct call *c)
{
	struct view day = api_query(c, "day");
	int32_t days;

	if (day.n > 0 && (day.n != 10 || day.p[4] != '-' || day.p[7] != '-' || timestamp_parse_date(day, &days) != 0)) {
		api_problem(c, "field_invalid", "day is a date such as 2026-01-15", "?day");
		return;
	}
	struct pg_param params[] = {api_text(c->params[0]), api_text(c->params[1]), api_text(day), api_facilities(c)};
	api_reply_sql(c, SQL_VISIT_STATEMENT, params, 4, 200, "visit_unknown");
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
