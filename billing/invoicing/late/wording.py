"""What an adjustment says of the usage that came late. Pure: no Django, no clock."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.invoicing.languages.labels import ENGLISH
from billing.pricing.words import plural


def late_in_words(
    late: Mapping[str, Any] | None, quantity: Decimal | None, unit: str, write: Callable[[Decimal], str],
    labels: Mapping[str, str] = ENGLISH,
) -> str:  # fmt: skip
    """“12 events came late: 1,200 tokens instead of 1,000”; empty for a line that says nothing of it."""
    if not late:
        return ""
    said = [
        labels[key].format(count=write(Decimal(late[name])), events=plural("event", Fraction(late[name])))
        for name, key in (("came", "came_late"), ("taken", "taken_back"), ("given", "given_back"))
        if late.get(name)
    ]
    text = ", ".join(said) or labels["terms_changed"]
    was = late.get("was")
    if was is None or quantity is None or Decimal(was) == quantity:
        return text
    unit = plural(unit, Fraction(quantity))
    told = labels["instead"].format(told=text, quantity=write(quantity), unit=unit, was=write(Decimal(was)))
    return told.strip().replace("  ", " ")
