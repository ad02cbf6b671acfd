"""The schema's functions as Python, so that a test reads like a sentence. One Ledger is one connection.

    ledger.post(charge(visit, "a", 1200), reversal(visit, "b", of="a"))  ->  ["posted", "posted"]

Amounts are fen; quantities and prices are decimal text. It calls, and asks for rows; it checks nothing."""

import hashlib
import itertools
import json
import threading
import time
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace

CHINA = timezone(timedelta(hours=8))
NOON = datetime(2026, 1, 15, 12, tzinfo=CHINA)

ALL = ["*"]     # the scope of all facilities

numbers = itertools.count(1)
seconds = itertools.count(1)


def fresh_number(prefix="V"):
    return f"{prefix}-{next(numbers)}"


def scaled(value, digits):
    return None if value is None else int(Decimal(value).scaleb(digits))


@dataclass
class Line:
    visit: str
    id: str
    amount: int = None
    kind: str = "CG"
    of: str = None
    quantity: str = None
    price: str = None
    category: int = 9
    code: str = None
    name: str = "阿莫西林"
    at: datetime = NOON
    feed: str = "clinic"
    facility: str = "H01"
    department: str = None
    digest: str = None
    message: str = "M1"
    patient_no: str = None

    def sum_of_content(self):
        """A feed computes it over what it sent, but the visit and the id."""
        content = (self.kind, self.of, self.amount, self.quantity, self.price, self.category, self.code, self.name,
                   self.at.isoformat(), self.department)
        return self.digest or hashlib.md5(repr(content).encode()).hexdigest()


def item_of(line):
    """The code, the day and the place: one item of the price list."""
    return line.facility, line.code, line.at.astimezone(CHINA).date()


def charge(visit, id, amount=None, **more):
    return Line(visit, id, amount, **more)


def reversal(visit, id, of, amount=None, **more):
    return Line(visit, id, amount, kind="CD", of=of, category=None, name=None, **more)


def adjustment(visit, id, amount, **more):
    return Line(visit, id, amount, kind="AJ", **more)


class Outcomes(list):
    totals = {}
    states = {}
    prices = None
    sums = []


@dataclass
class Event:
    kind: str
    visit: str = None
    feed: str = "clinic"
    facility: str = "H01"
    message: str = "M1"
    at: datetime = NOON
    patient_no: str = None
    patient_name: str = None
    birth_date: date = None
    sex: str = None
    class_: str = None
    department: str = None
    location: str = None
    other_visit: str = None
    other_patient: str = None
    amount: int = None
    source_line: str = None
    digest: str = None
    sent: datetime = None   # by default later than what was sent before
    number_kind: str = None
    other_kind: str = None
    account: str = None
    alternate: str = None


EVENT_TYPES = ("text int int text text timestamptz timestamptz text text date text text text text text text bigint text uuid text text text text").split()
LINE_TYPES = ("int int int int text text uuid timestamptz bigint bigint bigint smallint text text text text text text text text").split()
REVERSES = len(LINE_TYPES) - 2
VISIT_TYPES = "int text text text text".split()
ITEM_TYPES = "int text date".split()
ONE_MARKS = ", ".join(f"%s::{type}" for type in ITEM_TYPES[1:] + LINE_TYPES[3:REVERSES] + LINE_TYPES[REVERSES + 1:])


def arrays(rows, types):
    columns = [list(column) for column in zip(*rows)] if rows else [[] for _ in types]
    return columns, ", ".join(f"%s::{type}[]" for type in types)


Payment = namedtuple("Payment", "outcome doc payment_id order")


@dataclass
class Ledger:
    connection: object
    facilities: dict = field(default_factory=dict)
    feeds: dict = field(default_factory=dict)
    by_arrays: bool = False     # a line alone, too
    most: dict = field(default_factory=dict)    # facility -> the least of its limits, where it has one

    # ---- SQL

    def ask(self, sql, *args):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else None

    def row(self, sql, *args):
        rows = self.ask(sql, *args)
        assert len(rows) == 1, rows
        return rows[0]

    def value(self, sql, *args):
        return self.row(sql, *args)[0]

    def rows(self, sql, *args):
        """Rows by name."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            names = [column.name for column in cursor.description]
            return [SimpleNamespace(**dict(zip(names, row))) for row in cursor.fetchall()]

    # ---- feeds

    def configure(self, settings):
        found = self.value("select setup_apply(%s)", settings)
        self.facilities, self.feeds = found["facilities"], found["feeds"]
        self.look_up_limits()
        return found

    def look_up_limits(self):
        self.most = dict(self.ask("select code, least(visit_amount, visit_day_amount) from facility"))

    def post(self, *lines, number_kind=None, released=False, message_each=False):
        """The outcome of each line; .totals and .states by visit number, .sums beyond a limit by line. number_kind: of all the lines' visit numbers.
        released: by a person, from limits. message_each: a visit is named anew by each line, as by messages that name a patient.
        By the statements that the daemon sends: a line alone has one of its own."""
        patients = {(line.facility, line.visit): line.patient_no for line in lines}
        visits = list(dict.fromkeys((line.facility, line.visit) for line in lines)) if not message_each else [(line.facility, line.visit) for line in lines]
        items = list(dict.fromkeys(item_of(line) for line in lines if line.code))
        places, rows = {}, []
        for place, line in enumerate(lines, 1):
            visit = place if message_each else visits.index((line.facility, line.visit)) + 1
            if line.of is None:
                places[visit] = places.get(visit, 0) + 1
            rows.append((visit, items.index(item_of(line)) + 1 if line.code else None, None if line.of else places[visit], self.feeds[line.feed],
                         line.kind, line.id, line.sum_of_content(), line.at,
                         scaled(line.quantity, 4), scaled(line.price, 6), line.amount, line.category, line.name, None,
                         line.department, None, None, None, line.of, line.message))
        of_visits, visit_marks = arrays([(self.facilities[code], number, None, patients[code, number], None) for code, number in visits], VISIT_TYPES)
        of_items, item_marks = arrays([(self.facilities[code], *rest) for code, *rest in items], ITEM_TYPES)
        of_lines, line_marks = arrays(rows, LINE_TYPES)
        most = [self.most.get(code) for code, _ in visits]
        if len(lines) == 1 and lines[0].of is None and number_kind is None and not self.by_arrays and not released:
            outcomes, totals, states, prices, sums = self.row(
                f"select outcomes, totals, states, prices, sums from charges_post_one(%s, %s, %s, %s, %s, {ONE_MARKS}, %s)",
                *[column[0] for column in of_visits], *[column[0] if column else None for column in of_items[1:]],
                *[column[0] for place, column in enumerate(of_lines) if place > 2 and place != REVERSES], most[0])
        else:
            outcomes, totals, states, prices, sums = self.row(
                f"select outcomes, totals, states, prices, sums from charges_post({visit_marks}, {item_marks}, {line_marks}, %s, %s::bigint[], %s::boolean[])",
                *of_visits, *of_items, *of_lines, [number_kind] * len(visits) if number_kind else None,
                most if any(most) else None, [True] * len(lines) if released else None)
        result = Outcomes(outcomes if outcomes is not None else ["posted"] * len(lines))
        result.prices = prices
        result.sums = sums if sums is not None else [None] * len(lines)
        result.totals = dict(zip((number for _, number in visits), totals or []))
        result.states = dict(zip((number for _, number in visits), states or []))
        return result

    def events(self, *events):
        rows = [(e.kind, self.feeds[e.feed], self.facilities[e.facility], e.visit, e.message, e.sent or NOON + timedelta(seconds=next(seconds)), e.at,
                 e.patient_no, e.patient_name,
                 e.birth_date, e.sex, e.class_, e.department, e.location, e.other_visit, e.other_patient, e.amount, e.source_line,
                 e.digest, e.number_kind, e.other_kind, e.account, e.alternate) for e in events]
        columns, marks = arrays(rows, EVENT_TYPES)
        return self.value(f"select visit_events({marks})", *columns)

    def over_limit(self, visit):
        return "over_limit" in json.loads(self.value("select doc from visit_doc('H01', %s, '{*}')", visit))["flags"]

    def event(self, kind, visit, **more):
        return self.events(Event(kind, visit, **more))[0]

    def open(self, visit, **more):
        return self.event("open", visit, **more)

    def discharge(self, visit, **more):
        return self.event("discharge", visit, **more)

    def reopen(self, visit, **more):
        return self.event("reopen", visit, **more)

    def cancel(self, visit, **more):
        return self.event("cancel", visit, **more)

    def merge(self, loser, into, **more):
        return self.event("merge", into, other_visit=loser, **more)

    def pay_elsewhere(self, visit, id, amount, **more):
        digest = hashlib.md5(repr((amount, more)).encode()).hexdigest()
        return self.event("payment", visit, source_line=id, amount=amount, digest=digest, **more)

    def mark(self, **times):
        """feed = time, several at once."""
        self.ask("select feed_marks(%s::int[], %s::timestamptz[], null)", [self.feeds[feed] for feed in times], list(times.values()))

    # ---- closing

    def close(self, limit=100_000):
        """visits looked at, bills issued, visits that failed; another turn follows one that ended for its time (a quarter of our statement_timeout)"""
        done = [0, 0, 0]
        while True:
            began = time.monotonic()
            done = [n + more for n, more in zip(done, self.row("select visits, bills, failed from visits_close(%s)", limit - done[0]))]
            if time.monotonic() - began < 5 or done[0] >= limit:
                return tuple(done)

    def end_visits(self, limit=1000):
        """Visits that a close rule looked at, and those that it ended."""
        return self.row("select looked, ended from visits_end(%s)", limit)

    def settle(self, visit, facility="H01", by="kiosk-1", scope=ALL):
        return self.row("select outcome, doc::json from visit_settle(%s, %s, %s, %s)", facility, visit, by, scope)

    def close_now(self, visit, **more):
        """Discharges a visit of a facility that waits for no feed, and issues what is due."""
        self.discharge(visit, **more)
        self.close()
        return self.bills(visit)

    # ---- what there is

    def visit(self, number, facility="H01"):
        return self.rows("select * from visit where visit_no = %s and facility_id = %s", number, self.facilities[facility])[0]

    def lines(self, number):
        return self.rows("select c.*, f.name as feed from charge c join visit v using (visit_id) join feed f using (feed_id)"
                         " where v.visit_no = %s order by line_no", number)

    def bills(self, number):
        """The visit's documents in order, each with its state."""
        return self.rows("select b.*, s.state, s.version, s.paid, s.credited, s.live, b.total - s.paid - s.credited as owed"
                         " from bill b join bill_state s using (bill_id) join visit v on v.visit_id = b.visit_id"
                         " where v.visit_no = %s order by b.sequence", number)

    def audit(self):
        """What is broken; nothing is well."""
        return self.ask("select * from audit() where broken <> 0 or unexplained <> 0")

    def books(self):
        return self.value("select books()")

    # ---- money

    def pay(self, bill, amount, channel="wechatpay", version=None, key=None, digest=None, client="kiosk", scope=ALL,
            lifetime="5 min"):
        key = key or fresh_number("key")
        digest = digest or hashlib.md5(repr((bill.public_id, amount, version)).encode()).hexdigest()
        outcome, doc, payment_id, order = self.row(
            "select outcome, doc, payment_id, out_trade_no from payment_create(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            bill.public_id, version, channel, "" if channel == "cash" else "m1", amount, client, key, digest, lifetime, scope)
        return Payment(outcome, json.loads(doc) if payment_id and doc else doc, payment_id, order)

    def pay_cash(self, bill, amount=None):
        payment = self.pay(bill, bill.owed if amount is None else amount, channel="cash")
        assert payment.outcome == "done", payment
        return payment

    def capture(self, order, amount, transaction=None, channel="wechatpay", merchant="m1"):
        return self.value("select outcome from payment_captures(array[%s], array[%s], array[%s], array[%s], array[%s::bigint], array[now()])",
                          channel, merchant, order, transaction or fresh_number("tx"), amount)

    def captures(self, *captures):
        """(order, amount, transaction) each, in one batch: the outcomes in the order given."""
        orders, amounts, transactions = map(list, zip(*captures))
        count = len(captures)
        return [outcome for (outcome,) in self.ask(
            "select outcome from payment_captures(%s, %s, %s, %s, %s::bigint[], %s::timestamptz[]) order by ord",
            ["wechatpay"] * count, ["m1"] * count, orders, transactions, amounts, [NOON] * count)]

    def payment(self, payment):
        """Its document."""
        return self.value("select doc::json from payment_get((select public_id from payment where payment_id = %s), %s)", payment.payment_id, ALL)

    def pending(self, payment):
        return self.row("select outcome, doc::json from payment_pending(%s, 'weixin://x')", payment.payment_id)

    def unknown(self, payment):
        return self.row("select outcome, doc::json from payment_unknown(%s, 'timeout')", payment.payment_id)

    def end(self, payment, state="closed"):
        return self.row("select outcome, doc::json from payment_end(%s, %s, 'expired')", payment.payment_id, state)

    def credit_of(self, number):
        """Captured for the visit and not applied."""
        return self.value("select coalesce(-sum(amount), 0)::bigint from journal_posting join visit using (visit_id)"
                          " where account = 'credit' and visit_no = %s", number)


def at_once(*calls):
    """Runs the calls in threads that start together; their results in order. What one raises is raised here."""
    gate, results, errors = threading.Barrier(len(calls)), [None] * len(calls), []

    def run(place, call):
        gate.wait()
        try:
            results[place] = call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
