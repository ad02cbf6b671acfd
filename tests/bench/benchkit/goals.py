"""The goals, as data: what each figure must reach. Ratios are those of one run, because machines differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    sense: str          # ">=", "<=" or "<"
    value: float
    of: str = "ratio"   # what is compared: the ratio, or the value itself

    def is_reached(self, row):
        x = row.ratio if self.of == "ratio" else row.value
        if x is None:
            return None
        return {">=": x >= self.value, "<=": x <= self.value, "<": x < self.value}[self.sense]

    def __str__(self):
        return f"{self.sense} {self.value:g}{' ×' if self.of == 'ratio' else ''}"


GOALS = {
    "pipeline/limit": Goal(">=", 0.60),
    "pipeline/line": Goal(">=", 12),
    "wait/limit": Goal(">=", 0.35),
    "wait/line": Goal(">=", 7),
    "http100/limit": Goal(">=", 0.65),
    "http1/line": Goal(">=", 4),
    "ack1000/p50": Goal("<=", 2),
    "ack1000/p99": Goal("<=", 5),
    "ack5000/p50": Goal("<=", 2),
    "ack5000/p99": Goal("<=", 5),
    "reads/query": Goal(">=", 0.60),
    "payments": Goal(">=", 500, "value"),
    "close/flat": Goal("<=", 1),                # 10,000 lines against 100: cost per line flat or falling
    "close/10000": Goal("<", 100, "value"),     # ms
    "history/2M": Goal(">=", 0.85),
    "history/10M": Goal(">=", 0.85),
    "audit/standby": Goal(">=", 0.9),           # feeds that wait keep so much of their speed
    "failover/promoted": Goal("<=", 2, "value"),     # s, until feeds are booked again
    "failover/hung": Goal("<=", 15, "value"),
    "flat/metrics": Goal("<", 5, "value"),          # ms, a scrape
    "flat/statement": Goal("<=", 1.5),              # of a timer, with millions of lines stored against none
    "memory/idle": Goal("<=", 16, "value"),     # KiB a connection
    "memory/load": Goal("<=", 96, "value"),     # MiB
    "memory/soak": Goal("<=", 1, "value"),      # MiB that the later half of a soak lies above the earlier
    "cpu/postgres": Goal(">=", 3),              # PostgreSQL's CPU for the same lines against the daemon's
    "start": Goal("<", 200, "value"),           # ms
    "tls/plain": Goal(">=", 0.80),
    "attack/memory": Goal("<", 400, "value"),   # MiB, at most
    "attack/p99": Goal("<", 250, "value"),      # ms, of the acknowledgements of a feed that is known
    "attack/reads": Goal(">=", 1),              # of a kiosk's reads, answered
}
