"""Two PostgreSQL servers and a daemon that knows both: a primary, and a standby that its commits wait for."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import psycopg2

from .live import House, run_unprivileged, wait_until

BIN = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def children(parent):
    """The processes that this one has begun."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
        except (OSError, IndexError, ValueError):
            pass    # it has ended
    return found


class Server:
    """A server by its data folder, which has its socket beside it."""

    def __init__(self, data, database):
        self.data, self.place, self.database = pathlib.Path(data), pathlib.Path(data).parent, database
        self._process = None    # where it was started here

    @property
    def pid(self):
        return int((self.data / "postmaster.pid").read_text("ascii").split()[0])

    def start(self):
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with open(self.place / "server.log", "ab") as log:
            self._process = run_unprivileged(BIN / "postgres", "-D", self.data, "-k", self.place, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.answers, f"the server of {self.data} to start", 60)

    def answers(self):
        return subprocess.run([BIN / "pg_isready", "-q", "-h", self.place], check=False).returncode == 0

    def signal(self, number):
        """To the server and all its backends."""
        server = self.pid
        for pid in (server, *children(server)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def is_there(self):
        if self._process is not None:
            return self._process.poll() is None
        try:
            os.kill(self.pid, 0)
        except (OSError, ValueError):
            return False
        return True

    def kill(self):
        if self.is_there():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            wait_until(lambda: not self.is_there(), "the server to be gone")

    def connect(self):
        connection = psycopg2.connect(host=str(self.place), dbname=self.database, user="postgres", connect_timeout=10)
        connection.autocommit = True
        return connection

    def rows(self, sql, *parameters):
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def execute(self, *statements):
        for statement in statements:
            self.rows(statement)

    def promote(self):
        self.execute("select pg_promote(true, 60)", "alter system reset synchronous_standby_names", "select pg_reload_conf()")

    def lines(self):
        """What is booked: (visit number, feed, source_line), as often as it is."""
        return self.rows("select v.visit_no, f.name, c.source_line from hospital.charge c join hospital.visit v using (visit_id) join hospital.feed f"
                         " on f.feed_id = c.feed_id")


class Pair:
    """first is the house's own server, second its standby; both are named to the daemon in this order."""

    def __init__(self, settings=None):
        self.house = House(lambda house: self._settings(house, settings or {}))
        self.first = self.second = self._folder = None

    def __enter__(self):
        self.house.__enter__()
        return self

    def __exit__(self, *exception):
        house, self.house = self.house, None
        try:
            if house.is_running():
                house.stop()
            for server in (self.first, self.second):
                server.kill()
        finally:
            house.close(check=False)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _settings(self, house, settings):
        words = dict(word.split("=", 1) for word in house.env["VISITBILL_PG"].split())
        self.first = Server(f"{words['host']}/data", words["dbname"])
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="visitbill-pair-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        self.second = Server(self._folder / "data", words["dbname"])
        backup = run_unprivileged(BIN / "pg_basebackup", "-h", words["host"], "-U", "postgres", "-D", self.second.data, "-c", "fast", "-X", "stream", "-R",
                                  "-d", "application_name=second")
        assert backup.wait(120) == 0
        self.second.start()
        self.first.execute("alter system set synchronous_standby_names = 'second'", "select pg_reload_conf()")
        wait_until(lambda: self.first.rows("select 1 from pg_stat_replication where sync_state = 'sync'"), "the standby to be synchronous")
        conninfo = f"host={self.first.place},{self.second.place} dbname={words['dbname']} user=visitbill"
        return {**settings, "database": {"conninfo": conninfo, "owner_conninfo": conninfo.replace("user=visitbill", "user=visitbill_owner"),
                                         **settings.get("database", {})}}
