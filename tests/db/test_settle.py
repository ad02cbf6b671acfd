"""Closing that no message asks for: settle now issues a bill over the lines so far and leaves the visit open; close rules end a visit where nobody else does."""

from datetime import timedelta

import pytest

from .cluster import configuration
from .conftest import FACILITIES, FEEDS
from .ledger import NOON, adjustment, at_once, charge, fresh_number, reversal


@pytest.fixture(name="owner")
def _owner(fresh_desk):
    return fresh_desk.ledger("visitbill_owner")


def documents(ledger, visit):
    return [(bill.bill_no.partition("/")[2], bill.kind, bill.total, bill.first_line, bill.last_line, bill.state) for bill in ledger.bills(visit)]


def test_a_bill_over_the_lines_so_far(fresh, visit):
    fresh.post(charge(visit, "a", 100), charge(visit, "b", 50))
    outcome, doc = fresh.settle(visit)
    assert (outcome, doc["state"], doc["outstanding"], doc["feeds_behind"]) == ("done", "open", "1.50", [])
    (bill,) = fresh.bills(visit)
    assert doc["bill"] == bill.public_id == doc["bills"][0]["bill"]
    assert documents(fresh, visit) == [("I1", "interim", 150, 1, 2, "open")]
    assert fresh.value("select detail ->> 'by' from event where kind = 'visit_settle'") == "kiosk-1"
    outcome, doc = fresh.settle(visit)
    assert (outcome, doc["bill"], len(doc["bills"])) == ("done", None, 1), "nothing is new"
    fresh.pay_cash(bill)
    assert fresh.visit(visit).state == "open"
    assert fresh.audit() == []


def test_what_comes_later_goes_on_from_it(fresh, visit):
    fresh.post(charge(visit, "a", 100))
    fresh.settle(visit)
    fresh.pay_cash(fresh.bills(visit)[0])
    assert fresh.post(charge(visit, "b", 70), reversal(visit, "c", of="a", amount=30)) == ["posted", "posted"]
    fresh.settle(visit)
    assert fresh.post(charge(visit, "d", 5)) == ["posted"]
    fresh.close_now(visit)
    assert documents(fresh, visit) == [("I1", "interim", 100, 1, 1, "settled"), ("I2", "interim", 40, 2, 3, "open"), ("", "bill", 5, 4, 4, "open")]
    assert fresh.visit(visit).state == "billed"
    for bill in fresh.bills(visit)[1:]:
        fresh.pay_cash(bill)
    assert fresh.visit(visit).state == "settled"
    fresh.post(charge(visit, "e", 2))
    fresh.close()
    assert documents(fresh, visit)[-1] == ("A1", "supplement", 2, 5, 5, "open")
    assert fresh.audit() == []


def test_nothing_is_left_for_the_close(fresh, visit):
    fresh.post(charge(visit, "a", 100))
    fresh.settle(visit)
    fresh.close_now(visit)
    assert (fresh.visit(visit).state, documents(fresh, visit)) == ("billed", [("I1", "interim", 100, 1, 1, "open")])
    fresh.pay_cash(fresh.bills(visit)[0])
    assert fresh.visit(visit).state == "settled"


def test_lines_taken_back_are_a_credit_note(fresh, visit):
    fresh.post(charge(visit, "a", 100))
    fresh.settle(visit)
    fresh.post(reversal(visit, "b", of="a", amount=40))
    fresh.settle(visit)
    assert documents(fresh, visit) == [("I1", "interim", 100, 1, 1, "open"), ("I2", "credit_note", -40, 2, 2, "settled")]
    assert [bill.owed for bill in fresh.bills(visit)] == [60, 0]
    fresh.post(adjustment(visit, "c", 1))
    fresh.close_now(visit)
    assert documents(fresh, visit)[-1] == ("", "bill", 1, 3, 3, "open")
    assert fresh.audit() == []


def test_a_discharge_taken_back(fresh, visit):
    """Unpaid, the interim bill is voided with the final one, and the lines are billed anew; paid, both stand."""
    fresh.post(charge(visit, "a", 100))
    fresh.settle(visit)
    fresh.post(charge(visit, "b", 50))
    fresh.close_now(visit)
    assert fresh.reopen(visit, message="M9") == "done"
    fresh.settle(visit)
    assert documents(fresh, visit) == [
        ("I1", "interim", 100, 1, 1, "void"), ("", "bill", 50, 2, 2, "void"), ("I1/V", "void_note", -100, None, None, "void"),
        ("V", "void_note", -50, None, None, "void"), ("I5", "interim", 150, 1, 2, "open")]
    fresh.pay_cash(fresh.bills(visit)[-1])
    fresh.close_now(visit, message="M10")
    assert fresh.reopen(visit, message="M11") == "done"
    fresh.post(charge(visit, "c", 1))
    fresh.close_now(visit, message="M12")
    assert documents(fresh, visit)[-1] == ("R2", "bill", 1, 3, 3, "open")
    assert fresh.audit() == []


def test_a_merge_takes_unpaid_interim_bills_along(fresh):
    loser, winner = fresh_number(), fresh_number()
    fresh.post(charge(loser, "a", 100), charge(winner, "b", 10))
    for visit in (loser, winner):
        fresh.settle(visit)
    assert fresh.merge(loser, into=winner) == "done"
    fresh.settle(winner)
    assert documents(fresh, winner) == [("I1", "interim", 10, 1, 1, "open"), ("I2", "interim", 100, 2, 2, "open")]
    assert fresh.settle(loser)[0] == "visit_merged"
    assert fresh.audit() == []


def test_a_discharged_visit_waits_no_longer(fresh, visit):
    fresh.post(charge(visit, "a", 100, feed="lab", facility="W01"))
    fresh.discharge(visit, facility="W01", feed="lab")
    fresh.mark(lab=NOON)
    outcome, doc = fresh.settle(visit, facility="W01")
    assert (outcome, doc["state"], doc["feeds_behind"]) == ("done", "billed", ["theatre"])
    assert (documents(fresh, visit), fresh.bills(visit)[0].silent_feeds) == ([("", "bill", 100, 1, 1, "open")], ["theatre"])


def test_feeds_that_are_behind_are_named(fresh, visit):
    fresh.post(charge(visit, "a", 100, feed="lab", facility="W01"))
    now = fresh.value("select now()")
    fresh.mark(lab=now, theatre=now - timedelta(minutes=5))
    assert fresh.settle(visit, facility="W01")[1]["feeds_behind"] == ["theatre"]


@pytest.mark.parametrize("case", ["unknown", "cancelled", "out of scope"])
def test_refused(fresh, visit, case):
    fresh.event("open", visit)
    if case == "cancelled":
        fresh.cancel(visit)
    number, scope = ("nobody", ["*"]) if case == "unknown" else (visit, ["W01"] if case == "out of scope" else ["*"])
    assert fresh.settle(number, scope=scope) == ("visit_cancelled" if case == "cancelled" else "visit_unknown", None)


def test_against_posting_at_once(fresh_desk, fresh, visit):
    """A line is on the interim bill or on a later one, never on none."""
    posters, kiosk = [fresh_desk.ledger() for _ in range(3)], fresh_desk.ledger()
    fresh.post(charge(visit, "first", 1))
    at_once(*[lambda own=own, n=n: [own.post(charge(visit, f"{n}-{k}", 10)) for k in range(40)] for n, own in enumerate(posters)],
            lambda: [kiosk.settle(visit) for _ in range(20)])
    fresh.close_now(visit)
    ranges = [(bill.first_line, bill.last_line) for bill in fresh.bills(visit)]
    assert [first for first, _ in ranges] == [1] + [last + 1 for _, last in ranges[:-1]] and ranges[-1][1] == 121
    assert sum(bill.total for bill in fresh.bills(visit)) == 1201
    assert fresh.audit() == []


# ---- close rules

def ruled(ledger, **rules):
    ledger.configure(configuration({**FACILITIES, "H01": {"close": rules}}, FEEDS))


def age(owner, visit, by):
    """All of the visit happened that much earlier, and its time has come to be looked at."""
    owner.ask("alter table charge disable trigger append_only")
    owner.ask("alter table event disable trigger append_only")
    for table, column in (("charge", "posted_at"), ("event", "at"), ("visit", "opened_at"), ("visit_ending", "look_at")):
        owner.ask(f"update {table} set {column} = {column} - %s::interval where visit_id = (select visit_id from visit where visit_no = %s)", by, visit)


def test_an_idle_visit_ends(fresh, owner, visit):
    ruled(fresh, outpatient="idle 4h")
    other = fresh_number()
    fresh.event("open", visit, class_="outpatient")
    fresh.event("open", other, class_="inpatient")
    fresh.post(charge(visit, "a", 100))
    assert fresh.end_visits() == (0, 0)
    age(owner, visit, "3 h 59 min")
    assert fresh.end_visits() == (0, 0)
    age(owner, visit, "2 min")
    fresh.post(charge(visit, "b", 10))
    assert fresh.end_visits() == (1, 0), "a charge came a moment ago: it is looked at in four hours again"
    age(owner, visit, "4 h")
    assert fresh.end_visits() == (1, 1)
    assert fresh.visit(visit).state == "discharged"
    fresh.close()
    assert documents(fresh, visit) == [("", "bill", 110, 1, 2, "open")]
    assert fresh.value("select detail ->> 'rule' from event where to_state = 'discharged'") == "idle 04:00:00"
    assert fresh.visit(other).state == "open"
    assert fresh.value("select count(*) from visit_ending") == 0
    assert fresh.audit() == []


def test_a_discharge_that_comes_after_the_rule_is_told_already(fresh, owner, visit):
    ruled(fresh, outpatient="idle 4h")
    fresh.event("open", visit, class_="outpatient")
    fresh.post(charge(visit, "a", 100))
    age(owner, visit, "5 h")
    fresh.end_visits()
    assert fresh.discharge(visit, message="M7") == "repeated"
    assert fresh.reopen(visit, message="M8") == "done"
    assert fresh.value("select count(*) from visit_ending") == 1, "it is open again, and ends again"


def test_a_class_that_changes_changes_the_rule(fresh, visit):
    ruled(fresh, outpatient="idle 4h", inpatient="discharge")
    fresh.event("open", visit, class_="outpatient")
    assert fresh.value("select count(*) from visit_ending") == 1
    fresh.event("update", visit, class_="inpatient")
    assert fresh.value("select count(*) from visit_ending") == 0


def test_rules_change_with_the_settings(fresh, visit):
    fresh.event("open", visit, class_="outpatient")
    assert fresh.value("select count(*) from visit_ending") == 0
    ruled(fresh, outpatient="idle 4h")
    opened, looked = fresh.row("select opened_at, look_at from visit join visit_ending using (visit_id)")
    assert looked - opened == timedelta(hours=4)
    ruled(fresh, outpatient="idle 1h")
    assert fresh.value("select look_at from visit_ending") - opened == timedelta(hours=1)
    ruled(fresh, outpatient="discharge")
    assert fresh.value("select count(*) from visit_ending") == 0 == fresh.value("select count(*) from close_rule")


def test_daily(fresh, owner, visit):
    fresh.ask("set timezone = '+08'")
    ruled(fresh, inpatient="daily 23:30")
    fresh.event("open", visit, class_="inpatient")
    local = fresh.value("select to_char(look_at, 'HH24:MI') from visit_ending")
    assert local == "23:30" and timedelta(0) < fresh.value("select look_at - now() from visit_ending") <= timedelta(days=1)
    age(owner, visit, "1 day")
    assert fresh.end_visits() == (1, 1)
    assert fresh.visit(visit).state == "discharged"


# ---- the daily list

def statement(ledger, visit, day=None):
    outcome, doc = ledger.row("select outcome, doc::json from visit_statement('H01', %s, %s, array['*'])", visit, day)
    assert outcome == "done"
    return doc


def test_the_daily_list(fresh, visit):
    fresh.ask("set timezone = '+08'")
    late = NOON.replace(hour=23, minute=59)
    fresh.post(charge(visit, "a", 1250, category=9, at=late), charge(visit, "b", 300, category=1, at=NOON), charge(visit, "c", 99, category=9, at=late + timedelta(minutes=1)))
    fresh.pay_elsewhere(visit, "deposit", 5000)
    first, second = statement(fresh, visit, NOON.date()), statement(fresh, visit, NOON.date() + timedelta(days=1))
    assert [(line["category"], line["amount"]) for line in first["lines"]] == [("01", "3.00"), ("09", "12.50")]
    assert [(one["category"], one["amount"]) for one in first["categories"]] == [("01", "3.00"), ("09", "12.50")]
    assert (first["day"], first["day_total"], first["running_total"], first["total"]) == ("2026-01-15", "15.50", "15.50", "16.49")
    assert (second["day_total"], second["running_total"], [line["amount"] for line in second["lines"]]) == ("0.99", "16.49", ["0.99"])
    assert (first["paid_in"], first["billed"]) == ("50.00", "0.00")
    assert statement(fresh, visit)["lines"] == [], "today nothing was charged"
