"""The integration guide, proto/hl7/README.md, and the front page's example by hand: each message of the guide is sent, in its order, and has to be
answered with exactly what stands under it; its settings are settings; every event that billing takes is shown."""

import configparser
import os
import re
import subprocess

import pytest

from .feeds import frame
from .live import ROOT, House

GUIDE = (ROOT / "proto/hl7/README.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```hl7\n(.*?)\n```\n```ack\n(.*?)\n```$", GUIDE, re.M | re.S)
SETTINGS = re.findall(r"^```ini\n(.*?)\n```$", GUIDE, re.M | re.S)
MACHINE = next(block for block in SETTINGS if block.startswith("[feed machine]"))       # it sends some of the examples


@pytest.fixture(scope="module", name="house")
def _house():
    """The embedded default, which all examples are of, and that feed."""
    ini = configparser.RawConfigParser()
    ini.read_string(MACHINE)
    with House({name: dict(ini[name]) for name in ini.sections()}) as house:
        yield house


def as_shown(answer):
    """With what is the daemon's own named: MSH-7 and MSH-10."""
    shown = re.sub(r"\A(MSH.{5}(?:.[^|]*){4}.)\d{14}[+-]\d{4}(..[^|]*.)VB[0-9a-f]+", r"\1TIME\2ID", answer.rstrip("\r"))
    return shown.replace("\r", "\n")


def test_each_example_is_answered_as_it_is_shown(house):
    assert len(EXAMPLES) == GUIDE.count("```hl7") >= 50
    with house.clinic.connect() as line:
        for message, expected in EXAMPLES:
            line.write(frame((message.replace("\n", "\r") + "\r").encode()))
            answer, = line.frames(1)
            assert as_shown(answer.decode()) == expected, message
    totals = dict(house.rows("select visit_no, total from visit where visit_no in ('G1', 'G2', 'G8')"))
    assert totals == {"G1": 2350, "G2": 120000, "G8": 6000}, "25.00 − 12.50 of a box, cotton taken back, 5.00 and 6.00"


def test_every_event_of_the_table_is_shown():
    rows = re.findall(r'\{"(\w{3})", "(\w{3})", EVENT_', (ROOT / "proto/hl7/event_table.c").read_text("utf-8"))
    shown = {tuple(message.split("\n")[0].split("|")[8].split("^")[:2]) for message, _ in EXAMPLES}
    assert set(rows) - shown == set()


def test_the_settings_of_the_guide_are_settings(house, tmp_path):
    blocks = [block for block in SETTINGS if block != MACHINE]
    assert len(blocks) == 2
    with open(house.env["VISITBILL_CONF"], encoding="utf-8") as file:
        text = file.read()
    path = tmp_path / "guide.conf"
    path.write_text(text + "\n" + "\n".join(blocks) + "\n", "utf-8")
    done = subprocess.run([house.env["VISITBILL_CTL"], "-c", path, "config", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path.write_text(text + "\n" + blocks[1].replace("PID-18", "PID-19") + "\n", "utf-8")
    done = subprocess.run([house.env["VISITBILL_CTL"], "-c", path, "config", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "visit_no has to be some of PV1-19, PID-18 and PV1-50" in done.stderr


def test_the_front_pages_example_by_hand(house):
    """As it stands there, on a host whose clock is UTC: it says its offset, so that its feed is not eight hours behind."""
    page = (ROOT / "README.md").read_text("utf-8")
    script = re.search(r"^    exec 3<>.*?(?=\n\n)", page, re.M | re.S)[0]
    done = subprocess.run(["bash", "-c", re.sub(r"^    ", "", script, flags=re.M)], capture_output=True, text=True, check=True,
                          env=os.environ | house.env | {"TZ": "UTC"})
    assert "MSA|AA|M1\n" in done.stdout.replace("\r", "\n"), done
    assert house.lines("V7")[("clinic", "L1")] == 2500
    seconds = house.value("select extract(epoch from clock_timestamp() - charged_at) from charge join visit using (visit_id) where visit_no = 'V7'")
    assert 0 <= seconds < 86400, "today, by its own offset"
    assert house.value("select clock_timestamp() - mark < interval '1 minute' from feed_watermark join feed using (feed_id)"
                       " where name = 'clinic'") in (True, None)
