"""How the cost of one line grows: with lines a message, lines a visit, open visits, connections and feeds. Stored history is history's."""

from .. import proc, store
from ..result import Curve, Row

IN_FLIGHT = 2000        # lines, in each sweep that varies something else


def _measure(c, daemon, **values):
    """(CPU of daemon and PostgreSQL in µs a line, lines/s)."""
    before = proc.cpu_s(daemon.pid) + c.rig.postgres_cpu_s()
    r = c.load("mllp-pipeline", mllp=daemon.mllp, **values)
    cpu = proc.cpu_s(daemon.pid) + c.rig.postgres_cpu_s() - before
    return cpu * 1e6 / r["good_lines"], r["lines_per_s"]


def _sentence(points, what):
    (x0, first, _), (x1, last, _) = points[0], points[-1]
    if last > first * 1.15:
        change = f"{last / first:.1f} × as much"
    elif last < first / 1.15:
        change = f"{first / last:.1f} × less"
    else:
        change = "the same"
    return f"From {x0:,} to {x1:,} {what} a line costs {change} ({first:.1f} µs of CPU, then {last:.1f} µs)."


def _sweep(c, name, what, values, run):
    points = []
    for x in values:
        cpu, rate = run(x)
        points.append((x, cpu, rate))
        c.say(f"growth, {name} {x:,}: {cpu:.1f} µs, {rate:,.0f} lines/s")
    c.curves.append(Curve(name, what, points, _sentence(points, what)))
    return Row(f"cost of a line, {points[-1][0]:,} {what}", points[-1][1], "µs CPU", f"{points[0][0]:,} {what}", points[0][1], points[-1][1] / points[0][1])


def growth(c):
    short = {"seconds": 1 if c.quick else 3, "warm_ms": 500}
    rows = []

    with c.rig.workplace("growth") as (_, daemon):
        rows.append(_sweep(c, "lines a message", "lines a message", (1, 2, 5, 10, 20, 50, 100), lambda n: _measure(
            c, daemon, connections=8, lines=n, window=max(1, IN_FLIGHT // 8 // n), **short)))

    def visits_with(database, daemon, n):
        prefix = f"L{n}-"
        c.rig.add_visits(database, 200, prefix)
        if n > 0:
            store.add_lines(c.rig, database, prefix, 200, n)
        return _measure(c, daemon, connections=8, lines=5, visits=200, visit_prefix=prefix, count=5000)

    with c.rig.workplace("growth") as (database, daemon):
        rows.append(_sweep(c, "lines a visit", "lines on the visit", (1, 100, 1000) if c.quick else (1, 100, 1000, 10000),
                           lambda n: visits_with(database, daemon, n)))

    most = 10_000 if c.quick else 100_000
    with c.rig.workplace("growth") as (database, daemon):
        c.rig.add_visits(database, most, "BX")
        rows.append(_sweep(c, "visits open", "visits open", [10 ** k for k in range(1, 7) if 10 ** k <= most], lambda n: _measure(
            c, daemon, connections=8, lines=5, visits=n, visit_prefix="BX", **short)))

    with c.rig.workplace("growth") as (_, daemon):
        rows.append(_sweep(c, "connections", "connections", (1, 8, 64, 256, 1000), lambda n: _measure(
            c, daemon, connections=n, lines=5, window=max(1, IN_FLIGHT // 5 // n), **short)))

    with c.rig.workplace("growth", feeds=100) as (_, daemon):
        rows.append(_sweep(c, "feeds", "feeds", (1, 10, 100), lambda n: _measure(
            c, daemon, connections=8, lines=5, window=50, application="BENCH", feeds=n, **short)))
    return rows
