"""The wire format of WeChat Pay APIv3: what is signed, how it is encrypted, and how an error looks.

No sockets and no orders here. Signing takes no lock: RSA runs outside Python's global lock, so threads sign at once.
"""

import base64
import binascii
import json
import re
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SCHEMA = "WECHATPAY2-SHA256-RSA2048"
CLOCK_SKEW_S = 300

# The APIv3 error table: HTTP status and the text of `message` where the case has no better one.
ERRORS = {
    "PARAM_ERROR": (400, "参数错误"),
    "INVALID_REQUEST": (400, "HTTP请求不符合微信支付APIv3接口规则"),
    "ORDERPAID": (400, "该订单已支付"),
    "ORDER_CLOSED": (400, "该订单已关闭"),
    "SIGN_ERROR": (401, "签名错误"),
    "OUT_TRADE_NO_USED": (403, "商户订单号重复"),
    "ORDER_NOT_EXIST": (404, "订单不存在"),
    "RESOURCE_NOT_EXISTS": (404, "查询的资源不存在"),
    "SYSTEM_ERROR": (500, "系统异常，请稍后重试"),
    # Only a phone sees this one: the merchant's query goes on to say NOTPAY until the order is closed.
    "ORDER_EXPIRED": (409, "二维码已过期"),
}


class ChannelError(Exception):
    """A refusal, in the channel's words."""

    def __init__(self, code, message=None, detail=None):
        self.code = code
        self.status, default = ERRORS[code]
        self.message = message or default
        self.detail = detail
        super().__init__(f"{code}: {self.message}")

    def document(self):
        document = {"code": self.code, "message": self.message}
        if self.detail is not None:
            document["detail"] = self.detail
        return document


def parameter_error(where, name, value, issue):
    detail = {"location": where, "field": name, "value": value, "issue": issue}
    return ChannelError("PARAM_ERROR", f"参数错误: {name} {issue}", detail)


@dataclass
class Request:
    method: str
    target: str  # PATH?QUERY as sent: this is what is signed
    headers: object  # case-insensitive mapping
    body: bytes

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def query(self):
        return self.target.partition("?")[2]


@dataclass
class Reply:
    status: int
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    drop: bool = False  # close the connection and send nothing


def encode_json(document):
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def json_reply(status, document):
    return Reply(status, encode_json(document), {"Content-Type": "application/json; charset=utf-8"})


def error_reply(error):
    return json_reply(error.status, error.document())


def request_message(method, target, timestamp, nonce, body):
    return b"\n".join([method.encode(), target.encode("latin-1"), str(timestamp).encode(), nonce.encode(), body, b""])


def reply_message(timestamp, nonce, body):
    return b"\n".join([str(timestamp).encode(), nonce.encode(), body, b""])


class PlatformSigner:
    """Signs replies and notifications in the channel's name."""

    def __init__(self, key, serial):
        self._key = key
        self._serial = serial

    def headers(self, body, corrupt=False, timestamp=None, serial=None):
        """The Wechatpay-* headers over `body`. `corrupt` makes a well-formed signature that does not verify."""
        timestamp = int(time.time()) if timestamp is None else timestamp
        nonce = secrets.token_hex(16)
        signed_body = body + b"?" if corrupt else body
        return {
            "Wechatpay-Timestamp": str(timestamp),
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": self._sign(reply_message(timestamp, nonce, signed_body)),
            "Wechatpay-Serial": serial or self._serial,
            "Wechatpay-Signature-Type": SCHEMA,
        }

    def _sign(self, message):
        return base64.b64encode(self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


class NonceLog:
    """The merchant's nonces of the last ten minutes: twice the clock skew, so none is forgotten while it is valid."""

    def __init__(self):
        self._lock = threading.Lock()
        self._seen = set()
        self._by_age = deque()

    def is_new(self, nonce):
        now = time.monotonic()
        with self._lock:
            while self._by_age and self._by_age[0][0] < now - 2 * CLOCK_SKEW_S:
                self._seen.discard(self._by_age.popleft()[1])
            if nonce in self._seen:
                return False
            self._seen.add(nonce)
            self._by_age.append((now, nonce))
            return True


class MerchantVerifier:
    """Verifies the Authorization header of a merchant's request."""

    _FIELDS = {"mchid", "nonce_str", "timestamp", "serial_no", "signature"}
    _FIELD = r'\s*([a-z_]+)="([^"]*)"\s*'
    _HEADER = re.compile(rf"{SCHEMA} {_FIELD}(?:,{_FIELD})*")
    _PAIR = re.compile(_FIELD)

    def __init__(self, channel):
        self._channel = channel
        self._nonces = NonceLog()

    def verify(self, request):
        """Raises SIGN_ERROR, with the message that should have been signed where the signature is what fails."""
        fields = self._parse(request.headers.get("Authorization"))
        if fields["mchid"] != self._channel.mchid:
            raise self._refusal("mchid", "商户号不存在或与证书不匹配")
        if fields["serial_no"] != self._channel.merchant_serial:
            raise self._refusal("serial_no", "商户证书序列号有误")
        self._verify_timestamp(fields["timestamp"])
        self._verify_signature(request, fields)
        # Only after the signature: who cannot sign must not be able to use up a merchant's nonces.
        if not self._nonces.is_new(fields["nonce_str"]):
            raise self._refusal("nonce_str", "随机串重复")

    def _parse(self, header):
        if header is None:
            raise self._refusal("authorization", "Http头Authorization值缺失")
        if not self._HEADER.fullmatch(header):
            raise self._refusal("authorization", "Http头Authorization值格式错误")
        pairs = self._PAIR.findall(header[len(SCHEMA) + 1:])
        fields = dict(pairs)
        if set(fields) != self._FIELDS or len(pairs) != len(fields) or not all(fields.values()):
            raise self._refusal("authorization", "Http头Authorization值格式错误")
        return fields

    def _verify_timestamp(self, text):
        if not re.fullmatch(r"[0-9]{1,12}", text) or abs(time.time() - int(text)) >= CLOCK_SKEW_S:
            raise self._refusal("timestamp", "时间戳已过期")

    def _verify_signature(self, request, fields):
        message = request_message(
            request.method, request.target, fields["timestamp"], fields["nonce_str"], request.body
        )
        try:
            signature = base64.b64decode(fields["signature"], validate=True)
            self._channel.merchant_public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except (binascii.Error, InvalidSignature):
            information = {
                "method": request.method,
                "url": request.target,
                "truncated_sign_message": message[:256].decode("utf-8", "replace"),
                "sign_message_length": len(message),
            }
            raise self._refusal("signature", "sign not match", information) from None

    @staticmethod
    def _refusal(name, issue, information=None):
        detail = {"location": "authorization", "field": name, "detail": {"issue": issue}}
        if information is not None:
            detail["sign_information"] = information
        return ChannelError("SIGN_ERROR", f"签名错误: {issue}", detail)


def seal(key, plaintext, associated_data, nonce=None):
    """AEAD_AES_256_GCM: (nonce, base64 of ciphertext and its 16-byte tag)."""
    nonce = nonce or secrets.token_urlsafe(9)  # 12 characters
    sealed = AESGCM(key).encrypt(nonce.encode(), plaintext, associated_data.encode())
    return nonce, base64.b64encode(sealed).decode()
