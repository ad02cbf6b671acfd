"""Durable lines a second: over MLLP and HTTP, against the limit and against one transaction a line, all in the same rounds."""

import json
import subprocess
import time

from .. import tools
from ..result import compare
from ..rig import FEED_TOKEN, VISITS

SHAPES = {
    "pipeline": ("mllp-pipeline", {"connections": 8, "window": 64, "lines": 5}),
    "wait": ("mllp-wait", {"connections": 64, "lines": 1}),
    "http100": ("http", {"connections": 8, "lines": 100}),
    "http1": ("http", {"connections": 64, "lines": 1}),
}
TITLES = {
    "pipeline": "MLLP, 8 connections, 64 in flight, 5 FT1",
    "wait": "MLLP, 64 connections that wait, 1 FT1",
    "http100": "POST /v1/charges, 100 lines, 8 connections",
    "http1": "POST /v1/charges, 1 line, 64 connections",
}


def address(daemon, mode):
    return {"http": daemon.http, "token": FEED_TOKEN} if mode == "http" else {"mllp": daemon.mllp}


def lines_per_s(c, daemon, name):
    """One of the SHAPES, for a while."""
    mode, shape = SHAPES[name]
    return c.load(mode, **shape, **address(daemon, mode))["lines_per_s"]


def generator(c):
    """The generator's own ceiling, against a server that does nothing but acknowledge."""
    rows = []
    for name, (mode, shape) in SHAPES.items():
        sink = c.rig.spawn([c.rig.tool("vbsink"), "--lines", str(shape["lines"])], stdout=subprocess.PIPE, text=True)
        ports = json.loads(sink.stdout.readline())
        target = {"http": ports["http"], "token": "sink"} if mode == "http" else {"mllp": ports["mllp"]}
        samples = [c.load(mode, seconds=1 if c.quick else 3, warm_ms=300, **shape, **target)["lines_per_s"] for _ in range(2)]
        sink.terminate()
        sink.wait()
        sink.stdout.close()
        rows.append(compare(f"generator's ceiling: {TITLES[name]}", "lines/s", samples, note="against vbsink, which shares the machine"))
    return rows


def throughput(c):
    scripts = {"line": "line.sql", "single": "line_single.sql"}
    clients = {name: c.best_clients(script, visits=VISITS) for name, script in scripts.items()}
    best = c.best_limit()
    results = {name: [] for name in ("limit", "line", "single", "limit32", *SHAPES)}
    for n in range(c.rounds):
        # a fresh database a round, so that all contenders of a round find tables of the same size
        with c.rig.workplace("lines") as (database, daemon):
            def run(name):
                c.rig.checkpoint()
                if name == "limit":
                    return c.limit(database)["lines_per_s"]
                if name == "limit32":
                    return c.limit(database, connections=2, depth=1, rows=32, rows_a_visit=1)["lines_per_s"]
                if name in scripts:
                    return tools.pgbench(c.rig, database, scripts[name], c.seconds, clients[name], visits=VISITS)["tps"]
                return lines_per_s(c, daemon, name)

            names = list(results) if n % 2 == 0 else list(reversed(results))
            for name in names:
                results[name].append(run(name))
            c.say(f"throughput, round {n + 1} of {c.rounds}: " + ", ".join(f"{name} {results[name][-1]:,.0f}" for name in results))
            time.sleep(0.2)
    note = f"limit: {best['connections']} connections, {best['rows']} lines a batch; one line: {clients['line']} clients"
    rows = []
    for name, against in (("pipeline", "limit"), ("pipeline", "line"), ("wait", "limit"), ("wait", "line"), ("http100", "limit"), ("http1", "line")):
        rows.append(compare(TITLES[name], "lines/s", results[name], {"limit": "limit program", "line": "one transaction a line"}[against],
                            results[against], f"{name}/{against}", note))
    rows.append(compare(TITLES["pipeline"], "lines/s", results["pipeline"], "one line in one statement", results["single"],
                        note=f"the same transaction in a single round trip, {clients['single']} clients"))
    rows.append(compare(TITLES["wait"], "lines/s", results["wait"], "limit program, 32 lines a batch", results["limit32"],
                        note="at most 64 lines can be in flight: what batches of that size allow"))
    return rows
