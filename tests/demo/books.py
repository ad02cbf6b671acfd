"""The day's books: what visitbillctl says against what the oracle says, figure by figure, and the table at the end.

The channel is asked as well: what the simulator was paid must be what the books collected through it.
"""

import json
import subprocess
import unicodedata

from .api import Api
from .catalogue import CATEGORIES
from .lines import FEEDS, VENDORS, fen, yuan

_MONEY = ("bills.total", "outstanding", "unbilled", "credit", "unexplained")
_MONEY_IN = ("balance", "collected", "revenue", "channel.paid_total")
_CHANNELS = {"wechatpay": "微信支付", "cash": "现金", "elsewhere": "其他窗口"}
_KINDS = {"interim": "中期账单", "bill": "账单", "supplement": "补充账单", "credit_note": "退费单", "void_note": "作废单"}


class BooksError(Exception):
    """visitbillctl failed."""


def ctl(env, *arguments):
    """What `visitbillctl` prints."""
    done = subprocess.run([env.ctl, "-c", env.conf, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BooksError(f"visitbillctl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def read(env):
    """The document, with what the audit finds."""
    return json.loads(ctl(env, "books", "--json", "--audit", "--pause", "0"))


def figures(books):
    """The document's figures under the oracle's names; money in fen."""
    result = {f"lines.{name}": books["lines"][name] for name in ("received", "booked", "duplicate", "waiting", "resolved")}
    result.update({f"quarantined.{reason}": n for reason, n in books["lines"]["quarantined"].items()})
    result["messages_quarantined"] = books["lines"]["messages_quarantined"]
    for feed, counts in books["by_feed"].items():
        result.update({f"feed.{feed}.{name}": counts[name] for name in ("received", "booked", "duplicate", "waiting")})
    result.update({f"visits.{state}": n for state, n in books["visits"].items()})
    result["bills.issued"], result["bills.total"] = books["bills"]["issued"], fen(books["bills"]["total"])
    for kind, sums in books["bills"]["by_kind"].items():
        result[f"bills.{kind}.count"], result[f"bills.{kind}.total"] = sums["count"], fen(sums["total"])
    result.update({f"collected.{channel}": fen(total) for channel, total in books["collected"].items()})
    result.update({f"revenue.{category}": fen(total) for category, total in books["revenue"].items()})
    for row in books["trial_balance"]:
        result[f"balance.{row['account']}"] = fen(row["debit"]) - fen(row["credit"])
    for name in ("outstanding", "unbilled", "credit", "unexplained"):
        result[name] = fen(books[name])
    result["receipts"], result["broken"] = books["receipts"], books["broken"]
    return result


_IN_FLIGHT = 2000       # lines that two batches may have had at the database when its server was killed


def take_off_sent_twice(expected, found):
    """What was committed though nobody heard of it was sent to the database again, and counted there as a duplicate: so many at most as can have been
    in flight."""
    for feed in (*FEEDS, *VENDORS):
        names = [f"feed.{feed}.duplicate", f"feed.{feed}.received"]
        extra = found.get(names[0], 0) - expected.get(names[0], 0)
        if 0 < extra <= _IN_FLIGHT:
            for name in names + ["lines.duplicate", "lines.received"]:
                found[name] -= extra


def expected_of(day):
    """What the books and the channel must say of a day, by the oracle."""
    by_phone = [pay.amount for a in day.oracle.accounts.values() for d in a.documents for pay in (*d.early, *d.pays) if pay.channel == "wechatpay"]
    return {**day.oracle.figures(), "channel.paid_count": len(by_phone), "channel.paid_total": sum(by_phone)}


def compare(expected, found, progress, where=""):
    """Figure by figure. A reversal before its original is held, or booked at once where both come in one batch: at most those were resolved."""
    if found.get("lines.resolved", 0) <= expected["lines.resolved"]:
        found["lines.resolved"] = expected["lines.resolved"]
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name, 0) != found.get(name, 0):
            progress.problem(f"{where}{name}: expected {_figure(name, expected.get(name, 0))}, found {_figure(name, found.get(name, 0))}")


def check(expected, env, books, progress, failover=False):
    """Every figure against the oracle, the channel's own sums, and the audit's findings. failover: a server was killed meanwhile."""
    found = figures(books)
    if failover:
        take_off_sent_twice(expected, found)
    channel = Api(env.sim).get("/sim/totals")
    for name in ("paid_count", "paid_total"):
        found[f"channel.{name}"] = channel[name]
    compare(expected, found, progress)
    for row in books["audit"]:
        if row["broken"]:
            progress.problem(f"audit: {row['invariant']}: broken {row['broken']}, unexplained {row['unexplained']}")


def _figure(name, value):
    return yuan(value) if name in _MONEY or name.startswith(_MONEY_IN) or name.endswith(".total") else str(value)


# ---- the table --------------------------------------------------------------------------------------


def width(text):
    """Columns that a terminal gives it: East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _row(label, *cells, first=38, other=17):
    return (label + " " * (first - width(label)) + "".join(" " * (other - width(cell)) + cell for cell in cells)).rstrip()


def table(books, words=()):
    """The books as lines of text, aligned; words: more lines before the last one."""
    lines = books["lines"]
    yield _row("LINES 收费明细", "received", "booked", "duplicate", "quarantined")
    for feed, counts in sorted(books["by_feed"].items()):
        yield _row(f"  {feed}", *(f"{counts[name]:,}" for name in ("received", "booked", "duplicate", "waiting")))
    yield _row("  all feeds", *(f"{lines[name]:,}" for name in ("received", "booked", "duplicate", "waiting")))
    yield ""
    yield _row("QUARANTINE 待处理", "lines")
    for reason, count in sorted(lines["quarantined"].items()):
        yield _row(f"  {reason}", f"{count:,}")
    yield _row("  whole messages", f"{lines['messages_quarantined']:,}")
    yield ""
    yield _row("BILLS 账单", "number", "yuan")
    for kind, sums in sorted(books["bills"]["by_kind"].items()):
        yield _row(f"  {kind} {_KINDS[kind]}", f"{sums['count']:,}", _grouped(sums["total"]))
    yield _row("  issued", f"{books['bills']['issued']:,}", _grouped(books["bills"]["total"]))
    yield ""
    yield _row("COLLECTED 收款", "number", "yuan")
    for channel, total in sorted(books["collected"].items()):
        yield _row(f"  {channel} {_CHANNELS[channel]}", f"{books['captures'][channel]:,}", _grouped(total))
    yield _row("  in credit 预收", "", _grouped(books["credit"]))
    yield _row("  outstanding 欠费", "", _grouped(books["outstanding"]))
    yield _row("  not billed yet 在院未结", "", _grouped(books["unbilled"]))
    yield ""
    yield _row("REVENUE 收入", "", "yuan")
    for category, total in sorted(books["revenue"].items()):
        yield _row(f"  {category} {CATEGORIES[int(category)]}", "", _grouped(total))
    yield ""
    yield from _trial_balance(books["trial_balance"])
    yield ""
    yield from words
    yield f"unexplained {books['unexplained']}"


def _trial_balance(rows):
    yield _row("TRIAL BALANCE 试算平衡", "debit", "credit")
    for row in rows:
        kind, _, category = row["account"].partition(":")
        label = f"{row['account']} {CATEGORIES[int(category)]}" if category else kind
        yield _row(f"  {label}", *("" if fen(row[side]) == 0 else _grouped(row[side]) for side in ("debit", "credit")))
    yield _row("  sum", *(_grouped(yuan(sum(fen(row[side]) for row in rows))) for side in ("debit", "credit")))


def _grouped(amount):
    whole, _, fraction = amount.partition(".")
    return f"{int(whole):,}.{fraction}" if whole != "-0" else amount
