"""Merges against a model: random lines, resends, reversals and closes under old and new numbers while visits become one. Each line is booked
once, on whichever visit its number leads to; nothing is taken back twice; the audit is clean after every few steps."""

import random

import pytest

from .ledger import charge, fresh_number, reversal

STEPS, VISITS = 60, 6
IDS = ["1", "2", "3", "4"]          # every visit numbers its lines alike


class Model:
    """Lines by (number sent under, id); visits by the number that they are known under now."""

    def __init__(self, numbers):
        self.home = {number: number for number in numbers}
        self.went_into = {}
        self.order = {number: [] for number in numbers}         # survivor -> keys in the order of its lines
        self.lines = {}                                         # key -> [digest, amount, left of a charge or None]

    def way(self, number):
        """The number and those of the visits that it went into, one after the other."""
        while number is not None:
            yield number
            number = self.went_into.get(number)

    def moved(self, number, id, digest=None):
        """The keys of lines of that id that came to the survivor by way of this number, under another one."""
        return [key for key in self.order[self.home[number]]
                if key[0] != number and key[0] != self.home[number] and key[1] == id and digest in (None, self.lines[key][0])
                and number in self.way(key[0])]

    def known_as(self, number, id, digest):
        own = (number, id)
        return own if own in self.lines else next(iter(self.moved(number, id, digest)), own)

    def target(self, number, id):
        """What a reversal names: its own visit's line, or the one line that can be meant."""
        own, moved = (number, id), self.moved(number, id)
        return own if own in self.lines or len(moved) != 1 else moved[0]

    def post(self, line):
        digest = line.sum_of_content().replace("-", "")
        key = self.known_as(line.visit, line.id, digest)
        if key in self.lines:
            return "duplicate" if self.lines[key][0] == digest else "conflict"
        amount = line.amount
        if line.kind == "CD":
            original = self.lines.get(self.target(line.visit, line.of))
            if original is None:
                return "held"
            if original[2] is None:
                return "reversal_of_reversal"
            if original[2] == 0 or (amount or 0) > original[2]:
                return "reversal_exceeds"
            amount = -(original[2] if amount is None else amount)
            original[2] += amount
        self.lines[key] = [digest, amount, amount if line.kind == "CG" else None]
        self.order[self.home[line.visit]].append(key)
        return "booked"

    def merge(self, loser, survivor):
        target = self.home[survivor]
        if loser == survivor:
            return "merge_self"
        if self.home[loser] != loser:
            return "repeated" if self.home[loser] == target else "merge_other"
        if loser == target:
            return "repeated"
        self.went_into[loser] = target
        self.order[target] += self.order.pop(loser)
        for number, home in self.home.items():
            if home == loser:
                self.home[number] = target
        return "done"


def random_line(rng, number, sent):
    if sent and rng.random() < 0.25:
        return rng.choice(sent)
    id = rng.choice(IDS)
    if rng.random() < 0.35:
        return reversal(number, "r" + rng.choice(IDS), of=rng.choice(IDS), amount=rng.choice([None, 1, 30, 100]))
    return charge(number, id, rng.choice([30, 100]), department=rng.choice([None, number]))


@pytest.mark.parametrize("seed", range(12))
def test_random_merges(ledger, seed):
    rng, numbers = random.Random(seed), [fresh_number() for _ in range(VISITS)]
    model, sent, seen = Model(numbers), [], set()
    for number in numbers:
        ledger.open(number)
    for _ in range(STEPS):
        dice = rng.random()
        if dice < 0.1:
            loser, survivor = rng.choice(numbers), rng.choice(numbers)
            assert ledger.merge(loser, into=survivor) == model.merge(loser, survivor)
        elif dice < 0.2:
            number = rng.choice(numbers)
            rng.choice([ledger.discharge, ledger.reopen])(number)
            ledger.close()
        else:
            line = random_line(rng, rng.choice(numbers), sent)
            sent.append(line)
            (found,) = ledger.post(line)
            assert {"posted": "booked", "late": "booked"}.get(found, found) == model.post(line), (line, model.home)
            seen.add(found)
        for number in {model.home[number] for number in numbers}:
            assert ledger.visit(number).total == sum(model.lines[key][1] for key in model.order[number])
    assert {ledger.visit(number).state == "merged" for number in numbers if model.home[number] != number} <= {True}
    assert {"duplicate", "held"} <= seen
