"""The day's script and its oracle against each other and against arithmetic; no daemon is needed."""

import csv
import io
import random
import sys
import unicodedata
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

import hl7
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo import books, catalogue, deviants, people, wire  # noqa: E402
from demo.day import SMALLEST, Day  # noqa: E402
from demo.lines import CLINIC, FEEDS, LAB, PHARMACY, UNKNOWN, WARD, decimal_text, fen, price_amount, share, yuan  # noqa: E402
from demo.oracle import Oracle  # noqa: E402

NOW = int(datetime(2026, 1, 15, 16, 30, tzinfo=wire.CHINA).timestamp())
MOMENT = datetime.fromtimestamp(NOW, wire.CHINA)


@pytest.fixture(scope="module", name="day")
def _day():
    return Day(7, 400, NOW)


def steps(day):
    return [step for stage in day.stages for step in stage.steps]


def rendered(day):
    return [wire.request(s.message, MOMENT) if s.message.feed == WARD else wire.hl7(s.message, MOMENT) for s in steps(day)]


def replay(day, rng=None):
    """The script read again by a fresh oracle, without payments; with `rng` the connections of a stage are mixed anew."""
    oracle = Oracle(day.now)
    for stage in day.stages:
        order = list(stage.steps)
        if rng:
            queues = defaultdict(list)
            for step in order:
                queues[step.message.feed, step.message.connection].append(step)
            turns = [key for key, queue in queues.items() for _ in queue]
            rng.shuffle(turns)
            order = [queues[key].pop(0) for key in turns]
        for step in order:
            found = oracle.deliver(step.message)
            assert (found.code, found.reasons) == (step.expected.code, step.expected.reasons)
            assert found.outcomes == step.expected.outcomes
        oracle.close()
    return oracle.figures()


def test_a_seed_repeats_a_day(day):
    again = Day(7, 400, NOW)
    assert rendered(again) == rendered(day)
    assert again.oracle.figures() == day.oracle.figures()
    assert Day(8, 400, NOW).oracle.figures() != day.oracle.figures()


def test_another_hour_changes_times_only(day):
    later = Day(7, 400, NOW + 5000)
    assert later.oracle.figures() == day.oracle.figures()


@pytest.mark.parametrize("seed", range(5))
def test_connections_may_interleave_as_they_like(day, seed):
    assert replay(day, random.Random(seed)) == replay(day)


def test_charges_before_their_registration_open_the_visit():
    """An update does not: of a visit whose registration comes late, it follows a charge on the same connection."""
    late = 0
    for seed in range(40):
        day = Day(seed, SMALLEST, NOW)
        late += sum(1 for step in steps(day) if step.message.event == "ADT^A08" and step.message.visit.role == "early")
        assert all("visit_unknown" not in step.expected.reasons for step in steps(day))
        assert replay(day, random.Random(seed)) == replay(day)
    assert late > 0


def test_figures_add_up(day):
    f = Counter(day.oracle.figures())
    for name in ("received", "booked", "duplicate", "waiting"):
        assert f[f"lines.{name}"] == sum(f[f"feed.{feed}.{name}"] for feed in (*FEEDS, UNKNOWN))
    assert f["lines.received"] == f["lines.booked"] + f["lines.duplicate"] + f["lines.waiting"]
    assert f["lines.received"] == day.charge_lines
    assert f["lines.waiting"] == sum(n for name, n in f.items() if name.startswith("quarantined."))
    kinds = ("interim", "bill", "supplement", "credit_note", "void_note")
    assert f["bills.issued"] == sum(f[f"bills.{kind}.count"] for kind in kinds)
    assert f["bills.total"] == sum(f[f"bills.{kind}.total"] for kind in kinds)
    assert f["bills.total"] == sum(f[f"revenue.{category:02}"] for category in catalogue.CATEGORIES)
    collected = sum(f[f"collected.{channel}"] for channel in ("wechatpay", "cash", "elsewhere"))
    assert f["bills.total"] == collected - f["credit"] + f["outstanding"]
    assert sum(n for name, n in f.items() if name.startswith("balance.")) == 0
    assert f["outstanding"] > 0 and f["credit"] > 0 and f["unbilled"] > 0


def test_visits_add_up(day):
    f = day.oracle.figures()
    totals = sum(account.total for account in day.oracle.accounts.values())
    assert totals == f["bills.total"] + f["unbilled"]
    for account in day.payers():
        assert all(d.outstanding >= 0 or (d.kind == "credit_note" and all(o.state == "settled" for o in account.documents if o.total > 0))
                   for d in account.documents), "a credit stays where nothing is owed"
        assert account.total == sum(d.total for d in account.documents)


def test_each_id_that_was_taken_is_booked_once(day):
    ids = set()
    for step in steps(day):
        for line, outcome in zip(step.message.lines, step.expected.outcomes):
            if outcome in ("posted", "late", "held"):
                ids.add((step.message.feed, line.visit_no, line.source))
    assert len(ids) == day.oracle.figures()["lines.booked"]


@pytest.mark.parametrize("visits", (SMALLEST, 400))
def test_every_deviation_occurs(visits):
    day = Day(20190701, visits, NOW)
    wanted = {*deviants.ROLES, *deviants.RATES}
    assert wanted <= set(day.deviants) and all(day.deviants[name] > 0 for name in wanted)
    figures = day.oracle.figures()
    reasons = {name.partition(".")[2] for name in figures if name.startswith("quarantined.")}
    assert reasons == {"conflict", "reversal_exceeds", "price_unknown", "amount_mismatch", "amount_negative", "currency",
                       "date_absurd", "visit_cancelled", "feed_unknown"}
    outcomes = {outcome for step in steps(day) for outcome in step.expected.outcomes}
    assert outcomes == reasons | {"posted", "late", "duplicate", "held"}
    assert all(figures[f"bills.{kind}.count"] > 0 for kind in ("interim", "bill", "supplement", "credit_note", "void_note"))
    assert figures["messages_quarantined"] == 1
    assert figures["lines.resolved"] == day.deviants["held"]
    assert figures["visits.merged"] == day.deviants["merged"] + 2 * day.deviants["chained"]
    assert figures["visits.cancelled"] == day.deviants["cancelled"]
    assert day.showcase is not None


def test_every_kind_of_message_occurs(day):
    assert {step.message.event for step in steps(day)} == {
        "ADT^A01", "ADT^A02", "ADT^A03", "ADT^A04", "ADT^A08", "ADT^A11", "ADT^A13", "ADT^A28", "ADT^A42", "BAR^P06", "DFT^P03",
        "MFN^M04", "charges", "discharge", "settle", "visit",
    }


def test_a_day_has_its_size_and_shares(day):
    lines = sum(1 for step in steps(day) for outcome in step.expected.outcomes if outcome in ("posted", "late"))
    assert 12 <= lines / len(day.visits) <= 18
    kinds = Counter(visit.kind for visit in day.visits)
    assert kinds["outpatient"] > kinds["emergency"] > kinds["inpatient"] > 0
    owing = sum(1 for account in day.payers() if account.state == "billed")
    assert 0.02 < owing / len(day.payers()) < 0.12


def test_times_are_not_in_the_future(day):
    for step in steps(day):
        for line, outcome in zip(step.message.lines, step.expected.outcomes):
            assert outcome == "date_absurd" or NOW - (2 * 86_400 if line.code in ("TJ0001", "TJ0002") else 86_400) < line.at <= NOW


def test_pharmacy_messages_survive_gb18030(day):
    names = set()
    for step in steps(day):
        message = step.message
        if message.feed == PHARMACY:
            text = wire.hl7(message, MOMENT).decode("gb18030")
            assert f"|{message.visit.patient.name}|" in text
            names.update(message.visit.patient.name)
            for line in message.lines:
                assert f"{line.code}^{wire.escape(line.name)}^" in text
    assert names & set(people.RARE)


def test_rare_names_have_every_delimiter_as_a_trail_byte():
    trail = {character.encode("gb18030")[1:] for character in people.RARE}
    assert {b"|", b"^", b"~", b"\\"} <= trail
    assert any(len(t) == 3 for t in trail)


def test_hl7_is_read_alike_by_another_parser(day):
    for step in steps(day):
        message = step.message
        if message.feed == WARD or not message.lines:
            continue
        parsed = hl7.parse(wire.hl7(message, MOMENT).decode("gb18030" if message.feed == PHARMACY else "utf-8"))
        assert str(parsed.segment("MSH")[10]) == message.control
        assert str(parsed.segment("PV1")[19]) == message.visit.visit_no
        fields = parsed.segments("FT1")
        assert len(fields) == len(message.lines)
        for ft1, line in zip(fields, message.lines):
            assert str(ft1[2]) == (line.reverses if line.bare else line.source)
            assert str(ft1[6]) == line.kind
            assert str(ft1[10]) == ("" if line.quantity is None else decimal_text(line.quantity, 4))
            assert str(ft1[11]).startswith("" if line.amount is None else yuan(line.amount))
            assert (str(ft1[41]) if len(ft1) > 41 else "") == ("" if line.category is None else f"{line.category:02}")
        reversals = [str(zrv[1]) for zrv in parsed.segments("ZRV")] if "\rZRV|" in str(parsed) else []
        assert reversals == [line.reverses for line in message.lines if line.reverses and not line.bare]


def test_a_visit_keeps_to_one_connection_of_a_feed(day):
    seen = {}
    for step in steps(day):
        for line in step.message.lines:
            key = line.visit_no, step.message.feed
            assert seen.setdefault(key, step.message.connection) == step.message.connection


def test_the_price_list():
    assert len(catalogue.ITEMS) >= 150
    assert set(catalogue.CATEGORIES) == {item.category for item in catalogue.ITEMS}
    for codes in ([i.code for i in catalogue.ITEMS], [i.national_code for i in catalogue.ITEMS], [i.name for i in catalogue.ITEMS]):
        assert len(codes) == len(set(codes))
    lengths = {catalogue.DRUG: 23, catalogue.PATENT: 20, catalogue.HERB: 10, catalogue.MATERIAL: 20}
    for item in catalogue.ITEMS:
        assert len(item.national_code) == lengths.get(item.category, 15), item
        assert item.grade in "ABC" and 0 <= item.self_pay <= 10_000 and item.price >= 0
    file = io.StringIO()
    catalogue.write_csv(file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["code"] for row in rows] == [item.code for item in catalogue.ITEMS]
    assert all(fen_of_price(row["unit_price"]) == item.price for row, item in zip(rows, catalogue.ITEMS))


def fen_of_price(text):
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(6, "0"))


def test_money():
    assert price_amount(30_000, 125_000) == 38           # 3 × 0.125 = 0.375, half up
    assert price_amount(30_000, 124_999) == 37
    assert share(100, 1, 3) == 33 and share(100, 1, 200) == 1 and share(5, 1, 2) == 3
    for amount in (0, 1, -1, 99, -100, 123_456_789):
        assert fen(yuan(amount)) == amount
    for text in ("1", "1.5", "1,00", "--1.00", "1.0x", "", "1e2.00"):
        with pytest.raises(ValueError):
            fen(text)
    assert decimal_text(15_000, 4) == "1.5" and decimal_text(-65_000, 6) == "-0.065" and decimal_text(0, 4) == "0"


def test_the_table_is_aligned():
    counts = {"received": 31_000, "booked": 30_000, "duplicate": 990, "waiting": 10}
    document = {
        "lines": {**counts, "quarantined": {"conflict": 10}, "resolved": 0, "messages_quarantined": 1},
        "by_feed": {feed: counts for feed in FEEDS},
        "bills": {"issued": 2, "total": "10.00", "by_kind": {"bill": {"count": 1, "total": "12.50"}, "credit_note": {"count": 1, "total": "-2.50"}}},
        "collected": {"wechatpay": "10.00"}, "captures": {"wechatpay": 1}, "credit": "0.00", "outstanding": "0.00", "unbilled": "0.00",
        "revenue": {"09": "10.00"}, "unexplained": "0.00",
        "trial_balance": [{"account": "wechatpay", "debit": "10.00", "credit": "0.00"}, {"account": "revenue:09", "debit": "0.00", "credit": "10.00"}],
    }
    rows = list(books.table(document))
    assert any(row.startswith("  09 西药费") and row.endswith("10.00") for row in rows)
    assert rows[-1] == "unexplained 0.00"
    assert {books.width(row) for row in rows if "conflict" in row} == {55}
    assert {books.width(row) for row in rows if "西药费" in row or row.startswith("  sum")} == {72}
    assert all(unicodedata.east_asian_width(c) != "A" for row in rows for c in row)


def test_feeds_have_their_habits(day):
    texts = defaultdict(str)
    for step in steps(day):
        if step.message.feed in (CLINIC, LAB, PHARMACY):
            texts[step.message.feed] += wire.hl7(step.message, MOMENT).decode("gb18030" if step.message.feed == PHARMACY else "utf-8")
    assert "&CNY|" in texts[CLINIC] and "^CNY|" in texts[LAB] and "CNY" not in texts[PHARMACY]
    assert "|GB 18030-2000\r" in texts[PHARMACY] and "\\T\\" in texts[CLINIC]
