"""A line alone has a statement of its own, charges_post_one: it books the same row, counts the same and says the same as charges_post does."""

import dataclasses
from datetime import timedelta

import pytest

from .ledger import NOON, adjustment, charge, fresh_number

COLUMNS = ("line_no feed kind category self_pay_e4 quantity_e4 unit_price_e6 amount charged_at digest source_line message_id item_code item_name national_code"
           " class unit department performer orderer order_no reverses_line reverses_as sent_as warning").split()
HEAD = "state class provisional total line_count billed_line patient_no absorbed".split()


@pytest.fixture
def two(desk):
    """The same hospital by two connections: one sends a line alone as the daemon does, the other as arrays."""
    alone = desk.ledger()
    return alone, dataclasses.replace(alone, by_arrays=True)


def booked(ledger, visit):
    head = ledger.visit(visit)
    rows = [[getattr(line, name) for name in COLUMNS] for line in ledger.lines(visit)]
    return ([[value.replace(visit, "") if isinstance(value, str) else value for value in row] for row in rows], [getattr(head, name) for name in HEAD], head.late_since is not None)


def tally(ledger):
    return ledger.row("select sum(booked), sum(duplicate) from intake_tally")


def same(two, line, prepare=lambda ledger, visit: None):
    """The outcome that both give."""
    seen = []
    for ledger in two:
        visit = fresh_number("ONE")
        prepare(ledger, visit)
        before = tally(ledger)
        outcomes = ledger.post(dataclasses.replace(line, visit=visit))
        after = tally(ledger)
        seen.append((list(outcomes), list(outcomes.totals.values()), list(outcomes.states.values()), [(y or 0) - (x or 0) for x, y in zip(before, after)],
                     *booked(ledger, visit)))
    assert seen[0] == seen[1]
    return seen[0][0][0]


def opened(ledger, visit):
    ledger.open(visit, patient_no="P1")


PRICED = [
    {"amount": 1200}, {"quantity": "3", "price": "0.335"}, {"quantity": "3", "amount": 100}, {"quantity": "2", "price": "5", "amount": 999}, {"price": "12.345"},
    {"amount": 0}, {"amount": 1200, "category": None}, {"amount": 1200, "name": None}, {"kind": "AJ", "amount": 5, "price": "0.05"},
]
LISTED = [
    {}, {"quantity": "2"}, {"amount": 1}, {"price": "1"}, {"category": None, "name": None}, {"kind": "AJ", "amount": 1}, {"quantity": "2", "price": "12.8", "amount": 2560},
    {"at": NOON - timedelta(days=4000)},
]


@pytest.mark.parametrize("said", PRICED, ids=str)
@pytest.mark.parametrize("code", [None, "NOT-LISTED"])
def test_a_line_that_says_what_it_costs(two, said, code):
    assert same(two, charge("", "a", code=code, department="心内科", **said), opened) == "posted"


@pytest.mark.parametrize("said", LISTED, ids=str)
def test_a_line_of_the_price_list(two, desk, said):
    desk.ledger("visitbill_owner").ask("""select items_import('H01', '[{"code": "ONE-1", "valid_from": "2020-01-01", "national_code": "XA01", "name": "阿莫西林胶囊",
        "unit": "盒", "category": 9, "class": "B", "self_pay_e4": 1000, "unit_price_e6": 12800000}]')""")
    assert same(two, charge("", "a", code="ONE-1", **said), opened) == ("price_unknown" if "at" in said else "posted")


def test_no_visit_is_opened_by_it(two):
    assert same(two, charge("", "a", 1200)) == "posted"


def discharged(ledger, visit):
    opened(ledger, visit)
    ledger.discharge(visit)


def billed(ledger, visit):
    opened(ledger, visit)
    ledger.post(charge(visit, "first", 500), charge(visit, "second", 500))
    ledger.close_now(visit)


def cancelled(ledger, visit):
    opened(ledger, visit)
    ledger.cancel(visit)


def has_it(ledger, visit):
    opened(ledger, visit)
    ledger.post(charge(visit, "a", 1200), charge(visit, "b", 100))


def absorbed(ledger, visit):
    opened(ledger, visit)
    ledger.open(visit + "-old")
    ledger.post(charge(visit + "-old", "x", 700), charge(visit + "-old", "y", 100))
    ledger.merge(visit + "-old", visit)


@pytest.mark.parametrize("prepare, line, outcome", [
    (discharged, charge("", "a", 1200), "posted"),
    (billed, charge("", "a", 1200), "late"),
    (cancelled, charge("", "a", 1200), "visit_cancelled"),
    (has_it, charge("", "a", 1200), "duplicate"),
    (has_it, charge("", "a", 1201), "conflict"),
    (has_it, charge("", "c", 1200), "posted"),
    (has_it, adjustment("", "c", -1301), "total_negative"),
    (has_it, adjustment("", "c", -1300), "posted"),
    (absorbed, charge("", "a", 1200), "posted"),
    (opened, charge("", "a", -1), "amount_negative"),
    (opened, charge("", "a", 10 ** 16), "amount_too_large"),
    (opened, charge("", "a", quantity="99999999", price="9999999999"), "amount_too_large"),
    (opened, charge("", "a"), "price_unknown"),
    (opened, adjustment("", "a", 2 ** 63 - 1), "amount_too_large"),
], ids=lambda v: v if isinstance(v, str) else getattr(v, "__name__", None))
def test_what_is_judged(two, prepare, line, outcome):
    assert same(two, line, prepare) == outcome


def test_another_patient_is_seen(two):
    """Both statements, with the patient that a line names."""
    alone = two[0]
    visit = fresh_number("ONE")
    opened(alone, visit)
    marks = "%s, %s, null, %s, null, null, null, %s, 'CG', %s, md5(%s)::uuid, now(), null, null, 100, 9::smallint, 'x', null, null, null, null, null, 'm'"
    for patient, outcome in (("P1", ["posted"]), (None, ["posted"]), ("P2", ["patient_mismatch"])):
        outcomes = alone.value(f"select outcomes from charges_post_one({marks})", alone.facilities["H01"], visit, patient, alone.feeds["clinic"], f"a{patient}", f"a{patient}")
        assert (outcomes or ["posted"]) == outcome
    assert alone.visit(visit).total == 200
