"""Verbs of a draft version: what its page writes. The caller owns the transaction; published versions refuse."""

from collections.abc import Sequence
from typing import Any

from billing.catalog.models import Charge, ChargeCode, ChargePrice, Product


def charge_code(*, product: Product, code: str) -> ChargeCode:
    """The product's charge code of that name, made when it is new: versions and plans share it, so amounts line up."""
    return ChargeCode.objects.get_or_create(product=product, code=code)[0]


def set_prices(*, charge: Charge, prices: Sequence[dict[str, Any]]) -> None:
    """Let `charge` have exactly these prices, checked ones, each with its own currency."""
    given = {price["currency"]: price for price in prices}
    charge.prices.exclude(currency__in=given).delete()
    ChargePrice.objects.bulk_create(
        [ChargePrice(charge=charge, currency=currency, price=price) for currency, price in given.items()],
        update_conflicts=True,
        unique_fields=["charge", "currency"],
        update_fields=["price"],
    )
