"""Invariant 3: what is booked stays. The daemon's role writes no table and calls only what it was given; not even the owner changes a
booked row; and a security definer function cannot be led to other tables."""

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege

from .ledger import charge, fresh_number

HEADS = {"facility", "feed", "feed_watermark", "intake_tally", "item", "category", "visit", "bill_state", "account", "payment",
         "receipt_counter", "beat", "patient_link", "bill_due", "kept_change", "kept_count", "quarantine_waiting", "api_token", "token_use", "schema_version", "schema_functions",
         "close_rule", "visit_ending", "visit_number", "feed_message", "feed_lines", "feed_sequence", "feed_gap", "feed_again", "lookalike_waiting", "lookalike_due"}
APPEND_ONLY = {"charge", "quarantine_message", "quarantine", "quarantine_resolution", "event", "bill", "journal", "capture",
               "application", "receipt", "quarantine_bytes", "quarantine_bytes_again", "archive", "archive_account", "lookalike", "lookalike_dismissal"}

GRANTED = set("""setup_apply feed_marks feed_counts feed_doc items_import items_keep partitions_ahead visit_events charges_post charges_post_one quarantine_put quarantine_resolve quarantine_supersede
    quarantine_replayed quarantine_replayable quarantine_ready quarantine_bytes quarantine_list quarantine_summary quarantine_dismiss visits_close visits_end visit_settle visit_statement visits_overdue payment_create payment_pending payment_unknown
    payment_end payment_captures payments_due payment_cancel visit_doc visit_bills bill_doc payment_get receipt_get bills_watch lookalikes_find lookalike_list lookalike_dismiss audit
    audit_visits audit_totals books status_doc reload_orphans tokens_changed tokens_used token_list yuan decimal_text iso_time lock_briefly beat visits_hold""".split())

PARTS = "select inhrelid::regclass::text from pg_inherits where inhparent::regclass::text = any (array['charge', 'event', 'journal', 'quarantine_bytes'])"
TABLES = ("select c.relname, c.relkind from pg_class c where c.relnamespace = current_schema::regnamespace and c.relkind in ('r', 'p', 'v')"
          " order by 1")
FUNCTIONS = "select oid::regprocedure::text as call, proname as name, prosecdef as definer, coalesce(proconfig, '{}') as config" \
            " from pg_proc where pronamespace = current_schema::regnamespace"


@pytest.fixture(scope="module", name="booked")
def _booked(shared):
    """A row in every append-only table."""
    visit = fresh_number()
    shared.post(charge(visit, "a", 100, code="X"), charge(visit, "b", 5, code="X"))
    (bill,) = shared.close_now(visit)
    shared.pay_cash(bill)
    shared.row("select looked, pairs from lookalikes_find(100000)")
    shared.row("select * from lookalike_dismiss((select max(lookalike_id) from lookalike), 'test', 'w', '{*}')")
    quarantined = shared.value("select quarantine_put(%s, 'hl7', 'test', 'x', array[1], array['conflict'], array['d'], array[null::text],"
                               " array[null::text], array[null::text], array[null::text], array[null::text], 1)", shared.feeds["clinic"])
    shared.value("select quarantine_resolve(%s, 'superseded', 'test', '{*}')", quarantined[0])
    return visit


def column_of(ledger, table):
    return ledger.value("select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and attidentity = '' limit 1", table)


def refused(ledger, sql, error=InsufficientPrivilege):
    with pytest.raises(error) as raised:
        ledger.ask(sql)
    return str(raised.value)


def test_every_table_is_either_a_head_or_append_only(shared):
    names = {name for name, kind in shared.ask(TABLES) if kind != "v"} - {name for (name,) in shared.ask(PARTS)}
    assert names == HEADS | APPEND_ONLY


def test_the_daemon_writes_no_table(ledger, booked):
    for name, kind in ledger.ask(TABLES):
        column = column_of(ledger, name)
        error = psycopg2.Error if kind == "v" else InsufficientPrivilege
        refused(ledger, f"insert into {name} default values", error)
        refused(ledger, f"update {name} set {column} = {column}", error)
        refused(ledger, f"update {name} set {column} = {column} where false", error)
        refused(ledger, f"delete from {name}", error)
        if kind != "v":
            refused(ledger, f"truncate {name} cascade")
            refused(ledger, f"drop table {name}")
            refused(ledger, f"alter table {name} disable trigger all")
            refused(ledger, f"do 'begin lock table {name} in access exclusive mode; end'")


def test_the_daemon_makes_nothing_in_the_schema(ledger):
    refused(ledger, "create table extra (x int)")
    refused(ledger, "create function extra() returns int language sql as 'select 1'")
    refused(ledger, "select nextval('charge_seq')", psycopg2.Error)
    for (sequence,) in ledger.ask("select relname from pg_class where relkind = 'S' and relnamespace = current_schema::regnamespace"):
        refused(ledger, f"select nextval('{sequence}')")
    refused(ledger, "set session_replication_role = replica")


def test_the_daemon_calls_what_it_was_granted_and_nothing_else(ledger):
    may = {row.name for row in ledger.rows(FUNCTIONS + " and has_function_privilege(oid, 'execute')")}
    assert may == GRANTED
    refused(ledger, "select visit_insert(1, 'x', null, null, false, null, null)")
    refused(ledger, "select bill_issue(1, '{}')")
    refused(ledger, "select bills_void(1)")
    refused(ledger, "select credit_apply(1)")
    refused(ledger, "select visits_settle(array[1])")
    refused(ledger, "select receipt_issue(1, 1, 1, 1, 1)")
    refused(ledger, "select capture_journal(1, 1, 1, 'cash', 1, 1)")
    refused(ledger, "select bill_journal('bill', 1, 1, 1, '{}')")


def test_a_stranger_has_nothing(cluster, database):
    cluster.command("create role stranger login")
    stranger = cluster.connect("stranger", database)
    with stranger.cursor() as cursor:
        cursor.execute("select count(*) from pg_proc where pronamespace = 'hospital'::regnamespace and has_function_privilege(oid, 'execute')")
        assert cursor.fetchone() == (0,)
        for sql in ("select from hospital.visit", "select hospital.audit()", "select hospital.yuan(1)"):
            with pytest.raises(InsufficientPrivilege):
                cursor.execute(sql)
    stranger.close()


def test_not_even_the_owner_changes_a_booked_row(desk, booked):
    owner = desk.ledger("visitbill_owner")
    for name in sorted(APPEND_ONLY):
        assert owner.value(f"select count(*) from {name}") > 0 or name.startswith("archive") or name == "quarantine_bytes_again"
        column = column_of(owner, name)
        assert "append-only" in refused(owner, f"update {name} set {column} = {column}")
        assert "append-only" in refused(owner, f"delete from {name}")
        assert "append-only" in refused(owner, f"truncate {name} cascade")


def test_nor_in_a_partition(desk, booked):
    owner = desk.ledger("visitbill_owner")
    partitions = [name for (name,) in owner.ask("select inhrelid::regclass::text from pg_inherits where inhparent = 'charge'::regclass")]
    assert partitions
    for name in partitions:
        assert "append-only" in refused(owner, f"truncate {name}")
    for (name,) in owner.ask(PARTS):
        for sql in (f"truncate {name}", f"update {name} set {column_of(owner, name)} = null where false", f"delete from {name} where false"):
            if not name.startswith("charge_") or "truncate" in sql:     # of lines a trigger looks at each row
                assert "append-only" in refused(owner, sql)
    assert "append-only" in refused(owner, f"update {partitions[0]} set amount = 0")
    assert "append-only" in refused(owner, f"delete from {partitions[0]}")
    assert "append-only" in refused(owner, "delete from only " + partitions[0])
    # a row cannot be moved by its key, or written over by a resend
    assert "append-only" in refused(owner, "update charge set visit_id = visit_id + 1")
    assert "append-only" in refused(owner, "insert into charge select * from charge on conflict (visit_id, feed_id, source_line, sent_as)"
                                           " do update set amount = 0")


def test_what_the_daemon_may_call_looks_nowhere_else(shared):
    """A pinned search_path that names pg_temp last: left out, it is searched first, and anybody may make a temporary `visit` there."""
    for row in shared.rows(FUNCTIONS):
        if row.definer:
            path = [setting for setting in row.config if setting.startswith("search_path=")]
            assert path and path[0].replace('"', "").endswith(", pg_temp"), (row.call, row.config)
        else:
            assert row.name not in GRANTED - {"yuan", "decimal_text", "iso_time"}, row.call


def test_a_temporary_table_does_not_stand_in_for_a_real_one(desk, visit):
    own = desk.ledger()
    for name in ("visit", "facility", "bill", "bill_state", "payment", "charge", "capture"):
        own.ask(f"create temp table {name} (like hospital.{name} including all); grant all on pg_temp.{name} to public")
    own.ask("create function pg_temp.steal() returns trigger language plpgsql as"
            " $$ begin raise exception 'ran as %', current_user; end $$;"
            " create trigger steal before insert on pg_temp.charge for each row execute function pg_temp.steal()")
    assert own.post(charge(visit, "a", 100)) == ["posted"]
    assert desk.ledger().visit(visit).total == 100
    assert own.value("select count(*) from pg_temp.charge") == 0
