"""A city's facilities, their settings and their days; no daemon is needed."""

import configparser
import sys
from datetime import datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo import books, city, houses, wire  # noqa: E402
from demo.day import Day  # noqa: E402
from demo.lines import FEEDS, WARD  # noqa: E402
from demo.progress import Counts  # noqa: E402

NOW = int(datetime(2026, 1, 15, 16, 30, tzinfo=wire.CHINA).timestamp())
MOMENT = datetime.fromtimestamp(NOW, wire.CHINA)


@pytest.mark.parametrize("facilities, visits", [(2, 60), (5, 200), (303, 97000)])
def test_the_visits_are_shared_out(facilities, visits):
    shared = houses.share_out(facilities, visits)
    assert sum(house.visits for house in shared) == visits and len(shared) == facilities
    assert len({house.code for house in shared}) == facilities and shared[0].code == "H01"
    sizes = [house.visits for house in shared]
    assert min(sizes) >= houses.SMALLEST and max(sizes) == sizes[0]
    assert facilities < 100 or max(sizes) > 10 * min(sizes)


def test_too_few_visits_are_refused():
    with pytest.raises(ValueError, match="10 facilities need 300 visits at least"):
        houses.share_out(10, 299)


def test_settings_name_every_facility_and_feed(tmp_path):
    file = tmp_path / "city.conf"
    file.write_text(houses.settings(12), encoding="utf-8")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file, encoding="utf-8")
    codes = [house.code for house in houses.share_out(12, 360)]
    assert [name for name in parser.sections() if name.startswith("facility ")] == [f"facility {code}" for code in codes[1:]]
    for code in codes[1:]:
        for feed in FEEDS:
            section = parser[f"feed {code}.{feed}"]
            assert section["facility"] == code and (("token" in section) if feed == WARD else section["application"] == feed.upper())
    tokens = houses.read_tokens(file)
    assert list(tokens) == codes[1:] and len(set(tokens.values())) == 11 and min(map(len, tokens.values())) >= 16


def test_messages_name_their_facility():
    day = Day("1/H07", 60, NOW, "H07", connections=1)
    for stage in day.stages:
        for step in stage.steps:
            message = step.message
            if message.feed != WARD:
                text = wire.hl7(message, MOMENT).decode("gb18030" if message.feed == "pharmacy" else "utf-8")
                assert text.split("|")[3] == "H07" and "H01" not in text
            elif message.event != "charges":
                _, path, body = wire.request(message, MOMENT)
                assert "/H07/" in path or b'"facility":"H07"' in body


def test_whoever_does_not_pay_owes():
    everyone, some, nobody = (Day(3, 200, NOW, payers=share) for share in (1, 0.4, 0))
    owed = [day.oracle.figures()["outstanding"] for day in (everyone, some, nobody)]
    assert owed[0] < owed[1] < owed[2]
    assert not everyone.away and 0 < len(some.away) < len(nobody.away) == len(nobody.payers())
    for day in (everyone, some, nobody):
        figures = books.expected_of(day)
        assert figures["bills.total"] == sum(n for name, n in figures.items() if name.startswith("collected.")) - figures["credit"] + figures["outstanding"]
    assert nobody.oracle.figures()["receipts"] == sum(len(d.early) for a in nobody.oracle.accounts.values() for d in a.documents) == 3, "by who settled before"


def test_what_payers_need_stays():
    day = Day(3, 200, NOW, payers=0.5)
    settling = [step for stage in day.stages for step in stage.steps if step.message.event == "settle"]
    figures, payers = books.expected_of(day), {a.visit_no: list(a.documents) for a in day.payers() if a not in day.away}
    day.forget_script()
    assert {a.visit_no: list(a.documents) for a in day.payers()} == payers and set(day.by_no) == set(payers)
    early = [step.expected.pay for step in settling if step.expected.pay]
    paid = [pay.amount for pay in [*early, *(pay for a in day.payers() for d in a.documents for pay in d.pays)] if pay.channel == "wechatpay"]
    assert (len(paid), sum(paid)) == (figures["channel.paid_count"], figures["channel.paid_total"])


def test_a_wrong_figure_is_named_with_its_facility():
    counts = Counts()
    expected = {"lines.booked": 10, "lines.resolved": 1, "collected.cash": 500}
    books.compare(expected, {"lines.booked": 10, "lines.resolved": 0, "collected.cash": 500}, counts, "H01: ")
    assert counts.problems == []
    books.compare(expected, {"lines.booked": 9, "collected.cash": 700, "balance.cash": 1}, counts, "H02: ")
    assert counts.problems == ["H02: balance.cash: expected 0.00, found 0.01", "H02: collected.cash: expected 5.00, found 7.00",
                               "H02: lines.booked: expected 10, found 9"]


def test_feeds_of_a_kind_are_one_row():
    rows = {"clinic": {"booked": 1}, "H02.clinic": {"booked": 2}, "H02.lab": {"booked": 4}, "unknown": {"booked": 0}}
    assert city.fold({"by_feed": rows, "credit": "0.00"}) == {"by_feed": {"clinic": {"booked": 3}, "lab": {"booked": 4}, "unknown": {"booked": 0}}, "credit": "0.00"}
