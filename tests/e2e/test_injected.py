"""One statement fails and the next one does not: each that the daemon says on money and lines, with each SQLSTATE that is no verdict on what was sent, cut
before and after the server has done it, or stopped half way. Whoever was told to come again comes again, and it is done once; only what PostgreSQL says of
a line's data is held against that line."""

import itertools
import threading
import time

import pytest

from .api import line, together
from .feeds import Feed, frame, ft1
from .injector import Injector
from .live import House, wait_until
from .test_notifications import Stream
from .test_reversals import back

# deadlock and serialization, a lock that was not given, cancelled, shut down, starting, connection, disk, memory, connections, read-only, input and output
NO_VERDICT = ("40001", "40P01", "55P03", "57014", "57P01", "57P03", "08006", "53100", "53200", "53300", "25006", "58030")
SOME = ("40P01", "57014", "53300", "25006")
CUTS = ("cut_before", "cut_after")
# a number, a character, a null, a key, a check, a row too large, what a function raises
VERDICT = ("22003", "22P05", "23502", "23505", "23514", "54000", "P0001")
SETTINGS = {"database": {"hold": "900ms", "answer_time": "1s"}, "jobs": {"close": "50ms", "payments": "50ms", "replay": "50ms"},
            "facility H01": {"grace": "10m", "late_grace": "200ms"}, "payment": {"channel_time": "3s"}, "log": {"repeat": "0s"}}
LONG_AGO = "20261101080000"
_names = itertools.count(1)


def _name():
    return f"inj-{next(_names)}"


class World:
    """A hospital whose daemon reaches its database through the injector."""

    def __init__(self):
        self.injector = self.conninfo = None
        self.house = House(self._settings)

    def _settings(self, house):
        words = dict(word.split("=", 1) for word in house.env["VISITBILL_PG"].split())
        self.injector = Injector(words["host"]).__enter__()
        self.conninfo = f"host={self.injector.folder} dbname={words['dbname']} user=visitbill"
        return SETTINGS | {"database": SETTINGS["database"] | {"conninfo": self.conninfo}}

    def __enter__(self):
        self.house.__enter__()
        self.bill = self.house.billed("inj-payer", "900000.00")["bill"]
        return self

    def __exit__(self, *exception):
        try:
            self.house.__exit__(*exception)
        finally:
            self.injector.__exit__()

    # ---- those who come again

    def until_taken(self, message, feed=None):
        """The codes until a message is taken."""
        codes = []
        while not codes or codes[-1] == "AR":
            codes.append((feed or Feed(self.house.mllp, "CLINIC")).send(message).code)
            assert len(codes) < 100, codes
        return codes

    def insist(self, ask):
        """The reply once it is none of "come again", and how often it was."""
        for n in range(200):
            reply = ask()
            if reply.status != 503:
                return reply, n
            time.sleep(0.02)
        raise AssertionError(reply)

    # ---- what is there

    def payments(self, key):
        return self.house.rows("select public_id, state, amount from payment where idempotency_key = %s", key)

    def pending(self):
        """A code over 1.00 that is shown."""
        reply = self.house.kiosk.pay(self.bill, "1.00", key=_name())
        assert reply.status == 201 and reply.json["state"] == "pending", reply
        return reply.json

    def ends(self, payment, state, age=0):
        def ended():
            self.house.hasten({"payment": payment}, age)
            return self.house.value("select state from payment where public_id = %s", payment) == state
        wait_until(ended, f"the payment to be {state}", 20, every=0.05)

    def captures(self, payment):
        return self.house.value("select count(*) from capture join payment using (payment_id) where public_id = %s", payment["payment"])


@pytest.fixture(scope="module", name="world")
def _world():
    with World() as world:
        yield world
        assert world.house.broken() == []
        assert world.house.ctl("audit").endswith("unexplained 0.00\n")


@pytest.fixture(autouse=True)
def _nothing_is_blamed(request):
    """After each: it is ready again, still the same process, and nothing is in quarantine that the database did not say of its data."""
    yield
    if "world" not in request.fixturenames:
        return
    world = request.getfixturevalue("world")
    world.injector.lift()
    assert world.house.is_running()
    wait_until(world.house.is_ready, "to be ready again", 15)
    assert world.house.value("select count(*) from quarantine where reason = 'internal' and coalesce(visit_no, '') not like 'bad-%%'") == 0


def named(statement):
    """What the injector looks for. A line alone has a statement of its own."""
    return r"charges_post(_one)?\(" if statement == "charges_post" else statement + r"\("


# ---- each statement, and what makes the daemon say it


def post_hl7(world, rule):
    visit, source = _name(), _name()
    codes = world.until_taken(world.house.clinic.dft_message(visit, ft1(source, "17.25")))
    assert rule.hits and codes[-1] == "AA" and world.house.lines(visit) == {("clinic", source): 1725}


def post_json(world, rule):
    visit = _name()
    body = {"lines": [line(visit, f"{n}", f"{n}.05") for n in range(1, 4)]}
    reply, _ = world.insist(lambda: world.house.ward.post("/v1/charges", body))
    assert rule.hits and reply.status == 200 and reply.json["refused"] == reply.json["held"] == 0
    assert world.house.lines(visit) == {("ward", f"{n}"): n * 100 + 5 for n in range(1, 4)}


def admit(world, rule):
    visit = _name()
    assert world.until_taken(world.house.clinic.adt_message("A01", visit, "I"))[-1] == "AA" and rule.hits
    assert world.house.rows("select class, state from visit where visit_no = %s", visit) == [("inpatient", "open")]


def hold_visits(world, rule):
    """Lines and events in a batch: their visits are locked first."""
    visit = _name()
    assert world.until_taken(world.house.clinic.dft_message(visit, ft1("1", "20.00"), ft1("2", "3.00", kind="PY")))[-1] == "AA" and rule.hits
    assert world.house.lines(visit) == {("clinic", "1"): 2000}
    assert world.house.rows("select c.amount from capture c join visit v using (visit_id) where visit_no = %s", visit) == [(300,)]


def park(world, rule):
    """What is refused is answered so once it is kept."""
    visit = _name()
    assert world.until_taken(world.house.clinic.dft_message(visit, ft1("1", "x")))[-1] == "AE" and rule.hits
    assert [q["reason"] for q in world.house.quarantined(visit_no=visit)] == ["field_invalid"]


def lock_briefly(world, rule):
    """A line whose visit somebody has is tried alone."""
    stuck = world.injector.fail(named("charges_post"), "55P03", times=1)
    post_hl7(world, rule)
    assert stuck.hits == 1


def mark(world, rule):
    at = time.time()
    world.house.pharmacy.heartbeat()
    wait_until(lambda: rule.hits and world.house.value(
        "select extract(epoch from mark)::float8 from feed_watermark join feed using (feed_id) where name = 'pharmacy'") >= at - 0.01, "the mark", 10)


def close(world, rule):
    visit, house = _name(), world.house
    house.clinic.charge(visit, ft1("1", "12.00"))
    assert house.clinic.adt("A03", visit).code == "AA"
    house.heartbeat("pharmacy", "lab", "ward")
    # a read behind the statement may be told to come again
    bills = wait_until(lambda: house.kiosk.get(f"/v1/visits/H01/{visit}/bills").json.get("bills"), "the bill")
    assert rule.hits and [bill["total"] for bill in bills] == ["12.00"]


def replay_held(world, rule):
    visit = _name()
    assert world.house.clinic.dft(visit, back("R", "1", "2.00")).code == "AA"
    world.house.clinic.charge(visit, ft1("1", "10.00"))
    wait_until(lambda: [q["outcome"] for q in world.house.quarantined(visit_no=visit)] in (["posted"], ["duplicate"]), "the reversal", 10)
    assert rule.hits and world.house.lines(visit) == {("clinic", "1"): 1000, ("clinic", "R"): -200}


def replay_that_cannot_fit(world, rule):
    visit = _name()
    assert world.house.clinic.dft(visit, back("R", "1", "12.00")).code == "AA"
    world.house.clinic.charge(visit, ft1("1", "10.00"))
    wait_until(lambda: [q["reason"] for q in world.house.quarantined(visit_no=visit) if q["outcome"] is None] == ["reversal_exceeds"], "the verdict", 10)
    assert rule.hits and world.house.lines(visit) == {("clinic", "1"): 1000}


def replay_by_hand(world, rule):
    visit = _name()
    assert world.house.clinic.dft(visit, ft1("1", "", code=f"C-{visit}")).reasons == ["price_unknown"]
    entry = world.house.quarantined(visit_no=visit)[0]["quarantine_id"]
    reply, told = world.insist(lambda: world.house.desk.post(f"/v1/quarantine/{entry}/replay"))
    assert rule.hits and told == 1 and reply.json == {"id": entry, "outcome": "price_unknown", "state": "waiting"}


def reads(world, rule, path, client="kiosk"):
    reply, told = world.insist(lambda: getattr(world.house, client).get(path))
    assert rule.hits == 1 and told == 1 and reply.status == 200


def pay_cash(world, rule):
    key = _name()
    reply, told = world.insist(lambda: world.house.desk.pay(world.bill, "1.25", "cash", key=key))
    assert rule.hits and told == 1 and reply.json["state"] == "succeeded", reply
    assert world.payments(key) == [(reply.json["payment"], "succeeded", 125)] and world.captures(reply.json) == 1


def pay_by_phone(world, rule):
    key = _name()
    reply, told = world.insist(lambda: world.house.kiosk.pay(world.bill, "1.25", key=key))
    assert rule.hits and told == 1
    (payment, state, amount), = world.payments(key)
    assert amount == 125
    if state == "pending":
        world.house.sim.pay(reply.json)
        world.ends(payment, "succeeded")
    else:                       # the order was placed, or not: it is asked for, and closed, and another key may follow
        world.ends(payment, "failed", 90)
    assert world.captures({"payment": payment}) == (state == "pending")


def nobody_knows(world, rule):
    """The channel's answer is none, and that cannot be written down either."""
    world.house.sim.fault("native", "500")
    key = _name()
    world.insist(lambda: world.house.kiosk.pay(world.bill, "1.25", key=key))
    assert rule.hits
    (payment, _, _), = world.payments(key)
    world.ends(payment, "failed", 90)


def end_it(world, rule):
    payment = world.pending()
    reply, told = world.insist(lambda: world.house.kiosk.post(f"/v1/payments/{payment['payment']}/cancel"))
    assert rule.hits and told == 1 and reply.status == 200, reply
    wait_until(lambda: world.house.kiosk.payment(payment["payment"])["state"] == "closed", "the end")


def capture(world, rule):
    """The channel is told to come again, or it is done."""
    payment = world.pending()
    answer = world.house.sim.pay(payment)["status"]
    while answer == 503:
        answer = world.house.sim.notify(payment)["status"]
    assert rule.hits and answer == 204 and world.captures(payment) == 1
    assert world.house.kiosk.payment(payment["payment"])["state"] == "succeeded"


def look(world, rule):
    payment = world.pending()
    world.house.sim.pay(payment, notify="none")
    world.ends(payment["payment"], "succeeded")
    assert rule.hits and world.captures(payment) == 1


def tell_streams(world, rule):
    with Stream(world.house.kiosk, world.bill) as stream:
        before = stream.next()
        wait_until(lambda: rule.hits, "the rule", 5)
        assert world.house.desk.pay(world.bill, "1.00", "cash", key=_name()).status == 201
        while (told := stream.next())["paid"] == before["paid"]:
            pass
        assert told["version"] > before["version"]


MONEY_AND_LINES = [
    ("charges_post", post_hl7), ("charges_post", post_json), ("visit_events", admit), ("visit_events", hold_visits), ("visits_hold", hold_visits),
    ("quarantine_put", park), ("feed_marks", mark), ("visits_close", close), ("payment_create", pay_cash), ("payment_create", pay_by_phone),
    ("payment_pending", pay_by_phone), ("payment_end", end_it), ("payment_captures", capture), ("quarantine_replayed", replay_held),
]
OTHERS = [
    ("lock_briefly", lock_briefly), ("quarantine_ready", replay_held), ("quarantine_replayed", replay_that_cannot_fit), ("charges_post", replay_held),
    ("quarantine_bytes", replay_by_hand), ("payment_unknown", nobody_knows), ("payments_due", look), ("payment_captures", look), ("payment_cancel", end_it),
    ("bills_watch", tell_streams),
]
CASES = ([(statement, act, how) for statement, act in MONEY_AND_LINES for how in NO_VERDICT + CUTS]
         + [(statement, act, how) for statement, act in OTHERS for how in SOME + CUTS])


@pytest.mark.parametrize("statement, act, how", [pytest.param(*case, id=f"{case[0]}-{case[1].__name__}-{case[2]}") for case in CASES])
def test_once(world, statement, act, how):
    """The statement fails once: nobody notices, or is told to come again, and then it is done, once."""
    act(world, world.injector.rule(named(statement), how) if how in CUTS else world.injector.fail(named(statement), how))


@pytest.mark.parametrize("how", SOME + CUTS)
@pytest.mark.parametrize("statement, path, client", [
    ("visit_doc", "/v1/visits/H01/inj-payer", "kiosk"), ("visit_bills", "/v1/visits/H01/inj-payer/bills", "kiosk"), ("bill_doc", "/v1/bills/{bill}", "kiosk"),
    ("payment_get", "/v1/payments/{payment}", "kiosk"), ("receipt_get", "/v1/receipts/{receipt}", "kiosk"), ("quarantine_list", "/v1/quarantine", "desk")])
def test_reads(world, statement, path, client, how):
    payment = world.house.desk.pay(world.bill, "1.00", "cash", key=_name()).json
    rule = world.injector.rule(named(statement), how) if how in CUTS else world.injector.fail(named(statement), how)
    reads(world, rule, path.format(bill=world.bill, payment=payment["payment"], receipt=payment["receipt"]), client)


@pytest.mark.parametrize("code", NO_VERDICT)
def test_for_a_while(world, code):
    """Nothing can be booked, kept or captured for longer than the hold: everyone is told to come again, in time, and who does finds it done once."""
    house, visit, payment = world.house, _name(), world.pending()
    messages = [house.clinic.dft_message(visit, ft1("1", "1.00")), house.clinic.dft_message(f"{visit}-py", ft1("1", "2.00"), ft1("2", "1.00", kind="PY")),
                house.clinic.adt_message("A01", f"{visit}-adt"), house.clinic.dft_message(f"{visit}-bad", ft1("1", "x"))]
    body = {"lines": [line(f"{visit}-{n}", "j", "3.00") for n in range(3)]}
    world.injector.fail(r"(charges_post|charges_post_one|visit_events|visits_hold|quarantine_put|payment_captures)\(", code, times=None)
    began = time.monotonic()
    *codes, status, notified = together(*(lambda message=message: Feed(house.mllp, "CLINIC").send(message).code for message in messages),
                                        lambda: house.ward.post("/v1/charges", body).status, lambda: house.sim.pay(payment)["status"])
    assert time.monotonic() - began < 4
    assert (codes, status, notified) == (["AR"] * 4, 503, 503)
    assert house.value("select count(*) from visit where visit_no like %s", visit + "%") == 0 and world.captures(payment) == 0
    world.injector.lift()
    ends = together(*(lambda message=message: world.until_taken(message)[-1] for message in messages),
                    lambda: world.insist(lambda: house.ward.post("/v1/charges", body))[0].json["booked"], lambda: house.sim.notify(payment)["status"])
    assert ends == ["AA", "AA", "AA", "AE", 3, 204]
    booked = dict(house.rows("select visit_no, sum(amount)::int from charge join visit using (visit_id) where visit_no like %s group by 1", visit + "%"))
    assert booked == {visit: 100, f"{visit}-py": 200, f"{visit}-0": 300, f"{visit}-1": 300, f"{visit}-2": 300}
    assert [q["reason"] for q in house.quarantined(visit_no=f"{visit}-bad")] == ["field_invalid"] and world.captures(payment) == 1


def test_no_room_for_lines(world):
    """The data disk is full, and still there is room for the small heartbeat: that is no database that is up, and it is said since when and why."""
    house = world.house
    feed, message = Feed(house.mllp, "CLINIC"), house.clinic.dft_message(_name(), ft1("1"))
    assert house.is_ready()
    world.injector.fail(named("charges_post"), "53100", times=None)
    told, waits, began = [], [0.0], time.monotonic()
    while time.monotonic() - began < 6:     # each is told at the hold, 0.9 s, and comes again
        told.append(feed.send(message).code)
        waits.append(house.metric("visitbill_oldest_line_seconds"))
        if time.monotonic() - began > 3:
            refused = house.watcher.get("/readyz")
            assert (refused.status, refused.text) == (503, "the database books no lines: injected\n")
            assert house.metric("visitbill_database_up") == 0 and house.metric("visitbill_heartbeat_age_seconds") < 3
    assert set(told) == {"AR"} and len(told) > 3
    assert waits == sorted(waits) and waits[-1] > 4, waits
    world.injector.lift()
    assert world.until_taken(message)[-1] == "AA"
    assert house.is_ready() and house.metric("visitbill_database_up") == 1 and house.metric("visitbill_oldest_line_seconds") < 1


# ---- one of many


def burst(world, name, bad):
    """Messages of a line each for visits of their own, written at once; the one that is bad goes to its own visit. Their codes by visit."""
    visits = [f"{bad if n == 6 else 'ok'}-{name}-{n}" for n in range(12)]
    with world.house.clinic.connect() as connection:
        connection.write(b"".join(frame(world.house.clinic.dft_message(visit, ft1("1", "2.00", at=LONG_AGO), control=visit).encode()) for visit in visits))
        acks = connection.acks(len(visits))
    assert [ack.control for ack in acks] == visits
    return {visit: ack for visit, ack in zip(visits, acks)}


@pytest.mark.parametrize("code", VERDICT)
def test_the_data_of_one_line(world, code):
    """The database refuses one line's data: that one alone is kept for a person, its neighbours are booked; once the cause is gone, a replay books it."""
    house, name = world.house, _name()
    rule = world.injector.fail(named("charges_post"), code, times=None, about=f"bad-{name}".encode())
    acks = burst(world, name, "bad")
    bad = acks.pop(f"bad-{name}-6")
    assert {ack.code for ack in acks.values()} == {"AA"} and bad.code == "AE" and bad.reasons == ["internal"]
    assert all(house.lines(visit) == {("clinic", "1"): 200} for visit in acks) and house.lines(f"bad-{name}-6") == {}
    entry, = house.quarantined(visit_no=f"bad-{name}-6")
    assert entry["reason"] == "internal" and rule.hits <= 8
    world.injector.lift()
    assert house.desk.post(f"/v1/quarantine/{entry['quarantine_id']}/replay").json["outcome"] == "posted"
    assert house.lines(f"bad-{name}-6") == {("clinic", "1"): 200}


def test_what_cannot_even_be_kept(world):
    """A bad line whose message the database refuses, too: it is not acknowledged, and kept once it can be."""
    house, visit = world.house, f"bad-{_name()}"
    message = house.clinic.dft_message(visit, ft1("1", "x"))
    rule = world.injector.fail(r"quarantine_put\(", "22P05", times=None, about=visit.encode())
    for _ in range(2):
        assert house.clinic.send(message).code == "AR"
    assert rule.hits == 2 and house.quarantined(visit_no=visit) == []
    world.injector.lift()
    assert house.clinic.send(message).code == "AE"
    assert [q["reason"] for q in house.quarantined(visit_no=visit)] == ["field_invalid"]


def test_a_capture_that_the_database_refuses(world):
    """The channel is not told that it is done; it comes again, and then it is."""
    payment, other = world.pending(), world.pending()
    number = world.house.value("select out_trade_no from payment where public_id = %s", payment["payment"])
    rule = world.injector.fail(r"payment_captures\(", "23514", times=None, about=number.encode())
    assert world.house.sim.pay(payment)["status"] == 500 and rule.hits == 1
    assert world.house.sim.pay(other)["status"] == 204
    assert (world.captures(payment), world.captures(other)) == (0, 1)
    world.injector.lift()
    assert world.house.sim.notify(payment)["status"] == 204 and world.captures(payment) == 1


@pytest.mark.parametrize("code", ["55P03", "57014", "XX000", "40001", "40P01"])
def test_one_line_that_cannot_be_done_now(world, code):
    """Locked, or too slow, or an error of the server's own: its neighbours are booked, and it is told to come again."""
    house, name = world.house, _name()
    world.injector.fail(named("charges_post"), code, times=None, about=f"stuck-{name}".encode())
    acks = burst(world, name, "stuck")
    assert acks.pop(f"stuck-{name}-6").code == "AR"
    assert {ack.code for ack in acks.values()} <= {"AA", "AR"}      # AR where the tries took as long as the hold
    for visit in acks:
        assert world.until_taken(house.clinic.dft_message(visit, ft1("1", "2.00", at=LONG_AGO)))[-1] == "AA"
    assert house.quarantined(visit_no=f"stuck-{name}-6") == []
    world.injector.lift()
    assert world.until_taken(house.clinic.dft_message(f"stuck-{name}-6", ft1("1", "2.00", at=LONG_AGO)))[-1] == "AA"
    assert all(house.lines(visit) == {("clinic", "1"): 200} for visit in [*acks, f"stuck-{name}-6"])


# ---- in the middle of a statement


@pytest.mark.parametrize("how", ["stop_request", "stop_reply"])
@pytest.mark.parametrize("statement, act", [("charges_post", post_hl7), ("visit_events", hold_visits), ("payment_captures", capture), ("payment_create", pay_cash),
                                            ("payment_end", end_it), ("visits_close", close)])
def test_half_a_statement(world, statement, act, how):
    """Half of it is there and nothing more comes, and neither end is told: it is given up after the answer time, ended at the server, and done once."""
    began = time.monotonic()
    act(world, world.injector.rule(named(statement), how))
    assert time.monotonic() - began < 10
    wait_until(lambda: world.house.value("select count(*) from pg_stat_activity where usename = 'visitbill' and state = 'active' and wait_event_type = 'Client'"
                                         " and xact_start < now() - interval '4 s'") == 0, "what was left to be ended at the server", 10)


def test_all_of_it_stands_still(world):
    """Everyone is told within the answer time, and all goes on as it was."""
    house, visit = world.house, _name()
    message = house.clinic.dft_message(visit, ft1("1"))
    world.injector.freeze()
    began = time.monotonic()
    assert house.clinic.send(message).code == "AR"
    assert house.kiosk.get(f"/v1/visits/H01/{visit}").status == 503
    wait_until(lambda: not house.is_ready(), "not to be ready", 8)
    assert time.monotonic() - began < 8
    world.injector.lift()
    assert world.until_taken(message)[-1] == "AA"
    assert house.lines(visit) == {("clinic", "1"): 1250}


def test_a_commit_that_fails(world):
    """It fails when everything in it was done: nobody can tell what became of it, it is sent again."""
    for code in ("40001", "57P01", "58030"):
        post_hl7(world, world.injector.rule(named("charges_post"), "fail_commit", sqlstate=code))


def test_slow_answers(world):
    """Slower than usual is not wrong."""
    post_hl7(world, world.injector.rule(named("charges_post"), "delay", seconds=0.3))
    pay_slowly = world.injector.rule(r"payment_create\(", "delay", seconds=0.3)
    reply = world.house.desk.pay(world.bill, "1.00", "cash", key=_name())
    assert pay_slowly.hits == 1 and reply.status == 201


@pytest.mark.parametrize("code", ["57P03", "53300"])
def test_who_connects_is_refused(world, code):
    """The server is starting, or full, and what there was is cut."""
    house, visit = world.house, _name()
    message = house.clinic.dft_message(visit, ft1("1"))
    wait_until(lambda: world.injector.open() >= 8, "its connections to be there", 20)
    world.injector.refuse(code)
    world.injector.cut()
    assert Feed(house.mllp, "CLINIC").send(message).code == "AR"
    wait_until(lambda: not house.is_ready(), "not to be ready", 5)
    world.injector.lift()
    assert world.until_taken(message)[-1] == "AA" and house.lines(visit) == {("clinic", "1"): 1250}


def test_the_heartbeat(world):
    """A beat that fails is no outage; none for a while is one, though everything else works."""
    house = world.house
    wait_until(lambda: house.metric("visitbill_heartbeat_age_seconds") < 0.8, "a beat since the test before", 5, every=0.05)
    once = world.injector.fail(r"beat\(", "57014")
    wait_until(lambda: once.hits, "the beat", 5)
    assert house.is_ready()
    world.injector.fail(r"beat\(", "57014", times=None)
    wait_until(lambda: not house.is_ready(), "not to be ready", 8)
    assert house.metric("visitbill_database_up") == 0
    world.injector.lift()
    wait_until(house.is_ready, "to be ready", 5)
    assert house.metric("visitbill_database_up") == 1


def test_a_scrape_without_gauges(world):
    rule = world.injector.fail(r"status_doc\(", "57014")
    assert world.house.metric("visitbill_database_up") == 1 and rule.hits == 1


# ---- the beginning


def test_start(world):
    """What is said first fails first: settings are applied again, tokens asked for again, and nobody is turned away meanwhile whose token is in the database."""
    house, injector = world.house, world.injector
    kiosk = house.client(house.ctl("token", "new", "inj", "--role", "kiosk", "--facilities", "H01").strip())
    assert house.stop() == 0
    rules = [injector.fail(r"setup_apply\(", "40001"), injector.fail(r"visits_overdue\(", "53200"), injector.fail(r"partitions_ahead\(", "57014"),
             injector.fail(r"from schema_version", "57014")]
    tokens = injector.fail(r"tokens_changed\(", "57014", times=None)
    answers, over = [], threading.Event()

    def ask():
        while not over.is_set():
            try:
                answers.append(kiosk.get("/v1/visits/H01/inj-payer").status)
            except OSError:
                pass
            time.sleep(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        house.start(wait=False)
        wait_until(lambda: tokens.hits > 2, "the tokens to be asked for", 20)
        assert not house.is_ready()
        tokens.lift()
        wait_until(house.is_ready, "to be ready", 10)
        wait_until(lambda: answers and answers[-1] == 200, "the token to work", 5)
    finally:
        over.set()
        asking.join()
    assert set(answers) <= {200, 503}, set(answers)
    wait_until(lambda: all(rule.hits for rule in rules), "each to have failed once", 10)


def test_by_tcp(world):
    """The same way in over TCP, with what libpq asks first there (is there TLS?)."""
    house, words = world.house, dict(word.split("=", 1) for word in world.house.env["VISITBILL_PG"].split())
    assert house.stop() == 0
    with Injector(words["host"], tcp=True) as injector:
        house.configure({"database": {"conninfo": "host={} port={} dbname={} user=visitbill".format(*injector.address, words["dbname"])}})
        house.start()
        for how in ("57014", "40001"):
            post_hl7(world, injector.fail(named("charges_post"), how))
        for how in ("cut_before", "cut_after", "stop_request", "stop_reply"):
            post_hl7(world, injector.rule(named("charges_post"), how))
        injector.lift()
        assert house.stop() == 0
    house.configure({"database": {"conninfo": world.conninfo}})
    house.start()
