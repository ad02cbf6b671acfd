"""Closing: watermarks and grace, what a bill says, late lines, cancelled discharge and admit. Merges are in test_merge.py."""

from datetime import timedelta

import pytest

from .api import line, together
from .feeds import PATIENT, ft1, hl7_time, now
from .live import stays, wait_until


def bills(house, visit):
    return house.kiosk.bills(visit)["bills"]


def kinds(house, visit):
    return [(bill["kind"], bill["bill_no"].removeprefix(visit), bill["total"], bill["state"]) for bill in bills(house, visit)]


def pay_cash(house, bill, amount=None):
    reply = house.desk.pay(bill["bill"], amount or bill["outstanding"], "cash")
    assert reply.status == 201 and reply.json["state"] == "succeeded", reply
    return reply.json


# ---- watermarks and grace

def test_a_feed_that_is_behind_holds_the_bill_back(annex, visit):
    """Grace is ten minutes in the annex: only the watermark lets the bill out."""
    annex.heartbeat()
    annex.clinic.charge(visit, ft1("1"))
    moment = now()
    assert annex.clinic.adt("A03", visit, at=moment).code == "AA"
    annex.heartbeat("ward", "lab", at=moment)
    annex.heartbeat("pharmacy", at=moment - timedelta(milliseconds=10))
    stays(lambda: bills(annex, visit) == [] and annex.kiosk.visit(visit)["state"] == "discharged", "the bill to be held back", 0.8)
    annex.pharmacy.charge(visit, ft1("P", "3.00"), at=moment - timedelta(milliseconds=5))   # what the pharmacy had still to send
    stays(lambda: bills(annex, visit) == [], "the bill to be held back", 0.3)
    annex.heartbeat("pharmacy", at=moment)
    bill = annex.next_bill(visit, 0)
    assert (bill["total"], bill["state"], bill["kind"]) == ("15.50", "open", "bill")
    assert annex.kiosk.bill(bill["bill"])["silent_feeds"] == []
    assert annex.kiosk.visit(visit)["state"] == "billed"


def test_a_clock_that_runs_ahead_lets_no_bill_out(annex, visit):
    """A feed's mark is never later than now: a message of tomorrow says nothing of what the feed will send until then."""
    annex.clinic.charge(visit, ft1("1"))
    annex.heartbeat("lab", at=now() + timedelta(days=1))
    moment = now() + timedelta(milliseconds=50)
    assert annex.clinic.adt("A03", visit, at=moment).code == "AA"
    wait_until(lambda: now() > moment + timedelta(milliseconds=20), "the moment")
    annex.heartbeat("clinic", "pharmacy", "ward")
    stays(lambda: bills(annex, visit) == [], "the laboratory to hold the bill back", 0.6)
    annex.heartbeat("lab")
    assert annex.next_bill(visit, 0)["total"] == "12.50"


def test_a_silent_feed_is_named_after_grace(house, visit):
    """Grace is three seconds: then the bill comes without the feeds that were silent, and says so. What they send later is a supplementary bill."""
    house.clinic.charge(visit, ft1("1"))
    moment = now()
    house.clinic.adt("A03", visit, at=moment)
    house.heartbeat("ward", "clinic")
    stays(lambda: bills(house, visit) == [], "the bill within grace", 2)
    bill = house.next_bill(visit, 0)
    assert now() - moment > timedelta(seconds=3)
    assert house.kiosk.bill(bill["bill"])["silent_feeds"] == ["lab", "pharmacy"]
    ack = house.lab.charge(visit, ft1("L", "4.00"))
    assert ack.code == "AA"
    assert house.next_bill(visit, 1)["total"] == "4.00"


def test_a_visit_without_lines_needs_no_bill(house, visit):
    house.clinic.adt("A04", visit)
    house.clinic.adt("A03", visit)
    house.heartbeat("pharmacy", "lab", "ward")
    wait_until(lambda: house.kiosk.visit(visit)["state"] == "settled", "the visit to be settled")
    assert house.kiosk.bills(visit)["outstanding"] == "0.00" and bills(house, visit) == []


# ---- what a bill says

def test_the_bill(house, visit):
    """Categories add up to the total, lines to categories; the journal says the same."""
    house.clinic.charge(visit, *(ft1(f"C{n}", f"{n}.10", category=f"{n % 14 + 1:02}") for n in range(30)))
    house.pharmacy.charge(visit, ft1("P1", "7.77", category="09"), ft1("P2", "7.77", kind="CD", reverses="P1"))
    house.ward.charge(line(visit, "W1", "100.00", category="01", quantity="2", unit_price="50.00", department="内科", order_no="O-77"))
    summary = house.discharge(visit)
    bill = house.kiosk.bill(summary["bill"], lines=True)
    fen = {f"{k:02}": sum(n * 100 + 10 for n in range(30) if n % 14 + 1 == k) + (10000 if k == 1 else 0) for k in range(1, 15)}
    total = sum(fen.values())
    assert {c["category"]: round(float(c["amount"]) * 100) for c in bill["categories"]} == fen
    assert [c["category"] for c in bill["categories"]] == sorted(fen) and bill["categories"][8]["name"] == "西药费"
    assert bill["total"] == f"{total // 100}.{total % 100:02}" == bill["outstanding"] == house.kiosk.visit(visit)["total"]
    assert (bill["paid"], bill["credited"], bill["in_progress"], bill["version"], bill["line_count"]) == ("0.00", "0.00", "0.00", 1, 33)
    assert (bill["bill_no"], bill["visit_no"], bill["facility"], bill["patient"]) == (visit, visit, "H01", {"patient_no": f"PN-{visit}", "name": PATIENT})
    assert sum(round(float(entry["amount"]) * 100) for entry in bill["lines"]) == total
    assert [entry["line_no"] for entry in bill["lines"]] == list(range(1, 34))
    ward = bill["lines"][-1]
    assert (ward["feed"], ward["quantity"], ward["unit_price"], ward["amount"], ward["order_no"]) == ("ward", "2", "50", "100.00", "O-77")
    assert house.kiosk.bill(summary["bill"])["lines"] is None
    postings = dict(house.rows("select account, sum(amount)::bigint from journal_posting join visit using (visit_id) where visit_no = %s group by 1", visit))
    assert postings == {"receivable": total, **{f"revenue:{code}": -amount for code, amount in fen.items()}}
    assert bill["due_at"] > bill["issued_at"]


def test_a_zero_bill_is_settled(house, visit):
    house.clinic.charge(visit, ft1("1"), ft1("R", "", kind="CD", reverses="1"))
    bill = house.discharge(visit)
    assert (bill["total"], bill["state"]) == ("0.00", "settled")
    assert house.kiosk.visit(visit)["state"] == "settled"
    assert house.kiosk.pay(bill["bill"], "0.01").json["reason"] == "bill_settled"


def test_lines_while_it_closes(house, visits):
    """Lines that come in the very moment of closing are on a bill, once: on the first or on a supplementary one."""
    numbers = visits(12)
    for visit in numbers:
        house.clinic.charge(visit, ft1("0"))

    def post():
        with house.lab.connect() as connection:
            for n in range(12):
                for visit in numbers:
                    assert connection.send(house.lab.dft_message(visit, ft1(f"L{n}", "1.00"))).code == "AA"

    def close():
        for visit in numbers:
            house.discharge(visit, wait=False)
            house.heartbeat()

    together(post, close)
    house.heartbeat()
    wait_until(lambda: all(sum(float(bill["total"]) for bill in bills(house, visit)) == 24.5 for visit in numbers), "all lines to be billed")
    assert house.broken() == []


# ---- late lines

def test_late_lines_and_supplementary_bill(house, visit):
    """Lines after the close gather and make one bill of their own; the first stays as it is."""
    house.clinic.charge(visit, ft1("1", "10.00"))
    first = house.discharge(visit)
    assert house.clinic.charge(visit, ft1("2", "1.00"), ft1("3", "2.00")).zbl[1:] == ["2", "0", "0", "13.00", "billed"]
    assert house.ward.charge(line(visit, "4", "4.00"))["lines"][0]["outcome"] == "late"
    house.next_bill(visit, 1)
    assert kinds(house, visit) == [("bill", "", "10.00", "open"), ("supplement", "/A1", "7.00", "open")]
    assert bills(house, visit)[0] == first
    assert house.kiosk.bills(visit)["outstanding"] == "17.00"
    house.clinic.charge(visit, ft1("5", "0.50"))
    house.next_bill(visit, 2)
    assert kinds(house, visit)[2] == ("supplement", "/A2", "0.50", "open")


def test_credit_note(house, visit):
    """What is taken back after the close lowers what is owed; the bill's text stays."""
    house.clinic.charge(visit, ft1("1", "10.00"), ft1("2", "5.00"))
    first = house.discharge(visit)
    house.clinic.charge(visit, ft1("R", "4.00", "", kind="CD", reverses="1"))
    house.next_bill(visit, 1)
    assert [kind[:3] for kind in kinds(house, visit)] == [("bill", "", "15.00"), ("credit_note", "/A1", "-4.00")]
    bill = house.kiosk.bill(first["bill"])
    assert (bill["total"], bill["credited"], bill["outstanding"], bill["version"] > 1) == ("15.00", "4.00", "11.00", True)
    assert house.kiosk.bills(visit)["outstanding"] == "11.00"
    pay_cash(house, bill)
    assert house.kiosk.visit(visit)["state"] == "settled" and house.broken() == []


def test_credit_note_of_a_paid_bill(house, visit):
    """Paid is paid: the note stays owed to the patient, and pays for the next supplementary bill."""
    house.clinic.charge(visit, ft1("1", "10.00"))
    pay_cash(house, house.discharge(visit))
    assert house.kiosk.visit(visit)["state"] == "settled"
    house.clinic.charge(visit, ft1("R", "4.00", "", kind="CD", reverses="1"))
    house.next_bill(visit, 1)
    assert house.kiosk.bills(visit)["outstanding"] == "-4.00"
    house.clinic.charge(visit, ft1("2", "6.00"))
    supplement = house.next_bill(visit, 2)
    assert (supplement["total"], supplement["credited"], supplement["outstanding"]) == ("6.00", "4.00", "2.00")
    pay_cash(house, supplement)
    assert house.kiosk.bills(visit)["outstanding"] == "0.00"
    assert house.kiosk.visit(visit)["state"] == "settled" and house.broken() == []


def test_a_resend_after_the_close_is_a_duplicate(house, visit):
    message = house.clinic.dft_message(visit, ft1("1"))
    house.clinic.send(message)
    house.discharge(visit)
    assert house.clinic.send(message).zbl[1:4] == ["0", "1", "0"]
    assert house.clinic.dft(visit, ft1("1", "1.00")).reasons == ["conflict"]
    house.heartbeat()
    stays(lambda: len(bills(house, visit)) == 1, "one bill", 1.3)


# ---- a discharge that is taken back

@pytest.mark.parametrize("by", ["hl7", "json"])
def test_cancelled_discharge_before_payment(house, visit, by):
    """The bill is voided by a note; the visit is open again; the next close bills everything anew."""
    house.clinic.charge(visit, ft1("1", "10.00"))
    first = house.discharge(visit)
    assert (house.clinic.adt("A13", visit).code == "AA") if by == "hl7" else (house.ward.reopen(visit).status == 200)
    assert house.kiosk.visit(visit)["state"] == "open" and house.kiosk.bills(visit)["outstanding"] == "0.00"
    assert kinds(house, visit) == [("bill", "", "10.00", "void"), ("void_note", "/V", "-10.00", "void")]
    assert house.kiosk.pay(first["bill"], "10.00").json["reason"] == "bill_void"
    house.clinic.charge(visit, ft1("2", "2.50"))
    assert house.discharge(visit)["total"] == "12.50"
    assert [kind[0] for kind in kinds(house, visit)] == ["bill", "void_note", "bill"]
    assert len({bill["bill_no"] for bill in bills(house, visit)}) == 3
    assert house.kiosk.bills(visit)["outstanding"] == "12.50" and house.broken() == []
    revenue = house.value("select -sum(amount)::bigint from journal_posting join visit using (visit_id) where visit_no = %s and account like 'revenue%%'", visit)
    assert revenue == 1250


def test_cancelled_discharge_after_payment(house, visit):
    """A bill with money on it stands; new lines go to a supplementary one."""
    house.clinic.charge(visit, ft1("1", "10.00"))
    first = house.discharge(visit)
    pay_cash(house, first, "4.00")
    assert house.clinic.adt("A13", visit).code == "AA"
    assert house.kiosk.visit(visit)["state"] == "open"
    assert house.kiosk.bill(first["bill"])["outstanding"] == "6.00"
    house.clinic.charge(visit, ft1("2", "2.50"))
    house.discharge(visit)
    assert kinds(house, visit) == [("bill", "", "10.00", "open"), ("supplement", "/A1", "2.50", "open")]
    for bill in bills(house, visit):
        pay_cash(house, bill)
    assert house.kiosk.visit(visit)["state"] == "settled" and house.broken() == []


def test_cancelled_discharge_while_a_kiosk_shows_a_code(house, visit):
    """A payment in progress keeps its bill: the code can still be paid."""
    house.clinic.charge(visit, ft1("1", "10.00"))
    bill = house.discharge(visit)
    payment = house.kiosk.pay(bill["bill"], "10.00").json
    assert house.clinic.adt("A13", visit).code == "AA"
    assert house.kiosk.bill(bill["bill"])["state"] == "open"
    assert house.sim.pay(payment)["status"] == 204
    assert house.kiosk.bill(bill["bill"])["state"] == "settled" and house.kiosk.visit(visit)["state"] == "open"
    house.clinic.charge(visit, ft1("2", "1.00"))
    assert house.discharge(visit)["total"] == "1.00" and house.broken() == []


def test_payment_taken_elsewhere_between_discharge_and_close(annex, visit):
    """Money that comes while the bill is held back pays it when it comes."""
    annex.clinic.charge(visit, ft1("1", "10.00"))
    moment = now()
    annex.clinic.adt("A03", visit, at=moment)
    annex.clinic.charge(visit, ft1("P", "10.00", kind="PY"))
    assert annex.kiosk.visit(visit)["state"] == "discharged"
    annex.heartbeat()
    bill = annex.next_bill(visit, 0)
    assert (bill["total"], bill["paid"], bill["state"]) == ("10.00", "10.00", "settled")
    wait_until(lambda: annex.kiosk.visit(visit)["state"] == "settled", "the visit to be settled")
    assert annex.broken() == []


# ---- an admission that is taken back

def test_cancelled_admit_with_charges(house, visit):
    """Care given is kept: the cancellation is refused and the visit flagged, until its charges are taken back."""
    house.clinic.adt("A01", visit)
    house.clinic.charge(visit, ft1("1"))
    ack = house.clinic.adt("A11", visit)
    assert ack.code == "AE" and ack.reasons == ["visit_has_charges"]
    seen = house.kiosk.visit(visit)
    assert (seen["state"], seen["flags"], seen["total"]) == ("open", ["disputed"], "12.50")
    house.clinic.charge(visit, ft1("R", "", kind="CD", reverses="1"))
    assert house.clinic.adt("A11", visit).code == "AA"
    assert house.kiosk.visit(visit)["state"] == "cancelled" and house.broken() == []


def test_cancelled_admit_of_a_billed_visit(house, visit):
    house.clinic.charge(visit, ft1("1"))
    house.discharge(visit)
    ack = house.clinic.adt("A11", visit)
    assert ack.code == "AE" and ack.reasons == ["visit_closed"]
    assert house.kiosk.visit(visit)["state"] == "billed"


def test_discharge_with_a_date_that_makes_no_sense(house, visit):
    house.clinic.adt("A04", visit)
    for at in ("20991231", "18000101", "never"):
        ack = house.clinic.send(house.clinic.message("ADT^A03", house.clinic.pid(visit), house.clinic.pv1(visit, discharged=at)))
        assert ack.code == "AE" and ack.errors[0][::2] == ("PV1^1^45", "date_absurd"), ack
    assert house.kiosk.visit(visit)["state"] == "open"
    assert house.clinic.send(house.clinic.message("ADT^A03", f"EVN||{hl7_time()}", house.clinic.pid(visit), house.clinic.pv1(visit))).code == "AA", "EVN-2 stands in"
