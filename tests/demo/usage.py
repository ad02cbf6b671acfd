"""What a day used: CPU of the daemon, of PostgreSQL with all its backends, of the players; memory; size of the database."""

import os
import resource
import time
from pathlib import Path

import psycopg2

_TICKS = os.sysconf("SC_CLK_TCK")


def _fields(pid):
    """Of /proc/PID/stat from the third on: the second may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()


def _cpu_s(pid, with_ended=False):
    """User and system time; with_ended: and that of its children that have ended."""
    return sum(int(n) for n in _fields(pid)[11:15 if with_ended else 13]) / _TICKS


def _tree_cpu_s(pid):
    total = _cpu_s(pid, with_ended=True)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
        try:
            total += _cpu_s(child)
        except (FileNotFoundError, ProcessLookupError):
            pass        # ended meanwhile: its parent has its time
    return total


def _pid(env, name):
    return int(Path(env.dir, "run", name + ".pid").read_text("ascii"))


def _resident_kib(pid):
    """The most that it ever was."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


class Meter:
    """Begins when it is made."""

    def __init__(self, env):
        self._env = env
        self._began = self._read()
        self._at = time.monotonic()

    def _read(self):
        own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return {"daemon": _cpu_s(_pid(self._env, "visitbilld")), "postgresql": _tree_cpu_s(_pid(self._env, "postgresql")),
                "simulator": _cpu_s(_pid(self._env, "wechatpay")), "players": own}

    def cpu_s(self):
        """By program; the players' once they have ended."""
        return {name: now - self._began[name] for name, now in self._read().items()}

    def wall_s(self):
        return time.monotonic() - self._at

    def daemon_mib(self):
        return _resident_kib(_pid(self._env, "visitbilld")) / 1024

    def database_mib(self):
        connection = psycopg2.connect(self._env.pg)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("select pg_database_size(current_database())")
                return cursor.fetchone()[0] / (1 << 20)
        finally:
            connection.close()
