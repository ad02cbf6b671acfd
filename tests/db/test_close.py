"""Closing: a visit is billed when every feed that waits has passed its discharge, or when the grace time is over; then the silent ones
are named. A visit that cannot be closed holds up no other."""

from contextlib import contextmanager
from datetime import timedelta

import pytest

from .cluster import configuration
from .conftest import FACILITIES, FEEDS
from .ledger import NOON, at_once, charge, fresh_number


@pytest.fixture(name="owner")
def _owner(desk):
    return desk.ledger("visitbill_owner")


def waiting(ledger, visit, at):
    """A discharged visit of W01, which waits for lab and theatre."""
    ledger.post(charge(visit, "a", 100, feed="lab", facility="W01"))
    ledger.discharge(visit, at=at, facility="W01", feed="lab")
    return visit


def is_billed(ledger, visit):
    ledger.close()
    return ledger.value("select state <> 'discharged' from visit where visit_no = %s", visit)


def later(ledger, minutes=1):
    """A time that no mark of W01 has passed yet; tests share the feeds."""
    newest = ledger.value("select coalesce(max(mark), %s) from feed_watermark", NOON)
    return newest + timedelta(minutes=minutes)


def test_the_bill_waits_for_every_feed_that_waits(ledger, visit):
    at = later(ledger)
    waiting(ledger, visit, at)
    assert not is_billed(ledger, visit)
    ledger.mark(lab=at + timedelta(hours=1))
    assert not is_billed(ledger, visit)
    ledger.mark(theatre=at - timedelta(microseconds=1))
    assert not is_billed(ledger, visit)
    ledger.mark(theatre=at)
    assert is_billed(ledger, visit)
    assert ledger.bills(visit)[0].silent_feeds == []


def test_marks_never_go_back(ledger, visit):
    at = later(ledger)
    ledger.mark(lab=at, theatre=at)
    waiting(ledger, visit, at)
    ledger.mark(lab=at - timedelta(days=1), theatre=NOON)
    assert set(ledger.ask("select mark from feed_watermark where feed_id in (%s, %s)", ledger.feeds["lab"], ledger.feeds["theatre"])) == {(at,)}
    assert is_billed(ledger, visit)


def test_a_feed_passes_a_discharge_by_what_it_sends_after_it(ledger, visit):
    """The visit ended an hour ago, and that is told only now: feeds that are further than that have not said their last word."""
    at = later(ledger, minutes=60)
    ledger.mark(lab=at, theatre=at)
    waiting(ledger, visit, at - timedelta(hours=1))
    assert not is_billed(ledger, visit), "theatre has sent nothing since"
    ledger.mark(lab=at + timedelta(minutes=1))
    assert not is_billed(ledger, visit)
    ledger.ask("select feed_marks(array[%s], array[%s::timestamptz], array[3600000000])", ledger.feeds["theatre"], at + timedelta(minutes=1))
    assert not is_billed(ledger, visit), "that came before the discharge, and was written after it"
    ledger.mark(theatre=at)
    assert is_billed(ledger, visit)
    assert ledger.bills(visit)[0].silent_feeds == []


def test_the_feed_that_tells_of_it_has_said_all(ledger, visit):
    at = later(ledger)
    ledger.post(charge(visit, "a", 100, feed="lab", facility="W01"))
    ledger.discharge(visit, at=at, facility="W01", feed="lab")
    ledger.mark(lab=at)
    ledger.ask("select feed_marks(array[%s], array[%s::timestamptz], array[3600000000])", ledger.feeds["lab"], at)
    ledger.mark(theatre=at)
    assert is_billed(ledger, visit)


def test_marks_from_many_connections_at_once_end_at_the_newest(ledger, desk):
    ledgers, start = [desk.ledger() for _ in range(4)], later(ledger)

    def tick(own, n):
        for step in range(25):
            minutes = (step * 7 + n * 3) % 25
            times = {"lab": start + timedelta(minutes=minutes), "theatre": start + timedelta(minutes=24 - minutes)}
            own.mark(**dict(reversed(times.items()) if n % 2 else times.items()))

    at_once(*[lambda own=own, n=n: tick(own, n) for n, own in enumerate(ledgers)])
    found = dict(ledger.ask("select name, mark from feed_watermark join feed using (feed_id) where name in ('lab', 'theatre')"))
    assert found == {"lab": start + timedelta(minutes=24), "theatre": start + timedelta(minutes=24)}


def test_one_message_with_a_feed_twice_takes_the_newer_mark(ledger):
    at, feed = later(ledger), ledger.feeds["lab"]
    ledger.ask("select feed_marks(%s, %s, null)", [feed, feed], [at, at - timedelta(hours=1)])
    assert ledger.value("select mark from feed_watermark where feed_id = %s", feed) == at


def test_after_the_grace_time_the_silent_feeds_are_named(ledger, owner, visit):
    at = later(ledger)
    ledger.mark(lab=at)
    waiting(ledger, visit, at)
    assert not is_billed(ledger, visit)
    owner.ask("update visit set discharge_seen_at = discharge_seen_at - interval '1 h 1 s' where visit_no = %s", visit)
    assert is_billed(ledger, visit)
    assert ledger.bills(visit)[0].silent_feeds == ["theatre"]


def test_grace_counts_from_when_we_learned_of_the_discharge(ledger, visit):
    """A discharge of yesterday that arrives now still waits its hour."""
    waiting(ledger, visit, later(ledger) + timedelta(days=3))
    assert not is_billed(ledger, visit)


def test_a_facility_without_grace_names_its_silent_feed_at_once(ledger, visit):
    ledger.post(charge(visit, "a", 100, feed="silent", facility="S01"))
    ledger.discharge(visit, facility="S01", feed="silent", at=NOON)
    assert is_billed(ledger, visit)
    assert ledger.bills(visit)[0].silent_feeds == ["silent"]


def test_what_a_silent_feed_sends_later_is_a_supplement(ledger, visit):
    ledger.post(charge(visit, "a", 100, feed="silent", facility="S01"))
    ledger.discharge(visit, facility="S01", feed="silent", at=NOON)
    ledger.close()
    assert ledger.post(charge(visit, "b", 7, feed="silent", facility="S01")) == ["late"]
    ledger.close()
    assert [(bill.kind, bill.silent_feeds) for bill in ledger.bills(visit)] == [("bill", ["silent"]), ("supplement", [])]


def test_late_lines_gather_before_a_supplement(ledger, owner, visit):
    ledger.post(charge(visit, "a", 100, feed="late", facility="L01"))
    ledger.discharge(visit, facility="L01", feed="late")
    ledger.close()
    ledger.post(charge(visit, "b", 1, feed="late", facility="L01"))
    ledger.close()
    ledger.post(charge(visit, "c", 2, feed="late", facility="L01"))
    since = ledger.value("select late_since from visit where visit_no = %s", visit)
    ledger.close()
    assert len(ledger.bills(visit)) == 1
    owner.ask("update visit set late_since = late_since - interval '1 h 1 s' where visit_no = %s and late_since = %s", visit, since)
    ledger.close()
    assert [bill.total for bill in ledger.bills(visit)] == [100, 3]


def test_an_open_visit_is_never_closed(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    ledger.close()
    assert ledger.bills(visit) == [] and ledger.visit(visit).state == "open"


@contextmanager
def tampered_with(owner, visits, since):
    """Visits whose running total has been tampered with, the oldest of all: their bills must not be issued. Cured at the end."""
    owner.ask(f"update visit set total = total + 1, {since} = now() - interval '1 d' where visit_no = any (%s)", visits)
    try:
        yield
    finally:
        owner.ask("update visit set total = total - 1 where visit_no = any (%s)", visits)


def discharged(ledger, count=1):
    visits = [fresh_number() for _ in range(count)]
    for visit in visits:
        ledger.post(charge(visit, "a", 100))
        ledger.discharge(visit)
    return visits


def test_a_visit_that_cannot_be_closed_is_counted_and_tried_again(ledger, owner):
    ledger.close()
    bad, good = discharged(ledger, 2)
    with tampered_with(owner, [bad], "discharge_seen_at"):
        assert ledger.close() == (2, 1, 1)
        assert (ledger.visit(good).state, ledger.visit(bad).state, ledger.bills(bad)) == ("billed", "discharged", [])
    assert ledger.close() == (1, 1, 0)
    assert ledger.visit(bad).state == "billed"


def test_many_that_cannot_be_closed_hold_up_no_other(ledger, owner):
    *bad, good = discharged(ledger, 4)
    with tampered_with(owner, bad, "discharge_seen_at"):
        for _ in range(4):
            ledger.close(limit=3)
        assert ledger.visit(good).state == "billed"
    ledger.close()
    assert {ledger.visit(one).state for one in bad} == {"billed"}


def test_nor_do_late_ones(ledger, owner):
    *bad, good = visits = discharged(ledger, 4)
    ledger.close()
    ledger.post(*[charge(visit, "b", 1) for visit in visits])
    with tampered_with(owner, bad, "late_since"):
        for _ in range(4):
            ledger.close(limit=3)
        assert len(ledger.bills(good)) == 2
    ledger.close()
    assert {len(ledger.bills(one)) for one in bad} == {2}


def test_a_limit_is_kept_and_the_oldest_come_first(ledger):
    ledger.close()
    visits = discharged(ledger, 5)
    for n in range(1, 6):
        assert ledger.close(limit=1) == (1, 1, 0)
        assert [ledger.visit(visit).state for visit in visits] == ["billed"] * n + ["discharged"] * (5 - n)
    assert ledger.close() == (0, 0, 0)


def test_an_inactive_feed_is_not_waited_for(fresh, visit):
    waiting(fresh, visit, NOON)
    fresh.mark(lab=NOON)
    fresh.close()
    assert fresh.bills(visit) == []
    fresh.configure(configuration(FACILITIES, {name: feed for name, feed in FEEDS.items() if name != "theatre"}))
    fresh.close()
    assert fresh.bills(visit)[0].silent_feeds == []
