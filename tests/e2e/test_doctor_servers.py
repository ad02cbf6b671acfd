"""visitbillctl doctor, where servers refuse, hang, or are behind: each with the mend that fits, and within seconds."""

import re
import signal
import socket
import subprocess
import time

import pytest

from .live import House, wait_until
from .pair import Pair
from .test_doctor import doctor, mends


@pytest.fixture(scope="module", name="own")
def _own():
    with House({}) as own:
        own.stop()
        yield own
        own.start()


@pytest.fixture(scope="module", name="pair")
def _pair():
    with Pair({"database": {"hold": "500ms", "connect_time": "1s"}}) as pair:
        pair.house.stop()
        yield pair


@pytest.fixture(name="words")
def _words(own):
    """The conninfo of the house's settings by its parts; the settings are put back."""
    conninfo = f"host={own.env['VISITBILL_PG'].split('host=')[1].split()[0]} dbname=visitbill user=visitbill"
    yield dict(word.split("=", 1) for word in conninfo.split())
    own.configure({"database": {"conninfo": conninfo}})


@pytest.mark.parametrize("changes, said, mend", [
    ({"host": "/var/empty/none"}, "No such file or directory", "start it; where it runs, mend its folder or port in [database] conninfo"),
    ({"host": "127.0.0.1", "port": "1"}, "Connection refused", "start it"),
    ({"host": "none.invalid"}, 'could not translate host name "none.invalid"', "mend its name in [database] conninfo, or have the name server or /etc/hosts know it"),
    ({"dbname": "none"}, 'database "none" does not exist', "create that database (createdb), or mend dbname in [database] conninfo"),
    ({"user": "none"}, 'role "none" does not exist', "create that role (createuser), or mend user in [database] conninfo; "),
])
def test_each_refusal_has_its_mend(own, words, changes, said, mend):
    own.configure({"database": {"conninfo": " ".join(f"{key}={value}" for key, value in {**words, **changes}.items())}})
    ((what, text),) = mends(own).items()
    assert what.startswith(f"server {changes.get('host', words['host'])}:") and said in text and "; " + mend in text, text
    assert "take it out" not in text


def test_a_name_is_timed(own, words):
    """Each connection waits for it. A name server that does not answer stands in doctor's own view of /etc."""
    own.configure({"database": {"conninfo": " ".join(f"{key}={value}" for key, value in {**words, "host": "db1.example", "port": "1"}.items())}})
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        silent.bind(("127.0.0.53", 53))
        subprocess.run(["unshare", "-m", "true"], check=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        silent.close()
        pytest.skip("it takes root, port 53 and a mount namespace")
    with silent:
        resolver = own.folder / "resolv.conf"
        resolver.write_text("nameserver 127.0.0.53\noptions timeout:1 attempts:1\n", "ascii")
        done = subprocess.run(["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolver, own.env["VISITBILL_CTL"], "-c",
                               own.env["VISITBILL_CONF"], "doctor"], capture_output=True, text=True, check=False)
    assert re.search(r"^MEND +name of db1\.example:1: not found in [1-9]\d{3} ms; each connection waits for that: put it into /etc/hosts", done.stdout,
                     re.M), done.stdout + done.stderr


def test_no_connection_left(own):
    own.rows("alter role visitbill connection limit 0")
    try:
        ((what, text),) = mends(own).items()
        assert what.startswith("server ") and "too many connections" in text and "53300" not in text
        assert text.endswith("; raise max_connections there, or end some of its sessions (see pg_stat_activity)")
    finally:
        own.rows("alter role visitbill connection limit -1")


def test_a_server_that_may_not_be_looked_at(own):
    """It lets us in, and does not say who it is: that is no silence."""
    own.rows("revoke execute on function pg_control_system() from public")
    try:
        ((_, text),) = mends(own).items()
        assert "permission denied for function pg_control_system" in text and "hangs" not in text
    finally:
        own.rows("grant execute on function pg_control_system() to public")


def test_a_standby_that_is_not_the_one_that_is_named(pair):
    """It streams, and no commit ends: seen where its state may be seen, else by the commits that wait."""
    assert doctor(pair.house)["standbys"] == ("ok", "1 streaming")
    pair.first.execute("alter system set synchronous_standby_names = 'third'", "select pg_reload_conf()", "set synchronous_commit = local; grant pg_monitor to visitbill")
    try:
        assert mends(pair.house) == {"standbys": "1 streaming, none of them synchronous; give the standby the application_name that synchronous_standby_names asks for"
                                                 " (primary_conninfo there): until then no commit ends"}
        pair.first.execute("set synchronous_commit = local; revoke pg_monitor from visitbill")
        pair.house.start(wait=False)
        found = wait_until(lambda: mends(pair.house).get("standbys"), "commits to wait", 20)
        assert re.match(r"1 streaming, and \d+ commits wait; see that the standby has the application_name that", found)
    finally:
        pair.first.execute("alter system set synchronous_standby_names = 'second'", "select pg_reload_conf()")
        pair.house.stop()
    wait_until(lambda: mends(pair.house) == {}, "the commits to end", 20)
    pair.first.execute("grant pg_monitor to visitbill")
    assert doctor(pair.house)["standbys"] == ("ok", "1 streaming, 1 synchronous")


def test_a_standby_that_is_behind(pair):
    """For a minute; less is nothing to mend."""
    what = f"standby {pair.second.place}:5432"
    assert doctor(pair.house)[what][0] == "ok"
    pair.second.execute("select pg_wal_replay_pause()")
    try:
        wait_until(lambda: pair.second.rows("select pg_get_wal_replay_pause_state()") == [("paused",)], "replay to pause")
        pair.first.execute("create table later ()", "drop table later")
        assert doctor(pair.house)[what][0] == "ok"
        wait_until(lambda: doctor(pair.house)[what][0] == "MEND", "a minute to pass", 90, every=5)
        assert re.match(r"its newest transaction is 00:0\d:\d\d old, \d+ \w+ of log wait for replay; replay is paused there: select pg_wal_replay_resume\(\)",
                        mends(pair.house)[what])
    finally:
        pair.second.execute("select pg_wal_replay_resume()")
    wait_until(lambda: mends(pair.house) == {}, "the standby to have it", 20)


def test_a_primary_that_hangs_beside_an_old_one(pair):
    """The standby was promoted and hangs; the old primary answers. Who would take the hung one out would book on the old one."""
    pair.second.promote()
    pair.second.signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        told = doctor(pair.house)
        assert time.monotonic() - begun < 6
    finally:
        pair.second.signal(signal.SIGCONT)
    old, new = (f"server {server.place}:5432" for server in (pair.first, pair.second))
    assert told[new] == ("MEND", "no answer in time; it hangs, or is cut off: see its disk and its network; if it may be the newer primary leave it in and stop"
                                 " the other one")
    assert told[old] == ("ok", f"a primary, timeline 1; the timeline of {pair.second.place}:5432 is not known: that may be the newer primary, and this one be"
                               " left behind")
    told = doctor(pair.house)
    assert told[new] == ("ok", "the primary, timeline 2") and told["primaries"][0] == "MEND"
    assert re.match("2 of them; stop the one on the older timeline", told["primaries"][1])
