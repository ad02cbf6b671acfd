"""What the hostile tests share: a hospital under siege, how its daemon fares (memory, processor, descriptors, log), and a polite feed beside each attack,
whose acknowledgements are timed. VISITBILL_LONG=1 makes the attacks longer and wider."""

import contextlib
import os
import re
import resource
import socket
import threading
import time

from .feeds import ft1
from .live import BUILD, House, wait_until

LONG = os.environ.get("VISITBILL_LONG") == "1"
SECONDS = 20 if LONG else 1.5       # of an attack that goes on
SANITIZED = b"__asan_init" in (BUILD / "daemon/visitbilld").read_bytes()
QUICK = 1 if SANITIZED else 0.25    # the 99th percentile of a known feed's acknowledgements meanwhile
MIB = 1 << 20

SETTINGS = {
    "http": {"first_byte_time": "1s", "request_time": "2s", "io_time": "1s"},
    "mllp": {"first_byte_time": "1s", "frame_time": "2s", "io_time": "1s"},
    "listen mllp": {"connections": 4000 if LONG else 400, "address_connections": 1000 if LONG else 150},
    "jobs": {"close": "50ms", "payments": "50ms", "replay": "50ms", "drain": "5s"},
    "payment": {"channel_time": "2s"},
    "facility H01": {"grace": "10m", "late_grace": "200ms"},
}


class Siege(House):
    """The sanitizer keeps what was freed for a while; here only a little of it, so that the process's size means something."""

    def start(self, wait=True, before=(), **options):
        environment = os.environ | {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"}
        super().start(wait, before, env=environment, **options)

    def resident(self):
        """Bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return next(int(text.split()[1]) * 1024 for text in status if text.startswith("VmRSS:"))

    def processor(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def long_turns(self):
        """How many turns of the loop took longer than a quarter of a second, sanitized: than one."""
        text = self.watcher.get("/metrics").text
        every, short = (float(re.search(rf"(?m)^visitbill_loop_turn_seconds_{series} (\S+)$", text)[1]) for series in ("count", rf'bucket\{{le="{"1.048576" if SANITIZED else "0.262144"}"\}}'))
        return every - short


def descriptors(pid):
    """How many a process has open: the folder's size tells since Linux 6.2, and to everyone."""
    return os.stat(f"/proc/{pid}/fd").st_size or len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def grows_less_than(house, bytes_, every=0.05):
    """The daemon's memory, looked at all the time meanwhile. A sanitized daemon has three times the room."""
    before, most, stop = house.resident(), [0], threading.Event()

    def look():
        while not stop.wait(every):
            most[0] = max(most[0], house.resident())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    grown, room = most[0] - before, bytes_ * (3 if SANITIZED else 1)
    assert grown < room, f"grew by {grown / MIB:.1f} MiB of {room / MIB:.1f}"


class Neighbour:
    """A known feed that sends one line after the other, however the daemon is beset, and what became of them."""

    def __init__(self, house, visit, quick=QUICK):
        self.house, self.visit, self.feed, self.quick = house, visit, house.clinic, quick
        self.took, self._calm, self._error, self._stop = [], [], None, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            with self.feed.connect() as connection:
                while not self._stop.wait(0.002):
                    begun = time.monotonic()
                    ack = connection.send(self.feed.dft_message(self.visit, ft1(f"N{len(self.took)}", "1.00")))
                    self.took.append(time.monotonic() - begun)
                    assert ack.code == "AA", ack
        except BaseException as error:      # pylint: disable=broad-except
            self._error = error

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: self._error or len(self.took) >= 30, "the neighbour to get going")
        assert self._error is None, self._error
        self._calm = list(self.took)
        return self

    def __exit__(self, kind, *_):
        seen = len(self.took)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self._error or len(self.took) > seen, "one more", 20)
        self._stop.set()
        self._thread.join()
        if kind is not None:
            return
        assert self._error is None, self._error
        meanwhile, calm = sorted(self.took[len(self._calm):]), sorted(self._calm)
        # the machine may be busy with other things
        p99, limit = meanwhile[int(len(meanwhile) * 0.99)], max(self.quick, calm[-2] * 4)
        assert p99 < limit, f"p99 of {len(meanwhile)} acknowledgements {p99 * 1000:.0f} ms; calm {calm[-2] * 1000:.0f} ms"
        assert len(self.house.lines(self.visit)) == len(self.took), "each acknowledged line is booked, once"


def allow_descriptors():
    """As many for the tests themselves as the system lets."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class Crowd:
    """Many sockets, from one address of the loopback or from several, and what becomes of them."""

    def __init__(self, address, count, sent=b"", sources=1, receive=None):
        self.sockets = []
        try:
            for n in range(count):
                one = socket.socket()
                self.sockets.append(one)
                if receive:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
                one.settimeout(10)
                one.bind((f"127.0.0.{2 + n % sources}", 0))
                one.connect(address)
                one.setblocking(False)
                with contextlib.suppress(OSError):
                    one.send(sent)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for one in self.sockets:
            one.close()

    @staticmethod
    def _is_open(one):
        try:
            while True:
                if one.recv(65536) == b"":
                    return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def open(self):
        """How many are; what came is thrown away."""
        return sum(self._is_open(one) for one in self.sockets)

    def push(self, data):
        """Bytes more on each that takes them; how many were taken in all."""
        taken = 0
        for one in self.sockets:
            with contextlib.suppress(OSError):
                taken += one.send(data)
        return taken
