"""Invariant 2: a line books once, whatever is resent, in whatever order, from however many connections; the same id with other content
is a conflict and changes nothing."""

import random
from datetime import timedelta

import pytest

from .ledger import NOON, adjustment, at_once, charge, fresh_number, reversal

BOOKED = ("posted", "late")


def rows_of(ledger, visit):
    return [(line.source_line, line.amount) for line in ledger.lines(visit)]


def test_a_resent_line_is_a_duplicate(ledger, visit):
    assert ledger.post(charge(visit, "a", 100)) == ["posted"]
    again = ledger.post(charge(visit, "a", 100))
    assert again == ["duplicate"]
    assert again.totals == {visit: 100}
    assert rows_of(ledger, visit) == [("a", 100)]


def test_the_same_id_with_other_content_is_a_conflict_and_changes_nothing(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    assert ledger.post(charge(visit, "a", 101)) == ["conflict"]
    assert ledger.post(charge(visit, "a", 100, name="布洛芬")) == ["conflict"]
    assert ledger.post(adjustment(visit, "a", 100)) == ["conflict"]
    assert rows_of(ledger, visit) == [("a", 100)]
    assert ledger.visit(visit).total == 100


def test_resends_and_conflicts_inside_one_batch(ledger, visit):
    outcomes = ledger.post(charge(visit, "a", 100), charge(visit, "a", 100), charge(visit, "a", 7), charge(visit, "b", 5),
                           charge(visit, "b", 5), charge(visit, "a", 100))
    assert outcomes == ["posted", "duplicate", "conflict", "posted", "duplicate", "duplicate"]
    assert outcomes.totals == {visit: 105}
    assert rows_of(ledger, visit) == [("a", 100), ("b", 5)]


def test_a_batch_that_is_partly_known_books_the_rest(ledger, visit):
    other = fresh_number()
    ledger.post(charge(visit, "b", 2), charge(other, "x", 9))
    outcomes = ledger.post(charge(visit, "a", 1), charge(visit, "b", 2), charge(visit, "c", 3), charge(other, "x", 9), charge(other, "y", 1))
    assert outcomes == ["posted", "duplicate", "posted", "duplicate", "posted"]
    assert [(line.line_no, line.source_line) for line in ledger.lines(visit)] == [(1, "b"), (2, "a"), (3, "c")]
    assert outcomes.totals == {visit: 6, other: 10}


def test_a_batch_of_everything(ledger, visit):
    """New, known, unknown, closed and cancelled visits, charges and reversals together: each line gets what it would get alone, numbers have no gap, and
    the tally counts what was booked."""
    closed, cancelled, unknown, only_back = (fresh_number() for _ in range(4))
    ledger.post(charge(visit, "a", 100), charge(closed, "a", 100), charge(only_back, "a", 100))
    ledger.close_now(closed)
    ledger.open(cancelled)
    ledger.cancel(cancelled)
    before = ledger.row("select sum(booked), sum(duplicate) from intake_tally")
    for again in (False, True):     # the second time all of it is known, but what could not be booked
        outcomes = ledger.post(charge(visit, "b", 1), reversal(visit, "c", of="a", amount=10), charge(closed, "b", 2), charge(unknown, "a", 3), charge(cancelled, "a", 4),
                               reversal(only_back, "b", of="a"), charge(visit, "d", 5), reversal(unknown, "b", of="none"), reversal(closed, "c", of="a", amount=1))
        if not again:
            assert outcomes == ["posted", "posted", "late", "posted", "visit_cancelled", "posted", "posted", "held", "late"]
        else:
            assert outcomes == ["duplicate"] * 4 + ["visit_cancelled"] + ["duplicate"] * 2 + ["held", "duplicate"]
        assert outcomes.totals == {visit: 96, closed: 101, unknown: 3, cancelled: 0, only_back: 0}
        assert (outcomes.states[closed], outcomes.states[unknown]) == ("billed", "open")
    after = ledger.row("select sum(booked), sum(duplicate) from intake_tally")
    assert (after[0] - before[0], after[1] - before[1]) == (7, 7)
    assert [(line.line_no, line.source_line, line.amount) for line in ledger.lines(visit)] == [(1, "a", 100), (2, "b", 1), (3, "d", 5), (4, "c", -10)]
    assert ledger.visit(unknown).provisional


def test_the_id_is_the_feeds_and_the_visits_own(ledger, visit):
    other = fresh_number()
    assert ledger.post(charge(visit, "1", 100), charge(visit, "1", 100, feed="pharmacy"), charge(other, "1", 100)) == ["posted"] * 3


def test_ids_are_compared_byte_for_byte(ledger, visit):
    assert ledger.post(charge(visit, "a", 1), charge(visit, "A", 1), charge(visit, "a ", 1), charge(visit, "ａ", 1)) == ["posted"] * 4


def test_a_resend_after_the_bill_is_a_duplicate_and_not_late(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    ledger.close_now(visit)
    assert ledger.post(charge(visit, "a", 100)) == ["duplicate"]
    assert ledger.visit(visit).late_since is None


def test_a_resent_reversal_is_a_duplicate_also_in_one_batch(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    back = reversal(visit, "r", of="a", amount=40)
    assert ledger.post(back, back, reversal(visit, "r", of="a", amount=41)) == ["posted", "duplicate", "conflict"]
    assert ledger.post(back) == ["duplicate"]
    assert ledger.visit(visit).total == 60


def test_a_line_that_was_refused_does_not_stand_in_the_way_of_a_good_one(ledger, visit):
    no_price = charge(visit, "a", None)
    assert ledger.post(no_price, charge(visit, "a", 50)) == ["price_unknown", "posted"]
    other = fresh_number()
    assert ledger.post(charge(other, "a", None), charge(other, "a", None)) == ["price_unknown"] * 2


@pytest.mark.parametrize("seed", range(5))
def test_any_order_any_number_of_times(ledger, seed):
    rng = random.Random(seed)
    visits = [fresh_number() for _ in range(4)]
    lines = [charge(rng.choice(visits), f"l{n}", rng.randrange(1000), feed=rng.choice(["clinic", "ward"])) for n in range(40)]
    sent = [line for line in lines for _ in range(rng.randint(1, 4))]
    rng.shuffle(sent)
    booked = []
    while sent:
        batch = [sent.pop() for _ in range(min(len(sent), rng.randint(1, 12)))]
        booked += [line for line, outcome in zip(batch, ledger.post(*batch)) if outcome in BOOKED]
    assert sorted(id(line) for line in booked) == sorted(id(line) for line in lines)
    for visit in visits:
        assert sorted(rows_of(ledger, visit)) == sorted((line.id, line.amount) for line in lines if line.visit == visit)
        assert ledger.visit(visit).total == sum(line.amount for line in lines if line.visit == visit)
        assert [line.line_no for line in ledger.lines(visit)] == list(range(1, len(ledger.lines(visit)) + 1))


def test_two_connections_send_the_same_lines_at_the_same_time(ledger, desk):
    """Different batches and orders, visits that neither knew: no deadlock, and each line is booked by exactly one."""
    one, two, rng = desk.ledger(), desk.ledger(), random.Random(1)
    for _ in range(40):
        visits = [fresh_number() for _ in range(3)]
        lines = [charge(visit, f"l{n}", 10 + n) for visit in visits for n in range(4)]
        shuffled = rng.sample(lines, len(lines))
        first, second = at_once(lambda: one.post(*lines), lambda: two.post(*shuffled[:6]) + two.post(*shuffled[6:]))
        by_one = {id(line) for line, outcome in zip(lines, first) if outcome == "posted"}
        by_two = {id(line) for line, outcome in zip(shuffled, second) if outcome == "posted"}
        assert by_one | by_two == {id(line) for line in lines} and not by_one & by_two
        assert set(first) | set(second) <= {"posted", "duplicate"}
        for visit in visits:
            assert ledger.visit(visit).total == 10 + 11 + 12 + 13


def test_two_connections_send_one_id_with_two_contents(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(30):
        visit = fresh_number()
        outcomes = at_once(lambda: one.post(charge(visit, "a", 1)), lambda: two.post(charge(visit, "a", 2)))
        assert sorted(outcomes) == [["conflict"], ["posted"]]
        assert rows_of(ledger, visit) == [("a", 1 if outcomes[0] == ["posted"] else 2)]


def test_an_unknown_visit_is_opened_once_however_many_bring_its_first_line(ledger, desk):
    ledgers = [desk.ledger() for _ in range(4)]
    for _ in range(10):
        visit = fresh_number()
        outcomes = at_once(*[lambda own=own, n=n: own.post(charge(visit, f"l{n}", 1)) for n, own in enumerate(ledgers[:3])],
                           lambda: ledgers[3].open(visit))
        assert outcomes[:3] == [["posted"]] * 3
        assert ledger.visit(visit).line_count == 3 and not ledger.visit(visit).provisional


def test_batches_over_the_same_visits_in_opposite_order_do_not_deadlock(desk):
    one, two = desk.ledger(), desk.ledger()
    visits = [fresh_number() for _ in range(20)]
    for round in range(30):
        outcomes = at_once(lambda: one.post(*[charge(visit, f"o{round}", 1) for visit in visits]),
                           lambda: two.post(*[charge(visit, f"t{round}", 1) for visit in reversed(visits)]))
        assert outcomes == [["posted"] * 20] * 2
    assert {one.visit(visit).total for visit in visits} == {60}


def test_a_persons_change_meets_posting(desk):
    """A31 changes all open visits of a person, whose lines come in at the same time."""
    one, two, three, patient = desk.ledger(), desk.ledger(), desk.ledger(), fresh_number("P")
    visits = [fresh_number() for _ in range(20)]
    for visit in visits:
        one.open(visit, patient_no=patient)
    rng = random.Random(3)
    at_once(lambda: [one.event("update", None, patient_no=patient, patient_name=f"n{n}") for n in range(60)],
            lambda: [two.post(*[charge(visit, f"all{n}", 1) for visit in visits]) for n in range(60)],
            lambda: [three.post(*[charge(visit, f"some{n}", 1) for visit in rng.sample(visits, 3)]) for n in range(120)])
    assert {one.visit(visit).patient_name for visit in visits} == {"n59"}
    assert sum(one.visit(visit).total for visit in visits) == 60 * 20 + 120 * 3


def test_money_taken_elsewhere_counts_once(ledger, desk, visit):
    assert ledger.pay_elsewhere(visit, "p", 500) == "posted"
    assert ledger.pay_elsewhere(visit, "p", 500) == "duplicate"
    assert ledger.pay_elsewhere(visit, "p", 501) == "conflict"
    assert ledger.credit_of(visit) == 500
    one, two = desk.ledger(), desk.ledger()
    for n in range(15):
        outcomes = at_once(lambda: one.pay_elsewhere(visit, f"p{n}", 1), lambda: two.pay_elsewhere(visit, f"p{n}", 1))
        assert sorted(outcomes) == ["duplicate", "posted"]
    assert ledger.credit_of(visit) == 515


def test_events_repeat_without_effect(ledger, visit):
    assert [ledger.open(visit), ledger.open(visit)] == ["done", "repeated"]
    assert [ledger.discharge(visit), ledger.discharge(visit)] == ["done", "repeated"]
    assert [ledger.reopen(visit), ledger.reopen(visit)] == ["done", "repeated"]
    assert [ledger.cancel(visit), ledger.cancel(visit)] == ["done", "repeated"]
    assert ledger.visit(visit).state == "cancelled"
    assert ledger.post(charge(visit, "a", 1)) == ["visit_cancelled"]
    assert [ledger.discharge(visit), ledger.reopen(visit)] == ["visit_cancelled"] * 2


def test_a_cancelled_visit_is_admitted_after_all(ledger, visit):
    ledger.open(visit, sent=NOON, message="A1")
    ledger.cancel(visit, sent=NOON + timedelta(seconds=1), message="A2")
    assert ledger.open(visit, sent=NOON, message="A1") == "repeated" and ledger.visit(visit).state == "cancelled", "the old one again"
    assert ledger.open(visit, sent=NOON + timedelta(seconds=2), message="A3") == "done"
    assert ledger.post(charge(visit, "a", 1)) == ["posted"]


def test_what_was_sent_earlier_changes_nothing(ledger, visit):
    """By the sender's own clock, whatever arrives first; another sender's clock says nothing of it."""
    def at(n):
        return NOON + timedelta(minutes=n)
    ledger.open(visit, sent=at(0), patient_name="新", class_="inpatient", message="1")
    ledger.event("update", visit, sent=at(-60), patient_name="旧", class_="outpatient", message="2")
    assert ledger.visit(visit).patient_name == "新" and getattr(ledger.visit(visit), "class") == "inpatient"
    ledger.event("update", visit, sent=at(-60), patient_name="别", feed="lab", message="3")
    assert ledger.visit(visit).patient_name == "别"
    assert ledger.event("update", fresh_number(), patient_name="谁") == "visit_unknown", "what changes a visit opens none"
    ledger.post(charge(visit, "a", 100))
    assert ledger.discharge(visit, sent=at(1), message="4") == "done"
    assert ledger.reopen(visit, sent=at(2), message="5") == "done"
    assert ledger.discharge(visit, sent=at(3), message="6") == "done"
    ledger.close()
    assert ledger.reopen(visit, sent=at(2), message="5") == "repeated", "the same bytes once more do not void the newer bill"
    assert ledger.discharge(visit, sent=at(3), message="6") == "repeated"
    assert ledger.visit(visit).state == "billed"
    assert ledger.reopen(visit, sent=at(4), message="7") == "done"


def test_the_order_of_arrival_is_not_the_order_of_sending(ledger, visit):
    ledger.open(visit)
    assert ledger.reopen(visit, sent=NOON + timedelta(hours=2), message="2") == "repeated"
    assert ledger.discharge(visit, sent=NOON + timedelta(hours=1), message="1") == "repeated", "taken back before it came"
    assert ledger.visit(visit).state == "open"


def test_charges_of_another_patient_are_not_booked(ledger, visit):
    ledger.open(visit, patient_no="P1")
    facility = [ledger.facilities["H01"]]

    def post(patient, line):
        arguments = (facility, [visit], [None], [patient], [None], [1], ["CG"], [line], ["clinic"])
        return ledger.value("""select outcomes from charges_post(%s::int[], %s::text[], %s::text[], %s::text[], %s::text[], '{}', '{}', '{}', '{1}', '{null}', '{1}', %s::int[],
            %s::text[], %s::text[], array[md5(%s)::uuid], array[now()], '{null}', '{null}', '{100}', '{9}', '{x}', '{null}', '{null}', '{null}', '{null}', '{null}', null,
            '{m}')""", *arguments[:4], arguments[4], [ledger.feeds["clinic"]], ["CG"], [line], line)
    assert post("P1", "a") is None and post(None, "b") is None
    assert post("P2", "c") == ["patient_mismatch"]
    assert ledger.visit(visit).total == 200
    ledger.event("merge", None, patient_no="P1", other_patient="P2")
    assert post("P2", "c") == ["posted"], "they are one"
    ledger.event("merge", None, patient_no="P9", other_patient="P1")
    assert post("P2", "d") == ["posted"] and post("P1", "e") == ["posted"] and post("P9", "f") is None and post("P3", "g") == ["patient_mismatch"]
    assert ledger.event("move", visit, patient_no="P3") == "done" and ledger.event("move", visit, patient_no="P3") == "repeated"
    assert post("P3", "g") is None and post("P9", "h") == ["patient_mismatch"]


def test_ids_of_money_taken_elsewhere_do_not_meet(ledger):
    """Put together with a stroke, visit A's line B/1 and visit A/B's line 1 would be one."""
    one = fresh_number()
    assert ledger.pay_elsewhere(one, "B/1", 500) == "posted"
    assert ledger.pay_elsewhere(one + "/B", "1", 700) == "posted"
    assert ledger.pay_elsewhere(one + "/B", "1", 700) == "duplicate"


def test_nothing_to_post_is_done_at_once(desk):
    own = desk.ledger()
    own.ask("set statement_timeout = '2s'")
    assert own.post() == []
