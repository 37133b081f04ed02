"""What an adjustment says of the usage that came late. Pure: no Django, no clock."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.pricing.words import plural


def late_in_words(
    late: Mapping[str, Any] | None, quantity: Decimal | None, unit: str, write: Callable[[Decimal], str]
) -> str:
    """“12 events came late: 1,200 tokens instead of 1,000”; empty for a line that says nothing of it."""
    if not late:
        return ""
    said = [
        f"{write(Decimal(late[name]))} {plural('event', Fraction(late[name]))} {verb}"
        for name, verb in (("came", "came late"), ("taken", "taken back"), ("given", "given back"))
        if late.get(name)
    ]
    text = ", ".join(said) or "The terms changed, not the usage"
    was = late.get("was")
    if was is None or quantity is None or Decimal(was) == quantity:
        return text
    return f"{text}: {write(quantity)} {plural(unit, Fraction(quantity))} instead of {write(Decimal(was))}".strip()
