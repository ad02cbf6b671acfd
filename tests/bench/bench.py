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
from benchkit.rig import ROOT, Failure, Rig


def parse():
    p = argparse.ArgumentParser(prog="scripts/bench", description="Every figure, side by side, in one run.",
                                epilog="Figures: " + ", ".join([*FIGURES, *EXTRA]))
    p.add_argument("--quick", action="store_true", help="a few minutes: shorter, fewer rounds, less history")
    p.add_argument("--only", action="append", metavar="NAME", choices=[*FIGURES, *EXTRA], help="only this figure; may be repeated")
    p.add_argument("--json", metavar="FILE", help="also write everything that was measured")
    p.add_argument("--plots", metavar="DIR", help="also draw small plots (SVG)")
    p.add_argument("--soak", type=int, default=0, metavar="MINUTES", help="also load for so long and watch the memory")
    p.add_argument("--callgrind", action="store_true", help="also count instructions a line, in the daemon and in PostgreSQL (needs valgrind)")
    p.add_argument("--seconds", type=int, help="of one measurement (2 with --quick, else 6)")
    p.add_argument("--rounds", type=int, help="of interleaved measurements (3 with --quick, else 5)")
    p.add_argument("--build", metavar="DIR", default=os.path.join(ROOT, "build"), help="the build to measure")
    p.add_argument("--verbose", action="store_true", help="show what every program printed")
    return p.parse_args()


def chosen(arguments):
    names = list(arguments.only or FIGURES)
    if arguments.soak > 0 and "soak" not in names:
        names.append("soak")
    if arguments.callgrind:
        names += [name for name in ("callgrind", "instructions") if name not in names]
    return {name: {**FIGURES, **EXTRA}[name] for name in names}


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows, failures = [], []
    rig = Rig(os.path.abspath(arguments.build), arguments.verbose)
    context = Context(rig, arguments.quick, arguments.seconds or (2 if arguments.quick else 6), 500 if arguments.quick else 1000,
                      arguments.rounds or (3 if arguments.quick else 5), max(arguments.soak, 1))
    busy = proc.busy_percent()
    try:
        rig.open()
        (postgres,), = rig.sql("postgres", "show server_version", role="postgres")
        for name, figure in chosen(arguments).items():
            context.say(f"== {name}")
            try:
                rows += figure(context)
            except (Failure, OSError, psycopg2.Error) as e:
                failures.append(f"{name}: {e}")
                context.say(f"FAILED {failures[-1]}")
    except (Failure, OSError, psycopg2.Error) as e:
        failures.append(str(e))
    except KeyboardInterrupt:
        failures.append("interrupted")
    finally:
        rig.close()
    if rows:
        print(report.table(rows, busy))
        if arguments.json:
            report.write_json(arguments.json, report.document(rows, context.curves, context, postgres, busy, failures))
        if arguments.plots:
            plots.write(arguments.plots, rows, context.curves)
    for failure in failures:
        print("failed:", failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
