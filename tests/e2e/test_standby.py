"""Books and audit on the standby of a real pair, in one life of it: read only, as of what it has replayed, and in a sentence where it may not."""

import json
import re
import subprocess
import time

import pytest

from .feeds import Feed, ft1
from .live import wait_until
from .pair import Pair


@pytest.fixture(scope="module", name="pair")
def _pair():
    with Pair() as pair:
        feed = Feed(pair.house.mllp, "CLINIC")
        for n in range(30):
            assert feed.send(feed.dft_message(f"V{n % 5}", ft1(f"{n}", "1.00"))).code == "AA"
        wait_until(lambda: len(pair.second.lines()) == 30, "the standby to replay the lines")
        yield pair


def ctl(pair, *arguments, status=0):
    """What visitbillctl prints on stdout, and on stderr."""
    env = pair.house.env
    done = subprocess.run([env["VISITBILL_CTL"], "-c", env["VISITBILL_CONF"], *map(str, arguments)], capture_output=True, text=True, encoding="utf-8",
                          timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def replayed(pair):
    """Waits until the standby has all that is committed."""
    (position,), = pair.first.rows("select pg_current_wal_lsn()")
    wait_until(lambda: pair.second.rows("select pg_last_wal_replay_lsn() >= %s::pg_lsn", position) == [(True,)], "the standby to replay all")


def test_the_standby_says_the_same_and_how_far_it_is(pair):
    replayed(pair)
    for words in (["books", "--json"], ["audit"], ["audit", "--slice", 2], ["books", "--json", "--audit", "--slice", 3]):
        there, said = ctl(pair, *words, "--on", "standby")
        assert said.startswith(f"visitbillctl: on {pair.second.place}:5432, a standby: its newest transaction is of 20") and said.count("\n") == 1
        assert " s ago, " in said and said.endswith(" bytes of log wait for replay\n")
        here, said = ctl(pair, *words, "--on", "primary")
        assert said == "" and here == there
    assert json.loads(here)["lines"]["booked"] == 30 and json.loads(here)["broken"] == 0


def test_the_standby_is_asked_and_not_the_primary(pair):
    """What it has not replayed it does not show; how long ago that was it says."""
    replayed(pair)
    pair.second.execute("select pg_wal_replay_pause()")
    feed = Feed(pair.house.mllp, "CLINIC")
    try:
        assert feed.send(feed.dft_message("V0", ft1("later", "1.00"))).code == "AA"
        time.sleep(1)
        there, said = ctl(pair, "books", "--json", "--on", "standby")
        assert json.loads(there)["lines"]["booked"] == 30
        assert float(said.partition(" s ago, ")[0].rpartition(", ")[2]) >= 1
        assert int(said.partition(" bytes of log")[0].rpartition(" ")[2]) > 0
        assert json.loads(ctl(pair, "books", "--json")[0])["lines"]["booked"] == 31
    finally:
        pair.second.execute("select pg_wal_replay_resume()")
    replayed(pair)
    assert json.loads(ctl(pair, "books", "--json", "--on", "standby")[0])["lines"]["booked"] == 31


def test_a_break_is_found_there(pair):
    pair.first.execute("set session_replication_role = replica; update hospital.charge set amount = amount + 1 where source_line = '7'")
    replayed(pair)
    try:
        out, said = ctl(pair, "audit", "--on", "standby", "--slice", 1, status=1)
        assert out.endswith("\nunexplained 0.01\n") and re.search(r"\b1 of \d+ invariants broken", said)
    finally:
        pair.first.execute("set session_replication_role = replica; update hospital.charge set amount = amount - 1 where source_line = '7'")
        replayed(pair)
    ctl(pair, "audit", "--on", "standby")


def test_feeds_go_on_while_it_runs(pair):
    """Slice by slice, while lines come for the visits before and after: nothing that is booked meanwhile looks like a break."""
    feed = Feed(pair.house.mllp, "CLINIC")
    env = pair.house.env
    running = [subprocess.Popen([env["VISITBILL_CTL"], "-c", env["VISITBILL_CONF"], "audit", "--slice", "1", "--pause", "40", "--on", where], text=True,
                                encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE) for where in ("standby", "primary")]
    sent = 0
    while any(process.poll() is None for process in running):
        assert feed.send(feed.dft_message(f"V{sent % 7}", ft1(f"m{sent}", "1.00"))).code == "AA"
        sent += 1
    for process in running:
        out, err = process.communicate()
        assert process.returncode == 0 and out.endswith("\nunexplained 0.00\n"), out + err
    assert sent > 20


def test_replay_comes_first(pair):
    """A read that replay may not wait for is ended by the standby, and visitbillctl says what to set."""
    pair.second.execute("alter system set max_standby_streaming_delay = '100ms'", "select pg_reload_conf()")
    pair.first.execute("""create or replace function hospital.audit_totals() returns table (invariant text, broken bigint, unexplained bigint)
        language sql security definer as $$ select 'slow', count(*), 0::bigint from hospital.item, pg_sleep(30) $$""")
    replayed(pair)
    env = pair.house.env
    process = subprocess.Popen([env["VISITBILL_CTL"], "-c", env["VISITBILL_CONF"], "audit", "--on", "standby"], text=True, encoding="utf-8",
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: pair.second.rows("select 1 from pg_stat_activity where wait_event = 'PgSleep'"), "the audit to come to its totals")
    pair.first.execute("begin; lock table hospital.item in access exclusive mode; commit")
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1 and out == ""
    assert "visitbillctl: the standby ended this read because replay had waited for it as long as it may (" in err
    assert "conflict with recovery" in err and "set hot_standby_feedback = on there, or a longer max_standby_streaming_delay\n" in err


def test_no_standby_is_left(pair):
    """Last: the standby is gone."""
    pair.second.kill()
    out, err = ctl(pair, "audit", "--on", "standby", status=1)
    assert out == "" and err.count("\n") == 1
    assert f"no server of the conninfo is a standby that answers; {pair.first.place}:5432 is a primary; {pair.second.place}:5432: " in err
