"""Years: what is settled and old goes to files and out of the database, what is open stays, and the books do not notice. A file that is not what it was is
refused; a run that is killed anywhere loses nothing and doubles nothing."""

import contextlib
import gzip
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import psycopg2
import pytest

from .api import line
from .cluster import CTL, OWNER, ROLE, ROOT
from .feeds import ft1
from .hospital import close, feed_id, post, public_id, quarantine, visit_event
from .live import House, wait_until

pytest_plugins = ["e2e.cluster", "e2e.hospital"]

TABLES = ("charge", "event", "journal", "quarantine_bytes")
TIMES = {"visit": "opened_at", "charge": "posted_at", "event": "at", "journal": "at", "bill": "issued_at", "capture": "received_at", "payment": "created_at",
         "application": "at", "quarantine": "received_at", "quarantine_message": "received_at", "quarantine_resolution": "at"}
DATE = time.strftime("%Y-%m-%d", time.localtime(time.time() - 86400))     # the rows are made two years older; what a test does on top is of today


def small_partitions(query, width=10, ahead=5):
    """Ten visits each, and of the others so many as ten visits make; nothing is in them yet."""
    for (name,) in query("select name from unnest(%s) t, partitions_of(t)", [list(TABLES)]):
        query(f"drop table {name}")
    query("select partitions_ahead(%s, %s)", [width, ahead])


@contextlib.contextmanager
def one_connection(database):
    """What is asked meanwhile goes over one connection a role, which keeps its plans."""
    kept, usual = {}, database.query

    def query(sql, parameters=None, role="postgres"):
        kept[role] = kept.get(role) or database.connect(role)
        cursor = kept[role].cursor()
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []

    database.query = query
    try:
        yield
    finally:
        database.query = usual
        for connection in kept.values():
            connection.close()


def settle(database, visit, lines=2):
    assert post(database, visit, *[{"source": str(n), "amount": 1000 + n, "category": n % 14 + 1, "name": "一\t二\\三\n四" if n == 0 else "药"}
                                   for n in range(lines)]) == ["posted"] * lines
    close(database, visit)
    pay(database, visit)


def pay(database, visit):
    """Cash for what its bill owes."""
    for bill, owed in database.query("select b.public_id, s.total - s.paid - s.credited - s.live from bill b join bill_state s using (bill_id) join visit v"
                                     " on v.visit_id = b.visit_id where v.visit_no = %s and s.state = 'open' and s.total > 0", [visit]):
        assert database.query("select outcome from payment_create(%s, null, 'cash', '', %s, 'desk', %s, gen_random_uuid(), '5 min', '{*}')",
                              [bill, owed, f"key-{bill}"], role=ROLE) == [("done",)]


def make_old(query):
    """As if all that is there had happened two years ago."""
    query("set session_replication_role = replica; "
          + "; ".join(f"update {table} set {column} = {column} - interval '2 years' where {column} > now() - interval '1 year'" for table, column in TIMES.items())
          + "; set session_replication_role = origin")


def archive(database, *more, status=0, before=DATE):
    return database.ctl("archive", "--before", before, *more, status=status)


def planned(said):
    """partition -> what the table says of it"""
    return {row.split()[0]: re.search(r"(goes|stays: .*)$", row)[1] for row in said.splitlines() if re.search(r"(goes|stays: .*)$", row)}


def parts(database):
    return {name for (name,) in database.query("select name from unnest(%s) t, partitions_of(t)", [list(TABLES)])}


def counts(database):
    """Rows here and in files, of each table; each once."""
    return {table: database.query(f"select (select count(*) from {table}) + (select coalesce(sum(row_count), 0)::bigint from archive where relation = %s)", [table])[0][0]
            for table in TABLES}


def books(database):
    return json.loads(database.ctl("books", "--json"))


def audited(database):
    assert "unexplained 0.00" in database.ctl("audit")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module", name="settled_database")
def _settled_database(cluster, tmp_path_factory):
    """25 visits, all settled two years ago: two partitions of charge are full."""
    database = cluster.new_database(tmp_path_factory.mktemp("settled"))
    database.ctl("migrate")
    database.ctl("items", "import", os.path.join(os.path.dirname(__file__), "../../conf/items.example.csv"))
    small_partitions(database.query)
    with one_connection(database):
        for n in range(1, 26):
            settle(database, f"V{n}")
    entry = quarantine(database, b"MSH|old\r")
    database.query("select quarantine_resolve(%s, 'superseded', 'test', '{*}')", [entry], role=ROLE)
    quarantine(database, b"MSH|new\r", ordinal=2)
    database.query("set session_replication_role = replica; update quarantine set visit_no = 'Q1'")
    make_old(database.query)
    audited(database)
    return database


@pytest.fixture(name="settled")
def _settled(cluster, settled_database, tmp_path):
    """A copy of it."""
    database = cluster.new_database(tmp_path)
    cluster.execute(f"drop database {database.name}")
    cluster.execute(f"create database {database.name} template {settled_database.name} owner {OWNER}")
    return database


# ---- what goes -------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_go_and_changes_nothing(settled, tmp_path):
    before = counts(settled), parts(settled)
    for more in ((), ("--dry-run",)):
        said = archive(settled, *more)
        plan = planned(said)
        assert {name for name, what in plan.items() if what == "goes"} >= {"charge_0", "charge_10", "event_0", "journal_0", "quarantine_bytes_1"}
        assert plan["charge_20"] == plan["charge_30"] == "stays: it is not full" and set(plan) == parts(settled)
        row = next(row for row in said.splitlines() if row.startswith("charge_10 ")).split()
        assert row[1:5] == ["10", "19", "20", "200.10"] and re.search(r"kB +\d{4}-\d\d-\d\d", " ".join(row)), row
        assert "would go: --yes exports and drops them" in said
    assert (counts(settled), parts(settled)) == before and files(tmp_path) == [settled.conf.name]


def test_a_settled_year_goes_and_the_books_stay(settled, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    rows = {table: settled.query(f"select t::text from {table} t order by 1") for table in TABLES}
    before, totals = books(settled), counts(settled)
    here = parts(settled)
    said = archive(settled, "--to", folder, "--yes")
    gone = here - parts(settled)
    assert gone >= {"charge_0", "charge_10", "event_0", "journal_0", "quarantine_bytes_1"} and not gone & {"charge_20", "charge_30"}
    assert said.count("and no longer here") == len(gone) == len(files(folder)) == settled.query("select count(*) from archive")[0][0]
    assert all((folder / name).stat().st_mode & 0o777 == 0o600 for name in files(folder))
    assert books(settled) == before and counts(settled) == totals
    audited(settled)
    assert settled.query("select sum(row_count), sum(amount) from archive where relation = 'charge'") == [(38, 38019)]

    # what is in the files and what is here is what was here, row by row
    for table in TABLES:
        found = {row for (row,) in settled.query(f"select t::text from {table} t")}
        columns = ", ".join(c for (c,) in settled.query("select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum", [table]))
        for path in folder.glob(f"*-{table}-*"):
            header, content = gzip.open(path).read().split(b"\n", 1)
            header = json.loads(header)
            assert header["sha256"] == hashlib.sha256(content).hexdigest() and header["relation"] == table and header["schema"] == "hospital"
            assert header["sums"]["rows"] == content.count(b"\n")
            # COPY reads it again, into a table of these columns
            connection = settled.connect()
            cursor = connection.cursor()
            cursor.execute("create temp table again (" + ", ".join(f"{name} text" for name in header["columns"]) + ")")
            cursor.copy_expert("copy again from stdin", __import__("io").BytesIO(content))
            casts = settled.query("select string_agg(quote_ident(attname) || '::' || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute"
                                  " where attrelid = %s::regclass and attnum > 0 and not attisdropped", [table])[0][0]
            cursor.execute(f"select t::text from (select {casts} from again) t")
            found |= {row for (row,) in cursor.fetchall()}
            connection.close()
        assert found == {row for (row,) in rows[table]} and columns, table
    assert archive(settled, "--to", folder, "--yes").count("no longer here") == 0
    audited(settled)


def test_files_verify_and_show(settled, tmp_path):
    archive(settled, "--to", tmp_path, "--yes")
    names = [path for path in sorted(tmp_path.glob("*.copy.gz"))]
    said = settled.ctl("archive", "verify", *names)
    assert said.count(": ok, ") == said.count("as the database has it") == len(names)
    charge = tmp_path / "hospital-charge-0-9.copy.gz"
    # without settings, without a database: against itself
    alone = subprocess.run([CTL, "-c", tmp_path / "none.conf", "archive", "verify", charge], capture_output=True, text=True, check=False)
    assert alone.returncode == 0 and "charge 0 to 9, 18 rows" in alone.stdout and "no database to compare with" in alone.stderr
    shown = settled.ctl("archive", "show", charge, "--visit", "H01/V3")
    assert len(shown.splitlines()) == 3 and "10.00" in shown and "10.01" in shown and "clinic" in shown
    document = json.loads(settled.ctl("archive", "show", charge, "--visit", "H01/V3", "--json"))
    assert [(row["source_line"], row["amount"], row["item_name"], row["visit_no"], row["reverses_line"]) for row in document] == [
        ("0", "1000", "一\t二\\三\n四", "V3", None), ("1", "1001", "药", "V3", None)]
    assert "nothing of visit V30" in settled.ctl("archive", "show", charge, "--visit", "H01/V30", status=1)
    assert "bill" in settled.ctl("archive", "show", next(tmp_path.glob("*-journal-0-*")), "--visit", "H01/V1")
    assert "discharged" in settled.ctl("archive", "show", next(tmp_path.glob("*-event-0-*")), "--visit", "H01/V1")


def test_what_is_archived_is_said_where_it_was(settled, tmp_path):
    archive(settled, "--to", tmp_path, "--yes")
    (doc,) = settled.query("select doc::json from bill_doc(%s, true, '{*}')", [public_id(settled, "V3")], role=ROLE)[0]
    assert doc["lines"] is None and doc["lines_archived"]["file"] == "hospital-charge-0-9.copy.gz" and doc["line_count"] == 2
    assert [c["amount"] for c in doc["categories"]] == ["10.00", "10.01"] and doc["total"] == "20.01"
    (doc,) = settled.query("select doc::json from bill_doc(%s, true, '{*}')", [public_id(settled, "V23")], role=ROLE)[0]
    assert len(doc["lines"]) == 2 and doc["lines_archived"] is None
    page = settled.ctl("bill", "show", "V3")
    assert "The lines are archived: hospital-charge-0-9.copy.gz" in page and "20.01" in page
    assert "in hospital-charge-0-9.copy.gz" in settled.ctl("visit", "show", "H01", "V3")
    assert "MESSAGE 1, archived in hospital-quarantine_bytes-1-1.copy.gz" in settled.ctl("quarantine", "show", "1")
    # its bytes as the README says
    (recipe,) = re.findall(r"^    (zcat FILE.copy.gz .*xxd -r -p)", (ROOT / "README.md").read_text("utf-8"), re.M)
    recipe = recipe.replace("FILE.copy.gz", str(tmp_path / "hospital-quarantine_bytes-1-1.copy.gz")).replace("MESSAGE", "1")
    if shutil.which("xxd"):
        assert subprocess.run(["sh", "-c", recipe], capture_output=True, check=True).stdout == b"MSH|old\r"
    assert "MSH|new" in settled.ctl("quarantine", "show", "2")


# ---- what stays ------------------------------------------------------------------------------------------


def open_visit(database):
    """Opened then, never discharged."""
    database.query("set session_replication_role = replica; update visit set state = 'open' where visit_no = 'V3'")
    return "1 visits are open"


def late_line(database):
    database.query("set session_replication_role = replica; update visit set late_since = now() - interval '2 years' where visit_no = 'V3'")
    return "1 visits have lines that are on no bill"


def unpaid_bill(database):
    database.query("set session_replication_role = replica; update bill_state set state = 'open', paid = paid - 1 where bill_id = (select bill_id from bill where bill_no = 'V3')")
    return "1 visits have a bill that is open"


def live_attempt(database):
    database.query("set session_replication_role = replica; update payment set state = 'unknown' where bill_id = (select bill_id from bill where bill_no = 'V3')")
    return "1 visits have a payment in progress"


def waiting_entry(database):
    quarantine(database, b"MSH|waits\r", ordinal=7)      # of visit V1
    make_old(database.query)
    return "1 visits have something waiting in quarantine"


def merged_into_open(database):
    database.query("set session_replication_role = replica; update visit set state = 'merged', merged_into = 24 where visit_no = 'V3';"
                   " update visit set state = 'open' where visit_id = 24")
    return "1 visits were merged into one that is open"


def credit(database):
    database.query("set session_replication_role = replica; update capture set amount = amount + 1 where visit_id = 3")
    return "1 visits have credit"


def new_event(database):
    visit_event(database, "update", "V3", patient="王芳")
    return "it changed on " + time.strftime("%Y-%m-")


def other_lines(database):
    database.query("set session_replication_role = replica; update charge set amount = amount + 1 where visit_id = 3 and line_no = 1")
    return "its lines are not what its visits say: see visitbillctl audit"


@pytest.mark.parametrize("happened", [open_visit, late_line, unpaid_bill, live_attempt, waiting_entry, merged_into_open, credit, new_event, other_lines])
def test_what_is_open_keeps_its_partition(settled, tmp_path, happened):
    why = happened(settled)
    plan = planned(archive(settled))
    assert plan["charge_0"].startswith("stays: ") and why in plan["charge_0"] and plan["charge_10"] == "goes"
    if happened in (open_visit, unpaid_bill, live_attempt):
        assert why.replace("1 visits", "1 of its visits") in plan["event_0"] + plan["journal_0"]
    if happened is waiting_entry:
        assert plan["quarantine_bytes_2"] == plan["quarantine_bytes_3"] or plan["quarantine_bytes_2"] == "stays: 1 entries wait"
    archive(settled, "--to", tmp_path, "--yes")
    assert "charge_0" in parts(settled) and "charge_10" not in parts(settled)
    assert settled.query("select count(*) from charge where visit_id < 10") == [(18,)]


def test_what_is_too_young_or_to_come(settled):
    assert "is to come" in archive(settled, before="2999-01-01", status=1)
    for day in ("yesterday", "2024-13-45", "2023-02-29", "2024-00-10", "2024-01-00", "0000-01-01"):
        assert archive(settled, before=day, status=1) == f"visitbillctl: --before {day} is no date, YYYY-MM-DD\n"
    assert archive(settled, "--to", settled.conf, "--yes", status=1) == f"visitbillctl: --to {settled.conf} is no folder\n"
    assert "nowhere: No such file" in archive(settled, "--to", settled.folder / "nowhere", "--yes", status=1)
    assert archive(settled, "--yes", before="2001-01-01").endswith("\nnothing goes\n")
    plan = planned(archive(settled, before="2001-01-01"))
    assert "goes" not in plan.values() and plan["charge_0"].startswith("stays: it changed on ")
    assert "say --before DATE" in settled.ctl("archive", "--yes", status=2)
    assert "not both" in archive(settled, "--yes", "--dry-run", status=2)
    assert "--to" in archive(settled, "--yes", "--to", "/nowhere", status=1)


def test_the_daemon_s_role_archives_nothing(settled):
    for call in ("archive_plan(now())", "archive_finish('{}', now(), 'f', 'x')", "archive_export('charge', 'charge_0')"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            settled.query(f"select {call}", role=ROLE)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        settled.query("delete from archive", role=OWNER)


# ---- what comes later ------------------------------------------------------------------------------------


def test_nothing_is_booked_on_what_is_archived(settled, tmp_path):
    """New lines, resends and reversals are refused; so are what would bill the lines anew or move them. Money is taken."""
    archive(settled, "--to", tmp_path, "--yes")
    heads = settled.query("select * from visit where visit_id < 20 order by 1")
    assert post(settled, "V3", {"source": "new", "amount": 5}) == ["visit_archived"]
    assert post(settled, "V3", {"source": "0", "amount": 1000, "category": 1, "name": "一\t二\\三\n四"}) == ["visit_archived"]
    assert post(settled, "V3", {"source": "r", "kind": "CD", "reverses": "0"}) == ["visit_archived"]
    assert post(settled, "V3", {"source": "n1", "amount": 5}, {"source": "r", "kind": "CD", "reverses": "n1"}) == ["visit_archived"] * 2
    assert visit_event(settled, "reopen", "V3") == "visit_archived"
    assert settled.query("select * from visit where visit_id < 20 order by 1") == heads
    assert post(settled, "V24", {"source": "late", "amount": 5}) == ["late"] and post(settled, "N1", {"source": "1", "amount": 5}) == ["posted"]
    for into, gone in (("V24", "V3"), ("V3", "V24")):
        assert settled.query("select visit_merge(1, %s, %s, null, null, %s, 'M1')", [into, gone, feed_id(settled, "clinic")], role=OWNER) == [("visit_archived",)]
    audited(settled)
    # money that another system took for it is money
    (outcome,), = settled.query("select visit_events(array['payment'], array[%s], array[1], array['V3'], array['M'], array[clock_timestamp()], array[now()], array[null], array[null],"
                                " array[null]::date[], array[null], array[null], array[null], array[null], array[null], array[null], array[7]::bigint[],"
                                " array['p1'], array[gen_random_uuid()])", [feed_id(settled, "clinic")], role=ROLE)[0]
    assert outcome == "posted"
    audited(settled)


def test_an_audit_that_began_before_is_told_to_look_again(settled, tmp_path):
    """Its snapshot has neither the rows nor their file; that is no difference in the books."""
    reader = settled.connect(ROLE, autocommit=False)
    cursor = reader.cursor()
    cursor.execute("set transaction isolation level repeatable read")
    cursor.execute("select count(*) from visit")
    archive(settled, "--to", tmp_path, "--yes")
    for call in ("select * from audit()", "select books()"):
        cursor.execute("savepoint s")
        with pytest.raises(psycopg2.errors.SerializationFailure, match="archived meanwhile"):
            cursor.execute(call)
        cursor.execute("rollback to s")
    reader.rollback()
    cursor.execute("select sum(broken) from audit()")
    assert cursor.fetchone() == (0,)
    reader.close()


# ---- files that are not what they were --------------------------------------------------------------------


@pytest.fixture(scope="module", name="archived")
def _archived(cluster, settled_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archived")
    database = cluster.new_database(folder)
    cluster.execute(f"drop database {database.name}")
    cluster.execute(f"create database {database.name} template {settled_database.name} owner {OWNER}")
    archive(database, "--to", folder, "--yes")
    return database, folder


def remade(path, change):
    """The file with other content under a header that fits, as someone would who knows how."""
    header, content = gzip.open(path).read().split(b"\n", 1)
    header = json.loads(header)
    content = change(header, content)
    header["sha256"] = hashlib.sha256(content).hexdigest()
    return gzip.compress(json.dumps(header).encode() + b"\n" + content)


DAMAGES = {
    "a byte of the content": (lambda data, _: data[:-200] + bytes([data[-200] ^ 1]) + data[-199:], "damaged|not what its header"),
    "a byte of the header": (lambda data, _: data.replace(b'"rows":18', b'"rows":19').replace(b'"rows": 18', b'"rows": 19'), "damaged"),
    "a byte of the checksum": (lambda data, _: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:], "damaged"),
    "cut in the content": (lambda data, _: data[:-100], "damaged: its end is missing"),
    "cut after the header": (lambda data, _: data[:16384 + 33], "damaged|not"),
    "cut in the header": (lambda data, _: data[:100], "not an archive file|damaged"),
    "empty": (lambda data, _: b"", "not an archive file"),
    "no gzip": (lambda data, _: b"hello\n" * 100, "not an archive file"),
    "another gzip": (lambda data, _: gzip.compress(b"hello\n"), "not an archive file"),
    "a row less": (lambda _, path: remade(path, lambda h, c: c.split(b"\n", 1)[1]), "add up to"),
    "an amount": (lambda _, path: remade(path, lambda h, c: c.replace(b"\t1001\t", b"\t1002\t", 1)), "add up to"),
    "rows in another order": (lambda _, path: remade(path, lambda h, c: b"\n".join(sorted(c[:-1].split(b"\n"), reverse=True)) + b"\n"), "is not one of charge"),
    "a row of another range": (lambda _, path: remade(path, lambda h, c: c.replace(b"9\t2\t", b"10\t2\t")), "is not one of charge|add up"),
    "a cell less": (lambda _, path: remade(path, lambda h, c: c.replace(b"\tclinic\n", b"\n", 1)), "is not one of charge"),
    "a name, and a header that fits": (lambda _, path: remade(path, lambda h, c: c.replace("药".encode(), "茶".encode(), 1)), "content is another"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_refuses_what_is_not_the_file(archived, tmp_path, damage):
    database, folder = archived
    change, complaint = DAMAGES[damage]
    good = folder / "hospital-charge-0-9.copy.gz"
    data = good.read_bytes()
    bad = tmp_path / good.name
    bad.write_bytes(change(data, good))
    assert bad.read_bytes() != data
    said = database.ctl("archive", "verify", bad, status=1)
    assert re.search(complaint, said) and said.count(str(bad)) == 1, said
    said = database.ctl("archive", "verify", good, bad, status=1)
    assert "1 of 2 files are not good" in said


def test_verify_refuses_another_file_and_one_of_nobody(archived, tmp_path):
    database, folder = archived
    shutil.copy(folder / "hospital-charge-10-19.copy.gz", tmp_path / "hospital-charge-0-9.copy.gz")
    assert "there it is called hospital-charge-10-19.copy.gz" in database.ctl("archive", "verify", tmp_path / "hospital-charge-0-9.copy.gz", status=1)
    header, content = gzip.open(folder / "hospital-charge-0-9.copy.gz").read().split(b"\n", 1)
    other = json.loads(header) | {"first_id": 20, "last_id": 29, "sums": {"rows": 0, "amount": 0, "subtotals": [0] * 14, "transfers": 0}, "sha256": hashlib.sha256(b"").hexdigest()}
    path = tmp_path / "hospital-charge-20-29.copy.gz"
    path.write_bytes(gzip.compress(json.dumps(other).encode() + b"\n"))
    assert content and "the database has no archive of charge from 20 on" in database.ctl("archive", "verify", path, status=1)
    assert "No such file" in database.ctl("archive", "verify", tmp_path / "none", status=1)


def test_every_flipped_bit_is_found_or_harmless(archived, tmp_path):
    """What verifies in spite of it is the same content, byte by byte."""
    _, folder = archived
    data = (folder / "hospital-charge-0-9.copy.gz").read_bytes()
    content = gzip.decompress(data)
    names = []
    rng = random.Random(7)
    for n in range(200):
        at = rng.randrange(16384 + 20, len(data)) if n % 2 else rng.randrange(0, 400)
        (tmp_path / f"{n}.gz").write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1:])
        names.append(tmp_path / f"{n}.gz")
    said = subprocess.run([CTL, "-c", tmp_path / "none.conf", "archive", "verify", *names], capture_output=True, text=True, check=False)
    assert said.returncode == 1 and "Sanitizer" not in said.stderr
    good = re.findall(r"/(\d+)\.gz: ok", said.stdout)
    assert len(good) < 20
    for n in good:
        # what gzip calls flags of text, time and system says nothing of the content
        found = bytearray((tmp_path / f"{n}.gz").read_bytes())
        found[3:10] = data[3:10]
        assert gzip.decompress(bytes(found)) == content, n


# ---- a run that does not come to its end ------------------------------------------------------------------


def goes_on(database, folder, totals, before):
    """Again, to the end: nothing is lost, nothing is there twice."""
    audited(database)
    assert counts(database) == totals
    archive(database, "--to", folder, "--yes")
    assert {"charge_0", "charge_10", "event_0", "journal_0"} & parts(database) == set()
    assert counts(database) == totals and books(database) == before
    audited(database)
    assert not list(folder.glob("*.part"))
    assert files(folder) == sorted(name for (name,) in database.query("select file from archive"))
    database.ctl("archive", "verify", *sorted(folder.iterdir()))


def held_up(database, lock, until, folder, also=()):
    """A run that is killed where `lock` stops it, once `until` is true."""
    holder = database.connect(autocommit=False)
    holder.cursor().execute(lock)
    process = database.start_ctl("archive", "--before", DATE, "--to", folder, "--yes")
    try:
        wait_until(lambda: until() or process.poll() is not None, "the run to come there", 60)
        assert process.poll() is None, process.communicate()
        for check in also:
            check()
        process.kill()
        process.communicate()
    finally:
        holder.rollback()
        holder.close()
    assert process.returncode == -signal.SIGKILL


def test_killed_before_it_reads(settled, tmp_path):
    folder, totals, before = tmp_path / "files", counts(settled), books(settled)
    folder.mkdir()
    held_up(settled, "lock table charge_10 in access exclusive mode", lambda: settled.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'"
                                                                                           " and datname = current_database()"), folder)
    goes_on(settled, folder, totals, before)


def test_killed_while_it_writes(settled, tmp_path):
    """So many lines that the file takes a while."""
    settled.query("set session_replication_role = replica; insert into charge select (jsonb_populate_record(c, jsonb_build_object('line_no', 2 + n, 'source_line', 'x' || n,"
                  " 'amount', 0, 'unit_price_e6', 0, 'digest', md5(n::text)))).* from charge c, generate_series(1, 60000) n where c.visit_id = 4 and c.line_no = 2;"
                  " update visit set line_count = line_count + 60000, billed_line = billed_line + 60000 where visit_id = 4;"
                  " update bill set last_line = last_line + 60000 where visit_id = 4; update intake_tally set booked = booked + 60000"
                  " where ctid = (select min(ctid) from intake_tally)")
    folder, totals, before = tmp_path / "files", counts(settled), books(settled)
    folder.mkdir()
    process = settled.start_ctl("archive", "--before", DATE, "--to", folder, "--yes")
    part = folder / "hospital-charge-0-9.copy.gz.part"
    wait_until(lambda: (part.exists() and part.stat().st_size > 20000) or process.poll() is not None, "the file to grow", 60, every=0.001)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and part.exists() and "charge_0" in parts(settled)
    goes_on(settled, folder, totals, before)


@pytest.mark.parametrize("lock", ["select count(*) from charge", "lock table charge_0 in row exclusive mode", "select count(*) from event"])
def test_killed_between_the_file_and_the_drop(settled, tmp_path, lock):
    """A reader of the table, a writer of the partition: the file is there, whole, and the rows are here. Nobody waits for long meanwhile."""
    folder, totals, before = tmp_path / "files", counts(settled), books(settled)
    folder.mkdir()
    waited = []

    def others_go_on():
        for n in range(10):
            begun = time.monotonic()
            assert post(settled, "N1", {"source": f"n{n}", "amount": 5}) == ["posted"]
            waited.append(time.monotonic() - begun)

    name = "*-event-0-*.gz" if "event" in lock else "hospital-charge-0-9.copy.gz"
    held_up(settled, lock, lambda: list(folder.glob(name)), folder, [lambda: time.sleep(1)] + ([others_go_on] if "charge" in lock else []))
    assert not waited or max(waited) < 2
    table = "event_0" if "event" in lock else "charge_0"
    assert table in parts(settled) and not list(folder.glob("*.part"))
    if waited:
        totals, before = counts(settled), books(settled)
    goes_on(settled, folder, totals, before)


def test_killed_at_any_moment(settled, tmp_path):
    folder, totals, before = tmp_path / "files", counts(settled), books(settled)
    folder.mkdir()
    rng, killed = random.Random(11), 0
    for _ in range(12):
        process = settled.start_ctl("archive", "--before", DATE, "--to", folder, "--yes")
        time.sleep(rng.uniform(0.02, 0.25))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        wait_until(lambda: not settled.query("select 1 from pg_stat_activity where application_name = 'visitbillctl' and datname = current_database()"), "its backend to end")
        assert counts(settled) == totals
    assert killed > 3
    goes_on(settled, folder, totals, before)


def test_a_change_while_it_is_exported_keeps_the_partition(settled, tmp_path):
    """A line that was held up at the drop: the look at the end sees it."""
    folder = tmp_path / "files"
    folder.mkdir()
    holder = settled.connect(autocommit=False)
    holder.cursor().execute("select count(*) from charge")
    process = settled.start_ctl("archive", "--before", DATE, "--to", folder, "--yes")
    wait_until(lambda: (folder / "hospital-charge-0-9.copy.gz").exists(), "the file", 60)
    assert post(settled, "V3", {"source": "late", "amount": 5}) == ["late"]
    holder.rollback()
    holder.close()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert re.search(r"charge_0 stays: it changed on", out) and "charge_0" in parts(settled) and "charge_10" not in parts(settled)
    assert not (folder / "hospital-charge-0-9.copy.gz").exists()
    audited(settled)


def test_a_file_that_is_there_is_not_written_over(settled, tmp_path):
    (tmp_path / "hospital-charge-10-19.copy.gz").write_bytes(b"somebody's")
    assert "is there, with other content" in archive(settled, "--to", tmp_path, "--yes", status=1)
    assert (tmp_path / "hospital-charge-10-19.copy.gz").read_bytes() == b"somebody's"
    assert {"charge_0", "charge_10"} & parts(settled) == {"charge_10"}
    audited(settled)


def test_two_runs_at_once(settled, tmp_path):
    totals, before = counts(settled), books(settled)
    (tmp_path / "files").mkdir()
    running = [settled.start_ctl("archive", "--before", DATE, "--to", tmp_path / "files", "--yes") for _ in range(3)]
    said = [process.communicate(timeout=120) for process in running]
    assert 0 in [process.returncode for process in running]
    assert all("another archive is running" in err for process, (_, err) in zip(running, said) if process.returncode != 0)
    goes_on(settled, tmp_path / "files", totals, before)


def test_a_disk_that_is_full(settled, tmp_path):
    """/dev/full stands in for it: the name of the first part leads there."""
    (tmp_path / "hospital-charge-0-9.copy.gz.part").symlink_to("/dev/full")
    assert "No space left" in archive(settled, "--to", tmp_path, "--yes", status=1)
    assert "charge_0" in parts(settled)
    audited(settled)


# ---- a hospital at work ----------------------------------------------------------------------------------


def test_feeds_post_while_a_year_goes():
    """The daemon's own functions, feeds that do not stop, and what the API says of it afterwards."""
    with House({}) as house:
        house.stop()

        def query(sql, parameters=()):
            return house.rows(sql, *parameters)

        query("set search_path to hospital" if query("select 1 from pg_namespace where nspname = 'hospital'") else "select 1")
        small_partitions(query, ahead=3)
        house.start()
        paid = []
        for n in range(12):
            bill = house.billed(f"V{9000 + n}", "10.00")
            assert house.desk.pay(bill["bill"], "10.00", channel="cash").status in (200, 201)
            paid.append(bill["bill"])
        make_old(query)
        assert house.broken() == []
        stop, acks, errors = threading.Event(), [], []

        def feed(number):
            clinic = type(house.clinic)(house.mllp, "CLINIC")
            try:
                while not stop.is_set():
                    begun = time.monotonic()
                    acks.append((clinic.dft(f"V{9100 + number}", ft1(f"{number}-{len(acks)}-{begun}")).code, time.monotonic() - begun))
            except BaseException as error:      # pylint: disable=broad-except
                errors.append(error)

        threads = [threading.Thread(target=feed, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(acks) > 20, "feeds at work")
            folder = house.folder / "archive"
            folder.mkdir()
            folder.chmod(0o777)
            said = house.ctl("archive", "--before", DATE, "--to", str(folder), "--yes")
            seen = len(acks)
            wait_until(lambda: len(acks) > seen + 20, "feeds at work afterwards")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not errors and {code for code, _ in acks} == {"AA"}
        assert max(took for _, took in acks) < 3
        assert "charge_0: 9 rows are in" in said and house.value("select count(*) from partitions_of('charge') where name = 'charge_0'") == 0
        assert house.value("select count(*) from charge join visit using (visit_id) where visit_no like 'V91%%'") == len(acks)
        assert "unexplained 0.00" in house.ctl("audit") and house.broken() == []
        house.ctl("archive", "verify", *map(str, sorted(folder.iterdir())))

        doc = house.kiosk.bill(paid[0], lines=True)
        assert doc["lines"] is None and doc["lines_archived"]["file"].endswith("-charge-0-9.copy.gz") and doc["total"] == "10.00"
        ack = house.clinic.dft("V9000", ft1("late", "3.00"))
        assert ack.code == "AE" and ack.reasons == ["visit_archived"]
        assert [entry["reason"] for entry in house.quarantined(visit_no="V9000")] == ["visit_archived"]
        (result,) = house.ward.charge(line("V9001", "late"))["lines"]
        assert result["outcome"] == "visit_archived"
        assert house.clinic.adt("A13", "V9002").code == "AE"
        assert house.broken() == []
