"""An issued invoice of metered usage by model and region, for the tests of documents."""

from datetime import UTC, datetime
from typing import Any

from billing.invoicing.models import Invoice
from customers.models import Contract
from tests.factories import (
    bill_and_issue,
    fee,
    make_contract,
    make_customer,
    make_entity,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)

ISSUED_ON = datetime(2023, 12, 2, 8, tzinfo=UTC)
SELLER = {
    "legal_text": "Late payment: 9 percentage points above the base rate.\nGoods remain ours until paid.",
    "footer": "Registered at Amtsgericht Charlottenburg, HRB 123456 B\nDirectors: Ada Byron, Grace Hopper",
    "colour": "#0b5fbf", "iban": "DE02 1203 0000 0000 2020 51", "bic": "BYLADEM1001", "bank_details": "DKB Berlin",
    "reference": "creditor",
}  # fmt: skip
REGIONS = ("eu-central-1", "us-east-1", "ap-northeast-1")


def tiers(*bounds: str | None, first: str = "0.05") -> dict[str, Any]:
    """A graduated price whose tiers end at these bounds, each at half the price of the one before."""
    prices = [f"{float(first) / 2**place:.4f}" for place in range(len(bounds))]
    return {
        "model": "graduated",
        "tiers": [{"up_to": bound, "unit_amount": price} for bound, price in zip(bounds, prices, strict=True)],
    }


def make_used(currency: str = "EUR", locale: str = "de-DE", *, days: int = 30, **entity: Any) -> Contract:
    """A contract with a fee, tokens by model and region, and a peak, used on `days` days of November."""
    customer = make_customer(
        "buyer", legal_name="Nordlicht Analytik AG", address_line1="Hafenstraße 7", postal_code="20457",
        city="Hamburg", country="DE", tax_id="DE811907980", locale=locale, currency=currency,
    )  # fmt: skip
    contract = make_contract(
        customer, number="K-2023-7", currency=currency, entity=make_entity(**(SELLER | entity)), po_number="4711"
    )
    tokens = make_meter(group_by=["model", "region"])
    peak = make_meter("peak", aggregation="max", value="tokens", unit="token")
    whole = "1" if currency in ("JPY", "KRW") else "0.05"
    make_subscription(contract, make_version(
        fee(amount="12000" if currency == "JPY" else "100.00"),
        usage("tokens", tokens, **tiers("1000", "5000", None, first=whole)), usage("peak", peak),
        currencies=(currency,),
    ))  # fmt: skip
    send_events([
        {
            "subject": "buyer", "time": f"2023-11-{day + 1:02}T12:00:00Z",
            "data": {"tokens": 100 + 7 * day, "model": f"gpt-{day % 4}", "region": REGIONS[day % 3]},
        }
        for day in range(days)
    ])  # fmt: skip
    return contract


def make_paper(currency: str = "EUR", locale: str = "de-DE", **more: Any) -> Invoice:
    """The invoice of November."""
    (invoice,) = bill_and_issue("2023-12-01", make_used(currency, locale, **more), now=ISSUED_ON)
    return invoice
