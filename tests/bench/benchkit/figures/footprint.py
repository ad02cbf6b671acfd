"""What the daemon takes: memory, CPU, time to start, reload and drain; and, when asked for, a soak and instructions by callgrind."""

import json
import os
import re
import signal
import subprocess
import time
from statistics import median

from .. import proc, tools
from ..result import Row, compare
from ..rig import FEED_TOKEN, Failure
from .throughput import SHAPES, address

IDLE = 1000     # connections of each kind
CPU_SHAPES = {"pipeline": "MLLP pipelined", "wait": "MLLP waiting", "http100": "HTTP, 100 lines"}


def idle_kib(c, daemon):
    """Resident KiB when started, and what an idle connection adds."""
    time.sleep(0.5)
    start = proc.memory_kib(daemon.pid)
    holder = c.rig.spawn([c.rig.tool("vbload"), "idle", "--mllp", daemon.mllp, "--http", daemon.http, "--connections", str(IDLE), "--lines", "1"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ready = json.loads(holder.stdout.readline())
    time.sleep(0.5)
    end = proc.memory_kib(daemon.pid)
    holder.communicate()
    if ready["failures"] or ready["open"] != 2 * IDLE:
        raise Failure(f"{ready['failures']} idle connections failed")
    return start, (end - start) / ready["open"]


def peak_mib(c, daemon):
    """The most that is resident under full load of three kinds, one after the other."""
    proc.reset_peak(daemon.pid)
    for name in ("pipeline", "http100", "wait"):
        mode, shape = SHAPES[name]
        c.load(mode, **shape, **address(daemon, mode))
    return proc.memory_kib(daemon.pid, "VmHWM") / 1024


def cpu_a_million(c, daemon, name):
    """CPU seconds for a million lines of a shape: (the daemon's, those of all processes of its PostgreSQL)."""
    mode, shape = SHAPES[name]
    before = proc.cpu_s(daemon.pid), c.rig.postgres_cpu_s()
    lines = c.load(mode, **shape, **address(daemon, mode))["good_lines"]
    return (proc.cpu_s(daemon.pid) - before[0]) * 1e6 / lines, (c.rig.postgres_cpu_s() - before[1]) * 1e6 / lines


def memory(c):
    idle, peaks = [], []
    for _ in range(min(c.rounds, 3)):
        with c.rig.workplace("memory") as (_, daemon):
            idle.append(idle_kib(c, daemon))
        with c.rig.workplace("memory") as (_, daemon):
            peaks.append(peak_mib(c, daemon))
    c.say(f"memory: {median(a for _, a in idle):.1f} KiB a connection, {median(peaks):.0f} MiB at most under load")
    return [
        compare("resident when started", "MiB", [start / 1024 for start, _ in idle]),
        compare("memory of an idle connection", "KiB", [a for _, a in idle], goal="memory/idle",
                note=f"{IDLE} MLLP and {IDLE} HTTP, each of which had one exchange"),
        compare("resident under full load, at most", "MiB", peaks, goal="memory/load"),
    ]


def cpu(c):
    rows = []
    for name, title in CPU_SHAPES.items():
        both = []
        for _ in range(min(c.rounds, 3)):
            with c.rig.workplace("cpu") as (_, daemon):
                both.append(cpu_a_million(c, daemon, name))
        row = compare(f"CPU of the daemon per million lines, {title}", "s", [d for d, _ in both], "PostgreSQL for the same lines", [p for _, p in both],
                      "cpu/postgres" if name == "pipeline" else "")
        row.ratio = 1 / row.ratio       # how many times less the daemon uses
        row.note = "ratio: PostgreSQL's over the daemon's"
        rows.append(row)
    return rows


def _wait_for_log(path, word, offset, seconds=10):
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        with open(path, encoding="utf-8", errors="replace") as f:
            f.seek(offset)
            if word in f.read():
                return (time.monotonic() - started) * 1000
        time.sleep(0.0005)
    raise Failure(f"no {word} in the daemon's log")


def one_life(c, database):
    """Milliseconds of start to ready on a migrated schema, of a reload, and of a drain."""
    log = os.path.join(c.rig.dir, "log", f"{database}.log")
    daemon = c.rig.start(database)
    offset = os.path.getsize(log)
    daemon.process.send_signal(signal.SIGHUP)
    reload_ms = _wait_for_log(log, " reload facilities=", offset)
    return daemon.ready_s * 1000, reload_ms, daemon.stop() * 1000


def life(c):
    """Lives; and a drain under load must lose nothing that was acknowledged."""
    database = c.rig.database("life")
    starts, reloads, drains = zip(*(one_life(c, database) for _ in range(max(c.rounds, 5))))
    daemon = c.rig.start(database)
    load = c.rig.spawn([c.rig.tool("vbload"), "mllp-pipeline", "--mllp", daemon.mllp, "--seconds", "5", "--connections", "8", "--tag", tools.tag()],
                        stdout=subprocess.PIPE, text=True)
    time.sleep(1.5)
    under_load = daemon.stop() * 1000
    acknowledged = json.loads(load.communicate()[0])["good_lines"]
    (stored,), = c.rig.sql(database, "select count(*) from charge")
    c.rig.drop(database)
    if stored < acknowledged or acknowledged == 0:
        raise Failure(f"{acknowledged} lines were acknowledged before the drain, {stored} are stored")
    return [
        compare("start to ready", "ms", starts, goal="start"),
        compare("reload", "ms", reloads),
        compare("drain when idle", "ms", drains),
        Row("drain under full load", under_load, "ms", note=f"{acknowledged:,} lines acknowledged, {stored:,} stored: none lost"),
    ]


def soak(c):
    """Moderate load for a long time, with feeds that come and go; resident memory must be flat."""
    samples = []
    with c.rig.workplace("soak") as (_, daemon):
        end = time.monotonic() + c.soak_minutes * 60
        while time.monotonic() < end:
            seconds = max(1, min(30, int(end - time.monotonic())))
            loads = [c.rig.spawn([c.rig.tool("vbload"), *words, "--tag", tools.tag(), "--seconds", str(seconds), "--warm-ms", "0"],
                                 stdout=subprocess.PIPE, text=True) for words in (
                ["open-loop", "--mllp", daemon.mllp, "--rate", "1500", "--lines", "3", "--connections", "40"],
                ["open-loop", "--mllp", daemon.mllp, "--rate", "200", "--lines", "1", "--connections", "100"],
                ["http", "--http", daemon.http, "--token", FEED_TOKEN, "--lines", "20", "--connections", "1"])]
            while any(load.poll() is None for load in loads):
                time.sleep(min(5, max(0.2, seconds / 6)))
                samples.append(proc.memory_kib(daemon.pid) / 1024)
            for load in loads:
                out = load.communicate()[0]
                if load.returncode != 0:
                    raise Failure("a load of the soak failed: " + out[-300:])
            c.say(f"soak: {max(0, (end - time.monotonic()) / 60):.0f} min left, {samples[-1]:.1f} MiB")
    half = len(samples) // 2
    grown = median(samples[half:]) - median(samples[len(samples) // 10:half] or samples[:1])
    return [Row(f"resident, later half of a soak over the earlier ({c.soak_minutes} min)", grown, "MiB", goal="memory/soak", samples=[],
                note=f"{min(samples):.1f} to {max(samples):.1f} MiB")]


_PARTS = {"parse": ("message_new",), "lane": ("batch_send", "charge_step_result"), "ack": ("message_reply",)}


def counted(c, version, warm, run, prepare=lambda database: None):
    """Instructions of the daemon in user space while run(daemon) is on, by valgrind, behind warm(daemon). (What run returned, all of them, the
    annotation.)"""
    out = os.path.join(c.rig.dir, "callgrind.out")
    wrapper = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "-q")
    with c.rig.workplace("callgrind", version, wrapper=wrapper) as (database, daemon):
        prepare(database)
        warm(daemon)
        c.rig.run(["callgrind_control", "-i", "on", str(daemon.pid)])
        result = run(daemon)
        c.rig.run(["callgrind_control", "-i", "off", str(daemon.pid)])
    text = c.rig.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", out])
    (total,) = re.search(r"([0-9,]+)[^\n]*PROGRAM TOTALS", text).groups()
    return result, int(total.replace(",", "")), text


def callgrind(c):
    """Instructions a line in the daemon's parts, and in all of it."""
    lines, total, text = counted(c, None, lambda daemon: c.load("mllp-pipeline", mllp=daemon.mllp, connections=2, lines=5, count=200),
                                 lambda daemon: c.load("mllp-pipeline", mllp=daemon.mllp, connections=8, lines=5, count=4000)["good_lines"])
    rows = [Row("instructions a line, all of the daemon", total / lines, "instructions", note="user space, 5 FT1 a message")]
    for part, functions in _PARTS.items():
        found = [int(m.group(1).replace(",", "")) for f in functions
                 if (m := re.search(rf"(?m)^\s*([0-9,]+)[^\n]*?:{f}(?:'\d+)?\s", text)) is not None]
        if found:
            rows.append(Row(f"instructions a line, {part}", sum(found) / lines, "instructions", note=" + ".join(functions)))
    return rows
