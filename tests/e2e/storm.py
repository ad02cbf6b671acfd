"""A storm: two daemons on one pair of servers, and all the while feeds, a ward, a desk and kiosks that go on as real ones do. One thing after the other
fails, in an order and for times that a seed decides; after each the feeds must get on again by themselves. At the end what was acknowledged is compared with
what is stored, to the line and the fen.

    python3 -m tests.e2e.storm --minutes 10 --seed 7        (scripts/soak)
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from .api import Client
from .feeds import Feed, ft1
from .injector import Injector
from .live import ROOT, address, run_unprivileged, wait_until
from .pair import BIN, Pair
from .test_kill import Payer, Sender, Ward, Worker, compare_lines, compare_money

SETTINGS = {"database": {"hold": "2s", "answer_time": "2s", "connect_time": "1s"}, "jobs": {"replay": "100ms", "payments": "200ms", "drain": "5s"},
            "facility H01": {"grace": "10m", "late_grace": "200ms"}, "log": {"repeat": "5s"}}
GETS_ON = 60        # seconds in which the feeds must be booked again after a fault; on an idle machine it is a few


class Second:
    """The second daemon: the settings of the first, on ports of its own, with a way to the servers of its own."""

    def __init__(self, house):
        self.house, self._process = house, None
        self.conf, self.log_file = house.folder / "second.conf", house.folder / "log/second.log"
        self.mllp = self.mllp2 = self.http = self.operations = None

    def configure(self, conninfo):
        text = pathlib.Path(self.house.env["VISITBILL_CONF"]).read_text("utf-8")
        names = ("http", "https", "ops", "mllp", "mllp2", "mllps")
        ports = subprocess.run(["bash", "-c", f'. "$0/scripts/lib.sh" && free_port {"0 " * len(names)}', ROOT], check=True, capture_output=True,
                               text=True).stdout.split()
        for name, port in zip(names, ports):
            text = re.sub(rf"(\[listen {name}\]\naddress = 127\.0\.0\.1:)\d+", rf"\g<1>{port}", text)
        at = {name: address(f"127.0.0.1:{port}") for name, port in zip(names, ports)}
        self.mllp, self.mllp2, self.http, self.operations = at["mllp"], at["mllp2"], at["http"], at["ops"]
        self.conf.write_text(re.sub(r"(?m)^conninfo = .*$", f"conninfo = {conninfo}", text, count=1), "utf-8")
        self.conf.chmod(0o644)      # the daemon's user is not root

    def start(self, wait=True):
        with open(self.log_file, "ab") as log:
            self._process = run_unprivileged(self.house.env["VISITBILL_BIN"], "-c", self.conf, stdout=log, stderr=log, start_new_session=True)
        if wait:
            wait_until(self.is_ready, "the second daemon to be ready", 60)

    def is_ready(self):
        try:
            return Client(self.operations, None).get("/readyz").status == 200
        except OSError:
            return False

    def is_running(self):
        return self._process.poll() is None

    def send_signal(self, number):
        self._process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        self._process.send_signal(number)
        return self._process.wait(60)

    def log(self):
        return self.log_file.read_text("utf-8", "replace")


class StormPair(Pair):
    """A pair with two daemons, each of which reaches each server through an injector of its own."""

    def __init__(self, settings):
        super().__init__(settings)
        self.ways = {}      # (daemon, server): injector
        self.daemons = ()

    def __enter__(self):
        super().__enter__()
        self.daemons[1].start()
        return self

    def __exit__(self, *exception):
        house = self.house
        try:
            for injector in self.ways.values():
                injector.lift()
            if len(self.daemons) > 1 and self.daemons[1].is_running():
                self.daemons[1].stop()
            super().__exit__(*exception)
        finally:
            for injector in self.ways.values():
                injector.__exit__()
            self.logs = house.folder

    def _settings(self, house, settings):
        settings = super()._settings(house, settings)
        for server in (self.first, self.second):    # a standby that was cut off comes back soon
            server.execute("alter system set wal_retrieve_retry_interval = '200ms'", "select pg_reload_conf()")
        second = Second(house)
        self.daemons = (house, second)
        for daemon in self.daemons:
            for server in (self.first, self.second):
                self.ways[daemon, server] = Injector(server.place).__enter__()
        conninfo = settings["database"]["conninfo"]
        settings["database"]["conninfo"] = self._through(house, conninfo)
        house.configure(settings)
        second.configure(self._through(second, conninfo))
        return settings

    def _through(self, daemon, conninfo):
        hosts = ",".join(str(self.ways[daemon, server].folder) for server in (self.first, self.second))
        return re.sub(r"host=\S+", f"host={hosts}", conninfo)


class Wanderer(Feed):
    """A sending system that takes whichever daemon its next connection is given."""

    def __init__(self, addresses, rng, *arguments, **more):
        super().__init__(addresses[0], *arguments, **more)
        self.addresses, self.rng = addresses, rng

    def connect(self):
        self.address = self.rng.choice(self.addresses)
        return super().connect()


class Either:
    """A client of both daemons: each request goes to one of them."""

    def __init__(self, clients, rng):
        self._clients, self._rng = clients, rng

    def __getattr__(self, name):
        return getattr(self._rng.choice(self._clients), name)


class StormSender(Sender):
    """Visits come and go, and a message is a moment apart from the next."""

    PACE = 0.04

    def __init__(self, storm, rng, name, feed, number):
        super().__init__(storm, rng, storm.over, name, feed)
        self.name_ = f"{name}-{number}"
        self._messages = 0

    def _message(self):
        time.sleep(self.PACE)
        self._messages += 1
        if self._messages % 300 == 1:
            self.visits = [f"K-{self.name_}-{self._messages}-{n}" for n in range(9)]
        return super()._message()


class StormPayer(Payer):
    """A bill that only the old primary had, whose commit no standby confirmed, can be seen there for a moment: it is looked up again."""

    def pay(self, visit, bill, amount, fen):
        while not super().pay(visit, bill, amount, fen):
            del self.paid[f"K-{bill}"]
            bill = self.bill_of(visit)
        return True


class Slip(Worker):
    """A feed that sends what nobody can book: each is refused once, and kept once."""

    def __init__(self, storm, rng, feed):
        super().__init__(storm, rng, storm.over)
        self.feed, self.kept = feed, 0

    def work(self):
        while not self.over.is_set():
            message = self.feed.dft_message(f"K-slip-{self.kept}", ft1("1", "12..50"))
            self._until_refused(message)
            self.kept += 1
            self.over.wait(0.5)

    def _until_refused(self, message):
        while True:
            try:
                ack = self.feed.send(message)
                if ack.code == "AE":
                    assert ack.reasons == ["field_invalid"], ack
                    return
                assert ack.code == "AR", ack
            except OSError:
                pass
            time.sleep(0.05)


class Storm:
    """What fails, and who sends meanwhile. `seen` are the faults so far."""

    def __init__(self, pair, seed, say=print):
        self.pair, self.say, self.rng, self.over = pair, say, random.Random(seed), threading.Event()
        self.primary, self.standby = pair.first, pair.second
        self.began, self.seen = time.monotonic(), []
        house, second = pair.daemons
        self.mllp, self.mllp2 = [house.mllp, second.mllp], [house.mllp2, second.mllp2]
        self.sim = house.sim
        self.ward, self.kiosk, self.desk = (Either([Client(daemon.http, house.tokens[role]) for daemon in pair.daemons], random.Random(seed + n))
                                            for n, role in enumerate(("feed", "kiosk", "desk")))
        self._make_workers(seed)

    def _make_workers(self, seed):
        def feed(number, name, addresses, **more):
            return Wanderer(addresses, random.Random(seed + number), name, **more)

        gb = {"charset": "GB 18030-2000", "encoding": "gb18030"}
        self.senders = [("clinic", StormSender(self, random.Random(seed + 10), "clinic", feed(20, "CLINIC", self.mllp), 1)),
                        ("clinic", StormSender(self, random.Random(seed + 11), "clinic", feed(21, "CLINIC", self.mllp), 2)),
                        ("pharmacy", StormSender(self, random.Random(seed + 12), "pharmacy", feed(22, "PHARMACY", self.mllp, **gb), 1)),
                        ("lab", StormSender(self, random.Random(seed + 13), "lab", feed(23, "LAB", self.mllp), 1))]
        self.slip = Slip(self, random.Random(seed + 14), feed(24, "CLINIC", self.mllp))
        self.wards = [Ward(self, random.Random(seed + 15), self.over)]
        self.payers = [StormPayer(self, random.Random(seed + 16), self.over, "cash", self.desk, "cash"),
                       StormPayer(self, random.Random(seed + 17), self.over, "phone", self.kiosk, "wechatpay")]
        self.workers = [worker for _, worker in self.senders] + [self.slip, *self.wards, *self.payers]
        self._beats = [feed(30 + n, name, self.mllp) for n, name in enumerate(("CLINIC", "PHARMACY", "LAB"))]

    # ---- what is behind

    def rows(self, sql, *parameters):
        connection = self.primary.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("set search_path = hospital")
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, *parameters):
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    def hasten(self, payment, seconds):
        self.rows("update payment set next_check_at = now(), created_at = created_at - make_interval(secs => %s)"
                  " where state in ('created', 'pending', 'unknown') and public_id = %s", seconds, payment["payment"])

    def ways(self, server):
        return [injector for (_, way_to), injector in self.pair.ways.items() if way_to is server]

    # ---- what fails. Each leaves a pair whose commits wait for its standby.

    def a_server_is_killed(self):
        self.primary.kill()
        time.sleep(self.rng.uniform(0, 1))
        self.primary.start()

    def a_server_stands_still(self):
        self.primary.signal(signal.SIGSTOP)
        time.sleep(self.rng.uniform(0.5, 5))
        self.primary.signal(signal.SIGCONT)

    def its_backends_are_ended(self):
        for _ in range(self.rng.randint(1, 5)):
            self.primary.rows("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'visitbill'")
            time.sleep(self.rng.uniform(0.05, 0.5))

    def its_connections_run_out(self):
        self._refuse_for("alter role visitbill connection limit 0", "alter role visitbill connection limit -1")

    def it_is_read_only(self):
        name = self.primary.database
        self._refuse_for(f"alter database {name} set default_transaction_read_only = on", "set default_transaction_read_only = off",
                         f"alter database {name} reset default_transaction_read_only")

    def _refuse_for(self, statement, *back):
        connection = self.primary.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                cursor.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'visitbill'")
                time.sleep(self.rng.uniform(0.5, 3))
                for each in back:
                    cursor.execute(each)
        finally:
            connection.close()

    def the_standby_is_away(self):
        self.standby.kill()
        time.sleep(self.rng.uniform(0.5, 5))
        self.standby.start()

    def a_fenced_failover(self):
        """The primary is gone for good, and its standby is promoted."""
        self._is_synchronous()
        self.primary.kill()
        time.sleep(self.rng.uniform(0, 1))
        self._promote()
        self._gets_on("the promotion")
        self._new_standby()

    def an_unfenced_failover(self):
        """The old primary comes back as if nothing had happened, or goes on after it stood still."""
        self._is_synchronous()
        hangs = self.rng.random() < 0.5
        if hangs:
            self.primary.signal(signal.SIGSTOP)
            time.sleep(self.rng.uniform(0, 2.5))
        else:
            self.primary.kill()
        self._promote()
        old = self.standby
        if hangs:
            old.signal(signal.SIGCONT)
        else:
            old.start()
        if self.rng.random() < 0.5:
            self._restart(self.rng.choice(self.pair.daemons))
        self._gets_on("the promotion, beside the old primary")
        self._new_standby()

    def _is_synchronous(self):
        wait_until(lambda: self.primary.rows("select 1 from pg_stat_replication where sync_state = 'sync'"), "the standby to be synchronous", 60)

    def _promote(self):
        """What was the primary is `standby` now, though it is none yet."""
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def _new_standby(self):
        """Of what was the primary, whatever it has become: made anew."""
        self.standby.kill()
        shutil.rmtree(self.standby.data)
        backup = run_unprivileged(BIN / "pg_basebackup", "-h", self.primary.place, "-U", "postgres", "-D", self.standby.data, "-c", "fast", "-N", "-X", "stream",
                                  "-R", "-d", "application_name=second", stdout=subprocess.DEVNULL)
        assert backup.wait(120) == 0
        self.standby.start()
        self.primary.execute("alter system set synchronous_standby_names = 'second'", "select pg_reload_conf()")
        self._is_synchronous()

    def nothing_is_forwarded(self):
        """Between one daemon and a server, or between both and the primary: connections stay, and nothing comes."""
        ways = self.ways(self.primary) if self.rng.random() < 0.5 else [self.rng.choice(list(self.pair.ways.values()))]
        for way in ways:
            way.freeze()
        time.sleep(self.rng.uniform(0.5, 6))
        for way in ways:
            way.thaw()

    def statements_are_cut(self):
        """Before the server has done them, after it, or half way."""
        ways = self.ways(self.primary)
        rules = [way.rule(r"(charges_post|charges_post_one|visit_events|payment_create|payment_captures|payment_pending|visits_close|quarantine_put|feed_marks)\(", action,
                          times=self.rng.randint(1, 3))
                 for way in ways for action in self.rng.sample(("cut_before", "cut_after", "stop_request", "stop_reply"), 2)]
        wait_until(lambda: sum(rule.hits for rule in rules) >= len(ways), "statements to be cut", 20)
        time.sleep(self.rng.uniform(0, 2))
        for way in ways:
            way.lift()

    def statements_fail(self):
        for way in self.ways(self.primary):
            way.fail(r"\w+\(", self.rng.choice(("40001", "40P01", "55P03", "57014", "53100", "53200", "58030", "25006", "57P01")),
                     times=self.rng.randint(1, 60))
        time.sleep(self.rng.uniform(0.5, 3))
        for way in self.ways(self.primary):
            way.lift()

    def a_daemon_is_killed(self):
        self._restart(self.rng.choice(self.pair.daemons))

    def _restart(self, daemon):
        daemon.stop(signal.SIGKILL)
        time.sleep(self.rng.uniform(0, 0.5))
        daemon.start(wait=False)

    def a_visit_is_locked(self):
        visit = self.rng.choice(self.rng.choice(self.senders)[1].visits)
        connection = self.primary.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("begin")
                cursor.execute("select 1 from hospital.visit where visit_no = %s for update", (visit,))
                time.sleep(self.rng.uniform(0.5, 5))
                cursor.execute("rollback")
        finally:
            connection.close()

    FAULTS = (a_server_is_killed, a_server_stands_still, its_backends_are_ended, its_connections_run_out, it_is_read_only, the_standby_is_away,
              a_fenced_failover, an_unfenced_failover, nothing_is_forwarded, statements_are_cut, statements_fail, a_daemon_is_killed, a_visit_is_locked)

    # ---- its course

    def _note(self, text):
        self.say(f"{time.monotonic() - self.began:7.1f} s  {text}")

    def _taken(self):
        return [worker.taken for _, worker in self.senders]

    def _gets_on(self, after):
        """Every feed is booked again, by itself."""
        before, began = self._taken(), time.monotonic()

        def all_have():
            assert not self.over.is_set(), [worker.error for worker in self.workers if worker.error]
            return all(now > was + StormSender.WINDOW for now, was in zip(self._taken(), before))

        wait_until(all_have, f"the feeds to get on after {after}", GETS_ON)
        self._note(f"    the feeds get on {time.monotonic() - began:.1f} s after {after}")

    def strike(self, fault):
        name = fault.__name__.replace("_", " ")
        self._note(name)
        self.seen.append(fault.__name__)
        fault(self)
        self._gets_on(name)
        time.sleep(self.rng.uniform(0, 1))

    def run(self, faults):
        """faults: what fails, one after the other, while the load goes on."""
        beats = threading.Thread(target=self._heartbeats, daemon=True)
        for thread in (*self.workers, beats):
            thread.start()
        try:
            self._gets_on("the beginning")
            for fault in faults:
                self.strike(fault)
        finally:
            self.over.set()
            for thread in (*self.workers, beats):
                thread.join(120)
        assert [worker.error for worker in self.workers if worker.error] == []
        assert not any(worker.is_alive() for worker in self.workers), "each has had its last answer"
        assert all(daemon.is_running() for daemon in self.pair.daemons)

    def _heartbeats(self):
        """The feeds' watermarks move on, so that bills come."""
        while not self.over.is_set():
            for feed in self._beats:
                try:
                    feed.heartbeat()
                except (OSError, AssertionError):
                    pass
            time.sleep(0.05)

    def check(self):
        """What was acknowledged is stored, once, to the fen; what is in quarantine is what was bad; nothing is unexplained; and both daemons are well."""
        for daemon in self.pair.daemons:
            wait_until(daemon.is_ready, "the daemon to be ready", 60)
        compare_lines(self, [(name, worker.lines) for name, worker in self.senders] + [("ward", worker.lines) for worker in (*self.wards, *self.payers)],
                      least=500, kept=[("field_invalid", self.slip.kept)])
        compare_money(self, self.payers)
        assert self.rows("select * from audit() where broken <> 0 or unexplained <> 0") == []
        assert self.pair.house.ctl("audit").endswith("unexplained 0.00\n")
        assert self.value("select count(*) from quarantine where reason <> 'field_invalid'") == 0
        for daemon in self.pair.daemons:
            assert "AddressSanitizer" not in daemon.log() and "runtime error" not in daemon.log()
        self._note(f"{self.value('select count(*) from charge')} lines, {self.value('select count(*) from capture')} captures, {self.slip.kept} in quarantine,"
                   f" {len(self.seen)} faults, {sum(worker.repeated for worker in self.workers)} repeated; unexplained 0.00")


def for_a_while(seed, seconds):
    """Faults in the order that the seed makes, each once before any comes again, until the time is over."""
    rng, ends = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < ends:
        for fault in rng.sample(Storm.FAULTS, len(Storm.FAULTS)):
            if time.monotonic() >= ends:
                return
            yield fault


def main():
    parser = argparse.ArgumentParser(description="Two daemons on a pair of servers, and everything fails.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    with StormPair(SETTINGS) as pair:
        storm = Storm(pair, options.seed, lambda text: print(text, flush=True))
        try:
            storm.run(for_a_while(options.seed, options.minutes * 60))
            storm.check()
        except BaseException:
            kept = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"visitbill-soak-{options.seed}"
            shutil.copytree(pair.house.folder / "log", kept, dirs_exist_ok=True)
            print(f"failed; --seed {options.seed} does the same in the same order. Logs: {kept}", file=sys.stderr, flush=True)
            raise


if __name__ == "__main__":
    main()
