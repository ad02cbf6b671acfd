"""The script of a hospital day, the same for one seed: who comes, what is charged, in which order it is sent.

A visit registers in one stage, is cared for in the next and discharged later, so all kinds of messages are on the wire at once.
What is odd on purpose is in deviants, what is told beside it in stories.
"""

import random

from . import care, deviants, people
from .lines import CLINIC, FACILITY, LAB, ONE, PHARMACY, WARD, Line, Message, price_amount
from .script import Script, Stage, Visit

CONNECTIONS = 4                 # of each feed
SMALLEST = 60                   # visits; fewer have no room for every oddity
_OFFSET = 8 * 3600              # China's time zone; doors open at seven, or an hour ago if that is later
_HOURS = 8                      # stages in which patients arrive
_SHARES = (("inpatient", 0.08), ("emergency", 0.14), ("outpatient", 1.0))
_PREFIX = {"outpatient": "MZ", "emergency": "JZ", "inpatient": "ZY"}
_LINE_PREFIX = {CLINIC: "C", PHARMACY: "RX", LAB: "L", WARD: "W-"}
_BATCH = 30                     # lines in one request of the ward, about
_LONGEST_DFT = 8


class Day(Script):
    """The whole script: stages of steps, what the oracle made of them, and who pays how."""

    def __init__(self, seed, visits, now, facility=FACILITY, connections=CONNECTIONS, payers=1.0):
        """payers: the share of those who owe that comes to pay; the others' bills stay as they are."""
        super().__init__(random.Random(seed), now, facility)
        self.connections = connections
        self._staff = people.staff(self.rng)
        self._opens = now - max(3600, (now + _OFFSET) % 86_400 - 7 * 3600)
        self.visits = [self._visit(i, visits) for i in range(visits)]
        self.by_no = {visit.visit_no: visit for visit in self.visits}
        deviants.deal(self)
        self._write(deviants.Deviants(self))
        self.plan_payments(payers)

    # ---- who comes --------------------------------------------------------------------------------

    def _visit(self, i, visits):
        draw, total = self.rng.random(), 0.0
        for kind, part in _SHARES:
            total += part
            if draw < total:
                break
        department = self.rng.choice(people.DEPARTMENTS[kind])
        opened_at = self._opens + (self.now - 120 - self._opens) * i * 3 // (visits * 4)
        person = people.patient(self.rng, i + 1, kind, 2019)
        return Visit(self.number(_PREFIX[kind], 6), kind, person, department, self.rng.choice(self._staff[department]),
                     i * _HOURS // visits, i % self.connections, opened_at, self.facility)

    # ---- lines and messages -----------------------------------------------------------------------

    def charges(self, visit, feed, lines):
        """A message of these lines in the feed's own form; the ward's are put into batches later."""
        return self.message(visit, feed, "charges" if feed == WARD else "DFT^P03", lines)

    def line(self, visit, feed, item, quantity, order_no):
        """A line as this feed says it: the price list may have to fill in what it leaves out."""
        price, amount, category = item.price, price_amount(quantity, item.price), item.category
        draw = self.rng.random()
        if feed == LAB:
            price, amount, category = (None, None, None) if draw < 0.6 else (price, None, None)
        elif feed == PHARMACY and draw < 0.3:
            amount = quantity * price // 100_000_000        # many pharmacies cut the last digit off
        elif feed == WARD and draw < 0.2:
            amount = category = None
        elif feed == CLINIC and draw < 0.1 and quantity == ONE:
            quantity = price = None
        # a share of the day and not a number of seconds: drawing must not depend on the time of day
        at = min(visit.opened_at + (self.now - self._opens) * self.rng.randint(10, 1000) // 4000, self.now - 60)
        return Line(visit.visit_no, self.number(_LINE_PREFIX[feed]), "CG", item.code, item.name, quantity, price, amount, category,
                    at, visit.department, f"{visit.doctor.code} {visit.doctor.name}", order_no)

    def care(self, visit):
        """The messages of what the visit consumes."""
        result = []
        for order in care.BY_KIND[visit.kind](self.rng, visit.department):
            order_no = self.number("YZ")
            lines = [self.line(visit, order.feed, item, quantity, order_no) for item, quantity in order.items]
            while lines:
                size = min(len(lines), self.rng.randint(3, _LONGEST_DFT))
                result.append(self.charges(visit, order.feed, lines[:size]))
                del lines[:size]
        return result

    def registration(self, visit):
        if visit.kind == "inpatient":
            if self.rng.random() < 0.2:
                return [self.message(visit, WARD, "visit")]
            return [self.message(visit, CLINIC, "ADT^A01")]
        new = [self.message(visit, CLINIC, "ADT^A28")] if self.rng.random() < 0.05 else []
        return new + [self.message(visit, CLINIC, "ADT^A04")]

    def movements(self, visit):
        """Updates and transfers on the way."""
        if visit.kind == "inpatient" and self.rng.random() < 0.3:
            return [self.message(visit, CLINIC, "ADT^A02")]
        return [self.message(visit, CLINIC, "ADT^A08")] if self.rng.random() < 0.05 else []

    def discharge(self, visit):
        draw = self.rng.random()
        if visit.kind == "inpatient" and draw < 0.5:
            return self.message(visit, WARD, "discharge")
        return self.message(visit, CLINIC, "BAR^P06" if draw > 0.9 else "ADT^A03")

    # ---- the script -------------------------------------------------------------------------------

    def _write(self, odd):
        self.add(Stage("price list"), odd.stories.price_list())
        plans = [[] for _ in range(_HOURS + 5)]
        for visit in self.visits:
            for offset, messages in odd.timeline(visit).items():
                plans[visit.hour + offset].extend(messages)
        for hour, messages in enumerate(plans):
            if messages:
                self.add(Stage(f"hour {hour + 1}"), messages)
        self.add(Stage("evening", waits=self.lines_of("held")), odd.evening())
        self.add(Stage("late lines", waits=self.bills_of("late_charge", "late_credit", "reopened")), odd.late())
        self.add(Stage("last discharges", waits=self.bills_of("elsewhere")), odd.last())

    def arrange(self, messages):
        """The ward sends lines of many visits in one request, and one request in ten twice. Not one that holds a reversal before
        its original: whether the resend or the daemon's own replay books it is a matter of time."""
        result, batches = [], {}
        for message in messages:
            if message.event != "charges":
                result.append(message)
                continue
            batch = batches.get(message.connection)
            if batch is None or len(batch.lines) >= _BATCH:
                batch = Message(WARD, message.connection, "charges", self.number("WM"))
                result.append(batch)
                batches[message.connection] = batch
            batch.lines += message.lines
        requests = [m for m in result if m.event == "charges" and len(m.lines) >= 4
                    and not any(line.reverses and self.by_no[line.visit_no].role == "held" for line in m.lines)]
        again = self.rng.sample(requests, (len(requests) + 9) // 10)
        self.deviants["resend"] += len(again)
        return result + again
