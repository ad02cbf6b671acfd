"""Reversals over HL7: full and partial, repeated, before their original, beyond it, and at the same moment from two connections."""

import pytest

from .api import together
from .feeds import ft1
from .live import wait_until


def back(source, of, amount="", quantity="", **more):
    """A credit with an id of its own that names the line it takes back (ZRV)."""
    return ft1(source, amount, quantity, kind="CD", reverses=of, code="", name="", category="", **more)


def total(house, visit):
    return house.kiosk.visit(visit)["total"]


@pytest.fixture(name="charged")
def _charged(house, visit):
    """A visit with a line "1": 4 × 10.00, category 09."""
    house.clinic.charge(visit, ft1("1", "40.00", "4", "10.00", category="09", name="药"))
    return visit


@pytest.mark.parametrize("amount, quantity", [("", ""), ("40.00", ""), ("", "4"), ("-40.00", "-4"), ("40.00", "4"), ("-40.00", "")])
def test_full(house, charged, amount, quantity):
    """Without amount and quantity all of it goes back; the sign does not matter: it is in the type."""
    assert house.clinic.charge(charged, back("R", "1", amount, quantity)).zbl[1:5] == ["1", "0", "0", "0.00"]
    assert house.rows("select kind, amount, quantity_e4, category, item_name, reverses_line from charge join visit using (visit_id)"
                      " where visit_no = %s and source_line = 'R'", charged) == [("CD", -4000, 40000, 9, "药", "1")]
    assert house.broken() == []


def test_of_its_own_id(house, charged):
    """A CD without ZRV reverses the line whose id it has; a resend of the message does not do it again."""
    message = house.clinic.dft_message(charged, ft1("1", "15.00", "", kind="CD"), control=f"X{charged}")
    assert house.clinic.send(message).zbl[1:5] == ["1", "0", "0", "25.00"]
    assert house.clinic.send(message).zbl[1:5] == ["0", "1", "0", "25.00"]
    assert set(house.lines(charged)) == {("clinic", "1"), ("clinic", f"1/CD/X{charged}/1")}
    assert house.clinic.charge(charged, ft1("1", "15.00", "", kind="CD")).zbl[1] == "1", "another message is another reversal"
    assert total(house, charged) == "10.00"


def test_partial(house, charged):
    """By quantity its share of the amount, by amount as much; the last one takes the rest."""
    for source, amount, quantity, left in (("R1", "", "1", "30.00"), ("R2", "5.00", "", "25.00"), ("R3", "10.00", "1", "15.00"), ("R4", "", "", "0.00")):
        assert house.clinic.charge(charged, back(source, "1", amount, quantity)).zbl[4] == left
    assert house.clinic.dft(charged, back("R5", "1", "0.01")).reasons == ["reversal_exceeds"]
    assert house.value("select sum(quantity_e4)::int from charge join visit using (visit_id) where visit_no = %s and kind = 'CD'", charged) == 40000


def test_thirds(house, visit):
    """10.00 for three of something, given back one by one, leaves nothing behind."""
    house.clinic.charge(visit, ft1("1", "10.00", "3"))
    for n, left in enumerate(("6.67", "3.34", "0.00")):
        assert house.clinic.charge(visit, back(f"R{n}", "1", "", "1")).zbl[4] == left
    assert house.broken() == []


def test_by_an_adjustment_that_names_a_line(house, charged):
    assert house.clinic.charge(charged, ft1("A", "-10.00", "", kind="AJ", reverses="1")).zbl[4] == "30.00"
    assert house.clinic.dft(charged, ft1("B", "-30.01", "", kind="AJ", reverses="1")).reasons == ["reversal_exceeds"]


def test_twice(house, charged):
    """The same reversal again is a duplicate; another one of the same line finds nothing left."""
    reversal = back("R", "1")
    assert house.clinic.charge(charged, reversal).zbl[1:4] == ["1", "0", "0"]
    assert house.clinic.charge(charged, reversal).zbl[1:4] == ["0", "1", "0"]
    ack = house.clinic.dft(charged, back("R2", "1"))
    assert ack.code == "AE" and ack.reasons == ["reversal_exceeds"] and ack.errors[0][0].startswith("FT1^1")
    assert house.clinic.dft(charged, back("R", "1", "1.00")).reasons == ["conflict"]
    assert total(house, charged) == "0.00"
    assert [q["reason"] for q in house.quarantined(visit_no=charged)] == ["reversal_exceeds", "conflict"]


@pytest.mark.parametrize("amount, quantity", [("40.01", ""), ("", "4.0001"), ("40.00", "5"), ("41.00", "4")])
def test_more_than_the_original(house, charged, amount, quantity):
    ack = house.clinic.dft(charged, back("R", "1", amount, quantity), back("S", "1", "1.00"))
    assert ack.code == "AE" and ack.reasons == ["reversal_exceeds"], ack
    assert total(house, charged) == "39.00", "the neighbour is booked"
    assert house.quarantined(visit_no=charged)[0]["source_line"] == "R"


def test_of_a_reversal(house, charged):
    house.clinic.charge(charged, back("R", "1", "10.00"))
    assert house.clinic.dft(charged, back("RR", "R")).reasons == ["reversal_of_reversal"]
    assert total(house, charged) == "30.00"


def test_a_charge_takes_nothing_back(house, charged):
    ack = house.clinic.dft(charged, ft1("C", "5.00", reverses="1"))
    assert ack.code == "AE" and ack.reasons == ["field_invalid"]
    assert total(house, charged) == "40.00"


def test_before_its_original(house, visit):
    """It is held, acknowledged, and booked by itself when the original comes."""
    reversal = back("R", "1", "4.00")
    assert house.clinic.charge(visit, reversal, ft1("2", "1.00")).errors == []
    waiting = house.quarantined(visit_no=visit)
    assert [(q["reason"], q["source_line"], q["outcome"]) for q in waiting] == [("original_unknown", "R", None)]
    assert house.lines(visit) == {("clinic", "2"): 100}
    resolved = house.metric("visitbill_quarantine", reason="original_unknown")
    house.clinic.charge(visit, ft1("1", "10.00"))
    wait_until(lambda: ("clinic", "R") in house.lines(visit), "the held reversal to be booked")
    assert house.lines(visit)[("clinic", "R")] == -400 and total(house, visit) == "7.00"
    wait_until(lambda: house.quarantined(visit_no=visit)[0]["outcome"] == "posted", "the quarantine to be resolved")
    assert house.metric("visitbill_quarantine", reason="original_unknown") == resolved - 1
    assert house.clinic.charge(visit, reversal).zbl[2] == "1", "a resend is a duplicate by now"
    assert house.broken() == []


def test_before_its_original_and_resent(house, visit):
    """However often it was sent before the original came, it is booked once."""
    reversal = back("R", "1")
    message, other = (house.clinic.dft_message(visit, reversal) for _ in range(2))
    assert [house.clinic.send(m).code for m in (message, message, other)] == ["AA"] * 3
    house.clinic.charge(visit, ft1("1", "10.00"), ft1("2", "1.00"))
    wait_until(lambda: all(q["outcome"] for q in house.quarantined(visit_no=visit)), "every held entry to be resolved")
    assert house.lines(visit) == {("clinic", "1"): 1000, ("clinic", "2"): 100, ("clinic", "R"): -1000}
    assert house.broken() == []


def test_before_its_original_in_one_message(house, visit):
    house.clinic.charge(visit, back("R", "1", "4.00"), ft1("1", "10.00"))
    wait_until(lambda: total(house, visit) == "6.00", "the reversal to be booked")
    wait_until(lambda: all(q["outcome"] for q in house.quarantined(visit_no=visit)), "nothing to wait")


def test_held_and_then_too_much(house, visit):
    """A held reversal that does not fit when its original comes stays in quarantine, with the reason."""
    house.clinic.charge(visit, back("R", "1", "10.01"))
    house.clinic.charge(visit, ft1("1", "10.00"))
    house.clinic.charge(visit, back("S", "1", "10.00"))
    wait_until(lambda: [q["reason"] for q in house.quarantined(visit_no=visit) if q["outcome"] is None] == ["reversal_exceeds"], "the reason to be known")
    assert house.lines(visit) == {("clinic", "1"): 1000, ("clinic", "S"): -1000} and house.broken() == []


def test_held_ones_that_never_fit_do_not_hold_up_others(annex, visits):
    """More of them than one turn of the job takes."""
    bad, good = visits(2)
    annex.clinic.charge(bad, *(back(f"R{n}", "1", "10.01") for n in range(60)))
    annex.clinic.charge(bad, *(back(f"S{n}", "1", "10.01") for n in range(60)))
    annex.clinic.charge(bad, ft1("1", "10.00"))
    annex.clinic.charge(good, back("R", "1", "1.00"))
    annex.clinic.charge(good, ft1("1", "10.00"))
    wait_until(lambda: annex.lines(good) == {("clinic", "1"): 1000, ("clinic", "R"): -100}, "the held reversal that fits to be booked", 10)
    assert annex.lines(bad) == {("clinic", "1"): 1000}


def test_of_another_feed_s_line(house, charged):
    """A feed's ids are its own: the pharmacy cannot take back the clinic's line 1."""
    house.pharmacy.charge(charged, back("R", "1"))
    assert house.lines(charged) == {("clinic", "1"): 4000}
    assert [(q["reason"], q["feed"]) for q in house.quarantined(visit_no=charged)] == [("original_unknown", "pharmacy")]


def test_several_in_one_message(house, charged):
    """In order: what is left is counted from line to line."""
    ack = house.clinic.dft(charged, ft1("2", "9.00"), back("R1", "1", "30.00"), back("R2", "1", "30.00"), back("R3", "1", "10.00"), back("R4", "2"))
    assert ack.reasons == ["reversal_exceeds"] and ack.errors[0][0].startswith("FT1^3"), ack
    assert house.lines(charged) == {("clinic", "1"): 4000, ("clinic", "2"): 900, ("clinic", "R1"): -3000, ("clinic", "R3"): -1000, ("clinic", "R4"): -900}


def test_hundreds_in_one_message(house, visit):
    """An admission that is taken back whole: as quick as it was booked."""
    house.clinic.charge(visit, *(ft1(f"C{n}", "1.00") for n in range(800)))
    ack = house.clinic.charge(visit, *(back(f"R{n}", f"C{n}") for n in range(800)))
    assert ack.zbl[1:5] == ["800", "0", "0", "0.00"]


def test_two_at_once(house, visits):
    """From two connections at the same moment, either fits and both do not: one is booked, every time."""
    numbers = visits(15)
    for visit in numbers:
        house.clinic.charge(visit, ft1("1", "10.00"))
    messages = [[house.clinic.dft_message(visit, back(source, "1", "6.00")) for source in "RS"] for visit in numbers]

    def send(which):
        with house.clinic.connect() as line:
            return [line.send(pair[which]).code for pair in messages]

    codes = list(zip(*together(lambda: send(0), lambda: send(1))))
    assert [sorted(pair) for pair in codes] == [["AA", "AE"]] * len(numbers)
    for visit, pair in zip(numbers, codes):
        assert house.lines(visit) == {("clinic", "1"): 1000, ("clinic", "RS"[pair.index("AA")]): -600}


def test_ten_at_once(house, visit):
    """45.00, and ten who each want 10.00 back: four get it."""
    house.clinic.charge(visit, ft1("1", "45.00"))
    messages = [house.clinic.dft_message(visit, back(f"R{n}", "1", "10.00")) for n in range(10)]

    def send(message):
        with house.clinic.connect() as line:
            return line.send(message)

    acks = together(*(lambda message=message: send(message) for message in messages))
    assert sorted(ack.code for ack in acks) == ["AA"] * 4 + ["AE"] * 6
    assert all(ack.reasons == ["reversal_exceeds"] for ack in acks if ack.code == "AE")
    assert total(house, visit) == "5.00" and house.broken() == []


def test_charge_and_reversal_race(house, visits):
    """The original and its reversal on two connections at once: booked both, whoever comes first."""
    numbers = visits(10)
    messages = [[house.clinic.dft_message(visit, line).encode() for line in (ft1("1", "10.00"), back("R", "1"))] for visit in numbers]

    def send(which):
        with house.clinic.connect() as line:
            return [line.send(pair[which]).code for pair in messages]

    assert together(lambda: send(0), lambda: send(1)) == [["AA"] * 10] * 2
    wait_until(lambda: all(len(house.lines(visit)) == 2 for visit in numbers), "all reversals to be booked")
    assert all(house.kiosk.visit(visit)["total"] == "0.00" for visit in numbers)
    wait_until(lambda: house.value("select count(*) from quarantine_open where visit_no = any (%s)", numbers) == 0, "nothing to wait in quarantine")
