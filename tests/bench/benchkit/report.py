"""The table on standard output, and the JSON file."""

import json
import os
import platform
import re
import unicodedata
from datetime import datetime, timezone
from statistics import median

from .goals import GOALS
from .result import LOSS

_HEAD = ("figure", "value", "against", "ratio", "goal", "reached")


def number(x, unit=""):
    if x is None:
        return ""
    if unit.endswith("/s") and abs(x) >= 100:
        text = f"{x:,.0f}"
    elif abs(x) >= 1000:
        text = f"{x:,.0f}"
    else:
        text = f"{x:.3g}"
    return f"{text} {unit}".strip()


def _cells(row):
    value = number(row.value, row.unit)
    if row.spread is not None:
        value += f" ±{row.spread:.0f} %"
    against = f"{row.against}: {number(row.against_value, row.unit)}" if row.against else ""
    ratio = f"{row.ratio:.2f} ×" if row.ratio is not None else ""
    goal = str(GOALS[row.goal]) if row.goal else ""
    if row.goal and GOALS[row.goal].of == "value":
        goal += f" {row.unit}"
    return row.figure, value, against, ratio, goal, {True: "yes", False: "NO", None: ""}[row.reached]


def _width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _columns(lines):
    """The lines of a table, the first of them its head."""
    widths = [max(_width(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = ["  ".join(cell + " " * (widths[i] - _width(cell)) for i, cell in enumerate(line)).rstrip() for line in lines]
    out.insert(1, "  ".join("-" * w for w in widths))
    return out


def comparison_table(comparisons, before, busy):
    """Two builds: a row a figure, losses marked."""
    lines = [("figure", "before", "now", "ratio", "of the rounds", f"more than {LOSS:.0%} lost")]
    for x in comparisons:
        lines.append((x.figure, number(median(x.before), x.unit), number(median(x.now), x.unit), f"{x.ratio:.2f} ×",
                      f"{min(x.ratios):.2f} to {max(x.ratios):.2f}", "LOST" if x.lost else ""))
    out = [*_columns(lines), "", f"before: {before}. Values are medians of the rounds; the ratio, now over before, is the median of the rounds' ratios."]
    return "\n".join(out + _warning(busy))


def _warning(busy):
    return [f"Others used {busy:.0f} % of the machine when this began: take it again when it is quiet."] if busy > 10 else []


def table(rows, busy):
    out = _columns([_HEAD, *map(_cells, rows)])
    notes = list(dict.fromkeys(f"{row.figure}: {row.note}" for row in rows if row.note))
    out += ["", *notes] if notes else []
    judged = [row for row in rows if row.reached is not None]
    out.append("")
    out.append(f"{sum(row.reached for row in judged)} of {len(judged)} goals reached. Values are medians of the rounds, ± half their range; a ratio is the"
               " median of the rounds' ratios.")
    return "\n".join(out + _warning(busy))


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    with open("/proc/meminfo", encoding="utf-8") as f:
        memory = int(re.search(r"MemTotal:\s*(\d+)", f.read()).group(1)) // 1024
    return {"cpu": model.group(1) if model else platform.machine(), "cores": os.cpu_count(), "memory_mib": memory, "kernel": platform.release()}


def document(rows, curves, comparisons, context, postgres, busy, failures):
    return {
        "taken_at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "machine": {**machine(), "busy_before_percent": round(busy, 1)},
        "postgresql": postgres,
        "method": {"quick": context.quick, "seconds": context.seconds, "warm_ms": context.warm_ms, "rounds": context.rounds},
        "figures": [row.document() for row in rows], "growth": [curve.document() for curve in curves],
        "builds": [x.document() for x in comparisons], "failures": failures,
    }


def write_json(path, content):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(content, f, ensure_ascii=False, indent=1)
        f.write("\n")
