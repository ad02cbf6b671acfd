/* visit show: one visit as an operator asks for it on the telephone: who, where, which bills and payments, and what happened when. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "database.h"
#include "document.h"
#include "table.h"

static const char payments_sql[] =
    "select to_char(p.created_at, 'YYYY-MM-DD HH24:MI:SS') as at, b.bill_no, p.channel, yuan(p.amount) as amount, p.state, p.public_id"
    "  from payment p join bill b using (bill_id) join visit v on v.visit_id = p.visit_id join facility f on f.facility_id = v.facility_id"
    " where f.code = $1 and v.visit_no = $2"
    " union all"
    " select to_char(c.captured_at, 'YYYY-MM-DD HH24:MI:SS'), null, c.channel, yuan(c.amount), 'succeeded', c.transaction_id"
    "  from capture c join visit v using (visit_id) join facility f using (facility_id)"
    " where f.code = $1 and v.visit_no = $2 and c.payment_id is null"
    " order by 1";

static const char events_sql[] =
    "select to_char(e.at, 'YYYY-MM-DD HH24:MI:SS.MS') as at, e.kind,"
    "       coalesce(nullif(concat_ws(' → ', e.from_state, e.to_state), ''), '-') as change,"
    "       concat_ws(' ', b.bill_no, yuan(p.amount), e.detail ->> 'kind', e.detail ->> 'into', e.detail ->> 'from', e.detail ->> 'total',"
    "                 e.detail ->> 'amount', e.detail ->> 'reason', e.detail ->> 'rule', 'by ' || (e.detail ->> 'by'),"
    "                 case when jsonb_array_length(e.detail -> 'silent_feeds') > 0 then 'without ' || (e.detail ->> 'silent_feeds') end) as detail,"
    "       concat_ws(' ', d.name, e.message_id) as source"
    "  from event e join visit v on v.visit_id = e.visit_id join facility f using (facility_id)"
    "  left join bill b on b.bill_id = e.bill_id left join payment p on p.payment_id = e.payment_id left join feed d on d.feed_id = e.feed_id"
    " where f.code = $1 and v.visit_no = $2 order by e.event_id";

/* What is not here any more, in words; no row where all is. Events go by their numbers, so it is not known whether some of this visit's are among them. */
static const char archived_sql[] =
    "select 'lines', 'in ' || a.file from archive a join visit v on v.visit_id between a.first_id and a.last_id join facility f using (facility_id)"
    " where a.relation = 'charge' and f.code = $1 and v.visit_no = $2"
    " union all"
    " select 'history', 'events up to number ' || max(a.last_id) || ' are in files, the last one is ' || (array_agg(a.file order by a.last_id desc))[1]"
    "  from archive a where a.relation = 'event' and a.archived_at > (select v.opened_at from visit v join facility f using (facility_id)"
    "       where f.code = $1 and v.visit_no = $2) having count(*) > 0";

static void
print_head(json_object *visit)
{
	static const struct column columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_LEFT, true}};
	struct table *t = table_new(columns, 2);
	json_object *patient = document_member(visit, "patient");
	const char *into = document_text(visit, "merged_into"), *class = document_text(visit, "class");
	char text[512], admitted[DOCUMENT_TIME], discharged[DOCUMENT_TIME], flags[128];

	snprintf(text, sizeof(text), "%s/%s", document_text(visit, "facility"), document_text(visit, "visit_no"));
	table_add(t, (const char *[]){"visit", text});
	snprintf(text, sizeof(text), "%s%s%s", document_text(visit, "state"), into != NULL ? " into " : "", into != NULL ? into : "");
	table_add(t, (const char *[]){"state", text});
	document_join(document_member(visit, "flags"), flags, sizeof(flags));
	table_add(t, (const char *[]){"flags", flags[0] != '\0' ? flags : "none"});
	snprintf(text, sizeof(text), "%s %s", class, document_word(class));
	table_add(t, (const char *[]){"class", text});
	const char *const who[] = {"name", "patient_no", "sex", "birth_date"};
	text[0] = '\0';
	for (size_t i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
		const char *part = document_text(patient, who[i]);
		size_t used = strlen(text);
		if (part != NULL)
			snprintf(text + used, sizeof(text) - used, "%s%s", used > 0 ? ", " : "", part);
	}
	table_add(t, (const char *[]){"patient", text[0] != '\0' ? text : NULL});
	table_add(t, (const char *[]){"department", document_text(visit, "department")});
	table_add(t, (const char *[]){"location", document_text(visit, "location")});
	table_add(t, (const char *[]){"admitted", document_time(document_text(visit, "admitted_at"), true, admitted)});
	table_add(t, (const char *[]){"discharged", document_time(document_text(visit, "discharged_at"), true, discharged)});
	snprintf(text, sizeof(text), "%s in %s lines, credit limit %s", document_text(visit, "total"), document_text(visit, "lines"),
	    document_text(visit, "credit_limit"));
	table_add(t, (const char *[]){"charges", text});
	table_print(t, stdout, 0);
	table_free(t);
}

static void
print_bills(json_object *bills)
{
	static const struct column columns[] = {
		{"bill", TEXT_LEFT, false}, {"kind", TEXT_LEFT, false}, {"state", TEXT_LEFT, false}, {"issued", TEXT_LEFT, false},
		{"total", TEXT_RIGHT, false}, {"paid", TEXT_RIGHT, false}, {"credited", TEXT_RIGHT, false}, {"outstanding", TEXT_RIGHT, false},
		{"id", TEXT_LEFT, false},
	};
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char issued[DOCUMENT_TIME];

	for (size_t i = 0; i < json_object_array_length(bills); i++) {
		json_object *b = json_object_array_get_idx(bills, i);
		table_add(t, (const char *[]){document_text(b, "bill_no"), document_text(b, "kind"), document_text(b, "state"),
		    document_time(document_text(b, "issued_at"), true, issued), document_text(b, "total"), document_text(b, "paid"),
		    document_text(b, "credited"), document_text(b, "outstanding"), document_text(b, "bill")});
	}
	puts("\nBILLS");
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	else
		puts("  none");
	table_free(t);
}

/* A result as a table under a title. */
static void
print_result(const char *title, const PGresult *r, const struct column *columns)
{
	size_t n = (size_t)PQnfields(r);
	struct table *t = table_new(columns, n);
	const char *cells[8];

	for (int row = 0; row < PQntuples(r); row++) {
		for (size_t i = 0; i < n && i < sizeof(cells) / sizeof(cells[0]); i++)
			cells[i] = database_value(r, row, (int)i);
		table_add(t, cells);
	}
	printf("\n%s\n", title);
	if (table_rows(t) > 0)
		table_print(t, stdout, 2);
	else
		puts("  none");
	table_free(t);
}

static int
visit_show(PGconn *db, const char *const *key)
{
	static const struct column payment_columns[] = {
		{"at", TEXT_LEFT, false}, {"bill", TEXT_LEFT, false}, {"channel", TEXT_LEFT, false}, {"amount", TEXT_RIGHT, false},
		{"state", TEXT_LEFT, false}, {"id", TEXT_LEFT, false},
	};
	static const struct column event_columns[] = {
		{"at", TEXT_LEFT, false}, {"what", TEXT_LEFT, false}, {"change", TEXT_LEFT, false}, {"detail", TEXT_LEFT, true},
		{"feed and message", TEXT_LEFT, true},
	};
	static const struct column archived_columns[] = {{"", TEXT_LEFT, false}, {"", TEXT_LEFT, false}};
	PGresult *r = database_query(db, "select outcome, doc from visit_doc($1, $2, '{*}')", 2, key);
	PGresult *payments = r != NULL ? database_query(db, payments_sql, 2, key) : NULL;
	PGresult *events = payments != NULL ? database_query(db, events_sql, 2, key) : NULL;
	PGresult *archived = events != NULL ? database_query(db, archived_sql, 2, key) : NULL;
	json_object *visit = archived != NULL ? document_of(r, "doc") : NULL;

	if (archived != NULL && visit == NULL)
		ctl_failed("facility %s has no visit %s", key[0], key[1]);
	if (visit != NULL) {
		print_head(visit);
		print_bills(document_member(visit, "bills"));
		print_result("PAYMENTS", payments, payment_columns);
		print_result("HISTORY", events, event_columns);
		if (PQntuples(archived) > 0)
			print_result("ARCHIVED", archived, archived_columns);
	}
	int status = visit != NULL ? CTL_OK : CTL_FAILED;
	json_object_put(visit);
	PQclear(archived);
	PQclear(events);
	PQclear(payments);
	PQclear(r);
	return status;
}

int
ctl_visit_show(const struct ctl *c, int argc, char **argv)
{
	const char *key[2];
	PGconn *db;

	if (ctl_arguments(c, argc, argv, NULL, 0, key, 2) != CTL_OK)
		return CTL_USAGE;
	if ((db = database_open(c, DATABASE_READ)) == NULL)
		return CTL_FAILED;
	int status = visit_show(db, key);
	PQfinish(db);
	return status;
}
