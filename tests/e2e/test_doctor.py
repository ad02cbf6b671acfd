"""visitbillctl doctor, on houses that are well and ill; and settings that name the wrong servers, or a schema that is not the daemon's: said in a sentence
by both, and nothing is booked."""

import os
import re
import shutil
import subprocess

import pytest

from .feeds import ft1
from .live import House, wait_until
from .pair import Pair


def doctor(house):
    """What it says: {what: (ok, MEND or note, the rest)}, and its exit status; several of a name are in order."""
    done = subprocess.run([house.env["VISITBILL_CTL"], "-c", house.env["VISITBILL_CONF"], "doctor"], capture_output=True, text=True, encoding="utf-8",
                          timeout=60, check=False)
    lines = re.findall(r"^(ok|MEND|note) +(.*?): (.*)$", done.stdout, re.M)
    assert len(lines) == len(done.stdout.splitlines()), done.stdout
    bad = sum(word == "MEND" for word, *_ in lines)
    assert done.returncode == (bad > 0) and done.stderr == (f"visitbillctl: {bad} to mend\n" if bad else ""), (done.stdout, done.stderr)
    return {what: (word, text) for word, what, text in lines}


def mends(house):
    """But for the disk: how full that is here is not the house's."""
    return {what: text for what, (word, text) in doctor(house).items() if word == "MEND" and not what.startswith("disk")}


# ---- what it looks at

def test_a_house_that_is_well(house):
    """Nothing to mend, and each thing that was looked at is a line."""
    told = doctor(house)
    assert {word for what, (word, _) in told.items() if what not in ("disk", "standbys")} == {"ok"}, told
    assert {"settings", "version", "fsync", "full_page_writes", "synchronous_commit", "standbys", "clock", "schema", "functions", "grants", "hospital", "role",
            "partitions", "connections", "archive", "slots", "certificate of [listen https]"} <= set(told)
    assert told["fsync"] == ("ok", "on") and told["grants"] == ("ok", "all there and granted") and told["role"][1].startswith("visitbill reads")
    assert told["functions"][1].endswith("this program's") and told["hospital"] == ("ok", "the schema has facilities H01")
    assert told["standbys"] == ("note", "none; what is acknowledged is on this server's disk alone: with it all is lost that is in no backup and no archive")
    assert os.geteuid() == 0 or told["disk"] == ("note", "visitbill may not know where the data are; grant pg_monitor to visitbill, or watch the server's disk otherwise")


def test_a_daemon_that_is_not_ready_is_told_of(house, own):
    """Where nothing else is wrong, that is to mend: it stands still here. One that does not run is a note."""
    assert re.fullmatch(r"at 127\.0\.0\.1:\d+ it says: ready", doctor(house)["daemon"][1])
    own.rows("create function no() returns trigger language plpgsql as $$ begin if session_user = 'visitbill' and current_setting('application_name') = 'visitbilld'"
             " then raise exception 'no'; end if; return new; end $$")
    own.rows("create trigger no before update on beat for each row execute function no()")
    try:
        wait_until(lambda: not own.is_ready(), "no beat to be committed")
        ((what, text),) = mends(own).items()
        assert what == "daemon" and text.endswith(" it says: the database does not book now; see its log: all that doctor looks at is well")
    finally:
        own.rows("drop function no() cascade")
    wait_until(own.is_ready, "the daemon to be ready")
    own.stop()
    try:
        assert doctor(own)["daemon"][0] == "note"
    finally:
        own.start()


def test_settings_that_lose_lines(annex):
    annex.rows("alter role visitbill set synchronous_commit = off")
    try:
        assert mends(annex) == {"synchronous_commit": "off; set it to on: anything less acknowledges lines that a crash can take back"}
    finally:
        annex.rows("alter role visitbill reset synchronous_commit")
    annex.rows("alter system set full_page_writes = off")
    annex.rows("select pg_reload_conf()")
    try:
        found = wait_until(lambda: mends(annex), "the server to read its settings")
        assert found == {"full_page_writes": "off; set full_page_writes = on: without it a crash loses what was acknowledged"}
    finally:
        annex.rows("alter system reset full_page_writes")
        annex.rows("select pg_reload_conf()")


def test_a_server_alone_that_waits_for_a_standby(own):
    """Nothing streams, and commits wait for it."""
    own.rows("alter system set synchronous_standby_names = 'second'")
    own.rows("select pg_reload_conf()")
    try:
        found = wait_until(lambda: mends(own), "the server to read its settings")
        assert found["standbys"] == "none streams; start the standby, and see why it does not stream: until then no commit ends"
        assert doctor(own)["synchronous_standby_names"] == ("ok", "second")
    finally:
        own.rows("alter system reset synchronous_standby_names")
        own.rows("select pg_reload_conf()")
    wait_until(own.is_ready, "the daemon to be ready")


@pytest.mark.parametrize("setting, back, undo", [
    ("alter system set default_transaction_read_only = on", "alter system reset default_transaction_read_only",
     "alter system set default_transaction_read_only = off, and select pg_reload_conf()"),
    ("alter role visitbill set default_transaction_read_only = on", "alter role visitbill reset default_transaction_read_only", None),
    ("alter database visitbill set default_transaction_read_only = on", "alter database visitbill reset default_transaction_read_only", None),
    ("alter role visitbill in database visitbill set default_transaction_read_only = on",
     "alter role visitbill in database visitbill reset default_transaction_read_only", None),
])
def test_a_server_that_lets_nobody_write(annex, setting, back, undo):
    annex.rows(setting)
    annex.rows("select pg_reload_conf()")
    try:
        found = wait_until(lambda: mends(annex), "the server to read its settings")
        assert found == {"default_transaction_read_only": "on; nothing can be booked: see who set it, and why (a full disk, a move to another server), then "
                                                          + (undo or back)}
    finally:
        annex.rows("set default_transaction_read_only = off")
        annex.rows(back)
        annex.rows("select pg_reload_conf()")
    wait_until(annex.is_ready, "the daemon to be ready")
    wait_until(lambda: mends(annex) == {}, "the server to read its settings")


def test_a_write_is_tried(annex):
    """As the daemon's role, whatever the settings say; and it leaves nothing."""
    annex.rows("create function no() returns trigger language plpgsql as $$ begin raise exception 'no room' using errcode = '53100'; end $$")
    annex.rows("create trigger no before update on beat for each row execute function no()")
    try:
        assert mends(annex)["writes"] == "a heartbeat failed: no room; make room on the server's disk, or memory"
    finally:
        annex.rows("drop function no() cascade")
    wait_until(annex.is_ready, "the daemon to be ready")
    assert doctor(annex)["writes"] == ("ok", "visitbill may (a heartbeat, taken back)")


def test_a_disk_that_may_be_looked_at(annex):
    """With pg_monitor, on the server's machine."""
    annex.rows("grant pg_monitor to visitbill")
    try:
        told = doctor(annex)
        folder = annex.value("show data_directory")
        free, percent, where = re.match(r"([0-9.]+) GiB free, (\d+) %, where (\S+) is", told["disk"][1]).groups()
        usage = shutil.disk_usage(folder)
        assert where == folder and abs(float(free) - usage.free / 2**30) < 1 and abs(int(percent) - usage.free * 100 / usage.total) < 10
        assert (told["disk"][0] == "ok") == (float(free) >= 2 and int(percent) >= 5)
        assert re.fullmatch(r"\d+ MB, max_wal_size is .*", told["wal"][1]) and told["wal"][0] == "ok"
    finally:
        annex.rows("revoke pg_monitor from visitbill")


def test_a_disk_that_is_full(annex):
    """A small one lies over the server's folder, for doctor alone. As root it finds the folder by the server's process, too."""
    ctl = [annex.env["VISITBILL_CTL"], "-c", annex.env["VISITBILL_CONF"], "doctor"]
    script = 'mount -t tmpfs -o size=64m none "$0" && exec "$@"'
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("it takes root, and a mount namespace")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, annex.value("show data_directory"), *ctl], capture_output=True, text=True, check=False)
    assert re.search(r"^MEND +disk: 0\.1 GiB free, \d+ %, where \S+ is; make room: a full disk stops everything that is booked", done.stdout, re.M), done.stdout
    assert done.returncode == 1


def test_slots_that_hold_wal(annex):
    annex.rows("select pg_create_physical_replication_slot('gone', true)")
    try:
        assert re.fullmatch(r"gone \(nobody reads it\) holds \d+ .*", doctor(annex)["slots"][1]) and mends(annex) == {}
        annex.rows("alter system set max_slot_wal_keep_size = '1MB'")
        annex.rows("select pg_reload_conf()")
        for _ in range(3):
            annex.rows("select pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()")
        annex.rows("checkpoint")
        assert mends(annex)["slots"].startswith("gone (nobody reads it) has lost its WAL; start who reads it, or pg_drop_replication_slot()")
    finally:
        annex.rows("select pg_drop_replication_slot('gone')")
        annex.rows("alter system reset max_slot_wal_keep_size")
        annex.rows("select pg_reload_conf()")


@pytest.fixture(scope="module", name="own")
def _own():
    with House({}) as own:
        yield own


def test_an_archive_that_fails(own):
    assert doctor(own)["archive"] == ("ok", "off, so a base backup can be restored to its own end only")
    own.rows("alter system set archive_mode = on")
    own.rows("alter system set archive_command = 'false'")
    own.stop_postgresql()
    own.start_postgresql()
    wait_until(own.is_ready, "the daemon to be ready")
    own.rows("select pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()")
    wait_until(lambda: own.value("select failed_count from pg_stat_archiver"), "the archiver to fail")
    assert re.match(r"[0-9A-F]{24} failed \d+ times, the last at .*; mend archive_command", mends(own)["archive"])
    own.rows("alter system set archive_command = 'true'")
    own.rows("select pg_reload_conf()")
    wait_until(lambda: mends(own) == {}, "the archiver to go on")
    assert doctor(own)["archive"][1].startswith("the last file went at ")


def test_functions_of_another_build_and_grants(own):
    own.rows("insert into schema_functions (version, role, sha256, functions) select version, role, repeat('0', 64), functions from schema_functions limit 1")
    own.rows("revoke execute on function beat from visitbill")
    found = mends(own)
    assert set(found) == {"functions", "grants"} and "of another build than this program; run the visitbillctl migrate" in found["functions"]
    assert found["grants"] == "not there, or not granted: beat; run visitbillctl migrate as the schema's owner"
    own.ctl("migrate")
    assert mends(own) == {}


# ---- the wrong servers, the wrong schema

@pytest.fixture(scope="module", name="pair")
def _pair():
    with Pair({"database": {"hold": "500ms", "connect_time": "1s"}}) as pair:
        pair.house.stop()
        yield pair


class Wrong:
    """A daemon of the pair's settings with other hosts in its conninfo, while it is entered."""

    def __init__(self, pair, hosts):
        self.house, self.pair = pair.house, pair
        conninfo = f"host={hosts} dbname={pair.first.database} user=visitbill"
        self.house.configure({"database": {"conninfo": conninfo, "owner_conninfo": conninfo.replace("user=visitbill", "user=visitbill_owner")}})
        self.seen = len(self.house.log())

    def __enter__(self):
        self.house.start(wait=False)
        return self

    def __exit__(self, *_):
        if self.house.is_running():
            self.house.stop()

    def says(self, words, times=1):
        """The log has it, as often, and no more of it comes."""
        wait_until(lambda: words in self.house.log()[self.seen:], f"the log to say {words}")
        wait_until(self.answers, "peers to be told", 10)
        assert self.house.log()[self.seen:].count(words) == times, self.house.log()[self.seen:]

    def answers(self):
        try:
            return self.house.nobody.get("/v1/bills/none").status == 503
        except OSError:
            return False

    def ends(self, words):
        """It does not begin."""
        wait_until(lambda: not self.house.is_running(), "the daemon to end")
        assert self.house.stop() == 1 and f"error fatal {words}" in self.house.log()[self.seen:]


def test_a_host_that_is_no_name(pair):
    """Alone, and beside a good one, which is used."""
    with Wrong(pair, "no-such-host.invalid") as wrong:
        wrong.says('could not translate host name "no-such-host.invalid"')
        assert not wrong.house.is_ready()
        ((what, text),) = mends(wrong.house).items()
        assert what == "server no-such-host.invalid:5432" and "could not translate host name" in text and "mend its name in [database] conninfo" in text
    with Wrong(pair, f"no-such-host.invalid,{pair.first.place}") as wrong:
        wait_until(wrong.house.is_ready, "the daemon to be ready")
        assert 'warn db.survey why="no-such-host.invalid:5432: could not translate' in wrong.house.log()[wrong.seen:]
        assert list(mends(wrong.house)) == ["server no-such-host.invalid:5432"]


def test_a_standby_alone(pair):
    with Wrong(pair, pair.second.place) as wrong:
        wrong.says("is a standby, and the conninfo names no other server: name the primary, too")
        assert wrong.house.clinic.dft("S1", ft1("1")).code == "AR" and not wrong.house.is_ready()
        assert mends(wrong.house) == {"primaries": "none, so nothing can be booked; name the primary in [database] conninfo, too, or where it is lost promote the"
                                                   " standby"}
    assert ("S1", "clinic", "1") not in pair.first.lines()


def test_servers_of_two_hospitals(pair, house):
    other = dict(word.split("=", 1) for word in house.env["VISITBILL_PG"].split())["host"]
    with Wrong(pair, f"{pair.first.place},{other}") as wrong:
        wrong.ends("[database] the conninfo names servers of different clusters: ")
        found = mends(wrong.house)
        assert list(found) == ["clusters"] and found["clusters"].endswith("; take the one out of [database] conninfo that is not this hospital's")


@pytest.mark.parametrize("hosts, words", [
    (",{first}", "the conninfo has an empty element in its list of hosts: name each server"), ("{first},", "an empty element"),
    ("{first},{second} port=5432,5432,5432", "the conninfo has not as many ports as hosts"), ("{first} nonsense", "the conninfo is not a connection string"),
])
def test_lists_that_name_no_servers(pair, hosts, words):
    with Wrong(pair, hosts.format(first=pair.first.place, second=pair.second.place)) as wrong:
        wrong.ends("[database] ")
        assert words in wrong.house.log()[wrong.seen:] and words in mends(wrong.house)["conninfo"]


@pytest.mark.parametrize("version, words, mend", [
    (-1, "run visitbillctl migrate", "run visitbillctl migrate, and restart the daemons"),
    (1, "start the one that belongs to it", "use the newer visitbilld and visitbillctl; there is no way back"),
])
def test_a_schema_of_another_version(pair, version, words, mend):
    """Its functions may well be there, under the same names. Once the version is the daemon's it begins by itself."""
    ours = pair.first.rows("select max(version) from hospital.schema_version")[0][0]
    theirs = ours + version
    pair.first.execute("alter table hospital.schema_version disable trigger user")
    if version < 0:
        change, back = f"delete from hospital.schema_version where version = {ours}", "insert into hospital.schema_version select * from kept_version"
        pair.first.execute("create table kept_version as select * from hospital.schema_version order by version desc limit 1")
    else:
        change = f"insert into hospital.schema_version (version, name, sha256) values ({theirs}, 'x', 'x')"
        back = f"delete from hospital.schema_version where version = {theirs}"
    pair.first.execute(change)
    with Wrong(pair, pair.first.place) as wrong:
        wrong.says(f"schema hospital is at version {theirs}, and this visitbilld is made for {ours}: {words}")
        assert wrong.house.clinic.dft("S2", ft1("1")).code == "AR"
        told = subprocess.run([wrong.house.env["VISITBILL_CTL"], "-c", wrong.house.env["VISITBILL_CONF"], "status"], capture_output=True, text=True, check=False)
        assert told.returncode == 1 and told.stdout == "" and re.fullmatch(
            f"visitbillctl: schema hospital is at version {theirs}[^\n]*{ours}[^\n]*: (run visitbillctl migrate|use a newer visitbillctl)\n", told.stderr)
        assert mends(wrong.house) == {"schema": f"hospital is at version {theirs}, this program is made for {ours}; {mend}"}
        assert pair.first.rows("select * from hospital.visit where visit_no = 'S2'") == []
        pair.first.execute(back)
        wait_until(wrong.house.is_ready, "the daemon to begin")
    pair.first.execute("alter table hospital.schema_version enable trigger user", "drop table if exists kept_version")


def test_a_schema_that_is_not_there(pair):
    pair.first.execute("alter schema hospital rename to hidden")
    try:
        with Wrong(pair, pair.first.place) as wrong:
            wrong.says("schema hospital holds no visitbill, or this role may not see it: run visitbillctl migrate")
            assert mends(wrong.house) == {"schema": "hospital holds no visitbill, or visitbill may not see it; run visitbillctl migrate"}
    finally:
        pair.first.execute("alter schema hidden rename to hospital")


def test_the_schema_of_another_hospital(pair):
    """It is left as it is: no facility, no feed and no line of ours comes into it."""
    pair.first.execute("update hospital.facility set code = 'Z99'")
    try:
        with Wrong(pair, pair.first.place) as wrong:
            wrong.says("schema hospital is another hospital's: it has facilities Z99, and the settings name none of them")
            assert wrong.house.clinic.dft("S3", ft1("1")).code == "AR"
            assert mends(wrong.house) == {"hospital": "the schema has facilities Z99; none of them is in the settings: [database] names another hospital's database"
                                                      " or schema"}
        assert pair.first.rows("select code from hospital.facility") == [("Z99",)]
        assert pair.first.rows("select * from hospital.visit where visit_no = 'S3'") == []
    finally:
        pair.first.execute("update hospital.facility set code = 'H01'")
