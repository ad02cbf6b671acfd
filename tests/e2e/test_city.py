"""A city's day by scripts/demo, and what compares the books of each facility."""

import pathlib
import subprocess
import sys

from .feeds import Feed, ft1
from .live import ROOT

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from demo import ledgers  # noqa: E402


def test_a_city_in_small(tmp_path):
    """Visit numbers, line ids and MSH-10 are the same at all facilities; half of those who owe come to pay."""
    done = subprocess.run([ROOT / "scripts/demo", "--facilities", "5", "--visits", "200", "--payers", "50"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, encoding="utf-8", timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    last = done.stdout.splitlines()[-7:]
    assert "unexplained 0.00" in done.stdout
    assert last[1].startswith("5 facilities of 38 to 42 visits, 200 visits, ") and last[1].endswith(" payments")
    assert [line.split()[0] for line in last[2:5]] == ["wall", "CPU", "memory"]
    assert last[5].startswith("  50 % of those who owe came to pay")
    assert last[6] == "the books of every facility agree with what was sent to it (seed 20190701)"


def test_each_facility_has_books_of_its_own(annex, visit):
    """A line and a payment in one facility is in that facility's figures and in no other's."""
    before = ledgers.read(annex.env["VISITBILL_PG"])
    there = Feed(annex.mllp, "CLINIC", "H02")
    first = there.dft_message(visit, ft1("1", "12.50"), ft1("2", "7.50"))
    assert there.send(first).code == "AA"
    there.charge(visit, ft1("P", "5.00", kind="PY", price=""))
    assert there.send(first).code == "AA" and there.dft(visit, ft1("3", "1.00", at="18990101")).reasons == ["date_absurd"]
    after = ledgers.read(annex.env["VISITBILL_PG"])
    changed = {code: {name: n - before[code][name] for name, n in figures.items() if n != before[code][name]} for code, figures in after.items()}
    assert {code for code, names in changed.items() if names} == {"H02"}
    assert changed["H02"] == {
        "feed.clinic2.booked": 3, "feed.clinic2.duplicate": 2, "feed.clinic2.waiting": 1, "feed.clinic2.received": 6,
        "lines.booked": 3, "lines.duplicate": 2, "lines.waiting": 1, "lines.received": 6, "quarantined.date_absurd": 1,
        "visits.open": 1, "unbilled": 2000, "collected.elsewhere": 500, "credit": 500, "balance.elsewhere": 500, "balance.credit": -500,
    }
