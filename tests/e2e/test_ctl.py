"""visitbillctl against a real PostgreSQL, without a daemon: migrations, grants, audit, books, status. See test_ctl_items and test_ctl_show."""

import hashlib
import json
import re
import shutil

import psycopg2
import pytest

from .cluster import CTL, OWNER, ROLE, ROOT
from .hospital import ITEMS, LINES, post, width

pytest_plugins = ["e2e.cluster", "e2e.hospital"]

MIGRATIONS = sorted(path.stem for path in (ROOT / "sql/migrations").glob("*.sql"))


# ---- migrate ----------------------------------------------------------------------------------------


def test_migrate_says_what_it_did_and_then_nothing(database):
    said = database.ctl("migrate").splitlines()
    assert said[0] == "created schema hospital"
    assert said[1:1 + len(MIGRATIONS)] == [f"applied {name}" for name in MIGRATIONS]
    assert said[-2].startswith("applied functions ") and "partition" in said[-1]
    assert database.query("select version, name from schema_version order by 1") == list(enumerate(MIGRATIONS, 1))
    assert database.ctl("migrate") == f"up to date: schema hospital, version {len(MIGRATIONS)}\n"
    assert len(database.query("select 1 from schema_functions")) == 1


def test_migrate_records_the_files_hashes(migrated):
    for name, sha256 in migrated.query("select name, sha256 from schema_version"):
        assert hashlib.sha256((ROOT / f"sql/migrations/{name}.sql").read_bytes()).hexdigest() == sha256


def test_migrate_several_at_once(database):
    running = [database.start_ctl("migrate") for _ in range(4)]
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    for name in MIGRATIONS:
        assert sum(f"applied {name}\n" in out for out, _ in said) == 1
    assert sum("up to date" in out for out, _ in said) == 3
    database.ctl("audit")


@pytest.mark.parametrize("damage, complaint", [
    ("update schema_version set sha256 = repeat('0', 64) where version = 2", f"migration {MIGRATIONS[1]} was changed after it was applied"),
    ("insert into schema_version values (99, '0099_future', 'x')", "at version 99, newer than this binary knows"),
    ("delete from schema_version where version = 1", "has gaps"),
])
def test_migrate_refuses_another_history(migrated, damage, complaint):
    migrated.query("set session_replication_role = replica; " + damage)
    before = migrated.query("select * from schema_version order by 1")
    assert complaint in migrated.ctl("migrate", status=1)
    assert migrated.query("select * from schema_version order by 1") == before


def test_history_is_append_only(migrated):
    for table in ("schema_version", "schema_functions", "event", "bill", "journal", "capture"):
        for statement in (f"delete from {table}", f"truncate {table} cascade"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
                migrated.query(statement, role=OWNER)


def test_failed_migration_leaves_nothing_and_goes_on(database):
    """A table of that name stands in the way of the second migration, then no more."""
    database.query(f"create schema hospital authorization {OWNER}")
    database.query("create table journal (x int)", role=OWNER)
    assert re.search(rf"{MIGRATIONS[1]}.sql: relation \"journal\" already exists", database.ctl("migrate", status=1))
    assert [row[0] for row in database.query("select name from schema_version")] == MIGRATIONS[:1]
    assert database.query("select to_regclass('account')") == [(None,)]
    assert "run visitbillctl migrate" in database.ctl("audit", status=1)
    database.query("drop table journal", role=OWNER)
    assert f"applied {MIGRATIONS[0]}" not in (said := database.ctl("migrate")) and f"applied {MIGRATIONS[1]}" in said
    database.ctl("audit")


def test_migration_of_tables_with_rows(database):
    """0004 is held up until what it and the next ones change has rows; they are kept as they are, and where they are."""
    database.query(f"create schema hospital authorization {OWNER}")
    database.query("create domain visit_state as text", role=OWNER)
    assert re.search("0004_visit_states.sql: type \"visit_state\" already exists", database.ctl("migrate", status=1))
    database.query("""
        insert into facility values (default, 'H01', 'Hospital', '1 h', '1 h', '1 day', 1, 1);
        insert into visit (facility_id, visit_no, state, class, total, line_count, billed_line, credit_limit)
        values (1, 'V1', 'billed', 'inpatient', 1000, 1, 1, 1), (1, 'V2', 'open', 'unknown', 0, 0, 0, 1);
        insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, generation, first_line, last_line, total, subtotals, personal_cash, due_at)
        values ('b', 1, 1, 1, 'V1', 'bill', 1, 1, 1, 1000, array[1000,0,0,0,0,0,0,0,0,0,0,0,0,0], 1000, now());
        insert into bill_state (bill_id, visit_id, state, total, live) values (1, 1, 'open', 1000, 1000);
        insert into payment (public_id, facility_id, visit_id, bill_id, bill_version, channel, amount, state, out_trade_no, client, idempotency_key,
                             request_digest, expires_at, next_check_at)
        values ('p', 1, 1, 1, 1, 'wechatpay', 1000, 'pending', 'n', 'kiosk', 'k', gen_random_uuid(), now(), now());
        insert into journal (kind, visit_id, bill_id, accounts, amounts) values ('bill', 1, 1, array['receivable', 'revenue:01'], array[1000, -1000])""", role=OWNER)
    rows = "select row(visit_id, visit_no, state, class, total, line_count, billed_line)::text from visit union all select b::text from bill_state b union all select p::text from payment p union all select j::text from journal_posting j"
    files = ("select pg_relation_filenode(oid) from pg_class where relname in ('visit', 'bill_state', 'payment', 'journal', 'journal_0')"
             " and relkind = 'r' order by 1")
    before, files_before = database.query(rows), database.query(files)
    database.query("drop domain visit_state", role=OWNER)
    said = database.ctl("migrate")
    assert all(f"applied {name}" in said for name in MIGRATIONS[3:])
    assert database.query(rows) == before and len(before) == 6
    assert database.query(files) == files_before and len(files_before) == 4, "no table is rewritten"
    assert database.query("select state, sum(amount) from payment group by state") == [("pending", 1000)]


def test_other_commands_ask_for_migrate(database):
    for command in (["status"], ["audit"], ["books"], ["quarantine", "list"], ["items", "import", ITEMS]):
        assert "run visitbillctl migrate" in database.ctl(*command, status=1)


def test_functions_are_replaced_when_they_differ(migrated):
    """Left from an older binary: an overload, a function that is no more, another return type, a view with other columns."""
    older = "insert into schema_functions (version, role, sha256, functions) values (1, 'visitbill', 'older', %s)"
    migrated.query("create function yuan(fen bigint, digits int) returns text language sql as 'select null::text'", role=OWNER)
    for name in ("gone", "somebody_s_own"):
        migrated.query(f"create function {name}() returns int language sql as 'select 1'", role=OWNER)
    migrated.query(older, [["gone()", "yuan(bigint, integer)", "yuan(bigint)"]], role=OWNER)
    assert "applied functions" in migrated.ctl("migrate")
    left = "select p.oid::regprocedure::text from pg_proc p where proname in ('gone', 'yuan', 'somebody_s_own') order by 1"
    assert migrated.query(left) == [("somebody_s_own()",), ("yuan(bigint)",)]
    assert "up to date" in migrated.ctl("migrate")

    migrated.query("drop view quarantine_open; create view quarantine_open as select 1 as other", role=OWNER)
    migrated.query("drop function iso_time(timestamptz) cascade", role=OWNER)
    migrated.query("create function iso_time(other timestamptz) returns int language sql as 'select 1'", role=OWNER)
    migrated.query(older, [[]], role=OWNER)
    assert "applied functions" in migrated.ctl("migrate")
    migrated.ctl("status")
    migrated.ctl("audit")
    assert migrated.query("select quarantine_id from quarantine_open", role=ROLE) == []
    assert migrated.query(left) == [("somebody_s_own()",), ("yuan(bigint)",)]
    count = "select cardinality(functions) from schema_functions order by applied_id"
    assert migrated.query(count)[0] == migrated.query(count)[-1] > (40,)


def test_role_is_made_where_the_owner_may(database):
    database.configure(conninfo=database.conninfo("newrole"))
    conf = database.conf.read_text().replace("[database]", "[database]\nrole = newrole")
    database.conf.write_text(conf)
    assert "may not create it: let a superuser say create role \"newrole\" login" in database.ctl("migrate", status=1)
    database.conf.write_text(conf.replace(f"user={OWNER}", "user=postgres"))
    assert "created role newrole" in database.ctl("migrate")
    database.ctl("audit")


def test_schema_of_any_name(database):
    database.schema = "user"        # a reserved word has to be quoted everywhere
    database.configure()
    assert "created schema user" in database.ctl("migrate")
    database.ctl("items", "import", ITEMS)
    database.ctl("audit")


def test_no_database(database):
    database.configure(conninfo="host=/nonexistent dbname=x connect_timeout=1")
    said = database.ctl("status", status=1)
    assert said.count("\n") == 1 and "/nonexistent" in said


# ---- grants -----------------------------------------------------------------------------------------


def test_daemon_s_role_cannot_write(hospital):
    close_me = post(hospital, "V1", {"source": "1", "amount": 100, "category": 9})
    assert close_me == ["posted"]
    tables = hospital.query("select c.oid::regclass::text from pg_class c where relnamespace = 'hospital'::regnamespace and relkind in ('r', 'p', 'v')")
    assert len(tables) > 20
    for (table,) in tables:
        for privilege in ("insert", "update", "delete", "truncate", "trigger", "references"):
            assert hospital.query("select has_table_privilege(%s, %s, %s)", [ROLE, table, privilege]) == [(False,)], (table, privilege)
    for statement in ("insert into event (kind) values ('x')", "update charge set amount = 0", "delete from charge", "update visit set total = 0",
                      "truncate charge", "create table hospital.mine (x int)", "select bill_issue(1, '{}')", "drop table charge"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            hospital.query(statement, role=ROLE)


def test_public_gets_nothing(hospital):
    hospital.cluster.execute("do $$ begin create role passer_by login; exception when duplicate_object then null; end $$")
    with pytest.raises(psycopg2.Error, match="does not exist|permission denied"):
        hospital.query("select * from charge", role="passer_by")
    assert hospital.query("select bool_or(has_function_privilege('passer_by', oid, 'execute')) from pg_proc"
                          " where pronamespace = 'hospital'::regnamespace") == [(False,)]


def test_temporary_tables_do_not_stand_in(hospital):
    """A role that may make temporary tables must not get the owner's functions to read or write those instead."""
    connection = hospital.connect(ROLE)
    cursor = connection.cursor()
    cursor.execute("create temporary table facility (facility_id int, code text)")
    cursor.execute("insert into pg_temp.facility values (1, 'FAKE')")
    cursor.execute("select items_import('H01', '[]')")
    with pytest.raises(psycopg2.Error, match="FAKE is not configured"):
        cursor.execute("select items_import('FAKE', '[]')")
    connection.close()


# ---- audit, books, status -----------------------------------------------------------------------------


def test_audit_of_an_empty_database(migrated):
    lines = migrated.ctl("audit").splitlines()
    assert lines[-1] == "unexplained 0.00" and len(lines) > 10
    assert all(line.endswith("  ok") for line in lines[:-1])
    assert len({width(line) for line in lines[:-1]}) == 1


@pytest.mark.parametrize("damage, invariant, broken, unexplained", [
    ("update charge set amount = amount + 7 where source_line = '1'", "a visit's total and line count", 1, "0.07"),
    ("delete from charge where source_line = '1'", "a visit's total and line count", 1, None),
    ("update bill_state set paid = 5", "what a bill says is paid and credited", 1, None),
    ("alter table journal drop constraint journal_amounts_check; update journal set amounts[1] = amounts[1] + 1", "every journal entry", 1, "0.01"),
    ("insert into charge select visit_id, 99, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount, charged_at, posted_at,"
     " digest, 'forged' from charge where source_line = '1'", "a visit's total and line count", 1, None),
    ("update visit set total = 0", "a visit's total and line count", 1, None),
    ("update bill set total = 0, subtotals = array_fill(0::bigint, array[14]), personal_cash = 0", "a bill is the sum of its lines", 1, None),
])
def test_audit_of_a_damaged_database(billed, damage, invariant, broken, unexplained):
    assert billed.ctl("audit").endswith("unexplained 0.00\n")
    billed.query("set session_replication_role = replica; " + damage)
    process = billed.start_ctl("audit")
    out, err = process.communicate()
    assert process.returncode == 1 and "invariants broken" in err
    row = next(line for line in out.splitlines() if line.startswith(invariant))
    assert re.search(rf"BROKEN {broken} \(unexplained {unexplained or '[0-9.]+'}\)$", row), row
    assert out.splitlines()[-1].startswith("unexplained ") and out.splitlines()[-1] != "unexplained 0.00"


@pytest.mark.parametrize("slice_size", [1, 2, 3, 1000])
def test_audit_in_slices(hospital, slice_size):
    """Whatever their size, a break is found, once, in the first visit, in the last one and on a visit that is not there."""
    for n in range(5):
        post(hospital, f"V{n}", {"source": f"{n}-1", "amount": 100 + n, "category": 9}, {"source": f"{n}-2", "amount": 7, "category": 9})
    whole = hospital.ctl("audit", "--slice", slice_size, "--pause", 0)
    assert whole == hospital.ctl("audit") and whole.endswith("unexplained 0.00\n")
    hospital.query("set session_replication_role = replica; update charge set amount = amount + 1, unit_price_e6 = unit_price_e6 + 10000 where source_line in ('0-1', '4-2');"
                   " insert into charge select 99, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, 500000, 50, charged_at, posted_at,"
                   " digest, source_line from charge where source_line = '2-1'")
    process = hospital.start_ctl("audit", "--slice", slice_size, "--pause", 0)
    out, err = process.communicate()
    assert process.returncode == 1 and re.search("2 of [0-9]+ invariants broken", err), err
    broken = [line for line in out.splitlines() if "BROKEN" in line]
    assert re.search(r"^a visit's total and line count .* BROKEN 3 \(unexplained 0.52\)$", broken[0]) and broken[1].startswith("lines counted as booked")
    assert len(broken) == 2 and out.endswith("\nunexplained 0.52\n")


def test_audit_and_books_refuse_what_is_no_plan(billed):
    for words in (["--slice", "0"], ["--slice", "x"], ["--slice", "-1"], ["--slice", "999999999999"], ["--pause", "x"], ["--pause", "-5"], ["--on", "moon"]):
        assert words[0] in billed.ctl("audit", *words, status=2)
        assert words[0] in billed.ctl("books", "--audit", *words, status=2)
    assert "say --audit, too" in billed.ctl("books", "--slice", "5", status=2)


def test_no_standby_to_ask(billed):
    for command in ("audit", "books"):
        said = billed.ctl(command, "--on", "standby", status=1)
        assert said.count("\n") == 1 and "no server of the conninfo is a standby that answers" in said and "is a primary" in said


def test_books_with_and_without_the_audit(billed):
    """A line that was changed shows in no figure of the books, but in the audit."""
    billed.query("set session_replication_role = replica; update charge set amount = amount + 7, unit_price_e6 = unit_price_e6 + 70000 where source_line = '1'")
    books, audited = (json.loads(billed.ctl("books", "--json", *words)) for words in ([], ["--audit"]))
    assert (books["unexplained"], books["broken"]) == ("0.00", 0) and "audit" not in books
    assert (audited["unexplained"], audited["broken"]) == ("0.14", 2), [row for row in audited["audit"] if row["broken"]]
    broken = {row["invariant"]: (row["broken"], row["unexplained"]) for row in audited.pop("audit") if row["broken"]}
    assert broken == {"a visit's total and line count are those of its lines": (1, "0.07"), "a bill is the sum of its lines, category by category": (1, "0.07")}
    assert {**audited, "unexplained": "0.00", "broken": 0} == books
    assert billed.ctl("books").endswith("\nunexplained 0.00 by the accounts (--audit looks at every row)\n")
    assert billed.ctl("books", "--audit").endswith("\nunexplained 0.14\n")


def test_books(billed):
    books = json.loads(billed.ctl("books", "--json"))
    assert books["lines"]["booked"] == len(LINES) and books["bills"]["total"] == "1234638.64" == books["outstanding"]
    shown = billed.ctl("books")
    for row in ("clinic +5 +5 +0", "09 +西药费 +western drugs +2.25", "bill +账单 +1 +1234638.64", "receivable .* 1234638.64",
                "sum +合计 +1234638.64 +1234638.64"):
        assert re.search(row, shown), row
    assert billed.ctl("books", "--audit") == shown.removesuffix(" by the accounts (--audit looks at every row)\n") + "\n"
    assert shown.removesuffix(" by the accounts (--audit looks at every row)\n").endswith("\nunexplained 0.00")


def test_status(billed):
    shown = billed.ctl("status")
    assert re.search(rf"schema +version {len(MIGRATIONS)} \({MIGRATIONS[-1]}\), functions [0-9a-f]{{12}}\n", shown)
    assert re.search("billed +1\n", shown) and re.search("clinic +yes +2026-02-01 00:00:00", shown) and "visit V1" in shown
    document = json.loads(billed.ctl("status", "--json"))
    assert document["schema_version"]["version"] == len(MIGRATIONS) and document["visits"] == {"billed": 1}
    assert {feed["feed"] for feed in document["feeds"]} == {"clinic", "pharmacy"}


# ---- the tool itself ----------------------------------------------------------------------------------


def test_usage(database):
    for arguments in ([], ["frob"], ["bill"], ["bill", "frob"], ["bill", "show"], ["status", "--frob"], ["status", "x"], ["quarantine", "list", "--limit"]):
        assert database.ctl(*arguments, status=2)
    assert "visitbillctl bill show BILL" in database.ctl("bill", "show", "-h")


def test_config(database, tmp_path):
    assert ": ok, 1 facility, 2 feeds" in database.ctl("config", "check")
    database.conf.write_text("[database]\nconninfo = x\n[http]\nbody_bytes = 1M\nfrob = 1\n")
    assert f"{database.conf}:5: [http] frob is not a setting" in database.ctl("config", "check", status=1)
    assert f"{database.conf}:5: [http] frob is not a setting" in database.ctl("status", status=1)
    assert "conninfo" in database.ctl("config", "sample")


def test_binary_needs_no_other_file(database, tmp_path):
    alone = shutil.copy(CTL, tmp_path / "ctl")
    assert "applied" in database.ctl("migrate", ctl=alone, cwd="/")
