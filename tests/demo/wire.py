"""Messages on the wire: HL7 v2 for the clinic, the pharmacy and the laboratory, JSON for the ward.

Each feed has its own habits, as real systems do: how it writes amounts, whether it says its character set, its time zone and the
category. A message's own time is the time at which it is rendered, just before it is sent.
"""

import json
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from .lines import CLINIC, LAB, PHARMACY, decimal_text, yuan

CHINA = timezone(timedelta(hours=8))
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_CHARSET = {CLINIC: "UNICODE UTF-8", PHARMACY: "GB 18030-2000"}
_CODEC = {PHARMACY: "gb18030"}
_CURRENCY = {CLINIC: "&{}", LAB: "^{}"}         # the standard's MO inside CP, and what most senders write
_ZONE = {PHARMACY: ""}                          # local time, as most pharmacy systems write it
_CLASS = {"outpatient": "O", "emergency": "E", "inpatient": "I"}
_JSON_TYPES = {"CG": "charge", "CD": "credit"}


def now():
    return datetime.now(CHINA)


@lru_cache(maxsize=4096)
def local(seconds):
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(CHINA)


def _hl7_time(moment, feed, digits=14):
    stamp = moment.strftime("%Y%m%d%H%M%S")
    if digits > 14:
        stamp += f".{moment.microsecond // 1000:03}"
    return stamp + _ZONE.get(feed, "+0800")


def escape(text):
    return text.translate(_ESCAPES)


def hl7(message, moment):
    """The bytes of one message, without a frame."""
    if message.entries:
        return _encode(message.feed, [_msh(message, moment), "MFI|CDM^Charge description master^HL70175||UPD|||AL", *_price_list(message.entries)])
    segments = [_msh(message, moment), f"EVN||{_hl7_time(moment, message.feed, 17)}"]
    subject = message.into or message.visit
    segments.append(_pid(subject))
    if message.event in ("ADT^A28", "ADT^A31"):
        return _encode(message.feed, segments)
    if message.into:
        other = message.visit
        segments.append(f"MRG|{other.patient.patient_no}^^^{other.facility}^PI||||{other.visit_no}")
    segments.append(_pv1(message, subject, moment))
    for nth, line in enumerate(message.lines, 1):
        segments.append(_ft1(message.feed, nth, line))
        if line.reverses and not line.bare:
            segments.append(f"ZRV|{line.reverses}")
    return _encode(message.feed, segments)


def _encode(feed, segments):
    return "\r".join([*segments, ""]).encode(_CODEC.get(feed, "utf-8"))


def _msh(message, moment):
    facility = message.visit.facility
    structure = {"ADT^A04": "^ADT_A01", "ADT^A42": "^ADT_A39", "DFT^P03": "^DFT_P03", "MFN^M04": "^MFN_M04"}.get(message.event, "")
    return (f"MSH|^~\\&|{message.feed.upper()}|{facility}|VISITBILL|{facility}|{_hl7_time(moment, message.feed, 17)}||"
            f"{message.event}{structure}|{message.control}|P|2.5.1||||||{_CHARSET.get(message.feed, '')}")


def _pid(visit):
    patient = visit.patient
    birth = patient.birth_date.replace("-", "")
    return f"PID|1||{patient.patient_no}^^^{visit.facility}^PI||{escape(patient.name)}||{birth}|{patient.sex}"


def _pv1(message, visit, moment):
    admitted = _hl7_time(local(visit.opened_at), message.feed)
    discharged = _hl7_time(moment, message.feed, 17) if message.event in ("ADT^A03", "BAR^P06") else ""
    return (f"PV1|1|{_CLASS[visit.kind]}|{visit.department}^^^{visit.facility}||||{visit.doctor.code}^{visit.doctor.name}|||{visit.department}"
            f"|||||||||{visit.visit_no}{'|' * 25}{admitted}|{discharged}")


def _ft1(feed, nth, line):
    currency = _CURRENCY.get(feed, "").format(line.currency)
    if line.currency != "CNY" and not currency:
        currency = f"^{line.currency}"
    quantity = "" if line.quantity is None else decimal_text(line.quantity, 4)
    amount = "" if line.amount is None else yuan(line.amount) + currency
    price = "" if line.price is None else decimal_text(line.price, 6) + currency
    category = "" if line.category is None else f"{'|' * 18}{line.category:02}"
    return (f"FT1|{nth}|{line.reverses if line.bare else line.source}||{_hl7_time(local(line.at), feed)}||{line.kind}|"
            f"{line.code}^{escape(line.name)}^L|||{quantity}|{amount}|{price}|{line.department}|||||||"
            f"{line.performer.replace(' ', '^')}|||{line.order_no}{category}")


def _price_list(entries):
    for nth, entry in enumerate(entries, 1):
        yield f"MFE|{entry.event}|{nth}|{_EPOCH + timedelta(days=entry.day):%Y%m%d}|{entry.code}|CWE"
        if entry.name or entry.unit:
            yield f"CDM|{entry.code}||{escape(entry.name)}"
            yield f"ZCD|{entry.unit}"
        if entry.price is not None:
            category = "" if entry.category is None else f"{'|' * 9}{entry.category:02}"
            yield f"PRC|{entry.code}||||{decimal_text(entry.price, 6)}&CNY{category}"


# ---- the ward's JSON ------------------------------------------------------------------------------


def request(message, moment):
    """Method, path and body of one of the ward's requests."""
    as_of = moment.isoformat(timespec="milliseconds")
    if message.event == "charges":
        return "POST", "/v1/charges", _encode_json({"as_of": as_of, "lines": [_json_line(line) for line in message.lines]})
    visit = message.visit
    if message.event == "discharge":
        return ("POST", f"/v1/visits/{visit.facility}/{visit.visit_no}/discharge", _encode_json({"discharged_at": as_of, "as_of": as_of}))
    return "POST", "/v1/visits", _encode_json({
        "facility": visit.facility, "visit_no": visit.visit_no, "class": visit.kind, "patient": visit.patient._asdict(),
        "department": visit.department, "admitted_at": local(visit.opened_at).isoformat(), "as_of": as_of,
    })


def _encode_json(document):
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _json_line(line):
    result = {
        "visit_no": line.visit_no, "source_line": line.source, "type": _JSON_TYPES[line.kind], "code": line.code, "name": line.name,
        "charged_at": local(line.at).isoformat(), "department": line.department, "performer": line.performer, "order_no": line.order_no,
    }
    if line.reverses:
        result["reverses"] = line.reverses
    if line.category is not None:
        result["category"] = f"{line.category:02}"
    if line.quantity is not None:
        result["quantity"] = decimal_text(line.quantity, 4)
    if line.price is not None:
        result["unit_price"] = decimal_text(line.price, 6)
    if line.amount is not None:
        result["amount"] = yuan(line.amount)
    if line.currency != "CNY":
        result["currency"] = line.currency
    return result
