"""Under attack: for each of a hostile peer's ways, how much memory the daemon takes, how long a known feed waits for its acknowledgements meanwhile,
and whether a kiosk is answered. The settings are the embedded default's, with its limits."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time

from .. import proc, store, tools
from ..result import Row
from ..rig import FEED_TOKEN, KIOSK_TOKEN, ROOT
from .latency import warm

TITLES = {
    "segments": "one frame of empty headers, without end",
    "deaf": "sends and never reads",
    "unfinished": "unfinished bodies and frames, eight million zeros",
    "commits": "commit blocks without end",
    "lines": "10,000 charges without ids in a message",
    "escapes": "paths and keys that are no text",
}
BILLS, EVERY_S, PATIENCE_S = 20, 0.05, 10
LINES_A_SECOND = 50
NICE = 10       # of the attacker, whose machine would be another one


class Kiosk(threading.Thread):
    """Reads a bill every 50 ms, each time on a connection of its own."""

    def __init__(self, daemon):
        super().__init__()
        self.address, self.over = daemon.http, threading.Event()
        self.sent, self.took, self.complaint = 0, [], ""

    def run(self):
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + EVERY_S, time.monotonic())
            self.sent += 1
            started = time.monotonic()
            try:
                self._read(f"bench-{self.sent % BILLS + 1}")
                self.took.append(time.monotonic() - started)
            except (OSError, ValueError, http.client.HTTPException) as e:
                self.complaint = self.complaint or str(e) or type(e).__name__

    def _read(self, bill):
        c = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        try:
            c.request("GET", f"/v1/bills/{bill}?lines=all", headers={"Authorization": f"Bearer {KIOSK_TOKEN}"})
            reply = c.getresponse()
            text = reply.read()
            if reply.status != 200 or bill.encode() not in text:
                raise ValueError(f"{reply.status} {text[:100]}")
        finally:
            c.close()

    def p99_ms(self):
        took = sorted(self.took)
        return took[len(took) * 99 // 100] * 1000 if took else 0.0


def _attacker(c, daemon, name, seconds):
    process = c.rig.spawn(["nice", "-n", str(NICE), sys.executable, os.path.join(ROOT, "tests", "bench", "attack.py"), name, *tools.options(
        http=daemon.http, mllp=daemon.mllp, mllp2=daemon.mllp2, feed_token=FEED_TOKEN, kiosk_token=KIOSK_TOKEN, seconds=seconds)],
        stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def _feed(c, daemon, seconds):
    """A line every 20 ms on a connection of its own, acknowledgements counted from when each was due."""
    return c.rig.spawn([c.rig.tool("vbload"), "open-loop", *tools.options(mllp=daemon.mllp, rate=LINES_A_SECOND, connections=1, lines=1, seconds=seconds,
                                                                         warm_ms=c.warm_ms, application="PHARMACY", tag=tools.tag())],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _one(c, name):
    seconds = 2 if c.quick else 20
    with c.rig.workplace("attack", many_connections=False) as (database, daemon):
        store.add_bills(c.rig, database, BILLS, 30)
        warm(c, daemon)
        c.rig.checkpoint()
        proc.reset_peak(daemon.pid)
        kiosk = Kiosk(daemon)
        attacker = _attacker(c, daemon, name, seconds + c.warm_ms / 1000)
        feed = _feed(c, daemon, seconds)
        kiosk.start()
        try:
            attack = json.loads(attacker.communicate()[0])
        finally:
            kiosk.over.set()
            kiosk.join()
        out, complaint = feed.communicate()
        r = json.loads(out)
        peak = proc.memory_kib(daemon.pid, "VmHWM") / 1024
    note = (f"{attack['connections']:,} connections, {attack['sent_mib']:,} MiB sent, {attack['received_mib']:,} MiB received;"
            f" the kiosk's p99 {kiosk.p99_ms():.0f} ms")
    if r["failures"]:
        note += f"; {r['failures']} of the feed's messages failed: {(r.get('complaint') or complaint)[:200]}"
    if kiosk.complaint:
        note += f"; the kiosk saw: {kiosk.complaint[:200]}"
    p99 = r["latency_us"]["p99"] / 1000 if not r["failures"] else float("inf")
    c.say(f"attack, {name}: {peak:.0f} MiB, p99 {p99:.1f} ms, {len(kiosk.took)} of {kiosk.sent} reads; {note}")
    title = f"attack: {TITLES[name]}"
    return [
        Row(f"{title}; resident at most", peak, "MiB", goal="attack/memory", note=note),
        Row(f"{title}; a feed's acknowledgement, p99", p99, "ms", goal="attack/p99"),
        Row(f"{title}; a kiosk's reads answered", len(kiosk.took), "reads", "asked", kiosk.sent, len(kiosk.took) / max(kiosk.sent, 1), "attack/reads"),
    ]


def attacks(c):
    return [row for name in TITLES for row in _one(c, name)]
