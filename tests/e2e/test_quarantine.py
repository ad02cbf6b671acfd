"""The quarantine over HTTP: filters, and replays and dismissals of many, dry run first; as the desk and operations ask for them."""

from urllib.parse import quote

import pytest

from .feeds import Feed, ft1


@pytest.fixture(name="unpriced")
def _unpriced(house, visit):
    """Twelve lines of one message and one of another, of a code that has no price yet, and one that will never be booked."""
    code = f"NIGHT-{visit}"
    house.lab.dft(visit, *(ft1(f"{n}", "", "2", code=code, category="") for n in range(1, 13)))
    house.lab.dft(visit, ft1("13", "", "1", code=code, category=""))
    house.lab.dft(visit, ft1("14", "", "1", code=f"NEVER-{visit}", category=""))
    return code


def price(house, code):
    house.rows("insert into item values (1, %s, '2026-01-01', null, '新项目', '次', 5, 'A', 0, 2500000)", code)


def test_many_are_replayed_by_filter(house, visit, unpriced):
    """All lines of a message by one reading of it; those that cannot be booked yet wait on."""
    body = {"filter": {"reason": "price_unknown", "feed": "lab", "visit": visit}}
    dry = house.desk.post("/v1/quarantine/replay", body | {"dry_run": True})
    assert dry.status == 200 and dry.json["matching"] == 14 and dry.json["by"] == [{"feed": "lab", "reason": "price_unknown", "count": 14}]
    assert [entry["visit_no"] for entry in dry.json["examples"]] == [visit] * 5 and house.lines(visit) == {}
    price(house, unpriced)
    first = house.ops.post("/v1/quarantine/replay", body | {"limit": 5})
    assert first.json == {"replayed": 5, "resolved": 5, "outcomes": {"posted": 5}, "next": dry.json["examples"][4]["id"]}
    rest = house.desk.post("/v1/quarantine/replay", body | {"after": first.json["next"]})
    assert rest.json == {"replayed": 9, "resolved": 8, "outcomes": {"posted": 8, "price_unknown": 1}, "next": None}
    assert house.lines(visit) == {("lab", f"{n}"): 250 if n == 13 else 500 for n in range(1, 14)}
    assert house.desk.post("/v1/quarantine/replay", body).json == {"replayed": 1, "resolved": 0, "outcomes": {"price_unknown": 1}, "next": None}
    listed = house.desk.get(f"/v1/quarantine?visit={visit}&feed=lab&reason=price_unknown").json
    assert [entry["source_line"] for entry in listed["quarantine"]] == ["14"]
    dismissed = house.desk.post("/v1/quarantine/dismiss", body | {"why": "分院的项目"})
    assert dismissed.json == {"dismissed": 1, "next": None}
    entry = house.desk.get(f"/v1/quarantine?visit={visit}&state=resolved&order=newest&limit=1").json["quarantine"][0]
    assert (entry["outcome"], entry["why"], entry["source_line"]) == ("dismissed", "分院的项目", "14") and entry["by"]
    assert house.broken() == []


@pytest.mark.parametrize("body, pointer", [
    ({}, "/filter"), ({"filter": {}}, "/filter"), ({"filter": {"order": "newest"}}, "/filter"), ({"filter": {"state": "resolved", "feed": "lab"}}, "/filter/state"),
    ({"filter": {"feeds": "lab"}}, "/filter/feeds"), ({"filter": {"feed": "lab"}, "dry": True}, "/dry"), ({"filter": {"feed": "lab"}, "dry_run": "yes"}, "/dry_run"),
    ({"filter": {"feed": "lab"}, "limit": 1001}, "/limit"), ({"filter": {"day": "2026-02-30"}}, "/filter/day"), ({"filter": {"from": "x"}}, "/filter/from"),
    ({"filter": {"day": "2026-01-01", "from": "2026-01-01"}}, "/filter/day"), ({"filter": {"text": "\0"}}, "/filter/text"), ({"filter": {"id": "1x"}}, "/filter/id"),
    ({"filter": {"feed": ["lab"]}}, "/filter/feed"),
])
def test_what_is_no_filter_does_nothing(house, body, pointer):
    for route in ("replay", "dismiss"):
        refused = house.desk.post(f"/v1/quarantine/{route}", body | {"why": "x"} if route == "dismiss" else body)
        assert refused.status == 422 and refused.json["pointer"] == pointer, refused
    assert house.desk.post("/v1/quarantine/dismiss", {"filter": {"visit": "nobody"}}).json["pointer"] == "/why"


@pytest.mark.parametrize("query", ["order=random", "state=open", "day=soon", "from=x", "limit=0", "limit=1e3", "after=-1", "feed=%ff", "text=" + "x" * 201])
def test_what_is_no_query(house, query):
    assert house.desk.get(f"/v1/quarantine?{query}").status == 422


def test_who_may(house):
    body = {"filter": {"visit": "nobody"}, "why": "x"}
    for route in ("replay", "dismiss"):
        assert house.nobody.post(f"/v1/quarantine/{route}", body).status == 401
        assert house.ward.post(f"/v1/quarantine/{route}", body).status == house.kiosk.post(f"/v1/quarantine/{route}", body).status == 403
        assert house.ops.post(f"/v1/quarantine/{route}", body).status == 200


def test_the_scope_holds(annex, visit):
    """Of another facility nothing is counted, replayed or dismissed."""
    Feed(annex.mllp, "CLINIC", "H01").dft(visit, ft1("1", "", "2", code=f"NEVER-{visit}", category=""))
    (entry,) = annex.quarantined(visit_no=visit)
    body = {"filter": {"id": entry["quarantine_id"]}, "why": "x"}
    stranger, own = (annex.client(f"desk-of-facility-{code}-only") for code in ("H02", "H01"))
    assert stranger.post("/v1/quarantine/replay", body | {"dry_run": True}).json["matching"] == 0
    assert stranger.post("/v1/quarantine/replay", body).json["replayed"] == stranger.post("/v1/quarantine/dismiss", body).json["dismissed"] == 0
    assert own.post("/v1/quarantine/replay", body).json["outcomes"] == {"price_unknown": 1}
    assert own.post("/v1/quarantine/dismiss", body).json["dismissed"] == 1


def test_visitbillctl_replays_many(house, visit, unpriced):
    price(house, unpriced)
    words = ("quarantine", "replay", "--visit", visit, "--text", visit)
    said = house.ctl(*words)
    assert "14  lab   price_unknown" in said and "nothing was replayed; --yes does it" in said and house.lines(visit) == {}
    house.ctl("quarantine", "dismiss", "--visit", visit, "--text", "NEVER", "--why", "no item of ours", "--yes")
    said = house.ctl(*words, "--yes")
    assert "13  posted" in said and "13 of 13 resolved" in said and len(house.lines(visit)) == 13
    assert "nothing waits that this means" in house.ctl(*words, "--dry-run")


def test_a_stranger_with_another_fault_is_told_both(house, visit):
    """In the answer and in quarantine; and both go with one replay, or wait for what is still wrong."""
    stranger = Feed(house.mllp, f"NEW{visit}")
    message = stranger.dft_message(visit, ft1("1")).replace("DFT^P03", "DFT^P99")
    answer = stranger.send(message)
    assert answer.code in ("AE", "AR") and sorted(answer.reasons) == ["event_code", "feed_unknown"], answer
    entries = house.desk.get("/v1/quarantine?feed=unknown&order=newest&limit=2").json["quarantine"]
    assert sorted(entry["reason"] for entry in entries) == ["event_code", "feed_unknown"]
    assert house.desk.post("/v1/quarantine/replay", {"filter": {"feed": "unknown", "from": entries[0]["received_at"]}}).json["outcomes"] == {"event_code": 2}
    left = house.desk.get(f"/v1/quarantine?feed=unknown&from={quote(entries[0]['received_at'])}").json["quarantine"]
    assert [entry["reason"] for entry in left] == ["event_code"]
