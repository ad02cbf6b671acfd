"""Who may see and do what: tokens, roles and facilities."""

from urllib.parse import quote

import pytest

from .api import FACILITY, line
from .feeds import Feed, ft1


@pytest.fixture(name="things", scope="module")
def _things(annex):
    """A visit of H01 with a bill, a payment and a receipt: the paths to them."""
    bill = annex.billed("ACCESS-1")
    paid = annex.desk.pay(bill["bill"], "1.00", "cash").json
    return {"visit": f"/v1/visits/{FACILITY}/ACCESS-1", "bills": f"/v1/visits/{FACILITY}/ACCESS-1/bills", "bill": f"/v1/bills/{bill['bill']}",
            "events": f"/v1/bills/{bill['bill']}/events", "payment": f"/v1/payments/{paid['payment']}", "receipt": f"/v1/receipts/{paid['receipt']}"}


READS = ("visit", "bills", "bill", "payment", "receipt")


def test_without_a_token(annex, things):
    for name in (*READS, "events"):
        assert annex.nobody.get(things[name]).status == 401
    for method, path in (("POST", "/v1/charges"), ("POST", "/v1/visits"), ("POST", things["visit"] + "/discharge"), ("DELETE", things["visit"] + "/discharge"),
                         ("POST", things["bill"] + "/payments"), ("POST", things["payment"] + "/cancel"), ("GET", "/v1/quarantine"),
                         ("POST", "/v1/quarantine/1/replay")):
        reply = annex.nobody.request(method, path, {})
        assert reply.status == 401 and "ACCESS" not in reply.text, (method, path, reply)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer x", "Basic {}", "{}", "Bearer {}x", "Bearer x{}", "Bearer {} {}"])
def test_wrong_tokens(annex, things, header):
    reply = annex.nobody.get(things["bill"], Authorization=header.format(annex.kiosk.token, annex.kiosk.token))
    assert reply.status == 401 and annex.kiosk.token not in reply.text


def test_the_scheme_s_name_has_no_case(annex, things):
    assert annex.nobody.get(things["bill"], Authorization=f"bearer {annex.kiosk.token}").status == 200


@pytest.mark.parametrize("role", ["kiosk", "desk"])
def test_another_facility_sees_nothing(annex, things, role):
    """It cannot even tell that there is something: 404, the same as for what is not."""
    stranger, mine = annex.client(f"{role}-of-facility-H02-only"), annex.client(f"{role}-of-facility-H01-only")
    for name in READS:
        assert mine.get(things[name]).status == 200, name
        hidden, missing = stranger.get(things[name]), stranger.get(things[name].replace("ACCESS", "NONE").rsplit("/", 1)[0] + "/none")
        assert hidden.status == 404 and "100" not in hidden.text and "郝" not in hidden.text, name
        if name in ("bill", "payment", "receipt"):
            assert hidden.json == missing.json
    assert stranger.get(things["events"]).status == 404
    bill = things["bill"].rsplit("/", 1)[1]
    assert stranger.pay(bill, "1.00").status == 404
    assert stranger.pay(bill, "1.00", "cash").status == (404 if role == "desk" else 403)
    assert stranger.post(things["payment"] + "/cancel").status == 404
    assert annex.kiosk.bill(bill)["in_progress"] == "0.00"


def test_its_own_facility_only(annex, visit):
    """The kiosk of H02 and a visit of H02."""
    Feed(annex.mllp, "CLINIC", "H02").charge(visit, ft1("1"))
    assert annex.client("kiosk-of-facility-H02-only").get(f"/v1/visits/H02/{visit}").status == 200
    assert annex.client("kiosk-of-facility-H01-only").get(f"/v1/visits/H02/{visit}").status == 404
    assert annex.kiosk.get(f"/v1/visits/H02/{visit}").status == 200, "a token without facilities sees all"


def waiting(client):
    return {entry["id"] for entry in client.get("/v1/quarantine?limit=10000").json["quarantine"]}


def unpriced(annex, visit, facility):
    """An entry in quarantine that could be booked by now, was it replayed: a line of an item that had no price."""
    Feed(annex.mllp, "CLINIC", facility).dft(visit, ft1("1", "", "2", code=f"LATER-{visit}", category=""))
    annex.rows("insert into item select facility_id, %s, '2026-01-01', null, '新项目', '次', 5, 'A', 0, 2500000 from facility where code = %s", f"LATER-{visit}", facility)
    (entry,) = annex.quarantined(visit_no=visit)
    return entry["quarantine_id"]


@pytest.mark.parametrize("mine, other", [("H01", "H02"), ("H02", "H01")])
def test_the_quarantine_of_another_facility(annex, visit, mine, other):
    """Neither listed nor replayed, and answered as what is not there."""
    own, stranger = (annex.client(f"desk-of-facility-{code}-only") for code in (mine, other))
    entry = unpriced(annex, visit, mine)
    assert entry in waiting(own) and entry not in waiting(stranger) and entry in waiting(annex.desk) and entry in waiting(annex.ops)
    assert all(shown["facility"] == other for shown in stranger.get("/v1/quarantine?limit=10000&state=all").json["quarantine"])
    refused = stranger.post(f"/v1/quarantine/{entry}/replay")
    assert refused.status == 404 and refused.json == stranger.post("/v1/quarantine/999999999/replay").json
    assert annex.lines(visit) == {} and entry in waiting(own)
    assert own.post(f"/v1/quarantine/{entry}/replay").json == {"id": entry, "outcome": "posted", "state": "resolved"}
    assert list(annex.lines(visit).values()) == [500] and entry not in waiting(own)


def test_what_a_stranger_sent_is_for_who_sees_all(annex, visit):
    """Whatever facility it names."""
    assert Feed(annex.mllp, "NOBODY", "H01").dft(visit, ft1("1")).code != "AA"
    seen = waiting(annex.desk) - waiting(annex.client("desk-of-facility-H01-only")) - waiting(annex.client("desk-of-facility-H02-only"))
    entry = annex.value("select max(quarantine_id) from quarantine where reason = 'feed_unknown'")
    assert entry in seen
    assert annex.client("desk-of-facility-H01-only").post(f"/v1/quarantine/{entry}/replay").status == 404


def test_who_gives_up_is_shown_the_payment_in_their_own_scope(annex, visit):
    """Paid in the last moment: what the answer shows is looked up after the request's own work is over."""
    kiosk = annex.client("kiosk-of-facility-H01-only")
    payment = kiosk.pay(annex.billed(visit)["bill"], "100.00").json
    annex.sim.pay(payment, notify="none")
    reply = kiosk.post(f"/v1/payments/{payment['payment']}/cancel")
    assert reply.status == 200 and reply.json["state"] == "succeeded" and reply.json["receipt"], reply


def test_a_line_for_another_facility_is_not_booked_by_a_replay(annex, visit):
    """A feed books at its own facility only, whoever replays."""
    reply = annex.ward.post("/v1/charges", {"lines": [line(visit, "1", facility="H02")]})
    assert [one["outcome"] for one in reply.json["lines"]] == ["facility_unknown"], reply
    (entry,) = annex.quarantined(visit_no=visit)
    for client in (annex.client("desk-of-facility-H02-only"), annex.desk):
        answer = client.post(f"/v1/quarantine/{entry['quarantine_id']}/replay").json
        assert (answer["outcome"], answer["state"]) == ("facility_unknown", "waiting")
    assert annex.lines(visit) == {}


def test_roles(annex, things, visit):
    """What a role may not do is 403 and does nothing."""
    for name, forbidden in (("bill", ("ward", "ops")), ("events", ("ward", "ops")), ("payment", ("ward", "ops")), ("receipt", ("ward", "ops")),
                            ("visit", ("ops",)), ("bills", ("ops",))):
        for role in forbidden:
            assert getattr(annex, role).get(things[name]).status == 403, (name, role)
    for role in ("kiosk", "desk", "ops"):
        client = getattr(annex, role)
        assert client.post("/v1/charges", {"lines": [line(visit, "1")]}).status == 403
        assert client.open(visit).status == client.discharge("ACCESS-1").status == client.reopen("ACCESS-1").status == 403
    for role in ("ward", "ops"):
        assert getattr(annex, role).pay(things["bill"].rsplit("/", 1)[1], "1.00").status == 403
        assert getattr(annex, role).post(things["payment"] + "/cancel").status == 403
    for role in ("ward", "kiosk"):
        assert getattr(annex, role).get("/v1/quarantine").status == 403
    assert annex.ward.get(things["visit"]).status == annex.ward.get(things["bills"]).status == 200
    assert annex.lines(visit) == {} and annex.kiosk.visit("ACCESS-1")["state"] == "billed"


def test_open_to_all(annex):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert annex.nobody.get(path).status == 200
    assert annex.nobody.get("/metrics").headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_ids_cannot_be_guessed(annex, things):
    """Neither numbers of rows nor the visit's number lead to a bill, a payment or a receipt."""
    bill_id, payment_id = annex.value("select max(bill_id) from bill"), annex.value("select max(payment_id) from payment")
    for path in (f"/v1/bills/{bill_id}", "/v1/bills/ACCESS-1", f"/v1/payments/{payment_id}", "/v1/receipts/1", "/v1/receipts/H01-2026-000001"):
        assert annex.desk.get(path).status == 404
    assert len(things["bill"].rsplit("/", 1)[1]) >= 32


@pytest.mark.parametrize("number", ["斜/杠", "a b", "百分%号", "?x=1", "#1", "é", "..", "a+b", "'; drop table visit; --", '"', "\\"])
def test_visit_numbers_of_all_kinds(annex, number, visit):
    """In a path they are percent-encoded; in a message they are what they are."""
    number = f"{visit}{number}"
    escaped = number.replace("\\", "\\E\\")
    annex.clinic.charge(escaped, ft1("1"))
    reply = annex.kiosk.get(f"/v1/visits/H01/{quote(number, safe='')}/bills")
    assert reply.status == 200 and reply.json["visit_no"] == number
