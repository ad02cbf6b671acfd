"""How far the day is: counters that the players add to, one line on a terminal that is rewritten, and what went wrong.

Where standard error is no terminal, a plain line appears every few seconds instead.
"""

import sys
import threading
import time

_PERIOD_S = 0.2
_PLAIN_PERIOD_S = 5
_SHOWN_PROBLEMS = 20


class Counts:
    """What the players add to."""

    def __init__(self):
        self.phase = ""
        self.failover = False       # a server of the database is killed meanwhile
        self.problems = []
        self.lines = self.paid = 0
        self._lock = threading.Lock()

    def add(self, lines=0, paid=0):
        with self._lock:
            self.lines += lines
            self.paid += paid

    def problem(self, text):
        """Something was not as the script wants it; the day goes on."""
        with self._lock:
            self.problems.append(text)


class Progress(Counts):
    def __init__(self, lines, payers):
        super().__init__()
        self._lines_total = lines
        self._payers_total = payers
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._terminal = sys.stderr.isatty()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
        print(self.text(), file=sys.stderr, flush=True)

    def report(self):
        if self.problems:
            print(f"{len(self.problems)} things are not as they were sent:")
        for text in self.problems[:_SHOWN_PROBLEMS]:
            print(f"  {text}")
        if len(self.problems) > _SHOWN_PROBLEMS:
            print(f"  … and {len(self.problems) - _SHOWN_PROBLEMS} more")

    def elapsed(self):
        seconds = int(time.monotonic() - self._started)
        return f"{seconds // 60}:{seconds % 60:02}"

    def text(self):
        wrong = f"  {len(self.problems)} wrong" if self.problems else ""
        return (f"{self.elapsed()}  {self.phase:<16}  lines {self.lines:,} of {self._lines_total:,}"
                f"  payers {self.paid:,} of {self._payers_total:,}{wrong}")

    def _run(self):
        while not self._stop.wait(_PERIOD_S if self._terminal else _PLAIN_PERIOD_S):
            if self._terminal:
                sys.stderr.write(f"\r\x1b[K{self.text()}")
                sys.stderr.flush()
            else:
                print(self.text(), file=sys.stderr, flush=True)
