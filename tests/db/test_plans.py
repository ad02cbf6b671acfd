"""Speed, with bounds so wide that only a bad plan or a quadratic loop meets them: a sequential scan that grows with the tables, a plan made
when they were empty and kept, a turn for every reversal."""

import time

import pytest

from ledger import Event, charge, fresh_number, reversal


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
    few = min(batch(500) for _ in range(4))
    many = min(batch(5000) for _ in range(2))
    assert many / few < 20


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


def test_a_plan_made_on_empty_tables_does_not_slow_down_as_they_fill(fresh_desk, fresh):
    """No statistics come meanwhile: autovacuum is held off, and the connection keeps its plans, as a lane does."""
    owner = fresh_desk.ledger("visitbill_owner")
    owner.ask("alter table visit set (autovacuum_enabled = off)")
    for (name,) in owner.ask("select inhrelid::regclass::text from pg_inherits where inhparent = 'charge'::regclass"):
        owner.ask(f"alter table {name} set (autovacuum_enabled = off)")

    def round():
        visits = [fresh_number() for _ in range(500)]
        lines = lines_over(visits, 1000)
        took, outcomes = seconds(fresh.post, *lines)
        judged, again = seconds(fresh.post, *lines[:200])
        assert set(outcomes) == {"posted"} and set(again) == {"duplicate"}
        return took, judged

    rounds = [round() for _ in range(18)]
    for way in (0, 1):
        early, late = (sorted(took[way] for took in some)[2] for some in (rounds[1:7], rounds[-6:]))
        assert late < 4 * early + 0.02


def test_closing_and_auditing_many_visits(fresh):
    visits = [fresh_number() for _ in range(600)]
    fresh.post(*lines_over(visits, 3000))
    fresh.events(*[Event("discharge", visit) for visit in visits])
    took, result = seconds(fresh.close, 300)
    assert result == (300, 300, 0) and took < 5
    fresh.close()
    fresh.events(*[Event("payment", visit, source_line="p", amount=1_000_000, digest="0" * 32) for visit in visits[::2]])
    took, found = seconds(fresh.audit)
    assert found == [] and took < 5
