"""The kinds of a customer's own terms, as the database and the pages name them."""

from django.db.models import TextChoices


class TermKind(TextChoices):
    """What a term is about; docs/terms.md says what each holds."""

    PRICE = "price", "Price"
    TIERS = "tiers", "Tiers"
    FACTOR = "factor", "Price factor"
    METER = "meter", "Other meter"
    NARROWING = "narrowing", "Part of the usage"
    ALLOWANCE = "allowance", "Free allowance"
    DISCOUNT = "discount", "Discount"
    MINIMUM = "minimum", "Minimum of a charge"
    MAXIMUM = "maximum", "Maximum of a charge"
    QUANTITY = "quantity", "Quantity"
    ADD = "add", "Added charge"
    REMOVE = "remove", "Removed charge"
    MINIMUM_SPEND = "minimum_spend", "Minimum spend"
    MAXIMUM_SPEND = "maximum_spend", "Maximum spend"
    COMMITMENT = "commitment", "Commitment"


SPEND = (TermKind.MINIMUM_SPEND, TermKind.MAXIMUM_SPEND, TermKind.COMMITMENT)
"""Kinds that concern the subscription's spending, not a charge."""

FOR_ALL = (TermKind.FACTOR, TermKind.DISCOUNT)
"""Kinds that may hold for all charges at once."""

TOGETHER = (TermKind.DISCOUNT, TermKind.COMMITMENT)
"""Kinds of which several may hold at one time; of any other, one a charge."""

RAMPED = (
    TermKind.PRICE, TermKind.FACTOR, TermKind.QUANTITY, TermKind.MINIMUM_SPEND, TermKind.MAXIMUM_SPEND,
    TermKind.COMMITMENT,
)  # fmt: skip
"""Kinds whose steps can be known in advance."""
