"""What the day is made of: charge lines, messages and steps; and exact money.

Amounts are integers of fen, unit prices of 10^-6 yuan, quantities of 10^-4. No floating point comes near them.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

CLINIC, PHARMACY, LAB, WARD = FEEDS = ("clinic", "pharmacy", "lab", "ward")
FACILITY = "H01"               # where a day is, unless it is another of a city's
BRANCH = "H02"                  # and its branch, whose systems are of four vendors
VENDORS = ("oldhis", "clinicsys", "wardsys", "newlab")
KIOSK = "kiosk"                 # no feed: where a patient settles before the end
UNKNOWN = "unknown"             # as the books call every sender that nobody configured
ONE = 10_000                    # a quantity of 1


class Line(NamedTuple):
    """A charge line as its sender knows it; None is what is not said."""

    visit_no: str
    source: str                 # the sender's id of the line
    kind: str                   # CG charge, CD credit, PY payment taken elsewhere
    code: str
    name: str
    quantity: int
    price: int
    amount: int
    category: int
    at: int                     # when the service was given, seconds since 1970
    department: str
    performer: str              # code^name, as a Doctor gives it
    order_no: str
    reverses: str = None        # the line that a CD takes back
    bare: bool = False          # a CD without ZRV: it carries the id of the line that it reverses
    currency: str = "CNY"


class Pay(NamedTuple):
    """One payment, as the payer makes it."""

    channel: str                # wechatpay, cash
    amount: int
    notify: str = "normal"      # how the channel tells the daemon: normal, twice, late
    watches: bool = False       # waits by server-sent events rather than by asking
    repeats: bool = False       # sends the request twice with one key


@dataclass(eq=False)
class Message:
    """One message of one feed. A resend is the same object in another step: its bytes are rendered once."""

    feed: str                   # of FEEDS, or the application name of a sender that nobody configured
    connection: int             # a visit keeps to one connection of a feed, so its messages stay in order
    event: str                  # DFT^P03, ADT^A01 …; of the ward: charges, visit, discharge
    control: str                # MSH-10
    visit: object = None        # day.Visit; None for a ward's batch, whose lines name theirs
    lines: tuple = ()
    into: object = None         # the surviving visit of an A42
    entries: tuple = ()         # Entry, of an MFN
    pays: str = ""              # of a settle: how the interim bill is paid at once
    rendered: bytes = None


class Entry(NamedTuple):
    """An entry of a price list as its sender knows it; None is what is not said."""

    event: str                  # MAD, MUP, MDC
    code: str
    day: int                    # from when on, days since 1970
    name: str = None
    unit: str = None
    category: int = None
    price: int = None


@dataclass
class Expected:
    """What the daemon must answer to one sending of a message."""

    outcomes: list = field(default_factory=list)    # one per line
    reasons: list = field(default_factory=list)     # of the refused ones
    entries: str = ""                               # S or U for each entry of a price list
    bills: int = 0                                  # of a settle: how many the visit then has,
    issued: object = None                           # (kind, total) of the new one, if there is one
    pay: object = None                              # and day.Pay, if it is paid at once

    @property
    def code(self):
        return "AE" if self.reasons else "AA"


@dataclass(eq=False)
class Step:
    message: Message
    expected: Expected = None


def price_amount(quantity, price):
    """Fen, half up: 10^-4 × 10^-6 yuan is 10^-8 fen."""
    return (quantity * price + 50_000_000) // 100_000_000


def share(amount, part, whole):
    """amount × part / whole in fen, half up."""
    return (2 * amount * part + whole) // (2 * whole)


def yuan(fen):
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"


def fen(text):
    """The fen of "-12.50"; text that isn't money with two decimals is refused."""
    whole, dot, fraction = text.lstrip("-").partition(".")
    if text.count("-") > text.startswith("-") or not dot or len(fraction) != 2 or not (whole + fraction).isdecimal():
        raise ValueError(f"{text!r} is not an amount")
    value = int(whole + fraction)
    return -value if text.startswith("-") else value


def decimal_text(scaled, digits):
    """A scaled integer as a decimal without needless zeros: 15000 at 4 digits is 1.5."""
    sign = "-" if scaled < 0 else ""
    whole, fraction = divmod(abs(scaled), 10 ** digits)
    tail = f"{fraction:0{digits}}".rstrip("0")
    return f"{sign}{whole}.{tail}" if tail else f"{sign}{whole}"
