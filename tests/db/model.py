"""What visits, bills and money should do, in Python: the slow and plain version that random tests compare the database with. It knows nothing
of SQL, and nothing of it is taken from there."""

from dataclasses import dataclass, field


@dataclass
class Bill:
    kind: str
    total: int
    first: int
    last: int
    paid: int = 0
    credited: int = 0
    live: int = 0
    state: str = "open"
    note_of: object = None
    interim: bool = False

    @property
    def owed(self):
        return 0 if self.state == "void" else self.total - self.paid - self.credited


@dataclass
class Capture:
    amount: int
    channel: str
    rest: int


@dataclass
class Visit:
    state: str = "open"
    lines: list = field(default_factory=list)       # (id, amount, category, reverses)
    billed: int = 0
    late: bool = False
    bills: list = field(default_factory=list)
    captures: list = field(default_factory=list)
    receipts: int = 0

    @property
    def total(self):
        return sum(line[1] for line in self.lines)

    @property
    def credit(self):
        return sum(capture.rest for capture in self.captures)

    @property
    def closed(self):
        return self.state in ("billed", "settled")

    def standing(self):
        return [bill for bill in self.bills if bill.state != "void"]

    # ---- lines

    def post(self, id, amount, category, reverses=None):
        self.lines.append((id, amount, category, reverses))
        self.late = self.late or self.closed
        return "late" if self.closed else "posted"

    def reversible(self):
        """id -> fen left, of charges that have something left."""
        left = {id: [amount, category] for id, amount, category, reverses in self.lines if not reverses}
        for _, amount, _, reverses in self.lines:
            if reverses:
                left[reverses][0] += amount
        return {id: rest for id, rest in left.items() if rest[0] > 0}

    # ---- closing

    def discharge(self):
        if self.state != "open":
            return "repeated"
        self.state = "discharged"
        return "done"

    def reopen(self):
        if self.state == "open":
            return "repeated"
        if not any(bill.paid or bill.live for bill in self.standing()):
            for bill in self.standing():
                bill.state = "void"
                self.bills.append(Bill("void_note", -bill.total, 0, 0, state="void", note_of=bill))
                self.billed = 0
        self.state, self.late = "open", False
        return "done"

    def close(self):
        """Due are discharged visits and those with late lines. Returns the bill, if one is issued."""
        if not (self.state == "discharged" or (self.closed and self.late)):
            return None
        return self.settle_now()

    def settle_now(self):
        """A bill over the lines so far. An open visit stays open; a discharged one is closed."""
        bill, interim = None, self.state == "open"
        if len(self.lines) > self.billed:
            total = sum(line[1] for line in self.lines[self.billed:])
            closed_before = any(not one.interim for one in self.standing())
            kind = "credit_note" if total < 0 else "interim" if interim else "supplement" if closed_before else "bill"
            bill = Bill(kind, total, self.billed + 1, len(self.lines), state="settled" if total == 0 else "open", interim=interim)
            self.bills.append(bill)
            self.billed, self.late = len(self.lines), False
            self.apply_credit()
        if self.state == "discharged":
            self.state = "billed"
        self.settle()
        return bill

    def settle(self):
        if self.closed:
            self.state = "billed" if any(bill.state == "open" and bill.owed > 0 for bill in self.bills) else "settled"

    def apply_credit(self):
        for bill in self.bills:
            if bill.state != "open" or bill.total <= 0:
                continue
            for note in self.bills:
                if note.state == "open" and note.total < 0:
                    part = min(-note.owed, bill.owed - bill.live)
                    if part > 0:
                        bill.credited += part
                        note.credited -= part
                        if note.owed == 0:
                            note.state = "settled"
            for capture in self.captures:
                part = min(capture.rest, bill.owed - bill.live)
                if part > 0:
                    bill.paid += part
                    capture.rest -= part
            if bill.owed == 0:
                bill.state = "settled"

    # ---- money

    def may_pay(self, bill, amount):
        if bill.state == "void":
            return "bill_void"
        if bill.owed <= 0:
            return "bill_settled"
        if amount > bill.owed:
            return "amount_exceeds"
        if amount > bill.owed - bill.live:
            return "payment_in_progress"
        bill.live += amount
        return "done"

    def capture(self, bill, amount, channel, was_live):
        if was_live:
            bill.live -= amount
        applied = min(amount, bill.owed - bill.live) if bill.state == "open" else 0
        bill.paid += applied
        if bill.state == "open" and bill.owed == 0:
            bill.state = "settled"
        self.captures.append(Capture(amount, channel, amount - applied))
        self.receipts += 1
        if applied < amount:
            self.apply_credit()
        self.settle()

    def end(self, bill, amount):
        bill.live -= amount
        self.apply_credit()
        self.settle()

    def elsewhere(self, amount):
        self.captures.append(Capture(amount, "elsewhere", amount))
        self.apply_credit()
        self.settle()
