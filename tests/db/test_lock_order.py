"""Batches of events and lines that touch the same visits in other orders never wait for each other in a circle."""

import random

from .ledger import Event, at_once, charge, fresh_number


def test_events_in_every_order(ledger, desk):
    """Two daemons' lists of events over the same visits, each shuffled: all are done, none is chosen to be a deadlock's victim."""
    visits = [fresh_number() for _ in range(12)]
    for visit in visits:
        ledger.open(visit)
    one, two = desk.ledger(), desk.ledger()

    def send(own, seed):
        order = random.Random(seed)
        for _ in range(60):
            outcomes = own.events(*(Event("update", visit, location=str(order.random())) for visit in order.sample(visits, len(visits))))
            assert set(outcomes) == {"done"}

    at_once(lambda: send(one, 1), lambda: send(two, 2))


def test_lines_and_then_events(ledger, desk):
    """What the daemon does where a batch has both: it holds all of its visits first."""
    visits = [fresh_number() for _ in range(8)]
    for visit in visits:
        ledger.open(visit)
    one, two = desk.ledger(), desk.ledger()

    def send(own, name, seed):
        order = random.Random(seed)
        for n in range(60):
            first, second = order.sample(visits, 2)
            own.ask("begin")
            own.ask("select visits_hold(array_fill(%s::int, array[2]), %s::text[], array[null, null]::text[], array[null, null]::text[])", own.facilities["H01"], [first, second])
            assert own.post(charge(first, f"{name}{n}", 1)) == ["posted"]
            assert own.event("update", second, location=name) == "done"
            own.ask("commit")

    at_once(lambda: send(one, "a", 1), lambda: send(two, "b", 2))
