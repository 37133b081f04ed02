"""What contracts agree and what coupons take off, in words. Pure: no Django, no clock."""

from collections.abc import Sequence
from decimal import Decimal

from billing.catalog.agreements.kinds import AgreedDiscount, AgreedSpend
from billing.catalog.terms.wording import spend_words
from billing.money import plain
from billing.pricing.words import Words


def agreement_in_words(agreed: AgreedSpend | AgreedDiscount, currency: str) -> str:
    """“committed to USD 120,000.00 over the whole time, counting tokens, of api and app”."""
    if isinstance(agreed, AgreedDiscount):
        return f"{off_in_words(agreed.percentage, agreed.amount, currency)} each period{_of(agreed.codes)}"
    return spend_words(agreed.spend, Words(currency, "unit")) + _of((*agreed.subscriptions, *agreed.products))


def off_in_words(percentage: Decimal | None, amount: Decimal | None, currency: str) -> str:
    """“10 % off”, “USD 50.00 off”."""
    if percentage is not None:
        return f"{plain(percentage)} % off"
    return f"{Words(currency, '').money(amount or Decimal(0))} off"


def _of(codes: Sequence[str]) -> str:
    return f", of {' and '.join(codes)}" if codes else ""
