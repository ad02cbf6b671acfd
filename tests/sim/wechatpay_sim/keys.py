"""The key material of one merchant at the channel, in one directory: made once, then only read.

The platform side is in public-key mode: Wechatpay-Serial is a public-key id (PUB_KEY_ID_...), not a certificate's
serial number. Nothing here is fit for a real merchant.
"""

import datetime
import fcntl
import json
import os
import secrets
import string
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

PRIVATE, PUBLIC = 0o600, 0o644


@dataclass(frozen=True)
class Channel:
    """What the channel knows: who the merchant is, and its own signing key."""

    mchid: str
    appid: str
    merchant_serial: str
    platform_serial: str
    apiv3_key: bytes
    merchant_public_key: rsa.RSAPublicKey
    platform_key: rsa.RSAPrivateKey


def write_atomically(path, data, mode):
    """Readers see the old file or the whole new one, also when two processes write at once."""
    temporary = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    os.replace(temporary, path)


def ensure_keys(directory):
    """Make what is absent. What depends on a key (certificate, public key) is made again if the key is another."""
    with _locked(directory):
        merchant_key = _ensure_private_key(os.path.join(directory, "merchant_key.pem"))
        platform_key = _ensure_private_key(os.path.join(directory, "platform_key.pem"))
        _ensure_public_key(os.path.join(directory, "platform_public.pem"), platform_key)
        _ensure_merchant(directory, merchant_key)


def load_channel(directory):
    with open(os.path.join(directory, "merchant.json"), encoding="utf-8") as file:
        merchant = json.load(file)
    certificate = _load_certificate(os.path.join(directory, "merchant_cert.pem"))
    return Channel(
        mchid=merchant["mchid"],
        appid=merchant["appid"],
        merchant_serial=merchant["merchant_serial"],
        platform_serial=merchant["platform_serial"],
        apiv3_key=merchant["apiv3_key"].encode("ascii"),
        merchant_public_key=certificate.public_key(),
        platform_key=_load_private_key(os.path.join(directory, "platform_key.pem")),
    )


@contextmanager
def _locked(directory):
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _ensure_private_key(path):
    if not os.path.exists(path):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_atomically(path, pem, PRIVATE)
    return _load_private_key(path)


def _ensure_public_key(path, private_key):
    pem = _public_pem(private_key.public_key())
    if not os.path.exists(path) or _read(path) != pem:
        write_atomically(path, pem, PUBLIC)


def _ensure_merchant(directory, merchant_key):
    path = os.path.join(directory, "merchant.json")
    merchant = json.loads(_read(path)) if os.path.exists(path) else _new_merchant()
    certificate = _ensure_certificate(os.path.join(directory, "merchant_cert.pem"), merchant_key, merchant["mchid"])
    serial = f"{certificate.serial_number:X}"
    if merchant.get("merchant_serial") != serial:
        merchant["merchant_serial"] = serial
        write_atomically(path, json.dumps(merchant, indent=1).encode("ascii") + b"\n", PRIVATE)


def _new_merchant():
    alphabet = string.ascii_letters + string.digits
    return {
        "mchid": "16" + _digits(8),
        "appid": "wx" + secrets.token_hex(8),
        "platform_serial": "PUB_KEY_ID_0116" + _digits(24),
        "apiv3_key": "".join(secrets.choice(alphabet) for _ in range(32)),
    }


def _ensure_certificate(path, key, mchid):
    if os.path.exists(path):
        certificate = _load_certificate(path)
        if _public_pem(certificate.public_key()) == _public_pem(key.public_key()):
            return certificate
    certificate = _new_certificate(key, mchid)
    write_atomically(path, certificate.public_bytes(serialization.Encoding.PEM), PUBLIC)
    return certificate


def _new_certificate(key, mchid):
    now = datetime.datetime.utcnow()
    subject = [(NameOID.COMMON_NAME, mchid), (NameOID.ORGANIZATION_NAME, "simulated merchant")]
    issuer = [(NameOID.COMMON_NAME, "WeChat Pay simulator")]
    # A first byte from 10 to 7F: the serial is positive and always 40 hexadecimal digits, as WeChat Pay's are.
    serial = bytes([0x10 + secrets.randbelow(0x70)]) + secrets.token_bytes(19)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(serial, "big"))
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=5 * 365))
        .sign(key, hashes.SHA256())
    )


def _name(attributes):
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def _digits(count):
    return "".join(secrets.choice(string.digits) for _ in range(count))


def _public_pem(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _load_private_key(path):
    return serialization.load_pem_private_key(_read(path), password=None)


def _load_certificate(path):
    return x509.load_pem_x509_certificate(_read(path))


def _read(path):
    with open(path, "rb") as file:
        return file.read()
