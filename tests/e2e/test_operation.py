"""The operator's signals: SIGHUP with good and bad files, SIGTERM while messages are in flight; and what the log says and does not say. A hospital of
its own."""

import http.client
import pathlib
import signal
import threading
import time

import pytest

from .api import line
from .feeds import PATIENT, Connection, Feed, frame, ft1
from .live import House, wait_until


@pytest.fixture(scope="module", name="shared")
def _shared():
    with House({"jobs": {"drain": "2s"}, "facility H01": {"grace": "10m"}}) as house:
        yield house


@pytest.fixture(name="own")
def _own(shared):
    """The hospital, with its daemon running however the test before ended."""
    shared.rows("rollback")
    if not shared.is_running():
        shared.start()
    return shared


@pytest.fixture(name="conf")
def _conf(own):
    """The text of the settings; they are back afterwards."""
    path = pathlib.Path(own.env["VISITBILL_CONF"])
    text = path.read_text("utf-8")
    yield text
    path.write_text(text, "utf-8")
    if own.is_running():
        own.reload()


# ---- SIGHUP

@pytest.mark.parametrize("change, why", [
    (lambda text: text + "\n[http]\nlistne = 1\n", "listne"), (lambda text: text + "\nnonsense without an equals sign\n", "conf:"),
    (lambda text: text + "\n[token new]\nrole = kiosk\nsecret = short\n", "token new"), (lambda text: text + "\n[token new]\nrole = king\nsecret = 0123456789abcdef\nfacilities = *\n", "role"),
    (lambda text: text + "\n[feed new]\nfacility = H77\n", "H77"), (lambda text: text.replace("grace = 10m", "grace = ten"), "grace"),
    (lambda text: text.replace("merchant_key.pem", "no_such.pem"), "key file"), (lambda text: text + "\n[log]\nlevel = loud\n", "level"),
    (lambda text: text.replace("platform_public.pem", "apiv3_key"), "wechatpay main"), (lambda text: "", "conninfo"),
    (lambda text: text + "\n[payment]\nlifetime = 0s\n", "lifetime"), (lambda text: text + "\n[token]\nrole = kiosk\n", "needs a name"),
])
def test_a_bad_file_keeps_the_old_settings(own, conf, visit, change, why):
    """It says what is wrong with it; a good setting in the same file does not come into force either."""
    said = own.reload(change(conf.replace(own.tokens["kiosk"], "another-kiosk-token")) or " ")
    assert " error reload kept=old" in said and why in said, said
    own.clinic.charge(visit, ft1("1"))
    assert own.kiosk.get(f"/v1/visits/H01/{visit}").status == 200
    assert own.client("another-kiosk-token").get(f"/v1/visits/H01/{visit}").status == 401


def test_a_file_that_is_gone(own, conf):
    path = pathlib.Path(own.env["VISITBILL_CONF"])
    path.unlink()
    seen = len(own.log())
    own.send_signal(signal.SIGHUP)
    wait_until(lambda: "kept=old" in own.log()[seen:], "the log to say it")
    path.write_text(conf, "utf-8")
    assert own.ward.charge()["received"] == 0


def test_a_good_file(own, conf, visits):
    """A new kiosk, a new feed, one less, another price limit: at once, on connections that stay open."""
    visit, other = visits(2)
    new = Feed(own.mllp, "IMAGING")
    open_line = own.clinic.connect()
    assert new.dft(visit, ft1("1")).reasons == ["feed_unknown"]
    said = own.reload(conf.replace(own.tokens["kiosk"], "another-kiosk-token") + "\n[feed imaging]\nfacility = H01\napplication = IMAGING\ntoken = token-of-the-imaging\n"
                      "\n[facility H01]\noutpatient_limit = 10.00\n")
    assert " info reload " in said and "feeds=5" in said, said
    wait_until(lambda: new.dft(visit, ft1("1")).code == "AA", "the new feed")
    assert own.client("another-kiosk-token").get(f"/v1/visits/H01/{visit}").status == 200 and own.kiosk.get(f"/v1/visits/H01/{visit}").status == 401
    assert own.client("token-of-the-imaging").charge(line(other, "1"))["booked"] == 1
    assert own.desk.visit(other)["flags"] == ["provisional", "over_limit"]
    assert open_line.send(own.clinic.dft_message(visit, ft1("2"))).code == "AA"
    own.reload(conf)
    wait_until(lambda: new.dft(visit, ft1("3", "x")).reasons == ["feed_unknown"], "the feed to be gone")
    assert own.client("token-of-the-imaging").get(f"/v1/visits/H01/{visit}").status == 401
    assert own.lines(visit) == {("imaging", "1"): 1250, ("clinic", "2"): 1250}, "what it booked stays"
    open_line.close()


def test_settings_that_need_a_restart(own, conf):
    """They are named, and keep their old value."""
    seen = len(own.log())
    assert " info reload " in own.reload(conf.replace(f"address = 127.0.0.1:{own.http[1]}", "address = 127.0.0.1:1"))
    assert "listen.http.address" in own.log()[seen:] and own.nobody.get("/healthz").status == 200


def test_bills_wait_only_for_configured_feeds(own, conf, visit):
    """A feed that is taken out holds no bill back any more."""
    own.clinic.charge(visit, ft1("1"))
    own.clinic.adt("A03", visit)
    own.heartbeat("pharmacy", "ward")
    assert own.kiosk.bills(visit)["bills"] == []
    own.reload(conf.replace("[feed lab]", "[feed lab]\nwaits = no"))
    assert own.next_bill(visit, 0)["total"] == "12.50"


# ---- SIGTERM

def test_term_answers_what_is_in_flight(own, visits):
    """What was booked was acknowledged, what was not was not; then it ends, with status 0, and a new one goes on where it ended."""
    numbers = visits(20)
    messages = [own.clinic.dft_message(visit, *(ft1(f"T{n}", "1.00") for n in range(50))) for visit in numbers]
    connections = [own.clinic.connect() for _ in range(4)]
    for place, connection in enumerate(connections):
        connection.write(b"".join(frame(message.encode()) for message in messages[place::4]))
    body = {"lines": [line(numbers[0], f"J{n}", "1.00") for n in range(500)]}
    replies = []

    def ask():
        try:
            replies.append(own.ward.post("/v1/charges", body))
        except (OSError, http.client.HTTPException):
            pass        # it came too late

    request = threading.Thread(target=ask)
    request.start()
    acked = [connections[0].acks()[0].control]
    assert own.stop() == 0
    request.join()
    for connection in connections:
        try:
            while True:
                acked += [ack.control for ack in connection.acks()]
        except ConnectionError:
            connection.close()
    booked = {row[0] for row in own.rows("select distinct message_id from charge where message_id = any (%s)", [m.split("|")[9] for m in messages])}
    assert set(acked) == booked and len(acked) == len(booked) >= 1
    by_json = own.value("select count(*) from charge where source_line like 'J%%'")
    assert [(reply.status, reply.json["booked"]) for reply in replies] == ([(200, 500)] if by_json else [])
    with pytest.raises(ConnectionError):
        Connection(own.mllp)
    own.start()
    assert [own.clinic.send(message).code for message in messages] == ["AA"] * len(messages)
    assert own.ward.charge(*body["lines"])["refused"] == 0
    assert own.value("select count(*) from charge join visit using (visit_id) where visit_no = any (%s)", numbers) == 1500
    assert own.broken() == []


def hang(own, visit):
    """A message that cannot be booked for now: its visit is locked."""
    own.clinic.charge(visit, ft1("0"))
    own.rows("begin")
    own.rows("select 1 from visit where visit_no = %s for update", visit)
    connection = own.clinic.connect()
    connection.write(frame(own.clinic.dft_message(visit, ft1("1"), control="HANG").encode()))
    wait_until(lambda: own.value("select count(*) from pg_stat_activity where usename = 'visitbill' and wait_event_type = 'Lock'"), "the message to wait")
    return connection


def term(own):
    """SIGTERM, and until the daemon has noticed."""
    seen = len(own.log())
    own.send_signal(signal.SIGTERM)
    wait_until(lambda: " draining " in own.log()[seen:], "the drain to begin")


def test_term_waits_for_work_and_then_answers(own, visit):
    connection = hang(own, visit)
    term(own)
    assert own.is_running()
    own.rows("rollback")
    assert connection.acks()[0].code == "AA" and connection.is_closed()
    wait_until(lambda: not own.is_running(), "the end", 5)
    own.start()
    assert set(own.lines(visit)) == {("clinic", "0"), ("clinic", "1")}


def test_a_drain_has_a_deadline(own, visit):
    """Two seconds here. What was not booked is not acknowledged."""
    connection = hang(own, visit)
    begun = time.monotonic()
    own.stop()
    assert 1.5 < time.monotonic() - begun < 10
    own.rows("rollback")
    with pytest.raises(ConnectionError):
        connection.frames(1)
    own.start()
    assert own.clinic.dft(visit, ft1("2")).code == "AA"


def test_a_second_term_ends_at_once(own, visit):
    connection = hang(own, visit)
    term(own)
    begun = time.monotonic()
    own.stop()
    assert time.monotonic() - begun < 4        # far less than a drain
    own.rows("rollback")
    connection.close()
    own.start()


def test_waiting_kiosks_do_not_hold_up_the_end(own, visit):
    """Streams are closed, those that are just being opened as well, and so are idle connections."""
    events = f"/v1/bills/{own.billed(visit)['bill']}/events"
    connections = []
    for path, answered in ((events, True), ("/healthz", True), (events, False)):
        connection = http.client.HTTPConnection(*own.http, timeout=20)
        connection.request("GET", path, headers={"Authorization": f"Bearer {own.kiosk.token}"})
        if answered:
            assert connection.getresponse().status == 200
        connections.append(connection)
    begun = time.monotonic()
    assert own.stop() == 0
    assert time.monotonic() - begun < 1.5
    for connection in connections:
        connection.close()


# ---- the log

def test_no_patient_and_no_token_in_the_log(own, visit):
    """Whatever goes wrong. (Each hospital of these tests is searched again when it ends.)"""
    own.clinic.adt("A04", visit)
    own.clinic.charge(visit, ft1("1"))
    own.clinic.dft(visit, ft1("1", "9.00"), ft1("2", "x"), ft1("3", "1.00&USD"), ft1("4", "", code="NONE"), ft1("5", "99999999999999.99", "0.0001"))
    own.clinic.adt("A13", f"{visit}x")
    own.clinic.merge(visit, visit)
    Feed(own.mllp, PATIENT, PATIENT).adt("A04", visit)
    Feed(own.mllp, own.tokens["desk"], "H01").adt("A04", visit)
    own.clinic.send(f"hello {PATIENT}")
    own.ward.charge(line(visit, "1", None, name=PATIENT), line(visit, "", name=PATIENT))
    own.ward.post("/v1/charges", f'{{"{PATIENT}'.encode(), Content_Type="application/json")
    own.nobody.get(f"/v1/visits/H01/{visit}?token={own.tokens['desk']}", Authorization=f"Bearer {own.tokens['desk']}x")
    own.kiosk.get("/v1/bills/none")
    assert own.secrets_told() == []
    assert len(own.log()) > 1000


def test_log_lines_cannot_be_forged(own, visit):
    """What a message brings along is on one line."""
    own.clinic.send(own.clinic.dft_message(visit, ft1("1", "x"), control="C1\n2026-01-01T00:00:00.000Z error fatal forged"))
    own.clinic.send(own.clinic.dft_message(visit, ft1("1", "x"), control="C2\x0a\x0dforged"))
    assert not any(text.startswith(("2026-01-01", "forged")) for text in own.log().splitlines())
