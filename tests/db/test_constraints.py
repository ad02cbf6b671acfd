"""What the tables themselves refuse, whoever writes: a head row that makes no sense, a bill that is paid or reserved beyond what it is. Each is tried as the
owner, straight at the table, on a bill over 1000 of which 300 are paid and 200 reserved; the same statement with a sane value is taken."""

import pytest
from psycopg2 import IntegrityError

from .ledger import charge, fresh_number

BILL, VISIT, PAYMENT, JOURNAL = "update bill_state set {} where visit_id = %(visit)s", "update visit set {} where visit_id = %(visit)s", \
    "update payment set {} where visit_id = %(visit)s", "insert into journal (visit_id, kind, accounts, amounts) values (%(visit)s, {})"
SANE = {
    BILL: ["paid = 800", "live = 700", "credited = 500", "live = 0", "paid = 1000, live = 0, state = 'settled'", "state = 'void'",
           "total = -5, credited = -3, paid = 0, live = 0", "total = -5, credited = 0, paid = 0, live = 0"],
    VISIT: ["state = 'discharged'", "class = 'emergency'", "billed_line = 0", "state = 'merged', merged_into = visit_id"],
    PAYMENT: ["state = 'unknown'", "amount = 1"],
    JOURNAL: ["'capture', array['cash', 'receivable'], array[5, -5]"],
}
ABSURD = {
    BILL: ["paid = 801", "live = 701", "credited = 501", "paid = -1", "live = -1", "credited = -1", "state = 'settled'", "state = 'paid'", "state = null",
           "paid = null", "total = 499", "total = -5", "total = -5, paid = 0, live = 0, credited = 1", "total = -5, paid = 0, live = 0, credited = -6",
           "total = -5, paid = 1, live = 0, credited = -3", "total = -5, paid = 0, live = 1, credited = -3",
           "total = -5, paid = 0, live = 0, credited = -3, state = 'settled'"],
    VISIT: ["state = 'closed'", "state = null", "class = 'day'", "class = ''", "visit_no = ''", "billed_line = line_count + 1", "state = 'merged'", "merged_into = visit_id"],
    PAYMENT: ["state = 'paid'", "state = ''", "amount = 0", "amount = -1"],
    JOURNAL: ["'gift', array['cash', 'receivable'], array[5, -5]", "'capture', array['cash', 'receivable'], array[5, -4]",
              "'capture', array['cash'], array[0]", "'capture', array['cash', 'receivable'], array[5, -5, 0]", "'capture', array['cash', null], array[5, -5]",
              "'capture', array['cash', 'receivable'], array[5, null]"],
}


def cases(which):
    return [pytest.param(table.format(change), id=change) for table, changes in which.items() for change in changes]


@pytest.fixture(name="row", scope="module")
def _row(shared):
    visit = fresh_number()
    shared.post(charge(visit, "a", 1000))
    (bill,) = shared.close_now(visit)
    shared.pay_cash(bill, 300)
    assert shared.pay(bill, 200).outcome == "done"
    return {"visit": bill.visit_id}


@pytest.fixture(name="owner")
def _owner(desk):
    """In a transaction that is taken back."""
    owner = desk.ledger("visitbill_owner")
    owner.connection.autocommit = False
    yield owner.connection.cursor()
    owner.connection.rollback()


@pytest.mark.parametrize("statement", cases(ABSURD))
def test_refused(owner, row, statement):
    with pytest.raises(IntegrityError) as refused:
        owner.execute(statement, row)
    assert refused.value.pgcode == ("23502" if "= null" in statement else "23514")    # not null, check


@pytest.mark.parametrize("statement", cases(SANE))
def test_taken(owner, row, statement):
    owner.execute(statement, row)
    assert owner.rowcount >= 1
