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


def compare(figure, unit, samples, against="", against_samples=(), goal="", note=""):
    """A row of medians. The ratio is the median of the rounds' ratios: a slow moment of the machine then hits both sides."""
    ratio = None
    if against_samples:
        ratio = median(a / b for a, b in zip(samples, against_samples))
    return Row(figure, median(samples), unit, against, median(against_samples) if against_samples else None, ratio, goal, list(samples),
               list(against_samples), note)
