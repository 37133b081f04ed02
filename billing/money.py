"""Exact money: reading, writing, rounding and splitting amounts without losing anything.

Amounts are `Decimal`, exact ratios are `Fraction`, binary floats do not occur. Nothing here depends on the thread's
decimal context: arithmetic runs in a context of our own that raises rather than round. Pure: no Django, no clock.
"""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from typing import Final

from customers.currencies import minor_places

MAX_DIGITS: Final = 40
"""Digits that a number may have when written out: beyond any bill, and input cannot eat memory by an exponent."""

EXACT: Final = Context(prec=2000, rounding=ROUND_HALF_UP, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow])
"""Context that never rounds silently: an operation whose result does not fit raises `decimal.Inexact`."""

_ROUNDING: Final = Context(prec=2000, rounding=ROUND_HALF_UP, traps=[InvalidOperation, Overflow])
_UNITS: Final = [Decimal((0, (1,), -places)) for places in range(5)]
"""The minor unit of a currency by its places."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]{1,4}))?")


class AmountError(ValueError):
    """A value that cannot be read as an exact decimal; `path` says where it stood, `message` how to write it."""

    code: Final = "invalid_number"

    def __init__(self, message: str, path: str) -> None:
        self.message = message
        self.path = path
        super().__init__(f"{path}: {message}")


def round_money(amount: Decimal | Fraction, currency: str) -> Decimal:
    """Round once, half away from zero, to the currency's minor unit (R3, R5.6).

    Exact for fractions too (a third of an amount). The result has exactly the currency's places and is never -0.
    UnknownCurrency for a code without a minor unit.
    """
    places = minor_places(currency)
    if isinstance(amount, Fraction):
        scaled = abs(amount) * 10**places
        minor = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
        return _from_minor(minor if amount > 0 else -minor, places)
    rounded = amount.quantize(_UNITS[places], context=_ROUNDING)
    return rounded if rounded else rounded.copy_abs()


def allocate(amount: Decimal, weights: Sequence[Decimal | Fraction | int], currency: str) -> list[Decimal]:
    """Split `amount` in proportion to `weights`, losing nothing: largest remainder, ties to the earlier part (R5.7).

    A part with weight 0 gets 0; a negative amount is split as its mirror. ValueError when no weight is positive, one
    is negative, or the amount is finer than the currency's minor unit.
    """
    places = minor_places(currency)
    minor = Fraction(amount) * 10**places
    if minor.denominator != 1:
        raise ValueError(f"{plain(amount)} is finer than the minor unit of {currency}; round it before splitting it.")
    shares = [Fraction(weight) for weight in weights]
    total = sum(shares)
    if any(share < 0 for share in shares) or total == 0:
        raise ValueError("An amount is split by weights of 0 or more, of which at least one is above 0.")
    exact = [abs(minor) * share / total for share in shares]
    parts = [part.numerator // part.denominator for part in exact]
    left = abs(minor.numerator) - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda index: parts[index] - exact[index])
    for index in by_remainder[:left]:
        parts[index] += 1
    return [_from_minor(part if amount > 0 else -part, places) for part in parts]


def parse_decimal(value: object, path: str) -> Decimal:
    """Read a decimal string or an integer exactly; AmountError with `path` for anything else.

    Refused: JSON floats and booleans, NaN and infinities, separators and blanks, and numbers of more than 40 digits
    when written out.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        shown = "a JSON float" if isinstance(value, float) else "not a decimal"
        raise AmountError(f'{value!r} is {shown}; write it as a string, such as "0.10", or as an integer.', path)
    too_long = AmountError(f"The number has more than {MAX_DIGITS} digits when written out; shorten it.", path)
    if len(value) > 2 * MAX_DIGITS if isinstance(value, str) else abs(value) >= 10**MAX_DIGITS:
        raise too_long
    text = str(value)
    if _NUMBER.fullmatch(text) is None:
        raise AmountError(f'{text!r} is no decimal; write digits with at most one point, such as "1234.50".', path)
    number = Decimal(text)
    if not number:
        return Decimal(0)
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or max(len(digits) + exponent, 0) + max(-exponent, 0) > MAX_DIGITS:
        raise too_long
    return number


def plain(number: Decimal) -> str:
    """The canonical text of a decimal: no exponent, no trailing zeros, no -0. ValueError for NaN and infinities."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    elif not number.is_finite():
        raise ValueError(f"{number} has no decimal text.")
    return text if number else "0"


def _from_minor(minor: int, places: int) -> Decimal:
    """An amount from a whole number of minor units."""
    return Decimal(minor).scaleb(-places, EXACT)
