"""What rating gives: an amount and the ordered steps that made it, to be stored with an invoice line and shown."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from billing.money import EXACT, plain
from billing.pricing.exact import Exact, added, exactly, rendered, times


@dataclass(frozen=True, slots=True)
class Step:
    """One addend of a rating, labelled as an invoice prints it.

    Where both have a meaning, `amount` = `quantity` × `unit_amount` + `flat_amount` (None counts as 0); of a tier or
    price in packages, `quantity` counts packages. Steps that only explain have the amount 0.
    """

    label: str
    quantity: Exact | None
    unit_amount: Decimal | None
    flat_amount: Decimal | None
    amount: Exact

    def to_json(self) -> dict[str, str | None]:
        """The step with decimal strings."""
        return {
            "label": self.label,
            "quantity": _text(self.quantity),
            "unit_amount": _text(self.unit_amount),
            "flat_amount": _text(self.flat_amount),
            "amount": _text(self.amount),
        }


@dataclass(frozen=True, slots=True)
class Rating:
    """The price of a quantity: `amount` rounded once, half away from zero, to the currency's minor unit (R3).

    The amounts of the steps add up to `unrounded` exactly. `top_up` is what a minimum added to the rounded amount:
    an invoice shows it as a line of its own.
    """

    amount: Decimal
    unrounded: Exact
    currency: str
    steps: tuple[Step, ...]
    top_up: Decimal = Decimal(0)

    @property
    def before_minimum(self) -> Decimal:
        """The rounded amount without what a minimum added."""
        return EXACT.subtract(self.amount, self.top_up)

    def to_json(self) -> dict[str, object]:
        """The rating with decimal strings; amounts without end have 30 places, and still add up to `unrounded`."""
        return {
            "amount": format(self.amount, "f"),
            "unrounded": _text(self.unrounded),
            "currency": self.currency,
            "steps": [step.to_json() for step in self._rendered_steps()],
        }

    def _rendered_steps(self) -> Iterator[Step]:
        """The steps as differences of rendered running totals, so that no digit is lost between them."""
        if all(isinstance(step.amount, Decimal) for step in self.steps):
            yield from self.steps
            return
        total, shown = Fraction(0), Decimal(0)
        for step in self.steps:
            total += Fraction(step.amount)
            now = rendered(total)
            yield replace(step, amount=EXACT.subtract(now, shown))
            shown = now


def made_of(label: str, amount: Exact, *, quantity: Exact | None = None) -> Step:
    """A step that is an amount, with perhaps the quantity that it tells of."""
    return Step(label, None if quantity is None else exactly(quantity), None, None, exactly(amount))


def charged(label: str, quantity: Exact, unit_amount: Decimal | None, flat_amount: Decimal | None) -> Step:
    """A step of quantity × unit amount + flat amount, either of which may be missing."""
    amount: Exact = Decimal(0) if unit_amount is None else times(quantity, unit_amount)
    if flat_amount is not None:
        amount = added((amount, flat_amount))
    return Step(label, exactly(quantity), unit_amount, flat_amount, amount)


def _text(number: Exact | None) -> str | None:
    if isinstance(number, Decimal):
        return plain(number)
    return None if number is None else plain(rendered(number))
