"""Two servers: the primary is killed, hangs, comes back as if nothing had happened; its standby goes away. What was acknowledged is there, once;
nothing is blamed on a line; and the daemon goes on by itself."""

import json
import signal
import subprocess
import threading
import time

import pytest

from .feeds import Feed, ft1
from .live import ROOT, stays, wait_until
from .pair import Pair


class Sender(threading.Thread):
    """A feed that sends a line after the other and repeats each until it is taken, as real ones do."""

    def __init__(self, pair, visit):
        super().__init__(daemon=True)
        self.feed, self.visit, self.over = Feed(pair.house.mllp, "CLINIC"), visit, threading.Event()
        self.taken, self.answers, self.last = [], set(), time.monotonic()
        self.longest = 0    # seconds until a message was answered
        self.start()

    def run(self):
        n, message = 0, self.message(0)
        while not self.over.is_set():
            began = time.monotonic()
            try:
                code = self.feed.send(message).code
                self.longest = max(self.longest, time.monotonic() - began)
            except (OSError, AssertionError):
                code = None
            self.answers.add(code)
            if code == "AA":
                self.taken.append(f"{n}")
                self.last = time.monotonic()
                n += 1
                message = self.message(n)
            else:
                time.sleep(0.05)

    def message(self, n):
        return self.feed.dft_message(self.visit, ft1(f"{n}", "1.00"))

    def goes_on(self, timeout):
        count = len(self.taken)
        wait_until(lambda: len(self.taken) > count + 5, "the feed to be booked again", timeout)

    def end(self):
        self.over.set()
        self.join(30)
        assert self.answers <= {"AA", "AR", None}, self.answers


def check(server, *senders):
    """What was taken is there, once, and nothing is in quarantine."""
    lines = server.lines()
    assert len(lines) == len(set(lines))
    for sender in senders:
        assert {(sender.visit, "clinic", n) for n in sender.taken} <= set(lines)
    assert server.rows("select reason, detail from hospital.quarantine") == []


@pytest.fixture(name="pair")
def _pair():
    with Pair({"database": {"hold": "2s", "answer_time": "2s", "connect_time": "1s"}}) as pair:
        yield pair


def ours(pair):
    return [server for server in (pair.first, pair.second)
            if pair.house.metric("visitbill_database_server", server=f"{server.place}:5432") == 1]


def test_the_primary_is_killed(pair):
    """The standby is promoted: the feeds go on there. The old one comes back, writable, and nobody books on it, also after a restart."""
    house = pair.house
    assert ours(pair) == [pair.first]
    sender = Sender(pair, "killed")
    wait_until(lambda: len(sender.taken) > 50, "the feed to send")
    pair.first.kill()
    wait_until(lambda: not house.is_ready(), "not to be ready", 10)
    pair.second.promote()
    promoted = time.monotonic()
    sender.goes_on(20)
    assert time.monotonic() - promoted < 10     # two seconds, on a machine that does nothing else
    wait_until(house.is_ready, "to be ready", 10)
    assert ours(pair) == [pair.second] and house.is_running()

    pair.first.start()                          # nobody fenced it
    pair.first.execute("alter system reset synchronous_standby_names", "select pg_reload_conf()")
    old = len(pair.first.lines())
    with pytest.raises(AssertionError, match="MEND  primaries: 2 of them; stop the one on the older timeline"):
        house.ctl("doctor")
    pair.second.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'visitbill'")
    sender.goes_on(20)
    assert ours(pair) == [pair.second]
    house.stop()
    house.start()
    assert ours(pair) == [pair.second]
    sender.goes_on(20)
    sender.end()
    check(pair.second, sender)
    assert len(pair.first.lines()) == old
    assert json.loads(house.ctl("books", "--json"))["lines"]["booked"] == len(pair.second.lines()), "visitbillctl looks at the same server"


def test_the_old_primary_goes_on_waiting(pair):
    """It stood still for a moment, its standby was promoted meanwhile, and nobody fenced it: it is up again before anyone has given it up, and waits for a
    standby that never comes. The feeds go on with the other one."""
    house = pair.house
    sender = Sender(pair, "waits")
    wait_until(lambda: len(sender.taken) > 50, "the feed to send")
    pair.first.signal(signal.SIGSTOP)
    pair.second.promote()
    pair.first.signal(signal.SIGCONT)
    sender.goes_on(40)
    wait_until(house.is_ready, "to be ready", 20)
    assert ours(pair) == [pair.second]
    sender.end()
    check(pair.second, sender)


def test_the_primary_hangs(pair):
    """It neither answers nor closes: everyone is told within the answer time, and the feeds go on with the promoted standby."""
    house = pair.house
    sender = Sender(pair, "hung")
    wait_until(lambda: len(sender.taken) > 50, "the feed to send")
    pair.first.signal(signal.SIGSTOP)
    began = time.monotonic()
    wait_until(lambda: "AR" in sender.answers, "the feed to be told", 15)
    wait_until(lambda: not house.is_ready(), "not to be ready", 10)
    assert house.kiosk.get("/v1/visits/H01/hung").status == 503
    scraped = time.monotonic()
    assert house.metric("visitbill_database_up") == 0
    assert time.monotonic() - scraped < 2
    assert time.monotonic() - began < 25
    pair.second.promote()
    promoted = time.monotonic()
    sender.goes_on(30)
    assert time.monotonic() - promoted < 20
    pair.first.signal(signal.SIGCONT)
    stays(lambda: ours(pair) == [pair.second], "the promoted one to stay ours", 2)
    sender.goes_on(10)
    sender.end()
    check(pair.second, sender)


def test_the_standby_is_away(pair):
    """Commits wait for it: nobody is told that anything is booked or paid, also who asks again, no line is blamed, no backend is left behind, and all
    goes on when it is back."""
    house = pair.house
    bill = house.billed("payer")["bill"]
    sender = Sender(pair, "alone")
    wait_until(lambda: len(sender.taken) > 50, "the feed to send")
    pair.second.kill()
    wait_until(lambda: "AR" in sender.answers and not house.is_ready(), "everyone to be told", 20)
    count = len(sender.taken)
    stays(lambda: len(sender.taken) == count, "nothing to be acknowledged", 8)
    late = Sender(pair, "late")     # comes just after a batch that hangs was sent
    stays(lambda: not late.taken, "nothing to be acknowledged", 14)
    assert sender.longest < 7 > late.longest, "nobody waits for a batch of others and then for one of his own"
    for _ in range(3):      # the first one's row is there, committed on this server alone
        assert house.desk.pay(bill, "60.00", "cash", key="alone").status == house.kiosk.pay(bill, "40.00", key="alone").status == 503
    waiting = pair.first.rows("select count(*) from pg_stat_activity where usename = 'visitbill' and wait_event = 'SyncRep'")[0][0]
    assert waiting <= 8, "backends that wait are ended, and do not pile up"
    pair.second.start()
    sender.goes_on(30)
    wait_until(house.is_ready, "to be ready", 20)
    paid = house.desk.pay(bill, "60.00", "cash", key="alone")
    assert (paid.status, paid.json["state"]) == (200, "succeeded"), paid
    sender.end()
    late.end()
    check(pair.first, sender, late)


def test_a_day_with_a_failover(tmp_path):
    """scripts/demo --pair: the primary is killed in the middle of the day, and every figure agrees with what was sent."""
    done = subprocess.run([ROOT / "scripts/demo", "--pair", "--visits", "300"], stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
                          timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "the primary was killed" in done.stdout and "every figure agrees with what was sent" in done.stdout
    for word in ("settled at a kiosk", "registered three times", "entries by MFN^M04", "no message ended 10 visits", "oldhis", "clinicsys", "wardsys", "newlab"):
        assert word in done.stdout, word
    assert done.stdout.splitlines()[-1] == "unexplained 0.00"
