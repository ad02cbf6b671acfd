/* bill show: finds a bill by whatever name it is asked for, and prints it, with a QR code where one is given. */
#include "bill.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "database.h"
#include "document.h"
#include "qr.h"
#include "text.h"

enum { COLUMNS_LEAST = 80, COLUMNS_MOST = 100 };

/* The public id; FACILITY/BILL_NO; BILL_NO of any facility. Bill numbers may hold a slash themselves. */
static const char find_sql[] =
    "select b.public_id, f.code || '/' || b.bill_no from bill b join facility f using (facility_id)"
    " where b.bill_id in (select bill_id from bill where public_id = $1"
    "     union select o.bill_id from facility d join bill o on o.facility_id = d.facility_id and o.bill_no = $1"
    "     union select o.bill_id from facility d join bill o on o.facility_id = d.facility_id and o.bill_no = substr($1, strpos($1, '/') + 1)"
    "            where strpos($1, '/') > 0 and d.code = split_part($1, '/', 1))"
    " order by 2";

static const char more_sql[] =
    "select json_build_object('hospital', coalesce(nullif(f.name, ''), f.code), 'class', v.class, 'department', v.department,"
    "    'admitted_at', iso_time(v.admitted_at), 'discharged_at', iso_time(v.discharged_at),"
    "    'voids', (select o.bill_no from bill o where o.bill_id = b.voids_bill_id),"
    "    'voided_by', (select o.bill_no from bill o where o.voids_bill_id = b.bill_id),"
    "    'payments', (select coalesce(json_agg(json_build_object('at', iso_time(c.captured_at), 'channel', c.channel, 'amount', yuan(a.amount),"
    "          'receipt_no', (select f.code || '-' || r.year || '-' || lpad(r.number::text, 6, '0') from receipt r where r.capture_id = c.capture_id))"
    "          order by a.application_id), '[]') from application a join capture c using (capture_id) where a.bill_id = b.bill_id),"
    "    'credits', (select coalesce(json_agg(json_build_object('at', iso_time(a.at), 'amount', yuan(case when a.bill_id = b.bill_id then a.amount else -a.amount end),"
    "          'bill_no', o.bill_no) order by a.application_id), '[]')"
    "          from application a join bill o on o.bill_id = case when a.bill_id = b.bill_id then a.credit_bill_id else a.bill_id end"
    "         where a.visit_id = b.visit_id and (a.credit_bill_id = b.bill_id or (a.bill_id = b.bill_id and a.credit_bill_id is not null))),"
    "    'categories', (select json_agg(json_build_object('category', code, 'name', name, 'name_en', name_en) order by category) from category)) as more"
    "  from bill b join facility f using (facility_id) join visit v on v.visit_id = b.visit_id where b.public_id = $1";

/* Returns the bill's public id in id, or -1 after having said why not. */
static int
find_bill(PGconn *db, const char *name, char id[64])
{
	PGresult *r = database_query(db, find_sql, 1, &name);
	int n = r != NULL ? PQntuples(r) : -1;

	if (n == 1)
		snprintf(id, 64, "%s", PQgetvalue(r, 0, 0));
	else if (n == 0)
		ctl_failed("there is no bill %s", name);
	else if (n > 1)
		ctl_failed("%d bills are called %s: say %s, %s%s", n, name, PQgetvalue(r, 0, 1), PQgetvalue(r, 1, 1), n > 2 ? ", …" : "");
	PQclear(r);
	return n == 1 ? 0 : -1;
}

static int
page_columns(void)
{
	const char *said = getenv("COLUMNS");
	int columns = text_terminal_columns(stdout);

	if (columns == 0 && said != NULL)
		columns = (int)strtol(said, NULL, 10);
	return columns < COLUMNS_LEAST ? COLUMNS_LEAST : columns > COLUMNS_MOST ? COLUMNS_MOST : columns;
}

static int
bill_show(PGconn *db, const char *name, bool lines, const char *qr, bool color)
{
	char id[64];

	if (find_bill(db, name, id) != 0)
		return CTL_FAILED;
	const char *values[] = {id, lines ? "true" : "false"};
	PGresult *bill = database_query(db, "select doc from bill_doc($1, $2, '{*}')", 2, values);
	PGresult *more = bill != NULL ? database_query(db, more_sql, 1, values) : NULL;
	int status = CTL_FAILED;

	if (more != NULL) {
		struct bill_page page = {document_of(bill, "doc"), document_of(more, "more"), page_columns()};
		bill_print(&page, stdout);
		status = CTL_OK;
		if (qr != NULL) {
			putchar('\n');
			if (qr_print(stdout, qr, page.columns, color) != 0)
				status = ctl_failed("the text for the QR code is too long, or empty");
		}
		json_object_put(page.bill);
		json_object_put(page.more);
	}
	PQclear(more);
	PQclear(bill);
	return status;
}

int
ctl_bill_show(const struct ctl *c, int argc, char **argv)
{
	const char *name, *qr = NULL;
	bool no_lines = false, color = false;
	const struct ctl_option options[] = {{"--qr", NULL, &qr}, {"--no-lines", &no_lines, NULL}, {"--color", &color, NULL}};
	PGconn *db;

	if (ctl_arguments(c, argc, argv, options, 3, &name, 1) != CTL_OK)
		return CTL_USAGE;
	if ((db = database_open(c, DATABASE_READ)) == NULL)
		return CTL_FAILED;
	int status = bill_show(db, name, !no_lines, qr, color || isatty(STDOUT_FILENO));
	PQfinish(db);
	return status;
}
