"""A row of the table, and the statistics behind it."""

from dataclasses import dataclass, field
from statistics import median

from .goals import GOALS


@dataclass
class Row:
    figure: str
    value: float
    unit: str
    against: str = ""
    against_value: float = None
    ratio: float = None
    goal: str = ""              # key of GOALS; empty where the row only informs
    samples: list = field(default_factory=list)
    against_samples: list = field(default_factory=list)
    note: str = ""

    @property
    def spread(self):
        """Half the range of the rounds, in percent of the median."""
        if len(self.samples) < 2 or not self.value:
            return None
        return 50 * (max(self.samples) - min(self.samples)) / self.value

    @property
    def reached(self):
        return GOALS[self.goal].is_reached(self) if self.goal else None

    def document(self):
        goal = GOALS.get(self.goal)
        return {
            "figure": self.figure, "value": self.value, "unit": self.unit, "against": self.against or None, "against_value": self.against_value,
            "ratio": self.ratio, "goal": str(goal) if goal else None, "reached": self.reached, "spread_percent": self.spread,
            "samples": self.samples, "against_samples": self.against_samples, "note": self.note or None,
        }


@dataclass
class Curve:
    """How the cost of a line grows along one dimension."""

    name: str
    x_title: str
    points: list                # of (x, microseconds of CPU a line, lines/s)
    sentence: str = ""

    def document(self):
        return {"name": self.name, "x": self.x_title, "points": [{"x": x, "cpu_us_a_line": c, "lines_per_s": r} for x, c, r in self.points],
                "sentence": self.sentence}


LOSS = 0.05     # of two builds: what more than this is lost is marked


@dataclass
class Comparison:
    """A figure of two builds, measured in the same rounds."""

    figure: str
    unit: str
    more: bool                  # is more better?
    before: list
    now: list

    @property
    def ratios(self):
        return [now / before for before, now in zip(self.before, self.now)]

    @property
    def ratio(self):
        """Now over before: the median of the rounds' ratios."""
        return median(self.ratios)

    @property
    def lost(self):
        return self.ratio < 1 - LOSS if self.more else self.ratio > 1 + LOSS

    def line(self):
        return f"{self.figure}: {median(self.before):,.4g}, now {median(self.now):,.4g} {self.unit}, {self.ratio:.3f} ×{', LOST' if self.lost else ''}"

    def document(self):
        return {"figure": self.figure, "unit": self.unit, "better": "more" if self.more else "less", "before": median(self.before), "now": median(self.now),
                "ratio": self.ratio, "lost": self.lost, "samples_before": self.before, "samples_now": self.now}


def compare(figure, unit, samples, against="", against_samples=(), goal="", note=""):
    """A row of medians. The ratio is the median of the rounds' ratios: a slow moment of the machine then hits both sides."""
    ratio = None
    if against_samples:
        ratio = median(a / b for a, b in zip(samples, against_samples))
    return Row(figure, median(samples), unit, against, median(against_samples) if against_samples else None, ratio, goal, list(samples),
               list(against_samples), note)
