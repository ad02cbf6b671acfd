"""A line's amount: as sent, else quantity × price rounded half up once on the line; the price list by day; what is kept of it; limits."""

import json
from datetime import datetime, timedelta

import pytest

from .ledger import CHINA, NOON, adjustment, charge, fresh_number, reversal

LARGEST = 9_999_999_999_999_999


def only(ledger, visit):
    (line,) = ledger.lines(visit)
    return line


@pytest.mark.parametrize("quantity, price, amount", [
    ("1", "12.34", 1234), ("3", "0.333333", 100), ("3", "0.335", 101), ("1", "0.005", 1), ("1", "0.004999", 0), ("0.5", "0.01", 1),
    ("0.4999", "0.01", 0), ("2.5", "0.01", 3), ("1.5", "0.01", 2), ("0.0001", "50", 1), ("0.0001", "49.999999", 0), ("7", "1.285714", 900),
    (None, "12.345", 1235), ("0", "12", 0), ("1", "0", 0), ("999999.9999", "0.000001", 100), ("10000000", "9999999.999999", 9_999_999_999_999_000),
])
def test_rounding_is_half_up_once_per_line(ledger, visit, quantity, price, amount):
    assert ledger.post(charge(visit, "a", quantity=quantity, price=price)) == ["posted"]
    line = only(ledger, visit)
    assert (line.amount, line.quantity_e4, line.unit_price_e6) == (amount, int(float(quantity or 1) * 10000 + 0.5), int(float(price) * 1e6 + 0.5))


def test_half_is_away_from_zero_also_below_it(ledger, visit):
    ledger.post(charge(visit, "c", 1), adjustment(visit, "a", None, quantity="-1", price="0.005"), adjustment(visit, "b", None, quantity="-1", price="0.004"))
    assert [line.amount for line in ledger.lines(visit)] == [1, -1, 0]


def test_an_adjustment_does_not_take_the_total_below_zero(ledger, visit):
    assert ledger.post(charge(visit, "c", 100), adjustment(visit, "a", -100)) == ["posted"] * 2
    assert ledger.post(adjustment(visit, "b", -1)) == ["total_negative"]
    assert ledger.post(charge(visit, "d", 10), adjustment(visit, "b", -10), adjustment(visit, "e", -1)) == ["posted", "posted", "total_negative"]
    assert ledger.visit(visit).total == 0


def test_products_are_the_same_where_a_bigint_ends_and_numeric_goes_on(desk):
    """price_amount multiplies in a bigint up to 100,000 pieces of 9,000 yuan: on both sides of that, of zero and of each half fen it rounds as numeric does."""
    edges = [0, 1, 2, 4999, 5000, 5001, 9999, 10_000, 10_001, 999_999_999, 1_000_000_000, 1_000_000_001]
    prices = [0, 1, 49, 50, 5000, 4_999_999, 5_000_000, 5_000_001, 12_345_678, 8_999_999_999, 9_000_000_000, 9_000_000_001]
    ledger = desk.ledger("visitbill_owner")
    wrong = ledger.ask("""
        select q, p, price_amount(q, p), round(q::numeric * p / 100000000) from unnest(%s::bigint[]) e, unnest(%s::bigint[]) f, unnest(array[1, -1]) s, unnest(array[1, -1]) t,
               lateral (select e * s as q, f * t as p) v
         where price_amount(q, p) is distinct from round(q::numeric * p / 100000000)::bigint""", edges, prices)
    assert wrong == []
    assert ledger.row("select price_amount(null, 1), price_amount(1, null)") == (None, None)
    amounts = [0, 1, 3, 250, 99_999, 90_000_000_000, 90_000_000_001, LARGEST]
    quantities = [-30_000, -1, 1, 2, 3, 7, 10_000, 30_001, 1_000_000_007, 99_999_999_999, 400_000_000_000_000_000, 400_000_000_000_000_001,
                  999_999_999_999_990_000]
    wrong = ledger.ask("""
        select a, q, line_price(q, null, a, null), least(abs(round(a::numeric * 100000000 / q)), 9999999999999999)
          from unnest(%s::bigint[]) e, unnest(%s::bigint[]) q, unnest(array[1, -1]) s, lateral (select e * s as a) v
         where line_price(q, null, a, null) is distinct from least(abs(round(a::numeric * 100000000 / q)), 9999999999999999)::bigint""", amounts, quantities)
    assert wrong == []


def test_each_line_is_rounded_and_the_total_is_their_sum(ledger, visit):
    outcomes = ledger.post(*[charge(visit, f"l{n}", quantity="1", price="0.005") for n in range(100)])
    assert outcomes.totals == {visit: 100}


def test_an_amount_that_is_sent_is_kept_and_the_price_follows(ledger):
    for amount, quantity, price in [(1250, None, 12_500_000), (100, "3", 333_333), (200, "3", 666_667), (5, "0", 0)]:
        visit = fresh_number()
        ledger.post(charge(visit, "a", amount, quantity=quantity))
        assert (only(ledger, visit).amount, only(ledger, visit).unit_price_e6) == (amount, price)


def list_of(ledger, *items, facility="H01"):
    usual = {"national_code": "N1", "name": "胸片", "unit": "次", "category": 3, "class": "A", "self_pay_e4": 1000}
    return ledger.value("select items_import(%s, %s)", facility, json.dumps([{**usual, **item} for item in items]))


@pytest.fixture(name="code")
def _code():
    return fresh_number("X")


def test_a_price_list_is_imported_once_and_changed_rows_count(ledger, code):
    row = {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 1_000_000}
    assert list_of(ledger, row, {**row, "valid_from": "2026-02-01"}) == 2
    assert list_of(ledger, row) == 0
    assert list_of(ledger, {**row, "unit_price_e6": 2_000_000}) == 1
    assert list_of(ledger, {**row, "unit_price_e6": 2_000_000, "unit": None}) == 1
    assert ledger.ask("select valid_from::text, unit_price_e6 from item where code = %s order by 1", code) == [
        ("2026-01-01", 2_000_000), ("2026-02-01", 1_000_000)]
    with pytest.raises(Exception, match="not configured"):
        list_of(ledger, row, facility="nowhere")


def test_what_a_line_leaves_out_comes_from_the_list(ledger, code, visit):
    list_of(ledger, {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 12_345_678})
    assert ledger.post(charge(visit, "a", quantity="2", code=code, name=None, category=None)) == ["posted"]
    line = only(ledger, visit)
    assert (line.amount, line.unit_price_e6, line.category, line.item_name, line.national_code, line.unit, getattr(line, "class"), line.self_pay_e4,
            line.warning) == (2469, 12_345_678, 3, "胸片", "N1", "次", "A", 1000, None)


def test_what_a_line_says_goes_before_the_list(ledger, code, visit):
    list_of(ledger, {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 12_000_000})
    ledger.post(charge(visit, "a", quantity="2", price="11", code=code, name="other", category=5))
    line = only(ledger, visit)
    assert (line.amount, line.category, line.item_name, line.warning, line.self_pay_e4) == (2200, 5, "other", "price_differs", 1000)


@pytest.mark.parametrize("at, amount", [
    (datetime(2025, 12, 31, 23, 59, 59, tzinfo=CHINA), None), (datetime(2026, 1, 1, 0, 0, tzinfo=CHINA), 100),
    (datetime(2026, 1, 31, 23, 59, 59, tzinfo=CHINA), 100), (datetime(2026, 2, 1, 0, 0, tzinfo=CHINA), 200), (NOON + timedelta(days=300), 200),
])
def test_the_price_is_that_of_the_day_it_was_charged(ledger, code, visit, at, amount):
    list_of(ledger, {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 1_000_000},
            {"code": code, "valid_from": "2026-02-01", "unit_price_e6": 2_000_000})
    outcome = ledger.post(charge(visit, "a", code=code, at=at))
    assert outcome == (["posted"] if amount else ["price_unknown"])
    assert [line.amount for line in ledger.lines(visit)] == ([amount] if amount else [])


def test_the_list_is_the_facilitys_own(ledger, code, visit):
    list_of(ledger, {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 1_000_000}, facility="W01")
    assert ledger.post(charge(visit, "a", code=code)) == ["price_unknown"]
    assert ledger.post(charge(visit, "a", code=code, feed="lab", facility="W01")) == ["posted"]


def test_one_batch_of_several_days_and_facilities(ledger, code, visit):
    """Each line gets the item of its day and facility, though each item is looked up once a batch."""
    list_of(ledger, {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 1_000_000}, {"code": code, "valid_from": "2026-02-01", "unit_price_e6": 2_000_000})
    list_of(ledger, {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 7_000_000, "unit": "盒"}, facility="W01")
    february, elsewhere = datetime(2026, 2, 1, 8, tzinfo=CHINA), fresh_number()
    assert ledger.post(charge(visit, "1", code=code, at=february), charge(visit, "2", code=code), charge(visit, "3", 5, code="nowhere"), charge(visit, "4", 5),
                       charge(visit, "5", code=code, at=february), charge(elsewhere, "1", code=code, feed="lab", facility="W01")) == ["posted"] * 6
    assert [(line.amount, line.unit, line.warning) for line in ledger.lines(visit)] == [
        (200, "次", None), (100, "次", None), (5, None, None), (5, None, None), (200, "次", None)]
    assert [(line.amount, line.unit) for line in ledger.lines(elsewhere)] == [(700, "盒")]


def test_a_line_keeps_the_ratio_and_price_of_its_day_when_the_list_changes(ledger, code, visit):
    row = {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 1_000_000, "self_pay_e4": 2000}
    list_of(ledger, row)
    ledger.post(charge(visit, "a", code=code))
    list_of(ledger, {**row, "unit_price_e6": 3_000_000, "self_pay_e4": 5000, "category": 7})
    ledger.post(charge(visit, "b", code=code))
    assert [(line.amount, line.self_pay_e4) for line in ledger.lines(visit)] == [(100, 2000), (300, 5000)]
    assert ledger.post(charge(visit, "a", code=code)) == ["duplicate"]


def test_care_without_a_price_is_flagged_and_care_without_a_category_is_other(ledger, visit):
    assert ledger.post(charge(visit, "a", 100, category=None, code="nowhere"), charge(visit, "b", None, code="nowhere"),
                       charge(visit, "c", 100, category=4, code="nowhere")) == ["posted", "price_unknown", "posted"]
    assert [(line.category, line.warning) for line in ledger.lines(visit)] == [(14, "unlisted"), (4, None)]


def test_a_fen_of_difference_to_the_list_is_no_warning(ledger, code):
    list_of(ledger, {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 1_000_000})
    for amount, warning in [(100, None), (101, None), (99, None), (102, "price_differs"), (98, "price_differs")]:
        visit = fresh_number()
        ledger.post(charge(visit, "a", amount, code=code))
        assert only(ledger, visit).warning == warning


def test_the_largest_amount_is_booked(ledger, visit):
    assert ledger.post(charge(visit, "a", LARGEST, quantity="1"), charge(visit, "b", LARGEST), adjustment(visit, "c", -LARGEST)) == ["posted"] * 3
    assert ledger.visit(visit).total == LARGEST
    (bill,) = ledger.close_now(visit)
    assert (bill.total, ledger.value("select yuan(%s)", bill.total)) == (LARGEST, "99999999999999.99")
    ledger.pay_cash(bill)
    assert ledger.visit(visit).state == "settled"


@pytest.mark.parametrize("line", [
    {"amount": LARGEST + 1}, {"amount": 2**63 - 1}, {"amount": 2**62, "quantity": "0.0001"}, {"quantity": "999999999999.9999", "price": "9999999999.999999"},
    {"quantity": "1000000", "price": "9999999999.99"}, {"amount": -(LARGEST + 1), "kind": "AJ"},
])
def test_beyond_it_a_line_is_refused_and_its_neighbours_are_not(ledger, visit, line):
    other = fresh_number()
    assert ledger.post(charge(visit, "a", 1), charge(visit, "big", **line), charge(other, "b", 2)) == ["posted", "amount_too_large", "posted"]


def test_so_is_a_product_with_a_listed_price(ledger, code, visit):
    list_of(ledger, {"code": code, "valid_from": "2026-01-01", "unit_price_e6": 9_999_999_999_999_999})
    assert ledger.post(charge(visit, "a", quantity="999999999999.9999", code=code), charge(visit, "b", 2)) == ["amount_too_large", "posted"]
    assert ledger.post(charge(visit, "c", 5, quantity="999999999999.9999", code=code), charge(visit, "d", 2)) == ["posted", "posted"]


def test_a_negative_charge_is_refused_and_its_neighbours_are_not(ledger, visit):
    assert ledger.post(charge(visit, "a", 1), charge(visit, "minus", -1), charge(visit, "b", quantity="-1", price="5"), charge(visit, "c", 2)) == [
        "posted", "amount_negative", "amount_negative", "posted"]


def test_the_credit_limit_flags_and_never_refuses(ledger, visit):
    other = fresh_number()
    ledger.open(visit, class_="inpatient")
    ledger.open(other, class_="outpatient")
    assert ledger.post(charge(visit, "a", 1_500_000), charge(other, "a", 500_000)) == ["posted"] * 2
    assert not ledger.over_limit(visit) and not ledger.over_limit(other)
    assert ledger.post(charge(visit, "b", 1), charge(other, "b", 1)) == ["posted"] * 2
    assert ledger.over_limit(visit) and ledger.over_limit(other)


def test_a_reversal_does_not_set_the_limits_flag(ledger, visit):
    """The class changed to one with a lower limit: the next charge would be beyond it, what takes charges back is not."""
    ledger.open(visit, class_="inpatient")
    ledger.post(charge(visit, "a", 500_001))
    ledger.event("update", visit, class_="outpatient")
    assert ledger.post(reversal(visit, "b", of="a")) == ["posted"]
    assert not ledger.over_limit(visit)
