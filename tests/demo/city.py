"""A city's day: many facilities in one schema, each with a day and an oracle of its own, played by a few processes.

Visit numbers, line ids and MSH-10 are the same at every facility, so whatever mixes two of them up is seen in the books of both. First the
feeds of all facilities, so many facilities at a time; then the payers of all; then the books of each and of the whole. A process keeps
the script of a facility only while its feeds play it.
"""

import asyncio
import gc
import itertools
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import wait
from types import SimpleNamespace

from . import books, catalogue, feeds, houses, ledgers, payers
from .api import ApiError
from .day import Day
from .lines import FACILITY
from .progress import Counts, Progress
from .usage import Meter

AT_ONCE = 40                    # facilities whose feeds a process plays
_HEARTBEAT_S = 1
_WAIT_S = 900                   # for bills: ten hours of discharges come in minutes, and the next facilities wait, too
_PAYING_FACILITIES, _PAYERS = 2, 6      # of a process, at once
_TELL_S = 0.5
_FAILURES = (ApiError, feeds.FeedError, payers.PayerError, OSError)


# ---- a player: one process, some of the facilities ------------------------------------------------------


class _Player:
    def __init__(self, pipe, env, wards, seed, now, share):
        self._pipe, self._env, self._wards, self._seed, self._now, self._share = pipe, env, wards, seed, now, share
        self._counts, self._days, self._expected = Counts(), [], {}
        self._over = threading.Event()

    def run(self):
        """Does what the conductor says, a word a phase, and tells how far it is meanwhile."""
        gc.set_threshold(200_000, 20, 50)       # a day is a million objects that stay
        teller = threading.Thread(target=self._tell, daemon=True)
        teller.start()
        try:
            for phase, play in (("feeds", lambda: asyncio.run(self._feed())), ("payers", self._pay)):
                assert self._pipe.recv() == phase
                play()
                self._pipe.send(("done", self._counts.lines, self._counts.paid, len(self._counts.problems)))
            self._end(teller)
            self._pipe.send(("books", self._expected, self._counts.problems))
        except _FAILURES as error:
            self._end(teller)
            self._pipe.send(("failed", str(error), self._counts.problems))

    def _tell(self):
        while not self._over.wait(_TELL_S):
            self._pipe.send(("counts", self._counts.lines, self._counts.paid, len(self._counts.problems)))

    def _end(self, teller):
        self._over.set()
        teller.join()

    def _env_of(self, code):
        return SimpleNamespace(**{**vars(self._env), "feed_token": self._wards[code][1]})

    async def _feed(self):
        # a thread for the ward's requests, one for its heartbeats, one that waits for bills: none waits for another facility's
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(3 * AT_ONCE + 1))
        gate, pen = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
        try:
            async with asyncio.TaskGroup() as group:
                for code in self._wards:
                    group.create_task(self._feed_one(gate, pen, code))
        except ExceptionGroup as error:
            raise feeds.first_of(error) from error

    async def _feed_one(self, gate, pen, code):
        async with gate:
            async with pen:     # one is written at a time, beside the feeds of the others: a connection that says nothing for long is cut
                day = await asyncio.to_thread(Day, f"{self._seed}/{code}", self._wards[code][0], self._now, code, connections=1, payers=self._share)
            await feeds.play(day, self._env_of(code), self._counts, _HEARTBEAT_S, _WAIT_S)
            self._expected[code] = books.expected_of(day)
            day.forget_script()
            self._days.append(day)

    def _pay(self):
        with ThreadPoolExecutor(_PAYING_FACILITIES) as pool:
            for _ in pool.map(lambda day: payers.play(day, self._env_of(day.facility), self._counts, _PAYERS), self._days):
                pass


def _run_player(*arguments):
    _Player(*arguments).run()


# ---- the conductor --------------------------------------------------------------------------------------


class _Progress(Progress):
    """Of all players: each tells its own counts."""

    def __init__(self, facilities):
        super().__init__(0, 0)
        self._facilities = facilities
        self.told = {}          # player -> (lines, payers, problems)

    def text(self):
        lines, paid, wrong = (sum(column) for column in zip(*self.told.values())) if self.told else (0, 0, 0)
        wrong += len(self.problems)
        return f"{self.elapsed()}  {self.phase:<8}  {self._facilities:,} facilities  lines {lines:,}  payers {paid:,}" + (f"  {wrong} wrong" if wrong else "")


class City:
    def __init__(self, env, arguments, now):
        self._env, self._arguments, self._now = env, arguments, now
        self.houses = houses.share_out(arguments.facilities, arguments.visits)
        self._tokens = {**houses.read_tokens(arguments.settings), FACILITY: env.feed_token}
        self._pipes, self._processes = [], []
        self.expected = {}
        self.seconds = {}       # of each phase

    def import_items(self):
        """By visitbillctl for the first, whose list the others get: a start of a program for each would take longer than the lines of a small one."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".csv") as file:
            catalogue.write_csv(file)
            file.flush()
            books.ctl(self._env, "items", "import", "--facility", FACILITY, file.name)
        ledgers.copy_items(self._env.pg, FACILITY)

    def start(self):
        """A process a core; each gets facilities of every size."""
        hands = min(os.cpu_count() or 1, len(self.houses))
        for n in range(hands):
            # 0 1 2 2 1 0 0 1 2 …: the largest of each row of facilities goes to who had the smallest of the last
            mine = [house for place, house in enumerate(self.houses) if abs((place + 0.5) % (2 * hands) - hands) // 1 == n]
            here, there = multiprocessing.Pipe()
            wards = {house.code: (house.visits, self._tokens[house.code]) for house in mine}
            process = multiprocessing.Process(target=_run_player, daemon=True,
                                              args=(there, self._env, wards, self._arguments.seed, self._now, self._arguments.payers / 100))
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)

    def phase(self, name, progress, meter):
        """All players play it; what they used is in the meter's terms."""
        progress.phase, began = name, meter.wall_s()
        for pipe in self._pipes:
            pipe.send(name)
        self._hear("done", progress)
        self.seconds[name] = meter.wall_s() - began

    def await_bills(self, progress, meter):
        """Until the last visit is closed: payers would only wait for it."""
        progress.phase, began = "bills", meter.wall_s()
        while (left := ledgers.waiting_for_bills(self._env.pg)) > 0:
            if meter.wall_s() - began > _WAIT_S:
                progress.problem(f"{left:,} visits are not closed after {_WAIT_S} s")
                break
            time.sleep(0.2)
        self.seconds["bills"] = meter.wall_s() - began

    def end(self, progress):
        """What each facility's books must say."""
        for _, expected, problems in self._hear("books", progress):
            self.expected.update(expected)
            progress.problems += problems
        progress.told = {pipe: (*told[:2], 0) for pipe, told in progress.told.items()}
        for process in self._processes:
            process.join()

    def stop(self):
        for process in self._processes:
            process.terminate()
            process.join()

    def _hear(self, word, progress):
        """Until each player has said it: what they said."""
        waiting, said = set(self._pipes), []
        while waiting:
            for pipe in wait(waiting):
                try:
                    told = pipe.recv()
                except EOFError:
                    raise feeds.FeedError("a player ended") from None
                if told[0] == "failed":
                    progress.problems += told[2]
                    raise feeds.FeedError(told[1])
                if told[0] in ("counts", "done"):
                    progress.told[pipe] = told[1:]
                if told[0] == word:
                    said.append(told)
                    waiting.discard(pipe)
        return said


def _check(city, env, result, progress):
    """The books of each facility, and those of the city, which are their sum."""
    ledger = ledgers.read(env.pg)
    for code in sorted(city.expected.keys() | ledger.keys()):
        expected = {name: n for name, n in city.expected.get(code, {}).items() if not name.startswith("channel.")}
        books.compare({"lines.resolved": 0, **expected}, ledger[code], progress, f"{code}: ")
    total = Counter()
    for figures in city.expected.values():
        total.update(figures)       # and not added: a sum of counters leaves out what is below zero
    books.check(total, env, result, progress)


def fold(result):
    """The document with the feeds of one kind added up over the facilities."""
    by_feed = {}
    for name, counts in result["by_feed"].items():
        by_feed.setdefault(name.rpartition(".")[2], Counter()).update(counts)
    return {**result, "by_feed": by_feed}


def _clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _result(city, arguments, meter, paid):
    """What it was, how long it took and what it used."""
    sent, cpu = sum(figures["lines.received"] for figures in city.expected.values()), meter.cpu_s()
    sizes = [house.visits for house in city.houses]
    yield f"{len(sizes):,} facilities of {min(sizes):,} to {max(sizes):,} visits, {sum(sizes):,} visits, {sent:,} lines sent, {paid:,} payments"
    took = {name: _clock(seconds) for name, seconds in city.seconds.items()}
    yield (f"  wall time   {_clock(meter.wall_s())}: feeds {took['feeds']} ({sent / city.seconds['feeds']:,.0f} lines/s while the day was made on the same cores),"
           f" the last bills {took['bills']} later, payers {took['payers']} ({paid / max(city.seconds['payers'], 0.001):,.0f} payments/s), books {took['books']}")
    yield (f"  CPU time    daemon {_clock(cpu['daemon'])}, PostgreSQL {_clock(cpu['postgresql'])}, players {_clock(cpu['players'])}, channel simulator"
           f" {_clock(cpu['simulator'])}, on {os.cpu_count()} cores")
    yield f"  memory      daemon {meter.daemon_mib():,.0f} MiB resident at most; database {meter.database_mib():,.0f} MiB"
    if arguments.payers < 100:
        yield f"  {arguments.payers:g} % of those who owe came to pay; what the others owe is outstanding, here and in the oracle"


def play(env, arguments, now):
    """The whole day; exit status 0 only if every figure of every facility agrees."""
    city = City(env, arguments, now)
    city.import_items()
    meter = Meter(env)
    city.start()
    progress = _Progress(len(city.houses))
    result = None
    try:
        with progress:
            city.phase("feeds", progress, meter)
            city.await_bills(progress, meter)
            city.phase("payers", progress, meter)
            city.end(progress)
            progress.phase, began = "books", meter.wall_s()
            result = fold(books.read(env))
            _check(city, env, result, progress)
            city.seconds["books"] = meter.wall_s() - began
    except (*_FAILURES, books.BooksError) as error:
        print(f"the day ended early: {error}")
        progress.report()
        return 1
    finally:
        city.stop()
    print("\n".join(itertools.chain(books.table(result), [""], _result(city, arguments, meter, result["receipts"]))))
    if progress.problems:
        print()
        progress.report()
        return 1
    print(f"the books of every facility agree with what was sent to it (seed {arguments.seed})")
    return 0
