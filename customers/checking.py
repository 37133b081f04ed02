"""Whether the dates of a contract go together, before the database is asked."""

from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from customers.models import Contract

LISTED: Final = "dates"


def calendar_problems(contract: "Contract") -> dict[str, str]:
    """What is wrong with the anchor month, the listed dates and the renewal, by field (R4.1); fields that could not be
    read are left to their own messages.
    """
    found: dict[str, str] = {}
    if contract.anchor_month is not None and not _several_months(contract.cadence):
        found["anchor_month"] = "Only periods of several months have an anchor month: leave it empty."
    if contract.anchor_day is not None and contract.cadence == LISTED:
        found["anchor_day"] = "Listed dates have no anchor day: leave it empty."
    if problem := _dates_problem(contract):
        found["billing_dates"] = problem
    if contract.renewal != "none" and not (contract.end and contract.renewal_term):
        found["renewal"] = "A contract that renews by itself has an end, and says for how long it renews."
    return found


def _several_months(cadence: str) -> bool:
    return cadence[-1:] == "Y" or (cadence[-1:] == "M" and cadence != "P1M")


def _dates_problem(contract: "Contract") -> str | None:
    """What is wrong with the listed dates, if anything."""
    dates = contract.billing_dates or []
    if (contract.cadence == LISTED) != bool(dates):
        return "List dates for the cadence “dates”, and for no other."
    if not dates or not contract.start:
        return None
    if dates[0] <= contract.start:
        return f"Periods end after the contract starts: {dates[0]} does not come after {contract.start}."
    for before, after in pairwise(dates):
        if after <= before:
            return f"{after} does not come after {before}: sort the dates, each once."
    if contract.end and contract.end > dates[-1]:
        return (
            f"The contract runs to {contract.end}, the dates to {dates[-1]}: list one that is {contract.end} or later."
        )
    return None
