"""The verb of invoicing policies: say what holds from a day on."""

from datetime import date, datetime
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser

from billing.invoicing.late.errors import BadPolicy
from billing.invoicing.late.models import InvoicingPolicy
from customers.models import Contract, LegalEntity


def set_policy(
    *,
    now: datetime,
    user: AbstractBaseUser | None,
    reason: str,
    since: date,
    entity: LegalEntity | None = None,
    contract: Contract | None = None,
    late: str = "",
    grace: int | None = None,
    grace_unit: str = "hours",
    zero: str = "",
    threshold: Decimal | None = None,
    currency: str = "",
) -> InvoicingPolicy:
    """Say it for a seller or a contract; what is left empty stays. BadPolicy where a currency does not fit."""
    if contract is not None and threshold is not None and currency != contract.currency:
        raise BadPolicy(f"Contract {contract} is billed in {contract.currency}: give its smallest invoice in that.")
    return InvoicingPolicy.objects.create(
        entity=entity, contract=contract, since=since, late=late, grace=grace, grace_unit=grace_unit, zero=zero,
        threshold=threshold, currency=currency, reason=reason, recorded_at=now, recorded_by=user,  # type: ignore[misc]
    )  # fmt: skip
