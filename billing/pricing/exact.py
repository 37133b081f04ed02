"""Exact numbers: a Decimal wherever one exists, a Fraction for the likes of a third."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.money import EXACT

Exact = Decimal | Fraction

RENDERED_PLACES: Final = 30
"""Places to which a number without end is written in JSON."""


def exactly(number: Exact | int) -> Exact:
    """The number as a Decimal where there is one."""
    return simplest(number) if isinstance(number, Fraction) else Decimal(number)


def added(numbers: Iterable[Exact]) -> Exact:
    """The sum; in Decimals, which are quicker, as long as there are no others."""
    total: Exact = Decimal(0)
    for number in numbers:
        if isinstance(total, Decimal) and isinstance(number, Decimal):
            total = EXACT.add(total, number)
        else:
            total = Fraction(total) + Fraction(number)
    return total if isinstance(total, Decimal) else simplest(total)


def less(one: Exact, other: Exact) -> Exact:
    """The difference. (A minus sign would round a Decimal to the thread's context.)"""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return EXACT.subtract(one, other)
    return simplest(Fraction(one) - Fraction(other))


def times(one: Exact, other: Exact) -> Exact:
    """The product."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return EXACT.multiply(one, other)
    return simplest(Fraction(one) * Fraction(other))


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


def rendered(value: Fraction) -> Decimal:
    """The number as a Decimal: exact where it ends, otherwise to 30 places, half away from zero."""
    exact = simplest(value)
    if isinstance(exact, Decimal):
        return exact
    scaled = abs(value) * 10**RENDERED_PLACES
    digits = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(digits if value > 0 else -digits).scaleb(-RENDERED_PLACES, EXACT)
