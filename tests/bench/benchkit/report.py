"""The table on standard output, and the JSON file."""

import json
import os
import platform
import re
import unicodedata
from datetime import datetime, timezone

from .goals import GOALS

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


def table(rows, busy):
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(_width(line[i]) for line in lines) for i in range(len(_HEAD))]
    out = []
    for n, line in enumerate(lines):
        out.append("  ".join(cell + " " * (widths[i] - _width(cell)) for i, cell in enumerate(line)).rstrip())
        if n == 0:
            out.append("  ".join("-" * w for w in widths))
    notes = list(dict.fromkeys(f"{row.figure}: {row.note}" for row in rows if row.note))
    out += ["", *notes] if notes else []
    judged = [row for row in rows if row.reached is not None]
    out.append("")
    out.append(f"{sum(row.reached for row in judged)} of {len(judged)} goals reached. Values are medians of the rounds, ± half their range; a ratio is the"
               " median of the rounds' ratios.")
    if busy > 10:
        out.append(f"Others used {busy:.0f} % of the machine when this began: take it again when it is quiet.")
    return "\n".join(out)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    with open("/proc/meminfo", encoding="utf-8") as f:
        memory = int(re.search(r"MemTotal:\s*(\d+)", f.read()).group(1)) // 1024
    return {"cpu": model.group(1) if model else platform.machine(), "cores": os.cpu_count(), "memory_mib": memory, "kernel": platform.release()}


def document(rows, curves, context, postgres, busy, failures):
    return {
        "taken_at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "machine": {**machine(), "busy_before_percent": round(busy, 1)},
        "postgresql": postgres,
        "method": {"quick": context.quick, "seconds": context.seconds, "warm_ms": context.warm_ms, "rounds": context.rounds},
        "figures": [row.document() for row in rows], "growth": [curve.document() for curve in curves], "failures": failures,
    }


def write_json(path, content):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(content, f, ensure_ascii=False, indent=1)
        f.write("\n")
