"""The oracle: a small model of the books that reads the script as the daemon should, and says what must come out.

It knows the rules of the house (once per id, a reversal never exceeds its original, every line on one bill, money applied to
the oldest bill, the price of the day) and shares no code with the daemon. It does not know sockets, concurrency or time: the
script is such that within a stage only the order on one connection matters. A visit's account and its bills are in accounts.
"""

from collections import Counter

from .accounts import Account, Booked
from .lines import FEEDS, ONE, UNKNOWN, Expected, Pay, price_amount, share
from .prices import Prices

_ACCEPTED = {"posted", "late", "duplicate", "held"}
_UPDATES = {"A02", "A08"}       # of a visit that is there; they open none
_LEAD_S = 86_400                # a service further ahead of the clock than this is absurd
_OLDEST = 631_152_000           # and so is one before 1990


def _quantity(line):
    return ONE if line.quantity is None else line.quantity


class Oracle:
    def __init__(self, now, feeds=FEEDS):
        self.now = now
        self.prices = Prices()
        self.accounts = {}          # visit_no -> Account
        self.tally = {feed: Counter() for feed in (*feeds, UNKNOWN)}    # booked, duplicate
        self.parked = {}            # (MSH-10, nth line) -> (feed, reason), waiting in quarantine
        self.kept = set()           # MSH-10 of price lists with an entry that can't be kept
        self.ended = Counter()      # visits that a close rule ended: idle, daily
        self.resolved = 0           # held reversals whose original came
        self.collected = Counter()
        self.payments = 0           # each has a receipt
        self._held = {}             # (visit, feed, source of the original) -> parked key and line

    # ---- the feeds ------------------------------------------------------------------------------------

    def deliver(self, message):
        if message.event == "settle":
            return self._settle(self._account(message.visit.visit_no), message.pays)
        if message.feed not in self.tally:
            self.parked.update({(message.control, nth): (UNKNOWN, "feed_unknown") for nth in range(len(message.lines))})
            return Expected(["feed_unknown"] * len(message.lines), ["feed_unknown"])
        if message.event == "ADT^A28":          # a person, not a visit
            return Expected()
        event = message.event.partition("^")[2] or message.event
        if event == "M04":
            return self._keep(message)
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

    def _keep(self, message):
        """A price list: each entry by itself; the message waits in quarantine for those that can't be kept."""
        reasons = [self.prices.keep(entry) for entry in message.entries]
        refused = [reason for reason in reasons if reason]
        if refused:
            self.kept.add(message.control)
        return Expected(reasons=refused, entries="".join("U" if reason else "S" for reason in reasons))

    def _settle(self, account, channel):
        """An interim bill over the lines so far; the visit stays open, and who is asked to pays at once."""
        document = account.issue(interim=True)
        expected = Expected(bills=len(account.documents))
        if document is not None:
            expected.issued = document.kind, document.total
            if channel and document.outstanding > 0:
                expected.pay = Pay(channel, document.outstanding)
                document.early.append(expected.pay)
                self.pay(account, document, channel, document.outstanding)
        return expected

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
        old = self._known(account, feed, line.visit_no, line.source, line)
        if old is not None:
            return "duplicate" if old.line._replace(visit_no=line.visit_no) == line else "conflict"
        if account.state == "cancelled":
            return "visit_cancelled"
        if line.kind == "PY":
            account.by_id[feed, line.visit_no, line.source] = Booked(feed, line, None, 0, 0)
            account.captures.append(line.amount)
            self.collected["elsewhere"] += line.amount
            account.apply_credit()
            if account.state in ("billed", "settled"):
                account.settle()
            return "posted"
        if line.reverses:
            return self._reverse(feed, account, line)
        item = self.prices.on(line.code, line.at)
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
        while account.into is not None:
            account = account.into
        return account

    def _known(self, account, feed, visit_no, source, line=None):
        """The line of that id, sent under that number: its own, else one that came with a visit which went into it; a resend is known
        by what it says, and what a reversal names where one line alone can be meant."""
        found = account.by_id.get((feed, visit_no, source))
        if found is not None or not account.absorbed:
            return found
        moved = [booked for (by, number, name), booked in account.by_id.items()
                 if (by, name) == (feed, source) and number != account.visit_no
                 and (visit_no == account.visit_no or self.accounts[number].went_through(visit_no))]
        if line is not None:
            moved = [booked for booked in moved if booked.line._replace(visit_no=visit_no) == line][:1]
        return moved[0] if len(moved) == 1 else None

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

    def _reverse(self, feed, account, line):
        original = self._known(account, feed, line.visit_no, line.reverses)
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
        if loser is survivor:       # told before
            return
        survivor.by_id.update(loser.by_id)
        survivor.order += loser.order
        survivor.absorbed = True
        loser.order = loser.order + [Booked(None, b.line, b.category, b.quantity, -b.amount) for b in loser.order]
        loser.issue()
        loser.state, loser.into = "merged", survivor

    # ---- closing and paying ---------------------------------------------------------------------------

    def close(self):
        """What the daemon does by itself once every feed has passed the discharges and late lines have gathered."""
        for account in self.accounts.values():
            if account.state in ("discharged", "billed", "settled"):
                account.issue()
                account.settle()

    def end(self, visit_no, rule):
        """A close rule ends the visit: as a discharge would."""
        self.accounts[visit_no].state = "discharged"
        self.ended[rule] += 1

    def pay(self, account, document, channel, amount):
        document.take(amount)
        if account.state in ("billed", "settled"):
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
        result["messages_quarantined"] = len(self.kept)

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
