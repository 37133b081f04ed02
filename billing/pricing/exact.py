"""Exact numbers: a Decimal wherever one exists, a Fraction for the likes of a third.

Sums and products stay in Decimals, which are many times quicker, as long as all that goes in are such.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Final, Literal

from billing.money import EXACT

Exact = Decimal | Fraction

RENDERED_PLACES: Final = 30
"""Places to which a number without end is written in JSON."""

ZERO: Final = Decimal(0)


def exactly(number: Exact) -> Exact:
    """The number as a Decimal where there is one. ValueError for NaN and infinities."""
    if isinstance(number, Fraction):
        return simplest(number)
    if not number.is_finite():
        raise ValueError(f"{number} is no quantity; rate a finite number.")
    return number


def plus(one: Exact, other: Exact) -> Exact:
    """The sum of two."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return EXACT.add(one, other)
    return simplest(Fraction(one) + Fraction(other))


def minus(one: Exact, other: Exact) -> Exact:
    """The difference."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return EXACT.subtract(one, other)
    return simplest(Fraction(one) - Fraction(other))


def times(one: Exact, other: Exact) -> Exact:
    """The product."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return EXACT.multiply(one, other)
    return simplest(Fraction(one) * Fraction(other))


def over(number: Exact, divisor: Decimal) -> Exact:
    """The quotient."""
    return number if divisor == 1 else times(number, _inverse(divisor))


def added(numbers: Iterable[Exact]) -> Exact:
    """The sum of any number of them."""
    total: Exact = ZERO
    for number in numbers:
        total = plus(total, number)
    return total


def percent(rate: Decimal) -> Decimal:
    """A rate in percent as a share of 1."""
    return rate.scaleb(-2, EXACT)


def whole(number: Exact, mode: Literal["up", "down", "half_up"], places: int = 0) -> Decimal:
    """Rounded to `places`: up, down, or halves away from zero."""
    scaled = Fraction(number) * 10**places
    match mode:
        case "up":
            digits = ceil(scaled)
        case "down":
            digits = floor(scaled)
        case "half_up":
            digits = floor(abs(scaled) + Fraction(1, 2))
            digits = digits if scaled > 0 else -digits
    return Decimal(digits).scaleb(-places, EXACT)


def simplest(value: Fraction) -> Exact:
    """The same number as a Decimal, or as it is when its decimals never end."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        places = max(places, power)
    if rest != 1:
        return value
    return Decimal(value.numerator * 10**places // value.denominator).scaleb(-places, EXACT)


def rendered(value: Exact) -> Decimal:
    """The number as a Decimal: exact where it ends, otherwise to 30 places, half away from zero."""
    exact = simplest(value) if isinstance(value, Fraction) else value
    return exact if isinstance(exact, Decimal) else whole(exact, "half_up", RENDERED_PLACES)


@lru_cache(maxsize=1024)
def _inverse(divisor: Decimal) -> Exact:
    return simplest(1 / Fraction(divisor))
