"""Takes every figure of the benchmark in one go, each against its limit or peer in the same run, and shows them side by side.

Run it by scripts/bench, which builds first. It starts a PostgreSQL cluster and daemons of its own and ends them, whatever happens. Goals missed are no
failure: the exit status is 1 only when a figure could not be taken.
"""

import argparse
import os
import signal
import sys

import psycopg2

from benchkit import plots, proc, report
from benchkit.context import Context
from benchkit.figures import EXTRA, FIGURES
from benchkit.figures.builds import COMPARED, COUNTED, compare_builds
from benchkit.rig import ROOT, Failure, Rig


def parse():
    p = argparse.ArgumentParser(prog="scripts/bench", description="Every figure, side by side, in one run.",
                                epilog="Figures: " + ", ".join([*FIGURES, *EXTRA]) + ". Two builds are compared by: " + ", ".join([*COMPARED, *COUNTED]))
    p.add_argument("--quick", action="store_true", help="a few minutes: shorter, fewer rounds, less history")
    p.add_argument("--only", action="append", metavar="NAME", choices=[*FIGURES, *EXTRA], help="only this figure; may be repeated")
    p.add_argument("--before", metavar="DIR", help="instead of the limits and peers, an older build: its folder, or the tree that has it in build/")
    p.add_argument("--json", metavar="FILE", help="also write everything that was measured")
    p.add_argument("--plots", metavar="DIR", help="also draw small plots (SVG)")
    p.add_argument("--soak", type=int, default=0, metavar="MINUTES", help="also load for so long and watch the memory")
    p.add_argument("--callgrind", action="store_true", help="also count instructions a line, in the daemon and in PostgreSQL (needs valgrind)")
    p.add_argument("--seconds", type=int, help="of one measurement (2 with --quick, else 6)")
    p.add_argument("--rounds", type=int, help="of interleaved measurements (3 with --quick, else 5)")
    p.add_argument("--build", metavar="DIR", default=os.path.join(ROOT, "build"), help="the build to measure")
    p.add_argument("--verbose", action="store_true", help="show what every program printed")
    arguments = p.parse_args()
    if arguments.before is not None and (others := [name for name in arguments.only or [] if name not in {**COMPARED, **COUNTED}]):
        p.error(f"two builds are not compared by {others[0]}")
    return arguments


def chosen(arguments):
    if arguments.before is not None:
        return list(arguments.only or COMPARED) + (["callgrind"] if arguments.callgrind and "callgrind" not in (arguments.only or []) else [])
    names = list(arguments.only or FIGURES)
    if arguments.soak > 0 and "soak" not in names:
        names.append("soak")
    if arguments.callgrind:
        names += [name for name in ("callgrind", "instructions") if name not in names]
    return names


def take(context, names, failures):
    """(rows, comparisons) of the figures with these names; one that could not be taken is among the failures."""
    rows, comparisons = [], []
    for name in names:
        context.say(f"== {name}")
        try:
            if context.rig.before is not None:
                comparisons += compare_builds(context, name)
            else:
                rows += {**FIGURES, **EXTRA}[name](context)
        except (Failure, OSError, psycopg2.Error) as e:
            failures.append(f"{name}: {e}")
            context.say(f"FAILED {failures[-1]}")
    return rows, comparisons


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows, comparisons, failures = [], [], []
    try:
        rig = Rig(arguments.build, arguments.before, arguments.verbose)
    except FileNotFoundError as e:
        sys.exit(f"scripts/bench: {e}")
    context = Context(rig, arguments.quick, arguments.seconds or (2 if arguments.quick else 6), 500 if arguments.quick else 1000,
                      arguments.rounds or (3 if arguments.quick else 5), max(arguments.soak, 1))
    busy = proc.busy_percent()
    try:
        rig.open()
        (postgres,), = rig.sql("postgres", "show server_version", role="postgres")
        rows, comparisons = take(context, chosen(arguments), failures)
    except (Failure, OSError, psycopg2.Error) as e:
        failures.append(str(e))
    except KeyboardInterrupt:
        failures.append("interrupted")
    finally:
        rig.close()
    if rows:
        print(report.table(rows, busy))
    if comparisons:
        print(report.comparison_table(comparisons, rig.before.build, busy))
    if (rows or comparisons) and arguments.json:
        report.write_json(arguments.json, report.document(rows, context.curves, comparisons, context, postgres, busy, failures))
    if rows and arguments.plots:
        plots.write(arguments.plots, rows, context.curves)
    for failure in failures:
        print("failed:", failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
