"""What timers and scrapes ask for reads as many rows on a day when years are stored as on the first one."""

from .ledger import Event, charge, fresh_number, reversal
from .test_plans import rows_read
from .test_quarantine import put, resolve

CALLS = {
    "metrics": "select status_doc()", "the heartbeat": "select standbys from beat()", "overdue bills": "select visits_overdue()",
    "held reversals": "select count(*) from quarantine_ready(100)", "payments due": "select count(*) from payments_due(100)",
    "what waits in quarantine": "select outcome from quarantine_list('{}', 100, 0, '{*}')",
    "what waits of a feed": """select outcome from quarantine_list('{"feed": "clinic", "reason": "held", "text": "no such"}', 100, 0, '{*}')""",
    "what was resolved": """select outcome from quarantine_list('{"state": "resolved", "feed": "clinic", "order": "newest"}', 10, 0, '{*}')""",
    "what a replay would be of": """select outcome from quarantine_summary('{"reason": "held"}', 0, '{*}')""",
    "a feed that is shown": "select outcome from feed_doc('clinic', 7, '{*}')",
    "a patient's visits": "select visits_hold('{}', '{}', '{}', '{}', '{1}', '{PF}', '{1}', '{1}', '{x}', array[gen_random_uuid()], '{y}')",
    "what looks like a duplicate": "select looked from lookalikes_find(1)",
    "a reload's orphans": "select count(*) from reload_orphans('{}', '{}')",
}


def settled_days(ledger, visits):
    """Visits from their first line to their payment; some with a line that was refused, and resolved. Another facility's patients have the numbers of these."""
    numbers = [fresh_number() for _ in range(visits)]
    ledger.post(*[charge(number, "a", 100) for number in numbers])
    ledger.events(*[Event("discharge", number) for number in numbers])
    ledger.close()
    for n, number in enumerate(numbers):
        if n % 2:
            ledger.pay_cash(ledger.bills(number)[0], 100)
        else:
            assert ledger.capture(ledger.pay(ledger.bills(number)[0], 100).order, 100) == "done"
    entries = put(ledger, fresh_number().encode(), *((n + 1, "held", number, "l", "o") for n, number in enumerate(numbers)))
    for entry in entries:
        assert resolve(ledger, entry) == "done"
    others = [fresh_number() for _ in range(visits)]
    ledger.events(*[Event("open", number, facility="W01", feed="lab", patient_no="PF") for number in others])


def test_no_call_grows_with_what_is_settled(fresh_desk, fresh):
    owner = fresh_desk.ledger("visitbill_owner")
    fresh.ask("set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off")

    assert fresh.facilities["H01"] == 1 and fresh.open(fresh_number(), patient_no="PF") == "done"

    def look():
        while fresh.value("select looked from lookalikes_find(500)"):
            pass
        number = fresh_number()
        fresh.post(charge(number, "a", 100, code="X", patient_no="PF"))
        assert fresh.close_now(number)
        while owner.value("select count(*) from kept_change"):
            fresh.ask("select beat()")
        owner.ask("vacuum kept_change, kept_count, beat, bill_due, quarantine_waiting, lookalike_due")
        return {name: rows_read(fresh, fresh.ask, sql)[0] for name, sql in CALLS.items()}

    settled_days(fresh, 20)
    early = look()
    for _ in range(5):
        settled_days(fresh, 60)
    late = look()
    for name in CALLS:
        assert late[name] <= early[name] + 20, (name, early, late)


def test_counts_are_what_is_there(fresh, fresh_desk):
    """Kept by the change, and added up by the heartbeat: the same as counted."""
    settled_days(fresh, 5)
    open_visit = fresh_number()
    fresh.post(charge(open_visit, "a", 100), reversal(open_visit, "r", of="unknown"))
    put(fresh, b"a stranger's", (0, "feed_unknown", open_visit, None, None), feed=None)
    owner = fresh_desk.ledger("visitbill_owner")

    def check():
        doc = fresh.value("select status_doc()")
        assert doc["visits"] == dict(owner.ask("select state, count(*) from visit group by state"))
        assert {(p["channel"], p["state"]): p["count"] for p in doc["payments"]} == {
            (channel, state): count for channel, state, count in owner.ask("select channel, state, count(*) from payment group by channel, state")}
        assert doc["quarantine"] == dict(owner.ask("select reason, count(*) from quarantine_open group by reason"))
        waiting = dict(owner.ask("select coalesce(e.facility, 'unknown'), count(*) from quarantine_entry e join quarantine_open o using (quarantine_id)"
                                 " group by 1"))
        assert doc["quarantine_facilities"] == {code: 0 for code in fresh.facilities} | waiting
        assert doc["unexplained_fen"] == 0

    check()
    fresh.ask("select beat()")
    assert owner.value("select count(*) from kept_change") == 0
    check()


def watched(ledger, key):
    return ledger.value("select status_doc()")[key]


def attempts(ledger):
    """In minutes."""
    return {(a["channel"], a["state"]): (a["oldest_seconds"] // 60, a["expired_seconds"] // 60) for a in watched(ledger, "attempts")}


def test_attempts_that_have_not_ended(fresh, fresh_desk):
    """How old the oldest is and how long it should have ended, by channel and state; what has ended is not looked at."""
    settled_days(fresh, 3)
    assert attempts(fresh) == {}
    number = fresh_number()
    fresh.post(charge(number, "a", 300))
    (bill,) = fresh.close_now(number)
    first, second, third = (fresh.pay(bill, 100) for _ in range(3))
    fresh.pending(first)
    fresh.pending(second)
    assert attempts(fresh) == {("wechatpay", "pending"): (0, 0), ("wechatpay", "created"): (0, 0)}
    owner = fresh_desk.ledger("visitbill_owner")
    owner.ask("update payment set created_at = created_at - interval '1 h', expires_at = now() - interval '50 min' where payment_id = %s", first.payment_id)
    owner.ask("update payment set created_at = created_at - interval '9 min' where payment_id = %s", third.payment_id)
    assert attempts(fresh) == {("wechatpay", "pending"): (60, 50), ("wechatpay", "created"): (9, 0)}
    assert fresh.capture(first.order, 100) == "done"
    assert attempts(fresh) == {("wechatpay", "pending"): (0, 0), ("wechatpay", "created"): (9, 0)}


def test_quarantine_is_counted_down_where_it_was_counted_up(fresh, fresh_desk):
    """The settings may put the feed elsewhere while its entries wait; the oldest of these tells its age."""
    before = watched(fresh, "quarantine_facilities")
    assert set(before.values()) == {0} and watched(fresh, "quarantine_oldest_seconds") is None
    first, second = put(fresh, fresh_number().encode(), (1, "conflict", "v", "l"), (2, "conflict", "v", "l2"))
    owner = fresh_desk.ledger("visitbill_owner")
    owner.ask("update facility set code = 'X' || code where code = 'H01'")
    assert watched(fresh, "quarantine_facilities")["H01"] == 2 and watched(fresh, "quarantine_oldest_seconds") < 60
    assert resolve(fresh, first) == resolve(fresh, second) == "done"
    owner.ask("update facility set code = 'H01' where code = 'XH01'")
    assert watched(fresh, "quarantine_facilities") == before and watched(fresh, "quarantine_oldest_seconds") is None


def test_an_unexplained_fen(fresh, fresh_desk):
    """Money by every way leaves nothing; a capture that pays for nothing, or credit that nobody gave, is seen at once, and by the audit, too."""
    settled_days(fresh, 3)
    number = fresh_number()
    fresh.post(charge(number, "a", 300))
    (bill,) = fresh.close_now(number)
    late, other = fresh.pay(bill, 200), fresh.pay(bill, 100)
    fresh.pending(late)
    fresh.value("select outcome from payment_end(%s, 'closed', 'test')", late.payment_id)
    assert [outcome for outcome in fresh.captures((other.order, 100, fresh_number("t")), (late.order, 200, fresh_number("t")))] == ["done"] * 2
    assert fresh.capture(late.order, 200) == "done"          # once more than was asked for: credit
    assert watched(fresh, "unexplained_fen") == 0 and fresh.audit() == []
    owner = fresh_desk.ledger("visitbill_owner")
    owner.ask("insert into capture (visit_id, channel, transaction_id, amount, captured_at) select max(visit_id), 'cash', 'stray', 7, now() from visit")
    assert watched(fresh, "unexplained_fen") == 14                  # neither used nor in the journal
    owner.ask("insert into journal (kind, visit_id, accounts, amounts) select 'capture', max(visit_id), array['cash', 'receivable'], array[7, -7] from visit")
    assert watched(fresh, "unexplained_fen") == 7                   # in the journal, but no bill is paid
    owner.ask("select beat()")
    assert watched(fresh, "unexplained_fen") == 7 and "captured = applied + credit" in [name for name, _, _ in fresh.audit()]
