"""Plain helpers for what contracts agree and redeem."""

from datetime import date
from decimal import Decimal
from typing import Any

from billing.catalog.agreements.models import ContractTerm
from billing.catalog.agreements.services import agree
from billing.catalog.coupons.models import Coupon, Redemption
from billing.catalog.coupons.services import redeem
from customers.models import Contract
from tests.factories import NOW


def make_coupon(code: str = "WELCOME", **fields: Any) -> Coupon:
    """A coupon: 10 % off everything, once, unless fields say otherwise."""
    worth = {} if "amount" in fields else {"percentage": Decimal(10)}
    if "amount" in fields:
        fields = {"currency": "USD"} | fields | {"amount": Decimal(fields["amount"])}
    if "percentage" in fields:
        fields |= {"percentage": Decimal(fields["percentage"])}
    coupon = Coupon(**({"code": code, "name": f"Coupon {code}", "created_at": NOW} | worth | fields))
    coupon.full_clean()
    coupon.save(force_insert=True)
    return coupon


def apply(coupon: Coupon, contract: Contract, start: str = "2023-11-01", **more: Any) -> Redemption:
    """Redeem a coupon for a contract."""
    return redeem(
        coupon=coupon, customer=contract.customer, contract=contract, start=date.fromisoformat(start),
        reason="Signed up", user=None, now=NOW, **more,
    )  # fmt: skip


def agreed(contract: Contract, kind: str, start: str = "2023-11-01", **value: Any) -> ContractTerm:
    """A term of the contract as a whole; `end` and `periods` say until when."""
    dates = {key: value.pop(key) for key in ("end", "periods") if key in value}
    return agree(
        contract=contract, kind=kind, value=value, start=date.fromisoformat(start), reason="Order form", user=None,
        now=NOW, **dates,
    )  # fmt: skip
