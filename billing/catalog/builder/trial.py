"""What the plan builder shows of a price in the making: words, curve, warnings, example. Pure: no Django."""

from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from billing.catalog.builder.curve import Rate, bounds_of, curve_to_json, fall_in_words, falls, points, reach
from billing.catalog.wording import price_in_words
from billing.money import AmountError, parse_decimal
from billing.pricing import Price, Rating, rate
from billing.pricing.words import Words, number
from billing.pricing.write import MODEL_NAMES

MODELS: Final = tuple(MODEL_NAMES.values())
"""The models that can be chosen, in the order of the rules."""
ADJUSTERS: Final = tuple(
    name for name in ("minimum_amount", "maximum_amount", "custom_unit") if name in Price.__dataclass_fields__
)


def shown(price: Price, unit: str, *, cover: Fraction = Fraction(0), log: bool = False) -> dict[str, Any]:
    """The price in words, its curve up to at least `cover` metered units, and what to beware of."""

    def at(quantity: Fraction) -> Rating:
        return rate(price, quantity, unit)

    return {"words": price_in_words(price, unit), **_drawn(price, at, unit, cover, log)}


def _drawn(price: Price, at: Rate, unit: str, cover: Fraction, log: bool) -> dict[str, Any]:
    words, bounds = Words(price.currency, unit), bounds_of(price)
    far = reach(price, at, cover)
    fallen = falls([bound for bound in bounds if bound], at, price.currency)
    return {
        "curve": curve_to_json(points(bounds, far, at, log=log), words),
        "warnings": [fall_in_words(fall, words) for fall in fallen],
    }


def quantity_of(text: object) -> Fraction:
    """A typed quantity; ValueError with a sentence for what is none."""
    bare = str(text).strip().replace(",", "") if isinstance(text, str) else text
    try:
        return Fraction(parse_decimal(bare, ""))
    except AmountError:
        raise ValueError(f"“{text}” is no quantity: write a number such as 1500.") from None


def example_to_json(rating: Rating, words: Words) -> dict[str, Any]:
    """A rating as the invoice explains it: the steps with their amounts, and the rounded total."""
    return {
        "steps": [{"label": step.label, "amount": _exact(Fraction(step.amount), words)} for step in rating.steps],
        "total": words.money(rating.amount),
        "unrounded": _exact(Fraction(rating.unrounded), words),
    }


def _exact(amount: Fraction, words: Words) -> str:
    """All digits of an amount, with its sign before the currency's code as invoices have it."""
    text = number(abs(amount))
    places = Decimal(words.money(Decimal(0)).split()[1]).as_tuple().exponent
    whole, _, decimals = text.partition(".")
    padded = decimals if decimals.endswith("…") else decimals.ljust(-int(places), "0")
    return f"{words.currency} {'−' if amount < 0 else ''}{whole}{'.' if padded else ''}{padded}"
