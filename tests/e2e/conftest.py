"""The session's hospitals. `house` is the embedded default; `annex` has short deadlines, small limits, a second facility and a database of its
own, for what would take too long or too much in the first; `sealed` knows its feeds by certificates; `siege` is
attacked. Tests share them and keep apart by visit numbers
of their own: the fixture `visit`."""

import itertools

import pytest

from . import foes, secure
from .live import House

_visits = itertools.count(1)

ANNEX = {
    "database": {"hold": "500ms"},
    "http": {"first_byte_time": "2s", "request_time": "1s", "idle_time": "2s", "header_bytes": 4096, "body_bytes": 65536},
    "listen http": {"connections": 60},
    "mllp": {"frame_bytes": 65536, "message_lines": 100},
    "jobs": {"close": "50ms", "payments": "50ms", "replay": "50ms", "drain": "5s"},
    "payment": {"channel_time": "400ms"},
    "facility H01": {"grace": "10m", "late_grace": "300ms"},
    "facility H02": {"name": "示范市第二医院", "grace": "10m", "outpatient_limit": "100.00"},
    "facility H03": {"name": "示范市康复医院", "grace": "10m", "visit_amount": "1000.00", "visit_day_amount": "600.00"},
    "feed pharmacy": {"charset": "GB 18030-2000"},
    "feed lab": {"ignore": "ORU ADT^A60", "a40": "visits"},
    "feed clinic2": {"facility": "H02", "application": "CLINIC"},
    "feed clinic3": {"facility": "H03", "application": "CLINIC"},
    "token kiosk1": {"role": "kiosk", "secret": "kiosk-of-facility-H01-only", "facilities": "H01"},
    "token kiosk2": {"role": "kiosk", "secret": "kiosk-of-facility-H02-only", "facilities": "H02"},
    "token desk1": {"role": "desk", "secret": "desk-of-facility-H01-only", "facilities": "H01"},
    "token desk2": {"role": "desk", "secret": "desk-of-facility-H02-only", "facilities": "H02"},
}


@pytest.fixture(scope="session", name="house")
def _house():
    with House() as house:
        yield house


@pytest.fixture(scope="session", name="annex")
def _annex():
    with House(ANNEX) as annex:
        yield annex


@pytest.fixture(scope="session", name="sealed")
def _sealed():
    with House(secure.settings) as sealed:
        yield sealed


@pytest.fixture(scope="session", name="siege")
def _siege():
    foes.allow_descriptors()
    with foes.Siege(foes.SETTINGS) as siege:
        yield siege


@pytest.fixture
def visit():
    """A visit number that no other test has."""
    return f"V{next(_visits):04}"


@pytest.fixture
def visits():
    """As many as are asked for."""
    return lambda count: [f"V{next(_visits):04}" for _ in range(count)]
