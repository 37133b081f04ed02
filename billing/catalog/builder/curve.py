"""A price as a picture: totals over quantities, what the next unit costs, where a total falls. Pure: no Django."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from billing.money import plain, round_money
from billing.pricing import Price, Rating
from billing.pricing.exact import rendered
from billing.pricing.prices import Unit
from billing.pricing.words import Words

SAMPLES: Final = 48
_NEAR: Final = Fraction(1, 10**9)
"""How far beyond a bound the next tier is looked at, as a share of the bound."""

Rate = Callable[[Fraction], Rating]


@dataclass(frozen=True, slots=True)
class Point:
    """A quantity in metered units, its unrounded total, what the next unit costs; at a bound, or just `beyond` one."""

    quantity: Fraction
    total: Fraction
    next_unit: Fraction | None
    bound: bool = False
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Fall:
    """A bound beyond which more costs less: the totals at it and just beyond it."""

    bound: Fraction
    before: Fraction
    after: Fraction


def bounds_of(price: Price, around: Unit | None = None) -> list[Fraction]:
    """The quantities, in metered units, at which the price changes its ways: ends of tiers and of what is free.

    `around` is the unit of the matrix of which the price is a cell.
    """
    free = Fraction(price.free_quantity)
    divide_by = Fraction(price.unit.divide_by) * Fraction(around.divide_by if around else 1)
    tiers = getattr(price.model, "tiers", ())
    inner = [Fraction(tier.up_to) for tier in tiers if tier.up_to is not None]
    size = getattr(price.model, "package_size", None)
    if size is not None:
        inner += [Fraction(size) * place for place in range(1, 9)]
    found = {(bound + free) * divide_by for bound in inner} | ({free * divide_by} if free else set())
    return sorted(found)


def reach(price: Price, bounds: Sequence[Fraction], rate: Rate, cover: Fraction) -> Fraction:
    """How far to draw: past the last bound, a minimum and a maximum, and the quantity `cover` that was asked for."""
    divide_by = Fraction(price.unit.divide_by)
    far = max(bounds[-1] * 3 / 2 if bounds else 10 * divide_by * (1 if divide_by > 1 else 10), cover * 5 / 4)
    worth = Fraction(price.custom_unit.rate or 1) if price.custom_unit else Fraction(1)
    least, most = (
        None if given is None else Fraction(given) * worth for given in (price.minimum_amount, price.maximum_amount)
    )
    for farther in (far * (1 << place) for place in range(8)):
        amount = rate(farther).amount
        if (most is None or amount >= most) and (least is None or amount > least):
            return farther
    return far


def points(bounds: Iterable[Fraction], far: Fraction, rate: Rate, *, log: bool = False) -> list[Point]:
    """Totals at 0, at `far`, at each bound and just beyond it, and between (evenly, or by powers of ten)."""
    inside = [bound for bound in bounds if 0 < bound < far]
    beyond = {bound + bound * _NEAR for bound in inside}
    quantities = sorted({Fraction(0), far, *inside, *beyond, *(_powers(far) if log else _steps(far))})
    known = {quantity: Fraction(rate(quantity).unrounded) for quantity in quantities}
    known |= _kinks(quantities, known, rate)
    quantities, totals = sorted(known), [known[quantity] for quantity in sorted(known)]
    found = []
    for place, (quantity, total) in enumerate(zip(quantities, totals, strict=True)):
        following = place + 1 if place + 1 < len(quantities) else place
        jumps = following != place and quantities[following] in beyond
        if following == place or jumps:  # the stretch that ends here says what a unit costs
            first, last = place - 1, place
        else:
            first, last = place, following
        width = quantities[last] - quantities[first]
        slope = (totals[last] - totals[first]) / width if width else None
        found.append(Point(quantity, total, slope, quantity in inside, quantity in beyond))
    return found


def _kinks(quantities: Sequence[Fraction], totals: dict[Fraction, Fraction], rate: Rate) -> dict[Fraction, Fraction]:
    """Where the line bends between two quantities, as at a minimum or a maximum: its neighbours meet there."""
    found = {}
    for first, left, right, last in zip(quantities, quantities[1:], quantities[2:], quantities[3:], strict=False):
        before = (totals[left] - totals[first]) / (left - first)
        after = (totals[last] - totals[right]) / (last - right)
        if before == after:
            continue
        meet = (totals[right] - totals[left] + before * left - after * right) / (before - after)
        if left < meet < right:
            total = Fraction(rate(meet).unrounded)
            if total == totals[left] + before * (meet - left):
                found[meet] = total
    return found


def _steps(far: Fraction) -> list[Fraction]:
    return [far * place / SAMPLES for place in range(1, SAMPLES)]


def _powers(far: Fraction) -> list[Fraction]:
    """Quantities that lie evenly on a logarithmic axis, over six powers of ten."""
    return [far / Fraction(10) ** (6 - place // 8) * Fraction(10 + 90 * (place % 8) // 8, 10) for place in range(48)]


def falls(bounds: Iterable[Fraction], rate: Rate, currency: str) -> list[Fall]:
    """The bounds beyond which the rounded total is less than at them: a volume price may have some (R3)."""
    found = []
    for bound in bounds:
        before, after = (Fraction(rate(at).unrounded) for at in (bound, bound + bound * _NEAR))
        if round_money(after, currency) < round_money(before, currency):
            found.append(Fall(bound, before, after))
    return found


def fall_in_words(fall: Fall, words: Words) -> str:
    """“Above 1,000 tokens the total falls from USD 100.00 to USD 80.00.”"""
    before, after = (words.money(round_money(amount, words.currency)) for amount in (fall.before, fall.after))
    return f"Above {words.metered(fall.bound)} the total falls from {before} to {after}: more usage costs less there."


def curve_to_json(found: Iterable[Point], words: Words) -> list[dict[str, Any]]:
    """The points with decimal strings for the axes and words for people."""
    return [
        {
            "x": plain(rendered(point.quantity)),
            "y": plain(rendered(point.total)),
            "bound": point.bound,
            "beyond": point.beyond,
            "next": None if point.next_unit is None else plain(rendered(point.next_unit)),
            "words": [
                f"{'above ' if point.beyond else ''}{words.metered(nearest(point.quantity))}",
                words.money(round_money(point.total, words.currency)),
                "" if point.next_unit is None else unit_price(point.next_unit, words),
                unit_price(point.total / point.quantity, words) if point.quantity else "",
            ],
        }
        for point in found
    ]


def nearest(quantity: Fraction) -> Fraction:
    """A quantity as people say it: six significant digits are enough beside a picture."""
    if not quantity:
        return quantity
    places = 6 - len(str(int(quantity)))
    return Fraction(round(quantity * Fraction(10) ** places)) / Fraction(10) ** places


def unit_price(amount: Fraction, words: Words) -> str:
    """A price of one unit: as many decimals as its first four digits need."""
    if not amount:
        return words.money(Decimal(0))
    text = f"{rendered(amount):.4g}" if abs(amount) < 1 else f"{rendered(amount):.4f}"
    return words.money(Decimal(plain(Decimal(text))))
