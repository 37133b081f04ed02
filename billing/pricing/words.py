"""The words of rating steps, as an invoice prints them: grouped digits, ISO code before the amount, units in plural."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from billing.money import plain
from billing.pricing.exact import Exact, rendered, simplest, times
from billing.pricing.prices import CustomUnit
from customers.currencies import minor_places


@dataclass(frozen=True, slots=True)
class Words:
    """How one price speaks: its currency or custom unit, what is metered, and how many of that make a priced unit."""

    currency: str
    unit_name: str
    divide_by: Decimal = Decimal(1)
    custom_unit: CustomUnit | None = None

    def money(self, amount: Decimal) -> str:
        """`USD 0.10`: all digits, at least the places of the currency; `5 credits` in a custom unit."""
        if self.custom_unit is not None:
            return f"{number(amount)} {plural(self.custom_unit.code.removesuffix('s'), amount)}"
        return _money(self.currency, amount)

    def metered(self, quantity: Exact) -> str:
        """`1,500,000 tokens`: a quantity before conversion."""
        return f"{number(quantity)} {plural(self.unit_name, quantity)}"

    def units(self, quantity: Exact) -> str:
        """`1,500,000 tokens`: a quantity after conversion, told in the unit that is metered."""
        return self.metered(self._metered(quantity))

    def count(self, quantity: Exact) -> str:
        """`1,500,000`: the same without its unit."""
        return number(self._metered(quantity))

    def each(self, amount: Decimal) -> str:
        """`USD 0.000003`, or `USD 3.00 per 1,000,000` where the price converts: an amount a priced unit."""
        return self.money(amount) + ("" if self.divide_by == 1 else f" per {number(self.divide_by)}")

    def _metered(self, quantity: Exact) -> Exact:
        return quantity if self.divide_by == 1 else times(quantity, self.divide_by)


@lru_cache(maxsize=10_000)
def _money(currency: str, amount: Decimal) -> str:
    """The same prices are told on every line."""
    whole, _, decimals = plain(amount).partition(".")
    decimals = decimals.ljust(minor_places(currency), "0")
    return f"{currency} {Decimal(whole):,f}{'.' if decimals else ''}{decimals}"


def number(value: Exact) -> str:
    """Grouped digits; decimals without end stop after twelve, with an ellipsis."""
    if isinstance(value, Fraction):
        exact = simplest(value)
        if isinstance(exact, Fraction):
            text = f"{rendered(exact):,f}"
            return text[: text.index(".") + 13] + "…"
        value = exact
    if not value:
        return "0"
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plural(name: str, quantity: Exact) -> str:
    """The unit's name for a quantity: `1 token`, `2 tokens`, `2 queries`; names like `GB` or `km` stay as they are."""
    if quantity == 1 or len(name) < 3 or not name.islower() or name.endswith("s"):
        return name
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("x", "ch", "sh")) else f"{name}s"
