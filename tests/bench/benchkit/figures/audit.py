"""What feeds that wait keep of their speed while the audit runs: on the standby, which is a machine of its own in life, and on their own server."""

import contextlib
import subprocess
import threading
import time

import psycopg2

from .. import proc, store
from ..result import Row, compare
from ..rig import Failure
from .throughput import lines_per_s

LINES = 30          # a bill


class Audits:
    """visitbillctl audit, one after the other until the end, with these words. took: the seconds of those that ended. apart: the conninfo of the server
    whose backends for it step aside."""

    def __init__(self, rig, conf, *words, apart=None):
        self._command = [rig.version.ctl, "-c", conf, "audit", *words]
        self._apart, self._over, self._process, self.took, self.wrong = apart, False, None, [], None
        self._threads = [threading.Thread(target=run) for run in ([self._run, self._step_aside] if apart else [self._run])]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._over = True
        with contextlib.suppress(AttributeError, OSError):
            self._process.terminate()
        for thread in self._threads:
            thread.join()
        if self.wrong is not None and exception[0] is None:
            raise Failure(f"the audit said: {self.wrong}")

    def _run(self):
        while not self._over and self.wrong is None:
            started = time.monotonic()
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            out = self._process.communicate()[0]
            # rows that were made here and did not come by the daemon have no journal: it says so with status 1
            if "\nunexplained " in out:
                self.took.append(time.monotonic() - started)
            elif not self._over:
                self.wrong = out[-300:]

    def _step_aside(self):
        """What the audit takes of the standby it takes of another machine in life: here, of what others leave."""
        with psycopg2.connect(self._apart) as connection, connection.cursor() as cursor, contextlib.suppress(PermissionError):     # of another user's process
            connection.autocommit = True
            seen = set()
            while not self._over:
                cursor.execute("select pid from pg_stat_activity where application_name = 'visitbillctl'")
                for (pid,) in cursor.fetchall():
                    if pid not in seen:
                        seen.add(pid)
                        with contextlib.suppress(ProcessLookupError):
                            proc.step_aside(pid)
                time.sleep(0.1)
        connection.close()


def audit(c):
    bills = 10_000 if c.quick else 50_000
    database = c.rig.database("audit")
    store.add_bills(c.rig, database, bills, LINES)
    rates, took = {"alone": [], "standby": [], "primary": []}, {"standby": [], "primary": []}
    with c.rig.standby() as standby:
        with c.rig.daemon(database) as daemon:
            def run(name):
                c.rig.checkpoint()
                if name == "alone":
                    return lines_per_s(c, daemon, "wait")
                with Audits(c.rig, daemon.conf, "--on", name, apart=standby if name == "standby" else None) as audits:
                    time.sleep(0.3)
                    rate = lines_per_s(c, daemon, "wait")
                took[name] += audits.took
                return rate

            for n in range(c.rounds):
                for name in list(rates) if n % 2 == 0 else list(reversed(rates)):
                    rates[name].append(run(name))
                c.say(f"audit, round {n + 1} of {c.rounds}: " + ", ".join(f"{name} {rates[name][-1]:,.0f} lines/s" for name in rates))
    c.rig.drop(database)
    stored = f"{bills * LINES:,} lines of {bills:,} visits, and what the feeds add"
    rows = [compare("64 feeds that wait, while the audit runs on the standby", "lines/s", rates["standby"], "without the audit", rates["alone"],
                    "audit/standby", f"{stored}; one audit after the other; its backend on the standby at nice 19, for its machine would be another one"),
            compare("64 feeds that wait, while the audit runs on the primary", "lines/s", rates["primary"], "without the audit", rates["alone"],
                    note="in slices, with the pauses of the default")]
    rows += [Row(f"an audit on the {name} meanwhile", sum(seconds) / len(seconds), "s", samples=seconds) for name, seconds in took.items() if seconds]
    return rows
