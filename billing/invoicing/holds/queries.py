"""Reads of holds: what stands, what was released, and what is held in money."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, QuerySet, Sum

from billing.invoicing.holds.models import Hold
from billing.metering.asking import Known


@dataclass(frozen=True, slots=True)
class HeldMoney:
    """What is held in a currency, and of how many contracts."""

    currency: str
    contracts: int
    amount: Decimal


def open_holds(contract_ids: Collection[int] | None = None) -> QuerySet[Hold]:
    """The holds that stand, of some contracts or of all."""
    found = Hold.objects.filter(released_at=None, ended_at=None)
    return found if contract_ids is None else found.filter(contract__among=contract_ids)


def latest_releases(contract_ids: Collection[int]) -> dict[tuple[int, str], Hold]:
    """The latest release of each contract and check; one query."""
    released = Hold.objects.filter(contract__among=contract_ids, released_at__isnull=False).order_by("pk")
    return {(each.contract_id, each.code): each for each in released}


def known_of(hold: Hold) -> Known:
    """The usage that was known when the hold was last seen: what a release of it covers."""
    return Known(hold.covers.get("position", 0), frozenset(hold.covers.get("pending", ())))


def covered(latest: Mapping[tuple[int, str], Hold]) -> dict[int, str]:
    """By contract, the amount below zero that a release lets pass."""
    return {pk: str(hold.covers.get("below_zero", "")) for (pk, code), hold in latest.items() if code == "negative"}


def held_money() -> list[HeldMoney]:
    """What all standing holds come to, by currency, where it is known; each contract once. One query."""
    rows = (
        open_holds().exclude(amount=None).order_by("contract__currency").values_list("contract__currency")
        .annotate(contracts=Count("contract", distinct=True), amount=Sum("amount"))
    )  # fmt: skip
    return [HeldMoney(*row) for row in rows]
