"""Invariant 6: the journal balances, entry by entry, because a row that doesn't cannot exist; and each thing that moves money has its entry."""

import psycopg2
import pytest

from .ledger import charge, reversal


@pytest.fixture(name="owner")
def _owner(desk):
    """In a transaction that is taken back."""
    owner = desk.ledger("visitbill_owner")
    owner.connection.autocommit = False
    yield owner
    owner.connection.rollback()


def enter(ledger, accounts, amounts):
    ledger.ask("insert into journal (kind, visit_id, accounts, amounts) values ('bill', 1, %s::text[], %s::bigint[])", accounts, amounts)


def entries(ledger, visit):
    return [(row.kind, dict(zip(row.accounts, row.amounts))) for row in ledger.rows(
        "select j.* from journal j join visit using (visit_id) where visit_no = %s order by entry_id", visit)]


@pytest.mark.parametrize("accounts, amounts", [
    (["receivable", "revenue:01"], [100, -99]), (["receivable"], [100]), (["receivable", "revenue:01"], [100]), (["receivable"], [0]),
    (["receivable", "revenue:01", "credit"], [100, -100, None]), (["receivable", None], [100, -100]), ([], []),
    (["receivable", "revenue:01"], [None, None]),
])
def test_an_entry_that_does_not_balance_cannot_exist(owner, accounts, amounts):
    with pytest.raises(psycopg2.IntegrityError):
        enter(owner, accounts, amounts)


def test_one_that_does_can(owner):
    enter(owner, ["receivable", "revenue:01", "revenue:02"], [100, -40, -60])


def test_an_account_that_does_not_exist_is_found(owner):
    enter(owner, ["receivable", "revenue:99"], [100, -100])
    assert ("every journal entry balances and names real accounts", 1) in [row[:2] for row in owner.audit()]


def test_a_bill_debits_the_patient_and_credits_revenue_by_category(ledger, visit):
    ledger.post(charge(visit, "a", 100, category=1), charge(visit, "b", 20, category=9), charge(visit, "c", 5, category=3), reversal(visit, "d", of="c"))
    ledger.close_now(visit)
    assert entries(ledger, visit) == [("bill", {"receivable": 120, "revenue:01": -100, "revenue:09": -20})]


def test_a_void_note_is_the_opposite(ledger, visit):
    ledger.post(charge(visit, "a", 100, category=1))
    ledger.close_now(visit)
    ledger.reopen(visit)
    assert entries(ledger, visit) == [("bill", {"receivable": 100, "revenue:01": -100}), ("void", {"receivable": -100, "revenue:01": 100})]


def test_a_bill_of_nothing_has_no_entry_and_one_that_moves_between_categories_has(ledger, visit):
    ledger.post(charge(visit, "a", 100, category=1), reversal(visit, "b", of="a"))
    ledger.close_now(visit)
    assert entries(ledger, visit) == []
    ledger.post(charge(visit, "c", 50, category=2), charge(visit, "d", 50, category=3), reversal(visit, "e", of="d"))
    ledger.close()
    ledger.post(reversal(visit, "f", of="c"), charge(visit, "g", 50, category=4))
    ledger.close()
    assert entries(ledger, visit)[1:] == [("bill", {"receivable": 0, "revenue:02": 50, "revenue:04": -50})]


def test_a_capture_debits_its_channel(ledger, visit):
    ledger.post(charge(visit, "a", 100, category=1))
    (bill,) = ledger.close_now(visit)
    ledger.pay_cash(bill, 40)
    late = ledger.pay(bill, 60)
    ledger.end(late)
    ledger.pay_cash(bill, 50)
    ledger.capture(late.order, 60)
    assert entries(ledger, visit)[1:] == [
        ("capture", {"cash": 40, "receivable": -40}), ("capture", {"cash": 50, "receivable": -50}),
        ("capture", {"wechatpay": 60, "receivable": -10, "credit": -50})]


def test_credit_that_is_used_moves_to_the_bill(ledger, visit):
    ledger.pay_elsewhere(visit, "p", 70)
    ledger.post(charge(visit, "a", 100, category=1))
    ledger.close_now(visit)
    assert entries(ledger, visit) == [
        ("capture", {"elsewhere": 70, "credit": -70}), ("bill", {"receivable": 100, "revenue:01": -100}), ("apply", {"credit": 70, "receivable": -70})]


def test_a_credit_note_used_for_a_bill_moves_no_money(ledger, visit):
    ledger.post(charge(visit, "a", 100, category=1), charge(visit, "b", 50, category=2))
    ledger.close_now(visit)
    ledger.post(reversal(visit, "c", of="b"))
    ledger.close()
    assert [kind for kind, _ in entries(ledger, visit)] == ["bill", "bill"]
    assert ledger.bills(visit)[0].credited == 50
