"""Lines a second with years of lines stored, against the same daemon on an empty database, in turns."""

from .. import store
from ..result import Curve, compare

PREFIX = "BW"           # open visits that are newer than all history, as in life
OPEN_VISITS = 2000


def history(c):
    sizes = (200_000,) if c.quick else (2_000_000, 10_000_000)
    empty, full = c.rig.database("empty"), c.rig.database("history")
    c.rig.add_visits(empty, OPEN_VISITS, PREFIX)
    rows, points, next_visit, stored = [], [], 0, 0
    for size in sizes:
        next_visit = store.add_history(c.rig, full, size - stored, next_visit, c.say)
        stored = size
        # the same name again would be the same visits: those of the step before stay behind as old open ones
        prefix = f"{PREFIX}{size // 1_000_000}-"
        c.rig.add_visits(full, OPEN_VISITS, prefix)
        c.rig.sql(full, "select partitions_ahead()")
        samples = {"empty": [], "full": []}
        with c.rig.daemon(empty) as a, c.rig.daemon(full) as b:
            for n in range(c.rounds):
                for name in ("empty", "full") if n % 2 == 0 else ("full", "empty"):
                    daemon = a if name == "empty" else b
                    c.rig.checkpoint()
                    r = c.load("mllp-pipeline", mllp=daemon.mllp, connections=8, window=64, lines=5, visit_prefix=PREFIX if name == "empty" else prefix)
                    samples[name].append(r["lines_per_s"])
                c.say(f"history, {size:,} lines, round {n + 1} of {c.rounds}: {samples['full'][-1]:,.0f} lines/s, empty {samples['empty'][-1]:,.0f}")
        goal = f"history/{size // 1_000_000}M" if size >= 1_000_000 else ""
        rows.append(compare(f"lines/s with {size:,} lines stored", "lines/s", samples["full"], "the same when empty", samples["empty"], goal))
        if not points:
            points.append((0, None, rows[0].against_value))
        points.append((size, None, rows[-1].value))
    ratio = rows[-1].ratio
    c.curves.append(Curve("stored history", "lines stored", points, f"With {sizes[-1]:,} lines stored, {ratio:.2f} of the speed when empty remains."))
    c.rig.drop(empty)
    c.rig.drop(full)
    return rows
