from ledger import charge, reversal
def test_smoke(ledger, visit):
    r = ledger.post(charge(visit, "a", 100), charge(visit, "b", 50), reversal(visit, "c", of="a"))
    assert r == ["posted"]*3
    print(r.totals, r.states)
    print(ledger.close_now(visit))
    assert ledger.audit() == []
