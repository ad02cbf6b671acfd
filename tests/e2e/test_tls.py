"""TLS as a client meets it, with python's ssl, curl and the openssl command line: who is let in, what is spoken, and certificates that change under way."""

import contextlib
import datetime
import itertools
import socket
import ssl
import subprocess
import threading
import time
import warnings

import pytest

from .feeds import ft1
from .foes import descriptors
from .live import wait_until
from .secure import TLS12, TLS13, SecureConnection, SecureFeed, certify, connect, context, issue, read, refusal

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
REFUSED = {"closed", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_REVOKED", "TLSV13_ALERT_CERTIFICATE_REQUIRED",
           "SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"}
GET = b"GET /v1/bills/none HTTP/1.1\r\nHost: x\r\n\r\n"


def served(secure):
    """An answer comes over it; the session's ticket with it."""
    secure.sendall(GET)
    return secure.recv(65536).startswith(b"HTTP/1.1 40")


def curl(*arguments):
    return subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *map(str, arguments)], capture_output=True, text=True, check=False)


# ---- who is let in

@VERSIONS
def test_certificates_that_are_refused(sealed, tmp_path, version):
    """Of another authority, of the past, of the future, of a server: none of these is let in, on a listener that asks and on one that insists; each is
    in the log, with its reason."""
    folder, other = sealed.certificates, tmp_path / "other"
    certify(other, "authority")
    certify(other, "client", "clinic")
    cases = {"foreign": other / "clients/clinic", "expired": issue(folder, "expired", -20, -1), "early": issue(folder, "early", 1, 20), "server": folder / "server"}
    for case, path in cases.items():
        tls, seen = context(folder, path, version), len(sealed.log())
        assert refusal(sealed.https, tls) in REFUSED, case
        assert refusal(sealed.mllps, tls) in REFUSED, case
        wait_until(lambda: "why=\"certificate verify failed\"" in sealed.log()[seen:], f"the log to tell of {case}", 5)
    assert refusal(sealed.https, context(folder, "clinic", version)) is None


@VERSIONS
def test_a_certificate_is_required(sealed, version):
    strict = ("127.0.0.1", int(sealed.log().rpartition(" strict=127.0.0.1:")[2].partition("/tls")[0]))
    assert refusal(strict, context(sealed.certificates, None, version)) in REFUSED
    assert refusal(strict, context(sealed.certificates, "kiosk", version)) is None
    assert refusal(sealed.https, context(sealed.certificates, None, version)) is None, "there it is optional"


def test_the_client_looks_at_the_name(sealed):
    tls = context(sealed.certificates)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        connect(sealed.https, tls, name="other.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(sealed.https, ssl.create_default_context())
    port, authority = sealed.https[1], sealed.certificates / "ca.pem"
    for url, code in ((f"https://localhost:{port}/v1/bills/x", 0), (f"https://127.0.0.1:{port}/v1/bills/x", 0), (f"https://other.example:{port}/v1/bills/x", 60)):
        done = curl("--cacert", authority, "--resolve", f"other.example:{port}:127.0.0.1", url)
        assert (done.returncode, done.stdout) == (code, "000" if code else "401"), url
    assert curl(f"https://localhost:{port}/").returncode == 60, "the system does not know this authority"


# ---- what is spoken

def test_versions(sealed):
    """1.2 and 1.3, nothing older, no plain text, nothing but TLS."""
    for version, said in ((TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")):
        with connect(sealed.https, context(sealed.certificates, None, version)) as secure:
            assert secure.version() == said and served(secure)
    old = context(sealed.certificates)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    for address in (sealed.https, sealed.mllps):
        assert refusal(address, old) == "TLSV1_ALERT_PROTOCOL_VERSION"
    port, authority = sealed.https[1], sealed.certificates / "ca.pem"
    assert curl("--cacert", authority, "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0", f"https://localhost:{port}/").returncode == 35
    assert curl("--cacert", authority, "--tls-max", "1.2", f"https://localhost:{port}/").stdout == "404"
    with socket.create_connection(sealed.https, timeout=30) as plain:
        plain.sendall(GET)
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(100).startswith(b"HTTP"), "nothing is answered in plain text"


def test_renegotiation_is_refused(sealed):
    """A client of TLS 1.2 that asks for another handshake in the same connection gets none; others are served meanwhile."""
    done = subprocess.run(["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{sealed.https[1]}", "-CAfile", sealed.certificates / "ca.pem"],
                          input="R\n", capture_output=True, text=True, check=False, timeout=30)
    assert "RENEGOTIATING" in done.stdout + done.stderr and "no renegotiation" in done.stdout + done.stderr, done
    assert refusal(sealed.https, context(sealed.certificates)) is None


@VERSIONS
def test_more_requests_than_are_read_ahead(sealed, version):
    """Three thousand in one go, 300 KB of them: each is answered, though reading stops at its mark in the middle of a record."""
    many, answers = 3000, bytearray()
    with connect(sealed.https, context(sealed.certificates, "kiosk", version)) as secure:
        sender = threading.Thread(target=secure.sendall, args=(GET.replace(b"\r\n\r\n", b"\r\nX-Filler: " + b"f" * 50 + b"\r\n\r\n") * many,))
        sender.start()
        secure.settimeout(30)
        while answers.count(b"HTTP/1.1 404 ") < many:
            answers += secure.recv(65536)
        sender.join()


@VERSIONS
def test_resumption(sealed, version):
    """A ticket spares the handshake, with a client certificate and without, for MLLP and for HTTP; who it is is remembered with it."""
    for client in (None, "kiosk"):
        tls = context(sealed.certificates, client, version)
        with connect(sealed.https, tls) as first:
            assert not first.session_reused and served(first)
            session = first.session
        with connect(sealed.https, tls, session=session) as second:
            assert served(second) and second.session_reused
            second.sendall(GET.replace(b"none", b"n" * 32))
            assert second.recv(65536).startswith(b"HTTP/1.1 404 " if client else b"HTTP/1.1 401 ")
    feed = SecureFeed(sealed.mllps, "CLINIC", context(sealed.certificates, "clinic", version))
    with feed.connect() as first:
        assert first.send(feed.adt_message("A28", "nobody")).code == "AA"
        session = first.client.socket.session
    with SecureConnection(sealed.mllps, feed.tls, session=session) as second:
        assert second.send(feed.adt_message("A28", "nobody")).code == "AA" and second.client.socket.session_reused


def test_who_stops_in_mid_handshake_is_cut(sealed):
    """After first_byte_time, a second here, wherever it stopped; all descriptors come back."""
    hello = bytes.fromhex("160301020001")
    before = wait_until(lambda: sealed.metric("visitbill_connections") == 1 and descriptors(sealed.pid), "a quiet house")
    stuck = []
    for address, sent in itertools.product((sealed.https, sealed.mllps), (b"", b"\x16", hello, hello + b"\0" * 300)):
        stuck += [socket.create_connection(address, timeout=30) for _ in range(5)]
        for one in stuck[-5:]:
            one.sendall(sent)
    half = context(sealed.certificates, None, TLS12)    # and after the server's half of it
    for address in (sealed.https, sealed.mllps):
        one, into, out = socket.create_connection(address, timeout=30), ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            half.wrap_bio(into, out, server_hostname="localhost").do_handshake()
        one.sendall(out.read())
        assert one.recv(65536)
        stuck.append(one)
    wait_until(lambda: descriptors(sealed.pid) >= before + len(stuck) - 5, "them to be taken", 5)
    begun = time.monotonic()
    for one in stuck:
        with contextlib.suppress(ConnectionError):
            while one.recv(65536):
                pass
        one.close()
    assert time.monotonic() - begun < 5
    wait_until(lambda: descriptors(sealed.pid) <= before, "the descriptors to come back", 5)


# ---- certificates that change

def test_expiry_is_a_metric(sealed):
    ends = read(sealed.certificates / "server").not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()
    for listener in ("https", "mllps", "strict"):
        assert sealed.metric("visitbill_certificate_expires_seconds", listener=listener, file="certificate") == ends
        assert abs(sealed.metric("visitbill_certificate_expires_seconds", listener=listener, file="revoked") - time.time() - 3650 * 86400) < 86400
    assert sealed.metric("visitbill_certificate_expires_seconds", listener="http") == 0


def test_revoked(sealed, visit):
    """From the reload on: an open connection with it is cut, others go on; nobody gets in with it, nor with a session of before, nor on a handshake
    that had begun before."""
    folder = sealed.certificates
    certify(folder, "client", "leaver")
    feeds = {name: SecureFeed(sealed.mllps, "IMAGING", context(folder, name)) for name in ("leaver", "guest", None)}
    connections = {name: feed.connect() for name, feed in feeds.items()}
    for name, connection in connections.items():
        assert connection.send(feeds[name].dft_message(visit, ft1(f"before-{name}"))).code == "AA"
    sessions = {}
    for version in (TLS12, TLS13):
        tls = context(folder, "leaver", version)
        with connect(sealed.https, tls) as secure:
            assert served(secure)
            sessions[version] = tls, secure.session
    web = connect(sealed.https, context(folder, "leaver"))
    assert served(web)
    half = [begin_handshake(sealed.https, context(folder, "leaver", version)) for version in (TLS12, TLS13)]

    certify(folder, "revoke", "leaver")
    assert " info reload " in sealed.reload()
    assert connections["leaver"].is_closed()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        assert web.recv(1) == b""
    web.close()
    for name in ("guest", None):
        assert connections[name].send(feeds[name].dft_message(visit, ft1(f"after-{name}"))).code == "AA"
    for version, (tls, session) in sessions.items():
        assert refusal(sealed.https, tls) in REFUSED and refusal(sealed.mllps, tls) in REFUSED, version
        assert refusal(sealed.https, tls, session=session) in REFUSED, version
    for finish in half:
        assert not finish(), "a handshake of before the reload"
    assert "why=\"the client's certificate is no longer valid\"" in sealed.log()
    assert set(sealed.lines(visit)) == {("imaging", source) for source in ("before-leaver", "before-guest", "before-None", "after-guest", "after-None")}
    for connection in connections.values():
        connection.close()


def begin_handshake(address, tls):
    """A handshake up to the server's half; a function that ends it and says whether a request is answered then."""
    plain, into, out = socket.create_connection(address, timeout=30), ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = tls.wrap_bio(into, out, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        secure.do_handshake()
    plain.sendall(out.read())
    into.write(plain.recv(65536))

    def step(call, *arguments):
        while True:
            try:
                return call(*arguments)
            except ssl.SSLWantReadError:
                plain.sendall(out.read())
                into.write(plain.recv(65536) or b"\0" * 9)
            finally:
                with contextlib.suppress(OSError):
                    plain.sendall(out.read())

    def finish():
        try:
            step(secure.do_handshake)
            step(secure.write, GET)
            return step(secure.read, 65536).startswith(b"HTTP")
        except (ssl.SSLError, ConnectionError):
            return False
        finally:
            plain.close()

    return finish


def test_the_server_s_certificate_is_replaced_under_load(sealed, visits):
    """Feeds go on, on connections that stay and on ones that come; who connects afterwards sees the new certificate; nothing is lost."""
    folder, numbers, stop = sealed.certificates, visits(4), threading.Event()
    acked, errors = {visit: 0 for visit in numbers}, []

    def send(visit, stays):
        feed = SecureFeed(sealed.mllps, "IMAGING", context(folder))
        try:
            while not stop.is_set():
                with feed.connect() as connection:
                    for _ in range(1000000 if stays else 3):
                        if stop.is_set():
                            break
                        assert connection.send(feed.dft_message(visit, ft1(f"{acked[visit]}", "1.00"))).code == "AA"
                        acked[visit] += 1
        except BaseException as error:      # pylint: disable=broad-except
            errors.append(error)

    def progress(more):
        had = dict(acked)
        wait_until(lambda: errors or all(acked[visit] >= had[visit] + more for visit in numbers), "the feeds to go on", 20)
        assert not errors, errors

    threads = [threading.Thread(target=send, args=(visit, n % 2 == 0)) for n, visit in enumerate(numbers)]
    for thread in threads:
        thread.start()
    try:
        progress(3)
        for _ in range(2):
            before = read(folder / "server").serial_number
            for kind in ("pem", "key"):
                (folder / f"server.{kind}").rename(folder / f"server.{kind}.old")
            certify(folder, "server", "127.0.0.1", "::1", "localhost")
            assert " info reload " in sealed.reload()
            with connect(sealed.mllps, context(folder)) as secure:
                shown = secure.getpeercert()["serialNumber"]
            assert int(shown, 16) == read(folder / "server").serial_number != before
            progress(4)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors, errors
    assert [len(sealed.lines(visit)) for visit in numbers] == [acked[visit] for visit in numbers]


def test_a_certificate_that_does_not_fit_keeps_the_old_one(sealed):
    """Its key is another's, or it is none: the file is named, the listener goes on with what it has."""
    key = sealed.certificates / "server.key"
    text = key.read_bytes()
    try:
        for wrong, why in (((sealed.certificates / "clients/guest.key").read_bytes(), "server.key: "), (b"nothing\n", "server.key: ")):
            key.write_bytes(wrong)
            said = sealed.reload()
            assert " error reload kept=old " in said and why in said and "BEGIN" not in said, said
            assert refusal(sealed.https, context(sealed.certificates)) is None
    finally:
        key.write_bytes(text)
    assert " info reload " in sealed.reload()
