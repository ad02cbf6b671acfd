"""ADT and BAR over MLLP: what each event makes of a visit, as a kiosk and the database see it."""

import pytest

from .feeds import Feed, ft1, hl7_time


def states(house, visit):
    """The visit's changes of state, oldest first."""
    return [row[0] for row in house.rows(
        "select to_state from event join visit using (visit_id) where kind = 'visit' and visit_no = %s order by event_id", visit)]


@pytest.mark.parametrize("event, kind, visit_class", [
    ("A01", "I", "inpatient"), ("A04", "O", "outpatient"), ("A04", "E", "emergency"), ("A05", "P", "outpatient"),
])
def test_open(house, visit, event, kind, visit_class):
    ack = house.clinic.adt(event, visit, kind=kind, name="欧阳^隐私", patient="PN-7")
    assert (ack.code, ack.control, ack.errors) == ("AA", house.clinic.control, [])
    seen = house.kiosk.visit(visit)
    assert (seen["state"], seen["class"], seen["flags"], seen["total"], seen["lines"]) == ("open", visit_class, [], "0.00", 0)
    assert seen["patient"] == {"patient_no": "PN-7", "name": "欧阳隐私", "birth_date": "1990-01-31", "sex": "F"}
    assert (seen["department"], seen["location"], seen["discharged_at"]) == ("内科", "门诊楼^^^H01", None)
    assert seen["admitted_at"] and seen["credit_limit"] == ("15000.00" if kind == "I" else "5000.00")


def test_open_again_changes_nothing(house, visit):
    message = house.clinic.adt_message("A04", visit)
    assert [house.clinic.send(message).code for _ in range(3)] == ["AA"] * 3
    assert house.clinic.adt("A01", visit).code == "AA"          # another event of the same visit
    assert house.value("select count(*) from visit where visit_no = %s", visit) == 1
    assert states(house, visit) == ["open"]


def test_transfer_and_update(house, visit):
    clinic = house.clinic
    clinic.adt("A01", visit, kind="I")
    pid = clinic.pid(visit)
    assert clinic.send(clinic.message("ADT^A02", pid, clinic.pv1(visit, "I", "住院部^301^2"))).code == "AA"
    assert house.kiosk.visit(visit)["location"] == "住院部^301^2"
    assert clinic.send(clinic.message("ADT^A08", clinic.pid(visit, name="郝^改名", sex=""), clinic.pv1(visit, "", ""))).code == "AA"
    seen = house.kiosk.visit(visit)
    assert (seen["patient"]["name"], seen["patient"]["sex"]) == ("郝改名", "F"), "an empty field changes nothing"
    assert (seen["class"], seen["location"]) == ("inpatient", "住院部^301^2")
    assert clinic.send(clinic.message("ADT^A08", clinic.pid(visit, sex='""'), clinic.pv1(visit, "", '""'))).code == "AA"
    seen = house.kiosk.visit(visit)
    assert (seen["patient"]["sex"], seen["location"], seen["department"]) == (None, None, "内科"), '"" deletes the value'


def test_discharge_and_its_cancellation(house, visit):
    clinic = house.clinic
    clinic.adt("A04", visit)
    clinic.charge(visit, ft1("1"))
    moment = hl7_time()
    assert clinic.send(clinic.message("ADT^A03", clinic.pid(visit), clinic.pv1(visit, discharged=moment))).code == "AA"
    seen = house.kiosk.visit(visit)
    assert (seen["state"], seen["discharged_at"].replace("-", "").replace("T", "").replace(":", "")[:14]) == ("discharged", moment[:14])
    assert clinic.adt("A13", visit).code == "AA"
    assert (house.kiosk.visit(visit)["state"], house.kiosk.visit(visit)["discharged_at"]) == ("open", None)
    assert states(house, visit) == ["open", "discharged", "open"]
    clinic.charge(visit, ft1("2"))
    assert house.kiosk.visit(visit)["total"] == "25.00"


def test_cancelled_discharge_of_an_unknown_visit(house, visit):
    ack = house.clinic.adt("A13", visit)
    assert ack.code == "AE" and ack.errors[0][1:] == (204, "visit_unknown"), ack
    assert house.value("select count(*) from visit where visit_no = %s", visit) == 0
    assert [q["reason"] for q in house.quarantined(visit_no=visit)] == ["visit_unknown"]


def test_cancelled_admit(house, visit):
    house.clinic.adt("A01", visit)
    message = house.clinic.adt_message("A11", visit)
    assert house.clinic.send(message).code == "AA"
    assert house.kiosk.visit(visit)["state"] == "cancelled"
    assert house.clinic.send(message).code == "AA", "a resend is harmless"
    ack = house.clinic.dft(visit, ft1("1"))
    assert (ack.code, ack.reasons) == ("AE", ["visit_cancelled"])
    assert house.lines(visit) == {} and len(house.quarantined(visit_no=visit)) == 1


@pytest.mark.parametrize("event", ["A28", "A31"])
def test_patient_update(house, visits, event):
    one, two, other = visits(3)
    for visit in (one, two):
        house.clinic.adt("A04", visit, patient=f"P-{one}")
    house.clinic.adt("A04", other)
    ack = house.clinic.send(house.clinic.message(f"ADT^{event}", house.clinic.pid(one, name="司马^新名", patient=f"P-{one}", sex="M")))
    assert ack.code == "AA"
    for visit in (one, two):
        patient = house.kiosk.visit(visit)["patient"]
        assert (patient["name"], patient["sex"]) == ("司马新名", "M")
    assert house.kiosk.visit(other)["patient"]["sex"] == "F"


def test_merge_of_patients_without_visits(house, visit):
    house.clinic.adt("A04", visit, patient=f"OLD-{visit}")
    ack = house.clinic.send(house.clinic.message("ADT^A40", house.clinic.pid("", patient=f"NEW-{visit}"), f"MRG|OLD-{visit}^^^H01^PI"))
    assert ack.code == "AA"
    assert house.kiosk.visit(visit)["patient"]["patient_no"] == f"NEW-{visit}"


def test_bar(house, visit):
    clinic = house.clinic

    def send(event, **pv1):
        return clinic.send(clinic.message(f"BAR^{event}", clinic.pid(visit), clinic.pv1(visit, **pv1))).code

    assert send("P01") == "AA"
    assert house.kiosk.visit(visit)["state"] == "open" and house.kiosk.visit(visit)["flags"] == []
    assert send("P05", location="急诊") == "AA"
    assert house.kiosk.visit(visit)["location"] == "急诊"
    assert send("P06", discharged=hl7_time()) == "AA"
    assert house.kiosk.visit(visit)["state"] == "discharged"


def test_event_named_in_evn_only(house, visit):
    message = house.clinic.message("ADT", f"EVN|A04|{hl7_time()}", house.clinic.pid(visit), house.clinic.pv1(visit))
    ack = house.clinic.send(message)
    assert ack.code == "AA" and house.kiosk.visit(visit)["state"] == "open"


def test_visit_number_of_pid_18(house, visit):
    pid = house.clinic.pid("x", patient="PN-1") + "|" * 10 + f"{visit}^^^H01"
    assert house.clinic.send(house.clinic.message("ADT^A04", pid, "PV1|1|O")).code == "AA"
    assert house.kiosk.visit(visit)["patient"]["patient_no"] == "PN-1"
    assert house.clinic.send(house.clinic.message("DFT^P03", pid, ft1("1"))).code == "AA"
    assert house.lines(visit) == {("clinic", "1"): 1250}


@pytest.mark.parametrize("event, code, error", [
    ("ADT^A99", "AR", 201), ("DFT^P99", "AR", 201), ("ORU^R01", "AR", 200), ("", "AR", 200),
])
def test_what_is_not_billing_s(house, visit, event, code, error):
    ack = house.clinic.send(house.clinic.message(event, house.clinic.pid(visit), house.clinic.pv1(visit)))
    assert (ack.code, ack.errors[0][1]) == (code, error), ack
    assert ack.errors[0][0].startswith("MSH^1^9")
    assert house.value("select count(*) from visit where visit_no = %s", visit) == 0


def test_deviations_of_real_senders(house, visits):
    """STANDARDS.md: LF and CRLF, no CR at the end, lower case segment names, a BOM, Z segments, extra fields, other ways to write dates."""
    clinic = house.clinic
    plain = [clinic.adt_message("A04", visit) for visit in visits(6)]
    for message in (plain[0].replace("\r", "\n"), plain[1].replace("\r", "\r\n"), plain[2].rstrip("\r"), "\ufeff" + plain[3],
                    plain[4].replace("PID|", "pid|").replace("PV1|", "pv1|"), plain[5].replace("PID|", "ZZZ|anything|~^&\rPID|", 1) + "ZXX\r"):
        assert clinic.send(message).code == "AA", message
    numbers = [message.split("PV1|")[-1].split("pv1|")[-1].split("|")[18] for message in plain]
    assert house.value("select count(*) from visit where visit_no = any (%s) and state = 'open' and not provisional", numbers) == 6
    for at in ("2026-01-15T14:30:00", "01/15/2026", "20260115", "202601151430", "20260115143000.1234+0800", "2026-01-15T14:30:00Z"):
        clinic.charge(numbers[0], ft1(f"D{at}", at=at))
    assert house.value("select count(distinct charged_at::date) from charge join visit using (visit_id) where visit_no = %s", numbers[0]) == 1


def test_other_delimiters(house, visit):
    """Delimiters come from MSH; the answer uses the sender's."""
    message = (f"MSH@~^#*@CLINIC@H01@VB@H01@{hl7_time()}@@DFT~P03@C^1@P@2.5.1@@@@@@UNICODE UTF-8\rPID@1@@PN-1\rPV1@1@O@{'@' * 16}{visit}\r"
               f"FT1@1@L|1@@{hl7_time()}@@CG@X1~a|b&c#F#d~L@@@2@25.00*CNY@12.50~UP\r")
    connection = Feed(house.mllp, "CLINIC").connect()
    connection.write(b"\x0b" + message.encode() + b"\x1c\r")
    text = connection.frames(1)[0].decode()
    connection.close()
    assert text.startswith("MSH@~^#*@VB@H01@CLINIC@H01@") and "\rMSA@AA@C^1\r" in text, text
    assert house.rows("select source_line, item_name, amount from charge join visit using (visit_id) where visit_no = %s", visit) == [
        ("L|1", "a|b&c@d", 2500)]
