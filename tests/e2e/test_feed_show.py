"""What a feed sent, as GET /v1/feeds/{feed} and visitbillctl feed show tell it: counted by daemons that share nothing but the database, kept over a restart."""

import json
import signal

import pytest

from .api import line
from .feeds import Feed, ft1
from .live import House, wait_until
from .test_two_daemons import Twin

SETTINGS = {
    "feed numbered": {"facility": "H01", "application": "NUMBERED"}, "feed counter": {"facility": "H01", "application": "COUNTER"},
    "feed results": {"facility": "H01", "application": "RESULTS", "ignore": "ORU ADT^A60"},
}


@pytest.fixture(scope="module", name="house")
def _house():
    with House(SETTINGS) as house:
        yield house


def shown(house, feed, **query):
    reply = (house.desk if hasattr(house, "desk") else house).get(f"/v1/feeds/{feed}" + "".join(f"?{name}={value}" for name, value in query.items()))
    assert reply.status == 200, reply
    return reply.json


def kinds(house, feed):
    return {(row["type"], row["outcome"]): row["messages"] for row in shown(house, feed)["messages"]["by_type"]}


def numbered(feed, number, visit, *lines):
    """A message with MSH-13."""
    head, _, rest = feed.dft_message(visit, *(lines or [ft1()])).partition("\r")
    fields = head.split("|")
    fields[12] = str(number)
    return feed.send("|".join(fields) + "\r" + rest)


def test_messages_by_type_and_outcome(house, visit):
    feed = Feed(house.mllp, "RESULTS")
    assert feed.adt("A01", visit).code == "AA"
    for _ in range(3):
        feed.charge(visit, ft1())
    assert feed.dft("", ft1()).reasons == ["visit_missing"]
    assert feed.dft(visit, ft1(amount="x")).code == "AE"
    for event in ("ORU^R01", "ORU^R03", "ADT^A60"):
        assert feed.send(feed.message(event, feed.pid(visit))).code == "AA"
    assert feed.send(feed.message("ZZZ^Z01", feed.pid(visit))).reasons == ["message_type"]
    wanted = {("ADT^A01", "accepted"): 1, ("DFT^P03", "accepted"): 3, ("DFT^P03", "visit_missing"): 1, ("DFT^P03", "field_invalid"): 1, ("ORU", "ignored"): 2,
              ("ADT", "ignored"): 1, ("other", "message_type"): 1}
    wait_until(lambda: kinds(house, "results") == wanted, "the counts", 5)
    doc = shown(house, "results")
    assert (doc["messages"]["received"], doc["messages"]["refused"], doc["messages"]["without_visit_no"], doc["messages"]["without_visit_no_percent"]) == (10, 3, 1, 14.29)
    assert doc["messages"]["by_type"][0]["last_message"] == feed.control and (doc["lines"]["booked"], doc["lines"]["quarantined"]) == (3, 2)
    assert doc["mark"] is not None and doc["lag_seconds"] < 60 and doc["silent_seconds"] < 60 and doc["facility"] == "H01"


def test_requests(house, visit):
    before = kinds(house, "ward")
    house.ward.charge(line(visit, "W1", "1.00"))
    assert house.ward.post("/v1/charges", {"as_of": "x", "lines": []}).status == 422
    wait_until(lambda: sum(kinds(house, "ward").values()) == sum(before.values()) + 2, "both to be counted", 5)
    assert kinds(house, "ward")[("POST /v1/charges", "accepted")] == before.get(("POST /v1/charges", "accepted"), 0) + 1


def test_ids_that_another_message_had(house, visit):
    """A feed that counts FT1-2 in each message: an equal charge is taken for a resend, which nobody would see."""
    feed = Feed(house.mllp, "COUNTER")
    at = "20260115100000"
    first = feed.dft_message(visit, ft1("1", "5.00", at=at))
    control = feed.control
    assert feed.send(first).code == "AA" and feed.send(first).code == "AA"
    doc = shown(house, "counter")["lines"]
    assert (doc["duplicate"], doc["again_same"], doc["again_other"], doc["again"]) == (1, 0, 0, []), "a resend of the same message is none"
    assert feed.dft(visit, ft1("1", "5.00", at=at)).code == "AA"
    second = feed.control
    assert feed.dft(visit, ft1("1", "6.00", at=at)).reasons == ["conflict"]
    doc = shown(house, "counter")["lines"]
    assert (doc["duplicate"], doc["again_same"], doc["again_other"]) == (2, 1, 1)
    assert {(row["visit_no"], row["source_line"], row["message"], row["first_message"], row["same_content"]) for row in doc["again"]} == {
        (visit, "1", second, control, True), (visit, "1", feed.control, control, False)}
    page = house.ctl("feed", "show", "counter")
    assert f"{visit}  1     {second}" in page and "1 with the same content (duplicate), 1 with other (conflict; replays of one count)" in page


def test_gaps_in_sequence_numbers_through_two_daemons(house, visit):
    feed = Feed(house.mllp, "NUMBERED")
    with Twin(house) as twin:
        there = Feed(twin.clinic.address, "NUMBERED")
        for number in range(100, 110):      # by turns: none is missing, whoever tells first
            assert numbered((feed, there)[number % 2], number, visit).code == "AA"
        wait_until(lambda: (shown(house, "numbered")["sequence"] or {}).get("last") == 109, "the last number", 5)
        wait_until(lambda: shown(house, "numbered")["sequence"]["gaps"] == 0, "no gap", 5)
        for number in (112, 112, 120):
            assert numbered(there, number, visit).code == "AA"
    seen = shown(house, "numbered")["sequence"]
    assert (seen["last"], seen["gaps"], seen["missing"]) == (120, 2, 9), "a daemon that ends tells what it has"
    assert [(gap["before"], gap["after"], gap["missing"]) for gap in seen["newest"]] == [(112, 120, 7), (109, 112, 2)]
    assert shown(house, "numbered")["messages"]["received"] == 13
    page = house.ctl("feed", "show", "numbered")
    assert "2 gaps, 9 numbers are missing" in page and json.loads(house.ctl("feed", "show", "numbered", "--json"))["sequence"]["last"] == 120


def test_a_restart_tells_what_was_counted(house, visit):
    before = kinds(house, "clinic").get(("DFT^P03", "accepted"), 0)
    for _ in range(5):
        house.clinic.charge(visit, ft1())
    assert house.stop(signal.SIGTERM) == 0
    house.start()
    assert kinds(house, "clinic")[("DFT^P03", "accepted")] == before + 5


def test_codes_and_prices(house, visit):
    """What the daemon counts is what the statement that booked the lines has written beside them."""
    feed = Feed(house.mllp, "NUMBERED")
    listed, price = house.rows("select code, unit_price_e6 / 10000 from item where unit_price_e6 >= 1000000 order by code limit 1")[0]
    right, wrong = f"{price / 100:.2f}", f"{price / 100 + 7:.2f}"
    kept = "select coalesce(sum((warning = 'unlisted')::int), 0), coalesce(sum((warning = 'price_differs')::int), 0) from charge join feed using (feed_id) where name = 'numbered'"
    before = house.rows(kept)[0]
    feed.charge(visit, ft1("K", right, code=listed), ft1(code=listed, amount=wrong), ft1(code="NOT-THERE", category=""), ft1(code="NOR-THERE"), ft1(code=listed, amount="", price=wrong),
                ft1(code=listed, amount="", price=right, quantity="2.5"), ft1(code=listed, amount=""), ft1(code=listed, amount=wrong, kind="AJ"), ft1(code=listed, amount=wrong, category=""),
                ft1(code=listed, amount=right, at="19950101120000", category=""), ft1("KK", kind="CD", reverses="K", amount=right, code="NOT-THERE", category=""))
    for lines in ([ft1(code=listed, amount=wrong)], [ft1(code="NOT-THERE", category="")], [ft1(code=listed, amount=f"{price / 100 + 0.01:.2f}")]):
        feed.charge(visit, *lines)      # a line alone
    after = house.rows(kept)[0]
    assert (after[0] - before[0], after[1] - before[1]) == (3, 4)

    def counted():
        doc = shown(house, "numbered")["lines"]
        return (doc["unlisted"], doc["price_differs"]) == after
    wait_until(counted, "the daemon's counts", 5)


def test_who_may_ask_and_how(house):
    assert house.ops.get("/v1/feeds/clinic").status == 200
    assert house.desk.get("/v1/feeds/nobody").status == 404 and house.desk.get("/v1/feeds/visitbill").status == 404
    assert house.kiosk.get("/v1/feeds/clinic").status == 403 and house.ward.get("/v1/feeds/clinic").status == 403
    assert house.desk.get("/v1/feeds/clinic?days=32").status == 422 and house.desk.get("/v1/feeds/clinic?days=31").status == 200
    page = house.ctl("feed", "show", "lab", "--days", "1")
    assert "SEQUENCE (MSH-13): none was sent" in page and "watermark" in page
