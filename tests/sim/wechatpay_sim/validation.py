"""The fields of the merchant's bodies: a wrong one is PARAM_ERROR with its place, as the channel says it.

It judges form only; whether the order may be placed is for the order book.
"""

import datetime
import json
import re
from urllib.parse import urlsplit

from .wire import ChannelError, parameter_error

_OUT_TRADE_NO = re.compile(r"[0-9a-zA-Z_\-|*]{6,32}")
_LARGEST_TOTAL = 10_000_000_000  # fen; keeps a slipped unit from looking like a payment


def parse_object(body):
    try:
        document = json.loads(body.decode("utf-8"))
    except ValueError:
        raise ChannelError("PARAM_ERROR", "请求体不是有效的JSON") from None
    if not isinstance(document, dict):
        raise parameter_error("body", "/", type(document).__name__, "应为对象")
    return document


def parse_time(text):
    """An RFC 3339 time with its zone as a POSIX timestamp; ValueError otherwise."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None or "T" not in text:
        raise ValueError(text)
    return moment.timestamp()


def require_merchant(value, channel, where="body"):
    _require_own(value, channel.mchid, where, "/mchid" if where == "body" else "mchid")


def require_native_order(document, channel):
    """Raises PARAM_ERROR for the first field of a native order that is not as the channel wants it."""
    _require_own(document.get("appid"), channel.appid, "body", "/appid")
    require_merchant(document.get("mchid"), channel)
    _require_text(document, "description", 127)
    _require_out_trade_no(document.get("out_trade_no"))
    _require_notify_url(document)
    _require_amount(document.get("amount"))
    if "attach" in document:
        _require_text(document, "attach", 128)
    if "time_expire" in document:
        _require_time(document, "time_expire")


def _require_own(value, own, where, name):
    if not isinstance(value, str) or value != own:
        raise parameter_error(where, name, value, "与商户信息不匹配")


def _require_text(document, name, longest):
    value = document.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise parameter_error("body", f"/{name}", value, f"应为1至{longest}个字符")


def _require_out_trade_no(value):
    if not isinstance(value, str) or not _OUT_TRADE_NO.fullmatch(value):
        raise parameter_error("body", "/out_trade_no", value, "应为6至32位数字、大小写字母或_-|*")


def _require_notify_url(document):
    """The real channel wants https; a simulator on a loopback address also takes http."""
    _require_text(document, "notify_url", 255)
    value = document["notify_url"]
    try:
        url = urlsplit(value)
        usable = url.scheme in ("http", "https") and url.hostname and not url.query and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise parameter_error("body", "/notify_url", value, "应为不带参数的绝对地址")


def _require_amount(amount):
    if not isinstance(amount, dict):
        raise parameter_error("body", "/amount", amount, "应为对象")
    total = amount.get("total")
    # bool is an int to Python and not to JSON.
    if not isinstance(total, int) or isinstance(total, bool) or not 0 < total <= _LARGEST_TOTAL:
        raise parameter_error("body", "/amount/total", total, "应为大于0的整数，单位为分")
    if amount.get("currency", "CNY") != "CNY":
        raise parameter_error("body", "/amount/currency", amount["currency"], "应为CNY")


def _require_time(document, name):
    try:
        parse_time(document[name])
    except (TypeError, ValueError):
        raise parameter_error("body", f"/{name}", document[name], "应为RFC 3339格式的时间") from None
