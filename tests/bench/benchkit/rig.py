"""The machine under measurement: a private PostgreSQL cluster, databases cloned from a template, and the daemon.

The cluster is that of scripts/lib.sh with conf/postgresql.embedded.conf, for every contender. A figure works on a fresh
clone of the template (schema, price list, open visits), so that no figure pays for the lines of another. Where two builds
are compared each has a template of its own, made by its own visitbillctl. What was started is ended by its own process id,
and the cluster is deleted, whatever happens.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import psycopg2

from . import proc
from . import version as version_module

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SCHEMA = "hospital"
VISITS = 2000               # open visits that lines are spread over, unless a figure says otherwise
VISIT_PREFIX = "BV"
READY_S = 60
NICE = -5                   # of the daemon, as conf/visitbilld.service has it; without the right to it, 0
FEED_TOKEN, KIOSK_TOKEN, DESK_TOKEN = "bench-feed-token-0001", "bench-kiosk-token-001", "bench-desk-token-0001"
OPS_TOKEN = "bench-ops-token-00001"


class Failure(Exception):
    """A benchmark could not be taken: the run goes on with the next figure and ends with status 1."""


def free_ports(n):
    """From below the kernel's range for outgoing connections: the thousands that a figure opens take none of them."""
    held = []
    try:
        for port in random.sample(range(20000, 32768), 2000):
            s = socket.socket()
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                s.close()
                continue
            held.append(s)
            if len(held) == n:
                return [s.getsockname()[1] for s in held]
        raise Failure("no free ports")
    finally:
        for s in held:
            s.close()


class Daemon:
    """A running visitbilld."""

    def __init__(self, process, addresses, ready_s, conf):
        self.process, self.ready_s, self.conf = process, ready_s, conf
        self.pid = process.pid
        self.http, self.mllp, self.mllp2, self.channel = (addresses[name] for name in ("HTTP", "MLLP", "MLLP2", "SIM"))
        self.https, self.mllps = addresses.get("HTTPS"), addresses.get("MLLPS")     # None of a build that has no TLS

    def stop(self):
        """Drains; returns the seconds that took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failure("visitbilld did not drain within 40 s") from None
        if self.process.returncode != 0:
            raise Failure(f"visitbilld ended with status {self.process.returncode}")
        return time.monotonic() - started


class Rig:
    def __init__(self, build, before=None, verbose=False):
        self.version, self.verbose = version_module.find("now", build), verbose
        self.before = version_module.find("before", before) if before is not None else None
        self.bench = os.path.join(self.version.build, "tests", "bench")
        self.dir = None
        self._processes = []
        self._versions = {}         # of each database
        self._numbers = iter(range(1, 1 << 30))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))

    # ---- the cluster

    def open(self):
        self.dir = tempfile.mkdtemp(prefix="visitbill-bench-", dir="/var/tmp")
        os.chmod(self.dir, 0o711)
        self._library('cluster_start "$1" && cluster_prepare "$1"')
        self._read_postmaster()
        self._keys()
        self._certificates()
        for version in filter(None, (self.version, self.before)):
            self._make_template(version)

    def _read_postmaster(self):
        with open(os.path.join(self.dir, "run", "postgresql.pid"), encoding="ascii") as f:
            self.postmaster = int(f.read())

    def close(self):
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if self.dir is not None:
            subprocess.run(["bash", "-c", '. "$0/scripts/lib.sh" && cluster_remove "$1"', ROOT, self.dir], check=False)
            shutil.rmtree(self.dir, ignore_errors=True)

    def _library(self, command, *arguments):
        script = f'. "$0/scripts/lib.sh" && {command}'
        done = subprocess.run(["bash", "-c", script, ROOT, self.dir, *arguments], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{command} failed")
        return done.stdout.strip()

    def conninfo(self, database, role="visitbill_owner"):
        return self._library('cluster_conninfo "$1" "$2" "$3"', role, database)

    @contextlib.contextmanager
    def connection(self, database, role="visitbill_owner"):
        c = psycopg2.connect(self.conninfo(database, role), options=f"-csearch_path={SCHEMA}")
        c.autocommit = True
        try:
            yield c
        finally:
            c.close()

    def sql(self, database, text, parameters=None, role="visitbill_owner"):
        """Runs it; returns the rows, if it has any."""
        with self.connection(database, role) as c, c.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    def checkpoint(self):
        """Before each measurement, so that every contender finds the write-ahead log in the same state."""
        self.sql("postgres", "checkpoint", role="postgres")

    @contextlib.contextmanager
    def standby(self):
        """A second server that follows the cluster, and that its commits wait for; every conninfo names both meanwhile. The conninfo of that one alone,
        for its administrator."""
        place = self._library('standby_start "$1" >"$1/log/standby-start.log" 2>&1; realpath "$(cat "$1/cluster" 2>/dev/null || echo "$1/pg")"')
        try:
            yield f"host={place}/second dbname=postgres user=postgres"
        finally:
            self._library('standby_remove "$1"')

    def frozen_copy(self):
        """A copy of the cluster's data folder, as a clean shutdown leaves it; the server is stopped for as long as that takes."""
        place = self._library('realpath "$(cat "$1/cluster" 2>/dev/null || echo "$1/pg")"')
        copy = os.path.join(place, "frozen")
        self._library('cluster_stop "$1"')
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", os.path.join(place, "data"), copy], check=True)
        self._library('cluster_start "$1"')
        self._read_postmaster()
        return copy

    def single_user(self, data, database, statements, wrapper=()):
        """Runs statements, one a line, in a single-user server on that data; returns what it and its wrapper printed."""
        done = subprocess.run(["bash", "-c", '. "$0/scripts/lib.sh" && bin=$(pg_bin) && data=$1 database=$2 && shift 2 &&'
                               ' run_unprivileged "$@" "$bin/postgres" --single -D "$data" "$database"', ROOT, data, database, *wrapper],
                              input=statements, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0 or "ERROR:" in done.stdout:
            raise Failure("single-user PostgreSQL failed: " + done.stdout[-600:])
        return done.stdout

    # ---- databases

    def _make_template(self, version):
        name = version.template
        self.sql("postgres", f"create database {name} owner visitbill_owner", role="postgres")
        self._versions[name] = version
        conf = self.configure(name)
        self.run([version.ctl, "-c", conf[0], "migrate"])
        self.start(name, conf=conf).stop()          # writes the facility and its feeds
        items = self.run([self.tool("vbload"), "items"])
        self.sql(name, "select items_import('H01', %s::json)", (items,))
        self.sql(name, "select partitions_ahead()")
        # an older build's visits have a limit each
        self.sql(name, "do $$ begin alter table visit alter credit_limit set default 900000000000; exception when undefined_column then null; end $$")
        self.add_visits(name, VISITS)

    def credit_limit(self, database):
        """("", "") for an insert of a visit, or the column that the schema of an older build wants, and its value."""
        there = self.sql(database, "select 1 from information_schema.columns where table_schema = %s and table_name = 'visit' and column_name = 'credit_limit'",
                         (SCHEMA,))
        return (", credit_limit", ", 900000000000") if there else ("", "")

    def add_visits(self, database, n, prefix=VISIT_PREFIX):
        """Numbers prefix0000000 and up, open inpatients; their ids follow each other."""
        column, value = self.credit_limit(database)
        self.sql(database, f"""
            insert into visit (facility_id, visit_no, class, patient_no, patient_name, sex, department, location, admitted_at{column})
            select f.facility_id, %s || lpad(n::text, 7, '0'), 'inpatient', 'P' || lpad(n::text, 7, '0'), '王芳', 'F', '综合内科', '0502^12^03',
                   now() - interval '1 day'{value}
              from facility f, generate_series(0, %s - 1) n where f.code = 'H01' order by n""", (prefix, n))
        self.sql(database, "analyze visit")

    def database(self, name="work", version=None):
        """A fresh clone of a version's template; daemons on it are of that version."""
        version = version or self.version
        name = f"bench_{name}_{next(self._numbers)}"
        self.sql("postgres", f"create database {name} template {version.template} owner visitbill_owner", role="postgres")
        self._versions[name] = version
        return name

    def drop(self, database):
        self.sql("postgres", f"drop database if exists {database} with (force)", role="postgres")
        self._versions.pop(database, None)

    # ---- the daemon

    def _keys(self):
        self.pay = os.path.join(self.dir, "pay")
        os.mkdir(self.pay)
        self.run([sys.executable, os.path.join(ROOT, "tests", "sim", "wechatpay.py"), "keys", "--dir", self.pay])
        with open(os.path.join(self.pay, "merchant.json"), encoding="utf-8") as f:
            self.merchant = json.load(f)
        with open(os.path.join(self.pay, "apiv3_key"), "w", encoding="ascii") as f:
            f.write(self.merchant["apiv3_key"])

    def _certificates(self):
        """Of the listeners under TLS: an authority, and a server at 127.0.0.1."""
        self.tls = os.path.join(self.dir, "tls")
        for words in (["authority", self.tls], ["server", self.tls, "127.0.0.1", "localhost"]):
            self.run(["bash", os.path.join(ROOT, "scripts", "certificates"), *words])

    def configure(self, database, **options):
        """Writes settings for the version of this database: (path, addresses)."""
        values = {
            "PG": self.conninfo(database, "visitbill"), "PG_OWNER": self.conninfo(database), "PAY_DIR": self.pay, "TLS_DIR": self.tls,
            "FEED_TOKEN": FEED_TOKEN, "KIOSK_TOKEN": KIOSK_TOKEN, "DESK_TOKEN": DESK_TOKEN, "OPS_TOKEN": OPS_TOKEN,
            **{name.upper(): self.merchant[name] for name in ("mchid", "appid", "merchant_serial", "platform_serial")},
        }
        text, addresses = self._versions[database].settings(values, free_ports(len(version_module.PORTS)), **options)
        path = os.path.join(self.dir, f"{database}.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path, addresses

    def start(self, database, conf=None, wrapper=(), **options):
        path, addresses = conf or self.configure(database, **options)
        started = time.monotonic()
        process = self.spawn([*wrapper, self._versions[database].daemon, "-c", path], log=f"{database}.log")
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        url = f"http://{addresses.get('OPS', addresses['HTTP'])}/readyz"
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as reply:
                    if reply.status == 200:
                        break
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() - started > READY_S:
                raise Failure("visitbilld did not get ready; its log ends: " + self.log_end(f"{database}.log"))
            time.sleep(0.002)
        return Daemon(process, addresses, time.monotonic() - started, path)

    @contextlib.contextmanager
    def daemon(self, database, **options):
        daemon = self.start(database, **options)
        try:
            yield daemon
        finally:
            daemon.stop()

    @contextlib.contextmanager
    def workplace(self, name="work", version=None, **options):
        """A fresh database and a daemon on it: (database, daemon)."""
        database = self.database(name, version)
        try:
            with self.daemon(database, **options) as daemon:
                yield database, daemon
        finally:
            self.drop(database)

    def log_end(self, name):
        with open(os.path.join(self.dir, "log", name), encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]

    # ---- programs

    def tool(self, name):
        return os.path.join(self.bench, name)

    def spawn(self, command, log=None, **options):
        os.makedirs(os.path.join(self.dir, "log"), exist_ok=True)
        with open(os.path.join(self.dir, "log", log), "ab") if log else contextlib.nullcontext(None) as f:
            if f is not None:
                options = {"stdout": f, "stderr": f, **options}
            process = subprocess.Popen(command, **options)
        self._processes.append(process)
        return process

    def run(self, command, **options):
        """Its standard output; Failure when it fails."""
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options)
        if self.verbose:
            print("$", " ".join(command), "\n ", done.stdout.strip()[-600:], file=sys.stderr)
        if done.returncode != 0:
            raise Failure(f"{os.path.basename(command[0])} failed: {(done.stderr.strip() or done.stdout.strip())[-600:]}")
        return done.stdout

    def postgres_cpu_s(self):
        return proc.tree_cpu_s(self.postmaster)
