"""Payment notifications: built, encrypted, signed, sent to the merchant, and sent again until they are accepted.

A few threads with a kept connection each do the sending. A falsified notification is sent once and never again:
it stands for an attacker or for the channel's own probe, and neither retries.
"""

import base64
import heapq
import http.client
import itertools
import ssl
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from . import transaction, wire

ANSWER_TIMEOUT_S = 5
RETRY_SCHEDULE_S = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
TAMPERS = ("signature", "timestamp", "ciphertext", "serial", *transaction.FALSIFIERS)
_STALE_BY_S = 900
_OTHER_SERIAL = "PUB_KEY_ID_" + 28 * "0"
_ASSOCIATED_DATA = "transaction"


@dataclass
class Answer:
    """What the merchant said to one attempt; status None where it said nothing."""

    status: int = None
    body: str = None
    error: str = None

    @property
    def is_accepted(self):
        return self.status in (200, 204)


@dataclass
class Delivery:
    """One notification on its way, with all its attempts."""

    id: str
    out_trade_no: str
    url: str
    body: bytes
    tamper: str
    attempts: int = 0
    first_answer: Answer = None
    answered: threading.Event = field(default_factory=threading.Event)


class Notifier:
    def __init__(self, channel, signer, retry_scale, workers, verbose=False):
        self._channel = channel
        self._signer = signer
        self._retry_scale = retry_scale
        self._verbose = verbose
        self._due = []  # heap of (when, sequence, delivery)
        self._sequence = itertools.count()
        self._wake = threading.Condition()
        self._stopping = False
        self._log = []
        for number in range(workers):
            threading.Thread(target=self._work, name=f"notify-{number}", daemon=True).start()

    def send(self, order, tamper=None, copies=1, delay_s=0.0):
        """Queue the order's notification; `copies` go out at the same time, as two of the channel's machines would."""
        notification_id, body = self._build(order, tamper)
        deliveries = [
            Delivery(notification_id, order.out_trade_no, order.content["notify_url"], body, tamper)
            for _ in range(copies)
        ]
        for delivery in deliveries:
            self._schedule(delivery, delay_s)
        return deliveries

    def log(self, out_trade_no=None):
        """Every attempt so far, oldest first."""
        return [entry for entry in list(self._log) if out_trade_no in (None, entry["out_trade_no"])]

    def stop(self):
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    def _build(self, order, tamper):
        notification_id = str(uuid.uuid4())
        plaintext = wire.encode_json(transaction.falsify(transaction.describe(order), tamper))
        nonce, ciphertext = wire.seal(self._channel.apiv3_key, plaintext, _ASSOCIATED_DATA)
        notification = {
            "id": notification_id,
            "create_time": transaction.format_time(order.success_at),
            "resource_type": "encrypt-resource",
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": {
                "original_type": "transaction",
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": _flip_bit(ciphertext) if tamper == "ciphertext" else ciphertext,
                "associated_data": _ASSOCIATED_DATA,
                "nonce": nonce,
            },
        }
        return notification_id, wire.encode_json(notification)

    def _schedule(self, delivery, delay_s):
        with self._wake:
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._sequence), delivery))
            self._wake.notify()

    def _next(self):
        """The next delivery that is due, or None when it is time to stop."""
        with self._wake:
            while not self._stopping:
                if not self._due:
                    self._wake.wait()
                    continue
                wait_s = self._due[0][0] - time.monotonic()
                if wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._wake.wait(wait_s)
            return None

    def _work(self):
        sender = _Sender()
        while (delivery := self._next()) is not None:
            self._attempt(delivery, sender)
        sender.close()

    def _attempt(self, delivery, sender):
        started = time.monotonic()
        answer = sender.post(delivery.url, delivery.body, self._headers(delivery))
        delivery.attempts += 1
        self._record(delivery, answer, time.monotonic() - started)
        if delivery.attempts == 1:
            delivery.first_answer = answer
            delivery.answered.set()
        if answer.is_accepted or delivery.tamper or delivery.attempts > len(RETRY_SCHEDULE_S):
            return
        self._schedule(delivery, RETRY_SCHEDULE_S[delivery.attempts - 1] * self._retry_scale)

    def _headers(self, delivery):
        """Signed at each attempt: a retry has a fresh timestamp over the same body."""
        tamper = delivery.tamper
        headers = self._signer.headers(
            delivery.body,
            corrupt=tamper == "signature",
            timestamp=int(time.time()) - _STALE_BY_S if tamper == "timestamp" else None,
            serial=_OTHER_SERIAL if tamper == "serial" else None,
        )
        headers["Content-Type"] = "application/json"
        headers["User-Agent"] = "Mozilla/4.0"
        headers["Accept"] = "*/*"
        return headers

    def _record(self, delivery, answer, elapsed_s):
        entry = {
            "id": delivery.id,
            "out_trade_no": delivery.out_trade_no,
            "attempt": delivery.attempts,
            "tamper": delivery.tamper,
            "at": transaction.format_time(time.time()),
            "elapsed_ms": round(elapsed_s * 1000, 1),
            **vars(answer),
        }
        self._log.append(entry)
        if self._verbose:
            print("notify", wire.encode_json(entry).decode(), file=sys.stderr, flush=True)


class _Sender:
    """One thread's kept connections, by host."""

    def __init__(self):
        self._connections = {}

    def post(self, url, body, headers):
        parts = urlsplit(url)
        origin = (parts.scheme, parts.hostname, parts.port)
        was_kept = origin in self._connections
        try:
            try:
                return self._exchange(origin, parts.path or "/", body, headers)
            except (ConnectionError, http.client.BadStatusLine):
                # A kept connection may have been closed by the other side in the meantime: that is no answer.
                if not was_kept:
                    raise
                self._forget(origin)
                return self._exchange(origin, parts.path or "/", body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._forget(origin)
            return Answer(error=f"{type(error).__name__}: {error}")

    def close(self):
        for origin in list(self._connections):
            self._forget(origin)

    def _exchange(self, origin, path, body, headers):
        connection = self._connections.get(origin) or self._connect(origin)
        connection.request("POST", path, body=body, headers=headers)
        response = connection.getresponse()
        answer = Answer(status=response.status, body=response.read().decode("utf-8", "replace"))
        if response.will_close:
            self._forget(origin)
        return answer

    def _connect(self, origin):
        scheme, host, port = origin
        if scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=ANSWER_TIMEOUT_S, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)
        self._connections[origin] = connection
        return connection

    def _forget(self, origin):
        connection = self._connections.pop(origin, None)
        if connection is not None:
            connection.close()


def _flip_bit(ciphertext):
    sealed = bytearray(base64.b64decode(ciphertext))
    sealed[0] ^= 1
    return base64.b64encode(sealed).decode()
