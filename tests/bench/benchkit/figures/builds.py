"""Two builds against each other, figure by figure: each round measures both, one behind the other, in turns as to who is first, and each time on a
fresh database and a daemon just started. What a build did in a round is compared with what the other did in that round."""

from .. import store
from ..result import Comparison
from ..rig import KIOSK_TOKEN
from . import billing, footprint, latency, reads, throughput

MORE, LESS = True, False        # which of two values is better


def _lines(name):
    def take(c, version):
        with c.rig.workplace("lines", version) as (_, daemon):
            c.rig.checkpoint()
            return {(throughput.TITLES[name], "lines/s", MORE): throughput.lines_per_s(c, daemon, name)}
    return take


def _latency(c, version):
    with c.rig.workplace("latency", version) as (_, daemon):
        latency.warm(c, daemon)
        at = {rate: latency.acknowledgements(c, daemon, rate) for rate in (1000, 5000)}
        return {(f"ACK latency at {rate:,} lines/s, {name}", "ms", LESS): r[name] / 1000 for rate, r in at.items() for name in ("p50", "p99")}


def _reads(c, version):
    with c.rig.workplace("reads", version) as (database, daemon):
        store.add_bills(c.rig, database, reads.BILLS, reads.LINES)
        c.rig.checkpoint()
        return {("bill reads, 30 lines, 32 connections", "bills/s", MORE): reads.bills_per_s(c, daemon)}


def _payments(c, version):
    with c.rig.workplace("payments", version) as (database, daemon):
        r = billing.pay_for_a_while(c, database, daemon)
        return {("payments, full life", "payments/s", MORE): r["payments_per_s"],
                ("payments, from create to receipt read, p50", "ms", LESS): r["latency_us"]["p50"] / 1000,
                ("CPU of the daemon and PostgreSQL a payment", "ms", LESS): r["cpu_ms"]}


def _close(c, version):
    with c.rig.workplace("close", version) as (database, daemon):
        with c.rig.connection(database) as connection, connection.cursor() as cursor:
            billing.close_ms(c, cursor, database, 10, 0)        # the plans are made
            sql = billing.close_ms(c, cursor, database, 10000, 1)
        wall = billing.discharge_to_bill_ms(c, database, daemon, 100, 2)
        return {("close of 10,000 lines", "ms", LESS): sql, ("from discharge to bill over the API, 100 lines", "ms", LESS): wall}


def _idle(c, version):
    with c.rig.workplace("memory", version) as (_, daemon):
        start, connection = footprint.idle_kib(c, daemon)
        return {("resident when started", "MiB", LESS): start / 1024, ("memory of an idle connection", "KiB", LESS): connection}


def _peak(c, version):
    with c.rig.workplace("memory", version) as (_, daemon):
        return {("resident under full load, at most", "MiB", LESS): footprint.peak_mib(c, daemon)}


def _cpu(name):
    def take(c, version):
        with c.rig.workplace("cpu", version) as (_, daemon):
            ours, postgres = footprint.cpu_a_million(c, daemon, name)
            title = footprint.CPU_SHAPES[name]
            return {(f"CPU of the daemon per million lines, {title}", "s", LESS): ours,
                    (f"CPU of PostgreSQL per million lines, {title}", "s", LESS): postgres}
    return take


def _life(c, version):
    database = c.rig.database("life", version)
    try:
        start, reload, drain = footprint.one_life(c, database)
    finally:
        c.rig.drop(database)
    return {("start to ready", "ms", LESS): start, ("reload", "ms", LESS): reload, ("drain when idle", "ms", LESS): drain}


def _instructions(name, count):
    """A shape's requests, counted: a few per cent can be seen on a machine with neighbours, too."""
    def take(c, version):
        mode, shape = throughput.SHAPES[name]
        lines, total, _ = footprint.counted(
            c, version, lambda daemon: c.load(mode, **shape, **throughput.address(daemon, mode), count=count // 10),
            lambda daemon: c.load(mode, **shape, **throughput.address(daemon, mode), count=count)["good_lines"])
        return {(f"the daemon's instructions a line, {throughput.TITLES[name]}", "instructions", LESS): total / lines}
    return take


def _instructions_of_reads(c, version):
    def load(count):
        return lambda daemon: c.load("http-get", http=daemon.http, token=KIOSK_TOKEN, connections=8, bills=reads.BILLS, count=count)["requests"]
    n, total, _ = footprint.counted(c, version, load(100), load(1000), lambda database: store.add_bills(c.rig, database, reads.BILLS, reads.LINES))
    return {("the daemon's instructions a bill read", "instructions", LESS): total / n}


COMPARED = {
    "throughput": [_lines(name) for name in throughput.SHAPES],
    "latency": [_latency],
    "reads": [_reads],
    "payments": [_payments],
    "close": [_close],
    "memory": [_idle, _peak],
    "cpu": [_cpu(name) for name in footprint.CPU_SHAPES],
    "life": [_life],
}
# Only when asked for, and of one round: they need valgrind and do not vary.
COUNTED = {"callgrind": [*(_instructions(name, count) for name, count in (("pipeline", 4000), ("wait", 4000), ("http100", 200), ("http1", 4000))),
                         _instructions_of_reads]}


def compare_builds(c, name):
    """One of COMPARED or COUNTED, for the rig's two versions."""
    comparisons = []
    for take in {**COMPARED, **COUNTED}[name]:
        samples = {}
        for n in range(1 if name in COUNTED else c.rounds):
            order = (c.rig.before, c.rig.version)
            for version in order if n % 2 == 0 else reversed(order):
                for key, value in take(c, version).items():
                    samples.setdefault(key, {}).setdefault(version.name, []).append(value)
        for (figure, unit, more), both in samples.items():
            comparisons.append(Comparison(figure, unit, more, both["before"], both["now"]))
            c.say(comparisons[-1].line())
    return comparisons
