"""The JSON feed: the same outcomes as over HL7, with pointers to the field that is wrong; visits, discharge, requests over several visits."""

import json

import pytest

from .api import FACILITY, line, together
from .feeds import ft1, iso_time, now
from .live import wait_until

from datetime import timedelta


def outcomes(result):
    return [entry["outcome"] for entry in result["lines"]]


def counts(result):
    return [result[key] for key in ("received", "booked", "duplicate", "held", "refused")]


def test_visit(house, visit):
    reply = house.ward.open(visit, department="儿科", location="3-12")
    assert reply.status == 201
    seen = reply.json
    assert (seen["facility"], seen["visit_no"], seen["class"], seen["state"], seen["flags"]) == (FACILITY, visit, "outpatient", "open", [])
    assert (seen["patient"]["name"], seen["department"], seen["location"], seen["bills"]) == ("郝隐私", "儿科", "3-12", [])
    again = house.ward.open(visit, department="内科", **{"class": "inpatient"}, location=None)
    assert again.status == 200 and (again.json["class"], again.json["department"], again.json["location"]) == ("inpatient", "内科", None)
    assert house.ward.get(f"/v1/visits/{FACILITY}/{visit}").json == house.kiosk.visit(visit) == again.json


def test_provisional_visit_is_completed(house, visit):
    assert outcomes(house.ward.charge(line(visit, "1"))) == ["posted"]
    assert house.kiosk.visit(visit)["flags"] == ["provisional"]
    assert house.ward.open(visit).json["flags"] == []


@pytest.mark.parametrize("body, reason, pointer", [
    ({"visit_no": None}, "visit_missing", "/visit_no"), ({"visit_no": ""}, "visit_missing", "/visit_no"), ({"visit_no": 7}, "field_invalid", "/visit_no"),
    ({"visit_no": "x" * 101}, "field_invalid", "/visit_no"), ({"class": "day"}, "field_invalid", "/class"), ({"patient": []}, "field_invalid", "/patient"),
    ({"patient": {"name": 1}}, "field_invalid", "/patient/name"), ({"patient": {"birth_date": "long ago"}}, "date_absurd", "/patient/birth_date"),
    ({"admitted_at": "never"}, "date_absurd", "/admitted_at"), ({"admitted_at": "1800-01-01"}, "date_absurd", "/admitted_at"),
    ({"facility": "H99"}, "facility_unknown", "/facility"), ({"as_of": "x"}, "date_absurd", "/as_of"),
])
def test_bad_visit(house, visit, body, reason, pointer):
    reply = house.ward.open(visit, **body)
    assert (reply.json["reason"], reply.json["pointer"]) == (reason, pointer), reply
    assert reply.status == (403 if reason == "facility_unknown" else 422)
    assert house.value("select count(*) from visit where visit_no = %s", visit) == 0


def test_outcomes_of_lines(house, visit):
    """One request, every outcome, in the order sent; what is refused is in quarantine."""
    house.ward.charge(line(visit, "old", charged_at="2026-01-15T08:00:00+08:00"))
    result = house.ward.charge(
        line(visit, "1"), line(visit, "2", "1.00", currency="USD"), line(visit, "1"), line(visit, "old", charged_at="2026-01-15T08:00:00+08:00"),
        line(visit, "old", "13.00", charged_at="2026-01-15T08:00:00+08:00"), line(visit, "3", None, type="credit", reverses="none", quantity=None),
        line(visit, "4", "-1.00"), line(visit, "5", "2.00", type="credit", reverses="1", quantity=None), line(visit, "6", "0.50", type="adjustment"))
    assert outcomes(result) == ["posted", "currency", "conflict" if result["lines"][2]["outcome"] == "conflict" else "duplicate", "duplicate", "conflict", "held",
                                "amount_negative", "posted", "posted"]
    assert counts(result)[0] == 9 and sum(counts(result)[1:]) == 9
    assert [entry["index"] for entry in result["lines"]] == list(range(9))
    assert [entry["source_line"] for entry in result["lines"]] == ["1", "2", "1", "old", "old", "3", "4", "5", "6"]
    posted = [entry for entry in result["lines"] if entry["outcome"] == "posted"]
    assert {(entry["total"], entry["state"]) for entry in posted} == {("23.50", "open")}
    refused = {entry["source_line"]: entry for entry in result["lines"] if "pointer" in entry and entry["outcome"] != "held"}
    assert refused["2"]["pointer"] == "/lines/1/currency" and refused["4"]["pointer"] == "/lines/6/amount"
    assert refused["old"]["pointer"].startswith("/lines/4") and all(entry["detail"] for entry in refused.values())
    assert sorted(q["reason"] for q in house.quarantined(visit_no=visit) if q["source_line"] != "1") == [
        "amount_negative", "conflict", "currency", "original_unknown"]
    assert house.lines(visit) == {("ward", "old"): 1250, ("ward", "1"): 1250, ("ward", "5"): -200, ("ward", "6"): 50}


@pytest.mark.parametrize("change, reason, field", [
    ({"visit_no": None}, "visit_missing", "visit_no"), ({"visit_no": "y" * 101}, "field_invalid", "visit_no"), ({"source_line": None}, "field_invalid", "source_line"),
    ({"source_line": "x" * 201}, "field_invalid", "source_line"), ({"source_line": 5}, "field_invalid", "source_line"),
    ({"charged_at": None}, "field_missing", "charged_at"), ({"charged_at": "soon"}, "date_absurd", "charged_at"), ({"charged_at": "1850-01-01"}, "date_absurd", "charged_at"),
    ({"charged_at": iso_time(now() + timedelta(days=3))}, "date_absurd", "charged_at"), ({"type": "gift"}, "type_unknown", "type"),
    ({"type": "credit"}, "field_missing", "reverses"), ({"category": "15"}, "field_invalid", "category"), ({"category": "9"}, "field_invalid", "category"),
    ({"amount": "12.505"}, "field_invalid", "amount"), ({"amount": "1e2"}, "field_invalid", "amount"), ({"amount": True}, "field_invalid", "amount"),
    ({"amount": {}}, "field_invalid", "amount"), ({"amount": "-1.00"}, "amount_negative", "amount"), ({"quantity": "x"}, "field_invalid", "quantity"),
    ({"unit_price": "1.0000001"}, "field_invalid", "unit_price"), ({"unit_price": "5.00", "quantity": "2"}, "amount_mismatch", "amount"),
    ({"amount": "9" * 30}, "amount_too_large", "amount"), ({"currency": "USD"}, "currency", "currency"), ({"code": None, "name": None}, "field_missing", "code"),
    ({"code": "x" * 151}, "field_invalid", "code"), ({"facility": "H99"}, "facility_unknown", "facility"), ({"name": "a\0b"}, "field_invalid", "name"),
    ({"charged_at": 20260115}, "field_invalid", "charged_at"),
])
def test_bad_line_has_a_pointer(house, visit, change, reason, field):
    bad = {key: value for key, value in {**line(visit, "1"), **change}.items() if value is not None}
    result = house.ward.charge(line(visit, "0"), bad, line(visit, "2"))
    assert counts(result)[0:2] == [3, 2] and result["refused"] == 1, result
    entry = result["lines"][1]
    assert (entry["outcome"], entry["pointer"]) == (reason, f"/lines/1/{field}") and entry["detail"], entry
    assert set(house.lines(visit)) == {("ward", "0"), ("ward", "2")}, "the neighbours are booked"
    kept = house.rows("select reason, ordinal, content_type, bytes from quarantine join quarantine_message using (message_id) join quarantine_kept using (message_id) order by quarantine_id desc limit 1")[0]
    assert kept[:3] == (reason, 2, "json") and json.loads(bytes(kept[3]))["lines"][1] == bad


def test_lines_that_are_no_objects(house, visit):
    result = house.ward.charge(7, line(visit, "1"), None, "x", [])
    assert outcomes(result)[1] == "posted" and counts(result)[:2] == [5, 1] and result["refused"] == 4
    assert [entry["pointer"] for entry in result["lines"] if entry["outcome"] != "posted"] == ["/lines/0", "/lines/2", "/lines/3", "/lines/4"]


def test_numbers_are_exact(house, visit):
    """A JSON number keeps its digits: nothing goes through floating point."""
    body = json.dumps({"lines": [line(visit, str(n)) for n in range(4)]}, ensure_ascii=False)
    for n, number in enumerate(("0.1", "1234567.01", "1.10", "7")):
        body = body.replace('"amount": "12.50"', f'"amount": {number}', 1)
    reply = house.ward.post("/v1/charges", body.encode(), Content_Type="application/json; charset=utf-8")
    assert outcomes(reply.json) == ["posted"] * 4
    assert sorted(house.lines(visit).values()) == [10, 110, 700, 123456701]


def test_resend(house, visit):
    """The same request again, whole or in part, with another as_of."""
    lines = [line(visit, str(n), charged_at="2026-01-15T08:00:00+08:00") for n in range(50)]
    assert counts(house.ward.charge(*lines)) == [50, 50, 0, 0, 0]
    assert counts(house.ward.charge(*lines)) == [50, 0, 50, 0, 0]
    assert counts(house.ward.charge(*reversed(lines), line(visit, "new"))) == [51, 1, 50, 0, 0]
    assert house.kiosk.visit(visit)["total"] == "637.50"


def test_several_visits_in_one_request(house, visits):
    """Their lines are mixed, some are bad; the answers stay in the order sent, each with its visit's total."""
    numbers = visits(5)
    lines = [line(numbers[i % 5], f"M{i}", f"{i}.00", **({"currency": "USD"} if i % 11 == 4 else {})) for i in range(100)]
    result = house.ward.charge(*lines)
    good = [i for i in range(100) if i % 11 != 4]
    assert outcomes(result) == ["currency" if i % 11 == 4 else "posted" for i in range(100)]
    assert counts(result) == [100, len(good), 0, 0, 100 - len(good)]
    for place, visit in enumerate(numbers):
        mine = [i for i in good if i % 5 == place]
        assert house.lines(visit) == {("ward", f"M{i}"): i * 100 for i in mine}
        assert {result["lines"][i]["total"] for i in mine} == {f"{sum(mine)}.00"}


def test_reversal_before_its_original(house, visit):
    result = house.ward.charge(line(visit, "R", "2.50", type="credit", reverses="1", quantity=None))
    assert outcomes(result) == ["held"] and counts(result) == [1, 0, 0, 1, 0]
    house.ward.charge(line(visit, "1"))
    wait_until(lambda: house.lines(visit) == {("ward", "1"): 1250, ("ward", "R"): -250}, "the held reversal to be booked")


def test_reversals(house, visit):
    house.ward.charge(line(visit, "1", "10.00", quantity="4"))

    def credit(source, amount=None, quantity=None):
        return outcomes(house.ward.charge(line(visit, source, amount, quantity=quantity, type="credit", reverses="1", code=None, name=None, category=None,
                                              charged_at="2026-01-16")))[0]

    assert [credit("R1", quantity="1"), credit("R1", quantity="1"), credit("R2", "8.00"), credit("R3"), credit("R4", "0.01")] == [
        "posted", "duplicate", "reversal_exceeds", "posted", "reversal_exceeds"]
    assert house.lines(visit) == {("ward", "1"): 1000, ("ward", "R1"): -250, ("ward", "R3"): -750}


def test_two_feeds_one_visit_at_once(house, visit):
    """HL7 and JSON go through the same code to the same visit."""
    def by_json():
        return sum(house.ward.charge(*(line(visit, f"{n}-{k}", "1.00") for k in range(20)))["booked"] for n in range(10))

    def by_hl7():
        with house.lab.connect() as connection:
            return sum(connection.send(house.lab.dft_message(visit, *(ft1(f"{n}-{k}", "2.00") for k in range(20)))).code == "AA" for n in range(10))

    assert together(by_json, by_hl7) == [200, 10]
    seen = house.kiosk.visit(visit)
    assert (seen["lines"], seen["total"]) == (400, "600.00") and house.broken() == []


def test_heartbeat_moves_the_watermark(house):
    """As far as it says, never back, and never beyond now."""
    def mark():
        return house.value("select mark from feed_watermark join feed using (feed_id) where name = 'ward'")

    moment = now()
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    house.ward.heartbeat(moment)
    wait_until(lambda: mark() == moment, "the mark")
    house.ward.heartbeat(moment - timedelta(hours=1))
    house.ward.heartbeat(now() + timedelta(hours=5))
    wait_until(lambda: mark() > moment, "the mark to move on")
    assert mark() <= now()


def test_discharge(house, visit):
    house.ward.open(visit)
    house.ward.charge(line(visit, "1"))
    reply = house.ward.discharge(visit)
    assert reply.status == 200 and reply.json["state"] == "discharged" and reply.json["discharged_at"]
    assert house.ward.reopen(visit).json["state"] == "open"
    assert house.ward.post(f"/v1/visits/{FACILITY}/{visit}/discharge", {"discharged_at": "2999-01-01"}).json["pointer"] == "/discharged_at"
    assert house.ward.post(f"/v1/visits/{FACILITY}/{visit}/discharge").json["state"] == "discharged", "a body is not needed"
    assert house.ward.reopen("none-such").status == 404
    assert house.ward.post(f"/v1/visits/H99/{visit}/discharge", {}).status == 403


@pytest.mark.parametrize("body, pointer", [({}, "/lines"), ({"lines": 5}, "/lines"), ({"lines": {}}, "/lines"), ({"lines": None}, "/lines"),
                                           ({"lines": [], "as_of": "x"}, "/as_of")])
def test_bad_request(house, body, pointer):
    reply = house.ward.post("/v1/charges", body)
    assert reply.status == 422 and reply.json["pointer"] == pointer, reply


def test_more_lines_than_the_limit(annex, visit):
    lines = [line(visit, str(n)) for n in range(101)]
    reply = annex.ward.post("/v1/charges", {"lines": lines})
    assert (reply.status, reply.json["reason"], reply.json["pointer"]) == (413, "too_large", "/lines")
    assert annex.ward.charge(*lines[:100])["booked"] == 100


def test_another_facility_s_visits(annex, visit):
    """The ward is bound to H01: it neither books nor sees what is at H02."""
    result = annex.ward.charge(line(visit, "1", facility="H02"), line(visit, "2"))
    assert outcomes(result) == ["facility_unknown", "posted"]
    assert annex.ward.get(f"/v1/visits/H02/{visit}").status == 404
    assert annex.lines(visit) == {("ward", "2"): 1250}


def test_a_visit_by_its_account_s_number(house, visit):
    account = f"ACC-{visit}"
    assert house.ward.open(visit, account_no=account).status == 201
    assert outcomes(house.ward.charge(line(visit, "1"), line(visit, "2"))) == ["posted", "posted"]
    found = house.kiosk.visit(account)
    assert (found["visit_no"], found["total"], found["numbers"]) == (visit, "25.00", [{"kind": "account", "number": account}])
    assert house.lines(visit) == {("ward", "1"): 1250, ("ward", "2"): 1250}
