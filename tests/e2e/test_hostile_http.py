"""Hostile and clumsy peers on the HTTP ports: bodies that nobody wants, answers that nobody reads, texts that no database takes, logins that fail.
Beside each attack a known feed is acknowledged as quickly as ever, and the daemon's memory stays what it is."""

import contextlib
import json
import select
import socket
import time

import pytest

from .api import check_problem, line, together
from .feeds import ft1
from .foes import LONG, MIB, SANITIZED, SECONDS, Crowd, Neighbour, grows_less_than
from .live import stays, wait_until
from .test_http import GET, Raw, post
from .test_notifications import Stream


def ask(house, role, method, path, *headers):
    """The bytes of a request of this role, or of nobody's."""
    known = [f"Authorization: Bearer {house.tokens[role]}"] if role else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *known, *headers]).encode() + b"\r\n\r\n"


# ---- who does not read

@pytest.mark.parametrize("path, role", [("/healthz", None), ("/v1/visits/H01/none", "kiosk")])
def test_who_asks_and_never_reads(siege, visit, path, role):
    """Pipelined requests: once their answers wait nothing more is read or begun, and the peer is cut after io_time, a second here."""
    data, sent, begun, stopped = ask(siege, role, "GET", path) * 500, 0, time.monotonic(), time.monotonic()
    with Neighbour(siege, visit), grows_less_than(siege, 30 * MIB), socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)     # the system's own buffer is small then
        greedy.connect(siege.http)
        greedy.setblocking(False)
        with pytest.raises(ConnectionError):
            while time.monotonic() - begun < 60:
                if select.select([], [greedy], [], 0.2)[1]:
                    sent += greedy.send(data)
                    stopped = time.monotonic()
    assert sent < 40 * MIB and time.monotonic() - stopped < 15, (sent, time.monotonic() - stopped)


# ---- bodies that nobody wants

def test_bodies_for_nobody(siege, visit):
    """Bodies of eight megabytes to a route that is none, without a token to one that is, and from who may not: answered before they come."""
    cases = {404: ask(siege, None, "POST", "/v1/nothing", f"Content-Length: {8 * MIB}"), 401: ask(siege, None, "POST", "/v1/charges", f"Content-Length: {8 * MIB}"),
             403: ask(siege, "kiosk", "POST", "/v1/charges", f"Content-Length: {8 * MIB}"), 405: ask(siege, "feed", "PUT", "/v1/charges", f"Content-Length: {8 * MIB}"),
             413: ask(siege, "feed", "POST", "/v1/visits", f"Content-Length: {8 * MIB}")}
    for status, request in cases.items():
        for more in (b"", b"\r\nExpect: 100-continue\r\n\r\n"):
            with Raw(siege.http, request if not more else request[:-4] + more) as raw:
                assert raw.answer()[0] == status, (status, more, "no 100 to who may not")
        with Raw(siege.http, request.replace(f"Content-Length: {8 * MIB}".encode(), b"Transfer-Encoding: chunked") + b"400\r\n" + b"x" * 1024 + b"\r\n") as raw:
            assert raw.answer()[0] == status or status == 413
    half = b"x" * (MIB // 2)
    with Neighbour(siege, visit), grows_less_than(siege, 20 * MIB):
        with Crowd(siege.http, 150, cases[404]) as crowd:
            begun = time.monotonic()
            while crowd.push(half) or crowd.open():
                assert time.monotonic() - begun < 15, "they are closed"


def test_unfinished_bodies_of_a_feed(siege, visit):
    """Its token lets it send them, out of what all peers share; the whole request has two seconds here."""
    request = post(siege, b"", f"Content-Length: {8 * MIB}")
    count = 60 if LONG else 40
    with Neighbour(siege, visit), Crowd(siege.http, count, request) as crowd:
        begun, most, peak = time.monotonic(), 0, 0
        while crowd.push(b" " * 65536) or crowd.open():
            most = max(most, siege.metric("visitbill_memory_bytes", of="all"))
            peak = max(peak, siege.resident())
            assert time.monotonic() - begun < 15, "they are closed"
    assert 100 * MIB < most <= 256 * MIB, most
    wait_until(lambda: siege.metric("visitbill_memory_bytes", of="all") < MIB, "the memory to be given back", 5)
    assert peak < (1200 if SANITIZED else 400) * MIB, peak


def test_a_body_of_many_nothings(siege, visit):
    """Bodies of eight megabytes full of small values: refused by what is wrong with them, in memory that their size bounds."""
    bodies = [b"[" + b"0," * (4 * MIB - 2) + b"0]", b'{"lines":[' + b"0," * (4 * MIB - 10) + b"0]}", b'{"lines":[' + b"{}," * (2 * MIB) + b"{}]}",
              b'{"lines":[{"a":[' + b"0," * (4 * MIB - 20) + b"0]}]}"]
    used = siege.processor()
    with Neighbour(siege, visit, quick=10), grows_less_than(siege, (400 if LONG else 100) * MIB):
        if LONG:
            replies = together(*(lambda body=body: siege.ward.post("/v1/charges", body, Content_Type="application/json") for body in bodies * 3))
        else:
            replies = [siege.ward.post("/v1/charges", body, Content_Type="application/json") for body in bodies]
    assert all(400 <= reply.status < 500 for reply in replies), replies
    assert (siege.processor() - used) / len(replies) < (2.5 if SANITIZED else 0.5)


def test_a_stream_s_peer_that_talks(siege, visit):
    """A little is read away, much of it ends the stream; others go on."""
    bill = siege.billed(visit)["bill"]
    request = ask(siege, "kiosk", "GET", f"/v1/bills/{bill}/events")
    with Stream(siege.kiosk, bill) as other, grows_less_than(siege, 10 * MIB), socket.create_connection(siege.http, timeout=30) as talker:
        assert other.next()["outstanding"] == "100.00"
        talker.sendall(request)
        came = b""
        while b"100.00" not in came:
            came += talker.recv(65536)
        talker.sendall(b"hello\r\n" * 100)
        assert siege.metric("visitbill_streams") == 2
        with pytest.raises(ConnectionError):
            for _ in range(2000):
                talker.sendall(b"x" * 65536)
        wait_until(lambda: siege.metric("visitbill_streams") == 1, "the stream to be ended", 5)
        assert siege.desk.pay(bill, "100.00", "cash").status == 201 and other.next()["state"] == "settled"


# ---- what no database takes

@pytest.mark.parametrize("name", ["%ff", "%C3%28", "a%00b", "%0a", "x%0D%0Ay", "n" * 15000, "%F0%9F%92%A9" * 200, "%ED%A0%80", "%c0%af"], ids=range(9))
def test_visit_numbers_of_bad_bytes(siege, visit, name):
    """Refused before anything is queued, and not to be sent again; feeds do not notice."""
    with Neighbour(siege, visit):
        for method, path, body in (("POST", f"/v1/visits/H01/{name}/discharge", {"discharged_at": "2026-01-01T00:00:00+08:00"}), ("DELETE", f"/v1/visits/H01/{name}/discharge", None),
                                   ("GET", f"/v1/visits/H01/{name}", None), ("GET", f"/v1/visits/H01/{name}/bills", None), ("GET", f"/v1/visits/{name}/V1", None)):
            for _ in range(3):
                reply = siege.ward.request(method, path, body)
                assert 400 <= reply.status < 500 and reply.json["retry"] is False, (method, reply)
        for path in (f"/v1/bills/{name}", f"/v1/payments/{name}", f"/v1/receipts/{name}", f"/v1/bills/{name}/events"):
            assert siege.kiosk.get(path).status == 404
        for path in (f"/v1/bills/{name}/payments", f"/v1/payments/{name}/cancel"):
            assert siege.desk.post(path, {}, Idempotency_Key="k").status == 404
        assert siege.ops.post(f"/v1/quarantine/{name}/replay").status == 404
        assert siege.nobody.post(f"/notify/wechatpay/{name}", {}).status == 404
    assert siege.metric("visitbill_database_up") == 1


@pytest.mark.parametrize("key", [b"\xff\xfe", b"\xc3(", b"k" * 5000, b"a\x01b", b"\xed\xa0\x80"], ids=range(5))
def test_idempotency_keys_of_bad_bytes(siege, visits, key):
    own, visit = visits(2)
    body = json.dumps({"lines": [line(own, "1")]}).encode()
    bill = siege.billed(own)["bill"]
    with Neighbour(siege, visit):
        for role, path, content in (("feed", "/v1/charges", body), ("desk", f"/v1/bills/{bill}/payments", b'{"channel":"cash","amount":"1.00"}')):
            request = ask(siege, role, "POST", path, "Content-Type: application/json", f"Content-Length: {len(content)}", "Idempotency-Key: @@")
            with Raw(siege.http, request.replace(b"@@", key) + content) as raw:
                status, _, answer = raw.answer()
                assert 400 <= status < 500, (status, answer)
    assert siege.lines(own) == {("clinic", "1"): 10000} and siege.kiosk.bill(bill)["outstanding"] == "100.00"


def test_a_line_with_a_megabyte_of_name(siege, visit):
    """As of an HL7 feed: that line is refused with its place, its neighbours are booked."""
    result = siege.ward.charge(line(visit, "1"), line(visit, "2", name="名" * 300000), line(visit, "3", code="c" * 5000), line(visit, "4"), line(visit, "s" * 5000))
    assert [one["outcome"] for one in result["lines"]] == ["posted", "field_invalid", "field_invalid", "posted", "field_invalid"], result
    assert [one["pointer"] for one in result["lines"] if "pointer" in one] == ["/lines/1/name", "/lines/2/code", "/lines/4/source_line"], result
    assert set(siege.lines(visit)) == {("ward", "1"), ("ward", "4")}
    reply = siege.ward.open("v" * 5000)
    assert (reply.status, reply.json["reason"]) == (422, "field_invalid")


# ---- RFC 9110

@pytest.mark.parametrize("expect, status", [("100-continue", 100), ("100-Continue", 100), ("100-CONTINUE", 100), ("200-ok", 417), ("100-continue, x", 417), ("", 200)])
def test_expectations(siege, visit, expect, status):
    """In any case; one that is not known is refused, and an empty one is none."""
    body = json.dumps({"lines": [line(visit, "1")]}).encode()
    with Raw(siege.http, post(siege, b"" if status == 100 else body, f"Content-Length: {len(body)}", f"Expect: {expect}")) as raw:
        got, _, answer = raw.answer()
        assert got == status, answer
        if status == 100:
            raw.send(body)
            assert raw.answer()[0] == 200
        elif status == 417:
            assert json.loads(answer)["reason"] == "expectation"
    assert len(siege.lines(visit)) == (0 if status == 417 else 1)


@pytest.mark.parametrize("target", ["http://billing.example/healthz", "HTTP://x:80/healthz", "https://billing.example/healthz?x=http://y/z", "/healthz"])
def test_targets_of_either_form(siege, target):
    with Raw(siege.http, f"GET {target} HTTP/1.1\r\nHost: billing.example\r\n\r\n".encode()) as raw:
        assert raw.answer()[::2] == (200, b"ok\n")
    with Raw(siege.http, b"GET http://billing.example HTTP/1.1\r\nHost: billing.example\r\n\r\n") as raw:
        assert raw.answer()[0] == 404


def test_head_of_events(siege, visit):
    """The headers of GET, no body, and an end."""
    bill = siege.billed(visit)["bill"]
    with Raw(siege.http, ask(siege, "kiosk", "HEAD", f"/v1/bills/{bill}/events")) as raw:
        status, headers, _ = raw.answer(head=True)
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/event-stream") and raw.is_closed()
    assert siege.metric("visitbill_streams") == 0


def test_offers_to_speak_something_else(siege, visit):
    """They are ignored, with a body as well."""
    with Raw(siege.http, GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n") + GET) as raw:
        assert [raw.answer()[::2] for _ in range(2)] == [(200, b"ok\n")] * 2
    body = json.dumps({"lines": [line(visit, "1")]}).encode()
    with Raw(siege.http, post(siege, body, f"Content-Length: {len(body)}", "Connection: Upgrade", "Upgrade: websocket")) as raw:
        assert raw.answer()[0] == 200
    assert len(siege.lines(visit)) == 1


# ---- many

def test_idle_event_streams_cost_nothing(siege, visits):
    """A thousand of five bills: next to no processor time while nothing happens, and each is told when something does."""
    numbers = visits(5)
    bills = [siege.billed(visit)["bill"] for visit in numbers]
    count = 1000
    with contextlib.ExitStack() as all_:
        crowds = []
        for n in range(0, count, 50):   # each asks the database once when it begins
            crowds.append(all_.enter_context(Crowd(siege.http, 50, ask(siege, "kiosk", "GET", f"/v1/bills/{bills[n // 50 % 5]}/events"), sources=5)))
            wait_until(lambda n=n: siege.metric("visitbill_streams") == n + 50, "the streams", 10)
        assert sum(crowd.open() for crowd in crowds) == count
        used, begun = siege.processor(), time.monotonic()
        stays(lambda: True, "a while", 3)
        share = (siege.processor() - used) / (time.monotonic() - begun)
        assert share < 0.08, share
        assert siege.desk.pay(bills[2], "100.00", "cash").status == 201
        seen = set()

        def told():
            for n, one in enumerate(socket for crowd in crowds[2::5] for socket in crowd.sockets):
                with contextlib.suppress(BlockingIOError):
                    if b"settled" in one.recv(65536):
                        seen.add(n)
            return len(seen) == count // 5

        wait_until(told, "all of them to be told", 5)
    wait_until(lambda: siege.metric("visitbill_streams") == 0, "the streams to end", 5)


# ---- logins and notifications that fail

def test_failed_logins(siege, visit):
    """Thirty a minute of an address; then 429, with a valid token still 200 from there. Another address has its own thirty. No database call, and the log
    has a line or two for all of them."""
    path, seen = f"/v1/visits/H01/{visit}", len(siege.log())
    siege.clinic.charge(visit, ft1("1"))

    def attempt(source, token):
        with socket.socket() as plain:
            plain.bind((source, 0))
            plain.settimeout(30)
            plain.connect(siege.http)
            plain.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while more := plain.recv(65536):
                answer += more
        return answer

    statuses = [attempt("127.0.0.77", f"wrong-{n}")[9:12] for n in range(100)]
    assert statuses[:30] == [b"401"] * 30 and b"429" in statuses[30:33] and statuses.count(b"401") <= 34, statuses
    refused = attempt("127.0.0.77", "wrong").decode()
    assert "Retry-After: " in refused and '"reason":"too_many_requests"' in refused, refused
    assert attempt("127.0.0.77", siege.tokens["kiosk"])[9:12] == b"200"
    assert attempt("127.0.0.78", "wrong")[9:12] == b"401"
    assert len(siege.log()) - seen < 3000
    check_problem(siege.nobody.get(path, Authorization="Bearer wrong"))


def test_failed_notifications(siege):
    """Sixty a minute of an address that nobody signed; then it is told that these are too many."""
    path = "/notify/wechatpay/main"
    body = b'{"id":"x"}'

    def attempt(source):
        with socket.socket() as plain:
            plain.bind((source, 0))
            plain.settimeout(30)
            plain.connect(siege.http)
            plain.sendall(ask(siege, None, "POST", path, "Content-Type: application/json", f"Content-Length: {len(body)}", "Wechatpay-Serial: x", "Wechatpay-Signature: eA==",
                              f"Wechatpay-Timestamp: {int(time.time())}", "Wechatpay-Nonce: n", "Connection: close") + body)
            return plain.recv(65536)[9:12]

    statuses = [attempt("127.0.0.79") for _ in range(100)]
    assert statuses[:60] == [b"401"] * 60 and b"429" in statuses[60:64] and statuses.count(b"401") <= 66, statuses
    assert attempt("127.0.0.80") == b"401"


def test_a_genuine_notification_among_forged_ones(siege, visit):
    """The channel may come by the same proxy as who forges: what is signed by it is taken, whatever else was refused."""
    bill = siege.billed(visit)["bill"]
    statuses = {siege.nobody.request("POST", "/notify/wechatpay/main", b"{}", Content_Type="application/json").status for _ in range(100)}
    assert statuses == {401, 429}
    before = siege.metric("visitbill_notifications_total", result="204")
    siege.sim.pay(siege.kiosk.pay(bill, "100.00").json)
    wait_until(lambda: siege.metric("visitbill_notifications_total", result="204") > before, "the notification to be taken", 20)


def test_the_log_of_one_who_is_refused(siege):
    """Malformed requests, one connection after the other."""
    seen, begun, count = len(siege.log()), time.monotonic(), 0
    while time.monotonic() - begun < SECONDS / 2:
        with Raw(siege.http, b"GET / HTTP/1.1\r\nHost x\r\n\r\n") as raw:
            assert raw.answer()[0] == 400
        count += 1
    assert count >= 100 and len(siege.log()) - seen < 3000, (count, len(siege.log()) - seen)
