"""What of a price is granted once a period, cut to the share of the period that it holds for (R4.5).

Pure: no Django, no clock.
"""

from dataclasses import replace
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any, Final

from billing.pricing import Price

_PLACES: Final = Decimal("0.000001")
_ROUNDING: Final = Context(prec=60, rounding=ROUND_HALF_UP)


def prorated(price: Price, share: Fraction) -> Price:
    """The price with its tiers' bounds and flat amounts, free usage and discounts by amount cut to a share.

    Bounds and amounts are rounded to six places, half away from zero. Minimum and maximum stay: they are of the cycle.
    """
    model: Any = price.model
    changes: dict[str, Any] = {}
    if getattr(model, "tiers", None):
        changes["tiers"] = tuple(_cut(tier, share, "up_to", "flat_amount") for tier in model.tiers)
    if getattr(model, "free_amount", None) is not None:
        changes["free_amount"] = _part(model.free_amount, share)
    return replace(
        price,
        model=replace(model, **changes) if changes else model,
        free_quantity=_part(price.free_quantity, share),
        discounts=tuple(_cut(each, share, "amount") for each in price.discounts),
    )


def _cut(what: Any, share: Fraction, *names: str) -> Any:
    """The same with some of its numbers, where they are given, cut to a share."""
    given = {name: value for name in names if (value := getattr(what, name)) is not None}
    return replace(what, **{name: _part(value, share) for name, value in given.items()})


def _part(value: Decimal, share: Fraction) -> Decimal:
    exact = Fraction(value) * share
    rounded = _ROUNDING.divide(Decimal(exact.numerator), Decimal(exact.denominator))
    return rounded.quantize(_PLACES, context=_ROUNDING).normalize(_ROUNDING) if rounded else Decimal(0)
