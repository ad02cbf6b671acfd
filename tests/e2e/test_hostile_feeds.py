"""Hostile and clumsy peers on the MLLP port: frames that are more work than bytes, peers that send and never read, or send nothing. Beside each attack a
known feed is acknowledged as quickly as ever, and the daemon's memory stays what it is."""

import contextlib
import select
import socket
import time

import pytest

from .feeds import Connection, Feed, frame, ft1, hl7_time, unframe
from .foes import LONG, MIB, SECONDS, Crowd, Neighbour, grows_less_than
from .live import stays, wait_until


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


@pytest.mark.parametrize("rate, served", [(200, False), (8000, True)], ids=["below the floor", "above it"])
def test_who_reads_slowly(siege, rate, served):
    """Acknowledgements at so many bytes a second, with more of them waiting than the system's buffers hold; the floor is 1,000. The system takes
    megabytes at once and then nothing for a long while: what counts is what the peer takes from it."""
    feed = siege.lab
    data, got, begun = frame(feed.message("ADT^A28", f"EVN||{hl7_time()}", feed.pid("nobody")).encode()) * 500, 0, time.monotonic()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(siege.mllp)
        slow.setblocking(False)

        def is_cut():
            nonlocal got
            try:
                if select.select([], [slow], [], 0)[1]:
                    slow.send(data)
                while got < (time.monotonic() - begun) * rate:
                    more = slow.recv(max(1, min(4096, int((time.monotonic() - begun) * rate - got))))
                    got += len(more)
                    if not more:
                        return True
            except BlockingIOError:
                pass
            except ConnectionError:
                return True
            return False

        if served:
            stays(lambda: not is_cut(), f"a reader of {rate} bytes a second to be served", 4)
            assert got > 3 * rate
        else:
            wait_until(is_cut, f"a reader of {rate} bytes a second to be cut", 20)


def test_frames_that_do_not_end(siege, visit):
    """Sixty strangers, each with most of a frame of sixteen megabytes: they share what is theirs, and are cut when frame_time is over, two seconds here."""
    begin, block = b"\x0bMSH|^~\\&|NOBODY|H01|\r", b"x" * (MIB // 2)
    with Neighbour(siege, visit), grows_less_than(siege, 60 * MIB), Crowd(siege.mllp, 60, begin) as crowd:
        begun, most = time.monotonic(), 0
        while crowd.push(block) or crowd.open():
            most = max(most, siege.metric("visitbill_memory_bytes", of="strangers"))
            assert time.monotonic() - begun < 15, "they are cut"
        assert MIB < most <= 32 * MIB, "the share of strangers"
    wait_until(lambda: siege.metric("visitbill_memory_bytes", of="strangers") < MIB, "the memory to be given back", 5)


def test_silent_ones_by_the_hundred(siege, visits):
    """More than there are places, from several addresses: a known feed gets in all the while, and keeps its place; they are cut after first_byte_time,
    a second here. One address has no more than its own places."""
    own, visit = visits(2)
    evicted = siege.metric("visitbill_evicted_connections_total", listener="mllp")
    with Neighbour(siege, visit), siege.lab.connect() as kept:
        assert kept.send(siege.lab.dft_message(own, ft1("before"))).code == "AA"
        with Crowd(siege.mllp, 5000 if LONG else 600, sources=5) as crowd:
            for n in range(10):
                with siege.lab.connect() as connection:
                    assert connection.send(siege.lab.dft_message(own, ft1(f"{n}"))).code == "AA"
            assert kept.send(siege.lab.dft_message(own, ft1("after"))).code == "AA"
            wait_until(lambda: crowd.open() == 0, "the silent ones to be cut", 10)
    assert siege.metric("visitbill_evicted_connections_total", listener="mllp") - evicted > 100
    assert len(siege.lines(own)) == 12

    evicted = siege.metric("visitbill_evicted_connections_total", listener="mllp")
    with Crowd(siege.mllp, 1100 if LONG else 200, b"\x0b") as crowd:
        wait_until(lambda: siege.metric("visitbill_evicted_connections_total", listener="mllp") - evicted >= 50, "the address's limit", 5)
        wait_until(lambda: crowd.open() == 0, "the half frames to be cut", 10)


def test_two_polite_peers_end(siege, visit):
    """Release 2: the sender tells with a commit block of its own that it has kept our answer. That is no message, and is not answered; neither is its
    complaint that it could not."""
    acks, naks, kept = (siege.metric(f"visitbill_mllp_{name}_received_total") for name in ("acks", "naks", "acks"))
    entries = siege.value("select count(*) from quarantine")
    feed = Feed(siege.mllp2, "CLINIC")
    with feed.connect() as connection:
        for n, commit in enumerate((b"\x06", b"\x15", b"\x06")):
            connection.write(frame(feed.dft_message(visit, ft1(f"{n}")).encode()))
            stored, ack = connection.frames(2)
            assert stored == b"\x06" and b"MSA|AA|" in ack, "nothing else has come meanwhile"
            connection.write(frame(commit))
    wait_until(lambda: siege.metric("visitbill_mllp_acks_received_total") == acks + 2, "the commit blocks to be counted", 5)
    assert siege.metric("visitbill_mllp_naks_received_total") == naks + 1 and kept == acks
    assert siege.value("select count(*) from quarantine") == entries and len(siege.lines(visit)) == 3


@pytest.mark.parametrize("content, starts", [
    (b"BHS|^~\\&|CLINIC|H01|VISITBILL|H01|20260101||||B1\rBTS|0\r", b"BHS|^~\\&|VISITBILL|H01|CLINIC|H01|"), (b"BTS|0\r", b"BHS|"), (b"FTS|0\r", b"BHS|"), (b"FHS|^~\\&\r", b"BHS|"), (b"", b"MSH|"),
    (b"\r", b"MSH|"), (b"\0", b"MSH|"), (b"MSH", b"MSH|"), (b"MSH|", b"MSH|"), (b"PID|1\r", b"MSH|"),
], ids=["an empty batch", "a lone BTS", "a lone FTS", "a lone FHS", "nothing", "a line end", "a NUL", "three letters", "four", "no header"])
def test_every_frame_is_answered(siege, content, starts):
    with siege.clinic.connect() as connection:
        connection.write(frame(content))
        (answer,) = connection.frames(1)
        assert answer.startswith(starts), answer
        if starts.startswith(b"BHS"):
            assert answer.rstrip(b"\r").rpartition(b"\r")[2].startswith(b"BTS|0|"), answer
        assert connection.send(siege.clinic.message("ADT^A28", f"EVN||{hl7_time()}", siege.clinic.pid("nobody"))).code == "AA"


# ---- fields that are too long

def test_a_line_with_a_megabyte_of_name(siege, visit):
    """It is refused with its place; its neighbours are booked."""
    ack = siege.clinic.dft(visit, ft1("1"), ft1("2", name="n" * 1000000), ft1("3"), ft1("4", code="c" * 5000), ft1("5", department="d" * 5000))
    assert (ack.code, [(place, reason) for place, _, reason in ack.errors]) == (
        "AE", [("FT1^2^7", "field_invalid"), ("FT1^4^7", "field_invalid"), ("FT1^5^13", "field_invalid")]), ack.errors
    assert set(siege.lines(visit)) == {("clinic", "1"), ("clinic", "3")}
    assert siege.kiosk.visit(visit)["total"] == "25.00"
    assert siege.clinic.dft(visit, ft1("s" * 5000)).reasons == ["field_invalid"]


def test_a_patient_with_a_megabyte_of_name(siege, visit):
    """Of a name, a number, a visit's number: refused with the place, nothing is opened or changed."""
    pid, pv1 = siege.clinic.pid, siege.clinic.pv1
    for segments, place in (((pid(visit, name="名" * 300000), pv1(visit)), "PID^1^5"), ((pid(visit, patient="p" * 1000000), pv1(visit)), "PID^1^3"),
                            ((pid(visit), pv1("v" * 1000000)), "PV1^1^19")):
        ack = siege.clinic.send(siege.clinic.message("ADT^A04", f"EVN||{hl7_time()}", *segments))
        assert ack.code in ("AE", "AR") and ack.reasons == ["field_invalid"] and ack.errors[0][0].startswith(place), (ack.errors, place)
    assert siege.value("select count(*) from visit where visit_no = %s or length(visit_no) > 200", visit) == 0


# ---- the log

def test_the_log_of_one_who_is_refused(siege, visit):
    """Thousands of refusals of one peer are a line or two, with a count."""
    nobody = Feed(siege.mllp, "NOBODY")
    bad = {"a stranger": frame(nobody.dft_message(visit, ft1("1", "x")).encode()), "a feed": frame(siege.lab.dft_message(visit, ft1("1", "x")).encode()),
           "no message": frame(b"hello")}
    for who, data in bad.items():
        seen, begun, count = len(siege.log()), time.monotonic(), 0
        with Connection(siege.mllp) as connection:
            while time.monotonic() - begun < SECONDS / 3:
                connection.write(data * 20)
                assert all(b"MSA|A" in answer for answer in connection.frames(20))
                count += 20
        assert count >= 100 and len(siege.log()) - seen < 3000, (who, count, len(siege.log()) - seen)
