"""The private PostgreSQL of the tests: started, given the schema, copied and removed. What the schema does is not its business."""

import json
import os
import signal
import subprocess
from pathlib import Path

import psycopg2

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = "hospital"


def shell(script, *args):
    return subprocess.run(["bash", "-c", ". scripts/lib.sh && " + script, "-", *map(str, args)],
                          cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


class Cluster:
    """One server in a folder. The schema is loaded once, into a database that the others are copied from."""

    def __init__(self, folder):
        self.folder = folder
        self.copies = 0

    def start(self):
        shell('cluster_start "$1" && cluster_prepare "$1"', self.folder)
        # the server's folder may lie elsewhere, and the shell is slow: asked once
        self.place = shell('cluster_conninfo "$1" ROLE DATABASE', self.folder)
        # its data live as long as the tests: nothing need reach the disk, nor be written when it ends
        self.command("alter system set fsync = off")
        self.command("select pg_reload_conf()")
        self.migrate()

    def remove(self):
        pid = Path(self.folder) / "run/postgresql.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGQUIT)
        shell('cluster_remove "$1"', self.folder)

    def conninfo(self, role="visitbill", database="visitbill"):
        return self.place.replace("ROLE", role).replace("DATABASE", database)

    def connect(self, role="visitbill", database="visitbill"):
        options = f"-c search_path={SCHEMA} -c client_min_messages=error -c statement_timeout=20s -c synchronous_commit=off"
        connection = psycopg2.connect(self.conninfo(role, database), options=options)
        connection.autocommit = True
        return connection

    def migrate(self, database="visitbill", status=0):
        """As an operator does it: with visitbillctl, as the owner of the schema. What it says."""
        build = Path(os.environ.get("VISITBILL_BUILD", ROOT / "build")).absolute()
        conf = Path(self.folder) / "migrate.conf"
        conf.write_text(f"[database]\nconninfo = {self.conninfo(database=database)}\n"
                        f"owner_conninfo = {self.conninfo('visitbill_owner', database)}\n"
                        f"schema = {SCHEMA}\nrole = visitbill\n[listen none]\naddress = 127.0.0.1:0\nserves = operations\n")
        done = subprocess.run([build / "daemon/ctl/visitbillctl", "-c", conf, "migrate"], capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def copy(self):
        """A database of its own for a test that looks at all of it."""
        self.copies += 1
        name = f"copy{self.copies}"
        self.command(f"create database {name} template visitbill owner visitbill_owner")
        return name

    def command(self, sql):
        """As the server's administrator."""
        connection = psycopg2.connect(self.conninfo("postgres", "postgres"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()


def configuration(facilities, feeds):
    """What the daemon hands to setup_apply. Feeds: name -> (facility, waits). Facilities: code -> settings that differ."""
    usual = {"grace_s": 3600, "late_grace_s": 0, "due_hours": 48, "outpatient_limit": 500_000, "inpatient_limit": 1_500_000}
    return json.dumps({
        "facilities": [{"code": code, "name": code + " hospital", **usual, **settings} for code, settings in facilities.items()],
        "feeds": [{"name": name, "facility": facility, "application": name.upper(), "waits": waits}
                  for name, (facility, waits) in feeds.items()],
    })
