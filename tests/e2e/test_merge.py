"""A42: two visits become one. Lines move, what is sent under the old number later finds its place, and no money is counted twice."""

import pytest

from .feeds import ft1
from .live import stays, wait_until


def total(house, visit):
    return house.kiosk.visit(visit)["total"]


def moved(house, visit):
    """The visit's lines but for the transfers of merges; a line that was sent under a merged number is called id@number."""
    return {(feed, line.partition("@")[0]): amount for (feed, line), amount in house.lines(visit).items() if feed != "visitbill"}


@pytest.fixture(name="pair")
def _pair(house, visits):
    """A visit with lines of two feeds, and one that it goes into."""
    old, new = visits(2)
    for visit in (old, new):
        house.clinic.adt("A04", visit)
    house.clinic.charge(old, ft1("a1", "1.00"), ft1("a2", "2.00", kind="CG"), ft1("aR", "0.50", "", kind="CD", reverses="a2"))
    house.lab.charge(old, ft1("x", "4.00"))
    house.clinic.charge(new, ft1("b1", "8.00"))
    return old, new


def test_lines_move(house, pair):
    old, new = pair
    message = house.clinic.message("ADT^A42", house.clinic.pid(new), f"MRG|PN-{old}^^^H01^PI||||{old}", house.clinic.pv1(new))
    assert house.clinic.send(message).code == "AA"
    assert moved(house, new) == {("clinic", "a1"): 100, ("clinic", "a2"): 200, ("clinic", "aR"): -50, ("lab", "x"): 400, ("clinic", "b1"): 800}
    assert (total(house, new), total(house, old)) == ("14.50", "0.00")
    seen = house.kiosk.visit(old)
    assert (seen["state"], seen["merged_into"]) == ("merged", new)
    assert house.kiosk.bills(old)["merged_into"] == new
    assert house.clinic.send(message).code == "AA", "a resend is harmless"
    assert total(house, new) == "14.50" and house.broken() == []


def test_resends_and_reversals_under_the_old_number(house, pair):
    old, new = pair
    charge = house.lab.dft_message(old, ft1("late", "3.00"))
    first = house.clinic.dft_message(old, ft1("q", "6.00"))
    house.clinic.send(first)
    house.clinic.merge(old, new)
    assert house.clinic.send(first).zbl[1:4] == ["0", "1", "0"], "an old line is a duplicate"
    assert house.lab.send(charge).code == house.lab.send(charge).code == "AA"
    assert moved(house, new)[("lab", "late")] == 300 and total(house, new) == "23.50"
    assert house.clinic.charge(old, ft1("R", "", "", kind="CD", reverses="q")).zbl[1] == "1"
    assert house.clinic.charge(new, ft1("R2", "", "", kind="CD", reverses="a1")).zbl[1] == "1"
    assert total(house, new) == "16.50" and total(house, old) == "0.00"
    assert house.clinic.dft(old, ft1("q", "7.00")).reasons == ["conflict"]
    assert house.broken() == []


def test_the_same_ids_on_both(house, visits):
    """Feeds that number lines by visit: after the merge each number still means its own visit's line."""
    old, new = visits(2)
    lines = {old: ft1("1", "1.00"), new: ft1("1", "9.00")}
    for visit, line in lines.items():
        house.clinic.charge(visit, line)
    house.clinic.merge(old, new)
    assert total(house, new) == "10.00"
    for visit, line in lines.items():
        assert house.clinic.charge(visit, line).zbl[1:4] == ["0", "1", "0"], visit
    house.clinic.charge(old, ft1("R", "", "", kind="CD", reverses="1"))
    assert total(house, new) == "9.00", "the old visit's own line is taken back"
    house.clinic.charge(new, ft1("S", "", "", kind="CD", reverses="1"))
    assert total(house, new) == "0.00" and house.broken() == []


def test_the_loser_s_bill_is_void(house, pair):
    old, new = pair
    bill = house.discharge(old)
    assert bill["total"] == "6.50"
    assert house.clinic.merge(old, new).code == "AA"
    assert house.kiosk.bill(bill["bill"])["state"] == "void"
    assert house.kiosk.bills(old)["outstanding"] == "0.00"
    assert house.kiosk.pay(bill["bill"], "6.50").json["reason"] == "bill_void"
    assert house.discharge(new)["total"] == "14.50"
    assert house.broken() == []


def test_into_a_closed_visit(house, pair):
    """The survivor's bill stands; the lines that come to it are a supplementary bill."""
    old, new = pair
    first = house.discharge(new)
    house.clinic.merge(old, new)
    supplement = house.next_bill(new, 1)
    assert (first["total"], supplement["total"], supplement["kind"]) == ("8.00", "6.50", "supplement")
    assert house.broken() == []


def test_a_paid_visit_is_not_merged(house, pair):
    old, new = pair
    bill = house.discharge(old)
    assert house.desk.pay(bill["bill"], "1.00", "cash").status == 201
    ack = house.clinic.merge(old, new)
    assert ack.code == "AE" and ack.reasons == ["visit_paid"]
    assert total(house, new) == "8.00" and house.kiosk.visit(old)["state"] == "billed"


def test_a_visit_whose_code_is_shown_is_not_merged(house, pair):
    old, new = pair
    bill = house.discharge(old)
    payment = house.kiosk.pay(bill["bill"], "6.50").json
    assert house.clinic.merge(old, new).reasons == ["visit_paid"]
    assert house.sim.pay(payment)["status"] == 204 and house.kiosk.visit(old)["state"] == "settled"


def test_chain(house, visits):
    """a into b, b into c: all of it is at c, whatever number is named."""
    a, b, c = visits(3)
    for n, visit in enumerate((a, b, c)):
        house.clinic.charge(visit, ft1(f"l{n}", f"{n + 1}.00"))
    assert house.clinic.merge(a, b).code == "AA" and house.clinic.merge(b, c).code == "AA"
    assert total(house, c) == "6.00" and house.kiosk.visit(a)["merged_into"] == c
    house.clinic.charge(a, ft1("late", "10.00"))
    assert total(house, c) == "16.00" and house.broken() == []


def test_wrong_merges(house, visits):
    a, b, c = visits(3)
    for visit in (a, b, c):
        house.clinic.charge(visit, ft1("1"))
    assert house.clinic.merge(a, a).reasons == ["merge_self"]
    house.clinic.merge(a, b)
    house.clinic.merge(a, c)        # a is gone already: b must not follow it
    assert house.kiosk.visit(b)["state"] == "open" and total(house, b) == "25.00" and total(house, c) == "12.50"
    assert house.clinic.adt("A11", c).reasons == ["visit_has_charges"]
    assert house.broken() == []


def test_of_a_visit_that_never_came(house, visits):
    """The A42 overtook everything else: what comes for the old number goes to the new one."""
    old, new = visits(2)
    house.clinic.charge(new, ft1("1", "1.00"))
    assert house.clinic.merge(old, new).code == "AA"
    house.lab.charge(old, ft1("2", "2.00"))
    assert total(house, new) == "3.00"


def test_held_reversals_follow(house, pair):
    """A reversal that waits on the old visit is booked on the new one when its original comes."""
    old, new = pair
    house.lab.charge(old, ft1("hR", "1.00", "", kind="CD", reverses="h"))
    house.clinic.merge(old, new)
    house.lab.charge(old, ft1("h", "5.00"))
    wait_until(lambda: moved(house, new).get(("lab", "hR")) == -100, "the held reversal to be booked")
    assert total(house, new) == "18.50" and house.broken() == []


def test_events_of_the_old_number(house, pair):
    """A discharge of the merged visit does not discharge the survivor."""
    old, new = pair
    house.clinic.merge(old, new)
    assert house.clinic.adt("A03", old).code == "AA"
    house.heartbeat("pharmacy", "lab", "ward")
    stays(lambda: house.kiosk.visit(new)["state"] == "open", "the survivor to stay open", 0.5)
