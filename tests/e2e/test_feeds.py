"""Who may send: feeds and facilities that are not configured, and character sets."""

import pytest

from .feeds import Feed, ft1


@pytest.mark.parametrize("application, facility, reason, place", [
    ("NOBODY", "H01", "feed_unknown", "MSH^1^3"), ("CLINIC", "H99", "facility_unknown", "MSH^1^4"), ("", "H01", "feed_unknown", "MSH^1^3"),
    ("CLINIC", "", "facility_unknown", "MSH^1^4"), ("clinic", "H01", "feed_unknown", "MSH^1^3"),
])
def test_strangers_are_refused_counted_and_kept(house, visit, application, facility, reason, place):
    stranger = Feed(house.mllp, application, facility)
    parked, lines, messages = (house.metric("visitbill_quarantine", reason=reason), house.metric("visitbill_lines_total", feed="unknown", outcome=reason),
                               house.metric("visitbill_messages_total", feed="unknown", result="error"))
    dft = stranger.dft_message(visit, ft1("1"), ft1("2"))
    for message in (stranger.adt_message("A04", visit), dft):
        ack = stranger.send(message)
        assert ack.code == "AE" and set(ack.errors) == {(place, 204, reason)}, ack
    assert house.value("select count(*) from visit where visit_no = %s", visit) == 0
    assert house.metric("visitbill_quarantine", reason=reason) == parked + 3, "the ADT and two lines"
    assert house.metric("visitbill_lines_total", feed="unknown", outcome=reason) == lines + 2
    assert house.metric("visitbill_messages_total", feed="unknown", result="error") == messages + 2
    kept = house.rows("select reason, q.feed_id, ordinal from quarantine q join quarantine_kept using (message_id) where bytes = %s order by 3", dft.encode())
    assert kept == [(reason, None, 1), (reason, None, 2)]


def test_same_application_at_two_facilities(annex, visit):
    """MSH-3 is a feed of its MSH-4: the same number at two facilities is two visits."""
    other = Feed(annex.mllp, "CLINIC", "H02")
    annex.clinic.charge(visit, ft1("1", "1.00"))
    other.charge(visit, ft1("1", "200.00"))
    assert annex.rows("select f.code, total, 'over_limit' = any (visit_flags(visit)) from visit join facility f using (facility_id) where visit_no = %s order by 1", visit) == [
        ("H01", 100, False), ("H02", 20000, True)], "the second facility's limit is 100.00"
    assert annex.lines(visit) == {("clinic", "1"): 100, ("clinic2", "1"): 20000}


NAME, ITEM = "珅^玘", "玘珅丸(大蜜丸)"


def test_gb_18030(house, visit):
    """Trail bytes of 珅 and 玘 are | and ^: the text is converted before its fields are split, and the answer comes in the sender's set."""
    message = house.pharmacy.dft_message(visit, ft1("1", "3.20", name=ITEM, department="玘科")).replace("郝隐私", NAME)
    raw = message.encode("gb18030")
    assert b"\xabC"[:1] in raw and "珅".encode("gb18030") == b"\xab|" and "玘".encode("gb18030") == b"\xab^"
    assert house.pharmacy.send(raw).code == "AA"
    assert house.kiosk.visit(visit)["patient"]["name"] == "珅玘"
    assert house.rows("select item_name, charge.department, amount, source_line from charge join visit using (visit_id) where visit_no = %s", visit) == [
        (ITEM, "玘科", 320, "1")]
    bad = house.pharmacy.dft_message(visit, ft1("2", quantity="玘"))
    with house.pharmacy.connect() as line:
        ack = line.send(bad.encode("gb18030"))
    assert ack.code == "AE" and '"玘"' in ack.text and ack.errors[0][0] == "FT1^1^10"
    assert house.quarantined(visit_no=visit)[0]["bytes"] == bad.encode("gb18030")


def test_gb_18030_is_said_by_the_settings(annex, visit):
    """Where MSH-18 is blank the feed's charset counts."""
    quiet = Feed(annex.mllp, "PHARMACY", charset="", encoding="gb18030")
    quiet.charge(visit, ft1("1", name=ITEM))
    assert annex.value("select item_name from charge join visit using (visit_id) where visit_no = %s", visit) == ITEM
    ack = quiet.dft(visit, ft1("2", quantity="玘"))
    assert ack.code == "AE" and '"玘"' in ack.text


@pytest.mark.parametrize("charset, codec, text", [
    ("", "ascii", "Aspirin 100 mg"), ("", "utf-8", "阿司匹林"), ("UNICODE UTF-8", "utf-8", "😀 阿司匹林"), ("8859/1", "latin-1", "Müller café"),
    ("8859/15", "iso8859-15", "5 €"), ("GB 18030-2000", "gb18030", "𠀀㐀阿"), ("BIG-5", "big5", "阿斯匹靈"), ("unicode utf-8", "utf-8", "é"),
])
def test_character_sets(house, visit, charset, codec, text):
    feed = Feed(house.mllp, "LAB", charset=charset, encoding=codec)
    message = feed.dft_message(visit, ft1("1", name=text, department="X")).replace("郝隐私", "N").replace("项目", "I").replace("内科", "D").replace("门诊楼", "L")
    assert feed.send(message.replace("王^医", "W^D")).code == "AA"
    assert house.value("select item_name from charge join visit using (visit_id) where visit_no = %s", visit) == text


def test_bytes_that_are_not_their_character_set(house, visit):
    """Refused, and every byte kept: 0xFF is nowhere in UTF-8 nor GB 18030."""
    for feed in (house.clinic, house.pharmacy):
        raw = feed.dft_message(visit, ft1("1")).encode(feed.encoding).replace(b"X1^", b"X1\xff\xff^")
        ack = feed.send(raw)
        assert (ack.code, ack.reasons) == ("AE", ["charset_invalid"])
        assert house.value("select count(*) from quarantine_kept where bytes = %s", raw) == 1
    assert house.value("select count(*) from visit where visit_no = %s", visit) == 0
