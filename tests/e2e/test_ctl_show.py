"""What visitbillctl shows: visits and bills on a page, QR codes, quarantined messages; and what it does with the latter."""

import http.server
import json
import re
import threading
import uuid

import pytest

from . import qr_reader
from .cluster import ROLE
from .hospital import close, post, public_id, quarantine, visit_event, width

pytest_plugins = ["e2e.cluster", "e2e.hospital"]

# ---- visits and bills ---------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [0, 80, 93, 100])
def test_bill_s_rows_are_equally_wide(bills, columns):
    page = bills.ctl("bill", "show", "V1", env={"COLUMNS": str(columns)})
    assert {width(line) for line in page.splitlines()} == {columns or 80}


def test_bill_reads_as_a_patient_likes(bills):
    page = bills.ctl("bill", "show", "V1")
    assert "杭州市第一人民医院" in page and "王芳 (P1)" in page and "内科" in page
    for row in ("普通门诊挂号费 +1 次 × 1.00 +1.00", "阿莫西林胶囊0.25g +24 粒 × 0.1875 +4.50", "退 阿莫西林胶囊0.25g +-12 粒 × 0.1875 +-2.25",
                "小计 西药费 +2.25", "09 西药费 western drugs", "普通病房床位费.*… +1.5 日 × 45.00 +67.50", "合计 Total +1234638.64",
                "已付 Paid +0.00", "待付 Outstanding +1234638.64"):
        assert re.search(row, page), row
    assert page.index("01 床位费") < page.index("09 西药费") < page.index("13 挂号费") < page.index("14 其他费")
    short = bills.ctl("bill", "show", "V1", "--no-lines")
    assert "阿莫西林" not in short and re.search("09 西药费 western drugs +2.25", short)
    assert {width(line) for line in short.splitlines()} == {80}


def test_bill_is_found_by_each_of_its_names(bills):
    page = bills.ctl("bill", "show", "V1")
    assert bills.ctl("bill", "show", "H01/V1") == page
    assert bills.ctl("bill", "show", public_id(bills)) == page
    for name in ("V9", "H02/V1", "1", ""):
        assert bills.ctl("bill", "show", name, status=1) == f"visitbillctl: there is no bill {name}\n"


def test_bill_s_name_may_be_ambiguous(billed):
    billed.query("insert into facility (code, name, grace, late_grace, due_after, outpatient_limit, inpatient_limit)"
                 " values ('H02', '', '1 s', '1 s', '1 h', 1, 1)")
    billed.query("insert into visit (facility_id, visit_no, line_count, total) select facility_id, 'V1', 0, 0 from facility where code = 'H02'")
    billed.query("insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, generation, first_line, last_line, total, subtotals,"
                 " personal_cash, due_at) select 'other', facility_id, visit_id, 1, 'V1', 'bill', 1, 1, 1, 0, array_fill(0::bigint, array[14]), 0, now()"
                 " from visit join facility f using (facility_id) where f.code = 'H02'")
    assert "2 bills are called V1: say H01/V1, H02/V1" in billed.ctl("bill", "show", "V1", status=1)
    billed.ctl("bill", "show", "H01/V1")


def test_paid_supplement_and_silent_feeds(billed):
    billed.query("select outcome from payment_create(%s, null, 'cash', '', 1000, 'desk', 'k1', %s, '5 min', '{*}')",
                 [public_id(billed), str(uuid.uuid4())], role=ROLE)
    page = billed.ctl("bill", "show", "V1")
    assert re.search("已付 Paid +10.00", page) and re.search(r"现金  收据 H01-\d{4}-000001 +10.00", page)
    assert {width(line) for line in page.splitlines()} == {80}
    # a late line below nothing: a credit note, applied to the first bill
    assert post(billed, "V1", {"source": "9", "kind": "CD", "reverses": "2", "quantity": 120000}) == ["late"]
    billed.query("set session_replication_role = replica; update visit set late_since = '2026-01-01'; update facility set late_grace = '0'")
    billed.query("select visits_close(10)", role=ROLE)
    note, page = billed.ctl("bill", "show", "V1/A1"), billed.ctl("bill", "show", "H01/V1")
    assert "退费单 credit note" in note and re.search("账单 V1 +-2.25", note) and re.search("待付 Outstanding +0.00", note)
    assert re.search("抵扣 Credited +2.25", page) and re.search("账单 V1/A1 +2.25", page)
    assert {width(line) for line in (note + page).splitlines()} == {80}
    # issued although a feed was silent
    billed.query("set session_replication_role = replica; update bill set silent_feeds = '{lab,pharmacy}' where bill_no = 'V1'")
    assert "lab pharmacy" in billed.ctl("bill", "show", "V1")
    shown = billed.ctl("visit", "show", "H01", "V1")
    for part in ("billed", "V1/A1", "credit_note", "cash", "succeeded", "discharged → billed", "P1", "内科"):
        assert part in shown, part


def test_void_bill_and_its_note(billed):
    assert visit_event(billed, "reopen", "V1") == "done"
    assert "已作废 void" in (page := billed.ctl("bill", "show", "V1")) and "taken back by note V1/V" in page
    assert "takes bill V1 back" in (note := billed.ctl("bill", "show", "V1/V"))
    assert {width(line) for line in (note + page).splitlines()} == {80}


def test_what_feeds_send_cannot_steer_the_terminal(hospital):
    post(hospital, "V\x1b[2J", {"source": "1", "amount": 100, "category": 9, "name": "a\x1b[31m\r\x07\u202eb"}, patient="x\x9by")
    close(hospital, "V\x1b[2J")
    for said in (hospital.ctl("bill", "show", "V\x1b[2J"), hospital.ctl("visit", "show", "H01", "V\x1b[2J")):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)


@pytest.mark.parametrize("text", ["weixin://wxpay/bizpayurl?pr=4dF8a9QzZ", "A", "付款 " * 12, "x" * 106])
@pytest.mark.parametrize("color", [[], ["--color"]])
def test_qr_code_can_be_read(bills, text, color):
    page = bills.ctl("bill", "show", "V1", "--qr", text, *color)
    code = page[page.rindex("\n\n"):]
    assert qr_reader.read(code) == text
    assert ("\033" in code) == bool(color)


def test_qr_code_of_too_much(bills):
    assert "too long" in bills.ctl("bill", "show", "V1", "--qr", "x" * 4000, status=1)


def test_visit_show_of_nobody(bills):
    assert bills.ctl("visit", "show", "H01", "V9", status=1) == "visitbillctl: facility H01 has no visit V9\n"


# ---- quarantine ---------------------------------------------------------------------------------------

HL7 = ("MSH|^~\\&|PHARMACY|H01|VB|H01|20260115093000||DFT^P03|M7|P|2.5||||||GB 18030-2000\r"
       "PID|1||P1||王^珅\rPV1|1|O|||||||||||||||||V1\rFT1|1|L-6||20260115||CG|A^阿莫西林|||1|1.00\rFT1|2|L-7||20260115||CG|B^青霉素|||1|x.50\r")


def test_quarantine_of_hl7(hospital):
    entry = quarantine(hospital, HL7.encode("gb18030"), ordinal=2, location="FT1^2^11", detail="\"x.50\" is not a decimal number")
    assert re.search(rf"{entry} .*pharmacy +field_invalid +H01/V1 +L-7 +\"x.50\" is not", hospital.ctl("quarantine", "list"))
    shown = hospital.ctl("quarantine", "show", entry)
    assert "field_invalid: a field is not valid" in shown and "10.0.0.7:4711" in shown and "GB 18030-2000" in shown
    marked = [line for line in shown.splitlines() if line.startswith(">")]
    assert marked == ["> FT1|2|L-7||20260115||CG|B^青霉素|||1|x.50", "> FT1-11 is \"x.50\""]
    assert "  PID|1||P1||王^珅" in shown.splitlines()


def test_quarantine_of_bytes_that_are_no_text(hospital):
    entry = quarantine(hospital, b"MSH|^~\\&|PHARMACY|H01|||||DFT^P03|M7|P|2.5||||||UNICODE UTF-8\rFT1|1|\xb0\xa2\x1b[2J\r", location="FT1^3^2")
    shown = hospital.ctl("quarantine", "show", entry)
    assert "which its bytes are not" in shown and "  FT1|1|\\xB0\\xA2\\x1B[2J" in shown and "no FT1 number 3" in shown


def test_quarantine_of_a_long_message(hospital):
    long = HL7 + "".join(f"FT1|{i}|S-{i}\r" for i in range(3, 5001))
    entry = quarantine(hospital, long.encode("gb18030"), ordinal=2500)
    shown = hospital.ctl("quarantine", "show", entry)
    assert "> FT1|2500|S-2500" in shown and "segments, see --full" in shown and len(shown.splitlines()) < 40
    assert len(hospital.ctl("quarantine", "show", entry, "--full").splitlines()) > 5000


def test_quarantine_of_json(hospital):
    body = {"as_of": "2026-01-15T09:30:00+08:00", "lines": [{"source_line": "a"}, {"source_line": "b", "name": "青霉素", "amount": "1.5x"}]}
    entry = quarantine(hospital, json.dumps(body, ensure_ascii=False).encode(), kind="json", ordinal=2, location="/lines/1/amount")
    marked = [line for line in hospital.ctl("quarantine", "show", entry).splitlines() if line.startswith(">")]
    assert marked[0] == "> /lines/1" and marked[-1] == "> /lines/1/amount is \"1.5x\"" and any("青霉素" in line for line in marked)
    entry = quarantine(hospital, b'{"lines": [', kind="json", ordinal=0)
    assert '{"lines": [' in hospital.ctl("quarantine", "show", entry)


def test_quarantine_dismiss(hospital):
    entry = quarantine(hospital, HL7.encode("gb18030"))
    other = quarantine(hospital, HL7.encode("gb18030"), reason="currency")
    assert "say --why" in hospital.ctl("quarantine", "dismiss", entry, status=2)
    assert hospital.ctl("quarantine", "dismiss", entry, "--why", "test order, 测试") == f"{entry}: dismissed\n"
    assert "resolved already" in hospital.ctl("quarantine", "dismiss", entry, "--why", "again", status=1)
    assert "no quarantine entry 99" in hospital.ctl("quarantine", "dismiss", 99, "--why", "x", status=1)
    (outcome, why, by), = hospital.query("select outcome, why, resolved_by from quarantine_resolution")
    assert (outcome, why) == ("dismissed", "test order, 测试") and by
    listed = hospital.ctl("quarantine", "list")
    assert re.search(rf"^ *{other} .* currency ", listed, re.MULTILINE) and "field_invalid" not in listed
    assert "dismissed: test order" in hospital.ctl("quarantine", "list", "--all")
    assert "currency" not in hospital.ctl("quarantine", "list", "--all", "--reason", "field_invalid")
    page = hospital.ctl("quarantine", "list", "--all", "--limit", 1)
    assert f"older ones may follow: --after {other}" in page and "field_invalid" not in page
    assert "field_invalid" in hospital.ctl("quarantine", "list", "--all", "--limit", 1, "--after", other)
    assert "dismissed: test order, 测试, by " in hospital.ctl("quarantine", "show", entry)
    assert json.loads(hospital.ctl("books", "--json"))["lines"]["dismissed"] == 1


def test_quarantine_list_by_filter(hospital):
    one = quarantine(hospital, HL7.encode("gb18030"))
    two = quarantine(hospital, b"{}", feed="clinic", reason="currency", detail="EUR is not CNY")
    today = hospital.query("select to_char(now() at time zone interval '8 h', 'YYYY-MM-DD')")[0][0]
    for words, ids in (([], [one, two]), (["--feed", "clinic"], [two]), (["--reason", "field_invalid"], [one]), (["--text", "eur"], [two]), (["--visit", "V1"], [one, two]),
                       (["--visit", "V2"], []), (["--day", today], [one, two]), (["--day", "2026-01-01"], []), (["--from", "2026-01-01T00:00", "--text", "l-7"], [one, two]),
                       (["--until", "2026-01-01"], []), (["--feed", "unknown"], []), (["--oldest", "--limit", 1], [one]), (["--limit", 1], [two])):
        listed = hospital.ctl("quarantine", "list", *words)
        assert re.findall(r"^ *(\d+) +20", listed, re.MULTILINE) == [str(id) for id in ids], (words, listed)
    assert "--day is not a day" in hospital.ctl("quarantine", "list", "--day", "yesterday", status=2)
    assert "one way is enough" in hospital.ctl("quarantine", "list", "--day", today, "--from", today, status=2)


def test_quarantine_dismiss_many(hospital):
    ids = [quarantine(hospital, HL7.encode("gb18030"), ordinal=n, reason="currency") for n in range(1, 8)] + [quarantine(hospital, b"{}", feed="clinic")]
    assert "an ID, or a filter" in hospital.ctl("quarantine", "dismiss", "--why", "x", status=2)
    assert "goes without a filter" in hospital.ctl("quarantine", "dismiss", ids[0], "--feed", "lab", "--why", "x", status=2)
    assert "say --why" in hospital.ctl("quarantine", "dismiss", "--reason", "currency", "--yes", status=2)
    for words in (["--dry-run"], ["--dry-run", "--yes"], ["--why", "tests"]):
        said = hospital.ctl("quarantine", "dismiss", "--reason", "currency", *words)
        assert re.search(r"^ *7 +pharmacy +currency$", said, re.MULTILINE) and "nothing was dismissed" in said and f"{ids[0]}  20" in said
    assert hospital.query("select count(*) from quarantine_resolution") == [(0,)]
    assert "7 dismissed" in hospital.ctl("quarantine", "dismiss", "--reason", "currency", "--why", "tests", "--yes")
    assert hospital.query("select count(*), min(why), max(outcome) from quarantine_resolution") == [(7, "tests", "dismissed")]
    assert "nothing waits that this means" in hospital.ctl("quarantine", "dismiss", "--reason", "currency", "--why", "tests", "--yes")
    assert re.findall(r"^ *(\d+) +20", hospital.ctl("quarantine", "list"), re.MULTILINE) == [str(ids[7])]


def test_quarantine_shows_the_component(hospital):
    """Of a field with components and repetitions, the one that is meant, with the message's own delimiters."""
    bytes = b"MSH|^~\\&|PHARMACY|H01|||||DFT^P03|M7|P|2.5\rFT1|1|L-7||20260115||CG|A^x~B^y^z\r"
    for location, said in (("FT1^1^7^2^2", '> FT1-7 (2).2 is "y"'), ("FT1^1^7^1^1", '> FT1-7.1 is "A"'), ("FT1^1^7^1^3", "> FT1-7.3 is empty"), ("FT1^1^7", '> FT1-7 is "A^x~B^y^z"')):
        entry = quarantine(hospital, bytes, location=location, reason=f"r{location[-1]}{location[-3]}{len(location)}")
        assert said in hospital.ctl("quarantine", "show", entry).splitlines()


@pytest.mark.parametrize("code, answer, status, said", [
    (200, {"id": 7, "outcome": "posted", "state": "resolved"}, 0, "7: posted, resolved"),
    (200, {"id": 7, "outcome": "conflict", "state": "waiting", "detail": "booked otherwise"}, 1, ""),
    (404, {"title": "Not found", "detail": "no such quarantine entry"}, 1, "the daemon answered 404: no such quarantine entry"),
    (500, "not json", 1, "the daemon answered 500"),
])
def test_quarantine_replay_asks_the_daemon(hospital, monkeypatch, code, answer, status, said):
    monkeypatch.setenv("VISITBILL_OPS_TOKEN", "ops-token-of-the-tests")
    asked = []

    class Daemon(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers["Authorization"]))
            body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Daemon) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hospital.configure(http_port=server.server_port)
        assert said in hospital.ctl("quarantine", "replay", 7, status=status)
        server.shutdown()
    assert asked == [("/v1/quarantine/7/replay", "Bearer ops-token-of-the-tests")]


def test_quarantine_replay_without_a_daemon(hospital, monkeypatch):
    monkeypatch.delenv("VISITBILL_OPS_TOKEN", raising=False)
    assert "VISITBILL_OPS_TOKEN" in hospital.ctl("quarantine", "replay", 7, status=1)
    monkeypatch.setenv("VISITBILL_OPS_TOKEN", "ops-token-of-the-tests")
    assert "visitbilld does not answer at 127.0.0.1:1" in hospital.ctl("quarantine", "replay", 7, status=1)
    assert hospital.ctl("quarantine", "show", "x", status=2).startswith("visitbillctl: x is not a number")


