"""Tests of the WeChat Pay APIv3 channel simulator, with a merchant that signs, verifies and decrypts on its own.

They run the simulator as a process, as everything else does. Only the vectors of the public SDKs are checked
against its functions directly. Nothing of the daemon is used, and no database.
"""

import base64
import datetime
import functools
import http.client
import json
import os
import secrets
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay_sim import wire

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wechatpay.py")
NATIVE = "/v3/pay/transactions/native"


class Simulator:
    """The process, and calls of its control routes."""

    def __init__(self, directory):
        self.directory = str(directory)
        port_file = os.path.join(self.directory, "port")
        command = [sys.executable, PROGRAM, "serve", "--dir", self.directory, "--listen", "127.0.0.1:0",
                   "--port-file", port_file, "--retry-scale", "0.001"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ready_line = self.process.stdout.readline()
        with open(port_file, encoding="ascii") as file:
            self.port = int(file.read())

    def control(self, path, document=None, expect=200):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        body = None if document is None else json.dumps(document)
        connection.request("GET" if document is None else "POST", path, body)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        assert response.status == expect, answer
        return answer

    def fault(self, route, mode, **options):
        self.control("/sim/fault", {"route": route, "mode": mode, **options})

    def stop(self):
        """Ends it as a service manager does; returns (exit status, standard error)."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=5)
        return self.process.returncode, errors


class Answered:
    def __init__(self, response, verify):
        self.status = response.status
        self.body = response.read()
        self.headers = response.headers
        self.is_signed_well = verify(response.headers, self.body)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["code"]


@functools.cache  # OpenSSL checks a private key when it is loaded, which takes a while
def load_merchant(directory):
    def read(name):
        with open(os.path.join(directory, name), "rb") as file:
            return file.read()

    return (
        json.loads(read("merchant.json")),
        serialization.load_pem_private_key(read("merchant_key.pem"), None),
        serialization.load_pem_public_key(read("platform_public.pem")),
    )


class Merchant:
    """A merchant's client: signs requests, verifies replies and notifications, decrypts resources."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.identity, self.key, self.platform_key = load_merchant(simulator.directory)
        self.mchid = self.identity["mchid"]
        self.connection = None

    def authorization(self, method, target, body, **changes):
        """The header; `changes` replace fields, those signed included, before the signature is made."""
        values = {
            "mchid": self.mchid,
            "nonce_str": secrets.token_hex(16),
            "timestamp": str(int(time.time())),
            "serial_no": self.identity["merchant_serial"],
            **{name: value for name, value in changes.items() if name != "signature"},
        }
        message = f"{method}\n{target}\n{values['timestamp']}\n{values['nonce_str']}\n".encode() + body + b"\n"
        signature = self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        values["signature"] = changes.get("signature") or base64.b64encode(signature).decode()
        pairs = ",".join(f'{name}="{value}"' for name, value in values.items())
        return f"WECHATPAY2-SHA256-RSA2048 {pairs}"

    def call(self, method, target, document=None, headers=None, timeout=5):
        """One call on the kept connection. A header of None is left out."""
        body = b"" if document is None else json.dumps(document, ensure_ascii=False).encode()
        sent = {
            "Accept": "application/json",
            "User-Agent": "merchant-test/1",
            "Content-Type": "application/json",
            "Authorization": self.authorization(method, target, body),
            **(headers or {}),
        }
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.simulator.port, timeout=timeout)
        try:
            self.connection.request(method, target, body, {name: v for name, v in sent.items() if v is not None})
            return Answered(self.connection.getresponse(), self.verify)
        except Exception:
            self.connection.close()
            self.connection = None
            raise

    def place(self, order, **options):
        return self.call("POST", NATIVE, order, **options)

    def query(self, number, **options):
        return self.call("GET", f"/v3/pay/transactions/out-trade-no/{number}?mchid={self.mchid}", **options)

    def close(self, number, **options):
        return self.call("POST", f"/v3/pay/transactions/out-trade-no/{number}/close", {"mchid": self.mchid}, **options)

    def verify(self, headers, body):
        """Signature, serial and age, as a merchant must judge them."""
        if headers.get("Wechatpay-Serial") != self.identity["platform_serial"]:
            return False
        timestamp = headers["Wechatpay-Timestamp"]
        message = f"{timestamp}\n{headers['Wechatpay-Nonce']}\n".encode() + body + b"\n"
        try:
            signature = base64.b64decode(headers["Wechatpay-Signature"], validate=True)
            self.platform_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return abs(time.time() - int(timestamp)) < 300

    def decrypt(self, notification):
        resource = notification["resource"]
        assert resource["algorithm"] == "AEAD_AES_256_GCM"
        plaintext = AESGCM(self.identity["apiv3_key"].encode()).decrypt(
            resource["nonce"].encode(),
            base64.b64decode(resource["ciphertext"]),
            resource["associated_data"].encode(),
        )
        return json.loads(plaintext)


class NotifyServer:
    """Receives notifications; answers with the next of `answers`, then 204."""

    def __init__(self):
        self.received = []
        self.answers = []
        self.clients = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append((self.headers, body))
                outer.clients.add(self.client_address)
                status, answer = outer.answers.pop(0) if outer.answers else (204, b"")
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/notify/wechatpay/test"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    running = Simulator(tmp_path_factory.mktemp("wechatpay"))
    yield running
    status, errors = running.stop()
    assert (status, errors) == (0, "")


@pytest.fixture
def merchant(simulator):
    return Merchant(simulator)


@pytest.fixture
def notify():
    server = NotifyServer()
    yield server
    server.stop()


@pytest.fixture
def order(merchant, notify):
    return new_order(merchant, notify.url)


def new_order(merchant, notify_url, **fields):
    return {
        "appid": merchant.identity["appid"],
        "mchid": merchant.mchid,
        "description": "门诊费用",
        "out_trade_no": "T" + secrets.token_hex(12),
        "notify_url": notify_url,
        "attach": "bill-1",
        "amount": {"total": 1250, "currency": "CNY"},
        **fields,
    }


def rfc3339(seconds_from_now):
    zone = datetime.timezone(datetime.timedelta(hours=8))
    return datetime.datetime.fromtimestamp(time.time() + seconds_from_now, zone).isoformat(timespec="milliseconds")


def wait_until(condition, limit_s=5):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


# Vectors of the public SDK wechatpay-go (Apache-2.0): core/auth/credentials, utils.

def test_request_message_is_the_sdk_s():
    empty = wire.request_message("GET", "/v3/certificates", 1624523846, "A1B2C3D4E5F6G7", b"")
    assert empty == b"GET\n/v3/certificates\n1624523846\nA1B2C3D4E5F6G7\n\n"
    full = wire.request_message("POST", "/v3/certificates", 1624523846, "A1B2C3D4E5F6G7", b"Hello World!\n")
    assert full == b"POST\n/v3/certificates\n1624523846\nA1B2C3D4E5F6G7\nHello World!\n\n"


def test_seal_is_the_sdk_s():
    sealed = wire.seal(b"testAPIv3Key0000", b"Hello World", "Dl56FrqWQJF1t9LtC3vEUsniZKvbqdR8", "wCq51qZv4Yfg")
    assert sealed == ("wCq51qZv4Yfg", "FsdXzxryWfKwvLJKf8LG/ToRPTRh8RN9wROC")


# Keys and the process.

def run_keys(directory):
    subprocess.run([sys.executable, PROGRAM, "keys", "--dir", str(directory)], check=True)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_keys_are_made_once(tmp_path):
    first = run_keys(tmp_path)
    assert sorted(first) == [
        "merchant.json", "merchant_cert.pem", "merchant_key.pem", "platform_key.pem", "platform_public.pem",
    ]
    for name in ("merchant.json", "merchant_key.pem", "platform_key.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    identity = json.loads(first["merchant.json"])
    certificate = x509.load_pem_x509_certificate(first["merchant_cert.pem"])
    assert int(identity["merchant_serial"], 16) == certificate.serial_number
    assert len(identity["merchant_serial"]) == 40
    assert len(identity["apiv3_key"]) == 32 and identity["apiv3_key"].isascii()
    assert run_keys(tmp_path) == first
    (tmp_path / "platform_public.pem").unlink()
    assert run_keys(tmp_path) == first


def test_restart_keeps_orders(tmp_path, notify):
    before = Simulator(tmp_path)
    merchant = Merchant(before)
    paid, unpaid = new_order(merchant, notify.url), new_order(merchant, notify.url)
    code_url = merchant.place(unpaid).json["code_url"]
    merchant.place(paid)
    before.control("/sim/pay", {"out_trade_no": paid["out_trade_no"], "notify": "none"})
    assert "ready" in before.ready_line
    assert before.stop() == (0, "")
    with open(tmp_path / "orders.jsonl", "ab") as journal:
        journal.write(b'{"out_trade_no":"torn')
    after = Simulator(tmp_path)
    merchant = Merchant(after)
    assert merchant.query(paid["out_trade_no"]).json["trade_state"] == "SUCCESS"
    assert merchant.place(unpaid).json["code_url"] == code_url
    assert after.control("/sim/totals") == {"paid_count": 1, "paid_total": 1250}
    assert after.stop() == (0, "")


# Authorization.

def test_signed_call_is_answered_signed(merchant, order):
    answer = merchant.place(order)
    assert answer.status == 200 and answer.is_signed_well
    assert answer.json["code_url"].startswith("weixin://wxpay/bizpayurl?pr=")


@pytest.mark.parametrize("changes", [
    {"mchid": "1600000000"},
    {"serial_no": "00"},
    {"timestamp": str(int(time.time()) - 301)},
    {"timestamp": str(int(time.time()) + 3600)},
    {"timestamp": "now"},
    {"nonce_str": ""},
    {"signature": base64.b64encode(bytes(256)).decode()},
    {"signature": "not base64"},
    {"extra": "field"},
])
def test_bad_authorization_is_refused(merchant, order, changes):
    body = json.dumps(order, ensure_ascii=False).encode()
    header = merchant.authorization("POST", NATIVE, body, **changes)
    answer = merchant.place(order, headers={"Authorization": header})
    assert (answer.status, answer.code) == (401, "SIGN_ERROR")
    assert answer.is_signed_well
    assert merchant.query(order["out_trade_no"]).code == "ORDER_NOT_EXIST"


@pytest.mark.parametrize("header", [None, "Basic eDp5", "WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM2-WITH-SM3 a=\"b\""])
def test_absent_or_other_authorization_is_refused(merchant, order, header):
    assert merchant.place(order, headers={"Authorization": header}).code == "SIGN_ERROR"


@pytest.mark.parametrize("signed", [
    ("GET", NATIVE, b"{}"),
    ("POST", NATIVE + "?a=b", b"{}"),
    ("POST", NATIVE, b"{} "),
])
def test_signature_covers_method_target_and_body(merchant, signed):
    answer = merchant.place({}, headers={"Authorization": merchant.authorization(*signed)})
    assert answer.code == "SIGN_ERROR"
    assert answer.json["detail"]["sign_information"]["method"] == "POST"


def test_nonce_is_used_once(merchant, order):
    body = json.dumps(order, ensure_ascii=False).encode()
    header = {"Authorization": merchant.authorization("POST", NATIVE, body)}
    assert merchant.place(order, headers=header).status == 200
    assert merchant.place(order, headers=header).code == "SIGN_ERROR"


@pytest.mark.parametrize("headers", [
    {"User-Agent": None},
    {"Content-Type": "text/plain"},
])
def test_headers_the_channel_wants(merchant, order, headers):
    answer = merchant.place(order, headers=headers)
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")


def test_platform_serial_of_another_is_refused(merchant, order):
    assert merchant.place(order, headers={"Wechatpay-Serial": "PUB_KEY_ID_1"}).code == "PARAM_ERROR"
    own = {"Wechatpay-Serial": merchant.identity["platform_serial"]}
    assert merchant.place(order, headers=own).status == 200


# Orders.

@pytest.mark.parametrize("field, value", [
    ("/appid", "wx0000000000000000"),
    ("/mchid", "1600000000"),
    ("/mchid", None),
    ("/description", ""),
    ("/description", "字" * 128),
    ("/out_trade_no", "T1234"),
    ("/out_trade_no", "T" * 33),
    ("/out_trade_no", "T12345.6"),
    ("/out_trade_no", "T123456\n"),
    ("/notify_url", "/notify"),
    ("/notify_url", "http://127.0.0.1/notify?a=b"),
    ("/attach", "字" * 129),
    ("/amount", 100),
    ("/amount/total", 0),
    ("/amount/total", 12.5),
    ("/amount/total", "1250"),
    ("/amount/total", True),
    ("/amount/currency", "USD"),
    ("/time_expire", "2026-01-01 00:00:00"),
    ("/time_expire", "2020-01-01T00:00:00+08:00"),
])
def test_bad_field_is_named(merchant, order, field, value):
    *parents, name = field.strip("/").split("/")
    place = order
    for parent in parents:
        place = place[parent]
    place[name] = value
    answer = merchant.place(order)
    assert (answer.status, answer.code) == (400, "PARAM_ERROR")
    assert answer.json["detail"]["field"] == field
    assert answer.json["message"] and answer.is_signed_well


def test_same_order_again(merchant, order):
    code_url = merchant.place(order).json["code_url"]
    assert merchant.place(order).json["code_url"] == code_url
    other = merchant.place({**order, "amount": {"total": 1, "currency": "CNY"}})
    assert (other.status, other.code) == (403, "OUT_TRADE_NO_USED")


def test_unpaid_order(merchant, order):
    missing = merchant.query(order["out_trade_no"])
    assert (missing.status, missing.code, missing.is_signed_well) == (404, "ORDER_NOT_EXIST", True)
    merchant.place(order)
    answer = merchant.query(order["out_trade_no"])
    assert answer.is_signed_well
    assert answer.json["trade_state"] == "NOTPAY" and "transaction_id" not in answer.json


def test_query_wants_the_merchant(merchant, order):
    merchant.place(order)
    path = f"/v3/pay/transactions/out-trade-no/{order['out_trade_no']}"
    assert merchant.call("GET", path).code == "PARAM_ERROR"
    assert merchant.call("GET", path + "?mchid=1600000000").code == "PARAM_ERROR"


def test_number_is_percent_decoded(merchant, order):
    order["out_trade_no"] = "A|*-_" + secrets.token_hex(4)
    merchant.place(order)
    assert merchant.query(order["out_trade_no"].replace("|", "%7C")).json["out_trade_no"] == order["out_trade_no"]


def test_paid_order(simulator, merchant, order):
    merchant.place(order)
    number = order["out_trade_no"]
    paid = simulator.control("/sim/pay", {"out_trade_no": number, "notify": "none"})
    answer = merchant.query(number).json
    assert answer["trade_state"] == "SUCCESS" and answer["transaction_id"] == paid["transaction_id"]
    assert len(paid["transaction_id"]) == 28 and paid["transaction_id"].isdigit()
    by_id = merchant.call("GET", f"/v3/pay/transactions/id/{paid['transaction_id']}?mchid={merchant.mchid}")
    assert by_id.json == answer
    again, closed = merchant.place(order), merchant.close(number)
    assert (again.status, again.code) == (400, "ORDERPAID")
    assert (closed.status, closed.code) == (400, "ORDERPAID")
    assert simulator.control("/sim/pay", {"out_trade_no": number}, expect=409)["code"] == "ORDERPAID"


def test_closed_order(simulator, merchant, order):
    code_url = merchant.place(order).json["code_url"]
    answer = merchant.close(order["out_trade_no"])
    assert (answer.status, answer.body, answer.is_signed_well) == (204, b"", True)
    assert merchant.query(order["out_trade_no"]).json["trade_state"] == "CLOSED"
    again, twice = merchant.place(order), merchant.close(order["out_trade_no"])
    assert (again.status, again.code) == (400, "ORDER_CLOSED")
    assert (twice.status, twice.code) == (400, "ORDER_CLOSED")
    assert simulator.control("/sim/pay", {"code_url": code_url}, expect=409)["code"] == "ORDER_CLOSED"
    assert merchant.close("T-unknown").code == "ORDER_NOT_EXIST"


def test_expired_order_is_notpay_until_closed(simulator, merchant, order):
    order["time_expire"] = rfc3339(0.7)
    code_url = merchant.place(order).json["code_url"]
    time.sleep(0.75)
    assert simulator.control("/sim/pay", {"code_url": code_url}, expect=409)["code"] == "ORDER_EXPIRED"
    assert merchant.query(order["out_trade_no"]).json["trade_state"] == "NOTPAY"
    assert merchant.close(order["out_trade_no"]).status == 204


def test_payment_and_close_have_one_winner(simulator, merchant, notify):
    rivals = Merchant(simulator)
    for _ in range(10):
        order = new_order(merchant, notify.url)
        merchant.place(order)
        with ThreadPoolExecutor(2) as pool:
            closed = pool.submit(rivals.close, order["out_trade_no"])
            pool.submit(_pay_or_not, simulator, order["out_trade_no"])
        state = merchant.query(order["out_trade_no"]).json["trade_state"]
        assert (closed.result().status, state) in ((204, "CLOSED"), (400, "SUCCESS"))


def _pay_or_not(simulator, number):
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    connection.request("POST", "/sim/pay", json.dumps({"out_trade_no": number, "notify": "none"}))
    connection.getresponse().read()
    connection.close()


def test_connection_is_kept(merchant, order):
    merchant.place(order)
    socket = merchant.connection.sock
    merchant.close(order["out_trade_no"])
    merchant.query(order["out_trade_no"])
    assert merchant.connection.sock is socket


def test_unknown_route(merchant):
    answer = merchant.call("GET", "/v3/pay/transactions/nothing")
    assert (answer.status, answer.code, answer.is_signed_well) == (404, "RESOURCE_NOT_EXISTS", True)


# Notifications.

def pay(simulator, order, **options):
    return simulator.control("/sim/pay", {"out_trade_no": order["out_trade_no"], "wait": True, **options})


def test_notification(simulator, merchant, notify, order):
    code_url = merchant.place(order).json["code_url"]
    paid = simulator.control("/sim/pay", {"code_url": code_url, "wait": True})
    assert paid["notification"]["status"] == 204
    (headers, body), = notify.received
    assert merchant.verify(headers, body)
    notification = json.loads(body)
    assert set(notification) == {"id", "create_time", "resource_type", "event_type", "summary", "resource"}
    assert notification["event_type"] == "TRANSACTION.SUCCESS"
    assert notification["resource_type"] == "encrypt-resource"
    assert notification["resource"]["original_type"] == "transaction"
    opened = merchant.decrypt(notification)
    assert opened == merchant.query(order["out_trade_no"]).json
    assert {**opened, "success_time": None, "transaction_id": None, "payer": None} == {
        "mchid": merchant.mchid, "appid": order["appid"], "out_trade_no": order["out_trade_no"],
        "transaction_id": None, "trade_type": "NATIVE", "trade_state": "SUCCESS", "trade_state_desc": "支付成功",
        "bank_type": "OTHERS", "attach": "bill-1", "success_time": None, "payer": None,
        "amount": {"total": 1250, "payer_total": 1250, "currency": "CNY", "payer_currency": "CNY"},
    }
    assert opened["success_time"].endswith("+08:00") and len(opened["payer"]["openid"]) == 28


def test_refused_notification_is_sent_again(simulator, merchant, notify, order):
    notify.answers = [(500, b'{"code":"FAIL","message":"busy"}'), (400, b"")]
    merchant.place(order)
    first = pay(simulator, order)["notification"]
    assert (first["status"], json.loads(first["body"])["message"]) == (500, "busy")
    wait_until(lambda: len(notify.received) == 3)
    assert len({body for _, body in notify.received}) == 1
    assert all(merchant.verify(headers, body) for headers, body in notify.received)
    path = f"/sim/notifications?out_trade_no={order['out_trade_no']}"
    wait_until(lambda: len(simulator.control(path)["notifications"]) == 3)
    log = simulator.control(path)["notifications"]
    assert [(entry["attempt"], entry["status"]) for entry in log] == [(1, 500), (2, 400), (3, 204)]


def test_unreachable_merchant(simulator, merchant, order):
    merchant.place({**order, "notify_url": "http://127.0.0.1:1/notify"})
    answer = pay(simulator, order)["notification"]
    assert answer["status"] is None and "refused" in answer["error"]


def test_notification_twice_late_and_never(simulator, merchant, notify):
    orders = [new_order(merchant, notify.url) for _ in range(3)]
    for order in orders:
        merchant.place(order)
    twice = pay(simulator, orders[0], notify="twice")["notifications"]
    assert [answer["status"] for answer in twice] == [204, 204] and twice[0]["id"] == twice[1]["id"]
    started = time.monotonic()
    pay(simulator, orders[1], notify="late", delay_ms=200)
    assert time.monotonic() - started >= 0.2
    assert pay(simulator, orders[2], notify="none")["notification"] is None
    assert len(notify.received) == 3
    again = {"out_trade_no": orders[2]["out_trade_no"], "wait": True}
    assert simulator.control("/sim/notify", again)["notification"]["status"] == 204
    assert len(notify.received) == 4


@pytest.mark.parametrize("tamper", ["signature", "timestamp", "serial"])
def test_notification_that_does_not_verify(simulator, merchant, notify, order, tamper):
    notify.answers = [(401, b"")]
    merchant.place(order)
    assert pay(simulator, order, tamper=tamper)["notification"]["status"] == 401
    (headers, body), = notify.received
    assert not merchant.verify(headers, body)
    assert merchant.decrypt(json.loads(body))["out_trade_no"] == order["out_trade_no"]
    assert merchant.query(order["out_trade_no"]).json["trade_state"] == "SUCCESS"


def test_notification_that_does_not_decrypt(simulator, merchant, notify, order):
    merchant.place(order)
    pay(simulator, order, tamper="ciphertext")
    (headers, body), = notify.received
    assert merchant.verify(headers, body)
    with pytest.raises(InvalidTag):
        merchant.decrypt(json.loads(body))


@pytest.mark.parametrize("tamper, field", [
    ("amount", "amount"), ("mchid", "mchid"), ("appid", "appid"), ("order", "out_trade_no"),
])
def test_notification_with_one_wrong_field(simulator, merchant, notify, order, tamper, field):
    merchant.place(order)
    pay(simulator, order, tamper=tamper)
    (headers, body), = notify.received
    assert merchant.verify(headers, body)
    told, true = merchant.decrypt(json.loads(body)), merchant.query(order["out_trade_no"]).json
    assert {name for name in true if told[name] != true[name]} == {field}


def test_falsified_notification_is_sent_once(simulator, merchant, notify, order):
    notify.answers = [(401, b"")] * 3
    merchant.place(order)
    pay(simulator, order, tamper="signature")
    time.sleep(0.1)
    assert len(notify.received) == 1


# Faults.

def test_drop_has_placed_the_order(simulator, merchant, order):
    simulator.fault("native", "drop", count=2)
    for _ in range(2):
        with pytest.raises(http.client.RemoteDisconnected):
            merchant.place(order)
    assert merchant.query(order["out_trade_no"]).json["trade_state"] == "NOTPAY"
    assert merchant.place(order).status == 200


def test_timeout_has_placed_the_order(simulator, merchant, order):
    simulator.fault("native", "timeout", delay_ms=600)
    with pytest.raises(TimeoutError):
        merchant.place(order, timeout=0.2)
    assert merchant.query(order["out_trade_no"]).json["trade_state"] == "NOTPAY"


def test_errors_have_not_placed_the_order(simulator, merchant, order):
    simulator.fault("native", "500")
    simulator.fault("native", "system_error")
    gateway, system = merchant.place(order), merchant.place(order)
    assert (gateway.status, gateway.is_signed_well) == (500, False)
    assert (system.status, system.code, system.is_signed_well) == (500, "SYSTEM_ERROR", True)
    assert merchant.query(order["out_trade_no"]).code == "ORDER_NOT_EXIST"
    assert merchant.place(order).status == 200


def test_bad_signature_of_query_and_drop_of_close(simulator, merchant, order):
    merchant.place(order)
    simulator.fault("query", "bad_signature")
    simulator.fault("close", "drop")
    answer = merchant.query(order["out_trade_no"])
    assert answer.status == 200 and not answer.is_signed_well
    with pytest.raises(http.client.RemoteDisconnected):
        merchant.close(order["out_trade_no"])
    assert merchant.query(order["out_trade_no"]).json["trade_state"] == "CLOSED"


def test_slow_call_is_right_in_the_end(simulator, merchant, order):
    simulator.fault("native", "slow", delay_ms=150)
    started = time.monotonic()
    answer = merchant.place(order)
    assert time.monotonic() - started >= 0.15 and answer.is_signed_well


def test_fault_is_taken_back(simulator, merchant, order):
    simulator.fault("native", "500", count=5)
    pending = simulator.control("/sim/fault", {"route": "native", "count": 0})["pending"]
    assert pending == {"native": [], "query": [], "close": []}
    assert merchant.place(order).status == 200


# What a test sees.

def test_views(simulator, merchant, order):
    before = simulator.control("/sim/totals")
    merchant.place(order)
    pay(simulator, order)
    after = simulator.control("/sim/totals")
    assert after["paid_count"] == before["paid_count"] + 1
    assert after["paid_total"] == before["paid_total"] + 1250
    one = simulator.control(f"/sim/orders/{order['out_trade_no']}")
    assert (one["trade_state"], one["total"]) == ("SUCCESS", 1250)
    assert one in simulator.control("/sim/orders")["orders"]
    simulator.control("/sim/orders/T-unknown", expect=404)
    simulator.control("/sim/nothing", expect=404)


@pytest.mark.parametrize("path, document", [
    ("/sim/pay", {}),
    ("/sim/pay", {"out_trade_no": 1}),
    ("/sim/pay", {"out_trade_no": "T123456", "notify": "never"}),
    ("/sim/pay", {"out_trade_no": "T123456", "tampr": "amount"}),
    ("/sim/pay", {"out_trade_no": "T123456", "wait": 1}),
    ("/sim/fault", {"route": "refund", "mode": "500"}),
    ("/sim/fault", {"route": "native", "mode": "explode"}),
    ("/sim/fault", {"route": "native", "mode": "500", "count": -1}),
])
def test_slip_in_a_control_request_is_refused(simulator, path, document):
    assert simulator.control(path, document, expect=400)["code"] == "SIM_BAD_REQUEST"


def test_many_payments_at_once(simulator, notify):
    """Six phones at once: every payment is notified once, over few connections."""

    def pay_some(count):
        merchant = Merchant(simulator)
        for _ in range(count):
            order = new_order(merchant, notify.url)
            assert merchant.place(order).is_signed_well
            assert pay(simulator, order)["notification"]["status"] == 204

    with ThreadPoolExecutor(6) as pool:
        for result in [pool.submit(pay_some, 15) for _ in range(6)]:
            result.result()
    assert len(notify.received) == 90
    assert len(notify.clients) <= 8
