"""Invariants 5, 6, 7 and 9 against the model: random lives of visits. After each step the audit is clean and the rows are the model's; at the
end the books are."""

import random
from collections import Counter

import pytest

from .ledger import charge, fresh_number, reversal
from .model import Visit

STEPS, VISITS = 100, 5


class Play:
    """Random steps, done by the ledger and by the model."""

    def __init__(self, ledger, seed):
        self.ledger, self.rng = ledger, random.Random(seed)
        self.visits = {fresh_number(): Visit() for _ in range(VISITS)}
        self.attempts = []          # [visit number, model's bill, payment, amount, live]
        self.counts = Counter()

    def rows(self, number):
        """The database's documents, in the model's order."""
        return self.ledger.bills(number)

    def some_bill(self):
        candidates = [(number, place) for number, visit in self.visits.items() for place in range(len(visit.bills))]
        return self.rng.choice(candidates) if candidates else (None, None)

    def post(self):
        number = self.rng.choice(list(self.visits))
        visit, id = self.visits[number], fresh_number("l")
        left = visit.reversible()
        if left and self.rng.random() < 0.4:
            of = self.rng.choice(list(left))
            rest, category = left[of]
            amount = self.rng.choice([rest, self.rng.randint(1, rest)])
            line, expected = reversal(number, id, of=of, amount=amount), (id, -amount, category, of)
        else:
            amount, category = self.rng.choice([0, 1, 5, 100, 1000, self.rng.randrange(5000)]), self.rng.randint(1, 14)
            line, expected = charge(number, id, amount, category=category), (id, amount, category)
        again = self.rng.random() < 0.2
        outcomes = self.ledger.post(line, line) if again else self.ledger.post(line)
        assert outcomes[0] == visit.post(*expected)
        assert outcomes[1:] == (["duplicate"] if again else [])
        self.counts["booked"] += 1
        self.counts["duplicate"] += again
        assert outcomes.totals[number] == visit.total and outcomes.states[number] == visit.state

    def discharge(self):
        number = self.rng.choice(list(self.visits))
        if self.visits[number].lines:
            assert self.ledger.discharge(number) == self.visits[number].discharge()

    def reopen(self):
        number = self.rng.choice(list(self.visits))
        if self.visits[number].lines:
            assert self.ledger.reopen(number) == self.visits[number].reopen()

    def close(self):
        due = [visit for visit in self.visits.values() if visit.state == "discharged" or (visit.closed and visit.late)]
        issued = [visit.close() for visit in due]
        assert self.ledger.close() == (len(due), sum(bill is not None for bill in issued), 0)

    def settle(self):
        number = self.rng.choice(list(self.visits))
        if self.visits[number].lines:
            bill = self.visits[number].settle_now()
            outcome, doc = self.ledger.settle(number)
            assert outcome == "done" and (doc["bill"] is None) == (bill is None)

    def pay(self):
        number, place = self.some_bill()
        if number is None:
            return
        visit, bill = self.visits[number], self.visits[number].bills[place]
        amount = self.rng.choice([max(bill.owed, 1), self.rng.randint(1, max(abs(bill.total), 1) + 1), max(bill.owed // 2, 1)])
        channel = self.rng.choice(["cash", "wechatpay", "wechatpay"])
        payment = self.ledger.pay(self.rows(number)[place], amount, channel=channel)
        expected = visit.may_pay(bill, amount)
        assert payment.outcome == expected
        if expected == "done" and channel == "cash":
            visit.capture(bill, amount, "cash", True)
        elif expected == "done":
            self.attempts.append([number, bill, payment, amount, True])

    def capture(self):
        if self.attempts:
            attempt = self.rng.choice(self.attempts)
            number, bill, payment, amount, live = attempt
            assert self.ledger.capture(payment.order, amount) == "done"
            self.visits[number].capture(bill, amount, "wechatpay", live)
            attempt[4] = False
            if self.rng.random() < 0.9:
                self.attempts.remove(attempt)

    def end(self):
        if self.attempts:
            attempt = self.rng.choice(self.attempts)
            number, bill, payment, amount, live = attempt
            self.ledger.end(payment, self.rng.choice(["closed", "failed"]))
            if live:
                self.visits[number].end(bill, amount)
            attempt[4] = False

    def elsewhere(self):
        number, amount = self.rng.choice(list(self.visits)), self.rng.randint(1, 3000)
        if self.visits[number].lines:
            assert self.ledger.pay_elsewhere(number, fresh_number("p"), amount) == "posted"
            self.visits[number].elsewhere(amount)
            self.counts["booked"] += 1

    def step(self):
        steps = [self.post] * 6 + [self.discharge] * 3 + [self.close] * 4 + [self.settle] * 2 + [self.reopen, self.elsewhere] + [self.pay] * 4 + [self.capture] * 2 + [self.end]
        self.rng.choice(steps)()

    def check(self):
        for number, visit in self.visits.items():
            if not visit.lines:
                continue
            row, bills = self.ledger.visit(number), self.rows(number)
            assert (row.state, row.total, row.line_count) == (visit.state, visit.total, len(visit.lines)), number
            # which credit note or capture paid is the database's choice where several could
            found = [(bill.kind, bill.total, bill.first_line or 0, bill.last_line or 0) for bill in bills]
            assert found == [(bill.kind, bill.total, bill.first, bill.last) for bill in visit.bills]
            found = [(bill.total, bill.paid, bill.credited, bill.live, bill.state) for bill in bills if bill.total >= 0]
            assert found == [(bill.total, bill.paid, bill.credited, bill.live, bill.state) for bill in visit.bills if bill.total >= 0]
            assert sum(bill.owed for bill in bills if bill.state != "void") == sum(bill.owed for bill in visit.bills)
            assert self.ledger.credit_of(number) == visit.credit


def yuan(fen):
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02}"


def sums(pairs):
    totals = Counter()
    for key, amount in pairs:
        totals[key] += amount
    return totals


def check_books(ledger, play):
    books, visits = ledger.books(), [visit for visit in play.visits.values() if visit.lines]
    bills = [bill for visit in visits for bill in visit.bills]
    captures = [capture for visit in visits for capture in visit.captures]
    assert (books["unexplained"], books["broken"]) == ("0.00", 0)
    assert books["lines"]["booked"] == play.counts["booked"] and books["lines"]["duplicate"] == play.counts["duplicate"]
    assert books["lines"]["received"] == play.counts["booked"] + play.counts["duplicate"]
    assert books["visits"] == dict(Counter(visit.state for visit in visits))
    assert (books["bills"]["issued"], books["bills"]["total"]) == (len(bills), yuan(sum(bill.total for bill in bills)))
    assert {kind: part["total"] for kind, part in books["bills"]["by_kind"].items()} == {
        kind: yuan(total) for kind, total in sums((bill.kind, bill.total) for bill in bills).items()}
    assert books["collected"] == {channel: yuan(total) for channel, total in sums((one.channel, one.amount) for one in captures).items()}
    assert books["receipts"] == sum(visit.receipts for visit in visits)
    assert books["credit"] == yuan(sum(visit.credit for visit in visits))
    assert books["outstanding"] == yuan(sum(bill.owed for bill in bills))
    billed = [line for visit in visits for line in visit.lines[:visit.billed]]
    assert books["unbilled"] == yuan(sum(visit.total for visit in visits) - sum(line[1] for line in billed))
    revenue = {f"{category:02}": yuan(total) for category, total in sums((line[2], line[1]) for line in billed).items() if total}
    assert {category: amount for category, amount in books["revenue"].items() if amount != "0.00"} == revenue
    debit, credit = ([round(float(row[side]) * 100) for row in books["trial_balance"]] for side in ("debit", "credit"))
    assert sum(debit) == sum(credit)


@pytest.mark.parametrize("seed", range(5))
def test_a_random_life(fresh, seed):
    play = Play(fresh, seed)
    for _ in range(STEPS):
        play.step()
        play.check()
        assert fresh.audit() == []
    check_books(fresh, play)
