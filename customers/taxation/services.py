"""Verbs of the facts about tax. The caller owns the transaction."""

from datetime import date, datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from customers.errors import CustomerError
from customers.locks import lock_customers
from customers.models import Contract, Customer, LegalEntity
from customers.taxation.models import TaxSetup, TaxTreatment


@transaction.atomic
def set_up_tax(
    *, entity: LegalEntity, start: date, reason: str, now: datetime, user: AbstractBaseUser | None = None,
    provider: str = "table", rounding: str = "document", point: str = "service_end",
) -> TaxSetup:  # fmt: skip
    """Let an entity compute tax from a day on; an empty provider ends it. A fact of the same day is replaced.

    What is approved or issued keeps its tax; drafts get theirs with the next run.
    """
    customers = Contract.objects.filter(entity=entity).order_by().values_list("customer_id", flat=True)
    lock_customers(set(customers))
    TaxSetup.objects.filter(entity=entity, start=start, undone_at=None).update(undone_at=now)
    fact = TaxSetup(
        entity=entity, start=start, reason=reason.strip(), recorded_at=now, recorded_by=user,  # type: ignore[misc]
        provider=provider, rounding=rounding, point=point,
    )  # fmt: skip
    fact.full_clean()
    fact.save()
    return fact


@transaction.atomic
def treat(
    *, customer: Customer, start: date, treatment: str, reason: str, now: datetime,
    user: AbstractBaseUser | None = None, entity: LegalEntity | None = None, country: str = "", region: str = "",
    note: str = "",
) -> TaxTreatment:  # fmt: skip
    """Say how a customer is taxed from a day on, by all sellers or by one. A fact of the same day is replaced.

    CustomerError for reverse charge without the customer's tax number; ValidationError without the text to print.
    """
    if treatment == TaxTreatment.Treatment.REVERSE_CHARGE and not customer.tax_id:
        raise CustomerError(
            f"Reverse charge needs the tax number of {customer}: write it on the customer's page first."
        )
    lock_customers({customer.pk})
    same = TaxTreatment.objects.filter(customer=customer, entity=entity, start=start, undone_at=None)
    same.update(undone_at=now)
    fact = TaxTreatment(
        customer=customer, entity=entity, start=start, treatment=treatment, country=country.strip().upper(),
        region=region.strip(), note=note.strip(), reason=reason.strip(), recorded_at=now,
        recorded_by=user,  # type: ignore[misc]
    )  # fmt: skip
    fact.full_clean()
    fact.save()
    return fact


@transaction.atomic
def take_back(*, fact: TaxSetup | TaxTreatment, now: datetime) -> None:
    """As if it had never been said; what is approved or issued keeps its tax. Twice is once."""
    type(fact).objects.filter(pk=fact.pk, undone_at=None).update(undone_at=now)
