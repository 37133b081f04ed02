"""The words of rating steps, as an invoice prints them: grouped digits, ISO code before the amount, units in plural."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing.money import plain
from billing.pricing.exact import rendered, simplest
from customers.currencies import minor_places


@dataclass(frozen=True, slots=True)
class Words:
    """How one price speaks: its currency, the unit that is metered, and how many of them make a priced unit."""

    currency: str
    unit_name: str
    divide_by: Decimal = Decimal(1)

    def money(self, amount: Decimal) -> str:
        """`USD 0.10`: all digits, at least the places of the currency."""
        whole, _, decimals = plain(amount).partition(".")
        decimals = decimals.ljust(minor_places(self.currency), "0")
        return f"{self.currency} {Decimal(whole):,f}{'.' if decimals else ''}{decimals}"

    def metered(self, quantity: Fraction) -> str:
        """`1,500,000 tokens`: a quantity before conversion."""
        return f"{number(quantity)} {plural(self.unit_name, quantity)}"

    def units(self, quantity: Fraction) -> str:
        """`1,500,000 tokens`: a quantity after conversion, told in the unit that is metered."""
        return self.metered(quantity * Fraction(self.divide_by))

    def count(self, quantity: Decimal | Fraction) -> str:
        """`1,500,000`: the same without its unit."""
        return number(Fraction(quantity) * Fraction(self.divide_by))

    def each(self, amount: Decimal) -> str:
        """`USD 0.000003`, or `USD 3.00 per 1,000,000` where the price converts: an amount a priced unit."""
        return self.money(amount) + ("" if self.divide_by == 1 else f" per {number(Fraction(self.divide_by))}")


def number(value: Fraction) -> str:
    """Grouped digits; decimals without end stop after twelve, with an ellipsis."""
    text = f"{Decimal(plain(rendered(value))):,f}"
    if isinstance(simplest(value), Decimal):
        return text
    return text[: text.index(".") + 13] + "…"


def plural(name: str, quantity: Fraction) -> str:
    """The unit's name for a quantity: `1 token`, `2 tokens`, `2 queries`; names like `GB` or `km` stay as they are."""
    if quantity == 1 or len(name) < 3 or not name.islower() or name.endswith("s"):
        return name
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("x", "ch", "sh")) else f"{name}s"
