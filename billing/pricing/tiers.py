"""The rungs of a price in tiers, with what can be said and computed of each before any quantity is known (R3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.pricing.exact import ZERO, Exact, minus, over, percent, whole
from billing.pricing.prices import (
    Graduated,
    GraduatedPercentage,
    RateTier,
    Stairstep,
    Tier,
    Volume,
    VolumePercentage,
)
from billing.pricing.ratings import Step, charged
from billing.pricing.words import Words, number

Tiered = Graduated | Volume | Stairstep | GraduatedPercentage | VolumePercentage


@dataclass(frozen=True, slots=True)
class Rung:
    """A tier above `lower`, up to and including `upper`: `each` per unit or block of `size`, plus `flat`.

    `at` says what it costs ("at USD 0.10"), `plus` what it costs besides (" plus USD 5.00").
    """

    lower: Decimal
    upper: Decimal | None
    each: Decimal | None
    flat: Decimal | None
    size: Decimal | None
    span: str
    at: str
    plus: str
    full: Step | None = None

    def step(self, span: str, part: Exact, *, flat: bool = True) -> Step:
        """The tier's share of a quantity at its price; `flat` False leaves the flat amount out."""
        amount = self.flat if flat else None
        if self.each is None:
            at = self.at if flat or self.flat is None else "at no charge"
            return charged(f"{span} {at}", part, None, amount)
        blocks = part if self.size is None else whole(over(part, self.size), "up")
        return charged(f"{span} {self.at}{self.plus if flat else ''}", blocks, self.each, amount)


def rungs(model: Tiered, words: Words) -> Sequence[Rung]:
    """The model's tiers as rungs that speak `words`; worked out once."""
    found: Sequence[Rung] | None = model.memo.get(words)
    if found is None:
        found = model.memo[words] = _rungs(model.tiers, words)
    return found


def containing(ladder: Sequence[Rung], quantity: Exact) -> Rung:
    """The one that contains the quantity; a bound belongs to the tier that it ends."""
    return next(rung for rung in ladder if rung.upper is None or quantity <= rung.upper)


def _rungs(tiers: Sequence[Tier] | Sequence[RateTier], words: Words) -> list[Rung]:
    found: list[Rung] = []
    lower = ZERO
    for tier in tiers:
        rung = _rung(tier, lower, first=not found, words=words)
        found.append(rung)
        lower = lower if tier.up_to is None else tier.up_to
    return found


def _rung(tier: Tier | RateTier, lower: Decimal, *, first: bool, words: Words) -> Rung:
    flat = tier.flat_amount
    each: Decimal | None
    size: Decimal | None = None
    if isinstance(tier, RateTier):
        each, at = percent(tier.rate), f"at {number(tier.rate)}%"
    elif tier.unit_amount is None:
        each, at = None, "at no charge" if flat is None else f"for {words.money(flat)}"
    elif tier.package_size is None:
        each, at = tier.unit_amount, f"at {words.each(tier.unit_amount)}"
    else:
        each, size = tier.unit_amount, tier.package_size
        at = f"at {words.money(each)} per {words.units(size)}"
    besides = "" if flat is None or each is None else f" plus {words.money(flat)}"
    if tier.up_to is None:
        return Rung(lower, None, each, flat, size, f"Above {words.units(lower)}", at, besides)
    width = minus(tier.up_to, lower)
    span = f"{'First' if first else 'Next'} {words.units(width)}"
    part = Rung(lower, tier.up_to, each, flat, size, span, at, besides)
    return Rung(lower, tier.up_to, each, flat, size, span, at, besides, part.step(span, width))
