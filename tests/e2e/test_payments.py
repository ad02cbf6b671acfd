"""Paying: WeChat Pay from the code to the receipt, in parts, from two kiosks at once, with keys and versions; cash; giving up; receipt numbers. What
the channel sends by itself is in test_notifications.py, its failures in test_channel.py."""

import pytest

from .api import together
from .feeds import ft1
from .live import wait_until


@pytest.fixture(name="bill")
def _bill(house, visit):
    """100.00, open."""
    return house.billed(visit)


def order_of(house, payment):
    number = house.value("select out_trade_no from payment where public_id = %s", payment["payment"])
    return house.sim.order(number).json


def test_native_from_code_to_receipt(house, visit, bill):
    reply = house.kiosk.pay(bill["bill"], "100.00", version=1)
    payment = reply.json
    assert reply.status == 201 and (payment["state"], payment["channel"], payment["amount"], payment["bill"], payment["receipt"]) == (
        "pending", "wechatpay", "100.00", bill["bill"], None)
    assert payment["code_url"].startswith("weixin://") and payment["expires_at"] > payment["created_at"]
    order = order_of(house, payment)
    assert (order["total"], order["trade_state"], order["code_url"]) == (10000, "NOTPAY", payment["code_url"])
    assert order["notify_url"] == house.env["VISITBILL_HTTP"] + "/notify/wechatpay/main"
    assert "示范市第一医院" in order["description"] and "郝" not in order["description"], "the channel learns no patient's name"
    before = house.kiosk.bill(bill["bill"])
    assert (before["in_progress"], before["outstanding"], before["state"]) == ("100.00", "100.00", "open")

    assert house.sim.pay(payment)["status"] == 204
    paid = house.kiosk.payment(payment["payment"])
    assert paid["state"] == "succeeded" and paid["receipt"] and paid["code_url"] is None
    after = house.kiosk.bill(bill["bill"])
    assert (after["state"], after["paid"], after["outstanding"], after["in_progress"]) == ("settled", "100.00", "0.00", "0.00")
    assert after["version"] > before["version"] and house.kiosk.visit(visit)["state"] == "settled"
    receipt = house.kiosk.receipt(paid["receipt"])
    assert (receipt["amount"], receipt["channel"], receipt["bill_no"], receipt["visit_no"], receipt["facility"], receipt["bill_total"]) == (
        "100.00", "wechatpay", visit, visit, "H01", "100.00")
    assert receipt["transaction_id"] == order_of(house, payment)["transaction_id"] and receipt["receipt_no"].startswith("H01-20")
    assert receipt["categories"] == [{"category": "03", "name": "检查费", "amount": "100.00"}]
    postings = dict(house.rows("select account, sum(amount)::bigint from journal_posting join visit using (visit_id) where visit_no = %s group by 1", visit))
    assert postings == {"receivable": 0, "revenue:03": -10000, "wechatpay": 10000}


def test_partial_payments(house, bill):
    """Each part has its receipt; the bill's version grows; the last part settles it."""
    receipts = []
    for amount, left, state in (("30.00", "70.00", "open"), ("0.01", "69.99", "open"), ("69.99", "0.00", "settled")):
        payment = house.kiosk.pay(bill["bill"], amount).json
        assert house.sim.pay(payment)["status"] == 204
        seen = house.kiosk.bill(bill["bill"])
        assert (seen["outstanding"], seen["state"]) == (left, state)
        receipts.append(house.kiosk.receipt(house.kiosk.payment(payment["payment"])["receipt"]))
    assert [receipt["amount"] for receipt in receipts] == ["30.00", "0.01", "69.99"]
    assert len({receipt["receipt_no"] for receipt in receipts}) == 3
    reply = house.kiosk.pay(bill["bill"], "0.01")
    assert (reply.status, reply.json["reason"]) == (409, "bill_settled")


@pytest.mark.parametrize("amount, status, reason", [
    ("100.01", 422, "amount_exceeds"), ("0.00", 422, "field_invalid"), ("-1.00", 422, "field_invalid"), ("1.001", 422, "field_invalid"), ("x", 422, "field_invalid"),
    (None, 422, "field_missing"), (True, 422, "field_invalid"), ("99999999999999999999", 422, "amount_too_large"),
])
def test_wrong_amounts(house, bill, amount, status, reason):
    reply = house.kiosk.pay(bill["bill"], amount)
    assert (reply.status, reply.json["reason"]) == (status, reason)
    assert house.kiosk.bill(bill["bill"])["in_progress"] == "0.00"


def test_two_kiosks_at_once(house, bill):
    """Eight of them want to pay all of it in the same moment: one code is shown."""
    replies = together(*(lambda n=n: house.kiosk.pay(bill["bill"], "100.00", key=f"{bill['bill']}-{n}") for n in range(8)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 7
    assert {reply.json["reason"] for reply in replies if reply.status == 409} == {"payment_in_progress"}
    assert house.kiosk.bill(bill["bill"])["in_progress"] == "100.00"
    payment, = [reply.json for reply in replies if reply.status == 201]
    assert house.sim.pay(payment)["status"] == 204
    assert house.kiosk.bill(bill["bill"])["paid"] == "100.00" and house.broken() == []


def test_parts_at_once_never_exceed_the_bill(house, bill):
    """30.00 eight times on 100.00: three fit, from the kiosk and the desk alike."""
    def pay(n):
        return (house.kiosk.pay(bill["bill"], "30.00", key=f"{bill['bill']}-{n}") if n % 2 else
                house.desk.pay(bill["bill"], "30.00", "cash", key=f"{bill['bill']}-{n}"))

    replies = together(*(lambda n=n: pay(n) for n in range(8)))
    taken = [reply.json for reply in replies if reply.status == 201]
    assert len(taken) == 3 and all(reply.json["reason"] in ("payment_in_progress", "amount_exceeds") for reply in replies if reply.status != 201)
    for payment in taken:
        if payment["state"] == "pending":
            assert house.sim.pay(payment)["status"] == 204
    seen = house.kiosk.bill(bill["bill"])
    assert (seen["paid"], seen["outstanding"], seen["in_progress"]) == ("90.00", "10.00", "0.00") and house.broken() == []


def test_idempotency_key(house, visits):
    bill, other = (house.billed(visit) for visit in visits(2))
    key = f"key-{bill['bill']}"
    first = house.kiosk.pay(bill["bill"], "40.00", key=key)
    again = house.kiosk.pay(bill["bill"], "40.00", key=key)
    assert (first.status, again.status) == (201, 200) and first.json == again.json
    for reply in (house.kiosk.pay(bill["bill"], "41.00", key=key), house.kiosk.pay(bill["bill"], "40.00", key=key, version=1),
                  house.kiosk.pay(other["bill"], "40.00", key=key)):
        assert (reply.status, reply.json["reason"]) == (422, "idempotency_mismatch")
    assert house.kiosk.bill(bill["bill"])["in_progress"] == "40.00" and house.kiosk.bill(other["bill"])["in_progress"] == "0.00"
    house.sim.pay(first.json)
    late = house.kiosk.pay(bill["bill"], "40.00", key=key)
    assert late.status == 200 and late.json["state"] == "succeeded" and late.json["payment"] == first.json["payment"]
    assert house.desk.pay(bill["bill"], "40.00", key=key).status == 201, "another client's key is another key"
    missing = house.kiosk.post(f"/v1/bills/{bill['bill']}/payments", {"channel": "wechatpay", "amount": "1.00"})
    assert (missing.status, missing.json["reason"]) == (400, "idempotency_key_missing")
    assert house.kiosk.pay(bill["bill"], "1.00", key="k" * 201).status == 422


def test_one_key_from_six_threads(house, bill):
    """A kiosk that is not patient: one payment, one order at the channel."""
    orders = len(house.sim.get("/sim/orders").json["orders"])
    replies = together(*(lambda: house.kiosk.pay(bill["bill"], "100.00", key=f"six-{bill['bill']}") for _ in range(6)))
    assert sorted(reply.status for reply in replies) == [200] * 5 + [201]
    assert len({reply.json["payment"] for reply in replies}) == 1
    assert len(house.sim.get("/sim/orders").json["orders"]) == orders + 1


def test_a_payment_is_pinned_to_the_version_that_was_seen(house, bill):
    house.desk.pay(bill["bill"], "10.00", "cash")
    reply = house.kiosk.pay(bill["bill"], "90.00", version=1)
    assert (reply.status, reply.json["reason"]) == (409, "bill_changed")
    version = house.kiosk.bill(bill["bill"])["version"]
    assert house.kiosk.pay(bill["bill"], "90.00", version=version + 1).status == 409
    reply = house.kiosk.pay(bill["bill"], "90.00", version=version)
    assert reply.status == 201 and reply.json["bill_version"] == version
    for wrong in (0, -1, "x", 10**12):
        assert house.kiosk.pay(bill["bill"], "1.00", version=wrong).json["pointer"] == "/version"


def test_cash_at_the_desk_only(house, visit, bill):
    reply = house.kiosk.pay(bill["bill"], "100.00", "cash")
    assert (reply.status, reply.json["reason"], reply.json["pointer"]) == (403, "forbidden", "/channel")
    reply = house.desk.pay(bill["bill"], "100.00", "cash")
    assert reply.status == 201 and (reply.json["state"], reply.json["code_url"]) == ("succeeded", None)
    receipt = house.desk.receipt(reply.json["receipt"])
    assert (receipt["channel"], receipt["amount"]) == ("cash", "100.00")
    assert house.kiosk.visit(visit)["state"] == "settled"
    assert house.value("select sum(amount)::bigint from journal_posting join visit using (visit_id) where visit_no = %s and account = 'cash'", visit) == 10000


def test_cash_twice_at_the_same_key(house, bill):
    replies = together(*(lambda: house.desk.pay(bill["bill"], "25.00", "cash", key=f"cash-{bill['bill']}") for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [200, 200, 200, 201]
    assert len({reply.json["receipt"] for reply in replies}) == 1
    assert house.kiosk.bill(bill["bill"])["paid"] == "25.00"


def test_wrong_requests(house, bill):
    for channel in ("alipay", "", None, 5):
        reply = house.kiosk.pay(bill["bill"], "1.00", channel)
        assert reply.status == 422 and reply.json["reason"] in ("channel_unknown", "field_missing", "field_invalid"), reply
    assert house.kiosk.pay("0" * 32, "1.00").json["reason"] == "bill_unknown"
    assert house.kiosk.get("/v1/payments/none").status == house.kiosk.get("/v1/receipts/none").status == house.kiosk.post("/v1/payments/none/cancel").status == 404
    assert house.kiosk.bill(bill["bill"])["in_progress"] == "0.00"


# ---- giving up

def test_cancel(house, bill):
    """The order is closed at the channel before the attempt ends: the code is worth nothing any more."""
    payment = house.kiosk.pay(bill["bill"], "100.00").json
    reply = house.kiosk.post(f"/v1/payments/{payment['payment']}/cancel")
    assert reply.status == 200 and (reply.json["state"], reply.json["code_url"]) == ("closed", None)
    assert order_of(house, payment)["trade_state"] == "CLOSED"
    assert house.sim.post("/sim/pay", {"code_url": payment["code_url"]}).status == 409
    assert house.kiosk.bill(bill["bill"])["in_progress"] == "0.00"
    assert house.kiosk.post(f"/v1/payments/{payment['payment']}/cancel").json["state"] == "closed", "again is harmless"
    assert house.kiosk.pay(bill["bill"], "100.00").status == 201


def test_cancel_after_the_patient_paid(house, bill):
    """With the notification still on its way, the channel's word counts: paid."""
    payment = house.kiosk.pay(bill["bill"], "100.00").json
    house.sim.pay(payment, notify="none")
    reply = house.kiosk.post(f"/v1/payments/{payment['payment']}/cancel")
    assert reply.status == 200 and reply.json["state"] == "succeeded" and reply.json["receipt"], reply
    assert house.kiosk.bill(bill["bill"])["state"] == "settled"
    assert house.sim.notify(payment)["status"] == 204
    reply = house.kiosk.post(f"/v1/payments/{payment['payment']}/cancel")
    assert (reply.status, reply.json["reason"]) == (409, "payment_succeeded")
    assert house.value("select count(*) from capture c join payment p using (payment_id) where public_id = %s", payment["payment"]) == 1


def test_cancel_and_pay_race(house, visits):
    """The phone pays in the moment in which the kiosk gives up: one of them wins, and both know which."""
    payments = [house.kiosk.pay(house.billed(visit)["bill"], "100.00").json for visit in visits(6)]
    for payment in payments:
        reply, paid = together(lambda payment=payment: house.kiosk.post(f"/v1/payments/{payment['payment']}/cancel"),
                               lambda payment=payment: house.sim.post("/sim/pay", {"code_url": payment["code_url"]}))
        state = "succeeded" if paid.status == 200 else "closed"
        wait_until(lambda payment=payment, state=state: house.kiosk.payment(payment["payment"])["state"] == state, "the race to have one winner")
        assert reply.status in (200, 409)
        assert house.kiosk.bill(payment["bill"])["paid"] == ("100.00" if state == "succeeded" else "0.00")
    assert house.broken() == []


# ---- receipts

def test_receipt_numbers_have_no_gap(house, visits):
    """Payments at once, some of which are refused: numbers run on without a gap and without two alike."""
    bills = [house.billed(visit) for visit in visits(3)]
    last = house.value("select coalesce(max(number), 0) from receipt")

    def pay(n):
        return house.desk.pay(bills[n % 3]["bill"], "9.00", "cash", key=f"{bills[0]['bill']}-{n}")

    replies = together(*(lambda n=n: pay(n) for n in range(45)))
    assert sum(reply.status == 201 for reply in replies) == 33, "eleven parts of 9.00 fit into each bill"
    numbers = sorted(int(house.desk.receipt(reply.json["receipt"])["receipt_no"].rsplit("-", 1)[1]) for reply in replies if reply.status == 201)
    assert numbers == list(range(last + 1, last + 34))
    assert house.rows("select min(number), max(number), count(*) from receipt") == [(1, last + 33, last + 33)]


def test_overpaid_elsewhere(house, visit):
    """What a window took beyond the bill stays the visit's credit, and pays for what comes later."""
    house.clinic.charge(visit, ft1("1", "10.00"), ft1("P", "15.00", kind="PY"))
    first = house.discharge(visit)
    assert (first["state"], first["paid"]) == ("settled", "10.00")
    house.clinic.charge(visit, ft1("2", "7.00"))
    second = house.next_bill(visit, 1)
    assert (second["paid"], second["outstanding"]) == ("5.00", "2.00") and house.broken() == []
