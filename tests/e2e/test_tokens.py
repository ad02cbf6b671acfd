"""Tokens that visitbillctl makes, on a daemon that runs: known, revoked and expired within two seconds, and their last use is shown."""

import hashlib
import json
import time

import pytest

from .api import line
from .feeds import ft1
from .live import stays, wait_until
from .test_notifications import Stream


@pytest.fixture(name="path")
def _path(siege, visit):
    siege.clinic.charge(visit, ft1("1"))
    return f"/v1/visits/H01/{visit}"


def new(house, name, *arguments):
    return house.client(house.ctl("token", "new", name, *arguments).strip())


def listed(house, name):
    return next(token for token in json.loads(house.ctl("token", "list", "--json")) if token["name"] == name)


def test_a_life(siege, visit, path):
    """Made: it works, with its role and no other; used: that is told; revoked: it does not work any more."""
    kiosk = new(siege, f"kiosk-{visit}", "--role", "kiosk", "--facilities", "H01")
    wait_until(lambda: kiosk.get(path).status == 200, "the token to work", 2)
    assert kiosk.get("/v1/quarantine").status == 403 and kiosk.post("/v1/charges", {"lines": [line(visit, "x")]}).status == 403
    assert listed(siege, f"kiosk-{visit}")["state"] == "active"
    begun = time.time()
    used = wait_until(lambda: listed(siege, f"kiosk-{visit}")["last_used_at"], "its use to be told", 15, every=0.3)
    assert used[:10] == time.strftime("%Y-%m-%d", time.gmtime(begun + 8 * 3600)) and listed(siege, f"kiosk-{visit}")["last_peer"].startswith("127.0.0.1")
    siege.ctl("token", "revoke", f"kiosk-{visit}")
    wait_until(lambda: kiosk.get(path).status == 401, "the token to be refused", 2)
    stays(lambda: kiosk.get(path).status in (401, 429), "the token to be refused", 1)
    assert listed(siege, f"kiosk-{visit}")["state"] == "revoked"


def test_a_stream_ends_with_its_token(siege, visit):
    """Revoked, it hears of nothing more, and the connection is closed at the next sign of life."""
    bill = siege.billed(visit)["bill"]
    kiosk = new(siege, f"stream-{visit}", "--role", "kiosk", "--facilities", "H01")
    wait_until(lambda: kiosk.get(f"/v1/bills/{bill}").status == 200, "the token to work", 2)
    with Stream(kiosk, bill) as stream, Stream(siege.kiosk, bill) as another:
        assert stream.next()["outstanding"] == another.next()["outstanding"] == "100.00"
        siege.ctl("token", "revoke", f"stream-{visit}")
        wait_until(lambda: kiosk.get(f"/v1/bills/{bill}").status == 401, "the token to be refused", 2)
        assert siege.desk.pay(bill, "100.00", "cash").status == 201
        assert another.next()["outstanding"] == "0.00"
        rest = stream.response.read()
        assert b"event:" not in rest


def test_a_token_of_another_facility(siege, visit, path):
    siege.configure({"facility H02": {"name": "二院"}})
    siege.reload()
    other = new(siege, f"other-{visit}", "--role", "desk", "--facilities", "H02")
    wait_until(lambda: other.get("/v1/quarantine").status == 200, "the token to work", 2)
    assert other.get(path).status == 404


def test_a_feed_s_token(siege, visit):
    """What comes with it is that feed's."""
    feed = new(siege, f"lab-{visit}", "--role", "feed", "--feed", "lab")
    wait_until(lambda: feed.post("/v1/charges", {"lines": []}).status == 200, "the token to work", 2)
    assert feed.charge(line(visit, "1"))["booked"] == 1
    assert siege.lines(visit) == {("lab", "1"): 1250} and feed.get("/v1/bills/none").status == 403


def test_an_expiry(siege, visit, path):
    """The hospital's clock ends it, whether or not the database is asked meanwhile."""
    desk = new(siege, f"desk-{visit}", "--role", "desk", "--facilities", "*", "--expires", "1d")
    wait_until(lambda: desk.get(path).status == 200, "the token to work", 2)
    secret = f"short-lived-{visit}"
    assert siege.value("select token_new(%s, %s, 'desk', '{*}', null, now() + interval '1.5 s', 'the tests')", secret, hashlib.sha256(secret.encode()).digest()) == "done"
    sooner = siege.client(secret)
    wait_until(lambda: sooner.get(path).status == 200, "the token to work", 2)
    wait_until(lambda: sooner.get(path).status == 401, "the token to expire", 3)
    assert desk.get(path).status == 200 and listed(siege, secret)["state"] == "expired"


def test_a_feed_with_a_certificate_gets_none(sealed):
    """It is accepted by no other way, so a token would never be."""
    with pytest.raises(AssertionError, match="accepted by no other way"):
        new(sealed, "bound-1", "--role", "feed", "--feed", "clinic")
