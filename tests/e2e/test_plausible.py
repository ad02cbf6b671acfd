"""What takes a visit, or a day of it, further than is plausible waits with the limit and the sum, and a person releases it; what is booked stays right."""

import pytest

from .api import line
from .feeds import Feed, ft1
from .live import wait_until


@pytest.fixture(name="there")
def _there(annex):
    """A feed at H03, which takes 1,000.00 a visit and 600.00 a day of it."""
    return Feed(annex.mllp, "CLINIC", "H03")


def booked(house, visit):
    return {source: amount for (_, source), amount in house.lines(visit).items()}


def waiting(house, visit):
    return [entry for entry in house.quarantined(visit_no=visit) if entry["outcome"] is None]


def entry(house, visit, source):
    found, = [one for one in waiting(house, visit) if one["source_line"] == source]
    return found


def release(house, visit, source):
    return house.desk.post(f"/v1/quarantine/{entry(house, visit, source)['quarantine_id']}/replay").json


def test_a_day_and_a_visit_wait_with_their_sums(annex, there, visit):
    there.charge(visit, ft1("a", "600.00", at="20260110100000"))
    ack = there.dft(visit, ft1("b", "0.01", at="20260110100000"), ft1("c", "400.00", at="20260111100000"), ft1("d", "100.00", at="20260112100000"))
    assert ack.code == "AE" and ack.reasons == ["implausible_day", "implausible_visit"]
    assert "the visit's day would be 600.01, beyond visit_day_amount 600.00" in ack.text and "the visit's total would be 1100.00, beyond visit_amount 1000.00" in ack.text
    assert booked(annex, visit) == {"a": 60000, "c": 40000}
    assert "1100.00" in entry(annex, visit, "d")["detail"] and "600.01" in entry(annex, visit, "b")["detail"]
    for source in ("b", "d"):
        assert release(annex, visit, source)["outcome"] == "posted"
    assert booked(annex, visit) == {"a": 60000, "b": 1, "c": 40000, "d": 10000}
    assert there.dft(visit, ft1("e", "0.01", at="20260201100000")).reasons == ["implausible_visit"], "lines were released, and not the visit"
    assert [one["source_line"] for one in waiting(annex, visit)] == ["e"]


def test_a_line_alone_and_one_of_many_say_the_same(annex, there, visits):
    one, two = visits(2)
    alone = there.dft(one, ft1("x", "1000.01", at="20260110100000"))
    many = there.dft(two, ft1("y", "1.00", at="20260110100000"), ft1("x", "1000.00", at="20260110100000"), ft1("z", "1.00", at="20260110100000"))
    assert alone.reasons == many.reasons == ["implausible_visit"]
    assert "would be 1000.01" in alone.text and "would be 1001.00" in many.text and "FT1^2" in many.text
    assert booked(annex, two) == {"y": 100, "z": 100}


def test_json_says_it_too(house, visit):
    """An adjustment below zero, by JSON; released by a person, who may."""
    house.ward.charge(line(visit, "a", "17.00"))
    result = house.ward.charge(line(visit, "b", "-3000.00", type="adjustment"))
    (one,) = result["lines"]
    assert (one["outcome"], one["detail"]) == ("total_negative", "the visit's total would be -2983.00; a person releases it by a replay"), one
    assert release(house, visit, "b")["outcome"] == "posted"
    assert house.desk.visit(visit)["total"] == "-2983.00"
    assert house.broken() == []


def test_a_held_reversal_is_not_released_by_its_original(house, visit):
    """It waits for its original, which comes; that nobody had it booked by hand makes it no more plausible."""
    clinic = house.clinic
    clinic.charge(visit, ft1("a", "50.00"), ft1("off", "-40.00", kind="AJ"))
    assert clinic.dft(visit, ft1("b-", "100.00", kind="CD", reverses="b")).code == "AA"
    clinic.charge(visit, ft1("b", "100.00"), ft1("off2", "-105.00", kind="AJ"))
    wait_until(lambda: [e["reason"] for e in waiting(house, visit)] == ["total_negative"], "the reversal is judged")
    assert booked(house, visit) == {"a": 5000, "off": -4000, "b": 10000, "off2": -10500}
    assert release(house, visit, "b-")["outcome"] == "posted"
    assert house.desk.visit(visit)["total"] == "-95.00"
    assert waiting(house, visit) == []
