"""Invariant 15: nobody sees beyond their scope. Every function that reads or writes for a caller takes it; what it does not cover is answered exactly as what
does not exist, and stays as it was. All facilities are {*}, said in so many words: null and the empty array are none."""

import json
import uuid

import psycopg2
import pytest

from .ledger import charge, fresh_number

NOWHERE = [None, [], ["W01"], ["nowhere"], [""], [None], ["%"], ["H0_"], ["h01"], ["H01 "], ["*", "W01"], ["**"]]
NAMES = [repr(scope) for scope in NOWHERE]
SOMEWHERE = [["H01"], ["W01", "H01"], ["H01", None], ["*"]]


@pytest.fixture(scope="module", name="things")
def _things(shared):
    """A visit of H01 with a bill, half of it paid in cash, and an attempt for the rest."""
    visit = fresh_number()
    shared.post(charge(visit, "a", 1000))
    (bill,) = shared.close_now(visit)
    cash = shared.pay_cash(bill, 500)
    attempt = shared.pay(bill, 500, key="the-key-of-scopes")
    return {"visit": visit, "bill": bill.public_id, "receipt": cash.doc["receipt"], "order": attempt.order,
            "payment": shared.value("select public_id from payment where payment_id = %s", attempt.payment_id)}


READS = {
    "visit": ("select outcome, doc from visit_doc('H01', %s, %s)", fresh_number("none")),
    "bills": ("select outcome, doc from visit_bills('H01', %s, %s)", fresh_number("none")),
    "bill": ("select outcome, doc from bill_doc(%s, false, %s)", "0" * 32),
    "lines": ("select outcome, doc from bill_doc(%s, true, %s)", "0" * 32),
    "payment": ("select outcome, doc from payment_get(%s, %s)", "0" * 32),
    "receipt": ("select outcome, doc from receipt_get(%s, %s)", "0" * 32),
    "cancel": ("select * from payment_cancel(%s, %s)", "0" * 32),
    "watch": ("select ord, version, doc from bills_watch(array[%s], array[-1], %s)", "0" * 32),
}
THING = {"visit": "visit", "bills": "visit", "bill": "bill", "lines": "bill", "payment": "payment", "receipt": "receipt", "cancel": "payment", "watch": "bill"}


@pytest.mark.parametrize("scope", NOWHERE, ids=NAMES)
@pytest.mark.parametrize("name", READS)
def test_what_the_scope_does_not_cover_is_not_there(ledger, things, name, scope):
    sql, missing = READS[name]
    hidden = ledger.ask(sql, things[THING[name]], scope)
    assert hidden == ledger.ask(sql, missing, ["*"]) == ledger.ask(sql, missing, scope)
    assert things["bill"] not in str(hidden)


@pytest.mark.parametrize("scope", SOMEWHERE, ids=[repr(scope) for scope in SOMEWHERE])
@pytest.mark.parametrize("name", READS)
def test_what_it_covers_is(ledger, things, name, scope):
    sql, _ = READS[name]
    assert things["bill"] in str(ledger.ask(sql, things[THING[name]], scope)) or name in ("visit", "bills") and "H01" in str(ledger.ask(sql, things["visit"], scope))


@pytest.mark.parametrize("scope", NOWHERE, ids=NAMES)
def test_no_payment_beyond_the_scope(ledger, things, scope):
    create = "select outcome, doc, payment_id, out_trade_no, description from payment_create(%s, null, 'cash', '', 1, 'kiosk', %s, %s, '5 min', %s)"
    before = ledger.row("select live, paid, version from bill_state join bill using (bill_id) where public_id = %s", things["bill"])
    digest = str(uuid.uuid4())
    assert ledger.row(create, things["bill"], fresh_number(), digest, scope) == ledger.row(create, "0" * 32, fresh_number(), digest, scope) \
        == ("bill_unknown", None, None, None, None)
    # nor what the same client made by the same key, when its scope was another one
    assert ledger.row(create, things["bill"], "the-key-of-scopes", digest, scope) == ("bill_unknown", None, None, None, None)
    assert ledger.row(create, things["bill"], "the-key-of-scopes", digest, ["H01"])[0] == "idempotency_mismatch"
    assert ledger.row("select live, paid, version from bill_state join bill using (bill_id) where public_id = %s", things["bill"]) == before


# ---- quarantine

def put(ledger, feed, facility):
    bytes = fresh_number("message").encode()
    return ledger.value("select quarantine_put(%s, 'json', 'peer', %s, array[1], array['price_unknown'], array['d'], array['/lines'], array[%s], array['V'],"
                        " array['a'], array[null::text], 1)", ledger.feeds.get(feed), bytes, facility)[0]


def listed(ledger, scope, state="all"):
    outcome, doc = ledger.row("select outcome, doc from quarantine_list(%s, 100000, 0, %s)", json.dumps({"state": state}), scope)
    assert outcome == "done"
    return {row["id"] for row in json.loads(doc)["quarantine"]}


def readable(ledger, id, scope):
    return len(ledger.ask("select * from quarantine_bytes(%s, %s)", id, scope)) == 1


@pytest.fixture(scope="module", name="entry")
def _entry(shared):
    return put(shared, "clinic", "H01")


@pytest.mark.parametrize("scope", NOWHERE, ids=NAMES)
def test_quarantine_beyond_the_scope(ledger, entry, scope):
    for state in ("waiting", "all"):
        assert entry not in listed(ledger, scope, state)
    assert not readable(ledger, entry, scope)
    assert ledger.value("select quarantine_resolve(%s, 'posted', 'x', %s)", entry, scope) == "quarantine_unknown"
    supersede = "select quarantine_supersede(%s, 'conflict', 'd', '/lines', 'x', %s)"
    assert ledger.value(supersede, entry, scope) == ledger.value(supersede, 10**9, ["*"])
    assert entry in listed(ledger, ["H01"], "waiting") and readable(ledger, entry, ["H01"]) and entry in listed(ledger, ["*"], "waiting")


@pytest.mark.parametrize("scope", SOMEWHERE, ids=[repr(scope) for scope in SOMEWHERE])
def test_quarantine_within_the_scope(ledger, scope):
    one, two = put(ledger, "clinic", "H01"), put(ledger, "clinic", "H01")
    assert {one, two} <= listed(ledger, scope, "waiting") and readable(ledger, one, scope)
    assert ledger.value("select quarantine_resolve(%s, 'done', 'x', %s)", one, scope) == "done"
    assert ledger.value("select quarantine_supersede(%s, 'conflict', 'd', '/lines', 'x', %s)", two, scope) == "done"
    assert not {one, two} & listed(ledger, scope, "waiting")
    ledger.value("select quarantine_resolve(max(quarantine_id), 'dismissed', 'x', '{*}') from quarantine")


def test_nothing_at_all_for_who_has_no_scope(ledger, entry):
    for scope in (None, []):
        assert listed(ledger, scope) == set()


@pytest.mark.parametrize("feed, named, at", [
    ("clinic", "H01", "H01"), ("clinic", "W01", "W01"),         # the facility that the message names
    ("clinic", None, "H01"), ("lab", None, "W01"), ("clinic", "nowhere", "H01"), ("clinic", "", "H01"), ("clinic", "*", "H01"),
    (None, "H01", None), (None, None, None), (None, "*", None), (None, "", None),      # of a stranger, whatever it names
])
def test_where_an_entry_belongs(ledger, feed, named, at):
    id = put(ledger, feed, named)
    seen = {code for code in ledger.facilities if id in listed(ledger, [code]) and readable(ledger, id, [code])}
    assert seen == ({at} if at else set())
    assert id in listed(ledger, ["*"]) and readable(ledger, id, ["*"])
    assert id not in listed(ledger, [named, "nowhere", ""]) or at == named


# ---- all functions

def test_no_function_for_callers_has_a_scope_by_default(shared):
    """Whoever leaves it out gets an error, not everything."""
    scoped = shared.ask("select oid::regprocedure::text, pronargs, pronargdefaults, proargnames from pg_proc"
                        " where pronamespace = current_schema::regnamespace and 'p_scope' = any (proargnames)")
    assert len(scoped) >= 13
    for name, count, defaults, arguments in scoped:
        assert defaults == 0 and arguments[:count].count("p_scope") == 1, name
    for call in ("visit_doc('H01', 'x')", "bill_doc('x', true)", "payment_get('x')", "receipt_get('x')", "quarantine_list('{}', 1, 0)", "quarantine_bytes(1)"):
        with pytest.raises(psycopg2.errors.UndefinedFunction):
            shared.ask("select * from " + call)
