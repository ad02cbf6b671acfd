"""The MLLP connection itself: frames however they arrive, messages in flight, bytes that are no message, sizes, and that a connection goes on after
each bad message."""

import socket

import pytest

from .feeds import Connection, frame, ft1
from .live import wait_until


def test_in_flight_and_in_order(house, visits):
    """Three hundred messages in one write, good and bad ones of many visits: one acknowledgement each, in the order sent."""
    numbers, messages, expected = visits(30), [], []
    for i in range(300):
        bad = i % 7 == 3
        messages.append(house.clinic.dft_message(numbers[i % 30], ft1(f"F{i}", "1.00&USD" if bad else f"{i}.25"), control=f"Q{i}"))
        expected.append((f"Q{i}", "AE" if bad else "AA"))
    with house.clinic.connect() as line:
        line.write(b"".join(frame(message.encode()) for message in messages))
        acks = line.acks(300)
    assert [(ack.control, ack.code) for ack in acks] == expected
    booked = {(visit, source): amount for visit in numbers for (_, source), amount in house.lines(visit).items()}
    assert booked == {(numbers[i % 30], f"F{i}"): i * 100 + 25 for i in range(300) if i % 7 != 3}


def test_two_frames_in_one_write(house, visit):
    with house.clinic.connect() as line:
        line.write(frame(house.clinic.adt_message("A04", visit, control="ONE").encode()) + frame(house.clinic.dft_message(visit, ft1("1"), control="TWO").encode()))
        assert [(ack.control, ack.code) for ack in line.acks(2)] == [("ONE", "AA"), ("TWO", "AA")]
    assert house.lines(visit) == {("clinic", "1"): 1250}


def test_one_frame_byte_by_byte(house, visit):
    data = frame(house.clinic.dft_message(visit, ft1("1", name="阿莫西林")).encode())
    with house.clinic.connect() as line:
        line.client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            line.write(bytes([byte]))
        assert line.acks()[0].code == "AA"
    assert house.rows("select item_name, amount from charge join visit using (visit_id) where visit_no = %s", visit) == [("阿莫西林", 1250)]


def test_junk_between_frames(house, visit):
    """What is outside of a frame is skipped and counted; a frame that begins anew leaves the first start behind."""
    before = house.metric("visitbill_mllp_junk_bytes_total")
    one, two, three = (frame(house.clinic.dft_message(visit, ft1(str(n)), control=f"J{n}").encode()) for n in range(3))
    with house.clinic.connect() as line:
        line.write(b"GET / HTTP/1.1\r\n\r\n" + one + b"\r\n\x1c\r\x00\xff" + two + b"\x0bMSH|^~\\&|half a message" + three + b"more")
        assert [(ack.control, ack.code) for ack in line.acks(3)] == [("J0", "AA"), ("J1", "AA"), ("J2", "AA")]
    assert len(house.lines(visit)) == 3
    junk = len(b"GET / HTTP/1.1\r\n\r\n" + b"\r\n\x1c\r\x00\xff" + b"\x0bMSH|^~\\&|half a message" + b"more")
    wait_until(lambda: house.metric("visitbill_mllp_junk_bytes_total") == before + junk, "the junk to be counted")


@pytest.mark.parametrize("end", [b"\x1c", b"\x1c\n"])
def test_an_end_block_without_its_cr(house, visit, end):
    """1C cannot be text: it ends the frame. It is said once per connection, and counted."""
    before = house.metric("visitbill_mllp_bare_ends_total")
    with house.clinic.connect() as line:
        for n in range(3):
            line.write(b"\x0b" + house.clinic.dft_message(visit, ft1(str(n)), control=f"B{n}").encode() + end)
            assert line.acks()[0].code == "AA"
    assert len(house.lines(visit)) == 3
    wait_until(lambda: house.metric("visitbill_mllp_bare_ends_total") == before + 1, "the connection to be counted")


@pytest.mark.parametrize("content, code, reason", [
    (b"", "AE", "not_hl7"), (b"hello", "AE", "not_hl7"), (b"MSH", "AE", "not_hl7"), (b"MSH|", "AE", "not_hl7"), (b"\r\r\r", "AE", "not_hl7"),
    (b"MSH|^~\\&|CLINIC|H01", "AR", "message_type"), (b"\x00\x00\x00", "AE", "not_hl7"), (b"PID|1\rMSH|^~\\&|CLINIC|H01", "AE", "not_hl7"),
    (b"<ADT_A01><MSH/></ADT_A01>", "AE", "not_hl7"), (b"{\"visit_no\": 1}", "AE", "not_hl7"),
    (b"MSH|^~\\&|CLINIC|H01|VB|H01|20260101||ADT^A04|N1|P|2.5\rPID|1||P1\rPV1|1|O||||||||||||||||||V\xff\xfe1\r", "AE", "charset_invalid"),
    (b"MSH|^~\\&|CLINIC|H01|VB|H01|20260101||ADT^A04|N2|P|2.5||||||KLINGON\rPID|1||P\xe9\rPV1|1|O\r", "AE", "charset_unknown"),
    (b"MSH|^~\\&|CLINIC|H01|VB|H01|20260101||ADT^A04|N3|P|2.5\rPID|1||P1\rPV1|1|O\r", "AE", "visit_missing"),
    (b"MSH|^~\\&|CLINIC|H01|VB|H01|20260101||ADT^A40|N4|P|2.5\rPID|1||P1\rPV1|1|O|||||||||||||||||V1\r", "AE", "segment_missing"),
    (b"MSH|||||||CLINIC|H01|VB|H01|20260101||ADT^A04|N5|P|2.5\r", None, None),
])
def test_connection_goes_on_after_a_bad_message(house, visit, content, code, reason):
    """Each is answered in the standard's way and kept in quarantine with its bytes; the neighbour behind it is booked."""
    behind = house.clinic.dft_message(visit, ft1("1"), control=f"behind-{visit}").encode()
    with house.clinic.connect() as line:
        line.write(frame(content) + frame(behind))
        bad, good = line.frames(2)
    assert f"MSA|AA|behind-{visit}".encode() in good and house.lines(visit) == {("clinic", "1"): 1250}
    if code is None:
        assert b"MSA" in bad and b"AA" not in bad
        return
    assert f"MSA|{code}|".encode() in bad and reason.encode() in bad, bad
    kept = house.rows("select reason from quarantine join quarantine_message using (message_id) join quarantine_kept using (message_id) where bytes = %s and content_type = 'hl7'", content)
    assert kept == [(reason,)]


def test_no_lines(house, visit):
    ack = house.clinic.dft(visit)
    assert (ack.code, ack.errors) == ("AE", [("FT1^1", 100, "no_lines")])
    assert house.quarantined(visit_no=visit)[0]["reason"] == "no_lines"


def test_five_thousand_lines(house, visit):
    """One message, one answer, to the fen; and all of it again is all duplicates."""
    message = house.clinic.dft_message(visit, *(ft1(f"M{i}", f"{i}.01", category=f"{i % 14 + 1:02}") for i in range(5000)))
    total = sum(range(5000)) * 100 + 5000
    with Connection(house.mllp) as line:
        first, again = line.send(message), line.send(message)
    assert first.code == "AA" and first.zbl == [visit, "5000", "0", "0", f"{total // 100}.{total % 100:02}", "open"], first
    assert again.code == "AA" and again.zbl[1:5] == ["0", "5000", "0", first.zbl[4]], again
    assert house.rows("select count(*), sum(amount)::bigint, min(line_no), max(line_no) from charge join visit using (visit_id) where visit_no = %s",
                      visit) == [(5000, total, 1, 5000)]


def test_five_thousand_lines_with_bad_ones_among_them(house, visit):
    message = house.clinic.dft_message(visit, *(ft1(f"M{i}", "-1.00" if i % 100 == 50 else "1.00") for i in range(5000)))
    ack = house.clinic.send(message)
    assert ack.code == "AE" and ack.zbl[1:5] == ["4950", "0", "50", "4950.00"]
    assert [location for location, _, _ in ack.errors] == [f"FT1^{i + 1}^11" for i in range(50, 5000, 100)]
    assert len(house.quarantined(visit_no=visit)) == 50


def test_more_lines_than_the_limit(annex, visit):
    """The whole message is refused and kept; nothing of it is booked. The limit of the annex is 100."""
    assert annex.clinic.charge(visit, *(ft1(f"A{i}") for i in range(100))).zbl[1] == "100"
    message = annex.clinic.dft_message(visit, *(ft1(f"B{i}") for i in range(101)))
    ack = annex.clinic.send(message)
    assert (ack.code, set(ack.reasons)) == ("AE", {"too_large"}), ack
    assert len(annex.lines(visit)) == 100
    kept = annex.quarantined(visit_no=visit)
    assert kept[0]["reason"] == "too_large" and kept[0]["bytes"] == message.encode()
    assert annex.clinic.charge(visit, ft1("C1")).zbl[1] == "1", "the connection goes on"


def test_frame_larger_than_the_limit(annex, visit):
    """A frame that never ends cannot fill the memory: the connection is cut, and the log says why. What came before it is answered, others are unharmed."""
    other = annex.clinic.connect()
    with annex.clinic.connect() as line:
        assert line.send(annex.clinic.dft_message(visit, ft1("1"))).code == "AA"
        try:
            line.write(b"\x0b" + annex.clinic.dft_message(visit, ft1("2")).encode() + b"x" * 200_000)
        except ConnectionError:
            pass
        assert line.is_closed()
    wait_until(lambda: "frame too large" in annex.log(), "the log to say it")
    assert other.send(annex.clinic.dft_message(visit, ft1("3"))).code == "AA"
    other.close()
    assert set(annex.lines(visit)) == {("clinic", "1"), ("clinic", "3")}


def test_end_of_stream_behind_messages(house, visit):
    """A sender that closes its side after its messages still gets every answer."""
    with house.clinic.connect() as line:
        line.write(b"".join(frame(house.clinic.dft_message(visit, ft1(f"E{n}"), control=f"E{n}").encode()) for n in range(20)))
        line.client.socket.shutdown(socket.SHUT_WR)
        assert [ack.control for ack in line.acks(20)] == [f"E{n}" for n in range(20)]
        assert line.is_closed()
    assert len(house.lines(visit)) == 20


def test_sender_that_leaves(house, visit):
    """Messages of a connection that is gone are booked all the same, and only once when they are sent again."""
    message = house.clinic.dft_message(visit, *(ft1(f"G{n}") for n in range(200)))
    for _ in range(3):
        with house.clinic.connect() as line:
            line.write(frame(message.encode()))
    wait_until(lambda: len(house.lines(visit)) == 200, "the lines to be booked")
    assert house.clinic.send(message).zbl[1:5] == ["0", "200", "0", "2500.00"]


def test_many_connections(house, visits):
    numbers = visits(100)
    lines = [house.clinic.connect() for _ in numbers]
    for line, visit in zip(lines, numbers):
        line.write(frame(house.clinic.dft_message(visit, ft1("1"), control=visit).encode()))
    for line, visit in zip(lines, numbers):
        assert [(ack.control, ack.code) for ack in line.acks()] == [(visit, "AA")]
        line.close()
    assert all(house.lines(visit) == {("clinic", "1"): 1250} for visit in numbers)
