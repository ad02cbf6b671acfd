"""Fixtures: one cluster a session; `ledger` shares the daemon's database, `fresh` has one of its own.

H01 waits for no feed, so a discharged visit is due at once. W01 waits for its two feeds, for an hour. S01 waits for one, and its
grace is over at once. L01 lets late lines gather for an hour. P01 takes 1,000.00 a visit and 600.00 a day of it, P02 500.00 a visit. A test keeps apart from the others by a visit number of its own."""

import shutil
import tempfile

import pytest

from .cluster import Cluster, configuration
from .ledger import Ledger, fresh_number

FACILITIES = {"H01": {}, "W01": {}, "S01": {"grace_s": 0}, "L01": {"late_grace_s": 3600}, "P01": {"visit_amount": 100_000, "visit_day_amount": 60_000},
              "P02": {"visit_amount": 50_000}}
FEEDS = {
    "clinic": ("H01", False), "pharmacy": ("H01", False), "ward": ("H01", False),
    "lab": ("W01", True), "theatre": ("W01", True), "silent": ("S01", True), "late": ("L01", False),
    "ivf": ("P01", False), "spa": ("P02", False),
}


@pytest.fixture(scope="session")
def cluster():
    folder = tempfile.mkdtemp(prefix="visitbill-db-")
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)


class Desk:
    """Opens ledgers on one database, and closes them when the test is over."""

    def __init__(self, cluster, database):
        self.cluster, self.database, self.connections = cluster, database, []

    def ledger(self, role="visitbill"):
        connection = self.cluster.connect(role, self.database)
        self.connections.append(connection)
        ledger = Ledger(connection)
        ledger.facilities = dict(ledger.ask("select code, facility_id from facility"))
        ledger.feeds = dict(ledger.ask("select name, feed_id from feed"))
        ledger.look_up_limits()
        return ledger

    def close(self):
        for connection in self.connections:
            connection.close()
        self.connections.clear()


def prepare(cluster, database):
    desk = Desk(cluster, database)
    ledger = desk.ledger()
    ledger.configure(configuration(FACILITIES, FEEDS))
    ledger.value("select partitions_ahead(100000)")
    desk.close()


@pytest.fixture(scope="session")
def database(cluster):
    name = cluster.copy()
    prepare(cluster, name)
    return name


@pytest.fixture(name="desk")
def _desk(cluster, database):
    """For more ledgers on the shared database: owners, and connections for threads."""
    desk = Desk(cluster, database)
    yield desk
    desk.close()


@pytest.fixture(scope="session", name="shared")
def _shared(cluster, database):
    desk = Desk(cluster, database)
    ledger = desk.ledger()
    ledger.found = []       # what the audit found last
    yield ledger
    desk.close()


@pytest.fixture
def ledger(shared):
    """The daemon's role on the shared database. Whatever a test does with it, the audit finds nothing new afterwards."""
    yield shared
    before, shared.found = shared.found, shared.audit()
    assert shared.found == before
    assert shared.value("select status_doc()")["unexplained_fen"] == 0


@pytest.fixture(name="fresh_desk")
def _fresh_desk(cluster):
    """A database that is this test's alone."""
    name = cluster.copy()
    prepare(cluster, name)
    desk = Desk(cluster, name)
    yield desk
    desk.close()


@pytest.fixture
def fresh(fresh_desk):
    return fresh_desk.ledger()


@pytest.fixture
def visit():
    return fresh_number()
