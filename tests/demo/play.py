#!/usr/bin/python3
"""Plays a hospital day against a running visitbilld and checks its books to the line and the fen.

    play.py --env DIR/env [--branch] [--seed N] [--visits N]
    play.py --env DIR/env --facilities N --settings DIR/conf.d/city.conf [--seed N] [--visits N] [--payers PERCENT]

DIR/env is what scripts/serve writes. The books must be empty: the oracle knows this day only. Exit status 0 means that every figure
agrees with what was sent; each one that doesn't is named.
"""

import argparse
import asyncio
import shlex
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo import books, catalogue, city, feeds, houses, ledgers, payers, told  # noqa: E402
from demo.api import ApiError  # noqa: E402
from demo.branch import Branch  # noqa: E402
from demo.day import SMALLEST, Day  # noqa: E402
from demo.progress import Progress  # noqa: E402

_NEEDED = ("http", "mllp", "sim", "conf", "ctl", "dir", "pg", "feed_token", "kiosk_token", "desk_token")
_ENDS = (ApiError, books.BooksError, feeds.FeedError, payers.PayerError, OSError)      # what the day cannot go on after


def read_env(path):
    """The VISITBILL_ variables of DIR/env, by their names in small letters without that."""
    words = shlex.split(Path(path).read_text(encoding="utf-8"))
    pairs = dict(word.removeprefix("VISITBILL_").split("=", 1) for word in words)
    env = SimpleNamespace(**{name.lower(): value for name, value in pairs.items()})
    missing = [name for name in _NEEDED if not hasattr(env, name)]
    if missing:
        raise SystemExit(f"{path} says nothing of VISITBILL_{missing[0].upper()}")
    return env


def import_items(env, facilities):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".csv") as file:
        catalogue.write_csv(file)
        file.flush()
        for facility in facilities:
            books.ctl(env, "items", "import", "--facility", facility, file.name)


def show_bill(env, day, progress):
    """The printed bill of one patient who is about to scan its code and pay."""
    printed = []
    with payers.Payer(day, env, progress) as payer:
        payer.visit(day.showcase, lambda bill, payment: printed.append(books.ctl(env, "bill", "show", bill, "--qr", payment["code_url"])))
    progress.add(paid=1)
    return "".join(printed)


def play(scripts, env, progress):
    """The feeds of the main house; then its payers, and beside them the branch, whose own payers come when its visits have ended."""
    day, *branches = scripts
    asyncio.run(feeds.play(day, env, progress))
    with ThreadPoolExecutor(1) as beside:
        played = [beside.submit(lambda branch=branch: asyncio.run(feeds.play(branch, env, progress))) for branch in branches]
        payers.play(day, env, progress)
        for one in played:
            one.result()
    for branch in branches:
        payers.play(branch, env, progress)


def check(scripts, env, result, progress, failover):
    """The books of all, those of each facility, and the figures that are told in words; returns these."""
    expected = [books.expected_of(script) for script in scripts]
    total = Counter()
    for one in expected:
        total.update(one)
    books.check(total, env, result, progress, failover)
    ledger = ledgers.read(env.pg)
    for script, one in zip(scripts, expected):
        if failover:
            books.take_off_sent_twice(one, ledger[script.facility])
        books.compare({name: n for name, n in one.items() if not name.startswith("channel.")}, ledger[script.facility], progress, f"{script.facility}: ")
    found = told.read(env.pg)
    told.compare(scripts, found, progress)
    return found


def parse_arguments():
    parser = argparse.ArgumentParser(description="a hospital day, played and checked")
    parser.add_argument("--env", required=True, help="DIR/env of scripts/serve")
    parser.add_argument("--seed", type=int, default=20190701, help="the same seed is the same day (default %(default)s)")
    parser.add_argument("--branch", action="store_true", help="and at a branch, whose settings vendors.py wrote to DIR/conf.d/branch.conf")
    parser.add_argument("--failover", action="store_true", help="a server of the database is killed meanwhile")
    parser.add_argument("--visits", type=int, default=2000, help=f"at least {SMALLEST} (default %(default)s)")
    parser.add_argument("--facilities", type=int, default=1, help="a city's day, over so many (default %(default)s)")
    parser.add_argument("--settings", help="what houses.py wrote of them")
    parser.add_argument("--payers", type=float, default=100, help="with --facilities: the percentage of those who owe that comes to pay (default %(default)s)")
    arguments = parser.parse_args()
    if not 0 <= arguments.payers <= 100 or (arguments.payers < 100 and arguments.facilities == 1):
        parser.error("--payers is a percentage, and goes with --facilities")
    smallest = SMALLEST if arguments.facilities == 1 else houses.SMALLEST * arguments.facilities
    if arguments.visits < smallest:
        parser.error(f"--visits must be at least {smallest}")
    return arguments


def main():
    arguments = parse_arguments()
    env = read_env(arguments.env)
    received = books.read(env)["lines"]["received"]
    if received:
        print(f"the books hold {received:,} lines already: a day needs empty ones (another --dir)", file=sys.stderr)
        return 1
    if arguments.facilities > 1:
        return city.play(env, arguments, int(time.time()))
    day = Day(arguments.seed, arguments.visits, int(time.time()))
    scripts = [day, Branch(arguments.seed, arguments.visits, int(time.time()))] if arguments.branch else [day]
    import_items(env, [script.facility for script in scripts])
    progress = Progress(sum(script.charge_lines for script in scripts), sum(len(script.payers()) for script in scripts))
    progress.failover = arguments.failover
    try:
        with progress:
            play(scripts, env, progress)
            printed = show_bill(env, day, progress)
            progress.phase = "books"
            result = books.read(env)
            found = check(scripts, env, result, progress, arguments.failover)
    except _ENDS as error:
        print(f"the day ended early: {error}")
        progress.report()
        return 1
    print(printed)
    if progress.problems:
        print("\n".join(books.table(result)))
        print()
        progress.report()
        return 1
    agrees = f"every figure agrees with what was sent (seed {arguments.seed}, {arguments.visits:,} visits)"
    print("\n".join(books.table(result, [*told.words(scripts, found), "", agrees])))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except _ENDS as error:
        sys.exit(f"play.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
