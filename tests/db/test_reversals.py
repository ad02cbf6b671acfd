"""Invariant 4: a reversal never takes back more than its original has, in quantity and in amount, also when two arrive at once."""

from decimal import Decimal

import pytest

from .ledger import adjustment, at_once, charge, fresh_number, reversal


def left(ledger, visit, id):
    """What a line still has: (fen, quantity)."""
    lines = ledger.lines(visit)
    (original,) = [line for line in lines if line.source_line == id]
    back = [line for line in lines if line.reverses_line == id and line.feed_id == original.feed_id]
    return (original.amount + sum(line.amount for line in back),
            Decimal(original.quantity_e4 - sum(line.quantity_e4 for line in back)).scaleb(-4))


def test_a_reversal_that_says_nothing_takes_all_that_is_left(ledger, visit):
    ledger.post(charge(visit, "a", 1000, quantity="4"))
    assert ledger.post(reversal(visit, "r1", of="a", quantity="1")) == ["posted"]
    assert left(ledger, visit, "a") == (750, 3)
    assert ledger.post(reversal(visit, "r2", of="a")) == ["posted"]
    assert left(ledger, visit, "a") == (0, 0)
    assert ledger.visit(visit).total == 0


def test_it_is_a_line_like_its_original_with_the_sign_turned(ledger, visit):
    ledger.post(charge(visit, "a", 1000, quantity="4", price="2.50", category=3, code="X1", name="胸片"))
    assert ledger.post(reversal(visit, "r", of="a", quantity="1", department="放射科")) == ["posted"]
    original, back = ledger.lines(visit)
    assert (back.kind, back.amount, back.quantity_e4, back.reverses_line) == ("CD", -250, 10000, "a")
    for same in ("category", "item_code", "item_name", "unit_price_e6", "self_pay_e4", "feed_id"):
        assert getattr(back, same) == getattr(original, same)
    assert back.department == "放射科"


def test_the_sign_that_is_sent_does_not_matter(ledger, visit):
    ledger.post(charge(visit, "a", 1000, quantity="4"))
    assert ledger.post(reversal(visit, "r1", of="a", amount=-250, quantity="-1"), reversal(visit, "r2", of="a", amount=250, quantity="1"),
                       reversal(visit, "r3", of="a", amount=-100)) == ["posted"] * 3
    assert left(ledger, visit, "a")[0] == 400


@pytest.mark.parametrize("amount, quantity", [(1001, None), (1001, "1"), (None, "4.0001"), (1000, "4.0001"), (1, "5"), (None, "5")])
def test_more_than_there_was_is_refused(ledger, visit, amount, quantity):
    ledger.post(charge(visit, "a", 1000, quantity="4"))
    assert ledger.post(reversal(visit, "r", of="a", amount=amount, quantity=quantity)) == ["reversal_exceeds"]
    assert left(ledger, visit, "a") == (1000, 4)


@pytest.mark.parametrize("amount, quantity", [(401, None), (401, "1"), (None, "3"), (1, "2.5"), (400, "2.0001")])
def test_more_than_is_left_is_refused(ledger, visit, amount, quantity):
    ledger.post(charge(visit, "a", 1000, quantity="4"), reversal(visit, "r1", of="a", amount=600, quantity="2"))
    assert ledger.post(reversal(visit, "r2", of="a", amount=amount, quantity=quantity)) == ["reversal_exceeds"]
    assert left(ledger, visit, "a") == (400, 2)
    assert ledger.post(reversal(visit, "r2", of="a", amount=400, quantity="2")) == ["posted"]


def test_nothing_comes_after_the_whole(ledger, visit):
    ledger.post(charge(visit, "a", 1000, quantity="4"), reversal(visit, "r1", of="a"))
    for amount, quantity in [(None, None), (1, None), (None, "1"), (None, "0.0001"), (1, "0.0001")]:
        assert ledger.post(reversal(visit, "r2", of="a", amount=amount, quantity=quantity)) == ["reversal_exceeds"]


def test_parts_by_quantity_add_up_and_the_last_one_takes_the_rest(ledger, visit):
    ledger.post(charge(visit, "a", 1000, quantity="3"))
    for n in range(3):
        assert ledger.post(reversal(visit, f"r{n}", of="a", quantity="1")) == ["posted"]
    assert [line.amount for line in ledger.lines(visit)] == [1000, -333, -333, -334]


@pytest.mark.parametrize("amount, parts", [(2, 4), (5, 10), (1, 3), (350, 100), (7, 9)])
def test_part_reversals_are_not_refused_for_their_rounding(ledger, visit, amount, parts):
    """Half a fen up on each part must not leave the last ones without."""
    ledger.post(charge(visit, "a", amount, quantity=str(parts)))
    for n in range(parts):
        assert ledger.post(reversal(visit, f"r{n}", of="a", quantity="1")) == ["posted"]
    assert left(ledger, visit, "a") == (0, 0)


def test_the_whole_amount_in_parts_leaves_nothing_behind(ledger, visit):
    ledger.post(charge(visit, "a", 3, quantity="1"))
    for n in range(3):
        assert ledger.post(reversal(visit, f"r{n}", of="a", amount=1)) == ["posted"]
    assert left(ledger, visit, "a") == (0, 0)
    assert ledger.post(reversal(visit, "r3", of="a")) == ["reversal_exceeds"]


def test_in_one_batch_with_their_original(ledger, visit):
    outcomes = ledger.post(charge(visit, "a", 100), reversal(visit, "r1", of="a", amount=60), charge(visit, "b", 7),
                           reversal(visit, "r2", of="a", amount=60), reversal(visit, "r3", of="a", amount=40), reversal(visit, "r4", of="b"))
    assert outcomes == ["posted", "posted", "posted", "reversal_exceeds", "posted", "posted"]
    assert outcomes.totals == {visit: 0}


def test_many_visits_in_one_batch_each_with_reversals(ledger):
    visits = [fresh_number() for _ in range(20)]
    lines = []
    for n, visit in enumerate(visits):
        lines += [charge(visit, "a", 100), *[reversal(visit, f"r{part}", of="a", amount=30) for part in range(n % 6)]]
    outcomes = ledger.post(*lines)
    for n, visit in enumerate(visits):
        own = [outcome for line, outcome in zip(lines, outcomes) if line.visit == visit]
        assert own == ["posted"] * min(n % 6 + 1, 4) + ["reversal_exceeds"] * max(n % 6 - 3, 0)
        assert outcomes.totals[visit] == 100 - 30 * min(n % 6, 3)


def test_a_reversal_before_its_original_is_held_and_books_nothing(ledger, visit):
    assert ledger.post(reversal(visit, "r", of="a", amount=60)) == ["held"]
    assert ledger.lines(visit) == []
    assert ledger.post(charge(visit, "a", 100)) == ["posted"]
    assert ledger.post(reversal(visit, "r", of="a", amount=60)) == ["posted"]
    assert ledger.visit(visit).total == 40


def test_a_reversal_before_its_original_in_one_batch_is_held_or_booked(ledger, visit):
    first, second = ledger.post(reversal(visit, "r", of="a", amount=60), charge(visit, "a", 100))
    assert second == "posted" and first in ("held", "posted")
    assert ledger.visit(visit).total == (40 if first == "posted" else 100)


def test_only_the_own_line_of_the_same_visit_and_feed(ledger, visit):
    other = fresh_number()
    ledger.post(charge(visit, "a", 100))
    assert ledger.post(reversal(visit, "r", of="a", feed="pharmacy"), reversal(other, "r", of="a")) == ["held", "held"]
    assert left(ledger, visit, "a") == (100, 1)


def test_two_reversals_of_one_id_in_one_batch(ledger, visit):
    ledger.post(charge(visit, "a", 100), charge(visit, "b", 100))
    assert ledger.post(reversal(visit, "r", of="a"), reversal(visit, "r", of="b"), reversal(visit, "a", of="b"), reversal(visit, "r", of="a")) == [
        "posted", "conflict", "conflict", "duplicate"]
    assert (left(ledger, visit, "a"), left(ledger, visit, "b")) == ((0, 0), (100, 1))


def test_a_reversal_is_not_reversed(ledger, visit):
    ledger.post(charge(visit, "a", 100), reversal(visit, "r", of="a", amount=60))
    assert ledger.post(reversal(visit, "r2", of="r")) == ["reversal_of_reversal"]
    assert ledger.post(reversal(visit, "r3", of="r", amount=1)) == ["reversal_of_reversal"]
    assert left(ledger, visit, "a") == (40, Decimal("0.4"))


def test_a_reversal_does_not_take_itself_back(ledger, visit):
    assert ledger.post(reversal(visit, "r", of="r")) == ["held"]


def test_adjustments(ledger, visit):
    ledger.post(charge(visit, "a", 100), adjustment(visit, "up", 30), adjustment(visit, "down", -20))
    assert ledger.visit(visit).total == 110
    assert ledger.post(reversal(visit, "r1", of="up", amount=31)) == ["reversal_exceeds"]
    assert ledger.post(reversal(visit, "r2", of="up", amount=30)) == ["posted"]
    assert ledger.post(reversal(visit, "r3", of="down")) == ["reversal_of_reversal"]
    assert ledger.visit(visit).total == 80


def test_a_free_line_can_be_taken_back_once(ledger, visit):
    ledger.post(charge(visit, "a", 0, quantity="2"))
    assert ledger.post(reversal(visit, "r1", of="a")) == ["posted"]
    assert ledger.post(reversal(visit, "r2", of="a")) == ["reversal_exceeds"]
    assert left(ledger, visit, "a") == (0, 0)


def test_two_that_take_the_whole_at_once(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(30):
        visit = fresh_number()
        ledger.post(charge(visit, "a", 100))
        outcomes = at_once(lambda: one.post(reversal(visit, "r1", of="a")), lambda: two.post(reversal(visit, "r2", of="a")))
        assert sorted(outcomes) == [["posted"], ["reversal_exceeds"]]
        assert ledger.visit(visit).total == 0


def test_many_parts_at_once_never_exceed(desk, visit):
    ledgers = [desk.ledger() for _ in range(4)]
    ledgers[0].post(charge(visit, "a", 100, quantity="50"))
    outcomes = at_once(*[lambda own=own, n=n: sum([own.post(reversal(visit, f"r{n}-{part}", of="a", amount=6, quantity="3"))
                                                   for part in range(8)], []) for n, own in enumerate(ledgers)])
    assert sorted(sum(outcomes, [])) == ["posted"] * 16 + ["reversal_exceeds"] * 16
    assert left(ledgers[0], visit, "a") == (4, 2)


def test_a_reversal_of_a_billed_line_is_late_and_becomes_a_credit_note(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    ledger.close_now(visit)
    assert ledger.post(reversal(visit, "r", of="a", amount=30)) == ["late"]
    ledger.close()
    assert [(bill.kind, bill.total) for bill in ledger.bills(visit)] == [("bill", 100), ("credit_note", -30)]
