"""A subscription with terms of its own, in few words."""

from datetime import date
from typing import Any

from billing.catalog.models import Subscription
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.services import set_term
from tests.factories import NOW, make_contract, make_subscription, make_version, send_events

WHY: dict[str, Any] = {"reason": "Agreed with their buyer", "user": None, "now": NOW}


def subscribed(*charges: Any, **fields: Any) -> Subscription:
    """A subscription of a new customer to a plan of these charges, from 2023-11-01 on."""
    return make_subscription(make_contract(), make_version(*charges), **fields)


def agree(
    subscription: Subscription, kind: str, code: str = "", start: str = "2023-11-01", **fields: Any
) -> SubscriptionTerm:
    """Set a term whose value are the fields that are left."""
    how = {key: fields.pop(key) for key in ("end", "periods", "meter") if key in fields}
    if isinstance(how.get("end"), str):
        how["end"] = date.fromisoformat(how["end"])
    day = date.fromisoformat(start)
    return set_term(subscription=subscription, kind=kind, code=code, value=fields, start=day, **how, **WHY)


def use(subscription: Subscription, day: str, tokens: int, **data: Any) -> None:
    """One event at noon."""
    subject = subscription.contract.customer.external_id
    assert send_events(subject=subject, time=f"{day}T12:00:00Z", data={"tokens": tokens} | data).accepted == 1


def per_unit(amount: str) -> dict[str, str]:
    """A price a unit."""
    return {"model": "per_unit", "unit_amount": amount}
