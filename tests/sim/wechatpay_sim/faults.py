"""Failures that a test has asked for: per route a queue of how the next calls go wrong.

Which of them let the order through matters most to a daemon: after `drop`, `timeout` and `bad_signature` the channel
has done what was asked, after `500` and `system_error` it has not.
"""

import threading
from collections import deque
from dataclasses import dataclass

ROUTES = ("native", "query", "close")

# mode: default delay in milliseconds
MODES = {
    "timeout": 30_000,  # done, and answered after the delay
    "slow": 1_000,  # begun after the delay, then as always
    "drop": 0,  # done, and the connection is closed without an answer
    "500": 0,  # not done; a gateway's page, unsigned
    "system_error": 0,  # not done; the channel's own error, signed
    "bad_signature": 0,  # done, and the reply's signature does not verify
}


@dataclass(frozen=True)
class Fault:
    mode: str
    delay_s: float


class FaultPlan:
    def __init__(self):
        self._lock = threading.Lock()
        self._queues = {route: deque() for route in ROUTES}

    def add(self, route, mode, count, delay_ms=None):
        """The next `count` calls of the route, after those already planned."""
        delay_ms = MODES[mode] if delay_ms is None else delay_ms
        with self._lock:
            self._queues[route].extend([Fault(mode, delay_ms / 1000)] * count)

    def clear(self, route):
        with self._lock:
            self._queues[route].clear()

    def take(self, route):
        with self._lock:
            queue = self._queues.get(route)
            return queue.popleft() if queue else None

    def pending(self):
        with self._lock:
            return {route: [fault.mode for fault in queue] for route, queue in self._queues.items()}
