"""The oracle: a small model of the books that reads the script as the daemon should, and says what must come out.

It knows the rules of the house (once per id, a reversal never exceeds its original, every line on one bill, money applied to
the oldest bill) and shares no code with the daemon. It does not know sockets, concurrency or time: the script is such that
within a stage only the order on one connection matters.
"""

from collections import Counter

from .catalogue import BY_CODE
from .lines import FEEDS, ONE, UNKNOWN, Expected, price_amount, share

_ACCEPTED = {"posted", "late", "duplicate", "held"}
_UPDATES = {"A02", "A08"}       # of a visit that is there; they open none
_LEAD_S = 86_400                # a service further ahead of the clock than this is absurd
_OLDEST = 631_152_000           # and so is one before 1990


def _quantity(line):
    return ONE if line.quantity is None else line.quantity


class Document:
    """A bill, supplement, credit note or void note."""

    def __init__(self, kind, subtotals):
        self.kind = kind
        self.subtotals = subtotals
        self.total = sum(subtotals)
        self.state = "settled" if self.total == 0 else "open"
        self.paid = 0
        self.credited = 0
        self.pays = []              # day.Pay, as Day plans them

    @property
    def outstanding(self):
        return 0 if self.state == "void" else self.total - self.paid - self.credited

    def take(self, fen, is_credit=False):
        if is_credit:
            self.credited += fen
        else:
            self.paid += fen
        if self.outstanding == 0:
            self.state = "settled"


class Booked:
    """A line in the books, and what reversals have taken from it."""

    def __init__(self, line, category, quantity, amount):
        self.line = line
        self.category = category
        self.quantity = quantity
        self.amount = amount
        self.taken = 0
        self.taken_quantity = 0


class Account:
    """What the books know of one visit."""

    def __init__(self, visit_no):
        self.visit_no = visit_no
        self.state = "open"
        self.by_id = {}             # (feed, source) -> Booked
        self.order = []             # Booked, as they were booked
        self.billed = 0             # how many of them are on a bill that stands
        self.documents = []
        self.captures = []          # money taken elsewhere: what of each is not applied yet
        self.into = None            # the Account that a merged one went into

    @property
    def total(self):
        return sum(booked.amount for booked in self.order)

    def book(self, feed, line, category, quantity, amount):
        booked = Booked(line, category, quantity, amount)
        self.by_id[feed, line.source] = booked
        self.order.append(booked)
        return "late" if self.state in ("billed", "settled") else "posted"

    def issue(self):
        """A document over what is not billed yet, if there is anything."""
        fresh = self.order[self.billed:]
        if not fresh:
            return
        subtotals = [0] * 14
        for booked in fresh:
            subtotals[booked.category - 1] += booked.amount
        kind = "credit_note" if sum(subtotals) < 0 else "supplement" if self.billed else "bill"
        self.documents.append(Document(kind, subtotals))
        self.billed = len(self.order)
        self.apply_credit()

    def apply_credit(self):
        """Credit notes, then money taken elsewhere, to the oldest bills that are owed."""
        for bill in self.documents:
            for note in self.documents:
                if bill.state == "open" and bill.total > 0 > note.outstanding:
                    amount = min(-note.outstanding, bill.outstanding)
                    bill.take(amount, is_credit=True)
                    note.take(-amount, is_credit=True)
            for i, rest in enumerate(self.captures):
                if bill.state == "open" and bill.total > 0 < rest:
                    amount = min(rest, bill.outstanding)
                    bill.take(amount)
                    self.captures[i] -= amount

    def void(self):
        for bill in [d for d in self.documents if d.state != "void"]:
            note = Document("void_note", [-amount for amount in bill.subtotals])
            note.state = bill.state = "void"
            self.documents.append(note)
        self.billed = 0

    def settle(self):
        owed = any(d.state == "open" and d.total > 0 for d in self.documents)
        self.state = "billed" if owed else "settled"


class Oracle:
    def __init__(self, now):
        self.now = now
        self.accounts = {}          # visit_no -> Account
        self.tally = {feed: Counter() for feed in (*FEEDS, UNKNOWN)}    # booked, duplicate
        self.parked = {}            # (MSH-10, nth line) -> (feed, reason), waiting in quarantine
        self.resolved = 0           # held reversals whose original came
        self.collected = Counter()
        self.payments = 0           # each has a receipt
        self._held = {}             # (visit, feed, source of the original) -> parked key and line

    # ---- the feeds ------------------------------------------------------------------------------------

    def deliver(self, message):
        if message.feed not in self.tally:
            self.parked.update({(message.control, nth): (UNKNOWN, "feed_unknown") for nth in range(len(message.lines))})
            return Expected(["feed_unknown"] * len(message.lines), ["feed_unknown"])
        if message.event == "ADT^A28":          # a person, not a visit
            return Expected()
        event = message.event.partition("^")[2] or message.event
        if event in _UPDATES and message.visit.visit_no not in self.accounts:
            return Expected([], ["visit_unknown"])
        if message.visit is not None:
            account = self._account(message.visit.visit_no)
        if event in ("P03", "charges"):
            expected = Expected([self._deliver_line(message, nth) for nth in range(len(message.lines))])
            expected.reasons = [outcome for outcome in expected.outcomes if outcome not in _ACCEPTED]
            return expected
        if event in ("A03", "P06", "discharge"):
            account.state = "discharged"
        elif event == "A11":
            account.issue()
            account.state = "cancelled"
        elif event == "A13":
            account.void()
            account.state = "open"
        elif event == "A42":
            self._merge(account, self._account(message.into.visit_no))
        return Expected()

    def _deliver_line(self, message, nth):
        line, feed, key = message.lines[nth], message.feed, (message.control, nth)
        outcome = self._judge(feed, line)
        if outcome in ("posted", "late"):
            self.tally[feed]["booked"] += 1
            self._release(feed, line)
        elif outcome == "duplicate" or key in self.parked:
            self.tally[feed]["duplicate"] += 1
        else:
            self.parked[key] = feed, "original_unknown" if outcome == "held" else outcome
            if outcome == "held":
                self._held[line.visit_no, feed, line.reverses] = key, line
        return outcome

    def _release(self, feed, original):
        """The original of a held reversal is here: the reversal books itself."""
        key, line = self._held.pop((original.visit_no, feed, original.source), (None, None))
        if key is not None:
            del self.parked[key]
            self.resolved += 1
            self._judge(feed, line)
            self.tally[feed]["booked"] += 1

    def _judge(self, feed, line):
        """The outcome of a line; books it where that is what happens."""
        account = self._account(line.visit_no)
        reason = self._flaw(line)
        if reason:
            return reason
        old = account.by_id.get((feed, line.source))
        if old is not None:
            return "duplicate" if old.line == line else "conflict"
        if account.state == "cancelled":
            return "visit_cancelled"
        if line.kind == "PY":
            account.by_id[feed, line.source] = Booked(line, None, 0, 0)
            account.captures.append(line.amount)
            self.collected["elsewhere"] += line.amount
            account.apply_credit()
            if account.state in ("billed", "settled"):
                account.settle()
            return "posted"
        if line.reverses:
            return self._reverse(feed, account, line)
        item = BY_CODE.get(line.code)
        quantity = _quantity(line)
        price = line.price if line.price is not None else item and item.price
        if line.amount is None and price is None:
            return "price_unknown"
        amount = price_amount(quantity, price) if line.amount is None else line.amount
        return account.book(feed, line, line.category or (item.category if item else 14), quantity, amount)

    def _account(self, visit_no):
        """The account that a number means now; whoever names it first opens it."""
        account = self.accounts.get(visit_no)
        if account is None:
            account = self.accounts[visit_no] = Account(visit_no)
        return account.into or account

    def _flaw(self, line):
        """What is wrong with a line as it stands."""
        if line.currency != "CNY":
            return "currency"
        if not _OLDEST <= line.at <= self.now + _LEAD_S:
            return "date_absurd"
        if line.kind == "CG" and line.amount is not None and line.amount < 0:
            return "amount_negative"
        if None not in (line.amount, line.price) and abs(line.amount - price_amount(_quantity(line), line.price)) > 1:
            return "amount_mismatch"
        return None

    @staticmethod
    def _reverse(feed, account, line):
        original = account.by_id.get((feed, line.reverses))
        if original is None:
            return "held"
        left, left_quantity = original.amount - original.taken, original.quantity - original.taken_quantity
        quantity, amount = line.quantity, line.amount
        if quantity is None:
            quantity = left_quantity if amount is None else min(left_quantity, share(original.quantity, amount, original.amount))
        if amount is None:
            amount = left if quantity == left_quantity else share(original.amount, quantity, original.quantity)
        if amount > left or quantity > left_quantity or left == left_quantity == 0:
            return "reversal_exceeds"
        original.taken += amount
        original.taken_quantity += quantity
        return account.book(feed, line, original.category, quantity, -amount)

    @staticmethod
    def _merge(loser, survivor):
        survivor.by_id.update(loser.by_id)
        survivor.order += loser.order
        loser.order = loser.order + [Booked(b.line, b.category, b.quantity, -b.amount) for b in loser.order]
        loser.issue()
        loser.state, loser.into = "merged", survivor

    # ---- closing and paying ---------------------------------------------------------------------------

    def close(self):
        """What the daemon does by itself once every feed has passed the discharges and late lines have gathered."""
        for account in self.accounts.values():
            if account.state in ("discharged", "billed", "settled"):
                account.issue()
                account.settle()

    def pay(self, account, document, channel, amount):
        document.take(amount)
        account.settle()
        self.collected[channel] += amount
        self.payments += 1

    # ---- the figures ----------------------------------------------------------------------------------

    def figures(self):
        """Every figure of the books by name; money in fen."""
        result = Counter({"unexplained": 0, "broken": 0})
        self._count_lines(result)
        for account in self.accounts.values():
            result[f"visits.{account.state}"] += 1
            result["unbilled"] += sum(booked.amount for booked in account.order[account.billed:])
            result["credit"] += sum(account.captures)
            for document in account.documents:
                self._count_document(result, document)
        for channel, amount in self.collected.items():
            result[f"collected.{channel}"] = result[f"balance.{channel}"] = amount
        result["balance.receivable"] = result["outstanding"]
        result["balance.credit"] = -result["credit"]
        result["receipts"] = self.payments
        return dict(result)

    def _count_lines(self, result):
        for feed, tally in self.tally.items():
            waiting = sum(1 for parked_feed, _ in self.parked.values() if parked_feed == feed)
            for name, n in (("booked", tally["booked"]), ("duplicate", tally["duplicate"]), ("waiting", waiting)):
                result[f"feed.{feed}.{name}"] += n
                result[f"feed.{feed}.received"] += n
                result[f"lines.{name}"] += n
                result["lines.received"] += n
        for _, reason in self.parked.values():
            result[f"quarantined.{reason}"] += 1
        result["lines.resolved"] = self.resolved
        result["messages_quarantined"] = 0      # nothing but lines is amiss in this script

    @staticmethod
    def _count_document(result, document):
        result["bills.issued"] += 1
        result["bills.total"] += document.total
        result[f"bills.{document.kind}.count"] += 1
        result[f"bills.{document.kind}.total"] += document.total
        result["outstanding"] += document.outstanding
        for category, amount in enumerate(document.subtotals, 1):
            result[f"revenue.{category:02}"] += amount
            result[f"balance.revenue:{category:02}"] -= amount
