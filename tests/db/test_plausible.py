"""Limits of a visit and of a day of it: what goes further waits for a person, its neighbours are booked, and no total stops being a number."""

import dataclasses
from datetime import timedelta

import pytest

from .ledger import NOON, adjustment, charge, fresh_number, reversal

TOMORROW = NOON + timedelta(days=1)


@pytest.fixture(params=["alone", "arrays"], name="either")
def _either(request, desk):
    """Both statements that book a line."""
    return dataclasses.replace(desk.ledger(), by_arrays=request.param == "arrays")


def at(facility):
    feed = {"P01": "ivf", "P02": "spa", "H01": "clinic"}[facility]
    return lambda visit, id, amount, **more: charge(visit, id, amount, facility=facility, feed=feed, **more)


ivf, spa = at("P01"), at("P02")


def total(ledger, visit, facility):
    return ledger.visit(visit, facility).total


def test_a_visit_takes_its_limit_and_no_more(either, visit):
    assert either.post(spa(visit, "a", 49_000)) == ["posted"]
    over = either.post(spa(visit, "b", 1_001))
    assert (over, over.sums, total(either, visit, "P02")) == (["implausible_visit"], [50_001], 49_000)
    assert either.post(spa(visit, "c", 1_000)) == ["posted"]
    assert either.post(spa(visit, "d", 1)).sums == [50_001]
    assert total(either, visit, "P02") == 50_000
    assert either.audit() == []


def test_a_day_takes_its_limit_and_no_more(either, visit):
    assert either.post(ivf(visit, "a", 60_000)) == ["posted"]
    over = either.post(ivf(visit, "b", 1))
    assert (over, over.sums) == (["implausible_day"], [60_001])
    assert either.post(ivf(visit, "c", 40_000, at=TOMORROW)) == ["posted"], "another day, and the visit's limit exactly"
    over = either.post(ivf(visit, "d", 1, at=TOMORROW + timedelta(days=9)))
    assert (over, over.sums) == (["implausible_visit"], [100_001])
    assert total(either, visit, "P01") == 100_000


def test_a_day_begins_where_the_hospital_is(either, visit):
    """16:00 UTC is midnight there."""
    midnight = NOON.replace(hour=0)
    assert either.post(ivf(visit, "a", 50_000, at=midnight - timedelta(microseconds=1))) == ["posted"]
    assert either.post(ivf(visit, "b", 40_000, at=midnight)) == ["posted"]
    assert either.post(ivf(visit, "c", 10_000, at=midnight + timedelta(hours=23))) == ["posted"]


@pytest.mark.parametrize("days", [0, 40])
def test_a_batch_is_judged_line_by_line(ledger, visit, days):
    """One bad line does not take the ones behind it along, nor those of other visits; and a day is added up from lines before and in the batch."""
    other = fresh_number()
    ledger.post(ivf(visit, "first", 30_000, at=TOMORROW))
    outcomes = ledger.post(ivf(visit, "a", 20_000), ivf(visit, "huge", 10 ** 12), ivf(other, "x", 60_000), ivf(visit, "b", 31_000, at=TOMORROW), ivf(visit, "c", 30_000, at=TOMORROW),
                           ivf(visit, "old", 20_000, at=NOON - timedelta(days=days)), ivf(visit, "d", 1), charge(visit, "elsewhere", 5), spa(other, "y", 50_001))
    assert outcomes == ["posted", "implausible_visit", "posted", "implausible_day", "posted", "posted", "implausible_visit", "posted", "implausible_visit"]
    assert outcomes.sums == [None, 10 ** 12 + 50_000, None, 61_000, None, None, 100_001, None, 50_001]
    assert total(ledger, visit, "P01") == 100_000


def test_a_copy_in_the_batch_of_what_is_beyond(ledger, visit):
    """It is not booked, so its copy is no duplicate; the first that fits is."""
    assert ledger.post(spa(visit, "a", 50_001), spa(visit, "a", 50_001), spa(visit, "b", 50_000)) == ["implausible_visit", "implausible_visit", "posted"]


def test_what_is_booked_stays_a_duplicate(either, visit):
    line = spa(visit, "a", 50_000)
    assert either.post(line) == ["posted"]
    assert either.post(line) == ["duplicate"]
    assert either.post(dataclasses.replace(line, amount=50_001)) == ["conflict"]


def test_a_person_releases(either, visit):
    assert either.post(spa(visit, "a", 70_000)) == ["implausible_visit"]
    released = either.post(spa(visit, "a", 70_000), released=True)
    assert (released, released.sums) == (["posted"], [None])
    assert either.post(spa(visit, "b", 1)) == ["implausible_visit"], "one line was released, and not the visit"
    assert either.post(spa(visit, "a", 70_000)) == ["duplicate"]
    assert either.post(adjustment(visit, "less", -20_001, facility="P02", feed="spa")) == ["posted"], "what takes something off is welcome"
    assert either.post(spa(visit, "c", 1)) == ["posted"]
    assert total(either, visit, "P02") == 50_000


def test_reversals_make_room(ledger, visit):
    ledger.post(ivf(visit, "a", 60_000))
    assert ledger.post(reversal(visit, "b", of="a", amount=10_000, facility="P01", feed="ivf"), ivf(visit, "c", 10_000)) == ["posted", "implausible_day"], "charges come first"
    assert ledger.post(ivf(visit, "d", 10_000)) == ["posted"]
    assert ledger.post(ivf(visit, "e", 1)).sums == [60_001]


def test_late_lines_are_judged_too(ledger, visit):
    ledger.post(spa(visit, "a", 50_000))
    ledger.close_now(visit, facility="P02", feed="spa")
    assert ledger.post(spa(visit, "b", 1)) == ["implausible_visit"]
    assert ledger.post(spa(visit, "b", 1), released=True) == ["late"]


def test_a_facility_without_limits_has_none(either, visit):
    assert either.post(charge(visit, "a", 10 ** 15)) == ["posted"]


@pytest.mark.parametrize("released", [False, True])
def test_no_total_stops_being_a_number(either, released):
    """922 lines of the largest amount used to be the end of bigint; now the second one is."""
    visit, most = fresh_number(), 10 ** 16 - 1
    assert either.post(charge(visit, "a", most), released=released) == ["posted"]
    assert either.post(charge(visit, "b", 1), released=released) == ["amount_too_large"]
    assert either.post(*(charge(visit, f"c{n}", most) for n in range(1000)), released=released) == ["amount_too_large"] * 1000
    assert either.post(adjustment(visit, "d", -most), released=released) == ["posted"]
    assert either.visit(visit).total == 0
    assert either.audit() == []
    either.books()


def test_nothing_takes_a_visit_below_zero(either, visit):
    """Neither an adjustment nor a reversal of what an adjustment took; a person may."""
    either.post(charge(visit, "a", 1_700))
    below = either.post(adjustment(visit, "aj", -300_000))
    assert (below, below.sums) == (["total_negative"], [-298_300])
    assert either.post(adjustment(visit, "off", -1_000)) == ["posted"]
    below = either.post(reversal(visit, "cd", of="a"))
    assert (below, below.sums) == (["total_negative"], [-1_000])
    assert either.post(reversal(visit, "part", of="a", amount=700)) == ["posted"]
    assert either.visit(visit).total == 0
    assert either.post(reversal(visit, "cd", of="a", amount=1_000), released=True) == ["posted"]
    assert either.visit(visit).total == -1_000
    assert either.post(charge(visit, "more", 400)) == ["posted"], "what brings it up is no matter for a person"
    assert either.post(adjustment(visit, "aj2", -1)).sums == [-601]
    assert either.audit() == []


def test_reversals_of_one_batch_go_as_far_as_they_may(ledger, visit):
    ledger.post(charge(visit, "a", 500), charge(visit, "b", 500), adjustment(visit, "off", -400))
    below = ledger.post(reversal(visit, "a-", of="a"), charge(visit, "c", 10), reversal(visit, "b-", of="b"), reversal(visit, "b--", of="b", amount=110))
    assert below == ["posted", "posted", "total_negative", "posted"]
    assert below.sums == [None, None, -390, None]
    assert ledger.visit(visit).total == 0


def test_a_merge_is_no_way_round_the_end_of_numbers(ledger, visit):
    other = fresh_number()
    ledger.post(charge(visit, "a", 10 ** 16 - 1), charge(other, "b", 10 ** 16 - 1))
    assert ledger.merge(other, visit) == "amount_too_large"
    assert (ledger.visit(visit).total, ledger.visit(other).state) == (10 ** 16 - 1, "open")
    ledger.post(adjustment(visit, "aj", -10 ** 16 + 1), adjustment(other, "aj", -10 ** 16 + 1))
    assert ledger.merge(other, visit) == "done"


def test_a_limit_that_changes_holds_from_then_on(desk, fresh, visit):
    from .cluster import configuration
    from .conftest import FACILITIES, FEEDS
    fresh.post(charge(visit, "a", 900))
    fresh.configure(configuration({**FACILITIES, "H01": {"visit_amount": 1_000, "visit_day_amount": 0}}, FEEDS))
    assert fresh.row("select visit_amount, visit_day_amount from facility where code = 'H01'") == (1_000, None)
    assert fresh.post(charge(visit, "b", 101)) == ["implausible_visit"]
    fresh.configure(configuration(FACILITIES, FEEDS))
    assert fresh.post(charge(visit, "b", 101)) == ["posted"]


def test_many_days_are_linear(ledger, visit):
    """A line on each of 2,000 days, of a visit beyond its day's limit: each day is added up once."""
    days = [NOON - timedelta(days=day) for day in range(2_000)]
    ledger.post(*(ivf(visit, f"a{n}", 30, at=day) for n, day in enumerate(days)), ivf(visit, "top", 40_000))
    outcomes = ledger.post(*(ivf(visit, f"b{n}", 60_000, at=day) for n, day in enumerate(days)))
    assert outcomes == ["implausible_visit"] * 2_000
