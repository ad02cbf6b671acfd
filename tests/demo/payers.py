"""Kiosks, phones and the cash desk: look the bills of a visit up, compare them with the oracle, pay, and take the receipt.

A worker is one person at a time with connections of its own. WeChat payments go the real way: the daemon orders at the channel, the
simulated phone scans the code and pays there, the channel notifies the daemon, and the kiosk sees it by asking or by events.
"""

import queue
import threading
import time

from .api import Api, ApiError
from .catalogue import CATEGORIES
from .lines import fen, yuan

WORKERS = 12
_WAIT_S = 120
_POLL_S = 0.03
_LIVE = ("created", "pending", "unknown")
_ENOUGH = 100                   # problems after which nobody else comes
_READS_LINES = 5                # one reader in so many looks at every line


class PayerError(Exception):
    """Somebody could not pay."""


def play(day, env, progress, at_once=WORKERS):
    """Everyone who comes but the patient whose bill is shown at the end, so many at once."""
    progress.phase = "payments"
    people = queue.SimpleQueue()
    for account in day.payers():
        if account is not day.showcase and account not in day.away:
            people.put(account)
    workers = [threading.Thread(target=_work, args=(people, Payer(day, env, progress), progress), daemon=True) for _ in range(at_once)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _work(people, payer, progress):
    with payer:
        while len(progress.problems) < _ENOUGH:
            try:
                account = people.get_nowait()
            except queue.Empty:
                return
            try:
                payer.visit(account)
            except (ApiError, PayerError, OSError) as error:
                progress.problem(f"visit {account.visit_no}: {error}")
            progress.add(paid=1)


class Payer:
    def __init__(self, day, env, progress):
        self._day = day
        self._progress = progress
        self._kiosk = Api(env.http, env.kiosk_token)
        self._desk = Api(env.http, env.desk_token)
        self._phone = Api(env.sim)
        self._served = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for api in (self._kiosk, self._desk, self._phone):
            api.close()

    def visit(self, account, show=None):
        """All bills of a visit: read, compared, paid as planned, and compared again. `show` is given each bill's id and its
        payment before that is paid."""
        self._served += 1
        found = self.bills(account)
        for document, summary in zip(account.documents, found):
            self._compare(account, document, summary)
            for nth, pay in enumerate(document.pays):
                self.pay(summary["bill"], nth, pay, show)
        if any(document.pays for document in account.documents):
            after = self._kiosk.get(f"/v1/visits/{self._day.facility}/{account.visit_no}/bills")
            self._same(account, "state", account.state, after["state"])
            self._same(account, "outstanding", yuan(sum(d.outstanding for d in account.documents)), after["outstanding"])

    def bills(self, account):
        """The summaries of a visit's documents, once there are as many as there must be."""
        deadline = time.monotonic() + _WAIT_S
        while True:
            found = self._kiosk.get(f"/v1/visits/{self._day.facility}/{account.visit_no}/bills")["bills"]
            if len(found) == len(account.documents):
                return found
            if time.monotonic() > deadline:
                raise PayerError(f"expected {len(account.documents)} bills, found {len(found)} after {_WAIT_S} s")
            time.sleep(_POLL_S)

    def _compare(self, account, document, summary):
        """A bill as it stands before these payments, its categories, and for some readers its lines."""
        wants_lines = self._served % _READS_LINES == 0
        bill = self._kiosk.get(f"/v1/bills/{summary['bill']}" + ("?lines=all" if wants_lines else ""))
        paid_now = sum(pay.amount for pay in document.pays)
        patient = self._day.by_no[account.visit_no].patient
        for name, expected, found in (
            ("kind", document.kind, bill["kind"]),
            ("total", yuan(document.total), bill["total"]),
            ("paid", yuan(document.paid - paid_now), bill["paid"]),
            ("credited", yuan(document.credited), bill["credited"]),
            ("outstanding", yuan(document.outstanding + paid_now), bill["outstanding"]),
            ("patient's name", patient.name, bill["patient"]["name"]),
            ("categories", _categories(document), {c["category"]: c["amount"] for c in bill["categories"]}),
        ):
            self._same(account, f"bill {bill['bill_no']}: {name}", expected, found)
        if wants_lines and bill["line_count"]:
            self._same(account, f"bill {bill['bill_no']}: number of lines", bill["line_count"], len(bill["lines"]))
            self._same(account, f"bill {bill['bill_no']}: sum of lines", document.total, sum(fen(line["amount"]) for line in bill["lines"]))

    def _same(self, account, what, expected, found):
        if expected != found:
            self._progress.problem(f"visit {account.visit_no}: {what}: expected {expected}, found {found}")

    # ---- one payment ------------------------------------------------------------------------------

    def pay(self, bill, nth, pay, show=None):
        payment = self._order(bill, nth, pay)
        if pay.channel == "wechatpay":
            payment = self._await(payment, lambda p: p["code_url"])
            if show:
                show(bill, payment)
            payment = self._scan(payment, pay)
        if payment["state"] != "succeeded":
            raise PayerError(f"payment {payment['payment']} of {yuan(pay.amount)} is {payment['state']}")
        receipt = self._kiosk.get(f"/v1/receipts/{payment['receipt']}")
        if receipt["amount"] != yuan(pay.amount) or receipt["channel"] != pay.channel:
            raise PayerError(f"receipt {receipt['receipt_no']}: {receipt['amount']} by {receipt['channel']}"
                             f" for a payment of {yuan(pay.amount)} by {pay.channel}")

    def _order(self, bill, nth, pay):
        """Creates the payment; at a kiosk where someone taps twice, the second request is answered like the first."""
        api = self._desk if pay.channel == "cash" else self._kiosk
        wanted, key = {"channel": pay.channel, "amount": yuan(pay.amount)}, f"{bill}-{nth}"
        payment = api.post(f"/v1/bills/{bill}/payments", wanted, key, status=201)
        if pay.repeats:
            again = api.post(f"/v1/bills/{bill}/payments", wanted, key)
            if again["payment"] != payment["payment"]:
                raise PayerError(f"one key made two payments, {payment['payment']} and {again['payment']}")
        return payment

    def _scan(self, payment, pay):
        """The phone pays; returns the payment as it then is."""
        if not payment["code_url"]:
            raise PayerError(f"payment {payment['payment']} is {payment['state']} and has no code to scan")
        if pay.watches:
            self._watch(payment, pay)
        else:
            self._tap(payment, pay)
        return self._await(payment, lambda p: False)

    def _await(self, payment, is_enough):
        """The payment once that is so, or once it has ended, or when nobody would wait any longer."""
        deadline = time.monotonic() + _WAIT_S
        while payment["state"] in _LIVE and not is_enough(payment) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            payment = self._kiosk.get(f"/v1/payments/{payment['payment']}")
        return payment

    def _tap(self, payment, pay):
        self._phone.post("/sim/pay", {"code_url": payment["code_url"], "notify": pay.notify})

    def _watch(self, payment, pay):
        """Pays once the first event is here, and waits for the one that says that less is owed."""
        events = self._kiosk.events(f"/v1/bills/{payment['bill']}/events")
        first = next(events, None)
        self._tap(payment, pay)
        if not any(event["outstanding"] != first["outstanding"] for event in events):
            raise PayerError(f"the events of bill {payment['bill']} ended before its payment")
        events.close()


def _categories(document):
    return {f"{category:02}": yuan(document.subtotals[category - 1]) for category in CATEGORIES if document.subtotals[category - 1]}

