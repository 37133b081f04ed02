"""What slots should stand at: the parts of a cycle priced, added exactly, and rounded once; and its minimum.

Pure: no Django, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any, Literal

from billing.invoicing.terms import ChargeTerms, ContractTerms, StreamKey
from billing.invoicing.usage import Answer, Wanted
from billing.money import EXACT, round_money
from billing.periods import Period
from billing.pricing import rate

SlotKind = Literal["usage", "minimum"]
SlotKey = tuple[SlotKind, StreamKey, Period]
"""Kind, stream and cycle: what an amount is billed for, once."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What a slot should stand at, and how that came about; no quantity where none has a meaning."""

    kind: SlotKind
    stream: StreamKey
    cycle: Period
    service: Period
    charge: ChargeTerms
    name: str
    quantity: Decimal | None
    unit: str
    steps: list[dict[str, Any]]
    amount: Decimal

    @property
    def key(self) -> SlotKey:
        """What it is billed for, once."""
        return self.kind, self.stream, self.cycle


def rated(contract: ContractTerms, wanted: Wanted, quantities: Sequence[Answer]) -> list[Rated]:
    """Price each part's quantity, add the parts exactly, and round the slot once. One quantity a part, in order."""
    total, steps = Fraction(0), []
    for part, quantity in zip(wanted.parts, quantities, strict=True):
        rating = rate(part.charge.price, quantity, part.charge.unit)
        total += Fraction(rating.unrounded)
        steps += [step.to_json() for step in rating.steps]
    last = wanted.parts[-1].charge
    usage = Rated(
        kind="usage", stream=wanted.stream, cycle=wanted.cycle,
        service=Period(wanted.parts[0].period.start, wanted.parts[-1].period.end),
        charge=last, name=last.name, quantity=reduce(EXACT.add, quantities), unit=last.unit, steps=steps,
        amount=round_money(total, contract.currency),
    )  # fmt: skip
    return [usage]
