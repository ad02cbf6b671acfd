"""Two daemons on one database, as during a restart without an outage or in a larger hospital: they share nothing else, and once is once through
whichever of them."""

import pathlib
import re

import pytest

from .api import Client, line, together
from .feeds import Feed, ft1
from .live import House, run_unprivileged, wait_until
from .test_notifications import Stream


class Twin:
    """The second daemon: the same settings on ports of its own."""

    def __init__(self, house):
        self.house = house
        text = pathlib.Path(house.env["VISITBILL_CONF"]).read_text("utf-8")
        text = re.sub(r"(?m)^(address = 127\.0\.0\.1):\d+$", r"\1:0", text)
        self.conf, self.log = house.folder / "twin.conf", house.folder / "log/twin.log"
        self.conf.write_text(text, "utf-8")
        self.conf.chmod(0o644)  # the daemon's user is not root

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = run_unprivileged(self.house.env["VISITBILL_BIN"], "-c", self.conf, stdout=log, stderr=log)
        said = wait_until(lambda: [text for text in self.log.read_text("utf-8").splitlines() if " info ready " in text], "the twin to be ready")[0]
        http, mllp = ((host, int(port)) for host, port in (said.partition(f" {name}=")[2].split()[0].split(":") for name in ("http", "mllp")))
        self.clinic = Feed(mllp, "CLINIC")
        self.ward, self.kiosk, self.desk = (Client(http, self.house.tokens[role]) for role in ("feed", "kiosk", "desk"))
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(30) == 0, self.log.read_text("utf-8")[-2000:]


@pytest.fixture(scope="module", name="pair")
def _pair():
    """A hospital and its second daemon."""
    with House({"facility H01": {"grace": "10m", "late_grace": "200ms"}}) as house, Twin(house) as twin:
        yield house, twin


def test_the_same_messages_through_both(pair, visits):
    """At the same moment, each line is booked by one of them and a duplicate for the other."""
    numbers = visits(20)
    messages = [pair[0].clinic.dft_message(visit, *(ft1(f"{n}", f"{n}.00") for n in range(20))) for visit in numbers]

    def send(daemon):
        with daemon.clinic.connect() as connection:
            return [connection.send(message) for message in messages]

    answers = together(*(lambda daemon=daemon: send(daemon) for daemon in pair))
    for one, two in zip(*answers):
        assert (one.code, two.code) == ("AA", "AA")
        assert int(one.zbl[1]) + int(two.zbl[1]) == 20 == int(one.zbl[2]) + int(two.zbl[2])
    assert all(len(pair[0].lines(visit)) == 20 for visit in numbers) and pair[0].broken() == []


def test_reversals_through_both(pair, visits):
    """Either fits and both do not."""
    house, twin = pair
    for visit in visits(10):
        house.clinic.charge(visit, ft1("1", "10.00"))
        codes = together(*(lambda daemon=daemon, source=source: daemon.ward.charge(line(visit, source, "6.00", type="credit", reverses="1", quantity=None))
                           for daemon, source in ((house, "R"), (twin, "S"))))
        assert [result["lines"][0]["outcome"] for result in codes] == ["held", "held"], "the clinic's line is not the ward's"
        messages = [house.clinic.dft_message(visit, ft1(source, "6.00", "", kind="CD", reverses="1")) for source in "RS"]
        acks = together(*(lambda daemon=daemon, message=message: daemon.clinic.send(message) for daemon, message in zip(pair, messages)))
        assert sorted(ack.code for ack in acks) == ["AA", "AE"]
        assert house.kiosk.visit(visit)["total"] == "4.00"
    assert house.broken() == []


def test_charges_and_close_through_both(pair, visits):
    """One daemon closes what the other one posts to: every line is on one bill, and each bill is issued once."""
    house, twin = pair
    numbers = visits(10)

    def post():
        for n in range(10):
            twin.ward.charge(*(line(visit, f"W{n}", "1.00") for visit in numbers))

    def close():
        for visit in numbers:
            house.discharge(visit, wait=False)

    house.ward.charge(*(line(visit, "first", "1.00") for visit in numbers))
    together(post, close)

    def all_billed():
        twin.ward.heartbeat()
        house.heartbeat()
        return all(sum(float(bill["total"]) for bill in twin.kiosk.bills(visit)["bills"]) == 11 for visit in numbers)

    wait_until(all_billed, "every line to be billed", every=0.1)
    assert house.broken() == []


def test_one_bill_paid_through_both(pair, visit):
    """One of two kiosks shows a code; the other one's events tell of the payment within a second; the same key is the same payment anywhere."""
    house, twin = pair
    bill = house.billed(visit)["bill"]
    replies = together(lambda: house.kiosk.pay(bill, "100.00", key=f"a-{bill}"), lambda: twin.kiosk.pay(bill, "100.00", key=f"b-{bill}"))
    assert sorted(reply.status for reply in replies) == [201, 409]
    winner = [reply.status for reply in replies].index(201)
    payment = replies[winner].json
    again = pair[1 - winner].kiosk.pay(bill, "100.00", key=f"{'ab'[winner]}-{bill}")
    assert again.status == 200 and again.json["payment"] == payment["payment"]
    with Stream(twin.kiosk, bill) as there, Stream(house.kiosk, bill) as here:
        assert there.next()["outstanding"] == here.next()["outstanding"] == "100.00"
        assert house.sim.pay(payment)["status"] == 204      # the first daemon is notified
        assert there.next()["state"] == here.next()["state"] == "settled"
    assert house.broken() == []


def test_receipts_through_both_have_no_gap(pair, visit):
    house, _ = pair
    bill = house.billed(visit)["bill"]
    last = house.value("select coalesce(max(number), 0) from receipt")
    replies = together(*(lambda n=n: pair[n % 2].desk.pay(bill, "3.00", "cash", key=f"{bill}-{n}") for n in range(24)))
    assert {reply.status for reply in replies} == {201}
    assert [number for number, in house.rows("select number from receipt where number > %s order by 1", last)] == list(range(last + 1, last + 25))
