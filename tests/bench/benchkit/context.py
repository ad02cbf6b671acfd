"""What a figure gets: the machine, how long to measure, and what was found out once for all figures."""

import sys
import time
from dataclasses import dataclass, field

from . import tools


@dataclass
class Context:
    rig: object
    quick: bool
    seconds: int                # of one measurement
    warm_ms: int
    rounds: int
    soak_minutes: int = 0
    curves: list = field(default_factory=list)
    _best: dict = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def say(self, text):
        print(f"[{time.monotonic() - self._started:6.1f} s] {text}", file=sys.stderr, flush=True)

    def load(self, mode, **values):
        values = {"seconds": self.seconds, "warm_ms": self.warm_ms, **values}
        return tools.load(self.rig, mode, **values)

    def limit(self, database, **values):
        best = {**self.best_limit(), **values}
        return tools.limit(self.rig, database, self.seconds, warm_ms=self.warm_ms, **best)

    def best_limit(self):
        """The limit program's best connections and batch, tried on a database of their own."""
        if "limit" not in self._best:
            database = self.rig.database("limit")
            tried = {}
            shapes = [(2, 2, 1000), (2, 2, 2000), (3, 2, 1000)] if self.quick else [(k, 2, n) for k in (1, 2, 3, 4) for n in (500, 1000, 2000, 4000)]
            for connections, depth, rows in shapes:
                self.rig.checkpoint()
                r = tools.limit(self.rig, database, 2, connections, depth, rows, warm_ms=500)
                tried[connections, depth, rows] = r["lines_per_s"]
            self.rig.drop(database)
            best = max(tried, key=tried.get)
            self.say(f"limit: {best[0]} connections, {best[1]} batches deep, {best[2]} lines a batch: {tried[best]:,.0f} lines/s")
            self._best["limit"] = dict(zip(("connections", "depth", "rows"), best))
        return self._best["limit"]

    def best_clients(self, script, role="visitbill_owner", prepare=None, **variables):
        """pgbench's best client count for a script: 4, 8, 16 or 32."""
        if script not in self._best:
            database = self.rig.database("clients")
            if prepare is not None:
                prepare(database)
            tried = {}
            for clients in (4, 8, 16, 32):
                self.rig.checkpoint()
                tried[clients] = tools.pgbench(self.rig, database, script, 2 if self.quick else 4, clients, role=role, **variables)["tps"]
            self.rig.drop(database)
            self._best[script] = max(tried, key=tried.get)
            self.say(f"{script}: best with {self._best[script]} clients of " + ", ".join(f"{k}: {v:,.0f}/s" for k, v in tried.items()))
        return self._best[script]
