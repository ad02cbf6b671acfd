"""An attacker: for a while it does one of the things that must not hurt the daemon, on many connections of an address of its own, as fast as it can.
A connection that the daemon closes, or on which nothing moves, is opened again. At the end it says in one line of JSON what came of it."""

import argparse
import errno
import heapq
import json
import selectors
import socket
import sys
import time
from datetime import datetime

SOURCE = "127.0.0.2"        # not the address of who is measured
AGAIN_S = 0.02              # a connection that was closed is opened again after this
PATIENCE_S = 1.0            # one on which nothing moves, too: it is given up for another
BODY = 8 << 20
SINK = bytearray(1 << 18)


class Peer:
    """One connection at a time. It sends its content over and over, or once and then keeps quiet."""

    def __init__(self, address, content, reads=True, once=False):
        host, port = address.rsplit(":", 1)
        self.address, self.content, self.reads, self.once = (host, int(port)), memoryview(content), reads, once
        self.socket, self.at, self.moved = None, 0, 0.0
        self.opened = self.closed = self.sent = self.received = 0

    def open(self, selector):
        self.socket = socket.socket()
        self.socket.bind((SOURCE, 0))
        self.socket.setblocking(False)
        self.at, self.moved = 0, time.monotonic()
        self.opened += 1
        if self.socket.connect_ex(self.address) not in (0, errno.EINPROGRESS):
            return False
        selector.register(self.socket, selectors.EVENT_WRITE | (selectors.EVENT_READ if self.reads else 0), self)
        return True

    def close(self, selector):
        try:
            selector.unregister(self.socket)
        except KeyError:
            pass
        self.socket.close()
        self.closed += 1

    def go(self, selector, events):
        """Sends and reads what is possible. False: the connection is over."""
        try:
            if events & selectors.EVENT_READ:
                n = self.socket.recv_into(SINK)
                if n == 0:
                    return False
                self.received += n
                self.moved = time.monotonic()
            if events & selectors.EVENT_WRITE:
                n = self.socket.send(self.content[self.at:])
                self.sent += n
                self.at += n
                self.moved = time.monotonic()
                if self.at == len(self.content):
                    if self.once:
                        selector.modify(self.socket, selectors.EVENT_READ, self)
                    else:
                        self.at = 0
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


def run(peers, seconds):
    selector = selectors.DefaultSelector()
    end = time.monotonic() + seconds
    waiting = [(0.0, n) for n in range(len(peers))]     # when each is to be opened
    looked = 0.0
    numbers = {id(peer): n for n, peer in enumerate(peers)}

    def again(peer):
        peer.close(selector)
        heapq.heappush(waiting, (time.monotonic() + AGAIN_S, numbers[id(peer)]))

    while (now := time.monotonic()) < end:
        while waiting and waiting[0][0] <= now:
            peer = peers[heapq.heappop(waiting)[1]]
            if not peer.open(selector):
                again(peer)
        for key, events in selector.select(0.01):
            if not key.data.go(selector, events):
                again(key.data)
        if now - looked > 0.1:
            looked = now
            for key in list(selector.get_map().values()):
                peer = key.data
                if now - peer.moved > PATIENCE_S and not (peer.once and peer.at == len(peer.content)):
                    again(peer)


# ---- what they send


def header(application):
    return (f"MSH|^~\\&|{application}|H01|VISITBILL|BILLING|{datetime.now():%Y%m%d%H%M%S}+0800||DFT^P03^DFT_P03|ATTACK-1|P|2.5.1||||||UNICODE UTF-8\r").encode()


def framed(content):
    return b"\x0b" + content + b"\x1c\r"


def request(a, line, token="", body=None, extra=b"", length=None):
    head = [line, b"Host: " + a.http.encode()]
    if token:
        head.append(b"Authorization: Bearer " + token.encode())
    if extra:
        head.append(extra)
    if body is not None:
        head += [b"Content-Type: application/json", b"Content-Length: %d" % (length or len(body))]
    return b"\r\n".join(head) + b"\r\n\r\n" + (body or b"")


def segments(a):
    """One frame of headers without end, as a stranger and under a feed's name."""
    sizes = (1 << 20, 5 << 19, (16 << 20) - 1000)
    return [Peer(a.mllp, framed(name + b"MSH|\r" * (size // 5))) for size in sizes for name in (b"", header("CLINIC")) for _ in range(2)]


def deaf(a):
    """Sends and never reads: requests of 26 bytes, and messages that are refused."""
    refused = framed(b"MSH|^~\\&|X|Y\r") * 4000
    return [Peer(a.http, b"GET / HTTP/1.1\r\nHost:x\r\n\r\n" * 10_000, reads=False) for _ in range(50)] \
        + [Peer(a.mllp, refused, reads=False) for _ in range(25)] \
        + [Peer(a.mllp, framed(header("CLINIC") + b"PID|1\r") * 1000, reads=False) for _ in range(4)]


def unfinished(a):
    """Bodies and frames that lack their last byte, and bodies of eight million bytes that are all numbers."""
    part, zeros = bytes(BODY - 1), b"[" + b"0," * (BODY // 2 - 1) + b"0]"
    return [Peer(a.http, request(a, b"POST /nowhere HTTP/1.1", body=part, length=BODY), once=True) for _ in range(75)] \
        + [Peer(a.http, request(a, b"POST /v1/charges HTTP/1.1", body=part, length=BODY), once=True) for _ in range(75)] \
        + [Peer(a.mllp, b"\x0b" + bytes(2 * BODY - 1000), once=True) for _ in range(30)] \
        + [Peer(a.mllp, b"\x0bMSH|^~\\&|X|Y|" + b"x" * (2 * BODY - 1000), once=True) for _ in range(30)] \
        + [Peer(a.http, request(a, b"POST /v1/charges HTTP/1.1", token, zeros)) for token in ("", a.feed_token) for _ in range(12)]


def commits(a):
    """Release 2: commit blocks, as fast as they go."""
    return [Peer(a.mllp2, b"\x0b\x06\x1c\x0d" * 16_384) for _ in range(8)]


def lines(a):
    """Ten thousand charges of a feed, none with an id of its own and all with the same long number."""
    head = header("CLINIC") + b"PID|1||P0000000^^^H01^PI||A^B||19630412|F\rPV1|1|I|0502^12^03^H01||||||||||||||||BV0000000\r"
    charge = b"||20261101120000+0800||CG|XY0001^A^HIS|||1|12.80&CNY|12.80&CNY\r"
    return [Peer(a.mllp, framed(head + (b"FT1|" + b"1" * digits + b"|" + charge) * 10_000)) for digits in (1500, 1500, 12, 12)]


def escapes(a):
    """Paths and keys that no text of the database can hold."""
    kinds = [request(a, b"POST /v1/visits/H01/%ff/discharge HTTP/1.1", a.feed_token, b'{"discharged_at":"2026-11-01T12:00:00+08:00"}'),
             request(a, b"GET /v1/visits/H01/%ff/bills HTTP/1.1", a.kiosk_token),
             request(a, b"POST /v1/bills/bench-1/payments HTTP/1.1", a.kiosk_token, b'{"channel":"wechatpay","amount":"1.00"}', b"Idempotency-Key: \xff\xfe")]
    return [Peer(a.http, kind * 500) for kind in kinds for _ in range(8)]


ATTACKS = {f.__name__: f for f in (segments, deaf, unfinished, commits, lines, escapes)}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("attack", choices=ATTACKS)
    for name in ("http", "mllp", "mllp2", "feed-token", "kiosk-token"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--seconds", type=float, required=True)
    arguments = p.parse_args()
    peers = ATTACKS[arguments.attack](arguments)
    print("ready", flush=True)
    run(peers, arguments.seconds)
    json.dump({"connections": sum(p.opened for p in peers), "closed": sum(p.closed for p in peers), "sent_mib": sum(p.sent for p in peers) >> 20,
               "received_mib": sum(p.received for p in peers) >> 20}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
