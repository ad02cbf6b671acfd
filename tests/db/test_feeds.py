"""What is kept of a feed so that it can be shown: messages by type and outcome, gaps in its sequence numbers, lines that came again in another message, codes and
prices that are not the list's. Counts of several daemons add up."""

import json

import pytest

from .ledger import ALL, at_once, charge, fresh_number, reversal


@pytest.fixture(name="beside")
def _beside(fresh_desk):
    """Another daemon's connection to it."""
    return fresh_desk.ledger()


def told(ledger, *messages, numbers=(), warned=()):
    """(feed, type, outcome, how many, last id); numbers: (feed, first, until[, unknown]); warned: (feed, unlisted, price_differs)."""
    feed, kinds, outcomes, counts, last = [list(column) for column in zip(*messages)] if messages else ([], [], [], [], [])
    of, first, until, unknown = [list(column) for column in zip(*[(*row, 0)[:4] for row in numbers])] if numbers else ([], [], [], [])
    ledger.ask("select feed_counts(%s::int[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[])",
               [ledger.feeds[name] for name in feed], kinds, outcomes, counts, [0] * len(feed), last, [ledger.feeds[name] for name, _, _ in warned],
               [n for _, n, _ in warned], [n for _, _, n in warned], [ledger.feeds[name] for name in of], first, until, unknown)


def shown(ledger, feed, days=7, scope=ALL):
    rows = ledger.ask("select outcome, doc from feed_doc(%s, %s, %s)", feed, days, scope)
    assert not rows or rows[0][0] == "done"
    return json.loads(rows[0][1]) if rows else "not_found"


def by_type(doc):
    return {(row["type"], row["outcome"]): (row["messages"], row["last_message"]) for row in doc["messages"]["by_type"]}


def lines(doc):
    return {name: doc["lines"][name] for name in ("booked", "duplicate", "unlisted", "price_differs", "again_same", "again_other")}


def grown(ledger, feed, work):
    """By how much the counts of lines grow."""
    before = lines(shown(ledger, feed))
    work()
    return {name: n - before[name] for name, n in lines(shown(ledger, feed)).items() if n != before[name]}


def test_messages_by_type_and_outcome_add_up(fresh, beside):
    told(fresh, ("clinic", "ADT^A01", "accepted", 2, "A2"), ("clinic", "DFT^P03", "visit_missing", 1, "D1"), ("ward", "ORU", "ignored", 4, "O4"))
    told(beside, ("clinic", "ADT^A01", "accepted", 3, "A5"), ("clinic", "ORU", "ignored", 4, None), ("clinic", "DFT^P03", "unavailable", 2, "D3"))
    doc = shown(fresh, "clinic")
    assert by_type(doc) == {("ADT^A01", "accepted"): (5, "A5"), ("DFT^P03", "visit_missing"): (1, "D1"), ("ORU", "ignored"): (4, None), ("DFT^P03", "unavailable"): (2, "D3")}
    assert {name: n for name, n in doc["messages"].items() if name != "by_type"} == {
        "received": 12, "accepted": 5, "ignored": 4, "unavailable": 2, "refused": 1, "without_visit_no": 1, "without_visit_no_percent": 12.5}
    assert by_type(shown(fresh, "ward")) == {("ORU", "ignored"): (4, "O4")}
    assert shown(fresh, "pharmacy")["messages"]["without_visit_no_percent"] is None and shown(fresh, "pharmacy")["sequence"] is None


def test_days_that_are_not_shown_any_more_are_deleted(fresh, fresh_desk):
    told(fresh, ("clinic", "ADT^A01", "accepted", 2, "A"), ("ward", "ADT^A01", "accepted", 2, "A"))
    owner = fresh_desk.ledger("visitbill_owner")
    owner.ask("update feed_message set day = day - 7 where feed_id = %s", fresh.feeds["clinic"])
    assert by_type(shown(fresh, "clinic", 7)) == {} and by_type(shown(fresh, "clinic", 8)) == {("ADT^A01", "accepted"): (2, "A")}
    owner.ask("update feed_message set day = day - 24 where feed_id = %s", fresh.feeds["clinic"])
    told(fresh, ("ward", "ADT^A01", "accepted", 1, "A"))
    assert fresh.value("select count(*) from feed_message") == 2, "a feed's old days go when it begins a new one"
    told(fresh, ("clinic", "ADT^A01", "accepted", 1, "A"))
    assert fresh.ask("select messages from feed_message where feed_id = %s", fresh.feeds["clinic"]) == [(1,)]


@pytest.mark.parametrize("came, last, gaps, missing, restarts, newest", [
    ([(1, 5), (6, 9)], 9, 0, 0, 0, []),
    ([(7, 7), (7, 7), (8, 8)], 8, 0, 0, 0, []),                                         # a resend
    ([(1, 5), (9, 9), (12, 14)], 14, 2, 5, 0, [(9, 12, 2), (5, 9, 3)]),
    ([(1, 5), (9, 9), (7, 7), (7, 7)], 9, 1, 2, 0, [(5, 9, 2)]),                         # late, and late again
    ([(1, 5), (9, 9), (6, 6), (7, 8), (10, 10)], 10, 0, 0, 0, []),                       # all there in the end
    ([(1, 5), (9, 9), (6, 11)], 11, 0, 0, 0, []),
    ([(4, 4), (6, 6), (8, 8), (5, 7)], 8, 0, 0, 0, []),                                  # two gaps by one
    ([(20900, 20905), (2, 3), (5, 5)], 5, 1, 1, 1, [(3, 5, 1)]),                         # counts anew
    ([(10900, 10900), (10905, 10905), (905, 905), (10901, 10904)], 10905, 0, 0, 0, []), # so far back they came late
    ([(3, 3), (200, 200), (1, 2), (4, 199)], 200, 0, 0, 0, []),                          # the first numbers, by two daemons
    ([(20005, 20005), (20009, 20009), (2, 2), (20006, 20008)], 20008, 2, 20006, 1, [(2, 20006, 20003), (20005, 20009, 3)]),   # an older counting's gap stays
    ([(900, 905), (0, 0), (1, 1)], 1, 0, 0, 1, []),
    ([(30, 30), (0, 3)], 3, 0, 0, 1, []),
    ([(999999999999998, 999999999999999), (1, 1)], 1, 0, 0, 1, []),
])
def test_sequence_numbers(fresh, beside, came, last, gaps, missing, restarts, newest):
    for place, (first, until) in enumerate(came):
        told((fresh, beside)[place % 2], numbers=[("clinic", first, until)])
    seen = shown(fresh, "clinic")["sequence"]
    assert (seen["last"], seen["gaps"], seen["missing"], seen["restarts"]) == (last, gaps, missing, restarts)
    assert [(gap["before"], gap["after"], gap["missing"]) for gap in seen["newest"]] == newest


def test_a_feed_that_counts_from_one_again(fresh, fresh_desk):
    told(fresh, numbers=[("clinic", 800, 805)])
    fresh_desk.ledger("visitbill_owner").ask("update feed_sequence set anew_at = anew_at - interval '2 min'")
    told(fresh, numbers=[("clinic", 806, 807), ("clinic", 1, 2)])
    told(fresh, numbers=[("clinic", 1, 2), ("clinic", 4, 4)])      # nobody knew whether the first call was committed
    seen = shown(fresh, "clinic")["sequence"]
    assert (seen["last"], seen["gaps"], seen["missing"], seen["restarts"]) == (4, 1, 1, 1)


def test_two_daemons_share_a_busy_feed(fresh, beside):
    """A thousand numbers a second, by turns; each daemon tells its own once a second, and some twice."""
    lost = {1500, 1501, 7777}
    for second in range(12):
        for place, ledger in enumerate((fresh, beside)):
            mine = [("clinic", n, n) for n in range(1 + second * 1000 + place, 1001 + second * 1000, 2) if n not in lost]
            for _ in range(1 + second % 2):
                told(ledger, numbers=mine)
    seen = shown(fresh, "clinic")["sequence"]
    assert (seen["last"], seen["gaps"], seen["missing"], seen["restarts"], seen["unknown"]) == (12000, 2, 3, 0, 0)
    assert {(gap["missing"]) for gap in seen["newest"]} == {2, 1}
    told(beside, numbers=[("clinic", 7770, 7780), ("clinic", 12001, 12400, 150)])
    seen = shown(fresh, "clinic")["sequence"]
    assert (seen["last"], seen["gaps"], seen["missing"], seen["restarts"], seen["unknown"]) == (12400, 1, 2, 0, 150)


def test_all_gaps_are_counted_and_the_newest_twenty_kept(fresh):
    told(fresh, numbers=[("clinic", 2 * n, 2 * n) for n in range(1, 31)] + [("ward", 1, 1), ("ward", 3, 3)])
    seen = shown(fresh, "clinic")["sequence"]
    assert (seen["gaps"], seen["missing"], len(seen["newest"]), seen["newest"][0]["after"]) == (29, 29, 20, 60)
    assert shown(fresh, "ward")["sequence"]["gaps"] == 1


def test_a_line_that_comes_again_in_another_message_is_counted_apart(ledger, visit):
    ledger.post(charge(visit, "1", 100, feed="pharmacy", message="M1"), charge(visit, "2", 7, feed="pharmacy", message="M1"))

    def again():
        assert ledger.post(charge(visit, "1", 100, feed="pharmacy", message="M1")) == ["duplicate"]                         # a resend of the same
        assert ledger.post(charge(visit, "1", 100, feed="pharmacy", message="M2")) == ["duplicate"]
        assert ledger.post(charge(visit, "2", 8, feed="pharmacy", message="M3"), charge(visit, "1", 100, feed="pharmacy", message="M3")) == ["conflict", "duplicate"]

    assert grown(ledger, "pharmacy", again) == {"duplicate": 3, "again_same": 2, "again_other": 1}
    kept = {(row["source_line"], row["message"], row["first_message"], row["same_content"])
            for row in shown(ledger, "pharmacy")["lines"]["again"] if row["visit_no"] == visit}
    assert kept == {("1", "M2", "M1", True), ("2", "M3", "M1", False), ("1", "M3", "M1", True)}


def test_also_in_one_batch_for_reversals_and_for_visits_that_were_merged(ledger, visit):
    other = fresh_number()
    ledger.post(charge(other, "o", 50, feed="pharmacy", message="N1"))
    ledger.merge(other, visit)

    def again():
        assert ledger.post(charge(visit, "1", 100, feed="pharmacy", message="M1"), charge(visit, "1", 100, feed="pharmacy", message="M2")) == ["posted", "duplicate"]
        assert ledger.post(reversal(visit, "2", of="1", feed="pharmacy", message="M3")) == ["posted"]
        assert ledger.post(reversal(visit, "2", of="1", feed="pharmacy", message="M4")) == ["duplicate"]
        assert ledger.post(charge(other, "o", 50, feed="pharmacy", message="N2")) == ["duplicate"]

    assert grown(ledger, "pharmacy", again) == {"booked": 2, "duplicate": 3, "again_same": 3}
    assert [row["visit_no"] for row in shown(ledger, "pharmacy")["lines"]["again"] if row["message"] == "N2"] == [visit]


def test_the_newest_ten_are_kept_and_nobody_waits_for_their_places(desk, visit):
    one, two = desk.ledger(), desk.ledger()
    other = fresh_number()
    one.post(*[charge(number, str(n), 1, feed="ward", message="M1") for number in (visit, other) for n in range(30)])
    at_once(*[lambda ledger=ledger, number=number: [ledger.post(charge(number, str(n), 1, feed="ward", message=f"R{n}")) for n in range(30)]
              for ledger, number in ((one, visit), (two, other))])
    rows = shown(one, "ward")["lines"]["again"]
    assert len(rows) == 10 and all(int(row["message"][1:]) > 15 for row in rows)
    one.ask("begin")        # a lane's batch that is not committed yet holds three places
    one.post(*[charge(visit, str(n), 1, feed="ward", message="held") for n in range(5)])
    two.ask("set lock_timeout = '500ms'")
    assert two.post(charge(other, "1", 1, feed="ward", message="passed")) == ["duplicate"]
    one.ask("commit")
    messages = [row["message"] for row in shown(one, "ward")["lines"]["again"]]
    assert messages.count("held") == 3 and messages.count("passed") == 1


@pytest.mark.parametrize("by_arrays", [False, True])
def test_prices_of_the_list_are_told(fresh, by_arrays):
    """The daemon counts lines that differ by them."""
    fresh.by_arrays = by_arrays
    fresh.value("select items_import('H01', %s)", json.dumps([{"code": "A", "valid_from": "2020-01-01", "name": "a", "category": 9, "self_pay_e4": 0, "unit_price_e6": 5000000}]))
    visit = fresh_number()
    fresh.open(visit)
    seen = [fresh.post(charge(visit, str(n), 1, code=code)).prices for n, code in enumerate(("A", "B", None, "A"))]
    assert seen == ([[5000000], [None], None, [5000000]] if by_arrays else [5000000, None, None, 5000000])
    assert fresh.post(charge(visit, "0", 1, code="A"), charge(visit, "9", 1, code="B")).prices == [5000000, None], "where they are judged one by one, too"


def test_warned_lines_add_up(fresh, beside):
    fresh.post(*[charge(fresh_number(), str(n), 1, feed="ward") for n in range(8)])
    told(fresh, warned=[("ward", 1, 0), ("clinic", 3, 4)])
    told(beside, warned=[("ward", 1, 3)])
    doc = shown(fresh, "ward")["lines"]
    assert (doc["booked"], doc["unlisted"], doc["unlisted_percent"], doc["price_differs"], doc["price_differs_percent"]) == (8, 2, 25, 3, 37.5)
    doc = shown(fresh, "clinic")["lines"]
    assert (doc["booked"], doc["unlisted"], doc["unlisted_percent"]) == (0, 3, None)


def test_the_watermark_and_who_may_see(ledger):
    ledger.mark(lab=ledger.value("select now() - interval '90 s'"))
    doc = shown(ledger, "lab")
    assert (doc["facility"], doc["waits"], doc["active"]) == ("W01", True, True) and 85 <= doc["lag_seconds"] <= 120 and doc["silent_seconds"] <= 30
    assert shown(ledger, "lab", scope=["W01"])["feed"] == "lab"
    for feed, scope in (("lab", ["H01"]), ("lab", []), ("lab", None), ("none", ALL), ("visitbill", ALL)):
        assert shown(ledger, feed, scope=scope) == "not_found"
