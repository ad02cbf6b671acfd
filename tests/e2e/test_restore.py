"""The last resort: a base backup and the WAL archive, brought back to a moment between two acknowledged lines, by the commands of the README as they
stand there. What was acknowledged before that moment is there and nothing that came after it; the books agree; a daemon goes on; what the feeds send
again is booked once; and of each payment it is known what became of it."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest
import yaml

from .feeds import Feed, frame, ft1
from .live import ROOT, House, run_unprivileged, wait_until
from .pair import BIN, Server
from .test_failover import Sender


def readme_commands():
    """The blocks of shell under "Backup and restore": the backup, the restore."""
    section = re.search(r"^## Backup and restore\n(.*?)^## ", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)[1]
    return re.findall(r"(?:^    .*\n)+", section, re.M)


class Keeper(Sender):
    """A feed that keeps what it sent, as a sending system must that can be asked for it again."""

    def __init__(self, *arguments):
        self.messages = []
        super().__init__(*arguments)

    def message(self, n):
        self.messages.append(super().message(n))
        return self.messages[-1]


class Backups:
    """A house whose server archives, and the folders that README's commands name."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="visitbill-backup-"))
        (self.folder / "archive/base").mkdir(parents=True)
        (self.folder / "archive/wal").mkdir()
        self.house = House(self._settings)
        House.shell('give "$1"', self.folder)
        self.server = None
        self.restored = Server(self.folder / "restored", "visitbill")

    def _settings(self, house):
        """Archiving as conf/patroni.example.yml has it."""
        words = dict(word.split("=", 1) for word in house.env["VISITBILL_PG"].split())
        self.server = Server(f"{words['host']}/data", words["dbname"])
        example = yaml.safe_load((ROOT / "conf/patroni.example.yml").read_text("utf-8"))
        command = self.here(example["bootstrap"]["dcs"]["postgresql"]["parameters"]["archive_command"])
        self.server.execute("alter system set archive_mode = on", f"alter system set archive_command = '{command.replace('%', '%%')}'")
        house.stop_postgresql()
        house.start_postgresql()
        return {"jobs": {"payments": "100ms"}}

    def here(self, text):
        return (text.replace("/srv/archive", f"{self.folder}/archive").replace("/var/lib/postgresql/15/restored", f"{self.restored.data}")
                .replace("-h db1 -U replicator", f"-h {self.server.place} -U postgres"))

    def run(self, block, words=None):
        """README's commands, on these folders and with these words of theirs changed. A server of the tests has its socket in a folder of its own."""
        text = self.here(block)
        for old, new in (words or {}).items():
            assert old in text, text
            text = text.replace(old, new)
        text = text.replace("pg_ctl ", f"pg_ctl -l {self.folder}/restored.log -o '-k {self.restored.place}' ")
        env = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
        with open(self.folder / "commands.log", "ab") as log:
            done = run_unprivileged("bash", "-euxc", text, stdout=log, stderr=log, env=env)
        assert done.wait(120) == 0, (self.folder / "commands.log").read_text("utf-8")

    def archived(self):
        """Until what was written so far is in the archive."""
        name = self.server.rows("select pg_walfile_name(pg_switch_wal())")[0][0]
        wait_until((self.folder / "archive/wal" / name).exists, "the archive to have it", 60)

    def go_on_with_restored(self):
        conninfo = f"host={self.restored.place} dbname=visitbill user="
        self.house.configure({"database": {"conninfo": conninfo + "visitbill", "owner_conninfo": conninfo + "visitbill_owner"}})

    def close(self):
        if self.restored.data.exists():
            self.restored.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(name="backups")
def _backups():
    backups = Backups()
    try:
        with backups.house:
            yield backups
    finally:
        backups.close()


def pays(house, bill):
    """A payment of all of it that the phone has not yet made."""
    reply = house.kiosk.pay(bill["bill"], "100.00")
    assert reply.status == 201, reply
    return reply.json


def test_back_to_a_moment(backups):
    house = backups.house
    backup, restore = readme_commands()
    bills = [house.billed(f"bill-{n}") for n in range(3)]
    sender = Keeper(backups, "all-day")
    wait_until(lambda: len(sender.taken) > 50, "the feed to send")
    backups.run(backup)
    sender.goes_on(20)

    # the moment: one payment is made before it, one begun before it, one begun after it
    paid, begun = pays(house, bills[0]), pays(house, bills[1])
    assert house.sim.pay(paid)["status"] == 204
    house.clinic.charge("moment", ft1("before", "1.00"))
    before = len(sender.taken)
    time.sleep(0.05)
    moment = backups.server.rows("select clock_timestamp()::text")[0][0]
    time.sleep(0.05)
    after_message = house.clinic.dft_message("moment", ft1("after", "2.00"))
    assert house.clinic.send(after_message).code == "AA"
    after = len(sender.taken)
    late = pays(house, bills[2])
    assert house.sim.pay(begun)["status"] == house.sim.pay(late)["status"] == 204
    sender.goes_on(20)
    sender.end()
    backups.archived()

    # the server is lost; README's commands bring it back
    assert house.stop() == 0
    backups.server.kill()
    base, = (backups.folder / "archive/base").iterdir()
    backups.run(restore, {"2026-11-27 14:05:00+08": moment, "base/2026-11-27": f"base/{base.name}"})
    restored = backups.restored
    wait_until(lambda: restored.answers() and restored.rows("select pg_is_in_recovery()") == [(False,)], "the restored server to be a primary", 60)
    assert restored.rows("select timeline_id from pg_control_checkpoint()") == [(2,)]
    lines = restored.lines()
    assert len(lines) == len(set(lines))
    assert [line for line in lines if line[0] == "moment"] == [("moment", "clinic", "before")]
    there = len([line for line in lines if line[0] == "all-day"])
    assert set(lines) >= {("all-day", "clinic", f"{n}") for n in range(there)} and before <= there <= after + 1
    assert there < len(sender.taken)

    # the books are right as they stand, and a daemon goes on
    backups.go_on_with_restored()
    assert "unexplained 0.00" in house.ctl("audit")
    house.start()
    assert house.kiosk.payment(paid["payment"])["state"] == "succeeded"
    wait_until(lambda: house.kiosk.payment(begun["payment"])["state"] == "succeeded", "the channel to be asked for what was begun", 30)
    assert house.kiosk.bill(bills[1]["bill"])["paid"] == "100.00"

    # begun after the moment: nothing here knows of it. The channel's word is refused and counted, the money is entered as taken elsewhere, once.
    assert house.kiosk.get(f"/v1/payments/{late['payment']}").status == 404
    assert house.sim.notify(late)["status"] == 404
    assert house.metric("visitbill_notifications_total", result="404") == 1
    assert house.kiosk.bill(bills[2]["bill"])["outstanding"] == "100.00"
    money = ft1("wechatpay 4200001", "100.00", kind="PY")
    for _ in range(2):
        house.clinic.charge("bill-2", money)
    wait_until(lambda: house.kiosk.bill(bills[2]["bill"])["state"] == "settled", "the bill to be paid")

    # the feeds send the day again
    for _ in range(2):
        assert house.clinic.send(after_message).code == "AA"
    with Feed(house.mllp, "CLINIC").connect() as again:
        for first in range(0, len(sender.messages), 50):
            part = sender.messages[first:first + 50]
            again.write(b"".join(frame(message.encode()) for message in part))
            assert {ack.code for ack in again.acks(len(part))} == {"AA"}
    lines = restored.lines()
    assert len(lines) == len(set(lines))
    assert {("moment", "clinic", "after"), *(("all-day", "clinic", n) for n in sender.taken)} <= set(lines)
    assert restored.rows("select reason, detail from hospital.quarantine") == []
    assert "unexplained 0.00" in house.ctl("audit")
