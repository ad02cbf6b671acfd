"""Invariant 4 against a model: a thousand random sequences of charges and reversals, in batches over many visits."""

import random
from decimal import Decimal

from .ledger import charge, fresh_number, reversal, scaled

SEQUENCES, STEPS = 1000, 8


class Model:
    """One visit: what each line had and what was taken. Judges a line as charges_post should."""

    def __init__(self):
        self.lines = {}         # id -> [amount, quantity_e4, taken amount, taken quantity, is a charge]
        self.digests = {}
        self.total = 0

    def judge(self, line):
        """The outcome, and the amount that is booked."""
        if line.id in self.digests:
            return ("duplicate" if self.digests[line.id] == line.sum_of_content() else "conflict"), 0
        if line.kind == "CG":
            return "posted", line.amount
        if line.of not in self.lines:
            return "held", 0
        had, quantity_had, taken, quantity_taken, is_charge = self.lines[line.of]
        if not is_charge:
            return "reversal_of_reversal", 0
        rest, quantity_rest = had - taken, quantity_had - quantity_taken
        quantity = scaled(line.quantity, 4)
        if rest == 0 and quantity_rest == 0:
            return "reversal_exceeds", 0
        amount = line.amount
        if amount is None and (quantity is None or quantity == quantity_rest):
            amount = rest
        elif amount is None:
            amount = min(rest, int((Decimal(had) * quantity / quantity_had).quantize(Decimal(1), "ROUND_HALF_UP")))
        if amount > rest or (quantity or 0) > quantity_rest:
            return "reversal_exceeds", 0
        return "posted", -amount

    def book(self, line, booked):
        """`booked` is the row: its quantity is the database's choice where the line says only an amount; the bounds are checked."""
        self.digests[line.id] = line.sum_of_content()
        self.lines[line.id] = [booked.amount, booked.quantity_e4, 0, 0, line.kind == "CG"]
        self.total += booked.amount
        if line.kind == "CD":
            original = self.lines[line.of]
            original[2] -= booked.amount
            original[3] += booked.quantity_e4
            assert 0 <= original[2] <= original[0] and 0 <= original[3] <= original[1]
            if line.quantity is not None:
                assert booked.quantity_e4 == scaled(line.quantity, 4)
            if original[2] == original[0] and line.quantity is None:
                assert original[3] == original[1]


def random_line(rng, visit, model, n, sent):
    ids = list(model.lines)
    dice = rng.random()
    if not ids or dice < 0.25:
        return charge(visit, f"l{n}", rng.choice([0, 1, 2, 3, 7, 10, 99, 100, 1234, 99999]), quantity=rng.choice(["0.5", "1", "3", "4", "10", "0.0001"]))
    if dice < 0.32 and sent:
        return rng.choice(sent)
    if dice < 0.36:
        return charge(visit, rng.choice(ids), rng.randrange(1, 1000), name="other")
    of = rng.choice(ids) if dice > 0.40 else f"unknown{n}"
    rest, quantity_rest = 100, 10000
    if of in model.lines:
        rest, quantity_rest = model.lines[of][0] - model.lines[of][2], model.lines[of][1] - model.lines[of][3]
    amount = rng.choice([rest, rest + 1, max(rest - 1, 0), rng.randint(0, max(rest, 0) + 2), max(rest, 0) // 3])
    quantity = str(Decimal(rng.choice([quantity_rest, quantity_rest + 1, max(quantity_rest - 1, 1), rng.randint(0, max(quantity_rest, 0) + 2),
                                       max(quantity_rest, 0) // 3])).scaleb(-4))
    says = rng.choice(["nothing", "amount", "quantity", "both"])
    return reversal(visit, f"r{n}", of=of, amount=abs(amount) if says in ("amount", "both") else None,
                    quantity=quantity.replace("-", "") if says in ("quantity", "both") else None)


def test_a_thousand_random_sequences(ledger):
    rng = random.Random(4)
    visits = [fresh_number() for _ in range(SEQUENCES)]
    models = {visit: Model() for visit in visits}
    sent = {visit: [] for visit in visits}
    seen = set()
    for step in range(STEPS):
        rng.shuffle(visits)
        for start in range(0, SEQUENCES, 125):
            # one line a visit and batch: the model then needs no second look at the order inside a batch
            batch = []
            for visit in visits[start:start + 125]:
                batch.append(random_line(rng, visit, models[visit], step, sent[visit]))
                sent[visit].append(batch[-1])
            expected = [models[line.visit].judge(line) for line in batch]
            outcomes = ledger.post(*batch)
            rows = {(row.visit_no, row.source_line): row for row in ledger.rows(
                "select visit_no, source_line, amount, quantity_e4 from charge join visit using (visit_id) where visit_no = any (%s)",
                [line.visit for line in batch])}
            for line, (outcome, amount), found in zip(batch, expected, outcomes):
                assert found == outcome, (line, models[line.visit].lines)
                seen.add(found)
                if found == "posted":
                    assert rows[line.visit, line.id].amount == amount, (line, models[line.visit].lines)
                    models[line.visit].book(line, rows[line.visit, line.id])
                assert outcomes.totals[line.visit] == models[line.visit].total
    assert seen == {"posted", "duplicate", "conflict", "held", "reversal_exceeds", "reversal_of_reversal"}


def test_the_same_in_whole_batches_adds_up(ledger):
    """Several lines of a visit in a batch, charges and reversals mixed: whatever is booked, nothing is exceeded (the audit after each
    test looks), and what is booked is what the outcomes say."""
    rng = random.Random(5)
    for _ in range(60):
        visits = [fresh_number() for _ in range(rng.randint(1, 5))]
        batch = []
        for n in range(rng.randint(2, 30)):
            visit = rng.choice(visits)
            known = [line.id for line in batch if line.visit == visit and line.kind == "CG"]
            if known and rng.random() < 0.6:
                batch.append(reversal(visit, f"r{n}", of=rng.choice(known), amount=rng.choice([None, 10, 50, 100]), quantity=rng.choice([None, None, "1"])))
            else:
                batch.append(charge(visit, f"c{n}", 100, quantity="2"))
        outcomes = ledger.post(*batch)
        assert set(outcomes) <= {"posted", "reversal_exceeds"}
        for visit in {line.visit for line in batch}:
            booked = [line.id for line, outcome in zip(batch, outcomes) if line.visit == visit and outcome == "posted"]
            lines = ledger.lines(visit)
            assert sorted(line.source_line for line in lines) == sorted(booked)
            assert sorted(line.line_no for line in lines) == list(range(1, len(lines) + 1))
            for one in lines:
                back = [line for line in lines if line.reverses_line == one.source_line]
                assert one.kind == "CD" or (sum(line.amount for line in back) >= -100 and sum(line.quantity_e4 for line in back) <= 20000)
            assert outcomes.totals[visit] == sum(line.amount for line in lines)
