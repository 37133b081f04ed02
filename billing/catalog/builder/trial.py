"""What the plan builder shows of a price in the making: words, curve, warnings, example. Pure: no Django."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from billing.catalog.builder.curve import Rate, bounds_of, curve_to_json, fall_in_words, falls, points, reach
from billing.catalog.price_rules import price_warnings
from billing.catalog.wording import price_in_words, words_of
from billing.money import AmountError, parse_decimal, plain, round_money
from billing.pricing import Price, PriceError, Rating, price_to_json, rate
from billing.pricing.exact import rendered
from billing.pricing.prices import Matrix
from billing.pricing.usages import Cells, Events, EventUse, Need, Usage, needs
from billing.pricing.words import Words, number, plural
from billing.pricing.write import MODEL_NAMES

MODELS: Final = tuple(MODEL_NAMES.values())
"""The models that can be chosen."""
ADJUSTERS: Final = ("minimum_amount", "maximum_amount", "custom_unit")
OTHER: Final = "another"
"""A value for which a matrix has no cell, in examples of its default."""
ROWS_TRIED: Final = 6
EVENTS_TYPED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Worked:
    """An example: what was used, in words; and each part of it that is priced alone, with its name."""

    said: str
    parts: tuple[tuple[str, Usage], ...]
    cover: Fraction = Fraction(0)


def need_to_json(price: Price) -> dict[str, Any]:
    """What an example of the price takes, so that the form asks for it; for a matrix with its first cells."""
    need = needs(price)
    rows = []
    if isinstance(price.model, Matrix):
        rows = [list(cell.when) for cell in price.model.cells[:ROWS_TRIED]]
        rows += [[OTHER] * len(need.dimensions)] if price.model.default else []
    kind = "cells" if isinstance(price.model, Matrix) else "quantity" if need.kind == "quantity" else "events"
    each = price.unit.divide_by if price.unit.divide_by > 1 else Decimal(1000)
    return {"kind": kind, "dimensions": list(need.dimensions), "rows": rows, "quantity": plain(each)}


def typed(asked: dict[str, Any], price: Price, unit: str) -> Worked:
    """What somebody typed, as the price takes it; ValueError with a sentence for what cannot be read."""
    need = needs(price)
    words = Words(price.currency, unit)
    if isinstance(price.model, Matrix):
        rows = _typed_cells(asked.get("cells"), need)
        said = words.metered(sum((Fraction(quantity) for _, quantity in rows), Fraction(0)))
        return Worked(f"{said} in all", (("", _of_cells(rows, need)),), _first(rows))
    if need.kind == "quantity":
        quantity = quantity_of(asked.get("quantity"))
        return Worked(words.metered(quantity), (("", quantity),), max(quantity, Fraction(0)))
    values = _typed_events(asked.get("events"))
    said = (
        f"{len(values)} {plural('event', Fraction(len(values)))} of {number(sum(map(Fraction, values), Fraction(0)))}"
    )
    return Worked(said, (("", Events(tuple(map(EventUse, values)))),), Fraction(max(values, default=Decimal(0))))


def _typed_cells(given: object, need: Need) -> list[tuple[tuple[str, ...], Decimal]]:
    rows = []
    for row in given if isinstance(given, list) else ():
        values = row.get("values") if isinstance(row, dict) else None
        if isinstance(values, list) and len(values) == len(need.dimensions):
            rows.append((tuple(map(str, values)), rendered(quantity_of(row.get("quantity")))))
    if not rows:
        raise ValueError("Type a quantity for one of the cells.")
    return rows


def _of_cells(rows: Sequence[tuple[tuple[str, ...], Decimal]], need: Need) -> Usage:
    if need.kind == "cells":
        return Cells(need.dimensions, tuple(rows))
    named = ((quantity, tuple(zip(need.dimensions, values, strict=True))) for values, quantity in rows)
    return Events(tuple(EventUse(quantity, dimensions) for quantity, dimensions in named))


def _first(rows: Sequence[tuple[tuple[str, ...], Decimal]]) -> Fraction:
    return max(Fraction(rows[0][1]), Fraction(0))


def _typed_events(given: object) -> list[Decimal]:
    parts = [part for part in str(given or "").replace(";", ",").split(",") if part.strip()]
    if not 1 <= len(parts) <= EVENTS_TYPED:
        raise ValueError(f"Type the values of one to {EVENTS_TYPED:,} events, apart by commas: 12.50, 40.")
    return [rendered(quantity_of(part)) for part in parts]


def quantity_of(text: object) -> Fraction:
    """A typed quantity; ValueError with a sentence for what is none."""
    bare = text.strip().replace(",", "") if isinstance(text, str) else text
    try:
        return Fraction(parse_decimal(bare, ""))
    except AmountError:
        raise ValueError(f"“{str(text).strip()}” is no quantity: write a number such as 1500.") from None


def shown(
    price: Price, unit: str, *, cover: Fraction = Fraction(0), log: bool = False, cell: object = None
) -> dict[str, Any]:
    """The price in words, its curve up to at least `cover` metered units, and what to beware of.

    A matrix is drawn for one cell: the first, or the one of the values `cell`.
    """
    words, single, about = words_of(price, unit), price, ""
    values: tuple[str, ...] = ()
    if isinstance(price.model, Matrix):
        values = _chosen(price.model, cell)
        single = next((each.price for each in price.model.cells if each.when == values), price.model.default) or price
        about = f"For {' and '.join(values)}"
    elif needs(price).kind == "events":
        about = "By the value of a single event"

    def at(quantity: Fraction) -> Rating:
        return rate(price, _one(price, quantity, values), unit)

    warnings = [f"It {sentence}." for sentence in price_warnings(price_to_json(price), unit) if "falls" not in sentence]
    answer = {"words": price_in_words(price, unit), "about": about, "warnings": warnings, "needs": need_to_json(price)}
    try:
        return answer | _drawn(
            at, bounds_of(single, price.unit if values else None), words, price, cover, log, warnings
        )
    except PriceError as error:
        return answer | {"curve": [], "no_curve": error.message}


def _chosen(model: Matrix, cell: object) -> tuple[str, ...]:
    known = [each.when for each in model.cells]
    if isinstance(cell, list) and all(isinstance(value, str) for value in cell):
        wanted = tuple(cell)
        if wanted in known or (model.default and wanted == (OTHER,) * len(model.dimensions)):
            return wanted
    return known[0] if known else (OTHER,) * len(model.dimensions)


def _one(price: Price, quantity: Fraction, values: tuple[str, ...]) -> Usage:
    """A quantity as the price takes it: itself, of one cell, or as the value of one event."""
    need = needs(price)
    if isinstance(price.model, Matrix):
        return _of_cells([(values, rendered(quantity))], need)
    return quantity if need.kind == "quantity" else Events((EventUse(rendered(quantity)),))


def _drawn(
    at: Rate, bounds: list[Fraction], words: Words, price: Price, cover: Fraction, log: bool, warnings: list[str]
) -> dict[str, Any]:
    money = Words(price.currency, words.unit_name)
    far = reach(price, bounds, at, cover)
    fallen = falls([bound for bound in bounds if bound], at, price.currency)
    return {
        "curve": curve_to_json(points(bounds, far, at, log=log), money),
        "warnings": warnings + [fall_in_words(fall, money) for fall in fallen],
    }


def example_to_json(worked: Worked, price: Price, unit: str) -> dict[str, Any]:
    """The example as the invoice explains it: the steps with their amounts, and the total, rounded once.

    Parts that are priced alone, such as days, are a step each.
    """
    words = Words(price.currency, unit)
    ratings = [(name, rate(price, usage, unit)) for name, usage in worked.parts]
    unrounded = sum((Fraction(rating.unrounded) for _, rating in ratings), Fraction(0))
    if len(ratings) == 1 and not ratings[0][0]:
        steps = [(step.label, Fraction(step.amount)) for step in ratings[0][1].steps]
    else:
        steps = [(name, Fraction(rating.unrounded)) for name, rating in ratings]
    return {
        "said": worked.said,
        "steps": [{"label": label, "amount": exact(amount, words)} for label, amount in steps],
        "total": words.money(round_money(unrounded, price.currency)),
    }


def exact(amount: Fraction, words: Words) -> str:
    """All digits of an amount, its sign after the currency’s code as in the back office."""
    text = number(abs(amount))
    zero = words.money(Decimal(0)).partition(".")[2]
    whole, _, decimals = text.partition(".")
    padded = decimals if decimals.endswith("…") else decimals.ljust(len(zero), "0")
    return f"{words.currency} {'−' if amount < 0 else ''}{whole}{'.' if padded else ''}{padded}"
