"""How messages would be read: POST /v1/feeds/{feed}/try and visitbillctl feed try. What they say is what sending the same bytes does, and they do nothing."""

import json
import os
import pathlib
import re
import subprocess
import unicodedata

import pytest

from .feeds import frame, ft1, hl7_time
from .test_vectors import TABLE, frames_of

OF_THE_DATABASE = {"conflict", "reversal_exceeds", "reversal_of_reversal", "price_unknown", "visit_cancelled", "original_unknown"}


def tried(house, data, feed="*", client=None):
    data = data if isinstance(data, bytes) else data.encode()
    return (client or house.desk).post(f"/v1/feeds/{feed}/try", data, content_type="application/octet-stream")


def read(house, data, feed="*"):
    reply = tried(house, data, feed)
    assert reply.status == 200, reply
    return reply.json


def ctl(house, *arguments, data=None, token=None):
    environment = os.environ | {"VISITBILL_OPS_TOKEN": token or house.tokens["ops"]}
    return subprocess.run([house.env["VISITBILL_CTL"], "-c", house.env["VISITBILL_CONF"], "feed", "try", *map(str, arguments)], capture_output=True,
                          input=data, timeout=60, env=environment, check=False)


def state_of(house):
    """What a trial must not change."""
    return house.rows("select (select count(*) from visit), (select count(*) from charge), (select count(*) from quarantine), (select count(*) from event),"
                      " (select count(*) from quarantine_message), (select count(*) from quarantine_kept)")


def test_a_charge_line_by_line(house, visit):
    message = house.clinic.dft_message(visit, ft1("A", "", quantity="2.5", price="1.20", code="X01", name="血常规", category="04", at="20260115100000"),
                                       ft1("B", "3.00", kind="CD", reverses="A", at="20260115100000"), ft1("C", "-3.00"), ft1("D", "1e3"))
    before = state_of(house)
    answer = read(house, message, "clinic")
    assert answer["feed"] == "clinic" and answer["notes"] == [] and "database" in answer["unsaid"]
    one, = answer["messages"]
    assert (one["type"], one["event"], one["feed"], one["facility"], one["control_id"]) == ("DFT", "P03", "clinic", "H01", house.clinic.control)
    assert one["sender"] == {"application": "CLINIC", "facility": "H01", "feed": "clinic"}
    assert one["visit"] == {"visit_no": visit, "visit_no_from": "PV1^1^19", "patient_no": f"PN-{visit}", "patient_name": "郝隐私", "class": "outpatient"}
    first, second, third, fourth = one["lines"]
    assert first == {"line": 1, "source_line": "A", "kind": "CG", "code": "X01", "name": "血常规", "quantity": "2.5", "unit_price": "1.2", "amount": "3.00",
                     "category": "04", "charged_at": "2026-01-15T10:00:00+08:00", "department": "内科", "performer": "王医", "order_no": "O1"}
    assert (second["kind"], second["source_line"], second["reverses"], second["amount"]) == ("CD", "B", "A", "3.00")
    assert third["refused"]["reason"] == "amount_negative" and third["refused"]["location"] == "FT1^3^11"
    assert fourth["refused"]["reason"] == "field_invalid"
    ack, = one["acknowledgements"]
    assert f"\rMSA|AE|{house.clinic.control}|" in ack and ack.count("\rERR|") == 2 and "ZBL" not in ack
    assert state_of(house) == before, "nothing was booked or kept"
    sent = house.clinic.send(message)
    assert sent.code == "AE" and sent.errors == [("FT1^3^11", 102, "amount_negative"), ("FT1^4^11", 102, "field_invalid")]


def test_events_and_where_a_number_came_from(house, visits):
    one, two = visits(2)
    clinic = house.clinic
    text = clinic.adt_message("A03", one, at=None) + clinic.message(
        "ADT^A42", f"EVN||{hl7_time()}", clinic.pid(one), f"MRG|PN-{two}||||{two}", clinic.pv1(one)) + clinic.message(
        "ADT^A04", f"EVN||{hl7_time()}", clinic.pid(one) + f"{'|' * 10}{two}", "PV1|1|E")
    discharge, merge, opening = read(house, text)["messages"]
    assert discharge["events"][0]["kind"] == "discharge" and discharge["events"][0]["visit_no"] == one
    assert merge["events"][0]["kind"] == "merge" and merge["events"][0]["other_visit_no"] == two
    event, = opening["events"]
    assert (event["kind"], event["visit_no"], event["visit_no_from"], event["class"], event["birth_date"]) == ("open", two, "PID^1^18", "emergency", "1990-01-31")
    assert all("|AA|" in m["acknowledgements"][0] for m in (discharge, merge, opening))
    assert house.rows("select 1 from visit where visit_no = any (%s)", [one, two]) == []


def test_frames_and_batches(house, visit):
    one, two = house.clinic.dft_message(visit, ft1("1", "1.00")), house.clinic.dft_message(visit, ft1("2", "2.00"))
    answer = read(house, b"junk" + frame(one.encode()) + b"\x0b\x06\x1c\r" + frame(two.encode()) + b"\x0bMSH|half")
    assert [m["lines"][0]["source_line"] for m in answer["messages"]] == ["1", "2"]
    assert any("4 bytes" in note for note in answer["notes"]) and any("commit block" in note for note in answer["notes"])
    assert any("does not end" in note for note in answer["notes"])
    answer = read(house, f"FHS|^~\\&|CLINIC|H01\rBHS|^~\\&|CLINIC|H01\r{one}{two}BTS|3\rFTS|1\r")
    assert len(answer["messages"]) == 2 and answer["notes"] == ["BTS-1 says 3, 2 came"]
    answer = read(house, (one + two).replace("\r", "\n"))
    assert [m["lines"][0]["amount"] for m in answer["messages"]] == ["1.00", "2.00"]
    answer = read(house, b"\x0b\x1c\r")
    assert answer["messages"][0]["refused"]["reason"] == "not_hl7"


def test_bytes_that_are_no_text(house):
    one, = read(house, b"MSH|^~\\&|CLINIC|H01|||20260115||ADT^A04|M\xff1|P|2.5\rPID|1||\xfe\r", "clinic")["messages"]
    assert one["refused"]["reason"] == "charset_invalid" and one["control_id"] == "M?1" and "|AE|M?1" in one["acknowledgements"][0]
    text = "MSH|^~\\&|PHARMACY|H01|||20260115||ADT^A04|M1|P|2.5||||||GB 18030-2000\rPID|1||P7||珅^玘\rPV1|1|O|||||||||||||||||V7\r"
    one, = read(house, text.encode("gb18030"))["messages"]
    assert one["feed"] == "pharmacy" and one["events"][0]["patient_name"] == "珅玘"


def test_what_is_wrong_with_a_sender(house, visit):
    text = house.clinic.dft_message(visit, ft1("1", "1.00")).replace("|CLINIC|", "|XRAY|")
    one, = read(house, text)["messages"]
    assert "feed" not in one and one["sender"]["reason"] == "feed_unknown" and "|AE|" in one["acknowledgements"][0] and "feed_unknown" in one["acknowledgements"][0]
    one, = read(house, text, "clinic")["messages"]
    assert one["feed"] == "clinic" and "feed" not in one["sender"] and "|AA|" in one["acknowledgements"][0]


def test_whose_it_is_to_ask(annex, visit):
    text = annex.clinic.dft_message(visit, ft1("1", "1.00"))
    for client in (annex.nobody, annex.kiosk, annex.ward):
        assert tried(annex, text, "clinic", client).status in (401, 403)
    assert tried(annex, text, "clinic", annex.ops).status == 200
    one, two = (annex.client(f"desk-of-facility-{facility}-only") for facility in ("H01", "H02"))
    assert tried(annex, text, "clinic", one).status == 200 and tried(annex, text, "clinic2", one).status == 404
    assert tried(annex, text, "clinic2", two).status == 200 and tried(annex, text, "clinic", two).status == 404
    assert tried(annex, text, "*", one).json["messages"][0]["feed"] == "clinic"
    assert "feed" not in tried(annex, text, "*", two).json["messages"][0]["sender"], "a feed of another facility is as none"
    assert tried(annex, text, "xray").status == 404 and tried(annex, "", "clinic").status == 422


def test_what_is_ignored_and_what_is_an_acknowledgement(annex):
    one, two, three = read(annex, annex.lab.message("ORU^R01", annex.lab.pid("V")) + annex.lab.message("ADT^A61", annex.lab.pid("V"))
                           + annex.lab.message("ACK", "MSA|AA|1"), "lab")["messages"]
    assert one["ignored"] is True and "|AA|" in one["acknowledgements"][0]
    assert "ignored" not in two and "|AR|" in two["acknowledgements"][0]
    assert three["acknowledgements"] == []


def test_what_is_not_plausible_is_said(house, visit):
    one, = read(house, house.clinic.dft_message(visit, ft1("q", quantity="100001", amount="", price="0.01")))["messages"]
    assert one["lines"][0]["refused"]["reason"] == "implausible" and "implausible" in one["acknowledgements"][0]


def test_a_large_body_holds_nobody_up(house, visit):
    """A thousand small messages, then no more of them; one message of all lines that are taken."""
    answer = read(house, "MSH|^~\\&|CLINIC|H01\r" * 5000, "clinic")
    assert len(answer["messages"]) == 1000 and any("first 1000" in note for note in answer["notes"])
    lines = "\r".join(ft1(f"{n}", "1.00", at="20260115100000") for n in range(10000))
    one, = read(house, house.clinic.dft_message(visit, lines))["messages"]
    assert len(one["lines"]) == 10000 and "|AA|" in one["acknowledgements"][0]


PRICES = ("MFI|CDM||UPD||20260301|AL", "MFE|MAD|E1|20260101|{0}-1^普通床位费|CWE", "CDM|{0}-1|B1|普通床位费||||001109", "ZCD|日|A|0.1", "PRC|{0}-1||||45.5&CNY|||||||||01",
          "MFE|MUP|E2||{0}-1|CWE", "PRC|{0}-1||||47", "MFE|MDC|E3|20260401|{0}-1|CWE", "MFE|MUP|E4|20260101|{0}-2|CWE", "PRC|{0}-2||||free", "MFE|XYZ|E5|20260101|{0}-3|CWE",
          "PRC|{0}-3||||1&USD")


def test_a_price_list_entry_by_entry(house, visit):
    """What is told of each entry is what sending it keeps, and the acknowledgement is that of sending, entry by entry."""
    message = house.clinic.message("MFN^M04^MFN_M04", *(segment.format(visit) for segment in PRICES))
    items = "select code, valid_from::text, name, unit, national_code, unit_price_e6, category, class, self_pay_e4 from item where code like %s order by 1, 2"
    before = state_of(house), house.rows(items, f"{visit}-%")
    one, = read(house, message)["messages"]
    assert before == (state_of(house), house.rows(items, f"{visit}-%")) and before[1] == [], "nothing was kept"
    assert one["events"] == one["lines"] == [] and "refused" not in one
    first, second, third, fourth, fifth = one["entries"]
    assert first == {"entry": 1, "entry_id": "E1", "event": "MAD", "action": "put", "day": "2026-01-01", "code": f"{visit}-1", "name": "普通床位费", "unit": "日",
                     "national_code": "001109", "unit_price": "45.5", "category": "01", "class": "A", "self_pay_ratio": "0.1"}
    assert second == {"entry": 2, "entry_id": "E2", "event": "MUP", "action": "put", "day": "2026-03-01", "code": f"{visit}-1", "unit_price": "47"}, "MFI-5's day"
    assert (third["action"], third["day"]) == ("end", "2026-04-01")
    assert (fourth["refused"]["reason"], fourth["refused"]["location"]) == ("field_invalid", "PRC^3^5") and "unit_price" not in fourth
    assert (fifth["refused"]["reason"], fifth["refused"]["location"]) == ("type_unknown", "MFE^5^1")
    ack, = one["acknowledgements"]
    told = [segment for segment in ack.split("\r") if segment[:3] in ("MSA", "ERR", "MFI", "MFA")]
    assert [segment.split("|")[4] for segment in told if segment.startswith("MFA")] == ["S", "S", "S", "U", "U"]
    sent = house.clinic.send(message)
    assert [segment for segment in sent.text.split("\r") if segment[:3] in ("MSA", "ERR", "MFI", "MFA")] == told
    rows = house.rows(items, f"{visit}-%")
    assert rows[0] == (f"{visit}-1", "2026-01-01", "普通床位费", "日", "001109", 45_500_000, 1, "A", 1000) and rows[1][1:6:4] == ("2026-03-01", 47_000_000)
    done = ctl(house, "-", data=message.encode())
    out = done.stdout.decode()
    assert done.returncode == 1 and "0 of 1 would be accepted" in out and "REFUSED field_invalid at PRC^3^5" in out and "    MFA|MUP|E4||U|" in out
    assert re.search(r"1 +E1 +MAD +in the list from +2026-01-01 +\S+-1 +普通床位费 +日 +45\.5 +01 +A +0\.1 +001109", out), out
    assert re.search(r"3 +E3 +MDC +no longer from +2026-04-01", out), out


def test_a_large_price_list_holds_nobody_up(house, visit):
    entries = "\r".join(f"MFE|MAD|{n}|20260101|{visit}-{n}|CWE\rCDM|{visit}-{n}||item\rPRC|{visit}-{n}||||{n}|||||||||05" for n in range(10000))
    one, = read(house, house.clinic.message("MFN^M04^MFN_M04", "MFI|CDM||UPD|||AL", entries))["messages"]
    assert [entry["entry"] for entry in one["entries"]] == list(range(1, 10001)) and one["acknowledgements"][0].count("\rMFA|MAD|") == 10000
    assert house.rows("select 1 from item where code like %s", f"{visit}-%") == []


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_vector_is_told_as_it_is_answered(house, name):
    """By the table of the vectors: what is told is what is sent, but for what the database alone refuses."""
    row = TABLE[name]
    answer = read(house, b"".join(map(frame, frames_of(name))))
    told = [re.search(r"\rMSA.([AC][AER])", ack)[1] for message in answer["messages"] for ack in message["acknowledgements"]]
    if row.waits & OF_THE_DATABASE:
        assert len(told) == len(row.codes) and all(one in (code, "AA") for one, code in zip(told, row.codes)), (told, row.codes)
    else:
        assert told == row.codes, answer
    reasons = {one["refused"]["reason"] for message in answer["messages"] for one in (message, *message["lines"]) if "refused" in one}
    assert reasons | (row.waits & OF_THE_DATABASE) == row.waits | ({"original_unknown"} & row.waits), (reasons, row.waits)


def width(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_the_tool_prints_it_for_people(house, visit, tmp_path):
    path = pathlib.Path(tmp_path) / "message.hl7"
    text = house.clinic.dft_message(visit, ft1("A", "12.50", code="A01", name="阿莫西林胶囊", category="09", at="20260115100000"),
                                    ft1("B2", "1.00", code="X", name="blood count", at="20260115100000"), ft1("C", "-1.00", name="项"))
    path.write_text(text, "utf-8", newline="")
    done = ctl(house, path, "--feed", "clinic")
    out = done.stdout.decode()
    assert done.returncode == 1 and done.stderr == b"", done
    assert f"1: DFT^P03 {house.clinic.control}" in out and f"{visit} (PV1^1^19)" in out and "REFUSED amount_negative at FT1^3^11" in out
    assert "    MSA|AE|" in out and "0 of 1 would be accepted" in out
    rows = [line for line in out.splitlines() if "2026-01-15 10:00" in line]
    assert len(rows) == 2 and len({width(row[:row.index("2026-01-15")]) for row in rows}) == 1, "columns stand under each other, Chinese or not"
    done = ctl(house, "-", "--json", data=text.encode())
    assert done.returncode == 0 and json.loads(done.stdout)["messages"][0]["visit"]["visit_no"] == visit
    good = house.clinic.dft_message(visit, ft1("A", "12.50"))
    assert ctl(house, "-", data=good.encode()).returncode == 0
    assert house.rows("select 1 from visit where visit_no = %s", visit) == []


def test_the_tool_says_why_not(house, tmp_path):
    assert ctl(house).returncode == 2
    assert ctl(house, "-", "--feed", "a/b", data=b"x").returncode == 2
    done = ctl(house, "-", "--feed", "xray", data=b"MSH|")
    assert done.returncode == 1 and b"404" in done.stderr and b"no feed of that name" in done.stderr
    done = ctl(house, tmp_path / "none.hl7")
    assert done.returncode == 1 and b"cannot read" in done.stderr
    done = ctl(house, "-", data=b"MSH|", token="wrong-token-wrong-token")
    assert done.returncode == 1 and b"401" in done.stderr


def test_help_is_help(house):
    for word in ("--help", "-h"):
        done = subprocess.run([house.env["VISITBILL_CTL"], word], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("visitbillctl ") and "usage: visitbillctl" in done.stdout and "feed try FILE" in done.stdout and done.stderr == ""
    done = subprocess.run([house.env["VISITBILL_CTL"], "feed", "try", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: visitbillctl feed try FILE")
