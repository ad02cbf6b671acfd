"""ACK latency in an open loop, against one commit of the same PostgreSQL, and against pgbench in an open loop of the same rate, a commit a line.
Latency counts from when a message, or a commit, was due."""

import glob
import os

from .. import tools
from ..result import compare
from ..rig import VISITS

OPEN_LOOP_CLIENTS = 16


def _commits(c, database, clients=1, rate=None):
    """Commits by so many clients, one after another or, with a rate, as they are due: (p50, p99) in microseconds, from pgbench's log of each."""
    prefix = os.path.join(c.rig.dir, "commit")
    tools.pgbench(c.rig, database, "commit.sql", c.seconds, clients, rate=rate, log=prefix, visits=VISITS)
    times = []
    for path in glob.glob(prefix + ".*"):       # one of each thread
        with open(path, encoding="ascii") as f:
            log = [int(line.split()[2]) for line in f]
        times += log[len(log) // 20:]           # without the first ones, which plan
        os.unlink(path)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def warm(c, daemon):
    """The plans are made."""
    c.load("mllp-wait", mllp=daemon.mllp, connections=8, lines=1, seconds=1)


def acknowledgements(c, daemon, rate):
    """Quantiles in microseconds of an open loop at so many lines a second, a line a message."""
    c.rig.checkpoint()
    return c.load("open-loop", mllp=daemon.mllp, rate=rate, connections=64, lines=1)["latency_us"]


def latency(c):
    commits, at, peer = [], {1000: [], 5000: []}, {1000: [], 5000: []}
    for n in range(c.rounds):
        with c.rig.workplace("latency") as (database, daemon):
            warm(c, daemon)
            c.rig.checkpoint()
            commits.append(_commits(c, database))
            for rate, samples in at.items():
                samples.append(acknowledgements(c, daemon, rate))
                c.rig.checkpoint()
                peer[rate].append(_commits(c, database, OPEN_LOOP_CLIENTS, rate))
        c.say(f"latency, round {n + 1} of {c.rounds}: commit {commits[-1][0] / 1000:.2f} / {commits[-1][1] / 1000:.2f} ms, "
              + ", ".join(f"{rate}/s {s[-1]['p50'] / 1000:.2f} / {s[-1]['p99'] / 1000:.2f} ms" for rate, s in at.items()) + " (p50 / p99)")
    rows = []
    for rate, samples in at.items():
        for name, index in (("p50", 0), ("p99", 1)):
            rows.append(compare(f"ACK latency at {rate:,} lines/s, {name}", "ms", [s[name] / 1000 for s in samples], f"one commit by pgbench, {name}",
                                [x[index] / 1000 for x in commits], f"ack{rate}/{name}"))
            rows.append(compare(f"a transaction a line by pgbench, as due at {rate:,}/s, {name}", "ms", [x[index] / 1000 for x in peer[rate]],
                                f"the daemon's, {name}", [s[name] / 1000 for s in samples]))
        rows.append(compare(f"ACK latency at {rate:,} lines/s, p99.9", "ms", [s["p999"] / 1000 for s in samples]))
    return rows
