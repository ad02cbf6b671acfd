"""SIGHUP under full load, many times a second; files beside the settings file; and what a reload refuses or says."""

import os
import pathlib
import re
import shutil
import signal
import threading
import time

import pytest

from .api import line
from .feeds import Feed, ft1
from .foes import LONG
from .live import wait_until

OWN = "[facility H01]\noutpatient_limit = 10.00\n"


@pytest.fixture(name="conf")
def _conf(siege):
    """The path of the settings; they, and the folder beside them, are back afterwards."""
    path = pathlib.Path(siege.env["VISITBILL_CONF"])
    text = path.read_text("utf-8")
    yield path
    path.write_text(text, "utf-8")
    for own in path.with_name("conf.d").glob("*.conf"):
        own.unlink()
    assert " info reload " in siege.reload()


def refused(siege):
    """Why a reload kept the old settings."""
    said = siege.reload()
    assert " error reload kept=old why=" in said, said
    return said.partition("why=")[2]


def write_whole(path, text):
    """No reader sees half of it."""
    fresh = path.with_name("fresh")
    fresh.write_text(text, "utf-8")
    shutil.copymode(path, fresh)
    os.chown(fresh, path.stat().st_uid, path.stat().st_gid)
    fresh.replace(path)


# ---- under load

class Work:
    """Threads that do one thing again and again until they are stopped; the first error ends the test."""

    def __init__(self, *jobs):
        self.stop, self.errors, self.counts = threading.Event(), [], [0] * len(jobs)
        self.threads = [threading.Thread(target=self._run, args=(n, job)) for n, job in enumerate(jobs)]

    def _run(self, place, job):
        try:
            while not self.stop.is_set():
                job(self.counts[place])
                self.counts[place] += 1
        except BaseException as error:      # pylint: disable=broad-except
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        assert not self.errors, self.errors


def test_many_times_a_second(siege, conf, visits):
    """Reload after reload, each with settings that differ from the ones before, under feeds, payments at the channel and replays: nothing crashes, each
    message is acknowledged, each payment ends, the audit is clean."""
    text = conf.read_text("utf-8")
    variants = [text, text + "\n[token spare]\nrole = kiosk\nfacilities = *\nsecret = a-secret-of-the-spare-kiosk\n", text.replace("late_grace = 200ms", "late_grace = 201ms"),
                text + "\n[feed spare]\nfacility = H01\napplication = SPARE\n\n[payment]\nlifetime = 9m\n\n[log]\nrepeat = 9s\n"]
    posted, paid, (replayed, held) = visits(3), visits(3), visits(2)
    bills = [siege.billed(visit)["bill"] for visit in paid]
    payments = []

    def send(feed, visit):
        connection = feed.connect()

        def job(n):
            ack = connection.send(feed.dft_message(visit, ft1(f"{n}", "1.00")))
            assert ack.code == "AA", ack

        return job

    def pay(bill):
        def job(n):
            reply = siege.kiosk.pay(bill, "0.01")
            assert reply.status in (201, 202), reply
            payments.append(reply.json)
            if n % 3 == 0:
                siege.sim.pay(reply.json, wait=False)
            elif n % 3 == 1:
                assert siege.kiosk.post(f"/v1/payments/{reply.json['payment']}/cancel").status in (200, 202, 409)

        return job

    def replay(n):
        """A line that has no price yet, then one; a reversal before its original: the first is replayed by hand, the second by the daemon."""
        code = f"R-{replayed}-{n}"
        assert siege.lab.dft(replayed, ft1(f"{n}", "", code=code, category="")).reasons == ["price_unknown"]
        siege.rows("insert into item select facility_id, %s, '2026-01-01', null, '新项目', '次', 5, 'A', 0, 1000000 from facility where code = 'H01'", code)
        (entry,) = siege.quarantined(visit_no=replayed, source_line=f"{n}")
        assert siege.desk.post(f"/v1/quarantine/{entry['quarantine_id']}/replay").json["outcome"] == "posted"
        assert siege.ward.charge(line(held, f"C{n}", "1.00", type="credit", reverses=f"{n}", quantity=None))["lines"][0]["outcome"] == "held"
        assert siege.ward.charge(line(held, f"{n}", "1.00"))["booked"] == 1

    feeds = [siege.clinic, siege.pharmacy, Feed(siege.mllp, "LAB")]
    siege.sim.fault("native", "slow", 1000000, delay_ms=30)     # long enough for a reload in between
    try:
        with Work(*(send(feed, visit) for feed, visit in zip(feeds, posted)), *(pay(bill) for bill in bills), replay) as work:
            seen, count, begun = len(siege.log()), 1000 if LONG else 150, time.monotonic()
            for n in range(count):
                write_whole(conf, variants[n % len(variants)])
                siege.send_signal(signal.SIGHUP)
                work.stop.wait(0.02)
                assert siege.is_running() and not work.errors, (siege.log()[-2000:], work.errors)
            least = list(work.counts)
            wait_until(lambda: work.errors or all(now > before for now, before in zip(work.counts, least)), "all of it to go on", 20)
            done = siege.log()[seen:]
    finally:
        siege.sim.fault("native", count=0)
    assert done.count(" info reload ") >= count / 4 and "error reload" not in done, (done.count(" info reload "), time.monotonic() - begun)
    assert min(work.counts) >= 3, work.counts
    for visit, sent in zip(posted, work.counts):
        assert len(siege.lines(visit)) == sent
    assert len(siege.lines(replayed)) == work.counts[-1]
    wait_until(lambda: len(siege.lines(held)) == 2 * work.counts[-1], "the reversals to be booked by themselves", 10)

    mine = [payment["payment"] for payment in payments]
    siege.rows("update payment set expires_at = now(), created_at = created_at - interval '1 h' where public_id = any (%s)", mine)

    def ended():
        siege.rows("update payment set next_check_at = now() where public_id = any (%s)", mine)
        return siege.value("select count(*) from payment where public_id = any (%s) and state in ('created', 'pending', 'unknown')", mine) == 0

    wait_until(ended, "every payment to end", 30, every=0.3)
    orders = {order["out_trade_no"] for order in siege.sim.get("/sim/orders").json["orders"] if order["trade_state"] == "SUCCESS"}
    captured = {number for number, in siege.rows("select out_trade_no from capture join payment using (payment_id) where public_id = any (%s)", mine)}
    placed = {number for number, in siege.rows("select out_trade_no from payment where public_id = any (%s)", mine)}
    assert captured == orders & placed and captured, "what the channel has is captured, and nothing else"
    assert siege.broken() == []


def test_a_connection_that_is_lost_after_a_reload(siege, conf, visit):
    """The daemon makes it again with what it was told at its start, whatever the settings say now."""
    conf.write_text(conf.read_text("utf-8") + "\n[log]\nrepeat = 8s\n", "utf-8")
    assert " info reload " in siege.reload()
    for n in range(3):
        killed = siege.value("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'visitbill'")
        assert killed >= 6
        assert wait_until(lambda n=n: siege.clinic.dft(visit, ft1(f"{n}")).code == "AA", "the feed to be served", 10)
        wait_until(lambda: siege.value("select count(*) from pg_stat_activity where usename = 'visitbill'") >= 6, "all connections", 10)
        assert " info reload " in siege.reload()
    assert len(siege.lines(visit)) == 3 and siege.is_running()


# ---- the folder beside the file

def test_a_file_of_the_folder(siege, conf, visits):
    """It is read after the settings, and wins; one that is bad is named with its line, and what was before stays."""
    folder = conf.with_name("conf.d")

    def is_flagged():
        (visit,) = visits(1)
        siege.clinic.charge(visit, ft1("1"))
        return siege.desk.visit(visit)["flags"] == ["provisional", "over_limit"]

    assert not is_flagged()
    (folder / "50-own.conf").write_text(OWN, "utf-8")
    assert " info reload " in siege.reload()
    wait_until(is_flagged, "the new limit", 5)
    for content, place, what in (("; mine\n[facility H01]\ngrace = ten\n", 3, "grace"), ("[facility H01]\n  continued = yes\n", 2, "indented"),
                                 ("[feed clinic]\napplication CLINIC\n", 2, ""), ("\n\n[nonsense]\n", 3, "nonsense")):
        (folder / "60-bad.conf").write_text(content, "utf-8")
        said = refused(siege)
        assert re.search(rf"60-bad\.conf:{place}\b", said) and what in said, said
    assert is_flagged(), "the limit of the good file is still there"
    (folder / "60-bad.conf").unlink()
    (folder / "70-later.conf").write_text(OWN.replace("10.00", "1000.00"), "utf-8")
    assert " info reload " in siege.reload()
    wait_until(lambda: not is_flagged(), "the later file's limit", 5)


def test_no_secret_is_told(siege, conf):
    """Whatever is wrong on its line, before it or behind it."""
    secret = "S3cret-that-nobody-may-read"
    folder, seen = conf.with_name("conf.d"), len(siege.log())
    for content in (f"[token x]\nrole = kiosk\nfacilities = *\nsecret {secret}\n", f"[token x]\nrole = king\nfacilities = *\nsecret = {secret}\n",
                    f"[feed clinic]\ntoken = {secret}\n  {secret}\n", f"[token x]\nrole = kiosk\nsecret = {secret}\nsecret = {secret[:8]}\n",
                    f"[token x]\nrole = kiosk\nfacilities = *\nsecret = sha256:{secret}\n", f"[token {secret}\n", f"[database]\nconninfo = host={secret} nonsense {'x' * 5000}\nlanes = 0\n"):
        (folder / "60-bad.conf").write_text(content, "utf-8")
        said = siege.reload()
        assert " error reload kept=old " in said, content
    assert secret not in siege.log()[seen:]


def test_what_needs_a_restart(siege, conf):
    """It is named, all of it; the rest is in force."""
    text = conf.read_text("utf-8").replace(f"address = 127.0.0.1:{siege.mllp[1]}", "address = 127.0.0.1:1").replace("lanes = 2", "lanes = 3")
    conf.write_text(text + "\n[listen another]\naddress = 127.0.0.1:0\nserves = kiosk\n\n[token spare]\nrole = kiosk\nfacilities = *\nsecret = the-token-of-the-spare\n", "utf-8")
    seen = len(siege.log())
    assert " info reload " in siege.reload()
    needs = re.search(r' warn reload need_restart="(.*)"', siege.log()[seen:])[1]
    assert "listen.mllp.address" in needs and "database.lanes" in needs and "another" in needs, needs
    assert siege.client("the-token-of-the-spare").get("/v1/bills/none").status == 404


def test_what_needs_a_restart_stays_as_it_was(siege, conf, visit):
    """A smaller limit of bodies, another zone: named, and not in force in any part."""
    (conf.with_name("conf.d") / "70-fixed.conf").write_text("[http]\nbody_bytes = 1K\n[hospital]\nutc_offset = +00:00\n", "utf-8")
    seen = len(siege.log())
    assert " info reload " in siege.reload()
    needs = re.search(r' warn reload need_restart="(.*)"', siege.log()[seen:])[1]
    assert "http.body_bytes" in needs and "hospital.utc_offset" in needs, needs
    lines = [line(visit, str(n)) for n in range(30)]
    assert siege.ward.post("/v1/charges", {"lines": lines}).json["booked"] == 30
    assert "+0800" in siege.clinic.dft(visit, ft1("1")).text


# ---- what a reload would leave behind

def test_a_merchant_with_a_payment_in_progress(siege, conf, visit):
    """Its section may not go: the payment could never end. Once it has ended it may."""
    bill = siege.billed(visit)["bill"]
    payment = siege.kiosk.pay(bill, "100.00").json
    siege.configure({"wechatpay main": None})
    said = refused(siege)
    assert re.search(r"merchant main is gone from the settings but has \d+ payments in progress", said), said
    siege.sim.pay(payment)
    wait_until(lambda: siege.kiosk.payment(payment["payment"])["state"] == "succeeded", "the payment to succeed", 5)
    assert " info reload " in siege.reload()
    assert siege.kiosk.get(f"/v1/payments/{payment['payment']}").json["state"] == "succeeded"


def test_a_feed_with_a_reversal_that_waits(siege, conf, visit):
    """Its section may not go, nor its name change, while a reversal waits for its original."""
    siege.configure({"feed imaging": {"facility": "H01", "application": "IMAGING"}})
    assert " info reload " in siege.reload()
    imaging = Feed(siege.mllp, "IMAGING")
    wait_until(lambda: imaging.dft(visit, ft1("0", "5.00")).code == "AA", "the feed to be known", 5)
    assert imaging.dft(visit, ft1("C1", "5.00", kind="CD", reverses="1")).reasons in ([], ["held"])
    siege.configure({"feed imaging": None, "feed radiology": {"facility": "H01", "application": "IMAGING"}})
    said = refused(siege)
    assert "feed imaging is gone from the settings but has 1 reversals that wait" in said, said
    assert imaging.dft(visit, ft1("1", "5.00")).code == "AA"
    wait_until(lambda: ("imaging", "C1") in siege.lines(visit), "the reversal to be booked", 5)
    assert " info reload " in siege.reload()
    assert siege.broken() == []
