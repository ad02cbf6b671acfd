"""Small plots as SVG, written by hand: one a growth curve, and one of all figures that have a goal. Nothing is drawn that is not in the JSON."""

import math
import os
import re
from html import escape

from .goals import GOALS
from .report import number

_W, _H = 520, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 30, 64
_STYLE = "<style>text{font:12px sans-serif;fill:#222}.t{font-weight:bold;font-size:13px}.s{fill:#555}.a{stroke:#999}.g{stroke:#ddd}</style>"


def _svg(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            f'<rect width="100%" height="100%" fill="#fff"/>{_STYLE}{"".join(parts)}</svg>\n')


def _text(x, y, text, anchor="start", css=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}">{escape(text)}</text>'


def _nice(top):
    """The next round number that four parts divide well."""
    power = 10 ** math.floor(math.log10(top))
    return next(k * power for k in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if k * power >= top * 0.999)


def _short(x):
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if x >= size:
            return f"{x / size:g}{letter}"
    return f"{x:g}"


def _wrap(text, width):
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) + 1 > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]


def curve_svg(curve):
    costs = [cpu for _, cpu, _ in curve.points]
    by_cost = None not in costs
    ys = costs if by_cost else [1e6 / rate for _, _, rate in curve.points]
    title = f"{'CPU' if by_cost else 'time'} a line by {curve.x_title}, µs"
    top = _nice(max(ys) * 1.05)
    logs = [math.log10(max(x, 1)) for x, _, _ in curve.points]
    low, high = logs[0], max(logs[-1], logs[0] + 1e-9)
    inner_w, inner_h = _W - _LEFT - _RIGHT, _H - _TOP - _BOTTOM
    at = [(_LEFT + (k - low) / (high - low) * inner_w, _TOP + inner_h * (1 - y / top)) for k, y in zip(logs, ys)]
    parts = [_text(_LEFT, 18, title, css="t")]
    for k in range(5):
        y = _TOP + inner_h * k / 4
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_W - _RIGHT}" y2="{y:.1f}" class="g"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{top * (4 - k) / 4:g}", "end"))
    for (x, _), (value, _, _) in zip(at, curve.points):
        parts.append(_text(x, _TOP + inner_h + 16, _short(value), "middle"))
    parts.append(f'<polyline fill="none" stroke="#2166ac" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in at)}"/>')
    for (x, y), cost in zip(at, ys):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#2166ac"/>')
        parts.append(_text(max(x, _LEFT + 18), y - 8, f"{cost:.3g}", "middle", "s"))
    for n, line in enumerate(_wrap(curve.sentence, 76)):
        parts.append(_text(_LEFT - 40, _H - 26 + 15 * n, line, css="s"))
    return _svg(_W, _H, parts)


def figure_svg(row):
    """The value, what it is held against, and where the goal lies between them."""
    goal = GOALS[row.goal]
    bars = [(row.figure, row.value, "#2166ac" if row.reached else "#b2182b")]
    if goal.of == "ratio":
        bars.append((row.against, row.against_value, "#999"))
        mark = row.against_value * goal.value if row.goal != "cpu/postgres" else row.against_value / goal.value
    else:
        mark = goal.value
    top = max([b[1] for b in bars] + [mark]) * 1.05
    width = _W - 40
    parts = []
    for n, (name, value, colour) in enumerate(bars):
        y = 24 + n * 44
        parts.append(_text(20, y, f"{name}: {number(value, row.unit)}"))
        parts.append(f'<rect x="20" y="{y + 5}" width="{max(value / top, 0.002) * width:.1f}" height="16" fill="{colour}"/>')
    bottom = 24 + len(bars) * 44
    x = 20 + mark / top * width
    parts.append(f'<line x1="{x:.1f}" y1="26" x2="{x:.1f}" y2="{bottom - 12}" stroke="#000" stroke-dasharray="4 3"/>')
    verdict = "reached" if row.reached else "not reached"
    ratio = f"{row.ratio:.2f} × of it; " if goal.of == "ratio" else ""
    parts.append(_text(20, bottom + 8, f"{ratio}goal {goal}{' ' + row.unit if goal.of == 'value' else ''} (dashed): {verdict}.", css="s"))
    return _svg(_W, bottom + 20, parts)


def write(folder, rows, curves):
    os.makedirs(folder, exist_ok=True)
    for curve in curves:
        _write(folder, "growth-" + curve.name, curve_svg(curve))
    for row in rows:
        if row.goal and row.value is not None:
            _write(folder, row.goal, figure_svg(row))


def _write(folder, name, text):
    with open(os.path.join(folder, re.sub(r"[^a-zA-Z0-9]+", "-", name) + ".svg"), "w", encoding="utf-8") as f:
        f.write(text)
