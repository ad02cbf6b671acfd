"""A server of a pair dies, or hangs: how long feeds wait until they are booked again. The pair and its daemon are those of the tests (tests/e2e/pair.py), with
the default times; feeds are senders that repeat a message until it is taken, as real ones do."""

import os
import signal
import sys
import threading
import time

from ..result import compare
from ..rig import ROOT, Failure

FEEDS = 8
WARM_S, LONGEST_S = 2, 60


def _pair(build):
    """The tests' own, on the build under measurement."""
    os.environ["VISITBILL_BUILD"] = build
    sys.path.insert(0, os.path.join(ROOT, "tests"))
    from e2e.feeds import Feed, ft1       # not before the build is known
    from e2e.pair import Pair

    return Pair, Feed, ft1


class _Sender(threading.Thread):
    """One line after the other, each until it is taken."""

    def __init__(self, feed, ft1, visit, over):
        super().__init__(daemon=True)
        self._feed, self._ft1, self._visit, self._over = feed, ft1, visit, over
        self.taken = []         # (when it was first sent, when it was taken)
        self.refused = None

    def run(self):
        while not self._over.is_set():
            message, began = self._feed.dft_message(self._visit, self._ft1(f"{len(self.taken)}", "1.00")), time.monotonic()
            while not self._over.is_set():
                try:
                    code = self._feed.send(message).code
                except (OSError, AssertionError):
                    code = None
                if code == "AA":
                    self.taken.append((began, time.monotonic()))
                    break
                if code == "AE":
                    self.refused = message
                    return
                time.sleep(0.02)

    def first_after(self, moment):
        """When the first message that was begun after that moment was taken."""
        return next((taken for began, taken in list(self.taken) if began > moment), None)


def _again_s(senders, moment):
    """Until every feed has been booked again."""
    while any(sender.first_after(moment) is None for sender in senders):
        if time.monotonic() > moment + LONGEST_S or any(sender.refused for sender in senders):
            raise Failure(f"feeds were not booked again within {LONGEST_S} s, or a line was refused")
        time.sleep(0.005)
    return max(sender.first_after(moment) for sender in senders) - moment


def _check(server, senders):
    """What was acknowledged is stored, once."""
    lines = server.lines()
    booked = {(visit, source) for visit, _, source in lines}
    lost = [1 for n, sender in enumerate(senders) for i in range(len(sender.taken)) if (f"FO{n}", f"{i}") not in booked]
    if lost or len(lines) != len(set(lines)):
        raise Failure(f"{len(lost)} acknowledged lines were lost, {len(lines) - len(set(lines))} doubled")


def _measure(c, hangs):
    """Seconds from the fault, and from the order to promote that follows it at once, until all feeds are booked on the standby; and until PostgreSQL had done
    what was ordered."""
    make, feed, ft1 = _pair(c.rig.version.build)
    over = threading.Event()
    with make() as pair:
        senders = [_Sender(feed(pair.house.mllp, "CLINIC"), ft1, f"FO{n}", over) for n in range(FEEDS)]
        try:
            for sender in senders:
                sender.start()
            time.sleep(WARM_S)
            if hangs:
                pair.first.signal(signal.SIGSTOP)
            else:
                pair.first.kill()
            ordered = time.monotonic()
            pair.second.promote()
            promotion = time.monotonic() - ordered
            seconds = _again_s(senders, ordered)
        finally:
            over.set()
            for sender in senders:
                sender.join(30)
        _check(pair.second, senders)
    return seconds, promotion


def failover(c):
    rounds = min(c.rounds, 2 if c.quick else 3)
    killed, hung = [], []
    for n in range(rounds):
        killed.append(_measure(c, hangs=False))
        hung.append(_measure(c, hangs=True))
        c.say(f"failover, round {n + 1} of {rounds}: killed {killed[-1][0]:.2f} s, hung {hung[-1][0]:.2f} s, promotions {killed[-1][1]:.2f} and {hung[-1][1]:.2f} s")
    note = f"{FEEDS} feeds, the default times; the standby is promoted at once; nothing acknowledged was lost, nothing doubled"
    return [
        compare("from the order to promote the standby until all feeds are booked", "s", [seconds for seconds, _ in killed], goal="failover/promoted", note=note),
        compare("of these, until PostgreSQL had promoted it", "s", [promotion for _, promotion in killed]),
        compare("from a hang of the primary (SIGSTOP) until all feeds are booked on the standby", "s", [seconds for seconds, _ in hung], goal="failover/hung"),
    ]
