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


def memory(c):
    rows = []
    a_connection, start_kib = [], []
    for _ in range(min(c.rounds, 3)):
        with c.rig.workplace("memory") as (_, daemon):
            time.sleep(0.5)
            start_kib.append(proc.memory_kib(daemon.pid))
            holder = c.rig.spawn([c.rig.tool("vbload"), "idle", "--mllp", daemon.mllp, "--http", daemon.http, "--connections", str(IDLE), "--lines", "1"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            ready = json.loads(holder.stdout.readline())
            if ready["failures"]:
                raise Failure(f"{ready['failures']} idle connections failed")
            time.sleep(0.5)
            a_connection.append((proc.memory_kib(daemon.pid) - start_kib[-1]) / ready["open"])
            holder.communicate()
    rows.append(compare("resident when started", "MiB", [k / 1024 for k in start_kib]))
    rows.append(compare("memory of an idle connection", "KiB", a_connection, goal="memory/idle",
                        note=f"{IDLE} MLLP and {IDLE} HTTP, each of which had one exchange"))
    peaks = []
    for _ in range(min(c.rounds, 3)):
        with c.rig.workplace("memory") as (_, daemon):
            proc.reset_peak(daemon.pid)
            for name in ("pipeline", "http100", "wait"):
                mode, shape = SHAPES[name]
                c.load(mode, **shape, **address(daemon, mode))
            peaks.append(proc.memory_kib(daemon.pid, "VmHWM") / 1024)
    c.say(f"memory: {median(a_connection):.1f} KiB a connection, {median(peaks):.0f} MiB at most under load")
    rows.append(compare("resident under full load, at most", "MiB", peaks, goal="memory/load"))
    return rows


def cpu(c):
    """CPU seconds for a million lines: the daemon's, and those of all processes of its PostgreSQL for the same lines."""
    rows = []
    for name, title in (("pipeline", "MLLP pipelined"), ("wait", "MLLP waiting"), ("http100", "HTTP, 100 lines")):
        mode, shape = SHAPES[name]
        daemon_s, postgres_s = [], []
        for _ in range(min(c.rounds, 3)):
            with c.rig.workplace("cpu") as (_, daemon):
                before = proc.cpu_s(daemon.pid), c.rig.postgres_cpu_s()
                lines = c.load(mode, **shape, **address(daemon, mode))["good_lines"]
                daemon_s.append((proc.cpu_s(daemon.pid) - before[0]) * 1e6 / lines)
                postgres_s.append((c.rig.postgres_cpu_s() - before[1]) * 1e6 / lines)
        row = compare(f"CPU of the daemon per million lines, {title}", "s", daemon_s, "PostgreSQL for the same lines", postgres_s,
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


def life(c):
    """Start to ready on a migrated schema, reload, drain; and a drain under load must lose nothing that was acknowledged."""
    database = c.rig.database("life")
    log = os.path.join(c.rig.dir, "log", f"{database}.log")
    starts, reloads, drains = [], [], []
    for _ in range(max(c.rounds, 5)):
        daemon = c.rig.start(database)
        starts.append(daemon.ready_s * 1000)
        offset = os.path.getsize(log)
        daemon.process.send_signal(signal.SIGHUP)
        reloads.append(_wait_for_log(log, " reload facilities=", offset))
        drains.append(daemon.stop() * 1000)
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


def callgrind(c):
    """Instructions a line in the daemon's parts, and in all of it, by valgrind."""
    out = os.path.join(c.rig.dir, "callgrind.out")
    with c.rig.workplace("callgrind", wrapper=("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "-q")) as (_, daemon):
        c.load("mllp-pipeline", mllp=daemon.mllp, connections=2, lines=5, count=200)
        c.rig.run(["callgrind_control", "-i", "on", str(daemon.pid)])
        lines = c.load("mllp-pipeline", mllp=daemon.mllp, connections=8, lines=5, count=4000)["good_lines"]
        c.rig.run(["callgrind_control", "-i", "off", str(daemon.pid)])
    text = c.rig.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", out])
    (total,) = re.search(r"([0-9,]+)[^\n]*PROGRAM TOTALS", text).groups()
    rows = [Row("instructions a line, all of the daemon", int(total.replace(",", "")) / lines, "instructions", note="user space, 5 FT1 a message")]
    for part, functions in _PARTS.items():
        found = [int(m.group(1).replace(",", "")) for f in functions
                 if (m := re.search(rf"(?m)^\s*([0-9,]+)[^\n]*?:{f}(?:'\d+)?\s", text)) is not None]
        if found:
            rows.append(Row(f"instructions a line, {part}", sum(found) / lines, "instructions", note=" + ".join(functions)))
    return rows
