"""A private PostgreSQL for the tests, by the functions of scripts/lib.sh, and databases in it.

A test module that wants the fixtures says

    pytest_plugins = ["e2e.cluster"]

and takes `cluster` (the session's own) or `database` (an empty one of the test's own). The binaries are those of VISITBILL_BUILD,
or of build/ below the root. PYTEST_DONT_REWRITE: it may be imported before it is a plugin.
"""

import itertools
import os
import pathlib
import subprocess
import tempfile

import psycopg2
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VISITBILL_BUILD", ROOT / "build")).resolve()
CTL = next((path for path in (BUILD / "daemon/visitbillctl", BUILD / "daemon/ctl/visitbillctl") if path.exists()),
           BUILD / "daemon/ctl/visitbillctl")
OWNER, ROLE = "visitbill_owner", "visitbill"

SETTINGS = """
[database]
conninfo = {conninfo}
owner_conninfo = {owner_conninfo}
schema = {schema}

[listen http]
address = 127.0.0.1:{http_port}
serves = desk operations

[facility H01]
name = 杭州市第一人民医院

[feed clinic]
facility = H01
application = CLINIC

[feed pharmacy]
facility = H01
application = PHARMACY
charset = GB 18030-2000

[token ops]
secret = ops-token-of-the-tests
role = ops
facilities = *
"""


def shell(script, *arguments):
    """What a line of shell prints that may use scripts/lib.sh."""
    done = subprocess.run(
        ["bash", "-c", f". {ROOT}/scripts/lib.sh && {script}", "-", *map(str, arguments)],
        check=False, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{script}: {done.stderr.strip()}")
    return done.stdout.strip()


class Cluster:
    """A PostgreSQL of one's own below a folder, with the owner's and the daemon's role, until remove()."""

    def __init__(self, folder):
        self.folder = folder
        self._numbers = itertools.count(1)
        self._conninfo = {}
        # the server stays running behind the shell: nothing of it may hold our pipes, see shell()
        shell('cluster_start "$1" >"$1/start.log" 2>&1 && cluster_prepare "$1"', folder)

    def conninfo(self, role="postgres", database="visitbill"):
        if (role, database) not in self._conninfo:      # the shell is slow: asked once
            self._conninfo[role, database] = shell('cluster_conninfo "$1" "$2" "$3"', self.folder, role, database)
        return self._conninfo[role, database]

    def execute(self, sql):
        """A statement of the superuser outside a transaction, such as create database."""
        connection = psycopg2.connect(self.conninfo(database="postgres"))
        connection.autocommit = True
        try:
            connection.cursor().execute(sql)
        finally:
            connection.close()

    def new_database(self, folder):
        name = f"test{next(self._numbers)}"
        self.execute(f"create database {name} owner {OWNER}")
        return Database(self, name, folder)

    def remove(self):
        shell('cluster_remove "$1"', self.folder)


class Database:
    """One database and its settings file."""

    def __init__(self, cluster_, name, folder, **changes):
        self.cluster, self.name, self.folder = cluster_, name, folder
        self.schema = "hospital"
        self.conf = folder / f"{name}.conf"
        self.configure(**changes)

    def configure(self, template=SETTINGS, **changes):
        """Writes the settings; changes are values of the template."""
        values = {
            "conninfo": self.conninfo(ROLE), "owner_conninfo": self.conninfo(OWNER), "schema": self.schema, "http_port": 1, **changes,
        }
        self.conf.write_text(template.format(**values), encoding="utf-8")

    def conninfo(self, role="postgres"):
        return self.cluster.conninfo(role, self.name)

    def connect(self, role="postgres", autocommit=True):
        connection = psycopg2.connect(self.conninfo(role), options=f"-csearch_path={self.schema}")
        connection.autocommit = autocommit
        return connection

    def query(self, sql, parameters=None, role="postgres"):
        """The rows that a statement returns, committed."""
        connection = self.connect(role)
        try:
            cursor = connection.cursor()
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def start_ctl(self, *arguments, ctl=CTL, **options):
        return subprocess.Popen(
            [ctl, "-c", self.conf, *map(str, arguments)], text=True, encoding="utf-8", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )

    def ctl(self, *arguments, status=0, ctl=CTL, **options):
        """What visitbillctl prints on stdout, or on stderr where it is expected to fail."""
        process = self.start_ctl(*arguments, ctl=ctl, **options)
        out, err = process.communicate(timeout=120)
        assert process.returncode == status, f"visitbillctl {' '.join(map(str, arguments))}: status {process.returncode}\n{out}{err}"
        return out if status == 0 else err


@pytest.fixture(scope="session")
def cluster():
    """The session's cluster."""
    with tempfile.TemporaryDirectory(prefix="visitbill-e2e-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)     # PostgreSQL's own user has to get through, where this is root
        made = Cluster(pathlib.Path(folder))
        try:
            yield made
        finally:
            made.remove()


@pytest.fixture
def database(cluster, tmp_path):
    """An empty database, with a settings file."""
    return cluster.new_database(tmp_path)
