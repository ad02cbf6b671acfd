"""A daemon takes another one's place under load: on the same ports, or on sockets that a service manager holds. Nobody is refused, no line is lost,
none is booked twice."""

import http.client
import signal
import socket
import threading
import time

from .api import line
from .feeds import Feed, ft1
from .live import wait_until
from .test_operation import hang

# becomes a daemon that finds its listening sockets where a service manager puts them: NAME=DESCRIPTOR … -- COMMAND
ACTIVATE = """
import os, sys
end = sys.argv.index("--")
names, held = zip(*(word.split("=") for word in sys.argv[1:end]))
high = [os.dup2(int(fd), 100 + n) for n, fd in enumerate(held)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n)
    os.close(fd)
os.environ.update(LISTEN_FDS=str(len(names)), LISTEN_FDNAMES=":".join(names), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[end + 1], sys.argv[end + 1:])
"""


class Load:
    """Feeds over MLLP that connect again when they are closed and send again what was not acknowledged; feeds and kiosks over HTTP that connect anew for
    each request, and expect an answer to each."""

    def __init__(self, house, visits):
        self.house, self.visits, self.errors, self.stop = house, visits, [], threading.Event()
        self.done = {visit: 0 for visit in visits}
        kinds = [self._feed, self._feed, self._clients, self._clients]
        self.threads = [threading.Thread(target=self._guard, args=(kinds[n % 4], visit)) for n, visit in enumerate(visits)]

    def _guard(self, run, visit):
        try:
            run(visit)
        except BaseException as error:      # pylint: disable=broad-except
            self.errors.append((run.__name__, error))

    def _feed(self, visit):
        feed = Feed(self.house.mllp, "CLINIC")
        connection = feed.connect()
        while not self.stop.is_set():
            message = feed.dft_message(visit, ft1(f"{self.done[visit]}", "1.00"))
            while True:
                try:
                    ack = connection.send(message)
                    break
                except ConnectionError:
                    connection.close()
                    connection = feed.connect()     # must not be refused
            assert ack.code == "AA", ack
            self.done[visit] += 1
        connection.close()

    def _clients(self, visit):
        while not self.stop.is_set():
            assert self.house.ward.charge(line(visit, f"{self.done[visit]}", "1.00"))["booked"] == 1
            self.done[visit] += 1
            assert self.house.kiosk.visit(visit)["total"] == f"{self.done[visit]}.00"

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.go_on()
        return self

    def go_on(self, more=5):
        had = dict(self.done)
        wait_until(lambda: self.errors or all(self.done[visit] >= had[visit] + more for visit in self.visits), "the load to go on")
        assert not self.errors, self.errors

    def __exit__(self, kind, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if kind is None:
            assert not self.errors, self.errors
            for visit in self.visits:
                assert len(self.house.lines(visit)) == self.done[visit] > 0


def successor(house, **options):
    """A second daemon beside the first, which ends by TERM once the second is ready."""
    first, ready = house._daemon, house.log().count(" info ready ")      # pylint: disable=protected-access
    house.start(wait=False, **options)
    wait_until(lambda: house.log().count(" info ready ") > ready, "the second daemon to be ready")
    first.send_signal(signal.SIGTERM)
    wait_until(lambda: first.poll() is not None, "the first one to end", 15)
    assert first.returncode == 0


def test_replaced_on_its_ports(siege, visits):
    """Three times in a row."""
    with Load(siege, visits(8)) as load:
        for _ in range(3):
            successor(siege)
            load.go_on()
    assert siege.broken() == []


def test_replaced_on_sockets_of_a_service_manager(siege, visits):
    """The sockets are there before the first daemon, between the two and after the last: who connects meanwhile waits and is served."""
    siege.stop()
    names = {"http": siege.http, "mllp": siege.mllp, "ops": siege.operations}
    sockets = {}
    try:
        for name, address in names.items():
            sockets[name] = socket.create_server(address, backlog=512)
        before = ("/usr/bin/python3", "-c", ACTIVATE, *(f"{name}={one.fileno()}" for name, one in sockets.items()), "--")
        options = {"before": before, "pass_fds": [one.fileno() for one in sockets.values()]}
        early = [http.client.HTTPConnection(*siege.http, timeout=30) for _ in range(5)]
        for connection in early:
            connection.request("GET", "/healthz")
        siege.start(wait=False, **options)
        for connection in early:
            assert connection.getresponse().read() == b"ok\n"
            connection.close()
        wait_until(siege.is_ready, "the daemon to be ready")
        with Load(siege, visits(8)) as load:
            for _ in range(2):
                successor(siege, **options)
                load.go_on()
            # with none at all for a while
            siege.stop()
            waiting = Feed(siege.mllp, "LAB").connect()
            waiting.write(b"\x0b" + siege.lab.dft_message(load.visits[0] + "x", ft1("early")).encode() + b"\x1c\r")
            siege.start(wait=False, **options)
            assert waiting.acks()[0].code == "AA"
            waiting.close()
    finally:
        for one in sockets.values():
            one.close()
        if siege.is_running():
            siege.stop()
        siege.start()
    assert siege.broken() == []


def test_term_closes_the_listening_sockets(siege, visit):
    """At once, though work is left that holds the daemon up; that is still answered."""
    connection = hang(siege, visit)
    addresses = [siege.mllp, siege.mllp2, siege.mllps, siege.http, siege.https, siege.operations]
    try:
        siege.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        for address in addresses:
            def is_refused(address=address):
                try:
                    socket.create_connection(address, timeout=5).close()
                except ConnectionRefusedError:
                    return True
                except OSError:
                    pass
                return False

            wait_until(is_refused, f"{address} to be closed", 3)
        assert time.monotonic() - begun < 3 and siege.is_running()
    finally:
        siege.rows("rollback")
    assert connection.acks()[0].code == "AA" and connection.is_closed()
    wait_until(lambda: not siege.is_running(), "the end", 5)
    siege.start()
    assert set(siege.lines(visit)) == {("clinic", "0"), ("clinic", "1")}
