"""How many ratings a second one core makes, beside bare arithmetic on the same numbers in the same run.

    .venv/bin/python -m tests.benchmarks.bench_rating [--rounds 20000]

The graduated price has five tiers and the quantities reach all of them; a rating has its five steps with labels. The
bare loop multiplies and adds the same tiers in Decimals, without labels, allowance, discounts or rounding. A matrix
is rated for three combinations, however many cells it has. Seconds are those of the processor, so that what else runs
here does not count. No database is touched.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from billing.pricing import Cells, Events, EventUse, Price, Totals, parse_price, rate

TIERS: list[dict[str, Any]] = [
    {"up_to": "1000000", "unit_amount": "0.000005"},
    {"up_to": "5000000", "unit_amount": "0.000004"},
    {"up_to": "20000000", "unit_amount": "0.000003", "flat_amount": "1"},
    {"up_to": "100000000", "unit_amount": "0.0000025"},
    {"up_to": None, "unit_amount": "0.000002"},
]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20_000)
    rounds = parser.parse_args().rounds
    quantities = [Decimal(150_000_000 + place) for place in range(rounds)]
    graduated = parse_price({"model": "graduated", "tiers": TIERS})
    adjusted = parse_price({
        "model": "graduated", "tiers": TIERS, "free_quantity": "100000", "discounts": [{"percentage": "10"}],
        "minimum_amount": "20", "maximum_amount": "100000",
    })  # fmt: skip
    model: Any = graduated.model
    bare = [(tier.up_to, tier.unit_amount, tier.flat_amount or Decimal(0)) for tier in model.tiers]
    reference = report("bare Decimal loop over five tiers", quantities, lambda quantity: by_hand(bare, quantity))
    rated = report("graduated, five tiers, with steps", quantities, lambda quantity: rate(graduated, quantity, "token"))
    print(f"{'':44} {reference / rated:.1f} times the bare loop’s time")
    report("the same, stored as JSON", quantities, lambda quantity: rate(graduated, quantity, "token").to_json())
    report("with free quantity, discount and bounds", quantities, lambda quantity: rate(adjusted, quantity, "token"))
    thirds = parse_price({"model": "graduated", "tiers": TIERS, "unit": {"divide_by": "3"}})
    report("of a third (fractions)", quantities[: rounds // 4], lambda quantity: rate(thirds, quantity, "token"))
    for size in (10, 1000, 10_000):
        price = matrix(size)
        usage = [Cells(("key",), tuple(((f"c{place}",), each) for place in range(3))) for each in quantities]
        report(f"matrix of {size:,} cells, three used", usage, partial(rate, price))
    cards(rounds)


def cards(rounds: int) -> None:
    """Prices per event: of one long list of events, and of their sums."""
    events = Events(tuple(EventUse(Decimal(place % 500) + Decimal("0.37")) for place in range(rounds)))
    bounded = parse_price({"model": "percentage", "rate": "2.9", "fixed_amount": "0.30", "minimum_per_event": "0.5"})
    began = time.process_time()
    rate(bounded, events)
    print(f"{'percentage of each event':44} {rounds / (time.process_time() - began):12,.0f} events a second")
    plain = parse_price({"model": "percentage", "rate": "2.9", "fixed_amount": "0.30"})
    sums = [Totals(Decimal(place) + Decimal("0.37"), place) for place in range(rounds)]
    report("percentage from sum and number of events", sums, lambda totals: rate(plain, totals))


def matrix(size: int) -> Price:
    """A matrix of so many cells, each with a unit price of its own."""
    cells = [
        {"when": {"key": f"c{place}"}, "price": {"model": "per_unit", "unit_amount": f"0.00{place + 1}"}}
        for place in range(size)
    ]
    return parse_price({"model": "matrix", "dimensions": ["key"], "cells": cells, "default": None})


def by_hand(tiers: Sequence[tuple[Decimal | None, Decimal, Decimal]], quantity: Decimal) -> Decimal:
    """The same amount with nothing to explain it."""
    total, lower = Decimal(0), Decimal(0)
    for upper, each, flat in tiers:
        if upper is None or quantity <= upper:
            return total + (quantity - lower) * each + flat
        total += (upper - lower) * each + flat
        lower = upper
    return total


def report(name: str, items: Sequence[Any], work: Callable[[Any], object]) -> float:
    """Print and return how many a second."""
    work(items[0])
    began = time.process_time()
    for item in items:
        work(item)
    speed = len(items) / (time.process_time() - began)
    print(f"{name:44} {speed:12,.0f} a second")
    return speed


if __name__ == "__main__":
    main()
