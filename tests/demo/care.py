"""What a visit consumes: which items, how many of each, ordered where. Knows medicine of a sort, and nothing of messages.

An outpatient registers, sees a doctor, gives some blood and takes drugs home; an emergency adds observation and infusions; an
inpatient has days in bed, nursing and sometimes an operation. At the Chinese medicine clinic a prescription is a dozen herbs.
"""

from typing import NamedTuple

from . import catalogue as cat
from .lines import CLINIC, LAB, ONE, PHARMACY, WARD
from .people import TCM


class Order(NamedTuple):
    """Items that one feed charges together."""

    feed: str
    items: list                 # (Item, quantity in 10^-4)


def _some(rng, category, least, most, quantities=(1,)):
    items = cat.BY_CATEGORY[category]
    wanted = min(rng.randint(least, most), len(items))
    return [(item, rng.choice(quantities) * ONE) for item in rng.sample(items, wanted)]


def _supplies(rng, least, most, quantities=(1,)):
    """Of what lies in every treatment room; implants come with operations."""
    return [(item, rng.choice(quantities) * ONE) for item in rng.sample(cat.BY_CATEGORY[cat.MATERIAL][:8], rng.randint(least, most))]


def _named(category, serial, times=1):
    return cat.BY_CATEGORY[category][serial - 1], times * ONE


def _herbs(rng):
    """So many grams of each herb a dose, seven or fourteen doses."""
    doses = rng.choice((7, 14))
    herbs = rng.sample(cat.BY_CATEGORY[cat.HERB], rng.randint(9, 14))
    return [(herb, rng.choice((3, 6, 9, 10, 12, 15, 30)) * doses * ONE) for herb in herbs]


def outpatient(rng, department):
    expert = rng.random() < 0.3
    first = [_named(cat.REGISTRATION, 2 if expert else 1), _named(cat.CONSULTATION, rng.choice((2, 3)) if expert else 1)]
    if rng.random() < 0.08:     # a branch clinic charges one fee for both
        first = [_named(cat.GENERAL, 1)]
    if rng.random() < 0.15:
        first.append(_named(cat.OTHER, 1))
    orders = [Order(CLINIC, first)]
    if rng.random() < 0.7:
        orders.append(Order(LAB, _some(rng, cat.LABORATORY, 2, 9)))
    if rng.random() < 0.4:
        orders.append(Order(CLINIC, _some(rng, cat.EXAMINATION, 1, 2)))
    if department == TCM:
        orders.append(Order(PHARMACY, _herbs(rng)))
        orders.append(Order(WARD, [_named(cat.TREATMENT, 10), _named(cat.MATERIAL, 4, 2)]))
        return orders
    drugs = _some(rng, cat.DRUG, 1, 5, (6, 7, 10, 14, 20, 24, 28, 30))
    if rng.random() < 0.35:
        drugs += _some(rng, cat.PATENT, 1, 2, (10, 12, 24, 36))
    orders.append(Order(PHARMACY, drugs))
    if rng.random() < 0.35:
        orders.append(Order(WARD, _some(rng, cat.TREATMENT, 1, 2) + _supplies(rng, 1, 3, (1, 2, 4))))
    return orders


def emergency(rng, _department):
    return [
        Order(CLINIC, [_named(cat.REGISTRATION, 3), _named(cat.CONSULTATION, 4)]),
        Order(LAB, _some(rng, cat.LABORATORY, 4, 10)),
        Order(CLINIC, _some(rng, cat.EXAMINATION, 1, 2)),
        Order(PHARMACY, _some(rng, cat.DRUG, 2, 5, (1, 2, 3, 6))),
        Order(WARD, [_named(cat.BED, 5), _named(cat.NURSING, 4), (cat.BY_CATEGORY[cat.TREATMENT][7], rng.randint(1, 8) * ONE // 2)]
              + _some(rng, cat.TREATMENT, 1, 2) + _supplies(rng, 1, 4, (1, 2, 3))),
    ]


def inpatient(rng, _department):
    days = rng.randint(1, 6)
    orders = [Order(CLINIC, [_named(cat.REGISTRATION, 4)] + _some(rng, cat.EXAMINATION, 1, 3))]
    for _ in range(rng.randint(1, 2)):
        orders.append(Order(LAB, _some(rng, cat.LABORATORY, 4, 8)))
        orders.append(Order(PHARMACY, _some(rng, cat.DRUG, 3, 8, (1, 2, 3, 7, 14))))
    bed = rng.choice((1, 1, 2, 3, 4))
    nursing = rng.choice((2, 3, 4))
    orders.append(Order(WARD, [_named(cat.BED, bed, days), _named(cat.CONSULTATION, 5, days), _named(cat.NURSING, nursing, days)]))
    orders.append(Order(WARD, _some(rng, cat.TREATMENT, 2, 5, (1, 2, days)) + _supplies(rng, 2, 6, (1, 2, 5))))
    if rng.random() < 0.35:
        operation = rng.choice(cat.BY_CATEGORY[cat.SURGERY][:-1]), ONE
        orders.append(Order(WARD, [operation, _named(cat.SURGERY, 7), _named(cat.MATERIAL, rng.choice((9, 10, 11)))]))
    return orders


BY_KIND = {"outpatient": outpatient, "emergency": emergency, "inpatient": inpatient}
