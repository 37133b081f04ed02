"""How the lab's pages say amounts, differences and factors."""

from decimal import Decimal
from typing import Any

from billing.lab.models import PriceTrial
from customers.backoffice import NONE, amount_text, quantity_text


def difference_text(amount: Decimal, currency: str) -> str:
    """A difference with its sign: “USD +12.00”, “USD −3.50”, “USD 0.00”."""
    text = amount_text(amount, currency)
    return text.replace(f"{currency} ", f"{currency} +", 1) if amount > 0 else text


def factor_text(factor: str | None) -> str:
    """A factor on prices as people say it: “−7.0 % (× 0.93)”; a dash where there is none."""
    if factor is None:
        return NONE
    number = Decimal(factor)
    change = round((number - 1) * 100, 1)
    sign = "−" if change < 0 else "+" if change else "±"
    return f"{sign}{abs(change):,.1f} % (× {round(number, 4).normalize():f})"


def months_text(trial: PriceTrial) -> str:
    """The months that are rated: “2026-10” or “2026-07 to 2026-10”."""
    first, last = f"{trial.first_month:%Y-%m}", f"{trial.last_month:%Y-%m}"
    return first if first == last else f"{first} to {last}"


def step_texts(step: dict[str, Any], currency: str) -> dict[str, str]:
    """A step of a rating as texts; what it does not have stays empty, an addend without end shows six places."""

    def amount(name: str, places: int) -> str:
        text = step.get(name)
        return "" if text is None else amount_text(round(Decimal(text), places), currency)

    quantity = step.get("quantity")
    return {
        "label": step["label"],
        "quantity": "" if quantity is None else quantity_text(round(Decimal(quantity), 6)),
        "unit_amount": amount("unit_amount", 12),
        "flat_amount": amount("flat_amount", 12),
        "amount": amount("amount", 6),
    }
