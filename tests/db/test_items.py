"""The price list as feeds send it: from a day on an item is there, changes, or is there no longer; charges take what their day has."""

import json
from datetime import date, datetime, timedelta

from .ledger import CHINA, charge, fresh_number

EPOCH = date(1970, 1, 1)
DAY = date(2026, 1, 1)


def keep(ledger, *entries):
    document = [{"place": place, "ends": False, "day": (entry.pop("from_day", DAY) - EPOCH).days, **entry} for place, entry in enumerate(dict(one) for one in entries)]
    return ledger.value("select items_keep(%s, %s)", ledger.facilities["H01"], json.dumps(document))


def item(code, price="12.5", **more):
    return {"code": code, "name": "阿莫西林胶囊", "category": 9, "unit_price_e6": int(float(price) * 1_000_000), **more}


def on(day):
    return datetime(day.year, day.month, day.day, 12, tzinfo=CHINA)


def priced(ledger, code, day):
    """What a charge of that day costs, in fen; None where the list has no price."""
    visit = fresh_number()
    if ledger.post(charge(visit, "a", code=code, quantity="2", category=None, name=None, at=on(day))) != ["posted"]:
        return None
    return ledger.lines(visit)[0].amount


def test_an_item_from_a_day_on(fresh):
    assert keep(fresh, item("A1"), item("A2", unit="盒", national_code="N2", **{"class": "A"}, self_pay_e4=1000)) == ["done", "done"]
    assert (priced(fresh, "A1", DAY), priced(fresh, "A1", DAY - timedelta(days=1))) == (2500, None)
    row = fresh.rows("select * from item where code = 'A2'")[0]
    assert (row.unit, row.national_code, getattr(row, "class"), row.self_pay_e4, row.category) == ("盒", "N2", "A", 1000, 9)


def test_what_is_not_said_stays(fresh):
    later = DAY + timedelta(days=10)
    keep(fresh, item("A1", unit="盒"))
    assert keep(fresh, {"code": "A1", "unit_price_e6": 20_000_000, "from_day": later}) == ["done"]
    assert [priced(fresh, "A1", day) for day in (later, later - timedelta(days=1))] == [4000, 2500]
    assert fresh.value("select unit from item where code = 'A1' and valid_from = %s", later) == "盒"


def test_an_item_ends_and_comes_back(fresh):
    end, back = DAY + timedelta(days=5), DAY + timedelta(days=9)
    keep(fresh, item("A1"))
    assert keep(fresh, {"code": "A1", "ends": True, "from_day": end}) == ["done"]
    assert keep(fresh, {"code": "A1", "ends": True, "from_day": end}) == ["repeated"]
    assert [priced(fresh, "A1", day) for day in (end - timedelta(days=1), end, back)] == [2500, None, None]
    assert keep(fresh, {"code": "A1", "from_day": back}) == ["done"]
    assert [priced(fresh, "A1", day) for day in (end, back)] == [None, 2500]
    assert fresh.audit() == []


def test_each_entry_by_itself(fresh):
    assert keep(fresh, item("A1"), {"code": "A2", "name": "x"}, {"code": "A3", "ends": True}, item("A4", "0")) == ["done", "item_incomplete", "item_unknown", "done"]
    assert keep(fresh, item("A1"), item("A4", "0")) == ["repeated", "repeated"]
    assert fresh.ask("select code from item where code like 'A_' order by 1") == [("A1",), ("A4",)]


def test_the_same_from_a_file(fresh):
    """What `visitbillctl items import` says of an item that a feed ended puts it back."""
    keep(fresh, item("A1"))
    keep(fresh, {"code": "A1", "ends": True})
    assert priced(fresh, "A1", DAY) is None
    rows = [{"code": "A1", "valid_from": str(DAY), "name": "x", "category": 9, "self_pay_e4": 0, "unit_price_e6": 1_000_000}]
    assert fresh.value("select items_import('H01', %s)", json.dumps(rows)) == 1
    assert priced(fresh, "A1", DAY) == 200
