"""What a script of a day is made of: visits, stages of steps, the oracle's word on each, and who pays how. Day and Branch write theirs.

Within a stage every connection of every feed plays its steps in order and nothing else matters, so that what must come out is
certain: the oracle reads the script while it is written.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from . import people
from .lines import FACILITY, FEEDS, Message, Pay, Step
from .oracle import Oracle


@dataclass(eq=False)
class Visit:
    visit_no: str
    kind: str
    patient: people.Patient
    department: str
    doctor: people.Doctor
    hour: int
    connection: int
    opened_at: int
    facility: str = FACILITY
    role: str = "plain"         # deviants.ROLES: how its life differs
    oddities: list = field(default_factory=list)    # deviants.RATES: what is odd about its lines
    account_no: str = ""        # of a branch's visit: how some of its systems number it
    alternate_no: str = ""


@dataclass
class Stage:
    name: str
    steps: list = field(default_factory=list)
    waits: list = field(default_factory=list)       # what must have happened before: Wait
    before: object = None       # done before its steps: a function of the env
    ends: list = field(default_factory=list)        # visits that close rules end meanwhile: (number, idle or daily)


class Wait(NamedTuple):
    """The daemon does something by itself: a visit has so many lines, or so many documents."""

    visit_no: str
    what: str                   # lines, bills
    count: int


class Script:
    """Stages of steps, what the oracle made of them, and who pays how. Who writes one fills visits and by_no first."""

    def __init__(self, rng, now, facility, feeds=FEEDS):
        self.rng = rng
        self.now = now
        self.facility = facility
        self.feeds = feeds
        self.oracle = Oracle(now, feeds)
        self.deviants = Counter()       # how many of each oddity there are
        self.stages = []
        self.showcase = None            # the visit whose bill is printed
        self.charge_lines = 0           # sent, with every resend
        self.away = set()               # the accounts of those who don't come to pay
        self._serials = Counter()

    # ---- messages and stages ----------------------------------------------------------------------

    def number(self, prefix, digits=7):
        self._serials[prefix] += 1
        return f"{prefix}{self._serials[prefix]:0{digits}}"

    def message(self, visit, feed, event, lines=(), **more):
        return Message(feed, visit.connection, event, self.number(feed[0].upper() + "M"), visit, tuple(lines), **more)

    def add(self, stage, messages):
        """Ends a stage: the oracle's word on each step, and what the daemon then does by itself."""
        stage.steps = [Step(message) for message in self.arrange(messages)]
        for step in stage.steps:
            step.expected = self.oracle.deliver(step.message)
            self.charge_lines += len(step.message.lines)
        for visit_no, rule in stage.ends:
            self.oracle.end(visit_no, rule)
        self.oracle.close()
        self.stages.append(stage)

    def arrange(self, messages):
        """The messages of a stage as they are sent."""
        return messages

    def lines_of(self, role):
        return [Wait(v.visit_no, "lines", len(self.oracle.accounts[v.visit_no].order)) for v in self.visits if v.role == role]

    def bills_of(self, *roles):
        return [Wait(v.visit_no, "bills", len(self.oracle.accounts[v.visit_no].documents)) for v in self.visits if v.role in roles]

    def forget_script(self):
        """Lets go of what only feeds need; who pays how much for which bill stays."""
        self.stages, self.visits, self.showcase = [], [], None
        accounts = self.oracle.accounts
        for visit_no in [no for no, account in accounts.items() if account in self.away or account.state not in ("billed", "settled")]:
            del accounts[visit_no]
        for account in accounts.values():
            account.order, account.by_id = [], {}
        self.by_no = {visit_no: self.by_no[visit_no] for visit_no in accounts}

    # ---- paying -----------------------------------------------------------------------------------

    def payers(self):
        """The accounts that someone comes to pay, or at least to look at."""
        return [a for a in self.oracle.accounts.values() if a.state in ("billed", "settled")]

    def plan_payments(self, share):
        special = iter(("twice", "late", "twice"))      # how the first payments are notified
        for account in self.payers():
            if share < 1 and self.rng.random() >= share:
                self.away.add(account)
                continue
            for document in account.documents:
                if document.state != "open" or document.total <= 0:
                    continue
                document.pays = self._pays(document.outstanding, special)
                for pay in document.pays:
                    self.oracle.pay(account, document, pay.channel, pay.amount)
                if self.showcase is None and self.by_no[account.visit_no].role == "plain" and 10 <= len(account.order) <= 18 \
                        and [pay.channel for pay in document.pays] == ["wechatpay"]:
                    self.showcase = account

    def _pays(self, owed, special):
        draw = self.rng.random()
        part = owed // 200 * 100            # half, in whole yuan
        if draw < 0.05:
            self.deviants["owing"] += 1
            return []
        if draw < 0.07 and part:
            self.deviants["owing_part"] += 1
            return [Pay("wechatpay", part)]
        if draw < 0.12 and part:
            self.deviants["two_parts"] += 1
            return [Pay("wechatpay", part), Pay(self.rng.choice(("wechatpay", "cash")), owed - part)]
        if draw < 0.27:
            return [Pay("cash", owed)]
        return [Pay("wechatpay", owed, next(special, "normal"), self.rng.random() < 0.25, self.rng.random() < 0.02)]
