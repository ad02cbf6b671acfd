"""The contenders as functions: each runs one program for a while and returns what it printed, as a dictionary."""

import json
import os
import re
import secrets

from . import rig as rig_module
from .rig import Failure, VISITS

SQL = os.path.join(rig_module.ROOT, "tests", "bench", "sql")


def tag():
    """Makes the ids of a run its own."""
    return secrets.token_hex(3).upper()


def options(**values):
    words = []
    for name, value in values.items():
        if value is not None:
            words += ["--" + name.replace("_", "-"), str(value)]
    return words


def load(rig, mode, **values):
    """vbload. A failure of any message is a Failure of the figure: a wrong answer has no speed."""
    values.setdefault("tag", tag())
    values.setdefault("visits", VISITS)
    return json.loads(rig.run([rig.tool("vbload"), mode, *options(**values)]))


def limit(rig, database, seconds, connections, depth, rows, rows_a_visit=5, visits=VISITS, warm_ms=1000):
    conninfo = f"{rig.conninfo(database)} options=-csearch_path={rig_module.SCHEMA}"
    return json.loads(rig.run([rig.tool("vblimit"), *options(conninfo=conninfo, seconds=seconds, connections=connections, depth=depth, rows=rows,
                                                              rows_a_visit=rows_a_visit, visits=visits, warm_ms=warm_ms, tag=tag())]))


def pgbench(rig, database, script, seconds, clients, role="visitbill_owner", rate=None, log=None, **variables):
    """pgbench -M prepared over the socket: {"tps", "latency_ms"}; the latencies of a log in milliseconds, sorted, where asked."""
    command = [os.path.join(pg_bin(rig), "pgbench"), "-n", "-M", "prepared", "-T", str(seconds), "-c", str(clients), "-j", str(min(clients, 2)),
               "-f", os.path.join(SQL, script), "--random-seed=time"]
    for name, value in variables.items():
        command += ["-D", f"{name}={value}"]
    if rate is not None:
        command += ["-R", str(rate)]
    if log is not None:
        command += ["-l", "--log-prefix", log]
    environment = dict(os.environ, PGOPTIONS=f"-csearch_path={rig_module.SCHEMA}")
    out = rig.run([*command, rig.conninfo(database, role)], env=environment)
    tps = re.search(r"tps = ([0-9.]+)", out)
    failed = re.search(r"number of failed transactions: (\d+)", out)
    if tps is None or (failed is not None and failed.group(1) != "0"):
        raise Failure("pgbench: " + out[-400:])
    latency = re.search(r"latency average = ([0-9.]+) ms", out)
    return {"tps": float(tps.group(1)), "latency_ms": float(latency.group(1)) if latency else None}


def pg_bin(rig):
    if not hasattr(rig, "pg_bin"):
        rig.pg_bin = rig._library("pg_bin")
    return rig.pg_bin
