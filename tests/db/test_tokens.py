"""Tokens: kept as SHA-256, revoked and never deleted; a daemon that polls by the number of the newest change misses none; the newest use counts. And what a
reload would leave lying."""

import hashlib
import threading
import time
from datetime import datetime, timedelta

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege

from .conftest import FEEDS
from .ledger import CHINA, NOON, charge, fresh_number, reversal

NEW = "select token_new(%s, %s, %s, %s, %s, %s, %s)"


def make(owner, name=None, role="kiosk", scope=("H01",), feed=None, expires=None, sha256=None):
    name = name or fresh_number("token")
    return name, owner.value(NEW, name, sha256 or hashlib.sha256(name.encode()).digest(), role, list(scope), feed, expires, "tester")


def changed(ledger, since=0):
    return ledger.rows("select token_id, name, sha256, role, facilities, feed, expires_us, revoked, changed from tokens_changed(%s)", since)


@pytest.fixture(name="owner")
def _owner(desk):
    return desk.ledger("visitbill_owner")


@pytest.fixture(name="newest")
def _newest(ledger):
    return max([row.changed for row in changed(ledger)], default=0)


def test_what_a_daemon_is_told_of_a_token(ledger, owner, newest):
    one, outcome = make(owner, scope=["H01", "W01"], expires=NOON.replace(year=2126) + timedelta(microseconds=7))
    assert outcome == "done"
    two, _ = make(owner, role="feed", feed="ward", scope=["H01"])
    three, _ = make(owner, role="ops", scope=["*"])
    rows = changed(ledger, newest)
    assert [row.name for row in rows] == [one, two, three] and [row.changed for row in rows] == sorted({row.changed for row in rows})
    assert [(row.role, row.facilities, row.feed, row.revoked) for row in rows] == [
        ("kiosk", "H01 W01", None, False), ("feed", "H01", "ward", False), ("ops", "*", None, False)]
    assert rows[0].sha256.tobytes() == hashlib.sha256(one.encode()).digest()
    assert rows[0].expires_us == int(NOON.replace(year=2126).timestamp()) * 1000000 + 7 and rows[1].expires_us is None
    assert owner.value("select token_revoke(%s, 'tester')", two) == "done"
    (row,) = changed(ledger, rows[-1].changed)
    assert (row.name, row.token_id, row.revoked) == (two, rows[1].token_id, True) and changed(ledger, row.changed) == []


def test_a_name_and_a_secret_are_one_token_s(owner):
    name, _ = make(owner)
    assert make(owner, name, sha256=b"x" * 32)[1] == "name_taken"
    assert make(owner, sha256=hashlib.sha256(name.encode()).digest())[1] == "secret_taken"
    owner.value("select token_revoke(%s, 'tester')", name)
    assert make(owner, name, sha256=b"x" * 32)[1] == "name_taken", "a token that was revoked keeps its name"


def test_a_token_is_revoked_once_and_stays(owner):
    name, _ = make(owner)
    revoke = "select token_revoke(%s, %s)"
    assert [owner.value(revoke, name, by) for by in ("first", "second")] == ["done", "repeated"]
    assert owner.value("select revoked_by from api_token where name = %s", name) == "first"
    assert owner.value(revoke, "nobody's", "x") == "token_unknown"
    for change in ("revoked_at = null, revoked_by = null", "revoked_by = 'x'", "facilities = '{*}'"):
        with pytest.raises(InsufficientPrivilege):
            owner.ask(f"update api_token set {change} where name = %s", name)


@pytest.mark.parametrize("change", ["facilities = '{*}'", "role = 'desk'", "sha256 = sha256('x')", "expires_at = null", "name = 'x'", "created_by = 'x'", "token_id = default"])
def test_a_token_changes_by_being_revoked_only(owner, change):
    name, _ = make(owner, expires=NOON.replace(year=2126))
    with pytest.raises(InsufficientPrivilege):
        owner.ask(f"update api_token set {change} where name = %s", name)


def test_a_token_is_never_deleted(owner):
    name, _ = make(owner)
    for statement in (f"delete from api_token where name = '{name}'", "truncate api_token cascade"):
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            owner.ask(statement)


@pytest.mark.parametrize("wrong", [
    {"role": "root"}, {"role": None}, {"scope": []}, {"scope": [None]}, {"scope": [""]}, {"sha256": b"x" * 31}, {"sha256": b"x" * 33}, {"name": "a b"}, {"name": 'a"b'},
    {"name": "a\nb"}, {"name": "a" * 65}, {"role": "feed"}, {"feed": "ward"},
], ids=repr)
def test_absurd_tokens(owner, wrong):
    with pytest.raises(psycopg2.IntegrityError):
        make(owner, **wrong)


def test_a_token_that_is_over_before_it_begins(owner):
    assert make(owner, expires=NOON.replace(year=2001))[1] == "expired"


def test_the_daemon_makes_and_revokes_none(ledger, owner):
    name, _ = make(owner)
    for call in (f"token_revoke('{name}', 'x')", "token_new('x', sha256('x'), 'ops', '{*}', null, null, 'x')"):
        with pytest.raises(InsufficientPrivilege):
            ledger.ask("select " + call)


def test_a_poll_misses_nothing_that_was_committed_late(ledger, desk, newest):
    """The one who makes a token first commits last. Nobody may have a higher number that is committed earlier: a reader would go on from that."""
    slow, fast = desk.ledger("visitbill_owner"), desk.ledger("visitbill_owner")
    slow.connection.autocommit = False
    first, _ = make(slow)
    made = []
    other = threading.Thread(target=lambda: made.append(make(fast)))
    other.start()
    other.join(0.5)
    seen = changed(ledger, newest)
    slow.connection.commit()
    other.join(10)
    since = max([row.changed for row in seen], default=newest)
    names = [row.name for row in seen + changed(ledger, since)]
    assert seen == [] and names == [first, made[0][0]]


def test_the_newest_use_counts(ledger, owner):
    ids = [owner.value("select token_id from api_token where name = %s", make(owner)[0]) for _ in range(2)]
    later, latest = NOON + timedelta(seconds=5), NOON + timedelta(seconds=9)

    def use(*uses):
        ledger.ask("select tokens_used(%s::bigint[], %s::timestamptz[], %s::text[])", *map(list, zip(*uses)))
        return ledger.ask("select last_used_at, last_peer from token_use where token_id = any (%s) order by token_id", ids)

    assert use((ids[1], NOON, "b"), (ids[0], NOON, "a"), (ids[0], later, "c"), (ids[0], NOON, "d")) == [(later, "c"), (NOON, "b")]
    assert use((ids[0], NOON, "late"), (ids[1], latest, None)) == [(later, "c"), (latest, None)]
    assert use((10**12, NOON, "of no token"), (ids[0], latest, "e")) == [(latest, "e"), (latest, None)]
    ledger.ask("select tokens_used('{}', '{}', '{}')")


def test_the_list(ledger, owner):
    active, revoked, expired, both = make(owner)[0], make(owner)[0], *(make(owner, expires=datetime.now(CHINA) + timedelta(seconds=0.3))[0] for _ in range(2))
    for name in (revoked, both):
        owner.value("select token_revoke(%s, 'tester')", name)
    time.sleep(0.4)
    states = dict(ledger.ask("select name, state from token_list()"))
    assert [states[name] for name in (active, revoked, expired, both)] == ["active", "revoked", "expired", "revoked"]
    assert ledger.row("select created_by, revoked_by from token_list() where name = %s", revoked) == ("tester", "tester")


# ---- what a reload would leave lying

ORPHANS = "select kind, name, live from reload_orphans(%s, %s)"


def test_nothing_is_orphaned_that_stays(fresh, visit):
    fresh.post(charge(visit, "a", 1000))
    (bill,) = fresh.close_now(visit)
    fresh.pay(bill, 100)
    assert fresh.ask(ORPHANS, ["m1"], list(FEEDS)) == []
    assert fresh.ask(ORPHANS, ["m2", "m1"], [*FEEDS, "new"]) == []


def test_merchants_with_attempts_alive(fresh, visit):
    fresh.post(charge(visit, "a", 1000))
    (bill,) = fresh.close_now(visit)
    created, pending, unknown, ended, paid = (fresh.pay(bill, 100) for _ in range(5))
    fresh.pending(pending)
    fresh.unknown(unknown)
    fresh.end(ended)
    fresh.capture(paid.order, 100)
    fresh.pay_cash(fresh.bills(visit)[0], 100)      # cash is nobody's
    assert created.outcome == "done"
    for merchants in (["other"], [], None):
        assert fresh.ask(ORPHANS, merchants, list(FEEDS)) == [("merchant", "m1", 3)]
    for payment in (created, pending, unknown):
        fresh.end(payment)
    assert fresh.ask(ORPHANS, [], list(FEEDS)) == []


def test_feeds_with_lines_that_wait(fresh, visit):
    fresh.post(reversal(visit, "r", of="a"))
    put = "select quarantine_put(%s, 'json', 'p', %s, array[1], array['original_unknown'], array['d'], array['/'], array['H01'], array[%s], array['r'], array[%s], 1)"
    (held,) = fresh.value(put, fresh.feeds["clinic"], b"1", visit, "a")
    fresh.value(put, fresh.feeds["clinic"], b"2", visit, "b")
    fresh.value(put, fresh.feeds["ward"], b"3", visit, None)      # waits for a person, not for a line
    others = [name for name in FEEDS if name not in ("clinic", "ward")]
    for feeds in (others, [*others, "ward"]):
        assert fresh.ask(ORPHANS, [], feeds) == [("feed", "clinic", 2)]
    assert fresh.ask(ORPHANS, [], [*others, "clinic"]) == []
    fresh.value("select quarantine_resolve(%s, 'posted', 'x', '{*}')", held)
    assert fresh.ask(ORPHANS, None, None) == [("feed", "clinic", 1)]
