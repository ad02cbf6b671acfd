"""The order book: which orders were placed, paid and closed.

Each change is decided and written under one lock, so a payment and a close that race have one winner. An order is
immutable and replaced as a whole: readers need no lock. Every change is appended to a journal, because a channel
does not forget an order when the hospital restarts its machine; the journal is flushed to the operating system, not
to the disk.
"""

import dataclasses
import fcntl
import json
import os
import secrets
import threading
import time
from dataclasses import dataclass

from .validation import parse_time
from .wire import ChannelError, encode_json, parameter_error

NOTPAY, SUCCESS, CLOSED = "NOTPAY", "SUCCESS", "CLOSED"


@dataclass(frozen=True)
class Order:
    out_trade_no: str
    content: dict  # the merchant's body as placed
    code_url: str
    trade_state: str
    created_at: float
    transaction_id: str = None
    success_at: float = None
    openid: str = None

    @property
    def total(self):
        return self.content["amount"]["total"]

    def is_expired(self, now):
        limit = self.content.get("time_expire")
        return limit is not None and parse_time(limit) <= now


class OrderBook:
    def __init__(self, journal_path):
        self._lock = threading.Lock()
        self._orders = {}
        self._by_code_url = {}
        self._by_transaction = {}
        self._paid_count = 0
        self._paid_total = 0
        self._journal = _Journal(journal_path)
        for order in self._journal.replay():
            self._index(order)

    def place(self, content):
        """The order of this content: a new one, or the one that was placed before with the same content."""
        number = content["out_trade_no"]
        code_url = "weixin://wxpay/bizpayurl?pr=" + secrets.token_urlsafe(9)
        with self._lock:
            known = self._orders.get(number)
            if known is not None:
                return _require_same(known, content)
            order = Order(number, content, code_url, NOTPAY, time.time())
            if order.is_expired(order.created_at):
                raise parameter_error("body", "/time_expire", content["time_expire"], "早于当前时间")
            return self._store(order)

    def close(self, number):
        with self._lock:
            order = self._require_unpaid(number)
            return self._store(dataclasses.replace(order, trade_state=CLOSED))

    def pay(self, number):
        openid = "o" + secrets.token_urlsafe(21)[:27]
        with self._lock:
            order = self._require_unpaid(number)
            now = time.time()
            if order.is_expired(now):
                raise ChannelError("ORDER_EXPIRED")
            return self._store(
                dataclasses.replace(
                    order,
                    trade_state=SUCCESS,
                    transaction_id=self._new_transaction_id(now),
                    success_at=now,
                    openid=openid,
                )
            )

    def find(self, number):
        return _require_known(self._orders.get(number))

    def find_by_code_url(self, code_url):
        return _require_known(self._by_code_url.get(code_url))

    def find_by_transaction(self, transaction_id):
        return _require_known(self._by_transaction.get(transaction_id))

    def all_orders(self):
        with self._lock:
            return list(self._orders.values())

    def totals(self):
        with self._lock:
            return {"paid_count": self._paid_count, "paid_total": self._paid_total}

    def shut(self):
        """Take the lock for good: no change can begin after the journal is closed."""
        self._lock.acquire()
        self._journal.close()

    def _require_unpaid(self, number):
        order = self.find(number)
        _refuse_final(order)
        return order

    def _store(self, order):
        self._journal.append(order)
        self._index(order)
        return order

    def _index(self, order):
        self._orders[order.out_trade_no] = order
        self._by_code_url[order.code_url] = order
        if order.trade_state == SUCCESS:
            self._by_transaction[order.transaction_id] = order
            self._paid_count += 1
            self._paid_total += order.total

    def _new_transaction_id(self, now):
        """28 digits: product, day, and a number that is random, so that none can be guessed from another."""
        day = time.strftime("%Y%m%d", time.gmtime(now + 8 * 3600))
        while True:
            candidate = f"4200002026{day}{secrets.randbelow(10**10):010d}"
            if candidate not in self._by_transaction:
                return candidate


class _Journal:
    """One line a change, the whole order each time; the last line of an order is what it is."""

    def __init__(self, path):
        self._path = path
        self._file = None

    def replay(self):
        """Yields what was written before, and leaves the file ready for more."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{self._path}: another simulator has this order book") from None
        with open(self._path, "rb") as past:
            whole = 0
            for line in past:
                # A process that was killed while it wrote leaves a line without its end.
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield Order(**json.loads(line))
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)

    def append(self, order):
        # Not dataclasses.asdict: it copies the content deeply, which costs more than writing it.
        self._file.write(encode_json(vars(order)) + b"\n")

    def close(self):
        self._file.close()


def _require_known(order):
    if order is None:
        raise ChannelError("ORDER_NOT_EXIST")
    return order


def _require_same(order, content):
    _refuse_final(order)
    if order.content != content:
        raise ChannelError("OUT_TRADE_NO_USED")
    return order


def _refuse_final(order):
    if order.trade_state == SUCCESS:
        raise ChannelError("ORDERPAID")
    if order.trade_state == CLOSED:
        raise ChannelError("ORDER_CLOSED")
