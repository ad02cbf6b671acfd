"""TLS for the tests: feeds and HTTP clients on python's ssl, and certificates that scripts/certificates would not make."""

import contextlib
import datetime
import http.client
import socket
import ssl
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .api import Client
from .feeds import Connection, Feed
from .live import ROOT

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def certify(folder, *arguments):
    """scripts/certificates. What it makes belongs to who runs the tests; the keys that the daemon reads are given to its user."""
    subprocess.run([ROOT / "scripts/certificates", arguments[0], folder, *arguments[1:]], check=True, stdin=subprocess.DEVNULL)
    subprocess.run(["bash", "-c", '. "$0/scripts/lib.sh" && give "$1" "$1"/*', ROOT, folder], check=True)


def issue(folder, name, begins, ends):
    """A client certificate of the folder's authority for some days from now, negative ones of the past: the path of its pair without the ending."""
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.utcnow()
    certificate = (
        x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])).issuer_name(authority.subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begins)).not_valid_after(now + datetime.timedelta(days=ends))
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False).sign(signer, hashes.SHA256()))
    path = folder / "clients" / name
    path.with_suffix(".pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return path


def read(path):
    return x509.load_pem_x509_certificate(path.with_suffix(".pem").read_bytes())


def context(folder, client=None, version=None):
    """A client's side: trusts the folder's authority, shows a certificate (a name of its clients, or a path without the ending), speaks one version."""
    made = ssl.create_default_context(cafile=folder / "ca.pem")
    if version is not None:
        made.minimum_version = made.maximum_version = version
    if client is not None:
        path = folder / "clients" / client
        made.load_cert_chain(path.with_suffix(".pem"), path.with_suffix(".key"))
    return made


def connect(address, tls, name="localhost", session=None):
    """A socket whose handshake is done, as the client sees it: with TLS 1.3 the server judges the client's certificate afterwards."""
    plain = socket.create_connection(address, timeout=30)
    try:
        return tls.wrap_socket(plain, server_hostname=name, session=session)
    except BaseException:
        plain.close()
        raise


def refusal(address, tls, **more):
    """What the client sees when it is not let in: an alert's name, or "closed"; None when it is served."""
    try:
        with connect(address, tls, **more) as secure:
            secure.sendall(b"GET /v1/bills/none HTTP/1.1\r\nHost: x\r\n\r\n")
            return None if secure.recv(1) else "closed"
    except ssl.SSLError as error:
        return error.reason or "closed"
    except ConnectionError:
        return "closed"


class SecureConnection(Connection):
    """MLLP over TLS."""

    def __init__(self, address, tls, encoding="utf-8", session=None):
        super().__init__(address, encoding)
        self.client.socket.settimeout(30)
        try:
            self.client.socket = tls.wrap_socket(self.client.socket, server_hostname="localhost", session=session)
        except BaseException:
            self.client.socket.close()
            raise

    def is_closed(self, wait=True):
        """As of a plain one; an alert is an end, too."""
        self.client.socket.settimeout(30 if wait else 0)
        try:
            return not self._found and self.client.socket.recv(1) == b""
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLError, ConnectionError):
            return True
        finally:
            with contextlib.suppress(OSError):
                self.client.socket.settimeout(30)


class SecureFeed(Feed):
    def __init__(self, address, application, tls, **more):
        super().__init__(address, application, **more)
        self.tls = tls

    def connect(self):
        return SecureConnection(self.address, self.tls, self.encoding)


class SecureClient(Client):
    def __init__(self, address, token, tls):
        super().__init__(address, token)
        self.tls = tls

    def connect(self):
        return http.client.HTTPSConnection("localhost", self.address[1], timeout=60, context=self.tls)


# ---- a hospital whose feeds and kiosks are known by certificates

TILL, THEATRE = "token-of-the-till-with-a-certificate", "token-of-the-theatre-with-a-certificate"


def settings(house):
    """Every way to name a certificate; one feed, IMAGING, is not bound to any. Peers' refusals are logged one by one."""
    folder = house.certificates
    for name in ("theatre", "till", "guest", "both"):
        certify(folder, "client", name)
    files = {"tls": "yes", "certificate": folder / "server.pem", "key": folder / "server.key", "client_ca": folder / "ca.pem", "revoked": folder / "revoked.pem"}
    fingerprint = read(folder / "clients/lab").fingerprint(hashes.SHA256()).hex(":").upper()
    return {
        "log": {"repeat": "0s"}, "limits": {"failed_logins": 100000}, "http": {"first_byte_time": "1s"}, "mllp": {"first_byte_time": "1s"},
        "facility H01": {"grace": "10m"},
        "listen https": {**files, "clients": "optional"},
        "listen strict": {**files, "address": "127.0.0.1:0", "serves": "feeds kiosk desk", "clients": "required"},
        "feed clinic": {"certificate": "san DNS:Clinic"},
        "feed pharmacy": {"certificate": "subject CN=pharmacy"},
        "feed lab": {"certificate": f"fingerprint {fingerprint}"},
        "feed imaging": {"facility": "H01", "application": "IMAGING"},
        "feed theatre": {"facility": "H01", "token": THEATRE, "certificate": "san DNS:theatre"},
        "token gate": {"role": "kiosk", "facilities": "*", "certificate": "san DNS:kiosk"},
        "token till": {"role": "desk", "facilities": "*", "secret": TILL, "certificate": "subject CN=till"},
        "token both1": {"role": "kiosk", "facilities": "*", "certificate": "san DNS:both"},
        "token both2": {"role": "desk", "facilities": "*", "certificate": "subject CN=both"},
    }
