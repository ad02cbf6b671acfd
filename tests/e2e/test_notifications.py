"""What the channel tells by itself: notifications repeated, falsified, lost and late. And how a waiting kiosk hears of it."""

import contextlib
import http.client
import json
import time

import pytest

from .api import together
from .feeds import iso_time
from .live import wait_until

NOTIFY = "/notify/wechatpay/main"


@pytest.fixture(name="payment")
def _payment(house, visit):
    """A code over 100.00, shown and not paid."""
    reply = house.kiosk.pay(house.billed(visit)["bill"], "100.00")
    assert reply.status == 201
    return reply.json


def captures(house, payment):
    return house.value("select count(*) from capture join payment using (payment_id) where public_id = %s", payment["payment"])


def test_repeated(house, payment):
    """Twice at the same moment, and again and again: one capture, one receipt, each is answered with success."""
    assert house.sim.pay(payment, notify="twice")["status"] == 204
    for _ in range(3):
        assert house.sim.notify(payment)["status"] == 204
    wait_until(lambda: [n["status"] for n in notifications(house, payment)] == [204] * 5, "all five to be answered")
    assert captures(house, payment) == 1
    assert house.value("select count(*) from receipt join capture using (capture_id) join payment p using (payment_id) where p.public_id = %s",
                       payment["payment"]) == 1
    assert house.kiosk.bill(payment["bill"])["paid"] == "100.00" and house.broken() == []


def notifications(house, payment):
    number = house.value("select out_trade_no from payment where public_id = %s", payment["payment"])
    return house.sim.get(f"/sim/notifications?out_trade_no={number}").json["notifications"]


def test_falsified(house, payment):
    """Each kind is refused with 4xx and the channel's JSON, and changes nothing; then the true one counts."""
    refused = house.metric("visitbill_notifications_total")
    house.sim.pay(payment, notify="none")
    before = house.kiosk.bill(payment["bill"]), house.kiosk.payment(payment["payment"])
    counts = [house.value(f"select count(*) from {table}") for table in ("capture", "receipt", "journal", "event")]
    for tamper in ("signature", "timestamp", "ciphertext", "serial", "amount", "mchid", "appid", "order"):
        answer = house.sim.notify(payment, tamper=tamper)
        assert 400 <= answer["status"] < 500, (tamper, answer)
        told = json.loads(answer["body"])
        assert told["code"] == "FAIL" and told["message"], (tamper, answer)
        assert before == (house.kiosk.bill(payment["bill"]), house.kiosk.payment(payment["payment"])), tamper
    assert counts == [house.value(f"select count(*) from {table}") for table in ("capture", "receipt", "journal", "event")]
    assert house.metric("visitbill_notifications_total") - refused == 8
    assert house.sim.notify(payment)["status"] == 204
    assert house.kiosk.payment(payment["payment"])["state"] == "succeeded"


def test_forged(house, payment):
    """Without the channel's key nothing can be told, whatever is sent."""
    body = json.dumps({"id": "1", "create_time": iso_time(), "event_type": "TRANSACTION.SUCCESS", "resource_type": "encrypt-resource",
                       "resource": {"algorithm": "AEAD_AES_256_GCM", "ciphertext": "AAAA", "nonce": "123456789012", "associated_data": "transaction"}}).encode()
    signed = {"Wechatpay-Timestamp": str(int(time.time())), "Wechatpay-Nonce": "n", "Wechatpay-Serial": "PUB_KEY_ID_0", "Wechatpay-Signature": "AAAA"}

    def send(content, **headers):
        return house.nobody.request("POST", NOTIFY, content, Content_Type="application/json", **headers)

    for content, headers in ((body, {}), (b"", {}), (b"x" * 60000, {}), (body, signed), (body, {**signed, "Wechatpay-Signature": "!" * 4000}),
                             (body, {**signed, "Wechatpay-Timestamp": "9" * 30}), (body, {**signed, "Wechatpay-Timestamp": "-1"}), (b"\0\xff", signed)):
        reply = send(content, **headers)
        assert 400 <= reply.status < 500 and reply.json["code"] == "FAIL", reply
    assert send(b"x" * 100000).status == 413
    assert house.nobody.request("POST", "/notify/wechatpay/other", body).status == 404
    assert house.nobody.get(NOTIFY).status == 405
    assert house.kiosk.payment(payment["payment"])["state"] == "pending"


def test_lost_and_found_by_asking(house, payment):
    """No notification comes: the daemon asks the channel. When one comes after all, it says nothing new."""
    house.sim.pay(payment, notify="none")
    house.hasten(payment)
    wait_until(lambda: house.kiosk.payment(payment["payment"])["state"] == "succeeded", "the payment to be found")
    assert house.kiosk.bill(payment["bill"])["state"] == "settled"
    assert house.sim.notify(payment)["status"] == 204
    assert captures(house, payment) == 1 and house.broken() == []


def test_notified_and_asked_at_once(house, visits):
    for visit in visits(4):
        payment = house.kiosk.pay(house.billed(visit)["bill"], "100.00").json
        together(lambda payment=payment: house.hasten(payment), lambda payment=payment: house.sim.pay(payment, notify="twice"))
        wait_until(lambda payment=payment: house.kiosk.payment(payment["payment"])["state"] == "succeeded", "the payment to succeed")
        assert captures(house, payment) == 1
    assert house.broken() == []


# ---- server-sent events

class Stream:
    """A kiosk that waits: GET /v1/bills/{bill}/events."""

    def __init__(self, client, bill):
        self._connection = http.client.HTTPConnection(*client.address, timeout=20)
        self._connection.request("GET", f"/v1/bills/{bill}/events", headers={"Authorization": f"Bearer {client.token}"})
        self.response = self._connection.getresponse()

    def __enter__(self):
        assert self.response.status == 200 and self.response.headers["Content-Type"].startswith("text/event-stream")
        return self

    def __exit__(self, *_):
        self.response.close()
        self._connection.close()

    def next(self):
        """The data of the next event."""
        event = {}
        while True:
            text = self.response.readline().decode()
            assert text, "the stream ended"
            if text == "\n" and event:
                assert event["event"] == "bill"
                return json.loads(event["data"])
            if text.strip() and not text.startswith(":"):
                key, _, value = text.strip().partition(": ")
                event[key] = value


def test_a_waiting_kiosk_hears_within_a_second(house, payment):
    with Stream(house.kiosk, payment["bill"]) as one, Stream(house.desk, payment["bill"]) as two:
        first = one.next()
        assert (first["bill"], first["state"], first["outstanding"]) == (payment["bill"], "open", "100.00") and first == two.next()
        begun = time.monotonic()
        assert house.sim.pay(payment)["status"] == 204
        told = one.next()
        assert time.monotonic() - begun < 1
        assert (told["state"], told["outstanding"], told["paid"]) == ("settled", "0.00", "100.00") and told["version"] > first["version"]
        assert two.next() == told


def test_a_kiosk_hears_of_what_others_do(house, visit):
    """Money at the desk, and a bill that is taken back."""
    bill = house.billed(visit)["bill"]
    other = house.billed(f"{visit}-other")["bill"]
    with Stream(house.kiosk, bill) as stream, Stream(house.kiosk, other) as quiet:
        version = stream.next()["version"]
        quiet.next()
        for amount, left in (("10.00", "90.00"), ("20.00", "70.00")):
            begun = time.monotonic()
            house.desk.pay(bill, amount, "cash")
            told = stream.next()
            assert time.monotonic() - begun < 1 and told["outstanding"] == left and told["version"] > version
            version = told["version"]
        begun = time.monotonic()
        house.clinic.adt("A13", f"{visit}-other")
        assert quiet.next()["state"] == "void" and time.monotonic() - begun < 1


def test_many_streams_of_one_bill_and_of_several(house, visits):
    """Each hears of its own bill, all of those that watch it, each change once; those that left are not missed."""
    crowd, *others = [house.billed(visit)["bill"] for visit in visits(6)]
    with contextlib.ExitStack() as stack:
        streams = [(bill, stack.enter_context(Stream(house.kiosk, bill))) for bill in [crowd] * 40 + others * 8]
        heard = [stream.next() for _, stream in streams]
        assert [(event["bill"], event["version"]) for event in heard] == [(bill, 1) for bill, _ in streams]
        for bill, stream in streams[::4]:
            stream.__exit__()
        streams = [pair for place, pair in enumerate(streams) if place % 4 != 0]
        late = stack.enter_context(Stream(house.desk, crowd))
        assert late.next()["version"] == 1, "who comes later hears first of all, too"
        streams.append((crowd, late))
        begun = time.monotonic()
        for bills in ([crowd], others, [crowd, *others]):
            for bill in bills:
                assert house.desk.pay(bill, "10.00", "cash").status == 201
        for bill, stream in streams:
            versions = [stream.next()["version"]]
            while versions[-1] < 3:
                versions.append(stream.next()["version"])
            assert versions in ([2, 3], [3]), (bill, versions)      # two changes at once may be told as one
        assert time.monotonic() - begun < 5
    wait_until(lambda: house.metric("visitbill_streams") == 0, "the streams to be gone")


def test_no_stream_for_strangers(house, payment):
    path = f"/v1/bills/{payment['bill']}/events"
    assert house.nobody.get(path).status == 401 and house.ward.get(path).status == 403
    assert house.kiosk.get("/v1/bills/none/events").status == 404


def test_kiosks_that_come_and_go(house, payment):
    """Streams that are broken off leave nothing behind."""
    open_streams = house.metric("visitbill_streams")
    for _ in range(50):
        connection = http.client.HTTPConnection(*house.http)
        connection.request("GET", f"/v1/bills/{payment['bill']}/events", headers={"Authorization": f"Bearer {house.kiosk.token}"})
        connection.close()
    wait_until(lambda: house.metric("visitbill_streams") == open_streams, "the streams to be gone")
    assert house.sim.pay(payment)["status"] == 204
