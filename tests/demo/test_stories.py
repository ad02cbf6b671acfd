"""What a day tells beside its care, and the branch's day: the scripts and the oracle's word on them; no daemon is needed."""

import configparser
import random
import sys
from datetime import datetime
from pathlib import Path

import hl7
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo import books, catalogue, told, vendors, wire  # noqa: E402
from demo.accounts import Account  # noqa: E402
from demo.branch import Branch  # noqa: E402
from demo.day import Day  # noqa: E402
from demo.lines import BRANCH, KIOSK, LAB, UNKNOWN, VENDORS, Entry, Line, Message  # noqa: E402
from demo.oracle import Oracle  # noqa: E402
from demo.prices import Prices, day_of, midnight_of  # noqa: E402

NOW = int(datetime(2026, 1, 15, 16, 30, tzinfo=wire.CHINA).timestamp())
MOMENT = datetime.fromtimestamp(NOW, wire.CHINA)


@pytest.fixture(scope="module", name="day")
def _day():
    return Day(7, 400, NOW)


@pytest.fixture(scope="module", name="branch")
def _branch():
    return Branch(7, 400, NOW)


def steps(script):
    return [step for stage in script.stages for step in stage.steps]


def line(visit_no, source, amount=1000, reverses=None):
    return Line(visit_no, source, "CD" if reverses else "CG", "X", "x", None, None, None if reverses else amount, 5, NOW, "", "", "", reverses)


def post(oracle, *lines):
    return oracle.deliver(Message(LAB, 0, "DFT^P03", "M", Visit(lines[0].visit_no), lines)).outcomes


class Visit:
    def __init__(self, visit_no):
        self.visit_no = visit_no


# ---- settle now ---------------------------------------------------------------------------------------


def test_an_interim_bill_and_what_comes_after():
    account = Account("V")
    oracle = Oracle(NOW)
    oracle.accounts["V"] = account
    assert post(oracle, line("V", "1", 1000), line("V", "2", 500)) == ["posted", "posted"]
    settle = Message(KIOSK, 0, "settle", "K", Visit("V"), pays="cash")
    first, again = oracle.deliver(settle), oracle.deliver(settle)
    assert (first.issued, first.bills, first.pay.amount) == (("interim", 1500), 1, 1500)
    assert (again.issued, again.bills, again.pay) == (None, 1, None) and account.state == "open"
    post(oracle, line("V", "3", 700), line("V", "R", reverses="2"))
    account.state = "discharged"
    oracle.close()
    assert [(d.kind, d.total, d.outstanding) for d in account.documents] == [("interim", 1500, 0), ("bill", 200, 200)] and account.state == "billed"
    post(oracle, line("V", "4", 100))
    oracle.close()
    assert account.documents[2].kind == "supplement"
    account.void()
    assert all(d.state != "void" for d in account.documents), "money is on one: all of them stand"


def test_settling_patients_have_interim_bills(day):
    settling = [step for step in steps(day) if step.message.event == "settle"]
    visits = {step.message.visit.visit_no for step in settling}
    assert len(visits) == day.deviants["settles"] >= 4 and any(step.expected.issued is None for step in settling)
    for visit_no in visits:
        kinds = [d.kind for d in day.oracle.accounts[visit_no].documents]
        assert kinds[0] == "interim" and kinds[1] in ("bill", "credit_note") and len(kinds) == 2
    expected = told.expected_of(day)
    assert expected["interim.billed"] >= expected["interim.paid"] > 0 and expected["interim.later"] != 0


# ---- a chain of merges --------------------------------------------------------------------------------


def test_a_chain_knows_each_line_by_its_number():
    """X and Y have a line 1 each: under each number it is its own, and what only X has is found under Y and under Z."""
    oracle = Oracle(NOW)
    for visit_no, amount in (("X", 100), ("Y", 200), ("Z", 400)):
        post(oracle, line(visit_no, "1", amount))
    post(oracle, line("X", "2", 10), line("X", "3", 20))

    def merge(loser, survivor):
        return oracle.deliver(Message(LAB, 0, "ADT^A42", "M", Visit(loser), into=Visit(survivor)))
    merge("X", "Y")
    assert post(oracle, line("Y", "R1", reverses="2")) == ["posted"], "a credit under Y of X's line"
    merge("Y", "Z")
    merge("X", "Y")
    z = oracle.accounts["Z"]
    assert z.total == 720 and [oracle.accounts[no].total for no in "XY"] == [0, 0]
    assert post(oracle, line("X", "1", 100), line("Y", "1", 200), line("Z", "1", 400), line("Y", "R1", reverses="2")) == ["duplicate"] * 4
    assert post(oracle, line("Z", "3", 20)) == ["duplicate"] and post(oracle, line("X", "1", 200)) == ["conflict"]
    assert post(oracle, line("Y", "R2", reverses="1")) == ["posted"] and z.total == 520
    assert post(oracle, line("X", "R3", reverses="1")) == ["posted"] and z.total == 420
    assert post(oracle, line("Z", "R4", reverses="3"), line("Y", "R5", reverses="2")) == ["posted", "reversal_exceeds"] and z.total == 400
    assert post(oracle, line("X", "9", 1)) == ["posted"] and z.total == 401


def test_chains_of_a_day_end_on_one_bill(day):
    accounts = day.oracle.accounts
    chains = [(x, x.into, x.into.into) for x in accounts.values() if x.into is not None and x.into.into is not None]
    assert len(chains) == day.deviants["chained"] > 0
    for x, y, z in chains:
        assert (x.state, y.state, x.total, y.total) == ("merged", "merged", 0, 0) and [d.kind for d in z.documents] == ["bill"]
        sent_as = {number for _, number, _ in z.by_id}
        assert sent_as == {x.visit_no, y.visit_no, z.visit_no}


# ---- the price list -----------------------------------------------------------------------------------


def test_prices_have_their_day():
    prices, today = Prices(), day_of(NOW)
    yesterday_at, today_at = midnight_of(today) - 1, midnight_of(today)
    assert prices.keep(Entry("MUP", "N", today, price=5)) == "item_incomplete" and prices.keep(Entry("MDC", "N", today)) == "item_unknown"
    assert prices.keep(Entry("MAD", "N", today - 9, "n", "次", 5, 100)) is None and prices.keep(Entry("MUP", "N", today, price=150)) is None
    assert (prices.on("N", yesterday_at).price, prices.on("N", today_at).price, prices.on("N", today_at).name) == (100, 150, "n")
    assert prices.keep(Entry("MDC", "N", today + 1)) is None and prices.on("N", today_at + 86_400) is None
    item = catalogue.ITEMS[0]
    assert prices.keep(Entry("MUP", item.code, today + 1, price=1)) is None
    assert prices.on(item.code, today_at) == item and prices.on(item.code, today_at + 86_400) == item._replace(price=1)


@pytest.mark.parametrize("hour, minute", [(0, 0), (0, 1), (12, 0), (23, 59)])
def test_yesterday_is_yesterday_at_every_hour(hour, minute):
    day = Day(3, 60, int(datetime(2026, 1, 15, hour, minute, tzinfo=wire.CHINA).timestamp()))
    priced = {n: amount for n, amount in told.expected_of(day).items() if n.startswith("priced.")}
    assert priced == {"priced.120000000": 12_000, "priced.150500000": 30_100}


def test_the_price_list_on_the_wire(day):
    step = next(step for step in steps(day) if step.message.entries)
    text = wire.hl7(step.message, MOMENT).decode()
    parsed = hl7.parse(text)
    assert str(parsed.segment("MSH")[9]) == "MFN^M04^MFN_M04" and str(parsed.segment("MFI")[6]) == "AL"
    rows = parsed.segments("MFE")
    assert len(rows) == len(step.message.entries) == len(step.expected.entries) and step.expected.entries.count("U") == 1
    assert [str(row[3]) for row in rows][1] == "20260115" and [str(row[14]) for row in parsed.segments("PRC") if len(row) > 14] == ["02", "07"]
    assert [str(row[5]) for row in parsed.segments("PRC")][:2] == ["120&CNY", "150.5&CNY"]


# ---- the branch ---------------------------------------------------------------------------------------


def test_the_branch_adds_up(branch):
    figures = branch.oracle.figures()
    assert figures["lines.received"] == figures["lines.booked"] + figures["lines.duplicate"] + figures["lines.waiting"] == branch.charge_lines
    assert {name.partition(".")[2] for name in figures if name.startswith("quarantined.")} == {"reversal_exceeds", "currency"}
    assert all(figures[f"feed.{feed}.booked"] > 0 for feed in VENDORS) and all(figures[f"feed.{feed}.duplicate"] > 0 for feed in VENDORS[:2])
    kinds = [visit.kind for visit in branch.visits]
    assert sum(branch.oracle.ended.values()) == kinds.count("outpatient") + kinds.count("emergency")
    assert figures["unbilled"] == 0 and figures["bills.supplement.count"] == 3 and branch.showcase is None
    assert figures["bills.total"] == sum(n for name, n in figures.items() if name.startswith("collected.")) + figures["outstanding"]
    expected = told.expected_of(branch)
    assert sum(expected[f"money.{feed}"] for feed in VENDORS) == figures["bills.total"]
    again = Branch(7, 400, NOW)
    assert [vendors.hl7(s.message, MOMENT) for s in steps(again)] == [vendors.hl7(s.message, MOMENT) for s in steps(branch)]


@pytest.mark.parametrize("seed", range(3))
def test_the_branch_s_systems_may_interleave(branch, seed):
    """Within a stage each feed keeps its order alone."""
    rng, oracle = random.Random(seed), Oracle(NOW, VENDORS)
    for stage in branch.stages:
        queues = {feed: [step for step in stage.steps if step.message.feed == feed] for feed in VENDORS}
        turns = [feed for feed, queue in queues.items() for _ in queue]
        rng.shuffle(turns)
        for feed in turns:
            step = queues[feed].pop(0)
            assert oracle.deliver(step.message).outcomes == step.expected.outcomes
        for visit_no, rule in stage.ends:
            oracle.end(visit_no, rule)
        oracle.close()
    assert [oracle.accounts[v.visit_no].total for v in branch.visits] == [branch.oracle.accounts[v.visit_no].total for v in branch.visits]


def test_a_long_day_closes_its_emergencies_at_a_time():
    assert set(Branch(7, 2000, NOW).oracle.ended) == {"idle", "daily"} and set(Branch(7, 999, NOW).oracle.ended) == {"idle"}
    assert len(Branch(7, 60, NOW).visits) == 12 and len(Branch(7, 97_000, NOW).visits) == 60


def test_each_vendor_numbers_in_its_own_way(branch):
    """By another parser: where each has the visit's number and the line's."""
    for step in steps(branch):
        message = step.message
        if not message.lines:
            continue
        parsed = hl7.parse(vendors.hl7(message, MOMENT).decode("gb18030" if message.feed == "oldhis" else "utf-8"))
        visit, rows = message.visit, parsed.segments("FT1")
        pid, pv1 = parsed.segment("PID"), [] if message.feed == "clinicsys" else parsed.segment("PV1")
        assert len(rows) == len(message.lines) and visit.patient.patient_no in str(pid[3])
        where = {"oldhis": (pv1, 19, visit.visit_no), "clinicsys": (pid, 18, visit.account_no), "wardsys": (pv1, 50, visit.alternate_no),
                 "newlab": (pv1, 19, visit.visit_no)}
        segment, field, number = where[message.feed]
        assert str(segment[field]) == number
        for nth, (row, one) in enumerate(zip(rows, message.lines), 1):
            if message.feed == "oldhis":
                assert (str(row[2]), str(row[10]).startswith("-")) == (one.reverses or one.source, one.kind == "CD")
            elif message.feed == "clinicsys":
                assert str(row[2]) == "" and one.source == f"{message.control}/{nth}" and one.code in str(row[7 if nth % 2 else 25])
            elif message.feed == "wardsys":
                assert (str(row[2]), str(row[23])) == ("", one.source) and str(row[25]).startswith(one.code) and str(row[11]).endswith(("&156", "&USD"))
            else:
                assert str(row[2]) in ("", one.source) and str(row[11]).startswith("-") == (one.kind == "CD")
        assert message.feed != "oldhis" or "UNICODE" not in str(parsed.segment("MSH"))


def test_settings_say_how_each_speaks():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(vendors.settings("daily 23:30"))
    assert [name for name in parser.sections() if name.startswith("feed ")] == [f"feed {feed}" for feed in VENDORS]
    assert all(parser[name].get("facility", BRANCH) == BRANCH for name in parser.sections())
    assert (parser[f"facility {BRANCH}"]["outpatient_close"], parser[f"facility {BRANCH}"]["emergency_close"]) == (f"idle {vendors.IDLE}", "daily 23:30")
    assert len({(parser[f"feed {feed}"].get("visit_no"), parser[f"feed {feed}"].get("line_id")) for feed in VENDORS}) == 4


def test_words_for_who_has_not_seen_the_script(day, branch):
    scripts = [day, branch]
    found = {script.facility: told.expected_of(script) for script in scripts}
    lines = list(told.words(scripts, found))
    text = "\n".join(lines)
    for word in ("settle now", "merges", "price list", "close rules", "four vendors", *VENDORS, "120.00", "150.50", "1 refused"):
        assert word in text, word
    assert all(books.width(row) <= 150 for row in lines) and list(told.words([day], found)) == lines[:7]
    assert UNKNOWN not in text
    document = {"lines": {name: 0 for name in ("received", "booked", "duplicate", "waiting", "resolved", "messages_quarantined")} | {"quarantined": {}}, "by_feed": {},
                "bills": {"issued": 0, "total": "0.00", "by_kind": {}}, "collected": {}, "captures": {}, "credit": "0.00", "outstanding": "0.00",
                "unbilled": "0.00", "revenue": {}, "trial_balance": [], "unexplained": "0.00"}
    assert list(books.table(document, lines))[-1] == "unexplained 0.00"
