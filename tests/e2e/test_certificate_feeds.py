"""Who a client certificate is: feeds, kiosks and desks that are bound to one, by its name, its subject or its fingerprint, and are accepted by no other
way."""

import hashlib
import json

import pytest

from .api import line
from .feeds import Feed, frame, ft1
from .live import wait_until
from .secure import THEATRE, TILL, SecureClient, SecureFeed, context, issue

# feed, certificate, how the settings name it
BOUND = pytest.mark.parametrize("application, certificate", [("CLINIC", "clinic"), ("PHARMACY", "pharmacy"), ("LAB", "lab")],
                                ids=["by name", "by subject", "by fingerprint"])


def secure(house, application, certificate):
    return SecureFeed(house.mllps, application, context(house.certificates, certificate))


def web(house, certificate, token=None):
    return SecureClient(house.https, token, context(house.certificates, certificate))


@BOUND
def test_with_its_certificate(sealed, visit, application, certificate):
    secure(sealed, application, certificate).charge(visit, ft1("1"))
    assert sealed.lines(visit) == {(certificate, "1"): 1250}


@BOUND
def test_by_no_other_way(sealed, visit, application, certificate):
    """Not in plain text, not over TLS without a certificate, not with one that is nobody's, nor with another feed's. What came is kept for a person."""
    for feed, reason in ((Feed(sealed.mllp, application), "certificate_required"), (secure(sealed, application, None), "certificate_required"),
                         (secure(sealed, application, "guest"), "certificate_required"), (secure(sealed, application, "theatre"), "feed_mismatch")):
        ack = feed.dft(visit, ft1("1"))
        assert (ack.code, ack.errors) == ("AE", [("MSH^1^3", 204, reason)]), ack
    with Feed(sealed.mllp2, application).connect() as connection:
        connection.write(frame(Feed(sealed.mllp2, application).dft_message(visit, ft1("1")).encode()))
        commit, ack = connection.frames(2)
        assert commit == b"\x06" and b"|AE|" in ack and b"certificate_required" in ack
    assert sealed.lines(visit) == {}
    assert {entry["reason"] for entry in sealed.quarantined(visit_no=visit)} == {"certificate_required", "feed_mismatch"}


def test_a_certificate_speaks_for_its_own_feed_only(sealed, visit):
    """Not for another bound one, not for one that is not bound at all."""
    for application in ("PHARMACY", "LAB", "IMAGING"):
        ack = secure(sealed, application, "clinic").dft(visit, ft1("1"))
        assert (ack.code, ack.reasons) == ("AE", ["feed_mismatch"]), ack
    assert secure(sealed, "NOBODY", "clinic").dft(visit, ft1("1")).reasons == ["feed_unknown"]
    assert sealed.lines(visit) == {}
    for certificate in (None, "guest"):
        assert secure(sealed, "IMAGING", certificate).dft(visit, ft1(f"{certificate}")).code == "AA"
    assert Feed(sealed.mllp, "IMAGING").dft(visit, ft1("plain")).code == "AA", "who is not bound is known by MSH-3 and 4, as that listener allows"
    assert len(sealed.lines(visit)) == 3


def test_names_are_compared_whole(sealed, visit):
    """A certificate of the same authority with a longer name, a shorter one, or the name in another place is somebody else's."""
    for name in ("clinic.example", "clini", "xclinic"):
        path = issue(sealed.certificates, name.replace(".", "-"), -1, 1)
        assert secure(sealed, "CLINIC", path).dft(visit, ft1("1")).reasons == ["certificate_required"], name
    assert secure(sealed, "PHARMACY", issue(sealed.certificates, "Pharmacy", -1, 1)).dft(visit, ft1("1")).reasons == ["certificate_required"]
    assert sealed.lines(visit) == {}


def test_a_new_certificate_of_the_name(sealed, visit):
    """A name goes on with the next certificate; a fingerprint is of one."""
    secure(sealed, "CLINIC", issue(sealed.certificates, "CLINIC", -1, 1)).charge(visit, ft1("1"))
    assert secure(sealed, "LAB", issue(sealed.certificates, "labor", -1, 1)).dft(visit, ft1("1")).reasons == ["certificate_required"]


# ---- JSON

def test_a_feed_by_json(sealed, visit):
    """With a certificate alone where its section has no token; with both where it has."""
    assert web(sealed, "clinic").charge(line(visit, "1"))["booked"] == 1
    assert web(sealed, "theatre", THEATRE).charge(line(visit, "2"))["booked"] == 1
    body = {"lines": [line(visit, "3")]}
    for client in (web(sealed, "theatre"), web(sealed, "clinic", THEATRE), web(sealed, "guest", THEATRE), web(sealed, None, THEATRE), web(sealed, "guest"),
                   sealed.client(THEATRE), web(sealed, "theatre", THEATRE + "x")):
        reply = client.post("/v1/charges", body)
        assert (reply.status, reply.json["reason"]) == (401, "unauthorized"), reply
    assert sealed.lines(visit) == {("clinic", "1"): 1250, ("theatre", "2"): 1250}


def test_a_token_of_the_database_for_a_bound_feed(sealed, visit):
    """It is not accepted instead of the certificate; for a feed that is not bound it is."""
    for feed, status in (("imaging", 200), ("lab", 401), ("theatre", 401)):
        secret = f"secret-of-{feed}-{visit}"       # visitbillctl makes none for a feed that is bound; it may have been bound later
        assert sealed.value("select token_new(%s, %s, 'feed', '{H01}', %s, null, 'the tests')", f"{feed}-{visit}",
                            hashlib.sha256(secret.encode()).digest(), feed) == "done"
        known = sealed.client(sealed.ctl("token", "new", f"sign-{feed}-{visit}", "--role", "kiosk", "--facilities", "*").strip())
        wait_until(lambda client=known: client.get("/v1/bills/none").status == 404, "the daemon to know the tokens", 5)
        reply = sealed.client(secret).post("/v1/charges", {"lines": [line(visit, feed)]})
        assert reply.status == status, (feed, reply)
    assert sealed.lines(visit) == {("imaging", "imaging"): 1250}


def test_a_kiosk_and_a_desk(sealed, visit):
    """A kiosk by its certificate alone, a desk by token and certificate: each has its own role, and neither gets in with half."""
    Feed(sealed.mllp, "IMAGING").charge(visit, ft1("1"))
    path = f"/v1/visits/H01/{visit}"
    assert web(sealed, "kiosk").get(path).json["total"] == "12.50" and web(sealed, "kiosk").get("/v1/quarantine").status == 403
    assert web(sealed, "till", TILL).get(path).status == web(sealed, "till", TILL).get("/v1/quarantine").status == 200
    assert web(sealed, "kiosk", sealed.tokens["kiosk"]).get(path).status == 200, "a token that is not bound works beside a certificate"
    for client in (web(sealed, "till"), web(sealed, None, TILL), web(sealed, "kiosk", TILL), sealed.client(TILL), web(sealed, "guest"), web(sealed, None)):
        assert client.get(path).status == 401
    assert web(sealed, "clinic").get(path).status == 200 and web(sealed, "clinic").get("/v1/bills/none").status == 403, "it is a feed's"


def test_a_certificate_of_several(sealed):
    """Nothing is guessed: a token must say which is meant."""
    reply = web(sealed, "both").get("/v1/quarantine")
    assert reply.status == 401 and "several" in json.dumps(reply.json), reply
    assert web(sealed, "both", sealed.tokens["desk"]).get("/v1/quarantine").status == 200
