"""Speed, with bounds so wide that only a bad plan or a quadratic loop meets them: a sequential scan that grows with the tables, a plan made
when they were empty and kept, a turn for every reversal."""

import time
from datetime import timedelta

import pytest

from .ledger import NOON, Event, charge, fresh_number, reversal


def seconds(call, *args):
    start = time.perf_counter()
    result = call(*args)
    return time.perf_counter() - start, result


def lines_over(visits, count):
    return [charge(visits[n % len(visits)], fresh_number("l"), 100 + n, quantity="2", code="X", price=None) for n in range(count)]


def test_a_thousand_lines_over_two_hundred_visits(fresh):
    visits = [fresh_number() for _ in range(200)]
    took, outcomes = seconds(fresh.post, *lines_over(visits, 1000))
    assert set(outcomes) == {"posted"} and took < 2


@pytest.mark.parametrize("judged", [False, True], ids=["plain", "judged"])
def test_ten_times_the_lines_take_about_ten_times_as_long(fresh, judged):
    """Judged one by one where a line of the batch is known already."""
    visits = [fresh_number() for _ in range(100)]

    def batch(count):
        lines = lines_over(visits, count)
        if judged:
            fresh.post(lines[0])
        took, outcomes = seconds(fresh.post, *lines)
        assert sorted(outcomes)[0] == ("duplicate" if judged else "posted")
        return took

    batch(500)
    few, many = min(batch(500) for _ in range(4)), min(batch(5000) for _ in range(2))
    for _ in range(4):      # a neighbour on the machine may have had the time of these two; what is quadratic takes a hundred times as long each time
        if many / few < 30:
            break
        many = min(many, batch(5000))
    assert many / few < 30


def test_reversals_by_the_thousand(fresh, visit):
    charges = lines_over([visit], 2000)
    back = [reversal(visit, "r" + line.id, of=line.id) for line in charges]
    fresh.post(*charges[:1000])
    took, outcomes = seconds(fresh.post, *charges[1000:], *back)
    assert set(outcomes) == {"posted"} and outcomes.totals == {visit: 0} and took < 5


def test_many_reversals_of_one_line(fresh, visit):
    fresh.post(charge(visit, "a", 100_000, quantity="500"))
    took, outcomes = seconds(fresh.post, *[reversal(visit, f"r{n}", of="a", quantity="1") for n in range(500)])
    assert set(outcomes) == {"posted"} and outcomes.totals == {visit: 0} and took < 5


def rows_read(ledger, call, *args):
    """How many rows of all tables a call looks at: what a plan costs, whatever else the machine does."""
    def count():
        ledger.ask("select pg_stat_force_next_flush()")
        return ledger.value("select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_user_tables")

    before = count()
    result = call(*args)
    return count() - before, result


def test_messages_of_one_patient(fresh):
    """A thousand of a line each, as a machine sends them that knows no visits, and a hundred: his visits are read once, and each line is looked for once."""
    fresh.ask(DAEMON)
    for n in range(4):
        fresh.open(fresh_number(), patient_no="PM", class_="inpatient" if n == 0 else "outpatient")

    def batch(count):
        lines = [charge("PM", fresh_number("l"), 100) for _ in range(count)]
        (took, outcomes) = seconds(lambda: fresh.post(*lines, number_kind="patient/inpatient", message_each=True))
        assert set(outcomes) == {"posted"}
        return took

    def read(count):
        return rows_read(fresh, batch, count)[0]

    batch(10)
    assert read(1000) < 20 * read(100)
    few, many = min(batch(100) for _ in range(4)), batch(1000)
    for _ in range(4):      # as above
        if many / few < 30:
            break
        many = min(many, batch(1000))
    assert many / few < 30


def test_a_plan_made_on_empty_tables_does_not_slow_down_as_they_fill(fresh_desk, fresh):
    """No statistics come meanwhile: autovacuum is held off, and the connection keeps its plans, as a lane does."""
    owner = fresh_desk.ledger("visitbill_owner")
    owner.ask("alter table visit set (autovacuum_enabled = off)")
    for (name,) in owner.ask("select inhrelid::regclass::text from pg_inherits where inhparent = 'charge'::regclass"):
        owner.ask(f"alter table {name} set (autovacuum_enabled = off)")

    def round():
        visits = [fresh_number() for _ in range(200)]
        lines = lines_over(visits, 400)
        posted, outcomes = rows_read(fresh, fresh.post, *lines)
        judged, again = rows_read(fresh, fresh.post, *lines)
        back, reversed = rows_read(fresh, fresh.post, *[reversal(line.visit, "r" + line.id, of=line.id) for line in lines[:200]])
        assert (set(outcomes), set(again), set(reversed)) == ({"posted"}, {"duplicate"}, {"posted"})
        return posted, judged, back

    rounds = [round() for _ in range(10)]
    for early, late in zip(rounds[1], rounds[-1]):
        assert late < 1.5 * early + 1000


def test_payments_read_the_same_as_tables_fill(fresh_desk, fresh):
    """As above, with the settings of the daemon's connections: every step of a payment looks its rows up by key, whenever its plan was made."""
    owner = fresh_desk.ledger("visitbill_owner")
    for table in ("visit", "bill", "bill_state", "payment", "capture", "receipt"):
        owner.ask(f"alter table {table} set (autovacuum_enabled = off)")
    fresh.ask("set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off")

    def round(third):
        visits = [fresh_number() for _ in range(3 * third)]
        fresh.post(*[charge(visit, "a", 100) for visit in visits])
        fresh.events(*[Event("discharge", visit) for visit in visits])
        closing, _ = rows_read(fresh, fresh.close)
        bills = [fresh.bills(visit)[0] for visit in visits]
        creating, payments = rows_read(fresh, lambda: [fresh.pay(bill, 60) for bill in bills])
        pending, _ = rows_read(fresh, lambda: [fresh.pending(payment) for payment in payments])
        ending, _ = rows_read(fresh, lambda: [fresh.end(payment) for payment in payments[2 * third:]])
        alone, _ = rows_read(fresh, lambda: [fresh.capture(payment.order, 60) for payment in payments[:third]])
        together, outcomes = rows_read(fresh, fresh.captures, *[(payment.order, 60, fresh_number("tx")) for payment in payments[third:2 * third]])
        late, _ = rows_read(fresh, lambda: [fresh.capture(payment.order, 60) for payment in payments[2 * third:]])
        cash, _ = rows_read(fresh, lambda: [fresh.pay_cash(bill, 40) for bill in bills])
        assert outcomes == ["done"] * third and {fresh.visit(visit).state for visit in visits} == {"settled"}
        return closing, creating, pending, ending, alone, together, late, cash

    round(1)        # makes the plans
    rounds = [round(20) for _ in range(8)]
    for early, late in zip(rounds[0], rounds[-1]):
        assert late < 1.5 * early + 200, rounds


DAEMON = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off"
SCOPES = (["*"], ["H01"], ["W01", "H01"], ["W01"])


def without_statistics(owner, *tables):
    for table in tables:
        owner.ask(f"alter table {table} set (autovacuum_enabled = off)")


def test_reads_of_callers_look_up_by_key_whatever_the_scope(fresh_desk, fresh):
    """The scope is looked at on the row that the key found; it is never the way to it."""
    without_statistics(fresh_desk.ledger("visitbill_owner"), "visit", "bill", "bill_state", "payment", "capture", "receipt", "facility")
    fresh.ask(DAEMON)

    def round():
        visits = [fresh_number() for _ in range(60)]
        fresh.post(*[charge(visit, "a", 100) for visit in visits])
        fresh.events(*[Event("discharge", visit) for visit in visits])
        fresh.close()
        paid = [fresh.pay_cash(fresh.bills(visit)[0], 60) for visit in visits]
        asked = [("visit_doc('H01', %s, %s)", visits[0]), ("visit_bills('H01', %s, %s)", visits[1]), ("bill_doc(%s, true, %s)", paid[0].doc["bill"]),
                 ("payment_get(%s, %s)", paid[1].doc["payment"]), ("receipt_get(%s, %s)", paid[2].doc["receipt"]),
                 ("payment_cancel(%s, %s)", paid[3].doc["payment"])]
        return [rows_read(fresh, fresh.ask, "select * from " + call, key, scope)[0] for call, key in asked for scope in SCOPES]

    round()         # makes the plans
    rounds = [round() for _ in range(6)]
    for early, late in zip(rounds[0], rounds[-1]):
        assert late <= early + 2 and late < 60, rounds


def test_four_thousand_watchers_of_bills_that_do_not_change(fresh_desk, fresh):
    """A look at the keys of each, no document, and no more as bills that nobody watches pile up."""
    without_statistics(fresh_desk.ledger("visitbill_owner"), "visit", "bill", "bill_state", "facility")
    fresh.ask(DAEMON)

    def billed(count):
        visits = [fresh_number() for _ in range(count)]
        fresh.post(*[charge(visit, "a", 100) for visit in visits])
        fresh.events(*[Event("discharge", visit) for visit in visits])
        fresh.close()
        return [bill for (bill,) in fresh.ask("select public_id from bill join visit using (visit_id) where visit_no = any (%s)", visits)]

    def look(known):
        return seconds(rows_read, fresh, fresh.ask, "select ord, version, doc from bills_watch(%s, %s, '{*}')", bills, known)

    bills = billed(4000)
    _, (_, first) = look([-1] * 4000)
    assert sorted(ord for ord, _, _ in first) == list(range(1, 4001)) and all(version == 1 and doc for _, version, doc in first)
    took, (read, again) = look([1] * 4000)
    assert again == [] and read <= 3 * 4000 + 100 and took < 1
    billed(2000)
    _, (later, again) = look([1] * 4000)
    assert again == [] and later <= read + 100
    fresh.pay_cash(fresh.rows("select *, total as owed from bill where public_id = %s", bills[2999])[0], 1)
    _, (_, ((place, version, doc),)) = look([1] * 4000)
    assert (place, version) == (3000, 2) and bills[2999] in doc


def test_a_reload_looks_at_what_is_live_only(fresh_desk, fresh):
    """Payments that are over are not looked at, nor held lines of feeds that stay."""
    without_statistics(fresh_desk.ledger("visitbill_owner"), "payment", "quarantine", "quarantine_resolution")
    fresh.ask(DAEMON)
    visits = [fresh_number() for _ in range(300)]
    fresh.post(*[charge(visit, "a", 100) for visit in visits])
    fresh.events(*[Event("discharge", visit) for visit in visits])
    fresh.close()
    payments = [fresh.pay(fresh.bills(visit)[0], 60) for visit in visits]
    for payment in payments[5:]:
        fresh.end(payment)
    lines = list(range(1, 301))
    fresh.ask("select quarantine_put(%s, 'json', 'p', 'x', %s, %s, %s, %s, %s, %s, %s, %s, 300)", fresh.feeds["clinic"], lines, ["original_unknown"] * 300,
              ["d"] * 300, ["/lines"] * 300, ["H01"] * 300, ["V"] * 300, [f"r{n}" for n in lines], [f"o{n}" for n in lines])
    orphans = "select kind, name, live from reload_orphans(%s, %s)"
    rows_read(fresh, fresh.ask, orphans, ["m1"], list(fresh.feeds))
    read, found = rows_read(fresh, fresh.ask, orphans, [], list(fresh.feeds))
    assert found == [("merchant", "m1", 5)] and read < 100


def test_a_poll_for_tokens_that_did_not_change_reads_nothing(fresh_desk, fresh):
    owner = fresh_desk.ledger("visitbill_owner")
    owner.ask("insert into api_token (name, sha256, role, facilities, created_by) select 't' || n, sha256(n::text::bytea), 'kiosk', '{*}', 'x'"
              " from generate_series(1, 500) n")
    fresh.ask(DAEMON)
    newest = fresh.ask("select changed from tokens_changed(0)")[-1][0]
    read, found = rows_read(fresh, fresh.ask, "select * from tokens_changed(%s)", newest)
    assert found == [] and read < 10


def test_closing_and_the_audit_read_in_proportion(fresh):
    def more(count):
        visits = [fresh_number() for _ in range(count)]
        fresh.post(*lines_over(visits, 4 * count))
        fresh.events(*[Event("discharge", visit) for visit in visits])
        closing, result = rows_read(fresh, fresh.close, count)
        assert result == (count, count, 0)
        fresh.events(*[Event("payment", visit, source_line="p", amount=1_000_000, digest="0" * 32) for visit in visits[::2]])
        auditing, found = rows_read(fresh, fresh.audit)
        assert found == []
        first = fresh.ask("select min(visit_id), min(visit_id) + 9 from visit")[0]
        fresh.ask("set enable_seqscan = off")       # of tables as small as these it would be cheaper
        slice_of_ten, found = rows_read(fresh, fresh.ask, "select sum(broken) from audit_visits(%s, %s)", *first)
        fresh.ask("reset enable_seqscan")
        assert found == [(0,)]
        return closing, auditing, slice_of_ten

    more(20)
    closing, auditing, slice_of_ten = more(130)                     # 150 visits
    closing_more, auditing_more, slice_of_ten_more = more(450)      # 600
    assert closing_more / closing < 8 and auditing_more / auditing < 8
    assert slice_of_ten_more < 3.5 * slice_of_ten, (slice_of_ten, slice_of_ten_more)    # four times as many visits; plans differ with when autovacuum came by


def test_what_waits_for_a_feed_costs_closing_nothing(fresh):
    """However many wait, a turn looks at those that are due."""
    def waiting(count):
        numbers = [fresh_number() for _ in range(count)]
        fresh.post(*[charge(number, "a", 100, feed="lab", facility="W01") for number in numbers])
        fresh.events(*[Event("discharge", number, facility="W01", feed="lab", at=NOON) for number in numbers])
        return numbers

    fresh.ask(DAEMON)
    fresh.mark(lab=NOON + timedelta(hours=1))
    waiting(5)
    assert fresh.close() == (0, 0, 0)
    few, _ = rows_read(fresh, fresh.close, 200)
    waiting(300)
    fresh.mark(lab=NOON + timedelta(hours=2))
    many, result = rows_read(fresh, fresh.close, 200)
    assert result == (0, 0, 0) and many <= few + 20, (few, many)
    fresh.mark(theatre=NOON + timedelta(hours=1))
    assert fresh.close() == (305, 305, 0)
