"""Malformed HTTP: each is answered with 400 and problem+json, then the connection is closed, and nothing behind it is taken for a request. These are the
ways in which requests are smuggled past a proxy."""

import json

import pytest

from .api import line
from .test_http import GET, Raw, post

BODY = b'{"lines":[]}'
SIZE = f"Content-Length: {len(BODY)}"


def get(*headers, start="GET /healthz HTTP/1.1", host="Host: x"):
    return "\r\n".join([start, *([host] if host else []), *headers]).encode("latin-1") + b"\r\n\r\n"


@pytest.mark.parametrize("name, request_", [
    ("two lengths", lambda h: post(h, BODY, SIZE, "Content-Length: 3")),
    ("the same length twice", lambda h: post(h, BODY, SIZE, SIZE)),
    ("a list of lengths", lambda h: post(h, BODY, f"{SIZE}, {len(BODY)}")),
    ("a plus", lambda h: post(h, BODY, "Content-Length: +12")),
    ("a minus", lambda h: post(h, BODY, "Content-Length: -1")),
    ("hexadecimal", lambda h: post(h, BODY, "Content-Length: 0xC")),
    ("an empty length", lambda h: post(h, BODY, "Content-Length: ")),
    ("a length of words", lambda h: post(h, BODY, "Content-Length: twelve")),
    ("a fraction", lambda h: post(h, BODY, "Content-Length: 12.0")),
    ("a blank inside", lambda h: post(h, BODY, "Content-Length: 1 2")),
    ("length and chunks", lambda h: post(h, b"0\r\n\r\n", SIZE, "Transfer-Encoding: chunked")),
    ("chunks and length", lambda h: post(h, b"0\r\n\r\n", "Transfer-Encoding: chunked", SIZE)),
    ("chunked not last", lambda h: post(h, b"0\r\n\r\n", "Transfer-Encoding: chunked, gzip")),
    ("another coding", lambda h: post(h, BODY, "Transfer-Encoding: xchunked")),
    ("chunked twice over", lambda h: post(h, b"0\r\n\r\n", "Transfer-Encoding: chunked, identity")),
    ("two codings", lambda h: post(h, b"0\r\n\r\n", "Transfer-Encoding: gzip, chunked")),
    ("no coding and a length", lambda h: post(h, BODY, SIZE, "Transfer-Encoding: ")),
    ("a length and no coding", lambda h: post(h, BODY, "Transfer-Encoding: ", SIZE)),
    ("chunks by HTTP/1.0", lambda h: post(h, b"0\r\n\r\n", "Transfer-Encoding: chunked", "Connection: keep-alive").replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n")),
    ("a Host that is none", lambda h: get(host="Host: a b/c@d")), ("a Host of other bytes", lambda h: get(host="Host: a\xff")),
    ("a bad chunk size", lambda h: post(h, b"zz\r\n", "Transfer-Encoding: chunked")),
    ("a negative chunk", lambda h: post(h, b"-1\r\n", "Transfer-Encoding: chunked")),
    ("a chunk that runs over", lambda h: post(h, b"2\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked")),
    ("a huge chunk size", lambda h: post(h, b"F" * 20 + b"\r\n", "Transfer-Encoding: chunked")),
    ("NUL in a value", lambda h: get("X: a\0b")),
    ("NUL in a name", lambda h: get("X\0: a")),
    ("a bare CR in a value", lambda h: get("X: a\rb")),
    ("a control character", lambda h: get("X: a\x01b")),
    ("a blank before the colon", lambda h: get("X : a")),
    ("no colon", lambda h: get("nonsense")),
    ("an empty name", lambda h: get(": a")),
    ("a name of other signs", lambda h: get("X(y): a")),
    ("no Host", lambda h: get(host=None)),
    ("two Hosts", lambda h: get("Host: y")),
    ("no Host with a body", lambda h: post(h, BODY, SIZE, host="X: y")),
    ("no version", lambda h: b"GET /healthz\r\n\r\n"), ("another protocol", lambda h: get(start="GET /healthz ICY/1.1")),
    ("a strange version", lambda h: get(start="GET /healthz HTTP/1.9")),
    ("HTTP/2", lambda h: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ("HTTP/0.9", lambda h: get(start="GET /healthz HTTP/0.9")),
    ("a method in small letters", lambda h: get(start="get /healthz HTTP/1.1")),
    ("no method", lambda h: get(start=" /healthz HTTP/1.1")),
    ("an unknown method", lambda h: get(start="FETCH /healthz HTTP/1.1")),
    ("a blank in the target", lambda h: get(start="GET /heal thz HTTP/1.1")),
    ("TLS", lambda h: bytes.fromhex("16030100a5010000a10303") + b"\0" * 20),
    ("nonsense", lambda h: b"\x80\x81\x82\r\n\r\n"), ("MLLP", lambda h: b"\x0bMSH|^~\\&|\x1c\r"), ("CONNECT", lambda h: get(start="CONNECT x:443 HTTP/1.1")),
], ids=lambda value: value if isinstance(value, str) else "")
def test_refused(house, name, request_):
    with Raw(house.http, request_(house) + GET) as raw:
        status, headers, body = raw.answer()
        assert (status, headers["Content-Type"]) == (404 if name == "CONNECT" else 400, "application/problem+json"), (name, status, body)
        problem = json.loads(body)
        assert problem["status"] == status and problem["detail"]
        if status == 400:
            assert problem["reason"] == "bad_request" and headers["Connection"] == "close" and raw.is_closed(), name


def test_nothing_smuggled_is_booked(house, visit):
    """The second request hides in what one of two readings takes for the first one's body."""
    hidden = json.dumps({"lines": [line(visit, "1")]}).encode()
    inner = post(house, hidden, f"Content-Length: {len(hidden)}")
    for outer in (post(house, b"0\r\n\r\n" + inner, f"Content-Length: {5 + len(inner)}", "Transfer-Encoding: chunked"),
                  post(house, b"0\r\n\r\n" + inner, "Content-Length: 5", f"Content-Length: {5 + len(inner)}"),
                  post(house, inner, "Content-Length: +0"), post(house, b"0\r\n\r\n" + inner, "Transfer-Encoding: chunked", "Transfer-Encoding: identity")):
        with Raw(house.http, outer) as raw:
            assert raw.answer()[0] == 400 and raw.is_closed()
    assert house.lines(visit) == {}


@pytest.mark.parametrize("request_", [get("X: a", " b"), get(start="GET  /healthz HTTP/1.1"), get("X:a"), get("X:\ta\t"), get("X:"), b"\r\n\r\n" + get(), get("X: \xe9"),
                                      get(start="GET http://x/healthz HTTP/1.1")])
def test_unusual_but_allowed(house, request_):
    """RFC 9112 lets a server take these, or refuse them; either way the next request is its own."""
    with Raw(house.http, request_ + GET) as raw:
        status, _, _ = raw.answer()
        assert status in (200, 400, 404)
        assert raw.is_closed() if status == 400 else raw.answer()[0] == 200


def test_upgrade_is_ignored_or_refused(house):
    """RFC 9110, 7.8: a server may ignore it; it must not speak another protocol."""
    with Raw(house.http, get("Connection: Upgrade", "Upgrade: h2c, websocket")) as raw:
        assert raw.answer()[0] in (200, 400)
    assert house.nobody.get("/healthz").status == 200


def test_the_daemon_lives_and_counts(house):
    before = house.metric("visitbill_http_requests_total", status="400")
    with Raw(house.http, b"nonsense\r\n\r\n") as raw:
        assert raw.answer()[0] == 400
    assert house.metric("visitbill_http_requests_total", status="400") == before + 1
    assert house.nobody.get("/readyz").status == 200
