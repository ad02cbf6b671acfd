"""Quarantine after a bad night: filters find what they mean and nothing else, at the cost of what is shown; many are dismissed or replayed in one call, each
once; and the tallies stay what the rows are."""

import json
from datetime import datetime, timedelta

import pytest

from .ledger import CHINA, at_once, charge, fresh_number, reversal
from .test_plans import DAEMON, rows_read, without_statistics
from .test_quarantine import grown, page, put, ready, resolve, tally


def ids(document):
    return [entry["id"] for entry in document["quarantine"]]


@pytest.fixture
def night(fresh, fresh_desk):
    """Four entries of two feeds, of a stranger, and of the day before; by a word each."""
    found = {
        "price": put(fresh, b"one", (1, "price_unknown", "V1", "L-1"))[0],
        "conflict": put(fresh, b"two", (1, "conflict", "V2", "L-2"), feed="pharmacy")[0],
        "lab": put(fresh, b"three", (1, "price_unknown", "V2", "B%_2"), feed="lab", facility="W01")[0],
        "stranger": put(fresh, b"four", (0, "feed_unknown", "V9", None), feed=None)[0],
        "old": put(fresh, b"five", (1, "conflict", "V1", "L-1"))[0],
    }
    owner = fresh_desk.ledger("postgres")
    owner.ask("set session_replication_role = replica")
    for table in ("quarantine", "quarantine_waiting"):
        owner.ask(f"update {table} set received_at = received_at - interval '1 day' where quarantine_id = %s", found["old"])
    return found


def midnight():
    return datetime.now(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("filter, names", [
    ({}, "old price conflict lab stranger"), ({"order": "newest"}, "stranger lab conflict price old"),
    ({"feed": "clinic"}, "old price"), ({"feed": "lab"}, "lab"), ({"feed": "ward"}, ""), ({"feed": "no such"}, ""), ({"feed": "unknown"}, "stranger"),
    ({"reason": "price_unknown"}, "price lab"), ({"reason": "price_unknown", "feed": "lab"}, "lab"), ({"reason": "currency"}, ""),
    ({"visit": "V2"}, "conflict lab"), ({"visit": "V2", "feed": "lab"}, "lab"), ({"visit": "V"}, ""),
    ({"text": "l-1"}, "old price"), ({"text": "v9"}, "stranger"), ({"text": "B%_"}, "lab"), ({"text": "%"}, "lab"), ({"text": "DETAIL"}, "old price conflict lab stranger"),
    ({"from": "midnight"}, "price conflict lab stranger"), ({"until": "midnight"}, "old"), ({"from": "midnight", "until": "midnight"}, ""),
    ({"from": "yesterday", "until": "midnight", "reason": "conflict"}, "old"),
])
def test_filters(fresh, night, filter, names):
    times = {"midnight": midnight().isoformat(), "yesterday": (midnight() - timedelta(days=1)).isoformat()}
    filter = {key: times.get(value, value) for key, value in filter.items()}
    for state in ({}, {"state": "waiting"}, {"state": "all"}):
        assert ids(page(fresh, **filter, **state)) == [night[name] for name in names.split()]
    assert ids(page(fresh, **filter, state="resolved")) == []
    meant = json.loads(fresh.row("select * from quarantine_summary(%s, 0, '{*}')", json.dumps(filter))[1])
    assert meant["matching"] == len(names.split()) == sum(row["count"] for row in meant["by"])
    for id in night.values():
        resolve(fresh, id, "superseded")
    assert ids(page(fresh, **filter)) == []
    for state in ("resolved", "all"):
        assert ids(page(fresh, **filter, state=state)) == [night[name] for name in names.split()]


def test_one_by_its_id(fresh, night):
    for state in ("waiting", "all"):
        assert ids(page(fresh, id=str(night["lab"]), state=state)) == [night["lab"]]
        assert ids(page(fresh, id=str(night["lab"]), state=state, feed="clinic")) == []
    assert ids(page(fresh, scope="{H01}", id=str(night["lab"]))) == ids(page(fresh, id="999999")) == []


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize("filter", [{}, {"feed": "clinic"}, {"reason": "conflict"}, {"text": "k"}, {"state": "all", "feed": "clinic"}])
def test_pages_by_cursor(fresh, order, filter):
    """Each entry once, whatever comes meanwhile behind what was shown."""
    mine = [id for n in range(7) for id in put(fresh, f"m{n}".encode(), (1, "conflict", "V", "k"), (2, "conflict", "V", "k2"))]
    found, after, pages = [], 0, 0
    while after is not None:
        shown = page(fresh, 4, after, order=order, **filter)
        found += ids(shown)
        after, pages = shown["next"], pages + 1
        if order == "newest":
            put(fresh, f"later {pages}".encode(), (1, "conflict", "V", "k"))
    assert found == (mine if order == "oldest" else mine[::-1]) and pages == 4


def test_scope_holds_for_many(fresh, night):
    """Nothing is shown, counted or resolved that belongs to another facility; nor by a cursor of theirs."""
    for scope, names in (("{H01}", "old price conflict"), ("{W01}", "lab"), ("{}", ""), (None, "")):
        seen = {night[name] for name in names.split()}
        assert set(ids(page(fresh, scope=scope))) == seen
        summary = json.loads(fresh.row("select * from quarantine_summary('{}', 0, %s)", scope)[1])
        assert summary["matching"] == len(ids(page(fresh, scope=scope)))
        assert {row.quarantine_id for row in fresh.rows("select * from quarantine_replayable('{}', 100, 0, %s)", scope)} == set(ids(page(fresh, scope=scope)))
    outcome, doc = fresh.row("select * from quarantine_dismiss('{\"reason\": \"price_unknown\"}', 100, 0, 'x', 'why', '{H01}')")
    assert (outcome, json.loads(doc)["dismissed"]) == ("done", 1)
    assert night["lab"] in ids(page(fresh)) and night["price"] not in ids(page(fresh))


def test_dismissing_keeps_who_and_why(fresh, night):
    outcome, doc = fresh.row("select * from quarantine_dismiss('{\"feed\": \"clinic\"}', 1, 0, 'desk 3', 'test orders', '{*}')")
    doc = json.loads(doc)
    assert (outcome, doc["dismissed"], doc["next"]) == ("done", 1, night["old"])
    _, doc = fresh.row("select * from quarantine_dismiss('{\"feed\": \"clinic\"}', 10, %s, 'desk 3', 'test orders', '{*}')", doc["next"])
    assert json.loads(doc) == {"dismissed": 1, "next": None}
    resolved = page(fresh, state="resolved")["quarantine"]
    assert [(row["id"], row["outcome"], row["by"], row["why"]) for row in resolved] == [
        (night[name], "dismissed", "desk 3", "test orders") for name in ("old", "price")]
    assert fresh.books()["lines"]["dismissed"] == 2 and fresh.audit() == []


def test_two_dismissals_at_once(fresh_desk, fresh):
    for n in range(20):
        put(fresh, f"m{n}".encode(), *[(line, "conflict", "V", "k") for line in range(1, 11)])
    one, two = fresh_desk.ledger(), fresh_desk.ledger()
    call = "select doc::json ->> 'dismissed' from quarantine_dismiss('{\"reason\": \"conflict\"}', 1000, 0, 'x', 'why', '{*}')"
    assert sum(map(int, at_once(lambda: one.value(call), lambda: two.value(call)))) == 200
    assert fresh.value("select count(*) from quarantine_resolution") == 200 and ids(page(fresh)) == []


def test_rows_to_replay_come_message_by_message(fresh):
    """The bytes once a message; as many messages as have a megabyte, and the rest by the cursor."""
    for n in range(3):
        put(fresh, bytes([65 + n]) * 600_000, *[(line, "conflict", "V", f"k{line}") for line in range(1, 4)])
    seen, after, calls = [], 0, []
    while after is not None:
        rows = fresh.rows("select * from quarantine_replayable('{\"reason\": \"conflict\"}', 100, %s, '{*}')", after)
        assert [row.bytes is not None for row in rows] == [True, False, False] * (len(rows) // 3)
        seen += [(row.quarantine_id, row.ordinal) for row in rows]
        after = rows[0].next
        calls.append(len(rows))
    assert calls == [6, 3] and [ordinal for _, ordinal in seen] == [1, 2, 3] * 3 and len(set(seen)) == 9
    assert fresh.rows("select * from quarantine_replayable('{\"reason\": \"currency\"}', 100, 0, '{*}')") == []


def test_replayed_entries_end_or_wait_for_their_real_reason(fresh, visit):
    one, two, three = put(fresh, visit.encode(), *[(n, "price_unknown", visit, f"l{n}") for n in (1, 2, 3)])
    call = "select quarantine_replayed(%s, %s, %s, %s, 'desk', %s)"
    outcomes = ["posted", "conflict", "price_unknown"]
    fresh.ask(call, [three, two, one], outcomes, ["d"] * 3, ["FT1^1", None, None], ["W01"])
    assert ids(page(fresh)) == [one, two, three], "beyond the scope nothing is resolved"
    fresh.ask(call, [three, two, one], outcomes, ["d"] * 3, ["FT1^1", None, None], ["H01"])
    assert [(row["reason"], row["source_line"]) for row in page(fresh)["quarantine"]] == [("price_unknown", "l1"), ("conflict", "l2")]
    assert fresh.value("select outcome from quarantine_resolution where quarantine_id = %s", three) == "posted"
    assert fresh.value("select sum(parked) from intake_tally") == fresh.value("select count(*) from quarantine where ordinal > 0") == 4


def test_a_dismissed_reversal_that_is_sent_again_waits_again(fresh, visit):
    """Its sender is told that it is held; and it is booked when its original comes."""
    row = (1, "original_unknown", visit, "r", "a")
    (first,) = put(fresh, visit.encode(), row)
    assert put(fresh, visit.encode(), row) is None
    resolve(fresh, first, "dismissed")
    before = tally(fresh)
    (second,) = put(fresh, visit.encode(), row)
    assert put(fresh, visit.encode(), row) is None and ids(page(fresh)) == [second]
    assert grown(fresh, before) == (0, 1, 1)
    assert fresh.post(charge(visit, "a", 100)) == ["posted"]
    assert [entry.quarantine_id for entry in ready(fresh)] == [second]
    assert fresh.post(reversal(visit, "r", of="a")) == ["posted"]
    resolve(fresh, second, "posted")
    lines = fresh.books()["lines"]
    assert (lines["received"], lines["booked"], lines["duplicate"], lines["dismissed"], lines["waiting"]) == (5, 2, 2, 1, 0)
    assert put(fresh, visit.encode() + b"2", (1, "conflict", visit, "x")) and fresh.audit() == []


def test_a_refused_line_that_was_dismissed_stays_dismissed(fresh, visit):
    """Its sender is told each time that it is refused."""
    (entry,) = put(fresh, visit.encode(), (1, "conflict", visit, "a"))
    resolve(fresh, entry, "dismissed")
    assert put(fresh, visit.encode(), (1, "conflict", visit, "a")) is None and ids(page(fresh)) == []


def test_two_daemons_replay_one_line(fresh, fresh_desk, visit):
    """One books it and the other finds it booked; whichever of them says so first, one line was received."""
    for order in (("posted", "duplicate"), ("duplicate", "posted")):
        number = fresh_number()
        fresh.post(charge(number, "a", 100))
        (entry,) = put(fresh, number.encode(), (1, "original_unknown", number, "r", "a"))
        before = fresh.books()["lines"]
        assert fresh.post(reversal(number, "r", of="a")) == ["posted"] and fresh.post(reversal(number, "r", of="a")) == ["duplicate"]
        assert [resolve(fresh, entry, outcome) for outcome in order] == ["done", "repeated"]
        after = fresh.books()["lines"]
        assert (after["received"], after["booked"] - before["booked"], after["duplicate"] - before["duplicate"]) == (before["received"], 1, 0)


def test_what_is_shown_costs_what_is_shown(fresh_desk, fresh):
    """Whatever waits beside it and whatever was resolved before; without statistics, and planned by the daemon's settings."""
    owner = fresh_desk.ledger("visitbill_owner")
    without_statistics(owner, "quarantine", "quarantine_waiting", "quarantine_resolution", "quarantine_message")
    fresh.ask(DAEMON)
    put(fresh, b"first", *[(n, "currency", "W-1", f"l{n}") for n in range(1, 11)], feed="lab")
    asked = [{"feed": "lab"}, {"reason": "currency"}, {"feed": "lab", "reason": "currency", "order": "newest"}, {"visit": "W-1"}, {"state": "all", "feed": "lab"},
             {"state": "all", "reason": "currency"}, {"order": "newest"}, {}, {"state": "all", "order": "newest"}, {"text": "l1", "feed": "lab"}]

    def costs():
        owner.ask("vacuum quarantine_waiting")
        return [rows_read(fresh, lambda: page(fresh, 5, **filter))[0] for filter in asked]

    early = costs()
    for n in range(10):
        put(fresh, f"night {n}".encode(), *[(line, "price_unknown", f"V{line}", f"l{line}") for line in range(1, 201)])
        fresh.ask("select * from quarantine_dismiss('{\"reason\": \"price_unknown\"}', 100, 0, 'x', 'why', '{*}')")
    late = costs()
    for filter, first, last in zip(asked, early, late):
        assert last <= first + 30, (filter, early, late)
