"""The daemon is killed with SIGKILL in mid-load, at random moments, several times. Feeds, a ward, a desk and kiosks go on as real ones do: what was
not answered they send again. At the end the database is compared with what was sent, to the line and the fen.

VISITBILL_SEED repeats a run; the seed is printed."""

import http.client
import os
import random
import signal
import threading
import time

import pytest

from .api import line
from .feeds import Feed, frame, ft1
from .live import House, wait_until

KILLS = 8
SETTINGS = {"database": {"hold": "2s"}, "jobs": {"replay": "100ms", "payments": "100ms"}, "facility H01": {"grace": "10m", "late_grace": "200ms"}}


@pytest.fixture(scope="module", name="mortal")
def _mortal():
    with House(SETTINGS) as house:
        yield house


class Worker(threading.Thread):
    """One who sends. Subclasses make units of work that are safe to repeat; each is repeated until it was answered."""

    def __init__(self, house, rng, over):
        super().__init__(daemon=True)
        self.house, self.rng, self.over = house, rng, over
        self.error, self.repeated, self.taken = None, 0, 0

    def run(self):
        try:
            self.work()
        except BaseException as error:      # pylint: disable=broad-except
            self.error = error
            self.over.set()

    def insist(self, ask):
        """What `ask` returns once it is neither interrupted nor told to come again."""
        while True:
            try:
                reply = ask()
                if reply.status != 503:
                    return reply
            except (OSError, http.client.HTTPException):
                pass
            self.repeated += 1
            time.sleep(0.02)


class Sender(Worker):
    """A feed: messages of several lines for its own visits, a window of them in flight on one connection, in order. Some take back what went before,
    some come twice."""

    WINDOW = 12

    def __init__(self, house, rng, over, name, feed):
        super().__init__(house, rng, over)
        self.name_, self.feed = name, feed
        self.visits = [f"K-{name}-{n}" for n in range(9)]
        self.lines = {}         # what must be there: (visit, source) to fen
        self._count = 0

    def work(self):
        unanswered = []
        while not self.over.is_set() or unanswered:
            try:
                with self.feed.connect() as connection:
                    for _, data in unanswered:
                        connection.write(data)
                    self.repeated += len(unanswered)
                    while not self.over.is_set() or unanswered:
                        while len(unanswered) < self.WINDOW and not self.over.is_set():
                            unanswered.append(self._message())
                            connection.write(unanswered[-1][1])
                        ack, = connection.acks()
                        assert ack.control == unanswered[0][0], "acknowledged in order"
                        if ack.code == "AR":
                            break       # not now: from here on again, on a new connection
                        assert ack.code == "AA", ack
                        unanswered.pop(0)
                        self.taken += 1
            except OSError:
                time.sleep(0.01)

    def _message(self):
        visit = self.rng.choice(self.visits)
        texts = []
        for _ in range(self.rng.randint(1, 12)):
            self._count += 1
            source, fen = f"s{self._count}", self.rng.randint(0, 99999)
            texts.append(ft1(source, f"{fen // 100}.{fen % 100:02}", at="20261101080000"))
            self.lines[visit, source] = fen
            if self.rng.random() < 0.15:
                part = self.rng.randint(0, fen)
                texts.append(ft1(f"{source}r", f"{part // 100}.{part % 100:02}", "", kind="CD", reverses=source, at="20261101090000"))
                self.lines[visit, f"{source}r"] = -part
        message = self.feed.dft_message(visit, *texts, control=f"{self.name_}-{self._count}")
        data = frame(message.encode(self.feed.encoding))
        return self.feed.control, data


class Ward(Worker):
    """JSON charges over several visits in a request, resent until there is an answer."""

    def __init__(self, house, rng, over):
        super().__init__(house, rng, over)
        self.visits = [f"K-ward-{n}" for n in range(5)]
        self.lines = {}

    def work(self):
        count = 0
        while not self.over.is_set():
            lines = []
            for _ in range(self.rng.randint(1, 30)):
                count += 1
                visit, fen = self.rng.choice(self.visits), self.rng.randint(0, 99999)
                lines.append(line(visit, f"w{count}", f"{fen // 100}.{fen % 100:02}"))
                self.lines[visit, f"w{count}"] = fen
            reply = self.insist(lambda lines=lines: self.house.ward.post("/v1/charges", {"lines": lines}))
            assert reply.status == 200 and reply.json["refused"] == reply.json["held"] == 0, reply


class Payer(Worker):
    """Visits from the first charge to the last payment: charged, discharged, billed, paid in cash or by phone, with the same key as often as need be."""

    def __init__(self, house, rng, over, name, client, channel):
        super().__init__(house, rng, over)
        self.name_, self.client, self.channel = name, client, channel
        self.paid = {}          # key: (bill, fen)
        self.lines = {}

    def work(self):
        count = 0
        while not self.over.is_set():
            count += 1
            visit, fen = f"K-{self.name_}-{count}", self.rng.randint(1, 99999)
            amount = f"{fen // 100}.{fen % 100:02}"
            charge = line(visit, "p", amount)
            assert self.insist(lambda: self.house.ward.post("/v1/charges", {"lines": [charge]})).status == 200
            self.lines[visit, "p"] = fen
            assert self.insist(lambda: self.house.ward.discharge(visit)).status == 200
            assert self.pay(visit, self.bill_of(visit), amount, fen), "a bill that was seen is there"

    def bill_of(self, visit):
        while True:
            self.insist(lambda: self.house.ward.post("/v1/charges", {"as_of": line(visit, "")["charged_at"], "lines": []}))
            bills = self.insist(lambda: self.client.get(f"/v1/visits/H01/{visit}/bills")).json["bills"]
            time.sleep(0.02)
            if bills:
                return bills[0]["bill"]

    def pay(self, visit, bill, amount, fen):
        """False: there is no such bill."""
        key = f"K-{bill}"
        self.paid[key] = (bill, fen)
        reply = self.insist(lambda: self.client.pay(bill, amount, self.channel, key=key))
        if reply.status == 404:
            return False
        assert reply.status in (200, 201), (visit, reply)
        if self.channel == "wechatpay" and reply.json["state"] == "pending":
            self.house.sim.pay(reply.json, wait=False, notify=self.rng.choice(("normal", "twice", "none")))
        return True


def kill_and_restart(house, rng, workers, over):
    for _ in range(KILLS):
        until = time.monotonic() + rng.uniform(0.25, 1.1)
        wait_until(lambda until=until: time.monotonic() > until or over.is_set(), "the moment", every=0.005)
        if over.is_set():
            return
        house.send_signal(signal.SIGKILL)
        wait_until(lambda: not house.is_running(), "the end")
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, 0.1))
        house.start()
    assert all(worker.is_alive() for worker in workers)


def test_killed_in_mid_load(mortal):
    seed = int(os.environ.get("VISITBILL_SEED", random.randrange(1_000_000)))
    print(f"VISITBILL_SEED={seed}")
    rng, over = random.Random(seed), threading.Event()
    senders = [Sender(mortal, random.Random(seed + n), over, name, feed) for n, (name, feed) in enumerate((
        ("clinic", mortal.clinic), ("clinic", Feed(mortal.mllp, "CLINIC")), ("pharmacy", mortal.pharmacy), ("lab", mortal.lab)))]
    senders[1].name_ = "clinic-b"
    senders[1].visits = [f"K-clinic-b-{n}" for n in range(9)]
    ward = Ward(mortal, random.Random(seed + 10), over)
    payers = [Payer(mortal, random.Random(seed + 20), over, "cash", mortal.desk, "cash"),
              Payer(mortal, random.Random(seed + 21), over, "phone", mortal.kiosk, "wechatpay")]
    beat = threading.Thread(target=heartbeats, args=(mortal, over), daemon=True)
    workers = [*senders, ward, *payers]
    for thread in (*workers, beat):
        thread.start()
    try:
        kill_and_restart(mortal, rng, workers, over)
    finally:
        over.set()
        for thread in (*workers, beat):
            thread.join(60)
    assert [worker.error for worker in workers if worker.error] == []
    assert sum(worker.repeated for worker in workers) >= KILLS, "the kills were felt"

    compare_lines(mortal, [(name, sender.lines) for name, sender in zip(("clinic", "clinic", "pharmacy", "lab"), senders)]
                  + [("ward", worker.lines) for worker in (ward, *payers)])
    compare_money(mortal, payers)
    assert mortal.broken() == []
    print(f"{mortal.value('select count(*) from charge')} lines, {mortal.value('select count(*) from capture')} captures, {KILLS} kills,"
          f" {sum(worker.repeated for worker in workers)} repeated")


def heartbeats(house, over):
    """The other feeds' watermarks move on, so that bills come."""
    feeds = [Feed(house.mllp, name) for name in ("CLINIC", "PHARMACY", "LAB")]
    while not over.is_set():
        for feed in feeds:
            try:
                feed.heartbeat()
            except (OSError, AssertionError):
                pass
        time.sleep(0.05)


def compare_lines(house, expected, least=2000, kept=()):
    """What was sent is booked, to the line and the fen; kept: (reason, count) of what is in quarantine, and nothing else is."""
    sent = {(feed, *key): fen for feed, lines in expected for key, fen in lines.items()}
    stored = {(feed, visit, source): fen for feed, visit, source, fen in house.rows(
        "select f.name, v.visit_no, c.source_line, c.amount from charge c join visit v using (visit_id) join feed f using (feed_id)")}
    assert len(sent) > least, "there was a load"
    missing, extra = sent.keys() - stored.keys(), stored.keys() - sent.keys()
    assert not missing and not extra, f"{len(missing)} lost: {sorted(missing)[:5]}, {len(extra)} too many: {sorted(extra)[:5]}"
    assert stored == sent
    assert house.value("select count(*) from charge") == len(sent)
    totals = {visit: total for visit, total in house.rows("select visit_no, total from visit")}
    for visit in {key[1] for key in sent}:
        assert totals[visit] == sum(fen for key, fen in sent.items() if key[1] == visit), visit
    assert house.rows("select reason, count(*) from quarantine_open group by 1") == list(kept)
    booked = house.value("select sum(booked)::bigint from intake_tally")
    assert booked == len(sent), "each line was counted once"


def compare_money(house, payers):
    """One payment for each key; the desk's all succeeded; what the channel took is what was captured."""
    asked = {key: (bill, fen) for payer in payers for key, (bill, fen) in payer.paid.items()}

    def settle():
        for payment, in house.rows("select public_id from payment where state in ('created', 'pending', 'unknown')"):
            house.hasten({"payment": payment}, 90)
        return house.sim.get("/sim/totals").json["paid_count"] == house.value("select count(*) from capture where channel = 'wechatpay'") \
            and house.value("select count(*) from payment where state in ('created', 'unknown')") == 0

    wait_until(settle, "every payment to be known", every=0.2)
    stored = {key: (bill, fen) for key, bill, fen in house.rows(
        "select p.idempotency_key, b.public_id, p.amount from payment p join bill b using (bill_id)")}
    assert stored.items() <= asked.items() and len(asked) - len(stored) <= 1 and len(stored) >= 4, "a key that was given up at the end may have no payment"
    assert house.rows("select state, count(*) from payment where channel = 'cash' group by 1") == [("succeeded", len(payers[0].paid))]
    totals = house.sim.get("/sim/totals").json
    captured = {channel: (count, fen) for channel, count, fen in house.rows("select channel, count(*), sum(amount)::bigint from capture group by 1")}
    assert captured.get("wechatpay", (0, 0)) == (totals["paid_count"], totals["paid_total"])
    assert captured["cash"] == (len(payers[0].paid), sum(fen for _, fen in payers[0].paid.values()))
    assert house.rows("select 1 from capture group by payment_id having count(*) > 1") == []
    assert house.rows("select count(*), max(number) from receipt") == [(sum(count for count, _ in captured.values()),) * 2]
