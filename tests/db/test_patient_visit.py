"""Lines that name their visit by the patient: the one open visit, of a class where one is said. None or several are for a person. What comes again goes where
it was booked, however that visit stands now, and never to the next one."""

import pytest

from .ledger import at_once, charge, fresh_number, reversal


@pytest.fixture(name="patient")
def _patient():
    return fresh_number("P")


def by_patient(ledger, *lines, of=None):
    return ledger.post(*lines, number_kind="patient" if of is None else f"patient/{of}")


def opened(ledger, patient, class_="outpatient"):
    visit = fresh_number()
    assert ledger.open(visit, patient_no=patient, class_=class_) == "done"
    return visit


def amounts(ledger, visit):
    return [line.amount for line in ledger.lines(visit) if line.feed != "visitbill"]


def test_the_one_open_visit(ledger, patient):
    visit = opened(ledger, patient)
    assert by_patient(ledger, charge(patient, "a", 100), charge(patient, "b", 5)) == ["posted", "posted"]
    assert by_patient(ledger, charge(patient, "a", 100)) == ["duplicate"]
    assert by_patient(ledger, charge(patient, "a", 101)) == ["conflict"]
    assert by_patient(ledger, reversal(patient, "c", of="a"), charge(patient, "d", 1)) == ["posted", "posted"]
    assert amounts(ledger, visit) == [100, 5, 1, -100] or amounts(ledger, visit) == [100, 5, -100, 1]
    assert ledger.ask("select 1 from visit where visit_no = %s", patient) == [], "no visit is opened under a patient's number"


def test_none_and_several(ledger, patient):
    lines = charge(patient, "a", 1), reversal(patient, "b", of="x")
    assert by_patient(ledger, *lines) == ["visit_unknown"] * 2
    first, second = opened(ledger, patient), opened(ledger, patient)
    assert by_patient(ledger, *lines) == ["visit_ambiguous"] * 2
    ledger.discharge(first)
    assert by_patient(ledger, charge(patient, "a", 1)) == ["posted"]
    assert (amounts(ledger, first), amounts(ledger, second)) == ([], [1])
    ledger.discharge(second)
    assert by_patient(ledger, charge(patient, "z", 1)) == ["visit_unknown"]


def test_of_a_class(ledger, patient):
    out, inside = opened(ledger, patient), opened(ledger, patient, "inpatient")
    assert by_patient(ledger, charge(patient, "a", 1), of="inpatient") == ["posted"]
    assert by_patient(ledger, charge(patient, "b", 2), of="outpatient") == ["posted"]
    assert by_patient(ledger, charge(patient, "c", 4), of="emergency") == ["visit_unknown"]
    assert (amounts(ledger, out), amounts(ledger, inside)) == ([2], [1])
    opened(ledger, patient)
    opened(ledger, patient)
    assert by_patient(ledger, charge(patient, "d", 4), of="outpatient") == ["visit_ambiguous"]


@pytest.mark.parametrize("kind, said, found", [
    ("patient", "inpatient", "inside"), ("patient", "outpatient", "out"), ("patient/inpatient", "inpatient", "inside"), ("patient", None, "visit_ambiguous"),
    ("patient/inpatient", "outpatient", "visit_unknown"), ("patient", "emergency", "visit_unknown"),
])
def test_the_class_that_a_message_says_counts_too(ledger, desk, patient, kind, said, found):
    names = {opened(ledger, patient): "out", opened(ledger, patient, "inpatient"): "inside"}
    number, refusal = desk.ledger("visitbill_owner").row(
        "select numbers[1], refusals[1] from visits_of_patients(%s, %s, %s, %s::text[], '{}', '{}', '{}', '{}', null)",
        [ledger.facilities["H01"]], [patient], [kind], [said])
    assert (names.get(number) or refusal) == found


def test_a_resend_goes_where_it_was_booked_and_not_to_the_next_visit(ledger, patient):
    first = opened(ledger, patient)
    assert by_patient(ledger, charge(patient, "a", 100), charge(patient, "b", 7)) == ["posted", "posted"]
    ledger.close_now(first)
    assert by_patient(ledger, charge(patient, "a", 100)) == ["duplicate"], "though no visit is open"
    second = opened(ledger, patient)
    assert by_patient(ledger, charge(patient, "a", 100)) == ["duplicate"]
    assert by_patient(ledger, charge(patient, "a", 100), charge(patient, "c", 9)) == ["duplicate", "late"], "what came with it is of the same visit"
    assert by_patient(ledger, charge(patient, "a", 101)) == ["posted"], "other content is a line of the visit of now: ids are a visit's own"
    assert by_patient(ledger, reversal(patient, "r", of="b")) == ["late"], "a credit goes to what it takes back"
    assert (amounts(ledger, first), amounts(ledger, second)) == ([100, 7, 9, -7], [101])


def test_another_feed_s_line_is_none_of_this_one_s(ledger, patient):
    first = opened(ledger, patient)
    assert by_patient(ledger, charge(patient, "a", 100, feed="pharmacy")) == ["posted"]
    ledger.close_now(first)
    second = opened(ledger, patient)
    assert by_patient(ledger, charge(patient, "a", 100, feed="clinic")) == ["posted"]
    assert amounts(ledger, second) == [100]


def test_patients_that_were_merged(ledger, patient):
    old = fresh_number("P")
    visit = opened(ledger, old)
    assert ledger.event("merge", None, patient_no=patient, other_patient=old) == "done"
    assert by_patient(ledger, charge(old, "a", 1)) == ["posted"] and by_patient(ledger, charge(patient, "b", 2)) == ["posted"]
    assert amounts(ledger, visit) == [1, 2]


def test_visits_that_were_merged(ledger, patient):
    first, second = opened(ledger, patient), opened(ledger, patient)
    ledger.post(charge(first, "a", 1))
    ledger.merge(first, into=second)
    assert by_patient(ledger, charge(patient, "b", 2)) == ["posted"]
    assert by_patient(ledger, charge(patient, "a", 1)) == ["duplicate"]
    assert amounts(ledger, second) == [1, 2]


def test_another_facility_s_visit_is_none(ledger, patient):
    ledger.open(fresh_number(), facility="W01", feed="lab", patient_no=patient)
    assert by_patient(ledger, charge(patient, "a", 1)) == ["visit_unknown"]


def test_beside_lines_that_say_their_visit(ledger, patient):
    """Two messages of one batch, and one of a visit by its number: the daemon gives each a visit of its own."""
    visit, other = opened(ledger, patient), fresh_number()
    types = ("int int int int text text uuid timestamptz bigint bigint bigint smallint text text text text text text text text").split()
    facility, feed = ledger.facilities["H01"], ledger.feeds["clinic"]
    rows = [[place, None, 1, feed, "CG", f"l{place}", "%032d" % place, "2026-01-15 12:00+08", None, None, place, 9, "x", *[None] * 6, "M"]
            for place in (1, 2, 3, 4)]
    columns = [list(column) for column in zip(*rows)]
    outcomes, numbers = ledger.row(
        "select outcomes, numbers from charges_post(%s, %s, %s::text[], %s::text[], %s::text[], '{}', '{}', '{}', "
        + ", ".join(f"%s::{type}[]" for type in types) + ", %s)",
        [facility] * 4, [patient, other, patient, fresh_number("P")], [None] * 4, [patient, None, patient, None], [None] * 4, *columns,
        ["patient", None, "patient/outpatient", "patient"])
    assert outcomes == ["posted", "posted", "posted", "visit_unknown"]
    assert numbers == f"{visit}\n\n{visit}\n\t0"
    assert (amounts(ledger, visit), amounts(ledger, other)) == ([1, 3], [2])


def test_patients_and_visits_in_any_order(ledger, desk, patient):
    """Each place of the answer is of the visit at that place, whoever else is asked for and however the lines lie."""
    other = fresh_number("P")
    first = opened(ledger, patient)
    assert by_patient(ledger, charge(patient, "a", 100)) == ["posted"]
    ledger.close_now(first)
    second, his = opened(ledger, patient), opened(ledger, other)
    digest, = ledger.row("select digest from charge join visit using (visit_id) where visit_no = %s", first)
    lines = [(5, "x"), (1, "a"), (3, "x"), (5, "a"), (4, "x"), (1, "x"), (2, "a")]
    numbers, opens = desk.ledger("visitbill_owner").row(
        "select numbers, opened from visits_of_patients(%s, %s, %s, %s::text[], %s, %s, %s, %s::uuid[], null)", [ledger.facilities["H01"]] * 5,
        [patient, other, patient, fresh_number("P"), patient], ["patient", "patient", None, "patient/inpatient", "patient"], [None] * 5,
        [visit for visit, _ in lines], [ledger.feeds["clinic"]] * len(lines), [source for _, source in lines],
        [digest if source == "a" else "%032d" % 0 for _, source in lines])
    assert numbers == [first, his, None, "", first] and opens == [None, 1, None, 0, None]
    assert second not in numbers


def test_which_visits_are_held(ledger, desk, patient):
    """Before a batch's events and lines: the patient's open visits, those under the number that his was merged into, too, and those that have such a line."""
    old, stranger = fresh_number("P"), fresh_number("P")
    assert ledger.event("merge", None, patient_no=patient, other_patient=old) == "done"
    past = [opened(ledger, patient) for _ in range(4)]
    for n, visit in enumerate(past):
        assert ledger.post(charge(visit, f"l{n}", 100)) == ["posted"]
        ledger.close_now(visit)
    into, gone = opened(ledger, stranger), opened(ledger, patient)
    assert ledger.post(charge(gone, "m", 7)) == ["posted"]
    ledger.merge(gone, into=into)
    now = [opened(ledger, patient), opened(ledger, patient, "inpatient")]
    opened(ledger, stranger)

    def held(patients, of, sources, reverses):
        digests = [ledger.value("select max(digest::text) from charge join visit using (visit_id) where source_line = %s and visit_no = any (%s)",
                                source, [*past, gone]) or "0" * 32 for source in sources]
        own = desk.ledger()
        own.ask("begin")
        own.ask("select visits_hold('{}', '{}', '{}', '{}', %s, %s, %s, %s, %s, %s::uuid[], %s)", [ledger.facilities["H01"]] * len(patients), patients, of,
                [ledger.feeds["clinic"]] * len(of), sources, digests, reverses)
        owner = desk.ledger("visitbill_owner")
        free = owner.ask("select visit_no from visit where visit_no = any (%s) for update skip locked", [*past, *now, into, gone])
        own.ask("rollback")
        return {*past, *now, into, gone} - {number for (number,) in free}

    assert held([old], [1], ["none"], [None]) == {*now}
    assert held([old], [1, 1], ["none", "l1"], [None, None]) == {*now, past[1]}
    assert held([patient, patient], [1, 2], ["l2", "none"], [None, "l3"]) == {*now, past[2], past[3]}
    assert held([patient], [1], ["m"], [None]) == {*now, into}, "its line is where its visit went"
    assert held([patient, old] * 10, [], [], []) == {*now}


def test_at_once(desk, ledger, patient):
    visit = opened(ledger, patient)
    own = [desk.ledger() for _ in range(4)]
    at_once(*[lambda mine=mine, n=n: [by_patient(mine, charge(patient, f"{n}-{k}", 1), charge(patient, f"same-{k}", 10)) for k in range(10)]
              for n, mine in enumerate(own)])
    assert (ledger.visit(visit).line_count, ledger.visit(visit).total) == (50, 140)
