"""Hostile and clumsy peers on the MLLP port: frames that are more work than bytes, peers that send and never read, or send nothing. Beside each attack a
known feed is acknowledged as quickly as ever, and the daemon's memory stays what it is."""

import contextlib
import os
import select
import socket
import time

import pytest

from .feeds import Connection, Feed, frame, ft1, hl7_time, unframe
from .foes import LONG, MIB, SECONDS, Crowd, Neighbour, grows_less_than
from .live import wait_until


def answer_to(address, data, within=30, receive=None):
    """All bytes that come back for these, until the peer closes or nothing came for half a second after the last."""
    with socket.socket() as plain:
        if receive:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        plain.connect(address)
        plain.setblocking(False)
        got, quiet, end = b"", time.monotonic() + 10, time.monotonic() + within
        while time.monotonic() < min(quiet, end):
            readable, writable, _ = select.select([plain], [plain] if data else [], [], 0.1)
            with contextlib.suppress(BlockingIOError):
                if writable:
                    data = data[plain.send(data[:MIB]):]
                if readable:
                    more = plain.recv(MIB)
                    if not more:
                        break
                    got += more
                    quiet = time.monotonic() + 0.5
    return got


@pytest.mark.parametrize("header", ["MSH|", "MSH|^~\\&|"], ids=["no delimiters", "no more than delimiters"])
def test_a_frame_of_headers(siege, visits, header):
    """A megabyte or two of message headers in one frame: few answers, none of them longer than what was sent warrants, and no long turn."""
    own, visit = visits(2)
    data, turns = frame(f"{header}\r".encode() * 200000), siege.long_turns()
    with Neighbour(siege, visit), grows_less_than(siege, 40 * MIB):
        begun = time.monotonic()
        got = answer_to(siege.mllp, data)
        assert time.monotonic() - begun < 15
    assert 0 < len(got) < 3 * len(data) + 65536, len(got)
    assert siege.long_turns() == turns
    siege.clinic.charge(own, ft1("1"))


def test_equal_lines_without_an_id(siege, visits):
    """Ten thousand lines that only their place tells apart, a million bytes of it the same: booked, each once, in linear time."""
    own, visit = visits(2)
    count, turns = 10000, siege.long_turns()
    text = siege.pharmacy.message("DFT^P03", f"EVN||{hl7_time()}", siege.pharmacy.pid(own), siege.pharmacy.pv1(own), *(
        ft1("", "0.01", name="某" * 60, at="20260101080000+0800") for _ in range(count)))
    with Neighbour(siege, visit):
        ack = siege.pharmacy.send(text)
    assert ack.code == "AA", ack.text[:400]
    assert siege.rows("select count(*), count(distinct source_line) from charge join visit using (visit_id) where visit_no = %s", own) == [(count, count)]
    assert siege.long_turns() == turns


@pytest.mark.parametrize("who", ["stranger", "feed"])
def test_who_sends_and_never_reads(siege, visit, who):
    """It is not read any more once its answers wait, its memory is bounded, and it is cut after io_time, a second here."""
    feed = siege.lab if who == "feed" else Feed(siege.mllp, "NOBODY")
    data = frame(feed.message("ADT^A28", f"EVN||{hl7_time()}", feed.pid("nobody")).encode()) * 200
    sent, begun, stopped = 0, time.monotonic(), None
    with Neighbour(siege, visit), grows_less_than(siege, 30 * MIB), socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.connect(siege.mllp)
        greedy.setblocking(False)
        with pytest.raises(ConnectionError):
            while time.monotonic() - begun < 60:
                if select.select([], [greedy], [], 0.2)[1]:
                    sent += greedy.send(data)
                    stopped = time.monotonic()
    assert sent < 40 * MIB and time.monotonic() - stopped < 15, (sent, time.monotonic() - stopped)
    assert "why=\"the peer does not read\"" in siege.log() or "reads too slowly" in siege.log() or "repeated=" in siege.log()


@pytest.mark.parametrize("rate, served", [(200, False), (20000, True)], ids=["below the floor", "above it"])
def test_who_reads_slowly(siege, visit, rate, served):
    """Acknowledgements at so many bytes a second. The floor is 1,000."""
    feed = siege.lab
    count = 3000
    messages = b"".join(frame(feed.dft_message(visit, ft1(f"S{n}", "0.01")).encode()) for n in range(count)) if False else None
    del messages
    data = frame(feed.message("ADT^A28", f"EVN||{hl7_time()}", feed.pid("nobody")).encode()) * count
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect(siege.mllp)
        slow.setblocking(False)
        got, begun, cut = 0, time.monotonic(), False
        while time.monotonic() - begun < (6 if served else 30) and not cut:
            try:
                if data and select.select([], [slow], [], 0)[1]:
                    data = data[slow.send(data):]
                time.sleep(0.05)
                more = slow.recv(max(1, rate // 20))
                got += len(more)
                cut = more == b""
            except BlockingIOError:
                pass
            except ConnectionError:
                cut = True
    assert cut != served, (got, time.monotonic() - begun)
