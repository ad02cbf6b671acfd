"""Closing against everything else at the same time: a line is before a bill or after it, never in between, and a bill is issued once."""

import threading

from .ledger import at_once, charge, fresh_number, reversal

ROUNDS = 12


def check(ledger, visit, posted):
    """All bills together are all lines, each line on one bill, and the outcome of each line says on which side it fell."""
    lines, bills = ledger.lines(visit), ledger.bills(visit)
    assert {line.source_line for line in lines} == set(posted)
    first = bills[0]
    for line in lines:
        on = [bill for bill in bills if bill.first_line <= line.line_no <= bill.last_line]
        assert len(on) == 1
        assert posted[line.source_line] == ("posted" if on[0].bill_id == first.bill_id else "late")
    assert sum(bill.total for bill in bills) == ledger.visit(visit).total == sum(line.amount for line in lines)


def test_posting_meets_closing(ledger, desk):
    one, two, closer = desk.ledger(), desk.ledger(), desk.ledger()
    for _ in range(ROUNDS):
        visits = [fresh_number() for _ in range(4)]
        posted = {visit: {} for visit in visits}
        for visit in visits:
            ledger.post(charge(visit, "first", 1))
            posted[visit]["first"] = "posted"

        def post(own, name):
            for n in range(8):
                lines = [charge(visit, f"{name}{n}", 10) for visit in (visits if name == "o" else reversed(visits))]
                for line, outcome in zip(lines, own.post(*lines)):
                    posted[line.visit][line.id] = outcome

        def close():
            for visit in visits:
                closer.discharge(visit)
                closer.close(2)
            for _ in range(3):
                closer.close(2)

        at_once(lambda: post(one, "o"), lambda: post(two, "t"), close)
        for _ in range(2):
            ledger.close()
        for visit in visits:
            check(ledger, visit, posted[visit])


def test_reversals_meet_closing(ledger, desk):
    one, closer = desk.ledger(), desk.ledger()
    for _ in range(ROUNDS):
        visit = fresh_number()
        ledger.post(*[charge(visit, f"a{n}", 10) for n in range(6)])
        posted = {f"a{n}": "posted" for n in range(6)}

        def reverse():
            for n in range(6):
                (posted[f"r{n}"],) = one.post(reversal(visit, f"r{n}", of=f"a{n}"))

        at_once(reverse, lambda: [closer.discharge(visit), closer.close(), closer.close()])
        ledger.close()
        check(ledger, visit, posted)
        assert ledger.visit(visit).total == 0 and ledger.visit(visit).state == "settled"


def test_two_closers_issue_one_bill(ledger, desk):
    one, two, three = desk.ledger(), desk.ledger(), desk.ledger()
    for _ in range(4):
        visits = [fresh_number() for _ in range(30)]
        ledger.post(*[charge(visit, "a", 5) for visit in visits])
        for visit in visits:
            ledger.discharge(visit)
        results = at_once(*[lambda own=own: [own.close(7) for _ in range(8)] for own in (one, two, three)])
        assert sum(bills for result in results for _, bills, _ in result) == 30
        assert sum(failed for result in results for _, _, failed in result) == 0
        assert all(len(ledger.bills(visit)) == 1 for visit in visits)


def test_a_visit_that_somebody_holds_is_left_for_the_next_turn(ledger, desk, visit):
    other, poster = fresh_number(), desk.ledger()
    ledger.post(charge(visit, "a", 1), charge(other, "a", 1))
    ledger.close()
    for one in (visit, other):
        ledger.discharge(one)
    poster.connection.autocommit = False
    poster.post(charge(visit, "b", 1))
    assert ledger.close() == (1, 1, 0)          # at once: it does not wait for the poster
    assert (ledger.bills(visit), len(ledger.bills(other))) == ([], 1)
    poster.connection.commit()
    assert ledger.close() == (1, 1, 0)
    assert [bill.total for bill in ledger.bills(visit)] == [2]


def test_discharge_and_its_taking_back_meet_closing(ledger, desk):
    """Whatever the order, the visit ends as its last event says, and its bills add up to its lines or to nothing."""
    one, closer = desk.ledger(), desk.ledger()
    for _ in range(ROUNDS):
        visit, done = fresh_number(), threading.Event()
        ledger.post(charge(visit, "a", 10))

        def back_and_forth():
            for _ in range(4):
                one.discharge(visit)
                one.reopen(visit)
            done.set()

        def close():
            while not done.is_set():
                closer.close()

        at_once(back_and_forth, close)
        assert ledger.visit(visit).state == "open"
        assert sum(bill.total for bill in ledger.bills(visit)) == 0
        assert all(bill.state == "void" for bill in ledger.bills(visit))
        assert sum(bill.total for bill in ledger.close_now(visit)) == 10
