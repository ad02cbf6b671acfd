"""Two PostgreSQL servers kept by Debian's Patroni, and a daemon that knows both. Patroni and etcd are given conf/patroni.example.yml, so that what an
operator copies is what runs here; other are only the addresses, the folders, the memory, and the watchdog, which would reset this machine."""

import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.request

import psycopg2
import yaml

from .cluster import shell
from .live import ROOT, House, run_unprivileged, wait_until
from .pair import BIN, Server

EXAMPLE = ROOT / "conf/patroni.example.yml"
HOSTS = {"db1": "10.20.0.11", "db2": "10.20.0.12", "dcs": "10.20.0.13"}     # of the example
PORTS = (5432, 8008, 2379, 2380)                                            # PostgreSQL, Patroni's REST API, etcd's two


def changed(value, words):
    """The value with these words in its texts replaced."""
    if isinstance(value, dict):
        return {key: changed(each, words) for key, each in value.items()}
    if isinstance(value, list):
        return [changed(each, words) for each in value]
    if isinstance(value, str):
        for old, new in words.items():
            value = value.replace(old, new)
    return value


def ask(folder, port, path):
    """What one of them answers, who wants to see a certificate."""
    context = ssl.create_default_context(cafile=folder / "tls/ca.pem")
    context.load_cert_chain(folder / "tls/peer.pem", folder / "tls/peer.key")
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/{path}", timeout=5, context=context) as reply:
        return reply.read()


class Machine:
    """One of the three: etcd, and on two of them Patroni with its PostgreSQL. `server` is that, where it runs."""

    def __init__(self, folder, name, ports):
        self.folder, self.place, self.name = folder, folder / name, name
        self.port, self.api, self.etcd_port, _ = (ports[name, port] for port in PORTS)
        self.place.mkdir()
        self.words = {f"{host}:{port}": f"127.0.0.1:{ports[machine, port]}" for machine, host in HOSTS.items() for port in PORTS}
        self.words |= {f"{host}/32": "127.0.0.1/32" for host in HOSTS.values()} | {"10.20.0.0/24": "127.0.0.1/32"}
        self.words |= {"/etc/patroni/tls": f"{folder}/tls", "/srv/archive": f"{folder}/archive", "/usr/lib/postgresql/15/bin": f"{BIN}",
                       "/var/lib/postgresql/15/visitbill": f"{self.place}/data", "/var/lib/postgresql/patroni.pgpass": f"{self.place}/pgpass",
                       "/var/run/postgresql": f"{self.place}", "/var/lib/etcd/visitbill": f"{self.place}/etcd"}
        text = EXAMPLE.read_text("utf-8")
        self._etcd_settings = {key: self._mine(value) for key, value in re.findall(r"^#   (ETCD_\w+)=(.*)$", text, re.M)}
        self._etcd_settings["ETCD_NAME"] = name
        own = re.sub(r"^(.*?)( +# own)$", lambda line: line[1].replace(HOSTS["db1"], HOSTS[name]).replace("db1", name), text, flags=re.M)
        settings = changed(yaml.safe_load(own), self.words)
        self.passwords = {role["username"]: role["password"] for role in settings["postgresql"]["authentication"].values()}
        settings["watchdog"]["mode"] = "off"
        settings["bootstrap"]["dcs"]["postgresql"]["parameters"]["shared_buffers"] = "64MB"
        written = yaml.safe_dump(settings)
        assert not re.search(r"10\.20\.|/etc/|/var/|/srv/", written + "".join(self._etcd_settings.values())), written
        self.conf = self.place / "config.yml"
        self.conf.write_text(written, "utf-8")
        self.conf.chmod(0o600)
        self.server = KeptServer(self)
        self._etcd = self._patroni = None

    def _mine(self, value):
        """A setting of etcd: db1's own address is this machine's; the list of all of them stays."""
        if not value.startswith("db1="):
            value = value.replace(HOSTS["db1"], HOSTS[self.name])
        return changed(value, self.words)

    def _run(self, *command, **environment):
        with open(self.place / f"{pathlib.Path(command[0]).name}.log", "ab") as log:
            return run_unprivileged(*command, stdout=log, stderr=log, start_new_session=True,
                                    env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PDEATHSIG": "TERM", **environment})

    def start_etcd(self):
        self._etcd = self._run("/usr/bin/etcd", **self._etcd_settings)

    def start(self):
        """Everything that it had."""
        if self._etcd is None:
            self.start_etcd()
        self._patroni = self._run("/usr/bin/patroni", self.conf)

    def kill(self):
        """As if its plug were pulled."""
        for process in (self._patroni, self._etcd):
            if process is not None:
                process.kill()
                process.wait(30)
        self._patroni = self._etcd = None
        self.server.kill()

    def etcd_is_healthy(self):
        try:
            return json.loads(ask(self.folder, self.etcd_port, "health"))["health"] == "true"
        except OSError:
            return False

    def kill_etcd(self):
        self._etcd.kill()
        self._etcd.wait(30)
        self._etcd = None

    def is_running(self):
        return self._patroni is not None and self._patroni.poll() is None

    def log(self):
        return (self.place / "patroni.log").read_text("utf-8", "replace")


class KeptServer(Server):
    """A PostgreSQL that Patroni starts and stops."""

    def __init__(self, machine):
        super().__init__(machine.place / "data", "visitbill")
        self._machine = machine

    def connect(self, database=None):       # pylint: disable=arguments-differ
        connection = psycopg2.connect(host=str(self.place), port=self._machine.port, dbname=database or self.database, user="postgres",
                                      password=self._machine.passwords["postgres"], connect_timeout=10)
        connection.autocommit = True
        return connection

    def answers(self):
        return subprocess.run([BIN / "pg_isready", "-q", "-h", self.place, "-p", str(self._machine.port)], check=False).returncode == 0

    def is_there(self):
        """Patroni's PostgreSQL is nobody's child here: the number in its file is its own only while it has this command."""
        try:
            return str(self.data).encode() in pathlib.Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return False


class PatroniPair:
    """db1 and db2 with the daemon, and dcs, the third vote."""

    def __init__(self, settings=None):
        self.house = House(lambda house: self._settings(house, settings or {}))
        self.machines = {}
        self.folder = None

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="visitbill-kept-"))
        try:
            self._make(self.folder)
            self.house.__enter__()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *exception):
        try:
            if self.house.is_running():
                self.house.stop()
        finally:
            self._remove()
            self.house.close(check=False)

    def _remove(self):
        for machine in self.machines.values():
            machine.kill()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _settings(self, house, settings):
        server = wait_until(self.leader, "a leader", 90, every=0.1).server
        connection = server.connect("postgres")
        with connection.cursor() as cursor:     # as README has it
            cursor.execute("create role visitbill_owner login password 'owners'")
            cursor.execute("create role visitbill login password 'daemons'")
            cursor.execute("grant pg_read_all_stats to visitbill_owner")
            cursor.execute("create database visitbill owner visitbill_owner")
        connection.close()
        conninfo = (f"host=127.0.0.1,127.0.0.1 port={self.db1.port},{self.db2.port} dbname=visitbill sslmode=verify-full"
                    f" sslrootcert={self.folder}/tls/ca.pem")
        made = {**settings, "database": {"conninfo": f"{conninfo} user=visitbill password=daemons",
                                         "owner_conninfo": f"{conninfo} user=visitbill_owner password=owners", **settings.get("database", {})}}
        house.configure(made)
        house.ctl("migrate")
        wait_until(self.standby, "a standby", 90, every=0.1)
        return made

    def _make(self, folder):
        numbers = iter(shell("free_port 0 0 0 0 0 0 0 0 0 0 0 0").split())
        ports = {(name, port): next(numbers) for name in HOSTS for port in PORTS}
        for verb in (["authority", folder / "tls"], ["peer", folder / "tls", "db1", "127.0.0.1"]):
            subprocess.run([ROOT / "scripts/certificates", *verb], check=True)
        (folder / "archive/wal").mkdir(parents=True)
        self.machines = {name: Machine(folder, name, ports) for name in HOSTS}
        if os.geteuid() == 0:
            shell('give "$1"', folder)
        for machine in self.machines.values():
            machine.start_etcd()
        for machine in self.machines.values():
            wait_until(machine.etcd_is_healthy, "etcd to have a leader", 60, every=0.1)
        self.db1.start()
        self.db2.start()

    @property
    def db1(self):
        return self.machines["db1"]

    @property
    def db2(self):
        return self.machines["db2"]

    def other(self, machine):
        return self.db2 if machine is self.db1 else self.db1

    # ---- what Patroni says

    def members(self):
        """By name, what a living Patroni knows of them: role, state, timeline, lag."""
        for machine in (self.db1, self.db2):
            try:
                return {member["name"]: member for member in json.loads(ask(self.folder, machine.api, "cluster"))["members"]}
            except OSError:
                pass
        return {}

    def _in_role(self, role):
        members = [member for member in self.members().values() if member["role"] == role and member["state"] in ("running", "streaming")]
        return self.machines[members[0]["name"]] if members else None

    def leader(self):
        return self._in_role("leader")

    def standby(self):
        """The one that commits wait for."""
        return self._in_role("sync_standby")

    def follows(self, machine):
        """It is the synchronous standby, on the leader's timeline, and nothing is left to be replayed."""
        members = self.members()
        mine, leader = members.get(machine.name), self.leader()
        return (mine and leader and mine["role"] == "sync_standby" and mine["timeline"] == members[leader.name]["timeline"] and mine["lag"] == 0)

    def patronictl(self, *arguments):
        done = subprocess.run(["patronictl", "-c", self.db1.conf, *arguments], capture_output=True, text=True, check=False, timeout=120,
                              stdin=subprocess.DEVNULL, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
