"""The audit recomputes the invariants from the rows alone: whatever is tampered with, it says so; whatever is not, it says nothing."""

import pytest

from .conftest import Desk, prepare
from .ledger import charge, fresh_number, reversal
from .test_bills_random import yuan
from .test_quarantine import put, resolve

TAMPERED = {
    "a line's amount": ("update charge set amount = amount + 1 where kind = 'CG' and visit_id = {billed}",
                        ["a visit's total and line count are those of its lines", "a bill is the sum of its lines, category by category"]),
    "a line's category": ("update charge set category = 13 where source_line = 'b' and visit_id = {billed}",
                          ["a bill is the sum of its lines, category by category"]),
    "a line is gone": ("delete from charge where source_line = 'b' and visit_id = {billed}",
                       ["a visit's total and line count are those of its lines", "lines counted as booked are the lines stored"]),
    "a line number": ("update charge set line_no = 7 where source_line = 'b' and visit_id = {open}", ["a visit's total and line count are those of its lines"]),
    "a visit is gone": ("update charge set visit_id = 999999 where visit_id = {open}", ["a visit's total and line count are those of its lines"]),
    "a reversal's amount": ("update charge set amount = -101 where kind = 'CD' and visit_id = {billed}", ["no line is taken back by more than it has"]),
    "a reversal's quantity": ("update charge set quantity_e4 = 10001 where kind = 'CD' and visit_id = {billed}", ["no line is taken back by more than it has"]),
    "a reversal's original": ("update charge set reverses_line = 'x' where kind = 'CD' and visit_id = {billed}", ["a reversal has its original"]),
    "a running total": ("update visit set total = total + 1 where visit_id = {open}", ["a visit's total and line count are those of its lines"]),
    "what is billed": ("update visit set state = 'settled', late_since = null where visit_id = {open}",
                       ["every line of a closed visit is on exactly one bill, or waits for its supplementary one"]),
    "a line on two bills": ("with twice as (insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, generation, first_line, last_line, total,"
                            " subtotals, personal_cash, due_at) select 'twice', facility_id, visit_id, 9, 'twice', kind, 9, first_line, last_line, total, subtotals,"
                            " personal_cash, due_at from bill where visit_id = {billed} returning *)"
                            " insert into bill_state (bill_id, visit_id, state, total) select bill_id, visit_id, 'open', total from twice",
                            ["every line of a closed visit is on exactly one bill, or waits for its supplementary one"]),
    "a visit's state": ("update visit set state = 'settled' where visit_id = {billed}",
                        ["a visit is settled when nothing is owed on it, billed when something is"]),
    "a bill's total": ("update bill set total = total + 1, personal_cash = personal_cash + 1, subtotals[1] = subtotals[1] + 1 where visit_id = {billed}",
                       ["a bill is the sum of its lines, category by category", "revenue in the journal is what bills say, category by category"]),
    "a void note": ("update bill set total = total - 1, personal_cash = personal_cash - 1, subtotals[1] = subtotals[1] - 1 where kind = 'void_note'",
                    ["a void note is the opposite of its bill"]),
    "a void without a note": ("update bill_state set state = 'void' where visit_id = {billed}", ["receivable in the journal is what bills are owed"]),
    "what is paid": ("update bill_state set paid = paid + 1 where visit_id = {billed}", ["what a bill says is paid and credited is what was applied to it"]),
    "what is owed": ("update bill_state set total = total + 1 where visit_id = {billed}",
                     ["receivable in the journal is what bills are owed", "a payment captured what it asked for, and a bill's state has its total"]),
    "what is reserved": ("update bill_state set live = live + 1 where visit_id = {billed}", ["live attempts are what bills reserve"]),
    "an application": ("update application set amount = amount + 1 where visit_id = {paid}",
                       ["what a bill says is paid and credited is what was applied to it", "no capture is applied by more than it is"]),
    "a capture": ("update capture set amount = amount + 1 where visit_id = {paid}",
                  ["captured = applied + credit", "every capture of ours has a receipt of its amount", "each channel's account is what it captured"]),
    "a capture's channel": ("update capture set channel = 'wechatpay' where visit_id = {paid}", ["each channel's account is what it captured"]),
    "a capture without receipt": ("delete from receipt where visit_id = {paid}", ["every capture of ours has a receipt of its amount"]),
    "a gap in the receipts": ("update receipt set number = number + 1 where visit_id = {paid}", ["receipt numbers have no gap"]),
    "a success without money": ("update payment set state = 'succeeded' where visit_id = {billed}", ["a payment that succeeded has a capture, and only such"]),
    "money without success": ("update payment set state = 'closed' where visit_id = {paid}", ["a payment that succeeded has a capture, and only such"]),
    "revenue": ("update journal set accounts[2] = 'revenue:12' where visit_id = {billed}", ["revenue in the journal is what bills say, category by category"]),
    "an entry is gone": ("delete from journal where visit_id = {billed}",
                         ["receivable in the journal is what bills are owed", "revenue in the journal is what bills say, category by category"]),
    "an account": ("update journal set accounts[1] = 'nonsense' where visit_id = {paid}", ["every journal entry balances and names real accounts"]),
    "a tally": ("update intake_tally set booked = booked + 1 where ctid = (select min(ctid) from intake_tally)",
                ["lines counted as booked are the lines stored"]),
    "a line's quantity": ("update charge set quantity_e4 = 30000 where source_line = 'b' and visit_id = {billed}", ["a line's amount is its quantity times its price"]),
    "a line's price": ("update charge set unit_price_e6 = unit_price_e6 * 2 where source_line = 'b' and visit_id = {open}",
                       ["a line's amount is its quantity times its price"]),
    "a reversal's category": ("update charge set category = 2 where kind = 'CD' and visit_id = {open}", ["a reversal has the category and the price of its original"]),
    "a charge for an adjustment": ("update charge set kind = 'CG', reverses_line = null, amount = 30 where kind = 'CD' and visit_id = {open}",
                                   ["a visit's total and line count are those of its lines"]),
    "a visit set back to open": ("update visit set state = 'open' where visit_id = {paid}", ["a visit is in the state that its events lead to"]),
    "a visit's discharge": ("update visit set state = 'discharged' where visit_id = {open}", ["a visit is in the state that its events lead to"]),
    "an event is gone": ("delete from event where visit_id = {billed} and to_state = 'discharged'", ["a visit is in the state that its events lead to"]),
    "the last event": ("delete from event where visit_id = {billed} and to_state = 'billed'", ["a visit is in the state that its events lead to"]),
    "an event's state": ("update event set to_state = 'cancelled' where visit_id = {paid} and to_state = 'discharged'", ["a visit is in the state that its events lead to"]),
    "where a visit went": ("update visit set merged_into = {billed} where visit_id = {from}", ["a merged visit is empty, and where its event and the other visit's say"]),
    "a merged visit's number": ("update visit set visit_no = 'X' where visit_id = {from}", ["a merged visit is empty, and where its event and the other visit's say"]),
    "a survivor's number": ("update visit set visit_no = 'X' where visit_id = {into}", ["a merged visit is empty, and where its event and the other visit's say"]),
    "a merge's event": ("delete from event where visit_id = {into} and kind = 'visit_merge'", ["a merged visit is empty, and where its event and the other visit's say"]),
    "a billed visit's number": ("update visit set visit_no = 'X' where visit_id = {billed}", ["a bill bears its visit's number, and its issue is an event"]),
    "an issue's event": ("delete from event where visit_id = {billed} and kind = 'bill'", ["a bill bears its visit's number, and its issue is an event"]),
    "an entry of quarantine": ("delete from quarantine where quarantine_id = {waiting}", ["lines counted as parked are the rows of quarantine",
                               "what is in quarantine has its message, and waits or is resolved"]),
    "an entry without trace": ("with q as (delete from quarantine where quarantine_id = {waiting}) delete from quarantine_waiting where quarantine_id = {waiting}",
                               ["lines counted as parked are the rows of quarantine", "what is kept as counted is what is there"]),
    "a message of quarantine": ("delete from quarantine_message", ["what is in quarantine has its message, and waits or is resolved"]),
    "an entry that nobody sees": ("delete from quarantine_waiting where quarantine_id = {waiting}",
                                  ["what is in quarantine has its message, and waits or is resolved", "what is kept as counted is what is there"]),
    "an entry's resolution": ("delete from quarantine_resolution where quarantine_id = {resolved}", ["what is in quarantine has its message, and waits or is resolved"]),
    "an entry marked as booked": ("insert into quarantine_resolution values ({waiting}, now(), 'posted', 'x')",
                                  ["what was booked from quarantine is booked", "what is in quarantine has its message, and waits or is resolved"]),
    "a line that was booked from quarantine": ("update charge set source_line = 'z' where source_line = 'q' and visit_id = {open}", ["what was booked from quarantine is booked"]),
    "a count": ("update kept_count set n = n + 1 where kind = 'visit'", ["what is kept as counted is what is there"]),
    "a watermark": ("update feed_watermark set mark = now() + interval '1 h'", ["no watermark is ahead of its time"]),
    "when it was seen": ("update feed_watermark set seen_at = now() + interval '1 h'", ["no watermark is ahead of its time"]),
    "an item's facility": ("update item set facility_id = 999", ["every item has a facility, a category and a price"]),
    "a file's sums": ("insert into archive (relation, first_id, last_id, row_count, amount, subtotals, transfers, sha256, file, archived_by) values"
                      " ('charge', {open}, {open}, 3, 89, '{{89,0,0,0,0,0,0,0,0,0,0,0,0,0}}', 0, sha256(''), 'f', 'x')",
                      ["the visits of archived lines have the totals and counts of their file",
                       "the bills of archived lines have the sums of their file, category by category", "what is archived is not here as well"]),
}


@pytest.fixture(scope="module", name="scene")
def _scene(cluster):
    """A small day in a database of its own, and its owner without the triggers that would stop a hand."""
    name = cluster.copy()
    prepare(cluster, name)
    desk = Desk(cluster, name)
    ledger, visits = desk.ledger(), {kind: fresh_number() for kind in ("open", "billed", "paid", "void", "from", "into")}
    for visit in visits.values():
        ledger.post(charge(visit, "a", 100, category=1), charge(visit, "b", 20, category=9), reversal(visit, "c", of="a", amount=30))
    for kind in ("billed", "paid", "void"):
        ledger.close_now(visits[kind])
    ledger.pay_cash(ledger.bills(visits["paid"])[0])
    ledger.pay(ledger.bills(visits["billed"])[0], 10)
    ledger.reopen(visits["void"])
    ledger.merge(visits["from"], into=visits["into"])
    ledger.pay_elsewhere(visits["into"], "p", 5)
    waiting, resolved = (put(ledger, line.encode(), (1, "price_unknown", visits["open"], line))[0] for line in ("w", "q"))
    ledger.post(charge(visits["open"], "q", 7))
    resolve(ledger, resolved, "posted")
    resolve(ledger, put(ledger, b"elsewhere", (1, "price_unknown", visits["into"], "p"))[0], "posted")
    resolve(ledger, put(ledger, b"moved", (1, "price_unknown", visits["from"], "a"))[0], "posted")
    ledger.mark(clinic="2026-01-15")
    ledger.ask("""select items_import('H01', '[{"code": "A", "valid_from": "2026-01-01", "name": "a", "category": 1, "self_pay_e4": 0, "unit_price_e6": 1}]')""")
    ledger.ask("select beat()")
    assert ledger.audit() == []
    owner = desk.ledger("postgres")
    owner.ask("set session_replication_role = replica")      # triggers and foreign keys look away
    owner.connection.autocommit = False
    yield owner, {kind: ledger.visit(visit).visit_id for kind, visit in visits.items()} | {"waiting": waiting, "resolved": resolved}
    desk.close()


TOTALS = {"receivable in the journal is what bills are owed", "revenue in the journal is what bills say, category by category", "captured = applied + credit",
          "each channel's account is what it captured", "receipt numbers have no gap", "lines counted as booked are the lines stored",
          "the visits of archived lines have the totals and counts of their file", "what is archived is not here as well",
          "the bills of archived lines have the sums of their file, category by category", "lines counted as parked are the rows of quarantine",
          "what is in quarantine has its message, and waits or is resolved", "what was booked from quarantine is booked", "what is kept as counted is what is there",
          "no watermark is ahead of its time", "every item has a facility, a category and a price"}
BOOKS = {"receivable in the journal is what bills are owed", "revenue in the journal is what bills say, category by category", "captured = applied + credit",
         "each channel's account is what it captured"}


def slices(owner, size):
    """The audit as visitbillctl makes it: so many visits at a time, then what holds for all of them; added up."""
    found, after = {}, None
    while True:
        rows = owner.ask("select visit_id from visit where visit_id > %s order by visit_id offset %s limit 1", after or 0, size - 1)
        last = rows[0][0] if rows else None
        for name, broken, unexplained in owner.ask("select * from audit_visits(%s, %s)", after and after + 1, last):
            so_far = found.get(name, (0, 0))
            found[name] = (so_far[0] + broken, so_far[1] + unexplained)
        if last is None:
            break
        after = last
    totals = {name: (broken, unexplained) for name, broken, unexplained in owner.ask("select * from audit_totals()")}
    assert set(totals) == TOTALS and not set(totals) & set(found)
    return found | totals


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_found(scene, what):
    """Whatever the slices are; and the books, which do not look at rows, tell what their own figures show."""
    owner, ids = scene
    sql, expected = TAMPERED[what]
    try:
        owner.ask(sql.format(**ids))
        with owner.connection.cursor() as cursor:
            assert cursor.rowcount != 0
        whole = {name: (broken, unexplained) for name, broken, unexplained in owner.ask("select * from audit()")}
        assert {name for name, figures in whole.items() if figures != (0, 0)} >= set(expected)
        for size in (1, 2, 4, 100):
            assert slices(owner, size) == whole, size
        books, accounts = owner.books(), [whole[name] for name in BOOKS]
        assert (books["broken"], books["unexplained"]) == (sum(broken for broken, _ in accounts), yuan(sum(fen for _, fen in accounts)))
    finally:
        owner.connection.rollback()


def test_every_invariant_can_be_found_broken(scene):
    """The list above leaves none of them out."""
    owner, _ = scene
    assert {row[0] for row in owner.ask("select invariant from audit()")} == {name for _, names in TAMPERED.values() for name in names}
    owner.connection.rollback()


def test_books_tell_when_debits_are_not_credits(scene):
    owner, ids = scene
    owner.ask("alter table journal drop constraint journal_amounts_check")
    owner.ask("update journal set amounts[1] = amounts[1] + 12345 where visit_id = %s and accounts[1] = 'cash'", ids["paid"])
    books = owner.books()
    assert (books["unexplained"], books["broken"]) == ("246.90", 2), "by the trial balance, and by the account"
    owner.connection.rollback()
    assert owner.books()["unexplained"] == "0.00"
    owner.connection.rollback()
