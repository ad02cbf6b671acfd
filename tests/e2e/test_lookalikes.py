"""Charges that look like duplicates: booked and billed like others, found by the daemon once a bill is issued, listed and dismissed at the desk and on the command line."""

from .api import line
from .feeds import ft1
from .live import wait_until


def waiting(client, visit, **query):
    return [one for one in client.get("/v1/lookalikes?limit=1000" + "".join(f"&{key}={value}" for key, value in query.items())).json["lookalikes"]
            if visit in {of["visit_no"] for of in one["lines"]}]


def made(house, visit):
    """The clinic and the ward both charge for one drug."""
    house.clinic.charge(visit, ft1("c1", "12.50", code="DUP", at="20260115080000+0800"))
    house.ward.charge(line(visit, "w1", "12.50", code="DUP", charged_at="2026-01-15T21:00:00+08:00"))
    house.discharge(visit)
    return wait_until(lambda: waiting(house.desk, visit), "the pair is found")[0]


def test_the_desk_lists_and_dismisses(house, visit):
    one = made(house, visit)
    assert house.desk.visit(visit)["total"] == "25.00"
    assert [(of["feed"], of["source_line"], of["amount"]) for of in one["lines"]] == [("clinic", "c1", "12.50"), ("ward", "w1", "12.50")]
    assert (one["code"], one["day"], one["quantity"], one["state"]) == ("DUP", "2026-01-15", "1", "waiting")
    path = f"/v1/lookalikes/{one['id']}/dismiss"
    assert [house.desk.post(path, body).json["reason"] for body in ({}, {"why": " "}, {"why": "x", "wy": 1})] == ["field_missing", "field_missing", "field_unknown"]
    assert house.desk.post("/v1/lookalikes/99999999/dismiss", {"why": "x"}).status == house.desk.post("/v1/lookalikes/x/dismiss", {"why": "x"}).status == 404
    said = house.desk.post(path, {"why": "两次用药"})
    assert said.status == 200 and (said.json["state"], said.json["why"]) == ("dismissed", "两次用药") and said.json["by"]
    assert house.desk.post(path, {"why": "another"}).json["why"] == "两次用药"
    assert waiting(house.desk, visit) == [] and waiting(house.desk, visit, state="all")[0]["why"] == "两次用药"


def test_who_may_and_what_is_asked(annex, visit):
    one = made(annex, visit)
    own, stranger = (annex.client(f"desk-of-facility-{code}-only") for code in ("H01", "H02"))
    assert waiting(own, visit) and not waiting(stranger, visit)
    assert stranger.post(f"/v1/lookalikes/{one['id']}/dismiss", {"why": "x"}).json["reason"] == "lookalike_unknown"
    assert annex.kiosk.get("/v1/lookalikes").status == 403
    for query, pointer in (("state=x", "?state"), ("limit=0", "?limit"), ("limit=1001", "?limit"), ("after=x", "?after"), ("limit=" + "9" * 19, "?limit")):
        assert own.get(f"/v1/lookalikes?{query}").json["pointer"] == pointer
    page = own.get("/v1/lookalikes?limit=1").json
    assert len(page["lookalikes"]) == 1 and page["next"] == page["lookalikes"][0]["id"]


def test_on_the_command_line(house, visit):
    one = made(house, visit)
    here = ["--after", str(one["id"] - 1)]      # other tests' stand before it
    said = house.ctl("lookalike", "list", *here)
    assert f"{visit} ward/w1 12.50" in said and f"{visit} clinic/c1 12.50" in said
    assert house.ctl("lookalike", "dismiss", str(one["id"]), "--why", "two doses").startswith(f"{one['id']}: dismissed: two doses, by ")
    assert visit not in house.ctl("lookalike", "list", *here) and "two doses" in house.ctl("lookalike", "list", "--all", *here)
    assert '"lookalikes"' in house.ctl("lookalike", "list", "--json")
