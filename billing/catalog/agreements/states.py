"""The kinds of terms of a contract as a whole, as the database and the pages name them."""

from django.db.models import TextChoices


class AgreementKind(TextChoices):
    """What a contract's own term is about; docs/terms.md says what each holds."""

    MINIMUM_SPEND = "minimum_spend", "Minimum spend"
    MAXIMUM_SPEND = "maximum_spend", "Maximum spend"
    COMMITMENT = "commitment", "Commitment"
    DISCOUNT = "discount", "Discount on invoices"
