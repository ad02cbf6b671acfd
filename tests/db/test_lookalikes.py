"""Charges that look like duplicates: of the same patient, code, day, quantity and sign. They are booked, and listed for a person."""

import json
from datetime import timedelta

import pytest

from .ledger import NOON, adjustment, at_once, charge, fresh_number, reversal


def find(ledger, limit=100_000):
    return ledger.row("select looked, pairs from lookalikes_find(%s)", limit)


def listed(ledger, state="waiting", scope=("*",), limit=100_000, after=0):
    outcome, doc = ledger.row("select outcome, doc from lookalike_list(%s, %s, %s, %s)", state, limit, after, list(scope))
    assert outcome == "done"
    return json.loads(doc)


def pairs(ledger, *visits, **more):
    """Of these visits: the two lines of each, by their ids."""
    found = [[line["source_line"] for line in one["lines"]] for one in listed(ledger, **more)["lookalikes"] if {line["visit_no"] for line in one["lines"]} <= set(visits)]
    return sorted(found)


def dismiss(ledger, id, scope=("*",)):
    return ledger.row("select outcome, doc::json from lookalike_dismiss(%s, 'desk 3', 'two doses', %s)", id, list(scope))


def drug(visit, id, amount=1200, **more):
    return charge(visit, id, amount, **{"code": "A01", "quantity": "2", **more})


def test_the_same_charge_of_two_feeds(ledger, visit):
    ledger.open(visit, patient_no=f"P-{visit}")
    ledger.post(drug(visit, "1"), drug(visit, "1", 1300, feed="pharmacy", at=NOON + timedelta(hours=3), department="药房"))
    assert pairs(ledger, visit) == [], "until its bill is issued"
    ledger.close_now(visit)
    assert len(ledger.bills(visit)) == 1 and ledger.visit(visit).total == 2500, "nothing is refused"
    find(ledger)
    one, = [one for one in listed(ledger)["lookalikes"] if one["patient_no"] == f"P-{visit}"]
    assert {key: one[key] for key in ("facility", "code", "day", "quantity", "state", "by")} == {
        "facility": "H01", "code": "A01", "day": "2026-01-15", "quantity": "2", "state": "waiting", "by": None}
    assert [(line["visit_no"], line["line_no"], line["feed"], line["source_line"], line["amount"], line["taken_back"], line["department"]) for line in one["lines"]] == [
        (visit, 1, "clinic", "1", "12.00", "0.00", None), (visit, 2, "pharmacy", "1", "13.00", "0.00", "药房")]


def test_what_looks_like_nothing(ledger, visit):
    """Another code, day, quantity or sign; no code; what takes back; what was taken back as a whole."""
    ledger.post(drug(visit, "a"), drug(visit, "code", code="A02"), drug(visit, "day", at=NOON + timedelta(days=1)), drug(visit, "quantity", quantity="1"),
                drug(visit, "none", code=None), drug(visit, "none2", code=None), drug(visit, "b"), drug(visit, "c", code="A03"), drug(visit, "d", code="A03"))
    ledger.post(adjustment(visit, "off", -100, code="A02", quantity="2"), reversal(visit, "b-", of="b"), reversal(visit, "c-", of="c", amount=600))
    ledger.close_now(visit)
    find(ledger)
    assert pairs(ledger, visit) == [["c", "d"]]


def test_many_of_a_kind_are_a_chain(ledger, visit):
    ledger.post(*(drug(visit, f"n{n}") for n in range(10)))
    ledger.close_now(visit)
    assert find(ledger)[1] >= 9
    assert pairs(ledger, visit) == [[f"n{n}", f"n{n + 1}"] for n in range(9)]


def test_another_visit_of_the_patient(ledger):
    one, two, stranger, gone = (fresh_number() for _ in range(4))
    patient = fresh_number("P")
    for visit in (one, two, gone):
        ledger.open(visit, patient_no=patient)
    ledger.open(stranger, patient_no=patient + "x")
    for visit in (one, two, stranger):
        ledger.post(drug(visit, f"of {visit}"))
    ledger.cancel(gone)
    ledger.close_now(one)
    find(ledger)
    assert pairs(ledger, one, two, stranger) == [[f"of {one}", f"of {two}"]], "though only one of them has a bill"
    ledger.close_now(two)
    ledger.close_now(stranger)
    find(ledger)
    assert pairs(ledger, one, two, stranger) == [[f"of {one}", f"of {two}"]], "once"


def test_a_late_line_is_looked_at_with_its_bill(ledger, visit):
    ledger.post(drug(visit, "a"))
    ledger.close_now(visit)
    find(ledger)
    assert ledger.post(drug(visit, "late")) == ["late"]
    ledger.close()
    find(ledger)
    assert pairs(ledger, visit) == [["a", "late"]]


def test_each_bill_once(fresh):
    for n in range(3):
        visit = fresh_number()
        fresh.post(drug(visit, "a"), drug(visit, "b"))
        fresh.close_now(visit)
    assert find(fresh, 2) == (2, 2)
    assert find(fresh) == (1, 1)
    assert find(fresh) == (0, 0)
    fresh.reopen(visit)
    fresh.post(charge(visit, "more", 1))
    fresh.close_now(visit)
    assert find(fresh) == (1, 0), "a bill that takes another's place has the same pairs"


def test_a_bill_that_cannot_be_looked_at(fresh_desk, fresh):
    """It holds up no other, and is tried again after a minute."""
    owner = fresh_desk.ledger("visitbill_owner")
    visits = [fresh_number() for _ in range(3)]
    for visit in visits:
        fresh.post(drug(visit, "a"), drug(visit, "b"))
        fresh.close_now(visit)
    bad = fresh.value("select visit_id from visit where visit_no = %s", visits[0])
    owner.ask("create function refuse_one() returns trigger language plpgsql as $$ begin raise 'not today'; end $$")
    owner.ask(f"create trigger refuse_one before insert on lookalike for each row when (new.visit_id = {bad}) execute function refuse_one()")
    assert fresh.row("select looked, pairs, failed from lookalikes_find(10)") == (3, 2, 1)
    assert fresh.row("select looked, pairs, failed from lookalikes_find(10)") == (0, 0, 0)
    owner.ask("drop trigger refuse_one on lookalike")
    owner.ask("update lookalike_due set failed_at = now() - interval '2 minutes'")
    assert fresh.row("select looked, pairs, failed from lookalikes_find(10)") == (1, 1, 0)
    assert pairs(fresh, visits[0]) == [["a", "b"]]


def test_a_person_dismisses_it(ledger, visit):
    ledger.post(drug(visit, "a"), drug(visit, "b"))
    ledger.close_now(visit)
    find(ledger)
    id = max(one["id"] for one in listed(ledger)["lookalikes"] if one["lines"][0]["visit_no"] == visit)
    assert dismiss(ledger, id, ["W01"]) == ("lookalike_unknown", None)
    outcome, doc = dismiss(ledger, id)
    assert (outcome, doc["by"], doc["why"]) == ("done", "desk 3", "two doses")
    assert pairs(ledger, visit) == [] and pairs(ledger, visit, state="all") == [["a", "b"]]
    one, = [one for one in listed(ledger, "all")["lookalikes"] if one["id"] == id]
    assert (one["state"], one["by"], one["why"]) == ("dismissed", "desk 3", "two doses") and one["at"]
    assert ledger.row("select * from lookalike_dismiss(%s, 'another', 'other', '{*}')", id)[0] == "repeated"
    assert dismiss(ledger, id)[1]["by"] == "desk 3", "the first word stays"
    assert dismiss(ledger, 10 ** 12)[0] == "lookalike_unknown"


def test_pages_and_scopes(fresh):
    here, there = fresh_number(), fresh_number()
    fresh.post(*(drug(here, f"n{n}") for n in range(6)), *(drug(there, f"n{n}", facility="P01", feed="ivf", amount=100) for n in range(4)))
    fresh.close_now(here)
    fresh.close_now(there, facility="P01", feed="ivf")
    assert find(fresh) == (2, 8)
    for state in ("waiting", "all"):
        seen, after = [], 0
        while after is not None:
            page = listed(fresh, state, limit=3, after=after)
            seen += [one["id"] for one in page["lookalikes"]]
            assert len(page["lookalikes"]) <= 3
            after = page["next"]
        assert seen == sorted(set(seen)) and len(seen) == 8
        assert {one["facility"] for one in listed(fresh, state, ["P01"])["lookalikes"]} == {"P01"} and len(listed(fresh, state, ["P01"])["lookalikes"]) == 3
        for scope in ([], ["nowhere"], ["p01"], ["*", "x"]):
            assert listed(fresh, state, scope) == {"lookalikes": [], "next": None}


def test_two_daemons_at_once(desk, visit):
    one, two = desk.ledger(), desk.ledger()
    other = fresh_number()
    for number in (visit, other):
        one.open(number, patient_no=f"P-{visit}")
        one.post(*(drug(number, f"{number}-{n}") for n in range(50)))
        one.close_now(number)
    at_once(lambda: find(one, 1000), lambda: find(two, 1000))
    find(one)
    assert len(pairs(one, visit, other)) == 99
    assert one.value("select count(*) from lookalike_due") == 0


@pytest.mark.parametrize("lines", [2_000])
def test_a_large_bill_is_linear(ledger, visit, lines):
    ledger.post(*(drug(visit, f"n{n}", 1, code=f"C{n % 500}") for n in range(lines)))
    ledger.close_now(visit)
    find(ledger)
    assert len(pairs(ledger, visit)) == lines - 500
