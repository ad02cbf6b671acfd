"""The database stalls, and nothing is blamed for it: one visit is locked, a table is locked, the server is read-only, it lets nobody in, it stands still.
Who waits too long is told to send again, what can go on does, and what was sent is there once in the end."""

import signal
import threading
import time

import psycopg2
import pytest

from .api import line
from .feeds import Feed, ft1
from .live import House, wait_until
from .pair import Server


@pytest.fixture(name="slow", scope="module")
def _slow():
    with House({"database": {"hold": "2s", "answer_time": "2s"}, "log": {"repeat": "0s"}}) as house:
        yield house


@pytest.fixture(autouse=True)
def _nothing_is_blamed(slow):
    yield
    assert slow.quarantined() == []
    assert slow.broken() == []


def another(slow):
    connection = psycopg2.connect(slow.env["VISITBILL_PG"])
    connection.cursor().execute("set search_path = hospital")
    return connection


def until_taken(slow, message):
    """The codes until it is taken, sent again and again as a feed does."""
    codes = []
    while not codes or codes[-1] != "AA":
        codes.append(Feed(slow.mllp, "CLINIC").send(message).code)
        assert len(codes) < 100
        time.sleep(0.1)
    return codes


def test_one_visit_is_locked(slow):
    """Somebody has its row for ten seconds: its lines are told to come again, and do; all others are booked meanwhile, without delay but for the first time."""
    for n in range(20):
        assert slow.clinic.charge(f"lock-{n}", ft1("0")).code == "AA"
    taken, over = [], threading.Event()

    def others(part):
        feed, n = Feed(slow.mllp, "CLINIC"), 0
        while not over.is_set():
            for k in range(1 + part, 20, 2):
                began = time.monotonic()
                assert feed.dft(f"lock-{k}", ft1(f"p{part}-{n}")).code == "AA"
                taken.append((f"lock-{k}", f"p{part}-{n}", began, time.monotonic() - began))
                n += 1

    lock = another(slow)
    lock.cursor().execute("select 1 from visit where visit_no = 'lock-0' for update")
    message = slow.clinic.dft_message("lock-0", ft1("1"))
    threads = [threading.Thread(target=others, args=(part,)) for part in range(2)]
    for thread in threads:
        thread.start()
    try:
        codes, starts = [], time.monotonic()
        while time.monotonic() < starts + 10:
            codes.append(Feed(slow.mllp, "CLINIC").send(message).code)
            time.sleep(0.3)
        lock.rollback()
        codes += until_taken(slow, message)
    finally:
        lock.close()
        over.set()
        for thread in threads:
            thread.join()
    assert set(codes) == {"AR", "AA"} and codes.count("AA") == 1
    waits = sorted(wait for _, _, _, wait in taken)
    later = max(wait for _, _, began, wait in taken if began > starts + 2.5)
    assert len(taken) > 200 and waits[-1] < 3 and waits[len(waits) * 95 // 100] < 0.5, "nobody else is held up for long"
    assert later < 0.7, "and by no resend"
    assert set(slow.lines("lock-0")) == {("clinic", "0"), ("clinic", "1")}
    assert {(visit, source) for visit, source, *_ in taken} <= {(f"lock-{k}", source) for k in range(20) for _, source in slow.lines(f"lock-{k}")}


def test_a_message_alone_that_waits(slow):
    """The table is locked for longer than everything: it is told to come again, and not refused."""
    lock = another(slow)
    lock.cursor().execute("lock table charge in access exclusive mode")
    message = slow.clinic.dft_message("stall", *(ft1(f"{n}") for n in range(200)))
    began = time.monotonic()
    ack = slow.clinic.send(message)
    assert ack.code == "AR" and time.monotonic() - began < 8
    assert "send again" in ack.text
    lock.rollback()
    lock.close()
    until_taken(slow, message)
    assert len(slow.lines("stall")) == 200


def test_a_server_that_is_read_only(slow):
    """As one that was demoted."""
    slow.rows("alter database visitbill set default_transaction_read_only = on")
    slow.rows("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'visitbill'")
    message = slow.clinic.dft_message("readonly", ft1("1"))
    try:
        assert slow.clinic.send(message).code == "AR"
        wait_until(lambda: not slow.is_ready(), "not to be ready", 15)
        wait_until(lambda: slow.metric("visitbill_database_up") == 0, "the gauge to say so", 10)
        assert slow.clinic.send(message).code == "AR"
        refused = [entry for entry in slow.log().splitlines() if "db.refused" in entry or "db.lost" in entry]
        assert any("lets nobody write" in entry for entry in refused) and len(refused) < 20, refused
    finally:
        slow.rows("set default_transaction_read_only = off")
        slow.rows("alter database visitbill reset default_transaction_read_only")
    until_taken(slow, message)
    wait_until(slow.is_ready, "to be ready", 15)


def test_a_server_that_lets_nobody_in(slow):
    """All of its connections are taken."""
    message = slow.clinic.dft_message("full", ft1("1"))
    slow.rows("alter role visitbill connection limit 0")
    slow.rows("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'visitbill'")
    try:
        assert slow.clinic.send(message).code == "AR"
        wait_until(lambda: not slow.is_ready(), "not to be ready", 15)
    finally:
        slow.rows("alter role visitbill connection limit -1")
    until_taken(slow, message)
    wait_until(slow.is_ready, "to be ready", 15)


def test_a_server_that_stands_still(slow):
    """Feeds, kiosks and scrapes are answered in time, and nothing waits that could be told."""
    words = dict(word.split("=", 1) for word in slow.env["VISITBILL_PG"].split())
    server = Server(f"{words['host']}/data", words["dbname"])
    message = slow.clinic.dft_message("still", ft1("1"))
    payment = slow.kiosk.pay(slow.billed("paid")["bill"], "100.00").json
    slow.sim.pay(payment, notify="none")
    server.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert slow.clinic.send(message).code == "AR"
        assert time.monotonic() - began < 8
        wait_until(lambda: not slow.is_ready(), "not to be ready", 8)
        began = time.monotonic()
        assert slow.kiosk.get("/v1/visits/H01/still").status == 503
        assert slow.ward.post("/v1/charges", {"lines": [line("still", "2")]}).status == 503
        assert slow.metric("visitbill_database_up") == 0 and slow.metric("visitbill_heartbeat_age_seconds") > 2
        assert time.monotonic() - began < 8
        began = time.monotonic()
        assert slow.sim.notify(payment)["status"] == 503
        assert time.monotonic() - began < 4, "the channel gives up after five seconds"
    finally:
        server.signal(signal.SIGCONT)
    until_taken(slow, message)
    wait_until(slow.is_ready, "to be ready", 20)
    assert set(slow.lines("still")) == {("clinic", "1")}


def test_backends_that_were_left_are_ended(slow):
    """What was given up does not go on at the server: it would keep its locks from those who come again."""
    lock = another(slow)
    lock.cursor().execute("lock table charge in access exclusive mode")
    try:
        for _ in range(3):
            assert slow.clinic.dft("left", ft1("1")).code == "AR"
        waiting = slow.value("select count(*) from pg_stat_activity where usename = 'visitbill' and wait_event_type = 'Lock'")
        assert waiting <= 3
        assert slow.value("select count(*) from pg_stat_activity where usename = 'visitbill'") <= 12
    finally:
        lock.rollback()
        lock.close()
