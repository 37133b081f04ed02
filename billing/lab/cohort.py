"""Who a trial rates, as plain values that are kept with it. Pure: no Django, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Literal

from billing.money import plain


@dataclass(frozen=True, slots=True)
class Cohort:
    """Customers by what they have; what is left out does not matter, and everything that is said must hold.

    `versions`, `entity` and `meter` are ids; `customers` are their own ids (external). `size_by` measures the months of
    the trial: what was invoiced for them (approved or issued, in the contract's currency), or the quantity of a meter;
    the bounds are inclusive.
    """

    versions: tuple[int, ...] = ()
    currency: str = ""
    entity: int | None = None
    size_by: Literal["", "revenue", "usage"] = ""
    meter: int | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    customers: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What is said, for the database."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: plain(value) if isinstance(value, Decimal) else list(value) if isinstance(value, tuple) else value
            for name, value in said.items()
            if value not in ("", None, ())
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Cohort":
        """What `to_json` wrote."""
        said: dict[str, Any] = dict(given)
        said |= {name: tuple(said[name]) for name in ("versions", "customers") if name in said}
        said |= {name: Decimal(said[name]) for name in ("at_least", "at_most") if name in said}
        return cls(**said)

    def holds(self, size: Decimal) -> bool:
        """Whether a customer of that size is in it."""
        return not (
            (self.at_least is not None and size < self.at_least) or (self.at_most is not None and size > self.at_most)
        )
