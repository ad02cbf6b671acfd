"""scripts/certificates, judged by `openssl verify` and by what its files may be read by."""

import datetime
import pathlib
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from .live import ROOT

SCRIPT = ROOT / "scripts/certificates"


def certificates(*arguments, status=0):
    """What it says on standard error."""
    done = subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == status, done.stderr
    assert status or not done.stdout + done.stderr
    return done.stderr


def verify(folder, name, purpose, *options):
    """Empty if the certificate verifies against the authority and its revocation list; else what openssl says."""
    done = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", folder / "ca.pem", "-CRLfile", folder / "revoked.pem", "-crl_check", "-purpose",
                           purpose, *options, folder / f"{name}.pem"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr


def read(folder, name):
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """An authority, in a folder with a name that a settings file of openssl's could not hold."""
    folder = tmp_path / "hospital's $HOME # 1"
    certificates("authority", folder)
    return folder


def test_server_and_client_verify(folder):
    certificates("server", folder, "billing.hospital.example", "10.20.0.5", "::1", "localhost")
    certificates("client", folder, "clinic")
    for name in ("billing.hospital.example", "localhost"):
        assert verify(folder, "server", "sslserver", "-verify_hostname", name) == ""
    for ip in ("10.20.0.5", "::1"):
        assert verify(folder, "server", "sslserver", "-verify_ip", ip) == ""
    assert "hostname mismatch" in verify(folder, "server", "sslserver", "-verify_hostname", "other.example")
    assert verify(folder, "clients/clinic", "sslclient") == ""
    assert "unsuitable certificate purpose" in verify(folder, "clients/clinic", "sslserver")
    assert "unsuitable certificate purpose" in verify(folder, "server", "sslclient")

    clinic = read(folder, "clients/clinic")
    assert clinic.subject.rfc4514_string() == "CN=clinic"
    assert clinic.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == ["clinic"]


def test_a_peer_is_both(folder):
    """etcd shows the certificate that it serves with to its neighbours."""
    certificates("peer", folder, "db1", "10.20.0.11")
    for purpose in ("sslserver", "sslclient"):
        assert verify(folder, "peer", purpose, "-verify_ip", "10.20.0.11") == ""
    assert "exists" in certificates("peer", folder, "db2", status=1)


def test_keys_and_lifetimes(folder):
    certificates("server", folder, "localhost")
    certificates("client", folder, "lab")
    for name, days in (("ca", 3650), ("server", 825), ("clients/lab", 730)):
        certificate = read(folder, name)
        assert certificate.not_valid_after - certificate.not_valid_before == datetime.timedelta(days=days)
        assert isinstance(certificate.public_key().curve, ec.SECP256R1)
        assert stat.S_IMODE((folder / f"{name}.key").stat().st_mode) == 0o600
    revoked = x509.load_pem_x509_crl((folder / "revoked.pem").read_bytes())
    assert list(revoked) == [] and revoked.next_update - revoked.last_update == datetime.timedelta(days=3650)
    assert read(folder, "ca").extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=0)
    assert [path for path in folder.iterdir() if path.name.startswith("tmp.")] == []


def test_revoke(folder):
    for name in ("clinic", "lab"):
        certificates("client", folder, name)
    lost = read(folder, "clients/lab").serial_number
    certificates("revoke", folder, "lab")
    assert "certificate revoked" in verify(folder, "clients/lab", "sslclient")
    assert verify(folder, "clients/clinic", "sslclient") == ""
    assert "revoked already" in certificates("revoke", folder, "lab", status=1)

    certificates("client", folder, "lab")       # a new one in its place; the old one stays revoked
    assert verify(folder, "clients/lab", "sslclient") == ""
    assert f"{lost:X}" in {path.name.split(".")[1].lstrip("0") for path in (folder / "clients/revoked").glob("lab.*.pem")}
    certificates("revoke", folder, "lab")
    assert "certificate revoked" in verify(folder, "clients/lab", "sslclient")
    assert len(list(x509.load_pem_x509_crl((folder / "revoked.pem").read_bytes()))) == 2


def test_nothing_is_overwritten(folder):
    certificates("server", folder, "localhost")
    certificates("client", folder, "clinic")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for arguments in (("authority", folder), ("server", folder, "localhost"), ("client", folder, "clinic")):
        assert "exists" in certificates(*arguments, status=1)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("arguments", [("client", "../../evil"), ("client", ""), ("client", "a b"), ("client", "a,DNS:b"), ("client", ".hidden"),
                                       ("server", "a,IP:10.0.0.1"), ("server", "a\nb"), ("server", "300.1.1.1"), ("revoke", "stranger"), ("revoke", "../ca")])
def test_bad_names(folder, arguments):
    verb, *rest = arguments
    before = {path for path in folder.rglob("*") if not path.is_dir()}
    assert certificates(verb, folder, *rest, status=1)
    assert {path for path in folder.rglob("*") if not path.is_dir()} == before


def test_usage(tmp_path):
    for arguments in ((), ("authority",), ("client", tmp_path), ("sign", tmp_path, "x")):
        assert "scripts/certificates authority DIR" in certificates(*arguments, status=2)
    assert "holds no authority" in certificates("client", tmp_path, "clinic", status=1)
    assert not list(pathlib.Path(tmp_path).iterdir())
