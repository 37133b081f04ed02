"""Taxes on the lines of a document: which of its lines bear how much of each tax (R5.6).

Each document taxes its own lines: net is rounded per line, tax once per document and rate, or on each line. A line that
corrects another keeps that one's rates (R5.3), gives back exactly the tax that is left when nothing of the other is
left, and never gives back more. Pure: no Django, no clock.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from billing.money import allocate, round_money
from customers.currencies import minor_places

Rounding = Literal["document", "line"]


@dataclass(frozen=True, slots=True)
class Tax:
    """A rate as it applies to a line, or why none does. Percent of the net, or, `compound`, of net and taxes before."""

    code: str
    name: str
    percentage: Decimal
    compound: bool = False
    treatment: str = "standard"
    note: str = ""
    """What must be printed where nothing is taxed."""


@dataclass(slots=True)
class Left:
    """What a corrected line still stands for: its net, and its tax by code."""

    net: Decimal = Decimal(0)
    taxes: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taxable:
    """A rounded line with its taxes; `corrects` says whose rest it takes from; `included` is the tax in its price."""

    net: Decimal
    taxes: tuple[Tax, ...]
    corrects: Hashable = None
    included: Decimal | None = None


def effective(taxes: Sequence[Tax]) -> list[Fraction]:
    """What share of the net each tax is, in order: a compound one is on the taxes before it too."""
    shares: list[Fraction] = []
    for tax in taxes:
        base = 1 + sum(shares) if tax.compound else Fraction(1)
        shares.append(Fraction(tax.percentage) / 100 * base)
    return shares


def taxes_of(
    lines: Sequence[Taxable], *, rounding: Rounding, currency: str, left: Mapping[Hashable, Left]
) -> list[list[Decimal]]:
    """The amount of each tax on each line, in order. Σ of a pooled rate is Σ net × rate, rounded once, with `document`.

    `left` is what each corrected line stands for before this document; it is brought up to date.
    """
    found = [[Decimal(0)] * len(line.taxes) for line in lines]
    pools: dict[Hashable, list[tuple[int, int, Fraction]]] = defaultdict(list)
    often = Counter(line.corrects for line in lines if line.corrects is not None)
    for index, line in enumerate(lines):
        if line.included is not None:
            found[index] = _split(line.included, line.taxes, currency)
            continue
        rest = left.get(line.corrects) if line.corrects is not None else None
        shares = effective(line.taxes)
        for place, (tax, share) in enumerate(zip(line.taxes, shares, strict=True)):
            exact = Fraction(line.net) * share
            settled = None if rest is None else _settled(line, tax, exact, rest, currency, often[line.corrects] > 1)
            if settled is not None:
                found[index][place] = settled
            elif rounding == "line":
                found[index][place] = round_money(exact, currency)
            else:
                pools[tax, share].append((index, place, exact))
        if rest is not None and often[line.corrects] > 1:
            rest.net += line.net
            for tax, amount in zip(line.taxes, found[index], strict=True):
                rest.taxes[tax.code] = rest.taxes.get(tax.code, Decimal(0)) + amount
    for pool in pools.values():
        amounts = spread([exact for _, _, exact in pool], currency)
        for (index, place, _), amount in zip(pool, amounts, strict=True):
            found[index][place] = amount
    return found


def _settled(line: Taxable, tax: Tax, exact: Fraction, rest: Left, currency: str, in_turn: bool) -> Decimal | None:
    """The tax of a correction by what is left: all of it when nothing of the line is left, and never more than it.

    `in_turn` rounds it on its line: several corrections of one line on a document follow each other. None for what may
    be rounded with the others.
    """
    stands = rest.taxes.get(tax.code, Decimal(0))
    if rest.net + line.net == 0:
        return -stands
    own = round_money(exact, currency)
    gives_back, unit = rest.net * line.net < 0, Fraction(1, 10 ** minor_places(currency))
    if gives_back and abs(exact) + unit > abs(stands):  # near the bound: what the others round must not push it over
        return own if abs(own) <= abs(stands) else -stands
    return own if in_turn else None


def spread(exact: Sequence[Fraction], currency: str) -> list[Decimal]:
    """Σ rounded once, half away from zero, spread over the parts: each its floor, the rest by largest remainder.

    Parts may have either sign; what is negative as a whole is spread as its mirror. Ties go to the earlier part.
    """
    total = sum(exact, Fraction(0))
    if total < 0:
        return [-each if each else each for each in spread([-each for each in exact], currency)]
    scale = 10 ** minor_places(currency)
    floors = [part.numerator * scale // part.denominator for part in exact]
    left = int(round_money(total, currency) * scale) - sum(floors)
    by_remainder = sorted(range(len(exact)), key=lambda index: floors[index] - exact[index] * scale)
    for index in by_remainder[:left]:
        floors[index] += 1
    return [round_money(Fraction(floor, scale), currency) for floor in floors]


def included_in(gross: Decimal, taxes: Sequence[Tax], currency: str) -> Decimal:
    """The tax in an amount with tax, rounded once: gross × rate ÷ (1 + rate)."""
    share = sum(effective(taxes), Fraction(0))
    return round_money(Fraction(gross) * share / (1 + share), currency)


def _split(amount: Decimal, taxes: Sequence[Tax], currency: str) -> list[Decimal]:
    """The tax that a price includes by tax, in proportion to them."""
    shares = effective(taxes)
    if not sum(shares):
        return [Decimal(0)] * len(taxes)
    return allocate(amount, shares, currency)
