"""A database that goes away, comes back, loses connections or hangs, while everyone goes on sending: nothing is acknowledged that is not durable,
nothing is lost, nothing doubled, and the daemon stays up. A hospital of its own."""

import json
import socket
import struct
import threading
import time

import pytest

from .api import line, together
from .feeds import Connection, Feed, frame, ft1
from .live import House, wait_until

SETTINGS = {"database": {"hold": "700ms"}, "http": {"request_time": "20s"}, "limits": {"output": "64M"}, "jobs": {"drain": "2s", "payments": "100ms"}, "facility H01": {"grace": "10m"}}


@pytest.fixture(scope="module", name="ill")
def _ill():
    with House(SETTINGS) as house:
        yield house


class Senders:
    """Feeds and a ward that send until they are told to stop. Each repeats what was not taken, as real ones do, and notes every answer."""

    def __init__(self, house, name):
        self.house, self.name = house, name
        self.sent, self.answers, self.errors = {}, [], []
        self._stop = threading.Event()
        feeds = [Feed(house.mllp, "CLINIC"), Feed(house.mllp, "PHARMACY", charset="GB 18030-2000", encoding="gb18030"), Feed(house.mllp2, "LAB")]
        self._threads = [threading.Thread(target=self._run, args=(self._hl7, feed, n)) for n, feed in enumerate(feeds)]
        self._threads.append(threading.Thread(target=self._run, args=(self._json, None, 3)))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert self.errors == []

    def _run(self, send, feed, number):
        name = ("clinic", "pharmacy", "lab", "ward")[number]
        count = 0
        try:
            while not self._stop.is_set():
                count += 1
                visit, source = f"{self.name}-{count % 7}", f"{name[0]}{count}"
                send(feed, visit, source)
                self.sent[visit, name, source] = count
        except BaseException as error:      # pylint: disable=broad-except
            self.errors.append(error)

    def _hl7(self, feed, visit, source):
        amount = int(source[1:])
        message = feed.dft_message(visit, ft1(source, f"{amount // 100}.{amount % 100:02}"))
        release2 = feed.application == "LAB"
        while True:
            with feed.connect() as connection:
                connection.write(frame(message.encode(feed.encoding)))
                frames = connection.frames(2 if release2 else 1)
                code = frames[-1].split(b"MSA|")[1][:2].decode()
            if release2:
                assert frames[0] == (b"\x06" if code == "AA" else b"\x15"), "commit block and acknowledgement agree"
            self.answers.append(code)
            if code == "AA":
                return
            time.sleep(0.05)

    def _json(self, _, visit, source):
        amount = int(source[1:])
        body = {"lines": [line(visit, source, f"{amount // 100}.{amount % 100:02}")]}
        while True:
            reply = self.house.ward.post("/v1/charges", body)
            self.answers.append(reply.status)
            if reply.status == 200:
                assert reply.json["refused"] == 0, reply
                return
            time.sleep(0.05)

    def check(self):
        """The database has every line once, to the fen, and nothing else."""
        stored = {(visit, feed, source): amount for visit, feed, source, amount in self.house.rows(
            "select v.visit_no, f.name, c.source_line, c.amount from charge c join visit v using (visit_id) join feed f using (feed_id)"
            " where v.visit_no like %s", self.name + "-%")}
        assert stored == self.sent
        assert self.house.broken() == []


def test_postgresql_stops_and_comes_back(ill):
    with Senders(ill, "stop") as senders:
        wait_until(lambda: len(senders.answers) > 100, "the feeds to be under way")
        ill.stop_postgresql()
        senders.answers.clear()
        try:
            wait_until(lambda: not ill.is_ready(), "the daemon to notice")
            wait_until(lambda: senders.answers.count("AR") >= 6 and senders.answers.count(503) >= 2, "the feeds to be told")
            assert set(senders.answers) == {"AR", 503}, "nothing is acknowledged, nothing is another error"
            down = ill.lab.dft("stop-0", ft1("down"))
            assert down.code == "AR" and down.errors[0][1:] == (207, "unavailable"), down
            for reply in (ill.kiosk.get("/v1/visits/H01/stop-0"), ill.ward.open("stop-9"), ill.ward.discharge("stop-1"), ill.kiosk.pay("x", "1.00"),
                          ill.desk.get("/v1/quarantine")):
                assert (reply.status, reply.json["reason"]) == (503, "unavailable") and reply.headers["Retry-After"]
            assert ill.nobody.get("/healthz").status == 200 and ill.nobody.get("/readyz").status == 503
            assert ill.metric("visitbill_database_up") == 0 and ill.is_running()
        finally:
            ill.start_postgresql()
        wait_until(ill.is_ready, "the daemon to recover by itself")
        count = len(senders.sent)
        wait_until(lambda: len(senders.sent) > count + 100, "the feeds to go on")
    assert ill.metric("visitbill_database_up") == 1
    senders.check()


def test_backends_are_killed_under_load(ill):
    """Each time in the middle of batches: they are made again, and who waits for an acknowledgement hardly notices."""
    with Senders(ill, "kill") as senders:
        for _ in range(8):
            count = len(senders.sent)
            wait_until(lambda count=count: len(senders.sent) > count + 30, "the feeds to go on")
            assert ill.value("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'visitbill'") > 0
    assert senders.answers.count("AA") + senders.answers.count(200) == len(senders.sent)
    assert set(senders.answers) <= {"AA", 200, "AR", 503}
    senders.check()


def test_payments_while_backends_are_killed(ill):
    """A kiosk and a desk that ask again with the same key: one payment a key, and no money is lost or doubled."""
    bills = [ill.billed(f"pay-{n}")["bill"] for n in range(4)]
    stop = threading.Event()

    def insist(client, bill, channel, n):
        reply = None
        while reply is None or reply.status == 503:
            reply = client.pay(bill, "1.00", channel, key=f"insist-{n}")
        assert reply.status in (200, 201), reply
        return reply.json

    def pay(place):
        paid = []
        for n in range(12):
            payment = insist(*((ill.desk, bills[place], "cash") if n % 2 else (ill.kiosk, bills[place], "wechatpay")), f"{place}-{n}")
            if payment["channel"] == "wechatpay" and payment["state"] == "pending":
                ill.sim.pay(payment, notify="normal" if n % 4 else "none")
            paid.append(payment)
        return paid

    def kill():     # each time that it has come back: on a slow machine, too, there is time for something to be killed in
        while not stop.is_set():
            ill.value("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'visitbill'")
            end = time.monotonic() + 10
            while not stop.is_set() and not ill.is_ready() and time.monotonic() < end:
                stop.wait(0.02)
            stop.wait(0.15)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        payments = [payment for paid in together(*(lambda place=place: pay(place) for place in range(4))) for payment in paid]
    finally:
        stop.set()
        killer.join()
    assert len({payment["payment"] for payment in payments}) == 48
    wait_until(ill.is_ready, "the daemon to be ready")

    def all_ended():
        for payment in payments:
            ill.hasten(payment, 90)
        return ill.value("select count(*) from payment where state in ('created', 'unknown') or state = 'pending' and out_trade_no = any (%s)", paid_orders) == 0

    paid_orders = [order["out_trade_no"] for order in ill.sim.get("/sim/orders").json["orders"] if order["trade_state"] == "SUCCESS"]
    wait_until(all_ended, "every payment that was paid to be known", every=0.3)
    captured = {channel: (count, amount) for channel, count, amount in ill.rows("select channel, count(*), sum(amount)::bigint from capture group by 1")}
    assert captured["cash"] == (24, 2400) and captured["wechatpay"] == (len(paid_orders), 100 * len(paid_orders))
    assert ill.broken() == []


def test_a_database_that_hangs(ill):
    """While a lock holds all bookings up, the daemon answers what does not need it; then everything is booked."""
    ill.clinic.charge("hang-1", ft1("1"))
    ill.rows("begin")
    try:
        ill.rows("lock table charge in access exclusive mode")
        with Connection(ill.mllp) as connection:
            connection.write(b"".join(frame(ill.clinic.dft_message("hang-1", ft1(f"h{n}"), control=f"H{n}").encode()) for n in range(30)))
            slowest = 0
            for _ in range(50):
                begun = time.monotonic()
                assert ill.nobody.get("/healthz").status == 200
                slowest = max(slowest, time.monotonic() - begun)
            assert slowest < 1
            ill.rows("rollback")
            assert [(ack.control, ack.code) for ack in connection.acks(30)] == [(f"H{n}", "AA") for n in range(30)]
    finally:
        ill.rows("rollback")
    assert len(ill.lines("hang-1")) == 31


def test_a_schema_of_another_version(ill):
    """It is migrated under the running daemon, to functions that this one does not know: no line is blamed for that, feeds are told to send again."""
    signatures = [signature for signature, in ill.rows("select name::regproc::regprocedure::text from unnest(array['charges_post', 'charges_post_one']) name")]
    with Senders(ill, "outdated") as senders:
        wait_until(lambda: len(senders.sent) > 20, "the feeds to send")
        for signature in signatures:
            ill.rows(f"alter function {signature} rename to {signature.split('(')[0]}_of_tomorrow")
        try:
            wait_until(lambda: "not this daemon's any more" in ill.log() and "AR" in senders.answers and 503 in senders.answers, "everyone to be told")
            assert ill.is_running()
        finally:
            for signature in signatures:
                ill.rows(f"alter function {signature.replace('(', '_of_tomorrow(', 1)} rename to {signature.split('(')[0]}")
        count = len(senders.sent)
        wait_until(lambda: len(senders.sent) > count + 20, "the feeds to go on")
    assert set(senders.answers) <= {"AA", 200, "AR", 503}
    assert ill.value("select count(*) from quarantine where reason = 'internal'") == 0
    senders.check()


def test_a_peer_that_resets_while_its_charges_wait(ill):
    """Its answer goes nowhere, its lines are booked as they were sent: what they are made of outlives the connection."""
    body = json.dumps({"lines": [line("reset-1", f"r{n}", f"{n}.00", department="d" * 300) for n in range(900)]}).encode()
    lengths = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
    request = f"POST /v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ill.tokens['feed']}\r\n{lengths}\r\n\r\n".encode() + body
    ill.clinic.charge("reset-0", ft1("1"))
    before = ill.metric("visitbill_connections", kind="http")
    ill.rows("begin")
    try:
        ill.rows("lock table charge in access exclusive mode")
        with Connection(ill.mllp) as first, socket.socket() as peer:
            first.write(frame(ill.clinic.dft_message("reset-0", ft1("2")).encode()))    # the lane is busy
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(ill.http)
            peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1500 + request)   # answers that it does not read: the reset is met by a write
            wait_until(lambda: ill.metric("visitbill_queue_lines") >= 900, "its lines to be in work")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: ill.metric("visitbill_connections", kind="http") == before, "the reset to be noticed")
        for n in range(20):     # whatever memory it had is used again
            assert ill.ward.post("/v1/nowhere", {"lines": [line("reset-2", "x", department="e" * 300)] * 900}).status == 404, n
    finally:
        ill.rows("rollback")
    wait_until(lambda: len(ill.lines("reset-1")) in (0, 900) and len(ill.lines("reset-0")) in (1, 2), "the bookings")    # in time, or told to send again
    assert ill.is_running()
    assert ill.lines("reset-1") in ({}, {("ward", f"r{n}"): n * 100 for n in range(900)})


def test_start_without_a_database(ill):
    """It waits for it: feeds are told to send again, and served as soon as it is there."""
    assert ill.stop() == 0
    ill.stop_postgresql()
    seen = len(ill.log())
    try:
        ill.start(wait=False)
        wait_until(lambda: "db.lost" in ill.log()[seen:], "the daemon to start")

        def told():
            try:
                return ill.clinic.dft("early", ft1("1")).code
            except ConnectionError:
                return None

        assert wait_until(told, "an answer") == "AR" and ill.is_running()
        assert ill.kiosk.get("/v1/visits/H01/early").status == 503
    finally:
        ill.start_postgresql()
    wait_until(ill.is_ready, "the daemon to be ready")
    assert ill.clinic.charge("early", ft1("1")).zbl[1] == "1"
