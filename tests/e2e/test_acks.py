"""Acknowledgements: original and enhanced mode, their header, and how errors are told in old and new versions."""

import hl7
import pytest

from .feeds import Connection, frame, ft1, hl7_time

GOOD, BAD, REJECTED = "good", "bad", "rejected"


def message_of(house, visit, kind, **msh):
    if kind == REJECTED:
        return house.clinic.message("DFT^P99", house.clinic.pid(visit), house.clinic.pv1(visit), **msh)
    return house.clinic.dft_message(visit, ft1(amount="-1.00" if kind == BAD else "1.00"), **msh)


@pytest.mark.parametrize("accept, application, kind, codes", [
    ("", "", GOOD, ["AA"]), ("", "", BAD, ["AE"]), ("", "", REJECTED, ["AR"]),
    ("NE", "NE", GOOD, []), ("NE", "NE", BAD, []), ("NE", "NE", REJECTED, []),
    ("AL", "NE", GOOD, ["CA"]), ("AL", "NE", BAD, ["CE"]), ("AL", "NE", REJECTED, ["CR"]), ("AL", "", GOOD, ["CA"]),
    ("SU", "NE", GOOD, ["CA"]), ("SU", "NE", BAD, []), ("ER", "NE", GOOD, []), ("ER", "NE", BAD, ["CE"]), ("ER", "NE", REJECTED, ["CR"]),
    ("NE", "AL", GOOD, ["AA"]), ("NE", "AL", BAD, ["AE"]), ("NE", "ER", GOOD, []), ("NE", "ER", BAD, ["AE"]), ("NE", "SU", GOOD, ["AA"]),
    ("NE", "SU", BAD, []), ("", "AL", GOOD, ["AA"]), ("NE", "AL", REJECTED, ["AR"]),
    ("AL", "AL", GOOD, ["CA", "AA"]), ("AL", "AL", BAD, ["CA", "AE"]), ("AL", "AL", REJECTED, ["CR"]), ("AL", "ER", GOOD, ["CA"]),
    ("AL", "ER", BAD, ["CA", "AE"]), ("SU", "AL", GOOD, ["CA", "AA"]), ("ER", "AL", GOOD, ["AA"]), ("ER", "AL", REJECTED, ["CR"]),
])
def test_modes(house, visit, accept, application, kind, codes):
    """A message behind it shows what was sent, and that nothing more was."""
    with house.clinic.connect() as line:
        line.write(frame(message_of(house, visit, kind, accept=accept, application=application, control="ONE").encode()))
        line.write(frame(house.clinic.dft_message(visit, ft1("behind"), control="TWO").encode()))
        acks = line.acks(len(codes) + 1)
    assert [(ack.code, ack.control) for ack in acks] == [(code, "ONE") for code in codes] + [("AA", "TWO")], acks
    booked = house.lines(visit)
    assert len(booked) == (2 if kind == GOOD else 1) and booked[("clinic", "behind")] == 1250


def test_header(house, visit):
    """MSH-3/4 and 5/6 change places, 11, 12 and 18 are copied, MSH-10 is new and comes back in MSA-2 byte for byte."""
    control = r"A\T\B^1~2&x 中"
    message = house.clinic.message("ADT^A04^ADT_A01", house.clinic.pid(visit), house.clinic.pv1(visit), control=control, version="2.4",
                                   processing="T").replace("|VISITBILL|H01|", "|VB^1.2.3^ISO|H&1|", 1)
    with Connection(house.mllp) as line:
        first, second = line.send(message), line.send(message)
    fields = first.text.split("\r")[0].split("|")
    assert fields[:6] == ["MSH", r"^~\&", "VB^1.2.3^ISO", "H&1", "CLINIC", "H01"]
    assert (fields[8], fields[10:12], fields[17]) == ("ACK^A04^ACK", ["T", "2.4"], "UNICODE UTF-8")
    assert abs(int(fields[6][:12]) - int(hl7_time()[:12])) <= 1
    assert first.text.split("\r")[1] == f"MSA|AA|{control}"
    own = [ack.text.split("|")[9] for ack in (first, second)]
    assert own[0] != own[1] and control not in own and all(own)


@pytest.mark.parametrize("field, value, code, error, place", [
    (10, "", "AE", 101, "MSH^1^10"), (10, "  ", "AE", 101, "MSH^1^10"), (11, "X", "AR", 202, "MSH^1^11"), (11, "", "AR", 202, "MSH^1^11"),
    (12, "3.0", "AR", 203, "MSH^1^12"), (12, "", "AR", 203, "MSH^1^12"), (12, "2.5.x", "AR", 203, "MSH^1^12"),
])
def test_bad_header(house, visit, field, value, code, error, place):
    fields = house.clinic.adt_message("A04", visit).split("|")
    fields[field - 1] = value
    ack = house.clinic.send("|".join(fields))
    assert ack.code == code and f"{error}" in ack.text.split("\rERR")[1], ack
    if value != "3.0":      # that is answered in the old form
        assert ack.errors[0][:2] == (place, error), ack
    assert ack.control == (value if field == 10 else house.clinic.control)
    assert house.value("select count(*) from visit where visit_no = %s", visit) == 0
    assert house.clinic.adt("A04", visit).code == "AA", "the connection goes on"


def test_err_points_to_the_fields(house, visit):
    """One ERR for each bad line, in order, with the line's number and the field."""
    ack = house.clinic.dft(visit, ft1("1"), ft1("2", amount="1.00&USD"), ft1("3", quantity="x"), ft1("4", kind="??"), ft1("5", at="20261345"),
                           ft1("6", amount="", price="1.00"), ft1("7", amount="9.99", price="1.00", quantity="2"))
    assert ack.code == "AE"
    assert ack.errors == [("FT1^2^11", 103, "currency"), ("FT1^3^10", 102, "field_invalid"), ("FT1^4^6", 103, "type_unknown"),
                               ("FT1^5^4", 102, "date_absurd"), ("FT1^7^11", 102, "amount_mismatch")]
    assert house.lines(visit) == {("clinic", "1"): 1250, ("clinic", "6"): 100}


def test_err_before_version_2_5(house, visit):
    """The old ERR: segment, sequence, field and the code in one field."""
    ack = house.clinic.dft(visit, ft1("1"), ft1("2", amount="1.00&USD"), version="2.3.1")
    assert ack.code == "AE"
    segment = [segment for segment in ack.text.split("\r") if segment.startswith("ERR")]
    assert segment == ["ERR|FT1^2^11^103&Table value not found&HL70357"]
    assert house.lines(visit) == {("clinic", "1"): 1250}


def test_detail_is_escaped(house, visit):
    """What an error quotes from the message cannot break the acknowledgement."""
    ack = house.clinic.dft(visit, ft1("1", quantity=r"1\F\2\S\3"))
    assert ack.code == "AE" and len(ack.message) == 4, ack      # MSH MSA ERR ZBL
    assert ack.errors == [("FT1^1^10", 102, "field_invalid")]


def batch(*messages, count=None, file_count=1):
    count = len(messages) if count is None else count
    return f"FHS|^~\\&|CLINIC|H01\rBHS|^~\\&|CLINIC|H01|VB|H01|||||BATCH7\r{''.join(messages)}BTS|{count}\rFTS|{file_count}\r"


def test_batch(house, visits):
    one, two, three = visits(3)
    clinic = house.clinic
    content = batch(clinic.adt_message("A04", one, control="B1"), clinic.dft_message(one, ft1("1"), control="B2"),
                    clinic.dft_message(two, ft1("1", amount="-1"), control="B3"), clinic.dft_message(three, ft1("1", "7.00"), control="B4"))
    with clinic.connect() as line:
        line.write(frame(content.encode()) + frame(clinic.adt_message("A04", two, control="LAST").encode()))
        reply, last = (content.decode() for content in line.frames(2))
    answers = hl7.parse_batch(reply)
    assert [str(field) for field in answers.header[3:7]] == ["VB", "H01", "CLINIC", "H01"] and str(answers.header[12]) == "BATCH7"
    assert [(str(ack.segment("MSA")[1]), str(ack.segment("MSA")[2])) for ack in answers] == [("AA", "B1"), ("AA", "B2"), ("AE", "B3"), ("AA", "B4")]
    assert reply.startswith("BHS|^~\\&") and reply.split("\r")[-2].startswith("BTS|4")
    assert "MSA|AA|LAST" in last
    assert (house.lines(one), house.lines(two), house.lines(three)) == ({("clinic", "1"): 1250}, {}, {("clinic", "1"): 700})


@pytest.mark.parametrize("content, says", [
    (lambda a, b: batch(a, b, count=3), "BTS-1 says 3, 2 came"), (lambda a, b: batch(a, b, file_count=2), "FTS-1 says 2, 1 came"),
    (lambda a, b: "BHS|^~\\&|CLINIC|H01\r" + a + b, ""), (lambda a, b: a + b, ""), (lambda a, b: a + b + "BTS|2\r", ""),
])
def test_batch_envelopes(house, visit, content, says):
    """Every envelope segment is optional; a wrong count is reported and nothing is dropped."""
    clinic = house.clinic
    with clinic.connect() as line:
        line.write(frame(content(clinic.dft_message(visit, ft1("1")), clinic.dft_message(visit, ft1("2"))).encode()))
        reply = line.frames(1)[0].decode()
    assert reply.count("\rMSA|AA|") == 2 and says in reply, reply
    assert len(house.lines(visit)) == 2


def test_release_2_commits_before_it_answers(house, visit):
    with Connection(house.mllp2) as line:
        line.write(frame(house.clinic.dft_message(visit, ft1("1"), control="R1").encode())
                   + frame(house.clinic.dft_message(visit, ft1("2", amount="x"), control="R2").encode()))
        commit, ack, commit2, ack2 = line.frames(4)
    assert (commit, commit2) == (b"\x06", b"\x06"), "what has errors is stored too, in quarantine"
    assert b"MSA|AA|R1" in ack and b"MSA|AE|R2" in ack2
    assert house.lines(visit) == {("clinic", "1"): 1250}


def test_acknowledgements_are_not_acknowledged(house, visit):
    """Two systems that answer each other's answers would never stop."""
    with house.clinic.connect() as line:
        line.write(frame(f"MSH|^~\\&|CLINIC|H01|VB|H01|{hl7_time()}||ACK^A04|X1|P|2.5\rMSA|AA|1\r".encode()))
        line.write(frame(house.clinic.adt_message("A04", visit, control="X2").encode()))
        assert [ack.control for ack in line.acks(1)] == ["X2"]
