"""Debian's Patroni keeps two servers as conf/patroni.example.yml says: the primary's machine dies, its PostgreSQL is started by hand without Patroni, it
comes back, the servers change places on purpose, the standby dies. A feed sends all the while, and the daemon is always at the right one by itself."""

import os
import pathlib
import time

import pytest

from .feeds import ft1
from .live import run_unprivileged, stays, wait_until
from .pair import BIN
from .test_failover import Sender, check

MISSING = [name for name in ("/usr/bin/patroni", "/usr/bin/etcd", "/usr/lib/python3/dist-packages/etcd") if not pathlib.Path(name).exists()]
if MISSING:
    pytest.skip(f"{', '.join(MISSING)} missing: scripts/deps --patroni installs what this test needs", allow_module_level=True)

from .patroni_pair import PatroniPair   # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(name="pair", scope="module")
def _pair():
    with PatroniPair({"database": {"hold": "2s", "answer_time": "2s", "connect_time": "1s"}}) as pair:
        yield pair


def ours(pair):
    """The server that the daemon books on."""
    return [machine for machine in (pair.db1, pair.db2)
            if pair.house.metric("visitbill_database_server", server=f"127.0.0.1:{machine.port}") == 1]


def start_by_hand(machine):
    """Its PostgreSQL, which nobody keeps: as it died, a primary."""
    with open(machine.place / "by-hand.log", "ab") as log:
        process = run_unprivileged(BIN / "postgres", "-D", machine.server.data, stdout=log, stderr=log, start_new_session=True)
    wait_until(machine.server.answers, "the old primary to start", 60)
    return process


def test_machines_die_and_change_places(pair):
    house, pid = pair.house, pair.house.pid
    first = pair.leader()
    second = pair.other(first)
    assert ours(pair) == [first]
    house.ctl("doctor")
    bill = house.billed("payer")
    payment = house.kiosk.pay(bill["bill"], "100.00").json
    sender = Sender(pair, "kept")
    wait_until(lambda: len(sender.taken) > 50, "the feed to send")

    # the primary's machine dies, etcd's vote on it too
    first.kill()
    died = time.monotonic()
    sender.goes_on(90)
    print(f"booked again {time.monotonic() - died:.1f} s after the primary's machine died")
    assert time.monotonic() - died < 60     # ttl is 20 s
    wait_until(house.is_ready, "to be ready", 20)
    assert ours(pair) == [second] and pair.leader() is second
    assert house.sim.pay(payment)["status"] == 204 and house.kiosk.payment(payment["payment"])["state"] == "succeeded"

    # somebody starts the old primary without Patroni: it is writable, and what is written there nobody else has
    by_hand = start_by_hand(first)
    first.server.execute("set synchronous_commit = local; create table only_here ()")
    assert first.server.rows("select pg_is_in_recovery()") == [(False,)]
    second.server.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'visitbill'")
    sender.goes_on(30)
    stays(lambda: ours(pair) == [second], "the right one to stay ours", 1)
    old = len(first.server.lines())
    first.server.kill()
    by_hand.wait(30)

    # the machine is repaired: Patroni rewinds it
    first.start()
    wait_until(lambda: pair.follows(first), "the old primary to follow", 90, every=0.2)
    assert "running pg_rewind" in first.log()
    assert first.server.rows("select to_regclass('only_here')") == [(None,)] and len(first.server.lines()) > old
    sender.goes_on(20)
    assert ours(pair) == [second]

    # they change places on purpose
    told = pair.patronictl("switchover", "visitbill", "--leader", second.name, "--candidate", first.name, "--force")
    assert "Successfully switched over" in told, told
    sender.goes_on(30)
    assert ours(pair) == [first]
    wait_until(lambda: pair.follows(second), "the other to follow", 60, every=0.2)
    sender.goes_on(20)
    taken = {("kept", "clinic", n) for n in sender.taken}
    wait_until(lambda: taken <= set(second.server.lines()), "the standby to show what was taken", 20)

    # the standby's machine dies: the primary goes on alone as soon as Patroni has struck the standby off
    second.kill()
    died = time.monotonic()
    wait_until(lambda: pair.standby() is None and first.server.rows("show synchronous_standby_names") == [("",)], "the standby to be struck off", 60, every=0.2)
    sender.goes_on(30)
    print(f"booked again {time.monotonic() - died:.1f} s after the standby's machine died")
    assert ours(pair) == [first]
    wait_until(lambda: house.metric("visitbill_standbys") == 0, "the gauge to tell", 20)
    sender.end()
    check(first.server, sender)
    assert house.is_running() and house.pid == pid, "nobody started it again"
    assert "unexplained 0.00" in house.ctl("audit")


needs_time = pytest.mark.skipif("VISITBILL_LONG" not in os.environ, reason="another minute or two: VISITBILL_LONG=1")


@pytest.fixture(name="whole")
def _whole(pair):
    """The pair with both machines there, and its leader."""
    for machine in (pair.db1, pair.db2):
        if not machine.is_running():
            machine.start()
    wait_until(pair.standby, "a standby", 90)
    return pair, pair.leader()


@needs_time
def test_postgresql_alone_crashes(whole):
    """It recovers where it is."""
    pair, first = whole
    sender = Sender(pair, "crash")
    wait_until(lambda: len(sender.taken) > 50, "the feed to send")
    first.server.kill()
    sender.goes_on(60)
    assert ours(pair) == [first] and pair.leader() is first
    sender.end()
    check(first.server, sender)


@needs_time
def test_etcd_is_away(whole):
    """All of it is gone: the primary stays, for it reaches the other server."""
    pair, first = whole
    sender = Sender(pair, "no-etcd")
    for machine in pair.machines.values():
        machine.kill_etcd()
    stays(lambda: sender.goes_on(5) is None and ours(pair) == [first], "the primary to stay", 35)
    for machine in pair.machines.values():
        machine.start_etcd()
    wait_until(lambda: pair.follows(pair.other(first)), "the standby to follow", 60)
    sender.end()
    check(first.server, sender)
