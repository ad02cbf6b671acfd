"""Four vendors whose charges no default reads: each has a profile of its own, and what it means is booked. Their messages are our own, in the style of what
such systems send: accounts alone number visits, items stand in FT1-25, returns are negative charges, codes are theirs, no currency is said, FT1 is
counted anew in each message, patients have several numbers. And a dispensing machine that knows patients, and no visits."""

import itertools
import os
import subprocess

import pytest

from .feeds import Feed, hl7_time
from .live import House, wait_until

_numbers = itertools.count(1)

VENDORS = {
    # a clinic system of the kind of MIE's and Cosyte's samples: no PV1, the account in PID-18, the procedure in FT1-25 where FT1-7 is blank, no amount for some
    "feed clinicsys": {"facility": "H01", "application": "WCDataSend", "sending_facility": "SENDING_FAC", "visit_no": "PID-18", "patient_no": "type MR",
                       "line_id": "MSH-10/FT1-1", "code": "FT1-7 FT1-25"},
    # an American ward system: dollars-like codes of its own for yuan, FT1-2 blank, the order's number identifies, procedures
    "feed wardsys": {"facility": "H01", "application": "IMMAPP", "sending_facility": "GHHSFacility", "visit_no": "PV1-50 PV1-19 PID-18",
                     "patient_no": "authority HOSP", "line_id": "FT1-23 FT1-2", "code": "FT1-25 FT1-7", "currencies": "156 CNY", "classes": "IMP=inpatient"},
    # a Chinese HIS of its own codes, that takes back by negative quantities of the same id
    "feed oldhis": {"facility": "H01", "application": "OLDHIS", "visit_no": "PID-18 PV1-19", "charset": "GB 18030-2000", "types": "1=CG 2=CD 3=PY",
                    "classes": "1=outpatient 2=emergency 3=inpatient", "sexes": "1=M 2=F", "departments": "0201=内科 0305=检验科", "negative": "credit"},
    # a laboratory that sends a negative line of its own id, and names the original; orders and results beside them are not for billing
    "feed newlab": {"facility": "H01", "application": "NEWLAB", "negative": "credit", "line_id": "FT1-2 MSH-10/FT1-1", "ignore": "ORU ORM", "a40": "visits"},
    # a dispensing machine of the wards: patients by their number, and no visit
    "feed machine": {"facility": "H01", "application": "MACHINE", "visit_no": "PV1-19 patient inpatient", "zbl": "yes"},
    # a point-of-care device that says the class, where it knows it
    "feed device": {"facility": "H01", "application": "DEVICE", "visit_no": "patient"},
}


@pytest.fixture(scope="module", name="house")
def _house():
    with House(VENDORS) as house:
        yield house


@pytest.fixture
def account():
    return f"D{next(_numbers):04}"


def send(house, text, encoding="utf-8"):
    feed = Feed(house.mllp, "ANY")
    feed.encoding = encoding
    return feed.send(text.replace("\n", "\r") + "\r")


def charges(house, account):
    """source_line: (kind, code, name, fen, department)"""
    return {row[0]: row[1:] for row in house.rows(
        "select source_line, kind, item_code, item_name, amount, c.department from charge c join visit using (visit_id) where visit_no = %s", account)}


def told(house, text, encoding="utf-8"):
    """What a trial says of the one message."""
    reply = house.desk.post("/v1/feeds/*/try", text.replace("\n", "\r").encode(encoding), content_type="application/octet-stream")
    message, = reply.json["messages"]
    return message


def tried_by_ctl(house, text):
    path = house.folder / "tried.hl7"
    path.write_text(text.replace("\n", "\r"), "utf-8")
    return subprocess.run([house.env["VISITBILL_CTL"], "-c", house.env["VISITBILL_CONF"], "feed", "try", str(path)], capture_output=True, text=True, timeout=60,
                          env=os.environ | {"VISITBILL_OPS_TOKEN": house.tokens["ops"]}, check=False).stdout


def clinicsys(account, control, *lines):
    return "\n".join([
        f"MSH|^~\\&|WCDataSend|SENDING_FAC|RECEIVING_APP|RECEIVING_FAC|{hl7_time()}||DFT^P03|{control}|P|2.5||||||",
        f"PID|1|10476|999999999^^^^SS~10476-{account}^^^MR&1.3.6.1.4.1.21367&ISO^MR||Duck^Daffy||20100201|M||||||||||{account}|", *lines])


def test_a_clinic_system_that_numbers_by_account_and_codes_by_procedure(house, account):
    text = clinicsys(account, f"DSD{account}", "FT1|1|||20260212000000||CG|76775|||1|30.00|||||407^^^^TEST ||I|440.0~441.4|20^Stewart^Patrick||||20^Stewart^Patrick|",
                     "FT1|2|||20260212000000||CG||||2||15.50|||||||||||||99011^first op visit")
    assert told(house, text)["visit"]["visit_no_from"] == "PID^1^18"
    assert send(house, text).code == "AA"
    assert charges(house, account) == {
        f"DSD{account}/1": ("CG", "76775", None, 3000, None), f"DSD{account}/2": ("CG", "99011", "first op visit", 3100, None)}
    assert house.kiosk.visit(account)["patient"]["patient_no"] == f"10476-{account}", "the medical record's number, not the first"
    assert send(house, clinicsys(account, f"DSE{account}", "FT1|1|||20260212000000||CG|76775|||1|30.00")).code == "AA"
    assert len(charges(house, account)) == 3, "counted anew in each message: another line"
    assert send(house, text).code == "AA" and len(charges(house, account)) == 3, "a resend is none"


def wardsys(account, control, *lines):
    return "\n".join([
        f"MSH|^~\\&|IMMAPP|GHHSFacility^2.16.840.1.122848.1.30^ISO|EHRApp|GHHRFacility|{hl7_time()}|SECURITY|DFT^P03^DFT_P03|{control}|P|2.8|||||CHN||zh",
        "EVN||20260115", f"PID|1||X{account}^^^CITY^NI~H{account}^5^M11^HOSP&2.16.1&HCD^MR||EVERYMAN&&&&Aniston^ADAM||198808181126+0215|M",
        f"PV1|1|IMP|HUH AE OMU&9.8&ISO^OMU B||||||||||||||||IN-{account}{'|' * 31}{account}", *lines])


def test_a_ward_system_with_its_currency_and_alternate_numbers(house, account):
    text = wardsys(account, f"M{account}", "FT1|1|||20260112|20260112|CG|71045^Xray exam^C4|||2|100&156|50&156|RAD-1^Radiology||||||||||ORD-1||71045^Xray exam chest^C4",
                   "FT1|2|T-2||20260112|20260112|CG|626.2|||1|120&156||||||||||||||99011^first op visit", "FT1|3|T-3||20260112||CG|A|||1|70&USD")
    ack = send(house, text)
    assert ack.code == "AE" and ack.errors == [("FT1^3^11", 103, "currency")]
    assert charges(house, account) == {"ORD-1": ("CG", "71045", "Xray exam chest", 10000, "Radiology"), "T-2": ("CG", "99011", "first op visit", 12000, None)}
    seen = house.kiosk.visit(account)
    assert (seen["class"], seen["patient"]["patient_no"], seen["total"]) == ("inpatient", f"H{account}", "220.00")
    assert house.rows("select 1 from visit where visit_no = %s", f"IN-{account}") == []


def oldhis(account, event, control, *segments):
    return "\n".join([f"MSH|^~\\&|OLDHIS|H01|VISITBILL|H01|{hl7_time()}||{event}|{control}|P|2.3",
                      f"PID|1||P{account}||珅^玘||19800101|2||||||||||{account}", f"PV1|1|3||||||||0201|||||||||", *segments])


def test_an_old_his_of_its_own_codes_that_takes_back_by_negative_quantities(house, account):
    assert send(house, oldhis(account, "ADT^A01", f"A{account}"), "gb18030").code == "AA"
    seen = house.kiosk.visit(account)
    assert (seen["class"], seen["patient"]["sex"], seen["department"], seen["patient"]["name"]) == ("inpatient", "F", "内科", "珅玘")
    text = oldhis(account, "DFT^P03", f"B{account}", "FT1|1|10001||20260115||1|A01^阿莫西林|||4||12.50|0305^Lab", "FT1|2|10002||20260115||1|B02^血常规|||1|20.00||0999^骨科",
                  "FT1|3|10003||20260115||3||||1|15.00")
    assert send(house, text, "gb18030").code in ("AA", "AE")
    back = oldhis(account, "DFT^P03", f"C{account}", "FT1|1|10001||20260115||1|A01^阿莫西林|||-1|-12.50|12.50|0305^Lab")
    message = told(house, back, "gb18030")
    assert message["lines"][0]["kind"] == "CD" and message["lines"][0]["reverses"] == "10001"
    assert send(house, back, "gb18030").code == "AA"
    assert send(house, back, "gb18030").code == "AA", "a resend takes nothing back again"
    lines = charges(house, account)
    assert lines["10001"] == ("CG", "A01", "阿莫西林", 5000, "检验科") and lines["10002"][4] == "骨科"
    assert lines[f"10001/CD/C{account}/1"][0::3] == ("CD", -1250)
    ack = send(house, oldhis(account, "DFT^P03", f"D{account}", "FT1|1|10001||20260115||1|A01^阿莫西林|||-4||12.50"), "gb18030")
    assert ack.code == "AE" and "102" in ack.text, "never more than the line has left"
    ack = send(house, oldhis(account, "DFT^P03", f"E{account}", "FT1|1|10009||20260115||1|A01|||-1||12.50"), "gb18030")
    assert ack.code == "AA"
    entry, = house.quarantined(visit_no=account, source_line=f"10009/CD/E{account}/1")
    assert entry["reason"] == "original_unknown" and entry["outcome"] is None, "of a line that never came: a person decides"


def newlab(account, event, control, *segments):
    return "\n".join([f"MSH|^~\\&|NEWLAB|H01|VISITBILL|H01|{hl7_time()}||{event}|{control}|P|2.5.1", f"PID|1||P{account}^^^H01^PI||王^芳",
                      f"PV1|1|O|||||||||||||||||{account}", *segments])


def test_a_laboratory_whose_returns_have_ids_of_their_own(house, account):
    assert send(house, newlab(account, "DFT^P03", f"A{account}", "FT1|1|S1||20260115||CG|X01^血常规|||1|20.00", "FT1|2|S2||20260115||CG|X02^生化|||1|80.00")).code == "AA"
    ack = send(house, newlab(account, "DFT^P03", f"B{account}", "FT1|1|S3||20260115||CG|X02^生化|||1|-80.00", "ZRV|S2", "FT1|2|||20260115||CG|X03^免疫|||1|35.00",
                             "FT1|3|S5||20260115||CG|X02|||-1||-80.00"))
    assert ack.code == "AE" and ack.errors == [("FT1^3^10", 102, "amount_negative")], "twice negative could be either"
    lines = charges(house, account)
    assert {name: row[3] for name, row in lines.items()} == {"S1": 2000, "S2": 8000, "S3": -8000, f"B{account}/2": 3500}
    assert send(house, newlab(account, "ORU^R01", f"C{account}", "OBR|1")).code == "AA"
    assert send(house, newlab(account, "ORM^O01", f"D{account}", "ORC|NW")).code == "AA"
    assert house.kiosk.visit(account)["total"] == "55.00"


def by_patient(application, patient, control, *segments, kind=""):
    return "\n".join([f"MSH|^~\\&|{application}|H01|VISITBILL|H01|{hl7_time()}||DFT^P03|{control}|P|2.5.1", f"PID|1||{patient}^^^H01^PI||王^芳", f"PV1|1|{kind}", *segments])


@pytest.fixture(name="patient")
def _patient():
    return f"PT-{next(_numbers):04}"


def admit(house, patient, kind="I"):
    visit = f"E{next(_numbers):04}"
    assert house.clinic.adt("A01", visit, kind=kind, patient=patient).code == "AA"
    return visit


def test_a_machine_that_knows_patients_and_no_visits(house, patient):
    drug = "FT1|1|{}||20260115080000||CG|X1^药|||1|{}"
    first, outside = admit(house, patient), admit(house, patient, "O")
    text = by_patient("MACHINE", patient, "M1", drug.format("D1", "5.00"), "FT1|2|D2||20260115080000||PY||||1|3.00")
    message = told(house, text)
    assert (message["visit"]["open_visit"], message["visit"]["visit_no_from"], "visit_no" in message["visit"]) == ("inpatient", "PID^1^3", False)
    assert "the one open inpatient visit of the patient (PID^1^3)" in tried_by_ctl(house, text)
    ack = send(house, text)
    assert ack.code == "AE" and ack.errors == [("FT1^2^6", 101, "visit_missing")] and ack.zbl == [first, "1", "0", "1", "5.00", "open"]
    assert charges(house, first).keys() == {"D1"} and charges(house, outside) == {}
    text = by_patient("MACHINE", patient, "M2", drug.format("D3", "7.00"))
    assert send(house, text).code == "AA"
    assert house.clinic.adt("A03", first, patient=patient).code == "AA"
    ack = send(house, text)
    assert ack.code == "AA", ("a resend, after the discharge", ack)
    ack = send(house, by_patient("MACHINE", patient, "M3", drug.format("D4", "1.00")))
    assert ack.code == "AE" and ack.errors == [("PID^1^3", 204, "visit_unknown")] and "no open inpatient visit" in ack.text and ack.zbl == ["", "0", "0", "1", "", ""]
    entry = house.quarantined(source_line="D4")[-1]
    assert (entry["reason"], entry["detail"], entry["visit_no"]) == ("visit_unknown", "the patient has no open inpatient visit", None)
    second = admit(house, patient)
    assert send(house, text).code == "AA" and charges(house, second) == {}, "nor is it the next visit's"
    third = admit(house, patient)
    ack = send(house, by_patient("MACHINE", patient, "M4", drug.format("D5", "1.00")))
    assert ack.errors == [("PID^1^3", 204, "visit_ambiguous")] and "has 2 open inpatient visits" in ack.text
    assert house.clinic.adt("A11", third, patient=patient).code == "AA"
    for source in ("D4", "D5"):
        assert house.desk.post(f"/v1/quarantine/{house.quarantined(source_line=source)[-1]['quarantine_id']}/replay").json["outcome"] == "posted"
    assert charges(house, second).keys() == {"D4", "D5"}
    back = by_patient("MACHINE", patient, "M5", "FT1|1|D6||20260115080000||CD|X1|||1|5.00", "ZRV|D1", "FT1|2|D7||20260115080000||CD|X1|||1|2.00", "ZRV|D9")
    assert send(house, back).code == "AA"
    assert charges(house, first)["D6"][3] == -500, "a credit goes to what it takes back, with what came beside it"
    entry, = house.quarantined(source_line="D7")
    assert (entry["reason"], entry["visit_no"]) == ("original_unknown", first)
    head = by_patient("MACHINE", patient, "M6", drug.format("D9", "2.00")).replace("PV1|1|", f"PV1|1|I{'|' * 17}{first}")
    assert send(house, head).code == "AA", "a number says it, where there is one"
    wait_until(lambda: "D7" in charges(house, first), "the held credit", 10)


def test_a_device_that_says_the_class(house, patient):
    drug = "FT1|1|{}||20260115080000||CG|X1^药|||1|1.00"
    inside, outside = admit(house, patient), admit(house, patient, "O")
    assert send(house, by_patient("DEVICE", patient, "N1", drug.format("1"), kind="I")).code == "AA"
    assert send(house, by_patient("DEVICE", patient, "N2", drug.format("2"), kind="O")).code == "AA"
    assert send(house, by_patient("DEVICE", patient, "N3", drug.format("3"))).reasons == ["visit_ambiguous"]
    assert send(house, by_patient("MACHINE", patient, "N4", drug.format("4"), kind="O")).reasons == ["visit_unknown"]
    assert send(house, by_patient("DEVICE", "", "N5", drug.format("5"))).errors == [("PID^1^3", 101, "visit_missing")]
    assert (charges(house, inside).keys(), charges(house, outside).keys()) == ({"1"}, {"2"})
    assert send(house, by_patient("DEVICE", patient, "N6", "").replace("DFT^P03", "ADT^A03")).reasons == ["visit_missing"], "events need a number"


def test_without_its_profile_none_of_it_is_booked(house, account):
    """The same bytes, read as a feed that sets nothing."""
    def told_as_clinic(text, encoding="utf-8"):
        message, = house.desk.post("/v1/feeds/clinic/try", text.replace("\n", "\r").encode(encoding), content_type="application/octet-stream").json["messages"]
        return message
    assert told_as_clinic(wardsys(account, "M", "FT1|1|T||20260112||CG|A|||1|70&156"))["lines"][0]["refused"]["reason"] == "currency"
    assert told_as_clinic(clinicsys(account, "M", "FT1|1|||20260212||CG||||2||15.50|||||||||||||99011"))["lines"][0]["refused"]["location"] == "FT1^1^7"
    assert told_as_clinic(oldhis(account, "DFT^P03", "M", "FT1|1|1||20260115||1|A|||1|1.00"), "gb18030")["refused"]["reason"] == "charset_invalid"
    assert told_as_clinic(newlab(account, "DFT^P03", "M", "FT1|1|1||20260115||CG|A|||1|-1.00"))["lines"][0]["refused"]["reason"] == "amount_negative"


def test_the_books_agree(house):
    assert house.broken() == []
