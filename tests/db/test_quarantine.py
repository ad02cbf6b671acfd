"""Quarantine: what could not be booked is kept with its bytes, once, waits, and is resolved once; held reversals are found when their
original has come; and the tallies are what the rows are."""

import json

import pytest

from .ledger import at_once, charge, fresh_number, reversal

PUT = "select quarantine_put(%s, 'json', 'peer', %s, %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s)"


def put(ledger, bytes, *rows, feed="clinic", lines=None, facility="H01"):
    """rows: (ordinal, reason, visit_no, source_line, awaits)"""
    rows = [(ordinal, reason, "detail", "/lines", facility, *(rest + [None] * (3 - len(rest)))) for ordinal, reason, *rest in rows]
    lines = sum(row[0] > 0 for row in rows) if lines is None else lines
    return ledger.value(PUT, ledger.feeds.get(feed), bytes, *map(list, zip(*rows)), lines)


def resolve(ledger, id, outcome="done"):
    """Not as booked: the audit looks for the line."""
    return ledger.value("select quarantine_resolve(%s, %s, 'test', '{*}')", id, outcome)


def ready(ledger, limit=1000):
    return ledger.rows("select * from quarantine_ready(%s)", limit)


def page(ledger, limit=10_000, after=0, scope="{*}", **filter):
    outcome, doc = ledger.row("select * from quarantine_list(%s, %s, %s, %s)", json.dumps(filter), limit, after, scope)
    assert outcome == "done"
    return json.loads(doc)


def listed(ledger, state, limit=10_000, **filter):
    return page(ledger, limit, state=state, **filter)["quarantine"]


def tally(ledger, feed="clinic"):
    return ledger.row("select coalesce(sum(booked), 0)::int, coalesce(sum(duplicate), 0)::int, coalesce(sum(parked), 0)::int"
                      " from intake_tally where feed_id = %s", ledger.feeds[feed])


def grown(ledger, before, feed="clinic"):
    return tuple(now - then for now, then in zip(tally(ledger, feed), before))


def test_a_message_keeps_its_bytes_and_a_row_for_each_thing_wrong(ledger, visit):
    bytes = b'\x00\xff{"visit": "' + visit.encode() + b'"}'
    before = tally(ledger)
    ids = put(ledger, bytes, (1, "conflict", visit, "a"), (3, "price_unknown", visit, "c"))
    assert len(ids) == 2 and grown(ledger, before) == (0, 0, 2)
    for id, ordinal in zip(ids, (1, 3)):
        (row,) = ledger.rows("select * from quarantine_bytes(%s, '{*}')", id)
        assert (row.quarantine_id, row.feed_id, row.content_type, row.ordinal) == (id, ledger.feeds["clinic"], "json", ordinal)
        assert row.bytes.tobytes() == bytes


def test_a_message_resent_is_kept_once_and_counts_as_duplicate(ledger, visit):
    rows = (1, "conflict", visit, "a"), (2, "conflict", visit, "b")
    assert len(put(ledger, visit.encode(), *rows)) == 2
    before = tally(ledger)
    assert put(ledger, visit.encode(), *rows) is None
    assert grown(ledger, before) == (0, 2, 0)
    assert len(put(ledger, visit.encode(), *rows, (3, "conflict", visit, "c"))) == 1
    assert grown(ledger, before) == (0, 4, 1)
    assert ledger.value("select count(*) from quarantine_kept where bytes = %s", visit.encode()) == 1


def test_the_same_bytes_of_two_feeds_or_operations_are_two_things(ledger, visit):
    row = (1, "conflict", visit, "a")
    assert len(put(ledger, visit.encode(), row)) == 1
    assert len(put(ledger, visit.encode(), row, feed="lab")) == 1
    asked = PUT.removesuffix(")") + ", %s)"
    for operation in ("DELETE /v1/visits/H01/V1/discharge", "DELETE /v1/visits/H01/V2/discharge"):
        found = ledger.value(asked, ledger.feeds["clinic"], visit.encode(), [0], ["visit_unknown"], ["d"], ["/"], ["H01"], ["V1"], [None], [None], 0, operation)
        assert len(found) == 1
        assert ledger.rows("select * from quarantine_bytes(%s, '{*}')", found[0])[0].operation == operation


def test_the_same_message_from_two_connections_at_once(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(25):
        bytes = fresh_number().encode()
        found = at_once(lambda: put(one, bytes, (1, "conflict")), lambda: put(two, bytes, (1, "conflict")))
        assert sorted(ids is None for ids in found) == [False, True]


def test_a_message_as_a_whole_and_one_of_a_stranger_are_no_lines(ledger, visit):
    before = tally(ledger)
    (whole,) = put(ledger, b"whole" + visit.encode(), (0, "not_hl7"))
    (stranger,) = put(ledger, b"stranger" + visit.encode(), (0, "feed_unknown"), feed=None)
    assert grown(ledger, before) == (0, 0, 0)
    assert {row["id"]: row["feed"] for row in listed(ledger, "waiting") if row["id"] in (whole, stranger)} == {whole: "clinic", stranger: None}


def test_it_is_resolved_once(ledger, desk, visit):
    (id,) = put(ledger, visit.encode(), (1, "price_unknown", visit, "a"))
    assert [row["state"] for row in listed(ledger, "waiting") if row["id"] == id] == ["waiting"]
    one, two = desk.ledger(), desk.ledger()
    assert sorted(at_once(lambda: resolve(one, id), lambda: resolve(two, id, "superseded"))) == ["done", "repeated"]
    assert resolve(ledger, id) == "repeated"
    assert resolve(ledger, 10**9) == "quarantine_unknown"
    assert not [row for row in listed(ledger, "waiting") if row["id"] == id]
    (row,) = [row for row in listed(ledger, "resolved") if row["id"] == id]
    assert row["outcome"] in ("done", "superseded") and row in listed(ledger, "all")
    assert (row["visit_no"], row["source_line"], row["reason"], row["location"]) == (visit, "a", "price_unknown", "/lines")


def supersede(ledger, id, reason):
    return ledger.value("select quarantine_supersede(%s, %s, 'detail', '/lines', 'test', '{*}')", id, reason)


def waiting_for(ledger, visit):
    return [row["reason"] for row in listed(ledger, "waiting") if row["visit_no"] == visit]


def test_a_replay_that_finds_another_reason_supersedes_the_first(ledger, visit):
    (id,) = put(ledger, visit.encode(), (1, "original_unknown", visit, "r", "a"))
    assert supersede(ledger, id, "original_unknown") == "repeated"
    assert supersede(ledger, id, "reversal_exceeds") == "done"
    assert supersede(ledger, id, "reversal_exceeds") == "repeated"
    assert waiting_for(ledger, visit) == ["reversal_exceeds"]
    ledger.post(charge(visit, "a", 1))
    assert id not in [row.quarantine_id for row in ready(ledger)]


def test_also_when_a_resend_found_that_reason_before(fresh, visit):
    (id,) = put(fresh, visit.encode(), (1, "original_unknown", visit, "r", "a"))
    put(fresh, visit.encode(), (1, "reversal_exceeds", visit, "r"))
    supersede(fresh, id, "reversal_exceeds")
    assert waiting_for(fresh, visit) == ["reversal_exceeds"]


def test_what_is_resolved_is_not_superseded(ledger, visit):
    (id,) = put(ledger, visit.encode(), (1, "original_unknown", visit, "r", "a"))
    resolve(ledger, id)
    assert supersede(ledger, id, "reversal_exceeds") == "repeated"
    assert waiting_for(ledger, visit) == []


def test_a_line_that_was_parked_and_superseded_was_received_once(fresh, visit):
    (id,) = put(fresh, visit.encode(), (1, "original_unknown", visit, "r", "a"))
    supersede(fresh, id, "reversal_exceeds")
    lines = fresh.books()["lines"]
    assert (lines["received"], lines["waiting"], lines["quarantined"]) == (1, 1, {"reversal_exceeds": 1})


def test_lists_are_cut_at_the_limit_oldest_first(ledger, visit):
    ids = put(ledger, visit.encode(), *[(n, "conflict", visit) for n in range(1, 6)])
    everything = [row["id"] for row in listed(ledger, "all")]
    assert everything == sorted(everything) and set(ids) <= set(everything)
    assert [row["id"] for row in listed(ledger, "all", 3)] == everything[:3]


def test_a_held_reversal_is_ready_when_its_original_has_come(ledger, visit):
    assert ledger.post(reversal(visit, "r", of="a")) == ["held"]
    (id,) = put(ledger, visit.encode(), (2, "original_unknown", visit, "r", "a"))
    assert id not in [row.quarantine_id for row in ready(ledger)]
    ledger.post(charge(visit, "a", 100, feed="pharmacy"))        # another feed's line is another line
    assert id not in [row.quarantine_id for row in ready(ledger)]
    ledger.post(charge(visit, "a", 100))
    (row,) = [row for row in ready(ledger) if row.quarantine_id == id]
    assert (row.feed_id, row.bytes.tobytes(), row.ordinal, row.content_type) == (ledger.feeds["clinic"], visit.encode(), 2, "json")
    resolve(ledger, id)
    assert id not in [row.quarantine_id for row in ready(ledger)]


@pytest.mark.parametrize("original", ["before", "after"])
def test_also_when_its_visit_has_been_merged(ledger, visit, original):
    survivor = fresh_number("S")
    (id,) = put(ledger, visit.encode(), (1, "original_unknown", visit, "r", "a"))
    ledger.post(charge(survivor, "a", 5))
    if original == "before":
        ledger.post(charge(visit, "a", 100))
    ledger.merge(visit, into=survivor)
    if original == "after":
        assert id not in [row.quarantine_id for row in ready(ledger)]
        ledger.post(charge(visit, "a", 100))
    assert id in [row.quarantine_id for row in ready(ledger)]
    resolve(ledger, id)


def test_those_ready_come_oldest_first_up_to_the_limit(ledger):
    visits = [fresh_number() for _ in range(4)]
    ids = [put(ledger, visit.encode(), (1, "original_unknown", visit, "r", "a"))[0] for visit in visits]
    ledger.post(*[charge(visit, "a", 100) for visit in reversed(visits)])
    assert [row.quarantine_id for row in ready(ledger, 3)] == ids[:3]
    for id in ids:
        resolve(ledger, id)
    assert ready(ledger) == []


def test_the_tallies_are_the_rows(ledger):
    """Whatever the tests before this one did."""
    booked, parked = ledger.row("select sum(booked)::int, sum(parked)::int from intake_tally")
    assert booked == ledger.value("select (select count(*) filter (where feed_id > 0) - count(*) filter (where feed_id = 0) from charge)"
                                  " + (select count(*) from capture where channel = 'elsewhere')")
    assert parked == ledger.value("select count(*) from quarantine where ordinal > 0 and feed_id is not null")


def test_a_batch_counts_its_outcomes_by_feed(ledger, visit):
    before = {feed: tally(ledger, feed) for feed in ("clinic", "pharmacy", "ward")}
    ledger.post(charge(visit, "a", 1), charge(visit, "b", 1, feed="pharmacy"))
    ledger.post(charge(visit, "a", 1), charge(visit, "a", 2), charge(visit, "c", None), charge(visit, "d", 1), charge(visit, "b", 1, feed="pharmacy"),
                reversal(visit, "r", of="d"), reversal(visit, "r2", of="d"), reversal(visit, "x", of="unknown"))
    ledger.close_now(visit)
    ledger.post(charge(visit, "late", 1, feed="ward"))
    ledger.pay_elsewhere(visit, "p", 1, feed="ward")
    ledger.pay_elsewhere(visit, "p", 1, feed="ward")
    assert {feed: grown(ledger, then, feed) for feed, then in before.items()} == {"clinic": (3, 1, 0), "pharmacy": (1, 1, 0), "ward": (2, 1, 0)}


@pytest.mark.parametrize("state", ["waiting", "all"])
def test_pages(fresh, state):
    """A page after the other has each entry once, oldest first; the last one says that it is the last."""
    ids = [id for n in range(5) for id in put(fresh, f"m{n}".encode(), (1, "held", "V", "l", "o"), (2, "conflict", "V", "k"))]
    resolve(fresh, ids[0])
    found, after = [], 0
    while after is not None:
        shown = page(fresh, 4, after, state=state)
        assert len(shown["quarantine"]) <= 4
        found += [entry["id"] for entry in shown["quarantine"]]
        after = shown["next"]
    assert found == (ids if state == "all" else ids[1:])
