"""What about a price deserves a second look before it is published, as sentences.

They read a price as the JSON of docs/formats.md. Pure: no Django, no clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from billing.pricing.exact import rendered
from billing.pricing.prices import CustomUnit
from billing.pricing.words import Words, number

STEEP: Final = 1000
"""How many times dearer or cheaper than its neighbour a tier may be: more is a slip of the decimal point."""

_AMOUNTS: Final = (
    "amount", "unit_amount", "flat_amount", "rate", "fixed_amount", "minimum_per_event", "minimum_amount",
)  # fmt: skip
_FALLING: Final = ("volume", "volume_percentage")


def price_warnings(price: Mapping[str, Any], unit_name: str = "unit") -> list[str]:
    """Sentences about a valid price: it is zero, a tier is a thousand times its neighbour, a volume total falls."""
    if is_zero(price):
        return ["costs nothing: the price is zero"]
    unit = price.get("custom_unit")
    own = CustomUnit(unit["code"], unit.get("places", 0)) if unit else None
    return list(_of_model(price, Words(price["currency"], unit_name, _divisor(price), own)))


def is_zero(price: Mapping[str, Any]) -> bool:
    """Whether nothing that is used ever costs anything."""
    off = any(Decimal(each.get("percentage", 0)) >= 100 for each in price.get("discounts", ()))
    if _zero(price.get("maximum_amount", 1)) or (off and _zero(price.get("minimum_amount", 0))):
        return True
    if price["model"] == "dynamic":
        return _zero(price.get("multiplier", 1)) and _zero(price.get("minimum_amount", 0))
    parts: Sequence[Mapping[str, Any]] = price.get("tiers", ())
    if price["model"] == "matrix":
        cells = [cell["price"] for cell in price["cells"]] + [price["default"]] * (price.get("default") is not None)
        return all(map(is_zero, cells)) and _zero(price.get("minimum_amount", 0))
    return all(_zero(part.get(key, 0)) for part in (price, *parts) for key in _AMOUNTS)


def _divisor(price: Mapping[str, Any]) -> Decimal:
    return Decimal(price.get("unit", {}).get("divide_by", 1))


def _zero(value: Any) -> bool:
    return Decimal(value) == 0


def _of_model(price: Mapping[str, Any], words: Words) -> Iterator[str]:
    tiers = price.get("tiers", ())
    for before, after in pairwise(tiers):
        yield from _steep(before, after, words)
        if price["model"] in _FALLING:
            yield from _falls(before, after, words)
    for cell in price.get("cells", ()):
        place = ", ".join(f"{name} {value}" for name, value in cell["when"].items())
        inner = replace(words, divide_by=words.divide_by * _divisor(cell["price"]))
        found = ["costs nothing"] if is_zero(cell["price"]) else _of_model(cell["price"], inner)
        yield from (f"for {place}: {sentence}" for sentence in found)


def _steep(before: Mapping[str, Any], after: Mapping[str, Any], words: Words) -> Iterator[str]:
    one, other = _per_unit(before), _per_unit(after)
    if not one or not other or max(one, other) < STEEP * min(one, other):
        return
    times = number(Fraction(int(max(one, other) / min(one, other))))
    bound = words.units(Fraction(Decimal(before["up_to"])))
    yield f"beyond {bound} it is {times} times {'cheaper' if other < one else 'dearer'} than before"


def _per_unit(tier: Mapping[str, Any]) -> Fraction:
    """What one unit costs in a tier; a stairstep's amount, where there is nothing else to compare."""
    amount = next((tier[key] for key in ("unit_amount", "rate", "flat_amount") if key in tier), 0)
    return Fraction(Decimal(amount)) / Fraction(Decimal(tier.get("package_size", 1)))


def _falls(before: Mapping[str, Any], after: Mapping[str, Any], words: Words) -> Iterator[str]:
    bound = Fraction(Decimal(before["up_to"]))
    high, low = _total(before, bound, beyond=False), _total(after, bound, beyond=True)
    if low < high:
        before_it, beyond_it = words.money(rendered(high)), words.money(rendered(low))
        yield f"the total falls beyond {words.units(bound)}, from {before_it} to {beyond_it}"


def _total(tier: Mapping[str, Any], bound: Fraction, *, beyond: bool) -> Fraction:
    """What the whole quantity costs in a tier: at the bound, or just beyond it."""
    quantity = bound
    if "package_size" in tier:
        size = Fraction(Decimal(tier["package_size"]))
        blocks = bound // size + 1 if beyond else -(-bound // size)
        quantity = Fraction(blocks)
    each = Fraction(Decimal(tier["rate"])) / 100 if "rate" in tier else Fraction(Decimal(tier.get("unit_amount", 0)))
    return quantity * each + Fraction(Decimal(tier.get("flat_amount", 0)))
