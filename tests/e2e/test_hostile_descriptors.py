"""A daemon that may open few files: it says so, takes no more peers than fit, and does not spin when they come all the same."""

import contextlib
import re
import time

import pytest

from .api import line
from .feeds import ft1
from .foes import SECONDS, Crowd, descriptors
from .live import stays, wait_until


@pytest.fixture(name="poor", scope="module")
def _poor(siege):
    """The daemon with 300 descriptors; afterwards as it was."""
    siege.stop()
    siege.start(before=("prlimit", "--nofile=300:300"))
    yield siege
    siege.stop()
    siege.start()


def test_the_limits_fit(poor):
    """Each listener has its share of what is left, and the log says of how many."""
    said = re.findall(r" warn descriptors wanted=(\d+) available=(\d+) ", poor.log())
    assert said and int(said[-1][0]) > 4000 and int(said[-1][1]) == 300, said


def test_it_is_full_and_does_not_spin(poor, visit):
    """Far more peers than it can take, on each listener, for a while: known feeds are served, those that were there and those that come; little
    processor time, little log."""
    with poor.lab.connect() as kept, contextlib.ExitStack() as crowds:
        assert kept.send(poor.lab.dft_message(visit, ft1("before"))).code == "AA"
        seen, used, begun = len(poor.log()), poor.processor(), time.monotonic()
        for address in (poor.mllp, poor.mllp2, poor.http, poor.https, poor.mllps):
            crowds.enter_context(Crowd(address, 150, sources=3))
        count = 0
        while time.monotonic() - begun < SECONDS:
            assert kept.send(poor.lab.dft_message(visit, ft1(f"k{count}"))).code == "AA"
            with poor.lab.connect() as fresh:
                assert fresh.send(poor.lab.dft_message(visit, ft1(f"f{count}"))).code == "AA"
            assert poor.ward.charge(line(visit, f"w{count}"))["booked"] == 1
            count += 1
            assert descriptors(poor.pid) <= 300
        busy, log = poor.processor() - used, len(poor.log()) - seen
        assert count >= 3 and log < 20000 + 400 * count, (count, log)
        # alone with the crowd it rests
        used, begun = poor.processor(), time.monotonic()
        stays(poor.is_running, "the daemon to live", 0.5)
        assert (poor.processor() - used) / (time.monotonic() - begun) < 0.3, busy
    wait_until(lambda: descriptors(poor.pid) < 150, "the descriptors to come back", 5)
    assert len(poor.lines(visit)) == 1 + 3 * count
