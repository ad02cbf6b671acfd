"""What a message says, and how a feed speaks: groups, other patients, what is not for billing, and operations that quarantine replays as what they were."""

from .feeds import ft1, hl7_time
from .live import wait_until


def merge(feed, event, *groups):
    """groups: PID, MRG and PV1 lines of each."""
    return feed.send(feed.message(f"ADT^{event}", f"EVN||{hl7_time()}", *(line for group in groups for line in group)))


def test_each_group_of_a_merge_is_done(house, visits):
    one, two, three, four = visits(4)
    for number in (one, two, three, four):
        house.clinic.dft(number, ft1("1", "10.00"))
    clinic = house.clinic
    ack = merge(clinic, "A42", (clinic.pid(one), f"MRG|PN-{two}||||{two}", clinic.pv1(one)), (clinic.pid(three), f"MRG|PN-{four}||||{four}", clinic.pv1(three)))
    assert ack.code == "AA"
    assert [house.kiosk.visit(number)["total"] for number in (one, three)] == ["20.00", "20.00"]
    assert [house.kiosk.visit(number)["merged_into"] for number in (two, four)] == [one, three]


def test_one_group_that_cannot_be_done_is_told(house, visits):
    one, two, other = visits(3)
    for number in (one, two):
        house.clinic.adt("A04", number)
    clinic = house.clinic
    ack = merge(clinic, "A42", (clinic.pid(one), f"MRG|PN-{two}||||{two}", clinic.pv1(one)), (clinic.pid(other), f"MRG|PN-{other}||||{other}", clinic.pv1(other)))
    assert ack.code == "AE" and "merge_self" in ack.text and "PV1^2^19" in ack.text
    assert house.kiosk.visit(two)["merged_into"] == one


def test_a40_merges_patients_and_by_a_setting_visits(annex, visits):
    one, two = visits(2)
    for number in (one, two):
        annex.clinic.adt("A04", number)

    def send(feed):
        return merge(feed, "A40", (feed.pid(one), f"MRG|PN-{two}||||{two}", feed.pv1(one))).code

    assert send(annex.clinic) == "AA"
    seen = annex.desk.visit(two)
    assert (seen["state"], seen["merged_into"], seen["patient"]["patient_no"]) == ("open", None, f"PN-{one}")
    assert send(annex.lab) == "AA"
    assert annex.desk.visit(two)["merged_into"] == one


def test_a_second_patient_in_a_message_of_charges(house, visits):
    one, two = visits(2)
    clinic = house.clinic
    ack = clinic.send(clinic.message("DFT^P03", clinic.pid(one), clinic.pv1(one), ft1("1", "10.00"), clinic.pid(two), clinic.pv1(two), ft1("2", "99.00")))
    assert ack.code == "AE" and "segment_order" in ack.text and "PID^2" in ack.text
    assert house.lines(one) == {} and house.lines(two) == {}


def test_an_account_s_number_finds_the_visit(house, visits):
    """The admission has PID-18 and PV1-19, the laboratory's charges PID-18 alone: before it and after it."""
    one, two = visits(2)
    for visit, before in ((one, False), (two, True)):
        account, clinic = f"ACC-{visit}", house.clinic
        pid = f"PID|1||PN-{visit}||郝^隐私|||||||||||||{account}"
        charge = house.lab.message("DFT^P03", pid, ft1("L1", "10.00"))
        if before:
            assert house.lab.send(charge).code == "AA"
        assert clinic.send(clinic.message("ADT^A04", f"EVN||{hl7_time()}", pid, clinic.pv1(visit))).code == "AA"
        assert house.lab.send(charge).code == "AA"
        assert clinic.dft(visit, ft1("C1", "2.00")).code == "AA"
        seen = house.kiosk.visit(visit)
        assert (seen["total"], seen["lines"], seen["numbers"]) == ("12.00", 2, [{"kind": "account", "number": account}])
        assert house.kiosk.visit(account)["total"] in ("12.00", "0.00"), "the visit, or the one that went into it"
    assert house.broken() == []


def test_charges_that_name_another_patient(house, visit):
    house.clinic.adt("A04", visit, patient="PA")
    ack = house.clinic.send(house.clinic.message("DFT^P03", house.clinic.pid(visit, patient="PB"), house.clinic.pv1(visit), ft1("1", "10.00")))
    assert ack.code == "AE" and "patient_mismatch" in ack.text
    assert house.lines(visit) == {}
    assert house.clinic.send(house.clinic.message("DFT^P03", house.clinic.pid(visit, patient="PA"), house.clinic.pv1(visit), ft1("1", "10.00"))).code == "AA"


def test_what_is_not_for_billing_gets_an_answer_and_nothing_else(annex, visit):
    before = annex.metric("visitbill_messages_total", feed="lab", result="ignored")
    for event in ("ORU^R01", "ADT^A60"):
        ack = annex.lab.send(annex.lab.message(event, annex.lab.pid(visit), annex.lab.pv1(visit)))
        assert ack.code == "AA" and "ERR" not in ack.text
    assert annex.lab.send(annex.lab.message("ADT^A61", annex.lab.pid(visit), annex.lab.pv1(visit))).code == "AR"
    assert annex.clinic.send(annex.clinic.message("ORU^R01", annex.clinic.pid(visit))).code == "AR", "another feed's setting"
    wait_until(lambda: annex.metric("visitbill_messages_total", feed="lab", result="ignored") == before + 2, "the messages to be counted")
    assert annex.rows("select 1 from visit where visit_no = %s", visit) == []


def test_an_admission_after_its_cancellation(house, visit):
    for event in ("A01", "A11", "A01"):
        assert house.clinic.adt(event, visit).code == "AA"
    assert house.clinic.dft(visit, ft1("1", "10.00")).code == "AA"
    assert house.lines(visit) == {("clinic", "1"): 1000}


def test_money_given_back_elsewhere_is_not_money_received(house, visit):
    ack = house.clinic.dft(visit, ft1("1", "-100.00", kind="PY", quantity=""))
    assert ack.code == "AE" and "amount_negative" in ack.text
    assert house.value("select count(*) from capture join visit using (visit_id) where visit_no = %s", visit) == 0


def test_an_operation_is_replayed_as_what_it_was(house, visits):
    """Refused for a visit that is not known yet; done when it is. Two equal bodies, here none at all, are two operations."""
    one, two = visits(2)
    for number in (one, two):
        assert house.ward.request("DELETE", f"/v1/visits/H01/{number}/discharge").status == 404
    entries = dict(house.rows("select visit_no, quarantine_id from quarantine_open where visit_no = any (%s)", [one, two]))
    assert set(entries) == {one, two}
    for number in (one, two):
        house.clinic.adt("A01", number)
        house.clinic.adt("A03", number)
        assert house.desk.visit(number)["state"] in ("discharged", "billed", "settled")
    answer = house.desk.post(f"/v1/quarantine/{entries[one]}/replay").json
    assert answer["outcome"] in ("done", "repeated"), answer
    assert house.desk.visit(one)["state"] == "open" and house.desk.visit(two)["state"] != "open"


def test_an_unknown_member_names_itself(house, visit):
    body = {"lines": [{"visit_no": visit, "source_line": "W1", "code": "G0401", "qty": "5", "amout": "100.00", "charged_at": "2026-01-15T10:00:00+08:00"}]}
    answer = house.ward.post("/v1/charges", body)
    assert answer.status == 422 and answer.json["pointer"] == "/lines/0/qty" and answer.json["reason"] == "field_unknown", answer.json
    assert house.rows("select 1 from visit where visit_no = %s", visit) == []
    (entry,), = house.rows("select quarantine_id from quarantine_open where reason = 'field_unknown' order by 1 desc limit 1")
    assert house.desk.post(f"/v1/quarantine/{entry}/replay").json["outcome"] == "field_unknown", "as charges, and refused again"


def test_what_is_not_plausible_waits_for_a_person(house, visit):
    """A slip of the finger would run the visit up by millions; it is kept, and a replay by a person books it."""
    ack = house.clinic.dft(visit, ft1("q", quantity="100001", amount="", price="0.01"), ft1("a", "2000000.01"), ft1("ok", "10.00"))
    assert ack.code == "AE" and ack.text.count("implausible") == 2
    assert house.lines(visit) == {("clinic", "ok"): 1000}
    for source, entry in house.rows("select source_line, quarantine_id from quarantine_open where visit_no = %s order by 1", visit):
        assert house.desk.post(f"/v1/quarantine/{entry}/replay").json["outcome"] == "posted", source
    assert house.lines(visit) == {("clinic", "ok"): 1000, ("clinic", "a"): 200000001, ("clinic", "q"): 100001}


def test_an_adjustment_does_not_take_a_visit_below_zero(house, visit):
    house.clinic.charge(visit, ft1("1", "17.00"))
    ack = house.clinic.dft(visit, ft1("2", "-3000.00", kind="AJ"), ft1("3", "-10.00", kind="AJ"))
    assert ack.code == "AE" and "total_negative" in ack.text and "FT1^1" in ack.text
    assert house.desk.visit(visit)["total"] in ("17.00", "7.00")


def test_a_price_list_by_messages(house, visit):
    """Charges take the prices that a feed sent; an entry that cannot be kept waits with its message, and a replay keeps it once it can be."""
    clinic, code = house.clinic, f"MFN-{visit}"

    def send(*segments):
        return clinic.send(clinic.message("MFN^M04^MFN_M04", "MFI|CDM||UPD|||AL", *segments))

    ack = send(f"MFE|MAD|1|20260101|{code}|CWE", f"CDM|{code}||换药", f"PRC|{code}||||7.5&CNY|||||||||05", f"MFE|MUP|2|20260101|{code}-B|CWE", f"PRC|{code}-B||||3")
    assert ack.code == "AE" and "MFA|MAD|1||S|" in ack.text and "MFA|MUP|2||U|" in ack.text and "item_incomplete" in ack.text, ack
    assert clinic.dft(visit, ft1("1", "", code=code, quantity="2")).code == "AA"
    assert house.lines(visit) == {("clinic", "1"): 1500}
    entry = house.quarantined(reason="item_incomplete")[-1]
    assert send(f"MFE|MAD|3|20250101|{code}-B|CWE", f"CDM|{code}-B||棉签", f"PRC|{code}-B||||2|||||||||08").code == "AA"
    assert "done" in house.ctl("quarantine", "replay", str(entry["quarantine_id"]))
    assert house.value("select unit_price_e6 from item where code = %s and valid_from = '2026-01-01'", f"{code}-B") == 3_000_000
    assert house.broken() == []
