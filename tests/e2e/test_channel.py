"""When the channel fails: no answer, half an answer, a wrong one, a late one. Nothing is ever called failed that can still be paid, and money that
comes late is kept. The annex waits 400 ms for an answer; tests make payments look older instead of waiting."""

import threading

import pytest

from .api import line
from .live import wait_until


@pytest.fixture(name="bill")
def _bill(annex, visit):
    """100.00 in the annex, where no fault is planned."""
    for route in ("native", "query", "close"):
        annex.sim.fault(route, count=0)
    yield annex.billed(visit)
    for route in ("native", "query", "close"):
        annex.sim.fault(route, count=0)


def state_of(annex, payment):
    return annex.kiosk.payment(payment["payment"])["state"]


def ends(annex, payment, *states):
    return wait_until(lambda: state_of(annex, payment) in states and annex.kiosk.payment(payment["payment"]), f"the payment to be {states}")


def number_of(annex, payment):
    return annex.value("select out_trade_no from payment where public_id = %s", payment["payment"])


def planned(annex):
    """The faults of queries that are still to come."""
    return annex.sim.post("/sim/fault", {"route": "native", "count": 0}).json["pending"]["query"]


def free(annex, bill):
    seen = annex.kiosk.bill(bill["bill"])
    return (seen["in_progress"], seen["outstanding"], seen["state"]) == ("0.00", "100.00", "open")


@pytest.mark.parametrize("mode", ["timeout", "drop", "bad_signature"])
def test_order_without_an_answer(annex, bill, mode):
    """The channel has the order and nobody knows: unknown, without a code; its amount stays reserved until the channel was asked and the order closed."""
    annex.sim.fault("native", mode, **({"delay_ms": 1500} if mode == "timeout" else {}))
    reply = annex.kiosk.pay(bill["bill"], "100.00")
    payment = reply.json
    assert reply.status == 201 and (payment["state"], payment["code_url"], payment["receipt"]) == ("unknown", None, None)
    second = annex.kiosk.pay(bill["bill"], "100.00")
    assert (second.status, second.json["reason"]) == (409, "payment_in_progress")
    annex.hasten(payment)
    ended = ends(annex, payment, "failed", "closed")
    assert annex.sim.order(number_of(annex, payment)).json["trade_state"] == "CLOSED", "only then"
    assert ended["receipt"] is None and free(annex, bill)
    assert annex.kiosk.pay(bill["bill"], "100.00").json["state"] == "pending" and annex.broken() == []


@pytest.mark.parametrize("mode", ["timeout", "drop"])
def test_unknown_and_paid(annex, bill, mode):
    """The order that nobody knew of was paid: it succeeds, by the notification or by asking."""
    annex.sim.fault("native", mode, **({"delay_ms": 1500} if mode == "timeout" else {}))
    payment = annex.kiosk.pay(bill["bill"], "100.00").json
    assert payment["state"] == "unknown"
    annex.sim.pay(out_trade_no=number_of(annex, payment), notify="normal" if mode == "drop" else "none")
    annex.hasten(payment)
    assert ends(annex, payment, "succeeded")["receipt"]
    assert annex.kiosk.bill(bill["bill"])["state"] == "settled" and annex.broken() == []


@pytest.mark.parametrize("mode", ["500", "system_error"])
def test_order_that_never_came(annex, bill, mode):
    """The channel does not know it. For the first minute that may be because it is slow; then the attempt has failed."""
    annex.sim.fault("native", mode)
    payment = annex.kiosk.pay(bill["bill"], "100.00").json
    assert payment["state"] == "unknown"
    annex.hasten(payment)
    wait_until(lambda: annex.value("select checks from payment where public_id = %s", payment["payment"]) > 0, "the channel to be asked")
    assert state_of(annex, payment) == "unknown" and not free(annex, bill)
    annex.hasten(payment, 90)
    assert ends(annex, payment, "failed")["reason"] == "order_not_found"
    assert free(annex, bill)


def test_channel_that_cannot_be_reached(annex, bill):
    """Where not even a connection was made the attempt has certainly failed, at once; another one may follow."""
    url = annex.env["VISITBILL_SIM"]
    annex.configure({"wechatpay main": {"api_url": "http://127.0.0.1:1"}})
    assert " info reload " in annex.reload()
    try:
        reply = annex.kiosk.pay(bill["bill"], "100.00")
        assert reply.status == 201 and (reply.json["state"], reply.json["code_url"]) == ("failed", None) and reply.json["reason"], reply
        assert free(annex, bill)
    finally:
        annex.configure({"wechatpay main": {"api_url": url}})
        annex.reload()
    assert annex.kiosk.pay(bill["bill"], "100.00").json["state"] == "pending"


@pytest.mark.parametrize("mode", ["timeout", "drop", "500", "system_error", "bad_signature"])
def test_asking_fails(annex, bill, mode):
    """An attempt whose question got no good answer stays what it was, and is asked for again."""
    payment = annex.kiosk.pay(bill["bill"], "100.00").json
    annex.sim.pay(payment, notify="none")
    annex.sim.fault("query", mode, 2, **({"delay_ms": 900} if mode == "timeout" else {}))
    for left in (1, 0):
        annex.hasten(payment)
        wait_until(lambda left=left: len(planned(annex)) == left, "the channel to be asked")
        assert state_of(annex, payment) in ("pending", "unknown") and annex.kiosk.bill(bill["bill"])["in_progress"] == "100.00"
    wait_until(lambda: annex.hasten(payment) or state_of(annex, payment) == "succeeded", "the payment to be found", every=0.2)
    assert annex.broken() == []


@pytest.mark.parametrize("mode", ["timeout", "drop", "500", "system_error", "bad_signature"])
def test_closing_fails(annex, bill, mode):
    """Given up, and the channel did not say that the order is closed: it may still be paid, so it is unknown until the channel has said so."""
    payment = annex.kiosk.pay(bill["bill"], "100.00").json
    annex.sim.fault("close", mode, **({"delay_ms": 900} if mode == "timeout" else {}))
    reply = annex.kiosk.post(f"/v1/payments/{payment['payment']}/cancel")
    assert reply.status == 200 and reply.json["state"] == "unknown", reply
    assert not free(annex, bill)
    annex.hasten(payment)
    assert ends(annex, payment, "closed", "failed")["state"] == "closed", "it was given up, it did not fail"
    assert annex.sim.order(number_of(annex, payment)).json["trade_state"] == "CLOSED" and free(annex, bill)


def test_closing_fails_and_the_patient_pays(annex, bill):
    payment = annex.kiosk.pay(bill["bill"], "100.00").json
    annex.sim.fault("close", "500")
    assert annex.kiosk.post(f"/v1/payments/{payment['payment']}/cancel").json["state"] == "unknown"
    assert annex.sim.pay(payment)["status"] == 204
    assert state_of(annex, payment) == "succeeded" and annex.kiosk.bill(bill["bill"])["state"] == "settled"


def test_expired(annex, bill):
    """Nobody scanned the code: the order is closed and the bill free again."""
    payment = annex.kiosk.pay(bill["bill"], "100.00").json
    annex.rows("update payment set expires_at = now() where public_id = %s", payment["payment"])
    annex.hasten(payment)
    assert ends(annex, payment, "closed")["reason"] == "expired"
    assert annex.sim.post("/sim/pay", {"code_url": payment["code_url"]}).status == 409 and free(annex, bill)


def test_expired_while_it_was_paid(annex, bill):
    """Paid in the last moment, the notification lost: asking comes before closing."""
    payment = annex.kiosk.pay(bill["bill"], "100.00").json
    annex.sim.pay(payment, notify="none")
    annex.rows("update payment set expires_at = now() where public_id = %s", payment["payment"])
    annex.hasten(payment)
    assert ends(annex, payment, "succeeded")["receipt"]


def late_order(annex, bill):
    """An attempt that was given up because the channel did not know its order, which then appears there after all."""
    annex.sim.fault("native", "slow", delay_ms=2500)
    payment = annex.kiosk.pay(bill["bill"], "100.00").json
    assert payment["state"] == "unknown"
    annex.hasten(payment, 90)
    ends(annex, payment, "failed")
    wait_until(lambda: annex.sim.order(number_of(annex, payment)).status == 200, "the order to appear")
    return payment


def test_late_success_of_an_open_bill(annex, visit, bill):
    payment = late_order(annex, bill)
    assert annex.sim.pay(out_trade_no=number_of(annex, payment))["status"] == 204
    seen = annex.kiosk.payment(payment["payment"])
    assert seen["state"] == "succeeded" and seen["receipt"]
    assert annex.kiosk.bill(bill["bill"])["state"] == "settled" and annex.kiosk.visit(visit)["state"] == "settled"
    assert annex.broken() == []


def test_late_success_of_a_paid_bill_is_credit(annex, visit, bill):
    """Money beyond what is owed is recorded, receipted and kept; it pays for what comes later."""
    payment = late_order(annex, bill)
    assert annex.desk.pay(bill["bill"], "100.00", "cash").status == 201
    assert annex.sim.pay(out_trade_no=number_of(annex, payment))["status"] == 204
    seen = annex.kiosk.payment(payment["payment"])
    assert seen["state"] == "succeeded" and annex.kiosk.receipt(seen["receipt"])["amount"] == "100.00"
    assert annex.kiosk.bill(bill["bill"])["paid"] == "100.00"
    credit = annex.value("select -sum(amount)::bigint from journal_posting join visit using (visit_id) where visit_no = %s and account = 'credit'", visit)
    assert credit == 10000 and annex.broken() == []
    annex.ward.charge(line(visit, "later", "30.00"))
    supplement = annex.next_bill(visit, 1)
    assert (supplement["paid"], supplement["state"]) == ("30.00", "settled") and annex.broken() == []


def test_second_attempt_beside_a_late_one(annex, bill):
    """Two captures for one bill: the bill takes one of them."""
    first = late_order(annex, bill)
    second = annex.kiosk.pay(bill["bill"], "100.00").json
    assert annex.sim.pay(out_trade_no=number_of(annex, first))["status"] == 204
    assert annex.kiosk.bill(bill["bill"])["in_progress"] == "100.00", "the code that is shown keeps its reserve"
    assert annex.sim.pay(second)["status"] == 204
    assert annex.kiosk.bill(bill["bill"])["paid"] == "100.00" and annex.kiosk.bill(bill["bill"])["state"] == "settled"
    assert annex.broken() == []


def test_a_slow_channel_does_not_hold_up_others(annex, bill):
    """While five orders wait for the channel the daemon answers everyone else."""
    annex.sim.fault("native", "timeout", 5, delay_ms=900)
    attempts = [threading.Thread(target=annex.kiosk.pay, args=(bill["bill"], "10.00")) for _ in range(5)]
    for attempt in attempts:
        attempt.start()
    answered = 0
    while any(attempt.is_alive() for attempt in attempts):
        answered += annex.kiosk.get(f"/v1/bills/{bill['bill']}").status == 200
    assert answered > 20
