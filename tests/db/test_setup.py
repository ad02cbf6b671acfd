"""What the configuration brings in, and the partitions of charge: repeated, changed, and by several daemons at once."""

import json
import threading

import psycopg2
import pytest

from .cluster import configuration
from .conftest import FACILITIES, FEEDS
from .ledger import at_once, charge, fresh_number, reversal

TABLES = ("charge", "event", "journal", "quarantine_bytes")
PARTITIONS = ("select c.relname, pg_get_expr(c.relpartbound, c.oid) from pg_inherits i join pg_class c on c.oid = i.inhrelid"
              " where i.inhparent = 'charge'::regclass order by substr(c.relname, 8)::bigint")


def state(ledger):
    return (ledger.ask("select * from facility order by code"), ledger.ask("select * from feed order by name"))


def test_the_same_again_changes_nothing(fresh):
    before = state(fresh)
    ids = (fresh.facilities, fresh.feeds)
    found = fresh.configure(configuration(FACILITIES, FEEDS))
    assert state(fresh) == before
    assert {code: found["facilities"][code] for code in FACILITIES} == ids[0]
    assert {name: found["feeds"][name] for name in FEEDS} == {name: ids[1][name] for name in FEEDS}


def test_settings_change_and_ids_stay(fresh):
    ids = dict(fresh.feeds)
    fresh.configure(configuration({**FACILITIES, "H01": {"grace_s": 1.5, "due_hours": 1, "outpatient_limit": 7}, "N01": {}},
                                  {**FEEDS, "clinic": ("N01", True), "new": ("N01", False)}))
    assert {name: fresh.feeds[name] for name in ids} == ids
    assert fresh.row("select grace::text, due_after::text, outpatient_limit from facility where code = 'H01'") == ("00:00:01.5", "01:00:00", 7)
    assert fresh.row("select code, waits, application from feed join facility using (facility_id) where feed.name = 'clinic'") == ("N01", True, "CLINIC")


def test_a_feed_that_is_gone_becomes_inactive_and_active_again_when_it_is_back(fresh):
    def active():
        return {name for (name,) in fresh.ask("select name from feed where active and feed_id > 0")}

    some = {name: feed for name, feed in FEEDS.items() if name in ("clinic", "lab")}
    fresh.configure(configuration(FACILITIES, some))
    assert active() == set(some)
    fresh.configure(configuration(FACILITIES, FEEDS))
    assert active() == set(FEEDS)
    assert fresh.value("select active from feed where feed_id = 0")


def test_daemons_that_start_at_once(fresh_desk, fresh):
    """Each with the feeds in another order, on a database that knows only some of them."""
    ledgers = [fresh_desk.ledger() for _ in range(6)]
    feeds = {**FEEDS, **{f"extra{n}": ("H01", False) for n in range(10)}}

    def start(own, n):
        names = list(feeds)
        names = names[n:] + names[:n]
        return [own.configure(configuration(FACILITIES, {name: feeds[name] for name in names})) for _ in range(5)]

    found = at_once(*[lambda own=own, n=n: start(own, n) for n, own in enumerate(ledgers)])
    assert len({json.dumps(answer, sort_keys=True) for answers in found for answer in answers}) == 1
    assert len({feed_id for feed_id in found[0][0]["feeds"].values()}) == len(feeds) + 1


def test_our_own_feed_cannot_be_taken(fresh):
    """Feed 0 books the transfers of merges: a sender of that name must not become it."""
    try:
        fresh.configure(configuration(FACILITIES, {**FEEDS, "visitbill": ("H01", True)}))
    except psycopg2.Error:
        pass
    assert fresh.row("select facility_id, waits from feed where feed_id = 0") == (None, False)


@pytest.fixture(name="owner")
def _owner(fresh_desk):
    """Of a database without partitions."""
    owner = fresh_desk.ledger("visitbill_owner")
    for (name,) in owner.ask("select name from unnest(%s) t, partitions_of(t)", list(TABLES)):
        owner.ask(f"drop table {name}")
    return owner


def made(owner):
    """How many partitions of each table there are."""
    return [owner.value("select count(*) from partitions_of(%s)", table) for table in TABLES]


def test_partitions_are_made_ahead_and_only_once(owner, fresh):
    assert fresh.value("select partitions_ahead(10, 1)") == 2 + 2 + 2 + 3
    assert fresh.value("select partitions_ahead(10, 1)") == 0
    assert made(owner) == [2, 2, 2, 3]
    assert owner.ask(PARTITIONS) == [("charge_0", "FOR VALUES FROM ('0') TO ('10')"), ("charge_10", "FOR VALUES FROM ('10') TO ('20')")]
    assert fresh.value("select partitions_ahead(10, 3)") == 2 * 4
    assert fresh.value("select partitions_ahead(100, 1)") == 2 + 2 + 2 + 2
    assert owner.ask(PARTITIONS)[4:] == [("charge_40", "FOR VALUES FROM ('40') TO ('100')"), ("charge_100", "FOR VALUES FROM ('100') TO ('200')")]


def test_visits_on_each_side_of_a_boundary(owner, fresh):
    """One batch over both partitions; resends, reversals, bills and merges do not care."""
    fresh.value("select partitions_ahead(10, 2)")
    visits = [fresh_number() for _ in range(24)]
    assert fresh.post(*[charge(visit, "a", n) for n, visit in enumerate(visits)]) == ["posted"] * 24
    found = dict(owner.ask("select tableoid::regclass::text, array_agg(visit_id order by visit_id) from charge group by 1"))
    assert found == {"charge_0": list(range(1, 10)), "charge_10": list(range(10, 20)), "charge_20": list(range(20, 25))}
    assert fresh.post(*[charge(visit, "a", n) for n, visit in enumerate(visits)]) == ["duplicate"] * 24
    left, right = visits[8], visits[9]
    assert fresh.post(reversal(left, "r", of="a", amount=3), reversal(right, "r", of="a", amount=3)) == ["posted"] * 2
    assert fresh.merge(left, into=right) == "done"
    assert fresh.close_now(right)[0].total == 8 + 9 - 6
    assert fresh.audit() == []


def test_a_visit_beyond_the_last_partition_waits_for_the_next_one(owner, fresh, visit):
    """No partition, no line: it is an error, not a loss, and goes through once there is one."""
    with pytest.raises(psycopg2.Error, match="no partition"):
        fresh.post(charge(visit, "a", 1))
    assert fresh.ask("select * from visit where visit_no = %s", visit) == []
    fresh.value("select partitions_ahead(10, 1)")
    assert fresh.post(charge(visit, "a", 1)) == ["posted"]


def test_partitions_made_later_are_guarded_too(owner, fresh, visit):
    fresh.value("select partitions_ahead(10, 1)")
    fresh.post(charge(visit, "a", 1))
    fresh.close_now(visit)
    for sql in ("update charge_0 set amount = 5", "delete from charge_0", "truncate charge_0", "truncate charge_10", "truncate charge",
                "update event_0 set kind = 'x'", "delete from event_80", "truncate event_80", "delete from journal_0", "truncate journal_40",
                "update quarantine_bytes_1 set bytes = ''", "truncate quarantine_bytes_0", "update event set kind = 'x'", "delete from journal"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
            owner.ask(sql)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied"):
            fresh.ask(sql)
    with pytest.raises(psycopg2.IntegrityError):
        owner.ask("insert into charge_0 select * from charge_0")


def test_daemons_make_partitions_at_once(owner, fresh_desk):
    ledgers = [fresh_desk.ledger() for _ in range(4)]
    counts = at_once(*[lambda own=own: [own.value("select partitions_ahead(10, %s)", ahead) for ahead in (1, 3, 5)] for own in ledgers])
    assert sum(sum(one) for one in counts) == sum(made(owner))
    assert made(owner) == [6, 6, 6, 7]


def test_a_long_read_holds_up_neither_partitions_nor_posting(owner, fresh_desk, visit):
    """An audit that takes minutes must not stop the hospital when the hour of the partitions comes."""
    reader, maker, poster = fresh_desk.ledger(), fresh_desk.ledger(), fresh_desk.ledger()
    maker.value("select partitions_ahead(10, 1)")
    reader.connection.autocommit = False
    reader.audit()
    maker.ask("set lock_timeout = '3s'")
    making = threading.Thread(target=lambda: maker.value("select partitions_ahead(10, 5)"))
    making.start()
    poster.ask("set lock_timeout = '1s'")
    assert poster.post(charge(visit, "a", 1)) == ["posted"]
    making.join()
    assert len(owner.ask(PARTITIONS)) == 6
    reader.connection.rollback()


def test_the_settings_of_another_hospital_change_nothing(fresh):
    """None of their facilities is known here, so this is not their schema. One that is known is enough."""
    before = state(fresh)
    with pytest.raises(psycopg2.errors.RaiseException, match="is another hospital's: it has facilities H01, L01, P01, P02, S01, W01, and the settings name none of them"):
        fresh.configure(configuration({"X01": {}, "X02": {}}, {"clinic": ("X01", True)}))
    assert state(fresh) == before
    fresh.configure(configuration({"H01": {}, "X01": {}}, {"clinic": ("X01", True)}))
    assert fresh.value("select count(*) from facility") == len(FACILITIES) + 1
