"""What a day tells beside its care: who settles before the end, who was registered three times, and a price that changes overnight.

Each is a role of deviants.ROLES. The messages are those of other visits; what becomes of them is the oracle's judgement.
"""

from .catalogue import BY_CATEGORY, CONSULTATION, LABORATORY, NURSING
from .lines import CLINIC, KIOSK, LAB, ONE, PHARMACY, Entry
from .prices import day_of, midnight_of

_PAID = ("wechatpay", "cash", "")       # at once: by phone, at the window; or later, with the rest
CONSULT, _CARE = "TJ0001", "TJ0002"    # by the price list's messages alone
_NAMES = {CONSULT: "远程会诊费", _CARE: "上门护理费"}
_TESTED = BY_CATEGORY[LABORATORY][0]


class Stories:
    def __init__(self, day, deviants):
        self.day = day
        self.odd = deviants
        self._settling = 0

    # ---- settle now -------------------------------------------------------------------------------

    def settles(self, visit, plan):
        """Pays at a kiosk what there is so far, while the visit is open; some tap twice. What comes after is on the final bill: more than
        was taken back, or less."""
        nth, self._settling = self._settling, self._settling + 1
        plan[4] = plan[2]
        plan[2] = [self.day.message(visit, KIOSK, "settle", pays=_PAID[nth % 3]) for _ in range(2 if nth % 2 else 1)]
        feed, line = self.odd.original(visit)
        plan[3] = [self.day.charges(visit, feed, [self.odd.reversal(feed, line)])]
        if nth % 4 != 3:
            plan[3].append(self.day.charges(visit, LAB, self.odd.lines(visit, LAB, 3)))
        return plan

    # ---- a chain of merges ------------------------------------------------------------------------

    def chained(self, visit, plan):
        """Registered three times: X goes into Y, and Y into this one. X and Y have a line of the same id each, and their systems go on
        under the old numbers: resends, credits, and a line that nobody has heard of yet."""
        day, odd = self.day, self.odd
        x, y = odd.twin(visit), odd.twin(visit)
        of_x, of_y = odd.lines(x, LAB, 4), odd.lines(y, LAB, 3)
        of_y[0] = of_y[0]._replace(source=of_x[0].source)
        lab_x, lab_y, clinic_x = day.charges(x, LAB, of_x), day.charges(y, LAB, of_y), day.charges(x, CLINIC, odd.lines(x, CLINIC, 2))
        first, second = day.message(x, CLINIC, "ADT^A42", into=y), day.message(y, CLINIC, "ADT^A42", into=visit)

        def credit(under, line):
            return day.charges(under, LAB, [odd.reversal(LAB, line)._replace(visit_no=under.visit_no)])

        plan[0] += [day.message(x, CLINIC, "ADT^A04"), day.message(y, CLINIC, "ADT^A04")]
        plan[1] += [lab_x, lab_y, clinic_x]
        plan[5], plan[2] = plan[2], [first]
        plan[3] = [first, second, lab_x, credit(y, of_x[1])]
        again = credit(visit, of_x[2])
        plan[4] = [credit(x, of_x[0]), credit(y, of_y[0]), again, again, lab_y, clinic_x,
                   day.charges(visit, LAB, [of_x[3]._replace(visit_no=visit.visit_no)]), day.charges(x, LAB, odd.lines(x, LAB, 1))]
        return plan

    # ---- the price list ---------------------------------------------------------------------------

    def price_list(self):
        """Before the doors open, and once more as after a lost connection. A price of today, one of tomorrow, an item that is given up, and
        an entry of which too little is said."""
        today = day_of(self.day.now)
        entries = (
            Entry("MAD", CONSULT, today - 30, _NAMES[CONSULT], "次", CONSULTATION, 120_000_000), Entry("MUP", CONSULT, today, price=150_500_000),
            Entry("MAD", _CARE, today - 30, _NAMES[_CARE], "次", NURSING, 88_250_000), Entry("MDC", _CARE, today),
            Entry("MUP", _TESTED.code, today + 1, price=_TESTED.price * 2), Entry("MUP", "TJ0003", today, price=10_000_000),
        )
        message = self.day.message(self.day.visits[0], CLINIC, "MFN^M04", entries=entries)
        return [message, message]

    def priced(self, visit, plan):
        """Charges without a price, of yesterday and of today: each has the price of its day. What is no longer in the list today waits."""
        midnight = midnight_of(day_of(self.day.now))
        yesterday, today = midnight - 43_200, max(midnight, self.day.now - 60)
        wanted = ((CONSULT, 1, yesterday), (CONSULT, 2, today), (_CARE, 1, yesterday), (_CARE, 1, today), (_TESTED.code, 1, today))
        models = self.odd.lines(visit, PHARMACY, len(wanted))
        lines = [model._replace(code=code, name=_NAMES.get(code, _TESTED.name), quantity=times * ONE, price=None, amount=None, category=None, at=at)
                 for model, (code, times, at) in zip(models, wanted)]
        plan[1].append(self.day.charges(visit, PHARMACY, lines))
        return plan
