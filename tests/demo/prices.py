"""The price list as the oracle knows it: what is imported in the morning, and what a feed's MFN^M04 changes, from its day on."""

from datetime import date

from .catalogue import BY_CODE, VALID_FROM, Item

_OFFSET = 8 * 3600              # a charge has the price of its day in China
_IMPORTED = (date.fromisoformat(VALID_FROM) - date(1970, 1, 1)).days


def day_of(seconds):
    """Days since 1970."""
    return (seconds + _OFFSET) // 86_400


def midnight_of(day):
    return day * 86_400 - _OFFSET


class Prices:
    def __init__(self):
        self._rows = {}         # code -> {day: (Item, whether it is in the list)}; only of those that entries named

    def on(self, code, at):
        """The item at a time; None where the list does not have it."""
        if code not in self._rows:
            return BY_CODE.get(code)
        item, listed = self._newest(code, day_of(at))
        return item if listed else None

    def keep(self, entry):
        """Why an entry can't be kept; None where it is."""
        old, _ = self._newest(entry.code, entry.day)
        if entry.event == "MDC":
            if old is None:
                return "item_unknown"
            new = old
        else:
            said = {name: value for name, value in entry._asdict().items() if name in Item._fields and value is not None}
            if old is None and not {"name", "category", "price"} <= said.keys():
                return "item_incomplete"
            new = (old or Item(entry.code, "", entry.name, "", 0, "", 0, 0))._replace(**said)
        self._of(entry.code)[entry.day] = new, entry.event != "MDC"
        return None

    def _of(self, code):
        return self._rows.setdefault(code, {_IMPORTED: (BY_CODE[code], True)} if code in BY_CODE else {})

    def _newest(self, code, day):
        rows = self._of(code) if code in BY_CODE else self._rows.get(code, {})
        days = [d for d in rows if d <= day]
        return rows[max(days)] if days else (None, False)
