"""Invariants 7 and 9 from several connections: creators, captures and ends that meet, and receipts without a gap."""

import pytest

from .ledger import at_once, charge, fresh_number, reversal

LAST_NUMBER = ("select coalesce((select c.last from receipt_counter c join bill using (facility_id) where bill_id = %s"
               " and year = extract(year from now())), 0)")
YEAR_NUMBERS = "select array_agg(number order by number) from receipt join facility using (facility_id) where code = %s"


def bill_of(ledger, amount=100):
    visit = fresh_number()
    ledger.post(charge(visit, "a", amount))
    ledger.discharge(visit)
    ledger.close()
    return ledger.bills(visit)[0], visit


def test_two_kiosks_want_to_pay_the_whole(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(25):
        bill, _ = bill_of(ledger)
        payments = at_once(lambda: one.pay(bill, 100), lambda: two.pay(bill, 100))
        assert sorted(payment.outcome for payment in payments) == ["done", "payment_in_progress"]


def test_many_part_payments_never_exceed(ledger, desk):
    ledgers = [desk.ledger() for _ in range(5)]
    for _ in range(6):
        bill, visit = bill_of(ledger)
        outcomes = at_once(*[lambda own=own: [own.pay(bill, 9, channel="cash").outcome for _ in range(4)] for own in ledgers])
        assert sorted(sum(outcomes, [])) == ["amount_exceeds"] * 9 + ["done"] * 11
        assert ledger.bills(visit)[0].paid == 99


def test_one_key_from_two_connections_is_one_payment(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(25):
        bill, _ = bill_of(ledger)
        key = fresh_number("key")
        payments = at_once(lambda: one.pay(bill, 50, key=key), lambda: two.pay(bill, 50, key=key))
        assert sorted(payment.outcome for payment in payments) == ["done", "replayed"]
        assert payments[0].payment_id == payments[1].payment_id


def test_the_notification_and_the_query_report_one_success(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(25):
        bill, visit = bill_of(ledger)
        payment, transaction = ledger.pay(bill, 100), fresh_number("tx")
        outcomes = at_once(lambda: one.capture(payment.order, 100, transaction), lambda: two.capture(payment.order, 100, transaction))
        assert sorted(outcomes) == ["done", "repeated"]
        assert (ledger.bills(visit)[0].paid, ledger.credit_of(visit)) == (100, 0)


def test_a_success_meets_a_close(ledger, desk):
    """Whichever comes first, the money counts and the reserve is gone."""
    one, two = desk.ledger(), desk.ledger()
    for _ in range(25):
        bill, visit = bill_of(ledger)
        payment = ledger.pay(bill, 100)
        at_once(lambda: one.capture(payment.order, 100), lambda: two.end(payment))
        after = ledger.bills(visit)[0]
        assert (after.paid, after.live, after.state) == (100, 0, "settled")
        assert ledger.value("select state from payment where payment_id = %s", payment.payment_id) == "succeeded"


def test_money_meets_a_discharge_taken_back(ledger, desk):
    """Either the bill was begun to be paid and stands, or it is void and the money waits as credit."""
    one, two = desk.ledger(), desk.ledger()
    for _ in range(25):
        bill, visit = bill_of(ledger)
        payment, _ = at_once(lambda: one.pay(bill, 100, channel="cash"), lambda: two.reopen(visit))
        after = ledger.bills(visit)[0]
        assert (payment.outcome, after.state, after.paid) in [("done", "settled", 100), ("bill_void", "void", 0)]
        assert ledger.visit(visit).state == "open"


def test_a_payment_meets_a_late_reversal(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(25):
        bill, visit = bill_of(ledger)

        def reverse():
            two.post(reversal(visit, "r", of="a", amount=60))
            two.close()

        payment, _ = at_once(lambda: one.pay(bill, 100, channel="cash"), reverse)
        ledger.close()
        owed = [(one.kind, one.owed) for one in ledger.bills(visit)]
        if payment.outcome == "done":
            assert owed == [("bill", 0), ("credit_note", -60)]
        else:
            assert (payment.outcome, owed) == ("amount_exceeds", [("bill", 40), ("credit_note", 0)])


def test_receipts_have_no_gap_whoever_fails(ledger, desk):
    """Successes of four connections, among transactions that are rolled back."""
    bills = [[bill_of(ledger)[0] for _ in range(8)] for _ in range(4)]
    ledgers = [desk.ledger() for _ in range(4)]

    def till(own, mine):
        for n, bill in enumerate(mine):
            own.connection.autocommit = n % 3 != 1
            own.pay(bill, 100, channel="cash")
            if n % 3 == 1:
                own.connection.rollback()
        own.connection.autocommit = True

    at_once(*[lambda own=own, mine=mine: till(own, mine) for own, mine in zip(ledgers, bills)])
    numbers = ledger.value(YEAR_NUMBERS, "H01")
    assert numbers == list(range(1, len(numbers) + 1))
    assert sum(ledger.value("select count(*) from receipt where bill_id = %s", bill.bill_id) for mine in bills for bill in mine) == 4 * 5


def test_a_batch_of_captures_judges_each_by_itself(ledger):
    (one, first), (two, second) = bill_of(ledger), bill_of(ledger)
    paid, ended = ledger.pay(one, 100), ledger.pay(two, 60)
    ledger.end(ended)
    tx = [fresh_number("tx") for _ in range(5)]
    assert ledger.captures((paid.order, 100, tx[0]), ("nonsense", 5, tx[1]), (paid.order, 100, tx[0]), (ended.order, 61, tx[2]), (ended.order, 60, tx[3]),
                           (paid.order, 100, tx[4])) == ["done", "order_unknown", "repeated", "amount_mismatch", "done", "done"]
    assert (ledger.bills(first)[0].paid, ledger.credit_of(first)) == (100, 100)
    assert (ledger.bills(second)[0].paid, ledger.credit_of(second)) == (60, 0)


def orders_of_two_facilities(ledger):
    """Live orders over 60 for bills over 100, of H01 and L01 in turn."""
    bills = []
    for _ in range(6):
        bills.append(bill_of(ledger)[0])
        visit = fresh_number()
        ledger.post(charge(visit, "a", 100, feed="late", facility="L01"))
        ledger.discharge(visit, facility="L01", feed="late")
        ledger.close()
        bills += ledger.bills(visit)
    return bills, [(ledger.pay(bill, 60).order, 60, fresh_number("tx")) for bill in bills]


@pytest.mark.parametrize("stranger", [False, True], ids=["as expected", "among others"])
def test_a_batch_of_captures_records_each(ledger, stranger):
    """What is expected goes by one statement, a batch with anything else one by one: the same rows come of both."""
    bills, captures = orders_of_two_facilities(ledger)
    first = [ledger.value(LAST_NUMBER, bill.bill_id) for bill in bills]
    outcomes = ledger.captures(*captures, *[("nonsense", 60, fresh_number("tx"))] * stranger)
    assert outcomes == ["done"] * 12 + ["order_unknown"] * stranger
    for bill, (order, _, transaction) in zip(bills, captures):
        (row,) = ledger.rows("select c.*, p.state from capture c join payment p using (payment_id) where p.out_trade_no = %s", order)
        assert (row.transaction_id, row.channel, row.amount, row.visit_id, row.state) == (transaction, "wechatpay", 60, bill.visit_id, "succeeded")
        assert ledger.ask("select bill_id, amount from application where capture_id = %s", row.capture_id) == [(bill.bill_id, 60)]
        assert ledger.ask("select kind, visit_id, bill_id, accounts, amounts from journal where capture_id = %s", row.capture_id) == [
            ("capture", bill.visit_id, bill.bill_id, ["wechatpay", "receivable"], [60, -60])]
        assert ledger.ask("select bill_id, facility_id, amount from receipt where capture_id = %s", row.capture_id) == [(bill.bill_id, bill.facility_id, 60)]
        assert ledger.ask("select from_state, to_state from event where payment_id = %s order by event_id", row.payment_id)[1:] == [("created", "succeeded")]
        assert ledger.row("select state, paid, live, version from bill_state where bill_id = %s", bill.bill_id) == ("open", 60, 0, 2)
    for facility in (0, 1):
        numbers = [ledger.value("select number from receipt where bill_id = %s", bill.bill_id) for bill in bills[facility::2]]
        assert sorted(numbers) == [first[facility] + n for n in range(1, 7)]
    assert ledger.audit() == []


def test_one_transaction_for_two_orders_counts_once(ledger):
    (one, first), (two, second) = bill_of(ledger), bill_of(ledger)
    transaction = fresh_number("tx")
    orders = [ledger.pay(bill, 100).order for bill in (one, two)]
    assert ledger.captures((orders[0], 100, transaction), (orders[1], 100, transaction)) == ["done", "repeated"]
    assert [ledger.bills(visit)[0].state for visit in (first, second)] == ["settled", "open"]
    assert [ledger.visit(visit).state for visit in (first, second)] == ["settled", "billed"]


def test_two_attempts_on_one_bill_in_one_batch(ledger):
    bill, visit = bill_of(ledger)
    orders = [ledger.pay(bill, amount).order for amount in (30, 70)]
    assert ledger.captures((orders[0], 30, fresh_number("tx")), (orders[1], 70, fresh_number("tx"))) == ["done", "done"]
    assert (ledger.bills(visit)[0].paid, ledger.visit(visit).state, ledger.credit_of(visit)) == (100, "settled", 0)


def test_batches_of_the_same_captures_at_once(ledger, desk):
    """The same successes from two daemons, each in its own order, among new payments: once each."""
    one, two, till = desk.ledger(), desk.ledger(), desk.ledger()
    for _ in range(6):
        bills, captures = orders_of_two_facilities(ledger)
        first, second, _ = at_once(lambda: one.captures(*captures), lambda: two.captures(*reversed(captures)),
                                   lambda: [till.pay(bill, 40, channel="cash") for bill in bills])
        assert [sorted(pair) for pair in zip(first, reversed(second))] == [["done", "repeated"]] * 12
        assert {row[0] for row in ledger.ask("select state from bill_state where bill_id = any (%s)", [bill.bill_id for bill in bills])} == {"settled"}


def test_batches_of_different_captures_do_not_wait_for_each_others_receipts(ledger, desk):
    one, two = desk.ledger(), desk.ledger()
    for _ in range(8):
        mine, yours = orders_of_two_facilities(ledger)[1], orders_of_two_facilities(ledger)[1]
        assert at_once(lambda: one.captures(*mine), lambda: two.captures(*yours)) == [["done"] * 12] * 2


def test_two_workers_do_not_look_at_the_same_attempt(ledger, desk):
    payments = [ledger.pay(bill_of(ledger)[0], 100).payment_id for _ in range(30)]
    owner = desk.ledger("visitbill_owner")
    owner.ask("update payment set next_check_at = now() + interval '1 h'")      # other tests' may be due by now
    owner.ask("update payment set next_check_at = now() - interval '1 s' where payment_id = any (%s)", payments)
    one, two = desk.ledger(), desk.ledger()
    claimed = at_once(*[lambda own=own: [row[0] for _ in range(6) for row in own.ask("select payment_id from payments_due(5)")] for own in (one, two)])
    mine = [payment for payment in sum(claimed, []) if payment in payments]
    assert sorted(mine) == payments
