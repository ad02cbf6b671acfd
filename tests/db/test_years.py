"""Years: event, journal and the bytes of quarantine become partitions where there are rows already, and nothing of them changes."""

import pytest

from .cluster import SCHEMA
from .ledger import Event, Ledger, charge, fresh_number, reversal
from .test_quarantine import put, resolve

PARTITIONED = {"event": "event_id", "journal": "entry_id", "quarantine_bytes": "message_id"}


def files(owner):
    """Where the rows lie: a table that is copied gets another file."""
    return owner.ask("select pg_relation_filenode(x) from unnest(array['event', 'event_0', 'journal', 'journal_0', 'quarantine_message', 'quarantine_bytes_0']) n,"
                     " to_regclass(n) x where pg_relation_filenode(x) is not null order by n")


@pytest.fixture(scope="module", name="before")
def _before(cluster):
    """A schema of version 13, for a day. 0014 is held up by a domain that it makes itself."""
    database = "years"
    cluster.command(f"create database {database} owner visitbill_owner")
    owner = Ledger(cluster.connect("visitbill_owner", database))
    owner.ask(f"create schema {SCHEMA}")
    owner.ask("create domain archived_relation as text")
    assert "archived_relation" in cluster.migrate(database, status=1)
    return cluster, database, owner


def test_rows_become_partitions_and_stay_what_and_where_they_are(before):
    cluster, database, owner = before
    assert owner.value("select max(version) from schema_version") == 13
    owner.ask("""
        insert into facility values (default, 'H01', 'Hospital', '1 h', '1 h', '1 day', 1, 1);
        insert into feed (name, facility_id, waits) values ('clinic', 1, false);
        insert into visit (facility_id, visit_no, state, class, total, line_count, billed_line) values (1, 'V1', 'billed', 'inpatient', 1000, 1, 1);
        insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, generation, first_line, last_line, total, subtotals, personal_cash, due_at)
        values ('b', 1, 1, 1, 'V1', 'bill', 1, 1, 1, 1000, array[1000,0,0,0,0,0,0,0,0,0,0,0,0,0], 1000, now());
        insert into bill_state (bill_id, visit_id, state, total) values (1, 1, 'open', 1000);
        insert into journal (kind, visit_id, bill_id, accounts, amounts)
        select 'bill', 1, 1, array['receivable', 'revenue:01'], array[n, -n] from generate_series(1, 50) n;
        insert into event (kind, visit_id, detail) select 'visit', 1, jsonb_build_object('n', n) from generate_series(1, 100) n;
        insert into quarantine_message (feed_id, content_type, peer, sha256, bytes)
        select 1, 'hl7', 'peer', sha256(n::text::bytea), convert_to(repeat(n::text, 1000), 'UTF8') from generate_series(1, 20) n;
        insert into quarantine (message_id, ordinal, feed_id, reason, detail) select n, 0, 1, 'held', 'd' from generate_series(1, 20) n;
        select nextval('event_event_id_seq'), nextval('journal_entry_id_seq'), nextval('quarantine_message_message_id_seq')""")
    heads = "message_id, received_at, feed_id, content_type, peer, sha256"
    rows = ("select 'e', e::text from event e union all select 'j', j::text from journal j union all select 'p', p::text from journal_posting p"
            f" union all select 'm', m::text from (select {heads} from quarantine_message) m"
            " union all select 'b', b::text from (select message_id, bytes from %s) b order by 1, 2")
    kept, lay = owner.ask(rows % "quarantine_message"), files(owner)
    assert len(kept) == 100 + 50 + 100 + 20 + 20 and len(lay) == 3
    grants = owner.ask("select relname, relacl::text from pg_class where relname in ('event', 'journal', 'quarantine_message') order by 1")

    owner.ask("drop domain archived_relation")
    assert "applied 0014_years" in cluster.migrate(database)
    assert owner.ask(rows % "quarantine_kept") == kept
    assert owner.ask(rows % "quarantine_bytes_0") == kept
    assert set(lay) <= set(files(owner)), "no row of event, journal or bytes was copied"
    assert grants is not None and owner.ask(
        "select count(*) from unnest(array['event', 'journal', 'quarantine_message', 'quarantine_bytes', 'archive']) t"
        " where has_table_privilege('visitbill', t, 'select') and not has_table_privilege('visitbill', t, 'insert')") == [(5,)]


def test_numbers_go_on_and_nothing_is_used_twice(before):
    _, _, owner = before
    assert owner.value("insert into event (kind) values ('visit') returning event_id") == 102
    assert owner.value("insert into journal (kind, visit_id, bill_id, accounts, amounts)"
                       " values ('bill', 1, 1, array['receivable', 'revenue:01'], array[1::bigint, -1]) returning entry_id") == 52
    assert owner.value("insert into quarantine_message (content_type, sha256) values ('hl7', sha256('new')) returning message_id") == 22
    with pytest.raises(Exception, match="cannot insert a non-DEFAULT value"):
        owner.ask("insert into event (event_id, kind) values (7, 'visit')")


def test_keys_checks_and_triggers_are_those_that_were(before):
    _, _, owner = before
    for sql, complaint in {
        "insert into journal (kind, visit_id, bill_id, accounts, amounts) values ('bill', 1, 77, array['credit', 'cash'], array[1::bigint, -1])": "foreign key",
        "insert into journal (kind, visit_id, accounts, amounts) values ('bill', 1, array['credit', 'cash'], array[1::bigint, 1])": "check constraint",
        "insert into journal (kind, visit_id, accounts, amounts) values ('bill', null, array['credit', 'cash'], array[1::bigint, -1])": "null value",
        "insert into journal (kind, visit_id, accounts, amounts) values ('other', 1, array['credit', 'cash'], array[1::bigint, -1])": "journal_kind",
        "insert into quarantine (message_id, ordinal, reason, detail) values (999, 1, 'x', 'd')": "foreign key",
        "insert into quarantine_message (content_type, sha256) values ('hl7', sha256('1'))": "quarantine_message_sha256_key",
        "insert into quarantine_message (content_type, sha256) values ('xml', sha256('x'))": "check constraint",
        "insert into quarantine_message (content_type, sha256, feed_id) values ('hl7', sha256('x'), 99)": "foreign key",
        "insert into quarantine_bytes values (999, 'x')": "foreign key",
        "insert into quarantine_bytes values (1, 'x')": "unique",
        "update event set kind = 'x'": "append-only", "delete from event_0": "append-only", "truncate journal cascade": "append-only",
        "update journal_0 set visit_id = 1": "append-only", "delete from quarantine_message": "append-only", "delete from quarantine_bytes": "append-only",
        "truncate quarantine_bytes_0": "append-only",
    }.items():
        with pytest.raises(Exception, match=complaint):
            owner.ask(sql)
    # what is counted since 0011 goes on being counted, of the whole
    before_ = owner.value("select coalesce(sum(n), 0) from kept_change where kind = 'money'")
    owner.ask("insert into journal (kind, visit_id, accounts, amounts) values ('capture', 1, array['cash', 'receivable'], array[7::bigint, -7])")
    assert owner.value("select coalesce(sum(n), 0) from kept_change where kind = 'money'") == before_ - 7
    assert owner.ask("select tgrelid::regclass::text from pg_trigger where tgname = 'counted' and tgfoid = 'journal_counted'::regproc") == [("journal",)]


def test_partitions_of_all_are_made_ahead(before):
    _, _, owner = before
    assert {table: owner.ask("select * from partitions_of(%s) order by first_id", table) for table in PARTITIONED} == {
        "event": [("event_0", 0, 8_000_000), ("event_8000000", 8_000_000, 16_000_000)],
        "journal": [("journal_0", 0, 4_000_000), ("journal_4000000", 4_000_000, 8_000_000)],
        "quarantine_bytes": [("quarantine_bytes_0", 0, 100_000), ("quarantine_bytes_100000", 100_000, 200_000)]}
    owner.ask("select setval(pg_get_serial_sequence('event', 'event_id'), 7999999)")
    owner.ask("insert into event (kind, visit_id) select 'visit', n from generate_series(1, 3) n")
    assert owner.ask("select tableoid::regclass::text, count(*) from event where visit_id in (2, 3) group by 1") == [("event_8000000", 2)]
    assert owner.value("select partitions_ahead()") == 1


def test_a_day_over_many_partitions(fresh_desk, fresh):
    """Small ones, so that a day crosses their edges; what posts, bills, pays, quarantines and audits does not care."""
    owner = fresh_desk.ledger("visitbill_owner")
    for name, in owner.ask("select name from unnest(array['charge', 'event', 'journal', 'quarantine_bytes']) t, partitions_of(t)"):
        owner.ask(f"drop table {name}")
    fresh.value("select partitions_ahead(5, 30)")
    visits = [fresh_number() for _ in range(20)]
    assert set(fresh.post(*[charge(visit, "a", 100) for visit in visits])) == {"posted"}
    fresh.events(*[Event("discharge", visit) for visit in visits])
    fresh.close()
    for visit in visits:
        fresh.pay_cash(fresh.bills(visit)[0])
        assert fresh.post(reversal(visit, "r", of="a", amount=10), reversal(visit, "h", of="unknown")) == ["late", "held"]
        (id,) = put(fresh, visit.encode(), (1, "held", visit, "h", "unknown"))
        assert fresh.rows("select * from quarantine_bytes(%s, '{*}')", id)[0].bytes.tobytes() == visit.encode()
    assert fresh.post(*[charge(visit, "unknown", 1) for visit in visits]) == ["late"] * 20
    assert len(fresh.ask("select * from quarantine_ready(100)")) == 20
    fresh.close()
    for table, key in PARTITIONED.items():
        assert owner.value(f"select count(distinct tableoid) from {table}") >= 3, table
        assert owner.value(f"select count(*) = count(distinct {key}) from {table}")
    assert fresh.audit() == []


def test_bytes_that_come_again_after_their_first_copy_went(fresh_desk, fresh, visit):
    """An entry that waits has its bytes; one that comes again as it was adds nothing."""
    owner = fresh_desk.ledger("visitbill_owner")
    (first,) = put(fresh, visit.encode(), (1, "conflict", visit, "a"))
    assert resolve(fresh, first) == "done"
    owner.ask("alter table quarantine_bytes detach partition quarantine_bytes_0; drop table quarantine_bytes_0")
    assert fresh.ask("select * from quarantine_bytes(%s, '{*}')", first) == []
    assert put(fresh, visit.encode(), (1, "conflict", visit, "a")) is None
    assert owner.value("select count(*) from quarantine_bytes_again") == 0
    (again,) = put(fresh, visit.encode(), (1, "price_unknown", visit, "a"))
    assert fresh.rows("select * from quarantine_bytes(%s, '{*}')", again)[0].bytes.tobytes() == visit.encode()
    assert put(fresh, visit.encode(), (2, "price_unknown", visit, "b")) is not None
    assert owner.value("select count(*) from quarantine_bytes_again") == 1
