"""What TLS costs: feeds over it against the same feeds in plain text, and handshakes, full and resumed, against a server that does nothing else."""

import json
import os
import subprocess

from .. import proc, tools
from ..result import Row, compare
from .throughput import SHAPES

AT_A_TIME = 16      # handshakes


def tls(c):
    return _feeds(c) + _handshakes(c)


def _feeds(c):
    """Pipelined feeds in turns, plain and under TLS 1.3 with the server's certificate verified, on one daemon and one database a round."""
    plain, secure, cpu = [], [], {"plain": [], "tls": []}
    mode, shape = SHAPES["pipeline"]
    for n in range(c.rounds):
        with c.rig.workplace("tls") as (_, daemon):
            ca = os.path.join(c.rig.tls, "ca.pem")
            ways = {"plain": {"mllp": daemon.mllp}, "tls": {"mllp": daemon.mllps, "tls_ca": ca}}
            for way in ways if n % 2 == 0 else reversed(ways):
                c.rig.checkpoint()
                before = proc.cpu_s(daemon.pid)
                r = c.load(mode, **shape, **ways[way])
                cpu[way].append((proc.cpu_s(daemon.pid) - before) * 1e6 / r["good_lines"])
                (plain if way == "plain" else secure).append(r["lines_per_s"])
        c.say(f"TLS, round {n + 1} of {c.rounds}: {secure[-1]:,.0f} lines/s, plain {plain[-1]:,.0f}")
    return [
        compare("MLLP over TLS 1.3, 8 connections, 64 in flight, 5 FT1", "lines/s", secure, "the same in plain text", plain, "tls/plain",
                "TLS_AES_256_GCM_SHA384, OpenSSL's first choice, on both ends; the generator encrypts on the same cores"),
        compare("CPU of the daemon per million lines, MLLP over TLS", "s", cpu["tls"], "in plain text", cpu["plain"]),
    ]


def _shake(c, mode, address, pid):
    """(handshakes a second, microseconds of the server's CPU for one)."""
    before = proc.cpu_s(pid)
    r = json.loads(c.rig.run([c.rig.tool("vbtls"), mode, *tools.options(to=address, seconds=c.seconds, warm_ms=c.warm_ms, connections=AT_A_TIME)]))
    return r["handshakes_per_s"], (proc.cpu_s(pid) - before) * 1e6 / r["all_done"]


def _handshakes(c):
    """At the listener of kiosks. Client and server have a core each where the machine has two, so the client may be the slower of them: the server's CPU
    for a handshake is shown beside the rate."""
    limit = c.rig.spawn([c.rig.tool("vbtls"), "serve", "--certificate", os.path.join(c.rig.tls, "server.pem"), "--key", os.path.join(c.rig.tls, "server.key")],
                        stdout=subprocess.PIPE, text=True)
    samples = {(who, mode): [] for who in ("daemon", "limit") for mode in ("full", "resumed")}
    try:
        address = json.loads(limit.stdout.readline())["address"]
        with c.rig.workplace("handshakes") as (_, daemon):
            servers = {"daemon": (daemon.https, daemon.pid), "limit": (address, limit.pid)}
            for n in range(c.rounds):
                for who, mode in samples if n % 2 == 0 else reversed(samples):
                    samples[who, mode].append(_shake(c, mode, *servers[who]))
                c.say(f"handshakes, round {n + 1} of {c.rounds}: " + ", ".join(f"{who} {mode} {s[-1][0]:,.0f}/s" for (who, mode), s in samples.items()))
    finally:
        limit.terminate()
        limit.wait()
        limit.stdout.close()
    rate = {key: [r for r, _ in s] for key, s in samples.items()}
    cost = {key: [us for _, us in s] for key, s in samples.items()}
    rows = []
    for mode in ("full", "resumed"):
        rows.append(compare(f"TLS 1.3 handshakes, {mode}", "handshakes/s", rate["daemon", mode], "bare OpenSSL server", rate["limit", mode],
                            note=f"{AT_A_TIME} at a time by one client on the same machine; P-256, the ticket waited for"))
        rows.append(compare(f"CPU of the daemon a handshake, {mode}", "µs", cost["daemon", mode], "bare OpenSSL server", cost["limit", mode]))
    rows.append(Row("TLS 1.3 handshakes, resumed against full", rows[2].value, "handshakes/s", "full", rows[0].value,
                    compare("", "", rate["daemon", "resumed"], "full", rate["daemon", "full"]).ratio))
    return rows
