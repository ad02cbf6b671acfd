"""Invariants 7 and 9: a bill is collected once. What an attempt reserves, what a capture applies, where money goes that comes late."""

import json

import psycopg2
import pytest

from .ledger import charge, fresh_number, reversal


@pytest.fixture(name="bill")
def _bill(ledger, visit):
    ledger.post(charge(visit, "a", 1000))
    (bill,) = ledger.close_now(visit)
    return bill


def now(ledger, bill):
    """The bill as it is now."""
    visit = ledger.value("select visit_no from visit where visit_id = %s", bill.visit_id)
    return next(one for one in ledger.bills(visit) if one.bill_id == bill.bill_id)


def state(ledger, payment):
    return ledger.value("select state from payment where payment_id = %s", payment.payment_id)


def test_from_order_to_receipt(ledger, visit, bill):
    payment = ledger.pay(bill, 1000)
    doc = ledger.payment(payment)
    assert (payment.outcome, doc["state"], doc["amount"], doc["code_url"]) == ("done", "created", "10.00", None)
    assert now(ledger, bill).live == 1000
    assert ledger.pending(payment)[1]["code_url"] == "weixin://x"
    assert ledger.capture(payment.order, 1000) == "done"
    after = now(ledger, bill)
    assert (after.paid, after.live, after.owed, after.state) == (1000, 0, 0, "settled")
    assert ledger.visit(visit).state == "settled"
    doc = ledger.payment(payment)
    assert doc["state"] == "succeeded" and doc["receipt"]
    outcome, receipt = ledger.row("select outcome, doc::json from receipt_get(%s, '{*}')", doc["receipt"])
    assert (outcome, receipt["amount"], receipt["bill_no"], receipt["channel"]) == ("done", "10.00", bill.bill_no, "wechatpay")


def test_cash_is_captured_at_once(ledger, visit, bill):
    payment = ledger.pay_cash(bill, 400)
    assert payment.doc["state"] == "succeeded" and payment.doc["receipt"]
    assert (now(ledger, bill).paid, ledger.visit(visit).state) == (400, "billed")
    ledger.pay_cash(now(ledger, bill))
    assert ledger.visit(visit).state == "settled"


def test_live_attempts_never_exceed_what_is_owed(ledger, bill):
    assert ledger.pay(bill, 1001).outcome == "amount_exceeds"
    assert ledger.pay(bill, 600).outcome == "done"
    assert ledger.pay(bill, 401).outcome == "payment_in_progress"
    assert ledger.pay(bill, 400).outcome == "done"
    assert ledger.pay(bill, 1).outcome == "payment_in_progress"
    assert ledger.pay(bill, 1, channel="cash").outcome == "payment_in_progress"
    assert now(ledger, bill).live == 1000


def test_what_an_attempt_reserved_comes_back_when_it_ends(ledger, visit, bill):
    payment = ledger.pay(bill, 1000)
    assert ledger.end(payment)[1]["state"] == "closed"
    assert (now(ledger, bill).live, ledger.visit(visit).state) == (0, "billed")
    assert ledger.end(payment)[1]["state"] == "closed"
    assert now(ledger, bill).live == 0
    assert ledger.pay(bill, 1000).outcome == "done"


def test_unknown_is_a_state_that_keeps_its_reserve(ledger, bill):
    payment = ledger.pay(bill, 1000)
    assert ledger.unknown(payment)[1]["state"] == "unknown"
    assert now(ledger, bill).live == 1000
    assert ledger.pending(payment)[1]["state"] == "pending"
    ledger.unknown(payment)
    assert ledger.capture(payment.order, 1000) == "done"
    for step in (ledger.unknown, ledger.pending, ledger.end):
        assert step(payment)[1]["state"] == "succeeded"
    assert now(ledger, bill).paid == 1000


def test_an_end_is_final_for_everything_but_money(ledger, bill):
    payment = ledger.pay(bill, 1000)
    ledger.end(payment, "failed")
    assert ledger.pending(payment)[1]["state"] == ledger.unknown(payment)[1]["state"] == ledger.end(payment)[1]["state"] == "failed"


@pytest.mark.parametrize("wanted", ["succeeded", "created", "pending", "unknown", "lost"])
def test_an_attempt_ends_only_as_closed_or_failed(desk, bill, wanted):
    own = desk.ledger()
    payment = own.pay(bill, 1000)
    own.connection.autocommit = False
    with pytest.raises(psycopg2.Error):
        own.end(payment, wanted)
    own.connection.rollback()


def test_a_payment_is_pinned_to_the_version_the_payer_saw(ledger, visit, bill):
    ledger.pay_cash(bill, 100)
    assert ledger.pay(bill, 900, version=bill.version).outcome == "bill_changed"
    assert ledger.pay(bill, 900, version=now(ledger, bill).version).outcome == "done"
    assert ledger.value("select bill_version from payment where bill_id = %s order by 1 desc limit 1", bill.bill_id) == bill.version + 1


def test_a_key_makes_it_happen_once(ledger, bill):
    first = ledger.pay(bill, 400, key=fresh_number("k"), client="kiosk1")
    key = ledger.value("select idempotency_key from payment where payment_id = %s", first.payment_id)
    again = ledger.pay(bill, 400, key=key, client="kiosk1")
    assert (again.outcome, again.doc, again.payment_id) == ("replayed", ledger.payment(first), first.payment_id)
    assert ledger.pay(bill, 500, key=key, client="kiosk1").outcome == "idempotency_mismatch"
    assert ledger.pay(bill, 400, key=key, client="kiosk2").outcome == "done"
    assert now(ledger, bill).live == 800


def test_bills_that_cannot_be_paid(ledger, visit, bill):
    ledger.post(reversal(visit, "b", of="a", amount=10))
    ledger.close()
    note = ledger.bills(visit)[1]
    assert ledger.pay(note, 10).outcome == "bill_settled"
    ledger.reopen(visit)
    assert ledger.pay(bill, 10).outcome == "bill_void"
    assert ledger.pay(ledger.bills(visit)[2], 10).outcome == "bill_void"
    new = ledger.close_now(visit)[-1]
    ledger.pay_cash(new)
    assert ledger.pay(new, 1).outcome == "bill_settled"
    assert ledger.pay(new, 10, scope=["W01"]).outcome == "bill_unknown"
    assert ledger.value("select outcome from payment_create('nonsense', null, 'cash', '', 1, 'c', 'nk', gen_random_uuid(), '5 min', '{*}')") == "bill_unknown"


def test_a_capture_that_does_not_fit_its_order_changes_nothing(ledger, bill):
    payment = ledger.pay(bill, 1000)
    assert ledger.capture("nonsense", 1000) == "order_unknown"
    assert ledger.capture(payment.order, 1000, channel="cash") == "order_unknown"
    assert ledger.capture(payment.order, 1000, merchant="m2") == "merchant_mismatch"
    assert ledger.capture(payment.order, 999) == "amount_mismatch"
    assert (state(ledger, payment), now(ledger, bill).paid) == ("created", 0)


def test_a_notification_repeated_is_harmless(ledger, bill):
    payment = ledger.pay(bill, 1000)
    transaction = fresh_number("tx")
    assert [ledger.capture(payment.order, 1000, transaction) for _ in range(3)] == ["done", "repeated", "repeated"]
    assert ledger.value("select count(*) from receipt where bill_id = %s", bill.bill_id) == 1


def test_a_success_after_close_pays_what_is_still_owed(ledger, visit, bill):
    payment = ledger.pay(bill, 1000)
    ledger.end(payment)
    assert ledger.capture(payment.order, 1000) == "done"
    assert (state(ledger, payment), now(ledger, bill).state, ledger.credit_of(visit)) == ("succeeded", "settled", 0)


def test_a_success_after_close_and_another_payment_is_credit(ledger, visit, bill):
    late = ledger.pay(bill, 1000)
    ledger.end(late)
    ledger.pay_cash(bill, 700)
    assert ledger.capture(late.order, 1000) == "done"
    assert (now(ledger, bill).paid, ledger.credit_of(visit)) == (1000, 700)
    assert ledger.value("select count(*) from receipt where bill_id = %s", bill.bill_id) == 2


def test_late_money_leaves_others_their_reserve(ledger, visit, bill):
    late = ledger.pay(bill, 1000)
    ledger.end(late)
    live = ledger.pay(bill, 800)
    assert ledger.capture(late.order, 1000) == "done"
    assert (now(ledger, bill).paid, now(ledger, bill).live, ledger.credit_of(visit)) == (200, 800, 800)
    ledger.end(live)        # its reserve is free: the waiting credit takes it
    assert (now(ledger, bill).state, ledger.credit_of(visit)) == ("settled", 0)


def test_a_second_capture_of_one_order_is_credit(ledger, visit, bill):
    payment = ledger.pay(bill, 1000)
    assert [ledger.capture(payment.order, 1000), ledger.capture(payment.order, 1000)] == ["done", "done"]
    assert (now(ledger, bill).paid, ledger.credit_of(visit)) == (1000, 1000)


def test_money_for_a_bill_that_was_taken_back_is_credit_for_the_next(ledger, visit, bill):
    payment = ledger.pay(bill, 1000)
    ledger.end(payment)
    ledger.reopen(visit)
    assert ledger.capture(payment.order, 1000) == "done"
    assert (now(ledger, bill).paid, ledger.credit_of(visit), ledger.visit(visit).state) == (0, 1000, "open")
    ledger.post(charge(visit, "b", 200))
    new = ledger.close_now(visit)[-1]
    assert (new.total, new.paid, new.owed, ledger.credit_of(visit)) == (1200, 1000, 200, 0)


def test_and_pays_the_next_at_once_where_that_is_issued_already(ledger, visit, bill):
    payment = ledger.pay(bill, 1000)
    ledger.end(payment)
    ledger.reopen(visit)
    ledger.post(charge(visit, "b", 200))
    ledger.close_now(visit)
    assert ledger.capture(payment.order, 1000) == "done"
    assert ([one.paid for one in ledger.bills(visit)][-1], ledger.credit_of(visit), ledger.visit(visit).state) == (1000, 0, "billed")


def test_money_taken_elsewhere_before_the_bill(ledger, visit):
    ledger.post(charge(visit, "a", 1000))
    assert ledger.pay_elsewhere(visit, "p1", 300) == "posted"
    assert ledger.credit_of(visit) == 300
    (bill,) = ledger.close_now(visit)
    assert (bill.paid, bill.owed, bill.state, ledger.credit_of(visit)) == (300, 700, "open", 0)


def test_money_taken_elsewhere_between_discharge_and_bill(ledger, visit):
    """It must not settle a visit whose bill has not been issued."""
    ledger.post(charge(visit, "a", 1000))
    ledger.discharge(visit)
    ledger.pay_elsewhere(visit, "p1", 300)
    assert ledger.visit(visit).state == "discharged"
    ledger.close()
    (bill,) = ledger.bills(visit)
    assert (bill.paid, bill.owed) == (300, 700)


def test_money_taken_elsewhere_after_the_bill(ledger, visit, bill):
    ledger.pay_elsewhere(visit, "p1", 300)
    assert (now(ledger, bill).paid, ledger.visit(visit).state) == (300, "billed")
    ledger.pay_elsewhere(visit, "p2", 900)
    assert (now(ledger, bill).state, ledger.credit_of(visit), ledger.visit(visit).state) == ("settled", 200, "settled")
    ledger.post(charge(visit, "b", 500))
    ledger.close()
    assert [(one.paid, one.owed) for one in ledger.bills(visit)] == [(1000, 0), (200, 300)]


def test_credit_pays_open_bills_oldest_first(ledger, visit, bill):
    for id in "bc":
        ledger.post(charge(visit, id, 100))
        ledger.close()
    ledger.pay_elsewhere(visit, "p", 1150)
    assert [one.owed for one in ledger.bills(visit)] == [0, 0, 50]


def test_money_moves_between_discharge_and_the_next_bill(ledger, visit, bill):
    payment = ledger.pay(bill, 1000)
    ledger.reopen(visit)
    ledger.post(charge(visit, "b", 50))
    ledger.discharge(visit)
    ledger.capture(payment.order, 1000)
    assert ledger.visit(visit).state == "discharged"
    ledger.close()
    assert ([one.owed for one in ledger.bills(visit)], ledger.visit(visit).state) == ([0, 50], "billed")


def test_attempts_are_looked_at_when_due_and_less_and_less_often(desk, ledger, bill):
    payment = ledger.pay(bill, 1000)

    def due():
        return [row.payment_id for row in ledger.rows("select * from payments_due(1000)")].count(payment.payment_id)

    owner = desk.ledger("visitbill_owner")
    assert due() == 0
    waits = []
    for _ in range(6):
        owner.ask("update payment set next_check_at = now() where payment_id = %s", payment.payment_id)
        assert due() == 1 and due() == 0
        waits.append(ledger.value("select extract(epoch from next_check_at - now())::int from payment where payment_id = %s", payment.payment_id))
    assert waits == [5, 10, 20, 40, 60, 60]
    ledger.end(payment)
    owner.ask("update payment set next_check_at = now() where payment_id = %s", payment.payment_id)
    assert due() == 0


def test_every_change_of_an_attempt_is_an_event(ledger, bill):
    payment = ledger.pay(bill, 1000)
    ledger.unknown(payment)
    ledger.pending(payment)
    ledger.end(payment)
    ledger.capture(payment.order, 1000)
    assert ledger.ask("select from_state, to_state from event where payment_id = %s and kind = 'payment' order by event_id", payment.payment_id) == [
        (None, "created"), ("created", "unknown"), ("unknown", "pending"), ("pending", "closed"), ("closed", "succeeded")]


def test_a_watcher_sees_the_version_grow(ledger, bill):
    def watched():
        ((version, doc),) = ledger.ask("select version, doc from bills_watch(%s, array[-1], '{*}')", [bill.public_id])
        return version, json.loads(doc)["outstanding"]
    assert watched() == (1, "10.00")
    ledger.pay_cash(bill, 1)
    assert watched() == (2, "9.99")
