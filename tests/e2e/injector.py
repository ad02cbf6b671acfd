"""Between the daemon and PostgreSQL: it forwards the wire protocol (version 3), reads just enough of it to know which statement comes, and does to a
statement what a rule says: fails it, delays it, cuts the connection before or after the server has done it, or stops forwarding in the middle of it.

The server behind it is the real one, and so are its answers: a statement fails because the server raises the SQLSTATE in its place, inside the same
transaction. Only a refused connection (`refuse`) is answered from here, as a server that is starting or full does. It listens on a Unix socket in a
folder, or on TCP; requests for TLS or GSSAPI, cancel requests and everything that no rule is about go through as they are.
"""

import asyncio
import os
import pathlib
import re
import shutil
import socket
import struct
import tempfile
import threading

TLS_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
ACTIONS = {"fail", "fail_commit", "delay", "cut_before", "cut_after", "stop_request", "stop_reply"}


class Rule:
    """What happens to a statement. It ends after `times`, or when it is lifted."""

    def __init__(self, statement, action, times=1, about=None, sqlstate=None, seconds=None):
        assert action in ACTIONS, action
        self.statement, self.action, self.times = re.compile(statement), action, times
        self.about = re.compile(about) if about is not None else None
        self.sqlstate, self.seconds, self.hits = sqlstate, seconds, 0

    def takes(self, text, message):
        """Is it about this statement, and these bytes of its parameters?"""
        if self.times is not None and self.hits >= self.times or not self.statement.search(text):
            return False
        if self.about is not None and not self.about.search(message):
            return False
        self.hits += 1
        return True

    def lift(self):
        self.times = self.hits


def _message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def raising(sqlstate):
    """Messages that make the server raise it: an unnamed statement, bound and run."""
    text = f"do $$ begin raise exception 'injected' using errcode = '{sqlstate}'; end $$".encode()
    return (_message(b"P", b"\0" + text + b"\0\0\0") + _message(b"B", b"\0\0\0\0\0\0\0\0") + _message(b"E", b"\0\0\0\0\0"))


def fatal(sqlstate):
    """The answer of a server that lets nobody in."""
    fields = (b"SFATAL", b"VFATAL", b"C" + sqlstate.encode(), b"Minjected")
    return _message(b"E", b"\0".join(fields) + b"\0\0")


class _Gate:
    """Bytes of one direction pass while it is open."""

    def __init__(self):
        self._open = asyncio.Event()
        self._open.set()

    @property
    def is_open(self):
        return self._open.is_set()

    def set(self, is_open):
        if is_open:
            self._open.set()
        else:
            self._open.clear()

    async def passed(self):
        await self._open.wait()


class _Link:
    """One connection: the client's side, the server's side, and what is under way between them."""

    def __init__(self, injector, reader, writer):
        self.injector, self.client_reader, self.client_writer = injector, reader, writer
        self.server_reader = self.server_writer = None
        self.statements = {}                # prepared name: text
        self.up, self.down = _Gate(), _Gate()
        self.asked = self.answered = 0      # segments: ends that were sent, and that the server has answered
        self.withheld = None                # the segment whose answer is not forwarded: the connection is cut instead
        self.half_reply = None              # the segment whose answer stops half way
        self.at_sync = None                 # the SQLSTATE that the end of this segment raises

    # ---- both ways

    async def run(self):
        first = await self._greet()
        if first is None:
            return
        replies = asyncio.create_task(self._replies())
        requests = asyncio.create_task(self._requests(first))
        try:
            done, _ = await asyncio.wait({replies, requests}, return_when=asyncio.FIRST_COMPLETED)
            if requests in done and self.injector.is_held(self):    # as with a broken way between them, neither end hears of the other
                await self.injector.let_go(self)
        finally:
            for task in (replies, requests):
                task.cancel()
            await asyncio.gather(replies, requests, return_exceptions=True)

    async def _greet(self):
        """Until the start-up message, which is returned. None: there is nothing more to do."""
        while True:
            head = await self.client_reader.readexactly(8)
            length, code = struct.unpack("!ii", head)
            rest = head + await self.client_reader.readexactly(length - 8)
            if code not in (TLS_REQUEST, GSS_REQUEST, CANCEL_REQUEST) and self.injector.refuses is not None:
                self.client_writer.write(fatal(self.injector.refuses))
                await self.client_writer.drain()
                return None
            await self.injector.passed()
            if self.server_writer is None:
                self.server_reader, self.server_writer = await self.injector.connect()
            if code not in (TLS_REQUEST, GSS_REQUEST):
                if code == CANCEL_REQUEST:
                    self.injector.cancels += 1
                return rest
            self.server_writer.write(rest)
            answer = await self.server_reader.readexactly(1)
            assert answer == b"N", "the server would encrypt: there is nothing to be read"
            self.client_writer.write(answer)

    # ---- requests

    async def _requests(self, first):
        await self._forward(first)
        while True:
            head = await self.client_reader.readexactly(5)
            body = await self.client_reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            await self._request(head[:1], head + body, body)

    async def _request(self, kind, message, body):
        text = None
        if kind == b"P":
            name, query, _ = body.split(b"\0", 2)
            self.statements[name] = query.decode("utf-8", "replace")
        elif kind == b"B":
            text = self.statements.get(body.split(b"\0", 2)[1], "")
        elif kind == b"Q":
            text = body[:-1].decode("utf-8", "replace")
        rule = self.injector.rule_for(text, message) if text is not None else None
        if rule is not None:
            message = await self._do(rule, message)
        if kind == b"S" and self.at_sync is not None:
            message, self.at_sync = raising(self.at_sync) + message, None
        await self._forward(message)
        if kind in (b"S", b"Q"):
            self.asked += 1

    async def _do(self, rule, message):
        """What is forwarded in the message's place."""
        action = rule.action
        if action == "fail":
            return raising(rule.sqlstate)
        if action == "fail_commit":
            self.at_sync = rule.sqlstate
        elif action == "delay":
            await asyncio.sleep(rule.seconds)
        elif action == "cut_before":
            raise ConnectionAbortedError("as a rule says")
        elif action == "cut_after":
            self.withheld = self.asked + 1
        elif action == "stop_reply":
            self.half_reply = self.asked + 1
        elif action == "stop_request":
            half = len(message) // 2
            await self._forward(message[:half])
            self.up.set(False)
            return message[half:]
        return message

    async def _forward(self, message):
        await self.injector.passed()
        await self.up.passed()
        self.server_writer.write(message)
        await self.server_writer.drain()

    # ---- replies

    async def _replies(self):
        """Message by message: an answer that is withheld ends with its ReadyForQuery."""
        while True:
            head = await self.server_reader.readexactly(5)
            body = await self.server_reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            message = head + body
            segment = self.answered     # the start-up's own end is the first
            if head[:1] == b"Z":
                self.answered += 1
                if self.withheld == segment:
                    raise ConnectionAbortedError("as a rule says")
            if self.withheld == segment:
                continue
            await self.injector.passed()
            await self.down.passed()
            if self.half_reply == segment:
                self.client_writer.write(message[:len(message) // 2])
                self.down.set(False)
                await self.down.passed()
                message, self.half_reply = message[len(message) // 2:], None
            self.client_writer.write(message)
            await self.client_writer.drain()

    def close(self):
        for writer in (self.client_writer, self.server_writer):
            if writer is not None:
                writer.transport.abort()


class Injector:
    """server: the folder of the server's socket, or (host, port). tcp: it listens on a port of 127.0.0.1, in `address`; else on a socket in `folder`.

    with Injector(server) as injector:      # host=injector.folder in the conninfo
        rule = injector.fail("charges_post", "40001", times=2)
    """

    def __init__(self, server, tcp=False):
        self._server, self._tcp = server, tcp
        self._rules, self._links, self._lock = [], set(), threading.Lock()
        self.refuses, self.cancels, self.connections = None, 0, 0
        self.seen = set()       # the texts of statements that came
        self.folder = self.address = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._gate = self._listener = None

    def __enter__(self):
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_):
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- rules

    def rule(self, statement, action, **how):
        """statement: a regular expression of the statement's text. how: times (1; None: until it is lifted), about (a regular expression of bytes: only
        where the parameters hold that), sqlstate, seconds."""
        rule = Rule(statement, action, **how)
        with self._lock:
            self._rules.append(rule)
        return rule

    def fail(self, statement, sqlstate, **how):
        return self.rule(statement, "fail", sqlstate=sqlstate, **how)

    def lift(self):
        """No rule holds any more, nobody is refused, and what stood still moves."""
        with self._lock:
            self._rules.clear()
        self.refuses = None
        self.thaw()

    def rule_for(self, text, message):
        with self._lock:
            self.seen.add(text)
            return next((rule for rule in self._rules if rule.takes(text, message)), None)

    # ---- all connections

    def refuse(self, sqlstate):
        """Who connects from now on is answered with it."""
        self.refuses = sqlstate

    def freeze(self):
        """Nothing is forwarded any more, in either direction; connections are taken, and stay."""
        self._call(self._set_gate(False))

    def thaw(self):
        self._call(self._set_gate(True))

    def open(self):
        """How many connections there are."""
        return len(self._links)

    def cut(self):
        """Every connection is cut."""
        self._call(self._cut())

    # ---- within the loop

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self):
        self._gate = _Gate()
        if self._tcp:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24)
            self.address = self._listener.sockets[0].getsockname()
            return
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="visitbill-injector-"))
        self.folder.chmod(0o711)        # the daemon's user is another one where this is root
        path = self.folder / ".s.PGSQL.5432"
        self._listener = await asyncio.start_unix_server(self._serve, path, limit=1 << 24)
        os.chmod(path, 0o777)

    async def connect(self):
        if isinstance(self._server, tuple):
            return await asyncio.open_connection(*self._server, limit=1 << 24)
        return await asyncio.open_unix_connection(f"{self._server}/.s.PGSQL.5432", limit=1 << 24)

    async def _serve(self, reader, writer):
        link = _Link(self, reader, writer)
        self._links.add(link)
        self.connections += 1
        if writer.get_extra_info("socket").family != socket.AF_UNIX:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await link.run()
        except (OSError, EOFError):
            pass            # either end is gone, or a rule says so
        finally:
            self._links.discard(link)
            link.close()

    async def passed(self):
        """When something may be forwarded."""
        await self._gate.passed()

    def is_held(self, link):
        return not (self._gate.is_open and link.up.is_open and link.down.is_open)

    async def let_go(self, link):
        for gate in (self._gate, link.up, link.down):
            await gate.passed()

    async def _set_gate(self, is_open):
        self._gate.set(is_open)
        if is_open:
            for link in self._links:
                link.up.set(True)
                link.down.set(True)

    async def _cut(self):
        links = list(self._links)
        for link in links:
            link.close()

    async def _end(self):
        self._listener.close()
        await self._cut()
        await self._set_gate(True)
        await asyncio.sleep(0.05)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
