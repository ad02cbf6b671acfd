"""All numbers of a visit find it: its own, its account's (PID-18), an alternate one (PV1-50); in whatever order they are told. And lines that merges moved
are known by the number that they were sent under."""

import json

import pytest

from .ledger import at_once, charge, fresh_number, reversal


def by_account(ledger, *lines):
    """Posts lines whose number is an account's."""
    return ledger.post(*lines, number_kind="account")


def lines_of(ledger, visit):
    return [(line.source_line, line.sent_as, line.amount) for line in ledger.lines(visit) if line.feed != "visitbill"]


@pytest.fixture(name="account")
def _account():
    return fresh_number("ACC")


def test_a_charge_by_the_account_number(ledger, visit, account):
    assert ledger.open(visit, account=account) == "done"
    assert by_account(ledger, charge(account, "a", 100)) == ["posted"]
    assert lines_of(ledger, visit) == [("a", "", 100)]
    assert ledger.ask("select 1 from visit where visit_no = %s", account) == []
    assert ledger.post(charge(visit, "a", 100)) == ["duplicate"], "it is one line, by whichever number"
    assert by_account(ledger, charge(account, "a", 100)) == ["duplicate"]
    assert by_account(ledger, charge(account, "b", 5), reversal(account, "c", of="a")) == ["posted", "posted"]
    doc = ledger.value("select doc::json from visit_doc('H01', %s, '{*}')", account)
    assert (doc["visit_no"], doc["numbers"]) == (visit, [{"kind": "account", "number": account}])


def test_the_charge_comes_first(ledger, visit, account):
    """It opens a visit under the account's number, which is found to be the visit's later."""
    assert by_account(ledger, charge(account, "a", 100), charge(account, "b", 7)) == ["posted", "posted"]
    assert ledger.open(visit, account=account) == "done"
    assert ledger.visit(account).state == "merged"
    assert lines_of(ledger, visit) == [("a", account, 100), ("b", account, 7)]
    assert by_account(ledger, charge(account, "a", 100)) == ["duplicate"]
    assert ledger.post(charge(visit, "a", 100)) == ["duplicate"]
    assert by_account(ledger, reversal(account, "c", of="a")) == ["posted"]
    assert (ledger.visit(visit).total, ledger.visit(account).total) == (7, 0)


def test_a_visit_number_that_reads_like_an_account_s(ledger, account):
    """The numbers of two counters may meet: what comes as a visit number is that visit's."""
    other, mine = account, fresh_number()
    ledger.open(other, patient_no="P-other")
    ledger.open(mine, account=account, patient_no="P-mine")
    assert ledger.post(charge(other, "a", 1, patient_no="P-other")) == ["posted"]
    assert by_account(ledger, charge(account, "b", 2, patient_no="P-mine"), charge(account, "c", 4, patient_no="P-mine")) == ["posted", "posted"]
    assert ([line[2] for line in lines_of(ledger, other)], [line[2] for line in lines_of(ledger, mine)]) == ([1], [2, 4])


def test_a_visit_number_is_no_account_s(ledger, account):
    """A visit is told of whose number is another patient's account: it is a visit of its own, whatever comes first. Of the same patient, the number finds."""
    mine = fresh_number()
    ledger.open(mine, account=account, patient_no="P-mine", patient_name="王芳")
    assert ledger.post(charge(account, "a", 1, patient_no="P-mine")) == ["posted"]
    assert ledger.visit(mine).total == 1
    assert ledger.event("discharge", account, patient_no="P-other") == "done"
    assert ledger.visit(mine).state == "open"
    other = fresh_number("ACC")
    ledger.event("update", mine, account=other, patient_no="P-mine")
    assert ledger.open(other, patient_no="P-other", patient_name="李雷") == "done"
    assert (ledger.visit(mine).patient_name, ledger.visit(other).patient_name) == ("王芳", "李雷")
    assert ledger.post(charge(other, "b", 2, patient_no="P-other"), charge(other, "c", 4)) == ["posted", "posted"]
    assert (ledger.visit(mine).total, ledger.visit(other).total) == (1, 6)


def test_a_discharge_by_the_account_that_comes_first(ledger, visit, account):
    by_account(ledger, charge(account, "a", 100))
    assert ledger.event("discharge", account, number_kind="account") == "done"
    assert ledger.open(visit, account=account, message="M2") == "done"
    assert ledger.visit(visit).state == "discharged"
    ledger.close()
    assert [bill.total for bill in ledger.bills(visit)] == [100]


def test_what_was_paid_stays(ledger, visit, account):
    """Money came under the account before the visit was known: nothing is moved, and a person is told."""
    by_account(ledger, charge(account, "a", 100))
    assert ledger.event("payment", account, number_kind="account", source_line="p", amount=40, digest="0" * 32) == "posted"
    assert ledger.open(visit, account=account) == "done"
    assert (ledger.visit(account).state, ledger.visit(visit).disputed) == ("open", True)
    assert by_account(ledger, charge(account, "b", 1)) == ["posted"]
    assert ledger.visit(account).total == 101


def test_the_same_id_with_other_content_is_a_conflict(ledger, visit, account):
    by_account(ledger, charge(account, "a", 100))
    ledger.open(visit, account=account)
    assert by_account(ledger, charge(account, "a", 7)) == ["conflict"]


def test_a_discharge_by_the_account_of_visits_that_became_one(ledger, account):
    first, second = fresh_number(), fresh_number()
    for visit in (first, second):
        ledger.open(visit, account=account, patient_no="P1")
    ledger.merge(first, into=second)
    assert ledger.event("discharge", account, number_kind="account", message="M5") == "done"
    assert ledger.visit(second).state == "discharged"


def test_an_account_of_two_visits_finds_none(ledger, account):
    first, second = fresh_number(), fresh_number()
    ledger.open(first, account=account, patient_no="P1")
    ledger.open(second, account=account, patient_no="P1")
    assert by_account(ledger, charge(account, "a", 1), reversal(account, "b", of="x"), charge(first, "c", 1)) == ["visit_ambiguous", "visit_ambiguous", "posted"]
    assert ledger.event("discharge", account, number_kind="account") == "visit_ambiguous"
    assert ledger.merge(first, into=second) == "done"
    assert by_account(ledger, charge(account, "a", 1)) == ["posted"], "they are one now"


def test_events_by_the_account_number(ledger, visit, account):
    ledger.open(visit, account=account)
    ledger.post(charge(visit, "a", 100))
    assert ledger.event("discharge", account, number_kind="account") == "done"
    assert ledger.visit(visit).state == "discharged"
    assert ledger.event("reopen", account, number_kind="account", message="M2") == "done"
    assert ledger.event("payment", account, number_kind="account", source_line="p", amount=40, digest="0" * 32) == "posted"
    assert ledger.credit_of(visit) == 40


def test_an_alternate_number_told_by_an_update(ledger, visit):
    alternate = fresh_number("ALT")
    ledger.open(visit)
    assert ledger.event("update", visit, alternate=alternate) == "done"
    assert ledger.post(charge(alternate, "a", 1), number_kind="alternate") == ["posted"]
    assert [line[2] for line in lines_of(ledger, visit)] == [1]


def test_both_at_once(desk, ledger):
    """A charge by the account and the admission that tells of it, at the same moment: one visit in the end, and no line lost."""
    own = [desk.ledger() for _ in range(4)]
    for _ in range(15):
        visit, account = fresh_number(), fresh_number("ACC")

        def admit(visit=visit, account=account):
            assert own[0].open(visit, account=account) == "done"

        def post(k, account=account):
            assert by_account(own[k], charge(account, f"l{k}", 10)) == ["posted"]

        at_once(admit, *[lambda k=k: post(k) for k in (1, 2, 3)])
        assert ledger.visit(visit).total == 30
        assert sorted(line[0] for line in lines_of(ledger, visit)) == ["l1", "l2", "l3"]


# ---- merges one after the other

def chain(ledger, *lines):
    """x into y into z; the lines were sent under x."""
    x, y, z = fresh_number("X"), fresh_number("Y"), fresh_number("Z")
    ledger.post(*[charge(x, id, amount) for id, amount in lines])
    ledger.open(y), ledger.open(z)
    assert ledger.merge(x, into=y) == "done"
    return x, y, z


def test_a_resend_under_any_number_of_the_chain(ledger):
    x, y, z = chain(ledger, ("a", 100))
    assert ledger.post(charge(y, "a", 100)) == ["duplicate"]
    assert ledger.merge(y, into=z) == "done"
    for number in (x, y, z):
        assert ledger.post(charge(number, "a", 100)) == ["duplicate"], number
    assert lines_of(ledger, z) == [("a", x, 100)]


def test_a_reversal_under_any_number_of_the_chain(ledger):
    for which in range(3):
        numbers = chain(ledger, ("a", 100))
        ledger.merge(numbers[1], into=numbers[2])
        assert ledger.post(reversal(numbers[which], "r", of="a")) == ["posted"]
        assert ledger.visit(numbers[2]).total == 0
        assert ledger.post(reversal(numbers[which], "r", of="a")) == ["duplicate"]


def test_two_lines_that_could_be_meant(ledger):
    """Each of the merged visits had a line of this id: a reversal under the survivor's number takes back neither."""
    x, y, z = fresh_number("X"), fresh_number("Y"), fresh_number("Z")
    ledger.post(charge(x, "a", 100), charge(y, "a", 70))
    ledger.open(z)
    ledger.merge(x, into=z), ledger.merge(y, into=z)
    assert ledger.post(reversal(z, "r", of="a")) == ["held"]
    assert ledger.post(reversal(y, "r", of="a")) == ["posted"]
    assert ledger.visit(z).total == 100


def test_a_held_reversal_finds_what_a_merge_brings(ledger):
    """Under the survivor's number it named a line of the visit that is merged into it afterwards."""
    y, z = fresh_number("Y"), fresh_number("Z")
    ledger.post(charge(y, "a", 100))
    ledger.open(z)
    assert ledger.post(reversal(z, "r", of="a")) == ["held"]
    (entry,) = ledger.value("select quarantine_put(%s, 'hl7', 'test', %s, array[1], array['original_unknown'], array['d'], array[null::text],"
                            " array['H01'], array[%s], array['r'], array['a'], 1)", ledger.feeds["clinic"], z.encode(), z)
    ready = "select quarantine_id from quarantine_ready(1000) where quarantine_id = %s"
    assert ledger.ask(ready, entry) == []
    ledger.merge(y, into=z)
    assert ledger.ask(ready, entry) == [(entry,)]
    assert ledger.post(reversal(z, "r", of="a")) == ["posted"]
    assert ledger.value("select quarantine_resolve(%s, 'posted', 'test', '{*}')", entry) == "done"      # others share the database


def test_numbers_with_an_at_sign(ledger):
    """A visit's own number, or a line's id, may hold any sign."""
    tail = fresh_number()
    x, y = f"x@{tail}", tail
    ledger.post(charge(x, "a", 100), charge(y, f"a@{x}", 5))
    assert ledger.merge(x, into=y) == "done"
    assert sorted(lines_of(ledger, y)) == [("a", x, 100), (f"a@{x}", "", 5)]
    assert ledger.post(charge(x, "a", 100), charge(y, f"a@{x}", 5)) == ["duplicate", "duplicate"]


def test_the_same_id_moves_twice(ledger):
    """From x and from w into y, then on into z: both lines are there, each taken back on y."""
    w, x, y, z = (fresh_number(letter) for letter in "WXYZ")
    ledger.post(charge(w, "a", 1), charge(x, "a", 2), charge(y, "a", 4))
    ledger.open(z)
    for loser, into in ((w, y), (x, y), (y, z)):
        assert ledger.merge(loser, into=into) == "done"
    assert sorted(lines_of(ledger, z)) == [("a", w, 1), ("a", x, 2), ("a", y, 4)]
    assert (ledger.visit(y).total, ledger.visit(z).total) == (0, 7)
    assert json.loads(ledger.value("select doc from visit_doc('H01', %s, '{*}')", y))["merged_into"] == z
