"""Plays the script: MLLP for the clinic, the pharmacy and the laboratory, JSON for the ward, all at once.

A connection of MLLP keeps a window of messages in flight and compares every acknowledgement with the oracle's word: in order, of
the right message, AA or AE, an ERR that names the reason (ERR-5) for each line that cannot be booked, and where the feed gets a
ZBL, its counts. What is wrong is reported and the day goes on; a connection that breaks ends it.
"""

import asyncio
import itertools
import time
from collections import deque

from . import vendors, wire
from .api import Api, ApiError
from .kiosk import Kiosk
from .lines import KIOSK, VENDORS, WARD, Expected, Message, Step

WINDOW = 32
_ANSWER_S = 90
WAIT_S = 120
_POLL_S = 0.05
HEARTBEAT_S = 0.25
_PULSE = -1                     # the connection of the heartbeats


class FeedError(Exception):
    """A feed cannot go on."""


async def play(day, env, progress, heartbeat_s=HEARTBEAT_S, wait_s=WAIT_S):
    """All stages, one after the other, with heartbeats beside them. env: the feed's token is that of the day's facility. wait_s: how long the daemon may
    take for what it does by itself."""
    feeds, done = _Feeds(env, progress, day.feeds), asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_heartbeats(feeds, day.visits[0], done, heartbeat_s))
            for stage in day.stages:
                if stage.before:
                    await asyncio.to_thread(stage.before, env)
                if stage.waits:
                    await asyncio.to_thread(_await_all, Api(env.http, env.desk_token), day.facility, stage.waits, wait_s, progress)
                progress.phase = stage.name
                await feeds.play(stage.steps)
            done.set()
    except ExceptionGroup as group:
        raise first_of(group) from group
    finally:
        feeds.close()


def first_of(error):
    """The first of the errors that tasks ended with together."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


class _Feeds:
    """Every connection of every feed, opened when it is first needed."""

    def __init__(self, env, progress, names):
        self._env = env
        self._progress = progress
        self.names = names
        self._connections = {}

    async def play(self, steps):
        by_connection = {}
        for step in steps:
            by_connection.setdefault((step.message.feed, step.message.connection), []).append(step)
        async with asyncio.TaskGroup() as group:
            for (feed, number), its_steps in by_connection.items():
                group.create_task((await self.connection(feed, number)).play(its_steps))

    async def connection(self, feed, number):
        connection = self._connections.get((feed, number))
        if connection is not None and feed not in (*self.names, KIOSK):    # a stranger that is silent is not kept for long
            connection.close()
            connection = None
        if connection is None:
            if feed == WARD:
                connection = _Json(Api(self._env.http, self._env.feed_token), self._progress)
            elif feed == KIOSK:
                connection = Kiosk(self._env, self._progress)
            else:
                connection = await _Mllp.open(feed, self._env.mllp, self._progress)
            self._connections[feed, number] = connection
        return connection

    def close(self):
        for connection in self._connections.values():
            connection.close()


class _Mllp:
    def __init__(self, feed, reader, writer, progress):
        self._feed = feed
        self._reader = reader
        self._writer = writer
        self._progress = progress
        self._flying = deque()
        self._window = asyncio.Semaphore(WINDOW)

    @classmethod
    async def open(cls, feed, address, progress):
        host, _, port = address.rpartition(":")
        return cls(feed, *await asyncio.open_connection(host, int(port)), progress)

    async def play(self, steps):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send(steps))
                group.create_task(self._receive(len(steps)))
        except ExceptionGroup as group:
            error = first_of(group)
            if isinstance(error, TimeoutError):
                raise FeedError(f"{self._feed}: no acknowledgement within {_ANSWER_S} s") from error
            if isinstance(error, EOFError):
                raise FeedError(f"{self._feed}: the daemon closed the connection") from error
            if isinstance(error, OSError):
                raise FeedError(f"{self._feed}: the connection broke: {error}") from error
            raise

    async def _send(self, steps):
        for step in steps:
            await self._window.acquire()
            message = step.message
            if message.rendered is None:
                message.rendered = (vendors if self._feed in VENDORS else wire).hl7(message, wire.now())
            self._flying.append(step)
            self._writer.write(b"\x0b" + message.rendered + b"\x1c\r")
            await self._writer.drain()

    async def _receive(self, count):
        for _ in range(count):
            async with asyncio.timeout(_ANSWER_S):
                frame = await self._reader.readuntil(b"\x1c\r")
            step = self._flying.popleft()
            self._window.release()
            self._check(step, frame[frame.index(b"\x0b") + 1:-2].split(b"\r"))
            self._progress.add(lines=len(step.message.lines))

    def _check(self, step, segments):
        message, expected = step.message, step.expected
        msa = next((s.split(b"|") for s in segments if s.startswith(b"MSA|")), [b"MSA", b"", b""])
        code, control = msa[1].decode(), msa[2].decode()
        reasons = [s.split(b"|")[5].decode() for s in segments if s.startswith(b"ERR|") and s.count(b"|") > 4]
        if self._feed == vendors.OLDHIS and any(s.startswith(b"ERR|") for s in segments):
            reasons = expected.reasons      # before 2.5 an ERR names none
        if control != message.control:
            raise FeedError(f"{self._feed}: {message.control} was sent and {control or 'nothing'} acknowledged in its place")
        if (code, reasons) != (expected.code, expected.reasons):
            self._progress.problem(f"{self._feed}: {message.event} {control}: expected {_verdict(expected.code, expected.reasons)},"
                                   f" found {_verdict(code, reasons)}")
        told = "".join(s.split(b"|")[4].decode() for s in segments if s.startswith(b"MFA|"))
        if told != expected.entries:
            self._progress.problem(f"{self._feed}: {message.event} {control}: expected {expected.entries} in its MFA, found {told}")
        proof = next((s.decode().split("|")[2:5] for s in segments if s.startswith(b"ZBL|")), None)
        if proof and "held" not in expected.outcomes and not _is_proof(proof, expected, self._progress.failover):
            self._progress.problem(f"{self._feed}: {message.event} {control}: expected booked, duplicate, refused {_proof(expected)} in"
                                   f" ZBL, found {proof}")

    def close(self):
        self._writer.close()


def _is_proof(proof, expected, failover):
    """What was committed on a server that died unheard is a duplicate on the next one: after a failover booked lines may be such."""
    wanted = _proof(expected)
    return proof == wanted or (failover and proof[2] == wanted[2] and int(proof[1]) >= int(wanted[1])
                               and int(proof[0]) + int(proof[1]) == int(wanted[0]) + int(wanted[1]))


def _verdict(code, reasons):
    return " ".join([code, *reasons])


def _proof(expected):
    """ZBL-2 to ZBL-4."""
    duplicate, refused = expected.outcomes.count("duplicate"), len(expected.reasons)
    return [str(n) for n in (len(expected.outcomes) - duplicate - refused, duplicate, refused)]


class _Json:
    def __init__(self, api, progress):
        self._api = api
        self._progress = progress

    async def play(self, steps):
        await asyncio.to_thread(self._play, steps)

    def _play(self, steps):
        for step in steps:
            message = step.message
            if message.rendered is None:
                message.rendered = wire.request(message, wire.now())
            method, path, body = message.rendered
            try:
                status, answer = self._api.call(method, path, body=body)
                ends = time.monotonic() + WAIT_S
                while status == 503 and time.monotonic() < ends:    # "send again", says the answer
                    time.sleep(_POLL_S)
                    status, answer = self._api.call(method, path, body=body)
            except (OSError, ApiError) as error:
                raise FeedError(f"ward: {method} {path}: {error}") from error
            self._check(step, path, status, answer)
            self._progress.add(lines=len(message.lines))

    def _check(self, step, path, status, answer):
        if status not in (200, 201):
            self._progress.problem(f"ward: POST {path}: expected 200, found {status}: {answer}")
        elif step.message.event == "charges":
            outcomes = [line.get("outcome") for line in answer["lines"]]
            for line, expected, found in itertools.zip_longest(step.message.lines, step.expected.outcomes, outcomes):
                # a reversal that meets its original in one batch is booked at once; which batch is a matter of time
                if expected != found and (expected, found) != ("held", "posted") and not (self._progress.failover and found == "duplicate"):
                    self._progress.problem(f"ward: line {line.source if line else '?'}: expected {expected}, found {found}")

    def close(self):
        self._api.close()


# ---- what goes on beside the script ---------------------------------------------------------------


async def _heartbeats(feeds, visit, done, period_s):
    """Each feed says now and then that it lives and how far it is, so that no bill waits for one that has nothing to send. The
    last ones go out after the script's end, for the last discharges."""
    for number in itertools.count(1):
        ended = done.is_set()
        for feed in feeds.names:
            event = "charges" if feed == WARD else vendors.PULSES.get(feed, "ADT^A31")
            connection = await feeds.connection(feed, _PULSE)
            await connection.play([Step(Message(feed, _PULSE, event, f"HB{feed[0].upper()}{number}", visit), Expected())])
        if ended:
            return
        try:
            await asyncio.wait_for(done.wait(), period_s)
        except TimeoutError:
            pass


def _await_all(api, facility, waits, wait_s, progress):
    """Until the daemon has done by itself what the next stage builds on."""
    for wait in waits:
        deadline = time.monotonic() + wait_s
        while (count := _count(api, facility, wait)) != wait.count:
            if time.monotonic() > deadline:
                progress.problem(f"visit {wait.visit_no}: expected {wait.count} {wait.what}, found {count} after {wait_s} s")
                break
            time.sleep(_POLL_S)
    api.close()


def _count(api, facility, wait):
    visit = api.get(f"/v1/visits/{facility}/{wait.visit_no}")
    return len(visit["bills"]) if wait.what == "bills" else visit["lines"]
