#!/usr/bin/python3
"""Four vendors' systems at the hospital's branch, each with its own way to number visits and lines: their messages, and the settings that
say how to read them. No default reads them.

    vendors.py          the branch's settings, for a file in conf.d

    oldhis      the branch's HIS: GB 18030 and no MSH-18, HL7 2.3.1, codes of its own, takes back by negative quantities of the same id
    clinicsys   knows the account number alone (PID-18), counts FT1 anew in each message, has items in FT1-7 or FT1-25
    wardsys     knows the alternate number alone (PV1-50), a line is known by its order (FT1-23), yuan are 156
    newlab      returns are negative amounts with ids of their own, some lines have none; sends orders and results, too
"""

import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.lines import BRANCH, decimal_text, yuan  # noqa: E402
from demo.wire import escape, local, now  # noqa: E402

OLDHIS, CLINICSYS, WARDSYS, NEWLAB = "oldhis", "clinicsys", "wardsys", "newlab"
DEPARTMENTS = {"内科": "0201", "检验科": "0305", "急诊科": "0107"}
IDLE = "4s"             # hours in a real branch: an outpatient's visit ends where nothing came for so long
PULSES = {NEWLAB: "ORU^R01"}            # what a feed sends to say that it lives; of the others ADT^A31
_CLASSES = {"outpatient": ("1", "AMB"), "emergency": ("2", "EMER"), "inpatient": ("3", "IMP")}

_SETTINGS = """[facility {branch}]
name = 示范市第一医院东院
grace = 10s
late_grace = 1s
due_hours = 48
outpatient_close = idle {idle}
emergency_close = {rule}

[feed oldhis]
facility = {branch}
application = OLDHIS
charset = GB 18030-2000
types = 1=CG 2=CD
classes = 1=outpatient 2=emergency 3=inpatient
sexes = 1=M 2=F
departments = {departments}
negative = credit

[feed clinicsys]
facility = {branch}
application = WCDataSend
sending_facility = SENDING_FAC
visit_no = PID-18
patient_no = type MR
line_id = MSH-10/FT1-1
code = FT1-7 FT1-25

[feed wardsys]
facility = {branch}
application = IMMAPP
sending_facility = GHHSFacility
visit_no = PV1-50 PV1-19 PID-18
patient_no = authority HOSP
line_id = FT1-23 FT1-2
code = FT1-25 FT1-7
currencies = 156 CNY
classes = AMB=outpatient EMER=emergency IMP=inpatient

[feed newlab]
facility = {branch}
application = NEWLAB
line_id = FT1-2 MSH-10/FT1-1
negative = credit
ignore = ORU ORM
"""


def settings(rule):
    """rule: what ends emergencies' visits, daily HH:MM or idle TIME."""
    return _SETTINGS.format(branch=BRANCH, idle=IDLE, rule=rule,
                            departments=" ".join(f"{code}={name}" for name, code in DEPARTMENTS.items()))


def long_until_closing():
    """A closing time that has just been, and so comes in a day."""
    return f"daily {now() - timedelta(minutes=5):%H:%M}"


def hl7(message, moment):
    """The bytes of one message, without a frame."""
    segments = _WRITERS[message.feed](message, message.visit, f"{moment:%Y%m%d%H%M%S}.{moment.microsecond // 1000:03}+0800")
    return "\r".join([*segments, ""]).encode("gb18030" if message.feed == OLDHIS else "utf-8")


def _time(line):
    return f"{local(line.at):%Y%m%d%H%M%S}"


def _money(amount, currency=""):
    return "" if amount is None else yuan(amount) + currency


def _price(line, currency=""):
    return "" if line.price is None else decimal_text(line.price, 6) + currency


def _quantity(line):
    return "" if line.quantity is None else decimal_text(line.quantity, 4)


def _split_name(patient):
    return f"{patient.name[0]}^{patient.name[1:]}"


# ---- the branch's HIS -------------------------------------------------------------------------------


def _oldhis(message, visit, sent):
    patient = visit.patient
    yield f"MSH|^~\\&|OLDHIS|{BRANCH}|VISITBILL|{BRANCH}|{sent}||{message.event}|{message.control}|P|2.3.1"
    yield f"EVN||{sent}"
    yield (f"PID|1||{patient.patient_no}||{_split_name(patient)}||{patient.birth_date.replace('-', '')}|{'MF'.index(patient.sex) + 1}|||||||||"
           f"|{visit.account_no}")
    if message.event == "ADT^A31":
        return
    admitted, discharged = f"{local(visit.opened_at):%Y%m%d%H%M%S}", sent if message.event == "ADT^A03" else ""
    yield (f"PV1|1|{_CLASSES[visit.kind][0]}||||||||{DEPARTMENTS[visit.department]}|||||||||{visit.visit_no}{'|' * 25}{admitted}|{discharged}"
           f"{'|' * 5}{visit.alternate_no}")
    for nth, line in enumerate(message.lines, 1):
        sign = "-" if line.reverses else ""
        yield (f"FT1|{nth}|{line.reverses or line.source}||{_time(line)}||1|{line.code}^{escape(line.name)}|||{sign}{_quantity(line)}"
               f"|{_money(line.amount and (-line.amount if sign else line.amount))}|{_price(line)}|{DEPARTMENTS[line.department]}")


# ---- a clinic's system of another country's kind ----------------------------------------------------


def _clinicsys(message, visit, sent):
    patient = visit.patient
    yield f"MSH|^~\\&|WCDataSend|SENDING_FAC|RECEIVING_APP|RECEIVING_FAC|{sent}||{message.event}|{message.control}|P|2.5||||||UNICODE UTF-8"
    account = "" if message.event == "ADT^A31" else visit.account_no
    yield (f"PID|1||99{visit.visit_no}^^^^SS~{patient.patient_no}^^^MR&1.3.6.1.4.1.21367&ISO^MR||{_split_name(patient)}||"
           f"{patient.birth_date.replace('-', '')}|{patient.sex}||||||||||{account}")
    for nth, line in enumerate(message.lines, 1):
        if nth % 2:
            yield f"FT1|{nth}|||{_time(line)}||CG|{line.code}|||{_quantity(line)}|{_money(line.amount)}|{_price(line)}||||407^^^^TEST||I|440.0"
        else:
            yield f"FT1|{nth}|||{_time(line)}||CG||||{_quantity(line)}|{_money(line.amount)}|{_price(line)}{'|' * 13}{line.code}^{escape(line.name)}"


# ---- a ward's system --------------------------------------------------------------------------------


def _wardsys(message, visit, sent):
    patient = visit.patient
    yield (f"MSH|^~\\&|IMMAPP|GHHSFacility^2.16.840.1.122848.1.30^ISO|EHRApp|GHHRFacility|{sent}|SECURITY|{message.event}|{message.control}|P|2.8"
           "|||||CHN|UNICODE UTF-8|zh")
    yield f"EVN||{sent}"
    yield (f"PID|1||X{patient.patient_no}^^^CITY^NI~{patient.patient_no}^5^M11^HOSP&2.16.1&HCD^MR||{_split_name(patient)}||"
           f"{patient.birth_date.replace('-', '')}|{patient.sex}")
    if message.event == "ADT^A31":
        return
    yield f"PV1|1|{_CLASSES[visit.kind][1]}|HUH AE OMU&9.8&ISO^OMU B{'|' * 16}IN-{visit.visit_no}{'|' * 31}{visit.alternate_no}"
    for nth, line in enumerate(message.lines, 1):
        currency = "&156" if line.currency == "CNY" else f"&{line.currency}"
        yield (f"FT1|{nth}|||{_time(line)}|{_time(line)}|CG|OWN-{nth}|||{_quantity(line)}|{_money(line.amount, currency)}|{_price(line, currency)}"
               f"|W1^{line.department}{'|' * 10}{line.source}||{line.code}^{escape(line.name)}^C4")


# ---- a laboratory -----------------------------------------------------------------------------------


def _newlab(message, visit, sent):
    patient = visit.patient
    yield f"MSH|^~\\&|NEWLAB|{BRANCH}|VISITBILL|{BRANCH}|{sent}||{message.event}|{message.control}|P|2.5.1||||||UNICODE UTF-8"
    yield f"PID|1||{patient.patient_no}^^^{BRANCH}^PI||{_split_name(patient)}"
    if message.event == "ORU^R01":
        yield "OBR|1"
        return
    yield f"PV1|1|{visit.kind[0].upper()}{'|' * 17}{visit.visit_no}"
    for nth, line in enumerate(message.lines, 1):
        own = "" if line.source == f"{message.control}/{nth}" else line.source
        yield (f"FT1|{nth}|{own}||{_time(line)}||CG|{line.code}^{escape(line.name)}|||{_quantity(line)}"
               f"|{_money(line.amount and (-line.amount if line.reverses else line.amount))}|{_price(line)}|L1^{line.department}")
        if line.reverses:
            yield f"ZRV|{line.reverses}"


_WRITERS = {OLDHIS: _oldhis, CLINICSYS: _clinicsys, WARDSYS: _wardsys, NEWLAB: _newlab}


if __name__ == "__main__":
    sys.stdout.write(settings(long_until_closing()))
