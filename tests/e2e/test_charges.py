"""Charge lines over HL7: how money is written, which lines are booked, and what happens to the others. Reversals are in test_reversals.py."""

from datetime import timedelta

import pytest

from .feeds import ft1, hl7_time, now


def only_line(house, visit):
    rows = house.rows("select amount, quantity_e4, unit_price_e6, category, warning, item_name, unit from charge join visit using (visit_id)"
                      " where visit_no = %s", visit)
    assert len(rows) == 1, rows
    return dict(zip(("amount", "quantity", "price", "category", "warning", "name", "unit"), rows[0]))


@pytest.mark.parametrize("text, fen", [
    ("100.00&CNY", 10000), ("150.00^CNY", 15000), ("150.00", 15000), ("150", 15000), ("150.5", 15050), ("0150.50", 15050), ("+1.00", 100),
    (".50", 50), ("1.", 100), ("1.500", 150), ("1.50000000", 150), ("0.01", 1), ("0.00", 0), ("0", 0), ("12.50^UP", 1250), ("12.50&RMB", 1250),
    (" 12.50 ", 1250), ("1999999.99", 199999999), ("12.50&CNY^UP^^^^~7.00", 1250),
])
def test_money_forms(house, visit, text, fen):
    ack = house.clinic.charge(visit, ft1("1", text))
    assert ack.zbl == [visit, "1", "0", "0", f"{fen // 100}.{fen % 100:02}", "open"]
    assert house.lines(visit) == {("clinic", "1"): fen}


@pytest.mark.parametrize("text, reason", [
    ("12.505", "field_invalid"), ("1e3", "field_invalid"), ("12,50", "field_invalid"), ("1 000.00", "field_invalid"), ("￥12.50", "field_invalid"),
    ("abc", "field_invalid"), (".", "field_invalid"), ("-", "field_invalid"), ("--1", "field_invalid"), ("0x10", "field_invalid"), ("NaN", "field_invalid"),
    ("100000000000000.00", "amount_too_large"), ("9" * 200, "amount_too_large"), ("12.50&USD", "currency"), ("12.50^EUR", "currency"),
    ("12.50&cny", "currency"), ("-0.01", "amount_negative"), ("-12.50&CNY", "amount_negative"),
])
def test_money_that_is_none(house, visit, text, reason):
    message = house.clinic.dft_message(visit, ft1("1", text), ft1("2"))
    ack = house.clinic.send(message)
    assert ack.code == "AE" and [(place, why) for place, _, why in ack.errors] == [("FT1^1^11", reason)], ack
    assert house.lines(visit) == {("clinic", "2"): 1250}, "the neighbour is booked"
    kept = house.quarantined(visit_no=visit)
    assert [(q["reason"], q["location"], q["source_line"], q["bytes"], q["feed"]) for q in kept] == [
        (reason, "FT1^1^11", "1", message.encode(), "clinic")]
    assert len(kept[0]["detail"]) > 10, "a reason that a person understands"


@pytest.mark.parametrize("quantity, price, amount, fen", [
    ("3", "0.333333", "1.00", 100), ("2", "12.50", "", 2500), ("", "12.50", "", 1250), ("0.5", "0.01", "", 1), ("0.49", "0.01", "", 0),
    ("1.0001", "10000", "", 1000100), ("7", "1.43", "10.00", 1000), ("7", "1.43", "10.02", 1002), ("100000", "0.000001", "", 10),
    ("3", "", "10.00", 1000), ("0", "5.00", "", 0), ("0.3333", "3.00", "", 100), ("24", "0.479167", "11.50", 1150), ("2", "12.50^UP", "25.00&CNY", 2500),
])
def test_quantity_times_price(house, visit, quantity, price, amount, fen):
    """Half up, once, on the line; an amount may differ by a fen."""
    house.clinic.charge(visit, ft1("1", amount, quantity, price))
    assert only_line(house, visit)["amount"] == fen


@pytest.mark.parametrize("quantity, price, amount, reason, field", [
    ("7", "1.43", "10.03", "amount_mismatch", 11), ("7", "1.43", "9.99", "amount_mismatch", 11), ("2", "5.00", "1.00", "amount_mismatch", 11),
    ("-1", "5.00", "", "amount_negative", 10), ("1", "-5.00", "", "amount_negative", 12), ("99999999999", "99999999", "", "amount_too_large", 12),
    ("1.00001", "5.00", "", "field_invalid", 10), ("1", "5.0000001", "", "field_invalid", 12), ("x", "5.00", "5.00", "field_invalid", 10),
])
def test_quantity_and_price_that_disagree(house, visit, quantity, price, amount, reason, field):
    ack = house.clinic.dft(visit, ft1("1", amount, quantity, price))
    assert ack.code == "AE" and [(place, why) for place, _, why in ack.errors] == [(f"FT1^1^{field}", reason)], ack
    assert house.lines(visit) == {} and len(house.quarantined(visit_no=visit)) == 1


def test_price_list(house, visit):
    """conf/items.example.csv: G0402 肌酐测定 6.20, category 04, unit 项."""
    house.clinic.charge(visit, ft1("1", "", "3", code="G0402", name="", category=""))
    assert only_line(house, visit) == {"amount": 1860, "quantity": 30000, "price": 6200000, "category": 4, "warning": None, "name": "肌酐测定", "unit": "项"}


def test_what_was_sent_beats_the_price_list(house, visit):
    house.clinic.charge(visit, ft1("1", "9.00", "1", code="G0402", name="肌酐", category="05"))
    seen = only_line(house, visit)
    assert (seen["amount"], seen["category"], seen["name"], seen["warning"]) == (900, 5, "肌酐", "price_differs")


def test_unknown_item(house, visit):
    """Care given is always kept: with an amount it is booked under 14 and flagged, without one it waits for a price."""
    ack = house.clinic.dft(visit, ft1("1", "9.00", code="NEW-1", category=""), ft1("2", "", code="NEW-1", category=""))
    assert ack.code == "AE" and ack.reasons == ["price_unknown"] and ack.errors[0][0].startswith("FT1^2")
    seen = only_line(house, visit)
    assert (seen["amount"], seen["category"], seen["warning"]) == (900, 14, "unlisted")
    assert [q["source_line"] for q in house.quarantined(visit_no=visit)] == ["2"]


def test_an_item_needs_a_code_or_a_name(house, visit):
    ack = house.clinic.dft(visit, ft1("1", code="", name=""), ft1("2", code="", name="床位费"), ft1("3", code="X", name=""))
    assert ack.code == "AE" and ack.errors == [("FT1^1^7", 101, "field_missing")]
    assert set(house.lines(visit)) == {("clinic", "2"), ("clinic", "3")}


def test_resends(house, visit):
    """Under the same or another message id, later, alone or with others: once."""
    lines = [ft1(str(n), f"{n}.00") for n in range(1, 6)]
    message = house.clinic.dft_message(visit, *lines)
    assert house.clinic.send(message).zbl[1:] == ["5", "0", "0", "15.00", "open"]
    assert house.clinic.send(message).zbl[1:] == ["0", "5", "0", "15.00", "open"]
    assert house.clinic.charge(visit, lines[4], lines[0], ft1("6")).zbl[1:] == ["1", "2", "0", "27.50", "open"]
    assert house.clinic.charge(visit, lines[2], lines[2], lines[2]).zbl[1:4] == ["0", "3", "0"]
    assert house.kiosk.visit(visit)["lines"] == 6
    assert house.quarantined(visit_no=visit) == []


def test_twice_in_one_message(house, visit):
    line = ft1("1")
    assert house.clinic.charge(visit, line, line).zbl[1:5] == ["1", "1", "0", "12.50"]


def test_the_same_id_elsewhere_is_another_line(house, visits):
    one, two = visits(2)
    for visit, feed, amount in ((one, house.clinic, "1.00"), (two, house.clinic, "2.00"), (one, house.pharmacy, "3.00"), (one, house.lab, "4.00")):
        feed.charge(visit, ft1("1", amount))
    assert house.lines(one) == {("clinic", "1"): 100, ("pharmacy", "1"): 300, ("lab", "1"): 400}
    assert house.lines(two) == {("clinic", "1"): 200}


@pytest.mark.parametrize("change", [
    {"amount": "12.51"}, {"code": "X2"}, {"name": "别的"}, {"quantity": "2"}, {"category": "04"}, {"at": "20260116080000"}, {"department": "外科"},
    {"price": "12.50"},
])
def test_conflict(house, visit, change):
    """The same id with other content: an error, the first stays, the second is kept with its bytes."""
    same = {"amount": "12.50", "at": "20260115080000"}
    house.clinic.charge(visit, ft1("1", **same))
    message = house.clinic.dft_message(visit, ft1("1", **{**same, **change}), ft1("2"))
    ack = house.clinic.send(message)
    assert ack.code == "AE" and [(code, why) for _, code, why in ack.errors] == [(205, "conflict")] and ack.errors[0][0].startswith("FT1^1"), ack
    assert ack.zbl[1:4] == ["1", "0", "1"]
    assert house.lines(visit) == {("clinic", "1"): 1250, ("clinic", "2"): 1250}
    assert [(q["reason"], q["bytes"]) for q in house.quarantined(visit_no=visit)] == [("conflict", message.encode())]
    assert house.clinic.charge(visit, ft1("1", **same)).zbl[2] == "1", "the first is still a duplicate"


def test_a_resent_refusal_is_kept_once(house, visit):
    message = house.clinic.dft_message(visit, ft1("1", "x"))
    assert [house.clinic.send(message).code for _ in range(3)] == ["AE"] * 3, "it is an error each time, not a duplicate"
    assert len(house.quarantined(visit_no=visit)) == 1


def test_lines_without_an_id(house, visit):
    """They are known by MSH-10 and their place: a resend is one, another message is not."""
    lines = [ft1("", "1.00"), ft1("", "2.00")]
    message = house.clinic.dft_message(visit, *lines, control=f"N{visit}")
    assert house.clinic.send(message).zbl[1] == "2"
    assert house.clinic.send(message).zbl[1:3] == ["0", "2"]
    assert house.clinic.charge(visit, *lines).zbl[1] == "2"
    assert house.kiosk.visit(visit)["total"] == "6.00"
    assert {("clinic", f"N{visit}/1"), ("clinic", f"N{visit}/2")} <= set(house.lines(visit))


def test_charge_before_its_admission(house, visit):
    house.lab.charge(visit, ft1("1"))
    seen = house.kiosk.visit(visit)
    assert (seen["state"], seen["flags"], seen["total"], seen["patient"]["name"]) == ("open", ["provisional"], "12.50", "郝隐私")
    house.clinic.adt("A01", visit, kind="I", name="正^式")
    seen = house.kiosk.visit(visit)
    assert (seen["flags"], seen["class"], seen["patient"]["name"], seen["total"], seen["credit_limit"]) == ([], "inpatient", "正式", "12.50", "15000.00")
    assert house.lab.charge(visit, ft1("2")).code == "AA"


def test_the_credit_limit_warns_and_never_refuses(house, visit):
    house.clinic.adt("A04", visit)
    house.clinic.charge(visit, ft1("1", "5000.00"))
    assert house.kiosk.visit(visit)["flags"] == []
    house.clinic.charge(visit, ft1("2", "0.01"))
    assert house.kiosk.visit(visit)["flags"] == ["over_limit"]
    house.clinic.charge(visit, ft1("3", "9000.00"))
    assert house.kiosk.visit(visit)["total"] == "14000.01"


@pytest.mark.parametrize("at", ["18500101", "19891231", "20991231", "20261345", "yesterday", "2026", "", "00000000", "20260230"])
def test_absurd_dates(house, visit, at):
    expected = "field_missing" if at == "" else "date_absurd"
    ack = house.clinic.dft(visit, ft1("1", at=at), ft1("2", at=hl7_time(now() - timedelta(days=3650))), ft1("3", at=hl7_time(now() + timedelta(hours=20))))
    if at == "2026":        # a year alone is a date of HL7: its first moment
        assert ack.code == "AA"
        return
    assert ack.code == "AE" and ack.errors == [("FT1^1^4", 101 if at == "" else 102, expected)], ack
    assert set(house.lines(visit)) == {("clinic", "2"), ("clinic", "3")}


def test_zero_and_adjustments(house, visit):
    """A zero charge is a line; an adjustment has a sign."""
    house.clinic.charge(visit, ft1("1", "0.00"), ft1("2", "20.00"), ft1("3", "-5.00", kind="AJ"), ft1("4", "1.00", kind="AJ"))
    assert house.lines(visit) == {("clinic", "1"): 0, ("clinic", "2"): 2000, ("clinic", "3"): -500, ("clinic", "4"): 100}
    assert house.kiosk.visit(visit)["total"] == "16.00"


def test_categories(house, visit):
    """01 to 14 as sent; anything else is 14 and flagged, never lost."""
    sent = [f"{n:02}" for n in range(1, 15)] + ["15", "00", "ab", ""]
    house.clinic.charge(visit, *(ft1(f"C{n}", category=category, code=f"UNLISTED{n}") for n, category in enumerate(sent)))
    rows = house.rows("select source_line, category, warning from charge join visit using (visit_id) where visit_no = %s order by line_no", visit)
    assert rows == [(f"C{n}", n + 1, None) for n in range(14)] + [(f"C{n}", 14, "unlisted") for n in range(14, 18)]


def test_dft_p11(house, visit):
    """P11 has its diagnoses and payers inside each FT1 group."""
    group = ["DG1|1||J00||20260115|F", "IN1|1|A|B"]
    message = house.clinic.message("DFT^P11", house.clinic.pid(visit), house.clinic.pv1(visit), ft1("1"), "NTE|1||note", "PR1|1||X", *group, ft1("2", "1.00"), *group,
                                   "ORC|RE", ft1("3", "2.00"))
    assert house.clinic.send(message).zbl[1:5] == ["3", "0", "0", "15.50"]


def test_long_fields(house, visit):
    """What is beyond its limit is refused with its place, and its neighbours are booked; texts up to 500 bytes are kept whole."""
    long = "长" * 166
    ack = house.clinic.dft(visit, ft1("x" * 200, name=long), ft1("x" * 201), ft1("2"), ft1("3", name=long + "长"))
    assert ack.code == "AE" and ack.errors == [("FT1^2^2", 102, "field_invalid"), ("FT1^4^7", 102, "field_invalid")], ack
    assert house.value("select item_name from charge join visit using (visit_id) where visit_no = %s and source_line <> '2'", visit) == long
    ack = house.clinic.dft("V" * 101, ft1("1"))
    assert ack.code == "AE" and ack.errors[0][::2] == ("PV1^1^19", "field_invalid")


def test_outcomes_are_counted(house, visit):
    names = ("posted", "duplicate", "conflict", "currency", "held")
    before = {name: house.metric("visitbill_lines_total", feed="lab", outcome=name) for name in names}
    house.lab.charge(visit, ft1("1"), ft1("2", at="20260115"))
    house.lab.dft(visit, ft1("2", at="20260115"), ft1("3", "1.00&USD"), ft1("2", at="20260116"), ft1("9", "1.00", kind="CD", reverses="none"))
    after = {name: house.metric("visitbill_lines_total", feed="lab", outcome=name) for name in names}
    assert [after[name] - before[name] for name in names] == [2, 1, 1, 1, 1]


def test_replay_after_the_cause_is_gone(house, visit):
    """A line that nobody could price is booked from quarantine once it can be; once."""
    code = f"LATER-{visit}"
    house.clinic.dft(visit, ft1("1", "", "2", code=code, category=""))
    entry = house.quarantined(visit_no=visit)[0]["quarantine_id"]
    listed = [q for q in house.desk.get("/v1/quarantine?limit=10000").json["quarantine"] if q["id"] == entry]
    assert listed[0]["reason"] == "price_unknown" and listed[0]["visit_no"] == visit and listed[0]["state"] == "waiting"
    assert house.desk.post(f"/v1/quarantine/{entry}/replay").json == {"id": entry, "outcome": "price_unknown", "state": "waiting"}
    house.rows("insert into item values (1, %s, '2026-01-01', null, '新项目', '次', 5, 'A', 0, 2500000)", code)
    assert house.ops.post(f"/v1/quarantine/{entry}/replay").json == {"id": entry, "outcome": "posted", "state": "resolved"}
    assert house.lines(visit) == {("clinic", "1"): 500}
    assert house.ops.post(f"/v1/quarantine/{entry}/replay").json == {"id": entry, "outcome": "posted", "state": "resolved"}
    assert house.lines(visit) == {("clinic", "1"): 500}
    assert house.nobody.post(f"/v1/quarantine/{entry}/replay").status == 401 and house.kiosk.get("/v1/quarantine").status == 403
    assert house.ops.post("/v1/quarantine/999999999/replay").status == 404
    assert house.broken() == []


def test_payment_taken_elsewhere(house, visit):
    """PY and CO: money of the visit, once, and what the bill finds paid."""
    house.clinic.charge(visit, ft1("1", "100.00"), ft1("P1", "30.00", kind="PY"))
    copay = ft1("P2", "20.00", kind="CO")
    assert house.clinic.charge(visit, copay, copay).zbl[1:4] == ["1", "1", "0"]
    assert house.clinic.dft(visit, ft1("P1", "31.00", kind="PY")).reasons == ["conflict"]
    assert house.lines(visit) == {("clinic", "1"): 10000}
    bill = house.discharge(visit)
    assert (bill["total"], bill["paid"], bill["outstanding"], bill["state"]) == ("100.00", "50.00", "50.00", "open")


def test_the_list_changes_at_the_hospitals_midnight(house, visit, tmp_path):
    """One message with both sides of midnight, at +08:00: the daemon names the day of each line, the list has a price for each."""
    prices = tmp_path / "items.csv"
    prices.write_text("code,national_code,name,unit,category,class,self_pay_ratio,unit_price,valid_from\n"
                      "MIDNIGHT,,午夜,次,05,A,0,1.00,2026-01-01\nMIDNIGHT,,午夜,次,05,A,0,3.00,2026-01-16\n", "utf-8")
    house.ctl("items", "import", prices)
    ack = house.clinic.charge(visit, *(ft1(str(n), "", "1", code="MIDNIGHT", category="", at=at) for n, at in enumerate(
        ("20260115235959", "20260116000000", "20260115155959+0000", "20260115160000+0000", "20260116"))))
    assert ack.code == "AA", ack
    assert [fen for _, fen in sorted(house.lines(visit).items())] == [100, 300, 100, 300, 300]
