"""A40: two visits become one. Lines move once, and what is sent under the old number later finds them; the numbers of the two visits' lines
may be the same, and the survivor's own lines stay what they are."""

import pytest

from .ledger import at_once, charge, fresh_number, reversal


@pytest.fixture(name="pair")
def _pair(ledger):
    """A loser with lines "1" and "2", a survivor with a line "1"."""
    loser, survivor = fresh_number("L"), fresh_number("S")
    ledger.post(charge(loser, "1", 100), charge(loser, "2", 20), charge(survivor, "1", 900))
    return loser, survivor


def amounts(ledger, visit):
    return sorted(line.amount for line in ledger.lines(visit))


def test_the_lines_move_and_the_history_stays(ledger, pair):
    loser, survivor = pair
    assert ledger.merge(loser, into=survivor) == "done"
    old, new = ledger.visit(loser), ledger.visit(survivor)
    assert (old.state, old.merged_into, old.total, new.state, new.total) == ("merged", new.visit_id, 0, "open", 1020)
    assert amounts(ledger, survivor) == [20, 100, 900]
    assert amounts(ledger, loser) == [-100, -20, 20, 100]
    assert [line.feed for line in ledger.lines(loser)] == ["clinic", "clinic", "visitbill", "visitbill"]
    assert [line.line_no for line in ledger.lines(survivor)] == [1, 2, 3]


def test_everything_of_a_line_moves_with_it(ledger, visit):
    loser = fresh_number("L")
    ledger.post(charge(loser, "1", 1234, quantity="2.5", category=3, code="X1", name="胸片", department="放射科", message="M77"))
    ledger.open(visit)
    ledger.merge(loser, into=visit)
    old, new = ledger.lines(loser)[0], ledger.lines(visit)[0]
    for same in ("feed_id", "kind", "category", "self_pay_e4", "quantity_e4", "unit_price_e6", "amount", "charged_at", "digest", "message_id",
                 "item_code", "item_name", "department"):
        assert getattr(old, same) == getattr(new, same)


def test_resends_under_the_old_number_are_known(ledger, pair):
    loser, survivor = pair
    ledger.merge(loser, into=survivor)
    assert ledger.post(charge(loser, "1", 100), charge(loser, "2", 20), charge(survivor, "1", 900)) == ["duplicate"] * 3
    assert ledger.post(charge(loser, "1", 101), charge(loser, "2", 900), charge(survivor, "1", 100)) == ["conflict"] * 3
    assert ledger.visit(survivor).total == 1020


def test_resends_under_the_new_number_are_known(ledger, pair):
    """A sender that has learned of the merge repeats its lines under the survivor's number."""
    loser, survivor = pair
    ledger.merge(loser, into=survivor)
    assert ledger.post(charge(survivor, "2", 20)) == ["duplicate"]
    assert ledger.visit(survivor).total == 1020


def test_the_survivors_own_ids_stay_free(ledger, pair):
    """(feed, survivor, "2") was never sent: that the loser had a "2" does not make it a conflict."""
    loser, survivor = pair
    ledger.merge(loser, into=survivor)
    assert ledger.post(charge(survivor, "2", 7)) == ["posted"]
    assert ledger.post(charge(survivor, "2", 7), charge(loser, "2", 20)) == ["duplicate"] * 2
    assert ledger.visit(survivor).total == 1027


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("amount", [5, 6])
def test_new_lines_under_both_numbers_are_two_lines(ledger, pair, together, amount):
    loser, survivor = pair
    ledger.merge(loser, into=survivor)
    lines = [charge(loser, "9", 5), charge(survivor, "9", amount, department="other")]
    outcomes = ledger.post(*lines) if together else ledger.post(lines[0]) + ledger.post(lines[1])
    assert outcomes == ["posted"] * 2
    assert ledger.visit(survivor).total == 1020 + 5 + amount
    assert ledger.post(*lines) == ["duplicate"] * 2


def test_reversals_under_the_old_number_take_the_old_line(ledger, pair):
    loser, survivor = pair
    ledger.merge(loser, into=survivor)
    assert ledger.post(reversal(loser, "r1", of="1"), reversal(loser, "r2", of="2")) == ["posted"] * 2
    assert amounts(ledger, survivor) == [-100, -20, 20, 100, 900]
    assert ledger.post(reversal(survivor, "s1", of="1")) == ["posted"]
    assert ledger.visit(survivor).total == 0
    assert ledger.post(reversal(loser, "r3", of="1"), reversal(survivor, "r4", of="1")) == ["reversal_exceeds"] * 2
    assert ledger.post(reversal(loser, "r1", of="1"), reversal(survivor, "s1", of="1")) == ["duplicate"] * 2


def test_reversals_under_the_new_number_find_a_moved_line(ledger, pair):
    loser, survivor = pair
    ledger.merge(loser, into=survivor)
    assert ledger.post(reversal(survivor, "r", of="2")) == ["posted"]
    assert ledger.visit(survivor).total == 1000


def test_reversals_move_with_their_originals(ledger, pair):
    loser, survivor = pair
    ledger.post(reversal(loser, "r", of="1", amount=60), reversal(survivor, "r", of="1", amount=1))
    ledger.merge(loser, into=survivor)
    assert ledger.visit(survivor).total == 1020 - 61
    assert ledger.post(reversal(loser, "r2", of="1", amount=41)) == ["reversal_exceeds"]
    assert ledger.post(reversal(loser, "r3", of="1", amount=40)) == ["posted"]
    assert ledger.post(reversal(survivor, "r2", of="1", amount=900)) == ["reversal_exceeds"]
    assert ledger.post(reversal(survivor, "r3", of="1", amount=899)) == ["posted"]


def test_a_reversal_that_waited_finds_its_original_after_the_merge(ledger, pair):
    loser, survivor = pair
    assert ledger.post(reversal(loser, "r", of="3")) == ["held"]
    ledger.merge(loser, into=survivor)
    assert ledger.post(charge(loser, "3", 5)) == ["posted"]
    assert ledger.post(reversal(loser, "r", of="3")) == ["posted"]
    assert ledger.visit(survivor).total == 1020


def test_a_chain_of_merges(ledger, pair):
    loser, survivor = pair
    last = fresh_number("Z")
    ledger.post(charge(last, "1", 5), charge(last, "2", 6))
    ledger.merge(loser, into=survivor)
    ledger.post(charge(loser, "3", 30))
    assert ledger.merge(survivor, into=last) == "done"
    assert ledger.visit(last).total == 100 + 20 + 30 + 900 + 5 + 6
    everything = [charge(loser, "1", 100), charge(loser, "2", 20), charge(loser, "3", 30), charge(survivor, "1", 900), charge(last, "1", 5),
                  charge(last, "2", 6)]
    assert ledger.post(*everything) == ["duplicate"] * 6
    back = [reversal(line.visit, f"r{line.id}", of=line.id) for line in everything]
    assert ledger.post(*back) == ["posted"] * 6
    assert ledger.visit(last).total == 0
    assert ledger.post(*back) == ["duplicate"] * 6


def test_merged_the_other_way_round_along_a_chain(ledger, pair):
    """The second merge names a survivor that is itself merged: the lines go where it went."""
    loser, survivor = pair
    last = fresh_number("Z")
    ledger.open(last)
    ledger.merge(survivor, into=last)
    assert ledger.merge(loser, into=survivor) == "done"
    assert (ledger.visit(last).total, ledger.visit(loser).merged_into) == (1020, ledger.visit(last).visit_id)


def test_merged_twice_and_into_itself(ledger, pair):
    loser, survivor = pair
    assert ledger.merge(loser, into=loser) == "merge_self"
    assert ledger.merge(loser, into=survivor) == "done"
    assert ledger.merge(loser, into=survivor) == "repeated"
    assert ledger.merge(survivor, into=loser) in ("repeated", "merge_self")
    assert ledger.visit(survivor).total == 1020 and ledger.visit(survivor).state == "open"


def test_merged_into_a_second_one_leaves_the_first_alone(ledger, pair):
    loser, survivor = pair
    other = fresh_number("Z")
    ledger.open(other)
    ledger.merge(loser, into=survivor)
    assert ledger.merge(loser, into=other) not in ("done", "repeated")
    assert (ledger.visit(survivor).state, ledger.visit(survivor).total, ledger.visit(other).total) == ("open", 1020, 0)


def test_unknown_visits_are_opened_so_that_their_lines_find_the_way(ledger):
    loser, survivor = fresh_number("L"), fresh_number("S")
    assert ledger.merge(loser, into=survivor) == "done"
    assert ledger.post(charge(loser, "1", 5)) == ["posted"]
    assert (ledger.visit(survivor).total, ledger.visit(loser).total) == (5, 0)


@pytest.mark.parametrize("how", ["cash", "elsewhere", "live"])
def test_a_loser_with_money_on_it_is_refused(ledger, pair, how):
    loser, survivor = pair
    if how == "elsewhere":
        ledger.pay_elsewhere(loser, "p", 5)
    else:
        (bill,) = ledger.close_now(loser)
        ledger.pay(bill, 5, channel="cash" if how == "cash" else "wechatpay")
    before = ledger.visit(loser)
    assert ledger.merge(loser, into=survivor) == "visit_paid"
    assert ledger.visit(loser) == before and ledger.visit(survivor).total == 900


def test_cancelled_visits_are_not_merged(ledger, pair):
    loser, _ = pair
    gone = fresh_number("G")
    ledger.open(gone)
    ledger.cancel(gone)
    assert ledger.merge(loser, into=gone) == "visit_cancelled"
    assert ledger.merge(gone, into=loser) == "visit_cancelled"


def test_a_billed_loser_is_voided_and_its_lines_wait_for_the_survivors_bill(ledger, pair):
    loser, survivor = pair
    ledger.close_now(loser)
    ledger.merge(loser, into=survivor)
    assert [(bill.kind, bill.total, bill.state) for bill in ledger.bills(loser)] == [
        ("bill", 120, "void"), ("void_note", -120, "void"), ("bill", 0, "settled")]
    assert [bill.total for bill in ledger.close_now(survivor)] == [1020]
    assert ledger.post(charge(loser, "late", 3)) == ["late"]
    ledger.close()
    assert [bill.total for bill in ledger.bills(survivor)] == [1020, 3]
    assert len(ledger.bills(loser)) == 3


def test_a_billed_survivor_gets_a_supplement(ledger, pair):
    loser, survivor = pair
    (bill,) = ledger.close_now(survivor)
    ledger.pay_cash(bill)
    ledger.merge(loser, into=survivor)
    ledger.close()
    assert [(bill.kind, bill.total, bill.state) for bill in ledger.bills(survivor)] == [("bill", 900, "settled"), ("supplement", 120, "open")]
    assert ledger.visit(survivor).state == "billed"


def test_events_and_money_of_the_old_number(ledger, pair):
    loser, survivor = pair
    ledger.merge(loser, into=survivor)
    assert [ledger.discharge(loser), ledger.cancel(loser), ledger.reopen(loser), ledger.open(loser)] == ["repeated"] * 4
    assert ledger.visit(survivor).state == "open"
    assert ledger.pay_elsewhere(loser, "p", 5) == "posted"
    assert ledger.credit_of(survivor) == 5
    assert ledger.pay_elsewhere(loser, "p", 5) == "duplicate"


def test_patients_are_merged_without_visits(ledger, visit):
    old, new = fresh_number("P"), fresh_number("P")
    ledger.open(visit, patient_no=old)
    assert ledger.event("merge", None, patient_no=new, other_patient=old) == "done"
    assert ledger.visit(visit).patient_no == new


def test_merging_meets_posting(ledger, desk):
    """Lines sent under both numbers while the visits become one: each is booked once, and all are on the survivor."""
    one, two = desk.ledger(), desk.ledger()
    for _ in range(20):
        loser, survivor = fresh_number("L"), fresh_number("S")
        ledger.post(charge(loser, "0", 1), charge(survivor, "0", 1))
        lines = [charge(visit, f"l{visit}{n}", 10) for n in range(4) for visit in (loser, survivor)]
        outcomes, merged = at_once(lambda: sum([list(one.post(*lines[at:at + 2])) for at in range(0, 8, 2)], []), lambda: two.merge(loser, into=survivor))
        assert merged == "done" and set(outcomes) == {"posted"}
        assert (ledger.visit(survivor).total, ledger.visit(loser).total) == (82, 0)
        assert set(ledger.post(*lines)) == {"duplicate"}


def test_two_merges_in_opposite_directions_at_once(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(20):
        left, right = fresh_number("L"), fresh_number("R")
        ledger.post(charge(left, "1", 1), charge(right, "1", 2))
        outcomes = at_once(lambda: one.merge(left, into=right), lambda: two.merge(right, into=left))
        assert sorted(outcomes)[0] == "done" and sorted(outcomes)[1] in ("repeated", "merge_other", "merge_self")
        assert sorted([ledger.visit(left).total, ledger.visit(right).total]) == [0, 3]
        assert sorted([ledger.visit(left).state, ledger.visit(right).state]) == ["merged", "open"]
