"""Invariant 5: what a close makes. Every line is on exactly one bill; a bill is the sum of its lines, category by category; what comes
later goes to supplements and credit notes; a discharge taken back voids what nobody has begun to pay."""

import psycopg2
import pytest

from .ledger import charge, fresh_number, reversal


def kinds(bills):
    return [(bill.bill_no.split("/", 1)[1] if "/" in bill.bill_no else "", bill.kind, bill.total, bill.state) for bill in bills]


def test_a_bill_is_the_sum_of_its_lines_by_category(ledger, visit):
    ledger.post(charge(visit, "a", 100, category=9), charge(visit, "b", 20, category=1), charge(visit, "c", 3, category=9),
                charge(visit, "d", 5, category=14), reversal(visit, "e", of="c"))
    (bill,) = ledger.close_now(visit)
    expected = [0] * 14
    expected[0], expected[8], expected[13] = 20, 100, 5
    assert bill.subtotals == expected
    assert (bill.total, bill.personal_cash, bill.first_line, bill.last_line) == (125, 125, 1, 5)
    assert (bill.bill_no, bill.kind, bill.state, bill.version) == (visit, "bill", "open", 1)
    assert ledger.visit(visit).state == "billed"


def test_it_is_due_when_the_facility_says(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    (bill,) = ledger.close_now(visit)
    assert (bill.due_at - bill.issued_at).total_seconds() == 48 * 3600


def test_a_visit_without_lines_is_settled_without_a_bill(ledger, visit):
    ledger.open(visit)
    assert ledger.close_now(visit) == []
    assert ledger.visit(visit).state == "settled"


def test_lines_that_cancel_out_are_on_a_bill_of_nothing(ledger, visit):
    ledger.post(charge(visit, "a", 100), reversal(visit, "b", of="a"))
    (bill,) = ledger.close_now(visit)
    assert (bill.total, bill.state) == (0, "settled")
    assert ledger.visit(visit).state == "settled"


def test_late_lines_go_to_supplements_and_credit_notes_in_a_chain(ledger, visit):
    ledger.post(charge(visit, "a", 100), charge(visit, "b", 50))
    ledger.close_now(visit)
    for line in (charge(visit, "c", 7), reversal(visit, "d", of="b", amount=20), charge(visit, "e", 0)):
        assert ledger.post(line) == ["late"]
        assert ledger.visit(visit).late_since is not None
        ledger.close()
        assert ledger.visit(visit).late_since is None
    bills = ledger.bills(visit)
    assert [kind[:3] for kind in kinds(bills)] == [("", "bill", 150), ("A1", "supplement", 7), ("A2", "credit_note", -20), ("A3", "supplement", 0)]
    assert [(bill.first_line, bill.last_line, bill.prev_line) for bill in bills] == [(1, 2, None), (3, 3, 2), (4, 4, 3), (5, 5, 4)]


def test_a_credit_note_pays_for_open_bills(ledger, visit):
    ledger.post(charge(visit, "a", 100), charge(visit, "b", 50))
    ledger.close_now(visit)
    ledger.post(reversal(visit, "c", of="b"))
    ledger.close()
    bill, note = ledger.bills(visit)
    assert (bill.credited, bill.owed, bill.state, bill.version) == (50, 100, "open", 2)
    assert (note.credited, note.owed, note.state) == (-50, 0, "settled")
    ledger.post(reversal(visit, "d", of="a"))
    ledger.close()
    assert [bill.state for bill in ledger.bills(visit)] == ["settled"] * 3
    assert ledger.visit(visit).state == "settled"


def test_what_a_credit_note_has_left_waits_for_the_next_bill(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    (bill,) = ledger.close_now(visit)
    ledger.pay_cash(bill)
    ledger.post(reversal(visit, "b", of="a", amount=30))
    ledger.close()
    assert kinds(ledger.bills(visit))[1] == ("A1", "credit_note", -30, "open")
    ledger.post(charge(visit, "c", 50))
    ledger.close()
    assert [(bill.total, bill.credited, bill.owed) for bill in ledger.bills(visit)] == [(100, 0, 0), (-30, -30, 0), (50, 30, 20)]


def test_a_discharge_taken_back_voids_the_bill_and_the_lines_are_billed_anew(ledger, visit):
    ledger.post(charge(visit, "a", 100, category=1))
    ledger.close_now(visit)
    ledger.post(charge(visit, "b", 5))
    ledger.close()
    assert ledger.reopen(visit) == "done"
    assert ledger.visit(visit).state == "open"
    assert ledger.post(charge(visit, "c", 7)) == ["posted"]
    bills = ledger.close_now(visit)
    assert kinds(bills) == [("", "bill", 100, "void"), ("A1", "supplement", 5, "void"), ("V", "void_note", -100, "void"),
                            ("A1/V", "void_note", -5, "void"), ("R2", "bill", 112, "open")]
    first, second, note, other_note, new = bills
    assert (note.voids_bill_id, other_note.voids_bill_id) == (first.bill_id, second.bill_id)
    assert note.subtotals == [-amount for amount in first.subtotals]
    assert (new.first_line, new.last_line, new.generation) == (1, 3, 2)
    ledger.post(charge(visit, "d", 1))
    ledger.close()
    assert kinds(ledger.bills(visit))[-1] == ("A1R2", "supplement", 1, "open")


def test_taken_back_again_and_again(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    for _ in range(4):
        ledger.close_now(visit)
        ledger.reopen(visit)
    bills = ledger.close_now(visit)
    assert [bill.state for bill in bills] == ["void"] * 8 + ["open"]
    assert sum(bill.total for bill in bills) == 100
    assert len({bill.bill_no for bill in bills}) == 9


@pytest.mark.parametrize("begun", ["paid", "part", "live"])
def test_bills_that_somebody_began_to_pay_stand(ledger, visit, begun):
    ledger.post(charge(visit, "a", 100))
    (bill,) = ledger.close_now(visit)
    if begun == "live":
        ledger.pay(bill, 100)
    else:
        ledger.pay_cash(bill, 100 if begun == "paid" else 1)
    ledger.reopen(visit)
    ledger.post(charge(visit, "b", 7))
    assert ledger.visit(visit).state == "open"
    bills = ledger.close_now(visit)
    assert [(bill.kind, bill.total) for bill in bills] == [("bill", 100), ("supplement", 7)]
    assert ledger.visit(visit).state == "billed"


def test_a_reopened_visit_is_not_closed_before_its_next_discharge(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    (bill,) = ledger.close_now(visit)
    ledger.pay_cash(bill, 40)
    ledger.reopen(visit)
    ledger.post(charge(visit, "b", 7))
    ledger.close()
    ledger.pay_cash(bill, 60)
    ledger.close()
    assert len(ledger.bills(visit)) == 1 and ledger.visit(visit).state == "open"
    ledger.discharge(visit)
    assert ledger.visit(visit).state == "discharged"
    ledger.close()
    assert [bill.total for bill in ledger.bills(visit)] == [100, 7]


def test_an_admission_is_cancelled_only_when_nothing_is_on_it(ledger, visit):
    ledger.post(charge(visit, "a", 100))
    assert ledger.cancel(visit) == "visit_has_charges"
    assert ledger.visit(visit).disputed and ledger.visit(visit).state == "open"
    ledger.post(reversal(visit, "b", of="a"))
    assert ledger.cancel(visit) == "done"
    assert ledger.visit(visit).state == "cancelled"
    assert [bill.total for bill in ledger.bills(visit)] == [0]
    billed, paid, empty = fresh_number(), fresh_number(), fresh_number()
    ledger.post(charge(billed, "a", 100))
    ledger.close_now(billed)
    assert ledger.cancel(billed) == "visit_closed"
    ledger.pay_elsewhere(paid, "p", 5)
    assert ledger.cancel(paid) == "visit_has_charges"
    ledger.open(empty)
    assert ledger.cancel(empty) == "done"


def test_bill_numbers_of_visits_with_slashes(ledger, visit):
    """The sender's numbers may look like ours."""
    likeness = visit + "/A1"
    ledger.post(charge(visit, "a", 100), charge(likeness, "a", 100))
    ledger.close_now(visit)
    ledger.post(charge(visit, "b", 5))
    ledger.close()
    ledger.discharge(likeness)
    ledger.close()
    assert ledger.visit(likeness).state == "billed"
    assert len({bill.bill_no for bill in ledger.bills(visit) + ledger.bills(likeness)}) == 3


def test_overdue_bills_are_flagged_until_they_are_paid(desk, ledger, visit):
    ledger.post(charge(visit, "a", 100))
    (bill,) = ledger.close_now(visit)
    ledger.value("select visits_overdue()")
    assert not ledger.visit(visit).overdue
    owner = desk.ledger("visitbill_owner")
    owner.ask("update bill_due set due_at = now() - interval '1 s' where bill_id = %s", bill.bill_id)
    assert ledger.value("select visits_overdue()") >= 1
    assert ledger.visit(visit).overdue
    ledger.pay_cash(bill)
    assert not ledger.visit(visit).overdue and ledger.visit(visit).state == "settled"


COLUMNS = ("insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, generation, first_line, last_line, prev_line, total,"
           " subtotals, personal_cash, due_at, voids_bill_id)"
           " select gen_random_uuid()::text, facility_id, visit_id, 99, gen_random_uuid()::text, {kind}, generation, {first}, {last}, {prev},"
           " {total}, {subtotals}, {share}, now(), {voids} from bill where bill_id = {bill}")


@pytest.mark.parametrize("wrong", [
    {"first": 1}, {"first": 2, "last": 5, "prev": 1}, {"first": 4, "last": 5, "prev": 3}, {"first": 3, "last": 2}, {"prev": "null"},
    {"first": "null"}, {"total": 8}, {"subtotals": "array[7]"}, {"share": 6}, {"kind": "'credit_note'"}, {"kind": "'void_note'"},
    {"voids": "bill_id"}, {"kind": "'invoice'"},
])
def test_a_bill_that_is_not_right_cannot_exist(desk, ledger, visit, wrong):
    """Not even the owner can put a line on a second bill, leave one out, or write a sum that is none."""
    ledger.post(charge(visit, "a", 100, category=1), charge(visit, "b", 50, category=1))
    (bill,) = ledger.close_now(visit)
    owner = desk.ledger("visitbill_owner")
    owner.connection.autocommit = False
    right = {"kind": "'supplement'", "first": 3, "last": 5, "prev": 2, "total": 7, "subtotals": "array[7,0,0,0,0,0,0,0,0,0,0,0,0,0]",
             "share": 7, "voids": "null", "bill": bill.bill_id}
    owner.ask(COLUMNS.format(**right))
    owner.connection.rollback()
    with pytest.raises(psycopg2.IntegrityError):
        owner.ask(COLUMNS.format(**{**right, **wrong}))
    owner.connection.rollback()


def test_documents_say_what_the_rows_say(ledger, visit):
    ledger.post(charge(visit, "a", 1234, category=9, quantity="1.5", at=ledger.value("select now()")), charge(visit, "b", 6, category=1))
    (bill,) = ledger.close_now(visit)
    outcome, doc = ledger.row("select outcome, doc::json from bill_doc(%s, true, '{*}')", bill.public_id)
    assert (outcome, doc["total"], doc["outstanding"], doc["line_count"]) == ("done", "12.40", "12.40", 2)
    assert [(part["category"], part["amount"]) for part in doc["categories"]] == [("01", "0.06"), ("09", "12.34")]
    assert [(line["source_line"], line["quantity"], line["amount"]) for line in doc["lines"]] == [("a", "1.5", "12.34"), ("b", "1", "0.06")]
    outcome, doc = ledger.row("select outcome, doc::json from visit_bills('H01', %s, array['H01'])", visit)
    assert (outcome, doc["outstanding"], [one["bill"] for one in doc["bills"]]) == ("done", "12.40", [bill.public_id])
    assert ledger.ask("select * from bill_doc(%s, true, array['W01'])", bill.public_id) == []
    assert ledger.value("select outcome from visit_doc('H01', %s, array['W01'])", visit) == "visit_unknown"
    assert ledger.value("select outcome from visit_bills('H01', %s, array['W01'])", visit) == "visit_unknown"
