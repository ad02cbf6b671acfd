"""A backend that is ended between a statement's result and the word that it is committed: whoever waits for that word is told, and nothing is lost or
doubled. A proxy between the daemon and PostgreSQL cuts there."""

import os
import pathlib
import select
import socket
import struct
import tempfile
import threading

import pytest

from .feeds import ft1
from .live import House, wait_until

FATAL = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"


class Proxy:
    """Listens like PostgreSQL in a folder of its own. Armed with a statement's name, it lets the reply to its next call through up to the last message."""

    def __init__(self, behind):
        self.behind, self.folder = behind, tempfile.mkdtemp(prefix="visitbill-proxy-")
        os.chmod(self.folder, 0o755)
        self.armed, self.cuts = None, 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self.folder}/.s.PGSQL.5432")
        os.chmod(f"{self.folder}/.s.PGSQL.5432", 0o777)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()
        os.unlink(f"{self.folder}/.s.PGSQL.5432")
        os.rmdir(self.folder)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self.behind}/.s.PGSQL.5432")
        reply, names, cut = b"", {}, False
        with client, server:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is client:
                        for number, text in names.items():      # a call of the statement that is armed
                            cut = cut or (self.armed is not None and self.armed in text and b"B" in data and b"\0" + number + b"\0" in data)
                        self._note(data, names)
                        server.sendall(data)
                        continue
                    reply += data
                    while len(reply) >= 5 and len(reply) >= 1 + struct.unpack("!I", reply[1:5])[0]:
                        size = 1 + struct.unpack("!I", reply[1:5])[0]
                        message, reply = reply[:size], reply[size:]
                        if cut and message[:1] == b"Z":         # instead of "committed, ready": the end
                            self.armed, self.cuts = None, self.cuts + 1
                            client.sendall(b"E" + struct.pack("!I", 4 + len(FATAL)) + FATAL)
                            return
                        client.sendall(message)

    @staticmethod
    def _note(data, names):
        """The names of prepared statements: Parse messages of the beginning."""
        at = 0
        while (at := data.find(b"P", at)) >= 0:
            end = data.find(b"\0", at + 5)
            if end > 0 and data[at + 5:at + 6] == b"s" and data[at + 6:end].isdigit():
                names[data[at + 5:end]] = data[end + 1:data.find(b"\0", end + 1)]
            at += 1


@pytest.fixture(name="cut", scope="module")
def _cut():
    with House({"jobs": {"close": "50ms"}}) as house:
        conninfo = next(line for line in pathlib.Path(house.env["VISITBILL_CONF"]).read_text("utf-8").splitlines() if line.startswith("conninfo"))
        words = dict(word.split("=", 1) for word in conninfo.split("=", 1)[1].split())
        proxy = Proxy(words["host"])
        house.stop()
        house.configure({"database": {"conninfo": " ".join(f"{k}={v}" for k, v in {**words, "host": proxy.folder}.items())}})
        house.start()
        yield house, proxy
        house.stop()
        house.start()
        proxy.close()


@pytest.mark.parametrize("statement", [b"charges_post", b"visits_close", b"payments_due", b"feed_marks", b"tokens_changed"])
def test_the_last_word_does_not_come(cut, statement):
    house, proxy = cut
    before = proxy.cuts
    proxy.armed = statement
    visit = f"word-{statement.decode()}"
    assert house.clinic.charge(visit, ft1("1")).code == "AA"
    wait_until(lambda: proxy.cuts > before or (house.heartbeat("clinic") and False), "the cut")
    proxy.armed = statement
    assert house.clinic.charge(visit, ft1("2")).code == "AA"
    wait_until(lambda: proxy.cuts > before + 1 or (house.heartbeat("clinic") and False), "the job to run again")
    assert len(house.lines(visit)) == 2
    assert house.is_ready()
