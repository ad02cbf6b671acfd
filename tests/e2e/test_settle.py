"""Settle now at the kiosk, close rules, the daily list: what closes a visit, or bills it, without a message."""

import pytest

from .api import line
from .feeds import ft1
from .live import House, wait_until


@pytest.fixture(scope="module", name="ruled")
def _ruled():
    with House({"facility H01": {"outpatient_close": "idle 2s", "inpatient_close": "daily 23:30"}, "jobs": {"close": "100ms"}}) as ruled:
        yield ruled


def test_a_patient_pays_before_the_end(house, visit):
    house.clinic.adt("A04", visit)
    house.clinic.charge(visit, ft1("1"))
    reply = house.kiosk.post(f"/v1/visits/H01/{visit}/settle")
    assert reply.status == 200, reply
    settled = reply.json
    assert (settled["state"], settled["outstanding"], settled["bills"][0]["kind"], settled["bills"][0]["bill"]) == ("open", "12.50", "interim", settled["bill"])
    assert set(settled["feeds_behind"]) <= {"clinic", "pharmacy", "lab", "ward"}
    assert house.desk.post(f"/v1/visits/H01/{visit}/settle").json["bill"] is None
    assert house.desk.pay(settled["bill"], "12.50", "cash").json["state"] == "succeeded"
    assert house.clinic.charge(visit, ft1("2", "3.00")).code == "AA"
    bill = house.discharge(visit)
    assert house.kiosk.bills(visit)["outstanding"] == "3.00"
    assert [(one["kind"], one["bill_no"], one["total"], one["state"]) for one in house.kiosk.bills(visit)["bills"]] == [
        ("interim", f"{visit}/I1", "12.50", "settled"), ("bill", visit, "3.00", "open")]
    page = house.ctl("bill", "show", settled["bill"])
    assert "中期费用清单 interim bill" in page
    assert bill is not None and house.broken() == []


def test_who_may_settle(annex, visit):
    annex.clinic.charge(visit, ft1("1"))
    path = f"/v1/visits/H01/{visit}/settle"
    assert (annex.ward.post(path).status, annex.ops.post(path).status) == (403, 403)
    assert annex.client("kiosk-of-facility-H02-only").post(path).json["reason"] == "visit_unknown"
    assert annex.client("kiosk-of-facility-H01-only").post(path).status == 200
    assert annex.kiosk.post("/v1/visits/H01/nobody/settle").json["reason"] == "visit_unknown"


def test_an_idle_outpatient_is_closed(ruled, visit):
    ruled.clinic.adt("A04", visit)
    for n in range(3):
        ruled.clinic.charge(visit, ft1(f"{n}"))
    assert ruled.kiosk.visit(visit)["state"] == "open"
    wait_until(lambda: ruled.kiosk.visit(visit)["state"] != "open", "the visit to end")
    ruled.heartbeat()
    bill = ruled.next_bill(visit, 0)
    assert (bill["kind"], bill["total"]) == ("bill", "37.50")
    assert "idle" in ruled.ctl("visit", "show", "H01", visit)


def test_the_daily_list(house, visit):
    house.ward.charge(line(visit, "W1", "100.00", category="01", quantity="2", unit_price="50.00", name="床位费", code="B1"),
                      line(visit, "W2", "7.00", category="09", name="阿莫西林胶囊"))
    reply = house.kiosk.get(f"/v1/visits/H01/{visit}/statement?day={house.value('select current_date::text')}")
    assert reply.status == 200, reply
    assert (reply.json["day_total"], reply.json["total"], len(reply.json["lines"])) == ("107.00", "107.00", 2)
    assert [(one["category"], one["amount"]) for one in reply.json["categories"]] == [("01", "100.00"), ("09", "7.00")]
    assert house.kiosk.get(f"/v1/visits/H01/{visit}/statement?day=2020-01-01").json["lines"] == []
    for day in ("yesterday", "2026-13-01", "20260115", "2026011508", "01/15/2026"):
        assert house.kiosk.get(f"/v1/visits/H01/{visit}/statement?day={day}").json["reason"] == "field_invalid"
    page = house.ctl("visit", "statement", "H01", visit)
    assert all(word in page for word in ("一日清单 daily list, ", "床位费", "阿莫西林胶囊", "107.00")), page
