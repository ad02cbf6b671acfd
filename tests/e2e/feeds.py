"""HL7 v2 for the tests: messages as text, and a feed that sends them over MLLP by python3-hl7's client, an implementation that is not ours. What
needs more than one frame at a time, or broken ones, goes over the same client's socket."""

import itertools
import socket
import struct
from datetime import datetime, timedelta, timezone

import hl7
from hl7.client import MLLPClient

CHINA = timezone(timedelta(hours=8))
PATIENT = "郝隐私"      # the log is searched for this name
_controls = itertools.count(1)
_sources = itertools.count(1)


def now():
    return datetime.now(CHINA)


def hl7_time(moment=None):
    return (moment or now()).strftime("%Y%m%d%H%M%S.%f")[:18] + "+0800"


def iso_time(moment=None):
    return (moment or now()).isoformat(timespec="milliseconds")


def ft1(source=None, amount="12.50", quantity="1", price="", kind="CG", code="X1", name="项目", category="03", at=None, reverses=None, department="内科"):
    """An FT1, with its ZRV where it reverses. The set id is filled in by the message."""
    source = f"L{next(_sources)}" if source is None else source
    segment = (f"FT1|#|{source}||{hl7_time() if at is None else at}||{kind}|{code}^{name}^L|||{quantity}|{amount}|{price}|{department}|||||||D1^王^医|||O1"
               + (f"{'|' * 18}{category}" if category else ""))
    return segment if reverses is None else f"{segment}\rZRV|{reverses}"


def frame(content):
    return b"\x0b" + content + b"\x1c\r"


def unframe(data):
    """The contents of the frames in the bytes, and what is behind the last one."""
    contents = []
    while b"\x1c\r" in data:
        content, _, data = data.partition(b"\x1c\r")
        assert content.startswith(b"\x0b"), content
        contents.append(content[1:])
    return contents, data


class Ack:
    """An acknowledgement, read by python3-hl7."""

    def __init__(self, content, encoding):
        self.text = content.decode(encoding)
        self.message = hl7.parse(self.text)
        self.msh, self.msa = self.message.segment("MSH"), self.message.segment("MSA")
        self.code, self.control = str(self.msa[1]), str(self.msa[2])

    def _segments(self, name):
        return [segment for segment in self.message if str(segment[0]) == name]

    @property
    def errors(self):
        """(location, code of table 0357, our reason) of each ERR of version 2.5 and later."""
        return [(str(err[2]), int(str(err[3]).split("^")[0]), str(err[5])) for err in self._segments("ERR")]

    @property
    def reasons(self):
        return [reason for _, _, reason in self.errors]

    @property
    def zbl(self):
        """visit, booked, duplicate, refused, total, state"""
        return [str(field) for field in self._segments("ZBL")[0][1:]]

    def __repr__(self):
        return "<" + self.text.replace("\r", " / ") + ">"


class Connection:
    """One MLLP connection."""

    def __init__(self, address, encoding="utf-8"):
        self.client, self.encoding = MLLPClient(*address, encoding=encoding), encoding
        self._found, self._rest = [], b""       # frames that came and nobody took yet, and what is behind them
        # not settimeout(): that would let the client's send() stop half way
        self.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def close(self):
        self.client.close()

    def write(self, data):
        self.client.socket.sendall(data)

    def frames(self, count):
        """The contents of the next frames."""
        while True:
            more, self._rest = unframe(self._rest)
            self._found += more
            if len(self._found) >= count:
                break
            data = self.client.socket.recv(65536)
            if not data:
                raise ConnectionResetError(f"closed after {len(self._found)} of {count} frames: {self._found} {self._rest}")
            self._rest += data
        taken, self._found = self._found[:count], self._found[count:]
        return taken

    def acks(self, count=1):
        return [Ack(content, self.encoding) for content in self.frames(count)]

    def is_closed(self, wait=True):
        """Did the peer close? With wait, as soon as it does; what it sent before must have been taken."""
        try:
            return not self._found and self.client.socket.recv(1, 0 if wait else socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def send(self, message):
        """The acknowledgement of one message (text or bytes), by the library's own sending."""
        content = message if isinstance(message, bytes) else message.encode(self.encoding)
        if len(content) > 60000:
            self.write(frame(content))
        else:
            self._rest += self.client.send_message(content)
            if not self._rest:
                raise ConnectionResetError("closed instead of an acknowledgement")
        ack, = self.acks()
        assert not self._found, self._found
        return ack


class Feed:
    """A sending system. It keeps a connection, as real ones do, and makes a new one where that was closed."""

    def __init__(self, address, application, facility="H01", charset="UNICODE UTF-8", encoding="utf-8"):
        self.address, self.application, self.facility, self.charset, self.encoding = address, application, facility, charset, encoding
        self._connection = None

    def connect(self):
        return Connection(self.address, self.encoding)

    def send(self, message):
        if self._connection is None or self._connection.is_closed(wait=False):
            self._connection = self.connect()
        try:
            return self._connection.send(message)
        except BaseException:
            self._connection = None
            raise

    # ---- messages

    def message(self, event, *segments, control=None, at=None, version="2.5.1", processing="P", accept="", application=""):
        """event: ADT^A01. `#` in an FT1 becomes its number."""
        self.control = control if control is not None else f"{self.application[:1]}{next(_controls)}"
        msh = (f"MSH|^~\\&|{self.application}|{self.facility}|VISITBILL|H01|{hl7_time(at)}||{event}|{self.control}|{processing}|{version}|||"
               f"{accept}|{application}||{self.charset}")
        numbers = itertools.count(1)
        segments = [f"FT1|{next(numbers)}|{segment[6:]}" if segment.startswith("FT1|#|") else segment for segment in segments if segment]
        return "\r".join([msh, *segments]) + "\r"

    @staticmethod
    def pid(visit, name=PATIENT, patient=None, birth="19900131", sex="F"):
        return f"PID|1||{f'PN-{visit}' if patient is None else patient}^^^H01^PI||{name}||{birth}|{sex}"

    @staticmethod
    def pv1(visit, kind="O", location="门诊楼^^^H01", admitted="", discharged=""):
        return f"PV1|1|{kind}|{location}|||||||内科|||||||||{visit}{'|' * 25}{admitted}|{discharged}"

    def adt_message(self, event, visit, kind="O", control=None, at=None, **pid):
        moment = hl7_time(at)
        return self.message(f"ADT^{event}", f"EVN||{moment}", self.pid(visit, **pid), control=control, at=at) + self.pv1(
            visit, kind, discharged=moment if event == "A03" else "") + "\r"

    def adt(self, event, visit, **more):
        return self.send(self.adt_message(event, visit, **more))

    def dft_message(self, visit, *lines, event="P03", **msh):
        return self.message(f"DFT^{event}", f"EVN||{hl7_time()}", self.pid(visit), self.pv1(visit), *lines, **msh)

    def dft(self, visit, *lines, **msh):
        return self.send(self.dft_message(visit, *lines, **msh))

    def charge(self, visit, *lines, **msh):
        """A DFT that must be booked."""
        ack = self.dft(visit, *lines, **msh)
        assert ack.code == "AA", ack
        return ack

    def merge(self, visit, into):
        return self.send(self.message("ADT^A42", f"EVN||{hl7_time()}", self.pid(into), f"MRG|PN-{visit}^^^H01^PI||||{visit}", self.pv1(into)))

    def heartbeat(self, at=None):
        """A message that says nothing but how far the feed is."""
        ack = self.send(self.message("ADT^A28", f"EVN||{hl7_time(at)}", self.pid("nobody"), at=at))
        assert ack.code == "AA", ack
