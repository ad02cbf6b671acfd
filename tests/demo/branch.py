"""A day at the hospital's branch: its four systems are of four vendors and speak as they do (vendors), and none of them tells when an
outpatient or an emergency is over. Rules of the house end these visits: outpatients' where nothing came for a while, emergencies' at
a closing time, which is moved to the next full minute once all of them are there. A short day does not wait for that minute: its
emergencies get a rule as the outpatients'.

It is played beside the payers of the main house, after its feeds, and all four systems share the visits: the HIS tells of each with its
three numbers, and the others charge by the one that they know.
"""

import os
import random
import signal
from datetime import timedelta
from pathlib import Path

from . import catalogue as cat
from . import people, vendors
from .lines import BRANCH, ONE, VENDORS, Line, price_amount
from .script import Script, Stage, Visit, Wait
from .vendors import CLINICSYS, NEWLAB, OLDHIS, WARDSYS
from .wire import now

_LONG = 1000                    # visits of the main house: such a day takes a minute
_KINDS = ("outpatient", "emergency", "outpatient", "inpatient", "outpatient", "outpatient", "emergency", "outpatient")
_DEPARTMENT = {"outpatient": "内科", "emergency": "急诊科", "inpatient": "内科"}
_LEAST, _MOST = 12, 60          # visits


def closes_by(env, rule):
    """Another rule for emergencies: the daemon reads its settings again."""
    folder = Path(env.dir)
    (folder / "conf.d" / "branch.conf").write_text(vendors.settings(rule), encoding="utf-8")
    os.kill(int((folder / "run" / "visitbilld.pid").read_text("ascii")), signal.SIGHUP)


class Branch(Script):
    def __init__(self, seed, visits, at):
        """visits: of the main house."""
        super().__init__(random.Random(f"{seed}/{BRANCH}"), at, BRANCH, VENDORS)
        self._is_long = visits >= _LONG
        self._doctors = people.staff(self.rng)
        self.visits = [self._visit(i) for i in range(max(_LEAST, min(_MOST, visits // 25)))]
        self.by_no = {visit.visit_no: visit for visit in self.visits}
        self._write()
        self.plan_payments(1)
        self.showcase = None        # the main house shows one

    def _visit(self, i):
        kind = _KINDS[i % len(_KINDS)]
        person = people.patient(self.rng, i + 1, kind, 2019)._replace(patient_no=f"BP{i:06}")
        doctor = self.rng.choice(self._doctors[people.DEPARTMENTS[kind][0]])
        return Visit(f"BV{i:06}", kind, person, _DEPARTMENT[kind], doctor, 0, 0, self.now - 3600 + 10 * i, BRANCH,
                     account_no=f"BA{i:06}", alternate_no=f"BX{i:06}")

    # ---- what each system charges -----------------------------------------------------------------

    def _lines(self, visit, category, count, least=1):
        """With a quantity, a price and an amount; what a system does not say is taken off again."""
        result = []
        for item in self.rng.sample([item for item in cat.BY_CATEGORY[category] if item.price > 0], count):
            quantity = self.rng.randint(least, 6) * ONE
            result.append(Line(visit.visit_no, "", "CG", item.code, item.name, quantity, item.price, price_amount(quantity, item.price), None,
                               self.now - self.rng.randint(60, 1800), visit.department, "", ""))
        return result

    def _dft(self, visit, feed, lines, source):
        """source: makes a line's id of its message and of which one it is."""
        message = self.message(visit, feed, "DFT^P03")
        message.lines = tuple(line._replace(source=source(message, nth)) for nth, line in enumerate(lines, 1))
        return message

    def _counted(self, message, nth):
        return f"{message.control}/{nth}"

    def _oldhis(self, visit):
        """Drugs by quantity and price; a box comes back, and its message twice; once more comes back than there is."""
        charge = self._dft(visit, OLDHIS, [line._replace(amount=None) for line in self._lines(visit, cat.DRUG, 3, least=2)],
                           lambda *_: self.number("1", 6))
        back = self._back(visit, charge.lines[0], ONE)
        result = [charge, back, back]
        if visit is self.visits[0]:
            result.append(self._back(visit, charge.lines[1], charge.lines[1].quantity + ONE))
            self.deviants["over_reversal"] += 1
        return result

    def _back(self, visit, line, quantity):
        """A negative quantity of the same id: the daemon makes an id of it, the message and the set id."""
        message = self.message(visit, OLDHIS, "DFT^P03")
        message.lines = (line._replace(source=f"{line.source}/CD/{message.control}/1", kind="CD", quantity=quantity, price=None, amount=None,
                                       reverses=line.source),)
        return message

    def _clinicsys(self, visit):
        """Examinations by amount, treatments by price; FT1-1 counts anew in each message, which comes twice."""
        priced = [line._replace(amount=None) for line in self._lines(visit, cat.TREATMENT, 1)]
        first = self._dft(visit, CLINICSYS, [self._lines(visit, cat.EXAMINATION, 1)[0]._replace(price=None), *priced], self._counted)
        return [first, self._dft(visit, CLINICSYS, self._lines(visit, cat.TREATMENT, 1), self._counted), first]

    def _wardsys(self, visit):
        lines = self._lines(visit, cat.MATERIAL, 2)
        if visit is self.visits[1]:
            lines[1] = lines[1]._replace(currency="USD")
            self.deviants["currency"] += 1
        return [self._dft(visit, WARDSYS, lines, lambda *_: self.number("ORD-"))]

    def _newlab(self, visit):
        """One of two has an id; the other is taken for the message's. What was not done comes back as a negative amount."""
        def source(message, nth):
            return self.number("S") if nth % 2 else self._counted(message, nth)
        tests = self._dft(visit, NEWLAB, [line._replace(price=None) for line in self._lines(visit, cat.LABORATORY, 4)], source)
        result = [tests, self.message(visit, NEWLAB, "ORU^R01")]
        if self.rng.random() < 0.5 or visit is self.visits[0]:
            undone = tests.lines[2]._replace(kind="CD", reverses=tests.lines[2].source)
            result.append(self._dft(visit, NEWLAB, [undone], lambda *_: self.number("S")))
        return result

    # ---- the script -------------------------------------------------------------------------------

    def _write(self):
        self.add(Stage("branch opens"), [self.message(v, OLDHIS, "ADT^A01" if v.kind == "inpatient" else "ADT^A04") for v in self.visits])
        self.add(Stage("branch"), [message for v in self.visits
                                   for message in (*self._oldhis(v), *self._clinicsys(v), *self._wardsys(v), *self._newlab(v))])
        rules = {"outpatient": "idle", "emergency": "daily" if self._is_long else "idle"}
        ends = [(v.visit_no, rules[v.kind]) for v in self.visits if v.kind in rules]
        self.add(Stage("branch closes", before=self._close, ends=ends), [self.message(v, OLDHIS, "ADT^A03") for v in self.visits if v.kind == "inpatient"])
        bills = [Wait(v.visit_no, "bills", len(self.oracle.accounts[v.visit_no].documents)) for v in self.visits]
        late = [self._dft(v, NEWLAB, self._lines(v, cat.LABORATORY, 1), lambda *_: self.number("S")) for v in self.visits[:3]]
        self.add(Stage("branch, late", waits=bills), late)

    def _close(self, env):
        """The visits are as old as their first message, and end at the first closing time after it."""
        closes_by(env, f"daily {now() + timedelta(seconds=60):%H:%M}" if self._is_long else "idle 1s")
