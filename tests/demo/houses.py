#!/usr/bin/python3
"""A city's hospitals, large and small, in one schema: who they are, and the settings that name them and their feeds.

    houses.py N         settings for N facilities, for a file in conf.d: the first is the embedded default's own
"""

import configparser
import secrets
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.lines import CLINIC, FACILITY, FEEDS, WARD  # noqa: E402

SMALLEST = 30           # visits; fewer have no room for every oddity
_EVEN = 10              # the more, the less the largest differs from the smallest

_HEAD = """; Of a city's day: many facilities in one schema, their feeds at one daemon.
[database]
hold = 60s

[listen http]
address_connections = 4000

[listen mllp]
address_connections = 4000
"""
_HOUSE = """
[facility {code}]
name = 示范市第{number}医院
grace = 3s
late_grace = 1s
due_hours = 48
"""


class House(NamedTuple):
    code: str
    visits: int


def code_of(n):
    """H01, H02 … H303."""
    return FACILITY if n == 0 else f"H{n + 1:02}"


def share_out(facilities, visits):
    """The visits of each: the first has the most, the last a few, none less than SMALLEST."""
    weights = [1 / (n + _EVEN) for n in range(facilities)]
    spare = visits - facilities * SMALLEST
    if spare < 0:
        raise ValueError(f"{facilities} facilities need {facilities * SMALLEST} visits at least")
    edges = [round(spare * sum(weights[:n]) / sum(weights)) for n in range(facilities + 1)]
    return [House(code_of(n), SMALLEST + edges[n + 1] - edges[n]) for n in range(facilities)]


def feed_name(code, feed):
    return feed if code == FACILITY else f"{code}.{feed}"


def settings(facilities):
    """Of all but the first, which conf/visitbilld.embedded.conf has. Each ward has a token of its own."""
    parts = [_HEAD]
    for n in range(1, facilities):
        code = code_of(n)
        parts.append(_HOUSE.format(code=code, number=n + 1))
        for feed in FEEDS:
            known_by = f"token = {secrets.token_hex(24)}" if feed == WARD else f"application = {feed.upper()}"
            zbl = "zbl = yes\n" if feed == CLINIC else ""
            parts.append(f"\n[feed {feed_name(code, feed)}]\nfacility = {code}\n{known_by}\n{zbl}")
    return "".join(parts)


def read_tokens(path):
    """The ward's token of each facility that the settings name."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, encoding="utf-8")
    return {parser[name]["facility"]: parser[name]["token"] for name in parser.sections() if name.startswith("feed ") and "token" in parser[name]}


if __name__ == "__main__":
    sys.stdout.write(settings(int(sys.argv[1])))
