"""The words of rating steps, as an invoice prints them: grouped digits, ISO code before the amount, units in plural."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing.money import plain
from billing.pricing.exact import rendered, simplest
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
        whole, _, decimals = plain(amount).partition(".")
        if self.custom_unit:
            name = self.custom_unit.code.removesuffix("s")
            return f"{grouped(whole, decimals)} {plural(name, Fraction(amount))}"
        return f"{self.currency} {grouped(whole, decimals.ljust(minor_places(self.currency), '0'))}"

    def metered(self, quantity: Fraction | Decimal) -> str:
        """`1,500,000 tokens`: a quantity before conversion."""
        return f"{number(quantity)} {plural(self.unit_name, quantity)}"

    def units(self, quantity: Fraction | Decimal) -> str:
        """`1,500,000 tokens`: a quantity after conversion, told in the unit that is metered."""
        return self.metered(quantity if self.divide_by == 1 else Fraction(quantity) * Fraction(self.divide_by))

    def count(self, quantity: Decimal | Fraction) -> str:
        """`1,500,000`: the same without its unit."""
        return number(Fraction(quantity) * Fraction(self.divide_by))

    def each(self, amount: Decimal) -> str:
        """`USD 0.000003`, or `USD 3.00 per 1,000,000` where the price converts: an amount a priced unit."""
        return self.money(amount) + ("" if self.divide_by == 1 else f" per {number(self.divide_by)}")


def grouped(whole: str, decimals: str) -> str:
    """Digits in groups of three, and decimals as they are."""
    return f"{Decimal(whole):,f}{'.' if decimals else ''}{decimals}"


def number(value: Fraction | Decimal) -> str:
    """Grouped digits; decimals without end stop after twelve, with an ellipsis."""
    if isinstance(value, Decimal):
        return f"{Decimal(plain(value)):,f}"
    text = f"{Decimal(plain(rendered(value))):,f}"
    if isinstance(simplest(value), Decimal):
        return text
    return text[: text.index(".") + 13] + "…"


def plural(name: str, quantity: Fraction | Decimal) -> str:
    """The unit's name for a quantity: `1 token`, `2 tokens`, `2 queries`; names like `GB` or `km` stay as they are."""
    if quantity == 1 or len(name) < 3 or not name.islower() or name.endswith("s"):
        return name
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("x", "ch", "sh")) else f"{name}s"
