"""visitbillctl items import: what it takes, what it refuses and how it says so."""

import datetime

import pytest

from .hospital import ITEMS

pytest_plugins = ["e2e.cluster", "e2e.hospital"]

HEADER = "code,national_code,name,unit,category,class,self_pay_ratio,unit_price,valid_from\n"
GOOD = "A1,,阿莫西林,粒,09,A,0,1,2026-01-01\n"


def test_items_import(hospital):
    assert hospital.query("select unit_price_e6, self_pay_e4, name from item where code = 'G1101'") == [(432900, 500, "连花清瘟胶囊")]
    assert hospital.query("select name from item where code = 'G1001'") == [('黄芪饮片("蜜炙")',)]
    assert "0 of them new or changed" in hospital.ctl("items", "import", ITEMS)
    assert sorted(hospital.query("select name from feed where feed_id > 0")) == [("clinic",), ("pharmacy",)]


def test_items_import_takes_what_a_spreadsheet_writes(migrated, tmp_path):
    path = tmp_path / "items.csv"
    path.write_bytes("\ufeffvalid_from,unit_price,name,code,category,class\r\n\r\n"
                     "2026-01-01,+0.123456000,\"两行\r\n\"\"名称\"\", x\",A1,1,乙\r\n2026-01-02, 9999999999.999999 ,n,A1,14,".encode())
    assert "2 items for facility H01, 2 of them new" in migrated.ctl("items", "import", path)
    assert migrated.query("select valid_from, unit_price_e6, name, category, class, unit, self_pay_e4 from item order by valid_from") == [
        (datetime.date(2026, 1, 1), 123456, '两行\r\n"名称", x', 1, "B", None, 0),
        (datetime.date(2026, 1, 2), 9999999999999999, "n", 14, None, None, 0)]


@pytest.mark.parametrize("text, complaints", [
    ("", ["is empty"]),
    ("code,price\n", [":1: column 2: \"price\" is not a column of a price list"]),
    ("code,code\n", [":1: column 2: \"code\" is there twice"]),
    ("code,name\n", [":1: the header lacks the column category"]),
    (HEADER + GOOD + "A2,,,粒,09,A,0,1,2026-01-01\n", [":3: column 3 (name): is empty"]),
    (HEADER + "A2,,x,粒,15,A,0,1,2026-01-01\n", [":2: column 5 (category): \"15\" is not a category from 01 to 14"]),
    (HEADER + "A2,,x,粒,9,D,0,1,2026-01-01\n", [":2: column 6 (class): \"D\" is not A, B or C"]),
    (HEADER + "A2,,x,粒,9,A,0.00001,1,2026-01-01\n", [":2: column 7 (self_pay_ratio): \"0.00001\" has more decimals than allowed (4)"]),
    (HEADER + "A2,,x,粒,9,A,1.1,1,2026-01-01\n", [":2: column 7 (self_pay_ratio): 1.1 is too large"]),
    (HEADER + "A2,,x,粒,9,A,0,1.0000001,2026-01-01\n", [":2: column 8 (unit_price): \"1.0000001\" has more decimals than allowed (6)"]),
    (HEADER + "A2,,x,粒,9,A,0,1e3,2026-01-01\n", [":2: column 8 (unit_price): \"1e3\" is not a decimal number"]),
    (HEADER + "A2,,x,粒,9,A,0,-1,2026-01-01\n", [":2: column 8 (unit_price): -1 is negative"]),
    (HEADER + "A2,,x,粒,9,A,0,,2026-01-01\n", [":2: column 8 (unit_price): is empty"]),
    (HEADER + "A2,,x,粒,9,A,0,1,2026-02-30\n", [":2: column 9 (valid_from): \"2026-02-30\" is not a date"]),
    (HEADER + "A2,,x,粒,9,A,0,1,20260201\n", [":2: column 9 (valid_from): \"20260201\" is not a date"]),
    (HEADER + GOOD + GOOD, [":3: column 1 (code): A1 is on line 2 already"]),
    (HEADER + "A2,,\"two\nlines\",粒,9,A,0,1,2026-01-01\nA3,x\n", [":4: column 1 (code): the line has 2 fields and the header has 9"]),
    (HEADER + "A2,,\"x\"y,粒,9,A,0,1,2026-01-01\n", [":2: column 3: there is text after a closing quote"]),
    (HEADER + "A2,,x\"y,粒,9,A,0,1,2026-01-01\n", [":2: column 3: a quote inside a field"]),
    (HEADER + GOOD + "A2,,\"x\n\n", [":3: column 3: a quoted field has no end"]),
    (HEADER + "A2,,x,粒,0,E,2,z,x\n" + GOOD, [":2: column 5", ":2: column 6", ":2: column 7", ":2: column 8", ":2: column 9", "5 mistakes"]),
])
def test_items_import_is_all_or_nothing(prices, tmp_path, text, complaints):
    path = tmp_path / "items.csv"
    path.write_text(text, encoding="utf-8")
    said = prices.ctl("items", "import", path, status=1)
    for complaint in complaints:
        assert complaint in said
    assert all(line.startswith(f"visitbillctl: {path}") for line in said.splitlines())
    assert prices.query("select count(*) from item") == [(0,)]


def test_items_import_of_another_encoding(prices, tmp_path):
    path = tmp_path / "items.csv"
    path.write_bytes((HEADER + GOOD).encode("gb18030"))
    assert ":2: column 3 (name): is not UTF-8 text" in prices.ctl("items", "import", path, status=1)


def test_items_import_names_the_facility(migrated, tmp_path):
    assert "no section [facility H09]" in migrated.ctl("items", "import", ITEMS, "--facility", "H09", status=1)
    migrated.conf.write_text(migrated.conf.read_text() + "\n[facility H02]\nname = 二院\n")
    assert "2 facilities: say which" in migrated.ctl("items", "import", ITEMS, status=1)
    migrated.ctl("items", "import", ITEMS, "--facility=H02")
    assert migrated.query("select distinct f.code from item join facility f using (facility_id)") == [("H02",)]


