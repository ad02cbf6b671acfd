"""A living hospital for the tests: PostgreSQL, the channel simulator and the daemon, started by scripts/serve on a folder that is removed at the
end. It knows processes, settings and the database behind the daemon; messages are feeds.py's, requests api.py's.

`House()` is the embedded default as it is. `House(settings)` has the daemon apart from serve, so that a test may change its settings, stop it, kill
it and start it again; settings are {section: {key: value}}, or a function that makes them of the house, whose folder has a name only then. A section
of None is taken out.
"""

import configparser
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import psycopg2

from .api import Client, Simulator
from .feeds import PATIENT, Feed, ft1

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VISITBILL_BUILD", ROOT / "build")).resolve()


def wait_until(condition, what, timeout=30, every=0.02):
    """What `condition` returns once that is true; an AssertionError that says what was waited for."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        time.sleep(every)


def stays(condition, what, seconds):
    """Fails as soon as `condition` is not true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"{what}: not for {seconds} s"
        time.sleep(0.05)


def address(text):
    host, _, port = text.rpartition(":")
    return host.removeprefix("http://").removeprefix("https://"), int(port)


def run_unprivileged(*command, **options):
    """A Popen of the command, as the user that scripts/serve runs everything as where this is root."""
    return subprocess.Popen(["bash", "-c", '. "$0/scripts/lib.sh" && unprivileged "$@"', ROOT, *map(str, command)], stdin=subprocess.DEVNULL, **options)


class House:
    def __init__(self, settings=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="visitbill-e2e-"))
        self.folder.chmod(0o711)    # PostgreSQL's own user has to get through, where this is root
        self._settings = settings
        self._serve = self._daemon = self._connection = None
        self.env = {}

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.close(check=False)
            raise
        return self

    def __exit__(self, kind, *_):
        self.close(check=kind is None)

    def _start(self):
        apart = {} if self._settings is None else {"VISITBILL_DAEMON": "external"}
        log = open(self.folder / "serve.out", "wb")
        with log:
            self._serve = subprocess.Popen([ROOT / "scripts/serve", "--dir", self.folder, "--build", BUILD], stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, start_new_session=True, env=os.environ | apart)
        env = self.folder / "env"
        wait_until(lambda: env.exists() or self._serve.poll() is not None, "scripts/serve to be ready", 180)
        assert self._serve.poll() is None, (self.folder / "serve.out").read_text("utf-8", "replace")
        self.env = dict(word.split("=", 1) for word in shlex.split(env.read_text("utf-8")))
        self.mllp, self.mllp2, self.mllps, self.http, self.https, self.operations = (
            address(self.env[f"VISITBILL_{name}"]) for name in ("MLLP", "MLLP2", "MLLPS", "HTTP", "HTTPS", "OPS"))
        self.tokens = {role: self.env[f"VISITBILL_{role.upper()}_TOKEN"] for role in ("feed", "kiosk", "desk", "ops")}
        self.ward, self.kiosk, self.desk, self.ops = (self.client(self.tokens[role]) for role in ("feed", "kiosk", "desk", "ops"))
        self.nobody = self.client(None)
        self.watcher = Client(self.operations, None)
        self.sim = Simulator(address(self.env["VISITBILL_SIM"]))
        self.clinic = Feed(self.mllp, "CLINIC")
        self.pharmacy = Feed(self.mllp, "PHARMACY", charset="GB 18030-2000", encoding="gb18030")
        self.lab = Feed(self.mllp, "LAB", charset="")
        if self._settings is not None:
            self.configure(self._settings(self) if callable(self._settings) else self._settings)
            self.start()

    def close(self, check=True):
        """Ends everything; with check, that it ended in order, without delay, and that its log held no secret."""
        begun = time.monotonic()
        status = self.stop() if self._daemon is not None and self._daemon.poll() is None else 0
        if self._connection is not None:
            self._connection.close()
        if self._serve is not None and self._serve.poll() is None:
            self._serve.send_signal(signal.SIGTERM)
            self._serve.wait(90)
            status = status or self._serve.returncode
        took = time.monotonic() - begun
        status = status or (f"timeout: {took:.0f} s" if took > 30 else 0)
        told = self.secrets_told() if check else None
        said = "" if status == 0 else self.log()[-3000:] + (self.folder / "serve.out").read_text("utf-8", "replace")[-2000:]
        self.shell('cluster_remove "$1"', self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert status == 0 or not check, f"ended with status {status}:\n{said}"
        assert not told, f"the log tells {told}"

    # ---- the daemon where it is apart

    def start(self, wait=True, before=(), **options):
        """Starts the daemon; with wait, until it is ready. before: a program that runs it; options: of its Popen."""
        with open(self.folder / "log/visitbilld.log", "ab") as log:
            self._daemon = run_unprivileged(*before, self.env["VISITBILL_BIN"], "-c", self.env["VISITBILL_CONF"], stdout=log, stderr=log,
                                            start_new_session=True, **options)
        if wait:
            wait_until(lambda: self.is_ready() or self._daemon.poll() is not None, "the daemon to be ready", every=0.01)
            assert self._daemon.poll() is None, self.log()[-3000:]

    def send_signal(self, number):
        self._daemon.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Its exit status."""
        self._daemon.send_signal(number)
        return self._daemon.wait(60)

    def is_running(self):
        return self._daemon.poll() is None

    @property
    def pid(self):
        return self._daemon.pid

    @property
    def certificates(self):
        """The folder of scripts/certificates."""
        return pathlib.Path(self.env["VISITBILL_CA"]).parent.resolve()

    def is_ready(self):
        try:
            with urllib.request.urlopen("http://%s:%d/readyz" % self.operations, timeout=10) as reply:
                return reply.status == 200
        except OSError:
            return False

    # ---- settings

    def configure(self, changes):
        """Changes the settings file; the daemon reads it at its start or on SIGHUP."""
        path = pathlib.Path(self.env["VISITBILL_CONF"])
        ini = configparser.RawConfigParser()
        ini.read_string(path.read_text("utf-8"))
        for section, values in changes.items():
            if values is None:
                ini.remove_section(section)
                continue
            if not ini.has_section(section):
                ini.add_section(section)
            for key, value in values.items():
                ini.set(section, key, str(value))
        with open(path, "w", encoding="utf-8") as file:
            ini.write(file)

    def reload(self, text=None):
        """SIGHUP, until the log has said how it went; that line. text: the whole file."""
        if text is not None:
            pathlib.Path(self.env["VISITBILL_CONF"]).write_text(text, "utf-8")
        seen = len(self.log())
        self.send_signal(signal.SIGHUP)
        return wait_until(lambda: re.search(r"^.* (?:info|error) reload .*\n", self.log()[seen:], re.M), "the reload").group()

    # ---- what is behind

    def client(self, token):
        return Client(self.http, token)

    def ctl(self, *arguments):
        done = subprocess.run([self.env["VISITBILL_CTL"], "-c", self.env["VISITBILL_CONF"], *arguments], capture_output=True, text=True,
                              encoding="utf-8", timeout=60, env=os.environ | {"VISITBILL_OPS_TOKEN": self.tokens["ops"]})
        assert done.returncode == 0, f"visitbillctl {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    @staticmethod
    def shell(script, *arguments):
        """A line of shell that may use scripts/lib.sh. What it leaves running holds no pipe of ours."""
        subprocess.run(["bash", "-c", f'. "$0/scripts/lib.sh" && {script}', ROOT, *map(str, arguments)], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop_postgresql(self):
        if self._connection is not None:
            self._connection.close()
        self.shell('cluster_stop "$1"', self.folder)

    def start_postgresql(self):
        self.shell('cluster_start "$1"', self.folder)

    def rows(self, sql, *parameters):
        """Rows of the database behind the daemon, as its superuser."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg2.connect(self.env["VISITBILL_PG"])
            self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql, *parameters):
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    def lines(self, visit):
        """The visit's lines: (feed, source_line) to fen; what a merge moved is feed visitbill's."""
        return {(feed, source): amount for feed, source, amount in self.rows(
            "select f.name, c.source_line, c.amount from charge c join feed f using (feed_id) join visit v using (visit_id) where v.visit_no = %s", visit)}

    def quarantined(self, **where):
        """Quarantine entries with these values, oldest first: dicts, the message's bytes with them."""
        columns = ("quarantine_id", "reason", "detail", "location", "visit_no", "source_line", "bytes", "feed", "outcome")
        filters = "".join(f" and {name} = %s" for name in where)
        return [dict(zip(columns, row[:6] + (bytes(row[6]),) + row[7:])) for row in self.rows(
            "select quarantine_id, reason, detail, location, visit_no, source_line, bytes, f.name, outcome from quarantine q"
            " join quarantine_message m using (message_id) join quarantine_kept k using (message_id) left join feed f on f.feed_id = q.feed_id"
            f" left join quarantine_resolution using (quarantine_id) where true{filters} order by 1", *where.values())]

    def broken(self):
        """The invariants that do not hold."""
        return self.rows("select * from audit() where broken <> 0 or unexplained <> 0")

    def metric(self, name, **labels):
        """The sum of a family's series with these labels in /metrics."""
        wanted, total = set(labels.items()), 0.0
        for line in self.watcher.get("/metrics").text.splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name and wanted <= set(re.findall(r'(\w+)="([^"]*)"', match[2] or "")):
                total += float(match[3])
        return total

    def log(self):
        return (self.folder / "log/visitbilld.log").read_text("utf-8", "replace")

    def secrets_told(self):
        """Lines of the log with a patient's name or number, a visit's number, or a token."""
        secret = re.compile("|".join([PATIENT, r"PN-", r"\bV\d{4}\b", *map(re.escape, self.tokens.values())]))
        return [text for text in self.log().splitlines() if secret.search(text)]

    # ---- closing

    def heartbeat(self, *feeds, at=None):
        """Tells of each feed (all of them unless named) that it has sent everything up to now."""
        for name in feeds or ("clinic", "pharmacy", "lab", "ward"):
            if name == "ward":
                self.ward.heartbeat(at)
            else:
                getattr(self, name).heartbeat(at)

    def discharge(self, visit, wait=True):
        """Discharges the visit, lets all feeds pass, and waits for its newest bill."""
        had = len(self.kiosk.bills(visit)["bills"])
        assert self.clinic.adt("A03", visit).code == "AA"
        self.heartbeat("pharmacy", "lab", "ward")
        if wait:
            return self.next_bill(visit, had)

    def billed(self, visit, amount="100.00"):
        """A visit with one line and its bill."""
        self.clinic.charge(visit, ft1("1", amount))
        return self.discharge(visit)

    def next_bill(self, visit, had):
        return wait_until(lambda: self.kiosk.bills(visit)["bills"][had:], f"a bill of {visit}")[-1]

    def hasten(self, payment, seconds=0):
        """The daemon looks at a payment in progress now, as if it were so much older."""
        self.rows("update payment set next_check_at = now(), created_at = created_at - make_interval(secs => %s)"
                  " where state in ('created', 'pending', 'unknown') and public_id = %s", seconds, payment["payment"])
