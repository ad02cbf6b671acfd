"""HTTP/1.1 as a peer may use it: kept and pipelined connections, chunks, HEAD, 1.0; and requests that are refused. The annex has small limits. What
is malformed on the wire is in test_http_malformed.py."""

import json
import socket
import time

import pytest

from .api import check_problem, line
from .feeds import ft1
from .live import wait_until


class Raw:
    """A socket, and the answers that come over it."""

    def __init__(self, address, data=b""):
        self.socket = socket.create_connection(address, timeout=30)
        self._rest = b""
        self.send(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self._rest)
        self._rest += data

    def answer(self, head=False):
        """(status, headers, body) of the next answer."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        top, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        headers = dict(text.split(": ", 1) for text in lines[1:])
        size = 0 if head or lines[0].split()[1] == "100" else int(headers["Content-Length"])
        while len(self._rest) < size:
            self._more()
        body, self._rest = self._rest[:size], self._rest[size:]
        assert lines[0].startswith("HTTP/1.1 "), lines
        return int(lines[0].split()[1]), headers, body

    def is_closed(self):
        """Waits for the peer to close; nothing more may come."""
        try:
            return self._rest == b"" and self.socket.recv(1) == b""
        except ConnectionError:
            return True


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
GET_VISIT = b"GET /v1/visits/H01/nobody HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"


def post(house, body, *headers, path="/v1/charges", host="Host: x"):
    """The bytes of a POST of the ward."""
    top = [f"POST {path} HTTP/1.1", host, f"Authorization: Bearer {house.tokens['feed']}", "Content-Type: application/json", *headers]
    return "\r\n".join(top).encode() + b"\r\n\r\n" + body


def test_kept_connection(house, visit):
    house.clinic.charge(visit, ft1("1"))
    get = f"GET /v1/visits/H01/{visit} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.tokens['kiosk']}\r\n\r\n".encode()
    with Raw(house.http) as raw:
        for _ in range(50):
            raw.send(get)
            status, headers, body = raw.answer()
            assert status == 200 and json.loads(body)["total"] == "12.50" and "Connection" not in headers and headers["Content-Type"] == "application/json"
        raw.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        status, headers, _ = raw.answer()
        assert (status, headers["Connection"]) == (200, "close") and raw.is_closed()


def test_pipelining(house, visits):
    """Forty requests in one write, slow and quick and wrong ones: answered in order."""
    numbers = visits(10)
    requests = b""
    for visit in numbers:
        body = json.dumps({"lines": [line(visit, "1")]}).encode()
        requests += post(house, body, f"Content-Length: {len(body)}") + GET
        requests += f"GET /v1/visits/H01/{visit} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.tokens['kiosk']}\r\n\r\n".encode()
        requests += b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    with Raw(house.http, requests) as raw:
        for visit in numbers:
            assert json.loads(raw.answer()[2])["booked"] == 1
            assert raw.answer()[2] == b"ok\n"
            seen = json.loads(raw.answer()[2])
            assert (seen["visit_no"], seen["total"]) == (visit, "12.50"), "it is booked before the next request is looked at"
            assert raw.answer()[0] == 404


def test_request_byte_by_byte(house, visit):
    body = json.dumps({"lines": [line(visit, "1")]}).encode()
    with Raw(house.http) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(house, body, f"Content-Length: {len(body)}"):
            raw.send(bytes([byte]))
        assert json.loads(raw.answer()[2])["booked"] == 1


def test_chunked_body(house, visit):
    """In pieces of any size, with extensions and a trailer."""
    body = json.dumps({"lines": [line(visit, str(n)) for n in range(20)]}).encode()
    data, at = b"", 0
    for size in (1, 2, 700, len(body)):
        piece, at = body[at:at + size], at + size
        data += f"{len(piece):X};note=\"x\"\r\n".encode() + piece + b"\r\n"
    with Raw(house.http, post(house, data + b"0\r\nX-Trailer: y\r\n\r\n", "Transfer-Encoding: chunked")) as raw:
        status, _, answer = raw.answer()
        assert status == 200 and json.loads(answer)["booked"] == 20
        raw.send(GET)
        assert raw.answer()[0] == 200, "the connection goes on"


def test_expect_100_continue(house, visit):
    body = json.dumps({"lines": [line(visit, "1")]}).encode()
    with Raw(house.http, post(house, b"", f"Content-Length: {len(body)}", "Expect: 100-continue")) as raw:
        assert raw.answer()[0] == 100
        raw.send(body)
        assert json.loads(raw.answer()[2])["booked"] == 1


def test_expect_before_a_body_that_is_too_large(annex):
    """The refusal comes instead of the 100: the client need not send it."""
    with Raw(annex.http, post(annex, b"", "Content-Length: 1000000", "Expect: 100-continue")) as raw:
        assert raw.answer()[0] == 413 and raw.is_closed()


def test_head(house, visit):
    """The headers of GET, and no body."""
    house.clinic.charge(visit, ft1("1"))
    for path in ("/healthz", f"/v1/visits/H01/{visit}", "/metrics", "/nowhere"):
        with Raw(house.http, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.tokens['kiosk']}\r\n\r\n".encode()) as raw:
            status, headers, body = raw.answer()
            raw.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.tokens['kiosk']}\r\n\r\n".encode() + GET)
            head_status, head_headers, _ = raw.answer(head=True)
            assert raw.answer()[2] == b"ok\n", "nothing lies between the two"
        assert (head_status, head_headers["Content-Type"]) == (status, headers["Content-Type"])
        assert head_headers["Content-Length"] == str(len(body)) or path == "/metrics"


def test_http_1_0(house, visit):
    """No Host needed; closed after the answer; nothing chunked."""
    with Raw(house.http, b"GET /healthz HTTP/1.0\r\n\r\n") as raw:
        status, headers, body = raw.answer()
        assert (status, body, headers["Connection"]) == (200, b"ok\n", "close") and "Transfer-Encoding" not in headers and raw.is_closed()
    body = json.dumps({"lines": [line(visit, "1")]}).encode()
    with Raw(house.http, post(house, body, f"Content-Length: {len(body)}").replace(b"HTTP/1.1", b"HTTP/1.0")) as raw:
        assert json.loads(raw.answer()[2])["booked"] == 1


def test_end_of_stream_behind_a_request(house):
    with Raw(house.http, GET * 3) as raw:
        raw.socket.shutdown(socket.SHUT_WR)
        assert [raw.answer()[0] for _ in range(3)] == [200] * 3 and raw.is_closed()


@pytest.mark.parametrize("method, path, status, allow", [
    ("GET", "/", 404, None), ("GET", "/v2/charges", 404, None), ("GET", "/v1", 404, None), ("GET", "/v1/", 404, None), ("GET", "/healthz/", 404, None),
    ("GET", "//healthz", 404, None), ("GET", "/v1/bills/a/b/c", 404, None), ("GET", "/v1/visits/H01", 404, None), ("GET", "/v1/bills//payments", 404, None),
    ("GET", "/v1/bills/%zz", 404, None), ("GET", "/v1/bills/%00", 404, None), ("GET", "/v1/bills/x%", 404, None), ("GET", "/healthz?a=b&c", 200, None),
    ("GET", "/../etc/passwd", 404, None), ("GET", "/v1/charges", 405, {"POST"}), ("DELETE", "/v1/bills/x", 405, {"GET", "HEAD"}),
    ("PUT", "/v1/visits/H01/x/discharge", 405, {"POST", "DELETE"}), ("POST", "/healthz", 405, {"GET", "HEAD"}), ("OPTIONS", "/v1/charges", 405, {"POST"}),
    ("PATCH", "/v1/visits", 405, {"POST"}), ("HEAD", "/v1/charges", 405, {"POST"}), ("TRACE", "/healthz", 405, {"GET", "HEAD"}),
])
def test_routes(house, method, path, status, allow):
    reply = house.kiosk.request(method, path)
    assert reply.status == status, reply
    if status >= 400 and method != "HEAD":
        problem = check_problem(reply)
        assert problem["reason"] == {404: problem["reason"], 405: "method_not_allowed"}[status]
    if allow:
        assert {name.strip() for name in reply.headers.get("Allow", "").split(",")} >= allow, "RFC 9110, 15.5.6"


@pytest.mark.parametrize("body", [
    b"", b"{", b"}", b"[]", b"null", b"7", b'"x"', b"{'lines': []}", b'{"lines": []', b'{"lines": [],}', b'{"lines": []} x', b'{"lines": []}{"lines": []}',
    b'{"lines": [}', b"\xff\xfe{}", b'{"lines": "\xff"}', b'{"lines": [NaN]}', b'{"lines": [1e]}', b"\xef\xbb\xbf{}x", b"lines=1", b'{"lines": [\x00]}',
    b'{"a":' * 2000 + b"1" + b"}" * 2000, b"[" * 20000, b'{"lines": ' + b"[" * 9 + b"]" * 9 + b"}",
])
def test_bad_json(house, body):
    reply = house.ward.post("/v1/charges", body, Content_Type="application/json")
    assert (reply.status, reply.json["reason"]) == (400, "json_invalid"), reply


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "", None, "application/jsonx", "multipart/form-data"])
def test_wrong_content_type(house, visit, content_type):
    body = json.dumps({"lines": [line(visit, "1")]}).encode()
    headers = {} if content_type is None else {"Content_Type": content_type}
    reply = house.ward.post("/v1/charges", body, **headers)
    assert (reply.status, reply.json["reason"]) == (415, "media_type") and house.lines(visit) == {}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"])
def test_right_content_type(house, visit, content_type):
    body = json.dumps({"lines": [line(visit, "1")]}).encode()
    assert house.ward.post("/v1/charges", body, Content_Type=content_type).json["booked"] == 1


def test_large_request(house, visit):
    """Five thousand lines, near a megabyte."""
    result = house.ward.charge(*(line(visit, f"B{n}", "1.00", name="很长的名称" * 5) for n in range(5000)))
    assert result["booked"] == 5000 and house.kiosk.visit(visit)["total"] == "5000.00"


# ---- limits, in the annex

def refused(raw, status):
    got, headers, body = raw.answer()
    problem = json.loads(body)
    assert (got, headers["Content-Type"], headers["Connection"]) == (status, "application/problem+json", "close"), (got, body)
    assert problem["status"] == status and problem["detail"] and problem["reason"]
    return raw.is_closed()


def test_header_too_large(annex):
    for request in (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 5000, b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n",
                    b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"n" * 5000 + b": x"):
        with Raw(annex.http, request + b"\r\n\r\n") as raw:
            assert refused(raw, 431)
    assert annex.nobody.get("/healthz", X="y" * 3000).status == 200


def test_body_too_large(annex, visit):
    """By its declared length before it comes, or chunked as soon as it is too much; one within the limit is taken."""
    with Raw(annex.http, post(annex, b"", "Content-Length: 65537")) as raw:
        assert refused(raw, 413)
    with Raw(annex.http, post(annex, b"", "Content-Length: 99999999999999999999999")) as raw:
        assert raw.answer()[0] in (400, 413) and raw.is_closed()
    with Raw(annex.http, post(annex, b"", "Transfer-Encoding: chunked")) as raw:
        try:
            for _ in range(70):
                raw.send(b"400\r\n" + b" " * 1024 + b"\r\n")
        except ConnectionError:
            pass
        assert raw.answer()[0] == 413
    body = json.dumps({"lines": [line(visit, "1")]}).encode().ljust(65536)
    assert annex.ward.post("/v1/charges", body, Content_Type="application/json").json["booked"] == 1


@pytest.mark.parametrize("request_", [b"GET /healthz HTTP/1.1\r\nX-Slow: ", b"POST /v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n", b"GET /", b"\r\n"])
def test_slow_drip(annex, request_):
    """The whole request has a second; a byte now and then does not buy more."""
    request_ = request_.replace(b"%s", annex.tokens["feed"].encode())
    begun = time.monotonic()
    with Raw(annex.http, request_) as raw:
        raw.socket.settimeout(0.1)
        answer = b""
        while time.monotonic() - begun < 10 and b"\r\n\r\n" not in answer:
            try:
                raw.send(b"x" if request_ != b"\r\n" else b"\r\n")
                answer += raw.socket.recv(65536)
            except TimeoutError:
                pass
            except ConnectionError:
                break
    assert 0.8 < time.monotonic() - begun < 5 and (answer.startswith(b"HTTP/1.1 408 ") or request_ == b"\r\n"), answer


def test_idle_connections_are_closed(annex):
    """Two seconds for one that never asked, and for a caller who is known between two requests; one second for another. No answer is sent to what was not
    asked."""
    known = GET_VISIT % annex.tokens["kiosk"].encode()
    with Raw(annex.http) as never, Raw(annex.http, GET) as asked, Raw(annex.http, known) as kiosk:
        begun = time.monotonic()
        assert asked.answer()[0] == 200 and kiosk.answer()[0] == 404
        assert asked.is_closed()
        stranger_closed = time.monotonic() - begun
        assert kiosk.is_closed() and never.is_closed()
    assert 0.8 < stranger_closed < 6 and 1.5 < time.monotonic() - begun < 8


def test_more_connections_than_the_limit(annex):
    """Sixty are taken. Beyond that the strangers who came first make room for those who come; a caller who is known stays, and is served."""
    known = GET_VISIT % annex.tokens["kiosk"].encode()
    with Raw(annex.http, known) as kiosk:
        assert kiosk.answer()[0] == 404
        strangers = [Raw(annex.http) for _ in range(70)]
        kiosk.send(known)
        assert kiosk.answer()[0] == 404
        strangers[-1].send(GET)
        assert strangers[-1].answer()[0] == 200
        assert all(raw.is_closed() for raw in strangers[:8])
        for raw in strangers:
            raw.socket.close()
    wait_until(lambda: annex.metric("visitbill_connections", kind="http") == 1, "the connections to be counted down")
