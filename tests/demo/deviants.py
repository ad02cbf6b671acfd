"""What goes wrong in a hospital day, on purpose: resends, reversals, late lines, merges, and lines that cannot be booked. What is told
beside it is in stories.

A role changes the life of a visit and a visit has one; an oddity changes its lines. Each occurs at least once however small the
day is. Nothing here says what becomes of them: that is the oracle's judgement.
"""

from .catalogue import BY_CATEGORY, DRUG, EXAMINATION, LABORATORY, MATERIAL, Item
from .lines import CLINIC, FEEDS, LAB, ONE, PHARMACY, WARD, Line, price_amount
from .stories import Stories

ROLES = {
    "merged": 0.005,            # A42: this one and the next are one visit
    "cancelled": 0.008,         # A11, its charges taken back
    "reopened": 0.006,          # A13, more care, discharged again
    "late_charge": 0.02,        # charged when the bill is out
    "late_credit": 0.01,        # drugs returned when the bill is out
    "held": 0.01,               # a reversal before its original
    "early": 0.03,              # charges before their ADT
    "elsewhere": 0.01,          # pays at another system's window, once the bill is out
    "settles": 0.02,            # pays at a kiosk while the visit is open
    "chained": 0.004,           # A42 twice: registered three times
    "priced": 0.01,             # of yesterday and today, when a price changed
}
RATES = {
    "resend": 0.08, "resent_lines": 0.03, "out_of_order": 0.05,
    "reversal_full": 0.05, "reversal_quantity": 0.03, "reversal_amount": 0.01, "reversal_in_parts": 0.01, "reversal_bare": 0.01,
    "unlisted": 0.01, "over_reversal": 0.005, "conflict": 0.005, "amount_mismatch": 0.004, "amount_negative": 0.003,
    "currency": 0.003, "date_absurd": 0.003, "price_unknown": 0.004, "stranger": 0.002,
}
STAYING, DEPOSIT = 0.25, 0.4    # of inpatients: not discharged today; paid in advance at the window
_AN_AGE = 120 * 365 * 86_400    # that far ahead, or twice that far back, is absurd
_TYPICAL = {CLINIC: EXAMINATION, PHARMACY: DRUG, LAB: LABORATORY, WARD: MATERIAL}


def deal(day):
    """Gives visits their roles and oddities."""
    count = len(day.visits)
    outpatients = [v for v in day.visits if v.kind == "outpatient"]
    day.rng.shuffle(outpatients)
    for role, rate in ROLES.items():
        for _ in range(max(1, round(rate * count))):
            visit = outpatients.pop()
            visit.role = role
            day.deviants[role] += 1
    for visit in day.visits:
        if visit.kind == "inpatient" and day.rng.random() < STAYING:
            visit.role = "staying"
            day.deviants["staying"] += 1
    plain = [v for v in day.visits if v.role == "plain"]
    for oddity, rate in RATES.items():
        for visit in day.rng.sample(plain, max(1, round(rate * count))):
            visit.oddities.append(oddity)


class Deviants:
    """Writes the visits' messages, by the hours after their arrival and for the evening."""

    def __init__(self, day):
        self.day = day
        self.rng = day.rng
        self.care = {}              # visit_no -> the messages of its care
        self.stories = Stories(day, self)

    def timeline(self, visit):
        """Messages by stage, counted from the visit's hour. The plain ones: arrival, care, discharge."""
        arrival, care = self.day.registration(visit), self.day.movements(visit) + self._care(visit)
        plan = {0: arrival, 1: care, 2: [self.day.discharge(visit)]}
        if visit.role in ("held", "staying"):
            del plan[2]
        if visit.kind == "inpatient" and self.rng.random() < DEPOSIT:
            care.append(self._payment(visit, self.rng.choice((500, 1000, 2000)) * 100))
            self.day.deviants["deposit"] += 1
        stories = self.stories
        change = {"merged": self._merged, "cancelled": self._cancelled, "held": self._held, "early": self._early, "settles": stories.settles,
                  "chained": stories.chained, "priced": stories.priced}.get(visit.role)
        return change(visit, plan) if change else plan

    # ---- the evening ------------------------------------------------------------------------------

    def evening(self):
        return [self.day.discharge(visit) for visit in self._with_role("held")]

    def late(self):
        """After the bill. All that is late of a visit is in one message: lines that come apart may be on two bills."""
        result = []
        for visit in self._with_role("late_charge"):
            feed = self.rng.choice((PHARMACY, LAB, WARD))
            result.append(self.day.charges(visit, feed, self.lines(visit, feed, self.rng.randint(1, 3))))
        for visit in self._with_role("late_credit"):
            feed, line = self.original(visit, PHARMACY)
            result.append(self.day.charges(visit, feed, [self.reversal(feed, line)]))
        for visit in self._with_role("reopened"):
            result.append(self.day.message(visit, CLINIC, "ADT^A13"))
            result.append(self.day.charges(visit, CLINIC, self.lines(visit, CLINIC, self.rng.randint(1, 3))))
        return result

    def last(self):
        result = [self.day.message(visit, CLINIC, "ADT^A03") for visit in self._with_role("reopened")]
        for nth, visit in enumerate(self._with_role("elsewhere")):
            owed = sum(document.outstanding for document in self.day.oracle.accounts[visit.visit_no].documents)
            result.append(self._payment(visit, owed if nth % 2 == 0 else (owed + 1) // 2))
        return result

    def _with_role(self, role):
        return [visit for visit in self.day.visits if visit.role == role]

    # ---- roles: other lives -----------------------------------------------------------------------

    def _merged(self, visit, plan):
        """Registered twice. The other number lives on in messages under way."""
        day, other = self.day, self.twin(visit)
        care = [day.charges(other, LAB, self.lines(other, LAB, 4)), day.charges(other, CLINIC, self.lines(other, CLINIC, 2))]
        care.append(day.charges(other, LAB, [self.reversal(LAB, care[0].lines[0])]))
        plan[0].append(day.message(other, CLINIC, "ADT^A04"))
        plan[1] += care
        plan[3] = [care[1], day.charges(other, LAB, [self.reversal(LAB, care[0].lines[1])] + self.lines(other, LAB, 2))]
        plan[4], plan[2] = plan[2], [day.message(other, CLINIC, "ADT^A42", into=visit)]
        return plan

    def _cancelled(self, visit, plan):
        """Leaves again without being seen: what was charged is taken back first. A test that was not stopped is charged later."""
        charge = self.day.charges(visit, CLINIC, self.lines(visit, CLINIC, 2))
        credit = self.day.charges(visit, CLINIC, [self.reversal(CLINIC, line) for line in charge.lines])
        stray = self.day.charges(visit, LAB, self.lines(visit, LAB, 1))
        return {0: plan[0], 1: [charge, credit], 2: [self.day.message(visit, CLINIC, "ADT^A11")], 3: [stray]}

    def _held(self, visit, plan):
        feed, line = self.original(visit)
        plan[1].insert(0, self.day.charges(visit, feed, [self.reversal(feed, line)]))
        return plan

    def _early(self, _visit, plan):
        """Its first charge opens it. An update would not, and so comes behind the clinic's charges."""
        updates = [message for message in plan[1] if message.event.startswith("ADT")]
        plan[0], plan[1] = [message for message in plan[1] if message not in updates] + updates, plan[0]
        return plan

    # ---- oddities: other lines --------------------------------------------------------------------

    def _care(self, visit):
        messages = self.care[visit.visit_no] = self.day.care(visit)
        for oddity in visit.oddities:
            getattr(self, f"_add_{oddity}")(visit, messages)
            self.day.deviants[oddity] += 1
        return messages

    def _add_resend(self, _visit, messages):
        messages.append(self.rng.choice([m for m in messages if m.feed != WARD]))

    def _add_resent_lines(self, visit, messages):
        message = self.rng.choice(messages)
        messages.append(self.day.charges(visit, message.feed, self.rng.sample(message.lines, min(3, len(message.lines)))))

    def _add_out_of_order(self, _visit, messages):
        messages.reverse()
        for message in messages:
            message.lines = message.lines[::-1]

    def _add_reversal_full(self, visit, messages):
        feed, line = self.original(visit)
        messages.append(self.day.charges(visit, feed, [self.reversal(feed, line)]))

    def _add_reversal_quantity(self, visit, messages):
        feed, line = self.original(visit, PHARMACY)
        messages.append(self.day.charges(visit, feed, [self.reversal(feed, line, quantity=line.quantity // 3)]))

    def _add_reversal_amount(self, visit, messages):
        feed, line = self.original(visit, PHARMACY)
        messages.append(self.day.charges(visit, feed, [self.reversal(feed, line, amount=line.amount // 4 + 1)]))

    def _add_reversal_in_parts(self, visit, messages):
        """Half, then all that is left."""
        feed, line = self.original(visit, PHARMACY)
        for quantity in (line.quantity // 2, None):
            messages.append(self.day.charges(visit, feed, [self.reversal(feed, line, quantity=quantity)]))

    def _add_reversal_bare(self, visit, messages):
        """A CD under the id of its original; the daemon makes an id of it, the message and the set id."""
        feed, line = self.original(visit, PHARMACY)
        message = self.day.charges(visit, feed, ())
        message.lines = (self.reversal(feed, line)._replace(source=f"{line.source}/CD/{message.control}/1", bare=True),)
        messages.append(message)

    def _add_over_reversal(self, visit, messages):
        feed, line = self.original(visit, PHARMACY)
        messages.append(self.day.charges(visit, feed, [self.reversal(feed, line, quantity=line.quantity + ONE)]))

    def _add_conflict(self, visit, messages):
        feed, line = self.original(visit)
        messages.append(self.day.charges(visit, feed, [line._replace(quantity=(line.quantity or ONE) + ONE, amount=None)]))

    def _add_unlisted(self, visit, messages):
        message = self._charges_of(messages, (CLINIC,))
        item = Item(self.day.number("LS", 4), "", "临时收费项目", "次", self.rng.choice((5, 8, 14, None)), "C", ONE, 36_500_000)
        message.lines += (self._complete(visit, CLINIC, item),)

    def _add_price_unknown(self, visit, messages):
        message = self._charges_of(messages, (CLINIC, PHARMACY))
        item = Item(self.day.number("XM", 4), "", "新开展项目", "次", None, "C", ONE, None)
        message.lines += (self._complete(visit, message.feed, item),)

    def _add_amount_mismatch(self, visit, messages):
        self._add_flawed(visit, messages, lambda line: line._replace(amount=line.amount * 10 + 5))

    def _add_amount_negative(self, visit, messages):
        self._add_flawed(visit, messages, lambda line: line._replace(quantity=-line.quantity, amount=-line.amount))

    def _add_currency(self, visit, messages):
        self._add_flawed(visit, messages, lambda line: line._replace(currency="USD"))

    def _add_date_absurd(self, visit, messages):
        self._add_flawed(visit, messages, lambda line: line._replace(at=line.at + self.rng.choice((-2, 1)) * _AN_AGE))

    def _add_flawed(self, visit, messages, flaw):
        """A line that cannot be booked, among good ones."""
        message = self._charges_of(messages, (CLINIC, PHARMACY, WARD))
        message.lines += (flaw(self._complete(visit, message.feed, self.rng.choice(BY_CATEGORY[_TYPICAL[message.feed]]))),)

    def _add_stranger(self, visit, messages):
        """The canteen's system posts to the same port, and nobody has heard of it."""
        message = self.day.message(visit, CLINIC, "DFT^P03", self.lines(visit, CLINIC, 1))
        message.feed = "canteen"
        messages.append(message)

    # ---- pieces -----------------------------------------------------------------------------------

    def twin(self, visit):
        """The same person under another visit number, and another patient number."""
        day = self.day
        other = type(visit)(day.number("MZ", 6), visit.kind, visit.patient._replace(patient_no=day.number("PX")), visit.department,
                            visit.doctor, visit.hour, visit.connection, visit.opened_at, visit.facility)
        day.by_no[other.visit_no] = other
        return other

    def lines(self, visit, feed, count):
        order_no = self.day.number("YZ")
        return [self.day.line(visit, feed, item, ONE, order_no) for item in self.rng.sample(BY_CATEGORY[_TYPICAL[feed]], count)]

    def _complete(self, visit, feed, item):
        """A line that says quantity, price and amount, as far as the item has a price."""
        quantity = 2 * ONE
        amount = None if item.price is None else price_amount(quantity, item.price)
        model = self.lines(visit, feed, 1)[0]
        return model._replace(code=item.code, name=item.name, quantity=quantity, price=item.price, amount=amount, category=item.category)

    def _charges_of(self, messages, feeds):
        """One of the messages that charge something, of any of these feeds that has one."""
        choice = [m for m in messages if m.feed in feeds and m.lines[0].kind == "CG"]
        feed = self.rng.choice([feed for feed in feeds if any(m.feed == feed for m in choice)])
        return self.rng.choice([m for m in choice if m.feed == feed])

    def original(self, visit, *feeds):
        """A charge of the visit's care, by one of these feeds or by any, and its feed."""
        message = self._charges_of(self.care[visit.visit_no], feeds or FEEDS)
        return message.feed, self.rng.choice(message.lines)

    def reversal(self, feed, line, quantity=None, amount=None):
        return line._replace(source=self.day.number("T" + feed[0].upper()), kind="CD", quantity=quantity, price=None, amount=amount,
                             category=None, reverses=line.source)

    def _payment(self, visit, fen):
        line = Line(visit.visit_no, self.day.number("PY"), "PY", "SK0001", "窗口收款", None, None, fen, None, self.day.now - 60,
                    visit.department, f"{visit.doctor.code} {visit.doctor.name}", "")
        return self.day.message(visit, CLINIC, "DFT^P03", [line])
