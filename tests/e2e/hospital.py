"""What the tests of visitbillctl do to a database instead of the daemon, by the functions that it calls; and databases that have
something in them. Tests that change nothing share one with others of their module (`prices`, `bills`).
PYTEST_DONT_REWRITE: it may be imported before it is a plugin."""

import hashlib
import unicodedata
import uuid

import psycopg2
import pytest

from .cluster import ROLE, ROOT

ITEMS = ROOT / "conf/items.example.csv"
DAY = "2026-01-15 09:30:00+08"
LINES = [
    {"source": "1", "code": "G1301", "quantity": 10000},
    {"source": "2", "code": "G0901", "quantity": 240000},
    {"source": "3", "code": "G0101", "quantity": 15000, "name": "普通病房床位费(三人间,含空调)及一个特别特别特别特别特别特别特别特别长的名称,需要截断"},
    {"source": "4", "code": "ZZ", "amount": 123456789, "category": 14, "name": "Latin name, café 😀 ﾊﾝｶｸ"},
    {"source": "5", "kind": "CD", "reverses": "2", "quantity": 120000},
]



def width(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def feed_id(database, name):
    return database.query("select feed_id from feed where name = %s", [name])[0][0]


def post(database, visit, *lines, feed="clinic", at=DAY, patient="王芳"):
    """Books lines, dicts with at least a source; returns their outcomes. Quantity and price are scaled as in the database."""
    n = len(lines)
    digests = [str(uuid.UUID(hashlib.md5(repr(sorted(line.items())).encode()).hexdigest())) for line in lines]
    arguments = {
        "facility int": [1], "visit_no text": [visit], "class text": ["outpatient"], "patient_no text": ["P1"], "patient_name text": [patient],
        "item_facility int": [1] * n, "item_code text": [line.get("code") for line in lines], "item_day date": [at] * n, "item int": list(range(1, n + 1)),
        "visit int": [1] * n, "place int": list(range(1, n + 1)), "feed int": [feed_id(database, feed)] * n, "digest uuid": digests,
        "charged_at timestamptz": [at] * n, "source_line text": [line["source"] for line in lines],
        "kind text": [line.get("kind", "CG") for line in lines],
    }
    for name in ("quantity bigint", "price bigint", "amount bigint", "category smallint", "name text", "reverses text",
                 "national_code text", "department text", "performer text", "orderer text", "order_no text", "message text"):
        arguments[name] = [line.get(name.split()[0]) for line in lines]
    call = ", ".join("p_{} => %s::{}[]".format(*name.split()) for name in arguments)
    outcomes = database.query(f"select outcomes from charges_post({call})", list(arguments.values()), role=ROLE)[0][0]
    return outcomes or ["posted"] * n       # null: all of them


def visit_event(database, kind, visit, at=DAY, **said):
    return database.query(
        "select visit_events(array[%s], array[%s], array[1], array[%s], array['M1'], array[clock_timestamp()], array[%s]::timestamptz[], array['P1'], array[%s],"
        " array[null]::date[], array[null], array['outpatient'], array[%s], array[null], array[null], array[null],"
        " array[null]::bigint[], array[null], array[null]::uuid[])",
        [kind, feed_id(database, "clinic"), visit, at, said.get("patient"), said.get("department")], role=ROLE)[0][0][0]


def close(database, visit, at=DAY):
    """Discharges a visit and has its bill issued."""
    assert visit_event(database, "discharge", visit, at) == "done"
    feeds = [row[0] for row in database.query("select feed_id from feed where waits")]
    database.query("select feed_marks(%s, %s::timestamptz[], null)", [feeds, ["2026-02-01"] * len(feeds)], role=ROLE)
    database.query("select visits_close(100)", role=ROLE)


def quarantine(database, message, reason="field_invalid", feed="pharmacy", kind="hl7", ordinal=1, location=None, detail="no good"):
    return database.query(
        "select quarantine_put(%s, %s, '10.0.0.7:4711', %s, array[%s], array[%s], array[%s], array[%s], array['H01'], array['V1'],"
        " array['L-7'], array[null]::text[], 1)",
        [feed_id(database, feed), kind, psycopg2.Binary(message), ordinal, reason, detail, location], role=ROLE)[0][0][0]


def public_id(database, bill_no="V1"):
    return database.query("select public_id from bill where bill_no = %s", [bill_no])[0][0]


@pytest.fixture
def migrated(database):
    database.ctl("migrate")
    return database


@pytest.fixture
def hospital(migrated):
    """A database that knows its facility, feeds and prices."""
    migrated.ctl("items", "import", ITEMS)
    return migrated


@pytest.fixture
def billed(hospital):
    """And a visit V1 with a bill."""
    return bill_visit(hospital)


@pytest.fixture(scope="module")
def prices(cluster, tmp_path_factory):
    """Migrated, for a module."""
    database = cluster.new_database(tmp_path_factory.mktemp("prices"))
    database.ctl("migrate")
    return database


@pytest.fixture(scope="module")
def bills(cluster, tmp_path_factory):
    """As `billed`, for a module."""
    database = cluster.new_database(tmp_path_factory.mktemp("bills"))
    database.ctl("migrate")
    database.ctl("items", "import", ITEMS)
    return bill_visit(database)


def bill_visit(database):
    assert visit_event(database, "open", "V1", patient="王芳", department="内科") == "done"
    assert post(database, "V1", *LINES) == ["posted"] * len(LINES)
    close(database, "V1")
    return database
