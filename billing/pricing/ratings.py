"""What rating gives: an amount and the ordered steps that made it, to be stored with an invoice line and shown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from billing.money import EXACT, plain
from billing.pricing.exact import ZERO, Exact, plus, rendered, simplest, times


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
    """The price of usage: `amount` rounded once, half away from zero, to the currency's minor unit (R3).

    The amounts of the steps add up to `unrounded` exactly. `top_up` is what a minimum adds: the rounded amount less the
    rounded amount before it, 0 where none was needed. It is a line of its own on an invoice.
    """

    amount: Decimal
    unrounded: Exact
    currency: str
    steps: tuple[Step, ...]
    top_up: Decimal = ZERO

    @property
    def before_minimum(self) -> Decimal:
        """The rounded amount that was reached without the minimum."""
        return EXACT.subtract(self.amount, self.top_up)

    def to_json(self) -> dict[str, object]:
        """The rating with decimal strings; amounts without end have 30 places, and still add up to `unrounded`."""
        return {
            "amount": format(self.amount, "f"),
            "unrounded": _text(self.unrounded),
            "currency": self.currency,
            "steps": [step.to_json() for step in self._rendered_steps()],
        }

    def _rendered_steps(self) -> Iterable[Step]:
        """The steps as differences of rendered running totals, so that no digit is lost between them."""
        if all(isinstance(step.amount, Decimal) for step in self.steps):
            return self.steps
        return self._differences()

    def _differences(self) -> Iterator[Step]:
        total: Exact = ZERO
        shown = ZERO
        for step in self.steps:
            total = plus(total, step.amount)
            now = rendered(total)
            yield replace(step, amount=EXACT.subtract(now, shown))
            shown = now


def made_of(label: str, amount: Exact, *, quantity: Exact | None = None) -> Step:
    """A step that is an amount, with perhaps the quantity that it tells of."""
    return Step(
        label,
        simplest(quantity) if isinstance(quantity, Fraction) else quantity,
        None,
        None,
        simplest(amount) if isinstance(amount, Fraction) else amount,
    )


def charged(label: str, quantity: Exact, unit_amount: Decimal | None, flat_amount: Decimal | None) -> Step:
    """A step of quantity × unit amount + flat amount, either of which may be missing."""
    amount = ZERO if unit_amount is None else times(quantity, unit_amount)
    return Step(label, quantity, unit_amount, flat_amount, amount if flat_amount is None else plus(amount, flat_amount))


def _text(number: Exact | None) -> str | None:
    if number is None:
        return None
    return plain(number if isinstance(number, Decimal) else rendered(number))
