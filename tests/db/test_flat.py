"""What timers and scrapes ask for reads as many rows on a day when years are stored as on the first one."""

from .ledger import Event, charge, fresh_number, reversal
from .test_plans import rows_read
from .test_quarantine import put, resolve

CALLS = {
    "metrics": "select status_doc()", "the heartbeat": "select standbys from beat()", "overdue bills": "select visits_overdue()",
    "held reversals": "select count(*) from quarantine_ready(100)", "payments due": "select count(*) from payments_due(100)",
    "what waits in quarantine": "select outcome from quarantine_list('waiting', 100, '{*}', 0)",
    "a reload's orphans": "select count(*) from reload_orphans('{}', '{}')",
}


def settled_days(ledger, visits):
    """Visits from their first line to their payment; some with a line that was refused, and resolved."""
    numbers = [fresh_number() for _ in range(visits)]
    ledger.post(*[charge(number, "a", 100) for number in numbers])
    ledger.events(*[Event("discharge", number) for number in numbers])
    ledger.close()
    for number in numbers:
        ledger.pay_cash(ledger.bills(number)[0], 100)
    entries = put(ledger, fresh_number().encode(), *((n + 1, "held", number, "l", "o") for n, number in enumerate(numbers)))
    for entry in entries:
        assert resolve(ledger, entry) == "done"


def test_no_call_grows_with_what_is_settled(fresh_desk, fresh):
    owner = fresh_desk.ledger("visitbill_owner")
    fresh.ask("set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off")

    def look():
        while owner.value("select count(*) from kept_change"):
            fresh.ask("select beat()")
        owner.ask("vacuum kept_change, kept_count, beat, bill_due, quarantine_waiting")
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
    owner = fresh_desk.ledger("visitbill_owner")

    def check():
        doc = fresh.value("select status_doc()")
        assert doc["visits"] == dict(owner.ask("select state, count(*) from visit group by state"))
        assert {(p["channel"], p["state"]): p["count"] for p in doc["payments"]} == {
            (channel, state): count for channel, state, count in owner.ask("select channel, state, count(*) from payment group by channel, state")}
        assert doc["quarantine"] == dict(owner.ask("select reason, count(*) from quarantine_open group by reason"))

    check()
    fresh.ask("select beat()")
    assert owner.value("select count(*) from kept_change") == 0
    check()
